from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.physics.vectors import (
    MOMENTUM,
    PAIR,
    Momenta,
    Objects,
    difference_of_phi,
    elementwise,
    flattened,
    offsets,
    records,
)

NAN = math.nan


def flat_muons(events: ak.Array) -> tuple[Any, Momenta]:
    muons = ak.flatten(events.Muon)
    return muons, Momenta(*(ak.to_numpy(muons[name]) for name in MOMENTUM))


def test_components_are_those_of_vector(eager_events: ak.Array) -> None:
    muons, made = flat_muons(eager_events)
    assert len(muons) > 100
    for found, name in zip(made.cartesian, "xyzt", strict=True):
        expected = ak.to_numpy(getattr(muons, name))
        assert found.dtype == expected.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_sums_and_distances_are_those_of_vector(eager_events: ak.Array) -> None:
    muons, made = flat_muons(eager_events)
    first, second = (Momenta(*(getattr(made, n)[k::2][:50] for n in MOMENTUM)) for k in (0, 1))
    expected = muons[0::2][:50] + muons[1::2][:50]
    pair = first + second
    for name in MOMENTUM:
        plain = ak.to_numpy(getattr(expected, name))
        np.testing.assert_allclose(getattr(pair, name), plain, rtol=1e-5, atol=1e-6)
    distance = muons[0::2][:50].delta_r(muons[1::2][:50])
    np.testing.assert_allclose(first.delta_r(second), ak.to_numpy(distance), rtol=1e-6)
    phi = muons[0::2][:50].delta_phi(muons[1::2][:50])
    np.testing.assert_allclose(first.delta_phi(second), ak.to_numpy(phi), rtol=1e-5, atol=1e-6)


numbers = st.floats(-5, 5)


@given(st.floats(1, 500), numbers, st.floats(-3.1, 3.1), st.floats(0, 100))
def test_a_momentum_is_what_its_components_make(
    pt: float, eta: float, phi: float, mass: float
) -> None:
    given_one = Momenta(*(np.array([value]) for value in (pt, eta, phi, mass)))
    back = Momenta.from_cartesian(*given_one.cartesian)
    energy = given_one.cartesian[3][0]
    for name in ("pt", "eta", "phi"):
        found = getattr(back, name)[0]
        assert found == pytest.approx(getattr(given_one, name)[0], rel=1e-9, abs=1e-9)
    assert back.mass[0] ** 2 == pytest.approx(mass**2, abs=1e-12 * energy**2)


def test_what_has_no_transverse_momentum() -> None:
    zero, one = np.zeros(3, np.float32), np.array([0, 1, -1], np.float32)
    made = Momenta.from_cartesian(zero, zero, one, np.abs(one))
    assert made.eta.tolist() == [0, math.inf, -math.inf]
    assert made.eta.dtype == np.float32
    assert made.pt.tolist() == made.mass.tolist() == [0, 0, 0]


def test_a_mass_is_negative_where_its_square_is() -> None:
    made = Momenta.from_cartesian(*(np.array([x]) for x in (3.0, 0.0, 0.0, 2.0)))
    assert made.mass[0] == pytest.approx(-math.sqrt(5))


def test_difference_of_phi_is_within_half_a_turn() -> None:
    difference = difference_of_phi(np.array([3.0, -3.0, 1.0]), np.array([-3.0, 3.0, 0.5]))
    np.testing.assert_allclose(difference, [6 - 2 * np.pi, 2 * np.pi - 6, 0.5])


lists = st.lists(st.lists(st.none() | st.floats(-9, 9, width=32), max_size=4), max_size=5)


@given(lists)
def test_lists_are_flattened(values: list[list[float | None]]) -> None:
    column = ak.values_astype(ak.Array(values), np.float32, including_unknown=True)
    if not values:
        column = ak.Array([[1.0]])[:0]
    lengths, flat = flattened(column, NAN)
    assert lengths.tolist() == [len(each) for each in values]
    expected = [NAN if x is None else x for each in values for x in each]
    np.testing.assert_array_equal(flat, np.array(expected, flat.dtype))
    lengths, flat = flattened(column)
    assert lengths.tolist() == [sum(x is not None for x in each) for each in values]
    assert flat.tolist() == [x for each in values for x in each if x is not None]


