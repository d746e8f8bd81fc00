"""Arithmetic of plain columns by numpy, without the way through awkward.

awkward finds out for every operation how its arguments are nested, what methods they have and how
they fit together, about a millisecond, which is more than the arithmetic takes. For numbers and
lists of numbers of one shape there is nothing to find out; nor is there for arrays without data,
of which only the type is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from awkward._nplikes.shape import unknown_length

from lazyana.data.overloaded import merged_attrs, overloaded

_LISTS = (ak.contents.ListOffsetArray, ak.contents.ListArray)
_SCALARS = (bool, int, float, np.number, np.bool_)
# Parameters that say nothing of how an array behaves.
_DESCRIPTIONS = frozenset({"__doc__", "typename"})


@dataclass(frozen=True)
class Elementwise:
    """A function of numpy that works value by value.

    Attributes
    ----------
    function
        It, with one result.
    """

    function: np.ufunc

    def __call__(self, *args: Any) -> Any:
        """What the function gives for arrays, as awkward would have it.

        Of arrays without data, whose buffers then are touched, an array without data.
        """
        parts = _Parts()
        if all(map(parts.take, args)) and parts.arrays:
            return parts.wrapped(self.function)
        found = overloaded(self.function, args) if _are_records_without_data(args) else None
        return self.function(*args) if found is None else found


def is_elementwise(function: np.ufunc) -> bool:
    """Whether a function works value by value and has one result."""
    return function.nout == 1 and function.signature is None


class _Parts:
    """The flat values of some arguments, and how they are nested."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.arrays: list[ak.Array] = []
        self._nests: list[list[Any]] = []
        self._length = 0

    def take(self, arg: Any) -> bool:
        """Take an argument in; False where awkward has to look at it."""
        if isinstance(arg, _SCALARS):
            self.values.append(arg)
            return True
        if not isinstance(arg, ak.Array) or "__named_axis__" in arg.attrs:
            return False
        values, nest = _opened(arg.layout) if has_data(arg) else _typed(arg.layout)
        if values is None:
            return False
        if self.arrays and not self._fits(arg, nest, len(values)):
            return False
        self._length = len(values)
        self._nests.append(nest)
        self.arrays.append(arg)
        self.values.append(values)
        return True

    def _fits(self, arg: ak.Array, nest: list[Any], length: int) -> bool:
        """Whether another array is of the kind of those there are."""
        first = self.arrays[0]
        if has_data(first) != has_data(arg) or length != self._length:
            return False
        if arg.behavior is not first.behavior and arg.behavior != first.behavior:
            return False
        return _same_nest(nest, self._nests[0])

    def wrapped(self, function: np.ufunc) -> ak.Array:
        """The result of a function of the values, nested as the arguments are."""
        with np.errstate(all="ignore"):
            layout: Any = function(*self.values)
        if not has_data(self.arrays[0]):
            for array in self.arrays:
                array.layout._touch_data(recursive=True)
            outer, numbers = self.arrays[0].layout, self._nests[0][0]
            length = unknown_length if outer.is_list else outer.length
            layout = numbers.backend.nplike.empty((length,), dtype=layout.dtype)
        for level in zip(*self._nests, strict=True):
            parameters = _common(level)
            if level[0].is_list:
                layout = ak.contents.ListOffsetArray(
                    level[0].offsets, layout, parameters=parameters
                )
            else:
                layout = ak.contents.NumpyArray(layout, parameters=parameters)
        attrs = merged_attrs(self.arrays)
        return ak.Array(layout, behavior=self.arrays[0].behavior, attrs=attrs or None)


def _are_records_without_data(args: Iterable[Any]) -> bool:
    """Whether some arguments are records with a name, none of which has data, and else numbers."""
    arrays = [arg for arg in args if not isinstance(arg, _SCALARS)]
    return bool(arrays) and all(
        isinstance(one, ak.Array)
        and not has_data(one)
        and one.layout.purelist_parameter("__record__") is not None
        for one in arrays
    )


def has_data(array: ak.Array) -> bool:
    """Whether an array has values, not only a type."""
    # Fifty times as quick as `ak.backend`.
    return bool(array.layout.backend.nplike.known_data)


def _opened(layout: Any) -> tuple[npt.NDArray[Any] | None, list[Any]]:
    """The flat values of a layout and the layouts it is nested of, the innermost first.

    No values are given where they are not all there one after the other, or are more than numbers.
    """
    nest: list[Any] = []
    length = layout.length
    while isinstance(layout, ak.contents.ListOffsetArray):
        offsets = layout.offsets.data
        if type(offsets) is not np.ndarray or offsets.dtype != np.int64 or offsets[0] != 0:
            return None, nest
        if not _is_plain(layout.parameters) or offsets[length] != offsets[-1]:
            return None, nest
        length = int(offsets[-1])
        nest.insert(0, layout)
        layout = layout.content
    index = None
    if type(layout) is ak.contents.IndexedArray and _is_plain(layout.parameters):
        index, layout = layout.index.data, layout.content
    if not isinstance(layout, ak.contents.NumpyArray) or not _is_plain(layout.parameters):
        return None, nest
    values = layout.data
    if type(values) is not np.ndarray or values.ndim != 1:
        return None, nest
    nest.insert(0, layout)
    return (values[:length] if index is None else values[index[:length]]), nest


def _typed(layout: Any) -> tuple[npt.NDArray[Any] | None, list[Any]]:
    """No values, of the type of those of an array without data, and what it is nested of."""
    nest: list[Any] = []
    while isinstance(layout, _LISTS) and _is_plain(layout.parameters):
        lists = _offset(layout)
        if lists.offsets.dtype != np.int64:
            return None, nest
        nest.insert(0, lists)
        layout = layout.content
    if type(layout) is ak.contents.IndexedArray and _is_plain(layout.parameters):
        layout = layout.content
    if not isinstance(layout, ak.contents.NumpyArray) or not _is_plain(layout.parameters):
        return None, nest
    if len(layout.inner_shape):
        return None, nest
    nest.insert(0, layout)
    return np.empty(0, layout.dtype), nest


def _offset(lists: Any) -> Any:
    """Lists without data, known by their offsets."""
    if isinstance(lists, ak.contents.ListOffsetArray):
        return lists
    offsets = lists.backend.nplike.empty((lists.length + 1,), dtype=lists.starts.dtype)
    return ak.contents.ListOffsetArray(
        ak.index.Index(offsets), lists.content, parameters=lists.parameters
    )


def _same_nest(one: list[Any], other: list[Any]) -> bool:
    """Whether two columns have the same lists."""
    return len(one) == len(other) and all(
        mine.offsets is its.offsets
        or not mine.offsets.nplike.known_data
        or np.array_equal(mine.offsets.data, its.offsets.data)
        for mine, its in zip(one[1:], other[1:], strict=True)
    )


def _is_plain(parameters: Iterable[str]) -> bool:
    """Whether parameters of a layout are mere descriptions."""
    return _DESCRIPTIONS.issuperset(parameters)


def _common(layouts: Sequence[Any]) -> Mapping[str, Any] | None:
    """The parameters that layouts agree on."""
    first, *others = (layout.parameters for layout in layouts)
    return {
        name: value
        for name, value in first.items()
        if all(other.get(name) == value for other in others)
    } or None
