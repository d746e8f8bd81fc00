"""Needs: branches that a program uses and some files lack are errors, before anything runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import pytest
import uproot

import lazyana as la
from lazyana.errors import InputError
from lazyana.frame.compute import make_plan
from lazyana.plan.build import STAGES
from lazyana.toy.sample import write_dataset

PATH = "HLT_DiPFJetAve20"
X = hist.axis.Regular(10, 0, 100, name="x")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Four files without, and one with ten more branches."""
    folder = tmp_path_factory.mktemp("needs")
    return [
        *map(str, write_dataset(folder / "a", "DYJetsToLL", events=40, files=4)),
        *map(str, write_dataset(folder / "b", "DYJetsToLL", events=10, extra_branches=10)),
    ]


@pytest.fixture(scope="module")
def events(files: list[str]) -> la.Events:
    return la.open({"DY": files})


def message(outputs: Any) -> str:
    with pytest.raises(InputError) as caught:
        make_plan(outputs)
    return str(caught.value)


def test_what_all_files_have_is_no_matter(events: la.Events) -> None:
    frame = events.filter(met=events.MET.pt > 20)
    plan = make_plan({"x": frame.hist(X, x=frame.MET.pt)})
    assert set(plan.stages[0]) == set(STAGES)


def test_error_names_branch_expression_output_and_files(
    events: la.Events, files: list[str]
) -> None:
    frame = events.filter(trigger=events.HLT.DiPFJetAve20)
    said = message({"all": events.sum(), "selected": {"met": frame.hist(X, x=frame.MET.pt)}})
    assert said.startswith(
        f"Branch {PATH!r} is needed for events.HLT.DiPFJetAve20 in step 'filter-trigger' of output "
        f"'selected/met', but 4 files lack it: {', '.join(files[:3])} and 1 more. "
    )
    for way_out in ("missing='none'", "la.apply(function, fileset)", "leave these files out"):
        assert way_out in said


def test_first_of_several_steps_is_named(events: la.Events) -> None:
    frame = events.filter(jets=ak.any(events.Jet.userFloat000 > 0, axis=1))
    said = message(frame.filter(trigger=frame.HLT.DiPFJetAve20).cutflow())
    assert said.startswith("Branch 'Jet_userFloat000' is needed for events.Jet.userFloat000 in")
    assert "of the cutflow, but 4 files lack it" in said
    assert f"; the same holds for {PATH}. " in said


def test_variations_need_it_too(events: la.Events) -> None:
    shifted = ak.where(events.HLT.DiPFJetAve20, events.MET.pt, events.MET.pt * 2)
    frame = events.vary("met", {"MET.pt": {"up": shifted}})
    assert message(frame.hist(X, x=frame.MET.pt)).startswith(f"Branch {PATH!r} is needed")


def test_unused_columns_are_no_need(events: la.Events) -> None:
    frame = events.define(trigger=events.HLT.DiPFJetAve20)
    assert make_plan(frame.hist(X, x=frame.MET.pt)).job.partitions > 0


# ------------------------------------------------------------------------------- missing="none"


def test_numbers_are_filled(files: list[str]) -> None:
    frame = la.open({"DY": files}, missing="none")
    plan = make_plan([frame.sum(frame.HLT.DiPFJetAve20), frame.sum(frame.Muon.userFloat000)])
    read = plan.stages[0]["released"].read
    assert read is not None
    assert read.branches == (PATH, "Muon_userFloat000", "nMuon")
    assert {branch for _, branches in read.lacking for branch in branches} >= {PATH}


def write(path: Path, **branches: Any) -> str:
    with uproot.recreate(path) as file:
        file.mktree("Events", {name: array.type for name, array in branches.items()})
        file["Events"].extend(branches)
    return str(path)


def vectors(values: list[list[float]]) -> ak.Array:
    return ak.zip(dict.fromkeys(("pt", "eta", "phi", "mass", "charge"), ak.Array(values)))


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> la.Events:
    """One file with jets and indices of jets, one with muons only."""
    folder = tmp_path_factory.mktemp("collections")
    muons = vectors([[1.0], [], [2.0, 3.0]])
    indexed = ak.with_field(muons, ak.Array([[0], [], [0, -1]]), "jetIdx")
    jets = vectors([[5.0], [], [7.0]])
    return la.open(
        [write(folder / "1.root", Muon=indexed, Jet=jets), write(folder / "2.root", Muon=muons)],
        missing="none",
    )


@pytest.mark.parametrize(
    ("branch", "expression"),
    [("nJet", "Jet"), ("Muon_jetIdx", "Muon.jetIdxG")],
)
def test_what_cannot_be_filled(collections: la.Events, branch: str, expression: str) -> None:
    columns = {"Jet": lambda e: e.Jet.pt, "Muon.jetIdxG": lambda e: e.Muon.jetIdxG}
    said = message(collections.sum(columns[expression](collections)))
    assert said.startswith(f"Branch {branch!r} is needed for events.{expression} in step")
    assert re.search(r"but 1 file lacks it: .*2\.root", said)
    assert "missing='none' fills numbers that there are once an event" in said
    assert "no whole collections, lists or cross references" in said


def test_index_itself_can_be_none(collections: la.Events) -> None:
    (table,) = la.compute(
        [collections.columns({"index": collections.Muon.jetIdx})], executor="sync"
    ).value
    found = [table.to_awkward(name).index.to_list() for name in collections.datasets]
    assert found == [[[0], [], [0, -1], [None], [], [None, None]]]
