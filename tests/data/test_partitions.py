"""Partitions cover all events once, in order."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from lazyana.data.catalog import Catalog, FileInfo
from lazyana.data.fileset import Dataset, Fileset
from lazyana.data.partitions import Partition, Span, partitions_of


def catalog(entries: dict[str, list[int]]) -> Catalog:
    files = {
        name: tuple(
            FileInfo(f"{name}{i}.root", "Events", f"uuid{i}", n, "s", {})
            for i, n in enumerate(numbers)
        )
        for name, numbers in entries.items()
    }
    fileset = Fileset(
        tuple(
            Dataset(name, tuple((info.url, None) for info in infos))
            for name, infos in files.items()
        )
    )
    return Catalog(fileset, files, {})


datasets = st.dictionaries(
    st.sampled_from("ABCD"), st.lists(st.integers(0, 500), min_size=1, max_size=4), min_size=1
)


@given(datasets, st.integers(1, 600), st.integers(0, 9))
def test_every_event_once(entries: dict[str, list[int]], size: int, first: int) -> None:
    found = partitions_of(catalog(entries), entries, size, first)
    covered = [
        (p.label, p.dataset, p.file, p.spans[0].tree, entry)
        for p in found
        for entry in range(p.start, p.stop)
    ]
    assert covered == [
        (label, name, f"{name}{i}.root", "Events", entry)
        for label, (name, numbers) in enumerate(entries.items())
        for i, n in enumerate(numbers)
        for entry in range(n)
    ]
    assert [p.number for p in found] == list(range(first, first + len(found)))


@given(st.integers(1, 3000), st.integers(1, 700))
def test_partitions_of_a_file_are_few_and_equal(entries: int, size: int) -> None:
    sizes = [p.entries for p in partitions_of(catalog({"A": [entries]}), ["A"], size)]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-entries // size)


def test_only_the_datasets_asked_for() -> None:
    found = partitions_of(catalog({"A": [3], "B": [4], "C": [5]}), ["C", "A"], 10)
    assert [(p.dataset, p.label, p.entries) for p in found] == [("C", 0, 5), ("A", 1, 3)]


def test_files_without_events_give_none() -> None:
    assert partitions_of(catalog({"A": [0, 0]}), ["A"], 10) == ()


def test_identity_travels_with_the_partition() -> None:
    (_, second) = partitions_of(catalog({"A": [1, 2]}), ["A"], 10)
    assert second == Partition(
        1, "A", 0, (Span(("A1.root",), "Events", "TTree", "uuid1", 0, 2, "s"),)
    )
    assert pickle.loads(pickle.dumps(second)) == second


def test_a_partition_is_small() -> None:
    (one,) = partitions_of(catalog({"A": [1]}), ["A"], 10)
    assert len(pickle.dumps(one)) < 300
