"""What can be asked of a frame: outputs to compute, and a look at the first events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import awkward as ak
import dask_awkward as dak

from lazyana.errors import InputTypeError, did_you_mean
from lazyana.frame import peek
from lazyana.frame.booking import Output, book_columns, book_cutflow, book_hist, book_sum
from lazyana.frame.nminusone import all_but_one
from lazyana.frame.skimming import book_skim

if TYPE_CHECKING:
    from lazyana.frame.events import Events

Expression: TypeAlias = "dak.Array | Callable[[Events], dak.Array]"

SKIM_OPTIONS = ("any_variation", "compression", "overwrite")


class Booking:
    """The part of `Events` that books outputs."""

    def hist(
        self,
        *axes: Any,
        weighted: bool = True,
        categories: Iterable[str] | None = None,
        exclude_categories: Iterable[str] = (),
        variations: Iterable[str] | bool = True,
        exclude_variations: Iterable[str] = (),
        label: str = "",
        **columns: Expression,
    ) -> Output:
        """Book a histogram.

        Parameters
        ----------
        *axes
            Axes from `hist.axis`, named. Any number of them. Those with ``growth=True`` cover all
            values, see `lazyana.sinks.growth`.
        weighted
            False counts entries.
        categories, exclude_categories
            Keep only these categories, or all but these.
        variations, exclude_variations
            Keep only these variations (labels, or names of systematics and weights), none
            (``False``), or all but these.
        label
            Title for plots.
        **columns
            The column of each axis, by the name of the axis, shape ``(events,)`` or
            ``(events, objects)``. An axis without one takes the frame's column of its name.

        Returns
        -------
        Output
            Computes to a `hist.Hist` with the axes ``dataset``, ``category``, ``variation``,
            then `axes`; its storage is `hist.storage.Weight`.

        Raises
        ------
        InputError, InputTypeError, ColumnError, FrameMismatchError
            An axis without name or column, a column that cannot fill it, an unknown category or
            variation.
        """
        keep = self._frame._state.choose(
            categories, exclude_categories, variations, exclude_variations
        )
        values = {
            name: self._frame._value(value, f"Column {name!r} of a histogram")
            for name, value in columns.items()
        }
        return book_hist(self._frame, axes, values, keep, weighted=weighted, label=label)

    def columns(
        self,
        path: Any,
        columns: Mapping[str, Expression] | None = None,
        *,
        categories: Iterable[str] | None = None,
        exclude_categories: Iterable[str] = (),
        variations: Iterable[str] | bool = True,
        exclude_variations: Iterable[str] = (),
        **options: Any,
    ) -> Output:
        """Book columns to be saved as a parquet dataset, or kept in memory.

        Parameters
        ----------
        path
            Directory to write; None (or leave it out) to have the arrays in memory.
        columns
            The columns by name.
        categories, exclude_categories, variations, exclude_variations
            As for `hist`. With `categories` given, only events in one of them are kept.
        **options
            ``flatten=True`` for one row an object instead of one an event, ``units`` and
            ``labels`` by column, ``compression``, ``overwrite=True``: see
            `lazyana.sinks.columns.Columns`.

        Returns
        -------
        Output
            Computes to a `ColumnDataset` (on disk) or a `ColumnTable` (in memory).
        """
        if columns is None:
            path, columns = None, path
        if not isinstance(columns, Mapping) or not columns:
            msg = "Give the columns as a mapping: events.columns(path, {'mll': mll, ...})."
            raise InputTypeError(msg)
        keep = self._frame._state.choose(
            categories, exclude_categories, variations, exclude_variations
        )
        values = {
            name: self._frame._value(value, f"Column {name!r}") for name, value in columns.items()
        }
        return book_columns(self._frame, path, values, keep, **options)

    def cutflow(self) -> Output:
        """Book the cutflow: events and sums of weights after each cut and in each category.

        Returns
        -------
        Output
            Computes to a `Cutflow`, for every dataset and variation.
        """
        return book_cutflow(self._frame)

    def n_minus_one(self, **masks: Expression) -> Output:
        """Book an N-1 table: what each of several cuts removes that no other of them does.

        Parameters
        ----------
        **masks
            Name of each cut and its mask, boolean, shape ``(events,)``; None does not pass. They
            are cuts on these events, that `filter` has not been called with.

        Returns
        -------
        Output
            Computes to a `Cutflow` whose categories are ``all cuts`` and, for each of them,
            ``without <name>``: events that pass all the others.

        Raises
        ------
        InputError, InputTypeError, FrameMismatchError
            No cuts; a mask that is not boolean or not per event; a column of other events.
        """
        return book_cutflow(all_but_one(self._frame, masks))

    def sum(self, column: Expression | None = None, *, weighted: bool | None = None) -> Output:
        """Book a sum over all events.

        Parameters
        ----------
        column
            What to sum, of any depth. None sums the event weight.
        weighted
            Whether values count with the event's weight (default: only where `column` is None).

        Returns
        -------
        Output
            Computes to ``{dataset: {variation: sum}}``.
        """
        value = None if column is None else self._frame._value(column, "The column to sum")
        if value is not None and value.fields:
            msg = f"A record with fields {value.fields[:6]} cannot be summed: choose one of them."
            raise InputTypeError(msg)
        return book_sum(
            self._frame, value, weighted=value is None if weighted is None else weighted
        )

    def skim(
        self,
        path: Any,
        keep: str | Iterable[str] | None = None,
        drop: str | Iterable[str] = (),
        **options: Any,
    ) -> Output:
        """Book the events that are left to be written as NanoAOD, one ROOT file a partition.

        Branches are written as they are in the files, whatever was defined, varied or weighted.
        The sums of weights of all events, also of those that were filtered away, go into the
        trees ``Runs`` and ``LuminosityBlocks``.

        Parameters
        ----------
        path
            Directory to write.
        keep, drop
            Patterns of names of branches: collections (``"Jet"``), branches, or with ``*``.
            Default: all are kept. The numbers that identify events, and genWeight, are always
            kept, unless they are in `drop`. Counters such as ``nJet`` follow from what is kept.
        **options
            ``any_variation=True`` writes the events that pass the cuts nominally or in any shape
            variation of this frame, still as they are in the files; ``compression="ZSTD(5)"``,
            ``overwrite=True``: see `lazyana.sinks.skim.Skims`.

        Returns
        -------
        Output
            Computes to a `Skim`, whose ``fileset`` `lazyana.open` takes.

        Raises
        ------
        InputError, InputTypeError
            A pattern that fits no branch, an unknown option.
        """
        for name in options:
            if name not in SKIM_OPTIONS:
                hint, choices = did_you_mean(name, SKIM_OPTIONS), ", ".join(SKIM_OPTIONS)
                msg = f"events.skim has no option {name!r}.{hint} Options: {choices}."
                raise InputTypeError(msg)
        return book_skim(self._frame, path, keep, drop, **options)

    def head(self, number: int = 5, columns: Mapping[str, Expression] | None = None) -> ak.Array:
        """Compute on the first events only.

        Parameters
        ----------
        number
            How many events to show; fewer come back where fewer pass the filters among the first
            events of the first file.
        columns
            Columns to show by name; default: everything, each branch read when it is looked at.

        Returns
        -------
        awkward.Array
            Shape ``(at most number,)``, with the methods of NanoEvents.
        """
        chosen = None
        if columns is not None:
            chosen = {
                key: self._frame._value(value, f"Column {key!r}") for key, value in columns.items()
            }
        return peek.head(self._frame, number, chosen)

    def to_dask_awkward(self, partition_size: int | str | None = None) -> dak.Array:
        """The events as an ordinary dask-awkward collection, for use without lazyana.

        Parameters
        ----------
        partition_size
            Largest number of events in a partition, or the size of all its columns, such as
            ``"1 GB"``; None: up to 200 000 events, since what will be used is not known yet.

        Returns
        -------
        dask_awkward.Array
            All columns of the events left after the filters; only what is used is read.
        """
        return peek.to_dask_awkward(self._frame, partition_size)

    @property
    def _frame(self) -> Events:
        return self  # type: ignore[return-value]  # this class is only ever a part of Events
