"""What a lazy column must be like to serve as a mask, a weight or a variation."""

from __future__ import annotations

from itertools import count
from typing import Any

import awkward as ak
import dask
import dask_awkward as dak
import numpy as np
import pytest

from lazyana.errors import InputError, InputTypeError
from lazyana.frame.checks import (
    check_mask,
    check_name,
    lazy,
    path_of,
    same_kind,
    unique,
)


def column(values: Any) -> dak.Array:
    return dak.from_awkward(ak.Array(values), 1)


def test_lazy_is_what_dask_awkward_makes() -> None:
    array = column([{"x": 1}])
    assert lazy(array)
    assert lazy(array[0])
    assert lazy(ak.sum(array.x))
    assert not lazy(3)
    assert not lazy(lambda events: events)
    assert not lazy(ak.Array([1]))
    assert not lazy(dask.delayed(3))


@pytest.mark.parametrize("name", ["a", "jes_Total", "µ", "HLT.x", "2018"])
def test_names_that_will_do(name: str) -> None:
    check_name("cut", name)


@pytest.mark.parametrize("name", ["", "a/b", "a@b", "a\nb", "nominal"])
def test_names_that_will_not(name: str) -> None:
    with pytest.raises(InputError, match=r"A cut cannot be called .* another name"):
        check_name("cut", name)


def test_name_of_a_method_is_refused() -> None:
    with pytest.raises(InputError, match=r"'upper'.*method"):
        check_name("column", "upper", reserved=str)
    with pytest.raises(InputTypeError, match=r"column is 3"):
        check_name("column", 3)


@pytest.mark.parametrize("mask", [[True, False], [True, None]], ids=count())
def test_masks(mask: list[Any]) -> None:
    check_mask("Filter 'f'", column(mask))


@pytest.mark.parametrize(
    ("mask", "message"),
    ids=count(),
    argvalues=[
        ([1, 2], "'f'.*int64.*compare"),
        ([1.5], "float64.*column > 0"),
        (["a"], "string.*compare"),
        ([[True], []], r"several values.*ak\.any\(mask, axis=1\)"),
        ([{"x": True}], r"record with fields \['x'\]"),
    ],
)
def test_no_masks(mask: list[Any], message: str) -> None:
    with pytest.raises(InputTypeError, match=message):
        check_mask("Filter 'f'", column(mask))


def test_shifts_are_of_the_kind_of_the_column() -> None:
    flat, jagged = column([1.5]), column([[1.5]])
    one, two = column([[{"pt": 1.0}]]), column([[{"pt": 1.0, "eta": 2.0}]])
    same_kind("Up", flat, column([2]))
    same_kind("Up", one, two)  # more fields do no harm
    with pytest.raises(InputTypeError, match=r"Up has type .*but the column has type"):
        same_kind("Up", flat, jagged)
    with pytest.raises(InputTypeError, match="Up has type"):
        same_kind("Up", one, jagged)
    with pytest.raises(InputTypeError, match=r"Up lacks the fields eta.*with_field"):
        same_kind("Up", two, one)
    with pytest.raises(InputTypeError, match="Up has type"):
        same_kind("Up", flat, column(["text"]))


def test_long_types_are_cut_short() -> None:
    wide = column([[{f"field{i}": np.float32(1) for i in range(30)}]])
    with pytest.raises(InputTypeError) as caught:
        same_kind("Up", column([1.5]), wide)
    assert len(str(caught.value)) < 200


def test_paths() -> None:
    assert path_of("Jet") == ("Jet",)
    assert path_of("Jet.pt") == path_of(("Jet", "pt")) == ("Jet", "pt")
    for wrong in ("", (), 3, ("Jet", 3), ["Jet", "pt"]):
        with pytest.raises(InputTypeError, match=r"name it, e.g. 'Jet' or 'Jet.pt'"):
            path_of(wrong)


def test_names_are_unique() -> None:
    unique("category", ["a", "b"])
    with pytest.raises(InputError, match="category 'a' already"):
        unique("category", ["a", "b", "a"])
