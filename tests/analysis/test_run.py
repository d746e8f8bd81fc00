from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coffea.util import load
from omegaconf import OmegaConf

import lazyana as la
from lazyana.analysis.columns import ColOut
from lazyana.analysis.config import Analysis
from lazyana.analysis.run import explained, run
from lazyana.errors import InputError, OutputExistsError

Make = Callable[..., Analysis]
DY, DATA = "DYJetsToLL_M-50_2018", "DATA_SingleMuon_2018_EraA"


@pytest.fixture(scope="module")
def ran(zmumu: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("run") / "output"
    columns = {"common": {"bycategory": {"jets": [ColOut("JetGood", ["pt", "eta"])]}}}
    one = zmumu(columns=columns)
    return folder, run(one, folder, executor="sync", progress=False)


def test_files(ran: tuple[Path, Any]) -> None:
    folder, found = ran
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "output_all.coffea",
        "output_all.lazyana",
        "parameters_dump.yaml",
    ]
    config = json.loads((folder / "config.json").read_text())
    assert config["preselections"][0]["name"] == "dimuon"
    assert config["datasets"]["names"] == [DY, DATA]
    dumped: Any = OmegaConf.load(folder / "parameters_dump.yaml")
    assert dumped.object_preselection.Muon.pt == 15
    again = la.load(folder / "output_all.lazyana")
    assert again["sum_genweights"][DY] == found.result["sum_genweights"][DY]


def test_output_has_the_known_keys(ran: tuple[Path, Any]) -> None:
    folder, found = ran
    output = load(str(folder / "output_all.coffea"))
    assert list(output) == list(found.output)
    assert {
        *("sum_genweights", "sum_signOf_genweights", "sumw", "sumw2", "cutflow", "variables"),
        *("columns", "datasets_metadata"),
    } <= set(output)
    assert output["cutflow"]["initial"][DY] > output["cutflow"]["skim"][DY]
    presel = output["cutflow"]["presel"][DY]["nominal"]
    baseline = output["cutflow"]["baseline"][DY]["DYJetsToLL"]["nominal"]
    assert output["cutflow"]["skim"][DY] > presel == baseline > 0
    assert output["datasets_metadata"]["by_datataking_period"] == {
        "2018": {"DYJetsToLL": [DY], "DATA_SingleMuon": [DATA]}
    }
    assert output["datasets_metadata"]["by_dataset"][DY]["isMC"] is True


def test_simulation_is_normalised(ran: tuple[Path, Any]) -> None:
    _, found = ran
    output, result = found.output, found.result
    factor = 1 / result["sum_genweights"][DY]["nominal"]
    cutflow = result["cutflow"]["DYJetsToLL"]["0"]
    for label in ("nominal", "pileupUp", "sf_mu_idDown"):
        expected = cutflow.yield_("jets", DY, label) * factor
        assert output["sumw"]["jets"][DY]["DYJetsToLL"][label] == pytest.approx(expected)
    mine = output["variables"]["mll"]["DYJetsToLL"][DY]
    assert [axis.name for axis in mine.axes] == ["cat", "variation", "mll"]
    raw = result["variables"]["mll"]["DYJetsToLL"]["0"]
    where = {"variation": "nominal"}
    np.testing.assert_allclose(
        mine[{"cat": "jets", **where}].values(flow=True),
        raw[{"dataset": DY, "category": "jets", **where}].values(flow=True) * factor,
    )
    np.testing.assert_allclose(
        mine[{"cat": "jets", **where}].variances(flow=True),
        raw[{"dataset": DY, "category": "jets", **where}].variances(flow=True) * factor**2,
    )
    data = output["variables"]["mll"]["DATA_SingleMuon"][DATA]
    assert [axis.name for axis in data.axes] == ["cat", "mll"]
    assert DATA not in output["sumw"]["baseline"]


def test_columns(ran: tuple[Path, Any]) -> None:
    _, found = ran
    jets = found.output["columns"]["DYJetsToLL"][DY]["jets"]["nominal"]
    sizes = jets["JetGood_N"].value
    assert len(jets["JetGood_pt"].value) == sizes.sum()
    assert len(jets["weight"].value) == len(sizes)
    assert len(jets["weight_variation_pileupUp"].value) == len(sizes)
    data = found.output["columns"]["DATA_SingleMuon"][DATA]["jets"]["nominal"]
    assert set(data) == {"JetGood_N", "JetGood_pt", "JetGood_eta", "weight"}


