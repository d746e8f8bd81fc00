"""Columns to be saved: fields of collections, by position, with missing values filled."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, TypeVar

import awkward as ak
import numpy as np

from lazyana.errors import ColumnError, InputError, InputTypeError, did_you_mean
from lazyana.frame.checks import lazy
from lazyana.physics.lazy import mapped

EVENTS = "events"
"""The collection of what there is once an event."""

_SHOWN = 20

_SUMS = {"etaSC": (("superclusterEta",), ("eta", "deltaEtaSC"))}
"""Fields that NanoAOD does not store as such: each is the sum of the first of these that exist."""

Class = TypeVar("Class")


class ObjectMask(NamedTuple):
    """Which objects of a collection belong to a category.

    Attributes
    ----------
    collection
        Name of the collection.
    mask
        Boolean, shape ``(events, objects)``.
    """

    collection: str
    mask: Any


def with_known_options(cls: type[Class]) -> type[Class]:
    """Make the constructor of a dataclass suggest what a misspelt option could have been.

    Raises
    ------
    InputTypeError
        By the constructor, for an option that does not exist.
    """
    made: Any = cls
    plain: Callable[..., None] = made.__init__
    names = tuple(field.name for field in fields(made) if field.init)

    @functools.wraps(plain)
    def checked(self: Any, *args: Any, **options: Any) -> None:
        for option in options:
            if option not in names:
                hint = did_you_mean(option, names)
                msg = f"{cls.__name__} has no option {option!r}.{hint} Options: {', '.join(names)}."
                raise InputTypeError(msg)
        plain(self, *args, **options)

    made.__init__ = checked
    return cls


def names_of(what: str, given: Any) -> tuple[str, ...]:
    """Names in the order given, as a tuple.

    Raises
    ------
    InputTypeError
        Text instead of a list of names, or something else than text in it.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        msg = f"{what} is {given!r}: give a list of names, such as [{str(given)!r}]."
        raise InputTypeError(msg)
    names = tuple(given)
    for name in names:
        if not isinstance(name, str):
            msg = f"{what} has {name!r} in it, which is no name: give text."
            raise InputTypeError(msg)
    return names


def find_collection(events: Any, collection: str, what: str) -> Any:
    """A collection, or any other column of the events.

    Parameters
    ----------
    events
        A lazy frame, or NanoEvents.
    collection
        Its name. ``nJet`` is the number of objects of ``Jet``, shape ``(events,)``, where no column
        has that name.
    what
        Who asks, for messages.

    Raises
    ------
    ColumnError
        There is none of that name.
    """
    names = list(events.fields)
    if collection in names:
        return events[collection]
    counted = collection.removeprefix("n")
    if counted != collection and counted in names:
        return ak.num(events[counted], axis=1)
    hint = did_you_mean(collection, [*names, *_countable(collection, names)])
    msg = f"{what}: there is no {collection!r} in the events.{hint} There are: {_some(names)}."
    raise ColumnError(msg)


def find_column(events: Any, collection: str, field: str, what: str) -> Any:
    """A field of a collection, or a column of the events.

    Parameters
    ----------
    events
        A lazy frame, or NanoEvents.
    collection
        Name of the collection; ``"events"`` for what there is once an event.
    field
        Name of the field, of records in it with dots (``"matched_gen.pt"``); also a property, such
        as the mass of a sum of vectors, and ``etaSC``, the pseudorapidity of the supercluster of an
        electron.
    what
        Who asks, for messages.

    Returns
    -------
    array
        Shape ``(events,)`` or ``(events, objects)``.

    Raises
    ------
    ColumnError
        No such collection or field.
    """
    path = field.split(".")
    if collection == EVENTS:
        column = find_collection(events, path[0], what)
        place, path = path[0], path[1:]
    else:
        column, place = find_collection(events, collection, what), collection
    for name in path:
        column = _field(column, place, name, what)
        place = f"{place}.{name}"
    return column


