"""Looking up: slices of a histogram by the names of dataset, category and variation.

Histograms that come back from a run have the axes ``dataset``, ``category`` and ``variation``,
then the axes of the user, whose flow bins are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import hist
import numpy as np
import numpy.typing as npt

from lazyana.errors import InputError, InputTypeError, did_you_mean

NOMINAL = "nominal"
NAMED_AXES = ("dataset", "category", "variation")

Array = npt.NDArray[np.float64]
Groups = Mapping[str, str | Sequence[str]] | Sequence[str] | str

_SHOWN_NAMES = 30


def listing(names: Iterable[str]) -> str:
    """Names for an error message, shortened where there are many."""
    known = list(names)
    shown = ", ".join(repr(name) for name in known[:_SHOWN_NAMES])
    more = len(known) - _SHOWN_NAMES
    return (shown or "nothing") + (f" and {more} more" if more > 0 else "")


def unknown(
    name: str, choices: Iterable[str], *, what: str, where: str = "the histogram"
) -> InputError:
    """Error for a name that does not exist.

    Parameters
    ----------
    name
        What was written.
    choices
        What exists.
    what
        What the name stands for, e.g. ``"dataset"``.
    where
        What was looked in.
    """
    known = list(choices)
    hint = did_you_mean(name, known)
    return InputError(f"{where} has no {what} {name!r}.{hint} It has: {listing(known)}")


def check(h: object) -> None:
    """Refuse what is not a histogram of a run.

    Raises
    ------
    InputTypeError
        Not a `hist.Hist`.
    InputError
        No axis ``dataset``, ``category`` or ``variation``, or a storage without variances.
    """
    if not isinstance(h, hist.Hist):
        message = (
            f"expected a hist.Hist with the axes {listing(NAMED_AXES)}, not {type(h).__name__}"
        )
        raise InputTypeError(message)
    missing = [name for name in NAMED_AXES if name not in h.axes.name]
    if missing:
        message = (
            f"the histogram has no axis {missing[0]!r}, but the axes {listing(h.axes.name)}; "
            "give the histogram as it came back from the run"
        )
        raise InputError(message)
    if str(h.kind) != "COUNT" or h.variances() is None:
        message = (
            f"storage {h.storage_type.__name__} keeps no sum of squared weights; "
            "use hist.storage.Weight()"
        )
        raise InputError(message)


def names(h: hist.Hist[Any], axis: str) -> tuple[str, ...]:
    """Names on one of the axes ``dataset``, ``category`` and ``variation``."""
    return tuple(str(name) for name in h.axes[axis])


def position(h: hist.Hist[Any], axis: str, name: str) -> int:
    """Place of a name on its axis, or an error that lists what exists."""
    known = names(h, axis)
    if name not in known:
        raise unknown(name, known, what=axis)
    return known.index(name)


def as_names(value: str | Sequence[str]) -> tuple[str, ...]:
    """A single name or several as a tuple: a bare string is one name, not its letters."""
    return (value,) if isinstance(value, str) else tuple(value)


def as_groups(value: Groups) -> dict[str, tuple[str, ...]]:
    """Datasets by the label they are shown under; ungrouped datasets are their own label."""
    if isinstance(value, Mapping):
        return {label: as_names(datasets) for label, datasets in value.items()}
    return {name: (name,) for name in as_names(value)}


def check_datasets(h: hist.Hist[Any], datasets: Sequence[str]) -> None:
    """Refuse datasets that do not exist or are asked for twice."""
    seen: set[str] = set()
    for name in datasets:
        position(h, "dataset", name)
        if name in seen:
            message = f"dataset {name!r} is asked for twice and would be counted twice"
            raise InputError(message)
        seen.add(name)


def one_category(h: hist.Hist[Any], category: str | None) -> str:
    """The category asked for; None means the only one there is."""
    known = names(h, "category")
    if category is not None:
        position(h, "category", category)
        return category
    if len(known) == 1:
        return known[0]
    message = f"category= is needed: the histogram has {listing(known)}"
    raise InputError(message)


def user_axes(h: hist.Hist[Any], wanted: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Names of the axes to show.

    Parameters
    ----------
    h
        Histogram of a run.
    wanted
        Names of the axes; None means all axes of the user.
    count
        How many there have to be.

    Raises
    ------
    InputError
        Another number of axes, or an axis that does not exist.
    """
    known = tuple(name for name in h.axes.name if name not in NAMED_AXES)
    chosen = known if wanted is None else tuple(wanted)
    for name in chosen:
        if name not in known:
            raise unknown(name, known, what="axis")
    if len(chosen) != count or len(set(chosen)) != count:
        message = (
            f"{count} axis is shown, not {len(chosen)}" if count == 1 else f"{count} different axes"
        )
        message += f": choose from {listing(known)} (the others are summed over)"
        raise InputError(message)
    return chosen


