"""Calibrators of this analysis."""

from __future__ import annotations

from lazyana.analysis.calibrators import Calibrator


class MuonScale(Calibrator):
    """Momentum scale of muons: corrected in simulation, and varied by its uncertainty."""

    name = "muon_scale"
    has_variations = True
    isMC_only = True  # noqa: N815  the name that configurations use
    calibrated_collections = ("Muon.pt",)

    def initialize(self, events):
        self._variations = ("muon_scaleUp", "muon_scaleDown")

    def calibrate(self, events, orig_colls, variation, already_applied_calibrators=None):
        given = self.params.muon_scale
        shift = {"muon_scaleUp": 1, "muon_scaleDown": -1}.get(variation, 0)
        return {"Muon.pt": events.Muon.pt * (given.value + shift * given.uncertainty)}
