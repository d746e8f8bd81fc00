from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.sinks import fill
from lazyana.sinks.base import Membership
from lazyana.sinks.fill import Entries, Floats, Target

Case = tuple[Entries, Floats, Membership | None, Target]


@pytest.fixture(scope="module")
def kernel() -> fill.Kernel:
    return fill.compile_kernel()


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A process that has filled nothing yet; counts how often the kernel is compiled."""
    compilations: list[int] = []

    def compile_kernel() -> fill.Kernel:
        compilations.append(1)
        return fill.add_entries

    monkeypatch.setattr(fill, "_compiled", fill._Compiled())
    monkeypatch.setattr(fill, "compile_kernel", compile_kernel)
    return compilations


@st.composite
def cases(draw: st.DrawFn, slots: st.SearchStrategy[int]) -> Case:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    events, bins, categories = draw(st.tuples(*[st.integers(0, 30)] + [st.integers(1, 5)] * 2))
    event = None
    entries = events
    if draw(st.booleans()):
        event = np.repeat(np.arange(events), rng.integers(0, 4, events))
        entries = len(event)
    membership, row_of = None, np.zeros(1, dtype=np.int64)
    if draw(st.booleans()):
        membership = Membership.from_masks(list(rng.random((categories, events)) < 0.4))
        row_of = rng.permutation(categories)
        row_of[row_of == 3] = -1
    weights = rng.normal(1, 2, (events, draw(slots)))
    filled = Entries(rng.integers(-1, bins, entries), event, events)
    return filled, weights, membership, Target(bins, categories, row_of)


def by_hand(
    entries: Entries, weights: Floats, membership: Membership | None, target: Target
) -> Floats:
    out = np.zeros((target.bins, target.rows, 2, weights.shape[1]))
    for entry, place in enumerate(entries.bins):
        event = entry if entries.event is None else entries.event[entry]
        mine = [0]
        if membership is not None:
            start, stop = membership.offsets[event : event + 2]
            mine = [int(target.row_of[category]) for category in membership.index[start:stop]]
        for row in mine:
            if place >= 0 and row >= 0:
                out[place, row, 0] += weights[event]
                out[place, row, 1] += weights[event] ** 2
    return out


@given(cases(st.integers(1, 4)))
def test_sparse_product_adds_in_the_order_of_the_events(case: Case) -> None:
    assert np.array_equal(fill.by_sparse(*case), by_hand(*case))


@given(case=cases(st.integers(1, 4)))
def test_kernel_adds_in_the_order_of_the_events(kernel: fill.Kernel, case: Case) -> None:
    assert np.array_equal(fill.by_kernel(kernel, *case), by_hand(*case))


@given(cases(st.just(1)))
def test_bincount_adds_in_the_order_of_the_events(case: Case) -> None:
    assert np.array_equal(fill.by_bincount(*case), by_hand(*case))


@given(cases(st.just(1)))
def test_without_weights_entries_are_counted(case: Case) -> None:
    entries, weights, membership, target = case
    counts = fill.accumulate(entries, None, membership, target)
    assert np.array_equal(counts, by_hand(entries, np.ones_like(weights), membership, target))


@pytest.mark.parametrize(("events", "categories", "slots"), [(20_000, 8, 21), (20_000, 40, 1)])
def test_all_ways_agree_to_the_last_bit(
    kernel: fill.Kernel, events: int, categories: int, slots: int
) -> None:
    rng = np.random.default_rng(1)
    event = np.repeat(np.arange(events), rng.integers(0, 4, events))
    membership = Membership.from_masks(list(rng.random((categories, events)) < 0.3))
    weights = rng.normal(1, 2, (events, slots))
    target = Target(50, categories, np.arange(categories))
    case = (Entries(rng.integers(0, 50, len(event)), event, events), weights, membership, target)
    expected = fill.by_kernel(fill.add_entries, *case) if slots == 1 else fill.by_sparse(*case)
    assert np.array_equal(fill.by_kernel(kernel, *case), expected)
    if slots == 1:
        assert np.array_equal(fill.by_bincount(*case), expected)


def test_kernel_takes_read_only_arrays(kernel: fill.Kernel) -> None:
    weights = np.ones((2, 2))
    bins = np.array([0, 1])
    weights.setflags(write=False)
    bins.setflags(write=False)
    out = fill.by_kernel(kernel, Entries(bins, None, 2), weights, None, Target(2, 1, bins))
    assert out[:, 0, 0].tolist() == [[1, 1], [1, 1]]


def test_kernel_is_compiled_without_a_place_for_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As numba finds it where neither site-packages nor the home directory can be written to.
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.njit(cache=True)(fill.add_entries)
    kernel = fill.compile_kernel()
    weights = np.full((1, 2), 3.0)
    bins = np.zeros(1, dtype=np.int64)
    out = fill.by_kernel(kernel, Entries(bins, None, 1), weights, None, Target(1, 1, bins))
    assert out.tolist() == [[[[3, 3], [9, 9]]]]


def test_kernel_is_compiled_once_and_only_after_much_work(
    fresh: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    events, slots = 10, 2
    monkeypatch.setattr(fill, "PATIENCE", 3 * events * slots)
    bins = np.arange(events)
    case = (Entries(bins, None, events), np.ones((events, slots)), None, Target(events, 1, bins))
    compiled = []
    for _ in range(5):
        fill.accumulate(*case)
        compiled.append(len(fresh))
    assert compiled == [0, 0, 1, 1, 1]


def test_one_slot_without_categories_never_waits_for_numba(
    fresh: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill, "PATIENCE", 0)
    bins = np.arange(3)
    fill.accumulate(Entries(bins, None, 3), np.ones((3, 1)), None, Target(3, 1, bins))
    assert fresh == []
