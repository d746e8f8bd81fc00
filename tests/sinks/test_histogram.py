from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.errors import InputError, InputTypeError, RunError
from lazyana.sinks import fill
from lazyana.sinks.base import Membership, Place, Sink
from lazyana.sinks.histogram import Histogram, merge_histograms

NUMBERS = st.floats() | st.sampled_from([0.0, 0.2, 0.5, 1.0, 7.0])
INTEGERS = st.integers(-3, 6)
AXES = [
    (lambda name: hist.axis.Regular(3, 0, 1, name=name), NUMBERS),
    (lambda name: hist.axis.Regular(3, 0, 1, name=name, overflow=False), NUMBERS),
    (lambda name: hist.axis.Regular(3, 0, 1, name=name, flow=False), NUMBERS),
    (lambda name: hist.axis.Regular(3, 0, 1, name=name, circular=True), NUMBERS),
    (
        lambda name: hist.axis.Regular(2, 1, 9, name=name, transform=hist.axis.transform.log),
        NUMBERS,
    ),
    (lambda name: hist.axis.Variable([0, 0.2, 7], name=name), NUMBERS),
    (lambda name: hist.axis.Integer(0, 3, name=name), INTEGERS),
    (lambda name: hist.axis.Integer(0, 3, name=name, circular=True), INTEGERS),
    (lambda name: hist.axis.IntCategory([4, 1], name=name), INTEGERS),
    (lambda name: hist.axis.IntCategory([4, 1], name=name, overflow=False), INTEGERS),
    (lambda name: hist.axis.Boolean(name=name), st.booleans()),
    (lambda name: hist.axis.StrCategory(["b", "a"], name=name), st.sampled_from(["a", "b", "c"])),
]
CATEGORIES = ("signal", "control", "all jets", "loose")
PT = hist.axis.Regular(4, 0, 1, name="pt")
UP = ("puUp", "puDown")


def place(variation: str = "nominal") -> Place:
    return Place("dy", 0, variation, "dy.root", 0, 10)


@dataclass
class Case:
    """A histogram and the events to fill it with, as Python lists."""

    sink: Histogram
    columns: list[list[Any]]
    masks: np.ndarray
    weights: np.ndarray | None

    @property
    def events(self) -> int:
        return self.masks.shape[1]

    def state(self, start: int = 0, stop: int | None = None) -> Any:
        events = slice(start, stop)
        weights = None if self.weights is None else self.weights[events]
        membership = Membership.from_masks(list(self.masks[:, events]))
        columns = [ak.Array(column[events]) for column in self.columns]
        return self.sink.fill(place(), weights, membership, *columns)

    def result(self, state: Any) -> hist.Hist[Any]:
        return self.sink.finish({("dy", "nominal"): state}, ["dy"])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    chosen = draw(st.lists(st.sampled_from(AXES), min_size=1, max_size=3))
    counts = draw(st.lists(st.integers(0, 3), max_size=12))
    axes, columns = [], []
    for position, (make, values) in enumerate(chosen):
        axes.append(make(f"axis{position}"))
        value = draw(st.sampled_from([values, values, st.none() | values]))
        jagged = draw(st.booleans())
        column: list[Any] = []
        for count in counts:
            if not jagged:
                column.append(draw(value))
            else:
                column.append(draw(st.lists(value, min_size=count, max_size=count)))
        if jagged and counts and draw(st.booleans()):
            column[draw(st.integers(0, len(counts) - 1))] = None
        columns.append(column)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    slots = draw(st.integers(1, 4))
    weights = draw(st.sampled_from([None, rng.normal(0.5, 1, (len(counts), slots))]))
    masks = rng.random((len(CATEGORIES), len(counts))) < draw(st.sampled_from([0.0, 0.4, 1.0]))
    variations = tuple(f"shift{slot}" for slot in range(1, slots)) if weights is not None else ()
    return Case(Histogram(tuple(axes), CATEGORIES, variations), columns, masks, weights)


def entries(case: Case) -> list[tuple[int, tuple[Any, ...]]]:
    """Event and values of every entry that is filled."""
    found = []
    for event in range(case.events):
        values = [column[event] for column in case.columns]
        lengths = [len(value) for value in values if isinstance(value, list)]
        jagged = any(isinstance(item, list) for column in case.columns for item in column)
        for i in range(lengths[0] if lengths else int(not jagged)):
            row = tuple(value[i] if isinstance(value, list) else value for value in values)
            if None not in row:
                found.append((event, row))
    return found


