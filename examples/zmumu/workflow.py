"""What this analysis computes: good objects and the pair of muons."""

from __future__ import annotations

import awkward as ak

from lazyana.analysis.workflow import BaseProcessorABC
from lazyana.physics.jets import jet_selection
from lazyana.physics.kinematics import get_dilepton
from lazyana.physics.leptons import lepton_selection


class ZmumuBaseProcessor(BaseProcessorABC):
    """Selects muons, electrons and jets, and pairs the muons."""

    def apply_object_preselection(self, variation):
        self.events["MuonGood"] = lepton_selection(self.events, "Muon", self.params)
        self.events["ElectronGood"] = lepton_selection(self.events, "Electron", self.params)
        leptons = ak.with_name(
            ak.concatenate((self.events.MuonGood, self.events.ElectronGood), axis=1),
            name="PtEtaPhiMCandidate",
        )
        self.events["LeptonGood"] = leptons[ak.argsort(leptons.pt, ascending=False)]
        self.events["JetGood"], self.jetGoodMask = jet_selection(
            self.events, "Jet", self.params, self._year, "LeptonGood"
        )
        self.events["ll"] = get_dilepton(self.events.ElectronGood, self.events.MuonGood)

    def count_objects(self, variation):
        self.events["nMuonGood"] = ak.num(self.events.MuonGood)
        self.events["nElectronGood"] = ak.num(self.events.ElectronGood)
        self.events["nLeptonGood"] = self.events["nMuonGood"] + self.events["nElectronGood"]
        self.events["nJetGood"] = ak.num(self.events.JetGood)
