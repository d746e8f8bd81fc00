from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.util import load
from omegaconf import OmegaConf

import lazyana as la
from lazyana.analysis.calibrators import Calibrator
from lazyana.analysis.columns import ColOut
from lazyana.analysis.config import Analysis
from lazyana.analysis.cuts import Cut
from lazyana.analysis.run import Settings, explained, run
from lazyana.analysis.separate import run_separately
from lazyana.errors import ExecutorError, InputError, InputTypeError, OutputExistsError

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
        "provenance.json",
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
    files = made.output["skimmed_files"][DY]
    assert made.output["nskimmed_events"][DY] == [la.open(file).entries for file in files]
    assert made.output["cutflow"]["skim"][DY] == sum(made.output["nskimmed_events"][DY])
    fileset = tmp_path / "one" / "skimmed_dataset_definition.json"
    assert json.loads(fileset.read_text())[DY]["metadata"]["isSkim"] == "True"
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


class MuonScale(Calibrator):
    """Muon momenta as they are; a quarter more or less when varied."""

    name = "muon_scale"
    has_variations = True
    isMC_only = True  # noqa: N815  the name that configurations use
    calibrated_collections = ("Muon.pt",)
    factors: Mapping[str, float] = {"nominal": 1.0, "scaleUp": 1.25, "scaleDown": 0.8}

    def initialize(self, events: Any) -> None:
        self._variations = [label for label in self.factors if label != "nominal"]

    def calibrate(
        self, events: Any, orig_colls: Any, variation: str, applied: Any = None
    ) -> dict[str, Any]:
        return {"Muon.pt": events.Muon.pt * self.factors[variation]}


def test_branches_of_a_skim(zmumu: Make, tmp_path: Path) -> None:
    skims = {"path": tmp_path / "skims", "keep": ["Muon", "GenPart"], "drop": "Muon_phi"}
    made = run(zmumu(save_skimmed_files=skims), limit_files=1, executor="sync", progress=False)
    names = [
        set(uproot.open(made.output["skimmed_files"][name][0])["Events"].keys())
        for name in (DY, DATA)
    ]
    assert {"Muon_pt", "GenPart_pt", "genWeight"} <= names[0]
    assert not {"Muon_phi", "Jet_pt"} & (names[0] | names[1])
    assert "Muon_pt" in names[1]
    with pytest.raises(InputError, match=r"keep = 'Moun'.*Did you mean 'Muon'"):
        run(zmumu(save_skimmed_files={"path": tmp_path / "x", "keep": ["Moun"]}))


def soft(events: Any, params: Mapping[str, Any]) -> Any:
    """Leading muons in a window of momentum."""
    leading = ak.firsts(events.MuonGood.pt)
    return (leading > params["low"]) & (leading < params["high"])


def test_a_skim_of_the_preselections_in_any_variation(zmumu: Make, tmp_path: Path) -> None:
    changes = {
        "skim": [],
        "preselections": [Cut("soft", {"low": 30, "high": 45}, soft)],
        "calibrators": [MuonScale],
        "variations": {"shape": {"common": {"inclusive": ["muon_scale"]}}},
    }

    def ran(**more: Any) -> Any:
        folder = tmp_path / "run" if "save_skimmed_files" in more else None
        return run(zmumu(**changes, **more), folder, executor="sync", progress=False)

    skims = {"path": tmp_path / "skims", "drop": ["Tau"], "compression": "ZLIB(1)"}
    made = ran(save_skimmed_files=skims, workflow_options={"skim_mode": "presel_any_variation"})
    before = ran()
    again = ran(datasets={"jsons": [tmp_path / "run" / "skimmed_dataset_definition.json"]})
    presel = before.output["cutflow"]["presel"][DY]
    kept = made.output["cutflow"]["skim"][DY]
    assert max(presel.values()) < kept < sum(presel.values())
    assert again.output["cutflow"]["initial"][DY] == kept
    assert len({presel["scaleUp"], presel["nominal"], presel["scaleDown"]}) == 3
    assert again.output["cutflow"]["presel"] == before.output["cutflow"]["presel"]
    one, two = (r.output["variables"]["mll"]["DYJetsToLL"][DY] for r in (before, again))
    assert set(two.axes["variation"]) == {"nominal", "scaleUp", "scaleDown"}
    np.testing.assert_allclose(one.values(flow=True), two.values(flow=True), rtol=1e-12)
    np.testing.assert_allclose(one.variances(flow=True), two.variances(flow=True), rtol=1e-12)
    events = uproot.open(made.output["skimmed_files"][DY][0])
    assert "Tau_pt" not in events["Events"]
    assert events.file.compression.name == "ZLIB"


