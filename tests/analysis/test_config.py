from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lazyana.analysis.columns import ColOut
from lazyana.analysis.config import Analysis, Configurator
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.analysis.workflow import Workflow
from lazyana.errors import InputError, InputTypeError

Make = Callable[..., Analysis]
MASS = Axis("mass", bins=10, start=50, stop=150, coll="ll")


def test_least_analysis(filesets: dict[str, Any]) -> None:
    one = Configurator(workflow=Workflow, parameters={}, datasets={"jsons": [filesets]})
    assert isinstance(one, Analysis)
    assert one.samples == ("DYJetsToLL", "TTTo2L2Nu", "DATA_SingleMuon")
    assert one.categories.names == ("baseline",)
    assert one.skim == ()
    assert one.subsamples == {}


def test_everything_is_there(zmumu: Make) -> None:
    one = zmumu()
    assert one.samples == ("DYJetsToLL", "DATA_SingleMuon")
    assert one.rules.samples == ("DYJetsToLL", "TTTo2L2Nu", "DATA_SingleMuon")
    assert one.years == ("2018",)
    assert one.datasets == tuple(dataset.name for dataset in one.fileset.datasets)
    assert one.categories.names == ("baseline", "jets", "none")
    assert [cut.name for cut in one.preselections] == ["dimuon"]
    assert list(one.variables) == ["mll", "jet_pt"]
    assert one.parameters.object_preselection.Muon.pt == 15


def test_years_are_those_that_are_kept(filesets: dict[str, Any]) -> None:
    files = dict(filesets)
    name, entry = next(iter(filesets.items()))
    later = {**entry, "metadata": {**entry["metadata"], "year": "2017"}}
    files[f"{name}_later"] = {**later, "files": ["root://elsewhere//later.root"]}
    one = Configurator(workflow=Workflow, parameters={}, datasets={"jsons": [files]})
    assert one.years == ("2017", "2018")
    assert one.datasets == tuple(files)
    kept = {"jsons": [files], "filter": {"year": ["2017"]}}
    one = Configurator(workflow=Workflow, parameters={}, datasets=kept)
    assert one.years == ("2017",)
    assert one.datasets == (f"{name}_later",)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"workflow": 5}, InputTypeError, "workflow is 5.*subclass"),
        ({"workflow": int}, InputTypeError, "workflow is int"),
        ({"parameters": 5}, InputTypeError, "parameters are a int"),
        ({"variables": {"x": MASS}}, InputTypeError, r"variables\['x'\] is a Axis.*HistConf"),
        (
            {"variables": {"x": HistConf([MASS], only_samples=["DYY"])}},
            InputError,
            "Histogram 'x': only_samples names a sample 'DYY'",
        ),
        (
            {"variables": {"x": HistConf([MASS], only_categories=["jet"])}},
            InputError,
            "'x': only_categories names a category 'jet'.*'jets'",
        ),
        (
            {"columns": {"common": {"inclusive": ["pt"]}}},
            InputTypeError,
            "columns.common.inclusive",
        ),
        (
            {"columns": {"bysample": {"DYY": {"inclusive": [ColOut("Jet", ["pt"])]}}}},
            InputError,
            "columns.bysample names sample 'DYY'",
        ),
        ({"weights": {"common": {"inclusive": ["pilup"]}}}, InputError, "'pilup'.*'pileup'"),
        ({"variations": {"shape": {"common": {"inclusive": ["jes"]}}}}, InputError, "'jes'"),
        ({"skim": ["nMuon >"]}, InputError, "skim"),
        ({"categories": {"SR": [5]}}, InputTypeError, "SR"),
        ({"weights_classes": [5]}, InputTypeError, "no weight"),
        ({"calibrators": [5]}, InputTypeError, "no calibrator"),
    ],
)
def test_mistakes(zmumu: Make, changes: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        zmumu(**changes)


def test_subsamples(configuration: Callable[..., dict[str, Any]]) -> None:
    given = configuration()
    given["datasets"] = {
        **given["datasets"],
        "subsamples": {"DYJetsToLL": {"b": "nJetGood > 1", "light": "nJetGood <= 1"}},
    }
    one = Analysis(**given)
    assert one.subsamples["DYJetsToLL"].names == ("b", "light")
    assert one.rules.subsamples == {"DYJetsToLL": ("b", "light")}
    given["datasets"]["subsamples"] = {"DYJets": {"b": []}}
    with pytest.raises(InputError, match=r"names 'DYJets', which is no sample.*'DYJetsToLL'"):
        Analysis(**given)


def test_categories_are_not_called_as_stages(zmumu: Make) -> None:
    with pytest.raises(InputError, match="one called 'presel'"):
        zmumu(categories={"presel": []})


def test_which_events_skims_have(zmumu: Make) -> None:
    assert zmumu().save_skimmed_files is None
    plain = zmumu(save_skimmed_files="skims").save_skimmed_files
    assert str(plain) == "skims (skim)"
    option = {"skim_mode": "presel_any_variation"}
    assert zmumu(workflow_options=option).save_skimmed_files is None
    chosen = zmumu(save_skimmed_files=Path("skims"), workflow_options=option).save_skimmed_files
    assert (chosen.path, chosen.mode) == ("skims", "presel_any_variation")
    same = {"path": "skims", "mode": "presel_any_variation", "keep": ["Muon"]}
    assert zmumu(save_skimmed_files=same, workflow_options=option).save_skimmed_files.keep
    assert chosen.inside("DY").path == "skims/DY"
    with pytest.raises(InputError, match="say it in one place"):
        zmumu(save_skimmed_files={"path": "x", "mode": "skim"}, workflow_options=option)
    with pytest.raises(InputError, match="Did you mean 'presel_any_variation'"):
        zmumu(workflow_options={"skim_mode": "presel_any_variations"})
    with pytest.raises(InputError, match=r"'kep' is no key in save_skimmed_files.*'keep'"):
        zmumu(save_skimmed_files={"path": "x", "kep": ["Muon"]})
    with pytest.raises(InputError, match=r"save_skimmed_files\.mode"):
        zmumu(save_skimmed_files={"path": "x", "mode": "presel"})
    with pytest.raises(InputError, match="No compression 'ZSTDD'"):
        zmumu(save_skimmed_files={"path": "x", "compression": "ZSTDD"})


def test_option_of_the_workflow_leaves_out_the_division(zmumu: Make) -> None:
    assert zmumu().do_postprocessing
    assert not zmumu(workflow_options={"donotscale_sumgenweights": True}).do_postprocessing
    assert zmumu(workflow_options={"donotscale_sumgenweights": False}).do_postprocessing


def test_methods_that_would_never_be_called(zmumu: Make) -> None:
    base = zmumu().workflow
    with pytest.raises(InputError, match="has a method apply_preselections, which nothing calls"):
        zmumu(workflow=type("Wrong", (base,), {"apply_preselections": lambda self: None}))
