from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from lazyana.sinks.base import Place
from lazyana.sinks.sums import Sum, unite_sums

HERE = Place("dy", 0, "nominal", "dy.root", 0, 3)
WEIGHTS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

COLUMNS: list[tuple[Any, list[float]]] = [
    ([1, 2, 3], [1, 2, 3]),
    ([1.5, None, 3], [1.5, 0, 3]),
    ([[1, 2], [], [3]], [3, 0, 3]),
    ([[1, None], None, [3]], [1, 0, 3]),
    ([[[1, 2], [3]], [], [[]]], [6, 0, 0]),
    ([True, False, True], [1, 0, 1]),
]


@pytest.mark.parametrize("number", range(len(COLUMNS)))
def test_sum_of_columns(number: int) -> None:
    column, per_event = COLUMNS[number]
    plain = Sum(weighted=False).fill(HERE, None, ak.Array(column))
    np.testing.assert_array_equal(plain, [sum(per_event)])
    weighted = Sum().fill(HERE, WEIGHTS, ak.Array(column))
    np.testing.assert_allclose(weighted, np.array(per_event) @ WEIGHTS)
    unweighted = Sum(weighted=False).fill(HERE, WEIGHTS, ak.Array(column))
    np.testing.assert_array_equal(unweighted, [sum(per_event)])


def test_sum_of_weights() -> None:
    np.testing.assert_array_equal(Sum().fill(HERE, WEIGHTS, None), [9, 12])
    np.testing.assert_array_equal(Sum().fill(HERE, None, None), [3])


def test_sum_of_float32_genweights_of_many_partitions_is_float64() -> None:
    weight = np.float32(1234.5678)
    sink = Sum(weighted=False)
    states = [sink.fill(HERE, None, ak.Array(np.full(3, weight))) for _ in range(2_000)]
    assert {state.dtype for state in states} == {np.dtype(np.float64)}
    (total,) = sink.merge(states)
    assert total == pytest.approx(6_000 * float(weight), rel=1e-14)
    # What it would be otherwise.
    single = np.float32(0)
    for _ in range(2_000):
        single += 3 * weight
    assert single != pytest.approx(6_000 * float(weight), rel=1e-6)


def test_finish() -> None:
    sink = Sum(True, ("wUp",), ("jesUp", "jesDown"))
    states = {
        ("b", "nominal"): np.array([1.0, 2.0]),
        ("b", "jesUp"): np.array([3.0]),
        ("a", "nominal"): np.array([5.0, 6.0]),
    }
    assert sink.finish(states, ["b", "a", "c"]) == {
        "a": {"nominal": 5.0, "wUp": 6.0, "jesUp": 5.0, "jesDown": 5.0},
        "b": {"nominal": 1.0, "wUp": 2.0, "jesUp": 3.0, "jesDown": 1.0},
        "c": {"nominal": 0.0, "wUp": 0.0, "jesUp": 0.0, "jesDown": 0.0},
    }


def test_unweighted_sum_has_no_weight_variation() -> None:
    sink = Sum(False, ("wUp", "wDown"))
    value = sink.finish({("a", "nominal"): np.array([5.0])}, ["a"])
    assert value == {"a": {"nominal": 5.0, "wUp": 5.0, "wDown": 5.0}}


def test_unite() -> None:
    united = unite_sums([{"a": {"nominal": 1.0}}, {"b": {"nominal": 2.0}}, {"a": {"nominal": 3.0}}])
    assert united == {"a": {"nominal": 4.0}, "b": {"nominal": 2.0}}
