"""Runs over the first partitions of each dataset only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lazyana.data.partitions import Partition
from lazyana.frame.group import Group


@dataclass
class Limit:
    """Takes the first partitions of each dataset out of one group after the other.

    The files of a dataset can be in several groups, which share the limit. Where they are opened
    once more, each opening has its own.

    Attributes
    ----------
    partitions
        How many of each dataset; None for all.
    """

    partitions: int | None
    _taken: Counter[str] = field(default_factory=Counter)
    _files: dict[str, set[str]] = field(default_factory=dict)

    def first_of(self, group: Group, partitions: tuple[Partition, ...]) -> tuple[Partition, ...]:
        """Those of a group that are within the limit, numbered as before."""
        if self.partitions is None:
            return partitions
        for name in group.names:
            here = {file.url for file in group.catalog.files[name]}
            known = self._files.setdefault(name, set())
            if here & known:
                self._taken[name] = 0
                known.clear()
            known |= here
        first = partitions[0].number if partitions else 0
        kept = filter(self._takes, partitions)
        return tuple(replace(one, number=number) for number, one in enumerate(kept, start=first))

    def _takes(self, partition: Partition) -> bool:
        if self._taken[partition.dataset] == self.partitions:
            return False
        self._taken[partition.dataset] += 1
        return True


def left_out(groups: Iterable[Group], processed: int) -> str:
    """What a limit left out of some groups, in words; nothing if all events are processed."""
    there = sum(group.entries for group in groups)
    left = there - processed
    return f"{left:,} of {there:,} events are beyond the limit of partitions" if left else ""
