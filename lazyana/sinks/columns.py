"""Columns as an output: saved as parquet files, one per partition, or held in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lazyana.errors import InputError, RunError, did_you_mean
from lazyana.sinks.base import NOMINAL, Membership, Place
from lazyana.sinks.folder import Folder, Overwrite, absolute
from lazyana.sinks.manifest import complete
from lazyana.sinks.parquet import (
    COLUMNS,
    Part,
    Parts,
    common_schema,
    part_path,
    with_metadata,
    write_table,
)
from lazyana.sinks.rows import (
    OBJECT_INDEX,
    Layout,
    common_length,
    flatten,
    leaves,
    nulls,
    plain,
    record,
)
from lazyana.sinks.tables import ColumnDataset, ColumnTable

COMPRESSIONS = ("zstd", "snappy", "gzip", "brotli", "lz4", "none")
WEIGHT = "weight"

#: State of columns held in memory: one array of records a partition, in order.
Arrays: TypeAlias = list[ak.Array]


@dataclass(frozen=True)
class Columns:
    """Save columns, one row per event or one row per object.

    A column is kept with its type: numbers of any width, booleans, strings, missing values, lists
    of these. A record such as a four-vector is saved as one column for each of its fields, named
    ``<column>_<field>`` (``jet`` gives ``jet_pt``, ``jet_eta``, ...), because most readers of
    columns, and all that train on them, want plain numbers.

    Besides the user's columns there are ``weight`` (always; 1 where events have no weight),
    ``weight_<label>`` for every weight variation, and ``category_<name>`` (boolean) for every
    category.
    The weight variations are known for the nominal events only; files of shape variations have the
    same columns filled with nulls, so that all files have the same columns.

    Parameters
    ----------
    names
        Names of the columns, in the order in which `fill` gets them.
    path
        Directory or URL to write to; None to hold the columns in memory. A local path is made
        absolute.
    weight_variations
        Labels of the weight variations, in the order of the weights that `fill` gets.
    shape_variations
        Labels of the shape variations, without ``"nominal"``: the order in which results list them.
    categories
        Names of all categories, in the order in which `fill` numbers them.
    only_categories
        If any, only events in at least one of these are kept, and only these become columns.
    flatten
        One row per object rather than per event: lists are flattened, and what there is once per
        event (also lists of fixed length) is repeated. All lists must have equally many objects in
        each event. Events without objects leave no row. The column ``object_index`` counts the
        objects of an event from 0.
    units, labels
        Unit and axis label of columns, e.g. ``{"mll": "GeV"}``, kept in the parquet schema.
    compression
        Of the parquet files.
    overwrite
        Whether columns saved earlier in the same directory may be replaced. A directory that
        lazyana did not write is never touched.

    Raises
    ------
    InputError
        If names clash, or if a unit or category belongs to nothing.
    """

    names: tuple[str, ...]
    path: str | None = None
    weight_variations: tuple[str, ...] = ()
    shape_variations: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    only_categories: tuple[str, ...] = ()
    flatten: bool = False
    units: Mapping[str, str] = field(default_factory=dict, hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    compression: str = "zstd"
    overwrite: Overwrite = False

    def __post_init__(self) -> None:
        """Refuse what cannot work, where it is written."""
        if self.path is not None:
            object.__setattr__(self, "path", absolute(self.path))
        if not self.names:
            msg = "no columns to save; give at least one, e.g. {'pt': events.Muon.pt}."
            raise InputError(msg)
        for name in self.names:
            if not name or "." in name or "/" in name:
                msg = f"{name!r} cannot name a column; use letters, digits and underscores."
                raise InputError(msg)
        self._no_clash(self.names)
        for category in self.only_categories:
            check_known(category, self.categories, "category")
        check_known(self.compression, COMPRESSIONS, "compression")
        for name in (*self.units, *self.labels):
            # the fields of records become columns, and are not known yet
            if not any(name.startswith(f"{known}_") for known in self.names):
                check_known(name, self._all_names, "column with a unit or label")

    @property
    def kind(self) -> str:
        """Short word for reports."""
        return "columns"

    @property
    def fills_every_variation(self) -> bool:
        """Whether each variation is written, also where it equals nominal.

        Whoever reads the files of one variation must find all of its events.
        """
        return True

    @property
    def saved_categories(self) -> tuple[str, ...]:
        """Names of the categories that become columns."""
        return self.only_categories or self.categories

    @property
    def _added(self) -> tuple[str, ...]:
        weights = (WEIGHT, *(f"{WEIGHT}_{label}" for label in self.weight_variations))
        categories = (f"category_{name}" for name in self.saved_categories)
        return (*((OBJECT_INDEX,) if self.flatten else ()), *weights, *categories)

    @property
    def _all_names(self) -> tuple[str, ...]:
        return (*self.names, *self._added)

    def check(self) -> None:
        """Refuse an output that exists, before anything runs; changes nothing.

        Raises
        ------
        OutputExistsError
            If there is an output already and `overwrite` is not set, or a directory not ours.
        InputError
            If there is no file system for the URL.
        """
        if self.path is not None:
            COLUMNS.check(Folder(self.path), overwrite=self.overwrite)

    def prepare(self) -> None:
        """Make the output directory and mark it as unfinished; with `overwrite`, empty it first.

        Raises
        ------
        OutputExistsError, InputError
            As for `check`.
        """
        if self.path is not None:
            COLUMNS.prepare(Folder(self.path), overwrite=self.overwrite)

    def schema(self, *columns: Any) -> pa.Schema:
        """Types of what would be saved, from columns without data.

        Parameters
        ----------
        *columns
            As for `fill`; typetracer arrays, or arrays of length 0, will do.

        Returns
        -------
        pyarrow.Schema
            Of the files of nominal events.

        Raises
        ------
        InputTypeError
            If a column has a type that cannot be saved.
        InputError
            If the field of a record clashes with another column, or if there is nothing to flatten.
        """
        empty = [ak.typetracer.length_zero_if_typetracer(column)[:0] for column in columns]
        weights = np.ones((0, 1 + len(self.weight_variations)))
        none = np.zeros((0, len(self.categories)), dtype=np.bool_)
        membership = Membership(np.zeros(0, dtype=np.int64), none)
        array = self._table("the columns", weights, membership, empty)[0]
        return self._arrow(array).schema

    def fill(
        self,
        place: Place,
        weights: npt.NDArray[np.float64] | None,
        membership: Membership | None,
        /,
        *columns: Any,
    ) -> Parts | Arrays:
        """Save or keep the columns of one partition and one shape variation.

        Parameters
        ----------
        place
            Where the events come from.
        weights
            Shape ``(events, 1 + weight variations)`` for nominal events, ``(events, 1)`` for those
            of a shape variation; None if all are 1.
        membership
            Categories of the events; None if there are none.
        *columns
            One for each of `names`, of shape ``(events,)`` or ``(events, ...)``.

        Returns
        -------
        Parts or list of awkward.Array
            The state: what was written, or what was kept.

        Raises
        ------
        RunError
            If columns, weights and membership do not fit together.
        InputTypeError
            If a column has a type that cannot be saved.
        """
        entries = f"{place.file}, entries {place.start}-{place.stop}"
        where = f"the columns of {place.dataset!r} ({entries})"
        array, events = self._table(where, weights, membership, columns)
        if self.path is None:
            return [ak.to_packed(array)]
        table = self._arrow(array)
        if not table.num_rows:
            return Parts(1, (), table.schema)
        name = f"part-{place.partition:06d}"
        path = part_path(place.dataset, place.variation, name)
        size = write_table(Folder(self.path), path, table, self.compression)
        weight = np.asarray(array[WEIGHT])
        sumw, sumw2 = float(np.sum(weight)), float(np.sum(weight * weight))
        part = Part(path, events, table.num_rows, size, sumw, sumw2)
        return Parts(1, (part,), table.schema)

    def merge(self, states: Sequence[Any], /) -> Parts | Arrays:
        """One state out of several, in the order given.

        Raises
        ------
        RunError
            If a column has types that cannot be joined.
        """
        if self.path is None:
            return [array for state in states for array in state]
        parts = tuple(part for state in states for part in state.parts)
        schema = common_schema([state.schema for state in states], "the partitions")
        return Parts(sum(state.partitions for state in states), parts, schema)

    def finish(
        self, states: Mapping[tuple[str, str], Any], datasets: Sequence[str], /
    ) -> ColumnDataset | ColumnTable:
        """Make the output complete.

        Only the path, the compression and whether rows are objects are taken from the sink, all
        else from the states: those of several sinks that write to one directory can be given
        together.

        Parameters
        ----------
        states
            By dataset and shape variation.
        datasets
            Names of all datasets; those without a state count as empty.

        Returns
        -------
        ColumnDataset or ColumnTable
            The columns, in files or in memory.

        Raises
        ------
        RunError
            If files that were written are not there any more.
        """
        if self.path is None:
            return _in_memory(self._in_order(states, datasets), self._all_names)
        ordered = self._in_order(states, datasets)
        # a dataset of which nothing was seen gets the types of another
        unknown = pa.schema([(name, pa.null()) for name in self._all_names])
        schema = next((state.schema for state in ordered.values() if state is not None), unknown)
        found = {key: Parts(0, (), schema) if s is None else s for key, s in ordered.items()}
        folder = Folder(self.path)
        manifest = complete(folder, found, flattened=self.flatten, compression=self.compression)
        return ColumnDataset(self.path, manifest)

    def _in_order(
        self, states: Mapping[tuple[str, str], Any], datasets: Sequence[str]
    ) -> dict[tuple[str, str], Any]:
        """States by dataset, nominal first; None where there is no nominal state."""
        names = dict.fromkeys([*datasets, *(dataset for dataset, _ in states)])
        ordered: dict[tuple[str, str], Any] = {}
        for name in names:
            ordered[name, NOMINAL] = states.get((name, NOMINAL))
            others = sorted(label for dataset, label in states if dataset == name)
            for label in (*self.shape_variations, *others):
                if (name, label) in states:
                    ordered[name, label] = states[name, label]
        return ordered

    def _table(
        self,
        where: str,
        weights: npt.NDArray[np.float64] | None,
        membership: Membership | None,
        columns: Sequence[Any],
    ) -> tuple[ak.Array, int]:
        """Array of records of all that is saved, and the number of events in it."""
        if len(columns) != len(self.names):
            msg = f"{where}: {len(columns)} columns for {len(self.names)} names."
            raise RunError(msg)
        layouts: dict[str, Layout] = {}
        for name, column in zip(self.names, columns, strict=True):
            for leaf, layout in leaves(name, ak.to_layout(column)):
                self._no_clash([*layouts, leaf])
                layouts[leaf] = layout
        events = common_length(where, layouts)
        per_event = self._weights(where, weights, events)
        flags = self._flags(where, membership, events)
        for i, name in enumerate(self.saved_categories):
            per_event[f"category_{name}"] = plain(flags[:, i])
        if self.only_categories:
            kept = np.flatnonzero(flags.any(axis=1))
            layouts = {name: layout[kept] for name, layout in layouts.items()}
            per_event = {name: layout[kept] for name, layout in per_event.items()}
            events = len(kept)
        if self.flatten:
            return record(flatten(where, layouts, per_event)), events
        return record({**layouts, **per_event}, events), events

    def _weights(
        self, where: str, weights: npt.NDArray[np.float64] | None, events: int
    ) -> dict[str, Layout]:
        labels = self.weight_variations
        matrix = np.ones((events, 1)) if weights is None else np.asarray(weights, dtype=np.float64)
        if matrix.shape not in {(events, 1), (events, 1 + len(labels))}:
            msg = (
                f"{where}: the weights have shape {matrix.shape}; "
                f"({events}, {1 + len(labels)}) or ({events}, 1) is needed."
            )
            raise RunError(msg)
        found = {WEIGHT: plain(matrix[:, 0])}
        for i, label in enumerate(labels, start=1):
            known = weights is not None and i < matrix.shape[1]
            found[f"{WEIGHT}_{label}"] = plain(matrix[:, i]) if known else nulls(events)
        return found

    def _flags(
        self, where: str, membership: Membership | None, events: int
    ) -> npt.NDArray[np.bool_]:
        """Which events are in which of the saved categories, shape ``(events, categories)``."""
        if not self.categories:
            return np.zeros((events, 0), dtype=np.bool_)
        if membership is None or membership.events != events:
            known = "none" if membership is None else membership.events
            msg = f"{where}: categories are known of {known} of {events} events."
            raise RunError(msg)
        positions = [self.categories.index(name) for name in self.saved_categories]
        return membership.sets[:, positions][membership.kind]

    def _arrow(self, array: ak.Array) -> pa.Table:
        table = ak.to_arrow_table(
            array, extensionarray=False, list_to32=True, string_to32=True, bytestring_to32=True
        )
        schema = with_metadata(table.schema, self.units, self.labels)
        return pa.Table.from_arrays(table.columns, schema=schema)

    def _no_clash(self, names: Sequence[str]) -> None:
        """Refuse two columns of one name, also with the columns that we add."""
        count = Counter([*names, *self._added, "dataset", "variation"])
        twice = [name for name, times in count.items() if times > 1]
        if not twice:
            return
        ours = twice[0] in {*self._added, "dataset", "variation"}
        why = "is written by lazyana itself" if ours else "is there twice"
        msg = f"the column {twice[0]!r} {why}. Choose another name."
        raise InputError(msg)


def check_known(word: str, choices: Sequence[str], what: str) -> None:
    """Refuse a word that is none of the choices.

    Raises
    ------
    InputError
        With those there are.
    """
    if word not in choices:
        known = f"There are: {', '.join(choices)}." if choices else "There are none."
        msg = f"no {what} {word!r}.{did_you_mean(word, choices)} {known}"
        raise InputError(msg)


def _in_memory(
    ordered: Mapping[tuple[str, str], Arrays | None], names: Sequence[str]
) -> ColumnTable:
    """Concatenate once; a dataset without partitions gets the types of another."""
    joined = {key: _concatenate(arrays) for key, arrays in ordered.items() if arrays}
    if joined:
        empty = next(iter(joined.values()))[:0]
    else:
        empty = record({name: ak.contents.EmptyArray() for name in names})
    return ColumnTable({key: joined.get(key, empty) for key in ordered})


def _concatenate(arrays: Sequence[ak.Array]) -> ak.Array:
    return arrays[0] if len(arrays) == 1 else ak.concatenate(list(arrays))
