"""What is known of each dataset, as columns: names, cross sections, eras."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import dask_awkward as dak
import numpy as np

from lazyana.data.fileset import Dataset
from lazyana.errors import ColumnError, InputError, did_you_mean


@dataclass(frozen=True, eq=False)
class Lookup:
    """A value for each dataset, picked by the position of an event's dataset.

    Attributes
    ----------
    values
        One value for each dataset of the group.
    """

    values: tuple[bool | int | float, ...]

    def __call__(self, position: ak.Array) -> ak.Array:
        """The value for each event, shape ``(events,)``."""
        table = ak.from_numpy(np.asarray(self.values))
        return ak.to_backend(table, ak.backend(position))[position]


class Labels:
    """A name for every event that is the same all over its dataset.

    Compare it with a name, or several with `isin`, to get a mask; `map` gives numbers.

    Examples
    --------
    >>> events.dataset == "TTTo2L2Nu"  # doctest: +SKIP
    >>> events.dataset.map({"TTTo2L2Nu": 0.9}, default=1.0)  # doctest: +SKIP
    """

    def __init__(self, what: str, values: tuple[str, ...], position: dak.Array) -> None:
        self._what = what
        self._values = values
        self._position = position

    @property
    def names(self) -> tuple[str, ...]:
        """The names that occur, sorted."""
        return tuple(sorted(set(self._values)))

    def isin(self, names: Iterable[str]) -> dak.Array:
        """Mask of the events whose name is one of `names`, shape ``(events,)``.

        Raises
        ------
        InputError
            A name that does not occur.
        """
        wanted = [self._checked(name) for name in names]
        return self._lookup(tuple(value in wanted for value in self._values))

    def map(self, numbers: Mapping[str, float], default: float | None = None) -> dak.Array:
        """A number for every event by its name, shape ``(events,)``.

        Parameters
        ----------
        numbers
            The number for each name.
        default
            The number for names that are not in `numbers`.

        Raises
        ------
        InputError
            A name that does not occur, or one without a number.
        """
        for name in numbers:
            self._checked(name)
        missing = [value for value in self.names if value not in numbers]
        if missing and default is None:
            msg = f"No number for {self._what} {missing}: give one for each, or a default."
            raise InputError(msg)
        return self._lookup(tuple(numbers.get(value, default) for value in self._values))

    def __eq__(self, name: object) -> Any:
        """Mask of the events with that name."""
        return self.isin([self._checked(name)])

    def __ne__(self, name: object) -> Any:
        """Mask of the events with another name."""
        return ~self.isin([self._checked(name)])

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """The names that occur."""
        return f"<{self._what} of each event: {', '.join(self.names)}>"

    def _checked(self, name: object) -> str:
        if isinstance(name, str) and name in self._values:
            return name
        hint = did_you_mean(str(name), self.names)
        msg = f"There is no {self._what} {name!r} here.{hint} There are: {', '.join(self.names)}."
        raise InputError(msg)

    def _lookup(self, values: tuple[Any, ...]) -> dak.Array:
        return per_dataset(values, self._position)


def per_dataset(values: tuple[Any, ...], position: dak.Array) -> dak.Array:
    """A column with one value for each dataset, shape ``(events,)``."""
    return dak.map_partitions(Lookup(values), position, label="per-dataset")


class Metadata(Mapping[str, Any]):
    """What is known of a frame's datasets: shared values, or columns where they differ."""

    def __init__(self, datasets: Sequence[Dataset], position: dak.Array) -> None:
        self._names = tuple(dataset.name for dataset in datasets)
        self._position = position
        keys = dict.fromkeys(key for dataset in datasets for key in dataset.metadata)
        self._values = {
            key: tuple(dataset.metadata.get(key) for dataset in datasets) for key in keys
        }

    def __getitem__(self, key: str) -> Any:
        """A value that all datasets share, else a column (numbers) or `Labels` (names)."""
        if key not in self._values:
            hint = did_you_mean(key, self._values)
            msg = f"The datasets have no metadata {key!r}.{hint} They have: {sorted(self._values)}."
            raise ColumnError(msg)
        values = self._values[key]
        if all(value == values[0] for value in values):
            return values[0]
        named = zip(self._names, values, strict=True)
        missing = [name for name, value in named if value is None]
        if missing:
            msg = f"Metadata {key!r} is not given for {missing}: add it to the fileset."
            raise ColumnError(msg)
        if all(isinstance(value, bool | int | float) for value in values):
            return per_dataset(values, self._position)
        return Labels(key, tuple(str(value) for value in values), self._position)

    def __iter__(self) -> Iterator[str]:
        """The keys."""
        return iter(self._values)

    def __len__(self) -> int:
        """Number of keys."""
        return len(self._values)
