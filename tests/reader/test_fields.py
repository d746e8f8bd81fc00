"""Fields of RNTuples: which are read page by page, and of which columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from lazyana.reader.fields import Field, Schema, schema_of


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    columns: dict[str, Any] = {
        "number": np.zeros(2, np.float32),
        "lists": ak.Array([[1], []]),
        "nested": ak.Array([[[1.0]], []]),
        "array": np.zeros((2, 3), np.int16),
        "bools": ak.Array([[True], []]),
        "text": ["a", "b"],
        "record": ak.Array([{"a": 1}, {"a": 2}]),
        "records": ak.Array([[{"a": 1}], []]),
    }
    path = tmp_path_factory.mktemp("fields") / "a.root"
    with uproot.recreate(path) as file:
        file.mkrntuple("Events", columns)
    with uproot.open(path) as file:
        return schema_of(file["Events"])


@pytest.mark.parametrize(
    ("name", "sizes", "dtype"),
    [
        ("number", (), "float32"),
        ("lists", (None,), "int64"),
        ("nested", (None, None), "float64"),
        ("array", (3,), "int16"),
        ("bools", (None,), "bool"),
    ],
)
def test_plain_fields(name: str, sizes: tuple[int | None, ...], dtype: str, schema: Schema) -> None:
    field = schema.fields[name]
    assert field.sizes == sizes
    assert len(field.ends) == sizes.count(None)
    assert field.columns == (*field.ends, field.content)
    assert schema.dtype(field) == schema.code(field.content).dtype == dtype
    assert {schema.code(column).dtype for column in field.ends} <= {"int64"}


def test_other_fields_are_left_to_uproot(schema: Schema) -> None:
    left = {"text", "record", "records"}
    assert set(schema.names) - set(schema.fields) == left
    columns = [column for field in schema.fields.values() for column in field.columns]
    assert len(set(columns)) == len(columns) < len(schema.codes)


def test_projected_fields(real_data: Path) -> None:
    """Of ROOT's importer: the counter and the lists share the ends."""
    with uproot.open(real_data / "nanoaod" / "nano_dy_rntuple.root") as file:
        schema = schema_of(file["Events"])
    counter, lists = schema.fields["nMuon"], schema.fields["Muon_pt"]
    assert counter == Field((), (), lists.ends[0], "uint32")
    assert schema.dtype(counter) == "uint32"
    assert schema.code(counter.content).delta
    assert lists.ends == schema.fields["Muon_eta"].ends
    assert lists.content != schema.fields["Muon_eta"].content
    assert all(name.startswith("_collection") for name in set(schema.names) - set(schema.fields))
