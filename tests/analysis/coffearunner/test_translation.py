"""Configurations of CoffeaRunner run, and give what plain awkward gives on the same events."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest
import uproot
from click.testing import CliRunner
from coffea.processor import ProcessorABC
from coffea.util import load

from lazyana.analysis.coffearunner.translation import translated
from lazyana.analysis.config import Analysis
from lazyana.analysis.load import load_config
from lazyana.analysis.run import AnalysisResult, Settings, run
from lazyana.analysis.workflow import Workflow
from lazyana.cli.main import cli
from lazyana.errors import FileError, InputError, InputTypeError
from lazyana.toy.corrections import toy_parameters, write_corrections

CODE = """
import awkward as ak
from lazyana.analysis.columns import ColOut
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.analysis.workflow import Workflow


class NanoProcessor(Workflow):
    def apply_object_preselection(self, variation):
        muons = self.events.Muon
        good = (muons.pt > self.workflow_options["muon_pt"]) & (abs(muons.eta) < 2.4)
        self.events["MuonGood"] = muons[good & muons.tightId & (muons.pfRelIso04_all < 0.15)]

    def define_common_variables_after_presel(self, variation):
        self.events["central"] = ak.all(abs(self.events.MuonGood.eta) < 1.2, axis=1)


cfg = {
    "dataset": {
        "jsons": ["metadata/toy.json"],
        "campaign": "2018_UL",
        "year": "2018",
        "filter": {"samples": ["DYJetsToLL", "SingleMuon"], "samples_exclude": []},
    },
    "workflow": NanoProcessor,
    "output": "hists_toy",
    "run_options": {
        "executor": "iterative", "workers": 2, "scaleout": 10, "walltime": "03:00:00",
        "mem_per_worker": 2, "chunk": 170, "max": None, "skipbadfiles": None, "voms": None,
        "limit": 1, "retries": 20, "splitjobs": False, "compression": 3,
    },
    "preselections": {"mu1hlt": ["IsoMu24"], "dimuon": ["nMuonGood >= 2"]},
    "categories": {
        "all": [], "barrel": ["central"], "hard": ["mu1hlt", "MuonGood[:, 0].pt > 40"],
    },
    "weights": {
        "common": {
            "inclusive": {
                LUMI: "Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt",
                "PU": None,
                "LSF": {"mu_ID 2018_UL": "NUM_TightID_DEN_TrackerMuons"},
            },
            "bycategory": {
                "hard": {"LSF": {"mu_Iso 2018_UL": "NUM_LooseRelIso_DEN_TightIDandIPCut"}}
            },
        },
        "bysample": {
            "DYJetsToLL": {
                "inclusive": {"kfactor": 1.23},
                "bycategory": {"barrel": {"kfactor": 1.5}},
            }
        },
    },
    SYSTEMATIC: {JERC: False, "weights": True},
    "userconfig": {"muon_pt": 20.0, "export_array": EXPORT},
    "variables": {
        "mu_pt": HistConf([Axis(coll="MuonGood", field="pt", bins=20, start=0, stop=200)]),
    },
    "columns": {"common": {"bycategory": {"hard": [ColOut("MuonGood", ["pt"])]}}},
    "parameters": PARAMETERS,
}
"""

BRANCHES = (
    *("run", "luminosityBlock", "genWeight", "Pileup_nTrueInt", "HLT_IsoMu24"),
    *("Muon_pt", "Muon_eta", "Muon_tightId", "Muon_pfRelIso04_all"),
)

SPELLINGS = {
    "code": {"LUMI": "lumiMask", "SYSTEMATIC": "systematic", "JERC": "JERC"},
    "readme": {"LUMI": "lumiMasks", "SYSTEMATIC": "systematics", "JERC": "isJERC"},
}

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(toy_files: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fileset file and corrections, where CoffeaRunner would be started."""
    found = tmp_path_factory.mktemp("coffearunner")
    write_corrections(found / "corrections")
    (found / "metadata").mkdir()
    plain = {name: list(map(str, entry["files"])) for name, entry in toy_files.items()}
    (found / "metadata" / "toy.json").write_text(json.dumps(plain))
    return found


