"""Partitions: the entry ranges that tasks work on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lazyana.data.inspect import Catalog, FileInfo


@dataclass(frozen=True, slots=True)
class Partition:
    """An entry range of one file.

    Attributes
    ----------
    number
        Running number within the job: the order in which results are merged.
    dataset
        Name of the dataset.
    label
        Position of the dataset in its group.
    url, tree, uuid
        The file, its tree, and the identity its content must still have.
    start, stop
        First entry, and one past the last.
    """

    number: int
    dataset: str
    label: int
    url: str
    tree: str
    uuid: str
    start: int
    stop: int

    @property
    def entries(self) -> int:
        """Number of events."""
        return self.stop - self.start


def partitions_of(
    catalog: Catalog, datasets: Iterable[str], size: int, first: int = 0
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
        Partition(number, name, label, file.url, file.tree, file.uuid, start, stop)
        for number, (name, label, file, start, stop) in enumerate(ranges, start=first)
    )


def _ranges(file: FileInfo, size: int) -> Iterator[tuple[int, int]]:
    pieces = -(-file.entries // size)
    for piece in range(pieces):
        yield piece * file.entries // pieces, (piece + 1) * file.entries // pieces
