"""TTrees read by their baskets, against uproot, for everything that can be in a file."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyana.data.catalog import FileInfo
from lazyana.data.partitions import span_of
from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader import ttree
from lazyana.reader.formats import note_file
from lazyana.reader.ttree import read_tree

CODECS = ("none", "zlib", "lzma", "lz4", "zstd")
TYPES = ("bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
KEY_OFFSETS = (0, 6, 14, 36)  # of its length, uncompressed length, key length, class name
PIECES = (40, 1, 60, 25)  # entries in each basket


def compression(name: str) -> Any:
    """Compression of that name, for uproot."""
    classes = {"zlib": uproot.ZLIB, "lzma": uproot.LZMA, "lz4": uproot.LZ4, "zstd": uproot.ZSTD}
    return None if name == "none" else classes[name](3)


def some(rng: np.random.Generator, dtype: str, number: int) -> Any:
    """Numbers of a type."""
    if dtype == "bool":
        return rng.random(number) < 0.3
    if dtype.startswith("f"):
        values = rng.normal(size=number)
        values[rng.random(number) < 0.05] = np.nan
        return values.astype(dtype)
    return rng.integers(0, 120, number).astype(dtype)


@pytest.fixture(scope="session", params=CODECS)
def every_type(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of numbers and lists of every type, in four baskets, in each compression."""
    path: Path = tmp_path_factory.mktemp("ttree") / f"{request.param}.root"
    rng = np.random.default_rng(5)
    flat = {f"flat_{dtype}": np.dtype(dtype) for dtype in TYPES}
    lists = {f"list_{dtype}": f"var * {np.dtype(dtype).name}" for dtype in TYPES}
    with uproot.recreate(path, compression=compression(request.param)) as file:
        tree = file.mktree("Events", {**flat, **lists})
        for number in PIECES:
            counts = rng.integers(0, 4, number) * (rng.random(number) < 0.8)
            columns: dict[str, Any] = {f"flat_{one}": some(rng, one, number) for one in TYPES}
            for one in TYPES:
                content = some(rng, one, int(counts.sum()))
                columns[f"list_{one}"] = ak.unflatten(content, counts)
            tree.extend(columns)
    return path


def info_of(path: Path, tree: str = "Events") -> FileInfo:
    """What inspection notes of a file."""
    return note_file(str(path), tree)[0]


def read(
    info: FileInfo, names: list[str], start: int, stop: int, **options: Any
) -> tuple[dict[str, ak.Array], list[str]]:
    """Branches of an entry range, and which of them uproot read."""
    by_uproot: list[str] = []
    span = span_of(info, start, stop, names)
    found = read_tree(info.url, span, names, names, ReadOptions(**options), by_uproot.append)
    return {name: ak.Array(layout) for name, layout in found.items()}, by_uproot


def assert_same(found: dict[str, ak.Array], path: Path, start: int, stop: int) -> None:
    """Every branch is, bit for bit, what uproot reads."""
    with uproot.open(path) as file:
        for name, array in found.items():
            expected = file["Events"][name].array(entry_start=start, entry_stop=stop)
            assert array.type == expected.type, name
            one, other = ak.to_buffers(ak.to_packed(array)), ak.to_buffers(ak.to_packed(expected))
            assert one[1] == other[1] == stop - start
            for mine, theirs in zip(one[2].values(), other[2].values(), strict=True):
                assert np.asarray(mine).tobytes() == np.asarray(theirs).tobytes(), name


@given(data=st.data())
@settings(max_examples=25)
def test_any_entry_range_of_any_branch(every_type: Path, data: st.DataObject) -> None:
    info = info_of(every_type)
    start = data.draw(st.integers(0, sum(PIECES)))
    stop = data.draw(st.integers(start, sum(PIECES)))
    names = data.draw(st.lists(st.sampled_from(sorted(info.branch_bytes)), unique=True, min_size=1))
    found, by_uproot = read(info, names, start, stop)
    assert set(found) == set(names)
    assert by_uproot == []
    assert_same(found, every_type, start, stop)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("gap", [0, 10_000_000])
def test_threads_and_gaps_change_nothing(every_type: Path, threads: int, gap: int) -> None:
    info = info_of(every_type)
    names = sorted(info.branch_bytes)
    found, _ = read(info, names, 17, 103, decompression_threads=threads, max_gap=gap)
    assert_same(found, every_type, 17, 103)


def test_basket_boundaries_are_the_clusters(every_type: Path) -> None:
    assert info_of(every_type).clusters == (0, 40, 41, 101, 126)