@pytest.fixture(scope="module")
def written(folder: Path) -> Write:
    """Writes the configuration in one of the spellings."""
    changes = toy_parameters(folder / "corrections")
    golden = next((folder / "corrections").rglob("Cert_*"))
    odd = {run: [[n, n] for n in range(1, 60, 2)] for run in json.loads(golden.read_text())}
    (folder / golden.name).write_text(json.dumps(odd))

    def write(spelling: str, export: Any = False) -> Path:
        code = CODE.replace("EXPORT", repr(export)).replace("PARAMETERS", repr(changes))
        for name, key in SPELLINGS[spelling].items():
            code = code.replace(f"{name}:", f"{key!r}:")
        path = folder / f"config_{spelling}.py"
        path.write_text(code)
        return path

    return write


@pytest.fixture(scope="module")
def ran(written: Write) -> dict[str, AnalysisResult]:
    """What both spellings give, loaded as the command line does."""
    found = {}
    for spelling in SPELLINGS:
        analysis = load_config(written(spelling))
        found[spelling] = run(analysis, progress=False)
    return found


class Plain:
    """The same selection and weights of one file, in awkward alone."""

    def __init__(self, path: str, folder: Path) -> None:
        with uproot.open(path) as file:
            tree = file["Events"]
            events = tree.arrays([name for name in BRANCHES if name in tree])
        self.total = float(np.sum(np.asarray(getattr(events, "genWeight", 0.0), np.float64)))
        good = (events.Muon_pt > 20) & (abs(events.Muon_eta) < 2.4) & events.Muon_tightId
        good = good & (events.Muon_pfRelIso04_all < 0.15)
        muons = ak.zip({"pt": events.Muon_pt[good], "eta": events.Muon_eta[good]})
        certified = np.ones(len(events), bool) if self.total else self._certified(events, folder)
        self.certified = float(np.mean(certified))
        keep = certified & events.HLT_IsoMu24 & (ak.num(muons) >= 2)
        self.events, self.muons = events[keep], muons[keep]
        self.masks = {
            "all": np.ones(len(self.events), bool),
            "barrel": ak.to_numpy(ak.all(abs(self.muons.eta) < 1.2, axis=1)),
            "hard": ak.to_numpy(self.muons.pt[:, 0] > 40),
        }
        self.folder = folder

    def _certified(self, events: Any, folder: Path) -> Any:
        golden = json.loads(next(folder.glob("Cert_*")).read_text())
        return np.array(
            [
                any(low <= section <= high for low, high in golden.get(str(run), []))
                for run, section in zip(events.run, events.luminosityBlock, strict=True)
            ]
        )

    def weights(self, category: str, pileup: str = "nominal", muon: str = "nominal") -> Any:
        if self.total == 0.0:
            return np.ones(int(np.sum(self.masks[category])))
        base = np.asarray(self.events.genWeight, np.float64)
        base = base * self._correction("LUM").evaluate(
            np.asarray(self.events.Pileup_nTrueInt, np.float64), pileup
        )
        base = base * self._muons("NUM_TightID_DEN_TrackerMuons", muon)
        if category == "hard":
            base = base * self._muons("NUM_LooseRelIso_DEN_TightIDandIPCut", "nominal")
        return (base * (1.5 if category == "barrel" else 1.23))[self.masks[category]]

    def _correction(self, pog: str, name: str | None = None) -> Any:
        path = next((self.folder / "corrections" / pog).rglob("*.json.gz"))
        known = correctionlib.CorrectionSet.from_file(str(path))
        return known[name or next(iter(known))]

    def _muons(self, name: str, shift: str) -> Any:
        correction = self._correction("MUO", name)
        values = {
            "abseta": abs(self.muons.eta),
            "eta": self.muons.eta,
            "pt": self.muons.pt,
        }
        tag = {"nominal": "nominal", "up": "systup", "down": "systdown"}[shift]
        flat = [
            np.asarray(ak.flatten(values[one.name]), np.float64)
            if one.name in values
            else ("2018_UL" if one.name == "year" else tag)
            for one in correction.inputs
        ]
        return ak.to_numpy(
            ak.prod(ak.unflatten(correction.evaluate(*flat), ak.num(self.muons)), axis=1)
        )