def test_without_postprocessing(zmumu: Make) -> None:
    found = run(zmumu(do_postprocessing=False), executor="sync", progress=False)
    yields = found.result["cutflow"]["DYJetsToLL"]["0"].yield_("baseline", DY)
    assert found.output["sumw"]["baseline"][DY]["DYJetsToLL"]["nominal"] == pytest.approx(yields)
    assert found.files == {}


def test_any_partitioning_and_executor(zmumu: Make, ran: tuple[Path, Any]) -> None:
    _, one = ran
    other = run(zmumu(), executor="threads", workers=2, partition_size=50, progress=False)
    assert other.output["cutflow"] == one.output["cutflow"]
    mine, its = (o.output["variables"]["mll"]["DYJetsToLL"][DY] for o in (one, other))
    np.testing.assert_allclose(mine.values(flow=True), its.values(flow=True), rtol=1e-12)


def test_parts_are_one_histogram(zmumu: Make) -> None:
    weights = {"common": {"inclusive": ["genWeight"], "bycategory": {"jets": ["pileup"]}}}
    varied = {"weights": {"common": {"bycategory": {"jets": ["pileup"]}}}}
    found = run(zmumu(weights=weights, variations=varied), executor="sync", progress=False)
    whole = found.output["variables"]["mll"]["DYJetsToLL"][DY]
    assert sorted(whole.axes["cat"]) == ["baseline", "jets", "none"]
    for label in ("pileupUp", "pileupDown"):
        same = [whole[{"cat": "none", "variation": name}].values() for name in ("nominal", label)]
        np.testing.assert_array_equal(*same)
    differ = [whole[{"cat": "jets", "variation": v}].values() for v in ("nominal", "pileupUp")]
    assert not np.array_equal(*differ)


def test_an_earlier_run_is_not_overwritten(zmumu: Make, ran: tuple[Path, Any]) -> None:
    folder, _ = ran
    with pytest.raises(OutputExistsError, match="is there already"):
        run(zmumu(), folder)


def test_limit_of_files(zmumu: Make) -> None:
    one = run(zmumu(), limit_files=1, executor="sync", progress=False)
    every = run(zmumu(), executor="sync", progress=False)
    assert one.output["cutflow"]["initial"][DY] < every.output["cutflow"]["initial"][DY]
    with pytest.raises(InputError, match="at least 1"):
        run(zmumu(), limit_files=0)


def test_explained(zmumu: Make) -> None:
    text = str(explained(zmumu(), limit_files=1))
    assert "Muon_pt" in text
    assert DY in text


def test_a_skim_gives_what_the_files_give(zmumu: Make, tmp_path: Path) -> None:
    made = run(
        zmumu(save_skimmed_files=tmp_path / "skims"),
        tmp_path / "one",
        executor="sync",
        progress=False,
    )
    assert made.output["variables"] == {}
    assert made.output["nskimmed_events"][DY] == la.open(made.output["skimmed_files"][DY]).entries
    fileset = tmp_path / "one" / "skimmed_dataset_definition.json"
    assert json.loads(fileset.read_text())[DY]["metadata"]["isSkim"] is True
    again = run(zmumu(datasets={"jsons": [fileset]}), executor="sync", progress=False)
    before = run(zmumu(), executor="sync", progress=False)
    for dataset, sample in ((DY, "DYJetsToLL"), (DATA, "DATA_SingleMuon")):
        one, two = (r.output["variables"]["mll"][sample][dataset] for r in (before, again))
        np.testing.assert_allclose(one.values(flow=True), two.values(flow=True), rtol=1e-12)
        assert one.values().sum() > 0
    assert again.output["cutflow"]["initial"][DY] < before.output["cutflow"]["initial"][DY]
    assert again.output["cutflow"]["baseline"] == before.output["cutflow"]["baseline"]
    yields = (r.output["sumw"]["baseline"][DY]["DYJetsToLL"]["nominal"] for r in (before, again))
    assert next(yields) == pytest.approx(next(yields), rel=1e-12)
