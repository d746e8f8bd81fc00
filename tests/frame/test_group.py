"""Groups: which events a column is about."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import awkward as ak
import correctionlib.schemav2 as schema
import dask_awkward as dak
import pytest

import lazyana as la
from lazyana.errors import FrameMismatchError, LazyValueError
from lazyana.frame.group import Level


def test_levels_form_a_chain() -> None:
    every = Level(0)
    below = Level(3, "two_muons", every)
    lowest = Level(4, "met", below)
    assert lowest.chain == (every, below, lowest)
    assert every.what == "before any filter"
    assert below.what == "after filter 'two_muons'"


def test_group_knows_its_datasets(mc: la.Events) -> None:
    group = mc._group
    assert group.names == ("DYJetsToLL", "TTTo2L2Nu")
    assert group.entries == 720
    assert group.is_mc


def test_columns_are_recorded_once(mc: la.Events) -> None:
    group = mc._group
    assert group.stored("Muon") is group.stored("Muon")
    frame = mc.filter(one=ak.num(mc.Muon) > 0)
    first = group.select(group.stored("Muon"), group.all_events, frame._level)
    assert group.select(group.stored("Muon"), group.all_events, frame._level) is first
    assert frame.Muon.name == frame.Muon.name == first.name


def test_selected_column_is_typed_as_the_column(mc: la.Events) -> None:
    frame = mc.filter(one=ak.num(mc.Muon) > 0)
    for name in mc.fields:
        assert frame[name]._meta.layout.form == mc[name]._meta.layout.form
    assert frame.Muon.matched_gen.fields == mc.Muon.matched_gen.fields


def test_events_cannot_be_found_again_above(mc: la.Events) -> None:
    frame = mc.filter(one=ak.num(mc.Muon) > 0)
    with pytest.raises(FrameMismatchError, match="after filter 'one' cannot be found"):
        mc._group.select(frame.MET.pt, frame._level, mc._group.all_events)


COLUMNS: dict[str, Callable[[Any], Any]] = {
    "field": lambda e: e.Muon.pt,
    "operations": lambda e: ak.any(e.Muon.pt * 2 > 5, axis=1),
    "cross reference": lambda e: e.Muon.matched_gen.pt,
    "cross reference of some": lambda e: e.Muon[e.Muon.pt > 5].matched_jet.pt,
    "two steps": lambda e: e.Muon.matched_jet.matched_gen.pt,
    "parents": lambda e: e.GenPart.distinctParent.pt,
    "children": lambda e: e.GenPart.distinctChildren.pt,
    "nested": lambda e: e.FatJet.subjets.pt,
    "nearest": lambda e: e.Jet.nearest(e.Muon).pt,
    "sum": lambda e: e.Muon.sum().mass,
    "combinations": lambda e: ak.combinations(e.Muon, 2, fields=["a", "b"]).a.pt,
}


@pytest.mark.parametrize("name", COLUMNS)
def test_rows_of_a_column_are_those_of_its_events(mc: la.Events, name: str) -> None:
    group = mc._group
    frame = mc.filter(met=mc.MET.pt > 10)
    for events in (mc, frame):
        column = COLUMNS[name](events)
        assert group.rows(column.name, column.dask) == {events._level.number}
        events.define(x=column)
    with pytest.raises(FrameMismatchError, match="before any filter"):
        frame.define(x=COLUMNS[name](mc))


def test_cross_references_of_selected_events_are_right(
    mc: la.Events, plain: Any, value: Any
) -> None:
    frame = mc.filter(met=mc.MET.pt > 30)
    for name in ("cross reference of some", "two steps", "children", "nested"):
        expected = plain(
            lambda e, name=name: COLUMNS[name](e[e.MET.pt > 30]), "DYJetsToLL", "TTTo2L2Nu"
        )
        found = value(frame, COLUMNS[name](frame))
        assert ak.array_equal(found, expected, dtype_exact=False, check_parameters=False), name


def test_correction_is_about_no_events_of_its_own(mc: la.Events, value: Any) -> None:
    flat = schema.Correction(
        name="sf",
        version=1,
        inputs=[schema.Variable(name="pt", type="real")],
        output=schema.Variable(name="weight", type="real"),
        data=schema.Formula(
            nodetype="formula", expression="2*x", parser="TFormula", variables=["pt"]
        ),
    ).to_evaluator()
    frame = mc.filter(met=mc.MET.pt > 10)
    weight = flat.evaluate(frame.MET.pt)
    assert mc._group.rows(weight.name, weight.dask) == {frame._level.number}
    assert value(frame, weight)[0] == 2 * value(frame, frame.MET.pt)[0]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    ids=count(),
    argvalues=[
        (
            lambda e: e.MET.pt + dak.from_awkward(ak.Array([1.0]), 1),
            FrameMismatchError,
            "X is made of a dask-awkward array that is not of these events.*map_partitions",
        ),
        (
            lambda e: e.MET.pt / ak.sum(e.MET.pt),
            LazyValueError,
            "X combines all events.*axis=1.*events.sum",
        ),
    ],
)
def test_check_refuses(
    mc: la.Events, make: Callable[[Any], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        mc._group.check(make(mc), mc._level, "X")


def test_another_opening_of_the_same_files_is_another_frame(
    mc: la.Events, toy_files: dict[str, Any]
) -> None:
    again = la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})
    with pytest.raises(FrameMismatchError, match="X is made of columns of another frame"):
        mc._group.check(again.MET.pt + mc.MET.pt, mc._level, "X")
