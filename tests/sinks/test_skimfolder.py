from __future__ import annotations

import json
from pathlib import Path

import pytest

from lazyana.errors import FileError, InputError, OutputExistsError, RunError
from lazyana.sinks.folder import MANIFEST, UNFINISHED, Folder
from lazyana.sinks.skimfolder import (
    SKIMS,
    Skim,
    SkimFile,
    complete,
    known,
    open_skim,
    skim_path,
)


def written(folder: Folder, dataset: str, name: str, sumw: float | None = 1.5) -> SkimFile:
    path = skim_path(dataset, name)
    size = folder.write(path, lambda file: file.write(name.encode()))
    return SkimFile(path, 3, 10, size, sumw, None, ("a.root",))


@pytest.fixture
def skim(tmp_path: Path) -> Skim:
    folder = Folder(str(tmp_path / "skim"))
    SKIMS.prepare(folder, overwrite=False)
    files = [written(folder, "DY to/LL", "000000"), written(folder, "DY to/LL", "000001", 0.25)]
    manifest = complete(folder, {"DY to/LL": files, "empty": []}, {"DY to/LL": {"xsec": 2.0}})
    return Skim(folder.url, manifest)


def test_what_a_skim_tells(skim: Skim) -> None:
    assert skim.datasets == ("DY to/LL", "empty")
    assert skim.events == {"DY to/LL": 6, "empty": 0}
    assert skim.summary("DY to/LL")["sumw"] == 1.75
    assert skim.summary("DY to/LL")["entries"] == 20
    assert skim.summary("DY to/LL")["sum_signs"] is None
    assert skim.summary("empty")["sumw"] is None
    assert skim.fileset["DY to/LL"]["metadata"] == {"xsec": 2.0}
    assert all(Path(path).is_file() for path in skim.files["DY to/LL"])
    assert list(skim.fileset["DY to/LL"]["files"].values()) == ["Events", "Events"]
    with pytest.raises(InputError, match="Did you mean 'empty'"):
        skim.summary("empt")


def test_open_again(skim: Skim) -> None:
    stamped = skim.stamp({"lazyana": "1"})
    again = open_skim(skim.path)
    assert again == stamped
    assert again.provenance == {"lazyana": "1"}


def test_metadata_become_json(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    manifest = complete(folder, {"a": []}, {"a": {"path": Path("x")}})
    assert manifest["datasets"]["a"]["metadata"] == {"path": "x"}


def test_conditions(skim: Skim, tmp_path: Path) -> None:
    folder = Folder(skim.path)
    assert SKIMS.condition(folder) == "complete"
    SKIMS.check(folder, overwrite=True)
    with pytest.raises(OutputExistsError, match="holds skims already"):
        SKIMS.check(folder, overwrite=False)
    (Path(skim.path) / "notes.txt").write_text("mine")
    SKIMS.prepare(folder, overwrite=True)
    assert SKIMS.condition(folder) == "unfinished"
    assert {path.name for path in Path(skim.path).iterdir()} == {UNFINISHED, "notes.txt"}
    with pytest.raises(OutputExistsError, match="did not finish"):
        SKIMS.check(folder, overwrite=False)
    with pytest.raises(FileError, match="did not finish"):
        open_skim(skim.path)
    with pytest.raises(OutputExistsError, match="never overwritten"):
        SKIMS.check(Folder(str(tmp_path)), overwrite=True)
    with pytest.raises(OutputExistsError, match="is a file"):
        SKIMS.check(Folder(str(tmp_path / "skim" / "notes.txt")), overwrite=True)
    assert SKIMS.condition(Folder(str(tmp_path / "none"))) == "absent"


def test_a_manifest_of_something_else_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"format": "lazyana columns"}')
    with pytest.raises(OutputExistsError, match="no skims written by lazyana"):
        SKIMS.check(Folder(str(tmp_path)), overwrite=True)
    (tmp_path / MANIFEST).write_text("no json")
    with pytest.raises(FileError, match="not a directory of skims"):
        open_skim(tmp_path)


def test_a_later_version_is_refused(skim: Skim) -> None:
    path = Path(skim.path) / MANIFEST
    path.write_text(json.dumps({**skim.manifest, "version": 99}))
    with pytest.raises(FileError, match="version 99"):
        open_skim(skim.path)


def test_files_that_changed(skim: Skim) -> None:
    Path(skim.files["DY to/LL"][1]).write_text("longer than before")
    with pytest.raises(FileError, match=r"skim-000001\.root"):
        open_skim(skim.path)


def test_complete_checks_and_cleans(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    SKIMS.prepare(folder, overwrite=False)
    one, old = written(folder, "a", "000000"), written(folder, "a", "000007")
    with pytest.raises(RunError, match="1 of 2 files"):
        complete(folder, {"a": [one, SkimFile("a/skim-000001.root", 1, 1, 5)]}, {})
    complete(folder, {"a": [one]}, {})
    assert not folder.exists(old.path)
    assert not folder.exists(UNFINISHED)


def test_a_read_only_file_system_is_refused(tmp_path: Path) -> None:
    class ReadOnly(Folder):
        def write_json(self, relative: str, content: object) -> None:
            raise NotImplementedError

    with pytest.raises(InputError, match="can only be read"):
        SKIMS.prepare(ReadOnly(str(tmp_path)), overwrite=False)


def test_only_numbers_are_known() -> None:
    assert known(float("nan")) is None
    assert known(None) is None
    assert known(2.0) == 2.0
