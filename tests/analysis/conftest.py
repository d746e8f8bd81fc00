"""The same toy events twice: as lazy frames, and in memory as coffea makes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import pytest
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

import lazyana as la
from lazyana.analysis import defaults
from lazyana.analysis.columns import ColOut
from lazyana.analysis.config import Analysis
from lazyana.analysis.cutlibrary import get_HLTsel, get_nObj_min, get_nPVgood
from lazyana.analysis.cuts import Cut
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.analysis.run import run
from lazyana.analysis.separate import run_separately
from lazyana.analysis.workflow import Workflow
from lazyana.physics.jets import jet_selection
from lazyana.physics.kinematics import get_dilepton
from lazyana.physics.leptons import lepton_selection
from lazyana.toy.corrections import toy_parameters, write_corrections


def in_memory(*paths: Any) -> ak.Array:
    """The events of files as NanoEvents; cross references lead into the first file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = [
            NanoEventsFactory.from_root(
                {str(path): "Events"}, schemaclass=NanoAODSchema, mode="eager"
            ).events()
            for path in paths
        ]
    return files[0] if len(files) == 1 else ak.concatenate(files)


@pytest.fixture(scope="session")
def dy_entry(toy_files: dict[str, Any]) -> dict[str, Any]:
    """Fileset entry of one file of the simulated Drell-Yan toy events."""
    entry = dict(toy_files["DYJetsToLL"])
    return {**entry, "files": list(entry["files"])[:1]}


@pytest.fixture(scope="session")
def dy_frame(dy_entry: dict[str, Any]) -> la.Events:
    """Lazy frame of one file of the simulated Drell-Yan toy events."""
    return la.open({"DYJetsToLL": dy_entry})


@pytest.fixture(scope="session")
def dy_events(dy_entry: dict[str, Any]) -> ak.Array:
    """The events of `dy_frame` in memory."""
    return in_memory(*dy_entry["files"])


@pytest.fixture(scope="session")
def muon_frame(toy_files: dict[str, Any]) -> la.Events:
    """Lazy frame of the toy data."""
    return la.open({"SingleMuon": toy_files["SingleMuon"]})


@pytest.fixture(scope="session")
def muon_events(toy_files: dict[str, Any]) -> ak.Array:
    """The events of `muon_frame` in memory."""
    return in_memory(*toy_files["SingleMuon"]["files"])


OBJECTS = {
    "Muon": {"pt": 15, "eta": 2.4, "iso": 0.25, "id": "tightId"},
    "Electron": {"pt": 15, "eta": 2.4, "iso": 0.06, "id": "mvaFall17V2Iso_WP80"},
    "Jet": {
        "dr_lepton": 0.4,
        "pt": 30,
        "eta": 2.4,
        "jetId": 2,
        "puId": {"wp": "L", "value": 4, "maxpt": 50.0},
        "btag": {"wp": "M"},
    },
}


class Zmumu(Workflow):
    """Selects muons, electrons and jets, and pairs the muons."""

    def apply_object_preselection(self, variation: str) -> None:
        assert variation == "nominal"
        for flavour in ("Muon", "Electron"):
            self.events[f"{flavour}Good"] = lepton_selection(self.events, flavour, self.params)
        leptons = ak.concatenate((self.events.MuonGood, self.events.ElectronGood), axis=1)
        self.events["LeptonGood"] = ak.with_name(leptons, "PtEtaPhiMCandidate")
        self.events["JetGood"], _ = jet_selection(
            self.events, "Jet", self.params, self._year, "LeptonGood"
        )
        self.events["ll"] = get_dilepton(self.events.ElectronGood, self.events.MuonGood)


def dimuon(events: Any, params: Mapping[str, Any]) -> Any:
    """Two muons of opposite charge in a window of mass, and no electron."""
    return (
        (events.nMuonGood == 2)
        & (events.nElectronGood == 0)
        & (ak.firsts(events.MuonGood.pt) > params["pt"])
        & (events.ll.charge == 0)
        & (events.ll.mass > 25)
        & (events.ll.mass < 2000)
    )


def mass_axis(bins: int = 20) -> Axis:
    """The mass of the pair."""
    return Axis(coll="ll", field="mass", bins=bins, start=50, stop=150, name="mll")


