"""NanoEvents of a partition: equal to coffea's own, made of what is needed and nothing else."""

from __future__ import annotations

import gc
import os
import pickle
import re
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import awkward as ak
import dask_awkward as dak
import pytest
import uproot
from awkward.typetracer import touch_data
from coffea.nanoevents import BaseSchema, NanoAODSchema, NanoEventsFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyana.data.catalog import Catalog, Layout
from lazyana.data.inspect import inspect
from lazyana.data.nanoevents import (
    LABEL_FIELD,
    Blueprint,
    PartitionSource,
    Reading,
    ReadPlan,
    check_schema,
)
from lazyana.data.partitions import Partition, span_of
from lazyana.errors import ColumnError, FileError, InputTypeError, LazyValueError

REAL = ["nano_dy", "nano_dimuon", "nano_tt_v12", "nanoAOD_2015_CMS_Open_Data_ttbar"]


def blueprint_of(catalog: Catalog) -> Blueprint:
    (layout,) = catalog.layouts.values()
    return _blueprint(layout)


@cache
def _blueprint(layout: Layout) -> Blueprint:
    """Made once: its form takes longer than most of what is tested on it."""
    return Blueprint(layout, NanoAODSchema)


def partition_of(
    catalog: Catalog, start: int = 0, stop: int | None = None, plan: ReadPlan | None = None
) -> Partition:
    """With the byte ranges of what a plan reads; without one, everything is left to uproot."""
    ((name, (info,)),) = catalog.files.items()
    end = info.entries if stop is None else stop
    branches = () if plan is None else plan.branches
    return Partition(0, name, 7, (span_of(info, start, end, branches),))


def coffea_events(part: Partition, mode: str = "virtual") -> ak.Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return NanoEventsFactory.from_root(
            {part.file: part.spans[0].tree},
            schemaclass=NanoAODSchema,
            mode=mode,
            entry_start=part.start,
            entry_stop=part.stop,
        ).events()


def plan_of(blueprint: Blueprint, function: Callable[[Any], Any]) -> ReadPlan:
    events, report = blueprint.trace()
    result = function(events)
    for array in result if isinstance(result, tuple) else (result,):
        touch_data(array)
    return blueprint.needed(report)


@pytest.fixture(scope="module")
def toy(toy_files: dict[str, Any]) -> Catalog:
    return inspect(next(iter(toy_files["TTTo2L2Nu"]["files"])))


@pytest.fixture(scope="module")
def dy(real_data: Path) -> Catalog:
    return inspect(real_data / "nanoaod" / "nano_dy.root")


# ----------------------------------------------------------------------------- equal to coffea's


def everything_at_once(blueprint: Blueprint) -> ReadPlan:
    """A plan that reads all branches ahead, rather than when they are used."""
    return plan_of(blueprint, lambda events: events)


def assert_equal_to_coffea(reading: Reading, mode: str = "virtual") -> None:
    part = reading.partition
    mine = reading.events()
    theirs = coffea_events(part, mode)
    assert set(mine.fields) - {LABEL_FIELD} == set(theirs.fields)
    assert len(mine) == len(theirs) == part.entries
    for name in theirs.fields:
        assert mine[name].fields == theirs[name].fields
        assert type(mine[name]) is type(theirs[name]), name
        assert ak.array_equal(mine[name], theirs[name], equal_nan=True), name
    assert mine[LABEL_FIELD].to_list() == [7] * part.entries


