"""What several commands have."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from lazyana.cli.shared import aligned, names, refuse_existing
from lazyana.errors import OutputExistsError


def test_names_are_separated_by_commas() -> None:
    assert names(None, None, "a, b,,c ") == ("a", "b", "c")
    assert names(None, None, None) is None
    for nothing in ("", ","):
        with pytest.raises(click.BadParameter, match="names nothing"):
            names(None, None, nothing)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "output"
    refuse_existing(folder, overwrite=False)
    folder.mkdir()
    refuse_existing(folder, overwrite=False)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        refuse_existing(folder, overwrite=False)
    refuse_existing(folder, overwrite=True)


def test_rows_are_aligned() -> None:
    rows = [("name", "number"), ("a", "1"), ("long name", "12")]
    assert aligned(rows, left=1) == ["name       number", "a               1", "long name      12"]