def expected(case: Case) -> Any:
    """Sums and variances, shape ``(categories, variations, *bins)``, by a loop of `Hist.fill`."""
    filled = entries(case)
    tables = []
    weights = np.ones((case.events, 1)) if case.weights is None else case.weights
    for category in sorted(CATEGORIES):
        mask = case.masks[CATEGORIES.index(category)]
        mine = [(event, row) for event, row in filled if mask[event]]
        for slot in range(weights.shape[1]):
            one = hist.Hist(*case.sink.axes, storage=hist.storage.Weight())
            if mine:
                columns = zip(*(row for _, row in mine), strict=True)
                weight = [weights[event, slot] for event, _ in mine]
                one.fill(*(typed(column) for column in columns), weight=weight)
            tables.append(one.view(flow=True))
    return np.array(tables).reshape(len(CATEGORIES), weights.shape[1], *tables[0].shape)


def typed(column: tuple[Any, ...]) -> Any:
    return list(column) if isinstance(column[0], str) else np.array(column)


def assert_close(ours: Any, theirs: Any, weights: np.ndarray | None) -> None:
    """Equal to 1e-12 of the sum of the moduli, exactly if nothing is weighted.

    The order of a sum is not the same for every splitting of the events, and where weights cancel,
    the sum is known only relative to what was added.
    """
    scale = 0.0 if weights is None else 1e-12
    moduli = 0.0 if weights is None else float(np.abs(weights).sum())
    squares = 0.0 if weights is None else float((weights**2).sum())
    np.testing.assert_allclose(ours["value"], theirs["value"], rtol=scale, atol=scale * moduli)
    np.testing.assert_allclose(
        ours["variance"], theirs["variance"], rtol=scale, atol=scale * squares
    )


@given(cases(), st.sampled_from([0, 10**9]))
def test_equals_a_loop_of_hist_fill(case: Case, patience: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fill, "PATIENCE", patience)
        patch.setattr(fill, "compile_kernel", lambda: fill.add_entries)
        patch.setattr(fill, "_compiled", fill._Compiled())
        result = case.result(case.state())
    assert list(result.axes[1]) == sorted(CATEGORIES)
    assert_close(result.view(flow=True)[0], expected(case), case.weights)


@given(cases(), st.lists(st.integers(0, 12), max_size=4))
def test_any_splitting_of_the_events_gives_the_same(case: Case, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, case.events) for cut in cuts), case.events]
    parts = [case.state(*pair) for pair in pairwise(edges)]
    once = case.result(case.state()).view(flow=True)
    assert_close(case.result(case.sink.merge(parts)).view(flow=True), once, case.weights)


@given(cases())
def test_filling_twice_gives_the_same_bits(case: Case) -> None:
    assert case.state().tobytes() == case.state().tobytes()


def test_large_fills_do_not_depend_on_when_the_kernel_was_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    events = 5000
    sink = Histogram((PT,), CATEGORIES, UP)
    weights = rng.normal(1, 1, (events, 3))
    membership = Membership.from_masks(list(rng.random((4, events)) < 0.5))
    column = ak.unflatten(rng.random(3 * events), np.full(events, 3))
    states = []
    for patience in (0, 10**12):
        monkeypatch.setattr(fill, "_compiled", fill._Compiled())
        monkeypatch.setattr(fill, "PATIENCE", patience)
        states.append(sink.fill(place(), weights, membership, column))
    assert np.array_equal(*states)


def test_axes_of_the_result() -> None:
    sink = Histogram((PT,), ("b", "a"), UP, ("jesUp", "jesDown"), "p")
    result = sink.finish({}, ["ttbar", "dy"])
    labels = [list(axis) for axis in result.axes[:3]]
    variations = ["nominal", "jesDown", "jesUp", "puDown", "puUp"]
    assert labels == [["dy", "ttbar"], ["a", "b"], variations]
    assert [axis.name for axis in result.axes] == ["dataset", "category", "variation", "pt"]
    assert result.axes[3] == PT
    assert result.storage_type is hist.storage.Weight
    assert result.view(flow=True).shape == (2, 2, 5, 6)
    assert result.label == "p"
    assert not result.values(flow=True).any()


