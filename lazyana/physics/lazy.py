"""One way to call functions of arrays, whether the arrays are lazy or in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeGuard
from weakref import WeakValueDictionary

import awkward as ak
import dask_awkward as dak
from awkward.typetracer import length_zero_if_typetracer, touch_data
from dask_awkward.lib import core

from lazyana.errors import InputTypeError

Function = Callable[..., Any]

_types: WeakValueDictionary[Any, ak.Array] = WeakValueDictionary()


def is_lazy(value: Any) -> TypeGuard[dak.Array]:
    """Whether a value is a lazy column rather than an array in memory."""
    return isinstance(value, dak.Array)


def mapped(
    function: Function, *columns: Any, label: str, meta: ak.Array | None = None, **keywords: Any
) -> Any:
    """Call a function of arrays; on lazy columns, record that it is to be called.

    What is recorded is one step, however many operations the function consists of. Give it the
    fields it uses rather than whole collections: a step is repeated in the variations of what it
    is given.

    Parameters
    ----------
    function
        Function of the columns in memory. It also runs on arrays without data, which tell what it
        reads: either it consists of awkward and numpy functions, or the part of it that needs the
        numbers is called through `on_numbers`, or `meta` says what it gives. If its class has
        ``typed_by_inputs = True``, what it reads and the type of what it gives depend only on the
        columns and its class, and are found out once.
    *columns
        Its positional arguments: columns of the same events, all lazy or all in memory, and values
        that are no columns.
    label
        What the step is called, e.g. in ``explain``.
    meta
        An array of the type of the result, whatever its values; all the data of the columns count
        as read.
    **keywords
        Its keyword arguments: plain values, no columns.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        What the function gives.

    Raises
    ------
    InputTypeError
        Lazy columns together with arrays in memory.
    """
    call = partial(function, **keywords) if keywords else function
    if not any(is_lazy(column) for column in columns):
        return call(*columns)
    for column in columns:
        if isinstance(column, ak.Array):
            msg = (
                f"{label} is given lazy columns and an array in memory: the array does not know "
                "which partition it belongs to. Make both of the same events."
            )
            raise InputTypeError(msg)
    if meta is not None:
        call = Typed(call, meta.layout.form_with_key(None))
    known = None
    if getattr(call, "typed_by_inputs", False) and all(map(is_lazy, columns)):
        known = (type(call), *(column.name for column in columns))
    # dask-awkward's own way in for flat arguments: they need not be searched for columns.
    recorded = core._map_partitions(call, *columns, label=label, meta=_types.get(known))
    if known is not None:
        _types[known] = recorded._meta
    return recorded


@dataclass(frozen=True)
class Typed:
    """A function whose result is of a known type.

    Attributes
    ----------
    function
        The function.
    form
        Form of what it gives.
    """

    function: Function
    form: ak.forms.Form

    def __call__(self, *columns: Any) -> Any:
        """What the function gives; of arrays without data, an array without data."""
        if not any(_without_data(column) for column in columns):
            return self.function(*columns)
        for column in columns:
            if isinstance(column, ak.Array):
                touch_data(column)
        behavior = next((c.behavior for c in columns if isinstance(c, ak.Array)), None)
        return ak.typetracer.typetracer_from_form(self.form, behavior=behavior)


def on_numbers(function: Function, *arrays: Any, **keywords: Any) -> Any:
    """Call a function that needs the numbers of its arrays, inside a function given to `mapped`.

    Parameters
    ----------
    function
        Function of arrays in memory that also takes arrays of no events.
    *arrays
        Its arrays. Where they have no data, all that is in them counts as read: give it plain
        columns of numbers.
    **keywords
        Its keyword arguments.

    Returns
    -------
    awkward.Array
        What the function gives, or for arrays without data an array of that type.
    """
    if not any(_without_data(array) for array in arrays):
        return function(*arrays, **keywords)
    empty = (
        length_zero_if_typetracer(array) if isinstance(array, ak.Array) else array
        for array in arrays
    )
    result = function(*empty, **keywords)
    return ak.Array(
        result.layout.to_typetracer(forget_length=True),
        behavior=result.behavior,
        attrs=result.attrs,
    )


def with_fields(objects: Any, fields: Mapping[str, Any]) -> Any:
    """Objects with more fields, or other values in some; one step on lazy columns.

    Parameters
    ----------
    objects
        A collection, shape ``(events, objects)``.
    fields
        Columns of the same shape by name.
    """
    label = "with-" + "-".join(fields)
    return mapped(_put_fields, objects, *fields.values(), label=label, names=tuple(fields))


def _put_fields(objects: Any, *columns: Any, names: Sequence[str]) -> Any:
    for name, column in zip(names, columns, strict=True):
        objects = ak.with_field(objects, column, name)
    return objects


def certain(mask: Any) -> Any:
    """A mask whose missing values are False, shape ``(events,)`` or ``(events, objects)``."""
    layout = (mask._meta if is_lazy(mask) else mask).layout
    while not layout.is_option and (layout.is_indexed or layout.is_list):
        layout = layout.content
    return ak.fill_none(mask, False, axis=-1) if layout.is_option else mask


def _without_data(value: Any) -> bool:
    return isinstance(value, ak.Array) and ak.backend(value) == "typetracer"
