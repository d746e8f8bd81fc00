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
    if isinstance(column, ak.Array) and not column.layout.is_numpy:
        # To the final type first: None cannot become NaN among integers or truth values.
        column = ak.fill_none(ak.values_astype(column, dtype), missing)
    return np.asarray(ak.to_numpy(column), dtype=dtype)


@dataclass(frozen=True)
class Membership:
    """Which categories each event is in, as compressed rows.

    Attributes
    ----------
    offsets
        Shape ``(events + 1,)``, int64; the categories of event ``i`` are
        ``index[offsets[i]:offsets[i + 1]]``, in increasing order.
    index
        Shape ``(memberships,)``, int32 positions in the list of category names.
    """

    offsets: npt.NDArray[np.int64]
    index: npt.NDArray[np.int32]

    @classmethod
    def from_masks(cls, masks: Sequence[npt.NDArray[np.bool_]]) -> Membership:
        """Membership of categories given as one boolean mask, shape ``(events,)``, each."""
        matrix = np.stack(masks, axis=1)
        category = np.nonzero(matrix)[1]
        offsets = np.zeros(matrix.shape[0] + 1, dtype=np.int64)
        np.cumsum(matrix.sum(axis=1), out=offsets[1:])
        return cls(offsets, category.astype(np.int32))


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
