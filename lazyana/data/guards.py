"""Guards on lazy columns: what would silently go wrong in dask-awkward is an error here.

A lazy scalar is true in Python whatever its value, and a lazy array has neither a length nor
elements. The guards only speak up for columns recorded on one of our blueprints; any other
dask-awkward collection behaves as it always did.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import dask_awkward as dak
import numpy as np
from dask_awkward.lib.core import Scalar

from lazyana.errors import ColumnError, LazyValueError, did_you_mean

_PREFIX = "events-lazyana-"
_INSTEAD = {
    "bool": (
        "Use it as a mask: events.filter(name=column), ak.where(condition, a, b), and combine "
        "conditions with & | ~ instead of and, or, not"
    ),
    "len": (
        "Use ak.num(column) for the objects of each event, or count events with "
        "la.compute(events.cutflow())"
    ),
    "float": "Compute it first: la.compute(events.sum(column))",
    "int": "Compute it first: la.compute(events.sum(column))",
    "complex": "Compute it first: la.compute(events.sum(column))",
    "index": "Compute it first: la.compute(events.sum(column))",
    "array": (
        "Use ak.* functions, numpy ufuncs or dask_awkward.map_partitions(function, column), or "
        "compute it with la.compute(events.columns({'name': column}))"
    ),
    "iter": "Write the expression for all events at once with ak.* functions",
}


def is_ours(collection: Any) -> bool:
    """Whether a dask-awkward collection was recorded on a blueprint of ours."""
    graph = getattr(collection, "_dask", None)
    layers = getattr(graph, "layers", {})
    return any(str(name).startswith(_PREFIX) for name in layers)


def install_guards() -> None:
    """Put the guards on dask-awkward's classes, once."""
    if getattr(dak.Array, "_lazyana_guards", False):
        return
    for kind in (dak.Array, Scalar):
        for word, method in (
            ("bool", "__bool__"),
            ("len", "__len__"),
            ("float", "__float__"),
            ("int", "__int__"),
            ("complex", "__complex__"),
            ("index", "__index__"),
            ("array", "__array__"),
            ("iter", "__iter__"),
        ):
            if kind is Scalar and word in ("len", "iter"):
                continue
            setattr(kind, method, _refuse(word, getattr(kind, method, None)))
    dak.Array.__getattr__ = _suggest(dak.Array.__getattr__)
    dak.Array.__getitem__ = _suggest(dak.Array.__getitem__)
    dak.Array._lazyana_guards = True


def _refuse(word: str, original: Callable[..., Any] | None) -> Callable[..., Any]:
    def guard(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_ours(self):
            what = "array" if isinstance(self, dak.Array) else "scalar"
            used = {"array": "turned into a numpy array", "iter": "looped over"}.get(
                word, f"used as {word}()"
            )
            msg = f"This lazy {what} has no value yet and cannot be {used}. {_INSTEAD[word]}."
            raise LazyValueError(msg)
        if original is not None:
            return original(self, *args, **kwargs)
        if word == "bool":
            return True
        if word == "array":
            plain = np.empty((), dtype=object)
            plain[()] = self
            return plain
        msg = f"{type(self).__name__} has no {word}()"
        raise TypeError(msg)

    return guard


def _suggest(original: Callable[..., Any]) -> Callable[..., Any]:
    """Say what exists when a field does not, at the line that names it."""

    @wraps(original)
    def guard(self: Any, where: Any) -> Any:
        try:
            return original(self, where)
        except ColumnError:
            raise
        except (AttributeError, KeyError, IndexError, ValueError) as error:
            missing = _missing(self, where) if is_ours(self) else None
            if missing is None:
                raise
            raise ColumnError(missing) from error

    return guard


def _missing(array: Any, where: Any) -> str | None:
    """Message for the first name in `where` that does not exist, if that is the trouble."""
    if isinstance(where, str):
        fields = list(array.fields or [])
        private = where.startswith("_")
        return None if private or where in fields else no_field(array, where, fields)
    names = [name for name in where if isinstance(name, str)] if _is_path(where) else []
    for name in names:
        message = _missing(array, name)
        if message is not None:
            return message
        if isinstance(where, tuple):
            array = array[name]
    return None


def _is_path(where: Any) -> bool:
    return isinstance(where, tuple | list)


def no_field(array: Any, name: str, fields: list[str]) -> str:
    """Message for a field that is not there."""
    what = collection_name(array)
    if not fields:
        return f"{what} has no field {name!r}: it is a plain column of type {array.type}."
    shown = ", ".join(sorted(fields)[:12]) + (", …" if len(fields) > 12 else "")
    return f"{what} has no field or method {name!r}.{did_you_mean(name, fields)} Fields: {shown}"


def collection_name(array: Any) -> str:
    """How to call an array in a message."""
    parameters = array._meta.layout.purelist_parameter
    name = parameters("collection_name") or parameters("__record__")
    return str(name) if name else "This column"
