"""Parquet: any range of any column that was written, by whomever, and damage that is seen."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyana.data.partitions import span_of
from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader import parquet as module
from lazyana.reader.fileinfo import FileInfo, Layout
from lazyana.reader.formats import note_file
from lazyana.reader.parquet import Pieces, read_footer, read_parquet
from lazyana.reader.ranges import read_ranges
from lazyana.reader.spans import Span

NUMBERS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
NUMBERS += ["float16", "float32", "float64"]
ENTRIES = 50


def columns() -> dict[str, Any]:
    """Columns of every kind that can be read."""
    generator = np.random.default_rng(1)
    counts = generator.integers(0, 4, ENTRIES)
    total = int(counts.sum())
    found: dict[str, Any] = {
        kind: generator.integers(0, 2, ENTRIES).astype(kind) for kind in NUMBERS
    }
    found |= {
        f"list_{kind}": ak.unflatten(generator.integers(0, 100, total).astype(kind), counts)
        for kind in ("bool", "int32", "float32", "uint8")
    }
    inner = ak.unflatten(np.arange(2 * total, dtype="float32"), np.full(total, 2))
    found["nested"] = ak.unflatten(inner, counts)
    found["array"] = generator.normal(size=(ENTRIES, 3)).astype("float32")
    found["with.dot"] = np.arange(ENTRIES)
    return found


def as_awkward(path: Path, **options: Any) -> None:
    ak.to_parquet(ak.Array(columns()), path, row_group_size=12, **options)


def as_arrow(path: Path, **options: Any) -> None:
    """As pyarrow writes lists of Python: every column may have nulls, and none has."""
    table = pa.table(
        {
            name: pa.array(ak.to_list(array), arrow_type(ak.type(array).content))
            for name, array in columns().items()
        }
    )
    pq.write_table(table, path, row_group_size=12, **options)


def arrow_type(kind: Any) -> Any:
    if isinstance(kind, ak.types.ListType):
        return pa.list_(arrow_type(kind.content))
    if isinstance(kind, ak.types.RegularType):
        return pa.list_(arrow_type(kind.content), kind.size)
    return pa.from_numpy_dtype(np.dtype(kind.primitive))


WRITERS: dict[str, Any] = {
    "awkward": as_awkward,
    "awkward extension types": lambda path: as_awkward(path, extensionarray=True),
    "awkward list32": lambda path: as_awkward(path, list_to32=True, compression="lz4"),
    "arrow": as_arrow,
    "arrow old": lambda path: as_arrow(path, version="1.0", data_page_version="2.0"),
    "arrow plain": lambda path: as_arrow(path, use_dictionary=False, compression="none"),
    "arrow no statistics": lambda path: as_arrow(path, write_statistics=False, store_schema=False),
}


# What these files store as another type: numbers without sign, lists of one size.
LOST = {"arrow old": {"uint32"}, "arrow no statistics": {"array"}}


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[FileInfo, Layout]]:
    folder = tmp_path_factory.mktemp("parquet")
    found = {}
    for number, (name, write) in enumerate(WRITERS.items()):
        path = folder / f"{number}.parquet"
        write(path)
        found[name] = note_file(str(path), "Events")
    return found


def read(span: Span, names: Sequence[str], **options: Any) -> dict[str, Any]:
    told: list[str] = []
    found = read_parquet(span.url, span, names, names, ReadOptions(**options), told.append)
    assert not told
    return found


# ------------------------------------------------------------------------------------- reading


@settings(max_examples=60)
@given(data=st.data(), threads=st.sampled_from([1, 3]), writer=st.sampled_from(list(WRITERS)))
def test_any_range(
    data: st.DataObject, threads: int, writer: str, noted: dict[str, tuple[FileInfo, Layout]]
) -> None:
    info, layout = noted[writer]
    start = data.draw(st.integers(0, ENTRIES))
    stop = data.draw(st.integers(start, ENTRIES))
    kept = sorted(set(layout.branches) - LOST.get(writer, set()))
    names = data.draw(st.lists(st.sampled_from(kept), unique=True))
    found = read(span_of(info, start, stop, ()), names, decompression_threads=threads)
    assert list(found) == names
    for name in names:
        expected = columns()[name][start:stop]
        assert ak.array_equal(found[name], expected, check_parameters=False), name


@pytest.mark.parametrize("writer", WRITERS)
def test_every_column(writer: str, noted: dict[str, tuple[FileInfo, Layout]]) -> None:
    info, layout = noted[writer]
    kept = set(columns()) - LOST.get(writer, set())
    assert kept <= set(layout.branches)
    found = read(span_of(info, 5, 31, ()), sorted(kept))
    for name in kept:
        assert ak.array_equal(found[name], columns()[name][5:31], check_parameters=False), name


def test_files_of_all_writers_are_alike(noted: dict[str, tuple[FileInfo, Layout]]) -> None:
    signatures = {writer: info.signature for writer, (info, _) in noted.items()}
    assert len({signatures[writer] for writer in ("awkward", "arrow", "arrow plain")}) == 1


def test_only_what_is_wanted_is_read(
    noted: dict[str, tuple[FileInfo, Layout]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one request, for the row groups of the range and the columns."""
    requests: list[Any] = []
    real = read_ranges

    def counting(url: str, ranges: Any, options: ReadOptions) -> Any:
        requests.append(ranges)
        return real(url, ranges, options)

    info, _ = noted["arrow"]
    span = span_of(info, 13, 30, ())
    names = ["float32", "list_int32"]
    read(span, names)
    monkeypatch.setattr(module, "read_ranges", counting)
    read(span, names)
    ((_, *ranges),) = requests
    assert len(ranges) == 2 * len(names)
    metadata = pq.read_metadata(info.url)
    sizes = [
        chunk.total_compressed_size
        for group in (1, 2)
        for chunk in map(metadata.row_group(group).column, range(metadata.num_columns))
        if chunk.path_in_schema.split(".")[0] in names
    ]
    assert sorted(last - first for first, last in ranges) == sorted(sizes)


