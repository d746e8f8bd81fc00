"""Axes that grow: what they cover, and how they go together."""

from __future__ import annotations

import math
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazyana.errors import RunError
from lazyana.sinks.growth import MOST, Anchored, grown, positions, settled, united, values_of

AXES: dict[str, Any] = {
    "regular": hist.axis.Regular(3, 0, 0.3, name="x", growth=True),
    "integer": hist.axis.Integer(2, 5, name="x", growth=True),
    "variable": hist.axis.Variable([0, 0.2, 7], name="x", growth=True),
    "intcat": hist.axis.IntCategory([4, 1], name="x", growth=True),
    "strcat": hist.axis.StrCategory(["b"], name="x", growth=True),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "regular": st.floats(-50, 50) | st.sampled_from([0.1, 0.2, 0.3, 0.6, math.inf, math.nan]),
    "integer": st.integers(-30, 30),
    "variable": st.floats(-50, 50) | st.sampled_from([0.0, 0.2, 7.0, -math.inf]),
    "intcat": st.integers(-3, 6),
    "strcat": st.sampled_from(["a", "b", "c", "long"]),
}


def arrays(kind: str) -> st.SearchStrategy[Any]:
    return st.lists(VALUES[kind], max_size=6).map(np.asarray)


# -- what is covered ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["regular", "integer", "intcat"])
@given(data=st.data())
def test_bins_are_those_of_hist(kind: str, data: st.DataObject) -> None:
    values = data.draw(arrays(kind))
    if kind == "regular":
        # Away from the edges, which boost-histogram computes anew whenever the axis grows.
        values = np.where(np.isfinite(values), np.floor(values * 10) / 10 + 0.05, values)
    theirs = hist.Hist(AXES[kind])
    for value in values:
        theirs.fill(value)
    axis = grown(AXES[kind], values)
    if kind == "intcat":
        assert list(axis)[:2] == [4, 1]
        assert set(axis) == set(theirs.axes[0])
        return
    assert axis.size == theirs.axes[0].size
    assert np.allclose(axis.edges, theirs.axes[0].edges)
    if kind == "regular":
        bins = Anchored(AXES[kind], axis).index(values.astype(float))
        found = np.bincount(bins.astype(int) + 1, minlength=axis.extent)
        assert found.tolist() == theirs.values(flow=True).tolist()


@pytest.mark.parametrize("kind", AXES)
@given(data=st.data())
def test_every_value_has_a_bin_of_its_own(kind: str, data: st.DataObject) -> None:
    values = data.draw(arrays(kind))
    axis = grown(AXES[kind], values)
    assert axis.traits.growth
    for value in values.tolist():
        if isinstance(value, float) and not math.isfinite(value):
            continue
        anchored = Anchored(AXES[kind], axis) if kind == "regular" else axis
        found = anchored.index(np.asarray([value]) if kind == "regular" else value)
        assert 0 <= int(np.ravel(found)[0]) < axis.size


def test_variable_axis_grows_by_one_bin_on_each_side() -> None:
    axis = grown(AXES["variable"], np.array([-1.5, -0.5, 8.0, 9.0, math.inf, math.nan]))
    assert axis.edges[:4].tolist() == [-1.5, 0, 0.2, 7]
    assert axis.edges[4] == math.nextafter(9.0, math.inf)
    assert axis.index(9.0) == 3
    assert grown(AXES["variable"], np.array([7.0])).size == 3


def test_new_labels_are_sorted() -> None:
    assert list(grown(AXES["strcat"], np.array(["c", "a", "b", "c"]))) == ["b", "a", "c"]
    assert list(grown(AXES["intcat"], np.array([True, False]))) == [4, 1, 0]


def test_what_does_not_grow_and_no_values_change_nothing() -> None:
    fixed = hist.axis.Regular(3, 0, 1, name="x")
    assert grown(fixed, np.array([5.0])) is fixed
    assert grown(AXES["regular"], np.array([])) is AXES["regular"]
    assert grown(AXES["regular"], np.array([math.nan])) is AXES["regular"]


def test_what_is_noted_of_an_axis_stays() -> None:
    axis = hist.axis.Regular(3, 0, 1, name="x", label="$x$", growth=True)
    axis.lim = [0, 1]
    assert grown(axis, np.array([2.0])).__dict__ == {"name": "x", "label": "$x$", "lim": [0, 1]}


