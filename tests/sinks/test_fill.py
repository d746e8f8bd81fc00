from __future__ import annotations

from functools import partial
from typing import Any

import hist
import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.sinks import fill
from lazyana.sinks.base import Membership
from lazyana.sinks.fill import Additions, Entries, Floats, Integers, Target

Case = tuple[Entries, Floats, Membership | None, Target]
RULES = {"few kinds": lambda *_: True, "many kinds": lambda *_: False}


@pytest.fixture(scope="module")
def kernel() -> fill.Kernel:
    return fill.compile_kernel()


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A process that has filled nothing yet; counts how often the kernel is compiled."""
    compilations: list[int] = []

    def compile_kernel() -> fill.Kernel:
        compilations.append(1)
        return fill.add_entries

    monkeypatch.setattr(fill, "_compiled", fill._Compiled())
    monkeypatch.setattr(fill, "compile_kernel", compile_kernel)
    return compilations


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Entries of events or objects; no, few or many kinds; all, some or no categories kept."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    events, bins, categories = draw(st.tuples(*[st.integers(0, 30)] + [st.integers(1, 5)] * 2))
    event = None
    entries = events
    if draw(st.booleans()):
        event = np.repeat(np.arange(events), rng.integers(0, 4, events))
        entries = len(event)
    membership, kept = None, None
    if draw(st.booleans()):
        chance = draw(st.sampled_from([0.0, 0.1, 0.4, 1.0]))
        membership = Membership.from_masks(list(rng.random((categories, events)) < chance))
        if draw(st.booleans()):
            chosen = rng.permutation(categories)[: rng.integers(1, categories + 1)]
            kept = tuple(int(category) for category in chosen)
    weights = rng.normal(1, 2, (events, draw(st.integers(1, 4))))
    lowest = draw(st.sampled_from([-1, 0]))
    return (
        Entries(rng.integers(lowest, bins, entries), event, events),
        weights,
        membership,
        Target(bins, kept),
    )


def by_hand(
    entries: Entries, weights: Floats, membership: Membership | None, target: Target
) -> Floats:
    """The sums, by one `hist.Hist` for each category and weight."""
    event = np.arange(entries.events) if entries.event is None else entries.event
    flags = np.ones((entries.events, 1), dtype=bool)
    if membership is not None:
        flags = membership.sets[membership.kind]
        flags = flags if target.categories is None else flags[:, target.categories]
    out = np.empty((target.bins, flags.shape[1], 2, weights.shape[1]))
    for row, mask in enumerate(flags.T):
        mine = mask[event]
        for slot in range(weights.shape[1]):
            axis = hist.axis.Integer(0, target.bins, flow=False)
            one = hist.Hist(axis, storage=hist.storage.Weight())
            one.fill(entries.bins[mine], weight=weights[event[mine], slot])
            out[:, row, 0, slot] = one.values()
            out[:, row, 1, slot] = one.variances()
    return out


def assert_close(ours: Floats, theirs: Floats) -> None:
    """Equal but for the order of the additions, of at most a hundred numbers of about 1."""
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@given(case=cases(), patience=st.sampled_from([0, 10**9]))
def test_equals_a_loop_of_hist_fill(rule: str, case: Case, patience: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fill, "PATIENCE", patience)
        patch.setattr(fill, "compile_kernel", lambda: fill.add_entries)
        patch.setattr(fill, "_compiled", fill._Compiled())
        patch.setattr(fill, "by_kind_pays", RULES[rule])
        assert_close(fill.accumulate(*case), by_hand(*case))


@pytest.mark.parametrize("rule", RULES)
@given(case=cases())
def test_without_weights_entries_are_counted(rule: str, case: Case) -> None:
    entries, weights, membership, target = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fill, "by_kind_pays", RULES[rule])
        counts = fill.accumulate(entries, None, membership, target)
    ones = np.ones((len(weights), 1))
    assert np.array_equal(counts, by_hand(entries, ones, membership, target))


@st.composite
def additions(draw: st.DrawFn, slots: st.SearchStrategy[int]) -> Additions:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    events, cells = draw(st.tuples(st.integers(0, 30), st.integers(0, 6)))
    event: Integers | None = np.repeat(
        np.arange(events), rng.integers(0, 4 if cells else 1, events)
    )
    if cells and draw(st.booleans()):
        event = None
    entries = events if event is None else len(event)
    cell = rng.integers(0, max(cells, 1), entries)
    return Additions(cell, event, rng.normal(1, 2, (events, draw(slots))), cells)


def in_order(case: Additions) -> Floats:
    assert case.weights is not None
    out = np.zeros((case.cells, 2, case.weights.shape[1]))
    for entry, cell in enumerate(case.cell):
        weight = case.weights[entry if case.event is None else case.event[entry]]
        out[cell, 0] += weight
        out[cell, 1] += weight**2
    return out


def by_sparse(case: Additions) -> Floats:
    assert case.weights is not None
    return fill.by_sparse(case, case.weights * case.weights)


@given(additions(st.integers(1, 4)))
def test_sparse_product_adds_in_the_order_of_the_entries(case: Additions) -> None:
    assert np.array_equal(by_sparse(case), in_order(case))


@given(case=additions(st.integers(1, 4)))
def test_kernel_adds_in_the_order_of_the_entries(kernel: fill.Kernel, case: Additions) -> None:
    assert np.array_equal(fill.by_kernel(kernel, case), in_order(case))


@given(additions(st.just(1)))
def test_bincount_adds_in_the_order_of_the_entries(case: Additions) -> None:
    assert np.array_equal(fill.by_bincount(case), in_order(case))


@pytest.mark.parametrize(
    ("categories", "slots", "bins"), [(8, 21, 20), (40, 3, 50)], ids=["few kinds", "many kinds"]
)
def test_all_ways_agree_to_the_last_bit(
    kernel: fill.Kernel,
    monkeypatch: pytest.MonkeyPatch,
    categories: int,
    slots: int,
    bins: int,
) -> None:
    rng = np.random.default_rng(1)
    events = 20_000
    event = np.repeat(np.arange(events), rng.integers(0, 4, events))
    membership = Membership.from_masks(list(rng.random((categories, events)) < 0.3))
    assert fill.by_kind_pays(len(membership.sets), bins, len(event)) == (categories == 8)
    weights = rng.normal(1, 2, (events, slots))
    entries, target = Entries(rng.integers(0, bins, len(event)), event, events), Target(bins)
    squares = weights * weights
    states = []
    for way in (partial(fill.by_kernel, kernel), partial(fill.by_sparse, squares=squares)):
        monkeypatch.setattr(fill, "_way", lambda *_, way=way: way)
        states.append(fill.accumulate(entries, weights, membership, target))
    monkeypatch.setattr(fill, "_way", lambda *_: fill.by_bincount)
    for slot in range(slots):
        one = fill.accumulate(entries, weights[:, slot : slot + 1], membership, target)
        assert np.array_equal(one[..., 0], states[0][..., slot])
    assert np.array_equal(states[0], states[1])


@pytest.mark.parametrize(
    ("kinds", "bins", "entries", "pays"), [(4, 50, 400, True), (4, 50, 399, False)]
)
def test_kinds_pay_where_there_are_more_entries(
    kinds: int, bins: int, entries: int, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fill.by_kind_pays(kinds, bins, entries) is pays
    used: list[str] = []
    for name, original in (("by_kind", fill.by_kind), ("by_pair", fill.by_pair)):

        def way(*arguments: Any, name: str = name, original: Any = original) -> Any:
            used.append(name)
            return original(*arguments)

        monkeypatch.setattr(fill, name, way)
    events = np.arange(entries)
    membership = Membership.from_masks([events >= 0, events % 2 == 1, events % 4 < 2])
    assert len(membership.sets) == kinds
    fill.accumulate(Entries(events % bins, None, entries), None, membership, Target(bins))
    assert used == ["by_kind" if pays else "by_pair"]


def test_a_weight_that_is_not_finite_stays_in_its_categories() -> None:
    for rule in RULES.values():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fill, "by_kind_pays", rule)
            masks = [np.array([True, False]), np.array([False, True])]
            weights = np.array([[np.inf, np.nan], [1.0, 2.0]])
            entries = Entries(np.zeros(2, dtype=np.int64), None, 2)
            state = fill.accumulate(entries, weights, Membership.from_masks(masks), Target(1))
        np.testing.assert_array_equal(state[0, 1], [[1, 2], [1, 4]])
        np.testing.assert_array_equal(state[0, 0], [[np.inf, np.nan]] * 2)


def test_kernel_takes_read_only_arrays(kernel: fill.Kernel) -> None:
    weights = np.ones((2, 2))
    cells = np.array([0, 1])
    weights.setflags(write=False)
    cells.setflags(write=False)
    out = fill.by_kernel(kernel, Additions(cells, None, weights, 2))
    assert out[:, 0].tolist() == [[1, 1], [1, 1]]


def test_kernel_is_compiled_without_a_place_for_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As numba finds it where neither site-packages nor the home directory can be written to.
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.njit(cache=True)(fill.add_entries)
    kernel = fill.compile_kernel()
    weights = np.full((1, 2), 3.0)
    out = fill.by_kernel(kernel, Additions(np.zeros(1, dtype=np.int64), None, weights, 1))
    assert out.tolist() == [[[3, 3], [9, 9]]]


def test_kernel_is_compiled_once_and_only_after_much_work(
    fresh: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    events, slots = 10, 2
    monkeypatch.setattr(fill, "PATIENCE", 3 * events * slots)
    bins = np.arange(events)
    case = (Entries(bins, None, events), np.ones((events, slots)), None, Target(events))
    compiled = []
    for _ in range(5):
        fill.accumulate(*case)
        compiled.append(len(fresh))
    assert compiled == [0, 0, 1, 1, 1]


def test_one_slot_never_waits_for_numba(fresh: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "PATIENCE", 0)
    entries = Entries(np.arange(3), None, 3)
    for membership in (None, Membership.from_masks([np.ones(3, dtype=bool)])):
        fill.accumulate(entries, np.ones((3, 1)), membership, Target(3))
        fill.accumulate(entries, None, membership, Target(3))
    assert fresh == []
