from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st

from lazyana.errors import InputError
from lazyana.sinks import ttree
from lazyana.sinks.ttree import DTYPES, Branch, Column, write_tree


def column(dtype: str, counts: list[int] | None, entries: int, shape: tuple[int, ...]) -> Column:
    length = entries if counts is None else sum(counts)
    size = length * int(np.prod(shape, dtype=int))
    values = (np.arange(size) * 37 % 101).astype(dtype).reshape((length, *shape))
    return values, None if counts is None else np.concatenate([[0], np.cumsum(counts, dtype=int)])


def flat(array: Any) -> np.ndarray[Any, Any]:
    return np.asarray(array)


@pytest.fixture
def read_back(tmp_path: Path) -> Callable[..., Any]:
    def write(branches: list[Branch], parts: list[Any], **options: Any) -> Any:
        path = tmp_path / "tree.root"
        with uproot.recreate(path, **options) as file:
            write_tree(file, "t", branches, parts)
        return uproot.open(path)["t"]

    return write


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("jagged", [False, True])
def test_every_type_comes_back(
    read_back: Callable[..., Any], dtype: str, shape: tuple[int, ...], jagged: bool
) -> None:
    counts = [2, 0, 3, 1] if jagged else None
    branch = Branch("x", dtype, "nx" if jagged else "", shape)
    values, offsets = column(dtype, counts, 4, shape)
    tree = read_back([branch], [(4, {"x": (values, offsets)})])
    found = tree["x"].array(library="np")
    if counts is None:
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, values)
    else:
        assert [len(one) for one in found] == counts
        assert tree["nx"].array(library="np").tolist() == counts
        np.testing.assert_array_equal(np.concatenate(list(found)), values)
        assert found[0].dtype == np.dtype(dtype)


@given(
    lengths=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), max_size=14),
)
def test_parts_come_back_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[list[int]]
) -> None:
    path = tmp_path_factory.mktemp("parts") / "tree.root"
    branches = [Branch("v", "float32"), Branch("x", "int16", "nx"), Branch("y", "bool", "nx")]
    parts = []
    for counts in lengths:
        n = len(counts)
        some = {
            "v": column("float32", None, n, ()),
            "x": column("int16", counts, n, ()),
            "y": column("bool", counts, n, ()),
        }
        parts.append((n, some))
    with uproot.recreate(path) as file:
        entries = write_tree(file, "t", branches, parts)
    tree = uproot.open(path)["t"]
    assert entries == tree.num_entries == sum(map(len, lengths))
    assert tree["x"].num_baskets == len(lengths)
    for name in ("x", "y"):
        found = tree[name].array(library="np")
        assert [len(one) for one in found] == [count for some in lengths for count in some]
        expected = [one[1][name][0] for one in parts]
        if entries:
            np.testing.assert_array_equal(np.concatenate(list(found)), np.concatenate(expected))
    np.testing.assert_array_equal(
        tree["v"].array(library="np"), np.concatenate([np.zeros(0), *(p[1]["v"][0] for p in parts)])
    )


@pytest.mark.parametrize(
    "codec", [None, uproot.ZSTD(5), uproot.ZLIB(4), uproot.LZMA(4), uproot.LZ4(4)]
)
def test_every_compression(read_back: Callable[..., Any], codec: Any) -> None:
    values = np.arange(5000, dtype="int32") // 50
    tree = read_back([Branch("x", "int32")], [(5000, {"x": (values, None)})], compression=codec)
    np.testing.assert_array_equal(tree["x"].array(library="np"), values)
    assert tree["x"].uncompressed_bytes >= 20_000
    assert (tree["x"].compressed_bytes < 20_000) == (codec is not None)


def test_titles_and_counters(read_back: Callable[..., Any]) -> None:
    branches = [
        Branch("run", "uint32", title="run number"),
        Branch("Jet_pt", "float32", "nJet", counts="uint32", title="transverse momentum"),
        Branch("Jet_id", "int8", "nJet", counts="uint32"),
    ]
    columns = {
        "run": column("uint32", None, 2, ()),
        "Jet_pt": column("float32", [5, 1], 2, ()),
        "Jet_id": column("int8", [5, 1], 2, ()),
    }
    tree = read_back(branches, [(2, columns)])
    assert tree.keys() == ["run", "nJet", "Jet_pt", "Jet_id"]
    assert tree["run"].title == "run number"
    assert tree["Jet_pt"].title == "transverse momentum"
    assert tree["Jet_id"].title == "Jet_id[nJet]/B"
    assert tree["Jet_id"].count_branch.name == "nJet"
    assert tree["nJet"].typename == "uint32_t"
    assert tree["nJet"].member("fLeaves")[0].member("fMaximum") == 5


def test_several_trees_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "two.root"
    with uproot.recreate(path) as file:
        for name, length in (("a", 3), ("b", 0), ("c", 5)):
            part = (length, {"x": column("float64", None, length, ())})
            write_tree(file, name, [Branch("x", "float64")], [part])
        file["note"] = "text"
    root = uproot.open(path)
    assert [root[name].num_entries for name in "abc"] == [3, 0, 5]
    assert str(root["note"]) == "text"
    assert root["c"]["x"].array().tolist() == [0.0, 37.0, 74.0, 10.0, 47.0]


def test_no_branches_is_refused(tmp_path: Path) -> None:
    with (
        uproot.recreate(tmp_path / "none.root") as file,
        pytest.raises(InputError, match="at least one"),
    ):
        write_tree(file, "t", [], [])


@pytest.mark.parametrize("counts", [None, [40, 60]])
def test_too_large_a_part_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: list[int] | None
) -> None:
    monkeypatch.setattr(ttree, "_LARGEST", 300)
    branch = Branch("x", "int64", "nx" if counts else "")
    entries = 2 if counts else 100
    with (
        uproot.recreate(tmp_path / "large.root") as file,
        pytest.raises(InputError, match="partition_size"),
    ):
        write_tree(file, "t", [branch], [(entries, {"x": column("int64", counts, entries, ())})])
