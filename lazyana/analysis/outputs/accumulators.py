"""Nested outputs added to each other: histograms, columns, numbers, sets and lists of files."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias

import awkward as ak
import boost_histogram as bh
import numpy as np
from coffea.processor import AccumulatorABC, column_accumulator

from lazyana.errors import InputError
from lazyana.sinks.growth import positions, united

Place: TypeAlias = tuple[str, ...]

_FIXED = ("cat", "category", "variation")
"""Axes of one dataset's histogram that are the same wherever it was filled."""

_STORAGES = (bh.storage.Double, bh.storage.Int64, bh.storage.AtomicInt64, bh.storage.Weight)


def added(one: Any, other: Any, place: Place = ()) -> Any:  # noqa: PLR0911  (one a kind)
    """Two accumulators as one: the first, which may be changed by it, and the second after it.

    Parameters
    ----------
    one, other
        Nested mappings of histograms, columns, numbers, sets and lists.
    place
        Keys that lead there, for messages.

    Raises
    ------
    InputError
        What cannot be added, with its place: different kinds, axes or texts.
    """
    match one, other:
        case MutableMapping(), Mapping():
            for key, value in other.items():
                one[key] = added(one[key], value, (*place, str(key))) if key in one else value
            return one
        case bh.Histogram(), bh.Histogram():
            return histograms_added(one, other, place)
        case column_accumulator(), column_accumulator():
            return column_accumulator(_joined(one.value, other.value, place))
        case AccumulatorABC(), AccumulatorABC():
            one.add(other)
            return one
        case ak.Array(), ak.Array():
            return ak.concatenate([one, other])
        case set(), set() | frozenset():
            return one | other
        case list(), list():
            return [*one, *other]
    if _is_number(one) and _is_number(other):
        # Numbers of single precision would lose what small outputs add to large ones.
        return _plain(one) + _plain(other)
    if type(one) is type(other) and not isinstance(one, np.ndarray) and one == other:
        return one
    msg = (
        f"{_named(place)} cannot be added: it is {_shown(one)} in one output and "
        f"{_shown(other)} in another."
    )
    raise InputError(msg)


def agreeing(one: Any, other: Any, place: Place = ()) -> Any:
    """Two descriptions as one: nothing is added up, and what both have must be the same.

    Parameters
    ----------
    one, other
        Nested mappings; of lists and sets the members are united.
    place
        Keys that lead there, for messages.

    Raises
    ------
    InputError
        Something that differs, with its place.
    """
    match one, other:
        case Mapping(), Mapping():
            both = {
                key: agreeing(one[key], value, (*place, str(key))) if key in one else value
                for key, value in other.items()
            }
            return {**one, **both}
        case set(), set():
            return one | other
        case list(), list():
            return [*one, *(item for item in other if item not in one)]
    if one != other:
        msg = f"{_named(place)} is {_shown(one)} in one output and {_shown(other)} in another."
        raise InputError(msg)
    return one


def histograms_added(one: Any, other: Any, place: Place) -> Any:
    """Two histograms as one; where an axis of labels differs, it has the labels of both.

    Axes that grew cover all values.

    Raises
    ------
    InputError
        Other axes that differ, or different storages; naming the axis.
    """
    if one.storage_type is not other.storage_type or one.ndim != other.ndim:
        kinds = [f"{len(h.axes)} axes and {h.storage_type.__name__} storage" for h in (one, other)]
        msg = f"Histogram {_named(place)} has {kinds[0]} in one output and {kinds[1]} in another."
        raise InputError(msg)
    if all(mine == its for mine, its in zip(one.axes, other.axes, strict=True)):
        one += other
        return one
    axes = [
        _united_axis(mine, its, place, "dataset" in [axis.name for axis in one.axes])
        for mine, its in zip(one.axes, other.axes, strict=True)
    ]
    if one.storage_type not in _STORAGES:
        msg = (
            f"Histogram {_named(place)} has other bins in other outputs, and "
            f"{one.storage_type.__name__} storage, which cannot be put together."
        )
        raise InputError(msg)
    new = type(one)(*axes, storage=one.storage_type())
    new.__dict__.update({key: value for key, value in one.__dict__.items() if key != "axes"})
    target: Any = new.view(flow=True)
    for part in (one, other):
        where = np.ix_(*(positions(old, axis) for old, axis in zip(part.axes, axes, strict=True)))
        source: Any = part.view(flow=True)
        if target.dtype.names:
            for name in target.dtype.names:
                target[name][where] += source[name]
        else:
            target[where] += source
    return new


