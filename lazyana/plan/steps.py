"""Functions of steps that the passes know: selecting events, varied columns, filling sinks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import awkward as ak
import numpy as np

from lazyana.data.elementwise import Elementwise, has_data, is_elementwise
from lazyana.errors import RunError
from lazyana.plan.program import Step
from lazyana.sinks.base import NOMINAL, Place
from lazyana.sinks.weights import CategoryMasks, WeightMatrix


@dataclass(frozen=True)
class SelectEvents:
    """Keep the events of a mask; an event where the mask is None is not kept.

    Attributes
    ----------
    cut
        Name of the cut, for messages.
    """

    cut: str

    def __call__(self, column: ak.Array, mask: ak.Array) -> ak.Array:
        """The column, shape ``(selected events, ...)``."""
        check_length(self.cut, mask, column)
        return column[_filled(mask)]


@dataclass(frozen=True)
class Rows:
    """The numbers of the events that a mask keeps."""

    def __call__(self, mask: ak.Array) -> ak.Array:
        """Positions among the events, int64, shape ``(selected events,)``."""
        mask = _filled(mask)
        return ak.local_index(mask, axis=0)[mask]


@dataclass(frozen=True)
class TakeEvents:
    """Keep the events of some numbers: what several cuts leave.

    Attributes
    ----------
    cut
        Name of the first of these cuts, for messages.
    """

    cut: str

    def __call__(self, column: ak.Array, rows: ak.Array, mask: ak.Array) -> ak.Array:
        """The column, shape ``(selected events, ...)``.

        Parameters
        ----------
        column
            Shape ``(events, ...)``.
        rows
            The numbers of the events to keep.
        mask
            The mask of the first cut, for its length.
        """
        check_length(self.cut, mask, column)
        taken = column[rows]
        if not isinstance(taken.layout, ak.contents.ListArray):
            return taken
        # Lists one after the other: otherwise every operation puts them so for itself.
        return ak.Array(
            taken.layout.to_ListOffsetArray64(True), behavior=taken.behavior, attrs=taken.attrs
        )


@dataclass(frozen=True)
class AnyVariation:
    """The numbers of the events that are kept nominally or in any shape variation.

    It is one step whatever varies: the numbers in the variations are further arguments of it, and
    what is made of it is not varied.
    """

    def __call__(self, rows: ak.Array, *varied: ak.Array) -> ak.Array:
        """Positions among all events, shape ``(selected events,)``, in order.

        Parameters
        ----------
        rows, *varied
            Those that are kept nominally, and in variations.
        """
        if not varied or ak.backend(rows) == "typetracer":
            return rows
        every = [ak.to_numpy(some) for some in (rows, *varied)]
        return ak.Array(np.unique(np.concatenate(every)))


@dataclass(frozen=True)
class Varied:
    """Marks a column that has other values in some variations.

    Attributes
    ----------
    systematic, column
        What varies it, for `explain`.
    """

    systematic: str
    column: str

    def __call__(self, column: ak.Array) -> ak.Array:
        """The nominal value."""
        return column


@dataclass(frozen=True)
class Fill:
    """Fill a sink in one shape variation.

    Attributes
    ----------
    sink
        The sink.
    variation
        Label of the variation.
    """

    sink: Any
    variation: str = NOMINAL

    def __call__(self, place: Place, *columns: Any) -> Any:
        """State of the sink for the events at `place`."""
        if self.variation != NOMINAL:
            place = replace(place, variation=self.variation)
            columns = tuple(_nominal_weight(column) for column in columns)
        return self.sink.fill(place, *columns)


def check_length(cut: str, mask: ak.Array, column: ak.Array) -> None:
    """Refuse a mask that is not of the events of a column.

    Raises
    ------
    RunError
        Naming the cut.
    """
    if has_data(column) and len(mask) != len(column):
        msg = (
            f"The mask of filter {cut!r} has {len(mask)} entries for {len(column)} "
            "events: it must come from the frame it filters."
        )
        raise RunError(msg)


def is_opaque(function: Any) -> bool:
    """Whether a function takes all the data of its arguments and makes no array of them."""
    return isinstance(function, Fill | WeightMatrix | CategoryMasks)


def by_numpy(step: Step) -> Step:
    """The step, calling a function of numpy directly where its arguments allow it."""
    function = step.function
    if isinstance(function, np.ufunc) and is_elementwise(function) and not step.kwargs:
        return step.calling(Elementwise(function))
    return step


def in_variation(step: Step, variation: str) -> Step:
    """The step as it is in a shape variation, but for the values it takes."""
    function = step.function
    if isinstance(function, Fill):
        return step.calling(Fill(function.sink, variation))
    if isinstance(function, WeightMatrix):
        place, like, *columns = step.args
        lean, kept = function.in_variation(variation, columns)
        return Step(step.key, lean, (place, like, *kept), step.kwargs)
    return step


def _filled(mask: ak.Array) -> ak.Array:
    """The mask without missing values: what is not known does not pass."""
    if mask.layout.is_option or mask.layout.is_indexed:
        return ak.fill_none(mask, False)
    return mask


def _nominal_weight(column: Any) -> Any:
    """Under a shape variation weights have their nominal value."""
    is_matrix = isinstance(column, np.ndarray) and column.ndim == 2
    return column[:, :1] if is_matrix else column
