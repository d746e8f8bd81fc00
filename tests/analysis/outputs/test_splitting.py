from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coffea.util import load, save

from lazyana.analysis.outputs.merging import merge_outputs
from lazyana.analysis.outputs.splitting import split_output
from lazyana.errors import InputError, OutputExistsError

DY, DATA = "DYJetsToLL_M-50_2018", "DATA_SingleMuon_2018_EraA"
TARGETS = {DY: "DYJetsToLL", DATA: "DATA_SingleMuon"}


@pytest.fixture
def whole(written: Path) -> Path:
    return written / "whole" / "output_all.coffea"


def test_by_dataset(whole: Path, tmp_path: Path) -> None:
    files = split_output(whole, tmp_path, "dataset")
    assert files == {name: tmp_path / f"output_all_{name}.coffea" for name in (DY, DATA)}
    part, everything = load(str(files[DATA])), load(str(whole))
    assert set(part) == set(everything)
    assert part["sum_genweights"] == part["sumw"] == part["divided_by"] == {}
    assert part["cutflow"]["initial"] == {DATA: everything["cutflow"]["initial"][DATA]}
    assert set(part["variables"]) == {"met", "counts"}
    assert set(part["variables"]["met"]) == {"DATA_SingleMuon"}
    assert (
        set(part["datasets_metadata"]["by_dataset"]) == set(part["provenance"]["files"]) == {DATA}
    )
    assert part["datasets_metadata"]["by_datataking_period"] == {
        "2018": {"DATA_SingleMuon": [DATA]}
    }
    merged = merge_outputs(files.values(), tmp_path / "merged.coffea")
    again = load(str(merged.path))
    for name in (DY, DATA):
        one, two = (o["variables"]["met"][TARGETS[name]][name] for o in (again, everything))
        assert one == two
    assert again["cutflow"] == everything["cutflow"]
    assert again["n_minus_one"] == everything["n_minus_one"]


def test_by_sample_and_year(whole: Path, tmp_path: Path) -> None:
    assert set(split_output(whole, tmp_path, "sample")) == set(TARGETS.values())
    files = split_output(whole, tmp_path, "year")
    part, everything = load(str(files["2018"])), load(str(whole))
    assert part["cutflow"] == everything["cutflow"]
    assert part["variables"] == everything["variables"]


def test_by_histogram(whole: Path, tmp_path: Path) -> None:
    files = split_output(whole, tmp_path, "variable")
    assert set(files) == {"met", "counts", "only", "columns"}
    part, everything = load(str(files["met"])), load(str(whole))
    assert part["variables"] == {"met": everything["variables"]["met"]}
    assert part["columns"] == {}
    assert part["sumw"] == everything["sumw"]
    columns = load(str(files["columns"]))
    assert columns["variables"] == {}
    assert set(columns["columns"]) == set(TARGETS.values())


def test_by_category(whole: Path, tmp_path: Path) -> None:
    files = split_output(whole, tmp_path, "category")
    assert set(files) == {"baseline", "jets", "none"}
    part, everything = load(str(files["jets"])), load(str(whole))
    assert set(part["cutflow"]) == {"initial", "skim", "presel", "jets"}
    assert part["cutflow"]["jets"] == everything["cutflow"]["jets"]
    assert set(part["sumw"]) == {"jets"}
    assert set(part["columns"]["DYJetsToLL"][DY]) == {"jets"}
    for name, target in (("met", "DYJetsToLL"), ("counts", "DYJetsToLL"), ("only", "DYJetsToLL")):
        one, two = (o["variables"][name][target][DY] for o in (part, everything))
        assert list(one.axes["cat"]) == ["jets"]
        where: Any = {"cat": "jets"}
        assert one.name == two.name
        np.testing.assert_array_equal(one[where].view(flow=True), two[where].view(flow=True))
    assert load(str(files["none"]))["columns"] == {}


def test_mistakes(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'category'"):
        split_output(whole, tmp_path, "categori")
    with pytest.raises(InputError, match=r"give .*output_all\.coffea, which is beside it"):
        split_output(whole.with_suffix(".lazyana"), tmp_path, "year")
    split_output(whole, tmp_path, "dataset")
    with pytest.raises(OutputExistsError):
        split_output(whole, tmp_path, "dataset")
    split_output(whole, tmp_path, "dataset", overwrite=True)


def test_real_outputs_of_coffearunner(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "plots" / "hists_ctag_Wc_sf_VV_Oct27.coffea"
    files = split_output(path, tmp_path, "dataset")
    assert len(files) == 3
    for name, file in files.items():
        assert list(load(str(file))) == [name]
    with pytest.raises(InputError, match="nothing to be split by year"):
        split_output(path, tmp_path, "year")


def test_names_are_names_of_files(tmp_path: Path) -> None:
    save({"/A/B/NANO": {"n": 1}}, str(tmp_path / "o.coffea"))
    files = split_output(tmp_path / "o.coffea", tmp_path, "dataset")
    assert files == {"/A/B/NANO": tmp_path / "o__A_B_NANO.coffea"}
