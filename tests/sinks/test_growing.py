"""Histograms with axes that grow, against hist and in any partition."""

from __future__ import annotations

import pickle
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.errors import RunError
from lazyana.sinks.base import Membership, Place, Sink
from lazyana.sinks.growing import GrowingHistogram, Grown
from lazyana.sinks.histogram import merge_histograms
from lazyana.sinks.unite import Filled, finish

N = hist.axis.Integer(0, 3, name="n", growth=True)
PT = hist.axis.Regular(2, 0, 20, name="pt", growth=True)
NAME = hist.axis.StrCategory(["mu"], name="name", growth=True)
FIXED = hist.axis.Regular(2, 0, 1, name="x")
HERE = Place("dy", 0, "nominal", "dy.root", 0, 10)


def fill(sink: GrowingHistogram, *columns: Any, **given: Any) -> Grown:
    return sink.fill(HERE, given.get("weights"), given.get("membership"), *columns)


def result(sink: GrowingHistogram, *states: Grown) -> Any:
    one = sink.merge(states) if len(states) > 1 else states[0]
    return sink.finish({("dy", "nominal"): one}, ["dy"])


def test_it_is_a_sink() -> None:
    sink: Sink = GrowingHistogram((N,))
    assert sink.kind == "hist"


@given(
    rows=st.lists(
        st.tuples(st.lists(st.integers(-8, 8), max_size=3), st.sampled_from(["mu", "e", "tau"])),
        min_size=1,
        max_size=8,
    ),
    cut=st.integers(0, 8),
)
def test_any_partitioning_gives_the_histogram_of_hist(rows: list[Any], cut: int) -> None:
    sink = GrowingHistogram((N, PT, NAME), ("odd", "all"))
    theirs = hist.Hist(hist.axis.StrCategory(["all", "odd"]), N, PT, NAME, storage="weight")
    parts = []
    for part in (rows[:cut], rows[cut:]):
        numbers = ak.values_astype(ak.Array([one for one, _ in part] or [[]])[: len(part)], "int64")
        names = ak.Array([name for _, name in part] or [""])[: len(part)]
        odd = np.array([len(one) % 2 == 1 for one, _ in part], dtype=bool)
        membership = Membership.from_masks([odd, np.ones(len(part), dtype=bool)])
        weights = np.array([[len(name)] for _, name in part], dtype=float).reshape(-1, 1)
        pt = numbers * 10.0 + 5
        parts.append(fill(sink, numbers, pt, names, weights=weights, membership=membership))
    for numbers, name in rows:
        for category in ["all"] + ["odd"] * (len(numbers) % 2):
            for number in numbers:
                theirs.fill(category, number, number * 10.0 + 5, name, weight=len(name))
    found = result(sink, *parts)["dy", :, "nominal", ...]
    if not any(numbers for numbers, _ in rows):
        assert found.sum(flow=True).value == 0
        return
    assert (found.axes[1], found.axes[2].size) == (theirs.axes[1], theirs.axes[2].size)
    order = [
        list(theirs.axes[3]).index(label) for label in found.axes[3] if label in theirs.axes[3]
    ]
    kept = [label in theirs.axes[3] for label in found.axes[3]]
    for what in ("values", "variances"):
        mine, its = getattr(found, what)(flow=True), getattr(theirs, what)(flow=True)
        assert np.array_equal(mine[..., kept], its[:2][..., order])
        assert not mine[..., np.logical_not(kept)].any()  # those of events without numbers


def test_events_of_no_category_make_no_bins() -> None:
    sink = GrowingHistogram((N, NAME), ("none", "first"), category_positions=None)
    membership = Membership.from_masks([np.array([False, False]), np.array([True, False])])
    found = result(sink, fill(sink, np.array([4, 50]), ak.Array(["e", "x"]), membership=membership))
    assert list(found.axes["name"]) == ["mu", "e"]
    assert found.axes["n"].size == 5
    only = GrowingHistogram((N,), ("none",), category_positions=(0,))
    empty = result(only, fill(only, np.array([4, 50]), membership=membership))
    assert empty.axes["n"].size == 3
    codes = hist.axis.IntCategory([], name="code", growth=True)
    none = GrowingHistogram((codes,), ("none",), category_positions=(0,))
    assert result(none, fill(none, np.array([4, 50]), membership=membership)).size == 0


def test_axes_beside_those_that_grow_stay() -> None:
    sink = GrowingHistogram((FIXED, N))
    found = result(
        sink,
        fill(sink, np.array([0.1, 5.0]), np.array([1, 7])),
        fill(sink, np.array([-1.0]), np.array([-2])),
    )
    assert (found.axes["x"], found.axes["n"]) == (
        FIXED,
        hist.axis.Integer(-2, 8, name="n", growth=True),
    )
    filled = found.values(flow=True)[0, 0, 0]
    assert np.argwhere(filled).tolist() == [[0, 0], [1, 3], [3, 9]]


def test_variations_and_datasets_have_the_same_axis() -> None:
    sink = GrowingHistogram((N,), shape_variations=("jesUp", "jesDown"))
    states = {
        ("dy", "nominal"): fill(sink, np.array([1])),
        ("dy", "jesUp"): fill(sink, np.array([5])),
        ("tt", "nominal"): fill(sink, np.array([-1])),
    }
    found = sink.finish(states, ["dy", "tt"])
    assert list(found.axes["n"].edges) == list(range(-1, 7))
    assert found["dy", 0, :, :].values().nonzero()[1].tolist() == [2, 2, 6]  # nominal, Down, Up


def test_states_travel_and_stay() -> None:
    sink = GrowingHistogram((PT,))
    states = [fill(sink, np.array([value])) for value in (1.0, 55.0)]
    sent = pickle.loads(pickle.dumps(states))
    assert result(sink, *sent) == result(sink, *states) == result(sink, *states)
    assert states[0].axes == (PT,)


def test_groups_of_datasets_are_united() -> None:
    sinks = [GrowingHistogram((PT,)), GrowingHistogram((PT,))]
    parts = [
        Filled(sink, {(name, "nominal"): fill(sink, np.array([value]))}, (name,))
        for sink, name, value in zip(sinks, ("dy", "tt"), (35.0, -5.0), strict=True)
    ]
    found = finish(parts)
    assert found.axes["pt"].edges.tolist() == [-10, 0, 10, 20, 30, 40]
    assert found["dy", 0, 0, :].values().tolist() == [0, 0, 0, 0, 1]
    assert found["tt", 0, 0, :].values().tolist() == [1, 0, 0, 0, 0]
    other = GrowingHistogram((hist.axis.Regular(3, 0, 20, name="pt", growth=True),))
    with pytest.raises(ValueError, match="different axes cannot be merged"):
        merge_histograms([found, result(other, fill(other, np.array([1.0])))])


def test_what_does_not_fit_is_refused() -> None:
    sink = GrowingHistogram((N,))
    other = GrowingHistogram((PT,))
    with pytest.raises(RunError, match="different axes"):
        sink.merge([fill(sink, np.array([1])), fill(other, np.array([1.0]))])
    with pytest.raises(RunError, match="'n' would grow to 1e"):
        fill(sink, np.array([10**9]))
    with pytest.raises(RunError, match="different numbers of events"):
        fill(GrowingHistogram((N, PT)), np.array([1]), np.array([1.0, 2.0]))
