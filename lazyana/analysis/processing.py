"""How many events partitions have: histograms with one entry for each partition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import awkward as ak
import numpy as np

from lazyana.analysis.applied import SUBSAMPLE
from lazyana.analysis.histograms import HistConf
from lazyana.analysis.masks import one_an_event
from lazyana.errors import InputError
from lazyana.frame.events import Events
from lazyana.physics.lazy import mapped, on_numbers


def first_of_each_partition(frame: Events, size: str) -> Events:
    """The first event of each partition, with the number of events that the partition has.

    Parameters
    ----------
    frame
        The events. A partition without any has no first one.
    size
        What the column with the number is called.
    """
    column = mapped(_at_first, one_an_event(frame), label="partition-size")
    return frame.define(**{size: column}).filter(first=column > 0)


def sizes(
    variables: Mapping[str, HistConf],
    stages: Mapping[str, Events],
    sample: str,
    categories: Iterable[str],
) -> dict[str, Any]:
    """Book the histograms of how many events partitions have.

    Parameters
    ----------
    variables
        Histograms by name; those of events are left out.
    stages
        The events, by what their number in a partition is called.
    sample
        Name of the sample.
    categories
        Names of the categories; each histogram has the same in all of its own.

    Returns
    -------
    dict
        What is booked, by name.

    Raises
    ------
    InputError
        A histogram of a subsample: partitions are of whole samples.
    """
    found: dict[str, Any] = {}
    names = tuple(categories)
    for name, variable in variables.items():
        if not variable.metadata_hist:
            continue
        _check_whole(name, variable, sample)
        first = first_of_each_partition(stages[variable.size], variable.size)
        size = first[variable.size]
        first = first.categories(dict.fromkeys(names, size > 0))
        custom = {variable.size: size}
        booked = variable.book(
            first, name=name, sample=sample, variations=False, custom=custom, known=names
        )
        if booked is not None:
            found[name] = booked
    return found


def _check_whole(name: str, variable: HistConf, sample: str) -> None:
    """Refuse a histogram that names a subsample."""
    for option in ("only_samples", "exclude_samples"):
        for one in getattr(variable, option) or ():
            if one.startswith(f"{sample}{SUBSAMPLE}"):
                msg = (
                    f"Histogram {name!r}: {option} names subsample {one!r}, but has metadata_hist, "
                    f"an entry for each partition of a whole sample: write {sample!r}."
                )
                raise InputError(msg)


def _at_first(column: Any) -> Any:
    return on_numbers(_at_first_of_numbers, column)


def _at_first_of_numbers(column: Any) -> ak.Array:
    """The number of events at the first of them, 0 at the others."""
    sizes = np.zeros(len(column), dtype=np.int64)
    sizes[:1] = len(column)
    return ak.Array(sizes)
