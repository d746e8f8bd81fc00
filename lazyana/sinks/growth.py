"""Axes that grow: they cover all values that are filled, whichever partition has them.

boost-histogram lets axes grow, but adds up no two regular axes that grew differently, and where the
edges of a variable axis come to be depends on the order of the values. Here an axis has the bins
that the values of the selected events need, and neither partitions nor their order matter:

============  ==================================================================================
axis          how it grows
============  ==================================================================================
regular       by bins of the same width, on both sides; what is infinite or NaN is in a flow bin
integer       by one bin for each integer, on both sides
variable      by one bin on each side at most, which reaches to the value that is farthest off
categories    by those that occur, sorted, after those that it was booked with
============  ==================================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import awkward as ak
import boost_histogram as bh
import hist
import numpy as np
import numpy.typing as npt

from lazyana.errors import RunError

MOST = 100_000
"""Bins that an axis may have after it has grown: one bad value is enough for many more."""

_LABELS = (bh.axis.StrCategory, bh.axis.IntCategory)
_CLOSE = 1e-3


def values_of(column: Any, chosen: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[Any]:
    """All values of a column, without None.

    Parameters
    ----------
    column
        Shape ``(events,)`` or ``(events, objects)``.
    chosen
        Shape ``(events,)``: of which events; None for all, as where the numbers of events differ.
    """
    if chosen is not None and len(chosen) == len(column):
        column = column[chosen]
    return np.asarray(ak.to_numpy(ak.drop_none(ak.flatten(column, axis=None))))


def grown(axis: Any, values: npt.NDArray[Any]) -> Any:
    """The axis that has a bin for each of the values.

    Parameters
    ----------
    axis
        Any axis of `hist`; it stays as it is. One that does not grow is given back.
    values
        Shape ``(values,)``.

    Raises
    ------
    RunError
        The axis would have more than `MOST` bins, because of values far off.
    """
    if not axis.traits.growth or not len(values):
        return axis
    if isinstance(axis, _LABELS):
        if isinstance(axis, bh.axis.IntCategory):
            values = values.astype(np.int64)
        labels = [*axis, *sorted(set(np.unique(values).tolist()) - set(axis))]
        if len(labels) > MOST:
            raise RunError(_too_many(axis, len(labels), labels[-1]))
        return _with_labels(axis, labels)
    values = values[np.isfinite(values)]
    if not len(values):
        return axis
    least, most = values.min(), values.max()
    if isinstance(axis, bh.axis.Variable):
        edges = axis.edges.tolist()
        below = [float(least)] if least < edges[0] else []
        # Bins end below their upper edge.
        above = [math.nextafter(float(most), math.inf)] if most >= edges[-1] else []
        return _alike(axis, hist.axis.Variable, [*below, *edges, *above])
    low, high = (float(end) for end in (_bin(axis, least), _bin(axis, most)))
    low, high = min(low, 0.0), max(high + 1, float(axis.size))
    if high - low > MOST:
        far = least if -low > high - axis.size else most
        raise RunError(_too_many(axis, high - low, far))
    return _shifted(axis, int(low), int(high))


def united(one: Any, other: Any) -> Any | None:
    """The axis that covers what two cover that grew out of one; None if they did not.

    Parameters
    ----------
    one, other
        Axes of `hist`.
    """
    if one == other:
        return one
    same = type(one) is type(other) and (one.name, one.traits) == (other.name, other.traits)
    if not same or not one.traits.growth:
        return None
    if isinstance(one, _LABELS):
        return _with_labels(one, list(dict.fromkeys((*one, *other))))
    if isinstance(one, bh.axis.Variable):
        return _united_edges(one, other)
    return _united_range(one, other)


def settled(axis: Any, booked: Any) -> Any:
    """The axis as it is after all values, in whichever order they came: see `grown`.

    Parameters
    ----------
    axis
        What `united` gave.
    booked
        The axis before it grew.
    """
    if not axis.traits.growth:
        return axis
    if isinstance(axis, _LABELS):
        others: set[Any] = set(axis) - set(booked)
        return _with_labels(axis, [*booked, *sorted(others)])
    if isinstance(axis, bh.axis.Regular):
        first = _distance(booked, axis) or 0
        return _shifted(booked, first, first + axis.size)
    return axis


def positions(old: Any, new: Any) -> list[int]:
    """Where the bins of an axis, those of the flow included, are on another that covers it."""
    if isinstance(old, _LABELS):
        known = {label: position for position, label in enumerate(new)}
        flow = [len(known)] if old.extent > len(old) else []
        return [*(known[label] for label in old), *flow]
    if old == new:
        return list(range(old.extent))
    if isinstance(old, bh.axis.Variable):
        edges = new.edges.tolist()
        # The edge on the left may be one that only the old axis has; its bin is the same.
        shift = edges.index(old.edges[1]) - 1
    else:
        shift = _distance(new, old) or 0
    inner = range(shift, shift + old.size)
    if not old.traits.underflow:
        return list(inner)
    return [0, *(position + 1 for position in inner), new.extent - 1]


@dataclass(frozen=True)
class Anchored:
    """A regular axis that has grown, with the bins of the one that was booked.

    The grown axis itself would put a value on an edge here in one partition and there in another,
    as it begins elsewhere.

    Attributes
    ----------
    booked
        The axis before it grew.
    axis
        The axis.
    """

    booked: Any
    axis: Any

    @property
    def name(self) -> str:
        """Name of the axis."""
        return str(self.axis.name)

    @property
    def traits(self) -> Any:
        """Traits of the axis."""
        return self.axis.traits

    @property
    def size(self) -> int:
        """Number of its bins."""
        return int(self.axis.size)

    @property
    def extent(self) -> int:
        """Number of its bins, those of the flow included."""
        return int(self.axis.extent)

    def index(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Bin of each value: -1 below, `size` above and for NaN."""
        first = _distance(self.booked, self.axis) or 0
        bins = np.clip(_bin(self.booked, values) - first, -1, self.size)
        return np.where(np.isnan(bins), self.size, bins).astype(np.int64)