@pytest.fixture(scope="module")
def plain(toy_files: dict[str, Any], folder: Path) -> dict[str, Plain]:
    return {
        name: Plain(str(next(iter(toy_files[name]["files"]))), folder)
        for name in ("DYJetsToLL", "SingleMuon")
    }


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_yields_are_those_of_plain_awkward(
    ran: dict[str, AnalysisResult], plain: dict[str, Plain], spelling: str
) -> None:
    output = ran[spelling].output
    assert output["sum_genweights"] == pytest.approx({"DYJetsToLL": plain["DYJetsToLL"].total})
    for name, one in plain.items():
        for category, mask in one.masks.items():
            counted = output["cutflow"][category][name][name]["nominal"]
            assert counted == np.sum(mask) > 0
    assert 0.2 < plain["SingleMuon"].certified < 0.8
    assert np.sum(plain["DYJetsToLL"].masks["all"]) > np.sum(plain["DYJetsToLL"].masks["hard"])
    sums = output["sumw"]
    for category in ("all", "barrel", "hard"):
        found = sums[category]["DYJetsToLL"]["DYJetsToLL"]
        for label, shifts in {
            "nominal": {},
            "pileupUp": {"pileup": "up"},
            "mu_IDDown": {"muon": "down"},
        }.items():
            expected = np.sum(plain["DYJetsToLL"].weights(category, **shifts))
            assert found[label] == pytest.approx(expected, rel=1e-6)
    assert sums["all"]["DYJetsToLL"]["DYJetsToLL"]["pileupUp"] != pytest.approx(
        sums["all"]["DYJetsToLL"]["DYJetsToLL"]["nominal"], rel=1e-4
    )
    assert "mu_IsoUp" in sums["hard"]["DYJetsToLL"]["DYJetsToLL"]
    assert "mu_IsoUp" not in sums["all"]["DYJetsToLL"]["DYJetsToLL"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_histograms_are_those_of_plain_awkward(
    ran: dict[str, AnalysisResult], plain: dict[str, Plain], spelling: str
) -> None:
    for name, one in plain.items():
        found = ran[spelling].output["variables"]["mu_pt"][name][name]
        for category, mask in one.masks.items():
            muons = one.muons.pt[mask]
            weights = np.repeat(one.weights(category), ak.to_numpy(ak.num(muons)))
            expected, _ = np.histogram(
                ak.to_numpy(ak.flatten(muons)), bins=20, range=(0, 200), weights=weights
            )
            where = {"cat": category}
            if "variation" in found.axes.name:
                where["variation"] = "nominal"
            np.testing.assert_allclose(found[where].values(), expected, rtol=1e-6)
            assert expected.sum() > 0


def test_every_key_has_its_notice(written: Write, caplog: pytest.LogCaptureFixture) -> None:
    analysis = load_config(written("code"))
    said = [one.removeprefix("config_code.py: ") for one in caplog.messages]
    assert said != caplog.messages
    for key in (
        *("dataset.campaign '2018_UL'", "dataset.jsons", "dataset.filter", "preselections"),
        *("categories", "weights: simulation is weighed by genWeight"),
        *("weights.common.inclusive['lumiMask']", "weights.common.inclusive['PU']"),
        "weights.common.inclusive['LSF']['mu_ID 2018_UL']",
        "weights.common.bycategory['hard']['LSF']['mu_Iso 2018_UL']",
        "weights.bysample['DYJetsToLL'].inclusive['kfactor']",
        *("systematic.weights: variations of", "userconfig", "run_options.executor 'iterative'"),
        *("run_options.limit", "run_options.chunk", "run_options.retries", "output"),
        *("run_options workers, scaleout, mem_per_worker, walltime", "do_postprocessing"),
    ):
        assert sum(one.startswith(key) for one in said) == 1, key
    assert "Data are SingleMuon; simulation DYJetsToLL, TTTo2L2Nu" in "".join(said)
    assert analysis.output == Path("hists_toy")
    assert analysis.samples == ("DYJetsToLL", "SingleMuon")


def test_run_options_are_defaults_that_can_be_overridden(written: Write) -> None:
    analysis = load_config(written("code"))
    assert analysis.run_options == {
        **{"executor": "sync", "limit_files": 1, "partition_size": 170, "retries": 20}
    }
    given = Settings.of({"executor": "threads", "limit_files": None}, analysis)
    assert (given.executor, given.limit_files, given.partition_size) == ("threads", 1, 170)
    assert Settings.of({"limit_files": 2}, analysis).limit_files == 2
    assert analysis.filtered(samples=["DYJetsToLL"]).run_options == analysis.run_options


def test_weights_are_shown_in_a_table(written: Write) -> None:
    analysis = load_config(written("code"))
    rows = {(row["sample"], row["categories"]): row["weights"] for row in analysis.rules.table()}
    assert rows["TTTo2L2Nu", "all, barrel"] == "genWeight, pileup, mu_ID"
    assert rows["TTTo2L2Nu", "hard"] == "genWeight, pileup, mu_ID, mu_Iso"
    barrel = rows["DYJetsToLL", "barrel"]
    assert "kfactor_DYJetsToLL_barrel" in barrel.split(", ")
    assert "kfactor" not in barrel.split(", ")


def test_the_command_line_runs_it(written: Write, tmp_path: Path) -> None:
    config = written("code", str(tmp_path / "arrays"))
    words = ["run", "--cfg", str(config), "-o", str(tmp_path / "out"), "--no-progress"]
    done = CliRunner().invoke(cli, [*words, "--filter-samples", "DY*"])
    assert done.exit_code == 0, done.output
    output = load(str(tmp_path / "out" / "output_all.coffea"))
    hard = output["cutflow"]["hard"]["DYJetsToLL"]["DYJetsToLL"]["nominal"]
    files = list((tmp_path / "arrays" / "DYJetsToLL" / "hard").rglob("*.parquet"))
    assert sum(len(ak.from_parquet(one)) for one in files) == hard > 0


def test_a_configuration_of_a_whole_year(folder: Path) -> None:
    source = folder / "metadata" / "toy.json"
    files = dict(enumerate(json.loads(source.read_text()).values()))
    jsons = [
        {"gchcWW2L2Nu_4f": files[0]},
        {"TTTo2L2Nu": files[1], "MuonEG_Run2017B-UL2017_MiniAODv2_NanoAODv9-v1": files[2]},
    ]
    emu = "Mu23_TrkIsoVVL_Ele12_CaloIdL_TrackIdL_IsoVL"
    lepton_weights = {
        "ele_ID 2017": "wp90iso",
        "ele_Reco 2017": "RecoAbove20",
        "ele_Reco_low 2017": "RecoBelow20",
        "mu_Reco 2017_UL": "NUM_TrackerMuons_DEN_genTracks",
        "mu_ID 2017_UL": "NUM_TightID_DEN_TrackerMuons",
    }
    jets = {"lumiMask": "Cert_294927-306462_13TeV_UL2017_Collisions17_GoldenJSON.txt", "PU": None}
    inclusive = {**jets, "JME": "jec_compiled.pkl.gz", "LSF": lepton_weights}
    cfg = {
        "dataset": {"jsons": jsons, "campaign": "2017_UL", "year": "2017"},
        "workflow": Good,
        "output": "MC_UL17",
        "run_options": {
            **{"executor": "parsl/condor/naf_lite", "workers": 2, "scaleout": 500, "retries": 20},
            **{"walltime": "03:00:00", "mem_per_worker": 2, "chunk": 150_000, "sample_size": 150},
            **{"skipbadfiles": True},
        },
        "categories": {"cats": [], "cats2": ["emuhlt"]},
        "preselections": {"mu1hlt": ["IsoMu27"], "e1hlt": ["Ele35_WPTight_Gsf"], "emuhlt": [emu]},
        "weights": {"common": {"inclusive": inclusive}},
        "systematic": {"JERC": "split", "weights": True},
        "userconfig": {"export_array": False, "BDT": {"json": "m.json", "binning": {"SR": [0, 1]}}},
    }
    sections, _ = translated(cfg, folder)
    analysis = Analysis(**sections)
    assert [cut.name for cut in analysis.skim] == ["golden_json_lumi"]
    assert analysis.preselections[0].params["paths"] == ["IsoMu27", "Ele35_WPTight_Gsf", emu]
    assert analysis.categories.cuts("cats2")[0].params["paths"] == [emu]
    simulated = [row for row in analysis.rules.table() if not row["sample"].startswith("MuonEG")]
    varied = "pileup, ele_ID, ele_Reco, ele_Reco_low, mu_Reco, mu_ID"
    assert [row["weights"] for row in simulated] == [f"genWeight, {varied}"] * 2
    assert {(row["varied"], row["shapes"]) for row in simulated} == {(varied, "jet_calibration")}
    assert list(analysis.calibrators) == ["jet_calibration"]
    assert analysis.workflow_options == cfg["userconfig"]
    data = analysis.fileset["MuonEG_Run2017B-UL2017_MiniAODv2_NanoAODv9-v1"].metadata
    assert (data["isMC"], data["era"], data["primaryDataset"]) == (False, "B", "MuonEG")


# -- what is refused -------------------------------------------------------------------------------


class Good(Workflow):
    def apply_object_preselection(self, variation: str) -> None:
        del variation


@pytest.fixture
def cfg(folder: Path) -> dict[str, Any]:
    """A configuration as small as there is."""
    source = str(folder / "metadata" / "toy.json")
    dataset = {"jsons": source, "campaign": "UL18", "year": 2018}
    return {"dataset": dataset, "workflow": Good, "output": "out", "run_options": {}}


def sections_of(cfg: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return translated({**cfg, **changes}, Path.cwd())[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"catagories": {}}, r"'catagories' is no key\. Did you mean 'categories'"),
        ({"run_options": {"chunks": 1}}, r"'chunks' is no key in run_options\. Did you mean 'chun"),
        ({"systematic": {"JEC": True}}, r"'JEC' is no key in systematic\. Did you mean 'JERC'"),
        (
            {"weights": {"common": {"inclusiv": {}}}},
            r"'inclusiv' is no key in weights\.common\. Did you mean 'inclusive'",
        ),
        ({"systematics": {}, "systematic": {}}, "two spellings of the same: keep 'systematic'"),
        ({"userconfig": {"systematics": {"JERC": True}}}, r"move it to cfg\['systematic'\]"),
        ({"weights": {"common": {"inclusive": {"BTV": {"deepJet": "shape"}}}}}, "b-tagging"),
        ({"weights": {"common": {"inclusive": {"PUU": None}}}}, r"Did you mean 'PU'"),
        ({"weights": {"common": {"inclusive": {"XS": "x.json"}}}}, "takes no value"),
        (
            {"weights": {"bysample": {"DY": {"inclusive": {"PU": None}}}}},
            r"names sample 'DY', which does not exist",
        ),
        (
            {"weights": {"common": {"bycategory": {"SR": {"PU": None}}}}},
            r"names category 'SR', which does not exist",
        ),
        ({"systematic": {"JERC": True}}, "no weights have JME"),
        ({"systematic": {"weights": True}, "variations": {}}, "keep one of them"),
        ({"userconfig": {"export_array": True}}, "cfg has none: add 'columns'"),
        ({"export_array": True, "columns": {"common": {"inclusive": []}}}, "cfg has none: add"),
        ({"userconfig": {"a": 1}, "workflow_options": {"a": 2}}, "'a' both"),
        ({"only": "DY*", "dataset": {"filter": {"datasets": "TT*"}}}, "only and dataset.filter"),
    ],
)
def test_mistakes_are_named(cfg: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    if "dataset" in changes:
        changes = {**changes, "dataset": {**cfg["dataset"], **changes["dataset"]}}
    with pytest.raises(InputError, match=said):
        sections_of(cfg, **changes)


def test_processors_of_coffea_are_told_what_to_move(cfg: dict[str, Any]) -> None:
    class NanoProcessor(ProcessorABC):  # type: ignore[misc]  # coffea is not typed
        def process(self, events: Any) -> Any:
            return events

        def postprocess(self, accumulator: Any) -> Any:
            return accumulator

    with pytest.raises(InputTypeError, match=r"a processor of coffea.*apply_object_preselection"):
        sections_of(cfg, workflow=NanoProcessor)
    with pytest.raises(InputTypeError, match="no workflow"):
        sections_of(cfg, workflow="test_wf")
    with pytest.raises(InputTypeError, match="categories are a list"):
        sections_of(cfg, categories=["a"])


def test_triggers_of_all_preselections_are_alternatives(cfg: dict[str, Any]) -> None:
    presel = {"mu": ["IsoMu24", "IsoMu27"], "e": ["Ele32_WPTight_Gsf"], "njet": "nJet > 1"}
    made = sections_of(cfg, preselections=presel)
    first, second = made["preselections"]
    assert first.params["paths"] == ["IsoMu24", "IsoMu27", "Ele32_WPTight_Gsf"]
    assert second.name == "nJet > 1"
    made = sections_of(cfg, preselections=["IsoMu24"], categories={"mu": ["nMuon == 1"]})
    assert [one.name for one in made["preselections"]] == ["HLT_trigger_IsoMu24"]
    assert made["categories"] == {"mu": ["nMuon == 1"]}


def test_normalisation(cfg: dict[str, Any]) -> None:
    assert sections_of(cfg)["do_postprocessing"] is False
    weights = {"common": {"inclusive": ["genWeight", "XS", "lumi"]}}
    assert sections_of(cfg, weights=weights)["do_postprocessing"] is True
    made = sections_of(cfg, weights=weights, do_postprocessing=False)
    assert made["do_postprocessing"] is False


def test_only_is_a_filter(cfg: dict[str, Any]) -> None:
    assert sections_of(cfg, only="DY*")["datasets"]["filter"]["datasets"] == ("DY*",)
    assert sections_of(cfg, only="")["datasets"]["filter"]["datasets"] is None


def test_all_mistakes_are_told_at_once(cfg: dict[str, Any]) -> None:
    inclusive = {
        **{"BTV": {"deepJet": "shape"}, "PU": "gone.root", "kfactor": "1.5", "roccor": None},
        "LSF": {"mu_ID": "tight", "mu_HLT 2018_UL": "NUM_IsoMu24", "mu_Iso 2018_UL": "NUM_x"},
    }
    changes = {
        **{"catagories": {}, "workflow": "test_wf", "preselections": ["nMuon >"]},
        **{"run_options": {"index": "25,0"}, "only": "DY*", "systematic": {"JERC": True}},
        "weights": {
            "common": {"inclusive": inclusive, "bycategory": {"SR": {"XS": "x"}}},
            "bysample": {"DY": {}},
        },
        "dataset": {**cfg["dataset"], "jsons": [cfg["dataset"]["jsons"], "gone.json"]},
    }
    with pytest.raises(InputError) as told:
        sections_of(cfg, **changes)
    lines = str(told.value).split("\n- ")
    assert lines[0] == "The configuration cannot be used:"
    said = [
        *("'catagories' is no key", "workflow is 'test_wf'", "nMuon >", "run_options.index"),
        *("systematic.JERC is True", "There is no fileset", "names sample 'DY'"),
        *("names category 'SR'", "['BTV']", "gone.root", "'1.5', a text", "'roccor'", "['mu_ID']"),
        "['mu_HLT 2018_UL']",
    ]
    for words in said:
        assert sum(words in line for line in lines) == 1, words
    assert len(lines) == 1 + len(said)


def test_one_mistake_is_raised_as_it_is(cfg: dict[str, Any]) -> None:
    with pytest.raises(FileError, match="There is no fileset"):
        sections_of(cfg, dataset={**cfg["dataset"], "jsons": "gone.json"})
    with pytest.raises(InputError, match="is not known"):
        sections_of(cfg, dataset={**cfg["dataset"], "campaign": "UL99"})
    with pytest.raises(InputTypeError, match=r"export_array'\] is \{'a': 1\}: write True, False"):
        sections_of(cfg, userconfig={"export_array": {"a": 1}})