@pytest.mark.parametrize("select", [[2, 0, 1], [True, False, True], slice(1, None)])
def test_lists_are_flattened_wherever_they_are(select: Any) -> None:
    column = ak.Array([[1.0, 2.0], [], [3.0]])[select]
    lengths, flat = flattened(column)
    assert lengths.tolist() == [len(each) for each in column.to_list()]
    expected = [x for each in column.to_list() for x in each]
    assert flat.tolist() == expected
    lengths, flat = flattened(column[column > 1])
    assert flat.tolist() == [x for x in expected if x > 1]


def test_an_event_without_a_list_has_nothing() -> None:
    lengths, flat = flattened(ak.Array([[1.0], None, [2.0, 3.0]]))
    assert (lengths.tolist(), flat.tolist()) == ([1, 0, 2], [1, 2, 3])


def test_flattening_keeps_the_type_of_the_values() -> None:
    column = ak.values_astype(ak.Array([[1.5, None]]), np.float32)
    assert flattened(column, NAN)[1].dtype == np.float32
    assert flattened(ak.Array([[1, None]]), NAN)[1].dtype == np.float64


def test_objects_of_which_something_is_missing_are_left_out() -> None:
    made = Objects.of(("pt", "tag"), [ak.Array([[1.0, None, 3.0]]), ak.Array([[None, 5.0, 6.0]])])
    assert made.counts.tolist() == [1]
    assert {name: flat.tolist() for name, flat in made.values.items()} == {"pt": [3], "tag": [6]}


@given(lists, st.randoms())
def test_objects_follow_others_event_by_event(values: list[Any], random: Any) -> None:
    one = [[x for x in each if x is not None] for each in values] or [[]]
    other = [[x + 100 for x in each if random.random() < 0.5] for each in one]
    columns = (
        ak.values_astype(ak.Array(v), np.float64, including_unknown=True) for v in (one, other)
    )
    first, second = (Objects.of(("pt",), [column]) for column in columns)
    joined = first.followed_by(second)
    assert joined.counts.tolist() == [len(a) + len(b) for a, b in zip(one, other, strict=True)]
    assert joined.values["pt"].tolist() == [
        x for a, b in zip(one, other, strict=True) for x in a + b
    ]


def test_offsets_are_where_lists_begin() -> None:
    assert offsets(np.array([2, 0, 3])).tolist() == [0, 2, 2, 5]


def test_a_function_of_flat_arrays_takes_any_shape() -> None:
    def both(a: Any, b: Any) -> Any:
        return a + b, a * b

    sums, products = elementwise(both, ak.Array([[1, 2], [], [None, 3]]), ak.Array([10, 20, 30]))
    assert sums.to_list() == [[11, 12], [], [None, 33]]
    assert products.to_list() == [[10, 20], [], [None, 90]]
    assert elementwise(np.add, ak.Array([1, None]), ak.Array([1, 1])).to_list() == [2, None]


@pytest.fixture
def pair() -> ak.Array:
    fields = {name: np.array([1.0, 2.0]) for name in (*MOMENTUM, "deltaR")}
    return records({**fields, "charge": np.array([0, 1])}, PAIR)


def test_the_distance_of_a_pair_is_an_attribute(pair: ak.Array) -> None:
    assert pair.deltaR.to_list() == pair["deltaR"].to_list() == [1, 2]
    assert pair[1].deltaR == 2


def test_a_pair_is_a_momentum_all_the_same(
    pair: ak.Array, objects: Callable[..., ak.Array]
) -> None:
    lepton = objects(pt=[1.0, 2.0], eta=[1.0, 1.0], phi=[1.0, 2.0], charge=[1, -1])
    assert pair.delta_r(lepton).to_list() == lepton.delta_r(pair).to_list() == [0, 1]
    assert pair[0].delta_r(lepton[0]) == 0
    np.testing.assert_allclose(pair.px, pair.pt * np.cos(pair.phi))
    for total in (pair + lepton, lepton + pair):
        assert total.charge.to_list() == [1, 0]
        np.testing.assert_allclose(total.px, pair.px + lepton.px)


def test_pairs_can_be_added_to_what_else_there_is(pair: ak.Array, eager_events: ak.Array) -> None:
    assert (pair + pair).charge.to_list() == [0, 2]
    jets = ak.flatten(eager_events.Jet)[:2]
    np.testing.assert_allclose((jets + pair).py, jets.py + pair.py, rtol=1e-6)
