"""Columns of different shapes brought to rows of one table.

Works on the layouts of awkward arrays: types stay as they are, and behaviours do not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt

from lazyana.errors import InputError, InputTypeError, RunError, type_text

OBJECT_INDEX = "object_index"

#: An ``awkward.contents.Content``; awkward comes without types.
Layout: TypeAlias = Any


def leaves(name: str, layout: Layout) -> Iterator[tuple[str, Layout]]:
    """Yield a column, or the fields of a record as columns of their own."""
    if layout.fields:
        for part in layout.fields:
            yield from leaves(f"{name}_{part}", layout[part])
        return
    if layout.is_numpy and layout.inner_shape:
        layout = layout.to_RegularArray()
    _check_type(name, layout)
    yield name, layout


def _check_type(name: str, layout: Layout) -> None:
    inner = layout
    while inner.is_list or inner.is_option or inner.is_indexed:
        inner = inner.content
    if inner.is_unknown or (inner.is_numpy and inner.dtype.kind in "biufM"):
        return
    msg = (
        f"the column {name!r} cannot be saved: its type is {type_text(layout.form.type)}. "
        "Numbers, booleans, strings, lists and records of these can be."
    )
    raise InputTypeError(msg)


def common_length(where: str, layouts: Mapping[str, Layout]) -> int:
    """Number of events, the same for all columns; `where` begins the message if not."""
    lengths = {name: len(layout) for name, layout in layouts.items()}
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        msg = f"{where} have different numbers of events: {text}."
        raise RunError(msg)
    return next(iter(lengths.values()))


def flatten(
    where: str, layouts: Mapping[str, Layout], per_event: Mapping[str, Layout]
) -> dict[str, Layout]:
    """One row per object; what there is once per event is repeated."""
    jagged = {name: ak.Array(layout) for name, layout in layouts.items() if _is_jagged(layout)}
    if not jagged and not any(layout.is_unknown for layout in layouts.values()):
        msg = (
            f"nothing to flatten: {', '.join(layouts)} have one value per event. "
            "Leave out flatten=True."
        )
        raise InputError(msg)
    counts = {name: _counts(array) for name, array in jagged.items()}
    # an untyped column comes from no events at all, so that it does not matter what it is
    first, objects = next(iter(counts.items()), ("", np.zeros(0, dtype=np.int64)))
    for name, other in counts.items():
        if not np.array_equal(objects, other):
            event = int(np.flatnonzero(objects != other)[0])
            msg = (
                f"{where} cannot be flattened together: in event {event} of them there are "
                f"{objects[event]} of {first!r} and {other[event]} of {name!r}."
            )
            raise RunError(msg)
    event_of = np.repeat(np.arange(len(objects)), objects)
    begin = np.cumsum(objects) - objects
    index = (np.arange(len(event_of)) - begin[event_of]).astype(np.int32)
    flat = {
        name: ak.to_layout(ak.flatten(jagged[name], axis=1)) if name in jagged else layout[event_of]
        for name, layout in layouts.items()
    }
    repeated = {name: layout[event_of] for name, layout in per_event.items()}
    return {**flat, OBJECT_INDEX: plain(index), **repeated}


def _is_jagged(layout: Layout) -> bool:
    while layout.is_option or layout.is_indexed:
        layout = layout.content
    string = layout.parameter("__array__") in {"string", "bytestring"}
    return bool(layout.is_list and not layout.is_regular and not string)


def _counts(array: ak.Array) -> npt.NDArray[np.int64]:
    # an event whose list is missing has no objects
    return np.asarray(ak.fill_none(ak.num(array, axis=1), 0), dtype=np.int64)


def plain(values: npt.NDArray[Any]) -> Layout:
    """Layout of a numpy array."""
    return ak.contents.NumpyArray(np.ascontiguousarray(values))


def nulls(length: int) -> Layout:
    """Layout of so many missing numbers."""
    index = ak.index.Index64(np.full(length, -1, dtype=np.int64))
    return ak.contents.IndexedOptionArray(index, plain(np.empty(0, dtype=np.float64)))


def record(layouts: Mapping[str, Layout], length: int | None = None) -> ak.Array:
    """Put layouts of one length together."""
    return ak.Array(ak.contents.RecordArray(list(layouts.values()), list(layouts), length))
