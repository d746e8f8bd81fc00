from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lazyana.analysis.config import Analysis
from lazyana.analysis.load import load_config
from lazyana.analysis.record import analysis_hash, output_path, skims_path, write_json
from lazyana.analysis.run import Settings

Make = Callable[..., Analysis]
DY = "DYJetsToLL_M-50_2018"


def test_hash_of_an_analysis(bare: Make, tmp_path: Path) -> None:
    one = bare()
    assert analysis_hash(one) == analysis_hash(bare())
    assert analysis_hash(one) == analysis_hash(one.filtered(datasets=[DY]))
    there, here = (bare(save_skimmed_files=tmp_path / name) for name in "ab")
    assert analysis_hash(there) == analysis_hash(here) != analysis_hash(one)
    for change in (
        {"skim": []},
        {"variables": {}},
        {"categories": {"baseline": [], "jets": [], "none": []}},
        {"workflow_options": {"x": 1}},
        {"do_postprocessing": False},
    ):
        assert analysis_hash(bare(**change)) != analysis_hash(one)


def test_hash_of_parameters(bare: Make, parameters: Any) -> None:
    other = parameters.copy()
    other.object_preselection = {**other.object_preselection, "Muon": {"pt": 99}}
    assert analysis_hash(bare(parameters=other)) != analysis_hash(bare())


def test_hash_of_what_is_asked_for(bare: Make) -> None:
    one = Settings().configuration(bare())
    assert Settings(executor="sync", partition_size=7).configuration(bare()) == one
    assert Settings(limit_files=2).configuration(bare()) == one  # there are two
    for settings in (Settings(limit_files=1), Settings(limit_partitions=1)):
        assert settings.configuration(bare()) != one
    assert Settings().configuration(bare().filtered(datasets=[DY])) != one


def test_objects_without_a_value_of_their_own(bare: Make) -> None:
    options = [{"model": object()} for _ in range(2)]
    assert len({analysis_hash(bare(workflow_options=one)) for one in options}) == 1


def test_n_minus_one_files(written: Path) -> None:
    folder = written / "whole"
    section = json.loads((folder / "n_minus_one.json").read_text())
    with (folder / "n_minus_one.csv").open() as file:
        rows = list(csv.DictReader(file))
    wanted = {"Selection": "presel", "Dataset": DY, "Variation": "pileupUp"}
    chosen = [row for row in rows if wanted.items() <= row.items()]
    expected = section["presel"][DY]["DYJetsToLL"]
    assert {row["Cuts"]: int(row["Events"]) for row in chosen} == {
        cut: values["pileupUp"]["events"] for cut, values in expected.items()
    }
    assert float(chosen[0]["Yield"]) == expected["all cuts"]["pileupUp"]["sumw"]


def test_names_of_files(tmp_path: Path) -> None:
    assert output_path(tmp_path, "/A/B").name == "output__A_B.coffea"
    assert skims_path(tmp_path).name == "skimmed_dataset_definition.json"


def test_json_is_written_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


CONFIG = """
from lazyana.analysis.config import Configurator
from lazyana.analysis.cuts import Cut
from lazyana.analysis.workflow import Workflow

class Mine(Workflow):
    limit = 3

def two(events, params): return events.nMuon == params["n"]

cfg = Configurator(
    workflow=Mine,
    parameters={"lumi": 1},
    datasets={"jsons": [{"DY": {"files": ["https://example.org/x.root"], "metadata":
        {"sample": "DY", "year": "2018", "isMC": True}}}]},
    preselections=[Cut("two", {"n": 2}, two)],
    workflow_options={"f": two, "s": {"a", "b", "c"}},
)
"""


def test_hash_is_the_same_in_every_process(tmp_path: Path) -> None:
    file = tmp_path / "hashed_config.py"
    file.write_text(CONFIG)
    code = (
        "from lazyana.analysis.load import load_config; "
        "from lazyana.analysis.record import analysis_hash; "
        f"print(analysis_hash(load_config({str(file)!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "5"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == analysis_hash(load_config(file))
    # nor does it matter where the file is
    moved = tmp_path / "elsewhere" / file.name
    moved.parent.mkdir()
    file.rename(moved)
    assert done.stdout.strip() == analysis_hash(load_config(moved))
