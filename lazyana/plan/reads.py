"""What the tasks of a group read, as far as the catalog tells."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lazyana.data.partitions import Partition, bytes_of, memory_of
from lazyana.reader.baskets import unpack
from lazyana.reader.fileinfo import FileInfo
from lazyana.reader.spans import Span


@dataclass(frozen=True)
class Reads:
    """What the tasks of a group read.

    Attributes
    ----------
    events
        Fewest, median and most events of a partition.
    formats
        Number of files of each format.
    requests
        How many vectored requests there are: one for each partition and file.
    request_bytes
        Largest number of bytes of a partition, compressed.
    largest
        Events of the partition whose columns are largest.
    column_bytes
        Size of its columns, uncompressed.
    held
        Uncompressed bytes an event of each branch in it.
    by_uproot
        Branches that the basket index of some files lacks, and the number of these files.
    """

    events: tuple[int, int, int]
    formats: Mapping[str, int]
    requests: int
    request_bytes: int
    largest: int
    column_bytes: int
    held: Mapping[str, float]
    by_uproot: Mapping[str, int]

    @property
    def reading_bytes(self) -> int:
        """Memory that reading the largest partition takes: as read, unpacked, and as arrays."""
        return self.request_bytes + 2 * self.column_bytes


def reads_of(
    files: Iterable[FileInfo], partitions: Sequence[Partition], branches: Sequence[str]
) -> Reads:
    """What the tasks of a group read.

    Parameters
    ----------
    files
        The files of the group.
    partitions
        The partitions of the group.
    branches
        What is read.
    """
    known = {(file.url, file.uuid): file for file in files if file.entries}
    rates = {place: _rates(file, branches) for place, file in known.items()}

    def sizes(partition: Partition) -> tuple[float, float]:
        found = [(rates[span.url, span.uuid], span.entries) for span in partition.spans]
        memory, packed = (sum(rate[i] * number for rate, number in found) for i in (0, 1))
        return memory, packed

    largest = max(partitions, key=sizes, default=None)
    memory = sizes(largest)[0] if largest is not None else 0
    events = [partition.entries for partition in partitions] or [0]
    return Reads(
        (min(events), int(statistics.median(events)), max(events)),
        Counter(file.format for file in known.values()),
        sum(len(partition.spans) for partition in partitions),
        round(max((sizes(partition)[1] for partition in partitions), default=0)),
        0 if largest is None else largest.entries,
        round(memory),
        {} if largest is None else _held(known, largest, branches),
        _by_uproot(known, partitions, branches),
    )


def _rates(file: FileInfo, branches: Sequence[str]) -> tuple[float, float]:
    """Bytes an event: uncompressed (compressed where that is not known), and compressed."""
    packed = bytes_of(file, branches) / file.entries
    return memory_of(file, branches) / file.entries or packed, packed


def _held(
    known: Mapping[tuple[str, str], FileInfo], partition: Partition, branches: Sequence[str]
) -> dict[str, float]:
    """Uncompressed bytes an event of each branch of a partition."""
    total = dict.fromkeys(branches, 0.0)
    for span in partition.spans:
        file = known[span.url, span.uuid]
        for branch in branches:
            total[branch] += memory_of(file, (branch,)) * span.entries / file.entries
    return {branch: size / partition.entries for branch, size in total.items()}


def _by_uproot(
    known: Mapping[tuple[str, str], FileInfo],
    partitions: Iterable[Partition],
    branches: Sequence[str],
) -> dict[str, int]:
    first: dict[tuple[str, str], Span] = {}
    for partition in partitions:
        for span in partition.spans:
            if span.format == "TTree":
                first.setdefault((span.url, span.uuid), span)
    found: Counter[str] = Counter()
    for place, span in first.items():
        indexed, there = unpack(span.baskets, branches), known[place].branch_bytes
        found.update(branch for branch in branches if branch in there and branch not in indexed)
    return dict(sorted(found.items()))