@pytest.mark.parametrize("name", [*REAL, "nano_dy_empty"])
def test_real_files(name: str, real_data: Path) -> None:
    catalog = inspect(real_data / "nanoaod" / f"{name}.root")
    entries = catalog.entries(name)
    plan = everything_at_once(blueprint_of(catalog))
    part = partition_of(catalog, entries // 3, entries - entries // 5, plan)
    assert_equal_to_coffea(Reading(part, plan))


@pytest.mark.parametrize("mode", ["virtual", "eager"])
def test_toy_file(mode: str, toy: Catalog) -> None:
    plan = everything_at_once(blueprint_of(toy))
    reading = Reading(partition_of(toy, plan=plan), plan)
    assert_equal_to_coffea(reading, mode)
    assert reading.by_uproot == reading.extra_branches == []


@pytest.mark.parametrize("ahead", [True, False])
def test_toy_file_by_uproot(ahead: bool, toy: Catalog) -> None:
    blueprint = blueprint_of(toy)
    plan = everything_at_once(blueprint) if ahead else blueprint.everything()
    reading = Reading(partition_of(toy), plan)
    assert_equal_to_coffea(reading)
    assert set(reading.by_uproot) == set(plan.branches)
    assert bool(reading.extra_branches) is not ahead


@settings(max_examples=5)
@given(data=st.data())
def test_any_range(data: st.DataObject, toy: Catalog) -> None:
    entries = partition_of(toy).stop
    start = data.draw(st.integers(0, entries))
    stop = data.draw(st.integers(start, entries) | st.sampled_from([start, entries]))
    plan = plan_of(blueprint_of(toy), selected)
    part = partition_of(toy, start, stop, plan)
    mine = Reading(part, plan).events()
    for one, other in zip(selected(mine), selected(coffea_events(part)), strict=True):
        assert ak.array_equal(one, other, equal_nan=True)


def selected(events: Any) -> tuple[Any, ...]:
    muon, gen = events.Muon, events.GenPart
    return (
        muon.pt,
        muon.genPartIdxG,
        muon.jetIdxG,
        muon.matched_gen.pt,
        muon.matched_jet.eta,
        muon.matched_gen.parent.pdgId,
        gen.genPartIdxMotherG,
        gen.parent.pdgId,
        gen.distinctParent.pdgId,
        gen.children.pt,
        ak.num(gen.distinctChildren),
        events.Jet.matched_gen.pt,
        events.MET.pt,
        events.run,
        events.HLT.IsoMu24,
    )


@pytest.mark.parametrize("planned", [True, False])
def test_cross_references_of_released_events(planned: bool, toy: Catalog) -> None:
    blueprint = blueprint_of(toy)
    plan = plan_of(blueprint, selected) if planned else blueprint.everything()
    part = partition_of(toy, 20, 50, plan)
    reading = Reading(part, plan)
    muon = reading.events().Muon
    gc.collect()
    expected = coffea_events(part).Muon.matched_gen
    assert muon.matched_gen.pt.to_list() == expected.pt.to_list()
    assert muon.matched_gen.parent.pdgId.to_list() == expected.parent.pdgId.to_list()


def test_lazy_cross_references(toy: Catalog) -> None:
    part = partition_of(toy, 5, 55)
    lazy = _lazy(part, blueprint_of(toy))
    theirs = coffea_events(part)
    for function in (
        lambda e: e.Muon.matched_gen.pt,
        lambda e: e.Muon.matched_jet.pt,
        lambda e: e.GenPart.children.pdgId,
        lambda e: e.GenPart.parent.pdgId,
        lambda e: e.Muon[e.Muon.pt > 20].matched_gen.distinctParent.pdgId,
    ):
        assert function(lazy).compute(scheduler="sync").to_list() == function(theirs).to_list()


# ----------------------------------------------------------------------------- what is read


def four(name: str, *more: str) -> set[str]:
    return {f"n{name}", *(f"{name}_{field}" for field in ("pt", "eta", "phi", "mass", *more))}


# Inside its methods vector takes pt and phi together, also where only phi is used.
DIRECTION = {"nMuon", "Muon_pt", "Muon_eta", "Muon_phi"}

READS: dict[str, tuple[Callable[[Any], Any], set[str]]] = {
    "pt cut": (lambda e: e.Muon.pt[e.Muon.pt > 20], {"nMuon", "Muon_pt"}),
    "cut of a collection": (
        lambda e: e.Muon[abs(e.Muon.eta) < 2.4].phi,
        {"nMuon", "Muon_eta", "Muon_phi"},
    ),
    "counters only": (lambda e: ak.num(e.Muon) + ak.num(e.Jet), {"nMuon", "nJet"}),
    "at least two": (lambda e: e.MET.pt[ak.num(e.Muon) >= 2], {"nMuon", "MET_pt"}),
    "any": (lambda e: ak.any(e.Jet.pt > 30, axis=1), {"nJet", "Jet_pt"}),
    "number selected": (lambda e: ak.num(e.Jet[e.Jet.pt > 30]), {"nJet", "Jet_pt"}),
    "branch of an event": (lambda e: e.run, {"run"}),
    "weight": (lambda e: e.genWeight * e.Pileup.nTrueInt, {"genWeight", "Pileup_nTrueInt"}),
    "trigger": (lambda e: e.HLT.IsoMu24, {"HLT_IsoMu24"}),
    "dataset": (lambda e: e[LABEL_FIELD], set()),
    "firsts": (lambda e: ak.firsts(e.Muon.pt), {"nMuon", "Muon_pt"}),
    "argmax": (
        lambda e: e.Jet[ak.argmax(e.Jet.pt, axis=1, keepdims=True)].eta,
        {"nJet", "Jet_pt", "Jet_eta"},
    ),
    "matched_gen": (
        lambda e: e.Muon.matched_gen.pt,
        {"nMuon", "Muon_genPartIdx", "nGenPart", "GenPart_pt"},
    ),
    "matched_jet": (
        lambda e: e.Muon.matched_jet.eta,
        {"nMuon", "Muon_jetIdx", "nJet", "Jet_eta"},
    ),
    "parent": (
        lambda e: e.GenPart.parent.pdgId,
        {"nGenPart", "GenPart_genPartIdxMother", "GenPart_pdgId"},
    ),
    "children": (
        lambda e: e.GenPart.children.pdgId,
        {"nGenPart", "GenPart_genPartIdxMother", "GenPart_pdgId"},
    ),
    "nearest": (
        lambda e: e.Muon.nearest(e.Jet).pt,
        {*DIRECTION, "nJet", "Jet_pt", "Jet_eta", "Jet_phi"},
    ),
    "delta_r": (
        lambda e: e.Muon.metric_table(e.Jet),
        {*DIRECTION, "nJet", "Jet_pt", "Jet_eta", "Jet_phi"},
    ),
    "mass": (
        lambda e: (ak.firsts(e.Muon) + ak.firsts(e.Muon[:, ::-1])).mass,
        four("Muon", "charge"),
    ),
    "mass of jets": (lambda e: e.Jet.sum(axis=1).mass, four("Jet")),
    "px": (lambda e: e.Muon.px, {"nMuon", "Muon_pt", "Muon_phi"}),
    "with_field": (
        lambda e: ak.with_field(e.Jet, e.Jet.pt * 2, "pt").eta,
        {"nJet", "Jet_pt", "Jet_eta"},
    ),
    "zip": (
        lambda e: ak.zip({"a": e.Muon.pt, "b": e.Muon.dxy}).a,
        {"nMuon", "Muon_pt"},
    ),
    "concatenate": (
        lambda e: ak.concatenate([e.Muon.pt, e.Electron.pt], axis=1),
        {"nMuon", "Muon_pt", "nElectron", "Electron_pt"},
    ),
    "combinations": (
        lambda e: ak.num(ak.combinations(e.Muon, 2)),
        {"nMuon"},
    ),
    "sort": (
        lambda e: e.Jet[ak.argsort(e.Jet.btagDeepFlavB, axis=1)].pt,
        {"nJet", "Jet_btagDeepFlavB", "Jet_pt"},
    ),
    "where": (
        lambda e: ak.where(ak.num(e.Muon) > 0, e.MET.pt, e.PV.npvs),
        {"nMuon", "MET_pt", "PV_npvs"},
    ),
}


REAL_READS = ["pt cut", "counters only", "matched_gen", "nearest", "mass", "with_field"]
CASES = [*(("toy", case) for case in READS), *(("dy", case) for case in REAL_READS)]


@pytest.mark.parametrize(("which", "case"), CASES)
def test_exactly_what_is_needed_is_read(
    which: str, case: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, expected = READS[case]
    catalog = request.getfixturevalue(which)
    part = partition_of(catalog, 3, 33)
    column = function(_lazy(part, blueprint_of(catalog)))
    (branches,) = dak.necessary_columns(column).values()
    assert set(branches) == expected
    read: list[str] = []
    real = Reading.note
    monkeypatch.setattr(Reading, "note", lambda r, b: (read.append(b), real(r, b))[1])
    mine = column.compute(scheduler="sync")
    assert read == []
    if case != "dataset":
        assert ak.array_equal(mine, function(_theirs(part)), equal_nan=True)


@cache
def _lazy(part: Partition, blueprint: Blueprint) -> Any:
    source = PartitionSource(blueprint)
    events: Any = dak.from_map(source, [part], label="nanoevents", meta=source.mock())
    events._meta.attrs["@original_array"] = events
    return events


@cache
def _theirs(part: Partition) -> ak.Array:
    return coffea_events(part)


def test_what_is_not_planned_is_right_and_noted(toy: Catalog) -> None:
    plan = plan_of(blueprint_of(toy), lambda e: e.Muon.pt)
    part = partition_of(toy, 10, 55, plan)
    reading = Reading(part, plan)
    events, theirs = reading.events(), coffea_events(part)
    assert events.Muon.pt.to_list() == theirs.Muon.pt.to_list()
    assert reading.extra_branches == []
    for _ in range(2):
        assert events.Muon.eta.to_list() == theirs.Muon.eta.to_list()
        assert events.Muon.jetIdxG.to_list() == theirs.Muon.jetIdxG.to_list()
    assert sorted(reading.extra_branches) == ["Muon_eta", "Muon_jetIdx", "nJet"]


def test_collections_that_are_not_used_are_not_even_built(toy: Catalog) -> None:
    plan = plan_of(blueprint_of(toy), lambda e: e.Muon.pt)
    assert Reading(partition_of(toy), plan).events().fields == ["Muon"]


def test_each_branch_is_read_once(toy: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = uproot.TBranch.array
    monkeypatch.setattr(
        uproot.TBranch, "array", lambda b, *a, **k: (read.append(b.name), real(b, *a, **k))[1]
    )
    plan = plan_of(blueprint_of(toy), selected)
    selected(Reading(partition_of(toy), plan).events())
    assert sorted(read) == sorted(plan.branches)


def test_file_stays_open_between_partitions(toy: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    real = uproot.open
    monkeypatch.setattr(uproot, "open", lambda path: (opened.append(path), real(path))[1])
    plan = plan_of(blueprint_of(toy), lambda e: e.Muon.pt)
    for start in range(0, 50, 10):
        Reading(partition_of(toy, start, start + 10), plan).events()
    assert len(opened) <= 1


# ----------------------------------------------------------------------------- forms and plans


def test_plan_travels(toy: Catalog) -> None:
    plan = plan_of(blueprint_of(toy), selected)
    assert plan.parsed_form  # derived, and not shipped
    payload = pickle.dumps(plan)
    assert len(payload) < len(plan.form) + 20_000
    again = pickle.loads(payload)
    assert again == plan
    assert "parsed_form" not in vars(again)
    part = partition_of(toy, 0, 20, plan)
    one, other = (Reading(part, each).events().Muon.pt.to_list() for each in (plan, again))
    assert one == other


def test_small_plan_is_small(dy: Catalog) -> None:
    plan = plan_of(blueprint_of(dy), lambda e: e.MET.pt)
    assert len(pickle.dumps(plan)) < 10_000


def test_blueprint_travels_without_what_is_derived(toy: Catalog) -> None:
    blueprint = blueprint_of(toy)
    assert blueprint.form
    again = pickle.loads(pickle.dumps(blueprint))
    assert again == blueprint
    assert set(vars(again)) == {"layout", "schema", "gaps", "fill"}


def test_recordings_are_told_apart(toy: Catalog) -> None:
    blueprint = blueprint_of(toy)
    one, other = blueprint.record(), blueprint.record()
    assert one.name != other.name
    assert one.npartitions == 1


def test_recording_has_nothing_to_compute(toy: Catalog) -> None:
    with pytest.raises(LazyValueError, match=r"la\.compute"):
        blueprint_of(toy).record().Muon.pt.compute()


def test_branch_that_is_missing(real_data: Path) -> None:
    catalog = inspect(real_data / "nanoaod" / "missing_luminosityBlock.root")
    blueprint, part = blueprint_of(catalog), partition_of(catalog)
    events = blueprint.record()
    with pytest.raises(ColumnError, match="luminosityBlock"):
        _ = events.luminosityBlock
    plan = plan_of(blueprint, lambda e: (e.Muon.pt, e.run))
    mine = Reading(partition_of(catalog, plan=plan), plan).events()
    with uproot.open(part.file) as file:
        assert mine.Muon.pt.to_list() == file["Events/Muon_pt"].array().tolist()
        assert mine.run.to_list() == file["Events/run"].array().tolist()


@pytest.mark.parametrize("schema", [NanoAODSchema, BaseSchema])
def test_schemas(schema: Any) -> None:
    assert check_schema(schema) is schema


@pytest.mark.parametrize("schema", ["NanoAODSchema", None, dict, NanoAODSchema.behavior])
def test_not_a_schema(schema: Any) -> None:
    with pytest.raises(InputTypeError, match="not a coffea schema class: give the class itself"):
        check_schema(schema)


# ----------------------------------------------------------------------- files that change


@pytest.fixture
def copy(toy: Catalog, tmp_path: Path) -> Path:
    target = tmp_path / "copy.root"
    shutil.copy(partition_of(toy).file, target)
    return target


def reading_of(path: Path, toy: Catalog, *, keep_open: bool) -> Reading:
    catalog = inspect(path)
    reading = Reading(partition_of(catalog), plan_of(blueprint_of(toy), lambda e: e.Muon.pt))
    if keep_open:
        reading.events()
    return reading


keep_open = pytest.mark.parametrize("keep_open", [True, False])


@keep_open
def test_file_replaced(
    keep_open: bool, copy: Path, toy: Catalog, toy_files: dict[str, Any]
) -> None:
    reading = reading_of(copy, toy, keep_open=keep_open)
    shutil.copy(list(toy_files["TTTo2L2Nu"]["files"])[1], copy)
    with pytest.raises(FileError, match=rf"{copy} was replaced since it was inspected"):
        reading.events()
    assert len(reading_of(copy, toy, keep_open=keep_open).events()) > 0


@keep_open
def test_file_deleted(keep_open: bool, copy: Path, toy: Catalog) -> None:
    reading = reading_of(copy, toy, keep_open=keep_open)
    copy.unlink()
    with pytest.raises(FileError, match=rf"no file {copy}"):
        reading.events()


@keep_open
def test_file_cut_short(keep_open: bool, copy: Path, toy: Catalog) -> None:
    reading = reading_of(copy, toy, keep_open=keep_open)
    os.truncate(copy, copy.stat().st_size - 100)
    with pytest.raises(FileError, match=rf"{copy} is cut short: it has \d+ of \d+ bytes"):
        reading.events()


def test_damaged_branch_is_named(copy: Path, toy: Catalog) -> None:
    reading = reading_of(copy, toy, keep_open=False)
    with uproot.open(copy) as file:
        branch = file["Events/Muon_pt"]
        starts = [int(branch.member("fBasketSeek")[i]) for i in range(branch.num_baskets)]
    with copy.open("r+b") as raw:
        for start in starts:
            raw.seek(start + 60)
            raw.write(b"\xff" * 40)
    message = rf"Branch 'Muon_pt', entries 0-\d+ of {re.escape(str(copy))}, cannot be read"
    with pytest.raises(FileError, match=message):
        reading.events()


def test_never_a_short_read(copy: Path, toy: Catalog) -> None:
    reading = reading_of(copy, toy, keep_open=False)
    whole = reading.partition
    (info,) = inspect(copy).files["copy"]
    longer = replace(whole, spans=(span_of(info, info.entries - 5, info.entries + 5, ()),))
    with pytest.raises(FileError, match="has 5 entries instead of 10"):
        Reading(longer, reading.plan).events()
