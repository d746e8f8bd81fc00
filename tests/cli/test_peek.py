"""The first events of files, from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import lazyana as la

pytestmark = pytest.mark.integration

Invoke = Callable[..., Result]


def test_values_of_a_file(invoke: Invoke, toy_files: dict[str, Any]) -> None:
    path = next(iter(toy_files["DYJetsToLL"]["files"]))
    done = invoke("peek", path, "nMuon", "Muon.pt", "-n", 3, "--where", "nMuon == 2")
    assert done.exit_code == 0, done.output
    place, head, _, *rows = done.output.splitlines()
    assert place.endswith(str(path))
    assert head.split() == ["nMuon", "Muon.pt"]
    assert [row.split()[:2] for row in rows] == [["0", "2"], ["1", "2"], ["2", "2"]]
    assert rows[0].split()[2].startswith("[")
    events = la.open(path)
    run = events.head(1, {"run": events.run}).run[0]
    assert str(run) in invoke("peek", path, "run", "-n", 1).output


def test_objects_of_a_configuration(invoke: Invoke, zmumu_folder: Path) -> None:
    words = ("peek", "--cfg", zmumu_folder / "example_config.py", "MuonGood.pt", "ll.mass")
    done = invoke(*words, "--dataset", "DYJetsToLL_M-50_2018", "-n", 2)
    assert done.exit_code == 0, done.output
    assert len(done.output.splitlines()) == 5
    typo = invoke("peek", "--cfg", zmumu_folder / "example_config.py", "MuonGod.pt")
    assert "Did you mean 'MuonGood'" in str(typo.exception)
    config = zmumu_folder / "example_config.py"
    file = invoke("peek", "--cfg", config, zmumu_folder / "workflow.py")
    assert "workflow.py is a file: with --cfg there are expressions only" in str(file.exception)


def test_wrong_words(invoke: Invoke, toy_files: dict[str, Any]) -> None:
    path = next(iter(toy_files["DYJetsToLL"]["files"]))
    assert "--cfg" in str(invoke("peek", path, "nMuon", "--all-events").exception)
    assert "name expressions" in str(invoke("peek", path).exception)
    assert "at least 1 event" in str(invoke("peek", path, "nMuon", "-n", 0).exception)
    assert invoke("peek").exit_code == 2
