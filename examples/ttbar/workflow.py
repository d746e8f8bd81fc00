"""What this analysis computes: good objects, tagged jets, the pair of leptons, sums of momenta."""

from __future__ import annotations

import awkward as ak

from lazyana.analysis.workflow import BaseProcessorABC
from lazyana.physics.jets import btagging, jet_selection
from lazyana.physics.kinematics import get_dilepton
from lazyana.physics.leptons import lepton_selection


class TtbarProcessor(BaseProcessorABC):
    """Selects leptons and jets, and tags those of b quarks."""

    def apply_object_preselection(self, variation):
        self.events["MuonGood"] = lepton_selection(self.events, "Muon", self.params)
        self.events["ElectronGood"] = lepton_selection(self.events, "Electron", self.params)
        leptons = ak.with_name(
            ak.concatenate((self.events.MuonGood, self.events.ElectronGood), axis=1),
            name="PtEtaPhiMCandidate",
        )
        self.events["LeptonGood"] = leptons[ak.argsort(leptons.pt, ascending=False)]
        self.events["JetGood"], _ = jet_selection(
            self.events, "Jet", self.params, self._year, "LeptonGood"
        )
        # The tagger of the year and its working points are parameters; which one is ours.
        self.events["BJetGood"] = btagging(
            self.events.JetGood,
            self.params.btagging.working_point[self._year],
            wp=self.params.object_preselection.Jet.btag.wp,
        )
        self.events["ll"] = get_dilepton(self.events.ElectronGood, self.events.MuonGood)

    def count_objects(self, variation):
        for name in ("MuonGood", "ElectronGood", "LeptonGood", "JetGood", "BJetGood"):
            self.events[f"n{name}"] = ak.num(self.events[name])

    def define_common_variables_after_presel(self, variation):
        self.events["HT"] = ak.sum(self.events.JetGood.pt, axis=1)