def content(
    h: hist.Hist[Any], dataset: str, category: str, variation: str, axes: Sequence[str]
) -> tuple[Array, Array]:
    """Sums of weights and of squared weights of one dataset, category and variation.

    Parameters
    ----------
    h
        Histogram of a run.
    dataset, category, variation
        What to take.
    axes
        Axes of the user to keep; all others are summed over, flow bins included.

    Returns
    -------
    values, variances
        Underflow, bins, overflow, so ``1 + bins + 1``, along every kept axis; 0 in a flow bin that
        the axis does not have.
    """
    chosen = {"dataset": dataset, "category": category, "variation": variation}
    where = tuple(
        position(h, name, chosen[name]) if name in chosen else slice(None) for name in h.axes.name
    )
    left = [name for name in h.axes.name if name not in NAMED_AXES]
    others = tuple(left.index(name) for name in left if name not in axes)
    kept = [name for name in left if name in axes]
    order = [kept.index(name) for name in axes]
    traits = [h.axes[name].traits for name in axes]
    absent = [(int(not each.underflow), int(not each.overflow)) for each in traits]

    def shaped(array: Any) -> Array:
        summed = np.asarray(array, dtype=np.float64)[where].sum(axis=others)
        return np.pad(summed.transpose(order), absent) if absent else summed

    return shaped(h.values(flow=True)), shaped(h.variances(flow=True))


def was_filled(h: hist.Hist[Any], dataset: str, variation: str) -> bool:
    """Whether a dataset has this variation at all.

    The histogram is dense: a variation that a dataset does not know (say, a weight only one of the
    samples carries) is a row of zeros. A row that is zero in *all* categories and bins, flow
    included, is taken for absent.
    """
    where: list[Any] = [slice(None)] * h.ndim
    for axis, name in (("dataset", dataset), ("variation", variation)):
        where[h.axes.name.index(axis)] = position(h, axis, name)
    row = tuple(where)
    return bool(np.any(h.values(flow=True)[row]) or np.any(np.asarray(h.variances(flow=True))[row]))


def systematic_of(variation: str) -> str:
    """Name of the systematic a variation label belongs to.

    ``"jesUp"`` and ``"jesDown"`` belong to ``"jes"``; any other shift is called
    ``"<systematic>_<shift>"``.
    """
    for suffix in ("Up", "Down"):
        if variation.endswith(suffix) and len(variation) > len(suffix):
            return variation.removesuffix(suffix)
    return variation.rpartition("_")[0] or variation


def systematics_of(
    h: hist.Hist[Any], wanted: Mapping[str, str | Sequence[str]] | Sequence[str] | str | None
) -> dict[str, tuple[str, ...]]:
    """Variation labels by systematic.

    Parameters
    ----------
    h
        Histogram of a run.
    wanted
        None: all there are. Names: only these. A mapping: the variations that make up each
        systematic, in the user's own words.

    Raises
    ------
    InputError
        A systematic or variation that does not exist.
    """
    if isinstance(wanted, Mapping):
        chosen = {name: as_names(labels) for name, labels in wanted.items()}
        for name, labels in chosen.items():
            if not labels:
                message = f"systematic {name!r} names no variations"
                raise InputError(message)
            for label in labels:
                position(h, "variation", label)
        return chosen
    known: dict[str, tuple[str, ...]] = {}
    for label in names(h, "variation"):
        if label != NOMINAL:
            name = systematic_of(label)
            known[name] = (*known.get(name, ()), label)
    if wanted is None:
        return known
    for name in as_names(wanted):
        if name not in known:
            raise unknown(name, known, what="systematic")
    return {name: known[name] for name in as_names(wanted)}
