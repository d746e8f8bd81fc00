"""Axes of histograms: which column, in which bins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import hist
import numpy as np
from hist.axis.transform import AxisTransform

from lazyana.analysis.columns import (
    EVENTS,
    find_column,
    meta_of,
    with_known_options,
)
from lazyana.errors import ColumnError, InputError, InputTypeError, did_you_mean
from lazyana.frame.booking import HIST_OPTIONS
from lazyana.frame.checks import lazy
from lazyana.frame.events import Events
from lazyana.frame.labels import Labels
from lazyana.physics.positions import at_position
from lazyana.sinks.histogram import GROUPING

METADATA, CUSTOM = "metadata", "custom"
"""Collections that are none: what is known of a dataset, and columns given while booking."""

SIZES = ("nEvents_initial", "nEvents_after_skim", "nEvents_after_presel")
"""The numbers of events of a partition: of all, and of those that pass."""

TYPES = ("regular", "variable", "integer", "intcat", "strcat")
CATEGORIES = ("intcat", "strcat")
_SAME_TYPE = {"int": "integer"}
TRANSFORMS = ("log", "sqrt")
_NO_LIM = (0, 0)


@with_known_options
@dataclass(frozen=True)
class Axis:
    """An axis of a histogram, and the column that fills it.

    Attributes
    ----------
    field
        The column: a field of the collection, of records in it with dots. ``nJetGood`` of the
        events is the number of objects of ``JetGood``.
    label
        Label of the axis in plots; default: its name.
    bins
        Number of bins; the edges, for bins of different width; the categories, for `type`
        ``"intcat"`` and ``"strcat"``.
    start, stop
        Range of a regular or integer axis; `stop` of an integer axis is not in it. An integer axis
        without them begins at 0, and has `bins` numbers.
    coll
        Collection the field is of: its name, ``"events"`` for columns of the events, ``"metadata"``
        for what is known of the dataset (such as ``year``, ``era``), ``"custom"`` for columns given
        while booking.
    name
        Name of the axis; default ``<coll>.<field>``.
    pos
        Position of the object, from 0, whose value is filled; events with fewer objects are not.
        None: all objects.
    type
        ``"regular"``, ``"variable"``, ``"integer"`` (also ``"int"``), ``"intcat"``, ``"strcat"``.
    transform
        Of a regular axis, whose bins are equally wide in it: ``"log"``, ``"sqrt"``, or one of
        `hist.axis.transform`.
    lim
        Range to show in plots, an attribute of the axis; ``(0, 0)`` and None: all of it.
    underflow, overflow
        Whether what is outside of the range is kept, in a bin of its own.
    growth
        Whether the axis gets bins for what is filled outside of it: bins of the same width
        (regular), integers, one bin on each side that reaches to the farthest value (variable), or
        the categories that occur, sorted, after those given; see `lazyana.sinks.growth`.

    Raises
    ------
    InputError, InputTypeError
        Options that do not exist or do not fit together.

    Examples
    --------
    >>> Axis("mass", "$m_{ll}$ [GeV]", bins=100, start=50, stop=150, coll="ll").title
    'll.mass'
    """

    field: str
    label: str | None = None
    bins: Any = None
    start: float | None = None
    stop: float | None = None
    coll: str = EVENTS
    name: str | None = None
    pos: int | None = None
    type: str = "regular"
    transform: Any = None
    lim: tuple[float, float] | None = _NO_LIM
    underflow: bool = True
    overflow: bool = True
    growth: bool = False

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        if self.bins is not None and not isinstance(self.bins, int | np.integer):
            object.__setattr__(self, "bins", _several(self._what, self.bins))
        kind = _SAME_TYPE.get(self.type, self.type)
        if kind == "regular" and isinstance(self.bins, tuple):
            kind = "variable"
        object.__setattr__(self, "type", kind)
        lim: Any = None if self.lim is None else tuple(self.lim)
        object.__setattr__(self, "lim", lim)
        self._check_field()
        if lim is not None and len(lim) != 2:
            msg = f"lim of {self._what} is {lim}: give two numbers, from and to."
            raise InputError(msg)
        if kind not in TYPES:
            hint = did_you_mean(str(kind), TYPES)
            msg = f"{self._what} has type {kind!r}.{hint} Types are: {', '.join(TYPES)}."
            raise InputError(msg)
        self._check_bins()
        self._check_transform()

    @property
    def title(self) -> str:
        """Name of the axis in the histogram."""
        return self.name or f"{self.coll}.{self.field}"

    @property
    def grows(self) -> bool:
        """Whether its categories are those of the datasets, and known before the run."""
        return self.growth and self.coll == METADATA and self.type in CATEGORIES

    def with_name(self, name: str) -> Axis:
        """The same axis under another name."""
        return Axis(**{**self._options(), "name": name})

    def exists(self, events: Any) -> bool:
        """Whether the collection has the field; what is no collection is not looked at."""
        if self.coll in (EVENTS, METADATA, CUSTOM) or self.coll not in events.fields:
            return True
        return self.field.partition(".")[0] in events[self.coll].fields

    def column(self, events: Any, what: str, custom: Mapping[str, Any] | None = None) -> Any:
        """What fills the axis.

        Parameters
        ----------
        events
            A lazy frame, or NanoEvents; a frame for metadata.
        what
            Which histogram it is, for messages.
        custom
            Columns for axes of ``coll="custom"``, and of ``coll="metadata"`` for what is known
            of partitions, by field.

        Returns
        -------
        array
            Shape ``(events,)`` or ``(events, objects)``.

        Raises
        ------
        ColumnError
            No such collection, field or metadata.
        InputError
            A position among objects where there is one value an event.
        """
        if self.coll == METADATA and self.field not in (custom or {}):
            return metadata_column(events, self.field, what, text=self.type == "strcat")
        if self.coll in (CUSTOM, METADATA):
            given = custom or {}
            if self.field not in given:
                hint, there = did_you_mean(self.field, given), ", ".join(given) or "none"
                msg = f"{what}: no custom column {self.field!r} is given.{hint} There are: {there}."
                raise ColumnError(msg)
            column = given[self.field]
        else:
            column = find_column(events, self.coll, self.field, what)
        return column if self.pos is None else self._at(column, what)

    def axis(self, events: Any = None) -> Any:
        """The axis of `hist`.

        Parameters
        ----------
        events
            The frame; needed for axes that grow.
        """
        named: dict[str, Any] = {"name": self.title, "label": self.label or self.title}
        flow: dict[str, Any] = {"underflow": self.underflow, "overflow": self.overflow}
        if self.growth:
            flow = {"growth": True}
        made: Any
        if self.type == "regular":
            if self.transform is not None:
                flow = {"transform": _transform(self.transform)}
            regular: Any = hist.axis.Regular
            made = regular(self.bins, self.start, self.stop, **named, **flow)
        elif self.type == "variable":
            made = hist.axis.Variable(self.bins, **named, **flow)
        elif self.type == "integer":
            start, stop = self._integers
            made = hist.axis.Integer(start, stop, **named, **flow)
        else:
            make: Any = hist.axis.IntCategory if self.type == "intcat" else hist.axis.StrCategory
            late = self.growth and not self.grows
            flow = {"growth": True} if late else {"overflow": self.overflow}
            made = make(list(self._categories(events)), **named, **flow)
        if self.lim is not None and self.lim != _NO_LIM:
            made.lim = list(self.lim)  # as JSON gives it back
        return made

    def serialize(self) -> dict[str, Any]:
        """All options, as plain values."""
        plain = self._options()
        plain["transform"] = None if self.transform is None else str(self.transform)
        plain["bins"] = list(self.bins) if isinstance(self.bins, tuple) else self.bins
        plain["lim"] = None if self.lim is None else list(self.lim)
        return {**plain, "name": self.title}

    # -- checks ------------------------------------------------------------------------------

    @property
    def _what(self) -> str:
        return f"Axis {self.title!r}"

    def _options(self) -> dict[str, Any]:
        return {option.name: getattr(self, option.name) for option in fields(self)}

    def _check_field(self) -> None:
        for option in ("field", "coll"):
            given: Any = getattr(self, option)
            if not isinstance(given, str) or not given:
                msg = f"{option} of {self._what} is {given!r}: give a name."
                raise InputTypeError(msg)
        pos: Any = self.pos
        if pos is None:
            return
        if not isinstance(pos, int | np.integer) or pos < 0:
            msg = f"pos of {self._what} is {pos!r}: positions are 0, 1, 2, …, None for all."
            raise InputError(msg)
        if self.coll == METADATA:
            msg = f"{self._what} is one value a dataset: leave pos out."
            raise InputError(msg)

    def _check_bins(self) -> None:
        several = isinstance(self.bins, tuple)
        missing: Iterable[str] = ()
        if self.type == "regular":
            missing = [name for name in ("bins", "start", "stop") if getattr(self, name) is None]
        elif self.type == "integer":
            if several:
                missing = ["bins as a number, or start and stop"]
            elif self.stop is None and self.bins is None:
                missing = ["stop"]
        elif self.type == "variable" and not (several and len(self.bins) > 1):
            missing = ["bins, the list of its edges"]
        elif self.type in CATEGORIES and not self.growth and not (several and self.bins):
            missing = ["bins, the list of its categories"]
        if missing:
            msg = f"{self._what} of type {self.type!r} needs {', '.join(missing)}."
            raise InputError(msg)
        if self.type == "regular" and (self.bins < 1 or not self.start < self.stop):  # type: ignore[operator]
            msg = f"{self._what} has {self.bins} bins from {self.start} to {self.stop}."
            raise InputError(msg)
        if self.type == "variable" and not all(np.diff(self.bins) > 0):
            msg = f"{self._what} has edges that do not increase: {list(self.bins)}."
            raise InputError(msg)
        if self.type == "integer" and not self._integers[0] < self._integers[1]:
            msg = f"{self._what} has no integers from {self.start} to {self.stop}."
            raise InputError(msg)
        if self.type in CATEGORIES:
            self._check_categories()
        elif self.growth and not (self.underflow and self.overflow):
            msg = (
                f"{self._what} has growth=True, so that what is outside of it gets bins: leave "
                "underflow=False and overflow=False out."
            )
            raise InputError(msg)

    def _check_categories(self) -> None:
        wanted: Any = str if self.type == "strcat" else int | np.integer
        for category in self.bins or ():
            if not isinstance(category, wanted):
                kind = "text" if self.type == "strcat" else "integers"
                msg = f"{self._what} has a category {category!r}: type {self.type!r} is for {kind}."
                raise InputTypeError(msg)

    def _check_transform(self) -> None:
        if self.transform is None:
            return
        if self.type != "regular" or self.growth or not (self.underflow and self.overflow):
            msg = (
                f"{self._what}: a transform is for regular axes with both flow bins that do not "
                "grow."
            )
            raise InputError(msg)
        if isinstance(self.transform, str) and self.transform not in TRANSFORMS:
            hint = did_you_mean(self.transform, TRANSFORMS)
            msg = (
                f"{self._what} has transform {self.transform!r}.{hint} Choose one of "
                f"{', '.join(TRANSFORMS)}, or one of hist.axis.transform."
            )
            raise InputError(msg)
        if not isinstance(self.transform, str | AxisTransform):
            msg = (
                f"{self._what} has a {type(self.transform).__name__} as transform: name one of "
                f"{', '.join(TRANSFORMS)}, give one of hist.axis.transform, or fill the histogram "
                "with a column that is transformed already."
            )
            raise InputTypeError(msg)
        if self.transform == "log" and self.start is not None and self.start <= 0:
            msg = f"{self._what} has transform 'log' and starts at {self.start}: start above 0."
            raise InputError(msg)

    # -- values ------------------------------------------------------------------------------

    @property
    def _integers(self) -> tuple[int, int]:
        start = int(self.start or 0)
        return start, start + int(self.bins) if self.stop is None else int(self.stop)

    def _categories(self, events: Any) -> tuple[Any, ...]:
        given = self.bins or ()
        if not self.grows:
            return tuple(given)
        kind = str if self.type == "strcat" else int
        return tuple(dict.fromkeys((*given, *known_metadata(events, self.field, kind))))

    def _at(self, column: Any, what: str) -> Any:
        """The value of one object, None where there are fewer."""
        if meta_of(column).ndim < 2:
            msg = f"{what}: {self.coll}.{self.field} is one value an event: leave pos out."
            raise InputError(msg)
        return at_position(column, int(self.pos or 0))


def distinct_names(axes: Iterable[Axis], what: str) -> tuple[Axis, ...]:
    """Axes whose names differ: of several without a name, the position is part of it.

    Raises
    ------
    InputError
        Names that are the same nonetheless, or not possible.
    """
    axes = tuple(axes)
    count = Counter(axis.title for axis in axes)
    found = tuple(
        axis.with_name(f"{axis.title}.{axis.pos}")
        if count[axis.title] > 1 and axis.name is None and axis.pos is not None
        else axis
        for axis in axes
    )
    taken = (*HIST_OPTIONS, *GROUPING)
    for title, number in Counter(axis.title for axis in found).items():
        if number > 1 or title in taken:
            problem = "more than one axis" if number > 1 else "an axis"
            why = "" if number > 1 else ", which every histogram has a use for"
            msg = f"{what} has {problem} {title!r}{why}: give it another name=."
            raise InputError(msg)
    return found


def metadata_column(frame: Events, key: str, what: str, *, text: bool) -> Any:
    """What is known of the dataset of each event.

    Parameters
    ----------
    frame
        The frame.
    key
        Key of the metadata; ``"dataset"`` is the name of the dataset.
    what
        Who asks, for messages.
    text
        Whether to give text rather than numbers.

    Returns
    -------
    array
        Shape ``(events,)``.

    Raises
    ------
    ColumnError
        The datasets have no such metadata.
    InputTypeError
        Text where numbers are needed.
    """
    metadata = frame.metadata
    if key == "dataset":
        return _looked_up(frame.dataset, {name: name for name in frame.datasets})
    if key not in metadata:
        hint, there = did_you_mean(key, metadata), ", ".join(metadata)
        msg = f"{what}: the datasets have no metadata {key!r}.{hint} They have: {there}."
        raise ColumnError(msg)
    value = metadata[key]
    if isinstance(value, Labels):
        values = {one: one if text else _number(one, what, key) for one in value.names}
        return _looked_up(value, values)
    if lazy(value):
        return value
    constant = str(value) if text else _number(value, what, key)
    return _looked_up(frame.dataset, dict.fromkeys(frame.datasets, constant))


def known_metadata(frame: Events, key: str, kind: type) -> tuple[Any, ...]:
    """All values that metadata have in the whole fileset, whichever datasets the frame is of."""
    fileset = frame._group.catalog.fileset
    if key == "dataset":
        return tuple(sorted(one.name for one in fileset.datasets))
    return tuple(
        sorted({kind(one.metadata[key]) for one in fileset.datasets if key in one.metadata})
    )


def _looked_up(labels: Labels, values: Mapping[str, Any]) -> Any:
    return labels.map(values)  # text as well as numbers


def _number(value: Any, what: str, key: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        msg = f"{what}: metadata {key!r} is {value!r}, no number: use an axis of type 'strcat'."
        raise InputTypeError(msg) from error
    return int(number) if number.is_integer() else number


def _several(what: str, bins: Any) -> tuple[Any, ...]:
    if isinstance(bins, str) or not isinstance(bins, Iterable):
        msg = f"bins of {what} is {bins!r}: give a number, or a list of edges or categories."
        raise InputTypeError(msg)
    return tuple(one.item() if isinstance(one, np.generic) else one for one in bins)


def _transform(transform: Any) -> Any:
    return getattr(hist.axis.transform, transform) if isinstance(transform, str) else transform
