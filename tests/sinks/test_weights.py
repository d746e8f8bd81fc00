from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.errors import InputTypeError, RunError
from lazyana.sinks.base import Place
from lazyana.sinks.weights import CategoryMasks, FactorShape, WeightMatrix, check_weight


def place(entries: int = 3) -> Place:
    return Place("dy", 0, "nominal", "dy.root", 100, 100 + entries)


@given(
    counts=st.lists(st.integers(0, 3), min_size=1, max_size=5),
    events=st.integers(0, 6),
    seed=st.integers(0, 1000),
)
def test_matrix_is_the_products_by_hand(counts: list[int], events: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = [rng.normal(1, 0.5, (1 + count, events)) for count in counts]
    shapes = tuple(
        FactorShape(f"w{i}", tuple(f"w{i}_{j}" for j in range(count)))
        for i, count in enumerate(counts)
    )
    columns = [ak.from_numpy(row) for value in values for row in value]
    matrix = WeightMatrix(shapes)(place(events), None, *columns)
    expected = [np.prod([value[0] for value in values], axis=0)]
    for i, value in enumerate(values):
        others = np.prod([v[0] for k, v in enumerate(values) if k != i], axis=0)
        expected += [others * row for row in value[1:]]
    assert matrix.shape == (events, 1 + sum(counts))
    assert matrix.dtype == np.float64
    np.testing.assert_allclose(matrix, np.array(expected).T, rtol=1e-14)


def test_nominal_is_the_same_bits_in_a_variation() -> None:
    rng = np.random.default_rng(1)
    shapes = (FactorShape("a", ("aUp",)), FactorShape("b", ("bUp", "bDown")), FactorShape("c"))
    columns = [ak.from_numpy(rng.random(20)) for _ in range(6)]
    matrix = WeightMatrix(shapes)
    lean, kept = matrix.in_variation("jesUp", columns)
    full = matrix(place(20), None, *columns)
    np.testing.assert_array_equal(lean(place(20), None, *kept)[:, 0], full[:, 0])


def test_numbers_and_one_sided_variations() -> None:
    shapes = (FactorShape("lumi", ("lumiUp",)), FactorShape("gen"))
    matrix = WeightMatrix(shapes)(place(), None, 2, 3.0, ak.Array([1, -1, 2]))
    np.testing.assert_array_equal(matrix, [[2, 3], [-2, -3], [4, 6]])


def test_no_factor_is_one() -> None:
    np.testing.assert_array_equal(WeightMatrix(())(place(), None), np.ones((3, 1)))


def test_length_is_that_of_the_events_selected() -> None:
    like = ak.Array([True, True])
    matrix = WeightMatrix((FactorShape("lumi"),))(place(), like, 2)
    np.testing.assert_array_equal(matrix, [[2], [2]])


@pytest.mark.parametrize("kind", [np.float32, np.int64, bool])
def test_other_types_of_numbers(kind: Any) -> None:
    column = ak.Array(np.array([0, 1, 1], dtype=kind))
    np.testing.assert_array_equal(
        WeightMatrix((FactorShape("w"),))(place(), None, column)[:, 0], [0, 1, 1]
    )


@pytest.mark.parametrize(
    "column",
    [[1.0, None, 2.0], [1.0, np.nan, 2.0], [1, None, 2], [True, None, True], [1.0, np.inf, 2.0]],
)
def test_policies(column: list[Any]) -> None:
    array = ak.Array(column)
    with pytest.raises(RunError, match=r"'w' \(wUp\) is not finite for 1 of 3.*number 1 of"):
        WeightMatrix((FactorShape("w", ("wUp",)),))(place(), None, 1, array)
    for policy, word in (("zero", "set to zero"), ("keep", "kept")):
        here = place()
        matrix = WeightMatrix((FactorShape("w", nan=policy),))(here, None, array)  # type: ignore[arg-type]
        bad = matrix[1, 0]
        assert bad == 0 if policy == "zero" else not np.isfinite(bad)
        assert matrix[0, 0] == 1
        assert here.notes == {f"weight 'w' (nominal) not finite, {word}": 1}


def test_message_tells_the_variation() -> None:
    with pytest.raises(RunError, match="in variation jesUp is not finite"):
        WeightMatrix((FactorShape("w"),), "jesUp")(place(), None, np.nan)


@pytest.mark.parametrize("column", [[1.0], [1.0, 2.0, 3.0, 4.0]])
def test_wrong_length(column: list[float]) -> None:
    with pytest.raises(RunError, match=r"'w' \(nominal\) has shape .* for 3 events"):
        WeightMatrix((FactorShape("w"),))(place(), None, ak.Array(column))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (ak.Array([{"x": 1}]), "record"),
        (ak.Array([[1.0]]), "axis=1"),
        (ak.Array(["a"]), "(text|several)"),
        (ak.Array([1j]), "real number"),
        ("1", "str"),
        (np.str_("1"), "str_"),
        (np.complex128(1), "complex128"),
        (np.ones(3), "ndarray"),
    ],
)
def test_what_cannot_be_a_weight(column: Any, message: str) -> None:
    with pytest.raises(InputTypeError, match=message):
        check_weight("w", "nominal", column)


@pytest.mark.parametrize(
    "column", [1, 2.5, True, np.float32(1), ak.Array([1, 2]), ak.Array([1.0, None])]
)
def test_what_can_be_a_weight(column: Any) -> None:
    check_weight("w", "nominal", column)


@given(
    masks=st.lists(
        st.lists(st.sampled_from([True, False, None]), min_size=4, max_size=4),
        min_size=1,
        max_size=80,
    ),
    seed=st.integers(0, 100),
)
def test_categories_are_products_of_masks(masks: list[list[bool | None]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = tuple(
        tuple(int(i) for i in rng.integers(0, len(masks), rng.integers(1, 4))) for _ in range(70)
    )
    names = tuple(f"c{i}" for i in range(len(parts)))
    membership = CategoryMasks(names, parts)(*(ak.Array(mask) for mask in masks))
    for event in range(4):
        expected = [i for i, part in enumerate(parts) if all(masks[k][event] is True for k in part)]
        assert np.flatnonzero(membership.sets[membership.kind[event]]).tolist() == expected


def test_categories_of_no_events() -> None:
    membership = CategoryMasks(("a",), ((0,),))(ak.Array(np.zeros(0, dtype=bool)))
    assert membership.events == 0
    assert membership.sets.shape == (0, 1)