@pytest.mark.parametrize("codec", CODECS[1:])
def test_several_blocks_in_a_basket(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "large.root"
    number = 2**24 // 8 + 1000  # a block ends at 16 MB
    values = np.arange(number, dtype="f8") // 4096
    with uproot.recreate(path, compression=compression(codec)) as file:
        file.mktree("Events", {"x": "f8"}).extend({"x": values})
    info = info_of(path)
    found, by_uproot = read(info, ["x"], 5, number)
    assert by_uproot == []
    assert np.array_equal(found["x"].to_numpy(), values[5:])


def test_text_is_left_to_uproot(tmp_path: Path) -> None:
    path = tmp_path / "text.root"
    with uproot.recreate(path) as file:
        tree = file.mktree("Events", {"word": "string", "x": "f8"})
        tree.extend({"word": ["one", "two", ""], "x": np.array([1.0, 2.0, 3.0])})
    info = info_of(path)
    found, by_uproot = read(info, ["word", "x"], 1, 3)
    assert by_uproot == ["word"]
    assert found["word"].to_list() == ["two", ""]
    assert found["x"].to_list() == [2.0, 3.0]


def test_no_tree_is_opened_where_nothing_falls_back(
    every_type: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = info_of(every_type)

    def refuse(*_: Any) -> None:
        pytest.fail("a tree was opened")

    monkeypatch.setattr(ttree, "open_kept", refuse)
    read(info, sorted(info.branch_bytes), 3, 99)


def test_one_request(every_type: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = ttree.read_ranges

    def counting(url: str, ranges: Any, options: ReadOptions) -> Any:
        calls.append(len(ranges))
        return real(url, ranges, options)

    monkeypatch.setattr(ttree, "read_ranges", counting)
    info = info_of(every_type)
    read(info, ["flat_f4", "list_f4"], 0, 126)
    assert calls == [1 + 4 + 4]  # the header of the file, and four baskets of each branch


# ------------------------------------------------------------------------------ damaged files


def test_another_file_in_its_place(every_type: Path, tmp_path: Path) -> None:
    info = info_of(every_type)
    content = bytearray(every_type.read_bytes())
    identity = uuid.UUID(info.uuid).bytes
    at = content.index(identity)
    content[at : at + 16] = uuid.uuid4().bytes
    other = tmp_path / "other.root"
    other.write_bytes(content)
    span = span_of(info, 0, 10, ["flat_f4"])
    with pytest.raises(FileError, match=r"other\.root was replaced since it was inspected"):
        read_tree(str(other), span, ["flat_f4"], ["flat_f4"], ReadOptions(), print)


@pytest.mark.parametrize("offset", KEY_OFFSETS)
def test_a_damaged_basket_is_noticed(every_type: Path, tmp_path: Path, offset: int) -> None:
    info = info_of(every_type)
    assert info.index is not None
    baskets = info.index.branches["list_f8"]
    content = bytearray(every_type.read_bytes())
    at = int(baskets.seeks[2]) + min(offset, int(baskets.sizes[2]) - 1)
    for byte in range(at, at + 4):
        content[byte] ^= 0xFF
    damaged = tmp_path / "damaged.root"
    damaged.write_bytes(content)
    span = span_of(info, 0, 126, ["list_f8"])
    with pytest.raises(FileError, match=r"Branch 'list_f8', entries 0-126 of .*damaged\.root"):
        read_tree(str(damaged), span, ["list_f8"], ["list_f8"], ReadOptions(), print)


# ------------------------------------------------------------------------------- real files


@pytest.mark.parametrize(
    ("name", "direct"),
    [
        ("nano_dy", True),
        ("nano_dimuon", True),
        ("nano_tt_v12", True),
        ("nanoAOD_2015_CMS_Open_Data_ttbar", False),  # its only baskets are inside the tree
        ("missing_luminosityBlock", True),
    ],
)
@pytest.mark.parametrize("part", [(0.0, 1.0), (0.1, 0.63)])
def test_every_branch_of_real_files(
    real_data: Path, name: str, direct: bool, part: tuple[float, float]
) -> None:
    path = real_data / "nanoaod" / f"{name}.root"
    info = info_of(path)
    start, stop = (int(share * info.entries) for share in part)
    found, by_uproot = read(info, sorted(info.branch_bytes), start, stop)
    assert len(found) > 600
    assert (by_uproot == []) == direct
    assert_same(found, path, start, stop)


# ------------------------------------------------------------------------- files of ROOT's own


LEFT = {"fixed", "packed", "half", "nested", "text"}


@pytest.mark.parametrize("name", [*CODECS, "offset_map"])
@pytest.mark.parametrize(("start", "stop"), [(0, 500), (130, 290), (499, 500), (3, 3)])
def test_trees_written_by_root(root_files: Path, name: str, start: int, stop: int) -> None:
    path = root_files / f"{name}.root"
    info = info_of(path)
    assert len(info.clusters) > 3
    found, by_uproot = read(info, sorted(info.branch_bytes), start, stop)
    without_offsets = {"Item_pt", "Item_good"} if name == "offset_map" else set()
    assert set(by_uproot) == LEFT | without_offsets
    assert_same(found, path, start, stop)