def test_remote() -> None:
    """Read by what fsspec reads; the size is asked for once, when the file is inspected."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"x": np.arange(30)}), buffer, row_group_size=10)
    fsspec.filesystem("memory").pipe("/folder/a.parquet", buffer.getvalue())
    info, _ = note_file("memory://folder/a.parquet", "Events")
    assert (info.entries, info.clusters) == (30, (0, 10, 20, 30))
    assert ak.to_list(read(span_of(info, 7, 12, ()), ["x"])["x"]) == [7, 8, 9, 10, 11]


# ----------------------------------------------------------------------------------- inspection


def test_what_is_noted(noted: dict[str, tuple[FileInfo, Layout]]) -> None:
    info, layout = noted["arrow"]
    assert (info.format, info.tree, info.entries) == ("parquet", "Events", ENTRIES)
    assert info.clusters == (0, 12, 24, 36, 48, 50)
    assert info.file_bytes == Path(info.url).stat().st_size
    assert info.index is None
    assert info.compression == "SNAPPY"
    assert noted["arrow plain"][0].compression == "UNCOMPRESSED"
    metadata = pq.read_metadata(info.url)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    assert sum(info.branch_bytes.values()) == sum(
        group.column(i).total_compressed_size
        for group in groups
        for i in range(metadata.num_columns)
    )
    chunks = [group.column(NUMBERS.index("int64")) for group in groups]
    assert info.branch_bytes["int64"] == sum(chunk.total_compressed_size for chunk in chunks)
    assert info.branch_memory["int64"] == sum(chunk.total_uncompressed_size for chunk in chunks)
    assert layout.types["list_float32"] == "float[]"
    assert layout.types["int32"] == "int32_t"


def test_columns_that_are_left_out(tmp_path: Path) -> None:
    """What is no number, and names that coffea's keys cannot hold, or that are there twice."""
    wanted = {"x": pa.array([1.5, 2.5])}
    odd = {
        "text": pa.array(["a", "b"]),
        "words": pa.array([["a"], []]),
        "category": pa.array(["a", "b"]).dictionary_encode(),
        "time": pa.array([0, 1], pa.timestamp("ms")),
        "decimal": pa.array([1, 2], pa.decimal128(5)),
        "record": pa.array([{"a": 1, "b": [2.0]}, {"a": 2, "b": []}]),
        "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
        "with,comma": pa.array([1, 2]),
        "nothing": pa.nulls(2),
    }
    after = {"y": pa.array([3, 4])}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({**odd, **wanted, **after}), path)
    info, layout = note_file(str(path), "Events")
    assert layout.branches == ("x", "y")
    found = read(span_of(info, 0, 2, ()), ["y", "x"])
    assert {name: ak.to_list(one) for name, one in found.items()} == {"y": [3, 4], "x": [1.5, 2.5]}
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["a", "b", "a"])
    pq.write_table(table, path)
    assert note_file(str(path), "Events")[1].branches == ("b",)


