from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lazyana.errors import InputError, OutputExistsError, RunError
from lazyana.sinks import parquet
from lazyana.sinks.parquet import Folder

PART = parquet.part_path("DY", "nominal", "part-000000")


def content(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def written(url: str) -> Folder:
    folder = Folder(url)
    parquet.prepare(folder, overwrite=False)
    parquet.write_table(folder, PART, pa.table({"x": [1, 2]}), "zstd")
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
        parquet.check(folder, overwrite=False)
    parquet.check(folder, overwrite=True)
    assert content(tmp_path / "out") == ["_unfinished.json", PART]
    parquet.prepare(folder, overwrite=True)
    assert content(tmp_path / "out") == ["_unfinished.json"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["_unfinished.json"]


def test_an_output_may_be_in_memory() -> None:
    folder = written("memory://test_parquet/out")
    assert set(folder.files()) == {"_unfinished.json", PART}
    parquet.prepare(folder, overwrite=True)
    assert set(folder.files()) == {"_unfinished.json"}
    folder.remove(["_unfinished.json"])


def test_an_empty_directory_is_as_good_as_none(tmp_path: Path) -> None:
    parquet.check(Folder(str(tmp_path)), overwrite=False)
    parquet.check(Folder(str(tmp_path / "absent")), overwrite=False)
    assert content(tmp_path) == []


@pytest.mark.parametrize("name", ["notes.txt", "_manifest.json", "_unfinished.json"])
@pytest.mark.parametrize("text", ["{}", "no JSON"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_directory_of_others_is_not_touched(
    tmp_path: Path, name: str, text: str, overwrite: bool
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(OutputExistsError, match="was not written by lazyana"):
        parquet.prepare(Folder(str(tmp_path)), overwrite=overwrite)
    assert content(tmp_path) == [name]


def test_a_file_of_others_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "thesis.tex"
    path.write_text("all of it")
    with pytest.raises(OutputExistsError, match="is a file"):
        parquet.prepare(Folder(str(path)), overwrite=True)
    assert path.read_text() == "all of it"


def test_files_of_others_inside_an_output_stay(tmp_path: Path) -> None:
    folder = written(str(tmp_path))
    others = ["dataset=DY/notes.txt", "dataset=DY/variation=nominal/plot.png", "part-1.parquet"]
    for name in others:
        (tmp_path / name).write_text("mine")
    parquet.prepare(folder, overwrite=True)
    assert content(tmp_path) == sorted([*others, "_unfinished.json"])


def test_remains_of_killed_tasks_are_removed(tmp_path: Path) -> None:
    folder = written(str(tmp_path))
    (tmp_path / PART).with_name(".part-000001.parquet.0123.tmp").write_bytes(b"PAR1")
    parquet.prepare(folder, overwrite=True)
    assert content(tmp_path) == ["_unfinished.json"]


def test_a_manifest_makes_an_output_complete_whatever_else_is_there(tmp_path: Path) -> None:
    folder = written(str(tmp_path))
    folder.write_json(parquet.MANIFEST, {"format": parquet.FORMAT})
    assert parquet.condition(folder) == "complete"
    with pytest.raises(OutputExistsError, match="holds columns already"):
        parquet.check(folder, overwrite=False)


@pytest.mark.parametrize("url", ["simplecache::memory://x", "nosuch://x", "memory://a::file://b"])
def test_a_place_that_cannot_be_written_to_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="cannot write columns to"):
        parquet.check(Folder(url), overwrite=False)


def test_a_read_only_file_system_is_refused(tmp_path: Path) -> None:
    class ReadOnly(Folder):
        def write_json(self, relative: str, content: object) -> None:
            raise NotImplementedError

    with pytest.raises(InputError, match="can only be read"):
        parquet.prepare(ReadOnly(str(tmp_path)), overwrite=False)


def test_a_folder_travels_as_its_url(tmp_path: Path) -> None:
    folder = written(str(tmp_path))
    copy = pickle.loads(pickle.dumps(folder))
    assert copy == folder
    assert copy.files() == folder.files()


def test_local_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parquet.absolute("out") == str(Path.cwd() / "out")
    assert parquet.absolute(Path("out")) == str(Path.cwd() / "out")
    assert parquet.absolute("~/out") == str(Path.home() / "out")
    assert parquet.absolute("root://host//store/x") == "root://host//store/x"


def test_names_of_datasets_are_quoted() -> None:
    assert (
        parquet.part_path("a/b=c", "jesUp", "part-1")
        == "dataset=a%2Fb%3Dc/variation=jesUp/part-1.parquet"
    )


def test_units_and_labels_are_in_the_file(tmp_path: Path) -> None:
    table = pa.table({"x": [1.0], "y": [2]})
    schema = parquet.with_metadata(table.schema, {"x": "GeV"}, {"x": "$m$", "y": "n"})
    parquet.write_table(Folder(str(tmp_path)), "x.parquet", table.cast(schema), "zstd")
    found = pq.read_schema(tmp_path / "x.parquet")
    assert found.field("x").metadata == {b"unit": b"GeV", b"label": b"$m$"}
    assert found.field("y").metadata == {b"label": b"n"}
    assert (
        pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0).column(0).compression == "ZSTD"
    )


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    for name in ("a", "b"):
        parquet.write_table(folder, name, pa.table({"x": [1.0, 2.0]}), "zstd")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_schemas_are_joined() -> None:
    first = pa.schema([pa.field("x", pa.float32(), nullable=False), pa.field("y", pa.null())])
    second = pa.schema([pa.field("x", pa.float64(), nullable=False), pa.field("y", pa.bool_())])
    third = second.append(pa.field("z", pa.int8(), nullable=False))
    assert parquet.common_schema([first, first], "x") is first
    joined = parquet.common_schema([first, second, third, first], "x")
    assert joined == pa.schema(
        [pa.field("x", pa.float64(), nullable=False), ("y", pa.bool_()), ("z", pa.int8())]
    )
    assert not joined.field("x").nullable
    assert joined.field("z").nullable


def test_schemas_that_cannot_be_joined_are_named() -> None:
    schemas = [pa.schema([("x", pa.int32())]), pa.schema([("x", pa.list_(pa.int32()))])]
    with pytest.raises(RunError, match=r"the columns of here do not have one type.*x"):
        parquet.common_schema(schemas, "here")


def test_json_is_strict(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Folder(str(tmp_path)).write_json("x.json", float("nan"))
    Folder(str(tmp_path)).write_json("x.json", {"a": 1})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}
    assert content(tmp_path) == ["x.json"]
