"""Histograms: all categories and variations of one variable (or several) in one `hist.Hist`.

Every histogram has the axes ``dataset``, ``category``, ``variation`` and then the user's own, also
where there is one category (``"all"``) or one variation (``"nominal"``): what plots one histogram
plots any.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import boost_histogram as bh
import hist
import numpy as np

from lazyana.errors import InputError, InputTypeError, RunError
from lazyana.sinks.base import NOMINAL, Membership, Place
from lazyana.sinks.entries import axis_name, describe, find_entries
from lazyana.sinks.fill import Floats, Target, accumulate
from lazyana.sinks.growth import positions, united

ALL = "all"
"""Name of the only category of a histogram without categories."""

GROUPING = ("dataset", "category", "variation")
"""Names of the axes every histogram starts with."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """A histogram to be filled, for every dataset, category and variation at once.

    Attributes
    ----------
    axes
        The user's axes, from `hist.axis`; their ranges and categories are fixed, see
        `lazyana.sinks.growing.GrowingHistogram` for those that grow.
    categories
        Labels of the categories to keep. Without any, all events go into one category, ``"all"``.
    weight_variations
        Labels of the weight variations to keep.
    shape_variations
        Labels of the shape variations.
    label
        Label of the histogram, for plots.
    weighted
        False counts entries: weights and weight variations are ignored.
    category_positions
        Position of each of `categories` in the frame's list; None where they are the whole list.
    weight_positions
        Column of each of `weight_variations` in the weight matrix; None where they are columns 1,
        2, ... of it.

    Examples
    --------
    >>> import hist, numpy as np
    >>> from lazyana.sinks.base import Place
    >>> sink = Histogram((hist.axis.Regular(2, 0, 100, name="pt"),))
    >>> state = sink.fill(
    ...     Place("dy", 0, "nominal", "dy.root", 0, 3), None, None, np.array([10, 60, 70])
    ... )
    >>> sink.finish({("dy", "nominal"): state}, ["dy"])["dy", "all", "nominal", :].values()
    array([1., 2.])
    """

    axes: tuple[Any, ...]
    categories: tuple[str, ...] = ()
    weight_variations: tuple[str, ...] = ()
    shape_variations: tuple[str, ...] = ()
    label: str = ""
    weighted: bool = True
    category_positions: tuple[int, ...] | None = None
    weight_positions: tuple[int, ...] | None = None
    grows: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse what could only fail while running."""
        _check_axes(self.axes, growing=self.grows)
        _check_unique("category", self.categories)
        _check_unique("variation", (NOMINAL, *self.weight_variations, *self.shape_variations))
        _check_positions("category", self.categories, self.category_positions)
        _check_positions("weight", self.weight_variations, self.weight_positions)

    @property
    def kind(self) -> str:
        """Short word for reports."""
        return "hist"

    @property
    def nbytes(self) -> int:
        """Bytes of a nominal state: bins x categories x (1 + weight variations) x 16."""
        slots = 1 + len(self.weight_variations) if self.weighted else 1
        return number_of_bins(self.axes) * self._rows * slots * 16

    def fill(self, place: Place, /, *columns: Any) -> Any:
        """Sums of weights of one partition and one shape variation.

        Parameters
        ----------
        place
            Where the events come from, and the shape variation.
        *columns
            First the weights: shape ``(events, 1 + weight variations)``, ``(events, 1)`` for a
            shape variation, or None for unweighted events. Then the `Membership` of the events, or
            None if the frame has no categories. Then one column for each axis, of shape
            ``(events,)`` or ``(events, objects)``; entries with None in any of them are left out.

        Returns
        -------
        numpy.ndarray
            Shape ``(bins, categories, 2, slots)``: sums of weights, then of squared weights; bins
            of all axes flattened, with their flow bins, the last axis fastest.

        Raises
        ------
        InputTypeError
            For a column that cannot be binned along its axis.
        RunError
            If columns, weights and membership do not fit together.
        """
        return self._sums(place, self.axes, columns)

    def _sums(self, place: Place, axes: Sequence[Any], columns: Sequence[Any]) -> Floats:
        weights, membership, *values = columns
        entries = find_entries(place, axes, values)
        weights = self._matrix(place, weights, entries.events)
        membership = self._membership(place, membership, entries.events)
        target = Target(number_of_bins(axes), self.category_positions)
        return accumulate(entries, weights, membership, target)

    def merge(self, states: Sequence[Any], /) -> Any:
        """Sum of states, in the order given; a new array, so that a merge can be repeated."""
        total = states[0].copy()
        for state in states[1:]:
            if state.shape != total.shape:
                msg = (
                    f"States of different shape cannot be merged: {total.shape} and {state.shape}."
                )
                raise RunError(msg)
            total += state
        return total

    def finish(
        self, states: Mapping[tuple[str, str], Any], datasets: Sequence[str], /
    ) -> hist.Hist[Any]:
        """The histogram.

        Parameters
        ----------
        states
            State of each (dataset, shape variation). A dataset without any is empty; a shape
            variation without one touches nothing that is filled and has nominal's content.
        datasets
            Names of all datasets.

        Returns
        -------
        hist.Hist
            Axes: ``dataset`` and ``category``, sorted; ``variation``, ``"nominal"`` first, then
            sorted; then the user's. Storage `hist.storage.Weight`: float64 sums of weights and of
            squared weights.
        """
        categories = self.categories or (ALL,)
        weight_variations = self.weight_variations if self.weighted else ()
        variations = {NOMINAL, *weight_variations, *self.shape_variations}
        result = _empty(set(datasets), set(categories), variations, self.axes, self.label)
        by_dataset, by_category, by_variation = list(result.axes)[:3]
        view: Any = result.view(flow=True)
        rows = _positions(by_category, categories)
        extents = tuple(axis.extent for axis in self.axes)
        for (dataset, variation), state in self._with_untouched(states).items():
            labels = (NOMINAL, *weight_variations) if variation == NOMINAL else (variation,)
            # (bins, categories, 2, slots) -> (2, categories, slots, *bins)
            table = np.moveaxis(state, 0, -1).swapaxes(0, 1)
            for slot, label in enumerate(labels):
                block = table[:, :, slot].reshape(2, len(rows), *extents)
                where = (by_dataset.index(dataset), rows, by_variation.index(label))
                view["value"][where] = block[0]
                view["variance"][where] = block[1]
        return result

    def _with_untouched(
        self, states: Mapping[tuple[str, str], Floats]
    ) -> dict[tuple[str, str], Floats]:
        """The states, with nominal's own for each variation that has none."""
        every = dict(states)
        for (dataset, variation), state in states.items():
            if variation == NOMINAL:
                for label in self.shape_variations:
                    every.setdefault((dataset, label), state[..., :1])
        return every

    def content(self) -> tuple[Any, ...]:
        """Everything that makes this histogram what it is, as nested tuples of plain values.

        Equal histograms have equal contents, in any process.
        """
        return (
            tuple(_axis_content(axis) for axis in self.axes),
            self.categories,
            self.weight_variations,
            self.shape_variations,
            self.label,
            self.weighted,
            self.category_positions,
            self.weight_positions,
        )

    def __eq__(self, other: object) -> bool:
        """Whether the contents are equal."""
        return isinstance(other, Histogram) and self.content() == other.content()

    def __hash__(self) -> int:
        """Hash of the content."""
        return hash(self.content())

    @property
    def _rows(self) -> int:
        return max(len(self.categories), 1)

    def _matrix(self, place: Place, weights: Any, events: int) -> Floats | None:
        """The weights to fill, shape ``(events, slots)``; None to count."""
        if weights is None or not self.weighted:
            return None
        if weights.ndim != 2 or len(weights) != events:
            msg = (
                f"Weights of shape {weights.shape} for histogram columns of {events} events, in "
                f"{describe(place)}. Weights and columns must come from the same frame."
            )
            raise RunError(msg)
        columns = 1
        if place.variation == NOMINAL:
            columns += len(self.weight_variations)
            wanted = (0, *(self.weight_positions or ()))
            if self.weight_positions is not None and wanted != tuple(range(weights.shape[1])):
                weights = np.take(weights, wanted, axis=1)  # row by row in memory, unlike [:, ...]
        if weights.shape[1] != columns:
            msg = (
                f"{weights.shape[1]} columns of weights for {columns} variations of a histogram, "
                f"in {describe(place)}."
            )
            raise RunError(msg)
        return np.asarray(weights, dtype=np.float64)

    def _membership(
        self, place: Place, membership: Membership | None, events: int
    ) -> Membership | None:
        """The categories of the events; None if all events go into one."""
        if not self.categories:
            return None
        if membership is None or membership.events != events:
            found = "no categories" if membership is None else f"{membership.events} events"
            msg = (
                f"Histogram of categories {', '.join(self.categories)} and columns of {events} "
                f"events was given categories of {found}, in {describe(place)}."
            )
            raise RunError(msg)
        return membership