def test_categories_and_variations_find_their_places() -> None:
    sink = Histogram((PT,), ("b", "a"), UP, ("jesUp",))
    membership = Membership.from_masks([np.array([True, False]), np.array([True, True])])
    nominal = sink.fill(place(), np.array([[1.0, 2, 3], [4, 5, 6]]), membership, np.zeros(2))
    shifted = sink.fill(place("jesUp"), np.array([[7.0], [8]]), membership, np.zeros(2))
    states = {("dy", "nominal"): nominal, ("dy", "jesUp"): shifted}
    result = sink.finish(states, ["dy", "data"])
    table = {
        (category, variation): result["dy", category, variation, 0].value
        for category in "ab"
        for variation in ("nominal", "puUp", "puDown", "jesUp")
    }
    assert table == {
        ("b", "nominal"): 1,
        ("b", "puUp"): 2,
        ("b", "puDown"): 3,
        ("b", "jesUp"): 7,
        ("a", "nominal"): 5,
        ("a", "puUp"): 7,
        ("a", "puDown"): 9,
        ("a", "jesUp"): 15,
    }
    assert result["dy", "a", "puUp", 0].variance == 2**2 + 5**2
    assert not result["data", ...].values(flow=True).any()


def test_subsets_of_categories_and_weight_variations() -> None:
    everything = Histogram((PT,), CATEGORIES, UP)
    rng = np.random.default_rng(2)
    membership = Membership.from_masks(list(rng.random((4, 50)) < 0.5))
    filling = (place(), rng.random((50, 3)), membership, rng.random(50))
    full = everything.finish({("dy", "nominal"): everything.fill(*filling)}, ["dy"])
    some = replace(
        everything,
        categories=("loose", "control"),
        category_positions=(3, 1),
        weight_variations=("puDown",),
        weight_positions=(2,),
    )
    part = some.finish({("dy", "nominal"): some.fill(*filling)}, ["dy"])
    for category in ("loose", "control"):
        for variation in ("nominal", "puDown"):
            assert_same(part[0, category, variation, :], full[0, category, variation, :])
    assert part.view().shape == (1, 2, 2, 4)
    first = replace(everything, categories=("signal",), category_positions=(0,))
    signal = first.finish({("dy", "nominal"): first.fill(*filling)}, ["dy"])
    assert_same(signal[:, 0, ...], full[:, "signal", ...])


def assert_same(ours: Any, theirs: Any) -> None:
    """Equal but for the order of the additions, which depends on the categories that are kept."""
    assert list(ours.axes) == list(theirs.axes)
    for sums in ("value", "variance"):
        one, other = ours.view(flow=True)[sums], theirs.view(flow=True)[sums]
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_without_categories_there_is_one() -> None:
    sink = Histogram((PT,))
    membership = Membership.from_masks([np.array([False, True])])
    for given_membership in (None, membership):
        state = sink.fill(place(), None, given_membership, np.array([0.1, 5.0]))
        result = sink.finish({("dy", "nominal"): state}, ["dy"])
        assert list(result.axes["category"]) == ["all"]
        counts = result["dy", "all", "nominal", :].view(flow=True)
        assert counts["value"].tolist() == [0, 1, 0, 0, 0, 1]
        assert counts["variance"].tolist() == [0, 1, 0, 0, 0, 1]


def test_unweighted_histograms_count_and_have_no_weight_variations() -> None:
    sink = Histogram((PT,), (), UP, ("jesUp",), weighted=False)
    state = sink.fill(place(), np.full((2, 3), 9.0), None, np.zeros(2))
    result = sink.finish({("dy", "nominal"): state}, ["dy"])
    assert list(result.axes["variation"]) == ["nominal", "jesUp"]
    assert result["dy", "all", "nominal", 0].value == 2
    assert sink.nbytes == state.nbytes


def test_size_of_the_state_is_known_before_it_is_filled() -> None:
    sink = Histogram((PT, hist.axis.Boolean(name="b")), CATEGORIES, UP)
    assert sink.nbytes == sink.fill(*empty_fill(2)).nbytes


def empty_fill(dimensions: int, events: int = 0, slots: int = 3) -> tuple[Any, ...]:
    membership = Membership.from_masks([np.zeros(events, dtype=bool)] * len(CATEGORIES))
    columns = [np.zeros(events, dtype=int)] * dimensions
    return (place(), np.ones((events, slots)), membership, *columns)


