"""Which bin of a histogram each entry of its columns goes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import boost_histogram as bh
import numpy as np
import numpy.typing as npt

from lazyana.errors import InputTypeError, RunError, type_text
from lazyana.sinks.base import Place
from lazyana.sinks.fill import Entries, Integers

_STRINGS = ("string", "bytestring")
_INT32 = np.iinfo(np.int32)
_INTEGER_AXES = (bh.axis.Integer, bh.axis.IntCategory, bh.axis.Boolean)


def axis_name(axes: Sequence[Any], position: int) -> str:
    """What to call an axis in a message: its name, label or position."""
    axis = axes[position]
    return getattr(axis, "name", "") or getattr(axis, "label", "") or f"axis {position}"


def check_column(name: str, axis: Any, column: Any) -> None:
    """Check that a column can fill an axis, from its type alone.

    Parameters
    ----------
    name
        What to call the axis in messages.
    axis
        The axis.
    column
        Array or typetracer of shape ``(events,)`` or ``(events, objects)``; None values are
        allowed in both places.

    Raises
    ------
    InputTypeError
        For records, values of mixed type, strings on a numeric axis, numbers on a string axis,
        fractional numbers on an integer axis, and more than two dimensions.
    """
    layout, depth = _layout(column), 1
    while not _is_leaf(layout):
        if layout.is_record:
            fields = ", ".join(layout.fields[:8]) + (", ..." if len(layout.fields) > 8 else "")
            msg = (
                f"The column for histogram axis {name!r} is a record, not numbers. Take one of "
                f"its fields, which are: {fields}."
            )
            raise InputTypeError(msg)
        if layout.is_union:
            msg = (
                f"The column for histogram axis {name!r} mixes types: "
                f"{type_text(layout.form.type)}. Make them one type, for example with "
                "ak.values_astype."
            )
            raise InputTypeError(msg)
        if layout.is_list:
            depth += 1
        layout = layout.content
    depth += 0 if layout.is_unknown or _is_text(layout) else len(layout.inner_shape)
    if depth > 2:
        msg = (
            f"The column for histogram axis {name!r} has {depth} dimensions; a histogram takes "
            "one value per event, (events,), or one per object, (events, objects). Flatten it with "
            "ak.flatten(..., axis=2)."
        )
        raise InputTypeError(msg)
    if not layout.is_unknown:
        _check_leaf(name, axis, "string" if _is_text(layout) else layout.dtype)


def _check_leaf(name: str, axis: Any, kind: Any) -> None:
    wants_text = isinstance(axis, bh.axis.StrCategory)
    if kind == "string":
        problem = (
            "" if wants_text else "has strings, the axis takes numbers. Use hist.axis.StrCategory."
        )
    elif wants_text:
        problem = (
            f"has numbers ({kind}), the axis takes strings. Use hist.axis.IntCategory or Integer."
        )
    elif kind.kind not in "biuf":
        problem = f"has values of type {kind}, which cannot be binned. Use real numbers."
    elif kind.kind == "f" and isinstance(axis, _INTEGER_AXES):
        problem = (
            f"has fractional numbers ({kind}), {type(axis).__name__} axes take integers. Use "
            "hist.axis.Regular, or make the column integers with ak.values_astype(column, 'int64')."
        )
    else:
        return
    if problem:
        msg = f"The column for histogram axis {name!r} {problem}"
        raise InputTypeError(msg)


def find_entries(place: Place, axes: Sequence[Any], columns: Sequence[Any]) -> Entries:
    """Bins of all entries of one fill.

    Columns of shape ``(events,)`` and ``(events, objects)`` are broadcast as `ak.broadcast_arrays`
    does. An entry with None in any column, or outside of an axis that has no flow bin there, is not
    filled.

    Parameters
    ----------
    place
        Where the events come from, for messages.
    axes
        The axes.
    columns
        One column for each axis, of the same number of events.

    Raises
    ------
    InputTypeError
        As `check_column` does.
    RunError
        If columns have different numbers of events, or of objects in an event.
    """
    parts = []
    for position, (axis, column) in enumerate(zip(axes, columns, strict=True)):
        check_column(axis_name(axes, position), axis, column)
        parts.append(_part(axis, column))
    names = [axis_name(axes, position) for position in range(len(axes))]
    events = _same_events(place, names, parts)
    counts, keep = _object_counts(place, names, parts)
    event = None if counts is None else np.repeat(np.arange(events), counts)
    if len(parts) == 1 and keep is None and parts[0].where is not None:
        where = parts[0].where
        return Entries(parts[0].bins, where if event is None else event[where], events)
    total: Integers | None = None
    outside: npt.NDArray[np.bool_] | None = None
    for axis, part in zip(axes, parts, strict=True):
        bins = part.everywhere
        if event is not None:
            if part.counts is None:
                bins = bins[event]
            elif keep is not None:
                bins = bins[np.repeat(keep, part.counts)]
        if not part.complete:
            missing = bins < 0
            outside = missing if outside is None else outside | missing
        total = bins if total is None else total * axis.extent + bins
    assert total is not None
    if outside is not None:
        total = np.where(outside, -1, total)
    return Entries(total, event, events)


@dataclass(frozen=True)
class _Part:
    """One column, binned.

    Attributes
    ----------
    bins
        Shape ``(values,)``, int64: bin from 0 (the underflow bin, where there is one), -1 for
        values outside of the axis.
    inside
        Whether no bin is -1.
    entries
        How many entries the column has; None among them have no value.
    where
        Shape ``(values,)``, increasing: the entry of each value; None where every entry has one.
    counts
        Shape ``(events,)``: number of objects; None for a column with one value per event.
    present
        Shape ``(events,)``: False where there is None in place of a list; None if there is none.
    """

    bins: Integers
    inside: bool
    entries: int
    where: Integers | None = None
    counts: Integers | None = None
    present: npt.NDArray[np.bool_] | None = None

    @property
    def events(self) -> int:
        return self.entries if self.counts is None else len(self.counts)

    @property
    def complete(self) -> bool:
        """Whether every entry has a bin."""
        return self.inside and self.where is None

    @property
    def everywhere(self) -> Integers:
        """Shape ``(entries,)``: the bins, -1 also for None."""
        if self.where is None:
            return self.bins
        bins = np.full(self.entries, -1, dtype=np.int64)
        bins[self.where] = self.bins
        return bins


def _part(axis: Any, column: Any) -> _Part:
    outer = _layout(column)
    layout, where = _without_options(outer)
    if _is_leaf(layout) and not (layout.is_numpy and layout.inner_shape):
        return _Part(*axis_bins(axis, layout), outer.length, where)
    if layout.is_numpy:
        layout = layout.to_RegularArray()
    layout = layout.to_ListOffsetArray64(True)
    offsets = np.asarray(layout.offsets.data)
    counts, present = np.diff(offsets), None
    content = layout.content
    if content.length > offsets[-1]:
        content = content[: offsets[-1]]
    if where is not None:
        present = np.zeros(outer.length, dtype=np.bool_)
        present[where] = True
        everything = np.zeros(outer.length, dtype=np.int64)
        everything[where] = counts
        counts = everything
    values, where = _without_options(content)
    return _Part(*axis_bins(axis, values), content.length, where, counts, present)


def axis_bins(axis: Any, layout: Any) -> tuple[Integers, bool]:
    """Bin of each value along one axis, and whether all values have one.

    Bins count from 0, the underflow bin where the axis has one; -1 are values that are left out.
    The bins are those of boost-histogram, for NaN and infinities too.
    """
    traits = axis.traits
    if layout.length == 0:
        return np.zeros(0, dtype=np.int64), True
    index = _axis_index(axis, layout)
    bins = index.astype(np.int64)
    if traits.underflow:
        bins += 1
    if traits.underflow and traits.overflow:
        return bins, True
    outside = (bins < 0) | (bins >= axis.extent)
    if not outside.any():
        return bins, True
    bins[outside] = -1
    return bins, False


def _axis_index(axis: Any, layout: Any) -> npt.NDArray[Any]:
    """`axis.index`, also for what that refuses: unknown categories, integers beyond 32 bits."""
    if isinstance(axis, bh.axis.StrCategory):
        text = np.asarray(ak.to_numpy(layout), dtype=np.str_)
        index = np.full(len(text), axis.size, dtype=np.int64)
        for position, category in enumerate(axis):
            index[text == category] = position
        return index
    find: Any = axis.index
    values = np.asarray(layout.data)
    if isinstance(axis, bh.axis.IntCategory):
        if not axis.size:
            return np.zeros(len(values), dtype=np.int64)
        categories = np.asarray(list(axis), dtype=np.int64)
        order = np.argsort(categories)
        near = np.minimum(np.searchsorted(categories, values, sorter=order), axis.size - 1)
        return np.where(categories[order[near]] == values, order[near], axis.size)
    if isinstance(axis, bh.axis.Boolean):
        return np.asarray(values != 0)
    if isinstance(axis, bh.axis.Integer):
        if axis.traits.circular:
            values = np.mod(values.astype(np.int64), axis.size)
        elif values.dtype.itemsize >= 4:
            # Axes are 32-bit: what is clipped was in a flow bin before, and still is.
            values = np.clip(values, max(_INT32.min, np.iinfo(values.dtype).min), _INT32.max)
        return np.asarray(find(values.astype(np.int32)))
    return np.asarray(find(values.astype(np.float64, copy=False)))


def _same_events(place: Place, names: Sequence[str], parts: Sequence[_Part]) -> int:
    events = [part.events for part in parts]
    if len(set(events)) > 1:
        sizes = ", ".join(f"{name!r}: {n}" for name, n in zip(names, events, strict=True))
        msg = (
            f"The columns of the histogram axes have different numbers of events ({sizes}) in "
            f"{describe(place)}. All columns must come from the same frame."
        )
        raise RunError(msg)
    return events[0]


def _object_counts(
    place: Place, names: Sequence[str], parts: Sequence[_Part]
) -> tuple[Integers | None, npt.NDArray[np.bool_] | None]:
    """Objects per event, None if there are none; events that are filled, None if all are."""
    jagged = [
        (name, part) for name, part in zip(names, parts, strict=True) if part.counts is not None
    ]
    if not jagged:
        return None, None
    keep = None
    if any(part.present is not None for _, part in jagged):
        keep = np.logical_and.reduce([p.present for _, p in jagged if p.present is not None])
    first, counts = jagged[0][0], _kept(jagged[0][1].counts, keep)
    for name, part in jagged[1:]:
        others = _kept(part.counts, keep)
        if np.array_equal(counts, others):
            continue
        event = int(np.flatnonzero(counts != others)[0])
        msg = (
            f"Histogram axes {first!r} and {name!r} have different numbers of objects: "
            f"{counts[event]} and {others[event]} in event {event} of {describe(place)}. Fill them "
            "from one collection with one selection, or take one value per event: column[:, 0]."
        )
        raise RunError(msg)
    return counts, keep


def _kept(counts: Integers | None, keep: npt.NDArray[np.bool_] | None) -> Integers:
    assert counts is not None
    return counts if keep is None else np.where(keep, counts, 0)


def describe(place: Place) -> str:
    """Where a fill took place, for messages."""
    return (
        f"{place.file}, entries {place.start} to {place.stop} (dataset {place.dataset!r}, "
        f"partition {place.partition}, variation {place.variation!r})"
    )


def _layout(column: Any) -> Any:
    return column.layout if isinstance(column, ak.Array) else ak.to_layout(column)


def _is_text(layout: Any) -> bool:
    return bool(layout.is_list) and layout.parameter("__array__") in _STRINGS


def _is_leaf(layout: Any) -> bool:
    return bool(layout.is_numpy or layout.is_unknown or _is_text(layout))


def _without_options(layout: Any) -> tuple[Any, Integers | None]:
    """The layout without None and indirection, and where its values were (None: everywhere)."""
    # Awkward's constructors keep these from being nested in each other: one step is enough.
    if isinstance(layout, ak.contents.IndexedOptionArray) and layout.content.is_numpy:
        index = np.asarray(layout.index.data)
        where = np.flatnonzero(index >= 0)
        return ak.contents.NumpyArray(np.asarray(layout.content.data)[index[where]]), where
    if layout.is_option:
        return layout.project(), np.flatnonzero(layout.mask_as_bool(valid_when=True))
    if layout.is_indexed:
        return layout.project(), None
    return layout, None
