"""Partitions: the entry ranges that tasks work on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lazyana.data.catalog import Catalog, FileInfo


@dataclass(frozen=True, slots=True)
class Span:
    """An entry range of one file, and how to read it.

    Attributes
    ----------
    urls
        Where the file is: the first one is its name, the others are tried when that fails.
    tree, format, uuid
        The tree, how it is stored, and the identity the file's content must still have.
    start, stop
        First entry, and one past the last.
    signature
        Layout of the file.
    file_bytes
        Size that the file must still have; 0 where it is not known.
    baskets
        Byte ranges of the branches that the plan reads, from `BasketIndex.select`; ``b""`` where
        there is no index.
    """

    urls: tuple[str, ...]
    tree: str
    format: str
    uuid: str
    start: int
    stop: int
    signature: str
    file_bytes: int = 0
    baskets: bytes = b""

    @property
    def url(self) -> str:
        """Name of the file."""
        return self.urls[0]

    @property
    def entries(self) -> int:
        """Number of events."""
        return self.stop - self.start

    @property
    def where(self) -> str:
        """The entries, for messages."""
        return f"entries {self.start}-{self.stop} of {self.url}"


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
    size: int,
    first: int = 0,
    branches: Sequence[str] = (),
) -> tuple[Partition, ...]:
    """Cut the files of some datasets into partitions of about equal size.

    Parameters
    ----------
    catalog
        What inspection learned.
    datasets
        Names of the datasets of one group, in the group's order.
    size
        Largest number of events in a partition.
    first
        Number of the first partition.
    branches
        What is read, in the order of the plan.

    Returns
    -------
    tuple of Partition
        In the order of datasets, files and entries. Files without events give none.
    """
    ranges = (
        (name, label, file, start, stop)
        for label, name in enumerate(datasets)
        for file in catalog.files[name]
        for start, stop in _ranges(file, size)
    )
    return tuple(
        Partition(number, name, label, (span_of(file, start, stop, branches),))
        for number, (name, label, file, start, stop) in enumerate(ranges, start=first)
    )


def span_of(file: FileInfo, start: int, stop: int, branches: Sequence[str]) -> Span:
    """An entry range of a file, with what a task needs to read some of its branches."""
    baskets = b"" if file.index is None else file.index.select(branches, start, stop)
    return Span(
        urls=file.urls,
        tree=file.tree,
        format=file.format,
        uuid=file.uuid,
        start=start,
        stop=stop,
        signature=file.signature,
        file_bytes=file.file_bytes,
        baskets=baskets,
    )


def _ranges(file: FileInfo, size: int) -> Iterator[tuple[int, int]]:
    pieces = -(-file.entries // size)
    for piece in range(pieces):
        yield piece * file.entries // pieces, (piece + 1) * file.entries // pieces
