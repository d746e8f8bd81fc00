"""Catalog files: the archive, apart from what is in it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lazyana.data.catalogfile import is_catalog, read, write
from lazyana.errors import FileError, OutputExistsError

MEMBERS = [("layouts/a", b"one"), ("files/0", b"\x00\x01" * 5000), ("files/1", b"")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "new" / "a.catalog", {"more": [1]}, MEMBERS, overwrite=False)


def test_members_lie_where_it_says(file: Path) -> None:
    path, header, places = read(file)
    assert (path, header["more"]) == (file, [1])
    content = file.read_bytes()
    assert {n: content[at : at + size] for n, (at, size) in places.items()} == dict(MEMBERS)
    with zipfile.ZipFile(file) as archive:  # for other tools, too
        assert archive.testzip() is None
        assert json.loads(archive.read("catalog.json"))["format"] == "lazyana-catalog"


def test_catalogs_are_told_by_their_first_bytes(file: Path, tmp_path: Path) -> None:
    assert is_catalog(file)
    assert is_catalog(str(file))
    other = tmp_path / "other.catalog"
    for content in (b"", b"root" + bytes(90), b"{}"):
        other.write_bytes(content)
        assert not is_catalog(other)
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("result.json", "{}")
    assert not is_catalog(other)
    assert not is_catalog(tmp_path)
    assert not is_catalog(tmp_path / "none")


def test_nothing_is_overwritten_unless_asked(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        write(file, {}, [], overwrite=False)
    assert file.read_bytes() == before
    write(file, {}, [], overwrite=True)
    assert read(file)[2] == {}
    with pytest.raises(FileError, match="is a folder"):
        write(file.parent, {}, [], overwrite=True)


def test_a_failure_leaves_the_old_file(file: Path) -> None:
    before = file.read_bytes()

    def members() -> Any:
        yield MEMBERS[0]
        msg = "the second one cannot be made"
        raise FileError(msg)

    with pytest.raises(FileError, match="the second one"):
        write(file, {}, members(), overwrite=True)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"Cannot write .*Save it somewhere else"):
        write(tmp_path / "file" / "a.catalog", {}, [], overwrite=False)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short(share: float, file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileError, match=f"{file} is no catalog of lazyana, or it is damaged"):
        read(file)


def test_other_files(file: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"There is no file .*none\.catalog"):
        read(tmp_path / "none.catalog")
    with pytest.raises(FileError, match="cannot be read"):
        read(tmp_path)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("result.json", "{}")
    with pytest.raises(FileError, match=r"it has no catalog\.json"):
        read(file)
    with zipfile.ZipFile(file, "w") as archive:
        header = {"format": "lazyana-catalog", "version": 99, "lazyana": "7.0"}
        archive.writestr("catalog.json", json.dumps(header))
    with pytest.raises(FileError, match=r"version 99, written by lazyana 7\.0"):
        read(file)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("catalog.json", json.dumps({"format": "lazyana-catalog", "version": 1}))
        archive.writestr("files/0", b"0" * 100)
    with pytest.raises(FileError, match="is damaged"):
        read(file)
