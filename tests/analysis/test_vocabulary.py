"""The words of expressions: three-valued logic and functions, one by one."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

import lazyana as la
from lazyana.analysis.vocabulary import (
    FUNCTIONS,
    Logic,
    boolean,
    column_like,
    kind_of,
    number,
    plain,
)
from lazyana.errors import InputTypeError

VALUES = [True, False, None]
LEFT = ak.Array([a for a in VALUES for _ in VALUES])
RIGHT = ak.Array([b for _ in VALUES for b in VALUES])


def outcome(logic: Logic) -> list[bool | None]:
    holds, fails = logic.holds().tolist(), logic.fails().tolist()
    assert not any(a and b for a, b in zip(holds, fails, strict=True))
    return [True if a else False if b else None for a, b in zip(holds, fails, strict=True)]


def test_unknown_conditions_combine_as_they_should() -> None:
    left, right = Logic.of(LEFT), Logic.of(RIGHT)
    assert outcome(left) == LEFT.tolist()
    assert outcome(left.negated()) == [None if a is None else not a for a in LEFT.tolist()]
    assert outcome(left.both(right)) == [True, False, None, False, False, False, None, False, None]
    assert outcome(left.either(right)) == [True, True, True, True, False, None, True, None, None]
    assert outcome(left.differs(right)) == [
        *(False, True, None),
        *(True, False, None),
        *(None, None, None),
    ]


def test_constants_are_conditions() -> None:
    column = Logic.of(ak.Array([True, None]))
    assert Logic.of(True).both(column).holds().tolist() == [True, False]
    assert Logic.of(False).either(column.negated()).holds().tolist() == [False, False]
    assert Logic.of(np.True_).negated().holds() is False


def test_what_is_boolean() -> None:
    assert boolean(True)
    assert boolean(np.False_)
    assert boolean(LEFT)
    assert boolean(Logic.of(LEFT))
    assert boolean(ak.Array([[True, None], None]))
    assert not boolean(ak.Array([1, 0]))
    assert not boolean(ak.Array([{"x": True}]))
    assert not boolean(1)


def test_lazy_numbers_are_no_columns(dy_frame: la.Events) -> None:
    assert column_like(dy_frame.MET.pt)
    assert not column_like(ak.sum(dy_frame.MET.pt))
    assert not column_like(ak.Record({"x": 1}))
    assert not column_like(3)


def test_true_counts_as_one() -> None:
    assert number(Logic.of(LEFT[:3])).tolist() == [1, 1, 1]
    assert number(ak.Array([[True], [False, True]])).tolist() == [[1], [0, 1]]
    assert number(True) == 1
    assert type(number(True)) is int
    assert number(2.5) == 2.5
    with pytest.raises(InputTypeError, match="record with fields pt"):
        number(ak.Array([{"pt": 1}]))


def test_kinds_have_names() -> None:
    assert kind_of(ak.Array([[1.0]])) == "var * float64"
    assert kind_of(ak.Array([1, None])) == "?int64"
    assert kind_of("x") == "the text 'x'"
    assert kind_of(3) == "the number 3"


NUMBERS = ak.Array([[4.0, 1.0], [], [9.0]])


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("abs", (ak.Array([-1, 2]),), [1, 2]),
        ("sqrt", (NUMBERS,), [[2.0, 1.0], [], [3.0]]),
        ("hypot", (3.0, ak.Array([4.0])), [5.0]),
        ("arctan2", (0.0, ak.Array([1.0])), [0.0]),
        ("isnan", (ak.Array([np.nan, 1.0]),), [True, False]),
        ("first", (NUMBERS,), [4.0, None, 9.0]),
        ("where", (Logic.of(ak.Array([True, None])), 1, 2), [1, 2]),
        ("is_none", (ak.Array([1, None]),), [False, True]),
        ("fill_none", (ak.Array([1, None]), 7), [1, 7]),
    ],
)
def test_functions(name: str, arguments: Any, expected: Any) -> None:
    assert plain(FUNCTIONS[name].call(*arguments)).tolist() == expected


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("sum", (NUMBERS,), [5.0, 0.0, 9.0]),
        ("min", (NUMBERS,), [1.0, None, 9.0]),
        ("max", (NUMBERS,), [4.0, None, 9.0]),
        ("max", (NUMBERS, 2.0), [[4.0, 2.0], [], [9.0]]),
        ("min", (ak.Array([1, 5]), 3, ak.Array([2, 2])), [1, 2]),
        ("any", (NUMBERS > 3,), [True, False, True]),
        ("all", (NUMBERS > 3,), [False, True, True]),
        ("num", (NUMBERS,), [2, 0, 1]),
        ("count", (ak.Array([[1, None], []]),), [1, 0]),
        ("num", (ak.Array([[1, None], []]),), [2, 0]),
    ],
)
def test_functions_along_the_objects(name: str, arguments: Any, expected: Any) -> None:
    assert FUNCTIONS[name].along_axis
    assert plain(FUNCTIONS[name].call(*arguments, axis=1)).tolist() == expected


def test_some_and_all_objects_may_be_unknown() -> None:
    objects = ak.Array([[True, None], [False, None], [None], [True, False], [], None])
    assert outcome(FUNCTIONS["any"].call(objects, axis=1)) == [
        *(True, None, None),
        *(True, False, None),
    ]
    assert outcome(FUNCTIONS["all"].call(objects, axis=1)) == [
        *(None, False, None),
        *(False, True, None),
    ]
