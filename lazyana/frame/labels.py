"""What is known of each dataset, as columns: names, cross sections, eras."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import dask_awkward as dak
import numpy as np

from lazyana.data.fileset import Dataset
from lazyana.data.nanoevents import LABEL_FIELD
from lazyana.errors import ColumnError, InputError, InputTypeError, did_you_mean


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

    def __init__(
        self,
        what: str,
        values: tuple[str, ...],
        position: dak.Array,
        elsewhere: Iterable[str] = (),
    ) -> None:
        self._what = what
        self._values = values
        self._position = position
        self._known = frozenset((*values, *elsewhere))

    @property
    def names(self) -> tuple[str, ...]:
        """The names that occur in these events, sorted."""
        return tuple(sorted(set(self._values)))

    def isin(self, names: Iterable[str]) -> dak.Array:
        """Mask of the events whose name is one of `names`, shape ``(events,)``.

        Raises
        ------
        InputError
            A name that occurs nowhere in the fileset.
        InputTypeError
            Text instead of a list of names.
        """
        if isinstance(names, str):
            msg = f"isin takes a list of names: isin([{names!r}]), or write == {names!r}."
            raise InputTypeError(msg)
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
            A name that occurs nowhere in the fileset, or one without a number.
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
        # In a run over several groups the same comparison is made in each of them.
        if isinstance(name, str) and name in self._known:
            return name
        hint, known = did_you_mean(str(name), self._known), ", ".join(sorted(self._known))
        msg = f"There is no {self._what} {name!r} in the fileset.{hint} There are: {known}."
        raise InputError(msg)

    def _lookup(self, values: tuple[Any, ...]) -> dak.Array:
        return per_dataset(values, self._position)


def without_label(events: ak.Array) -> ak.Array:
    """Events without the field that says which dataset each is from."""
    return ak.without_field(events, LABEL_FIELD) if LABEL_FIELD in events.fields else events


def per_dataset(values: tuple[Any, ...], position: dak.Array) -> dak.Array:
    """A column with one value for each dataset, shape ``(events,)``."""
    return dak.map_partitions(Lookup(values), position, label="per-dataset")


class Metadata(Mapping[str, Any]):
    """What is known of a frame's datasets: shared values, or columns where they differ."""

    def __init__(
        self, datasets: Sequence[Dataset], position: dak.Array, others: Sequence[Dataset] = ()
    ) -> None:
        self._others = others
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
        elsewhere = (str(one.metadata[key]) for one in self._others if key in one.metadata)
        return Labels(key, tuple(str(value) for value in values), self._position, elsewhere)

    def __iter__(self) -> Iterator[str]:
        """The keys."""
        return iter(self._values)

    def __len__(self) -> int:
        """Number of keys."""
        return len(self._values)

    def __repr__(self) -> str:
        """The keys and the values that all datasets share."""
        shown = (
            f"{key}: {values[0]!r}" if all(value == values[0] for value in values) else f"{key}: …"
            for key, values in self._values.items()
        )
        return f"<metadata of {', '.join(self._names)}; {', '.join(shown)}>"
