"""Weights: what classes and functions declare, and the common ones on the embedded sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest
from omegaconf import OmegaConf

import lazyana as la
from lazyana.analysis.view import EventsView
from lazyana.analysis.weights import (
    WeightData,
    WeightDataMultiVariation,
    WeightLambda,
    WeightWrapper,
    apply_weight,
    apply_weights,
    compute_weight,
)
from lazyana.errors import ColumnError, InputError, InputTypeError

METADATA = {"year": "2018", "sample": "DYJetsToLL", "isMC": True, "xsec": 6077.22}


class Varied(WeightWrapper):
    name = "varied"
    has_variations = True
    variations = ("hf", "lf")

    def compute(self, events: Any, size: Any, shape_variation: str) -> Any:
        met = events.MET.pt
        return WeightDataMultiVariation(
            self.name, met * 0 + 2, ["hf", "lf"], [met * 0 + 3, met * 0 + 4], [met * 0 + 1, None]
        )


# -- classes and functions -------------------------------------------------------------------


def test_labels_are_those_of_the_variations() -> None:
    plain = WeightLambda.wrap_func("plain", lambda *_: 1.0)
    shifted = WeightLambda.wrap_func("shifted", lambda *_: 1.0, has_variations=True)
    assert plain({}, {}).labels == ()
    assert shifted({}, {}).labels == ("shiftedUp", "shiftedDown")
    assert Varied({}, {}).labels == (
        "varied_hfUp",
        "varied_hfDown",
        "varied_lfUp",
        "varied_lfDown",
    )


def test_sources_may_depend_on_the_parameters() -> None:
    class OfYear(WeightWrapper):
        name = "of_year"
        has_variations = True

        def __init__(self, params: Any, metadata: Any) -> None:
            super().__init__(params, metadata)
            self._variations = list(params.sources[metadata["year"]])

    params = OmegaConf.create({"sources": {"2018": ["a"], "2017": ["b", "c"]}})
    assert OfYear(params, {"year": "2018"}).labels == ("of_year_aUp", "of_year_aDown")
    assert len(OfYear(params, {"year": "2017"}).labels) == 4


def test_lambda_is_called_with_what_it_may_need(dy_events: ak.Array) -> None:
    seen: list[Any] = []

    def function(*given: Any) -> Any:
        seen.extend(given)
        return np.ones(given[3])

    weight = WeightLambda.wrap_func("mine", function, isMC_only=False)({"a": 1}, METADATA)
    assert not type(weight).isMC_only
    data = compute_weight(weight, dy_events, len(dy_events))
    params, metadata, events, size, variation = seen
    assert (params.a, metadata, size, variation) == (1, METADATA, len(dy_events), "nominal")
    assert events is dy_events
    assert data.nominal.tolist() == [1.0] * len(dy_events)


@pytest.mark.parametrize(
    ("value", "shifts"),
    [
        ((2.0, 3.0, 1.0), {"": (3.0, 1.0)}),
        ((2.0, 3.0, None), {"": (3.0, None)}),
        ((2.0, ["a", "b"], [3.0, 4.0], [1.0, None]), {"a": (3.0, 1.0), "b": (4.0, None)}),
        (WeightData("mine", 2.0, up=3.0), {"": (3.0, None)}),
    ],
)
def test_lambda_may_return_variations(value: Any, shifts: Any) -> None:
    weight = WeightLambda.wrap_func("mine", lambda *_: value, has_variations=True)
    data = compute_weight(weight(), None)
    assert data.nominal == 2.0
    assert data.shifts == shifts


def wrapped(value: Any, **options: Any) -> WeightWrapper:
    class Mine(WeightWrapper):
        name = "mine"

        def compute(self, events: Any, size: Any, shape_variation: str) -> Any:
            return value

    for option, setting in options.items():
        setattr(Mine, option, setting)
    return Mine()


@pytest.mark.parametrize(
    ("weight", "error", "words"),
    [
        (wrapped(1.0), InputTypeError, r"returned a float: return WeightData"),
        (wrapped(WeightData("other", 1.0)), InputError, r"values of 'other'.*self\.name"),
        (wrapped(WeightData("mine", 1.0, 2.0)), InputError, r"write has_variations = True"),
        (
            wrapped(WeightData("mine", 1.0), has_variations=True),
            InputError,
            r"returned no variations",
        ),
        (
            wrapped(
                WeightDataMultiVariation("mine", 1.0, ["hff"], [1.0], [1.0]),
                has_variations=True,
                variations=("hf", "lf"),
            ),
            InputError,
            r"source 'hff'.*'hf'.*Declared are: hf, lf",
        ),
        (
            wrapped(
                WeightDataMultiVariation("mine", 1.0, ["up"], [1.0], [1.0]), has_variations=True
            ),
            InputError,
            r"cannot be called 'up'",
        ),
        (WeightLambda.wrap_func("mine", lambda *_: (1.0, 2.0))(), InputTypeError, r"2 values"),
        (type("Empty", (WeightWrapper,), {"name": "mine"})(), InputError, r"def compute\(self"),
    ],
)
def test_wrong_weights_are_refused(
    weight: WeightWrapper, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        compute_weight(weight, None)


def test_sources_have_a_value_each() -> None:
    with pytest.raises(InputError, match=r"2 sources with 1 values up and 2 down"):
        WeightDataMultiVariation("mine", 1.0, ["a", "b"], [1.0], [1.0, 2.0])


def test_function_is_asked_for() -> None:
    with pytest.raises(InputTypeError, match=r"weight 'mine' is a float: give a function"):
        WeightLambda.wrap_func("mine", 1.0)  # type: ignore[arg-type]
    words = r"weight 'mine' cannot be called .*: its arguments are \(params, metadata, events, size"
    with pytest.raises(InputError, match=words):
        WeightLambda.wrap_func("mine", lambda params, metadata, events: 1.0)


# -- applying --------------------------------------------------------------------------------


def totals(run: Callable[..., Any], events: la.Events) -> dict[str, float]:
    found: dict[str, float] = run(events.sum()).value["DYJetsToLL"]
    return found


def test_variations_are_labelled_by_name_and_source(
    dy_frame: la.Events, run: Callable[..., Any]
) -> None:
    events = apply_weights(
        dy_frame, ["varied"], {"varied": Varied}, {}, METADATA, varied=["varied"]
    )
    assert events.variations == ("varied_hfUp", "varied_hfDown", "varied_lfUp")
    n = events.entries
    assert totals(run, events) == {
        "nominal": 2 * n,
        "varied_hfUp": 3 * n,
        "varied_hfDown": n,
        "varied_lfUp": 4 * n,
    }


def test_variations_are_left_out_where_they_are_not_wanted(dy_frame: la.Events) -> None:
    known = {"varied": Varied}
    assert apply_weights(dy_frame, ["varied"], known, {}, METADATA).variations == ()
    data = compute_weight(Varied(), EventsView(dy_frame))
    assert apply_weight(dy_frame, data, varied=False).variations == ()
    assert len(apply_weight(dy_frame, data).variations) == 3


def test_size_makes_numbers_of_lazy_events(dy_frame: la.Events, run: Callable[..., Any]) -> None:
    function = lambda params, metadata, events, size, shape: (  # noqa: E731  (a lambda is what is tested)
        np.full(size, 2.0),
        np.ones(size) * 3,
        np.zeros(size),
    )
    known = {"flat": WeightLambda.wrap_func("flat", function, has_variations=True)}
    events = apply_weights(dy_frame, ["flat"], known, {}, METADATA, varied=["flat"])
    n = events.entries
    assert totals(run, events) == {"nominal": 2 * n, "flatUp": 3 * n, "flatDown": 0}


def test_weights_see_numbers_of_objects(dy_frame: la.Events, run: Callable[..., Any]) -> None:
    known = {"n": WeightLambda.wrap_func("n", lambda p, m, events, *_: 0.5 * events.nMuon)}
    events = apply_weights(dy_frame, ["n"], known, {}, METADATA)
    expected = run(dy_frame.sum(ak.num(dy_frame.Muon))).value["DYJetsToLL"]["nominal"]
    assert totals(run, events) == {"nominal": 0.5 * expected}


def test_data_get_no_weights_of_simulation(muon_frame: la.Events, run: Callable[..., Any]) -> None:
    both = {
        name: WeightLambda.wrap_func(
            name, lambda *_: (2.0, 3.0, 1.0), has_variations=True, isMC_only=name == "mc"
        )
        for name in ("mc", "any")
    }
    events = apply_weights(muon_frame, both, both, {}, METADATA, varied=both)
    assert events.variations == ()
    assert run(events.sum()).value["SingleMuon"] == {"nominal": 2.0 * events.entries}


def test_unknown_weight_is_named(dy_frame: la.Events) -> None:
    known = {"flat": Varied, "varied": Varied}
    with pytest.raises(InputError, match=r"no weight 'varie'.*Did you mean 'varied'.*flat"):
        apply_weights(dy_frame, ["varie"], known, {}, METADATA)


def test_errors_name_the_weight(dy_frame: la.Events) -> None:
    def missing(params: Any, metadata: Any, events: Any, *rest: Any) -> Any:
        return events.Muon.ptt

    def foreign(params: Any, *rest: Any) -> Any:
        return params["nothing"]

    events = EventsView(dy_frame)
    with pytest.raises(ColumnError, match=r"Weight 'own': .*'ptt'.*'pt'"):
        compute_weight(WeightLambda.wrap_func("own", missing)({}, METADATA), events)
    with pytest.raises(KeyError) as caught:
        compute_weight(WeightLambda.wrap_func("own", foreign)({"a": 1}, METADATA), events)
    assert any("Weight 'own'" in note for note in caught.value.__notes__)
