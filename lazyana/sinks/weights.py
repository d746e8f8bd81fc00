"""The event weight: a product of named factors, with all its variations at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt

from lazyana.errors import InputTypeError, RunError, type_text
from lazyana.options import NanPolicy
from lazyana.sinks.base import NOMINAL, Membership, Place, plain

BLOCK = 8192
"""Events whose weights are multiplied together: all factors of a block stay in the cache."""

#: Values, and where they are not finite; None where all are.
_Values: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_] | None]


@dataclass(frozen=True)
class FactorShape:
    """What a weight factor is called and how it is varied.

    Attributes
    ----------
    name
        Its name.
    labels
        Labels of its variations.
    nan
        What to do about values that are not finite: ``"raise"``, ``"zero"`` them, or ``"keep"``
        them; the latter two are counted in the run report.
    """

    name: str
    labels: tuple[str, ...] = ()
    nan: NanPolicy = "raise"


@dataclass(frozen=True)
class WeightMatrix:
    """Turns weight factors into a matrix: nominal, then each variation.

    Attributes
    ----------
    factors
        The factors.
    variation
        Label of the shape variation, for messages.
    """

    factors: tuple[FactorShape, ...]
    variation: str = NOMINAL

    def __call__(self, place: Place, like: Any, *columns: Any) -> npt.NDArray[np.float64]:
        """Weights of the events.

        Parameters
        ----------
        place
            Where the events come from.
        like
            A column of the events, or None for all events of the place.
        *columns
            The nominal value of each factor followed by its variations: columns or numbers.

        Returns
        -------
        array
            Shape ``(events, 1 + variations)``, float64, each column the product of all factors
            with at most one of them varied.

        Raises
        ------
        RunError
            A factor of another length, or one that is not finite under ``nan="raise"``.
        """
        events = place.entries if like is None else len(like)
        remaining = iter(columns)
        seen: dict[int, _Values] = {}
        values = [
            [
                self._checked(factor, label, _read(next(remaining), seen), events, place)
                for label in (NOMINAL, *factor.labels)
            ]
            for factor in self.factors
        ]
        out = np.empty((events, sum(map(len, values)) - len(values) + 1))
        for start in range(0, events, BLOCK):
            block = slice(start, start + BLOCK)
            _multiply(
                [[value[block] if value.ndim else value for value in mine] for mine in values],
                out[block],
            )
        return out

    def in_variation(
        self, variation: str, columns: Sequence[Any]
    ) -> tuple[WeightMatrix, tuple[Any, ...]]:
        """What makes the weights of a shape variation, in which weights are not varied.

        Parameters
        ----------
        variation
            Its label.
        columns
            The columns that the matrix is made of.

        Returns
        -------
        matrix
            Of the nominal values of all factors.
        columns
            Those it is made of.
        """
        nominal = []
        position = 0
        for factor in self.factors:
            nominal.append(columns[position])
            position += 1 + len(factor.labels)
        plain = tuple(FactorShape(factor.name, nan=factor.nan) for factor in self.factors)
        return WeightMatrix(plain, variation), tuple(nominal)

    def _checked(
        self, factor: FactorShape, label: str, read: _Values, events: int, place: Place
    ) -> npt.NDArray[np.float64]:
        """One value of a factor, shape ``(events,)`` or ``()``, finite as its policy wants."""
        values, bad = read
        world = "" if self.variation == NOMINAL else f" in variation {self.variation}"
        what = f"weight {factor.name!r} ({label}){world}"
        where = f"in entries {place.start}-{place.stop} of {place.file}"
        if values.shape not in {(events,), ()}:
            msg = (
                f"The {what} has shape {values.shape} for {events} events, {where}: "
                "it must have one value an event."
            )
            raise RunError(msg)
        if bad is None or not events:
            return values
        count = int(np.broadcast_to(bad, (events,)).sum())
        if factor.nan == "raise":
            msg = (
                f"The {what} is not finite for {count} of {events} events (first: number "
                f"{int(np.argmax(bad))} of those selected), {where}. Mend it, or choose nan='zero' "
                "or nan='keep' in .weight()."
            )
            raise RunError(msg)
        place.note(f"{what} not finite, {'set to zero' if factor.nan == 'zero' else 'kept'}", count)
        return np.where(bad, 0.0, values) if factor.nan == "zero" else values


def _read(column: Any, seen: dict[int, _Values]) -> _Values:
    """Values of a column or number, and where they are not finite; once for each column."""
    known = seen.get(id(column))
    if known is None:
        values = _as_floats(column)
        finite = np.isfinite(values)
        known = seen[id(column)] = (values, None if finite.all() else ~finite)
    return known


def _multiply(
    values: Sequence[Sequence[npt.NDArray[np.float64]]], out: npt.NDArray[np.float64]
) -> None:
    """Products of all factors, with at most one of them varied, into ``(events, 1 + variations)``.

    The product is that of the factors before the varied one, times those after it: nothing is
    divided.
    """
    before: list[Any] = [1.0]
    for nominal, *_ in values:
        before.append(before[-1] * nominal)
    out[:, 0] = before[-1]
    end = out.shape[1]
    after: Any = 1.0
    for (nominal, *shifted), product in zip(values[::-1], before[-2::-1], strict=True):
        if end == 1:
            break
        start = end - len(shifted)
        if shifted:
            others = product * after
            for column, value in zip(range(start, end), shifted, strict=True):
                np.multiply(others, value, out=out[:, column])
        after = after * nominal
        end = start


def _as_floats(column: Any) -> npt.NDArray[np.float64]:
    """A column or number as float64, NaN where it is None."""
    if isinstance(column, ak.Array):
        return plain(column, np.nan, np.float64)
    return np.asarray(column, dtype=np.float64)


@dataclass(frozen=True)
class CategoryMasks:
    """Turns masks into the categories each event is in.

    Attributes
    ----------
    names
        Names of the categories.
    parts
        For each category, the positions of the masks that must all hold.
    """

    names: tuple[str, ...]
    parts: tuple[tuple[int, ...], ...]

    def __call__(self, *masks: Any) -> Membership:
        """The categories of each event; where a mask is None the event is not in it."""
        found = [plain(mask, False, np.bool_) for mask in masks]
        products = []
        for part in self.parts:
            product = found[part[0]]
            for position in part[1:]:
                product = product & found[position]
            products.append(product)
        return Membership.from_masks(products)


def check_weight(name: str, label: str, column: Any) -> None:
    """Refuse what cannot be a weight, when it is declared.

    Parameters
    ----------
    name, label
        Of the factor and its variation, for the message.
    column
        A number, or an array (also without data) of one number an event.

    Raises
    ------
    InputTypeError
        Records, strings, or several values an event.
    """
    what = f"Weight {name!r} ({label})"
    if isinstance(column, bool | int | float | np.bool_ | np.integer | np.floating):
        return
    if not isinstance(column, ak.Array):
        msg = f"{what} is a {type(column).__name__}: give a column with one number an event."
        raise InputTypeError(msg)
    if column.fields:
        msg = f"{what} is a record with fields {column.fields[:6]}: give one of them."
        raise InputTypeError(msg)
    if column.ndim != 1:
        msg = (
            f"{what} has type {type_text(column.type)}, several values an event: reduce it with "
            "axis=1, e.g. ak.prod(column, axis=1)."
        )
        raise InputTypeError(msg)
    if _is_string(column):
        msg = f"{what} is text: give a column with one number an event."
        raise InputTypeError(msg)
    if _dtype(column).kind not in "biuf":
        kind = type_text(column.type)
        msg = f"{what} has type {kind}: give a column with one real number an event."
        raise InputTypeError(msg)


def _is_string(column: ak.Array) -> bool:
    return str(column.layout.purelist_parameter("__array__")) in ("string", "bytestring")


def _dtype(column: ak.Array) -> np.dtype[Any]:
    layout = column.layout
    while hasattr(layout, "content"):
        layout = layout.content
    return np.dtype(getattr(layout, "dtype", object))
