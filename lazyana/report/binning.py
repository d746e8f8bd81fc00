"""The axis that is shown: edges, texts, names of bins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import hist
import numpy as np

from lazyana.errors import InputError
from lazyana.report.lookup import Array

_MOST_TICKS = 25


@dataclass(frozen=True, eq=False)
class Binning:
    """The axis that is shown.

    Attributes
    ----------
    label
        Text of the axis, with its unit in square brackets: ``"Dimuon mass [GeV]"``.
    edges
        Shape ``(bins + 1,)``.
    ticks
        Names of the bins, shape ``(bins,)``, for axes that count or name things; else None.
    """

    label: str
    edges: Array
    ticks: tuple[str, ...] | None = None

    @property
    def widths(self) -> Array:
        """Widths of the bins, shape ``(bins,)``."""
        return np.diff(self.edges)

    @property
    def centers(self) -> Array:
        """Centres of the bins, shape ``(bins,)``."""
        return 0.5 * (self.edges[:-1] + self.edges[1:])

    @property
    def is_uniform(self) -> bool:
        """Whether all bins have the same width (to rounding)."""
        return bool(np.allclose(self.widths, self.widths[0], rtol=1e-6, atol=0.0))

    @property
    def unit(self) -> str:
        """What stands in brackets at the end of the label, ``"GeV"``, or an empty string."""
        found = re.search(r"[\[(]([^\[\]()]+)[\])]\s*$", self.label)
        return found.group(1) if found else ""


def binning_of(axis: Any) -> Binning:
    """Edges, label and tick names of an axis.

    Raises
    ------
    InputError
        An infinite edge.
    """
    label = axis.label or axis.name
    length = len(axis)
    if axis.traits.continuous:
        edges = np.asarray(axis.edges, dtype=np.float64)
        if not np.isfinite(edges).all():
            message = (
                f"axis {axis.name!r} has an infinite edge and cannot be drawn; "
                "end it at a number and add the overflow with flow='add'"
            )
            raise InputError(message)
        return Binning(label, edges)
    ticks = tuple(str(axis.bin(number)) for number in range(length))
    if isinstance(axis, hist.axis.Boolean):
        ticks = ("false", "true")
    # A bin that stands for an integer is drawn around that integer.
    first = int(axis.edges[0]) if isinstance(axis, hist.axis.Integer) else 0
    edges = first - 0.5 + np.arange(length + 1.0)
    few = length <= _MOST_TICKS or not isinstance(axis, hist.axis.Integer)
    return Binning(label, edges, ticks if few else None)
