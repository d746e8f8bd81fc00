from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import awkward as ak
import dask_awkward as dak
import hist
import numpy as np
import pytest

import lazyana as la
from lazyana.data.nanoevents import Reading
from lazyana.frame.compute import make_plan
from lazyana.physics.lazy import mapped
from lazyana.sinks.base import Place

AXIS = hist.axis.Regular(20, 0, 200, name="x")

Analysis = Callable[[Any], Any]


def weighted(e: Any) -> Any:
    e = e.weight("gen", e.genWeight)
    e = e.weight("pu", e.Pileup.nTrueInt / 30, up=e.Pileup.nPU / 30)
    return e.hist(AXIS, x=e.MET.pt)


def vary_collection(e: Any) -> Any:
    """In the variation pt is made of two branches."""
    jets = ak.with_field(e.Jet, e.Jet.pt * (1 - e.Jet.rawFactor), "pt")
    return e.vary("s", {"Jet": {"up": jets}})


def wants(**keep: Any) -> Analysis:
    def analysis(e: Any) -> Any:
        e = vary_collection(e)
        return {"pt": e.hist(AXIS, x=e.Jet.pt, **keep), "eta": e.sum(ak.sum(e.Muon.eta, axis=1))}

    return analysis


def mixed(e: Any) -> Any:
    """The output that wants the variation uses pt; the one that does not uses mass."""
    e = vary_collection(e)
    return {
        "pt": e.hist(AXIS, x=e.Jet.pt),
        "mass": e.hist(AXIS, x=e.Jet.mass, variations=False),
    }


def chained(e: Any) -> Any:
    e = e.vary("a", {"MET.pt": {"up": e.MET.pt + e.PuppiMET.pt}})
    e = e.vary("b", {"MET.pt": {"up": e.MET.pt + e.RawMET.pt}})
    return e.sum(e.MET.pt)


def categories(e: Any) -> Any:
    e = e.filter(muons=ak.num(e.Muon) >= 1)
    e = e.categories({"b": ak.any(e.Jet.btagDeepFlavB > 0.3, axis=1)})
    return e.hist(AXIS, x=ak.num(e.Electron))


def number_only(e: Any) -> Any:
    return e.sum(ak.num(e.vary("s", {"Jet.pt": {"up": e.Jet.pt * 2}}).Jet))


@dataclass(frozen=True)
class Sum:
    """Of columns, whose type does not depend on what is added to them."""

    more: float
    typed_by_inputs: ClassVar[bool] = True

    def __call__(self, *columns: Any) -> Any:
        return sum(columns) + self.more


def alike(e: Any) -> Any:
    """Each kind of columns is traced once."""
    columns = [(e.MET.pt, e.MET.phi), (e.MET.pt, e.RawMET.pt), (e.PuppiMET.pt,)]
    return [e.sum(mapped(Sum(more), *some, label="sum")) for some in columns for more in (1.0, 2.0)]


def varied_alike(e: Any) -> Any:
    """What is traced once in nominal is traced in the variation, too."""
    e = e.vary("s", {"MET.pt": {"up": e.MET.pt + e.RawMET.pt}})
    return [e.sum(mapped(Sum(more), e.MET.pt, e.MET.phi, label="sum")) for more in (1.0, 2.0)]


