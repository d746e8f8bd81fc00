"""Groups: datasets that share a program, and which of their events a column is about."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dask_awkward as dak
from dask_awkward.layers import AwkwardInputLayer
from dask_awkward.layers.layers import AwkwardTreeReductionLayer
from dask_awkward.lib import core

from lazyana.data.catalog import Catalog
from lazyana.data.fileset import Dataset
from lazyana.data.nanoevents import Blueprint
from lazyana.errors import FrameMismatchError, LazyValueError
from lazyana.plan.lower import combines_all_events
from lazyana.plan.steps import SelectEvents

_CROSS_REFERENCE = "apply-global-index"

# What a column may be about other than events of its group.
_OTHER_FRAME, _FOREIGN, _REDUCED = -1, -2, -3


@dataclass(frozen=True, eq=False)
class Level:
    """The events that are left after some cuts.

    Attributes
    ----------
    number
        Running number within the group.
    cut
        Name of the last cut; ``""`` for all events.
    parent
        The events before that cut.
    mask
        The cut, shape ``(events of the parent,)``.
    """

    number: int
    cut: str = ""
    parent: Level | None = None
    mask: dak.Array | None = None

    @property
    def chain(self) -> tuple[Level, ...]:
        """All events, then what each cut leaves, down to these."""
        above = () if self.parent is None else self.parent.chain
        return (*above, self)

    @property
    def what(self) -> str:
        """How to call these events in a message."""
        return f"after filter {self.cut!r}" if self.cut else "before any filter"


@dataclass(frozen=True, eq=False)
class Group:
    """Datasets of one form and treatment.

    Attributes
    ----------
    name
        Name, for keys and messages.
    catalog
        What is known of the files.
    datasets
        The datasets.
    is_mc
        Whether they are simulation.
    blueprint
        Form of their events.
    """

    name: str
    catalog: Catalog
    datasets: tuple[Dataset, ...]
    is_mc: bool
    blueprint: Blueprint
    _levels: list[Level] = field(default_factory=lambda: [Level(0)])
    _rows: dict[str, frozenset[int]] = field(default_factory=dict)
    _selected: dict[tuple[str, int], dak.Array] = field(default_factory=dict)
    _stored: dict[str, dak.Array] = field(default_factory=dict)

    @cached_property
    def events(self) -> dak.Array:
        """The blueprint's events, lazy."""
        return self.blueprint.record()

    @property
    def all_events(self) -> Level:
        """The events before any cut."""
        return self._levels[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the datasets."""
        return tuple(dataset.name for dataset in self.datasets)

    @property
    def entries(self) -> int:
        """Number of events in all files."""
        return sum(self.catalog.entries(name) for name in self.names)

    def stored(self, name: str) -> dak.Array:
        """A collection or branch of all events, recorded once."""
        if name not in self._stored:
            self._stored[name] = self.events[name]
        return self._stored[name]

    def cut(self, level: Level, cut: str, mask: dak.Array) -> Level:
        """The events a cut leaves of those at `level`."""
        below = Level(len(self._levels), cut, level, mask)
        self._levels.append(below)
        return below

    def select(self, column: dak.Array, level: Level, target: Level) -> dak.Array:
        """A column of the events at `level`, for those that are left at `target`."""
        if level is target:
            return column
        if target.parent is None:  # pragma: no cover  (callers go down only)
            msg = f"Events {level.what} cannot be found among those {target.what}."
            raise FrameMismatchError(msg)
        key = (column.name, target.number)
        if key not in self._selected:
            above = self.select(column, level, target.parent)
            token = hashlib.sha256(f"{above.name} {target.number}".encode()).hexdigest()[:32]
            chosen = core._map_partitions(
                SelectEvents(target.cut),
                above,
                target.mask,
                label=f"filter-{target.cut}",
                token=token,
                # Fewer of the same events: dask-awkward need not find out.
                meta=above._meta,
            )
            self._rows[chosen.name] = frozenset({target.number})
            self._selected[key] = chosen
        return self._selected[key]

    def check(self, column: dak.Array, level: Level, what: str) -> None:
        """Refuse a column that is not about the events at `level`.

        Raises
        ------
        FrameMismatchError
            A column of another frame, or of this one before a filter.
        """
        rows = self.rows(column.name, column.dask)
        wrong = sorted(rows - {level.number})
        if not wrong:
            return
        if wrong[0] == _REDUCED:
            raise LazyValueError(combines_all_events(what))
        if wrong[0] == _FOREIGN:
            msg = (
                f"{what} is made of a dask-awkward array that is not of these events. Put the "
                "numbers in as a plain array inside a function: "
                "dask_awkward.map_partitions(function, column)."
            )
            raise FrameMismatchError(msg)
        if wrong[0] == _OTHER_FRAME:
            msg = (
                f"{what} is made of columns of another frame, of files opened separately: write "
                "it with this one's columns, or open the files together."
            )
            raise FrameMismatchError(msg)
        other = self._levels[wrong[0]]
        mixed = " (and others of the right ones)" if level.number in rows else ""
        msg = (
            f"{what} is made of columns of the events {other.what}{mixed}, but here are the events "
            f"{level.what}. Take the columns from the frame that .filter() returned, or keep them "
            "with .define() before filtering."
        )
        raise FrameMismatchError(msg)

    def rows(self, name: str, graph: Any) -> frozenset[int]:
        """Which events a layer of a graph is about: numbers of levels, negative for others."""
        known = self._rows
        stack = [name]
        while stack:
            top = stack[-1]
            if top in known:
                stack.pop()
                continue
            parents = _row_givers(top, graph)
            missing = [parent for parent in parents if parent not in known]
            if missing:
                stack.extend(missing)
                continue
            known[top] = self._rows_here(graph.layers[top], top).union(
                *(known[parent] for parent in parents)
            )
            stack.pop()
        return known[name]

    def _rows_here(self, layer: Any, name: str) -> frozenset[int]:
        """What one layer adds to the events it is about."""
        if name == self.events.name:
            return frozenset({0})
        if isinstance(layer, AwkwardTreeReductionLayer):
            return frozenset({_REDUCED})
        if isinstance(layer, AwkwardInputLayer):
            ours = name.startswith(_source_prefix(self.events.name))
            return frozenset({_OTHER_FRAME if ours else _FOREIGN})
        return frozenset()


def _row_givers(name: str, graph: Any) -> Sequence[str]:
    """The layers whose events a layer's value is about."""
    parents = graph.dependencies.get(name, ())
    if name.startswith(_CROSS_REFERENCE) or name.startswith("apply_global_index"):
        # Looked up by index among all events; the index says for which events.
        used = [item[0] for item in graph.layers[name].indices if item[0] in parents]
        return used[1:2] or used
    return tuple(parents)


def _source_prefix(name: str) -> str:
    return name.rpartition("-")[0]
