from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import dask_awkward as dak
import pytest

import lazyana as la
from lazyana.frame.recording import mark, put_field
from lazyana.plan.lower import lower
from lazyana.plan.program import SOURCE, ordered, run_step

Put = Callable[[Any], tuple[Any, str | list[str], Any]]

# What is put where: records, name of the field, column.
CASES: dict[str, Put] = {
    "jagged": lambda e: (e.Jet, "pt", e.Jet.pt * 1.1),
    "jagged, another type": lambda e: (e.Muon, "charge", e.Muon.pt > 20),
    "jagged, records": lambda e: (e.Jet, "area", e.Jet),
    "jagged, selected objects": lambda e: (e.Jet[e.Jet.pt > 30], "pt", e.Jet.eta[e.Jet.pt > 30]),
    "jagged, selected events": lambda e: (e.Jet[e.MET.pt > 20], "pt", e.Jet.eta[e.MET.pt > 20]),
    "jagged, lists": lambda e: (e.Jet, "pt", e.Jet.metric_table(e.Muon)),
    "jagged, new": lambda e: (e.Jet, "double", e.Jet.pt * 2),
    "jagged, replaced twice": lambda e: (
        ak.with_field(e.Jet, e.Jet.pt * 2, "pt"),
        "mass",
        e.Jet.mass * 2,
    ),
    "jagged, a number an event": lambda e: (e.Jet, "pt", e.MET.pt),
    "jagged, a new number an event": lambda e: (e.Jet, "met", e.MET.pt),
    "jagged, missing numbers": lambda e: (e.Jet, "pt", ak.mask(e.Jet.pt, e.Jet.pt > 30)),
    "jagged, missing events": lambda e: (e.Jet, "pt", ak.firsts(e.Muon.pt)),
    "jagged, missing lists": lambda e: (e.Jet, "pt", ak.mask(e.Jet.pt, e.MET.pt > 20)),
    "jagged, path": lambda e: (with_inner(e.Jet), ["inner", "x"], e.Jet.pt * 2),
    "jagged, new in path": lambda e: (with_inner(e.Jet), ["inner", "y"], e.Jet.pt * 2),
    "jagged, path of one name": lambda e: (e.Jet, ["pt"], e.Jet.pt * 1.1),
    "lists of lists": lambda e: (pairs(e)["0"], "pt", pairs(e)["1"].pt),
    "flat": lambda e: (e.MET, "pt", e.MET.pt * 2),
    "flat, another type": lambda e: (e.MET, "phi", e.MET.pt > 20),
    "flat, new": lambda e: (e.MET, "double", e.MET.pt * 2),
    "flat, lists": lambda e: (e.MET, "pt", e.Jet.pt),
    "flat, lists of records": lambda e: (e.MET, "pt", e.Jet),
    "flat, missing numbers": lambda e: (e.MET, "pt", ak.firsts(e.Muon.pt)),
    "flat, selected events": lambda e: (e.MET[e.MET.pt > 20], "pt", e.MET.phi[e.MET.pt > 20]),
    "missing records": lambda e: (ak.firsts(e.Jet), "pt", ak.firsts(e.Jet.eta)),
}


def with_inner(records: Any) -> Any:
    inner = ak.zip({"x": records.pt, "z": records.eta})
    return ak.with_field(records, inner, "inner")


def pairs(events: Any) -> Any:
    return ak.cartesian([events.Jet, events.Jet], nested=True)


@pytest.fixture
def on_real(plain: Any) -> Callable[[dak.Array], ak.Array]:
    """Values of a lazy column of the Drell-Yan events, by its own steps on plain NanoEvents."""

    def evaluate(column: dak.Array) -> ak.Array:
        values: dict[str, Any] = {SOURCE: plain.events["DYJetsToLL"][0]}
        for step in ordered(lower([column]), [column.name]):
            values[step.key] = run_step(step, values)
        return values[column.name]

    return evaluate


