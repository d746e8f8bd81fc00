from __future__ import annotations

import copy
import pickle
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lazyana.sinks.base import Membership, Place, plain
from lazyana.sinks.cutflow import Stages
from lazyana.sinks.histogram import Histogram
from lazyana.sinks.sums import Sum


@given(hnp.arrays(bool, st.tuples(st.integers(1, 140), st.integers(0, 6))), st.integers(0, 2))
def test_membership_says_what_the_masks_say(matrix: Any, repeats: int) -> None:
    matrix = np.repeat(matrix, 1 + repeats, axis=1)  # also events of the same kind
    membership = Membership.from_masks(list(matrix))
    assert membership.kind.dtype == np.int64
    assert membership.events == matrix.shape[1]
    np.testing.assert_array_equal(membership.sets[membership.kind], matrix.T)
    # The rows are all kinds there are, in their order: the masks alone decide on the numbers.
    rows = sorted({tuple(row) for row in matrix.T.tolist()})
    assert membership.sets.tolist() == [list(row) for row in rows]


@pytest.mark.parametrize("chance", [0.001, 0.1, 0.5])
def test_membership_of_many_categories(chance: float) -> None:
    """More kinds than fit into a table of all possible ones, and far fewer."""
    masks = np.random.default_rng(1).random((100, 40_000)) < chance
    membership = Membership.from_masks(list(masks))
    np.testing.assert_array_equal(membership.sets[membership.kind], masks.T)
    assert len(membership.sets) == len(np.unique(masks, axis=1).T)


@given(
    st.lists(st.none() | st.floats(width=32), max_size=6),
    st.sampled_from([(np.float64, np.nan), (np.bool_, False), (np.int64, 7)]),
    st.booleans(),
)
def test_plain_is_fill_none(values: list[Any], kind: tuple[Any, Any], bits: bool) -> None:
    dtype, missing = kind
    if dtype is np.int64:
        values = [value if value is None else hash(value) % 9 for value in values]
    some = ak.values_astype(ak.Array([*values, None, 1.0])[:-2], np.float32)
    forms = [some, ak.drop_none(some), some[::-1], ak.Array(np.zeros(3))]
    packed = ak.Array(some.layout.to_BitMaskedArray(True, True)) if bits else some
    index = ak.index.Index64(np.array([1, 0, 1]))
    forms += [packed, ak.Array(ak.contents.IndexedArray(index, ak.to_layout(np.array([3.0, 0.0]))))]
    for column in forms:
        expected = ak.to_numpy(ak.fill_none(ak.values_astype(column, dtype), missing))
        ours = plain(column, missing, dtype)
        assert ours.dtype == dtype
        np.testing.assert_array_equal(ours, expected)


def test_place_counts_notes() -> None:
    place = Place("dy", 3, "nominal", "dy.root", 10, 15)
    assert place.entries == 5
    place.note("odd", 2)
    place.note("odd", 1)
    assert place.notes == {"odd": 3}
    assert place == Place("dy", 3, "nominal", "dy.root", 10, 15)


AXIS = hist.axis.Regular(3, 0, 3, name="x")
WEIGHTS = np.arange(6.0).reshape(3, 2)
MEMBERS = Membership.from_masks([np.array([True, False, True])])
X = ak.Array([0.5, 1.5, 2.5])

SINKS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "histogram": (Histogram((AXIS,), ("a",), ("wUp",)), (WEIGHTS, MEMBERS, X)),
    "cutflow": (Stages(("cut",), ("a",), ("wUp",)), (MEMBERS, X > 0, None, WEIGHTS)),
    "sum": (Sum(weight_variations=("wUp",)), (WEIGHTS, X)),
}


@pytest.mark.parametrize("name", SINKS)
def test_merge_leaves_its_states_alone(name: str) -> None:
    """A scheduler may run a merge again, and equal outputs may share a state."""
    sink, columns = SINKS[name]
    place = Place("dy", 0, "nominal", "dy.root", 0, 3)
    states = [sink.fill(place, *columns) for _ in range(3)]
    before = copy.deepcopy(states)
    once = copy.deepcopy(sink.merge(states))
    for state, old in zip(states, before, strict=True):
        np.testing.assert_array_equal(state, old)
    np.testing.assert_array_equal(sink.merge(states), once)
    left = sink.merge([sink.merge(states[:2]), states[2]])
    np.testing.assert_allclose(left, once)


@pytest.mark.parametrize("name", SINKS)
def test_states_and_sinks_travel(name: str) -> None:
    sink, columns = SINKS[name]
    state = sink.fill(Place("dy", 0, "nominal", "dy.root", 0, 3), *columns)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(state)), state)
    again = pickle.loads(pickle.dumps(sink))
    assert again.kind == sink.kind


@pytest.mark.parametrize("name", SINKS)
def test_dataset_without_partitions_is_empty(name: str) -> None:
    sink, columns = SINKS[name]
    state = sink.fill(Place("dy", 0, "nominal", "dy.root", 0, 3), *columns)
    value = sink.finish({("dy", "nominal"): state}, ["dy", "empty"])
    if isinstance(value, hist.Hist):
        assert value[{"dataset": "empty"}].sum(flow=True).value == 0
    elif isinstance(value, dict):
        assert value["empty"] == {"nominal": 0.0, "wUp": 0.0}
    else:
        assert value.count("cut", "empty") == 0