def number_of_bins(axes: Iterable[Any]) -> int:
    """Number of bins of several axes together, those of the flow included."""
    return math.prod(axis.extent for axis in axes)


def merge_histograms(hists: Sequence[hist.Hist[Any]]) -> hist.Hist[Any]:
    """Unite histograms of different datasets, categories and variations.

    What a histogram does not have stays zero: data has no ``"jesUp"``, so its bins there are empty.
    What several have is added. Axes that grew cover all values.

    Parameters
    ----------
    hists
        Results of `Histogram.finish` with the same user axes.

    Returns
    -------
    hist.Hist
        A new histogram, with the axes ``dataset``, ``category`` and ``variation`` sorted as in
        `Histogram.finish`.

    Raises
    ------
    InputError
        If there is no histogram, or their user axes differ.
    """
    if not hists:
        msg = "No histograms to merge: give at least one."
        raise InputError(msg)
    for one in hists:
        _check_kind(one)
    axes = reduce(_united_axes, (tuple(one.axes)[len(GROUPING) :] for one in hists))
    datasets, categories, variations = (
        {label for one in hists for label in one.axes[position]}
        for position in range(len(GROUPING))
    )
    result = _empty(datasets, categories, variations, axes, hists[0].label or "")
    view: Any = result.view(flow=True)
    for one in hists:
        labels, bins = tuple(one.axes)[: len(GROUPING)], tuple(one.axes)[len(GROUPING) :]
        places = [_positions(new, old) for new, old in zip(result.axes, labels, strict=False)]
        if bins != axes:
            places += [positions(old, new) for old, new in zip(bins, axes, strict=True)]
        where = np.ix_(*places)
        block: Any = one.view(flow=True)[tuple(slice(len(axis)) for axis in labels)]
        view["value"][where] += block["value"]
        view["variance"][where] += block["variance"]
    return result


