"""Partitions cover all events once, in order, and are as large as they should be."""

from __future__ import annotations

import bisect
import itertools
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.data.catalog import Catalog
from lazyana.data.fileset import Dataset, Fileset
from lazyana.data.partitions import (
    Partition,
    bytes_of,
    first_file,
    memory_of,
    partitions_of,
    span_of,
)
from lazyana.errors import InputError, InputTypeError
from lazyana.reader.baskets import BasketIndex, Baskets, unpack
from lazyana.reader.fileinfo import FileInfo
from lazyana.reader.spans import Span


def made(name: str, entries: int, **more: Any) -> FileInfo:
    return FileInfo(f"{name}.root", "Events", f"uuid-{name}", entries, "s", {}, **more)


def catalog_of(files: Mapping[str, Sequence[FileInfo]]) -> Catalog:
    fileset = Fileset(
        tuple(
            Dataset(name, tuple((info.url, None) for info in infos))
            for name, infos in files.items()
        )
    )
    return Catalog(fileset, {name: tuple(infos) for name, infos in files.items()}, {})


def catalog(entries: Mapping[str, Sequence[int]]) -> Catalog:
    return catalog_of(
        {
            name: [made(f"{name}{i}", n) for i, n in enumerate(numbers)]
            for name, numbers in entries.items()
        }
    )


def sizes(files: Sequence[FileInfo], size: Any = None) -> list[int]:
    """Events of each partition of a dataset whose tasks read branch ``x``."""
    return [p.entries for p in partitions_of(catalog_of({"A": files}), ["A"], size, 0, ["x"])]


def clustered(lengths: Sequence[int]) -> FileInfo:
    edges = tuple(itertools.accumulate(lengths, initial=0))
    return made("A", edges[-1], clusters=edges)


@st.composite
def some_files(draw: st.DrawFn) -> dict[str, list[FileInfo]]:
    """Files of every size, with clusters of every size, and memory that may be unknown."""

    def file(name: str) -> FileInfo:
        lengths = draw(st.lists(st.integers(0, 90), max_size=12))
        edges = tuple(itertools.accumulate(lengths, initial=0))
        memory = {"x": draw(st.integers(0, 50_000))} if draw(st.booleans()) else {}
        known = edges if draw(st.booleans()) else ()
        return made(name, edges[-1], clusters=known, branch_memory=memory)

    names = draw(st.lists(st.sampled_from("ABC"), min_size=1, unique=True))
    return {n: [file(f"{n}{i}") for i in range(draw(st.integers(1, 5)))] for n in names}


asked = st.one_of(
    st.none(), st.integers(1, 700), st.integers(1, 60_000).map(lambda number: f"{number} B")
)


# -- laws -------------------------------------------------------------------------------------


@given(some_files(), asked, st.integers(0, 9))
def test_every_event_once_and_in_order(
    files: dict[str, list[FileInfo]], size: int | str | None, first: int
) -> None:
    found = partitions_of(catalog_of(files), files, size, first, ["x"])
    covered = [
        (p.label, p.dataset, span.url, span.uuid, entry)
        for p in found
        for span in p.spans
        for entry in range(span.start, span.stop)
    ]
    assert covered == [
        (label, name, info.url, info.uuid, entry)
        for label, (name, infos) in enumerate(files.items())
        for info in infos
        for entry in range(info.entries)
    ]
    assert [p.number for p in found] == list(range(first, first + len(found)))
    assert all(span.entries for p in found for span in p.spans)
    assert found == partitions_of(catalog_of(files), files, size, first, ["x"])


@given(some_files(), st.integers(1, 700))
def test_events_asked_for_are_never_exceeded(files: dict[str, list[FileInfo]], size: int) -> None:
    assert all(p.entries <= size for p in partitions_of(catalog_of(files), files, size))


@given(some_files(), st.integers(1, 60_000))
def test_bytes_asked_for_are_exceeded_by_half_at_most(
    files: dict[str, list[FileInfo]], size: int
) -> None:
    known = {info.url: info for infos in files.values() for info in infos}
    for partition in partitions_of(catalog_of(files), files, f"{size} B", 0, ["x"]):
        infos = [(known[span.url], span.entries) for span in partition.spans]
        memory = sum(memory_of(info, ["x"]) / info.entries * number for info, number in infos)
        # One event is the least there can be.
        assert memory <= 1.5 * size + 1e-6 or partition.entries == 1


@given(some_files(), st.integers(1, 700))
def test_only_clusters_that_are_too_large_are_cut(
    files: dict[str, list[FileInfo]], size: int
) -> None:
    known = {info.url: info for infos in files.values() for info in infos}
    for partition in partitions_of(catalog_of(files), files, size):
        for span in partition.spans:
            edges = known[span.url].clusters
            for cut in {span.start, span.stop} - set(edges) if edges else ():
                after = bisect.bisect(edges, cut)
                assert edges[after] - edges[after - 1] > size


