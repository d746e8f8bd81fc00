from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from lazyana.analysis.filecheck import checked_files, with_missing
from lazyana.data.fileset import Fileset


def write_tree(path: Path, entries: int, *branches: str) -> str:
    with uproot.recreate(path) as file:
        tree = file.mktree("Events", dict.fromkeys(branches, "float32"))
        tree.extend({name: np.ones(entries, "f4") for name in branches})
    return str(path)


@pytest.fixture
def folder(tmp_path: Path, toy_files: dict[str, Any]) -> Path:
    """Files that are right and files that are wrong."""
    right = next(iter(toy_files["DYJetsToLL"]["files"]))
    shutil.copy(right, tmp_path / "right.root")
    shutil.copy(right, tmp_path / "copy.root")
    (tmp_path / "broken.root").write_text("no ROOT file at all")
    write_tree(tmp_path / "empty.root", 0, "genWeight", "run")
    write_tree(tmp_path / "bare.root", 5, "run")
    return tmp_path


def of(fileset: dict[str, Any]) -> Any:
    return checked_files(Fileset.parse(with_missing(fileset)), executor="sync")


def test_nothing_is_wrong(toy_files: dict[str, Any]) -> None:
    found = of(toy_files)
    assert found.problems == ()
    assert set(found.catalog.files) == set(toy_files)
    assert all(len(files) == 2 for files in found.catalog.files.values())


def test_each_thing_that_is_wrong_is_told(folder: Path) -> None:
    names = ("right", "copy", "broken", "missing", "empty", "bare")
    files = [str(folder / f"{name}.root") for name in names]
    found = of(
        {
            "DY": {"files": files, "metadata": {"isMC": True}},
            "data": {"files": files[:1], "metadata": {"isMC": False}},
        }
    )
    told = [(one.dataset, [Path(url).stem for url in one.files]) for one in found.problems]
    assert told == [
        ("DY", ["broken"]),
        ("DY", ["missing"]),
        ("DY", ["right", "copy"]),
        ("data", ["right", "right"]),
        ("DY", ["empty"]),
        ("DY", ["bare"]),
        ("data", ["right"]),
    ]
    assert [one.harmless for one in found.problems] == [False] * 4 + [True, False, True]
    messages = [one.message for one in found.problems]
    assert "is no ROOT or parquet file" in messages[0]
    assert str(folder / "missing.root") in messages[1]
    assert "is a copy of" in messages[2]
    assert "is also in" in messages[3]
    assert "of simulation without genWeight" in messages[5]
    kept = [Path(file.url).stem for file in found.catalog.files["DY"]]
    assert kept == ["right", "copy", "empty", "bare"]


def test_of_a_dataset_nothing_may_be_readable(folder: Path) -> None:
    bad = [str(folder / "broken.root")]
    found = of({"bad": bad, "DY": [str(folder / "right.root")]})
    assert [one.dataset for one in found.problems] == ["bad", "bad"]
    assert "has no file that can be read" in found.problems[1].message
    assert found.catalog.files["bad"] == ()
    assert len(found.catalog.files["DY"]) == 1


def test_nothing_at_all_may_be_readable(folder: Path) -> None:
    found = of({"bad": [str(folder / "broken.root"), str(folder / "missing.root")]})
    messages = [one.message for one in found.problems]
    assert len(messages) == 3
    assert "is no ROOT or parquet file" in messages[0]
    assert "missing.root" in messages[1]


def test_missing_files_stay_in_a_fileset(folder: Path) -> None:
    path = folder / "fileset.json"
    metadata = {"isMC": "True", "sample": "DY"}
    files = {"right.root": "Events", "gone.root": "Events"}
    path.write_text(json.dumps({"DY": {"files": files, "metadata": metadata}}))
    (dataset,) = with_missing(str(path)).datasets
    assert [Path(url).name for url, _ in dataset.files] == ["right.root", "gone.root"]
    assert all(Path(url).parent == folder for url, _ in dataset.files)
    assert dict(dataset.metadata) == metadata
    again = with_missing({"DY": [[str(folder / "gone.root"), str(folder / "lost.root")]]})
    assert [url for url, _ in again.datasets[0].files] == [str(folder / "gone.root")]


def test_what_is_no_fileset_is_left_to_those_who_say_so(folder: Path) -> None:
    nowhere, wrong = folder / "nowhere.json", {"DY": {"fils": []}}
    assert with_missing(nowhere) == nowhere
    assert with_missing(wrong) is wrong
    twice = {"DY": ["gone.root", "gone.root"]}
    assert with_missing(twice) is twice
