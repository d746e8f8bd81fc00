"""Guards on lazy columns: what would silently go wrong in dask-awkward is an error here.

A lazy scalar is true in Python whatever its value, a lazy array has neither a length nor elements,
and events have no position before they are cut into partitions. The guards only speak up for
columns recorded on one of our blueprints; any other dask-awkward collection behaves as it always
did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any
from weakref import WeakValueDictionary

import awkward as ak
import dask_awkward as dak
import numpy as np
from dask.base import is_dask_collection
from dask_awkward.lib import core
from dask_awkward.lib.core import Scalar

from lazyana.data.elementwise import Elementwise, is_elementwise
from lazyana.errors import ColumnError, LazyValueError, did_you_mean, type_text

_TAKEN = "_lazyana_taken"
_PREFIX = "events-lazyana-"
_INSTALLED = "_lazyana_guards"
# Of an integer a comparison is bool, whereas in arithmetic it may not fit into the column's type.
_COMPARISONS = frozenset(
    (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
)
_COMPUTE = "Compute it first: la.compute(events.sum(column))"
_INSTEAD = {
    "__bool__": (
        "used as a condition (bool, if, assert, and, or, not)",
        "Use it as a mask: events.filter(name=column), ak.where(condition, a, b), and combine "
        "conditions with & | ~ instead of and, or, not; leave asserts out",
    ),
    "__len__": (
        "measured with len()",
        "Use ak.num(column) for the objects of each event, or count events with "
        "la.compute(events.cutflow())",
    ),
    "__float__": ("turned into a float", _COMPUTE),
    "__int__": ("turned into an int", _COMPUTE),
    "__complex__": ("turned into a complex number", _COMPUTE),
    "__index__": ("used as an index or a count", _COMPUTE),
    "__array__": (
        "turned into a numpy array",
        "Use ak.* functions, numpy ufuncs or dask_awkward.map_partitions(function, column), or "
        "compute it with la.compute(events.columns({'name': column})). Instead of "
        "np.logical_or.reduce([a, b]) write a | b, or functools.reduce(operator.or_, [a, b])",
    ),
    "__iter__": (
        "looped over",
        "Write the expression for all events at once with ak.* functions; the names of its fields "
        "are column.fields",
    ),
}
_NUMBERS = (int, float, complex, np.number, np.bool_)
_LONGEST = 40
# What Python does with an object that has no such method.
_PLAIN: dict[str, Callable[[Any], Any]] = {
    "__bool__": lambda _: True,
    "__float__": float,
    "__int__": int,
    "__complex__": complex,
    "__index__": range,
}


def is_ours(collection: Any) -> bool:
    """Whether a dask-awkward collection was recorded on a blueprint of ours."""
    graph = getattr(collection, "_dask", None)
    layers = getattr(graph, "layers", {})
    return any(str(name).startswith(_PREFIX) for name in layers)


def install_guards() -> None:
    """Put the guards on dask-awkward's classes, once."""
    if getattr(dak.Array, _INSTALLED, False):
        return
    for method in _INSTEAD:
        setattr(dak.Array, method, _refuse(method, getattr(dak.Array, method)))
    for method in _PLAIN:
        setattr(Scalar, method, _refuse(method, None))
    _guard_numpy(Scalar)
    for kind, refuse in ((dak.Array, _refuse_position), (Scalar, _refuse_item)):
        for method in ("__getattr__", "__getitem__"):
            setattr(kind, method, _explain(method, getattr(kind, method), refuse))
    dak.Array.__array_ufunc__ = _typed(dak.Array.__array_ufunc__)  # type: ignore[method-assign]
    setattr(dak.Array, _INSTALLED, True)


