from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lazyana.errors import FileError, RunError
from lazyana.sinks import manifest, parquet
from lazyana.sinks.folder import Folder
from lazyana.sinks.parquet import COLUMNS, Part, Parts

SCHEMA = pa.schema([pa.field("x", pa.int64(), metadata={"unit": "GeV"})])


def put(folder: Folder, number: int, values: list[int], sumw: float = 1.0) -> Part:
    path = parquet.part_path("DY", "nominal", f"part-{number:06d}")
    size = parquet.write_table(folder, path, pa.table({"x": values}), "zstd")
    return Part(path, len(values), len(values), size, sumw, sumw**2)


def finished(folder: Folder, parts: list[Part]) -> dict[str, Any]:
    found = {("DY", "nominal"): Parts(len(parts), tuple(parts), SCHEMA)}
    return manifest.complete(folder, found, flattened=False, compression="zstd")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(str(tmp_path / "out"))
    COLUMNS.prepare(folder, overwrite=False)
    return folder


def test_the_manifest_says_what_there_is(folder: Folder) -> None:
    parts = [put(folder, 0, [1, 2], 2.0), put(folder, 7, [3], -0.5)]
    found = finished(folder, parts)
    entry = found["datasets"]["DY"]["nominal"]
    assert entry["rows"] == entry["events"] == 3
    assert entry["partitions"] == 2
    assert (entry["sumw"], entry["sumw2"]) == (1.5, 4.25)
    assert [file["path"] for file in entry["files"]] == [part.path for part in parts]
    assert entry["bytes"] == found["total"]["bytes"] == sum(part.bytes for part in parts)
    assert found["columns"] == [
        {"name": "x", "type": "int64", "nullable": True, "unit": "GeV", "label": ""}
    ]
    assert manifest.unpack_schema(found["schemas"][entry["schema"]]) == SCHEMA
    assert json.loads(json.dumps(found)) == found == COLUMNS.read(folder)
    assert set(folder.files()) == {"_manifest.json", *(part.path for part in parts)}


def test_sums_do_not_depend_on_the_order(folder: Folder) -> None:
    sums = [1e16, 1.0, -1e16, 1.0]
    parts = [put(folder, i, [i], sumw) for i, sumw in enumerate(sums)]
    assert finished(folder, parts)["datasets"]["DY"]["nominal"]["sumw"] == 2.0


@pytest.mark.parametrize("sums", [[math.nan, 1.0], [math.inf, -math.inf], [math.inf, math.inf]])
def test_a_sum_that_is_no_number_is_null(folder: Folder, sums: list[float]) -> None:
    found = finished(folder, [put(folder, i, [i], sumw) for i, sumw in enumerate(sums)])
    assert found["datasets"]["DY"]["nominal"]["sumw"] is None
    assert COLUMNS.read(folder) == found


def test_files_that_are_not_part_of_the_output_are_removed(folder: Folder) -> None:
    kept, stray = put(folder, 0, [1]), put(folder, 1, [2])
    finished(folder, [kept])
    assert stray.path not in folder.files()
    assert kept.path in folder.files()


def test_where_nothing_was_kept_there_is_a_file_without_rows(folder: Folder) -> None:
    found = finished(folder, [])
    (file,) = found["datasets"]["DY"]["nominal"]["files"]
    table = pq.read_table(folder.full(file["path"]), partitioning=None)
    assert table.num_rows == 0
    assert table.schema.field("x").metadata == {b"unit": b"GeV"}


def test_a_part_that_is_gone_stops_the_end(folder: Folder) -> None:
    part = put(folder, 0, [1])
    folder.remove([part.path])
    with pytest.raises(RunError, match=r"1 of 1 files.*part-000000.*Do all workers see"):
        finished(folder, [part])
    with pytest.raises(FileError, match="did not finish"):
        COLUMNS.read(folder)


def test_a_part_that_another_run_wrote_stops_the_end(folder: Folder) -> None:
    part = put(folder, 0, [1])
    put(folder, 0, list(range(1000)))
    with pytest.raises(RunError, match="changed after they were written"):
        finished(folder, [part])


def test_an_unfinished_output_is_not_read(folder: Folder) -> None:
    put(folder, 0, [1])
    with pytest.raises(FileError, match=r"did not finish, or is still running.*overwrite=True"):
        COLUMNS.read(folder)


@pytest.mark.parametrize("name", ["", "absent"])
def test_any_other_directory_is_not_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="not a directory of columns"):
        COLUMNS.read(Folder(str(tmp_path / name)))


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "cut short"])
def test_an_incomplete_copy_is_not_read(folder: Folder, lost: bool) -> None:
    part = put(folder, 0, [1])
    finished(folder, [part])
    path = Path(folder.full(part.path))
    if lost:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FileError, match=r"part-000000.*missing or was changed"):
        COLUMNS.read(folder)


def test_a_later_format_is_not_read(folder: Folder) -> None:
    found = finished(folder, [])
    folder.write_json("_manifest.json", {**found, "version": 99})
    with pytest.raises(FileError, match=r"version 99.*Use a later lazyana"):
        COLUMNS.read(folder)
