from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lazyana.analysis.coffearunner.collected import Collected
from lazyana.analysis.coffearunner.datasets import CAMPAIGNS, campaign_of, datasets_of, placed
from lazyana.analysis.coffearunner.schema import Dataset
from lazyana.analysis.datasets import load_datasets
from lazyana.analysis.defaults import ERAS
from lazyana.errors import FileError, InputError, InputTypeError


def dataset(*jsons: Any, campaign: str = "2017_UL", year: str = "2017") -> Dataset:
    return Dataset.checked({"jsons": list(jsons), "campaign": campaign, "year": year})


def quiet(notice: str) -> None:
    assert notice


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file to name; nothing opens it."""
    path = tmp_path / "events.root"
    path.touch()
    return str(path)


def metadata_of(name: str, entry: Any, era: str = "2017") -> dict[str, Any]:
    found = datasets_of(dataset({name: entry}), Path.cwd(), era, quiet)
    return dict(load_datasets([found]).datasets[0].metadata)


@pytest.mark.parametrize(
    ("campaign", "year", "era"),
    [
        *(("2016preVFP_UL", "2016", "2016_PreVFP"), ("2016postVFP-UL", "2016", "2016_PostVFP")),
        *(("UL17", "2017", "2017"), ("2018_UL", "2018", "2018"), ("2018", "2018", "2018")),
        *(("Summer22EE", "2022", "2022_postEE"), ("summer23bpix", "2023", "2023_postBPix")),
        *(("Rereco17_94X", "2017", "2017"), ("Prompt25", "2025", "2025")),
    ],
)
def test_campaigns_are_eras(campaign: str, year: str, era: str) -> None:
    said: list[str] = []
    assert campaign_of(dataset("x.json", campaign=campaign, year=year), said.append).era == era
    assert repr(era) in said[0]


def test_every_campaign_is_of_a_known_era() -> None:
    assert {one.era for one in CAMPAIGNS.values()} == set(ERAS)
    old = CAMPAIGNS["Rereco17_94X"]
    assert old.golden_json is not None
    assert "294927-306462" in old.golden_json[1]
    assert not old.corrections


def test_campaigns_that_are_not_known() -> None:
    with pytest.raises(InputError, match=r"'2018_ULL', which is not known\. Did you mean '2018_UL"):
        campaign_of(dataset("x.json", campaign="2018_ULL", year="2018"), quiet)
    with pytest.raises(InputError, match=r"dataset\.year is '2018'.*is of 2017"):
        campaign_of(dataset("x.json", campaign="2017_UL", year="2018"), quiet)


def test_fileset_files_are_named() -> None:
    with pytest.raises(InputTypeError, match=r"dataset\.jsons holds 3: write the names of fileset"):
        datasets_of(dataset(3), Path.cwd(), "2018", quiet)
    empty = dataset("x.json").model_copy(update={"jsons": ()})
    with pytest.raises(InputError, match=r"dataset\.jsons is empty"):
        datasets_of(empty, Path.cwd(), "2018", quiet)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "MuonEG_Run2017B-UL2017_MiniAODv2_NanoAODv9-v1",
            {"isMC": False, "era": "B", "primaryDataset": "MuonEG"},
        ),
        ("/SingleMuon/Run2017F-UL/NANOAOD", {"isMC": False, "era": "F"}),
        ("SingleElectron", {"isMC": False, "primaryDataset": "SingleElectron"}),
        ("/DYJetsToLL_M-50/RunIISummer20UL17NanoAODv9-106X_mc2017/NANOAODSIM", {"isMC": True}),
        ("gchcWW2L2Nu_4f", {"isMC": True}),
        ("MuonEnriched_QCD", {"isMC": True}),
    ],
)
def test_names_say_what_is_data(name: str, expected: dict[str, Any], file: str) -> None:
    found = metadata_of(name, [file])
    assert found["sample"] == name
    assert found["year"] == "2017"
    assert {key: found.get(key) for key in expected} == expected
    assert ("primaryDataset" in found) is not expected["isMC"]


def test_metadata_that_are_written_count(file: str) -> None:
    written = {"isMC": "True", "xsec": "6077.22", "sample": "DY"}
    found = metadata_of("SingleMuon_Run2018A", {"files": [file], "metadata": written})
    assert found["isMC"] is True
    assert found["xsec"] == pytest.approx(6077.22)
    assert found["sample"] == "DY"
    assert "era" not in found
    found = metadata_of("DYJets", {"files": [file], "metadata": {"is_mc": False}})
    assert found["isMC"] is False


def test_data_of_another_year(file: str) -> None:
    with pytest.raises(InputError, match=r"'SingleMuon_Run2018A' is of 2018, dataset\.campaign of"):
        metadata_of("SingleMuon_Run2018A", [file])


def test_datasets_in_two_files(file: str, tmp_path: Path) -> None:
    other = tmp_path / "other.root"
    other.touch()
    same = datasets_of(dataset({"DY": [file]}, {"DY": [file]}), tmp_path, "2017", quiet)
    assert [one.name for one in same.datasets] == ["DY"]
    with pytest.raises(InputError, match=r"'DY' is in two fileset files of dataset\.jsons"):
        datasets_of(dataset({"DY": [file]}, {"DY": [str(other)]}), tmp_path, "2017", quiet)


def test_paths_are_looked_for_beside_the_configuration(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for folder, name in (("beside", "DY"), ("elsewhere", "TT")):
        (tmp_path / folder / "x.json").write_text(json.dumps({name: [file]}))
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = datasets_of(dataset("x.json"), tmp_path / "beside", "2017", quiet)
    assert found.datasets[0].name == "DY"
    (tmp_path / "beside" / "x.json").unlink()
    found = datasets_of(dataset("x.json"), tmp_path / "beside", "2017", quiet)
    assert found.datasets[0].name == "TT"
    assert placed(tmp_path, "beside") is None
    with pytest.raises(FileError, match="no fileset"):
        datasets_of(dataset("y.json"), tmp_path, "2017", quiet)


def test_filesets_of_real_analyses(real_data: Path) -> None:
    files = sorted((real_data / "filesets").glob("coffearunner_*.json"))
    given = dataset(*map(str, files), campaign="Summer23", year="2023")
    said: list[str] = []
    found = load_datasets([datasets_of(given, Path.cwd(), "2023_preBPix", said.append)])
    data = [one for one in found.datasets if not one.metadata["isMC"]]
    assert len(data) == len(json.loads(files[1].read_text()))
    assert {one.metadata["era"] for one in data} == {"C"}
    assert len(found.datasets) > len(data)


def test_files_may_be_where_the_program_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "events.root").touch()
    listed = tmp_path / "metadata" / "a.json"
    listed.write_text(json.dumps({"DY": ["events.root"]}))
    given = dataset("metadata/a.json")
    with pytest.raises(FileError, match="There is no file"):
        datasets_of(given, tmp_path, "2017", quiet)
    monkeypatch.chdir(tmp_path)
    (found,) = datasets_of(given, tmp_path / "config", "2017", quiet).datasets
    assert [url for url, _ in found.files] == [str(tmp_path / "events.root")]


def test_names_are_known_though_files_are_missing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"DY": ["gone.root"], "SingleMuon": ["b.root"]}))
    wrong = Collected()
    found = datasets_of(dataset("a.json", "b.json"), tmp_path, "2017", quiet, wrong.each)
    assert [(one.name, one.is_mc) for one in found.datasets] == [
        ("DY", True),
        ("SingleMuon", False),
    ]
    assert ["gone.root" in str(one) for one in wrong.errors] == [True, False]
    assert "There is no fileset" in str(wrong.errors[1])
