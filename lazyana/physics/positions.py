"""Objects by their position in an event."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from lazyana.physics.lazy import mapped


def at_position(column: Any, position: int) -> Any:
    """The object at a position of each event, None where there are fewer.

    Parameters
    ----------
    column
        Objects or values of objects, shape ``(events, objects)``; lazy or in memory.
    position
        Which one, from 0; from the end, if negative.

    Returns
    -------
    array
        Shape ``(events,)``.

    Examples
    --------
    >>> import awkward as ak
    >>> at_position(ak.Array([[50.0, 30.0], [], [20.0]]), 0).to_list()
    [50.0, None, 20.0]
    >>> at_position(ak.Array([[50.0, 30.0], [], [20.0]]), -2).to_list()
    [50.0, None, None]
    """
    return mapped(_taken, column, label="at", position=position)


def _taken(column: ak.Array, position: int) -> ak.Array:
    layout = column.layout
    plain = isinstance(layout, ak.contents.ListOffsetArray | ak.contents.ListArray)
    backend = ak.backend(column)
    if not plain or layout.parameters or backend not in ("cpu", "typetracer"):
        some = column[:, slice(position, position + 1 or None)]
        return ak.firsts(some, axis=1)
    # What awkward comes to in several steps, found at once.
    if backend == "typetracer":
        layout._touch_data(recursive=False)
        index = ak.index.Index64.empty(layout.length, layout.backend.nplike)
    else:
        index = ak.index.Index64(_index(layout, position))
    taken = ak.contents.IndexedOptionArray.simplified(index, layout.content)
    return ak.Array(taken, behavior=column.behavior, attrs=column.attrs)


def _index(layout: Any, position: int) -> npt.NDArray[np.int64]:
    """Where in the content the objects at a position are, -1 where there are fewer."""
    starts, stops = np.asarray(layout.starts.data), np.asarray(layout.stops.data)
    counts = stops - starts
    there = counts > position if position >= 0 else counts >= -position
    index = np.where(there, (starts if position >= 0 else stops) + position, -1)
    return index.astype(np.int64, copy=False)
