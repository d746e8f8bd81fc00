"""What events of a skim stand for: sums over all events of the files that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import awkward as ak
import dask_awkward as dak
import numpy as np

from lazyana.data.nanoevents import LABEL_FIELD

if TYPE_CHECKING:
    from lazyana.frame.events import Events

Shares: TypeAlias = Mapping[str, Mapping[str, float]]
"""For each dataset, what an event of each of its files stands for, by URL."""


def standing_for(frame: Events, column: dak.Array, shares: Shares) -> dak.Array:
    """A column that is replaced where it is known what events stand for.

    Summed over the partitions that are processed it gives their part of the sum of all events.

    Parameters
    ----------
    frame
        All events.
    column
        What is summed of other datasets, shape ``(events,)``.
    shares
        What an event stands for.

    Returns
    -------
    dask_awkward.Array
        Shape ``(events,)``.
    """
    group = frame._group
    mine = {name: dict(shares[name]) for name in group.names if name in shares}
    if not mine:
        return column
    every = group.stored(LABEL_FIELD)
    found: dak.Array = dak.map_partitions(StandingFor(mine), every, column, label="standing-for")
    return found


@dataclass(frozen=True)
class StandingFor:
    """Puts what events stand for in place of their value.

    Attributes
    ----------
    shares
        By dataset and URL.
    """

    shares: Shares

    def __call__(self, every: ak.Array, column: ak.Array) -> Any:
        """The column, float64, shape ``(events,)``.

        Parameters
        ----------
        every
            A column of all events, which knows where they are read from.
        column
            The values that events have themselves.
        """
        values = ak.values_astype(column, np.float64)
        if ak.backend(every) == "typetracer":
            return values
        partition = every.attrs["@events_factory"].reading.partition
        if partition.dataset not in self.shares:
            return values
        known = self.shares[partition.dataset]
        spans = partition.spans
        return ak.Array(
            np.repeat([known[one.url] for one in spans], [one.entries for one in spans])
        )