def _refuse(method: str, original: Callable[..., Any] | None) -> Callable[..., Any]:
    def guard(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_ours(self):
            raise LazyValueError(_no_value(self, method))
        if original is not None:
            return original(self, *args, **kwargs)
        # The error Python itself has for an object without this method, in its own words.
        return _PLAIN[method](type(type(self).__name__, (), {})())

    return guard


def _no_value(collection: Any, method: str) -> str:
    what = "array" if isinstance(collection, dak.Array) else "scalar"
    used, instead = _INSTEAD[method]
    return f"This lazy {what} has no value yet and cannot be {used}. {instead}."


def _guard_numpy(kind: type[Scalar]) -> None:
    """Scalars of ours are not put into numpy arrays; others have no such attributes at all."""

    def only_ours(name: str, value: Callable[[Any], Any]) -> property:
        def get(self: Any) -> Any:
            if is_ours(self):
                return value(self)
            raise AttributeError(name)

        return property(get)

    refuse = _refuse("__array__", None)
    attributes: dict[str, Callable[[Any], Any]] = {
        "__array__": lambda scalar: partial(refuse, scalar),
        # Above numpy's own, so that `np.float64(2) * scalar` is left to the scalar.
        "__array_priority__": lambda _: 1.0,
    }
    for name, value in attributes.items():
        setattr(kind, name, only_ours(name, value))


def _explain(
    method: str, original: Callable[..., Any], refuse: Callable[[Any, Any], str | None]
) -> Callable[..., Any]:
    """Say what exists when a field does not, at the line that names it."""

    @wraps(original)
    def guard(self: Any, where: Any) -> Any:
        if method == "__getitem__" and not isinstance(where, str):
            message = refuse(self, where) if is_ours(self) else None
            if message is not None:
                raise LazyValueError(message)
        try:
            return _remembered(self, where, original)
        except ColumnError:
            raise
        except (AttributeError, KeyError, IndexError, ValueError) as error:
            missing = _missing(self, where) if is_ours(self) else None
            if missing is None:
                raise
            raise ColumnError(missing) from error

    return guard


def _remembered(collection: Any, where: Any, original: Callable[..., Any]) -> Any:
    """A field or property, recorded once however often it is asked for.

    Recording takes a millisecond or two, and analyses ask for the same fields in many places.
    Fields can be assigned in place, both of the collection and of what was taken from it: each is
    known by the name that the collection had then, and everybody gets a copy.
    """
    if not isinstance(where, str):
        return original(collection, where)
    taken = vars(collection).setdefault(_TAKEN, {})
    asked = original, collection.name, where  # a property is no item
    if asked not in taken:
        value = original(collection, where)
        if not isinstance(value, dak.Array):
            return value
        taken[asked] = value
    return copied(taken[asked])


def copied(column: dak.Array) -> dak.Array:
    """The same column as another object, which writing a field in place does not reach.

    What was taken from one need not be recorded again for the other.
    """
    copy = dak.Array(column.dask, column.name, column._meta, column.divisions)
    vars(copy)[_TAKEN] = vars(column).setdefault(_TAKEN, {})  # type: ignore[index, attr-defined]
    return copy


def _typed(original: Callable[..., Any]) -> Callable[..., Any]:
    """Arithmetic of which the type of the result is found out quickly, or is known.

    That takes most of the time of recording it. A column is scaled by many numbers, and compared
    with many: whichever number it is, the type of the result is the same.
    """
    types: WeakValueDictionary[Any, ak.Array] = WeakValueDictionary()

    @wraps(original)
    def recorded(self: Any, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        inputs = tuple(map(plain, inputs))
        usual = method == "__call__" and is_elementwise(ufunc) and not kwargs
        if not usual or not all(map(_is_operand, inputs)):
            if is_ours(self):
                _check_operands(ufunc, inputs)
            return original(self, ufunc, method, *inputs, **kwargs)
        known = None
        if differ_by_numbers(ufunc, inputs, dak.Array):
            known = (ufunc, *(item.name if item is self else type(item) for item in inputs))
        meta = types.get(known)
        if meta is None:
            metas = (item._meta if isinstance(item, dak.Array) else item for item in inputs)
            meta = Elementwise(ufunc)(*metas)
        if known is not None:
            types[known] = meta
        return core._map_partitions(ufunc, *inputs, output_divisions=1, meta=meta)

    return recorded


def plain(item: Any) -> Any:
    """A number for an array of no dimension, such as ``np.ones(size)`` in a weight."""
    return item[()] if isinstance(item, np.ndarray) and item.ndim == 0 else item


def _is_operand(item: Any) -> bool:
    return isinstance(item, int | float) or (isinstance(item, dak.Array) and is_ours(item))


def _check_operands(ufunc: np.ufunc, inputs: Sequence[Any]) -> None:
    """Refuse what is neither a number nor of the events."""
    for item in inputs:
        if isinstance(item, _NUMBERS) or is_dask_collection(item):
            continue
        shown = f"np.{ufunc.__name__} of a lazy column and"
        if not isinstance(item, list | tuple | np.ndarray | ak.Array):
            text = repr(item)
            text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
            msg = f"{shown} {text} ({type(item).__name__}): give a number or a column."
            raise LazyValueError(msg)
        if len(item) != 1 and not any(map(_has_fixed_lists, inputs)):
            msg = (
                f"{shown} {len(item)} values in memory: events are processed in partitions, and "
                "which values are theirs is not known. To look values up for each event or object "
                "use a correction of correctionlib, or dask_awkward.map_partitions(function, "
                "column), whose function has the values of the column."
            )
            raise LazyValueError(msg)


def _has_fixed_lists(item: Any) -> bool:
    """Whether there are equally many values in each innermost list: they may fit to those."""
    layout = item._meta.layout if isinstance(item, dak.Array) else None
    while layout is not None and (layout.is_list or layout.is_option or layout.is_indexed):
        if layout.is_regular:
            return True
        layout = layout.content
    return layout is not None and layout.is_numpy and bool(layout.inner_shape)


def differ_by_numbers(ufunc: np.ufunc, inputs: Sequence[Any], kind: type) -> bool:
    """Whether a function is of one column and numbers whose value does not change its type.

    Parameters
    ----------
    ufunc
        The function.
    inputs
        What it is called with.
    kind
        What is a column.
    """
    others = [item for item in inputs if not isinstance(item, kind)]
    numbers = (int, float) if ufunc in _COMPARISONS else (float,)
    return len(others) == len(inputs) - 1 and all(type(item) in numbers for item in others)


def _refuse_item(scalar: Any, where: Any) -> str:
    del scalar
    return f"This lazy scalar has no value yet and no element {where!r}. {_COMPUTE}."


def _refuse_position(array: Any, where: Any) -> str | None:
    """Message for an index that counts events, which no partition can know the position of."""
    first = where
    if isinstance(where, tuple):
        first = next((item for item in where if not _names_fields(item)), slice(None))
    if not _counts(first):
        return None
    shown = "another column of numbers" if isinstance(first, dak.Array) else repr(first)
    return (
        f"Events cannot be picked by position (here {shown}): they are processed in partitions. "
        "For the first object of each event write column[:, 0], or ak.firsts(column) where there "
        "may be none; for one object of each event by its number column[ak.singletons(number)]; "
        "select events with events.filter(name=mask); look at the first ones with events.head()."
    )


def _names_fields(item: Any) -> bool:
    is_list = isinstance(item, list) and bool(item)
    return isinstance(item, str) or (is_list and all(isinstance(name, str) for name in item))


def _counts(item: Any) -> bool:
    """Whether an index selects along the events by their number."""
    if isinstance(item, slice):
        return item != slice(None)
    if isinstance(item, dak.Array):
        meta = item._meta
        numbers = meta.ndim == 1 and not meta.fields
        return numbers and np.issubdtype(_dtype(meta.layout), np.integer)
    if isinstance(item, list):
        return not _names_fields(item)
    return isinstance(item, int | np.integer | np.ndarray)


def _dtype(layout: Any) -> Any:
    while hasattr(layout, "content"):
        layout = layout.content
    return getattr(layout, "dtype", np.dtype(object))


def _missing(array: Any, where: Any) -> str | None:
    """Message for the first name in `where` that does not exist, if that is the trouble."""
    if not isinstance(array, dak.Array):
        return _missing_of_scalar(where)
    if isinstance(where, str):
        fields = list(array.fields or [])
        private = where.startswith("_")
        return None if private or where in fields else no_field(array, where, fields)
    names = [name for name in where if _names_fields(name)] if _is_path(where) else []
    for name in names:
        message = _missing(array, name)
        if message is not None:
            return message
        if isinstance(where, tuple):
            array = array[name]
    return None


def _missing_of_scalar(where: Any) -> str | None:
    if not isinstance(where, str) or where.startswith("_"):
        return None
    return f"This lazy scalar has no attribute {where!r}: it stands for one number. {_COMPUTE}."


def _is_path(where: Any) -> bool:
    return isinstance(where, tuple | list)


def no_field(array: Any, name: str, fields: list[str]) -> str:
    """Message for a field that is not there."""
    what = collection_name(array)
    if not fields:
        kind = type_text(array._meta.type).partition(" * ")[2]
        return f"{what} has no field {name!r}: it is a plain column of type {kind}."
    methods = [word for word in dir(type(array._meta)) if not word.startswith("_")]
    if name in methods and what != "NanoEvents":
        return f"{what} has no field {name!r}, but it has an attribute: write .{name} instead."
    shown = ", ".join(sorted(fields)[:12]) + (", …" if len(fields) > 12 else "")
    hint = did_you_mean(name, [*fields, *methods])
    return f"{what} has no field or method {name!r}.{hint} Fields: {shown}"


def collection_name(array: Any) -> str:
    """How to call an array in a message."""
    parameters = array._meta.layout.purelist_parameter
    name = parameters("collection_name") or parameters("__record__")
    return str(name) if name else "This column"
