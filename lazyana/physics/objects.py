"""Everything that selects, tags, corrects and combines the objects of an event, in one place."""

from __future__ import annotations

from lazyana.physics.jet_id import compute_jetId
from lazyana.physics.jets import CCsorted, CvsLsorted, ProbBsorted, btagging, jet_selection
from lazyana.physics.kinematics import (
    METzCalculator,
    get_charged_leptons,
    get_diboson,
    get_dijet,
    get_dilepton,
)
from lazyana.physics.leptons import (
    lepton_selection,
    lepton_selection_promptMVA,
    photon_selection,
    soft_lepton_selection,
    tau_selection,
)
from lazyana.physics.met import met_correction_after_jec, met_xy_correction

__all__ = [
    "CCsorted",
    "CvsLsorted",
    "METzCalculator",
    "ProbBsorted",
    "btagging",
    "compute_jetId",
    "get_charged_leptons",
    "get_diboson",
    "get_dijet",
    "get_dilepton",
    "jet_selection",
    "lepton_selection",
    "lepton_selection_promptMVA",
    "met_correction_after_jec",
    "met_xy_correction",
    "photon_selection",
    "soft_lepton_selection",
    "tau_selection",
]