def nominal_as(one: hist.Hist[Any], datasets: Iterable[str], variation: str) -> hist.Hist[Any]:
    """The nominal bins of some datasets of a histogram, as those of a variation it lacks.

    Parameters
    ----------
    one
        Result of `Histogram.finish`.
    datasets
        Which datasets.
    variation
        Label of the variation.

    Returns
    -------
    hist.Hist
        A histogram of this variation only, to be merged with the other.
    """
    names = sorted(datasets)
    categories = list(one.axes[1])
    axes = tuple(one.axes)[len(GROUPING) :]
    result = _empty(set(names), set(categories), {variation}, axes, one.label or "")
    new: Any = result.view(flow=True)
    old: Any = one.view(flow=True)
    target = np.ix_(range(len(names)), _positions(result.axes[1], categories), [0])
    source = np.ix_(
        _positions(one.axes[0], names),
        range(len(categories)),
        _positions(one.axes[2], [NOMINAL]),
    )
    new["value"][target] = old["value"][source]
    new["variance"][target] = old["variance"][source]
    return result


def _empty(
    datasets: set[str], categories: set[str], variations: set[str], axes: Sequence[Any], label: str
) -> hist.Hist[Any]:
    """An empty histogram with the axes of all results."""
    names = (
        sorted(datasets),
        sorted(categories),
        sorted(variations, key=lambda variation: (variation != NOMINAL, variation)),
    )
    return hist.Hist(
        *(
            hist.axis.StrCategory(labels, name=name, overflow=False)
            for name, labels in zip(GROUPING, names, strict=True)
        ),
        *axes,
        storage=hist.storage.Weight(),
        label=label,
    )