def test_events_in_no_category_are_not_filled() -> None:
    state = Histogram((PT,), CATEGORIES, UP).fill(*empty_fill(1, events=5))
    assert state.shape == (6, 4, 2, 3)
    assert not state.any()


def test_merging_leaves_the_states_as_they_are() -> None:
    sink = Histogram((PT,))
    parts = [sink.fill(place(), None, None, np.full(n, 0.1)) for n in (1, 2, 3)]
    merged = sink.merge(parts)
    assert merged[1, 0, 0, 0] == 6
    assert [part[1, 0, 0, 0] for part in parts] == [1, 2, 3]
    assert np.array_equal(sink.merge(parts), merged)


def test_states_of_different_shape_are_refused() -> None:
    states = [Histogram((PT,), (), UP[:n]).fill(*empty_fill(1, slots=n + 1)) for n in (2, 0)]
    with pytest.raises(RunError, match="different shape"):
        Histogram((PT,)).merge(states)


def test_columns_that_do_not_belong_together_are_refused() -> None:
    sink = Histogram((PT,), CATEGORIES, UP)
    here, weights, membership, column = empty_fill(1, events=2)
    with pytest.raises(RunError, match=r"Weights of shape \(1, 3\) .* 2 events, in dy.root"):
        sink.fill(here, weights[:1], membership, column)
    with pytest.raises(RunError, match="2 columns of weights for 3 variations"):
        sink.fill(here, weights[:, :2], membership, column)
    with pytest.raises(RunError, match=r"3 columns of weights for 1 variations .*'jesUp'"):
        sink.fill(place("jesUp"), weights, membership, column)
    with pytest.raises(RunError, match=r"signal, control, all jets, loose .* no categories"):
        sink.fill(here, weights, None, column)
    with pytest.raises(RunError, match=r"columns of 2 events .* categories of 0 events"):
        sink.fill(here, weights, empty_fill(1)[2], column)


def grows() -> Any:
    return hist.axis.StrCategory([], growth=True, name="x")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"axes": ()}, InputError, "needs an axis"),
        ({"axes": (50,)}, InputTypeError, "comes from hist.axis; 50 is a int"),
        ({"axes": (grows(),)}, InputError, "'x' grows, .* use a Growing"),
        ({"axes": (PT, PT)}, InputError, "axis 'pt' more than once"),
        ({"axes": (hist.axis.Boolean(name="category"),)}, InputError, "Give it another name"),
        ({"categories": ("a", "b", "a")}, InputError, "category 'a' more than once.*a, b, a"),
        ({"weight_variations": ("nominal",)}, InputError, "variation 'nominal' more than once"),
        ({"weight_variations": UP, "shape_variations": UP}, InputError, "'puDown' more than once"),
        ({"categories": ("a",), "category_positions": ()}, InputError, "0 category positions"),
        ({"weight_variations": UP, "weight_positions": (1,)}, InputError, "1 weight positions"),
    ],
)
def test_wrong_histograms_are_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Histogram(**({"axes": (PT,)} | arguments))


def different_histograms() -> list[Histogram]:
    axis = hist.axis
    return [
        Histogram((PT,)),
        Histogram((PT,), CATEGORIES),
        Histogram((PT,), CATEGORIES, category_positions=(0, 1, 3, 4)),
        Histogram((PT,), (), UP),
        Histogram((PT,), (), UP, weight_positions=(2, 1)),
        Histogram((PT,), (), (), UP),
        Histogram((PT,), label="x"),
        Histogram((PT,), weighted=False),
        Histogram((PT, axis.Boolean(name="x"))),
        Histogram((axis.Regular(4, 0, 1, name="eta"),)),
        Histogram((axis.Regular(4, 0, 1, name="pt", label="p"),)),
        Histogram((axis.Regular(4, 0, 1, name="pt", overflow=False),)),
        Histogram((axis.Regular(4, 0, 1.0000000001, name="pt"),)),
        Histogram((axis.Regular(4, 0, 1, name="pt", transform=axis.transform.sqrt),)),
        Histogram((axis.Variable([0, 0.25, 0.5, 0.75, 1], name="pt"),)),
        Histogram((axis.StrCategory(["a", "b"]),)),
        Histogram((axis.StrCategory(["b", "a"]),)),
        Histogram((axis.IntCategory([1, 2]),)),
    ]


def test_equal_means_the_same_in_everything() -> None:
    first, second = different_histograms(), different_histograms()
    assert first == second
    assert [hash(sink) for sink in first] == [hash(sink) for sink in second]
    assert len(set(first)) == len(first)
    assert first[0] != "a histogram"


