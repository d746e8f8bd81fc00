"""Z → μμ with the frame: sample, selection, cutflow and a plot, as short as it can be.

Writes a small sample into a temporary folder, and the plot, ``mll.png``, into this one::

    python examples/frame_zmumu.py
"""

from __future__ import annotations

import tempfile
from typing import Any

import awkward as ak
import hist

import lazyana as la
from lazyana.report.plots import plot_data_mc
from lazyana.report.tables import cutflow_table
from lazyana.toy.sample import write_sample


def analysis(events: la.Events) -> dict[str, Any]:
    """Two muons of opposite charge; called once for simulation and once for data."""
    outputs = {}
    if events.is_mc:
        outputs["sumw"] = events.sum(events.genWeight)
        events = events.weight("genWeight", events.genWeight)
        events = events.weight("efficiency", 0.95, up=0.97, down=0.93)
        pt = events.Muon.pt
        events = events.vary("muon_scale", {"Muon.pt": {"up": pt * 1.002, "down": pt * 0.998}})
    muons = events.Muon
    good = muons[(muons.pt > 20) & (abs(muons.eta) < 2.4) & muons.tightId]
    events = events.define(muons=good)
    events = events.filter(trigger=events.HLT.IsoMu24, two_muons=ak.num(good) == 2)
    events = events.define(ll=events.muons[:, 0] + events.muons[:, 1])
    events = events.filter(opposite_charge=events.ll.charge == 0)
    axis = hist.axis.Regular(40, 70, 110, name="mll", label=r"$m_{\mu\mu}$ [GeV]")
    outputs["mll"] = events.hist(axis, mll=events.ll.mass)
    outputs["cutflow"] = events.cutflow()
    return outputs


def main() -> None:
    """Run it."""
    with tempfile.TemporaryDirectory() as folder:
        fileset = write_sample(folder, events=10_000)
        result = la.compute(la.apply(analysis, fileset))
    lumi = fileset["SingleMuon"]["metadata"]["lumi"]  # pb⁻¹
    scale = {
        name: fileset[name]["metadata"]["xsec"] * lumi / sums["nominal"]
        for name, sums in result["sumw"].items()
    }
    print(cutflow_table(result["cutflow"], weighted=True, scale=scale))
    mc = {"ttbar": "TTTo2L2Nu", "Drell-Yan": "DYJetsToLL"}
    plot_data_mc(
        result["mll"], data="SingleMuon", mc=mc, scale=scale, lumi=lumi / 1000, path="mll.png"
    )
    print("mll.png: data and simulation")


if __name__ == "__main__":
    main()
