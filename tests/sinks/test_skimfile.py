from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from lazyana.errors import InputError, InputTypeError, RunError
from lazyana.sinks.folder import Folder
from lazyana.sinks.skimfile import Table, codec, publish
from lazyana.sinks.ttree import Branch


def table(optional: bool = False, **columns: ak.Array) -> Table:
    branches = [
        Branch(name, "float32", "nx" if column.ndim > 1 else "", optional=optional)
        for name, column in columns.items()
    ]
    layouts = {name: column.layout for name, column in columns.items()}
    return Table.of(branches, layouts, len(next(iter(columns.values()))), "the test")


LISTS = ak.Array([[1.0, 2.0], [], [3.0], [4.0, 5.0, 6.0]])


def test_views_of_larger_arrays_are_cut() -> None:
    made = table(a=LISTS[np.array([3, 1, 0])])
    values, offsets = made.columns["a"]
    assert values.tolist() == [4, 5, 6, 1, 2]
    assert offsets is not None
    assert offsets.tolist() == [0, 3, 3, 5]


def test_fields_of_a_selected_record() -> None:
    record = ak.zip({"a": LISTS, "b": -LISTS})[[3, 0]]
    made = table(a=record["a"], b=record["b"])
    assert made.columns["b"][0].tolist() == [-4, -5, -6, -1, -2]
    assert made.columns["a"][1] is made.columns["b"][1]


def test_different_lengths_are_refused() -> None:
    with pytest.raises(RunError, match=r"'a' and 'b' have different numbers"):
        table(a=LISTS, b=LISTS[[1, 0, 2, 3]])


def test_no_lists_where_lists_belong() -> None:
    branch = Branch("a", "float32", "na")
    with pytest.raises(RunError, match="has no lists"):
        Table.of([branch], {"a": ak.Array([1.0]).layout}, 1, "the test")


@pytest.mark.parametrize("array", [ak.Array([1.0, None]), ak.Array([[1.0, None], []])])
def test_none_is_left_out_or_refused(array: ak.Array) -> None:
    assert table(optional=True, a=array).branches == ()
    with pytest.raises(RunError, match="'a' is None in some"):
        table(a=array)


def test_options_without_none_are_written() -> None:
    array = ak.Array([1.0, None, 2.0])[[0, 2]]
    assert table(optional=True, a=array).columns["a"][0].tolist() == [1, 2]


@pytest.mark.parametrize("most", [1, 17, 40, 10_000])
def test_parts_are_the_whole(most: int) -> None:
    made = table(a=LISTS, v=ak.Array([1.0, 2.0, 3.0, 4.0]))
    parts = list(made.parts(most))
    assert sum(entries for entries, _ in parts) == 4
    assert np.concatenate([part["a"][0] for _, part in parts]).tolist() == [1, 2, 3, 4, 5, 6]
    counts = [np.diff(part["a"][1]) for _, part in parts if part["a"][1] is not None]
    assert np.concatenate(counts).tolist() == [2, 0, 1, 3]
    assert np.concatenate([part["v"][0] for _, part in parts]).tolist() == [1, 2, 3, 4]
    assert len(parts) == min(4, -(-made.bytes // most))


def test_nothing_has_no_parts() -> None:
    assert list(Table((), 0, {}).parts()) == []


@pytest.mark.parametrize(
    ("text", "level"), [("ZSTD(3)", 3), ("zstd", 5), ("LZ4", 4), (" zlib(9)", 9), ("LZMA", 6)]
)
def test_compression_by_name(text: str, level: int) -> None:
    found = codec(text)
    assert type(found).__name__ == text.strip().partition("(")[0].upper()
    assert found.level == level


def test_unknown_compression() -> None:
    with pytest.raises(InputError, match=r"Did you mean 'ZSTD'\?"):
        codec("ZTSD(4)")
    with pytest.raises(InputError, match=r"ZSTD\(5\)"):
        codec("ZSTD5)")
    with pytest.raises(InputTypeError, match="give text"):
        codec(uproot.ZSTD(5))


@pytest.mark.parametrize("remote", [False, True])
def test_publish_gives_the_name_at_the_end(tmp_path: Path, remote: bool) -> None:
    folder = Folder(f"memory://skims{tmp_path}" if remote else str(tmp_path / "out"))
    seen: list[Path] = []

    def write(path: Path) -> None:
        path.write_bytes(b"content")
        seen.append(path)
        assert not folder.exists("d/one.root")

    assert publish(folder, "d/one.root", write) == 7
    assert folder.fs.cat_file(folder.full("d/one.root")) == b"content"
    assert not seen[0].exists()


def test_publish_leaves_nothing_of_a_failure(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError

    with pytest.raises(OSError, match=r"^$"):
        publish(Folder(str(tmp_path)), "one.root", fail)
    assert list(tmp_path.iterdir()) == []
