from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.errors import InputError
from lazyana.physics.matching import (
    closest_pt,
    delta_r_table,
    deltaR_matching_nonunique,
    is_isolated,
    metric_eta,
    metric_phi,
    metric_pt,
    object_matching,
)

# On one line in η: ΔR is what numbers are apart.
positions = st.lists(st.integers(0, 40).map(lambda x: x / 16), max_size=5)
events = st.lists(st.tuples(positions, positions), min_size=1, max_size=4)


def on_a_line(objects: Any, both: Sequence[tuple[Any, Any]]) -> tuple[ak.Array, ak.Array]:
    one, other = (objects(eta=[pair[k] for pair in both]) for k in (0, 1))
    return one, other


def greedy(first: list[float], second: list[float], most: float) -> list[int | None]:
    """For each of the second the position of its match, pair by pair."""
    pairs = sorted((abs(a - b), i, j) for i, a in enumerate(first) for j, b in enumerate(second))
    found: dict[int, int] = {}
    for apart, i, j in pairs:
        if apart < most and j not in found and i not in found.values():
            found[j] = i
    return [found.get(j) for j in range(len(second))]


@given(both=events, most=st.sampled_from([0.3, 1.0, 9.0]))
def test_the_closest_pairs_are_matched_first(
    objects: Callable[..., ak.Array], both: Any, most: float
) -> None:
    one, other = on_a_line(objects, both)
    matched, itself, apart = object_matching(one, other, most)
    for k, (first, second) in enumerate(both):
        expected = greedy(first, second, most)
        assert matched.eta[k].to_list() == [None if i is None else first[i] for i in expected]
        chosen = [(i, j) for j, i in enumerate(expected)]
        assert itself.eta[k].to_list() == [None if i is None else second[j] for i, j in chosen]
        distances = [None if i is None else abs(first[i] - second[j]) for i, j in chosen]
        assert apart[k].to_list() == distances


@given(both=events)
def test_indices_are_those_of_the_matches(objects: Callable[..., ak.Array], both: Any) -> None:
    one, other = on_a_line(objects, both)
    matched, itself, apart, i, j, distance = object_matching(one, other, 1.0, return_indices=True)
    assert one[i].eta.to_list() == ak.drop_none(matched.eta, axis=1).to_list()
    assert other[j].eta.to_list() == ak.drop_none(itself.eta, axis=1).to_list()
    assert distance.to_list() == ak.drop_none(apart, axis=1).to_list()


def test_cuts_are_applied_before_objects_are_taken(objects: Callable[..., ak.Array]) -> None:
    # The closest pair differs too much in pT: both of its objects stay free for others.
    one = objects(eta=[[0.0, 0.3]], pt=[[100.0, 20.0]])
    other = objects(eta=[[0.1]], pt=[[21.0]])
    matched, _, apart = object_matching(one, other, 0.4, dpt_max=5)
    assert matched.pt.to_list() == [[20]]
    assert apart.to_list() == [[pytest.approx(0.2)]]
    assert object_matching(one, other, 0.4)[0].pt.to_list() == [[100]]


def test_the_difference_of_pt_may_be_one_for_each(objects: Callable[..., ak.Array]) -> None:
    one = objects(eta=[[0.0, 1.0], []], pt=[[50.0, 50.0], []])
    other = objects(eta=[[0.0, 1.0], [0.0]], pt=[[45.0, 45.0], [45.0]])
    most = ak.Array([[4.0, 6.0], [9.0]])
    matched, _, _, i, j, _ = object_matching(one, other, 0.4, most, return_indices=True)
    assert matched.pt.to_list() == [[None, 50], [None]]
    assert (i.to_list(), j.to_list()) == ([[1], []], [[1], []])


def test_objects_match_across_the_seam_of_phi(objects: Callable[..., ak.Array]) -> None:
    one, other = objects(phi=[[math.pi - 0.05]]), objects(phi=[[-math.pi + 0.05]])
    assert object_matching(one, other, 0.2)[2].to_list() == [[pytest.approx(0.1)]]


def test_what_is_missing_is_not_matched(objects: Callable[..., ak.Array]) -> None:
    one = ak.pad_none(objects(eta=[[0.5], []]), 2)
    other = ak.pad_none(objects(eta=[[0.5], [0.1]]), 2)
    matched, itself, apart = object_matching(one, other, 0.4)
    assert matched.eta.to_list() == [[0.5, None], [None, None]]
    assert itself.eta.to_list() == [[0.5, None], [None, None]]
    assert apart.to_list() == [[0, None], [None, None]]


def test_matches_are_objects_of_their_collection(objects: Callable[..., ak.Array]) -> None:
    one = objects(eta=[[0.0, 1.0]], hadronFlavour=[[5, 4]])
    matched, itself, _ = object_matching(one, objects(eta=[[1.0]]), 0.4)
    assert matched.hadronFlavour.to_list() == [[4]]
    assert matched.delta_r(itself).to_list() == [[0]]


def test_no_events_have_no_matches(objects: Callable[..., ak.Array]) -> None:
    nothing = objects(eta=[[0.0]])[:0]
    found = object_matching(nothing, nothing, 0.4, return_indices=True)
    assert [part.to_list() for part in found] == [[]] * 6
    assert deltaR_matching_nonunique(nothing, nothing).to_list() == []
    assert delta_r_table(nothing, nothing).to_list() == []
    assert is_isolated(nothing, nothing, 0.4).to_list() == []


