"""What a frame carries besides its events."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.errors import InputError, InputTypeError
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

EVERY = Level(0)


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