def test_limit_of_partitions(zmumu: Make, dy_events: Any) -> None:
    some = run(zmumu(), executor="sync", partition_size=50, limit_partitions=1, progress=False)
    first = np.asarray(dy_events.genWeight[:50], np.float64)
    assert some.output["cutflow"]["initial"][DY] == 50
    assert some.output["sum_genweights"][DY] == pytest.approx(first.sum())
    raw = some.result["cutflow"]["DYJetsToLL"]["0"].yield_("baseline", DY)
    assert some.output["sumw"]["baseline"][DY]["DYJetsToLL"]["nominal"] == pytest.approx(
        raw / first.sum()
    )
    assert "beyond the limit of partitions" in some.result.report.text()
    [[_, _, entries]] = some.result.provenance.files[DY]
    assert entries == 50
    with pytest.raises(InputError, match="limit_partitions must be at least 1"):
        run(zmumu(), limit_partitions=0)


def test_unknown_options(zmumu: Make) -> None:
    with pytest.raises(InputTypeError, match="Did you mean 'limit_partitions'"):
        run(zmumu(), limit_partition=1)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"limit_files": 0}, "limit_files must be at least 1 file, not 0"),
        ({"limit_files": "one"}, "limit_files must be a whole number, not 'one'"),
        ({"limit_files": True}, "limit_files must be a whole number, not True"),
        ({"n_minus_one": "never"}, "n_minus_one is 'never'"),
        ({"progress": "yes"}, "progress is 'yes'"),
        ({"performance_report": 5}, "path of a file"),
    ],
)
def test_values_that_options_cannot_have(options: dict[str, Any], match: str) -> None:
    with pytest.raises((InputError, InputTypeError, ExecutorError), match=match):
        Settings(**options)


def test_what_an_output_says_of_its_origin(ran: tuple[Path, Any], filesets: Any) -> None:
    folder, found = ran
    record = found.output["provenance"]
    written = json.loads((folder / "provenance.json").read_text())
    assert written["configuration"] == record["configuration"] != record["analysis"]
    assert written["files"][DY] == record["files"][DY]
    assert {url for url, _, _ in record["files"][DY]} == set(map(str, filesets[DY]["files"]))
    entries = sum(entries for _, _, entries in record["files"][DY])
    assert entries == found.output["cutflow"]["initial"][DY]
    divided = found.output["divided_by"]["DYJetsToLL"][DY]
    assert set(divided) == {"baseline", "jets", "none"}
    assert divided["jets"] == found.output["sum_genweights"][DY]
    assert "DATA_SingleMuon" not in found.output["divided_by"]


def test_skims_and_columns_are_overwritten_where_the_run_is(zmumu: Make, tmp_path: Path) -> None:
    columns = {
        "columns": {"common": {"inclusive": [ColOut("JetGood", ["pt"])]}},
        "workflow_options": {"dump_columns_as_arrays_per_chunk": str(tmp_path / "arrays")},
    }
    for number, changes in enumerate(({"save_skimmed_files": str(tmp_path / "skims")}, columns)):
        analysis, folder = zmumu(**changes), tmp_path / str(number)
        settings: dict[str, Any] = {"executor": "sync", "limit_files": 1, "progress": False}
        run(analysis, folder, **settings)
        with pytest.raises(OutputExistsError, match="--overwrite"):
            run(analysis, tmp_path / "other", **settings)
        run(analysis, folder, overwrite=True, **settings)


@pytest.mark.parametrize("separately", [False, True])
def test_columns_below_the_output_go_where_it_goes(
    zmumu: Make, tmp_path: Path, separately: bool
) -> None:
    columns = {"common": {"inclusive": [ColOut("JetGood", ["pt"])]}}
    for place, written in (("there/arrays", "elsewhere/arrays"), ("own", "own")):
        options = {"dump_columns_as_arrays_per_chunk": str(tmp_path / place)}
        one = zmumu(columns=columns, workflow_options=options, output=tmp_path / "there")
        folder = tmp_path / "elsewhere"
        asked: dict[str, Any] = {"executor": "sync", "progress": False, "overwrite": True}
        if separately:
            list(run_separately(one, folder, **asked))
        else:
            run(one, folder, **asked)
        assert list((tmp_path / written).rglob("*.parquet"))
        assert not (tmp_path / "there").exists()
