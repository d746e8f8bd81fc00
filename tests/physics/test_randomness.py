"""Random numbers of objects: those of a distribution, whatever else is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

import lazyana as la
from lazyana.physics.randomness import mixed, standard_normal

COUNTS = st.lists(st.integers(0, 4), min_size=1, max_size=12)


def drawn(counts: list[int], first: int = 0, salt: str = "test", run: int = 1) -> ak.Array:
    events = np.arange(first, first + len(counts), dtype=np.uint64)
    objects = ak.unflatten(np.ones(sum(counts)), counts)
    return standard_normal(
        np.full(len(counts), run), np.ones(len(counts)), events, objects, salt=salt
    )


@given(COUNTS, st.integers(0, 12))
def test_any_partitioning_gives_the_same(counts: list[int], cut: int) -> None:
    whole = drawn(counts)
    parts = [drawn(part, first) for part, first in ((counts[:cut], 0), (counts[cut:], cut)) if part]
    assert ak.to_list(ak.concatenate(parts)) == ak.to_list(whole)


def test_objects_do_not_depend_on_those_after_them() -> None:
    assert drawn([3])[0, :2].to_list() == drawn([2])[0].to_list()


def test_numbers_are_normal_and_independent() -> None:
    numbers = ak.to_numpy(drawn([2] * 20_000))
    assert kstest(numbers.ravel(), "norm").pvalue > 1e-3
    others = ak.to_numpy(drawn([2] * 20_000, salt="other"))
    later = ak.to_numpy(drawn([2] * 20_000, run=2))
    for one, another in (
        (numbers[:, 0], numbers[:, 1]),
        (numbers[:-1, 0], numbers[1:, 0]),
        (numbers[:, 0], others[:, 0]),
        (numbers[:, 0], later[:, 0]),
    ):
        assert abs(np.corrcoef(one, another)[0, 1]) < 0.03


def test_values_stay_what_they_are() -> None:
    # The reference values of SplitMix64, and ours: other numbers would change published results.
    assert mixed(np.array([0], dtype=np.uint64)).tolist() == [16294208416658607535]
    one = np.ones(1, dtype=np.uint64)
    found = standard_normal(one, 2 * one, 3 * one, ak.Array([[1.0, 1.0]]), salt="JER-AK4PFchs")
    assert found.to_list()[0] == pytest.approx([0.844539364093727, -0.08939250046577121], rel=1e-12)


def test_missing_objects_and_empty_events() -> None:
    ones = np.ones(3, dtype=np.uint64)
    objects = ak.Array([[1.0, None], [], None])
    found = standard_normal(ones, ones, np.arange(3), objects, salt="x").to_list()
    assert (found[0][1], found[1], found[2]) == (None, [], None)
    assert isinstance(found[0][0], float)
    assert len(standard_normal(ones[:0], ones[:0], ones[:0], objects[:0], salt="x")) == 0


def test_lazy_events_give_the_same(lazy_events: la.Events, same: Callable[..., ak.Array]) -> None:
    def draw(events: Any) -> Any:
        return standard_normal(
            events.run, events.luminosityBlock, events.event, events.Jet.pt, salt="lazy"
        )

    found = same(draw)
    assert len(set(ak.flatten(found).to_list())) == ak.count(found) > 100
