from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import pytest
import uproot

from lazyana.errors import FileError, InputError, InputTypeError
from lazyana.sinks.pieces import look_at, plan_merge
from lazyana.sinks.skimorigin import write_rows


def written(path: Path) -> Path:
    with uproot.recreate(path) as file:
        write_rows(
            file, "Events", {"event": ak.Array([1, 2, 3]), "Jet_pt": ak.Array([[1.5], [], []])}
        )
    return path


def test_what_a_file_holds(tmp_path: Path) -> None:
    (piece,) = look_at([written(tmp_path / "a.root")])
    assert (piece.url, piece.entries) == (str(tmp_path / "a.root"), 3)
    assert {one.name: (one.dtype, one.counter) for one in piece.branches} == {
        "event": ("int64", ""),
        "Jet_pt": ("float64", "nJet_pt"),
    }
    assert piece.bytes > 3 * 8


@pytest.mark.parametrize("limit", [{"max_files": 0}, {"max_events": -1}])
def test_limits_below_one(limit: dict[str, int]) -> None:
    with pytest.raises(InputError, match="1 or more"):
        plan_merge([], **limit)


@pytest.mark.parametrize("limit", [True, 2.5, "3"])
def test_limits_are_numbers(limit: Any) -> None:
    with pytest.raises(InputTypeError, match="whole number"):
        plan_merge([], max_files=limit)


def test_files_that_do_not_do(tmp_path: Path) -> None:
    path = written(tmp_path / "a.root")
    for files, match in (
        ([], "no files"),
        ([path, path], "there twice"),
    ):
        with pytest.raises(InputError, match=match):
            look_at(files)
    with pytest.raises(InputTypeError, match="list of files"):
        look_at(str(path))
    with pytest.raises(FileError, match="There is no file"):
        look_at([tmp_path / "none.root"])
    (tmp_path / "text.root").write_text("text")
    with pytest.raises(FileError, match="cannot be opened"):
        look_at([tmp_path / "text.root"])
    with pytest.raises(FileError, match=r"Did you mean 'Events'\?"):
        look_at([path], tree="Event")


def test_what_cannot_be_merged_is_named(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "text.root") as file:
        file.mktree("Events", {"name": "string"}).extend({"name": ["a", "b"]})
    with pytest.raises(InputError, match=r"'name' of .*only numbers"):
        look_at([tmp_path / "text.root"])
