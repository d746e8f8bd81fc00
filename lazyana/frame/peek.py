"""Looking at events: the first few of a frame, or all of them as a dask-awkward collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import awkward as ak
import dask_awkward as dak

from lazyana.data.nanoevents import PartitionSource, Reading
from lazyana.data.partitions import Partition, partitions_of
from lazyana.errors import InputError
from lazyana.plan.build import Request, record, stages
from lazyana.plan.lower import lower
from lazyana.plan.program import SOURCE, Program, Ref, ordered
from lazyana.sinks.base import NOMINAL, Place

if TYPE_CHECKING:
    from lazyana.frame.events import Events

_FARTHEST = 200_000


@dataclass(frozen=True)
class Show:
    """A sink that hands its column back."""

    kind = "head"
    uses_all = False

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
    InputError
        A number below 1.
    """
    if number < 1:
        msg = f"head shows at least 1 event, not {number!r}."
        raise InputError(msg)
    group = frame._group
    column = frame.array
    if columns is not None:
        column = dak.zip(dict(columns), depth_limit=1)
    sink = Show()
    request = Request("head", sink, (column,), ())
    program = stages(record(group.name, [request], {}), group.blueprint)["released"]
    if columns is None:
        program = program.replace(read=group.blueprint.everything())
    window = number
    while True:
        shown = [
            _run(program, replace(partition, stop=min(partition.start + window, partition.stop)))
            for partition in partitions_of(group.catalog, group.names, max(window, 1))[:1]
        ]
        found = shown[0] if shown else _empty(column)
        if not shown or len(found) >= number or window >= min(group.entries, _FARTHEST):
            return found[:number]
        window *= 10


def to_dask_awkward(frame: Events, partition_size: int) -> dak.Array:
    """All events of a frame as an ordinary dask-awkward collection.

    Parameters
    ----------
    frame
        The frame; its weights, variations and categories have no place in such a collection.
    partition_size
        Largest number of events in a partition.

    Returns
    -------
    dask_awkward.Array
        Reads only what is used of it.
    """
    group = frame._group
    column = frame.array
    partitions = list(partitions_of(group.catalog, group.names, partition_size))
    if not partitions:
        msg = f"The files of {', '.join(group.names)} have no events at all."
        raise InputError(msg)
    source = PartitionSource(group.blueprint)
    events = dak.from_map(source, partitions, label="nanoevents", meta=source.mock())
    events._meta.attrs["@original_array"] = events
    values: dict[str, Any] = {SOURCE: events}
    for step in ordered(lower([column]), [column.name]):
        if step.args == (Ref(SOURCE),):
            values[step.key] = events
            continue
        args, kwargs = _resolve(step.args, values), _resolve(dict(step.kwargs), values)
        if not step.refs:
            values[step.key] = step.function(*args, **kwargs)
            continue
        values[step.key] = dak.map_partitions(step.function, *args, label=step.title, **kwargs)
    return values[column.name]


def _run(program: Program, partition: Partition) -> ak.Array:
    if program.read is None:
        msg = "The program was not planned."
        raise RuntimeError(msg)
    place = Place(partition.dataset, 0, NOMINAL, partition.url, partition.start, partition.stop)
    states = program.run(Reading(partition, program.read).events(), place)
    return states["head", NOMINAL]


def _empty(column: dak.Array) -> ak.Array:
    return ak.typetracer.length_zero_if_typetracer(column._meta)


def _resolve(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, Ref):
        return values[value.key]
    if isinstance(value, tuple | list):
        return type(value)(_resolve(item, values) for item in value)
    if isinstance(value, dict):
        return {key: _resolve(item, values) for key, item in value.items()}
    return value
