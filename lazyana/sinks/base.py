"""What every output kind has in common: the sink protocol and the values it is fed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import awkward as ak
import numpy as np
import numpy.typing as npt

NOMINAL = "nominal"


@dataclass(frozen=True)
class Place:
    """Where the events of one fill come from.

    Attributes
    ----------
    dataset
        Name of the dataset.
    partition
        Running number of the partition in its job: the same on any executor.
    variation
        Label of the shape variation, ``"nominal"`` for none.
    file
        URL of the (first) file.
    start, stop
        Entry range in that file.
    notes
        What the run report is to tell, with counts.
    """

    dataset: str
    partition: int
    variation: str
    file: str
    start: int
    stop: int
    notes: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def entries(self) -> int:
        """Number of events read."""
        return self.stop - self.start

    def note(self, what: str, count: int) -> None:
        """Have the run report tell that something happened `count` times."""
        self.notes[what] = self.notes.get(what, 0) + count


def total(states: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Sum of arrays of one shape, in the order given; a new array, so that it can be repeated."""
    result = states[0].copy()
    for state in states[1:]:
        result += state
    return result


def plain(column: Any, missing: bool | float, dtype: Any) -> npt.NDArray[Any]:
    """A column of one value an event as a numpy array.

    Parameters
    ----------
    column
        Shape ``(events,)``.
    missing
        What stands for None.
    dtype
        Type of the result.

    Returns
    -------
    array
        Shape ``(events,)``.
    """
    layout = column.layout if isinstance(column, ak.Array) else None
    if layout is None or not (layout.is_option or layout.is_indexed):
        return _flat(column if layout is None else layout, dtype)
    # Much faster than ak.fill_none, which makes a union of the values and what is missing.
    values = _flat(layout.project(), dtype)
    if not layout.is_option:
        return values
    result = np.full(layout.length, missing, dtype=dtype)
    result[np.asarray(layout.mask_as_bool(valid_when=True))] = values
    return result


def _flat(values: Any, dtype: Any) -> npt.NDArray[Any]:
    """Values without None, as a numpy array."""
    data = getattr(values, "data", None) if getattr(values, "is_numpy", False) else None
    return np.asarray(data if isinstance(data, np.ndarray) else ak.to_numpy(values), dtype=dtype)


@dataclass(frozen=True)
class Membership:
    """Which categories each event is in.

    The *kind* of an event is the set of categories it is in. There are usually few kinds, however
    many categories there are and however much they overlap.

    Attributes
    ----------
    kind
        Shape ``(events,)``, int64: number of the kind of each event.
    sets
        Shape ``(kinds, categories)``, bool: which categories each kind is in.
    """

    kind: npt.NDArray[np.int64]
    sets: npt.NDArray[np.bool_]

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.kind)

    @classmethod
    def from_masks(cls, masks: Sequence[npt.NDArray[np.bool_]]) -> Membership:
        """Membership of categories given as one boolean mask, shape ``(events,)``, each.

        No two kinds are in the same categories, and each has an event. They are numbered in the
        order of their rows in `sets`.
        """
        kind, kinds = _kinds(masks)
        # Any event of a kind tells which categories the kind is in.
        example = np.zeros(kinds, dtype=np.int64)
        example[kind] = np.arange(len(kind))
        return cls(kind, np.stack([mask[example] for mask in masks], axis=1))


def _kinds(masks: Sequence[npt.NDArray[np.bool_]]) -> tuple[npt.NDArray[np.int64], int]:
    """Number of the kind of each event, shape ``(events,)``, and how many kinds there are.

    An event's masks are the digits of a binary number. Eight of them are put together in one byte
    an event, for there is a pass over all events for each mask.
    """
    events = len(masks[0])
    table = max(1 << 16, 2 * events)
    kind, bound = np.zeros(events, dtype=np.int64), 1
    for start in range(0, len(masks), 8):
        group = masks[start : start + 8]
        digits = group[0].astype(np.uint8)
        for mask in group[1:]:
            digits += digits
            digits |= mask
        size = 1 << len(group)
        if bound * size > (table if bound <= table else 1 << 62):
            kind, bound = _renumbered(kind, bound, table)
        kind *= size
        kind += digits
        bound *= size
    return _renumbered(kind, bound, table)


def _renumbered(
    numbers: npt.NDArray[np.int64], bound: int, table: int
) -> tuple[npt.NDArray[np.int64], int]:
    """Numbers below `bound` replaced by 0, 1, ... in their order, and how many there are."""
    if bound > table:  # a table of all possible numbers would be larger than the events
        found, numbers = np.unique(numbers, return_inverse=True)
        return numbers, len(found)
    there = np.bincount(numbers, minlength=bound) > 0
    return (np.cumsum(there) - 1)[numbers], int(np.count_nonzero(there))


class Sink(Protocol):
    """An output kind: histogram, columns, cutflow, sum."""

    @property
    def kind(self) -> str:
        """Short word for reports, e.g. ``"hist"``."""
        ...

    def fill(self, place: Place, /, *columns: Any) -> Any:
        """State of one partition and one shape variation."""
        ...

    def merge(self, states: Sequence[Any], /) -> Any:
        """One state out of several, associative, in the order given; they stay as they are."""
        ...

    def finish(self, states: Mapping[tuple[str, str], Any], datasets: Sequence[str], /) -> Any:
        """The value users see, out of the states keyed by (dataset, shape variation)."""
        ...
