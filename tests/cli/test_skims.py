"""Merging skims from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import pytest
import uproot
from click.testing import Result

from lazyana.sinks.skimorigin import write_rows


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    """The fileset of a skim in two files."""
    files = []
    for number in range(2):
        path = tmp_path / "skims" / "Mu" / "Mu_2018" / f"skim-{number}.root"
        path.parent.mkdir(parents=True, exist_ok=True)
        with uproot.recreate(path) as file:
            write_rows(file, "Events", {"event": ak.Array([number, 7])})
        files.append(str(path))
    metadata = {"sample": "Mu", "year": "2018", "isMC": "False", "nevents": "4"}
    made = tmp_path / "skimmed_dataset_definition.json"
    made.write_text(json.dumps({"Mu_2018": {"files": files, "metadata": metadata}}))
    return made


def test_merge_and_check(invoke: Callable[..., Result], definition: Path, tmp_path: Path) -> None:
    words = ("hadd-skimmed-files", "-fl", definition, "-o", tmp_path / "merged", "-s", 1)
    dry = invoke(*words, "--dry")
    assert dry.exit_code == 0, dry.output
    assert "Mu_2018-000.root: 2 files, 4 events" in dry.output
    assert not (tmp_path / "merged").exists()
    before = invoke(*words, "--check")
    assert before.exit_code == 1
    assert "There is no file" in before.output
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    made = json.loads((tmp_path / "skimmed_dataset_definition_hadd.json").read_text())
    (path,) = made["Mu_2018"]["files"]
    assert uproot.open(path)["Events"]["event"].array().tolist() == [0, 7, 1, 7]
    assert "all their events" in invoke(*words, "--check").output
    assert "no such option" in invoke(*words, "--eventss", 3).output.lower()
