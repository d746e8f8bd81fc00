from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lazyana.errors import RunError
from lazyana.sinks import parquet
from lazyana.sinks.folder import Folder


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
