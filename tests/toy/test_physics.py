"""The embedded sample as a physicist sees it: resonances, tags, weights and efficiencies."""

from __future__ import annotations

from functools import cache
from typing import Any

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

from lazyana.errors import InputError
from lazyana.toy import sample as toy
from lazyana.toy.leptons import muon_efficiency, muon_scale_factor, pileup_weight

SIMULATED = ("DYJetsToLL", "TTTo2L2Nu")


@cache
def _opened(path: str) -> ak.Array:
    factory = NanoEventsFactory.from_root(
        {path: "Events"}, schemaclass=NanoAODSchema, mode="virtual"
    )
    return factory.events()


def nano(sample: dict[str, Any], name: str) -> ak.Array:
    """The events of a one-file dataset as coffea shows them."""
    (path,) = sample[name]["files"]
    return _opened(path)


def dimuons(events: ak.Array) -> tuple[ak.Array, ak.Array]:
    """Mass of pairs of good opposite-charge muons in triggered events, and the weights."""
    muon = events.Muon
    muon = muon[(muon.pt > 25) & muon.tightId & (muon.pfRelIso04_all < 0.15)]
    keep = (ak.num(muon) == 2) & events.HLT.IsoMu24 & (ak.sum(muon.charge, axis=1) == 0)
    weight = (
        events.genWeight[keep]
        if "genWeight" in events.fields
        else ak.ones_like(keep[keep], dtype=float)
    )
    muon = muon[keep]
    return (muon[:, 0] + muon[:, 1]).mass, weight


def test_z_resonance(sample: dict[str, Any]) -> None:
    mass, _ = dimuons(nano(sample, "DYJetsToLL"))
    peak = mass[(mass > 81) & (mass < 101)]
    assert len(peak) > 1_000
    assert np.median(peak) == pytest.approx(91.0, abs=0.35)
    low, high = np.percentile(peak, [25, 75])
    # natural width and detector resolution together
    assert 1.8 < high - low < 4.0
    assert len(peak) / len(mass) > 0.85
    gen = nano(sample, "DYJetsToLL").GenPart
    boson = gen[gen.pdgId == 23][:, 0]
    assert np.median(boson.mass) == pytest.approx(91.1, abs=0.25)
    assert 10 < ak.mean(boson.pt) < 30


def test_ttbar_looks_like_ttbar(sample: dict[str, Any]) -> None:
    top, dy = nano(sample, "TTTo2L2Nu"), nano(sample, "DYJetsToLL")
    tags = []
    for events in (top, dy):
        jet = events.Jet[(events.Jet.pt > 30) & (abs(events.Jet.eta) < 2.4)]
        tags.append(ak.mean(ak.sum(jet.btagDeepFlavB > 0.2783, axis=1)))
    assert tags[0] > 1.0
    assert tags[1] < 0.1
    assert ak.mean(top.MET.pt) > 1.7 * ak.mean(dy.MET.pt)
    jet = top.Jet[(top.Jet.pt > 30) & (abs(top.Jet.eta) < 2.4)]
    passes = jet.btagDeepFlavB > 0.2783
    assert ak.mean(passes[jet.hadronFlavour == 5]) == pytest.approx(0.82, abs=0.04)
    assert ak.mean(passes[jet.hadronFlavour == 0]) < 0.03


def test_non_prompt_muons_are_soft_and_not_isolated(sample: dict[str, Any]) -> None:
    muon = nano(sample, "TTTo2L2Nu").Muon
    prompt, from_b = muon[muon.genPartFlav == 1], muon[muon.genPartFlav == 5]
    assert ak.sum(ak.num(from_b)) > 100
    assert ak.mean(from_b.pfRelIso04_all < 0.15) < 0.1
    assert ak.mean(prompt.pfRelIso04_all < 0.15) > 0.85
    assert ak.mean(from_b.pt) < 0.5 * ak.mean(prompt.pt)


@pytest.mark.parametrize("name", SIMULATED)
def test_negative_weights(sample: dict[str, Any], name: str) -> None:
    weight = np.asarray(nano(sample, name).genWeight)
    expected = toy.DATASETS[name].negative
    error = np.sqrt(expected / len(weight))
    assert np.mean(weight < 0) == pytest.approx(expected, abs=4 * error)
    assert len(np.unique(np.abs(weight))) == 1


def test_weight_arrays(sample: dict[str, Any]) -> None:
    events = nano(sample, "DYJetsToLL")
    for name, size in (("LHEScaleWeight", 9), ("LHEPdfWeight", 11), ("PSWeight", 4)):
        assert ak.all(ak.num(events[name]) == size)
        assert 0.3 < ak.min(events[name]) < 1 < ak.max(events[name]) < 2
    assert ak.all(events.LHEScaleWeight[:, 4] == 1)


def test_vertices_follow_pileup(sample: dict[str, Any]) -> None:
    events = nano(sample, "DYJetsToLL")
    good, true = np.asarray(events.PV.npvsGood), np.asarray(events.Pileup.nTrueInt)
    assert np.corrcoef(good, true)[0, 1] > 0.7
    assert np.all(good <= np.asarray(events.PV.npvs))


def test_data_and_simulation_agree(sample: dict[str, Any]) -> None:
    expected, variance = 0.0, 0.0
    for name in SIMULATED:
        meta = sample[name]["metadata"]
        mass, weight = dimuons(nano(sample, name))
        weight = weight[(mass > 71) & (mass < 111)] * meta["xsec"] * meta["lumi"] / meta["sumw"]
        expected, variance = expected + ak.sum(weight), variance + ak.sum(weight**2)
    mass, _ = dimuons(nano(sample, "SingleMuon"))
    seen = ak.sum((mass > 71) & (mass < 111))
    # efficiencies differ by 3 per cent, the rest is statistics
    assert seen / expected == pytest.approx(
        0.97, abs=0.02 + 3 * np.sqrt(1 / seen + variance / expected**2)
    )


@pytest.mark.parametrize("kind", ["id", "iso"])
def test_scale_factors_are_what_differs(kind: str) -> None:
    muon = toy.events("DYJetsToLL", 0, 20_000).Muon
    muon = ak.flatten(muon[(muon.genPartFlav == 1) & (muon.pt > 10)])
    passes = muon.pfRelIso04_all < 0.15 if kind == "iso" else muon.tightId
    expected = muon_efficiency(kind, muon.pt, muon.eta)
    error = np.sqrt(ak.mean(expected * (1 - expected)) / len(muon))
    assert ak.mean(passes) == pytest.approx(ak.mean(expected), abs=4 * error)
    ratio = muon_efficiency(kind, 40.0, 1.0, data=True) / muon_efficiency(kind, 40.0, 1.0)
    assert ratio == pytest.approx(muon_scale_factor(kind, 40.0, 1.0))
    assert 0.97 < ratio < 1.0


def test_pileup_weight_moves_the_profile() -> None:
    true = np.asarray(toy.events("DYJetsToLL", 0, 20_000).Pileup_nTrueInt)
    weight = pileup_weight(true)
    assert np.mean(weight) == pytest.approx(1.0, abs=0.02)
    assert np.average(true, weights=weight) == pytest.approx(34.0, abs=0.4)
    with pytest.raises(InputError, match="trigger"):
        muon_scale_factor("triger", 40.0, 0.0)