def sections(filesets: Mapping[str, Any], parameters: Any) -> dict[str, Any]:
    """The sections of the analysis."""
    return {
        "workflow": Zmumu,
        "parameters": parameters,
        "datasets": {
            "jsons": [{name: entry} for name, entry in filesets.items()],
            "filter": {"samples": ["DATA_SingleMuon", "DYJetsToLL"]},
        },
        "skim": [get_nPVgood(1), get_nObj_min(1, 18.0, "Muon"), get_HLTsel(["SingleMuon"])],
        "preselections": [Cut("dimuon", {"pt": 25}, dimuon)],
        "categories": {"baseline": [], "jets": "nJetGood > 0", "none": ["nJetGood == 0"]},
        "weights": {
            "common": {"inclusive": ["genWeight", "lumi", "XS", "pileup", "sf_mu_id", "sf_mu_iso"]}
        },
        "variations": {"weights": {"common": {"inclusive": ["pileup", "sf_mu_id"]}}},
        "variables": {
            "mll": HistConf([mass_axis()]),
            "jet_pt": HistConf(
                [Axis(coll="JetGood", field="pt", bins=10, start=0, stop=200, name="pt")]
            ),
        },
    }


@pytest.fixture(scope="session")
def filesets(toy_files: dict[str, Any]) -> dict[str, Any]:
    """The toy sample as fileset files have it: all metadata are text."""
    names = {"DYJetsToLL": "DYJetsToLL_M-50_2018", "TTTo2L2Nu": "TTTo2L2Nu_2018"}
    found = {}
    for dataset, entry in toy_files.items():
        metadata = {key: str(value) for key, value in entry["metadata"].items()}
        metadata["isMC"] = metadata.pop("is_mc")
        name = names.get(dataset, "DATA_SingleMuon_2018_EraA")
        found[name] = {"files": list(entry["files"]), "metadata": metadata}
    return found


@pytest.fixture(scope="session")
def parameters(toy_files: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The default parameters with those of the toy sample and of Z to two muons."""
    folder = tmp_path_factory.mktemp("corrections")
    write_corrections(folder)
    luminosity = toy_files["SingleMuon"]["metadata"]["lumi"]
    return defaults.merge_parameters(
        defaults.get_default_parameters(),
        toy_parameters(folder, luminosity=luminosity),
        {"object_preselection": OBJECTS, "HLT_triggers": {"2018": {"SingleMuon": ["IsoMu24"]}}},
        # Jets as they are in the files, which plain awkward can follow.
        {"jets_calibration": {"apply_jer_MC": {"2018": {"AK4PFchs": False}}}},
    )


@pytest.fixture(scope="session")
def configuration(filesets: dict[str, Any], parameters: Any) -> Callable[..., dict[str, Any]]:
    """The sections of an analysis of Z to two muons, some of them changed."""
    return lambda **changes: {**sections(filesets, parameters), **changes}


@pytest.fixture(scope="session")
def zmumu(configuration: Callable[..., dict[str, Any]]) -> Callable[..., Analysis]:
    """That analysis."""
    return lambda **changes: Analysis(**configuration(**changes))


class Bare(Workflow):
    """Takes the objects as they are: recorded in no time."""

    def apply_object_preselection(self, variation: str) -> None:
        """Leave them alone."""


@pytest.fixture(scope="session")
def bare(zmumu: Callable[..., Analysis]) -> Callable[..., Analysis]:
    """A small analysis of the same datasets, some sections changed."""
    axis = Axis(coll="MET", field="pt", bins=20, start=0, stop=100, name="met")
    coarse = Axis(coll="MET", field="pt", bins=5, start=0, stop=100, name="met")
    changes: dict[str, Any] = {
        "workflow": Bare,
        "skim": ["nMuon > 0"],
        "preselections": ["nMuon == 2", "MET.pt < 80"],
        "categories": {"baseline": [], "jets": ["nJet > 0", "nJet < 5"], "none": "nJet == 0"},
        "weights": {"common": {"inclusive": ["genWeight", "pileup"]}},
        "variations": {"weights": {"common": {"inclusive": ["pileup"]}}},
        "columns": {"common": {"bycategory": {"jets": [ColOut("Jet", ["pt"])]}}},
        "variables": {
            "met": HistConf([axis]),
            "counts": HistConf([axis], storage="int64", no_weights=True),
            "only": HistConf([coarse], only_samples=["DYJetsToLL"], storage="double"),
        },
    }
    return lambda **more: zmumu(**{**changes, **more})


@pytest.fixture(scope="session")
def written(
    bare: Callable[..., Analysis],
    filesets: Mapping[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder of runs of one analysis.

    ``whole``: over everything; ``separate``: over one dataset after the other; ``first`` and
    ``second``: over one file of the simulation each.
    """
    folder = tmp_path_factory.mktemp("written")
    settings: dict[str, Any] = {"executor": "sync", "partition_size": 150, "progress": False}
    run(bare(), folder / "whole", n_minus_one=True, **settings)
    for _ in run_separately(bare(), folder / "separate", n_minus_one=True, **settings):
        pass
    name = "DYJetsToLL_M-50_2018"
    for half, files in zip(("first", "second"), filesets[name]["files"], strict=True):
        datasets = {"jsons": [{name: {**filesets[name], "files": [files]}}]}
        run(bare(datasets=datasets), folder / half, n_minus_one=True, **settings)
    return folder
