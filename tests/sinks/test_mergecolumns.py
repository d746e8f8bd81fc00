from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lazyana.errors import FileError, InputError, OutputExistsError, RunError
from lazyana.sinks import mergecolumns
from lazyana.sinks.base import Place
from lazyana.sinks.columns import Columns
from lazyana.sinks.mergecolumns import merge_columns

VALUES = [[1.5, 2.5], [], [3.5], [4.5], [5.5, 6.5, 7.5]]


def save(path: Path, parts: int = 12) -> None:
    """Columns of two datasets, one of them varied, in several partitions."""
    sink = Columns(("n", "pt"), path=str(path), shape_variations=("jesUp",), units={"pt": "GeV"})
    sink.prepare()
    states: dict[Any, Any] = {}
    for dataset, variation in (("DY", "nominal"), ("DY", "jesUp"), ("TT/x", "nominal")):
        found = []
        for number in range(parts):
            place = Place(dataset, number, variation, "f.root", 0, 5)
            n = ak.Array(np.arange(5) + 10 * number)
            found.append(sink.fill(place, None, None, n, ak.Array(VALUES)))
        states[dataset, variation] = sink.merge(found)
    sink.finish(states, ["DY", "TT/x"])


def test_saved_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "columns" / "DYJets" / "SR")
    monkeypatch.setattr(mergecolumns, "ROW_GROUP", 20)
    monkeypatch.setattr(mergecolumns, "BATCH", 4)
    made = merge_columns(tmp_path / "columns")
    target = tmp_path / "columns_merged"
    names = ("DY/nominal", "DY/jesUp", "TT_x/nominal")
    assert {one.url for one in made} == {
        str(target / "DYJets" / "SR" / f"{name}.parquet") for name in names
    }
    assert {(one.rows, one.files) for one in made} == {(60, 12)}
    for one in made:
        file = pq.ParquetFile(one.url)
        # The last one of ten rows or less: partitions are not cut.
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [20] * 3
        table = file.read()
        expected = [10 * number + i for number in range(12) for i in range(5)]
        assert table["n"].to_pylist() == expected
        assert table["pt"].to_pylist() == VALUES * 12
        assert table.schema.field("pt").metadata[b"unit"] == b"GeV"
        file.close()


def test_other_folders_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "dump" / "DY" / "SR" / "nominal"
    folder.mkdir(parents=True)
    for start, stop in ((0, 50), (50, 900), (900, 1000)):
        table = pa.table({"x": np.arange(start, stop)})
        pq.write_table(table, folder / f"a_Events_{start}-{stop}.parquet")
    (folder / ".part.parquet").write_bytes(b"unfinished")
    [made] = merge_columns(tmp_path / "dump", tmp_path / "out")
    assert made.url == str(tmp_path / "out" / "DY" / "SR" / "nominal.parquet")
    assert pq.read_table(made.url)["x"].to_pylist() == list(range(1000))
    [here] = merge_columns(folder)
    assert here.url == str(folder.parent / "nominal_merged" / "nominal.parquet")


def test_types_that_differ(tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    pq.write_table(pa.table({"x": pa.array([1], pa.int32())}), folder / "1.parquet")
    pq.write_table(pa.table({"x": pa.array([2], pa.int64()), "y": [0.5]}), folder / "2.parquet")
    [made] = merge_columns(folder)
    assert pq.read_table(made.url).to_pylist() == [{"x": 1, "y": None}, {"x": 2, "y": 0.5}]
    pq.write_table(pa.table({"x": ["text"]}), folder / "3.parquet")
    with pytest.raises(RunError, match="do not have one type"):
        merge_columns(folder, overwrite=True)


def test_rows_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    pq.write_table(pa.table({"x": [1, 2]}), folder / "1.parquet")
    monkeypatch.setattr(mergecolumns, "_rows", lambda *_: 3)
    with pytest.raises(RunError, match="would have 2 rows, but the 1 files"):
        merge_columns(folder)
    assert list((tmp_path / "dump_merged").iterdir()) == []


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no parquet files"):
        merge_columns(tmp_path / "nothing")
    save(tmp_path / "columns", parts=1)
    merge_columns(tmp_path / "columns")
    with pytest.raises(OutputExistsError, match="exists already"):
        merge_columns(tmp_path / "columns")
    assert len(merge_columns(tmp_path / "columns", overwrite=True)) == 3
    next((tmp_path / "columns").rglob("part-*.parquet")).unlink()
    with pytest.raises(FileError, match="missing or was changed"):
        merge_columns(tmp_path / "columns", tmp_path / "again")
    for target in ("columns", "columns/merged"):
        with pytest.raises(InputError, match="Write to another folder"):
            merge_columns(tmp_path / "columns", tmp_path / target, overwrite=True)
    with pytest.raises(InputError, match="Did you mean 'zstd'"):
        merge_columns(tmp_path / "columns", tmp_path / "again", compression="zst")
    assert not (tmp_path / "again").exists()
    (tmp_path / "columns" / "_manifest.json").rename(tmp_path / "columns" / "_unfinished.json")
    with pytest.raises(FileError, match="did not finish"):
        merge_columns(tmp_path / "columns", tmp_path / "again")