def _too_many(axis: Any, bins: float, value: Any) -> str:
    return (
        f"Histogram axis {axis.name!r} would grow to {bins:.6g} bins, because of values such as "
        f"{value}; {MOST} are the most. Leave such values out, or book all bins without growth: "
        "what is not in one of them is in a flow bin."
    )


def _bin(axis: Any, values: Any) -> Any:
    """Bins of values, counted from the first of a regular or integer axis, as floating point."""
    start, stop = axis.edges[0], axis.edges[-1]
    if isinstance(axis, bh.axis.Integer):
        return np.asarray(values, dtype=np.float64) - start
    # boost-histogram's own order of operations.
    return np.floor((np.asarray(values, dtype=np.float64) - start) / (stop - start) * axis.size)


def _distance(one: Any, other: Any) -> int | None:
    """How many bins after the first the other begins; None where the bins do not match."""
    width = (one.edges[-1] - one.edges[0]) / one.size
    its = (other.edges[-1] - other.edges[0]) / other.size
    distance = (other.edges[0] - one.edges[0]) / width
    near = round(distance)
    matches = math.isclose(width, its, rel_tol=_CLOSE / MOST) and abs(distance - near) < _CLOSE
    return near if matches else None


def _shifted(axis: Any, low: int, high: int) -> Any:
    """A regular or integer axis from one of its bins to another, counted from its first."""
    start, stop = axis.edges[0], axis.edges[-1]
    if isinstance(axis, bh.axis.Integer):
        return _alike(axis, hist.axis.Integer, int(start) + low, int(start) + high)
    width = (stop - start) / axis.size
    # An end that stays is the same number.
    begin = start + low * width if low else start
    end = stop + (high - axis.size) * width if high != axis.size else stop
    return _alike(axis, hist.axis.Regular, high - low, begin, end)


def _united_range(one: Any, other: Any) -> Any | None:
    shift = _distance(one, other)
    if shift is None:
        return None
    start, stop = min(one.edges[0], other.edges[0]), max(one.edges[-1], other.edges[-1])
    if isinstance(one, bh.axis.Integer):
        return _alike(one, hist.axis.Integer, int(start), int(stop))
    bins = max(one.size, shift + other.size) - min(0, shift)
    return _alike(one, hist.axis.Regular, bins, start, stop)


def _united_edges(one: Any, other: Any) -> Any | None:
    mine, its = one.edges.tolist(), other.edges.tolist()
    known = set(its)
    common = [edge for edge in mine if edge in known]
    if len(common) < 2:
        return None
    sides = []
    for edges in (mine, its):
        first = edges.index(common[0])
        below, above = edges[:first], edges[first + len(common) :]
        if edges[first : first + len(common)] != common or max(len(below), len(above)) > 1:
            return None
        sides.append((below, above))
    below, above = ([*a, *b] for a, b in zip(*sides, strict=True))
    edges = [*([min(below)] if below else []), *common, *([max(above)] if above else [])]
    return _alike(one, hist.axis.Variable, edges)


def _with_labels(axis: Any, labels: list[Any]) -> Any:
    return _alike(axis, type(axis), labels)


def _alike(axis: Any, kind: Any, *bins: Any) -> Any:
    """An axis that grows with name, label and what else is noted of another."""
    made = kind(*bins, growth=True)
    made.__dict__.update(axis.__dict__)
    return made
