"""The lazy frame: events, their weight, variations, cuts and categories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import awkward as ak
import dask_awkward as dak
import numpy as np

from lazyana.data.guards import copied, no_field
from lazyana.data.nanoevents import LABEL_FIELD
from lazyana.errors import ColumnError, InputError, InputTypeError, did_you_mean
from lazyana.frame.checks import check_mask, check_name, lazy, path_of, same_kind
from lazyana.frame.group import Group, Level
from lazyana.frame.labels import Labels, Metadata, without_label
from lazyana.frame.outputs import Booking
from lazyana.frame.recording import mark, put_field
from lazyana.frame.state import (
    Categories,
    Factor,
    State,
    Systematic,
    labels_of,
    labels_of_shifts,
)
from lazyana.options import check_nan_policy
from lazyana.sinks.weights import check_weight

Column: TypeAlias = dak.Array
Expression: TypeAlias = "Column | Callable[[Events], Column]"


@dataclass(frozen=True, eq=False, repr=False)
class Events(Booking):
    """Lazy events of a group of datasets.

    Collections and branches are attributes (``events.Muon.pt``) or items
    (``events["Muon", "pt"]``): dask-awkward arrays with the methods of NanoEvents. Every method
    returns a new frame; nothing is read before `lazyana.compute`. Where a column is asked for, a
    function of the frame may be given: ``events.filter(two=lambda e: ak.num(e.Muon) == 2)``.

    Frames come from `lazyana.open` and `lazyana.apply`.
    """

    _group: Group
    _level: Level
    _state: State

    # -- columns -----------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        """A collection or branch."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self._column(name)

    def __getitem__(self, where: Any) -> Any:
        """A collection or branch by name, or a field of a collection: ``events["Muon", "pt"]``."""
        if isinstance(where, str):
            return self._column(where)
        if isinstance(where, tuple) and where and all(isinstance(name, str) for name in where):
            column = self._column(where[0])
            for name in where[1:]:
                column = column[name]
            return column
        msg = (
            f"events[{type(where).__name__}] is not possible. Name a column, e.g. events['Muon', "
            "'pt']; select events with events.filter(name=mask); look at some with events.head(n)."
        )
        raise InputTypeError(msg)

    def __setitem__(self, where: Any, what: Any) -> None:
        """Refused: frames do not change."""
        msg = f"A frame does not change: write events = events.define({where}=...)."
        raise InputTypeError(msg)

    def __iter__(self) -> Any:
        """Refused: there are no events in hand."""
        msg = "Events are lazy and cannot be looped over; look at some with events.head(n)."
        raise InputTypeError(msg)

    def __len__(self) -> int:
        """Refused: how many events pass is known after computing."""
        msg = (
            "How many events pass is known after computing: la.compute(events.cutflow()). "
            f"The files hold {self._group.entries} events (events.entries)."
        )
        raise InputTypeError(msg)

    def __bool__(self) -> bool:
        """A frame is a frame, whatever is in it."""
        return True

    def __dir__(self) -> list[str]:
        """Methods and columns, for tab completion."""
        return sorted({*super().__dir__(), *(n for n in self.fields if n.isidentifier())})

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.fields)

    def __repr__(self) -> str:
        """The datasets and what was declared so far."""
        kind = "simulation" if self.is_mc else "data"
        parts = [f"{kind}: {', '.join(self._group.names[:4])}"]
        if len(self._group.names) > 4:
            parts[0] += f" and {len(self._group.names) - 4} more"
        parts.append(f"{self._group.entries} events in files")
        for word, names in (
            ("cuts", self.cuts),
            ("weights", tuple(factor.name for factor in self._state.factors)),
            ("variations", self.variations),
            ("categories", self._state.categories.names),
        ):
            if names:
                more = f" and {len(names) - 8} more" if len(names) > 8 else ""
                parts.append(f"{word}: {', '.join(names[:8])}{more}")
        return f"<lazyana.Events {'; '.join(parts)}>"

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the collections and branches, defined ones included, sorted."""
        stored = (name for name in self._group.events.fields if name != LABEL_FIELD)
        return tuple(sorted({*stored, *self._state.columns}))

    @property
    def array(self) -> Column:
        """All columns as one lazy record array, shape ``(events,)``, cross references included."""
        events = self._group.select(self._group.events, self._group.all_events, self._level)
        events = dak.map_partitions(without_label, events, label="events")
        for name in self._state.columns:
            events = ak.with_field(events, self._column(name), name)
        return events

    def _column(self, name: str) -> Column:
        if name in self._state.columns:
            column, level = self._state.columns[name]
        else:
            if name not in self._group.events.fields:
                raise ColumnError(self._no_column(name))
            column, level = self._group.stored(name), self._group.all_events
        return copied(self._group.select(column, level, self._level))

    def _no_column(self, name: str) -> str:
        methods = [word for word in type(self).__dict__ if not word.startswith("_")]
        fields = list(self.fields)
        collection, _, field = name.partition("_")
        if collection in fields and field in (self._group.events[collection].fields or ()):
            return f"Branch {name!r} is a field of a collection: write events.{collection}.{field}."
        if did_you_mean(name, methods) and not did_you_mean(name, fields):
            return f"Events has no method {name!r}.{did_you_mean(name, methods)}"
        return no_field(self._group.events, name, fields).replace("NanoEvents", "Events", 1)

    # -- what the datasets are ---------------------------------------------------------------

    @property
    def is_mc(self) -> bool:
        """Whether these events are simulated."""
        return self._group.is_mc

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets."""
        return self._group.names

    @property
    def entries(self) -> int:
        """Number of events in the files, before any filter."""
        return self._group.entries

    @property
    def dataset(self) -> Labels:
        """Name of the dataset each event is from: ``events.dataset == "TTTo2L2Nu"`` is a mask."""
        others = (dataset.name for dataset in self._group.catalog.fileset.datasets)
        return Labels("dataset", self._group.names, self._column(LABEL_FIELD), others)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What is known of the datasets.

        A value that all datasets of the frame share is that value. Numbers that differ are a
        column, shape ``(events,)``, so that ``events.metadata["xsec"]`` works either way; names
        that differ are `Labels`, like `dataset`.
        """
        others = self._group.catalog.fileset.datasets
        return Metadata(self._group.datasets, self._column(LABEL_FIELD), others)

    # -- building ----------------------------------------------------------------------------

    def define(self, **columns: Expression) -> Events:
        """Add columns, or replace collections.

        Parameters
        ----------
        **columns
            Name and value of each: a column of these events, or a function of the frame. Later
            ones may use earlier ones.

        Returns
        -------
        Events
            The frame with the columns.

        Raises
        ------
        InputTypeError, FrameMismatchError
            Something else than a column, or a column of other events.
        """
        frame = self
        for name, expression in columns.items():
            check_name("column", name, reserved=type(self))
            column = frame._value(expression, f"Column {name!r}")
            frame = frame._with(columns={**frame._state.columns, name: (column, frame._level)})
        return frame

    def filter(self, **masks: Expression) -> Events:
        """Keep the events that pass named cuts, one after the other.

        Parameters
        ----------
        **masks
            Name of each cut and its mask, boolean, shape ``(events,)``; None does not pass.

        Returns
        -------
        Events
            The frame of the events left. Its columns are those of the events left; columns
            taken from the frame before cannot be mixed with them.

        Raises
        ------
        InputTypeError, InputError, FrameMismatchError
            A mask that is not boolean or not per event, a name used twice, a column of other
            events.
        """
        frame = self
        for name, expression in masks.items():
            if name in frame.cuts:
                msg = f"There is a cut {name!r} already: cuts have different names."
                raise InputError(msg)
            what = f"Filter {name!r}"
            check_name("cut", name)
            # A function sees the events left so far; a column is one of the frame as it was.
            of = frame if callable(expression) and not lazy(expression) else self
            mask = of._value(expression, what)
            check_mask(what, mask)
            mask = self._group.select(mask, of._level, frame._level)
            known = (*frame._state.history, len(frame._state.factors))
            below = self._group.cut(frame._level, name, mask)
            frame = replace(frame, _level=below)._with(history=known)
        return frame

    @property
    def cuts(self) -> tuple[str, ...]:
        """Names of the cuts so far."""
        return tuple(level.cut for level in self._level.chain[1:])

    def weight(
        self,
        name: str,
        nominal: Expression | float,
        up: Expression | float | None = None,
        down: Expression | float | None = None,
        *,
        nan: str = "raise",
        **sources: Any,
    ) -> Events:
        """Multiply the event weight by a named factor.

        Parameters
        ----------
        name
            Name of the factor, e.g. ``"pileup"``.
        nominal
            Its value, shape ``(events,)``, or a number.
        up, down
            Its values when varied, giving the variations ``<name>Up`` and ``<name>Down``. One of
            them alone is a one-sided variation.
        nan
            What to do where a value is not finite: ``"raise"`` (default), ``"zero"``, ``"keep"``;
            the latter two are counted in the run report.
        **sources
            Further variations by source: ``hf=(up, down)`` gives ``<name>_hfUp`` and
            ``<name>_hfDown``.

        Returns
        -------
        Events
            The frame with the weight.

        Raises
        ------
        InputError, InputTypeError, FrameMismatchError
            A name used twice, a value that is not one number an event, a column of other events.
        """
        check_name("weight", name)
        for source in sources:
            check_name(f"source of weight {name!r}", source)
        shifts = labels_of(name, up, down, sources)
        self._check_new_labels(name, shifts)
        values = {}
        for label, expression in {"nominal": nominal, **shifts}.items():
            value = self._value(expression, f"Weight {name!r} ({label})", numbers=True)
            check_weight(name, label, value._meta if lazy(value) else value)
            values[label] = value
        factor = Factor(
            name, values.pop("nominal"), tuple(values.items()), self._level, check_nan_policy(nan)
        )
        return self._with(factors=(*self._state.factors, factor))

    def vary(
        self, systematic: str, shifts: Mapping[str | tuple[str, ...], Mapping[str, Expression]]
    ) -> Events:
        """Declare what columns become under a systematic uncertainty.

        Everything made of the varied columns after this call gets variations; nothing else is
        computed again. Several columns in one call are shifted together.

        Parameters
        ----------
        systematic
            Its name, e.g. ``"jes"``.
        shifts
            For each column, its values by the name of the shift:
            ``{"Jet": {"up": ..., "down": ...}, "MET.pt": {"up": ..., "down": ...}}``. The column
            is a collection or branch, or a field of one (``"Jet.pt"`` or ``("Jet", "pt")``).
            Shifts other than up and down give variations ``<systematic>_<shift>``.

        Returns
        -------
        Events
            The frame, whose columns know their variations.

        Raises
        ------
        InputError, InputTypeError, FrameMismatchError
            A name used twice, columns with different shifts, a value that is not of the kind of
            the column, a column of other events.
        """
        check_name("systematic", systematic)
        names = self._shift_names(systematic, shifts)
        labels = dict(zip(names, labels_of_shifts(systematic, names), strict=True))
        self._check_new_labels(systematic, labels.values())
        frame = self
        pairs: dict[str, list[tuple[Column, Column]]] = {label: [] for label in labels.values()}
        for column, values in shifts.items():
            path = path_of(column)
            what = f"{'.'.join(path)} in systematic {systematic!r}"
            nominal = self[path]
            marker = mark(systematic, ".".join(path), nominal)
            for shift, expression in values.items():
                value = self._value(expression, f"Shift {shift!r} of {what}")
                same_kind(f"Shift {shift!r} of {what}", nominal, value)
                pairs[labels[shift]].append((marker, value))
            frame = frame._replaced(path, marker)
        added = Systematic(systematic, tuple((label, tuple(pair)) for label, pair in pairs.items()))
        return frame._with(systematics=(*self._state.systematics, added))

    def categories(
        self,
        categories: Mapping[str, Expression | Sequence[Expression] | Mapping[str, Expression]],
    ) -> Events:
        """Name selections of events that outputs are split by. They may overlap.

        Parameters
        ----------
        categories
            A mask for each category, boolean, shape ``(events,)``, or a list of masks that must
            all hold: so none is worked out twice. Where values are mappings themselves,
            ``{"njet": {"4j": ..., "5j": ...}, "nb": {"1b": ..., "2b": ...}}``, all combinations of
            one entry from each are categories too: ``4j_1b``, ``4j_2b``, …

        Returns
        -------
        Events
            The frame with the categories.

        Raises
        ------
        InputError, InputTypeError, FrameMismatchError
            A category that exists already, a mask that is not boolean or not per event.
        """
        masks: dict[str, Column] = {}

        def checked(name: str, expression: Expression) -> str:
            what = f"Category {name!r}"
            mask = self._value(expression, what)
            check_mask(what, mask)
            masks[mask.name] = mask
            return str(mask.name)

        added = Categories.parse(categories, checked)
        return self._with(categories=self._state.categories.extend(added, masks, self._level))

    # -- helpers -----------------------------------------------------------------------------

    @property
    def variations(self) -> tuple[str, ...]:
        """Labels of all variations but nominal: of weights, then of columns."""
        return (*self._state.weight_variations, *self._state.shape_variations)

    def _with(self, **changes: Any) -> Events:
        return replace(self, _state=replace(self._state, **changes))

    def _value(self, expression: Any, what: str, *, numbers: bool = False) -> Any:
        """A column of these events out of what a user gave."""
        value = expression
        if callable(value) and not lazy(value):
            value = value(self)
        if numbers and isinstance(value, bool | int | float | np.number):
            return value
        if isinstance(value, dak.Array):
            self._group.check(value, self._level, what)
            return copied(value)
        if isinstance(value, Labels):
            msg = f"{what} is a name for each event: compare it (== 'x') or use .map({{...}})."
        elif isinstance(value, dak.Scalar):
            msg = f"{what} is a sum over all events: give an axis, e.g. ak.sum(x, axis=1)."
        else:
            msg = (
                f"{what} is a {type(value).__name__}, not a lazy column: write it with the columns "
                "of this frame, e.g. events.Muon.pt."
            )
        raise InputTypeError(msg)

    def _replaced(self, path: tuple[str, ...], column: Column) -> Events:
        """The frame with another column at a path."""
        new = column
        if len(path) > 1:
            inner = path[1] if len(path) == 2 else list(path[1:])
            new = put_field(self._column(path[0]), inner, column)
        return self._with(columns={**self._state.columns, path[0]: (new, self._level)})

    def _check_new_labels(self, name: str, labels: Iterable[str]) -> None:
        for what, declared in (
            ("weight", self._state.factors),
            ("systematic", self._state.systematics),
        ):
            if name in (one.name for one in declared):
                msg = f"There is a {what} {name!r} already: give it another name."
                raise InputError(msg)
        known = set(self.variations)
        for label in labels:
            if label in known:
                msg = (
                    f"There is a variation {label!r} already, so {name!r} cannot have one: choose "
                    "another name."
                )
                raise InputError(msg)

    def _shift_names(self, systematic: str, shifts: Any) -> tuple[str, ...]:
        if not isinstance(shifts, Mapping) or not shifts:
            msg = f"Systematic {systematic!r} shifts nothing: give {{column: {{'up': …}}}}."
            raise InputTypeError(msg)
        names: tuple[str, ...] | None = None
        for column, values in shifts.items():
            if not isinstance(values, Mapping) or not values:
                msg = (
                    f"Systematic {systematic!r} has no shifts for {column!r}: "
                    "give {'up': column, 'down': column}."
                )
                raise InputTypeError(msg)
            for shift in values:
                check_name(f"shift of systematic {systematic!r}", shift)
            if names is not None and set(values) != set(names):
                msg = (
                    f"Systematic {systematic!r} shifts its columns differently: {sorted(names)} "
                    f"and {sorted(values)}. Give every column a value for every shift."
                )
                raise InputError(msg)
            names = tuple(values) if names is None else names
        return names or ()
