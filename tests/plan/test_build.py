from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from lazyana.errors import InputError
from lazyana.plan.build import HERE, STAGES, Call, Request, check_stage, record, stages
from lazyana.plan.program import PLACE, Ref
from lazyana.plan.steps import Fill
from lazyana.sinks.sums import Sum
from lazyana.sinks.weights import FactorShape, WeightMatrix


def request(output: str, column: Any, *variations: str, weights: Any = None) -> Request:
    return Request(output, Sum(shape_variations=variations), (weights, column), variations)


def test_request_becomes_a_filling_step(events: Any) -> None:
    column = events.MET.pt
    program = record("tt", [request("o", column)], {})
    (booking,) = program.bookings
    fill = program.by_key[booking.keys["nominal"]]
    assert isinstance(fill.function, Fill)
    assert fill.args == (Ref(PLACE), None, Ref(column.name))
    assert fill.title == "sum"
    assert program.steps[-1] is fill


def test_one_call_used_twice_is_one_step(events: Any) -> None:
    def weights(nominal: Any) -> Call:
        return Call("weights", WeightMatrix((FactorShape("w"),)), (HERE, None, nominal))

    requests = [
        request(str(i), events.MET.pt, weights=weights(value))
        for i, value in enumerate((events.genWeight, events.genWeight, 1, True, 1.0))
    ]
    program = record("tt", requests, {})
    titles = [step.title for step in program.steps]
    assert titles.count("weights") == 4
    assert titles.count("sum") == 5


def test_columns_used_by_a_call_only_are_there(events: Any) -> None:
    inner = Call("inner", WeightMatrix((FactorShape("w"),)), (HERE, None, events.genWeight))
    program = record("tt", [request("o", None, weights=inner)], {})
    assert "genWeight" in {step.title for step in program.steps}


def test_only_wanted_variations_are_recorded(events: Any) -> None:
    frame = events.vary("s", {"MET.pt": {"up": events.MET.pt * 2, "down": events.MET.pt * 3}})
    shifts = frame._state.shifts
    column = frame.MET.pt
    none = record("tt", [request("o", column)], shifts)
    assert none.shifts == ()
    up = record("tt", [request("o", column, "sUp")], shifts)
    assert [shift.variation for shift in up.shifts] == ["sUp"]
    both = record("tt", [request("o", column, "sUp"), request("p", column, "sDown")], shifts)
    assert [shift.variation for shift in both.shifts] == ["sUp", "sDown"]


def test_variation_of_a_column_nobody_looks_at_costs_nothing(events: Any) -> None:
    frame = events.vary("s", {"MET.pt": {"up": np.sqrt(events.PuppiMET.pt)}})
    program = record("tt", [request("o", ak.num(frame.Jet), "sUp")], frame._state.shifts)
    assert program.shifts[0].replacements == {}
    assert "sqrt" not in {step.title for step in program.steps}


def test_stages_in_order(events: Any) -> None:
    blueprint = events._group.blueprint
    frame = events.vary("s", {"MET.pt": {"up": events.MET.pt * 2}})
    recorded = record("tt", [request("o", frame.MET.pt, "sUp")], frame._state.shifts)
    staged = stages(recorded, blueprint)
    assert tuple(staged) == STAGES
    assert staged["recorded"] is recorded
    assert staged["shared"].read is None
    assert staged["pruned"].read is not None
    assert staged["pruned"].bookings[0].keys.keys() == {"nominal"}
    assert staged["varied"].bookings[0].keys.keys() == {"nominal", "sUp"}
    assert staged["varied"].releases is None
    assert staged["released"].releases is not None
    assert [step.key for step in staged["released"].steps] == [
        step.key for step in staged["fused"].steps
    ]
    assert staged["released"].read == staged["pruned"].read


def test_check_stage() -> None:
    assert check_stage("varied") == "varied"
    with pytest.raises(InputError, match="Did you mean 'pruned'"):
        check_stage("prunned")