def _field(column: Any, place: str, name: str, what: str) -> Any:
    names = list(column.fields)
    if name in names:
        return column[name]
    found = getattr(column, name, None) if names and name.isidentifier() else None
    if isinstance(found, ak.Array) or lazy(found):
        return found
    for parts in _SUMS.get(name, ()):
        if set(parts) <= set(names):
            return functools.reduce(operator.add, (column[part] for part in parts))
    if not names:
        msg = f"{what}: {place!r} has no field {name!r}: it is no collection, but a plain column."
        raise ColumnError(msg)
    hint = did_you_mean(name, names)
    msg = f"{what}: {place!r} has no field {name!r}.{hint} There are: {_some(names)}."
    raise ColumnError(msg)


def _countable(collection: str, names: list[str]) -> list[str]:
    """The counters that could have been meant by a name that looks like one."""
    counted = [name for name in names if name[:1].isupper()]
    return [f"n{name}" for name in counted] if collection.startswith("n") else []


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def meta_of(column: Any) -> ak.Array:
    """What is known of a column without computing it: its typetracer, or the column itself."""
    return column._meta if lazy(column) else column


@with_known_options
@dataclass(frozen=True)
class ColOut:
    """Fields of a collection to be saved as columns.

    Attributes
    ----------
    collection
        Name of the collection, or ``"events"``.
    columns
        Names of its fields.
    flatten
        Whether `arrays` gives the objects of all events in one flat array.
    store_size
        Whether the number of objects in each event is a column too, ``<collection>_N``.
    fill_none
        Whether missing values are replaced.
    fill_value
        By what. Numbers keep their type if it can hold this one, else they become float64; text
        stays missing.
    pos_start, pos_end
        Keep the objects from this position on, and up to (without) that one; None: all.

    Raises
    ------
    InputError, InputTypeError
        An option that does not exist, no columns, or the same one twice.

    Examples
    --------
    >>> ColOut("JetGood", ["pt", "eta"], pos_end=2).names
    ('JetGood_pt', 'JetGood_eta')
    """

    collection: str
    columns: Sequence[str]
    flatten: bool = True
    store_size: bool = True
    fill_none: bool = True
    fill_value: float = -999.0
    pos_start: int | None = None
    pos_end: int | None = None

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        collection: Any = self.collection
        if not isinstance(collection, str) or not collection:
            msg = f"The collection of a ColOut is {collection!r}: give its name."
            raise InputTypeError(msg)
        names = names_of(f"columns of {self._what}", self.columns)
        if not names or len(set(names)) < len(names):
            problem = "has a column twice" if names else "has no columns"
            msg = f"{self._what} {problem}: {', '.join(names) or 'name the fields to save'}."
            raise InputError(msg)
        object.__setattr__(self, "columns", names)
        for option in ("pos_start", "pos_end"):
            position = getattr(self, option)
            if position is not None and (not isinstance(position, int) or position < 0):
                msg = f"{option} of {self._what} is {position!r}: positions are 0, 1, 2, …"
                raise InputError(msg)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, without that of the number of objects."""
        return tuple(f"{self.collection}_{name.replace('.', '_')}" for name in self.columns)

    @property
    def size_name(self) -> str:
        """Name of the column with the number of objects."""
        return f"{self.collection}_N"

    def expressions(self, events: Any, mask: ObjectMask | None = None) -> dict[str, Any]:
        """The columns of events.

        Parameters
        ----------
        events
            A lazy frame, or NanoEvents.
        mask
            Which objects to keep, where the category selects objects of this collection.

        Returns
        -------
        dict of array
            Columns by name, shape ``(events,)`` or ``(events, objects)``, missing values filled;
            before them ``<collection>_N``, where there are objects and `store_size` is set.

        Raises
        ------
        ColumnError
            No such collection or field.
        InputError
            A field that is a record itself; objects of another collection than `mask` is for.
        """
        found: dict[str, Any] = {}
        for name, field in zip(self.names, self.columns, strict=True):
            column = find_column(events, self.collection, field, self._what)
            if meta_of(column).fields:
                some = _some(meta_of(column).fields)
                msg = f"{self._what}: {field!r} is a record; name one of its fields: {some}."
                raise InputError(msg)
            column = self._kept(column, mask)
            # What is once an event has no size, and of several event columns each has its own.
            if self._objects(column) and self.store_size and self.collection != EVENTS:
                found.setdefault(self.size_name, ak.num(column, axis=1))
            found[name] = self._filled(column) if self.fill_none else column
        size = found.pop(self.size_name, None)
        return found if size is None else {self.size_name: size, **found}

    def check_same(self, other: ColOut, name: str) -> None:
        """Refuse to save a column of that name for another, too, if it is not the same there.

        Raises
        ------
        InputError
            Naming what differs.
        """
        options = ["collection", "pos_start", "pos_end"]
        if name != self.size_name:
            options += ["flatten", "fill_none", "fill_value"]
        for option in options:
            mine, its = getattr(self, option), getattr(other, option)
            if mine != its:
                rest = " (store_size=False saves no size)" if name == self.size_name else ""
                msg = (
                    f"column {name!r} is saved twice, with {option}={mine!r} and {option}={its!r}: "
                    f"keep one of them{rest}, or define a collection of another name."
                )
                raise InputError(msg)

    def arrays(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Computed columns of this, without the structure of events if `flatten` is set.

        Parameters
        ----------
        columns
            What `expressions` gave, computed; other columns are left out.

        Returns
        -------
        dict of numpy.ndarray or awkward.Array
            Shape ``(events,)`` or ``(all objects,)``; awkward arrays of shape ``(events, objects)``
            where `flatten` is not set.
        """
        found: dict[str, Any] = {}
        for name in (self.size_name, *self.names):
            if name not in columns:
                continue
            column = ak.Array(columns[name])
            if self._objects(column) and self.flatten:
                column = ak.flatten(column, axis=1)
            found[name] = column if self._objects(column) else ak.to_numpy(column)
        return found

    def serialize(self) -> dict[str, Any]:
        """All options, as plain values."""
        return {**asdict(self), "columns": list(self.columns)}

    @property
    def _what(self) -> str:
        return f"ColOut({self.collection!r})"

    def _objects(self, column: Any) -> bool:
        """Whether there are several values an event."""
        return not _is_text(meta_of(column)) and meta_of(column).ndim > 1

    def _kept(self, column: Any, mask: ObjectMask | None) -> Any:
        """The objects to keep."""
        if not self._objects(column):
            if self.pos_start is not None or self.pos_end is not None:
                msg = f"{self._what} has one value an event: leave pos_start and pos_end out."
                raise InputError(msg)
            return column
        if mask is not None:
            if mask.collection != self.collection:
                msg = (
                    f"{self._what} is saved in a category that selects objects of "
                    f"{mask.collection!r}: which of its own objects to keep is not known. Save it "
                    "in another category."
                )
                raise InputError(msg)
            column = column[mask.mask]
        if self.pos_start is not None or self.pos_end is not None:
            column = column[:, self.pos_start : self.pos_end]
        return column

    def _filled(self, column: Any) -> Any:
        """The column without missing values."""
        meta = meta_of(column)
        kind = _number_type(meta)
        if kind is None or not _has_options(meta):
            return column
        held = kind if np.can_cast(_smallest(self.fill_value), kind) else np.dtype(np.float64)
        if kind != held:
            column = ak.values_astype(column, held)
        if self._objects(column) and meta.layout.is_option:
            column = mapped(_without_missing_lists, column, label="missing-lists")
        return ak.fill_none(column, held.type(self.fill_value), axis=-1)


def _without_missing_lists(column: ak.Array) -> ak.Array:
    """A column whose missing lists are empty ones."""
    if isinstance(column.layout, ak.contents.UnmaskedArray):
        # None is missing; awkward would put lists in place of numbers inside.
        return ak.Array(column.layout.content)
    return ak.fill_none(column, [], axis=0)


def _smallest(value: float) -> np.dtype[Any]:
    """The smallest type that holds a number; of fractions any floating type is precise enough."""
    whole = np.isfinite(value) and float(value).is_integer()
    return np.min_scalar_type(int(value)) if whole else np.dtype(np.float16)


def _is_text(meta: ak.Array) -> bool:
    return meta.layout.purelist_parameter("__array__") in ("string", "bytestring")


def _number_type(meta: ak.Array) -> np.dtype[Any] | None:
    """Type of the innermost numbers; None for text and what has no type of its own."""
    if _is_text(meta):
        return None
    layout = meta.layout
    while hasattr(layout, "content"):
        layout = layout.content
    return getattr(layout, "dtype", None)


def _has_options(meta: ak.Array) -> bool:
    layout = meta.layout
    while hasattr(layout, "content"):
        if layout.is_option:
            return True
        layout = layout.content
    return False
