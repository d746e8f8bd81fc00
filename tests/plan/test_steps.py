from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from lazyana.errors import RunError
from lazyana.plan.program import PLACE, Ref, Step
from lazyana.plan.steps import AnyVariation, Fill, SelectEvents, Varied, in_variation, is_opaque
from lazyana.sinks.base import Place
from lazyana.sinks.weights import CategoryMasks, FactorShape, WeightMatrix

HERE = Place("dy", 0, "nominal", "dy.root", 0, 3)


class Recording:
    kind = "recording"

    def fill(self, place: Place, *columns: Any) -> Any:
        return place.variation, columns


def test_select_events() -> None:
    column = ak.Array([[1, 2], [3], []])
    assert SelectEvents("cut")(column, ak.Array([True, False, True])).to_list() == [[1, 2], []]
    assert SelectEvents("cut")(column, ak.Array([None, True, None])).to_list() == [[3]]


def test_select_events_without_data() -> None:
    column = ak.to_backend(ak.Array([[1, 2], [3], []]), "typetracer")
    mask = ak.to_backend(ak.Array([None, True, None]), "typetracer")
    assert str(SelectEvents("cut")(column, mask).type).endswith("* var * int64")


@pytest.mark.parametrize("mask", [[True], [True, None, False, True]])
def test_mask_of_another_length(mask: list[Any]) -> None:
    with pytest.raises(RunError, match="'two' has"):
        SelectEvents("two")(ak.Array([1, 2, 3]), ak.Array(mask))


def test_numbers_of_any_variation() -> None:
    rows = ak.Array(np.array([1, 4]))
    assert AnyVariation()(rows) is rows
    varied = (ak.Array(np.array([4, 7])), ak.Array(np.array([], np.int64)))
    assert AnyVariation()(rows, *varied).to_list() == [1, 4, 7]
    unknown = ak.to_backend(rows, "typetracer")
    assert AnyVariation()(unknown, unknown) is unknown


def test_varied_is_nominal() -> None:
    column = ak.Array([1, 2])
    assert Varied("jes", "Jet.pt")(column) is column


def test_fill_in_nominal_has_all_weights() -> None:
    weights = np.ones((3, 4))
    variation, columns = Fill(Recording())(HERE, weights, None, 1)
    assert variation == "nominal"
    assert columns[0] is weights


def test_fill_in_a_variation_has_nominal_weights_only() -> None:
    step = Step("s", Fill(Recording()), (Ref(PLACE), Ref("w")))
    varied = in_variation(step, "jesUp")
    variation, (weights, none) = varied.function(HERE, np.arange(6.0).reshape(3, 2), None)
    assert variation == "jesUp"
    np.testing.assert_array_equal(weights, [[0.0], [2.0], [4.0]])
    assert none is None
    assert step.function.variation == "nominal"


def test_weights_in_a_variation_take_nominal_columns() -> None:
    factors = (
        FactorShape("a", ("aUp", "aDown"), "zero"),
        FactorShape("b"),
        FactorShape("c", ("cUp",)),
    )
    columns = tuple(Ref(name) for name in ("a", "aUp", "aDown", "b", "c", "cUp"))
    step = Step("w", WeightMatrix(factors), (Ref(PLACE), None, *columns))
    lean = in_variation(step, "jesUp")
    assert lean.args == (Ref(PLACE), None, Ref("a"), Ref("b"), Ref("c"))
    names = tuple(
        FactorShape(name, nan=nan) for name, nan in (("a", "zero"), ("b", "raise"), ("c", "raise"))
    )  # type: ignore[arg-type]
    assert lean.function == WeightMatrix(names, "jesUp")


def test_other_steps_are_the_same_in_a_variation() -> None:
    class Users:
        """Has attributes of the same names as ours, and is not taken for one of them."""

        opaque = True

        def vary(self) -> None:
            raise AssertionError

    step = Step("s", Users())  # type: ignore[arg-type]
    assert in_variation(step, "jesUp") is step
    assert not is_opaque(step.function)


def test_what_is_opaque() -> None:
    assert is_opaque(Fill(Recording()))
    assert is_opaque(WeightMatrix(()))
    assert is_opaque(CategoryMasks((), ()))
    assert not is_opaque(SelectEvents("x"))
