"""Mistakes that users make in configurations: each is told before a file is opened.

What is said has the place in the configuration, what is wrong there, and what to write instead.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lazyana as la
from lazyana.analysis import defaults
from lazyana.analysis.build import recorded
from lazyana.analysis.config import Configurator
from lazyana.analysis.cutlibrary import get_HLTsel, get_nMuon, get_nObj_min, get_nPVgood
from lazyana.analysis.cuts import passthrough
from lazyana.analysis.histogram_sets import count_hist, jet_hists, muon_hists
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.analysis.run import catalog_of
from lazyana.analysis.workflow import Workflow
from lazyana.errors import ColumnError, FileError, InputError, LazyanaError
from lazyana.physics.jets import jet_selection
from lazyana.physics.kinematics import get_dilepton
from lazyana.physics.leptons import lepton_selection
from lazyana.toy.corrections import toy_parameters, write_corrections

pytestmark = pytest.mark.integration

Sections = dict[str, Any]


class ZToMuons(Workflow):
    """Muons, jets away from them, and the pair of muons."""

    def apply_object_preselection(self, variation: str) -> None:
        self.events["MuonGood"] = lepton_selection(self.events, "Muon", self.params)
        self.events["JetGood"], _ = jet_selection(
            self.events, "Jet", self.params, self._year, "MuonGood"
        )
        self.events["ll"] = get_dilepton(None, self.events.MuonGood)

    def count_objects(self, variation: str) -> None:
        self.events["nJetGood"] = self.events.nJetGood


def common(*names: str, **categories: list[str]) -> dict[str, Any]:
    return {"common": {"inclusive": list(names), "bycategory": categories}}


def jet_axis(field: str, coll: str = "JetGood") -> HistConf:
    return HistConf([Axis(coll=coll, field=field, bins=50, start=0, stop=500)])


@pytest.fixture(scope="module")
def sections(toy_files: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Sections:
    """A configuration without mistakes, of files of its own."""
    folder = tmp_path_factory.mktemp("files")
    write_corrections(folder)
    filesets = {}
    for name, key in (("DYJetsToLL", "DYJetsToLL_2018"), ("SingleMuon", "SingleMuon_2018_EraA")):
        path = shutil.copy(next(iter(toy_files[name]["files"])), folder)
        metadata = {k: str(value) for k, value in toy_files[name]["metadata"].items()}
        metadata["isMC"] = metadata.pop("is_mc")
        filesets[key] = {"files": [str(path)], "metadata": metadata}
    muon = {"pt": 15, "eta": 2.4, "iso": 0.25, "id": "tightId"}
    jet = {
        **{"pt": 30, "eta": 2.4, "jetId": 2, "dr_lepton": 0.4},
        "puId": {"wp": "L", "maxpt": 50.0},
    }
    parameters = defaults.merge_parameters(
        defaults.get_default_parameters(),
        toy_parameters(folder),
        {
            "object_preselection": {"Muon": muon, "Jet": jet},
            "HLT_triggers": {"2018": {"SingleMuon": ["IsoMu24"]}},
        },
    )
    return {
        "workflow": ZToMuons,
        "parameters": parameters,
        "datasets": {
            "jsons": [filesets],
            "filter": {"samples": ["DYJetsToLL", "DATA_SingleMuon"], "year": ["2018"]},
        },
        "skim": [get_nPVgood(1), get_HLTsel()],
        "preselections": [get_nMuon(2, 15.0)],
        "categories": {"baseline": [passthrough], "jets": [get_nObj_min(1, coll="JetGood")]},
        "weights": common("genWeight", "lumi", "XS", "pileup", "sf_mu_id"),
        "variations": {
            "weights": common("pileup", "sf_mu_id"),
            "shape": common("jet_calibration"),
        },
        "variables": {
            **muon_hists(pos=0),
            **jet_hists(),
            **count_hist("JetGood"),
            "mll": HistConf([Axis(coll="ll", field="mass", bins=50, start=50, stop=150)]),
        },
    }


@pytest.fixture(scope="module")
def record(sections: Sections) -> Callable[[Sections], Any]:
    """Records a configuration; its files were looked into, and cannot be read any more."""
    analysis = Configurator(**sections)
    catalog = catalog_of(analysis)
    for entry in sections["datasets"]["jsons"][0].values():
        for path in entry["files"]:
            Path(path).write_bytes(b"not a ROOT file")
    return lambda given: recorded(Configurator(**given), catalog)


def test_no_file_is_opened(sections: Sections, record: Callable[[Sections], Any]) -> None:
    made = record(sections)
    with pytest.raises((FileError, la.errors.RunError)):
        la.compute(made.outputs, executor="sync", progress=False)


def field_in_a_histogram(good: Sections) -> Sections:
    return {"variables": {**good["variables"], "jets": jet_axis("ptt")}}


def collection_in_a_histogram(good: Sections) -> Sections:
    return {"variables": {**good["variables"], "mass": jet_axis("mass", "lll")}}


def cut_on_a_missing_collection(good: Sections) -> Sections:
    two = get_nObj_min(2, 30.0, coll="JetGoood")
    return {"categories": {**good["categories"], "dijet": [two]}}


def unknown_weight(good: Sections) -> Sections:
    return {"weights": common("genWeight", "lumi", "XS", "pileup", "sf_mu_idd", "sf_mu_id")}


def unknown_category(good: Sections) -> Sections:
    return {"weights": common("genWeight", "pileup", "sf_mu_id", jetz=["lumi"])}


def variation_of_a_weight_that_is_not_applied(good: Sections) -> Sections:
    return {"weights": common("genWeight", "lumi", "XS", "sf_mu_id")}


def filtr_for_filter(good: Sections) -> Sections:
    return {"datasets": {"jsons": good["datasets"]["jsons"], "filtr": {"year": ["2018"]}}}


def shapes_for_shape(good: Sections) -> Sections:
    return {"variations": {"shapes": common("jet_calibration")}}


def unknown_sample(good: Sections) -> Sections:
    of_sample = {"DYJetsToL": {"inclusive": ["signOf_genWeight"]}}
    return {"weights": {**good["weights"], "bysample": of_sample}}


MISTAKES: list[tuple[Callable[[Sections], Sections], type[LazyanaError], list[str]]] = [
    (field_in_a_histogram, ColumnError, ["Histogram 'jets'", "'JetGood.ptt'", "mean 'pt'"]),
    (collection_in_a_histogram, ColumnError, ["Histogram 'mass'", "'lll'", "mean 'll'"]),
    (
        cut_on_a_missing_collection,
        ColumnError,
        ["Category 'dijet'", "Cut 'nJetGoood_min2_pt30.0'", "'JetGoood'", "mean 'JetGood'"],
    ),
    (
        unknown_weight,
        InputError,
        ["weights.common.inclusive", "weight 'sf_mu_idd'", "mean 'sf_mu_id'"],
    ),
    (
        unknown_category,
        InputError,
        ["weights.common.bycategory['jetz']", "category 'jetz'", "mean 'jets'"],
    ),
    (
        variation_of_a_weight_that_is_not_applied,
        InputError,
        ["variations.weights.common.inclusive", "'pileup'", "Apply it too, or leave"],
    ),
    (filtr_for_filter, InputError, ["'filtr' is no key in datasets", "mean 'filter'"]),
    (shapes_for_shape, InputError, ["'shapes' is no key in variations", "mean 'shape'"]),
    (
        unknown_sample,
        InputError,
        ["weights.bysample", "sample 'DYJetsToL'", "mean 'DYJetsToLL'"],
    ),
]


@pytest.mark.parametrize(
    ("mistake", "error", "said"), MISTAKES, ids=[mistake.__name__ for mistake, _, _ in MISTAKES]
)
def test_mistake_is_told(
    sections: Sections,
    record: Callable[[Sections], Any],
    mistake: Callable[[Sections], Sections],
    error: type[LazyanaError],
    said: list[str],
) -> None:
    with pytest.raises(error) as caught:
        record({**sections, **mistake(sections)})
    message = str(caught.value)
    assert [words for words in said if words not in message] == [], message
