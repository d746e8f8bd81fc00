"""What a lazy column must be like to serve as a mask, a weight or a variation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import awkward as ak
import dask_awkward as dak
import numpy as np

from lazyana.errors import InputError, InputTypeError, type_text


def lazy(value: Any) -> bool:
    """Whether a value is a lazy column (or scalar) rather than a function or a number."""
    return isinstance(value, dak.Array | dak.Scalar | dak.Record)


def check_name(what: str, name: Any, reserved: type | None = None) -> None:
    """Refuse names that cannot be told apart or would hide a method.

    Raises
    ------
    InputError, InputTypeError
        An empty name, no text, odd characters, or the name of a method.
    """
    if not isinstance(name, str):
        msg = f"The name of a {what} is {name!r}: give text."
        raise InputTypeError(msg)
    if not name or any(letter in name for letter in "/@\n\t") or name == "nominal":
        msg = f"A {what} cannot be called {name!r}: choose another name, without / and @."
        raise InputError(msg)
    if reserved is not None and hasattr(reserved, name):
        msg = f"A {what} cannot be called {name!r}: that is a method of the frame."
        raise InputError(msg)


def check_mask(what: str, mask: dak.Array) -> None:
    """Refuse what is not one truth value an event.

    Raises
    ------
    InputTypeError
        Anything else.
    """
    meta = mask._meta
    if meta.fields:
        msg = f"{what} is a record with fields {meta.fields[:6]}: compare one of them."
        raise InputTypeError(msg)
    if meta.ndim != 1:
        msg = (
            f"{what} has type {type_text(meta.type)}, several values an event: reduce it with "
            "ak.any(mask, axis=1), ak.all(mask, axis=1) or ak.sum(mask, axis=1) >= n."
        )
        raise InputTypeError(msg)
    if _dtype(meta) != np.dtype(bool):
        msg = (
            f"{what} has type {type_text(meta.type)}, not boolean: compare it with something, "
            "e.g. column > 0 or column != 0."
        )
        raise InputTypeError(msg)


def same_kind(what: str, nominal: dak.Array, value: dak.Array) -> None:
    """Refuse a shift that has not the depth and fields of the column it replaces.

    Raises
    ------
    InputTypeError
        A column of another kind.
    """
    mine, other = nominal._meta, value._meta
    differ = mine.ndim != other.ndim or bool(mine.fields) != bool(other.fields)
    if differ or _is_text(mine) != _is_text(other):
        msg = (
            f"{what} has type {type_text(other.type)}, but the column has type "
            f"{type_text(mine.type)}."
        )
        raise InputTypeError(msg)
    lost = sorted(set(mine.fields) - set(other.fields))
    if lost:
        msg = (
            f"{what} lacks the fields {', '.join(lost[:6])}: start from the collection and replace "
            "what changes, ak.with_field(events.Jet, new_pt, 'pt')."
        )
        raise InputTypeError(msg)


def path_of(column: Any) -> tuple[str, ...]:
    """Names that lead to a column: ``"Jet.pt"`` and ``("Jet", "pt")`` are the same.

    Raises
    ------
    InputTypeError
        Neither text nor a tuple of text.
    """
    if isinstance(column, str) and column:
        return tuple(column.split("."))
    if isinstance(column, tuple) and column and all(isinstance(name, str) for name in column):
        return column
    msg = f"A column to vary is given as {column!r}: name it, e.g. 'Jet' or 'Jet.pt'."
    raise InputTypeError(msg)


def unique(what: str, names: Iterable[str]) -> None:
    """Refuse a name that is there twice.

    Raises
    ------
    InputError
        Naming it.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            msg = f"There is a {what} {name!r} already: give them different names."
            raise InputError(msg)
        seen.add(name)


def _dtype(meta: ak.Array) -> Any:
    layout = meta.layout
    while hasattr(layout, "content"):
        layout = layout.content
    return getattr(layout, "dtype", None)


def _is_text(meta: ak.Array) -> bool:
    return meta.layout.purelist_parameter("__array__") in ("string", "bytestring")
