"""What tasks read, told from the catalog."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazyana as la
from lazyana.data.catalog import Catalog
from lazyana.data.fileset import Dataset, Fileset
from lazyana.data.partitions import partitions_of
from lazyana.plan.reads import Reads, reads_of
from lazyana.reader.baskets import BasketIndex, Baskets
from lazyana.reader.fileinfo import FileInfo

NAMES = ("x", "y")


def indexed(*names: str) -> BasketIndex:
    numbers = np.array([0, 100])
    return BasketIndex.build(
        {name: Baskets(">f4", numbers[:1], numbers[1:], numbers) for name in names}
    )


def file(name: str, entries: int, **more: Any) -> FileInfo:
    settings = {
        "branch_bytes": {"x": 2 * entries, "y": 3 * entries, "z": 10**9},
        "branch_memory": {"x": 4 * entries, "y": 8 * entries, "z": 10**9},
        "index": indexed("x", "y"),
    }
    return FileInfo(name, "Events", f"uuid-{name}", entries, "s", **(settings | more))


def found(*files: FileInfo, size: Any = None) -> Reads:
    fileset = Fileset((Dataset("A", tuple((one.url, None) for one in files)),))
    catalog = Catalog(fileset, {"A": files}, {})
    return reads_of(files, partitions_of(catalog, ["A"], size, 0, NAMES), NAMES)


def test_sizes_are_those_of_the_largest_partition() -> None:
    reads = found(file("a", 100), file("b", 10), file("empty", 0), file("c", 50), size=60)
    assert reads.events == (50, 50, 60)
    assert reads.formats == {"TTree": 3}
    assert reads.requests == 4  # b and c are read by one task
    assert reads.request_bytes == 60 * 5
    assert (reads.largest, reads.column_bytes) == (60, 60 * 12)
    assert reads.reading_bytes == 60 * 5 + 2 * 60 * 12
    assert reads.held == {"x": 4.0, "y": 8.0}
    assert reads.by_uproot == {}


def test_the_largest_partition_has_the_most_bytes_not_the_most_events() -> None:
    heavy = {"x": 4000, "y": 0}
    reads = found(file("a", 100), file("b", 20, branch_memory=heavy), size=100)
    assert (reads.largest, reads.column_bytes) == (20, 4000)
    assert reads.held == {"x": 200.0, "y": 0.0}
    assert reads.request_bytes == 500


def test_where_the_memory_is_not_known_it_is_at_least_what_is_stored() -> None:
    reads = found(file("a", 100, branch_memory={}))
    assert reads.column_bytes == 500


def test_branches_that_uproot_has_to_read_are_told() -> None:
    reads = found(
        file("a", 100),
        file("b", 100, index=indexed("y")),
        file("c", 100, index=None),
        file("d", 100, index=None, format="parquet"),
        size=40,
    )
    assert reads.by_uproot == {"x": 2, "y": 1}
    assert reads.formats == {"TTree": 3, "parquet": 1}


def test_nothing_to_read() -> None:
    assert found(file("a", 0)) == Reads((0, 0, 0), {}, 0, 0, 0, 0, {}, {})


def test_what_is_told_is_what_is_read(events: la.Events) -> None:
    output = events.sum(events.Jet.pt)
    (group,) = la.explain(output, partition_size=50).groups
    report = la.compute(output, executor="sync", partition_size=50).report
    assert group.reads.requests == report.partitions
    assert group.reads.request_bytes * report.partitions == pytest.approx(
        report.datasets["tt"].bytes_read, rel=0.05
    )
