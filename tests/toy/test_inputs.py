from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from lazyana.analysis.datasets import Filter, kept, load_datasets
from lazyana.errors import FileError
from lazyana.toy.corrections import toy_parameters, write_corrections
from lazyana.toy.inputs import write_fileset, write_inputs


def test_what_is_written(tmp_path: Path, toy_files: dict[str, Any]) -> None:
    write_corrections(tmp_path / "corrections")
    written = write_inputs(tmp_path, toy_files, tmp_path / "corrections")
    assert {key: path.relative_to(tmp_path).as_posix() for key, path in written.items()} == {
        "DYJetsToLL": "datasets/DYJetsToLL_M-50.json",
        "TTTo2L2Nu": "datasets/TTTo2L2Nu.json",
        "SingleMuon": "datasets/DATA_SingleMuon.json",
        "parameters": "params/sample.yaml",
    }
    parameters = written.pop("parameters")
    lumi = toy_files["SingleMuon"]["metadata"]["lumi"]
    expected = toy_parameters(tmp_path / "corrections", luminosity=lumi)
    assert OmegaConf.to_container(OmegaConf.load(parameters)) == expected
    datasets = kept(load_datasets(list(written.values())), Filter()).datasets
    assert [one.name for one in datasets] == [
        "DYJetsToLL_M-50_2018",
        "TTTo2L2Nu_2018",
        "DATA_SingleMuon_2018_EraA",
    ]
    assert [one.metadata["isMC"] for one in datasets] == [True, True, False]
    assert [len(one.files) for one in datasets] == [2, 2, 2]


def test_metadata_are_text(tmp_path: Path) -> None:
    metadata = {"sample": "DY", "year": 2018, "is_mc": True, "xsec": 6077.22}
    path = write_fileset(tmp_path, "DY", ["dy.root"], metadata)
    assert json.loads(path.read_text()) == {
        "DY_2018": {
            "metadata": {"sample": "DY", "year": "2018", "isMC": "True", "xsec": "6077.22"},
            "files": ["dy.root"],
        }
    }


def test_corrections_that_are_missing(tmp_path: Path, toy_files: dict[str, Any]) -> None:
    with pytest.raises(FileError, match="write_corrections"):
        write_inputs(tmp_path, toy_files, tmp_path / "corrections")
