"""Looking at events: the first few of a frame, or all of them as a dask-awkward collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import awkward as ak
import dask_awkward as dak
import numpy as np

from lazyana.data.nanoevents import PartitionSource, Reading
from lazyana.data.partitions import Partition, first_file, partitions_of
from lazyana.errors import InputError, InputTypeError
from lazyana.plan.build import Request, record, stages
from lazyana.plan.lower import lower
from lazyana.plan.program import SOURCE, Program, Ref, filled, ordered
from lazyana.sinks.base import NOMINAL, Place

if TYPE_CHECKING:
    from lazyana.frame.events import Events

_FARTHEST = 200_000
_EVENTS = 200_000


@dataclass(frozen=True)
class Show:
    """A sink that hands its column back."""

    kind = "head"

    def fill(self, place: Place | None, column: ak.Array) -> ak.Array:
        """The column."""
        del place
        return column


def head(frame: Events, number: int, columns: Mapping[str, Any] | None) -> ak.Array:
    """The first events of a frame.

    Parameters
    ----------
    frame
        The frame.
    number
        How many events.
    columns
        What to show of them; None for everything, read when it is looked at.

    Returns
    -------
    awkward.Array
        Shape ``(at most number,)``.

    Raises
    ------
    InputError, InputTypeError
        A number below 1 or no number, or no columns.
    """
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        msg = f"head shows a number of events, not {number!r}: events.head(5)."
        raise InputTypeError(msg)
    if number < 1:
        msg = f"head shows at least 1 event, not {number}."
        raise InputError(msg)
    group = frame._group
    column: Any = frame.array
    if columns is not None:
        column = _zipped(columns)
    sink = Show()
    request = Request("head", sink, (column,), ())
    program = stages(record(group.name, [request], {}), group.blueprint)["released"]
    if columns is None:
        program = program.replace(read=group.blueprint.everything())
    branches = () if program.read is None else program.read.branches
    first = first_file(group.catalog, group.names, branches)
    if first is None:
        return _empty(column)
    window = number
    while True:
        some = first.head(window)
        found = _run(program, some)
        if len(found) >= number or some.entries == first.entries or window >= _FARTHEST:
            return found[:number]
        window *= 10


def to_dask_awkward(frame: Events, partition_size: int | str | None = None) -> dak.Array:
    """All events of a frame as an ordinary dask-awkward collection.

    Parameters
    ----------
    frame
        The frame; its weights, variations and categories have no place in such a collection.
    partition_size
        Largest number of events in a partition, or the size of all its columns, such as
        ``"1 GB"``; None: up to 200 000 events, since what will be used is not known yet.

    Returns
    -------
    dask_awkward.Array
        Reads only what is used of it.
    """
    group = frame._group
    column: Any = frame.array
    size = _EVENTS if partition_size is None else partition_size
    branches = group.blueprint.layout.branches if isinstance(size, str) else ()
    partitions = [
        # The byte ranges are those of all columns: dask-awkward will read some.
        replace(partition, spans=tuple(replace(span, baskets=b"") for span in partition.spans))
        for partition in partitions_of(group.catalog, group.names, size, 0, branches)
    ]
    if not partitions:
        msg = f"The files of {', '.join(group.names)} have no events at all."
        raise InputError(msg)
    source = PartitionSource(group.blueprint)
    events: Any = dak.from_map(source, partitions, label="nanoevents", meta=source.mock())
    events._meta.attrs["@original_array"] = events
    values: dict[str, Any] = {SOURCE: events}
    for step in ordered(lower([column]), [column.name]):
        if step.args == (Ref(SOURCE),):
            values[step.key] = events
            continue
        args, kwargs = filled(step.args, values), filled(dict(step.kwargs), values)
        if not step.refs:
            values[step.key] = step.function(*args, **kwargs)
            continue
        values[step.key] = dak.map_partitions(step.function, *args, label=step.title, **kwargs)
    collection: dak.Array = values[column.name]
    return collection


def _run(program: Program, partition: Partition) -> ak.Array:
    if program.read is None:
        msg = "The program was not planned."
        raise RuntimeError(msg)
    place = Place(partition.dataset, 0, NOMINAL, partition.file, partition.start, partition.stop)
    states = program.run(Reading(partition, program.read).events(), place)
    return states["head", NOMINAL]


def _zipped(columns: Mapping[str, Any]) -> Any:
    if not columns:
        msg = "head(number, columns) shows the columns named, and none is: {'pt': events.Muon.pt}."
        raise InputError(msg)
    return dak.zip(dict(columns), depth_limit=1)


def _empty(column: Any) -> ak.Array:
    return ak.typetracer.length_zero_if_typetracer(column._meta)