@pytest.mark.parametrize(
    ("axis", "values", "match"),
    [
        ("regular", np.array([0.1, 1e9]), r"'x' would grow to 1e\+10 bins.*such as 1000000000.0"),
        ("regular", np.array([0.1, -1e9]), r"such as -1000000000.0"),
        ("integer", np.array([MOST + 10]), f"such as {MOST + 10}; {MOST} are the most"),
        ("intcat", np.arange(MOST + 10), "would grow to 100010 bins"),
    ],
)
def test_one_bad_value_does_not_fill_the_memory(axis: str, values: Any, match: str) -> None:
    with pytest.raises(RunError, match=match):
        grown(AXES[axis], values)


def test_values_are_those_of_chosen_events() -> None:
    column = ak.Array([[1, None], [], None, [7]])
    assert values_of(column).tolist() == [1, 7]
    assert values_of(column, np.array([True, True, True, False])).tolist() == [1]
    assert values_of(ak.Array(["a", None, "bc"])).tolist() == ["a", "bc"]
    assert values_of(np.array([1.5, 2.5]), np.array([False, True])).tolist() == [2.5]


# -- together ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", AXES)
@given(data=st.data())
def test_united_axes_are_those_of_all_values(kind: str, data: st.DataObject) -> None:
    axis, parts = AXES[kind], data.draw(st.lists(arrays(kind), min_size=1, max_size=4))
    whole = grown(axis, np.concatenate(parts)) if any(map(len, parts)) else axis
    several = [grown(axis, part) for part in parts]
    for order in (several, several[::-1]):
        together = axis
        for one in order:
            together = united(together, one)
        assert settled(together, axis) == whole


@pytest.mark.parametrize("kind", AXES)
@given(data=st.data())
def test_bins_keep_their_place(kind: str, data: st.DataObject) -> None:
    axis = AXES[kind]
    old, other = (grown(axis, data.draw(arrays(kind))) for _ in range(2))
    new = united(old, other)
    places = positions(old, new)
    assert len(set(places)) == old.extent
    flow = int(old.traits.underflow)
    for number, place in enumerate(places[flow : old.extent - flow]):
        if kind in ("intcat", "strcat"):
            assert new.bin(place) == old.bin(number)
        else:
            close = 1e-9 if kind == "regular" else 0
            assert new.edges[place - flow] <= old.edges[number] + close
            assert old.edges[number + 1] <= new.edges[place - flow + 1] + close
    if flow:
        assert (places[0], places[-1]) == (0, new.extent - 1)


@example(other=hist.axis.Regular(3, 0.05, 0.35, name="x", growth=True))
@example(other=hist.axis.Regular(4, 0, 0.3, name="x", growth=True))
@example(other=hist.axis.Regular(3, 0, 0.3, name="y", growth=True))
@example(other=hist.axis.Regular(3, 0, 0.3, name="x"))
@given(other=st.sampled_from([axis for kind, axis in AXES.items() if kind != "regular"]))
def test_other_axes_do_not_go_together(other: Any) -> None:
    assert united(AXES["regular"], other) is None
    assert united(other, AXES["regular"]) is None


@pytest.mark.parametrize(
    "edges", [[0, 7], [0.2, 7, 8], [-2, -1, 0, 0.2, 7], [0, 0.1, 0.2, 7], [0, 0.2, 7, 8, 9]]
)
def test_variable_axes_of_other_edges_do_not_go_together(edges: list[float]) -> None:
    other = hist.axis.Variable(edges, name="x", growth=True)
    if edges == [0.2, 7, 8]:  # one that begins later, and grew: nothing tells them apart
        assert united(AXES["variable"], other).edges.tolist() == [0, 0.2, 7, 8]
        return
    assert united(AXES["variable"], other) is None


def test_axes_that_do_not_grow_have_to_be_the_same() -> None:
    one, other = (hist.axis.Regular(3, 0, stop, name="x") for stop in (1, 2))
    assert united(one, other) is None
    assert united(one, one) is one
    assert positions(one, one) == [0, 1, 2, 3, 4]
