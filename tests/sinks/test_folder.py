from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import IO

import pyarrow as pa
import pytest

from lazyana.errors import InputError, OutputExistsError
from lazyana.sinks.folder import MANIFEST, Folder, absolute
from lazyana.sinks.parquet import COLUMNS, part_path, write_table

PART = part_path("DY", "nominal", "part-000000")


def content(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def written(url: str) -> Folder:
    folder = Folder(url)
    COLUMNS.prepare(folder, overwrite=False)
    write_table(folder, PART, pa.table({"x": [1, 2]}), "zstd")
    return folder


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    seen = []

    def write(file: IO[bytes]) -> None:
        file.write(b"abc")
        file.flush()
        seen.extend(content(tmp_path))

    assert Folder(str(tmp_path)).write("a/b.parquet", write) == 3
    assert content(tmp_path) == ["a/b.parquet"]
    assert len(seen) == 1
    # hidden from all readers: by its first letter for pyarrow, by its ending for awkward
    assert seen[0].startswith("a/.b.parquet.")
    assert not seen[0].endswith(".parquet")


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
def test_a_file_cut_short_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def write(file: IO[bytes]) -> None:
        file.write(b"abc")
        raise error

    with pytest.raises(type(error)):
        Folder(str(tmp_path)).write("a/b.parquet", write)
    assert content(tmp_path) == []


def test_a_file_cut_short_leaves_the_older_one(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.write("a", lambda file: file.write(b"old"))
    with pytest.raises(ZeroDivisionError):
        folder.write("a", lambda _: 1 / 0)
    assert (tmp_path / "a").read_bytes() == b"old"
    folder.write("a", lambda file: file.write(b"new"))
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("protocol", ["", "file://"])
def test_an_output_is_made_and_refused_and_replaced(tmp_path: Path, protocol: str) -> None:
    url = f"{protocol}{tmp_path}/out"
    folder = written(url)
    with pytest.raises(OutputExistsError, match="did not finish or is still running"):
        COLUMNS.check(folder, overwrite=False)
    COLUMNS.check(folder, overwrite=True)
    assert content(tmp_path / "out") == ["_unfinished.json", PART]
    COLUMNS.prepare(folder, overwrite=True)
    assert content(tmp_path / "out") == ["_unfinished.json"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["_unfinished.json"]


def test_an_output_may_be_in_memory() -> None:
    folder = written("memory://test_folder/out")
    assert set(folder.files()) == {"_unfinished.json", PART}
    COLUMNS.prepare(folder, overwrite=True)
    assert set(folder.files()) == {"_unfinished.json"}
    folder.remove(["_unfinished.json"])


def test_an_empty_directory_is_as_good_as_none(tmp_path: Path) -> None:
    COLUMNS.check(Folder(str(tmp_path)), overwrite=False)
    COLUMNS.check(Folder(str(tmp_path / "absent")), overwrite=False)
    assert content(tmp_path) == []


@pytest.mark.parametrize("name", ["notes.txt", "_manifest.json", "_unfinished.json"])
@pytest.mark.parametrize("text", ["{}", "no JSON"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_directory_of_others_is_not_touched(
    tmp_path: Path, name: str, text: str, overwrite: bool
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(OutputExistsError, match="holds no columns written by lazyana"):
        COLUMNS.prepare(Folder(str(tmp_path)), overwrite=overwrite)
    assert content(tmp_path) == [name]


def test_a_file_of_others_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "thesis.tex"
    path.write_text("all of it")
    with pytest.raises(OutputExistsError, match="is a file"):
        COLUMNS.prepare(Folder(str(path)), overwrite=True)
    assert path.read_text() == "all of it"


def test_files_of_others_inside_an_output_stay(tmp_path: Path) -> None:
    folder = written(str(tmp_path))
    others = ["dataset=DY/notes.txt", "dataset=DY/variation=nominal/plot.png", "part-1.parquet"]
    for name in others:
        (tmp_path / name).write_text("mine")
    COLUMNS.prepare(folder, overwrite=True)
    assert content(tmp_path) == sorted([*others, "_unfinished.json"])


def test_remains_of_killed_tasks_are_removed(tmp_path: Path) -> None:
    folder = written(str(tmp_path))
    (tmp_path / PART).with_name(".part-000001.parquet.0123.tmp").write_bytes(b"PAR1")
    COLUMNS.prepare(folder, overwrite=True)
    assert content(tmp_path) == ["_unfinished.json"]


def test_a_manifest_makes_an_output_complete_whatever_else_is_there(tmp_path: Path) -> None:
    folder = written(str(tmp_path))
    folder.write_json(MANIFEST, COLUMNS.mark)
    assert COLUMNS.condition(folder) == "complete"
    with pytest.raises(OutputExistsError, match="holds columns already"):
        COLUMNS.check(folder, overwrite=False)


@pytest.mark.parametrize("url", ["simplecache::memory://x", "nosuch://x", "memory://a::file://b"])
def test_a_place_that_cannot_be_written_to_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="cannot write to"):
        COLUMNS.check(Folder(url), overwrite=False)


def test_a_read_only_file_system_is_refused(tmp_path: Path) -> None:
    class ReadOnly(Folder):
        def write_json(self, relative: str, content: object) -> None:
            raise NotImplementedError

    with pytest.raises(InputError, match="can only be read"):
        COLUMNS.prepare(ReadOnly(str(tmp_path)), overwrite=False)


def test_a_folder_travels_as_its_url(tmp_path: Path) -> None:
    folder = written(str(tmp_path))
    copy = pickle.loads(pickle.dumps(folder))
    assert copy == folder
    assert copy.files() == folder.files()


def test_local_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("out") == str(Path.cwd() / "out")
    assert absolute(Path("out")) == str(Path.cwd() / "out")
    assert absolute("~/out") == str(Path.home() / "out")
    assert absolute("root://host//store/x") == "root://host//store/x"


def test_json_is_strict(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Folder(str(tmp_path)).write_json("x.json", float("nan"))
    Folder(str(tmp_path)).write_json("x.json", {"a": 1})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}
    assert content(tmp_path) == ["x.json"]
