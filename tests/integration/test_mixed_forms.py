"""Files of one dataset with different branches: in one frame, or in a group for each form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import dask
import hist
import numpy as np
import pytest

import lazyana as la
from lazyana.data.nanoevents import Reading
from lazyana.data.partitions import Partition, span_of
from lazyana.errors import ColumnError, FileError, InputError
from lazyana.toy.sample import write_dataset

PATH = "DiPFJetAve20"  # a trigger path that only the wide files have
FIELD = "userFloat000"
MET = hist.axis.Regular(10, 0, 100, name="x")
Fileset = dict[str, list[str]]


@pytest.fixture(scope="module")
def fileset(tmp_path_factory: pytest.TempPathFactory) -> Fileset:
    """DY in files of two forms by turns, and ttbar in files of one of them."""
    folder = tmp_path_factory.mktemp("mixed")
    lean = write_dataset(folder / "lean", "DYJetsToLL", events=150, files=2)
    wide = write_dataset(
        folder / "wide", "DYJetsToLL", events=90, files=2, extra_branches=10, seed=2
    )
    tt = write_dataset(folder / "tt", "TTTo2L2Nu", events=40, extra_branches=10)
    return {
        "DY": [str(x) for pair in zip(lean, wide, strict=True) for x in pair],
        "TT": [str(tt[0])],
    }


@pytest.fixture(scope="module")
def wide(fileset: Fileset) -> Fileset:
    """The files that have all branches."""
    return {"DY": fileset["DY"][1::2], "TT": fileset["TT"]}


@pytest.fixture(scope="module")
def lean(fileset: Fileset) -> Fileset:
    """The files that lack some."""
    return {"DY": fileset["DY"][::2]}


# -- one frame -------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["raise", "none"])
def test_what_all_files_have_is_as_of_separate_frames(
    fileset: Fileset, lean: Fileset, wide: Fileset, missing: Any, value: Callable[..., ak.Array]
) -> None:
    together = la.open({"DY": fileset["DY"]}, missing=missing)
    assert together.entries == 240
    for column in (
        lambda e: e.Muon.pt,
        lambda e: e.Muon.matched_gen.pdgId,
        lambda e: e.HLT.IsoMu24,
        lambda e: e.Jet[e.Jet.pt > 30].mass,
    ):
        lists = [
            value(frame := la.open(path), column(frame))  # file by file, in order
            for path in fileset["DY"]
        ]
        found = value(together, column(together))
        assert ak.array_equal(found, ak.concatenate(lists), check_parameters=False)


def test_missing_columns_are_none(fileset: Fileset, wide: Fileset, value: Any) -> None:
    frame = la.open(fileset, missing="none")
    full = la.open(wide)
    sizes = [75, 45, 75, 45, 40]
    there = np.repeat([False, True, False, True, True], sizes)
    flat = value(frame, frame.HLT[PATH])
    assert ak.is_none(flat).to_list() == (~there).tolist()
    assert flat[there].to_list() == value(full, full.HLT[PATH]).to_list()
    jets = value(frame, frame.Jet[FIELD])
    assert ak.num(jets).to_list() == value(frame, ak.num(frame.Jet)).to_list()
    assert ak.all(ak.all(ak.is_none(jets[~there], axis=1), axis=1))
    assert jets[there].to_list() == value(full, full.Jet[FIELD]).to_list()


def test_events_without_a_trigger_path_are_not_selected(
    fileset: Fileset, wide: Fileset, run: Callable[..., la.Result]
) -> None:
    def outputs(events: la.Events) -> dict[str, Any]:
        events = events.filter(trigger=events.HLT[PATH] | False)
        events = events.weight("w", ak.fill_none(events.MET.pt, 0.0))
        return {"met": events.hist(MET, x=events.MET.pt), "cutflow": events.cutflow()}

    found = run(outputs(la.open(fileset, missing="none")))
    expected = run(outputs(la.open(wide)))
    assert found["met"] == expected["met"]
    assert found["cutflow"].count("all events", "DY") == 240
    assert found["cutflow"].count("trigger", "DY") == expected["cutflow"].count("trigger", "DY")


@pytest.mark.parametrize("lacking_first", [True, False])
def test_files_of_two_forms_in_one_partition(fileset: Fileset, lacking_first: bool) -> None:
    frame = la.open({"DY": fileset["DY"]}, missing="none")
    group = frame._group
    files = group.catalog.files["DY"][:2] if lacking_first else group.catalog.files["DY"][1:3]
    events, report = group.blueprint.trace()
    for column in (events.HLT[PATH], events.Muon[FIELD], events.Muon.pt):
        ak.typetracer.touch_data(column)
    plan = group.blueprint.needed(report)
    spans = tuple(span_of(file, 5, file.entries, plan.branches) for file in files)
    reading = Reading(Partition(0, "DY", 0, spans), plan)
    both = reading.events()
    assert reading.by_uproot == []
    parts = [Reading(Partition(0, "DY", 0, (span,)), plan).events() for span in spans]
    for column in (lambda e: e.HLT[PATH], lambda e: e.Muon[FIELD], lambda e: e.Muon.pt):
        assert column(both).to_list() == [x for part in parts for x in column(part).to_list()]
    absent = parts[0] if lacking_first else parts[1]
    assert set(absent.HLT[PATH].to_list()) == {None}
    # not planned, and read all the same
    other = "AK4CaloJet20"
    expected = [x for part in parts for x in part.HLT[other].to_list()]
    assert both.HLT[other].to_list() == expected
    assert set(expected) > {None}
    assert reading.extra_branches == [f"HLT_{other}"]


def test_unplanned_reading_of_what_a_file_lacks(fileset: Fileset) -> None:
    frame = la.open({"DY": fileset["DY"]})
    group = frame._group
    (first, *_) = group.catalog.files["DY"]
    part = Partition(0, "DY", 0, (span_of(first, 0, 10, ()),))
    events = Reading(part, group.blueprint.everything()).events()
    assert len(events.HLT.IsoMu24.to_list()) == 10
    with pytest.raises(FileError, match=rf"{first.url} has no branch 'HLT_{PATH}'.*la\.apply"):
        events.HLT[PATH].to_list()


def test_head_and_dask_awkward(fileset: Fileset) -> None:
    frame = la.open({"DY": fileset["DY"]}, missing="none")
    assert frame.head(3).HLT[PATH].to_list() == [None] * 3
    collection = frame.to_dask_awkward(partition_size=1000)
    (flat, jets) = dask.compute(
        collection.HLT[PATH], ak.num(collection.Jet[FIELD]), scheduler="sync"
    )
    assert ak.sum(ak.is_none(flat)) == 150
    assert len(jets) == 240


def test_files_without_events_do_not_matter(fileset: Fileset, tmp_path: Path, run: Any) -> None:
    (empty,) = write_dataset(tmp_path, "DYJetsToLL", events=0)
    frame = la.open({"DY": [str(empty), *fileset["DY"][1::2]]})
    found = run(frame.sum(ak.ones_like(frame.HLT[PATH]))).value
    assert found["DY"]["nominal"] == 90


def test_missing_is_one_of_two_words(fileset: Fileset) -> None:
    with pytest.raises(InputError, match=r"missing='None'\. Did you mean 'none'\?"):
        la.open(fileset, missing="None")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Choose 'raise' or 'none'"):
        la.apply(lambda e: e.sum(), fileset, missing=True)  # type: ignore[arg-type]


# -- a group for each form -------------------------------------------------------------------


def by_form(events: la.Events) -> dict[str, Any]:
    events = events.weight("gen", abs(events.genWeight), up=abs(events.genWeight) * 2)
    if PATH in events.HLT.fields:
        events = events.filter(trigger=~events.HLT[PATH])
        events = events.vary("met", {"MET.pt": {"up": events.MET.pt * 1.5}})
    return {
        "met": events.hist(MET, x=events.MET.pt),
        "sum": events.sum(),
        "cutflow": events.cutflow(),
    }


def test_outputs_of_a_dataset_in_two_groups_are_added(
    fileset: Fileset, lean: Fileset, wide: Fileset, run: Callable[..., la.Result]
) -> None:
    seen: list[dict[str, int]] = []

    def function(events: la.Events) -> dict[str, Any]:
        group = events._group
        seen.append({name: len(group.catalog.files[name]) for name in events.datasets})
        return by_form(events)

    together = run(la.apply(function, fileset))
    assert seen == [{"DY": 2}, {"DY": 2, "TT": 1}]
    one, other = (run(by_form(la.open(part))) for part in (lean, wide))
    met = together["met"]
    for variation in ("nominal", "genUp", "metUp"):
        # Where one form has no such variation, its events are as they are.
        mine = {"dataset": "DY", "category": "all", "variation": variation}
        alone = {**mine, "variation": "nominal" if variation == "metUp" else variation}
        expected = one["met"][alone].values() + other["met"][mine].values()
        np.testing.assert_allclose(met[mine].values(), expected, rtol=1e-12)
        tt = {**mine, "dataset": "TT"}
        np.testing.assert_array_equal(met[tt].values(), other["met"][tt].values())
        name = alone["variation"]
        total = one["sum"]["DY"][name] + other["sum"]["DY"][variation]
        assert together["sum"]["DY"][variation] == pytest.approx(total, rel=1e-12)
    for stage in ("all events", "trigger"):
        before = one["cutflow"].count("all events", "DY")
        expected_count = before + other["cutflow"].count(stage, "DY")
        assert together["cutflow"].count(stage, "DY") == expected_count
    assert together.report.datasets["DY"].events_read == 240
    assert together.report.datasets["TT"].events_read == 40
    sizes = [result.report.datasets["DY"].bytes_read for result in (one, other)]
    assert together.report.datasets["DY"].bytes_read == sum(sizes)


@pytest.mark.parametrize("saved", [True, False])
def test_columns_of_a_dataset_in_two_groups_are_all_there(
    fileset: Fileset, tmp_path: Path, run: Callable[..., la.Result], saved: bool
) -> None:
    where = (str(tmp_path / "columns"),) if saved else ()

    def function(events: la.Events) -> Any:
        has = ak.ones_like(events.MET.pt) * (PATH in events.HLT.fields)
        return events.columns(*where, {"met": events.MET.pt, "has": has})

    table = run(la.apply(function, fileset)).value.to_awkward("DY")
    assert len(table) == 240
    assert ak.sum(table.has) == 90
    frame = la.open({"DY": fileset["DY"]})
    whole = run(frame.columns({"met": frame.MET.pt})).value.to_awkward("DY")
    assert sorted(table.met.to_list()) == sorted(whole.met.to_list())


def test_apply_of_one_form_is_the_same_as_open(fileset: Fileset, run: Any) -> None:
    found = run(la.apply(lambda e: e.sum(e.MET.pt), fileset)).value
    frame = la.open(fileset)
    expected = run(frame.sum(frame.MET.pt)).value
    for name in fileset:
        assert found[name]["nominal"] == pytest.approx(expected[name]["nominal"], rel=1e-12)


def test_apply_with_none_is_one_group(fileset: Fileset, run: Any) -> None:
    seen: list[tuple[str, ...]] = []

    def function(events: la.Events) -> Any:
        seen.append(events.datasets)
        return events.sum(ak.fill_none(events.HLT[PATH], True))

    found = run(la.apply(function, fileset, missing="none")).value
    assert seen == [("DY", "TT")]
    assert found["DY"]["nominal"] >= 150


def test_missing_column_names_the_files(fileset: Fileset) -> None:
    def asks(events: la.Events) -> Any:
        return events.sum(events.HLT[PATH])

    with pytest.raises(ColumnError) as caught:
        la.apply(asks, fileset)
    said = str(caught.value)
    lean, wide = fileset["DY"][::2], [*fileset["DY"][1::2], *fileset["TT"]]
    assert said.startswith(
        f"Some files have no HLT.{PATH}: {', '.join(lean)}. It is in {', '.join(wide)}. "
    )
    assert f"`if {PATH!r} in events.HLT.fields`" in said
    assert "missing='none'" in said
    assert "has no field" in str(caught.value.__cause__)


def test_column_that_nobody_has_is_told_as_ever(fileset: Fileset) -> None:
    with pytest.raises(ColumnError, match=r"HLT has no field or method 'IsoMu23'.*'IsoMu24'"):
        la.apply(lambda e: e.sum(e.HLT.IsoMu23), fileset)


def test_columns_need_the_same_variations_in_all_files(fileset: Fileset) -> None:
    def function(events: la.Events) -> Any:
        if PATH in events.HLT.fields:
            events = events.vary("met", {"MET.pt": {"up": events.MET.pt * 1.5}})
        return {"table": events.columns({"met": events.MET.pt})}

    with pytest.raises(InputError, match=r"columns at table .*\['metUp'\].*'DY' only"):
        la.apply(function, fileset)


# -- real files ------------------------------------------------------------------------------


def test_real_files_of_two_forms(real_data: Path, run: Callable[..., la.Result]) -> None:
    names = ("nano_dy", "missing_luminosityBlock")
    paths = [str(real_data / "nanoaod" / f"{name}.root") for name in names]
    frame = la.open({"DY": paths})
    assert frame.entries == 42
    assert run(frame.sum(ak.num(frame.Muon))).value["DY"]["nominal"] > 0
    with pytest.raises(InputError, match=r"'luminosityBlock' is needed for events.luminosityBlock"):
        run(frame.sum(frame.luminosityBlock))
    filled = la.open({"DY": paths}, missing="none")
    table = run(filled.columns({"x": filled.luminosityBlock})).value.to_awkward("DY")
    assert ak.is_none(table.x).to_list() == [False] * 40 + [True] * 2


def test_every_number_of_real_files_that_differ_a_lot(real_data: Path) -> None:
    names = ("nano_dimuon", "nano_dy")
    paths = [str(real_data / "nanoaod" / f"{name}.root") for name in names]
    frame = la.open({"data": {"files": paths, "metadata": {"is_mc": False}}}, missing="none")
    group = frame._group
    events, report = group.blueprint.trace()
    filled = [(name, field) for name in ("HLT", "Flag", "Muon") for field in events[name].fields]
    filled = [(name, field) for name, field in filled if not field.endswith("G")]
    for name, field in filled:
        ak.typetracer.touch_data(events[name, field])
    plan = group.blueprint.needed(report)
    files = group.catalog.files["data"]
    spans = tuple(span_of(file, 0, file.entries, plan.branches) for file in files)
    both = Reading(Partition(0, "data", 0, spans), plan).events()
    apart = [whole(path) for path in paths]
    missing = 0
    for name, field in filled:
        expected: list[Any] = []
        for one in apart:
            if name in one.fields and field in one[name].fields:
                expected += one[name, field].to_list()
                continue
            missing += 1
            # None for each event, or for each of its muons
            none = ak.ones_like(one.Muon.pt if name == "Muon" else one.event, dtype=np.int64)
            expected += ak.mask(none, none == 0).to_list()
        assert both[name, field].to_list() == expected, (name, field)
    assert missing > 150


def whole(path: str) -> ak.Array:
    """All events of a file, read when they are used."""
    group = la.open(path)._group
    ((file,),) = group.catalog.files.values()
    part = Partition(0, "data", 0, (span_of(file, 0, file.entries, ()),))
    return Reading(part, group.blueprint.everything()).events()
