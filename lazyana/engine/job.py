"""Jobs: programs over partitions as one plain dask graph, one task per partition."""

from __future__ import annotations

import hashlib
import pickle
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import cloudpickle

from lazyana.data.failures import SpanError
from lazyana.data.nanoevents import Reading
from lazyana.data.partitions import Partition
from lazyana.engine.result import Problem
from lazyana.errors import FileError, LazyanaError, RunError
from lazyana.options import ReadOptions
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
        For each dataset: partitions, events read. What was left out is not in it.
    notes
        What is to be reported, with counts.
    problems
        What was left out since it could not be read, in the order of the partitions.
    """

    states: Mapping[StateKey, Any] = field(default_factory=dict)
    tally: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


class Shipped:
    """A program on its way to workers: pickled once, unpickled once in each process that runs it.

    Where it only passes through, such as a scheduler, it stays the bytes it arrived as.
    """

    def __init__(
        self,
        program: Program | None = None,
        reading: ReadOptions | None = None,
        payload: bytes | None = None,
    ) -> None:
        self._content = None if program is None else (program, reading or ReadOptions())
        self._payload = payload
        self._lock = threading.Lock()

    @property
    def program(self) -> Program:
        """The program."""
        return self._arrived()[0]

    @property
    def reading(self) -> ReadOptions:
        """How its files are read."""
        return self._arrived()[1]

    def _arrived(self) -> tuple[Program, ReadOptions]:
        with self._lock:
            if self._content is None:
                self._content = cloudpickle.loads(self._payload)
            return self._content

    @property
    def payload(self) -> bytes:
        """The program and how to read, pickled."""
        with self._lock:
            if self._payload is None:
                self._payload = cloudpickle.dumps(self._content)
            return self._payload

    @cached_property
    def digest(self) -> str:
        """Name of the payload."""
        return hashlib.sha256(self.payload).hexdigest()

    def __reduce__(self) -> Any:
        """Travel as bytes."""
        return arrived, (self.digest, self.payload)


_arrivals: dict[str, Shipped] = {}
_arriving = threading.Lock()
_REMEMBERED = 16


def arrived(digest: str, payload: bytes) -> Shipped:
    """The program of that name in this process, however often it arrives."""
    with _arriving:
        shipped = _arrivals.pop(digest, None) or Shipped(payload=payload)
        _arrivals[digest] = shipped
        while len(_arrivals) > _REMEMBERED:
            del _arrivals[next(iter(_arrivals))]
        return shipped


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
    reading
        How files are read.
    token
        Makes the keys differ from those of any other job on the same scheduler, which would
        otherwise take one for the other.
    """

    name: str
    works: tuple[Work, ...]
    fan_in: int = 8
    reading: ReadOptions = field(default_factory=ReadOptions)
    token: str = field(default_factory=lambda: uuid.uuid4().hex[:16])

    @property
    def key(self) -> Any:
        """Key of the final result."""
        return self._key("result")

    @property
    def partitions(self) -> int:
        """Number of partitions."""
        return sum(len(work.partitions) for work in self.works)

    @property
    def events(self) -> int:
        """Number of events in all partitions."""
        return sum(partition.entries for work in self.works for partition in work.partitions)

    def tasks(self) -> Iterator[tuple[Any, int, Partition]]:
        """Key, position of the work, and partition of each task that runs a program."""
        for number, work in enumerate(self.works):
            group = self._group("partition", number)
            for position, partition in enumerate(work.partitions):
                yield (group, position), number, partition

    @property
    def size(self) -> int:
        """Number of nodes of the graph, without making it."""
        nodes = 1 + len(self.works) + self.partitions
        for work in self.works:
            keys = len(work.partitions)
            while keys > 1:
                alone = keys % self.fan_in == 1  # passed on, not merged
                keys = -(-keys // self.fan_in)
                nodes += keys - alone
        return nodes

    def graph(self, task: Callable[[Any, Partition], Partial] | None = None) -> dict[Any, Any]:
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
        programs = [self._key("program", number) for number in range(len(self.works))]
        leaves: list[list[Any]] = [[] for _ in self.works]
        for program, work in zip(programs, self.works, strict=True):
            graph[program] = Shipped(work.program, self.reading)
        for key, number, partition in self.tasks():
            graph[key] = (task or run_partition, programs[number], partition)
            leaves[number].append(key)
        roots: list[Any] = []
        for number, keys in enumerate(leaves):
            group = self._group("merge", number)
            roots.extend(_merge_tree(graph, keys, programs[number], group, self.fan_in))
        graph[self.key] = (unite, roots)
        return graph

    def _key(self, what: str, number: int = 0) -> Any:
        return (self._group(what, number), 0)

    def _group(self, what: str, number: int) -> str:
        # Dashboards show what is before the first dash that no word follows. The number keeps
        # the groups of dask small and apart: it queues the tasks of a group, instead of giving
        # all to the workers at once, only if they depend on fewer than five others.
        name = _UNREADABLE.sub("_", self.name) or "lazyana"
        return f"{name}/{what}-{number}-{self.token}"


_UNREADABLE = re.compile(r"[^\w.+=:@]+")


def run_partition(shipped: Shipped, partition: Partition) -> Partial:
    """Run a program over one partition.

    Parameters
    ----------
    shipped
        The program, and how its files are read.
    partition
        Which events.

    Returns
    -------
    Partial
        The states of all outputs. With ``on_error="skip"`` they are of those files of the
        partition that can be read, and there are none if none can.

    Raises
    ------
    FileError
        What cannot be read, unless that is to be left out; naming the file and the entries.
    RunError
        An exception in a step. It is never left out: other events would have it too.
    """
    if shipped.reading.on_error == "skip":
        return _run_readable(shipped, partition)
    try:
        return _run(shipped, partition)
    except LazyanaError as error:
        failed = _reading_failed(error)
        if failed is None:
            raise
        raise _file_error(failed) from failed.__cause__


def _run_readable(shipped: Shipped, partition: Partition) -> Partial:
    """Run a program over what can be read of a partition."""
    problems: list[Problem] = []
    left = partition.spans
    while left:
        try:
            partial = _run(shipped, replace(partition, spans=left))
        except LazyanaError as error:
            failed = _reading_failed(error)
            if failed is None or failed.span not in left:
                raise
            problems.append(_problem(partition.dataset, failed))
            # All states of this attempt go, those of the good files too: they are filled anew.
            left = tuple(span for span in left if span != failed.span)
        else:
            return replace(partial, problems=_in_order(problems, partition))
    return Partial({}, {partition.dataset: (0, 0)}, {}, _in_order(problems, partition))


def _run(shipped: Shipped, partition: Partition) -> Partial:
    program = shipped.program
    if program.read is None:
        msg = f"The program {program.name!r} was not planned."
        raise RuntimeError(msg)
    place = Place(
        partition.dataset,
        partition.number,
        NOMINAL,
        partition.file,
        partition.start,
        partition.stop,
    )
    reading = Reading(partition, program.read, shipped.reading)
    states = program.run(_read(reading), place)
    for branch in reading.extra_branches:
        place.note(f"branch {branch} read although the plan did not foresee it", 1)
    if reading.by_uproot:
        names = _listed(sorted(reading.by_uproot))
        place.note(f"branches read by uproot, not by the basket index: {names}", 1)
    for recovery in reading.recoveries:
        place.note(recovery, 1)
    return Partial(
        {(output, place.dataset, label): state for (output, label), state in states.items()},
        {place.dataset: (1, partition.entries)},
        place.notes,
    )


def run_away(shipped: Any, partition: Partition) -> Partial:
    """Run a program over one partition in another process than the user's.

    Raises
    ------
    FileError, RunError
        As `run_partition` does; without the exception that caused it if that cannot be pickled,
        since then neither would arrive. The message tells of both.
    """
    try:
        return run_partition(shipped, partition)
    except LazyanaError as error:
        if not all(map(_travels, _causes(error))):
            error.__cause__ = error.__context__ = None
        raise


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
    return Partial(states, _add_tallies(partials), _add_notes(partials), _all_problems(partials))


def unite(partials: Sequence[Partial]) -> Partial:
    """Put the results of different programs together; they share no output."""
    states = {key: state for partial in partials for key, state in partial.states.items()}
    return Partial(states, _add_tallies(partials), _add_notes(partials), _all_problems(partials))


def _read(reading: Reading) -> Any:
    try:
        return reading.events()
    except LazyanaError:
        raise
    except Exception as error:
        where = reading.partition
        msg = (
            f"Entries {where.start}-{where.stop} of {where.file} cannot be read: "
            f"{type(error).__name__}: {error}"
        )
        raise RunError(msg) from error


def _reading_failed(error: BaseException) -> SpanError | None:
    """The failure to read that an error comes from, if it comes from one.

    Branches that were not planned are read when a step uses them: what that raises arrives as an
    exception of the step, wrapped by whatever is between.
    """
    chain = (error, *_causes(error))
    return next((one for one in chain if isinstance(one, SpanError)), None)


def _file_error(failed: SpanError) -> FileError:
    """What cannot be read and why, with the entries, and what to do."""
    text, span = str(failed), failed.span
    space = "\n" if "\n" in text else " "
    entries = f"entries {span.start}-{span.stop}"
    sentences = [
        text if text.endswith((".", "…")) or space == "\n" else f"{text}.",
        *([] if entries in text else [f"Needed were {entries}."]),
        "To leave out what cannot be read, compute with on_error='skip'.",
    ]
    return FileError(space.join(sentences))


def _listed(names: Sequence[str], longest: int = 8) -> str:
    more = len(names) - longest
    return ", ".join(names[:longest]) + (f" and {more} more" if more > 0 else "")


def _problem(dataset: str, failed: SpanError) -> Problem:
    span = failed.span
    kind, text = _kind(failed), " ".join(str(failed).split())  # on one line
    told = text if kind in text else f"{kind}: {text}"
    return Problem(dataset, span.url, span.start, span.stop, told)


def _kind(failed: SpanError) -> str:
    """Type of what went wrong in the first place."""
    causes = [one for one in _causes(failed) if not isinstance(one, LazyanaError)]
    return type(causes[0] if causes else FileError()).__name__


def _in_order(problems: Iterable[Problem], partition: Partition) -> tuple[Problem, ...]:
    places = {(span.url, span.start): i for i, span in enumerate(partition.spans)}
    return tuple(sorted(problems, key=lambda one: places[one.file, one.start]))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _travels(error: BaseException) -> bool:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return False
    return True


def _merge_tree(
    graph: dict[Any, Any], keys: list[Any], program: Any, group: str, fan_in: int
) -> list[Any]:
    level = 0
    while len(keys) > 1:
        merged: list[Any] = []
        for start in range(0, len(keys), fan_in):
            some = keys[start : start + fan_in]
            key = some[0]
            if len(some) > 1:
                key = (group, level, start // fan_in)
                graph[key] = (merge, program, some)
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


def _all_problems(partials: Iterable[Partial]) -> tuple[Problem, ...]:
    return tuple(problem for partial in partials for problem in partial.problems)