# --- put_field ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_put_field_has_the_type_dask_awkward_finds(name: str, dy: la.Events) -> None:
    record, field, column = CASES[name](dy)
    ours = put_field(record, field, column)._meta
    theirs = dak.with_field(record, column, field)._meta
    # As text: equality of types looks past parameters.
    assert str(ours.layout.form.type) == str(theirs.layout.form.type)
    assert ours.fields == theirs.fields
    assert type(ours) is type(theirs)
    assert ours.behavior == theirs.behavior
    assert ours.attrs.keys() == theirs.attrs.keys()
    assert all(ours.attrs[key] is theirs.attrs[key] for key in theirs.attrs)


@pytest.mark.parametrize("name", CASES)
def test_put_field_makes_what_awkward_makes(
    name: str, dy: la.Events, plain: Any, on_real: Callable[[dak.Array], ak.Array]
) -> None:
    record, field, column = CASES[name](dy)
    put = on_real(put_field(record, field, column))
    record, field, column = CASES[name](plain.events["DYJetsToLL"][0])
    expected = ak.with_field(record, column, field)
    assert str(put.type) == str(expected.type)
    assert put.fields == expected.fields
    assert type(put) is type(expected)
    assert put.behavior == expected.behavior
    assert ak.array_equal(put, expected, equal_nan=True)


@pytest.mark.parametrize("name", CASES)
def test_put_field_is_recorded_with_the_type_it_has(
    name: str, dy: la.Events, on_real: Callable[[dak.Array], ak.Array]
) -> None:
    put = put_field(*CASES[name](dy))
    path = CASES[name](dy)[1]
    field = put[path] if isinstance(path, str) else put[tuple(path)]
    seen = on_real(field).type.content
    assert seen == field._meta.layout.form.type


def test_records_keep_their_methods(
    dy: la.Events, plain: Any, on_real: Callable[[dak.Array], ak.Array]
) -> None:
    events = plain.events["DYJetsToLL"][0]
    jets = put_field(dy.Jet, "pt", dy.Jet.pt * 2)
    assert ak.almost_equal(on_real(jets.px), events.Jet.px * 2)
    assert ak.array_equal(on_real(jets.matched_gen.pt), events.Jet.matched_gen.pt)
    met = put_field(dy.MET, "pt", dy.MET.pt * 2)
    assert ak.almost_equal(on_real(met.px), events.MET.px * 2)


def test_equal_puts_have_one_name_others_another(dy: la.Events) -> None:
    first, second = dy.Jet.pt * 2, dy.Jet.pt * 3
    name = put_field(dy.Jet, "pt", first).name
    assert put_field(dy.Jet, "pt", first).name == name
    others = [
        put_field(dy.Jet, "pt", second),
        put_field(dy.Jet, "mass", first),
        put_field(dy.Jet[dy.Jet.pt > 30], "pt", first[dy.Jet.pt > 30]),
    ]
    assert len({name, *(other.name for other in others)}) == 4


# --- mark -----------------------------------------------------------------------------------------

COLUMNS: dict[str, Callable[[Any], Any]] = {
    "jagged records": lambda e: e.Jet,
    "jagged numbers": lambda e: e.Jet.pt,
    "numbers": lambda e: e.MET.pt,
    "records": lambda e: e.MET,
    "missing numbers": lambda e: ak.firsts(e.Muon.pt),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_mark_keeps_value_and_type(
    name: str, dy: la.Events, plain: Any, on_real: Callable[[dak.Array], ak.Array]
) -> None:
    column = COLUMNS[name](dy)
    marked = mark("jes", name, column)
    assert marked._meta is column._meta
    value, expected = on_real(marked), COLUMNS[name](plain.events["DYJetsToLL"][0])
    assert value.type == expected.type
    assert value.behavior == expected.behavior
    assert ak.array_equal(value, expected, equal_nan=True)


def test_every_mark_is_a_column_of_its_own(dy: la.Events) -> None:
    column = dy.Jet.pt
    marks = [mark("jes", "Jet.pt", column) for _ in range(2)]
    assert len({column.name, *(marked.name for marked in marks)}) == 3
    assert all(marked.name.startswith("vary-jes-") for marked in marks)
