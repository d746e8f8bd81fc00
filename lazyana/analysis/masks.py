"""Masks: what a cut gives is one truth value an event, or an object, and never None."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import awkward as ak
import numpy as np

from lazyana.analysis.vocabulary import column_like
from lazyana.errors import ColumnError, InputTypeError, LazyanaError, type_text

EVENTS = "events"
# Columns of every file with one value an event, the cheapest to read first.
_PER_EVENT = ("luminosityBlock", "run", "event")


def every(events: Any, value: bool = True) -> Any:
    """A mask that is the same for all events, shape ``(events,)``.

    Raises
    ------
    ColumnError
        Events without any column.
    """
    like = ak.ones_like if value else ak.zeros_like
    return like(one_an_event(events), dtype=bool)


def one_an_event(events: Any) -> Any:
    """Some column with one value an event, not None.

    Raises
    ------
    ColumnError
        Events without any column.
    """
    for name in _PER_EVENT:
        if name in events.fields:
            return events[name]
    for name in events.fields:
        column = events[name]
        while ak.fields(column) and column.ndim == 1:
            column = column[ak.fields(column)[0]]
        if column.ndim > 1:
            return ak.num(ak.fill_none(column, [], axis=0), axis=1)
        return ak.is_none(column, axis=0)
    msg = "The events have no column to count them by."
    raise ColumnError(msg)


def checked_mask(mask: Any, events: Any, collection: str) -> Any:
    """A mask of the right depth without None, or an error that says what to write."""
    if isinstance(mask, bool | np.bool_):
        mask = every(events, bool(mask))
        if collection == EVENTS:
            return mask
        return mask & (ak.local_index(events[collection], axis=1) >= 0)
    if isinstance(mask, np.ndarray):
        mask = ak.from_numpy(mask)
    if not column_like(mask):
        msg = (
            f"The result is a {type(mask).__name__}, not one truth value an event: write it with "
            "columns of the events, e.g. events.nMuonGood == 2, and ak.sum(x, axis=1) for sums."
        )
        raise InputTypeError(msg)
    if ak.fields(mask):
        msg = f"The result is a record with fields {', '.join(ak.fields(mask)[:6])}: compare one."
        raise InputTypeError(msg)
    shown = type_text(mask.type).partition(" * ")[2]
    ndim = 1 if collection == EVENTS else 2
    if mask.ndim != ndim:
        raise InputTypeError(_wrong_depth(shown, mask.ndim, collection))
    optional, dtype = _innermost(mask.layout)
    if dtype != np.dtype(bool):
        msg = (
            f"The result has type {shown}, not boolean: compare it with something, e.g. "
            "column > 0 or column != 0."
        )
        raise InputTypeError(msg)
    if not optional:
        return mask
    if ndim == 2:
        mask = ak.fill_none(mask, [], axis=0)
    return ak.fill_none(mask, False, axis=-1)


def _wrong_depth(shown: str, ndim: int, collection: str) -> str:
    if collection != EVENTS:
        return (
            f"The result has type {shown}, not one truth value for each {collection}: the cut is "
            f"declared with collection={collection!r}."
        )
    return (
        f"The result has type {shown}, several values an event: reduce it with "
        "ak.any(mask, axis=1), ak.all(mask, axis=1) or ak.sum(mask, axis=1) >= n, or declare the "
        "cut with collection='Jet' to select objects."
    )


def _innermost(layout: Any) -> tuple[bool, Any]:
    """Whether values can be None, and what they are."""
    optional = False
    while True:
        optional = optional or layout.is_option
        if not hasattr(layout, "content"):
            return optional, getattr(layout, "dtype", None)
        layout = layout.content


@contextmanager
def within(what: str) -> Iterator[None]:
    """Say in errors where in the configuration they come from.

    Parameters
    ----------
    what
        The place, as messages begin.
    """
    try:
        yield
    except LazyanaError as error:
        msg = f"{what}: {error}"
        raise type(error)(msg) from error
    except Exception as error:
        error.add_note(f"This happened in: {what}")
        raise
