"""What a frame carries besides its events."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazyana as la
from lazyana.errors import ColumnError, InputError, InputTypeError
from lazyana.frame.group import Level
from lazyana.frame.state import (
    Categories,
    Factor,
    Keep,
    State,
    Systematic,
    labels_of,
    labels_of_shifts,
)

DY = "DYJetsToLL"
EVERY = Level(0)


def same(one: Any, two: Any) -> bool:
    return bool(ak.array_equal(one, two, dtype_exact=False))


def refused(error: type[Exception], *words: str) -> Any:
    """An error whose message has all of these words."""
    pattern = "".join(f"(?=[\\s\\S]*{word})" for word in words)
    return pytest.raises(error, match=f"(?s){pattern}")


def factor(name: str, *labels: str) -> Factor:
    return Factor(name, 1.0, tuple((label, 1.1) for label in labels), EVERY, "raise")


@pytest.fixture
def state() -> State:
    return State(
        factors=(factor("gen"), factor("pu", "puUp", "puDown")),
        systematics=(
            Systematic("jes", (("jesUp", ()), ("jesDown", ()))),
            Systematic("met", (("metUp", ()),)),
        ),
        categories=Categories({"a": ("0: a",), "b": ("0: b",), "c": ("0: a", "0: b")}),
    )


def test_labels_come_in_the_order_of_declaration(state: State) -> None:
    assert state.weight_variations == ("puUp", "puDown")
    assert state.shape_variations == ("jesUp", "jesDown", "metUp")
    assert list(state.shifts) == ["jesUp", "jesDown", "metUp"]


def test_factor_with_some_of_its_variations() -> None:
    assert factor("pu", "puUp", "puDown").only({"puDown"}).labels == ("puDown",)


@pytest.mark.parametrize(
    ("asked", "kept"),
    ids=count(),
    argvalues=[
        ((None, (), True, ()), Keep(None, ("puUp", "puDown"), ("jesUp", "jesDown", "metUp"))),
        ((["c", "a"], (), False, ()), Keep((0, 2), (), ())),
        ((None, ["a"], ["jes"], ["jesUp"]), Keep((1, 2), (), ("jesDown",))),
        ((["a", "b"], ["a"], ["pu", "metUp"], ()), Keep((1,), ("puUp", "puDown"), ("metUp",))),
        ((None, (), ["nominal"], ()), Keep(None, (), ())),
        ((None, (), True, ["pu", "jes"]), Keep(None, (), ("metUp",))),
    ],
)
def test_choice(state: State, asked: Any, kept: Keep) -> None:
    assert state.choose(*asked) == kept


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    ids=count(),
    argvalues=[
        ((["d"], (), True, ()), InputError, r"no category 'd' here.* There are: a, b, c\."),
        ((None, ["d"], True, ()), InputError, "no category 'd' here"),
        (([], (), True, ()), InputError, "No category is left"),
        (("a", (), True, ()), InputTypeError, r"category names.*'a'.*list"),
        ((None, (), ["jesup"], ()), InputError, "variation 'jesup' here. Did you mean 'jesUp'"),
        ((None, (), "jes", ()), InputTypeError, "variation names.*'jes'"),
        ((None, (), True, "jes"), InputTypeError, "variation names.*'jes'"),
        ((None, (), 3, ()), InputTypeError, "variation names.*3"),
        ((None, (), True, ["nominal"]), InputError, "no variation 'nominal'"),
    ],
)
def test_wrong_choice(state: State, asked: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        state.choose(*asked)


def test_without_categories_none_can_be_named() -> None:
    with pytest.raises(InputError, match=r"no category 'SR' here. There are: none\."):
        State().choose(["SR"], (), True, ())


def test_without_variations_any_may_be_named() -> None:
    assert State().choose(None, (), ["jes"], ["pu"]) == Keep(None, (), ())


def parse(given: Any) -> dict[str, tuple[str, ...]]:
    return dict(Categories.parse(given, lambda name, value: name))


def test_categories_are_masks_and_products_of_masks() -> None:
    assert parse({"SR": 1, "nj": {"4j": 1, "5j": 1}, "nb": {"1b": 1, "2b": 1}}) == {
        "SR": ("SR",),
        "4j_1b": ("nj: 4j", "nb: 1b"),
        "4j_2b": ("nj: 4j", "nb: 2b"),
        "5j_1b": ("nj: 5j", "nb: 1b"),
        "5j_2b": ("nj: 5j", "nb: 2b"),
    }


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_every_combination_is_there_once(sizes: list[int]) -> None:
    axes = {f"x{i}": {f"b{i}{j}": 1 for j in range(n)} for i, n in enumerate(sizes)}
    parts = parse(axes)
    number = 1
    for size in sizes:
        number *= size
    assert len(parts) == len(set(parts.values())) == number
    assert all(len(keys) == len(sizes) for keys in parts.values())


@pytest.mark.parametrize(
    ("given", "error", "message"),
    ids=count(),
    argvalues=[
        (None, InputTypeError, "mapping"),
        ({}, InputTypeError, "mapping"),
        ({"x": {}}, InputError, "axis 'x' is empty"),
        ({"a_b": 1, "x": {"a": 1}, "y": {"b": 1}}, InputError, "category 'a_b' already"),
        ({3: 1}, InputTypeError, "category is 3"),
        ({"x": {3: 1}}, InputTypeError, "category of axis 'x' is 3"),
        ({"x": {"a/b": 1}}, InputError, "'a/b'"),
    ],
)
def test_no_categories(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse(given)


def test_categories_are_extended() -> None:
    one = Categories().extend({"a": ("m",)}, {"m": "first"}, EVERY)  # type: ignore[dict-item]
    two = one.extend({"b": ("m", "n")}, {"m": "second", "n": "third"}, EVERY)  # type: ignore[dict-item]
    assert two.names == ("a", "b")
    masks = {name: [two.masks[key][0] for key in two.parts[name]] for name in two.names}
    assert masks == {"a": ["first"], "b": ["second", "third"]}
    with pytest.raises(InputError, match="category 'a' already"):
        two.extend({"a": ("m",)}, {"m": "fourth"}, EVERY)  # type: ignore[dict-item]


def test_labels_of_weights() -> None:
    assert labels_of("pu", 1, None, {}) == {"puUp": 1}
    assert labels_of("sf", 1, 2, {"hf": (3, 4), "lf": [None, 5]}) == {
        "sfUp": 1,
        "sfDown": 2,
        "sf_hfUp": 3,
        "sf_hfDown": 4,
        "sf_lfDown": 5,
    }
    for wrong in (3, (1,), (1, 2, 3), "up"):
        with pytest.raises(InputTypeError, match=r"Source 'hf' of weight 'sf'.*hf=\(up, down\)"):
            labels_of("sf", None, None, {"hf": wrong})


def test_labels_of_systematics() -> None:
    assert labels_of_shifts("jes", ("up", "down", "x")) == ("jesUp", "jesDown", "jes_x")


# -- vary ------------------------------------------------------------------------------------

KINDS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, float], Any]]] = {
    "collection": (
        lambda e: {
            "Jet": {
                "up": ak.with_field(e.Jet, e.Jet.pt * 1.1, "pt"),
                "down": lambda f: ak.with_field(f.Jet, f.Jet.pt * 0.9, "pt"),
            }
        },
        lambda e, factor: e.Jet.pt * factor,
    ),
    "field": (
        lambda e: {"Jet.pt": {"up": e.Jet.pt * 1.1, "down": e.Jet.pt * 0.9}},
        lambda e, factor: e.Jet.pt * factor,
    ),
    "path": (
        lambda e: {("Jet", "pt"): {"up": e.Jet.pt * 1.1, "down": e.Jet.pt * 0.9}},
        lambda e, factor: e.Jet.pt * factor,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_vary_shifts_what_is_made_of_the_column(
    dy: la.Events, plain: Any, value: Any, kind: str
) -> None:
    shifts, shifted = KINDS[kind]
    frame = dy.vary("jes", shifts(dy))
    assert frame.variations == ("jesUp", "jesDown")
    below = frame.filter(jet=lambda e: ak.any(e.Jet.pt > 40, axis=1))
    ht = ak.sum(below.Jet.pt, axis=1)
    sizes = set()
    for label, factor in (("nominal", 1.0), ("jesUp", 1.1), ("jesDown", 0.9)):

        def expected(e: Any, factor: float = factor) -> Any:
            pt = shifted(e, factor)
            return ak.sum(pt, axis=1)[ak.any(pt > 40, axis=1)]

        values = plain(expected, DY)
        assert same(value(below, ht, label), values)
        sizes.add(len(values))
    assert len(sizes) == 3


def test_vary_several_columns_and_any_shifts(dy: la.Events, plain: Any, value: Any) -> None:
    factors = {"fsr": 1.2, "up": 1.1, "isr": 0.7}
    frame = dy.define(lead=dy.MET.pt).vary(
        "scale",
        {
            "Jet.pt": {name: dy.Jet.pt * factor for name, factor in factors.items()},
            "MET.pt": {name: dy.MET.pt * factor for name, factor in factors.items()},
            "lead": {name: dy.MET.pt * 2 * factor for name, factor in factors.items()},
        },
    )
    assert frame.variations == ("scale_fsr", "scaleUp", "scale_isr")
    made = ak.sum(frame.Jet.pt, axis=1) + frame.MET.pt + frame.lead
    for label, factor in (("scale_fsr", 1.2), ("scaleUp", 1.1), ("scale_isr", 0.7)):

        def expected(e: Any, f: float = factor) -> Any:
            return ak.sum(e.Jet.pt * f, axis=1) + e.MET.pt * f + e.MET.pt * 2 * f

        assert same(value(frame, made, label), plain(expected, DY))


def test_systematics_are_independent_and_stack(dy: la.Events, plain: Any, value: Any) -> None:
    frame = dy.vary("jes", {"Jet.pt": {"up": dy.Jet.pt * 1.1}})
    frame = frame.filter(jet=lambda e: ak.any(e.Jet.pt > 30, axis=1))
    # Declared after a filter, and made of the column that the first one varies.
    frame = frame.vary("jer", {"Jet.pt": {"up": lambda e: e.Jet.pt + 5}})
    for label, shift in (
        ("nominal", lambda pt: pt),
        ("jesUp", lambda pt: pt * 1.1),
        ("jerUp", lambda pt: pt + 5),
    ):

        def expected(e: Any, shift: Any = shift, label: str = label) -> Any:
            before = e.Jet.pt * 1.1 if label == "jesUp" else e.Jet.pt
            return shift(e.Jet.pt)[ak.any(before > 30, axis=1)]

        assert same(value(frame, frame.Jet.pt, label), plain(expected, DY))


def test_columns_taken_before_vary_stay_nominal(dy: la.Events, run: Any) -> None:
    before = dy.Jet.pt
    frame = dy.vary("jes", {"Jet.pt": {"up": dy.Jet.pt * 1.1}})
    sums = run([frame.sum(before), frame.sum(frame.Jet.pt)])
    assert sums[0][DY]["jesUp"] == sums[0][DY]["nominal"]
    assert sums[1][DY]["jesUp"] == pytest.approx(1.1 * sums[0][DY]["nominal"], rel=1e-6)


@pytest.mark.parametrize(
    ("shifts", "error", "words"),
    ids=count(),
    argvalues=[
        ({}, InputTypeError, ["'jes'", "shifts nothing"]),
        ("Jet", InputTypeError, ["'jes'", "column"]),
        ({"Jet.pt": {}}, InputTypeError, ["no shifts for 'Jet.pt'", "up"]),
        ({"Jet.pt": [1, 2]}, InputTypeError, ["'Jet.pt'", "up"]),
        ({"Jte.pt": {"up": lambda e: e.Jet.pt}}, ColumnError, ["Jte", "'Jet'"]),
        ({"Jet.ptt": {"up": lambda e: e.Jet.pt}}, ColumnError, ["ptt", "'pt'"]),
        ({"Jet.pt": {"up": 1.1}}, InputTypeError, ["Shift 'up' of Jet.pt", "'jes'", "float"]),
        ({"Jet.pt": {"up": lambda e: e.MET.pt}}, InputTypeError, ["'up'", "type", "float32"]),
        ({"Jet": {"up": lambda e: e.Jet.pt}}, InputTypeError, ["Jet", "type"]),
        ({"Jet": {"up": lambda e: e.Muon}}, InputTypeError, ["lacks the fields", "with_field"]),
        ({"Jet.pt": {"a/b": lambda e: e.Jet.pt}}, InputError, ["'a/b'"]),
        ({3: {"up": lambda e: e.Jet.pt}}, InputTypeError, ["3", "Jet.pt"]),
        (
            {"Jet.pt": {"up": lambda e: e.Jet.pt}, "MET.pt": {"down": lambda e: e.MET.pt}},
            InputError,
            ["differently", "up", "down", "every shift"],
        ),
    ],
)
def test_vary_refuses(dy: la.Events, shifts: Any, error: type[Exception], words: list[str]) -> None:
    with refused(error, *words):
        dy.vary("jes", shifts)


# -- categories ------------------------------------------------------------------------------


def category_counts(result: hist.Hist[Any]) -> dict[str, float]:
    totals = result[{"dataset": 0, "variation": "nominal"}].project("category").values()
    return dict(zip(result.axes["category"], totals, strict=True))


def test_categories_overlap_multiply_and_survive_filters(
    dy: la.Events, plain: Any, run: Any
) -> None:
    n = ak.num(dy.Jet)
    frame = dy.categories(
        {
            "low": dy.MET.pt < 40,
            "none": ak.firsts(dy.Electron.pt) > 15,
            "nj": {"0j": n == 0, "1j": n == 1, "2j": n >= 2},
            "nm": {"0m": ak.num(dy.Muon) == 0, "1m": ak.num(dy.Muon) > 0},
        }
    )
    frame = frame.filter(pv=frame.PV.npvs > 15).categories({"late": lambda e: e.MET.pt > 20})
    assert frame._state.categories.names[:4] == ("low", "none", "0j_0m", "0j_1m")
    counts = category_counts(
        run(frame.hist(hist.axis.Regular(1, 0, 1e6, name="x"), x=frame.MET.pt)).value
    )

    def events_in(mask: Callable[[Any], Any]) -> int:
        return int(ak.sum(plain(lambda e: ak.fill_none(mask(e), False) & (e.PV.npvs > 15), DY)))

    assert counts["low"] == events_in(lambda e: e.MET.pt < 40)
    assert counts["none"] == events_in(lambda e: ak.firsts(e.Electron.pt) > 15)
    assert counts["late"] == events_in(lambda e: e.MET.pt > 20)
    for j, many in (("0j", lambda n: n == 0), ("1j", lambda n: n == 1), ("2j", lambda n: n >= 2)):
        assert counts[f"{j}_0m"] == events_in(
            lambda e, many=many: many(ak.num(e.Jet)) & (ak.num(e.Muon) == 0)
        )
    assert sum(counts[name] for name in counts if "_" in name) == events_in(lambda e: e.PV.npvs > 0)


def test_axes_of_equal_names_declared_one_after_the_other(dy: la.Events, run: Any) -> None:
    every, none = dy.MET.pt >= 0, dy.MET.pt < 0
    frame = dy.categories({"x": {"a": every}, "y": {"b": every}})
    frame = frame.categories({"x": {"a": none}, "z": {"c": every}})
    counts = category_counts(
        run(frame.hist(hist.axis.Regular(1, 0, 1e6, name="x"), x=frame.MET.pt)).value
    )
    assert counts == {"a_b": 600, "a_c": 0}


def test_more_than_64_categories(dy: la.Events, plain: Any, run: Any) -> None:
    frame = dy.categories({f"c{i:03}": dy.MET.pt > i for i in range(100)})
    axis = hist.axis.Regular(1, 0, 1e6, name="x")
    counts = category_counts(run(frame.hist(axis, x=frame.MET.pt)).value)
    met = plain(lambda e: e.MET.pt, DY)
    assert counts == {f"c{i:03}": np.sum(met > i) for i in range(100)}


@pytest.mark.parametrize(
    ("categories", "error", "words"),
    ids=count(),
    argvalues=[
        ({}, InputTypeError, ["mapping"]),
        ([1], InputTypeError, ["mapping", "SR"]),
        ({"a": lambda e: e.MET.pt > 9}, InputError, ["category 'a' already"]),
        ({"x": {}}, InputError, ["'x'", "empty"]),
        ({"x": {1: lambda e: e.MET.pt > 1}}, InputTypeError, ["axis 'x'", "text"]),
        ({"b": lambda e: e.MET.pt}, InputTypeError, ["Category 'b'", "compare"]),
        ({"b": lambda e: e.Jet.pt > 3}, InputTypeError, ["Category 'b'", "ak.any"]),
        ({"x": {"b": np.ones(2, bool)}}, InputTypeError, ["'x: b'", "ndarray"]),
        (
            {
                "p_q": lambda e: e.MET.pt > 1,
                "x": {"p": lambda e: e.MET.pt > 1},
                "y": {"q": lambda e: e.MET.pt > 1},
            },
            InputError,
            ["'p_q' already"],
        ),
        ({"c/d": lambda e: e.MET.pt > 1}, InputError, ["'c/d'"]),
    ],
)
def test_categories_refuse(
    dy: la.Events, categories: Any, error: type[Exception], words: list[str]
) -> None:
    frame = dy.categories({"a": dy.MET.pt > 3})
    with refused(error, *words):
        frame.categories(categories)