def test_description(tmp_path: Path) -> None:
    field = pa.field("x", pa.float32(), metadata={"title": "something in GeV"})
    schema = pa.schema([field, pa.field("y", pa.float32())])
    table = pa.table([np.zeros(2, "f4"), np.zeros(2, "f4")], schema=schema)
    pq.write_table(table, tmp_path / "a.parquet")
    _, layout = note_file(str(tmp_path / "a.parquet"), "Events")
    assert '"__doc__": "something in GeV"' in layout.base_form
    assert '"__doc__": "y"' in layout.base_form


def test_no_entries(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": np.zeros(0, "f4"), "y": pa.array([], pa.list_(pa.int8()))}), path)
    info, layout = note_file(str(path), "Events")
    assert (info.entries, info.clusters) == (0, (0,))
    found = read(span_of(info, 0, 0, ()), layout.branches)
    assert {name: str(one.form.type) for name, one in found.items()} == {
        "x": "float32",
        "y": "var * int8",
    }


def test_a_long_footer_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    as_arrow(path)
    size = path.stat().st_size
    whole = read_footer(str(path), size, ReadOptions())
    monkeypatch.setattr(module, "_GUESS_BYTES", 100)
    again = read_footer(str(path), size, ReadOptions())
    assert (again.uuid, again.probed) == (whole.uuid, whole.probed)
    assert again.metadata == whole.metadata


# --------------------------------------------------------------------- missing values, damage


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1.0, None, 3.0, None]),
        pa.array([[1], [2], None, [3]]),
        pa.array([[1], [2, None], [], [3]]),
    ],
)
def test_missing_values(values: Any, tmp_path: Path) -> None:
    """Refused where they would be used, and nowhere else."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": values, "y": [1, 2, 3, 4]}), path)
    info, _ = note_file(str(path), "Events")
    message = rf"Column 'x', entries 0-4 of {path}, has missing values \(null\)"
    with pytest.raises(FileError, match=message):
        read(span_of(info, 0, 4, ()), ["y", "x"])
    assert ak.to_list(read(span_of(info, 0, 4, ()), ["y"])["y"]) == [1, 2, 3, 4]
    assert ak.to_list(read(span_of(info, 0, 1, ()), ["x"])["x"]) == values[:1].to_pylist()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    as_arrow(tmp_path / "copy.parquet")
    return tmp_path / "copy.parquet"


@pytest.fixture
def span(copy: Path) -> Span:
    return span_of(note_file(str(copy), "Events")[0], 0, ENTRIES, ())


@pytest.mark.parametrize("longer", [True, False])
@pytest.mark.parametrize("opened", [True, False])
def test_replaced(opened: bool, longer: bool, span: Span, copy: Path) -> None:
    if opened:
        read(span, ["int32"])
    content = columns() | {"float64": np.ones(ENTRIES)} | ({"more": np.zeros(50)} if longer else {})
    ak.to_parquet(ak.Array(content), copy)
    if not longer:
        copy.write_bytes(copy.read_bytes().ljust(span.file_bytes + 1, b"\0"))
    with pytest.raises(FileError, match=rf"{copy} was replaced since it was inspected"):
        read(span, ["int32"])


def test_replaced_by_one_of_equal_size(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    infos = []
    for value in (1.5, 2.5):
        pq.write_table(pa.table({"x": np.full(9, value)}), path)
        infos.append(note_file(str(path), "Events")[0])
    assert infos[0].file_bytes == infos[1].file_bytes
    assert infos[0].uuid != infos[1].uuid
    with pytest.raises(FileError, match="was replaced since it was inspected"):
        read(span_of(infos[0], 0, 9, ()), ["x"])


def test_replaced_behind_an_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a server, where nothing but the content tells."""
    monkeypatch.setattr("lazyana.reader.trees.file_state", lambda url: None)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": np.full(9, 1.5)}), path)
    span = span_of(note_file(str(path), "Events")[0], 0, 9, ())
    read(span, ["x"])
    pq.write_table(pa.table({"x": np.full(9, 2.5)}), path)
    with pytest.raises(FileError, match="was replaced since it was inspected"):
        read(span, ["x"])