def _united_axis(one: Any, other: Any, place: Place, several: bool) -> Any:
    """One axis that has the bins of both."""
    if one == other:
        return one
    labels = (bh.axis.StrCategory, bh.axis.IntCategory)
    grown = None if isinstance(one, labels) else united(one, other)
    if grown is not None:
        return grown
    both = isinstance(one, labels) and type(one) is type(other)
    same = both and (one.name, one.traits) == (other.name, other.traits)
    where = f"Axis {one.name!r} of histogram {_named(place)}"
    if not same:
        msg = f"{where} is {one!r} in one output and {other!r} in another."
        raise InputError(msg)
    mine, its = list(one), list(other)
    if one.name in _FIXED and not several and set(mine) != set(its):
        only = sorted(map(str, set(mine) ^ set(its)))
        msg = (
            f"{where} has {', '.join(only)} in one output only: events of the other would be "
            "missing there. Merge outputs of one configuration."
        )
        raise InputError(msg)
    return type(one)(
        [*mine, *(label for label in its if label not in mine)],
        name=one.name,
        label=one.label,
        growth=one.traits.growth,
        **({} if one.traits.growth else {"overflow": one.traits.overflow}),
    )


def rescaled(
    output: Mapping[str, Any], target: str, dataset: str, factors: Mapping[str, float]
) -> None:
    """Multiply the weights of a dataset in an output, in place.

    Parameters
    ----------
    output
        What `accumulator_of` gave.
    target
        Sample or subsample.
    dataset
        The dataset.
    factors
        By category, and ``presel`` for that N-1 table.
    """
    for section, power in (("sumw", 1), ("sumw2", 2)):
        for category, factor in factors.items():
            values = output[section].get(category, {}).get(dataset, {}).get(target, {})
            for label in values:
                values[label] *= factor**power
    for place, factor in factors.items():
        rows = output.get("n_minus_one", {}).get(place, {}).get(dataset, {}).get(target, {})
        for variations in rows.values():
            for one in variations.values():
                one["sumw"] *= factor
                one["sumw2"] *= factor**2
    for name, targets in output["variables"].items():
        if name not in output["unweighted"] and dataset in targets.get(target, {}):
            _scale(targets[target][dataset], factors)


def _scale(one: Any, factors: Mapping[str, float]) -> None:
    view: Any = one.view(flow=True)
    for position, category in enumerate(one.axes["cat"]):
        factor = factors.get(category, 1.0)
        if view.dtype.names:
            view["value"][position] *= factor
            view["variance"][position] *= factor**2
        else:
            view[position] *= factor


def _joined(one: Any, other: Any, place: Place) -> Any:
    if isinstance(one, ak.Array) or isinstance(other, ak.Array):
        return ak.concatenate([one, other])
    if one.shape[1:] != other.shape[1:]:
        shapes = f"{one.shape} in one output and {other.shape} in another"
        msg = f"Column {_named(place)} has shape {shapes}."
        raise InputError(msg)
    return np.concatenate([one, other])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _plain(value: Any) -> int | float:
    return int(value) if isinstance(value, int | np.integer) else float(value)


def _named(place: Sequence[str]) -> str:
    return "/".join(place) or "the output"


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text[:60]}{'…' if len(text) > 60 else ''} ({type(value).__name__})"
