"""Z → μμ: histograms of two muons in data and simulation."""

from __future__ import annotations

from pathlib import Path

from custom_cut_functions import dimuon_presel
from workflow import ZmumuBaseProcessor

from lazyana.analysis import defaults
from lazyana.analysis.common_weights import common_weights
from lazyana.analysis.config import Configurator
from lazyana.analysis.cutlibrary import (
    eventFlags,
    get_HLTsel,
    get_nObj_min,
    get_nPVgood,
    goldenJson,
)
from lazyana.analysis.cuts import passthrough
from lazyana.analysis.histogram_sets import count_hist, jet_hists, muon_hists
from lazyana.analysis.histograms import Axis, HistConf

localdir = Path(__file__).parent

default_parameters = defaults.get_default_parameters()
defaults.register_configuration_dir("config_dir", str(localdir / "params"))

parameters = defaults.merge_parameters_from_files(
    default_parameters,
    f"{localdir}/params/object_preselection.yaml",
    f"{localdir}/params/triggers.yaml",
    f"{localdir}/params/sample.yaml",  # python make_sample.py writes it
    update=True,
)

cfg = Configurator(
    parameters=parameters,
    datasets={
        "jsons": [
            f"{localdir}/datasets/DATA_SingleMuon.json",
            f"{localdir}/datasets/DYJetsToLL_M-50.json",
        ],
        "filter": {
            "samples": ["DATA_SingleMuon", "DYJetsToLL"],
            "samples_exclude": [],
            "year": ["2018"],
        },
    },
    workflow=ZmumuBaseProcessor,
    skim=[
        eventFlags,
        goldenJson,
        get_nPVgood(1),
        get_nObj_min(1, 18.0, "Muon"),
        get_HLTsel(primaryDatasets=["SingleMuon"]),
    ],
    preselections=[dimuon_presel],
    categories={"baseline": [passthrough]},
    weights_classes=common_weights,
    weights={
        "common": {
            "inclusive": ["genWeight", "lumi", "XS", "pileup", "sf_mu_id", "sf_mu_iso"],
            "bycategory": {},
        },
        "bysample": {},
    },
    variations={
        "weights": {
            "common": {"inclusive": ["pileup", "sf_mu_id", "sf_mu_iso"], "bycategory": {}},
            "bysample": {},
        }
    },
    variables={
        **muon_hists(coll="MuonGood", pos=0),
        **count_hist(name="nJets", coll="JetGood", bins=8, start=0, stop=8),
        **jet_hists(coll="JetGood", pos=0),
        "mll": HistConf(
            [
                Axis(
                    coll="ll",
                    field="mass",
                    bins=100,
                    start=50,
                    stop=150,
                    label=r"$M_{\ell\ell}$ [GeV]",
                )
            ]
        ),
    },
)
