"""Outputs: what is asked of a frame, not yet computed."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import awkward as ak
import dask_awkward as dak

from lazyana.data.nanoevents import LABEL_FIELD
from lazyana.errors import ColumnError, InputError, InputTypeError, RunError, did_you_mean
from lazyana.frame.group import Level
from lazyana.frame.state import Factor, Keep
from lazyana.plan.build import HERE, Call, Request
from lazyana.sinks.columns import Columns
from lazyana.sinks.cutflow import ALL_EVENTS, Stages
from lazyana.sinks.entries import check_column
from lazyana.sinks.growing import GrowingHistogram
from lazyana.sinks.histogram import GROUPING, Histogram
from lazyana.sinks.sums import Sum
from lazyana.sinks.weights import CategoryMasks, FactorShape, WeightMatrix

if TYPE_CHECKING:
    from lazyana.frame.events import Events
    from lazyana.frame.group import Group


HIST_OPTIONS = (
    *("weighted", "label", "categories", "exclude_categories"),
    *("variations", "exclude_variations"),
)
COLUMN_OPTIONS = ("flatten", "units", "labels", "compression", "overwrite")


@dataclass(frozen=True, eq=False, repr=False)
class Output:
    """Something to compute: a histogram, columns, a cutflow or a sum.

    Give it to `lazyana.compute`, alone or in any nesting of dictionaries and lists; everything
    given together is computed in one pass. It is a dask collection too: `dask.compute` works.

    Attributes
    ----------
    group
        The datasets it is made from.
    sink
        What keeps it.
    args
        What the sink is filled with.
    shifts
        The shape variations of its frame.
    variations
        Labels of those it wants.
    key
        Name in dask's graphs; no other output has it, in this process or another.
    """

    group: Group
    sink: Any
    args: tuple[Any, ...]
    shifts: Mapping[str, Any]
    variations: tuple[str, ...]
    key: str = field(init=False, default_factory=lambda: f"lazyana-output-{uuid.uuid4().hex}")

    planner: ClassVar[Callable[[Any], dict[Any, Any]]]
    """Makes one job of all outputs in a graph; set by `lazyana.frame.compute`."""

    def request(self, output: str) -> Request:
        """What the program is to keep, under a name."""
        return Request(output, self.sink, self.args, self.variations)

    def __repr__(self) -> str:
        """Kind and datasets."""
        return f"<lazyana.Output {self.sink.kind} of {', '.join(self.group.names[:3])}>"

    # -- dask ---------------------------------------------------------------------------------
    # The graph of an output is a single mark; dask calls the optimiser once for all outputs
    # computed together, which makes them one job.

    def __dask_graph__(self) -> dict[str, Any]:
        """A graph that holds the output itself."""
        return {self.key: (_never, Marked(self))}

    def __dask_keys__(self) -> list[str]:
        """The key of the output."""
        return [self.key]

    def __dask_tokenize__(self) -> str:
        """The key of the output."""
        return self.key

    def __dask_postcompute__(self) -> tuple[Any, tuple[Any, ...]]:
        """The value is the only result."""
        return _first, ()

    @staticmethod
    def __dask_optimize__(graph: Any, keys: Any, **_: Any) -> Any:
        """One job for all outputs in the graph."""
        del keys
        return Output.planner(graph)

    @staticmethod
    def __dask_scheduler__(graph: Any, keys: Any, **options: Any) -> Any:
        """Threads, unless the user chose."""
        from dask.threaded import get

        return get(graph, keys, **options)


@dataclass(frozen=True, eq=False)
class Marked:
    """Carries an output through dask's graph, which must not look into it."""

    output: Output


def _never(marked: Marked) -> Any:
    msg = f"{marked.output!r} was run without being planned: call dask.compute with optimize_graph."
    raise InputError(msg)


def _first(results: Any) -> Any:
    return results[0]


