"""Partitions: the entry ranges that tasks work on."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lazyana.data.catalog import Catalog
from lazyana.options import PartitionSize
from lazyana.reader.fileinfo import FileInfo
from lazyana.reader.spans import Span


@dataclass(frozen=True, slots=True)
class Partition:
    """What one task works on: an entry range of one file, or several small files.

    Attributes
    ----------
    number
        Running number within the job: the order in which results are merged.
    dataset
        Name of the dataset.
    label
        Position of the dataset in its group.
    spans
        The entry ranges, in order; at least one, all of the same dataset.
    """

    number: int
    dataset: str
    label: int
    spans: tuple[Span, ...]

    def __reduce__(self) -> Any:
        """Travel without the names of the fields."""
        return Partition, (self.number, self.dataset, self.label, self.spans)

    @property
    def entries(self) -> int:
        """Number of events."""
        return sum(span.entries for span in self.spans)

    def head(self, entries: int) -> Partition:
        """No more than the first `entries` events of the first file."""
        first = self.spans[0]
        stop = min(first.start + entries, first.stop)
        return replace(self, spans=(replace(first, stop=stop),))

    @property
    def file(self) -> str:
        """The file, or what to call the files."""
        more = len(self.spans) - 1
        return self.spans[0].url + (f" and {more} more file{'s' * (more > 1)}" if more else "")

    @property
    def start(self) -> int:
        """First entry; 0 for several files."""
        return self.spans[0].start if len(self.spans) == 1 else 0

    @property
    def stop(self) -> int:
        """One past the last entry, as counted from `start`."""
        return self.start + self.entries


def partitions_of(
    catalog: Catalog,
    datasets: Iterable[str],
    size: int | str | None = None,
    first: int = 0,
    branches: Sequence[str] = (),
) -> tuple[Partition, ...]:
    """Cut the files of some datasets into partitions, and put small files together.

    A partition holds whole clusters (row groups), as many as fit; a cluster that is too large is
    cut into equal parts. Those of one file are about equally large. Neighbouring files of a
    dataset that fit into one partition, at most 32 of them, become one.

    Parameters
    ----------
    catalog
        What inspection learned.
    datasets
        Names of the datasets of one group, in the group's order.
    size
        Largest number of events in a partition, or text such as ``"200 MB"`` for the size of
        what is read of it; None for the default (see `PartitionSize`).
    first
        Number of the first partition.
    branches
        What is read, in the order of the plan.

    Returns
    -------
    tuple of Partition
        In the order of datasets, files and entries. Files without events give none. It depends
        on nothing but the arguments.

    Raises
    ------
    InputError, InputTypeError
        A size that is none.
    """
    names = tuple(datasets)
    limits = _Limits.of(PartitionSize.parse(size), sum(map(catalog.entries, names)))
    found = (
        (name, label, spans)
        for label, name in enumerate(names)
        for spans in _spans_of(catalog.files[name], limits, branches)
    )
    return tuple(
        Partition(number, name, label, spans)
        for number, (name, label, spans) in enumerate(found, start=first)
    )


def first_file(
    catalog: Catalog, datasets: Iterable[str], branches: Sequence[str] = ()
) -> Partition | None:
    """All of the first file that has events; None where there is none."""
    for label, name in enumerate(datasets):
        for file in catalog.files[name]:
            if file.entries:
                return Partition(0, name, label, (span_of(file, 0, file.entries, branches),))
    return None


def span_of(file: FileInfo, start: int, stop: int, branches: Sequence[str]) -> Span:
    """An entry range of a file, with what a task needs to read some of its branches."""
    return _cut_file(file, [start, stop], branches)[0]


def memory_of(file: FileInfo, branches: Iterable[str]) -> int:
    """Uncompressed size of some branches of a file, in bytes; 0 where it is not known."""
    return sum(file.branch_memory.get(branch, 0) for branch in branches)


def bytes_of(file: FileInfo, branches: Iterable[str]) -> int:
    """Compressed size of some branches of a file, in bytes."""
    return sum(file.branch_bytes.get(branch, 0) for branch in branches)


_LEAST_PARTITIONS = 16
_LEAST_EVENTS = 200_000
_MOST_FILES = 32


@dataclass(frozen=True)
class _Limits:
    """What a partition may hold; None for any number.

    `slack` is how much larger than that a cluster may be that is not cut.
    """

    events: int | None
    bytes: int | None
    slack: float

    @classmethod
    def of(cls, size: PartitionSize, entries: int) -> _Limits:
        events = size.events
        if size.spread and events is not None:
            events = min(events, max(_LEAST_EVENTS, entries // _LEAST_PARTITIONS))
        return cls(events, size.bytes, 1.0 if size.bytes is None else 1.5)

    def events_of(self, file: FileInfo, memory: int) -> int:
        """Number of events of a file that fit."""
        events = file.entries if self.events is None else self.events
        if self.bytes is not None and memory:
            events = min(events, self.bytes * file.entries // memory)
        return max(events, 1)


def _spans_of(
    files: Iterable[FileInfo], limits: _Limits, branches: Sequence[str]
) -> Iterator[tuple[Span, ...]]:
    """The spans of each partition of a dataset."""
    cuts = []
    for file in files:
        if file.entries:
            memory = memory_of(file, branches)
            fits = limits.events_of(file, memory)
            cuts.append((file, memory, _cuts(file.clusters, file.entries, fits, limits.slack)))
    for small, some in itertools.groupby(cuts, key=lambda item: len(item[2]) == 2):
        if small:
            yield from _together(list(some), limits, branches)
        else:
            for file, _, edges in some:
                yield from ((span,) for span in _cut_file(file, edges, branches))


def _cut_file(file: FileInfo, edges: Sequence[int], branches: Sequence[str]) -> tuple[Span, ...]:
    """The spans between some entries of a file, with what a task needs to read the branches."""
    index = file.index
    ranges = [b""] * (len(edges) - 1) if index is None else index.split(branches, edges)
    urls = file.urls
    return tuple(
        Span(
            urls,
            file.tree,
            file.format,
            file.uuid,
            start,
            stop,
            file.signature,
            file.file_bytes,
            baskets,
        )
        for (start, stop), baskets in zip(itertools.pairwise(edges), ranges, strict=True)
    )


def _together(
    files: Sequence[tuple[FileInfo, int, Sequence[int]]],
    limits: _Limits,
    branches: Sequence[str],
) -> Iterator[tuple[Span, ...]]:
    """Neighbouring files that fit into one partition, put together."""
    numbers = range(len(files) + 1)
    events = [0, *itertools.accumulate(file.entries for file, _, _ in files)]
    memory = [0, *itertools.accumulate(memory for _, memory, _ in files)]
    reach = _reach(numbers, _MOST_FILES)
    for sums, most in ((events, limits.events), (memory, limits.bytes)):
        if most is not None:
            reach = np.minimum(reach, _reach(sums, most))
    for start, stop in itertools.pairwise(_balanced(events, reach.tolist())):
        yield tuple(
            span
            for file, _, edges in files[start:stop]
            for span in _cut_file(file, edges, branches)
        )


def _cuts(clusters: Sequence[int], entries: int, most: int, slack: float) -> list[int]:
    """Where to cut a file into partitions of at most `most` entries, a too large cluster aside.

    Returns
    -------
    list of int
        First entry of each partition, and the number of entries at the end.
    """
    if entries <= most:
        return [0, entries]
    inner = np.asarray(clusters, np.int64)
    edges = np.unique([0, *inner[(inner > 0) & (inner < entries)], entries])
    parts = np.where(np.diff(edges) <= slack * most, 1, -(-np.diff(edges) // most))
    if parts.max() > 1:
        # Part k of n of a cluster begins at start + k * length // n.
        which = np.repeat(np.arange(len(parts)), parts)
        part = np.arange(len(which)) - np.repeat(np.cumsum(parts) - parts, parts)
        starts = edges[which] + part * np.diff(edges)[which] // parts[which]
        edges = np.append(starts, entries)
    places = _balanced(edges.tolist(), _reach(edges, most).tolist())
    return [int(edge) for edge in edges[places]]


def _reach(sums: npt.ArrayLike, most: int) -> npt.NDArray[np.int64]:
    """The farthest place from each but the last: no farther than `most`, or one step."""
    places = np.asarray(sums, np.int64)
    far = np.searchsorted(places, places[:-1] + most, side="right") - 1
    return np.maximum(far, np.arange(1, len(places)))


def _balanced(sums: Sequence[int], reach: Sequence[int]) -> list[int]:
    """The fewest jumps from the first to the last place, about equally long.

    Parameters
    ----------
    sums
        Where the places are, ascending, shape ``(places,)``.
    reach
        The farthest place to jump to from each, shape ``(places - 1,)``.

    Returns
    -------
    list of int
        The places, the first and the last included.
    """
    last = len(sums) - 1
    needed = [0] * len(sums)
    for place in range(last - 1, -1, -1):
        needed[place] = 1 + needed[reach[place]]
    found = [0]
    for left in range(needed[0], 1, -1):
        here = found[-1]
        aim = sums[here] + (sums[last] - sums[here]) / left
        place = bisect_left(sums, aim, here + 1)
        if place > here + 1 and aim - sums[place - 1] <= sums[place] - aim:
            place -= 1
        # Each jump to come needs a place of its own, and they must suffice.
        place = min(place, reach[here], last + 1 - left)
        while needed[place] >= left:
            place += 1
        found.append(place)
    return [*found, last] if last else found
