"""What is known of a file, kept and taken back."""

from __future__ import annotations

import itertools
import json
from array import array
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.reader.baskets import BasketIndex, Baskets
from lazyana.reader.fileinfo import FileInfo, Layout, Sizes, lumi_ranges
from lazyana.reader.records import RecordError, packed, unpacked

NAMES = ("Muon_pt", "nMuon", "genWeight")
PLACES = {name: place for place, name in enumerate(NAMES)}
BASKETS = {
    "nMuon": Baskets(">i4", np.array([100, 900]), np.array([70, 80]), np.array([0, 5, 9])),
}

sizes = st.integers(0, 2**62)
tables = st.one_of(
    st.tuples(sizes, sizes, sizes).map(lambda some: Sizes(PLACES, array("q", some))),
    st.dictionaries(st.text(max_size=5), sizes, max_size=3),
)
sums = st.none() | st.floats(allow_nan=False)
lumis = st.none() | st.sets(st.tuples(st.integers(1, 4), st.integers(1, 30))).map(
    lambda some: tuple(sorted(some))
)
infos = st.builds(
    FileInfo,
    url=st.text(max_size=9),
    tree=st.text(max_size=9),
    uuid=st.just("d48060b2-6a57-11ed-8e14-0600a8c0beef"),
    entries=st.integers(0, 2**60),
    signature=st.just("sig"),
    branch_bytes=tables,
    format=st.sampled_from(["TTree", "RNTuple", "parquet"]),
    alternatives=st.lists(st.text(max_size=9), max_size=2).map(tuple),
    branch_memory=tables,
    clusters=st.lists(st.integers(0, 2**60), max_size=4).map(tuple),
    index=st.none() | st.just(BasketIndex.build(BASKETS)),
    file_bytes=st.integers(0, 2**60),
    compression=st.sampled_from(["", "LZMA(9)"]),
    sum_weights=sums,
    sum_signs=sums,
    nano_version=st.none() | st.just("v9"),
    lumis=lumis,
)


def again(info: FileInfo) -> FileInfo:
    content = info.to_record(PLACES)
    return FileInfo.from_record(content, unpacked(content), PLACES)


@given(infos)
def test_all_is_kept(info: FileInfo) -> None:
    found = again(info)
    for one in fields(FileInfo):
        assert getattr(found, one.name) == getattr(info, one.name), one.name


def test_names_and_order_are_shared_by_the_files_of_a_layout() -> None:
    info = FileInfo("a.root", "Events", "u", 3, "sig", Sizes(PLACES, array("q", [5, 2**33, 7])))
    found = again(info)
    assert isinstance(found.branch_bytes, Sizes)
    assert found.branch_bytes.places is PLACES
    assert found.branch_bytes.numbers == array("q", [5, 2**33, 7])
    assert b"Muon_pt" not in info.to_record(PLACES)


def test_numbers_take_no_more_memory_than_they_must() -> None:
    info = FileInfo("a.root", "Events", "u", 3, "sig", Sizes(PLACES, array("q", [5, 6, 7])))
    found = again(info).branch_bytes
    assert isinstance(found, Sizes)
    assert found.numbers.itemsize == 4


def test_a_nan_is_kept() -> None:
    info = FileInfo("a", "Events", "u", 3, "sig", {}, sum_weights=float("nan"))
    found = again(info).sum_weights
    assert found is not None
    assert np.isnan(found)


def test_the_basket_index_may_be_left_where_it_is() -> None:
    info = FileInfo("a", "Events", "u", 3, "sig", {}, index=BasketIndex.build(BASKETS))
    content = info.to_record(PLACES)
    blobs = []

    def index(blob: Any) -> BasketIndex:
        blobs.append(blob)
        return BasketIndex(b"elsewhere")

    record = unpacked(content)
    start = record.blobs[1].start
    found = FileInfo.from_record(content[:start], record, PLACES, index)
    assert found.index is not None
    assert found.index.payload == b"elsewhere"
    assert BasketIndex(blobs[0].of(content)) == info.index


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"plain": {"url": "a"}, "tables": {}, "lumis": None, "indexed": False},
        {"plain": [], "tables": {}, "lumis": None, "indexed": False},
        {"plain": {}, "tables": {"branch_bytes": [None, "z"]}, "lumis": None, "indexed": False},
    ],
)
def test_records_of_something_else_are_refused(head: Any) -> None:
    content = packed(head, [b"no zstd", b""])
    with pytest.raises(RecordError):
        FileInfo.from_record(content, unpacked(content), PLACES)


def test_layouts_are_kept() -> None:
    form = {"fields": ["x"], "contents": [{"primitive": "float32"}]}
    layout = Layout("sig", json.dumps(form))
    assert Layout.from_record(layout.to_record(NAMES)) == (layout, PLACES)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 20))))
def test_lumi_ranges_are_those_of_a_golden_json(pairs: list[tuple[int, int]]) -> None:
    ranges = lumi_ranges(pairs)
    listed = [
        (int(run), section)
        for run, some in ranges.items()
        for first, last in some
        for section in range(first, last + 1)
    ]
    assert listed == sorted(set(pairs))
    for some in ranges.values():
        assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(some))