def _positions(axis: Any, labels: Iterable[str]) -> list[int]:
    """Positions of labels on a category axis."""
    known = {label: position for position, label in enumerate(axis)}
    return [known[label] for label in labels]


def _check_kind(one: hist.Hist[Any]) -> None:
    names = tuple(axis.name for axis in one.axes)
    if names[: len(GROUPING)] != GROUPING or one.storage_type is not hist.storage.Weight:
        msg = (
            f"Only histograms with the axes {', '.join(GROUPING)} first and Weight storage can "
            f"be merged, not one with the axes {', '.join(names)} and "
            f"{one.storage_type.__name__} storage."
        )
        raise InputError(msg)


def _united_axes(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The axes that cover what both do."""
    axes = tuple(map(united, ours, theirs)) if len(ours) == len(theirs) else (None,)
    if any(axis is None for axis in axes):
        msg = (
            f"Histograms with different axes cannot be merged: {_name_axes(ours)} and "
            f"{_name_axes(theirs)}. Book them with the same binning, names and labels."
        )
        raise InputError(msg)
    return axes


def _name_axes(axes: Sequence[Any]) -> str:
    return "(" + ", ".join(map(repr, axes)) + ")"


def _check_axes(axes: tuple[Any, ...], *, growing: bool) -> None:
    if not axes:
        msg = "A histogram needs an axis, for example hist.axis.Regular(50, 0, 100, name='pt')."
        raise InputError(msg)
    for position, axis in enumerate(axes):
        if not isinstance(axis, bh.axis.Axis):
            msg = f"A histogram axis comes from hist.axis; {axis!r} is a {type(axis).__name__}."
            raise InputTypeError(msg)
        name = axis_name(axes, position)
        if axis.traits.growth and not growing:
            msg = (
                f"Histogram axis {name!r} grows, so partitions would not fit together: use a "
                "GrowingHistogram."
            )
            raise InputError(msg)
        if name in GROUPING:
            msg = (
                f"Histogram axis {name!r} has the name of an axis that every histogram has "
                f"({', '.join(GROUPING)}). Give it another name."
            )
            raise InputError(msg)
    _check_unique("axis", tuple(name for axis in axes if (name := getattr(axis, "name", ""))))


def _check_unique(what: str, labels: Sequence[str]) -> None:
    twice = sorted(label for label, count in Counter(labels).items() if count > 1)
    if twice:
        msg = f"Histogram with the {what} {twice[0]!r} more than once; it has: {', '.join(labels)}."
        raise InputError(msg)


def _check_positions(what: str, labels: Sequence[str], positions: Sequence[int] | None) -> None:
    if positions is not None and len(positions) != len(labels):
        msg = f"{len(positions)} {what} positions for {len(labels)} labels: {', '.join(labels)}."
        raise InputError(msg)


def _axis_content(axis: Any) -> tuple[Any, ...]:
    """What makes an axis what it is, as plain values: its `repr` rounds numbers."""
    labels = isinstance(axis, bh.axis.StrCategory | bh.axis.IntCategory)
    return (
        type(axis).__name__,
        tuple(axis) if labels else tuple(float(edge) for edge in axis.edges),
        repr(axis.traits),
        repr(getattr(axis, "transform", None)),
        tuple(sorted((key, repr(value)) for key, value in axis.__dict__.items())),
    )