def test_deleted(span: Span, copy: Path) -> None:
    copy.unlink()
    with pytest.raises(FileError, match=rf"no file {copy}"):
        read(span, ["int32"])


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_cut_short(kept: float, span: Span, copy: Path) -> None:
    content = copy.read_bytes()
    copy.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(FileError, match=rf"{copy} ends at byte \d+, before byte {len(content)}"):
        read(span, ["int32"])
    with pytest.raises(
        FileError, match=rf"{copy} begins as a parquet file but does not end as one"
    ):
        note_file(str(copy), "Events")


def test_damaged_column_is_named(span: Span, copy: Path) -> None:
    metadata = pq.read_metadata(copy)
    chunk = metadata.row_group(2).column(NUMBERS.index("float64"))
    start = min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)))
    with copy.open("r+b") as raw:
        raw.seek(start)
        raw.write(b"\xa5" * chunk.total_compressed_size)
    message = rf"Column 'float64', entries 0-50 of {re.escape(str(copy))}, cannot be read"
    with pytest.raises(FileError, match=message) as caught:
        read(span, ["int32", "float64"])
    assert not isinstance(caught.value.__cause__, OSError)  # which would be tried again
    assert len(read(span, ["int32"])["int32"]) == ENTRIES


def test_damaged_footer(copy: Path) -> None:
    content = bytearray(copy.read_bytes())
    content[-200:-8] = b"\xff" * 192
    content[-8:-4] = (192).to_bytes(4, "little")
    copy.write_bytes(content)
    with pytest.raises(FileError, match=rf"The footer of {copy} is damaged"):
        note_file(str(copy), "Events")


def test_never_a_short_read(span: Span) -> None:
    with pytest.raises(FileError, match="has 50 entries from 0 on instead of 60"):
        read(replace(span, stop=60), ["int32"])


def test_column_that_is_not_there(span: Span) -> None:
    with pytest.raises(FileError, match=rf"Column 'int31' is not in {span.url}"):
        read(span, ["int31"])


# ---------------------------------------------------------------------------------- pieces


@given(data=st.data())
def test_pieces_are_the_file(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "pieces"
    content = bytes(range(200))
    path.write_bytes(content)
    file = Pieces(str(path), 200, ReadOptions())
    bounds = st.tuples(st.integers(0, 200), st.integers(0, 200)).map(
        lambda pair: (min(pair), max(pair))
    )
    held = data.draw(st.lists(bounds, unique=True))
    file.hold(held, [memoryview(content)[first:last] for first, last in held])
    twin = io.BytesIO(content)
    for _ in range(5):
        at, size = data.draw(st.integers(0, 220)), data.draw(st.integers(-1, 60))
        assert file.seek(at) == twin.seek(at)
        assert file.read(size) == twin.read(size)
        assert file.tell() == twin.tell()
    assert file.seek(-3, io.SEEK_END) == 197
    assert file.read() == content[-3:]


def test_trouble_while_fetching_is_no_damage(span: Span, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pyarrow asks for beyond what was fetched may fail as every request may."""
    real, calls = read_ranges, []

    def failing(url: str, ranges: Any, options: ReadOptions) -> Any:
        calls.append(ranges)
        if len(calls) > 2:
            msg = "gone"
            raise ConnectionResetError(msg)
        return real(url, ranges, options)

    monkeypatch.setattr(module, "read_ranges", failing)
    monkeypatch.setattr(Pieces, "hold", lambda *_: None)
    with pytest.raises(ConnectionResetError, match="gone"):
        read(span, ["int32"])
