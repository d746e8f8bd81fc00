"""Functions of numpy and awkward that are given lazy columns.

Arrays in memory are taken by numpy's functions of the name that awkward's have, ``np.where`` or
``np.sum(column, axis=1)``; so are lazy columns. What needs values there are none of yet says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from typing import Any

import awkward as ak
import dask_awkward as dak
from dask_awkward.utils import DaskAwkwardNotImplemented

from lazyana.data.guards import is_ours, plain
from lazyana.errors import LazyValueError

_INSTALLED = "_lazyana_functions"
_INSTEAD = (
    "Use ak.* functions, numpy ufuncs or dask_awkward.map_partitions(function, column); "
    "correctionlib's evaluate takes the column itself; to have the values, compute it with "
    "la.compute(events.columns({'name': column}))"
)
_OTHERWISE = {
    "to_layout": (
        "put into ak.Array or a list",
        "It is an array already: leave ak.Array out. Instead of ak.any([a, b], axis=0) write a | "
        "b, of ak.all a & b, of ak.prod a * b",
    ),
    "round": ("rounded", "Write np.rint(column), or np.rint(column * 100) / 100"),
    "clip": ("used in np.clip", "Write np.minimum(np.maximum(column, low), high)"),
}
_ORDERED = frozenset(
    [
        *("num", "sort", "argsort", "local_index", "pad_none", "run_lengths"),
        *("cartesian", "argcartesian", "combinations", "argcombinations"),
    ]
)
"""Functions whose results depend on which events are beside each other, where the axis is theirs.

With a partition at hand they would do, with another result for each partitioning.
"""


def install_functions() -> None:
    """Let dask-awkward's arrays take part in numpy's functions, once."""
    if getattr(dak.Array, _INSTALLED, False):
        return
    dak.Array.__array_function__ = _of_numpy
    dak.Array.__awkward_function__ = _explained(dak.Array.__awkward_function__)  # type: ignore[method-assign]
    for name in ("to_numpy", "to_list", "tolist"):
        setattr(dak.Array, name, _method(name))
    setattr(dak.Array, _INSTALLED, True)


def _of_numpy(
    self: dak.Array, function: Any, types: Any, given: tuple[Any, ...], options: Mapping[str, Any]
) -> Any:
    """The function of awkward that is called the same, as for arrays in memory."""
    del types
    if not is_ours(self):
        return function._implementation(*given, **options)  # what numpy does without this method
    name = function.__name__
    same = None if name in _OTHERWISE else getattr(ak, name, None)
    if same is None:
        raise LazyValueError(_no_value(f"np.{name}", name, "turned into a numpy array for"))
    return same(*map(plain, given), **options)


def _explained(original: Callable[..., Any]) -> Callable[..., Any]:
    """Where dask-awkward has no such function, record it as it is, or say what to do instead."""

    @wraps(original)
    def call(self: Any, function: Any, arrays: Any, given: Any, options: Any) -> Any:
        given = tuple(map(plain, given))
        if is_ours(self) and function.__name__ in _ORDERED:
            _refuse_between_events(function, given, options)
        try:
            found = original(self, function, arrays, given, options)
        except DaskAwkwardNotImplemented:
            if not is_ours(self):
                raise
            found = NotImplemented
        if found is not NotImplemented or not is_ours(self):
            return found
        if _is_of_each_event(function, given, options):
            return dak.map_partitions(function, *given, **options)
        raise LazyValueError(_no_value(f"ak.{function.__name__}", function.__name__))

    return call


def _is_of_each_event(function: Any, given: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    """Whether a function has an axis, which is not that of the events."""
    axis, depths = _axis_and_depths(function, given, options)
    return isinstance(axis, int) and bool(depths) and all(axis % depth > 0 for depth in depths)


def _refuse_between_events(
    function: Any, given: tuple[Any, ...], options: Mapping[str, Any]
) -> None:
    """Refuse what would be done anew with the events of each partition."""
    axis, depths = _axis_and_depths(function, given, options)
    if isinstance(axis, int) and any(axis in (0, -depth) for depth in depths):
        name = function.__name__
        msg = (
            f"ak.{name} with axis={axis} compares, numbers or counts events, which a lazy column "
            f"cannot: they are processed in partitions. Of the objects of each event, it is "
            f"ak.{name}(events.Jet.pt, axis=1); a number for each event is events.event, and how "
            "many there are tells events.cutflow()."
        )
        raise LazyValueError(msg)


def _axis_and_depths(
    function: Any, given: tuple[Any, ...], options: Mapping[str, Any]
) -> tuple[Any, list[int]]:
    """The axis of a function, and how many dimensions its columns have."""
    bound = signature(function).bind(*given, **options)
    bound.apply_defaults()
    items: list[Any] = []
    for item in bound.arguments.values():
        if isinstance(item, Mapping):
            items += item.values()
        else:
            items += item if isinstance(item, list | tuple) else [item]
    depths = [item.ndim for item in items if isinstance(item, dak.Array)]
    return bound.arguments.get("axis", -1 if function is ak.run_lengths else None), depths


def _method(name: str) -> Any:
    """A method that is refused; other collections do as they always did."""

    def refuse() -> Any:
        raise LazyValueError(_no_value(f".{name}()", name if name == "to_numpy" else "to_layout"))

    def get(self: Any) -> Any:
        return refuse if is_ours(self) else self.__getattr__(name)

    return property(get)


def _no_value(what: str, name: str, used: str = "used in") -> str:
    used, instead = _OTHERWISE.get(name, (f"{used} {what}", _INSTEAD))
    return f"This lazy array has no value yet and cannot be {used}. {instead}."
