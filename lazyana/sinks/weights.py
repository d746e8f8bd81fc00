"""The event weight: a product of named factors, with all its variations at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from lazyana.errors import InputTypeError, RunError, type_text
from lazyana.options import NanPolicy
from lazyana.sinks.base import NOMINAL, Membership, Place, plain


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
        values = [
            [
                self._checked(factor, label, next(remaining), events, place)
                for label in (NOMINAL, *factor.labels)
            ]
            for factor in self.factors
        ]
        before = [np.ones(events)]
        for nominal, *_ in values:
            before.append(before[-1] * nominal)
        after = np.ones(events)
        varied: list[npt.NDArray[np.float64]] = []
        for (nominal, *shifted), product in zip(values[::-1], before[-2::-1], strict=True):
            others = product * after
            varied = [*(others * value for value in shifted), *varied]
            after = after * nominal
        return np.ascontiguousarray(np.stack([before[-1], *varied], axis=1))

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
        self, factor: FactorShape, label: str, column: Any, events: int, place: Place
    ) -> npt.NDArray[np.float64]:
        """One value of a factor, shape ``(events,)``, finite as its policy wants."""
        world = "" if self.variation == NOMINAL else f" in variation {self.variation}"
        what = f"weight {factor.name!r} ({label}){world}"
        where = f"in entries {place.start}-{place.stop} of {place.file}"
        values = _as_floats(column)
        if values.ndim == 0:
            values = np.full(events, values)
        if values.shape != (events,):
            msg = (
                f"The {what} has shape {values.shape} for {events} events, {where}: "
                "it must have one value an event."
            )
            raise RunError(msg)
        bad = ~np.isfinite(values)
        if not bad.any():
            return values
        count = int(bad.sum())
        if factor.nan == "raise":
            msg = (
                f"The {what} is not finite for {count} of {events} events (first: number "
                f"{int(np.argmax(bad))} of those selected), {where}. Mend it, or choose nan='zero' "
                "or nan='keep' in .weight()."
            )
            raise RunError(msg)
        place.note(f"{what} not finite, {'set to zero' if factor.nan == 'zero' else 'kept'}", count)
        return np.where(bad, 0.0, values) if factor.nan == "zero" else values


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
