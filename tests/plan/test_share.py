from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import awkward as ak
import dask_awkward as dak
import hist
import numpy as np
import pytest
from correctionlib import schemav2

import lazyana as la
from lazyana.frame.compute import make_plan
from lazyana.plan import passes
from lazyana.plan.program import Program, Ref, Shift, Step, nominal_booking
from lazyana.plan.share import share
from lazyana.plan.steps import Varied

AXIS = hist.axis.Regular(15, 0, 150, name="x")


def planned(outputs: Any, stage: str = "released") -> Program:
    (stages,) = make_plan(outputs).stages
    return stages[stage]


def shared(*outputs: Any) -> Program:
    return planned(dict(zip("abcdefgh", outputs, strict=False)), "shared")


def count(program: Program, title: str) -> int:
    return sum(step.title.startswith(title) for step in program.steps)


def test_same_expression_written_twice(events: Any, open_events: Callable[[], Any]) -> None:
    one = events.sum(ak.sum(events.Jet[events.Jet.pt > 30].pt, axis=1))
    jets = events["Jet"]
    two = events.sum(ak.sum(jets[events["Jet", "pt"] > 30]["pt"], axis=1) + 0.0)
    program = shared(one, two)
    assert count(program, "greater") == 1
    assert len(program.steps) == len(shared(one).steps) + 2  # the addition and its sum


def test_equal_lambdas_are_one_step(events: Any) -> None:
    first = dak.map_partitions(lambda pt: pt * 2, events.MET.pt, label="f")
    second = dak.map_partitions(lambda pt: pt * 2, events.MET.pt, label="f")
    assert first.name != second.name
    assert count(shared(events.sum(first), events.sum(second)), "f") == 1


def correction_of(values: tuple[float, float]) -> Any:
    binning = schemav2.Binning(
        nodetype="binning", input="pt", edges=[0, 50, 1000], content=list(values), flow="clamp"
    )
    correction = schemav2.Correction(
        name="sf",
        version=1,
        inputs=[schemav2.Variable(name="pt", type="real")],
        output=schemav2.Variable(name="weight", type="real"),
        data=binning,
    )
    return schemav2.CorrectionSet(schema_version=2, corrections=[correction]).to_evaluator()["sf"]


def test_correction_evaluated_twice_is_one_step(events: Any) -> None:
    pt = events.MET.pt
    outputs = [events.sum(correction_of((0.9, 1.1)).evaluate(pt)) for _ in range(2)]
    other = events.sum(correction_of((0.9, 1.2)).evaluate(pt))
    program = shared(*outputs, other)
    assert count(program, "sf") == 2
    assert len({booking.keys["nominal"] for booking in program.bookings}) == 2


def test_equal_outputs_each_get_their_value(events: Any) -> None:
    pt = events.MET.pt
    frame = events.vary("s", {"MET.pt": {"up": pt * 1.1, "down": pt * 0.9}})
    outputs = [frame.hist(AXIS, x=frame.MET.pt) for _ in range(3)]
    outputs += [frame.sum(frame.MET.pt) for _ in range(2)] + [frame.cutflow()] * 2
    result = la.compute(outputs, executor="sync", partition_size=25)
    only = {"only": frame.hist(AXIS, x=frame.MET.pt)}
    single = la.compute(only, executor="sync", partition_size=25)
    for i in range(3):
        assert result[i] == single["only"]
    assert result[3] == result[4]
    assert result[3]["tt"]["nominal"] > 0
    assert result[5].count("all events", "tt") == result[6].count("all events", "tt") == 120


def closure(value: Any) -> Callable[[Any], Any]:
    return lambda column: column * value


def default(value: Any) -> Callable[[Any], Any]:
    def function(column: Any, by: Any = value) -> Any:
        return column * by

    return function


def table(value: Any) -> Callable[[Any], Any]:
    return {"key": value}.get


class Method:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, column: Any) -> Any:
        return column * self.value

    def method(self, column: Any) -> Any:
        return column * self.value


PAIRS = [(1, 2), (0.0, -0.0), (1, True), (1, 1.0), (1.0, math.nan), (np.float32(1), np.float64(1))]
MAKERS = [closure, default, table, Method, lambda value: Method(value).method]


def merged(*steps: Step) -> Program:
    fills = [Step(f"out{i}", print, (Ref(step.key), i)) for i, step in enumerate(steps)]
    bookings = tuple(nominal_booking(fill.key, None, fill.key, ()) for fill in fills)
    return share(Program("p", (*steps, *fills), bookings))


def is_merged(first: Step, second: Step) -> bool:
    steps = merged(first, second).steps
    return len(steps) == 3


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_share_never_merges_different_values(pair: tuple[Any, Any]) -> None:
    for values in (lambda x: (x,), lambda x: ([x],), lambda x: ({"a": x},), lambda x: ((x, "a"),)):
        one, two = (Step(f"s{i}", max, values(x)) for i, x in enumerate(pair))
        assert not is_merged(one, two)
        assert is_merged(one, Step("s1", max, values(pair[0])))
    assert not is_merged(*(Step(f"s{i}", max, (), {"key": x}) for i, x in enumerate(pair)))
    for make in MAKERS:
        assert not is_merged(*(Step(f"s{i}", make(x), ("a",)) for i, x in enumerate(pair)))
        assert is_merged(*(Step(f"s{i}", make(pair[0]), ("a",)) for i in range(2)))


