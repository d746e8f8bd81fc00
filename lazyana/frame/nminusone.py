"""N-1: how many events pass all cuts but one, for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from lazyana.errors import InputError
from lazyana.frame.checks import check_mask, check_name
from lazyana.frame.state import Categories
from lazyana.sinks.cutflow import ALL_CUTS, WITHOUT

if TYPE_CHECKING:
    from lazyana.frame.events import Events

LOOSE = "all cuts but one"
"""Name of the cut that the events of an N-1 table have passed."""


def left_out(frame: Events, masks: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """The events that pass all of some cuts, and all but each of them.

    Parameters
    ----------
    frame
        Events that none of the cuts was applied to.
    masks
        The cuts by name: columns of the frame, boolean, shape ``(events,)``, or functions of it;
        None does not pass.

    Returns
    -------
    kept
        Masks called ``all cuts``, and ``without <name>`` for each cut, shape ``(events,)``.
    failures
        How many of the cuts an event fails, shape ``(events,)``.

    Raises
    ------
    InputError, InputTypeError, FrameMismatchError
        No cuts; a mask that is not boolean or not per event; a column of other events.
    """
    if not masks:
        msg = "There are no cuts to leave out one by one: give events.n_minus_one(name=mask, ...)."
        raise InputError(msg)
    failed: dict[str, Any] = {}
    for name, expression in masks.items():
        check_name("cut", name)
        what = f"Cut {name!r}"
        mask = frame._value(expression, what)
        check_mask(what, mask)
        failed[name] = ~ak.fill_none(mask, False, axis=0)
    failures: Any = 0
    for fails in failed.values():
        failures = failures + ak.values_astype(fails, np.int32)
    complete, one = failures == 0, failures == 1
    # Who fails one cut, and that one is left out, passes all the others.
    without = {WITHOUT + name: complete | (one & fails) for name, fails in failed.items()}
    return {ALL_CUTS: complete, **without}, failures


def all_but_one(frame: Events, masks: Mapping[str, Any]) -> Events:
    """The events that pass all of some cuts, or fail one of them.

    Parameters
    ----------
    frame, masks
        As for `left_out`.

    Returns
    -------
    Events
        The frame of those events; its categories, instead of those it had, are those that
        `left_out` gives.

    Raises
    ------
    InputError, InputTypeError, FrameMismatchError
        As for `left_out`.
    """
    kept, failures = left_out(frame, masks)
    named = frame._with(categories=Categories()).categories(kept)
    return named.filter(**{LOOSE: failures <= 1})
