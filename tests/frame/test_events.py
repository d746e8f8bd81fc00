"""The frame: what its methods declare is what plain awkward computes on the same events."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import awkward as ak
import dask_awkward as dak
import numpy as np
import pytest

import lazyana as la
from lazyana.errors import (
    ColumnError,
    FrameMismatchError,
    InputError,
    InputTypeError,
    LazyValueError,
    RunError,
)

DY, TT = "DYJetsToLL", "TTTo2L2Nu"


def same(one: Any, two: Any) -> bool:
    return bool(ak.array_equal(one, two, dtype_exact=False))


def refused(error: type[Exception], *words: str) -> Any:
    """An error whose message has all of these words."""
    pattern = "".join(f"(?=[\\s\\S]*{word})" for word in words)
    return pytest.raises(error, match=f"(?s){pattern}")


# -- columns ---------------------------------------------------------------------------------


def test_attributes_and_items_are_the_same_columns(dy: la.Events) -> None:
    assert dy["Muon", "pt"].name == dy["Muon"].pt.name == dy.Muon.pt.name
    assert isinstance(dy.Muon.pt, dak.Array)


@pytest.mark.parametrize(
    "expression",
    ids=count(),
    argvalues=[
        lambda e: e.Muon.pt,
        lambda e: e["Muon", "pt"],
        lambda e: e.Muon[e.Muon.pt > 20].eta,
        lambda e: np.sqrt(e.MET.pt) + e.genWeight,
        lambda e: ak.num(e.Jet[e.Jet.isTight]),
        lambda e: e.Muon.matched_gen.pdgId,
        lambda e: e.Jet.nearest(e.Muon).pt,
        lambda e: e.GenPart.distinctParent.pdgId,
        lambda e: (ak.firsts(e.Muon) + ak.firsts(e.Jet)).mass,
        lambda e: ak.where(ak.num(e.Muon) > 1, e.MET.pt, -1.0),
        lambda e: e.HLT.IsoMu24,
    ],
)
@pytest.mark.parametrize("cut", [False, True])
def test_column_is_that_of_nanoevents(
    mc: la.Events, plain: Any, value: Any, expression: Callable[[Any], Any], cut: bool
) -> None:
    def selected(events: Any) -> Any:
        return events[ak.num(events.Muon) > 0] if cut else events

    frame = mc.filter(muon=ak.num(mc.Muon) > 0) if cut else mc
    expected = plain(lambda e: expression(selected(e)), DY, TT)
    assert ak.count(expected) > 0
    assert same(value(frame, expression(frame)), expected)


def test_fields_are_those_of_nanoevents_and_the_defined(dy: la.Events, plain: Any) -> None:
    assert dy.fields == tuple(sorted(plain.events[DY][0].fields))
    assert "mine" in dy.define(mine=dy.MET.pt).fields


def test_tab_completion_offers_columns_and_methods(dy: la.Events) -> None:
    names = dir(dy.define(mine=dy.MET.pt))
    assert {"Muon", "mine", "filter", "hist", "metadata"} <= set(names)
    assert "Muon" in dy._ipython_key_completions_()
    assert "pt" in dir(dy.Muon)


def test_repr_tells_what_was_declared(mc: la.Events) -> None:
    frame = mc.weight("gen", mc.genWeight, up=mc.genWeight).filter(tight=mc.MET.pt > 20)
    frame = frame.categories({f"c{i}": frame.MET.pt > i for i in range(12)})
    text = repr(frame)
    assert text.startswith(f"<lazyana.Events simulation: {DY}, {TT}; 720 events in files")
    assert "cuts: tight" in text
    assert "weights: gen" in text
    assert "variations: genUp" in text
    assert text.endswith("c7 and 4 more>")


def test_what_is_known_of_the_datasets(mc: la.Events, toy_files: dict[str, Any]) -> None:
    assert mc.is_mc
    assert mc.datasets == (DY, TT)
    assert mc.entries == 720
    assert mc.metadata["year"] == "2018"
    assert not la.open({"data": toy_files["SingleMuon"]}).is_mc


def test_dataset_columns_depend_on_the_dataset(mc: la.Events, value: Any) -> None:
    frame = mc.filter(met=mc.MET.pt > 20)
    sections = value(frame, frame.metadata["xsec"])
    is_top = value(frame, frame.dataset == TT)
    assert set(sections[is_top]) == {88.29}
    assert set(sections[~is_top]) == {6077.22}


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    ids=count(),
    argvalues=[
        (lambda e: e.Muno, ColumnError, ["Muno", "Did you mean 'Muon'", "Fields:"]),
        (lambda e: e["Muno"], ColumnError, ["Muno", "Did you mean 'Muon'"]),
        (lambda e: e.Muon.ptt, ColumnError, ["Muon has no field or method 'ptt'", "'pt'"]),
        (lambda e: e["Muon", "ptt"], ColumnError, ["Muon", "ptt", "'pt'"]),
        (lambda e: e.HLT.IsoMu25, ColumnError, ["HLT", "IsoMu25", "'IsoMu24'"]),
        (lambda e: e.Muon_pt, ColumnError, ["Muon_pt", "write events.Muon.pt"]),
        (lambda e: e.filtr(a=1), ColumnError, ["no method 'filtr'", "'filter'"]),
        (lambda e: e[e.MET.pt > 3], InputTypeError, ["events.filter", "Muon"]),
        (lambda e: e[3], InputTypeError, ["int", "events.head"]),
        (lambda e: len(e), InputTypeError, ["600", "cutflow"]),
        (lambda e: list(e), InputTypeError, ["looped", "head"]),
        (lambda e: e.__setitem__("x", 1), InputTypeError, ["events.define"]),
        (lambda e: float(ak.sum(e.MET.pt)), LazyValueError, ["float", "events.sum"]),
        (lambda e: bool(e.MET.pt > 3), LazyValueError, ["bool", "filter"]),
        (lambda e: len(e.Muon), LazyValueError, ["len", "ak.num"]),
        (lambda e: np.asarray(e.MET.pt), LazyValueError, ["numpy", "columns"]),
        (lambda e: 1 if e.dataset == DY else 0, LazyValueError, ["bool"]),
    ],
)
def test_misuse_says_what_to_write(
    dy: la.Events, ask: Callable[[Any], Any], error: type[Exception], words: list[str]
) -> None:
    with refused(error, *words) as caught:
        ask(dy)
    # The error is raised where the expression is written.
    assert any(entry.name == "<lambda>" for entry in caught.traceback)


# -- immutability ----------------------------------------------------------------------------


def test_writing_into_a_column_in_place_does_not_reach_the_frame(dy: la.Events, value: Any) -> None:
    frame = dy.filter(met=dy.MET.pt > 10)
    for start in (dy, frame):
        jets = start.Jet
        defined = start.define(J=jets, lead=ak.firsts(jets))
        everything = start.array
        jets["pt"] = jets.pt * 0
        everything["Jet"] = jets
        for untouched in (start.Jet, start.array.Jet, defined.J, defined.Jet, defined.array.Jet):
            assert ak.sum(value(start, untouched.pt)) > 0
        assert ak.sum(value(start, start.define(J=jets).J.pt)) == 0


def test_methods_leave_the_frame_as_it_was(dy: la.Events) -> None:
    before = repr(dy)
    pt = dy.Jet.pt
    dy.define(x=pt)
    dy.filter(a=dy.MET.pt > 3)
    dy.weight("w", dy.genWeight, up=dy.genWeight)
    dy.vary("jes", {"Jet.pt": {"up": pt}})
    dy.categories({"c": dy.MET.pt > 3})
    assert repr(dy) == before
    assert "x" not in dy.fields
    assert dy.Jet.pt.name == pt.name


# -- define ----------------------------------------------------------------------------------


def test_define_takes_columns_and_functions_in_turn(dy: la.Events, plain: Any, value: Any) -> None:
    frame = dy.define(
        good=dy.Muon[dy.Muon.pt > 20],
        lead=lambda e: ak.firsts(e.good),
        Muon=lambda e: e.good,
        n=lambda e: ak.num(e.Muon),
    )
    assert same(value(frame, frame.n), plain(lambda e: ak.sum(e.Muon.pt > 20, axis=1), DY))
    lead = plain(lambda e: ak.firsts(e.Muon[e.Muon.pt > 20].eta), DY)
    assert same(value(frame, frame.lead.eta), lead)
    below = frame.filter(two=lambda e: e.n == 2)
    pair = plain(lambda e: e.Muon[e.Muon.pt > 20].pt[ak.sum(e.Muon.pt > 20, axis=1) == 2], DY)
    assert same(value(below, below.Muon.pt), pair)


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    ids=count(),
    argvalues=[
        ({"filter": lambda e: e.MET.pt}, InputError, ["'filter'", "method"]),
        ({"a/b": lambda e: e.MET.pt}, InputError, ["'a/b'", "another name"]),
        ({"x": 3}, InputTypeError, ["'x'", "int", "events.Muon.pt"]),
        ({"x": np.ones(3)}, InputTypeError, ["'x'", "ndarray"]),
        ({"x": ak.Array([1])}, InputTypeError, ["'x'", "Array", "lazy"]),
        ({"x": lambda e: None}, InputTypeError, ["'x'", "NoneType"]),
        ({"x": lambda e: e.dataset}, InputTypeError, ["'x'", "name for each event", "map"]),
        ({"x": lambda e: ak.sum(e.MET.pt)}, InputTypeError, ["'x'", "axis=1"]),
        ({"x": lambda e: e.MET.pt / ak.sum(e.MET.pt)}, LazyValueError, ["'x'", "events.sum"]),
        ({"x": lambda e: ak.sum(e.Jet.pt, axis=0)}, LazyValueError, ["'x'", "axis"]),
        (
            {"x": lambda e: e.MET.pt + dak.from_awkward(ak.Array([1.0]), 1)},
            FrameMismatchError,
            ["'x'", "map_partitions"],
        ),
    ],
)
def test_define_refuses(
    dy: la.Events, columns: dict[str, Any], error: type[Exception], words: list[str]
) -> None:
    with refused(error, *words):
        dy.define(**columns)


# -- filter ----------------------------------------------------------------------------------


def test_filter_functions_see_the_events_left_and_columns_all_of_the_frame(
    dy: la.Events, plain: Any, value: Any
) -> None:
    seen: list[tuple[str, ...]] = []

    def leading(events: la.Events) -> Any:
        seen.append(events.cuts)
        return events.Muon[:, 0].pt > 25  # would fail for events without muons

    frame = dy.filter(one=ak.num(dy.Muon) > 0, leading=leading, met=dy.MET.pt > 15)
    assert seen == [("one",)]
    assert frame.cuts == ("one", "leading", "met")
    mask = plain(lambda e: ak.fill_none(ak.firsts(e.Muon.pt) > 25, False) & (e.MET.pt > 15), DY)
    assert 0 < ak.sum(mask) < len(mask)
    assert same(value(frame, frame.event), plain(lambda e: e.event, DY)[mask])


def test_none_in_a_mask_does_not_pass(dy: la.Events, plain: Any, value: Any) -> None:
    frame = dy.filter(lead=ak.firsts(dy.Electron.pt) > 10)
    expected = plain(lambda e: e.event[ak.any(e.Electron.pt[:, :1] > 10, axis=1)], DY)
    assert 0 < len(expected) < 600
    assert same(value(frame, frame.event), expected)


def test_frames_of_one_filter_do_not_mix(dy: la.Events, value: Any) -> None:
    one, two = dy.filter(a=dy.MET.pt > 20), dy.filter(a=dy.MET.pt > 20)
    with refused(FrameMismatchError, "after filter 'a'"):
        one.define(x=two.MET.pt)
    assert same(value(one, one.MET.pt), value(two, two.MET.pt))


@pytest.mark.parametrize(
    ("mask", "error", "words"),
    ids=count(),
    argvalues=[
        (lambda e: e.MET.pt, InputTypeError, ["'cut'", "float32", "compare"]),
        (lambda e: e.Muon.pt > 3, InputTypeError, ["'cut'", "several values", "ak.any"]),
        (lambda e: e.Muon, InputTypeError, ["'cut'", "record", "compare one"]),
        (ak.Array([True, False]), InputTypeError, ["'cut'", "not a lazy column"]),
        (np.array([True, False]), InputTypeError, ["'cut'", "ndarray"]),
        (True, InputTypeError, ["'cut'", "bool"]),
        (lambda e: ak.any(e.MET.pt > 3), InputTypeError, ["'cut'", "axis"]),
    ],
)
def test_filter_refuses_what_is_no_mask(
    dy: la.Events, mask: Any, error: type[Exception], words: list[str]
) -> None:
    with refused(error, *words):
        dy.filter(cut=mask)


def test_filter_refuses_a_name_twice(dy: la.Events) -> None:
    with refused(InputError, "cut 'a' already", "different names"):
        dy.filter(a=dy.MET.pt > 3).filter(a=lambda e: e.MET.pt > 4)


def test_mask_of_another_length_is_found_when_it_is_made(dy: la.Events, run: Any) -> None:
    short = dak.map_partitions(lambda x: x[1:] > 0, dy.MET.pt)
    frame = dy.filter(short=short)
    for output in (frame.sum(), frame.cutflow(), frame.sum(frame.MET.pt)):
        with refused(RunError, "'short'", "49 entries for 50 events", "must come from the frame"):
            run(output, partition_size=50)


def test_columns_of_other_events_are_refused(dy: la.Events, toy_files: dict[str, Any]) -> None:
    frame = dy.filter(tight=dy.MET.pt > 20)
    again = la.open({DY: toy_files[DY]})
    with refused(FrameMismatchError, "'x'", "before any filter", "after filter 'tight'"):
        frame.define(x=dy.MET.pt)
    with refused(FrameMismatchError, "before any filter", "and others of the right ones"):
        frame.define(x=frame.MET.pt + dy.MET.pt)
    with refused(FrameMismatchError, "after filter 'tight'", "before any filter"):
        dy.filter(c=frame.MET.pt > 3)
    with refused(FrameMismatchError, "another frame", "open the files together"):
        dy.weight("w", again.genWeight)
    with refused(FrameMismatchError, "Category 'c'"):
        frame.categories({"c": dy.MET.pt > 3})
    with refused(FrameMismatchError, "'up'", "systematic 'jes'"):
        frame.vary("jes", {"Jet.pt": {"up": dy.Jet.pt}})


# -- weight ----------------------------------------------------------------------------------


def test_weights_multiply_and_vary_one_at_a_time(mc: la.Events, plain: Any, run: Any) -> None:
    frame = (
        mc.weight("gen", mc.genWeight)
        .weight("pu", lambda e: e.PV.npvs / 30, up=lambda e: e.PV.npvs / 25, down=0.5)
        .weight("k", 1.2, up=1.5)
        .weight("sf", mc.MET.pt / 40, hf=(mc.MET.pt / 30, None), lf=(1.1, mc.MET.pt / 50))
    )
    assert frame.variations == ("puUp", "puDown", "kUp", "sf_hfUp", "sf_lfUp", "sf_lfDown")
    found = run(frame.sum()).value

    def total(pu: Any, k: float, sf: Any, name: str) -> float:
        weights = plain(
            lambda e: (
                np.asarray(e.genWeight, np.float64)
                * np.asarray(pu(e), np.float64)
                * k
                * np.asarray(sf(e), np.float64)
            ),
            name,
        )
        return float(np.sum(ak.to_numpy(weights)))

    pu, sf = (lambda e: e.PV.npvs / 30), (lambda e: e.MET.pt / 40)
    for name in (DY, TT):
        expected = {
            "nominal": total(pu, 1.2, sf, name),
            "puUp": total(lambda e: e.PV.npvs / 25, 1.2, sf, name),
            "puDown": total(lambda _: 0.5, 1.2, sf, name),
            "kUp": total(pu, 1.5, sf, name),
            "sf_hfUp": total(pu, 1.2, lambda e: e.MET.pt / 30, name),
            "sf_lfUp": total(pu, 1.2, lambda _: 1.1, name),
            "sf_lfDown": total(pu, 1.2, lambda e: e.MET.pt / 50, name),
        }
        assert found[name] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("weight", "error", "words"),
    ids=count(),
    argvalues=[
        ({"nominal": lambda e: e.Muon}, InputTypeError, ["'w' \\(nominal\\)", "record"]),
        ({"nominal": lambda e: e.Muon.pt}, InputTypeError, ["'w'", "several values", "ak.prod"]),
        ({"nominal": lambda e: ak.sum(e.MET.pt)}, InputTypeError, ["'w'", "axis"]),
        ({"nominal": "gen"}, InputTypeError, ["'w'", "str", "not a lazy column"]),
        ({"nominal": 1, "up": lambda e: e.Jet.pt}, InputTypeError, ["wUp", "several values"]),
        ({"nominal": lambda e: e.dataset}, InputTypeError, ["'w'", "name for each event"]),
        ({"nominal": np.ones(3)}, InputTypeError, ["'w'", "ndarray"]),
        ({"nominal": 1, "hf": 3}, InputTypeError, ["'hf'", "pair", "None"]),
        ({"nominal": 1, "nan": "rise"}, InputError, ["'rise'", "Did you mean 'raise'", "zero"]),
        ({"nominal": lambda e: e.genWeights}, ColumnError, ["genWeights", "'genWeight'"]),
    ],
)
def test_weight_refuses(
    dy: la.Events, weight: dict[str, Any], error: type[Exception], words: list[str]
) -> None:
    with refused(error, *words):
        dy.weight("w", **weight)


def test_names_of_weights_and_systematics_are_used_once(dy: la.Events) -> None:
    frame = dy.weight("pu", 1.0, up=1.1).vary("jes", {"Jet.pt": {"up": dy.Jet.pt}})
    frame = frame.weight("sf", 1.0, hf=(1.1, None))
    with refused(InputError, "weight 'pu' already", "another name"):
        frame.weight("pu", 2.0)
    with refused(InputError, "weight 'pu' already"):
        frame.vary("pu", {"Jet.pt": {"down": frame.Jet.pt}})
    with refused(InputError, "systematic 'jes' already"):
        frame.vary("jes", {"MET.pt": {"up": frame.MET.pt}})
    with refused(InputError, "systematic 'jes' already"):
        frame.weight("jes", 1.0)
    with refused(InputError, "variation 'sf_hfUp' already", "'sf_hf'"):
        frame.vary("sf_hf", {"Jet.pt": {"up": frame.Jet.pt}})
    for name in ("", "nominal", "a/b", "a@b"):
        with refused(InputError, "cannot be called"):
            dy.weight(name, 1.0)
    with refused(InputTypeError, "3", "give text"):
        dy.weight(3, 1.0)


@pytest.mark.parametrize("policy", ["raise", "zero", "keep"])
def test_nan_weights(dy: la.Events, plain: Any, run: Any, policy: str) -> None:
    frame = dy.weight("bad", ak.where(dy.MET.pt > 40, np.nan, 2.0), nan=policy)
    bad = int(ak.sum(plain(lambda e: e.MET.pt > 40, DY)))
    assert bad > 0
    if policy == "raise":
        with refused(RunError, "weight 'bad' \\(nominal\\)", "not finite", "nan='zero'", "root"):
            run(frame.sum())
        return
    result = run(frame.sum())
    total = result.value[DY]["nominal"]
    assert total == 2.0 * (600 - bad) if policy == "zero" else np.isnan(total)
    (warning,) = result.report.warnings
    assert "weight 'bad' (nominal) not finite" in warning
    assert f"{bad} times" in warning


def test_none_in_a_weight_is_not_finite(dy: la.Events, run: Any) -> None:
    frame = dy.weight("lead", ak.firsts(dy.Electron.pt))
    with refused(RunError, "'lead'", "not finite"):
        run(frame.sum())


def test_weight_of_another_length_is_found_when_it_is_made(dy: la.Events, run: Any) -> None:
    short = dak.map_partitions(lambda x: x[1:], dy.genWeight)
    with refused(RunError, "'short'", "one value an event"):
        run(dy.weight("short", short).sum())