@given(both=events)
def test_each_is_given_to_the_closest(objects: Callable[..., ak.Array], both: Any) -> None:
    one, other = on_a_line(objects, both)
    found = deltaR_matching_nonunique(one, other, 1.0)
    for k, (first, second) in enumerate(both):
        expected: list[list[float]] = [[] for _ in first]
        for b in second:
            apart = [abs(a - b) for a in first]
            if apart and min(apart) < 1.0:
                expected[apart.index(min(apart))].append(b)
        assert found.eta[k].to_list() == expected
        distances = [[abs(a - b) for b in got] for a, got in zip(first, expected, strict=True)]
        assert found.dR[k].to_list() == distances


@given(both=events, most=st.sampled_from([0.3, 1.0]))
def test_what_is_close_to_another_is_not_isolated(
    objects: Callable[..., ak.Array], both: Any, most: float
) -> None:
    one, other = on_a_line(objects, both)
    expected = [[all(abs(a - b) > most for b in second) for a in first] for first, second in both]
    assert is_isolated(one, other, most).to_list() == expected


def test_missing_objects_do_not_disturb(objects: Callable[..., ak.Array]) -> None:
    one = objects(eta=[[0.0, 3.0], [1.0]])
    others = ak.pad_none(objects(eta=[[0.1], []]), 2)
    assert is_isolated(one, others, 0.4).to_list() == [[False, True], [True]]
    assert is_isolated(ak.pad_none(one, 2), others, 0.4).to_list() == [[False, True], [True, False]]


def test_what_is_nowhere_is_not_far_away(objects: Callable[..., ak.Array]) -> None:
    one = objects(eta=[[math.nan, 3.0]])
    assert is_isolated(one, objects(eta=[[0.0]]), 0.4).to_list() == [[False, True]]


def test_distances_are_those_of_nanoevents(eager_events: ak.Array) -> None:
    jets, muons = eager_events.Jet, eager_events.Muon
    found, expected = delta_r_table(jets, muons), jets.metric_table(muons)
    assert ak.num(found, axis=2).to_list() == ak.num(expected, axis=2).to_list()
    flat, plain = (ak.to_numpy(ak.flatten(each, axis=None)) for each in (found, expected))
    assert flat.dtype == plain.dtype == np.float32
    assert len(flat) > 100
    np.testing.assert_allclose(flat, plain, rtol=1e-6)


def test_lazy_events_give_the_same(same: Callable[..., ak.Array]) -> None:
    def matching(part: int, **options: Any) -> Callable[[Any], Any]:
        return lambda e: object_matching(e["GenJet"], e["Jet"], 0.4, **options)[part]

    assert ak.sum(ak.is_none(same(matching(2)), axis=1)) > 0
    same(lambda e: matching(0)(e).pt)
    same(lambda e: matching(1, dpt_max=10)(e).pt)
    same(lambda e: matching(2, dpt_max=e["Jet"].pt * 0.1)(e))
    for part in (3, 4, 5):
        same(matching(part, return_indices=True))
    same(lambda e: ak.flatten(deltaR_matching_nonunique(e["GenJet"], e["Jet"]).dR, axis=2))
    same(lambda e: is_isolated(e["Jet"], e["Muon"], 0.4))
    same(lambda e: ak.flatten(delta_r_table(e["Jet"], e["Muon"]), axis=2))


@pytest.mark.parametrize("distance", [0, -0.4, math.nan])
def test_a_distance_is_positive(objects: Callable[..., ak.Array], distance: float) -> None:
    one = objects(eta=[[0.0]])
    with pytest.raises(InputError, match=r"dr_min=.* keeps nothing"):
        object_matching(one, one, distance)
    with pytest.raises(InputError, match=r"dr_min=.* keeps nothing"):
        is_isolated(one, one, distance)
    with pytest.raises(InputError, match=r"radius=.* keeps nothing"):
        deltaR_matching_nonunique(one, one, distance)


# -- the closest, near in pT -----------------------------------------------------------------


def test_partners_are_the_closest_that_are_near_in_pt(objects: Any) -> None:
    jets = objects(pt=[[50.0, 40.0, 30.0], [20.0], []], eta=[[0.0, 0.05, 2.0], [1.0], []])
    others = objects(pt=[[48.0, 90.0], [], [10.0]], eta=[[0.1, 0.01], [], [0.0]])
    most = ak.Array([[5.0, 9.0, 9.0], [9.0], []])
    # The second of the others is closer, and too hard; the first is shared.
    assert closest_pt(jets, others, 0.2, most).to_list() == [[48, 48, -1], [-1], []]
    # What is as far as allowed is too far.
    assert closest_pt(jets, others, 0.2, most - 1)[0].to_list() == [48, -1, -1]
    assert closest_pt(jets, others, 0.05, most)[0].to_list() == [-1, -1, -1]
    assert len(closest_pt(jets[:0], others[:0], 0.2, most[:0])) == 0
    with pytest.raises(InputError, match="dr_min=0"):
        closest_pt(jets, others, 0, most)


def test_tables_of_other_distances(objects: Callable[..., ak.Array]) -> None:
    one = objects(pt=[[10.0, 20.0], []], eta=[[0.0, 1.0], []], phi=[[3.0, -1.0], []])
    other = objects(pt=[[25.0], [5.0]], eta=[[-0.5], [0.0]], phi=[[-3.0], [0.0]])
    assert one.metric_table(other, metric=metric_pt).to_list() == [[[15.0], [5.0]], []]
    assert one.metric_table(other, metric=metric_eta).to_list() == [[[0.5], [1.5]], []]
    angles = one.metric_table(other, metric=metric_phi)
    assert ak.flatten(angles, axis=None).to_list() == pytest.approx([2 * math.pi - 6, 2.0])