def greedy(lengths: Sequence[int], most: int, number: int) -> int:
    """Into how many groups of neighbours numbers go, `number` of them at most in each."""
    groups, held, count = 0, most + 1, 0
    for length in lengths:
        held, count = held + length, count + 1
        if held > most or count > number:
            groups, held, count = groups + 1, length, 1
    return groups


lengths = st.lists(st.integers(1, 60), min_size=1, max_size=80)


@given(lengths, st.integers(60, 400))
def test_whole_clusters_in_the_fewest_partitions(lengths: list[int], size: int) -> None:
    assert len(sizes([clustered(lengths)], size)) == greedy(lengths, size, 10**6)


@given(lengths, st.integers(60, 400))
def test_whole_small_files_in_the_fewest_partitions(lengths: list[int], size: int) -> None:
    found = sizes([made(f"{i}", n) for i, n in enumerate(lengths)], size)
    assert len(found) == greedy(lengths, size, 32)


@given(st.integers(1, 50), st.integers(1, 60), st.integers(60, 400))
def test_partitions_of_a_file_differ_by_a_cluster_at_most(
    number: int, length: int, size: int
) -> None:
    found = sizes([clustered([length] * number)], size)
    assert max(found) - min(found) <= length


@given(st.integers(1, 3000), st.integers(1, 700))
def test_a_file_without_clusters_is_cut_into_few_equal_parts(entries: int, size: int) -> None:
    found = sizes([made("A", entries)], size)
    assert max(found) <= size
    assert max(found) - min(found) <= 1
    assert len(found) == -(-entries // size)


# -- examples ---------------------------------------------------------------------------------


def test_partitions_are_balanced_not_full_and_tiny() -> None:
    assert sizes([clustered([10] * 7)], 30) == [20, 20, 30]
    assert sizes([clustered([10] * 7)], 60) == [30, 40]
    assert sizes([made(f"{i}", 10) for i in range(10)], 90) == [50, 50]


def test_a_large_cluster_is_cut_into_equal_parts() -> None:
    assert sizes([clustered([100, 30])], 40) == [33, 33, 34, 30]


def test_a_cluster_hardly_larger_than_the_bytes_stays_whole() -> None:
    file = replace(clustered([140, 160]), branch_memory={"x": 3000})
    assert sizes([file], "1000 B") == [140, 80, 80]
    assert sizes([file], 100) == [70, 70, 80, 80]


def test_bytes_are_those_of_the_branches_read() -> None:
    file = made("A", 1000, branch_memory={"x": 4000, "y": 40_000})
    cut = [
        len(partitions_of(catalog_of({"A": [file]}), ["A"], "4 kB", 0, branches))
        for branches in (["x"], ["x", "y"], ["other"], [])
    ]
    assert cut == [1, 12, 1, 1]


def test_small_files_are_read_together_each_with_its_own_ranges() -> None:
    files = [made(f"{i}", 10) for i in range(100)]
    found = partitions_of(catalog_of({"A": files, "B": files[:3]}), ["A", "B"], 1000)
    assert [len(p.spans) for p in found] == [25, 25, 25, 25, 3]  # at most 32 files
    assert [p.dataset for p in found] == [*"AAAAB"]
    assert [span.url for p in found[:4] for span in p.spans] == [file.url for file in files]


def test_a_file_that_is_cut_stays_alone() -> None:
    files = [made("a", 10), made("b", 150), made("c", 10), made("d", 20)]
    assert sizes(files, 100) == [10, 75, 75, 30]


@pytest.mark.parametrize(
    ("entries", "bytes_an_event", "expected"),
    [
        (150_000, 200, [150_000]),  # few events: partitions of 200 000 at least
        (900_000, 200, [180_000] * 5),
        (8_000_000, 100, [500_000] * 16),  # then 16 partitions
        (40_000_000, 10, [1_000_000] * 40),  # then the largest number of events
        (40_000_000, 1000, [128_000] * 312),  # or of bytes
    ],
)
def test_automatic_size(entries: int, bytes_an_event: int, expected: list[int]) -> None:
    file = made("A", entries, branch_memory={"x": entries * bytes_an_event})
    found = sizes([file])
    assert len(found) == pytest.approx(len(expected), abs=1)
    assert found[0] == pytest.approx(expected[0], rel=0.01)


def test_automatic_size_is_that_of_the_group() -> None:
    files = {name: [made(name, 4_000_000)] for name in "AB"}
    alone = partitions_of(catalog_of(files), ["A"])
    assert (len(alone), alone[0].entries) == (16, 250_000)
    both = partitions_of(catalog_of(files), ["A", "B"])
    assert (len(both), both[0].entries) == (16, 500_000)


@pytest.mark.parametrize(
    ("size", "error"), [(0, InputError), ("lots", InputError), (1.5, InputTypeError)]
)
def test_no_size(size: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="partition_size"):
        partitions_of(catalog({"A": [1]}), ["A"], size)


def test_only_the_datasets_asked_for() -> None:
    found = partitions_of(catalog({"A": [3], "B": [4], "C": [5]}), ["C", "A"], 10)
    assert [(p.dataset, p.label, p.entries) for p in found] == [("C", 0, 5), ("A", 1, 3)]


def test_files_without_events_give_none() -> None:
    assert partitions_of(catalog({"A": [0, 0]}), ["A"], 10) == ()
    assert first_file(catalog({"A": [0, 0], "B": [0]}), "AB") is None


def test_first_file_that_has_events() -> None:
    found = first_file(catalog({"A": [0], "B": [0, 7, 5]}), "AB")
    assert found is not None
    assert (found.dataset, found.label, found.file, found.entries) == ("B", 1, "B1.root", 7)


# -- what travels -----------------------------------------------------------------------------


def test_identity_travels_with_the_partition() -> None:
    (one,) = partitions_of(catalog({"A": [1, 2]}), ["A"], 2, 4)[1:]
    assert one == Partition(
        5, "A", 0, (Span(("A1.root",), "Events", "TTree", "uuid-A1", 0, 2, "s"),)
    )
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_partition_is_small() -> None:
    (one,) = partitions_of(catalog({"A": [1]}), ["A"], 10)
    assert len(pickle.dumps(one)) < 200


def test_what_to_call_a_partition_in_messages() -> None:
    one, two = partitions_of(catalog({"A": [4], "B": [3, 3, 3]}), "AB", 9)
    assert (one.file, one.start, one.stop) == ("A0.root", 0, 4)
    assert (two.file, two.start, two.stop) == ("B0.root and 2 more files", 0, 9)
    assert two.spans[0].where == "entries 0-3 of B0.root"
    assert two.head(2).spans == (replace(two.spans[0], stop=2),)
    assert two.head(100).entries == 3


def test_bytes_of_branches() -> None:
    file = replace(made("A", 1), branch_bytes={"x": 3, "y": 4}, branch_memory={"x": 30})
    assert bytes_of(file, ["x", "y", "z"]) == 7
    assert memory_of(file, ["x", "y", "z"]) == 30


def baskets(draw: st.DrawFn, edges: Sequence[int], code: str) -> Baskets:
    number = len(edges) - 1
    seeks = draw(st.lists(st.integers(0, 2**40), min_size=number, max_size=number))
    lengths = draw(st.lists(st.integers(1, 2**31), min_size=number, max_size=number))
    return Baskets(code, *(np.array(x, np.int64) for x in (seeks, lengths, edges)))


@st.composite
def indices(draw: st.DrawFn) -> tuple[dict[str, Baskets], list[int]]:
    """Branches, some with the same basket boundaries and some with empty baskets; and cuts."""
    entries = draw(st.integers(1, 100))
    inner = st.lists(st.integers(0, entries), max_size=6).map(sorted)
    kinds = [[0, *draw(inner), entries] for _ in range(draw(st.integers(1, 3)))]
    branches = {
        f"b{i}": baskets(
            draw, draw(st.sampled_from(kinds)), draw(st.sampled_from([">f4", "[]>i4"]))
        )
        for i in range(draw(st.integers(1, 5)))
    }
    cuts = draw(st.lists(st.integers(0, entries), min_size=2, max_size=8, unique=True))
    return branches, sorted(cuts)


@given(indices(), st.booleans(), st.data())
def test_ranges_of_many_partitions_are_those_of_each(
    given_: tuple[dict[str, Baskets], list[int]], known: bool, data: st.DataObject
) -> None:
    branches, cuts = given_
    index = BasketIndex.build(branches)
    names = data.draw(st.permutations([*branches, "other"]))[: data.draw(st.integers(0, 6))]
    if known:
        assert set(index.branches) == set(branches)
    found = index.split(names, cuts)
    assert len(found) == len(cuts) - 1
    for (start, stop), packed in zip(itertools.pairwise(cuts), found, strict=True):
        assert packed == index.split(names, [start, stop])[0]
        mine = unpack(packed, names)
        assert set(mine) == set(names) - {"other"}
        for name, one in mine.items():
            whole = branches[name].between(start, stop)
            assert one.code == whole.code
            for part in ("seeks", "sizes", "edges"):
                np.testing.assert_array_equal(getattr(one, part), getattr(whole, part))


def test_planning_does_not_keep_what_it_unpacked() -> None:
    numbers = np.arange(3)
    index = BasketIndex.build(
        {name: Baskets(">f4", numbers[:2], numbers[1:], numbers) for name in "ab"}
    )
    file = replace(made("A", 2), index=index)
    names = ["b", "c"]
    (one, two) = partitions_of(catalog_of({"A": [file]}), ["A"], 1, 0, names)
    assert "branches" not in vars(index)
    assert unpack(two.spans[0].baskets, names)["b"].edges.tolist() == [1, 2]
    assert one.spans[0] == span_of(file, 0, 1, names)