def book_hist(
    frame: Events,
    axes: Iterable[Any],
    columns: Mapping[str, Any],
    keep: Keep,
    *,
    weighted: bool,
    label: str,
) -> Output:
    """A histogram of a frame."""
    axes = tuple(axes)
    names = _axis_names(axes)
    for name in columns:
        if name not in names:
            msg = f"No axis is called {name!r}.{did_you_mean(name, names)} The axes are: {names}."
            raise InputError(msg)
    values = []
    for name, axis in zip(names, axes, strict=True):
        value = columns[name] if name in columns else _frame_column(frame, name)
        check_column(name, axis, value._meta)
        values.append(value)
    state = frame._state
    positions = {label: i + 1 for i, label in enumerate(state.weight_variations)}
    all_names = state.categories.names
    kind = GrowingHistogram if any(axis.traits.growth for axis in axes) else Histogram
    sink = kind(
        axes,
        all_names if keep.categories is None else tuple(all_names[i] for i in keep.categories),
        weight_variations=keep.weight_variations if weighted else (),
        shape_variations=keep.shape_variations,
        label=label,
        weighted=weighted,
        category_positions=keep.categories,
        weight_positions=tuple(positions[name] for name in keep.weight_variations)
        if weighted
        else None,
    )
    weights = weights_at(frame) if weighted else None
    return _output(frame, sink, (weights, membership_at(frame), *values), keep.shape_variations)


def book_columns(
    frame: Events, path: Any, columns: Mapping[str, Any], keep: Keep, **options: Any
) -> Output:
    """Columns of a frame."""
    state = frame._state
    all_names = state.categories.names
    only = () if keep.categories is None else tuple(all_names[i] for i in keep.categories)
    for name in options:
        if name not in COLUMN_OPTIONS:
            hint = did_you_mean(name, COLUMN_OPTIONS)
            choices = ", ".join(COLUMN_OPTIONS)
            msg = f"events.columns has no option {name!r}.{hint} Options: {choices}."
            raise InputTypeError(msg)
    if path is not None and not isinstance(path, str | os.PathLike):
        msg = (
            f"The path of the columns is a {type(path).__name__}: give the directory to write, or "
            "leave it out to have them in memory, events.columns({'mll': mll})."
        )
        raise InputTypeError(msg)
    sink = Columns(
        tuple(columns),
        path=None if path is None else str(path),
        weight_variations=keep.weight_variations,
        shape_variations=keep.shape_variations,
        categories=all_names,
        only_categories=only,
        **options,
    )
    sink.schema(*(column._meta for column in columns.values()))  # refuses types
    weights = weights_at(frame, keep.weight_variations)
    args = (weights, membership_at(frame), *columns.values())
    return _output(frame, sink, args, keep.shape_variations)


def book_cutflow(frame: Events) -> Output:
    """The cutflow of a frame."""
    state = frame._state
    for name in state.categories.names:
        if name in (*frame.cuts, ALL_EVENTS):
            what = "a cut" if name in frame.cuts else "the first stage"
            msg = (
                f"Category {name!r} has the name of {what}, and a cutflow has a row for each: "
                "give one of them another name."
            )
            raise InputError(msg)
    levels = frame._level.chain
    known = (*state.history, len(state.factors))
    sink = Stages(
        frame.cuts, state.categories.names, state.weight_variations, state.shape_variations
    )
    weights = [
        _weights(frame, state.factors[:count], level)
        for level, count in zip(levels, known, strict=True)
    ]
    # What is counted is the mask itself, which no selection has compared with the events.
    masks = [
        dak.map_partitions(SameLength(level.cut), level.mask, _every_event(frame, level.parent))
        for level in levels[1:]
    ]
    args = (membership_at(frame), *masks, *weights)
    return _output(frame, sink, args, state.shape_variations)


def book_sum(frame: Events, column: Any, *, weighted: bool) -> Output:
    """A sum over the events of a frame."""
    state = frame._state
    sink = Sum(weighted, state.weight_variations, state.shape_variations)
    weights = weights_at(frame) if weighted else None
    if weights is None and column is None:
        weights = _matrix(frame, (), frame._level)
    return _output(frame, sink, (weights, column), state.shape_variations)


