"""Z → μμ with the frame alone: the analysis of the folder zmumu, histogram by histogram.

Writes a small sample into a temporary folder, and a plot, ``mll.png``, into this one::

    python examples/frame_zmumu.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np

import lazyana as la
from lazyana.physics.corrections import open_corrections
from lazyana.physics.lumi import read_golden_json
from lazyana.physics.matching import is_isolated
from lazyana.physics.scale_factors import event_scale_factor, muon_scale_factor, pileup_weight
from lazyana.report.plots import plot_data_mc
from lazyana.report.tables import cutflow_table
from lazyana.toy.corrections import write_corrections
from lazyana.toy.sample import write_sample

PILEUP = "Collisions18_UltraLegacy_goldenJSON"
MUON_ID = "NUM_TightID_DEN_TrackerMuons"
MUON_ISO = "NUM_LooseRelIso_DEN_TightIDandIPCut"

FILTERS = (
    "goodVertices",
    "globalSuperTightHalo2016Filter",
    "HBHENoiseFilter",
    "HBHENoiseIsoFilter",
    "EcalDeadCellTriggerPrimitiveFilter",
    "BadPFMuonFilter",
)


@dataclass(frozen=True)
class Zmumu:
    """The analysis: called once for simulation and once for data.

    `corrections` are files by name, ``golden``, ``pileup`` and ``muon``; `lumi` is in pb⁻¹.
    """

    corrections: Mapping[str, Path]
    lumi: float

    def __call__(self, events: la.Events) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        if events.is_mc:
            outputs["sum_genweights"] = events.sum(events.genWeight)
            events = self.weighed(events)
        events = select_pairs(with_good_objects(self.skimmed(events)))
        if events.is_mc:
            events = self.with_muon_scale_factors(events)
        return {**outputs, "cutflow": events.cutflow(), **histograms(events)}

    def weighed(self, events: la.Events) -> la.Events:
        """The weights of simulated events: divided by sum_genweights they are expected numbers."""
        pileup = open_corrections(self.corrections["pileup"])[PILEUP]
        events = events.weight("genWeight", events.genWeight)
        events = events.weight("lumi", self.lumi).weight("XS", events.metadata["xsec"])
        return events.weight("pileup", *pileup_weight(pileup, events.Pileup.nTrueInt))

    def skimmed(self, events: la.Events) -> la.Events:
        """Events of good quality that fired the trigger."""
        flags = (*FILTERS, *(() if events.is_mc else ("eeBadScFilter",)))
        clean = events.Flag[flags[0]]
        for name in flags[1:]:
            clean = clean & events.Flag[name]
        events = events.filter(event_flags=clean)
        if not events.is_mc:
            certified = read_golden_json(self.corrections["golden"])
            events = events.filter(golden=certified.mask(events.run, events.luminosityBlock))
        return events.filter(
            vertex=events.PV.npvsGood >= 1,
            muon=ak.any(events.Muon.pt >= 18, axis=1),
            trigger=events.HLT.IsoMu24,
        )

    def with_muon_scale_factors(self, events: la.Events) -> la.Events:
        """The scale factors of the good muons, nominal, up and down."""
        muon = open_corrections(self.corrections["muon"])
        for name, correction in (("sf_mu_id", MUON_ID), ("sf_mu_iso", MUON_ISO)):
            factors = muon_scale_factor(muon[correction], events.muons)
            events = events.weight(name, *event_scale_factor(factors))
        return events


def with_good_objects(events: la.Events) -> la.Events:
    """Good muons and electrons, and the good jets that are away from them."""
    muons, electrons, jets = events.Muon, events.Electron, events.Jet
    muons = muons[
        (muons.pt > 15) & (abs(muons.eta) < 2.4) & muons.tightId & (muons.pfRelIso04_all < 0.25)
    ]
    supercluster = abs(electrons.eta + electrons.deltaEtaSC)
    in_gap = (supercluster >= 1.4442) & (supercluster <= 1.5660)
    good = (electrons.pt > 15) & (abs(electrons.eta) < 2.4) & electrons.mvaFall17V2Iso_WP80
    electrons = electrons[good & ~in_gap]
    good = (jets.pt > 30) & (abs(jets.eta) < 2.4) & (jets.jetId >= 2)
    good = good & ((jets.puId >= 4) | (jets.pt >= 50))
    jets = jets[good & is_isolated(jets, muons, 0.4) & is_isolated(jets, electrons, 0.4)]
    return events.define(muons=muons, electrons=electrons, jets=jets)


def select_pairs(events: la.Events) -> la.Events:
    """Two muons of opposite charge and no electron, with their sum as ``ll``."""
    two_muons = (ak.num(events.muons) == 2) & (ak.num(events.electrons) == 0)
    events = events.filter(two_muons=two_muons)
    events = events.define(ll=events.muons[:, 0] + events.muons[:, 1])
    return events.filter(
        leading_muon=events.muons[:, 0].pt > 25,
        opposite_charge=events.ll.charge == 0,
        mass=(events.ll.mass > 25) & (events.ll.mass < 2000),
    )


def histograms(events: la.Events) -> dict[str, Any]:
    """The first muon, the first jet where there is one, number of jets, mass of the pair."""
    muon, jet = events.muons[:, 0], ak.firsts(events.jets)
    booked = {
        "MuonGood_eta_1": (muon.eta, 50, -2.5, 2.5),
        "MuonGood_pt_1": (muon.pt, 50, 0, 200),
        "MuonGood_phi_1": (muon.phi, 32, -np.pi, np.pi),
        "nJets": (ak.num(events.jets), 8, 0, 8),
        "JetGood_eta_1": (jet.eta, 50, -5, 5),
        "JetGood_pt_1": (jet.pt, 50, 0, 300),
        "JetGood_phi_1": (jet.phi, 32, -np.pi, np.pi),
        "mll": (events.ll.mass, 100, 50, 150),
    }
    return {
        name: events.hist(hist.axis.Regular(*bins, name="x", label=name), x=column)
        for name, (column, *bins) in booked.items()
    }


def main() -> None:
    """Run it."""
    with tempfile.TemporaryDirectory() as folder:
        fileset = write_sample(folder, events=10_000)
        corrections = write_corrections(Path(folder, "corrections"))
        lumi = fileset["SingleMuon"]["metadata"]["lumi"]
        result = la.compute(la.apply(Zmumu(corrections, lumi), fileset))
    scale = {name: 1 / total["nominal"] for name, total in result["sum_genweights"].items()}
    print(cutflow_table(result["cutflow"], weighted=True, scale=scale))
    mc = {"ttbar": "TTTo2L2Nu", "Drell-Yan": "DYJetsToLL"}
    plot_data_mc(
        result["mll"],
        data="SingleMuon",
        mc=mc,
        scale=scale,
        lumi=lumi / 1000,
        xlabel=r"$m_{\mu\mu}$ [GeV]",
        path="mll.png",
    )
    print("mll.png: data and simulation")


if __name__ == "__main__":
    main()
