"""Cuts of this analysis."""

from __future__ import annotations

import awkward as ak

from lazyana.analysis.cuts import Cut


def dilepton(events, params, **kwargs):
    """Two leptons of opposite charge with a hard muon, not from a Z, and jets."""
    window = abs(events.ll.mass - params["mZ"]) < params["window"]
    mask = (
        (events.nLeptonGood == 2)
        & (events.nMuonGood >= 1)
        & (ak.firsts(events.MuonGood.pt) > params["pt_leading_muon"])
        & (events.ll.charge == 0)
        & (events.ll.mass > params["mll_min"])
        & ~((events.nMuonGood == 2) & window)
        & (events.nJetGood >= params["njet"])
    )
    return ak.fill_none(mask, False)


dilepton_presel = Cut(
    name="dilepton",
    params={"pt_leading_muon": 26, "mll_min": 20, "mZ": 91.19, "window": 15, "njet": 2},
    function=dilepton,
)


def two_b_flavoured(events, params, **kwargs):
    """At least two, or fewer, good jets that contain hadrons with a b quark."""
    flavoured = ak.sum(events.JetGood.hadronFlavour == 5, axis=1)
    return (flavoured >= 2) == params["wanted"]


bb = Cut("bb", {"wanted": True}, two_b_flavoured)
other = Cut("other", {"wanted": False}, two_b_flavoured)
