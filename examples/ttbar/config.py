"""Top quark pairs with two leptons: jets and tagged jets in data and simulation."""

from __future__ import annotations

from pathlib import Path

from custom_calibrators import MuonScale
from custom_cut_functions import bb, dilepton_presel, other
from custom_weights import BtagEfficiency, TopPt
from workflow import TtbarProcessor

from lazyana.analysis import defaults
from lazyana.analysis.categories import CartesianSelection, MultiCut, StandardSelection
from lazyana.analysis.columns import ColOut
from lazyana.analysis.common_weights import common_weights
from lazyana.analysis.config import Configurator
from lazyana.analysis.cutlibrary import (
    eventFlags,
    get_HLTsel,
    get_nBtagEq,
    get_nBtagMin,
    get_nObj_eq,
    get_nObj_min,
    get_nPVgood,
    goldenJson,
)
from lazyana.analysis.cuts import passthrough
from lazyana.analysis.histogram_sets import (
    count_hist,
    ele_hists,
    jet_hists,
    jet_taggers_hists,
    lepton_hists,
    met_hists,
    muon_hists,
)
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.analysis.jets_calibration import default_calibrators_sequence

localdir = Path(__file__).parent

parameters = defaults.merge_parameters_from_files(
    defaults.get_default_parameters(),
    f"{localdir}/params/object_preselection.yaml",
    f"{localdir}/params/triggers.yaml",
    f"{localdir}/params/corrections.yaml",
    f"{localdir}/params/sample.yaml",  # python make_sample.py writes it
    update=True,
)

simulation = ("TTTo2L2Nu", "DYJetsToLL")

cfg = Configurator(
    parameters=parameters,
    datasets={
        "jsons": [
            f"{localdir}/datasets/{name}.json"
            for name in ("TTTo2L2Nu", "DYJetsToLL_M-50", "DATA_SingleMuon")
        ],
        "filter": {"samples": [*simulation, "DATA_SingleMuon"], "year": ["2018"]},
        "subsamples": {"TTTo2L2Nu": {"bb": [bb], "other": [other]}},
    },
    workflow=TtbarProcessor,
    skim=[
        eventFlags,
        goldenJson,
        get_nPVgood(1),
        get_nObj_min(1, 18.0, "Muon"),
        get_HLTsel(primaryDatasets=["SingleMuon"]),
    ],
    preselections=[dilepton_presel],
    # baseline, emu, mumu; 2j_0b, 2j_1b, ... 4j_2b
    categories=CartesianSelection(
        multicuts=[
            MultiCut(
                name="Njets",
                cuts=[get_nObj_eq(2), get_nObj_eq(3), get_nObj_min(4)],
                cuts_names=["2j", "3j", "4j"],
            ),
            MultiCut(
                name="Nb",
                cuts=[get_nBtagEq(0), get_nBtagEq(1), get_nBtagMin(2)],
                cuts_names=["0b", "1b", "2b"],
            ),
        ],
        common_cats=StandardSelection(
            {
                "baseline": [passthrough],
                "emu": "nElectronGood == 1",
                "mumu": "nMuonGood == 2",
            }
        ),
    ),
    weights_classes=[*common_weights, TopPt, BtagEfficiency],
    weights={
        "common": {
            "inclusive": [
                *("genWeight", "lumi", "XS", "pileup", "sf_mu_id", "sf_mu_iso"),
                "btag_efficiency",
            ],
        },
        "bysample": {"TTTo2L2Nu": {"inclusive": ["top_pt"]}},
    },
    calibrators=[*default_calibrators_sequence, MuonScale],
    variations={
        "weights": {
            "common": {"inclusive": ["pileup", "sf_mu_id", "sf_mu_iso", "btag_efficiency"]},
            "bysample": {"TTTo2L2Nu": {"inclusive": ["top_pt"]}},
        },
        "shape": {"common": {"inclusive": ["jet_calibration", "muon_scale"]}},
    },
    variables={
        **count_hist("JetGood", bins=8),
        **count_hist("BJetGood", bins=5),
        **lepton_hists(coll="LeptonGood", pos=0),
        **lepton_hists(coll="LeptonGood", pos=1),
        **muon_hists(coll="MuonGood", pos=0),
        **ele_hists(coll="ElectronGood", pos=0, only_categories=["emu"]),
        **jet_hists(coll="JetGood", pos=0, axis_settings={"eta": {"start": -2.5, "stop": 2.5}}),
        **jet_taggers_hists(coll="JetGood", fields=["btagDeepFlavB"], variations=False),
        **met_hists(coll="MET"),
        "HT": HistConf([Axis("HT", r"$H_T$ [GeV]", bins=50, start=0, stop=1000)]),
        "mll": HistConf(
            [Axis("mass", r"$m_{\ell\ell}$ [GeV]", bins=60, start=0, stop=300, coll="ll")]
        ),
        "jets": HistConf(
            [
                Axis("nJetGood", "Jets", start=2, stop=8, type="integer"),
                Axis("nBJetGood", "Tagged jets", start=0, stop=4, type="integer"),
            ],
            only_categories=["baseline", "emu", "mumu"],
        ),
    },
    columns={
        "common": {
            "bycategory": {"4j_2b": [ColOut("events", ["HT", "nBJetGood"])]},
        },
        "bysample": {
            sample: {
                "bycategory": {
                    "4j_2b": [ColOut("JetGood", ["pt", "eta", "btagDeepFlavB", "hadronFlavour"])],
                    "emu": [ColOut("LeptonGood", ["pt", "eta", "pdgId"], pos_end=2)],
                }
            }
            for sample in simulation
        },
    },
)