def test_share_never_merges_different_functions() -> None:
    scope: dict[str, Any] = {}
    source = "def f(x):\n    return x * FACTOR\n"
    functions = []
    for factor in (2, 3, 2):
        scope = {"FACTOR": factor, "__name__": "user_module"}
        exec(source, scope)
        functions.append(scope["f"])
    steps = [Step(f"s{i}", function, (1,)) for i, function in enumerate(functions)]
    assert not is_merged(steps[0], steps[1])
    assert is_merged(steps[0], steps[2])
    assert not is_merged(Step("a", dict, (), {"x": 1}), Step("b", dict, (), {"y": 1}))
    assert not is_merged(Step("a", max, (1, 2)), Step("b", max, ((1, 2),)))
    assert is_merged(Step("a", dict, (), {"x": 1, "y": 2}), Step("b", dict, (), {"y": 2, "x": 1}))
    # The order of fields in a zipped record is that of the mapping.
    assert not is_merged(
        Step("a", ak.zip, ({"x": 1, "y": 2},)), Step("b", ak.zip, ({"y": 2, "x": 1},))
    )


def test_nan_is_merged_with_itself() -> None:
    assert is_merged(Step("a", max, (math.nan,)), Step("b", max, (float("nan"),)))


def test_marked_columns_merge_only_if_they_become_the_same() -> None:
    def program(first: float, second: float) -> Program:
        steps = (
            Step("x", float, ("1",)),
            Step("r1", max, (first, 0)),
            Step("r2", max, (second, 0)),
            Step("m1", Varied("s", "x"), (Ref("x"),)),
            Step("m2", Varied("s", "x"), (Ref("x"),)),
            Step("f1", abs, (Ref("m1"),)),
            Step("f2", divmod, (Ref("m2"), 1)),
        )
        bookings = tuple(nominal_booking(key, None, key, ("sUp",)) for key in ("f1", "f2"))
        return Program("p", steps, bookings, (Shift("sUp", {"m1": "r1", "m2": "r2"}),))

    same, different = share(program(3.0, 3.0)), share(program(3.0, 4.0))
    assert len(same.shifts[0].replacements) == 1
    assert len(different.shifts[0].replacements) == 2
    run = passes.vary(different).run(None, None)  # type: ignore[arg-type]
    assert run["f1", "sUp"] == 3.0
    assert run["f2", "sUp"] == (4.0, 0.0)


def test_field_of_a_record_with_another_field_replaced(events: Any) -> None:
    pt = events.Jet.pt
    frame = events.vary("s", {"Jet.pt": {"up": pt * 1.1, "down": pt * 0.9}})
    below = frame.filter(muons=lambda e: ak.num(e.Muon) >= 1).filter(met=lambda e: e.MET.pt > 20)
    for one in (frame, below):
        output = one.hist(hist.axis.Regular(9, -3, 3, name="eta"), eta=one.Jet.eta)
        program = planned(output)
        assert list(program.bookings[0].keys) == ["nominal"]
        assert program.read is not None
        assert "Jet_pt" not in program.read.branches
        assert count(program, "with-field") == 0


def test_overwritten_fields_are_dropped(events: Any) -> None:
    frame = events
    for i in range(8):
        frame = frame.vary(f"s{i}", {"Jet.pt": {"up": frame.Jet.pt * (1 + (i + 1) / 100)}})
    program = planned(frame.sum(ak.sum(frame.Jet.px, axis=1)))
    assert count(program, "with-field") == 9  # one in each world, not one for each systematic
    recorded_steps = planned(frame.sum(ak.sum(frame.Jet.px, axis=1)), "recorded")
    assert count(recorded_steps, "with-field") == 8


def test_new_field_with_missing_values_keeps_its_effect(events: Any) -> None:
    """Records become missing where an event's new value is: other fields are not the original."""
    lead = ak.firsts(events.Muon.pt)
    jets = ak.with_field(events.Jet, lead, "lead")
    result = la.compute(
        [events.sum(ak.sum(jets.pt, axis=1)), events.sum(ak.sum(events.Jet.pt, axis=1))],
        executor="sync",
    )
    with_muons = events.filter(muons=ak.num(events.Muon) > 0)
    expected = la.compute([with_muons.sum(lambda e: ak.sum(e.Jet.pt, axis=1))], executor="sync")
    assert result[0]["tt"]["nominal"] == pytest.approx(expected[0]["tt"]["nominal"])
    assert result[0]["tt"]["nominal"] < result[1]["tt"]["nominal"]


def test_sinks_that_are_filled_alike_are_one(events: Any) -> None:
    """Equal sinks of equal columns are; other titles, bins, columns, order or kinds are not."""
    finer = hist.axis.Regular(30, 0, 150, name="x")
    other = hist.axis.Regular(15, 0, 150, name="y")
    met = events.MET
    outputs = {
        "one": events.hist(AXIS, x=met.pt),
        "same": events.hist(AXIS, x=events["MET", "pt"]),
        "once more": events.hist(AXIS, x=met.pt, label="another title"),
        "finer": events.hist(finer, x=met.pt),
        "other": events.hist(AXIS, x=met.phi),
        "both": events.hist(AXIS, other, x=met.pt, y=met.phi),
        "turned": events.hist(AXIS, other, x=met.phi, y=met.pt),
        "sum": events.sum(met.pt),
    }
    program = planned(outputs, "shared")
    filled = {b.output: b.keys["nominal"] for b in program.bookings}
    keys = dict(zip(outputs, (filled[str(i)] for i in range(len(outputs))), strict=True))
    assert keys["one"] == keys["same"]
    assert len(set(keys.values())) == len(outputs) - 1
    result = la.compute(outputs, executor="sync")
    assert result["one"] == result["same"] != result["finer"]
    assert result["both"].project("x") != result["turned"].project("x")