def weights_at(frame: Events, labels: Container[str] | None = None) -> Call | None:
    """The weight matrix of a frame's events, or None where there is no weight.

    With `labels`, of the variations only those.
    """
    factors = frame._state.factors
    if labels is not None:
        factors = tuple(factor.only(labels) for factor in factors)
    return _weights(frame, factors, frame._level)


def membership_at(frame: Events) -> Call | None:
    """The categories of a frame's events, or None where there are none."""
    categories = frame._state.categories
    if not categories.names:
        return None
    masks = list(categories.masks)
    columns = [
        frame._group.select(mask, level, frame._level) for mask, level in categories.masks.values()
    ]
    parts = tuple(tuple(masks.index(key) for key in keys) for keys in categories.parts.values())
    return Call("categories", CategoryMasks(categories.names, parts), tuple(columns))


def _every_event(frame: Events, level: Level | None) -> dak.Array:
    """A column that is read from no file, to know how many events there are at a level."""
    group = frame._group
    return group.select(group.stored(LABEL_FIELD), group.all_events, level or group.all_events)


@dataclass(frozen=True)
class SameLength:
    """Hands a mask on if it has a value for each event.

    Attributes
    ----------
    cut
        Name of the cut, for messages.
    """

    cut: str

    def __call__(self, mask: ak.Array, events: ak.Array) -> ak.Array:
        """The mask, shape ``(events,)``."""
        if ak.backend(mask) == "typetracer":
            # How many events there are is all that is used of them, and it has to be made.
            ak.typetracer.touch_data(events)
        elif len(mask) != len(events):
            msg = (
                f"The mask of filter {self.cut!r} has {len(mask)} entries for {len(events)} "
                "events: it must come from the frame it filters."
            )
            raise RunError(msg)
        return mask


def _weights(frame: Events, factors: tuple[Factor, ...], level: Level) -> Call | None:
    return _matrix(frame, factors, level) if factors else None


def _matrix(frame: Events, factors: tuple[Factor, ...], level: Level) -> Call:
    group = frame._group
    columns = [
        group.select(value, factor.level, level) if isinstance(value, dak.Array) else value
        for factor in factors
        for value in (factor.nominal, *(value for _, value in factor.shifts))
    ]
    like = None if level.parent is None else _every_event(frame, level)
    shape = tuple(FactorShape(factor.name, factor.labels, factor.nan) for factor in factors)
    return Call("weights", WeightMatrix(shape), (HERE, like, *columns))


def _output(frame: Events, sink: Any, args: tuple[Any, ...], variations: tuple[str, ...]) -> Output:
    return Output(frame._group, sink, args, frame._state.shifts, variations)


def _axis_names(axes: tuple[Any, ...]) -> tuple[str, ...]:
    if not axes:
        msg = "A histogram has axes: give at least one from hist.axis, with a name."
        raise InputError(msg)
    for number, axis in enumerate(axes):
        if not hasattr(axis, "extent"):
            msg = f"Axis {number} is a {type(axis).__name__}: give axes from hist.axis."
            raise InputTypeError(msg)
        if not getattr(axis, "name", ""):
            msg = f"Axis {number} ({axis!r}) has no name: give it one, name='mll'."
            raise InputError(msg)
        if axis.name in (*HIST_OPTIONS, *GROUPING):
            why = "every histogram has one" if axis.name in GROUPING else "an option of events.hist"
            msg = f"An axis cannot be called {axis.name!r}, {why}: give it another name."
            raise InputError(msg)
    return tuple(axis.name for axis in axes)


def _frame_column(frame: Events, name: str) -> Any:
    try:
        return frame[name]
    except ColumnError as error:
        msg = f"Axis {name!r} has no column: give {name}=column, or define one. {error}"
        raise ColumnError(msg) from error


@dataclass(frozen=True, eq=False)
class Merged:
    """One output of several groups of datasets.

    Attributes
    ----------
    outputs
        The output of each group.
    """

    outputs: tuple[Output, ...]