def test_pickles_to_an_equal_histogram() -> None:
    sinks = different_histograms()
    assert pickle.loads(pickle.dumps(sinks)) == sinks


def test_content_is_the_same_in_another_process() -> None:
    code = (
        "import hist; from lazyana.sinks.histogram import Histogram; axis = hist.axis;"
        "print(Histogram((axis.Regular(4, 0.1, 1, name='pt', transform=axis.transform.sqrt),"
        " axis.StrCategory(['a', 'b']))).content())"
    )
    axis = hist.axis
    axes = (
        axis.Regular(4, 0.1, 1, name="pt", transform=axis.transform.sqrt),
        axis.StrCategory(["a", "b"]),
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(Histogram(axes).content())


def test_is_a_sink() -> None:
    sink: Sink = Histogram((PT,))
    assert sink.kind == "hist"


def make(
    datasets: Sequence[str], categories: Sequence[str], variations: Sequence[str], seed: int
) -> hist.Hist[Any]:
    """A histogram of whole numbers: sums of them are exact in any order."""
    sink = Histogram((PT,), tuple(categories), (), tuple(variations), "label")
    result = sink.finish({}, datasets)
    view: Any = result.view(flow=True)
    rng = np.random.default_rng(seed)
    view["value"] = rng.integers(-50, 50, view.shape)
    view["variance"] = rng.integers(0, 50, view.shape)
    return result


def subset(labels: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(labels), min_size=1, unique=True)


results = st.builds(make, subset("pqr"), subset("abc"), subset("uvw"), st.integers(0, 2**32))


@given(st.lists(results, min_size=1, max_size=3))
def test_merged_histograms_hold_every_bin_of_each(hists: list[hist.Hist[Any]]) -> None:
    merged = merge_histograms(hists)
    assert merged.label == "label"
    total: dict[tuple[str, ...], Any] = {}
    for one in hists:
        assert one.label == "label"
        for key, block in blocks(one).items():
            total[key] = total.get(key, 0) + block
    for key, block in blocks(merged).items():
        assert np.array_equal(block, total.get(key, np.zeros_like(block)))
    assert total.keys() <= blocks(merged).keys()


def blocks(one: hist.Hist[Any]) -> dict[tuple[str, ...], Any]:
    datasets, categories, variations = (list(axis) for axis in one.axes[:3])
    view: Any = one.view(flow=True)
    table = np.stack([view["value"], view["variance"]], axis=-1)
    return {
        (dataset, category, variation): table[i, j, k]
        for i, dataset in enumerate(datasets)
        for j, category in enumerate(categories)
        for k, variation in enumerate(variations)
    }


@given(results, results, results)
def test_merging_histograms_is_associative_and_commutative(
    one: hist.Hist[Any], two: hist.Hist[Any], three: hist.Hist[Any]
) -> None:
    merged = merge_histograms([one, two, three])
    assert merged == merge_histograms([three, one, two])
    assert merged == merge_histograms([merge_histograms([one, two]), three])
    assert merged == merge_histograms([one, merge_histograms([two, three])])


@given(results)
def test_merging_one_histogram_copies_it(one: hist.Hist[Any]) -> None:
    merged = merge_histograms([one])
    assert merged == one
    merged.reset()
    assert merged.sum().value == 0
    assert one.view(flow=True)["variance"].sum() > 0


def test_nominal_stays_first_when_merged() -> None:
    merged = merge_histograms([make(["dy"], ["a"], ["aUp"], 1), make(["data"], ["a"], [], 2)])
    assert list(merged.axes["variation"]) == ["nominal", "aUp"]
    assert not merged["data", "a", "aUp", :].values(flow=True).any()


def test_histograms_that_cannot_be_merged_are_refused() -> None:
    with pytest.raises(InputError, match="No histograms"):
        merge_histograms([])
    ours = Histogram((PT,)).finish({}, ["dy"])
    theirs = Histogram((hist.axis.Regular(5, 0, 1, name="pt"),)).finish({}, ["dy"])
    with pytest.raises(InputError, match=r"Regular\(4, .*'pt'.*Regular\(5, .*'pt'"):
        merge_histograms([ours, theirs])
    with pytest.raises(InputError, match="not one with the axes pt and Double storage"):
        merge_histograms([ours, hist.Hist(PT)])
