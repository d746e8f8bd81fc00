from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import pytest
from awkward.typetracer import typetracer_with_report
from hypothesis import given
from hypothesis import strategies as st

from lazyana.data.elementwise import Elementwise, _Parts

BEHAVIOR: dict[Any, Any] = {"a": object()}

UFUNCS = (
    *(np.add, np.subtract, np.multiply, np.divide, np.power, np.hypot, np.arctan2, np.maximum),
    *(np.greater, np.less_equal, np.equal, np.logical_and),
)


def same(one: Any, other: Any) -> bool:
    """Whether two arrays are equal in all that can be asked of them."""
    return (
        ak.array_equal(one, other, equal_nan=True, dtype_exact=True, check_parameters=True)
        and one.behavior == other.behavior
        and dict(one.attrs) == dict(other.attrs)
    )


@st.composite
def layouts(draw: st.DrawFn, counts: list[list[int]], values: int) -> Any:
    """Values nested in lists of some lengths, written in one of several ways."""
    dtype = draw(st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_]))
    data: npt.NDArray[Any] = np.asarray(
        draw(st.lists(st.integers(0, 5), min_size=values, max_size=values)), dtype=dtype
    )
    layout: Any = ak.contents.NumpyArray(
        data, parameters=draw(st.sampled_from([None, {"__doc__": "x"}, {"__doc__": "y"}]))
    )
    if draw(st.booleans()):
        order = draw(st.permutations(range(values)))
        index = np.empty(values, dtype=np.int64)
        index[order] = np.arange(values)
        layout = ak.contents.IndexedArray(
            ak.index.Index64(index), layout[np.asarray(order, dtype=np.int64)]
        )
    for level in counts:
        offsets = np.concatenate([[0], np.cumsum(np.asarray(level, dtype=np.int64))])
        kind = draw(st.sampled_from(["offsets", "longer", "shifted", "lists", "32 bits"]))
        if kind == "longer":  # lists beyond the end
            offsets = np.append(offsets, offsets[-1])[: len(offsets)]
        if kind == "shifted":
            front = layout[:1] if layout.length else layout
            offsets = offsets + front.length
            layout = ak.concatenate([front, layout], highlevel=False)
        if kind == "lists":
            starts, stops = map(ak.index.Index64, (offsets[:-1], offsets[1:]))
            layout = ak.contents.ListArray(starts, stops, layout)
        elif kind == "32 bits":
            layout = ak.contents.ListOffsetArray(ak.index.Index32(offsets.astype(np.int32)), layout)
        else:
            layout = ak.contents.ListOffsetArray(ak.index.Index64(offsets), layout)
    if draw(st.integers(0, 5)) == 0:
        layout = ak.contents.UnmaskedArray.simplified(layout)
    return layout


@st.composite
def arguments(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two columns of the same events, or a column and a number."""
    events = draw(st.integers(0, 4))
    depth = draw(st.integers(0, 2))
    counts: list[list[int]] = []
    size = events
    for _ in range(depth):
        counts.insert(0, draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)))
        size = sum(counts[0])
    attrs = st.sampled_from([None, {"x": 1}, {"x": 2}, {"y": 2}])
    behavior = st.sampled_from([None, BEHAVIOR])
    one = ak.Array(draw(layouts(counts, size)), behavior=draw(behavior), attrs=draw(attrs))
    number = draw(st.one_of(st.integers(0, 3), st.floats(0, 3), st.just(np.float32(1.5))))
    shallower = counts[1:] if depth else counts
    less = len(counts[0]) if depth else size
    other = draw(
        st.sampled_from(
            [
                number,
                ak.Array(draw(layouts(counts, size)), behavior=draw(behavior), attrs=draw(attrs)),
                ak.Array(
                    draw(layouts(shallower, less)), behavior=draw(behavior), attrs=draw(attrs)
                ),
            ]
        )
    )
    return draw(st.permutations([one, other]))  # type: ignore[return-value]


@given(arguments(), st.sampled_from(UFUNCS))
def test_equals_awkward(args: tuple[Any, Any], ufunc: np.ufunc) -> None:
    with np.errstate(all="ignore"):
        try:
            expected = ufunc(*args)
        except Exception as error:
            with pytest.raises(type(error)):
                Elementwise(ufunc)(*args)
            return
        assert same(Elementwise(ufunc)(*args), expected)


@given(arguments(), st.sampled_from((*UFUNCS, np.negative, np.isnan)))
def test_types_are_those_of_awkward(args: tuple[Any, Any], ufunc: np.ufunc) -> None:
    """Of arrays without data the type is that of awkward, and the same buffers are touched."""
    found = []
    for function in (Elementwise(ufunc), ufunc):
        traced, reports = [], []
        for arg in args[: ufunc.nin]:
            if not isinstance(arg, ak.Array):
                traced.append(arg)
                continue
            form = arg.layout.form_with_key("{id}")
            array, report = typetracer_with_report(
                form, highlevel=True, behavior=arg.behavior, attrs=arg.attrs
            )
            traced.append(array)
            reports.append(report)
        if not reports:
            return
        try:
            result = function(*traced)
        except Exception as error:
            found.append(type(error))
            continue
        found.append(
            (
                result.type.content,
                ak.backend(result),
                result.behavior,
                dict(result.attrs),
                [(set(one.data_touched), set(one.shape_touched)) for one in reports],
            )
        )
    assert found[0] == found[1]


def taken(*args: Any) -> bool:
    parts = _Parts()
    return all(map(parts.take, args)) and bool(parts.arrays)


def test_which_arguments_go_the_short_way() -> None:
    flat, lists = ak.Array([1.0, 2.0]), ak.Array([[1.0], [2.0, 3.0]])
    assert taken(flat, 1)
    assert taken(2.5, lists)
    assert taken(lists, lists * 2)
    assert taken(ak.Array([[[1], []], []]), 1)
    assert not taken(flat, lists)  # to be repeated for the objects
    assert not taken(lists, ak.Array([[1.0, 3.0], [2.0]]))
    assert not taken(flat, ak.Array([1.0]))
    assert not taken(ak.Array([1.0, None]), 1)
    assert not taken(ak.Array(["a", "b"]), 1)
    assert not taken(ak.Array([{"x": 1}]), 1)
    assert not taken(ak.to_regular(ak.Array([[1], [2]])), 1)
    assert not taken(ak.with_named_axis(lists, ("event", "jet")), 1)
    assert not taken(flat, ak.to_backend(flat, "typetracer"))
    assert not taken(flat, np.array([1.0, 2.0]))
    assert not taken(1, 2)


def test_methods_of_records_are_those_of_awkward() -> None:
    behavior = {(np.absolute, "point"): lambda point: point.x}
    points = ak.Array([{"x": 3.0}], with_name="point", behavior=behavior)
    assert Elementwise(np.absolute)(points).to_list() == [3.0]


def test_lists_of_another_length_are_refused_as_by_awkward() -> None:
    with pytest.raises(ValueError, match="cannot broadcast"):
        Elementwise(np.add)(ak.Array([[1], [2]]), ak.Array([[1, 2], [3]]))


def test_division_by_zero_warns_of_nothing() -> None:
    assert Elementwise(np.divide)(ak.Array([1.0]), 0).to_list() == [np.inf]