# What an analysis is, and the branches it reads: counters where objects are used.
CASES: dict[str, tuple[Analysis, set[str]]] = {
    "branch": (lambda e: e.sum(e.MET.pt), {"MET_pt"}),
    "collection": (lambda e: e.hist(AXIS, x=e.Jet.pt), {"nJet", "Jet_pt"}),
    "counter only": (lambda e: e.sum(ak.num(e.Jet)), {"nJet"}),
    "counter of a varied collection": (number_only, {"nJet"}),
    "mask": (
        lambda e: e.hist(AXIS, x=e.Jet[e.Jet.eta > 0].pt),
        {"nJet", "Jet_pt", "Jet_eta"},
    ),
    "cross reference": (
        lambda e: e.hist(AXIS, x=ak.drop_none(e.Muon.matched_gen.pt)),
        {"nMuon", "Muon_genPartIdx", "nGenPart", "GenPart_pt"},
    ),
    "nearest": (
        lambda e: e.hist(AXIS, x=ak.drop_none(e.Jet.nearest(e.Muon).pt)),
        {"nJet", "Jet_eta", "Jet_phi", "Jet_pt", "nMuon", "Muon_eta", "Muon_phi", "Muon_pt"},
    ),
    "vector": (
        lambda e: e.hist(AXIS, x=(e.Muon[:, :1] + e.Muon[:, :1]).mass),
        {"nMuon", "Muon_pt", "Muon_eta", "Muon_phi", "Muon_mass", "Muon_charge"},
    ),
    "weights": (weighted, {"genWeight", "Pileup_nTrueInt", "Pileup_nPU", "MET_pt"}),
    "cutflow of weights": (
        lambda e: e.weight("gen", e.genWeight).filter(m=e.MET.pt > 20).cutflow(),
        {"genWeight", "MET_pt"},
    ),
    "categories": (categories, {"nMuon", "nJet", "Jet_btagDeepFlavB", "nElectron"}),
    "variation wanted": (wants(), {"nJet", "Jet_pt", "Jet_rawFactor", "nMuon", "Muon_eta"}),
    "variation not wanted": (
        wants(variations=False),
        {"nJet", "Jet_pt", "nMuon", "Muon_eta"},
    ),
    "variation wanted by one output": (mixed, {"nJet", "Jet_pt", "Jet_rawFactor", "Jet_mass"}),
    "two systematics on one column": (chained, {"MET_pt", "PuppiMET_pt", "RawMET_pt"}),
    "metadata": (lambda e: e.sum(e.metadata["number"] * 1.0), set()),
    "function of a column": (
        lambda e: e.sum(dak.map_partitions(np.sqrt, e.PuppiMET.pt)),
        {"PuppiMET_pt"},
    ),
    "functions typed by their inputs": (alike, {"MET_pt", "MET_phi", "RawMET_pt", "PuppiMET_pt"}),
    "varied functions typed by their inputs": (varied_alike, {"MET_pt", "MET_phi", "RawMET_pt"}),
}


def frame(path: Path) -> Any:
    return la.open(
        {
            "tt": {"files": str(path), "metadata": {"is_mc": True, "number": 1}},
            "uu": {"files": str(path), "metadata": {"is_mc": True, "number": 2}},
        }
    )


@pytest.mark.parametrize("name", CASES)
def test_reads_what_is_used(name: str, toy_file: Path) -> None:
    analysis, branches = CASES[name]
    program = make_plan(analysis(frame(toy_file))).stages[0]["released"]
    assert program.read is not None
    assert set(program.read.branches) == branches


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_read_unforeseen(name: str, toy_file: Path) -> None:
    """The plan is enough: a branch read after all would be in the run report."""
    analysis, _ = CASES[name]
    result = la.compute({"x": analysis(frame(toy_file))}, executor="sync", progress=False)
    assert result.report.warnings == ()


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_read_in_vain(name: str, toy_file: Path) -> None:
    """With nothing read ahead, running asks for the same branches and gives the same states."""
    analysis, _ = CASES[name]
    plan = make_plan(analysis(frame(toy_file)))
    program = plan.stages[0]["released"]
    partition = plan.job.works[0].partitions[0]
    place = Place(partition.dataset, 0, "nominal", partition.file, 0, partition.entries)
    assert program.read is not None
    ahead = Reading(partition, program.read)
    spans = tuple(replace(span, baskets=b"") for span in partition.spans)
    bare = replace(partition, spans=spans)
    lazily = Reading(bare, replace(program.read, buffers=frozenset(), branches=()))
    expected = program.run(ahead.events(), place)
    states = program.run(lazily.events(), place)
    assert set(lazily.extra_branches) == set(program.read.branches)
    assert ahead.extra_branches == []
    assert expected.keys() == states.keys()
    for key, state in states.items():
        np.testing.assert_array_equal(state, expected[key])
