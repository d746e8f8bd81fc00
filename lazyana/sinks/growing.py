"""Histograms with axes that grow while they are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar

import boost_histogram as bh
import hist
import numpy as np
import numpy.typing as npt

from lazyana.errors import RunError
from lazyana.sinks.base import Membership, Place
from lazyana.sinks.fill import Floats
from lazyana.sinks.growth import Anchored, grown, positions, settled, united, values_of
from lazyana.sinks.histogram import Histogram, number_of_bins


@dataclass(frozen=True)
class Grown:
    """A state.

    Attributes
    ----------
    axes
        The axes, as far as they have grown.
    sums
        Shape ``(bins, categories, 2, slots)``, as of `Histogram.fill`, in the bins of `axes`.
    """

    axes: tuple[Any, ...]
    sums: Floats


@dataclass(frozen=True, eq=False)
class GrowingHistogram(Histogram):
    """A histogram of which at least one axis has ``growth=True``; see `lazyana.sinks.growth`.

    Examples
    --------
    >>> axis = hist.axis.Integer(0, 2, growth=True, name="n")
    >>> GrowingHistogram((axis,)).grows
    True
    """

    grows: ClassVar[bool] = True

    def fill(self, place: Place, /, *columns: Any) -> Grown:
        """Sums of weights of one partition and one shape variation; see `Histogram.fill`."""
        _, membership, *values = columns
        chosen = self._chosen(membership)
        axes = tuple(
            grown(axis, values_of(column, chosen)) if axis.traits.growth else axis
            for axis, column in zip(self.axes, values, strict=True)
        )
        anchored = [
            Anchored(booked, axis)
            if axis.traits.growth and isinstance(axis, bh.axis.Regular)
            else axis
            for booked, axis in zip(self.axes, axes, strict=True)
        ]
        return Grown(axes, self._sums(place, anchored, columns))

    def merge(self, states: Sequence[Grown], /) -> Grown:
        """Sum of states, in the order given; a new one, so that a merge can be repeated."""
        axes = _covering([state.axes for state in states])
        total = _put(states[0], axes)
        for state in states[1:]:
            total += _put(state, axes)
        return Grown(axes, total)

    def finish(
        self, states: Mapping[tuple[str, str], Grown], datasets: Sequence[str], /
    ) -> hist.Hist[Any]:
        """The histogram, see `Histogram.finish`; all datasets and variations have its axes."""
        axes = _covering([self.axes, *(state.axes for state in states.values())])
        axes = tuple(map(settled, axes, self.axes))
        sums = {key: _put(state, axes) for key, state in states.items()}
        return Histogram.finish(replace(self, axes=axes), sums, datasets)

    def _chosen(self, membership: Membership | None) -> npt.NDArray[np.bool_] | None:
        """Which events are in a category that is kept; None for all."""
        if not self.categories or membership is None:
            return None
        sets = membership.sets
        if self.category_positions is not None:
            sets = sets[:, list(self.category_positions)]
        some: npt.NDArray[np.bool_] = np.any(sets, axis=1)
        return some[membership.kind]


def _covering(several: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    axes = tuple(reduce(united, same) for same in zip(*several, strict=True))
    if any(axis is None for axis in axes):
        msg = f"States of different axes cannot be merged: {several}."
        raise RunError(msg)
    return axes


def _put(state: Grown, axes: tuple[Any, ...]) -> Floats:
    """The sums of a state in the bins of other axes; always a new array."""
    if state.axes == axes:
        return state.sums.copy()
    rest = state.sums.shape[1:]
    table = np.zeros((*(axis.extent for axis in axes), *rest))
    where = np.ix_(*(positions(old, new) for old, new in zip(state.axes, axes, strict=True)))
    table[where] = state.sums.reshape(*(axis.extent for axis in state.axes), *rest)
    return table.reshape(number_of_bins(axes), *rest)
