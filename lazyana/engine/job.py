"""Jobs: programs over partitions as one plain dask graph, one task per partition."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cloudpickle

from lazyana.data.nanoevents import Reading
from lazyana.data.partitions import Partition
from lazyana.plan.program import Program
from lazyana.sinks.base import NOMINAL, Place

StateKey = tuple[str, str, str]
"""(output, dataset, shape variation)"""


@dataclass(frozen=True)
class Partial:
    """What one or more partitions gave.

    Attributes
    ----------
    states
        State of every output, by (output, dataset, shape variation).
    tally
        For each dataset: partitions, events read.
    notes
        What is to be reported, with counts.
    """

    states: Mapping[StateKey, Any] = field(default_factory=dict)
    tally: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)


class Shipped:
    """A program on its way to workers: pickled once, unpickled once in each process."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @cached_property
    def payload(self) -> bytes:
        """The program, pickled."""
        payload: bytes = cloudpickle.dumps(self.program)
        return payload

    @cached_property
    def digest(self) -> str:
        """Name of the payload."""
        return hashlib.sha256(self.payload).hexdigest()

    def __reduce__(self) -> Any:
        """Travel as bytes."""
        return _arrived, (self.digest, self.payload)


_arrivals: dict[str, Shipped] = {}


def _arrived(digest: str, payload: bytes) -> Shipped:
    if digest not in _arrivals:
        shipped = Shipped(cloudpickle.loads(payload))
        shipped.payload, shipped.digest = payload, digest  # type: ignore[misc]
        _arrivals[digest] = shipped
        while len(_arrivals) > 16:
            del _arrivals[next(iter(_arrivals))]
    return _arrivals[digest]


@dataclass(frozen=True)
class Work:
    """A program and the partitions it runs over.

    Attributes
    ----------
    program
        Ready to run.
    partitions
        Where.
    """

    program: Program
    partitions: tuple[Partition, ...]


@dataclass(frozen=True)
class Job:
    """Everything that is computed together.

    Attributes
    ----------
    name
        Prefix of the task names.
    works
        One for each group of datasets.
    fan_in
        How many partial results one merge task takes.
    """

    name: str
    works: tuple[Work, ...]
    fan_in: int = 8

    @property
    def key(self) -> str:
        """Key of the final result."""
        return f"{self.name}/result"

    @property
    def partitions(self) -> int:
        """Number of partitions."""
        return sum(len(work.partitions) for work in self.works)

    @property
    def events(self) -> int:
        """Number of events in all partitions."""
        return sum(partition.entries for work in self.works for partition in work.partitions)

    def graph(self, task: Callable[[Shipped, Partition], Partial] | None = None) -> dict[Any, Any]:
        """The dask graph: a plain dictionary of tasks.

        Parameters
        ----------
        task
            What runs a partition; default `run_partition`.

        Returns
        -------
        dict
            One node for each program, one task for each partition, and the merge tree, whose
            order depends on nothing but the partitions.
        """
        graph: dict[Any, Any] = {}
        roots: list[Any] = []
        for number, work in enumerate(self.works):
            program = f"{self.name}/program-{number}"
            graph[program] = Shipped(work.program)
            leaves: list[Any] = []
            for partition in work.partitions:
                key = (f"{self.name}/partition", partition.number)
                graph[key] = (task or run_partition, program, partition)
                leaves.append(key)
            roots.extend(_merge_tree(graph, leaves, program, number, self.fan_in))
        graph[self.key] = (unite, roots)
        return graph


def run_partition(shipped: Shipped, partition: Partition) -> Partial:
    """Run a program over one partition.

    Parameters
    ----------
    shipped
        The program.
    partition
        Which events.

    Returns
    -------
    Partial
        The states of all outputs.
    """
    program = shipped.program
    if program.read is None:
        msg = f"The program {program.name!r} was not planned."
        raise RuntimeError(msg)
    place = Place(
        partition.dataset,
        partition.number,
        NOMINAL,
        partition.url,
        partition.start,
        partition.stop,
    )
    reading = Reading(partition, program.read)
    states = program.run(reading.events(), place)
    for branch in reading.extra_branches:
        place.note(f"branch {branch} read although the plan did not foresee it", 1)
    return Partial(
        {(output, place.dataset, label): state for (output, label), state in states.items()},
        {place.dataset: (1, partition.entries)},
        place.notes,
    )


def merge(shipped: Shipped, partials: Sequence[Partial]) -> Partial:
    """Merge partial results of one program, in the order given."""
    sinks = {booking.output: booking.sink for booking in shipped.program.bookings}
    by_key: dict[StateKey, list[Any]] = {}
    for partial in partials:
        for key, state in partial.states.items():
            by_key.setdefault(key, []).append(state)
    states = {
        key: found[0] if len(found) == 1 else sinks[key[0]].merge(found)
        for key, found in by_key.items()
    }
    return Partial(states, _add_tallies(partials), _add_notes(partials))


def unite(partials: Sequence[Partial]) -> Partial:
    """Put the results of different programs together; they share no output."""
    states = {key: state for partial in partials for key, state in partial.states.items()}
    return Partial(states, _add_tallies(partials), _add_notes(partials))


def _merge_tree(
    graph: dict[Any, Any], keys: list[Any], program: str, number: int, fan_in: int
) -> list[Any]:
    name = program.rpartition("/")[0]
    level = 0
    while len(keys) > 1:
        merged: list[Any] = []
        for start in range(0, len(keys), fan_in):
            key = (f"{name}/merge", number, level, start // fan_in)
            graph[key] = (merge, program, keys[start : start + fan_in])
            merged.append(key)
        keys, level = merged, level + 1
    return keys


def _add_tallies(partials: Iterable[Partial]) -> dict[str, tuple[int, int]]:
    total: dict[str, tuple[int, int]] = {}
    for partial in partials:
        for dataset, (partitions, events) in partial.tally.items():
            known = total.get(dataset, (0, 0))
            total[dataset] = (known[0] + partitions, known[1] + events)
    return total


def _add_notes(partials: Iterable[Partial]) -> dict[str, int]:
    total: dict[str, int] = {}
    for partial in partials:
        for note, count in partial.notes.items():
            total[note] = total.get(note, 0) + count
    return total
