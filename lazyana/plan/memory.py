"""Memory: how much a program holds at a time while it runs over a partition, estimated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import awkward as ak

from lazyana.data.nanoevents import Blueprint
from lazyana.plan.program import PLACE, SOURCE, Program, Step, run_step
from lazyana.plan.steps import Fill, is_opaque
from lazyana.sinks.weights import CategoryMasks, WeightMatrix

Buffer = tuple[str, int]
"""A buffer: the step that made it, and its position among the buffers of that step."""


def peak_memory(
    program: Program, nominal: Program, blueprint: Blueprint, held: Mapping[str, float]
) -> float:
    """Most bytes for an event that are held at a time if no event is cut away, an estimate.

    The steps run on arrays without data, which tells what buffers each makes and which it shares
    with its inputs. Cuts are taken to keep everything, lists to be as long as those that they
    are made of, pairs to be as many as the square of that (half of it within one list). What a
    variation computes again is as large as it is in the nominal world. A step is taken to need
    twice what it returns beside it. Left out are the states of the sinks, which do not grow with
    the events.

    Parameters
    ----------
    program
        Ready to run.
    nominal
        The same before its variations were written out.
    blueprint
        Form of the events.
    held
        Uncompressed size of the branches for an event, in bytes.

    Returns
    -------
    float
        Bytes an event.
    """
    sizes = _Sizes(nominal, blueprint, held)
    keys = {step.key for step in program.steps}
    made: dict[str, frozenset[Buffer]] = {SOURCE: sizes.source, PLACE: frozenset()}
    users: dict[Buffer, int] = {}
    alive = peak = 0.0

    def hold(key: str, change: int) -> float:
        total = 0.0
        for buffer in made[key]:
            before = users.get(buffer, 0)
            users[buffer] = before + change
            if (before == 0) != (before + change == 0):
                total += change * sizes.bytes_of(buffer)
        return total

    alive += hold(SOURCE, 1)
    peak = alive
    releases = program.releases or ((),) * len(program.steps)
    for step, done in zip(program.steps, releases, strict=True):
        sizes.add(step)
        made[step.key] = sizes.buffers(step.key, keys)
        grown = hold(step.key, 1)
        alive += grown
        peak = max(peak, alive + sizes.working(step, grown))
        for key in done:
            alive += hold(key, -1)
    return peak


_INDICES: Mapping[type, tuple[str, ...]] = {
    ak.contents.ListOffsetArray: ("offsets",),
    ak.contents.ListArray: ("starts", "stops"),
    ak.contents.IndexedArray: ("index",),
    ak.contents.IndexedOptionArray: ("index",),
    ak.contents.ByteMaskedArray: ("mask",),
    ak.contents.BitMaskedArray: ("mask",),
    ak.contents.UnionArray: ("tags", "index"),
}
_PAIRS = {"cartesian": 1.0, "argcartesian": 1.0, "combinations": 0.5, "argcombinations": 0.5}


class _Sizes:
    """The buffers of the steps of a program, and how many bytes an event each takes."""

    def __init__(self, program: Program, blueprint: Blueprint, held: Mapping[str, float]) -> None:
        self._held = held
        self._planned = frozenset() if program.read is None else program.read.buffers
        self._bytes: dict[Buffer, float] = {}
        self._buffers: dict[str, frozenset[Buffer]] = {PLACE: frozenset()}
        self._lengths: dict[str, float] = {SOURCE: 0.0, PLACE: 0.0}
        self._depths: dict[str, int] = {SOURCE: 0, PLACE: 0}
        self._known: dict[int, Buffer] = {}
        self._kept: list[Any] = []
        events = blueprint.without_data()
        self._values: dict[str, Any] = {SOURCE: events, PLACE: None}
        self._buffers[SOURCE] = self._note_source(events)
        for step in program.steps:
            self.add(step)

    def add(self, step: Step) -> None:
        """Find out what a step makes, unless it is known of it or of the nominal one."""
        name = _world(step.key)[0]
        if name in self._buffers:
            return
        nominal = step.with_refs({key: _world(key)[0] for key in step.refs}, name)
        value = None if is_opaque(step.function) else run_step(nominal, self._values)
        self._values[name] = value
        self._note(replace(nominal, key=name), value)

    @property
    def source(self) -> frozenset[Buffer]:
        """The buffers that are read."""
        return self._buffers[SOURCE]

    def bytes_of(self, buffer: Buffer) -> float:
        """Bytes an event of a buffer, in whatever variation."""
        key, number = buffer
        return self._bytes[_world(key)[0], number]

    def buffers(self, key: str, keys: set[str]) -> frozenset[Buffer]:
        """The buffers of a step, in the variation its key says."""
        name, variation = _world(key)
        found = self._buffers[name]
        if not variation:
            return found
        return frozenset(
            (mine if (mine := f"{origin}@{variation}") in keys else origin, number)
            for origin, number in found
        )

    def working(self, step: Step, made: float) -> float:
        """Bytes an event that a step takes while it runs, beside what it returns."""
        function = step.function
        if isinstance(function, WeightMatrix):
            labels = sum(len(factor.labels) for factor in function.factors)
            # All factors as numbers, their running products, and the columns before they are put
            # together.
            return 8.0 * (2 * len(function.factors) + 2 * labels + 1)
        if isinstance(function, Fill):
            # The values of one column after the other become numbers of bins, then one number.
            return 3 * 8 * max([1.0, *(self._length(key) for key in step.refs)])
        return 2 * made

    def _length(self, key: str) -> float:
        return self._lengths[_world(key)[0]]

    def _note_source(self, events: ak.Array) -> frozenset[Buffer]:
        """The planned buffers of the events: all others are not read."""
        found = set()
        for number, key in enumerate(sorted(self._planned)):
            form_key, _, attribute = key.rpartition("/")
            branch, *rest = unquote(form_key).split(",")
            size = 8.0 if attribute == "offsets" else self._held.get(branch, 4.0)
            if any(node.startswith("!local2global") for node in rest):
                size *= 2  # of 8 bytes instead of 4
            self._bytes[SOURCE, number] = size
            found.add((SOURCE, number))
        numbers = {key: number for number, key in enumerate(sorted(self._planned))}
        for data, _, _ in _nodes(events.layout, 0):
            if data.form_key in numbers:
                self._known[id(data)] = (SOURCE, numbers[data.form_key])
        return frozenset(found)

    def _note(self, step: Step, value: Any) -> None:
        lengths = [self._lengths[key] for key in step.refs]
        length = max(lengths, default=0.0)
        found: list[Buffer] = []
        layout = getattr(value, "layout", None)
        if layout is None:
            found.append((step.key, 0))
            self._bytes[found[0]] = _opaque(step)
            self._depths[step.key] = 0
        else:
            nodes = list(_nodes(layout, 0))
            own = [self._mean_length(data, depth) for data, depth, leaf in nodes if leaf and depth]
            deepest = max((depth for _, depth, _ in nodes), default=0)
            length = max([length, *own]) if deepest else 0.0
            if step.title in _PAIRS and deepest <= max(self._depths[key] for key in step.refs):
                # Unless the pairs of each are in a list of their own.
                length *= max(1.0, _PAIRS[step.title] * length)
            self._depths[step.key] = deepest
            for data, depth, _ in nodes:
                found.append(self._buffer(step.key, data, len(found), length**depth))
        self._lengths[step.key] = length
        self._buffers[step.key] = frozenset(found)

    def _buffer(self, key: str, data: Any, number: int, count: float) -> Buffer:
        known = self._known.get(id(data))
        if known is None:
            known = (key, number)
            unread = data.form_key is not None and data.form_key not in self._planned
            self._bytes[known] = 0.0 if unread else count * data.dtype.itemsize
            self._known[id(data)] = known
            self._kept.append(data)  # so that its id stays its own
        return known

    def _mean_length(self, data: Any, depth: int) -> float:
        """Mean length of the lists that a branch holds."""
        if data.form_key is None or data.form_key not in self._planned or depth != 1:
            return 0.0
        branch = unquote(data.form_key.rpartition("/")[0]).partition(",")[0]
        # A TTree keeps an offset of 4 bytes for each list.
        return max(self._held.get(branch, 0.0) - 4, 0.0) / int(data.dtype.itemsize)


def _world(key: str) -> tuple[str, str]:
    """Key of a step in the nominal world, and the variation it is of."""
    if key in (SOURCE, PLACE):
        return key, ""
    name, _, variation = key.partition("@")
    return name, variation


def _opaque(step: Step) -> float:
    """Bytes an event of what is no array of awkward."""
    function = step.function
    if isinstance(function, WeightMatrix):
        return 8.0 * (1 + sum(len(factor.labels) for factor in function.factors))
    if isinstance(function, CategoryMasks):
        return 8.0 + 4.0 * len(function.parts)
    return 0.0


def _nodes(layout: Any, depth: int) -> Iterator[tuple[Any, int, bool]]:
    """The buffers of a layout, in how many lists each is, and whether it holds the values."""
    if layout.is_record:
        for content in layout.contents:
            yield from _nodes(content, depth)
        return
    for name in _INDICES.get(type(layout), ()):
        yield getattr(layout, name).data, depth, False
    if layout.is_numpy:
        yield layout.data, depth, True
    elif layout.is_union:
        for content in layout.contents:
            yield from _nodes(content, depth)
    elif hasattr(layout, "content"):
        yield from _nodes(layout.content, depth + bool(layout.is_list))
