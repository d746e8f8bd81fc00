"""Functions of steps that the passes know: selecting events, varied columns, filling sinks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import awkward as ak
import numpy as np

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
        if mask.layout.is_option or mask.layout.is_indexed:
            mask = ak.fill_none(mask, False)
        if ak.backend(column) != "typetracer" and len(mask) != len(column):
            msg = (
                f"The mask of filter {self.cut!r} has {len(mask)} entries for {len(column)} "
                "events: it must come from the frame it filters."
            )
            raise RunError(msg)
        return column[mask]


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


def is_opaque(function: Any) -> bool:
    """Whether a function takes all the data of its arguments and makes no array of them."""
    return isinstance(function, Fill | WeightMatrix | CategoryMasks)


def in_variation(step: Step, variation: str) -> Step:
    """The step as it is in a shape variation, but for the values it takes."""
    function = step.function
    if isinstance(function, Fill):
        return Step(step.key, replace(function, variation=variation), step.args, step.kwargs)
    if isinstance(function, WeightMatrix):
        place, like, *columns = step.args
        lean, kept = function.in_variation(variation, columns)
        return Step(step.key, lean, (place, like, *kept), step.kwargs)
    return step


def _nominal_weight(column: Any) -> Any:
    """Under a shape variation weights have their nominal value."""
    is_matrix = isinstance(column, np.ndarray) and column.ndim == 2
    return column[:, :1] if is_matrix else column
