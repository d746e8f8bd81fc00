from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from typing import Any

import awkward as ak
import dask_awkward as dak
import hist
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lazyana as la
from lazyana.data.elementwise import Elementwise
from lazyana.frame.compute import make_plan
from lazyana.plan import passes
from lazyana.plan.build import record
from lazyana.plan.fingerprint import step_contents
from lazyana.plan.program import Program, Ref, Step, nominal_booking, ordered
from lazyana.plan.steps import is_opaque

AXIS = hist.axis.Regular(15, 0, 150, name="x")

Expressions = dict[str, Any]


# --- a program by rewrite is the program recorded by hand -----------------------------------------


def everything(events: Any) -> Expressions:
    """Outputs of many kinds, of varied and untouched columns, across cuts, weights, categories."""
    events = events.weight("gen", np.sign(events.genWeight))
    events = events.weight("ht", 1 + ak.sum(events.Jet.pt, axis=1) / 1000)
    events = events.filter(jets=lambda e: ak.num(e.Jet[e.Jet.pt > 30]) >= 2)
    events = events.filter(met=lambda e: e.MET.pt > 15)
    events = events.categories(
        {"tagged": ak.any(events.Jet.btagDeepFlavB > 0.3, axis=1), "hard": events.MET.pt > 60}
    )
    closest = events.Jet.nearest(events.Muon)
    return {
        "jet": events.hist(AXIS, x=events.Jet.pt),
        "eta": events.hist(hist.axis.Regular(9, -3, 3, name="eta"), eta=events.Jet.eta),
        "met": events.hist(AXIS, x=events.MET.pt),
        "muon": events.hist(AXIS, x=events.Muon.pt),
        "near": events.hist(AXIS, x=ak.drop_none(closest.pt)),
        "cutflow": events.cutflow(),
        "yield": events.sum(),
        "mass": events.sum(ak.sum((events.Jet[:, :1] + events.Jet[:, 1:2]).mass, axis=1)),
    }


def good(events: Any) -> Any:
    return events.define(good=lambda e: e.Jet[e.Jet.pt > 25])


def use_good(events: Any) -> Expressions:
    hard = events.filter(selected=ak.any(events.good.pt > 40, axis=1))
    return {"good": hard.hist(AXIS, x=hard.good.pt), **everything(hard)}


def scaled(jets: Any, factor: float) -> Any:
    return ak.with_field(ak.with_field(jets, jets.pt * factor, "pt"), jets.mass * factor, "mass")


def same(events: Any) -> Any:
    return events


def after_filter(events: Any) -> Any:
    return events.filter(first=ak.num(events.Jet) >= 1)


Case = tuple[
    Callable[[Any], Any], Callable[[Any, float], Expressions], Callable[[Any], Expressions]
]

CASES: dict[str, Case] = {
    "field of a collection": (same, lambda e, f: {"Jet.pt": e.Jet.pt * f}, everything),
    "whole collection": (same, lambda e, f: {"Jet": scaled(e.Jet, f)}, everything),
    "field of an event": (same, lambda e, f: {"MET.pt": e.MET.pt / f}, everything),
    "two columns at once": (
        same,
        lambda e, f: {
            "Jet.pt": e.Jet.pt * f,
            "MET.pt": e.MET.pt - ak.sum(e.Jet.pt * (f - 1), axis=1),
        },
        everything,
    ),
    "two fields of a collection": (
        same,
        lambda e, f: {"Jet.pt": e.Jet.pt * f, "Jet.mass": e.Jet.mass * f},
        everything,
    ),
    "after a filter": (
        after_filter,
        lambda e, f: {"Jet": scaled(e.Jet, f), "MET.pt": e.MET.pt / f},
        everything,
    ),
    "a defined column": (good, lambda e, f: {"good": scaled(e.good, f)}, use_good),
    "another selection": (
        same,
        lambda e, f: {"Jet": e.Jet[e.Jet.pt > 20 * f]},
        everything,
    ),
    "equal to nominal": (same, lambda e, f: {"Jet.pt": e.Jet.pt * 1.0}, everything),
    "a column nobody uses": (same, lambda e, f: {"Tau.pt": e.Tau.pt * f}, everything),
}


def by_hand(events: Any, replaced: Expressions) -> Any:
    """The frame with columns replaced for good."""
    for column, value in replaced.items():
        name, _, field = column.partition(".")
        whole = ak.with_field(events[name], value, field) if field else value
        events = events.define(**{name: whole})
    return events


def varied(events: Any, expressions: Callable[[Any, float], Expressions], name: str = "s") -> Any:
    up, down = expressions(events, 1.1), expressions(events, 0.9)
    return events.vary(name, {key: {"up": up[key], "down": down[key]} for key in up})


def recorded(outputs: Expressions) -> Program:
    shifts = {
        label: list(pairs) for output in outputs.values() for label, pairs in output.shifts.items()
    }
    return record("tt", [output.request(name) for name, output in outputs.items()], shifts)


def work_behind(program: Program, key: str) -> Counter[bytes]:
    """Contents of the steps an output is made by, but those that know the variation's name."""
    contents = step_contents(program.steps)
    return Counter(
        contents[step.key]
        for step in ordered(program.by_key, [key])
        if not is_opaque(step.function)
    )


def assert_same_values(ours: Any, label: str, theirs: Any) -> None:
    """One variation of some outputs equals the nominal values of others, to the last bit."""
    for name in theirs:
        value, expected = ours[name], theirs[name]
        if isinstance(value, hist.Hist):
            known = label if label in list(value.axes["variation"]) else "nominal"
            mine = value[{"variation": known}].view(flow=True)
            other = expected[{"variation": "nominal"}].view(flow=True)
            assert mine.tobytes() == other.tobytes(), name
        elif isinstance(value, dict):
            assert value["tt"][label] == expected["tt"]["nominal"], name
        else:
            for stage in value.stages:
                assert value.count(stage, "tt", label) == expected.count(stage, "tt")
                assert value.yield_(stage, "tt", label) == expected.yield_(stage, "tt")


@pytest.mark.parametrize("name", CASES)
def test_variation_equals_recording_by_hand(name: str, events: Any) -> None:
    prepare, expressions, analyse = CASES[name]
    frame = prepare(events)
    ours = analyse(varied(frame, expressions))
    hands = {
        label: analyse(by_hand(frame, expressions(frame, factor)))
        for label, factor in (("sUp", 1.1), ("sDown", 0.9))
    }
    nominal = analyse(frame)
    # Step for step, up to names ...
    program = passes.vary(recorded(ours))
    for label, outputs in hands.items():
        hand = recorded(outputs)
        for mine, other in zip(program.bookings, hand.bookings, strict=True):
            key = mine.keys.get(label, mine.keys["nominal"])
            assert work_behind(program, key) == work_behind(hand, other.keys["nominal"])
    # ... and number for number.
    result = la.compute({"ours": ours, "nominal": nominal, **hands}, executor="sync")
    assert_same_values(result["ours"], "nominal", result["nominal"])
    for label in hands:
        assert_same_values(result["ours"], label, result[label])


def test_two_systematics_on_one_column(events: Any) -> None:
    def first(e: Any, f: float) -> Expressions:
        return {"Jet.pt": e.Jet.pt * f}

    def second(e: Any, f: float) -> Expressions:
        return {"Jet.pt": e.Jet.pt + 10 * f, "MET.pt": e.MET.pt + 10 * f}

    frame = varied(varied(events, first, "a"), second, "b")
    hands = {
        "aUp": everything(by_hand(events, first(events, 1.1))),
        "bDown": everything(by_hand(events, second(events, 0.9))),
    }
    result = la.compute({"ours": everything(frame), **hands}, executor="sync")
    for label in hands:
        assert_same_values(result["ours"], label, result[label])


def test_filter_between_two_systematics(events: Any) -> None:
    frame = varied(events, lambda e, f: {"Jet.pt": e.Jet.pt * f}, "a")
    frame = frame.filter(some=ak.num(frame.Jet[frame.Jet.pt > 40]) >= 1)
    frame = varied(frame, lambda e, f: {"Jet.pt": e.Jet.pt + f}, "b")

    def world(a: float, b: float) -> Any:
        hand = by_hand(events, {"Jet.pt": events.Jet.pt * a}) if a != 1 else events
        hand = hand.filter(some=ak.num(hand.Jet[hand.Jet.pt > 40]) >= 1)
        return by_hand(hand, {"Jet.pt": hand.Jet.pt + b}) if b else hand

    hands = {"aUp": everything(world(1.1, 0)), "bUp": everything(world(1, 1.1))}
    result = la.compute({"ours": everything(frame), **hands}, executor="sync")
    for label in hands:
        assert_same_values(result["ours"], label, result[label])


def test_varied_column_as_output(events: Any) -> None:
    frame = varied(events, lambda e, f: {"MET.pt": e.MET.pt * f})
    hand = by_hand(events, {"MET.pt": events.MET.pt * 1.1})
    result = la.compute([frame.sum(frame.MET.pt), hand.sum(hand.MET.pt)], executor="sync")
    assert result[0]["tt"]["sUp"] == result[1]["tt"]["nominal"]
    assert result[0]["tt"]["sUp"] > result[0]["tt"]["nominal"] > result[0]["tt"]["sDown"]


def test_two_frames_with_one_systematic_each_their_own(events: Any) -> None:
    """Equal nominal columns are not one if what they become differs."""

    def frame(factor: float) -> Any:
        mine = events.define(x=lambda e: e.MET.pt * 2)
        return mine.vary("s", {"x": {"up": mine.x * factor}})

    first, second = frame(1.5), frame(2.5)
    try:
        result = la.compute([first.sum(first.x), second.sum(second.x)], executor="sync")
    except la.errors.InputError:  # refused: as good as right
        return
    nominal = result[0]["tt"]["nominal"]
    assert result[0]["tt"]["sUp"] == pytest.approx(1.5 * nominal)
    assert result[1]["tt"]["sUp"] == pytest.approx(2.5 * nominal)


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": lambda a, b: a * (b / 100),
    "greater": lambda a, b: ak.where(a > b, a, b),
    "square": lambda a, b: np.sqrt(abs(a * b)),
}


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(
        st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 9), st.integers(0, 9)),
        min_size=2,
        max_size=8,
    ),
    targets=st.sets(st.sampled_from(["MET.pt", "Pileup", "PuppiMET.pt"]), min_size=1),
    cut=st.integers(0, 9),
)
def test_random_programs(
    shape: list[tuple[str, int, int]], targets: set[str], cut: int, events: Any
) -> None:
    def analyse(frame: Any) -> Expressions:
        values = [frame.MET.pt, frame.Pileup.nTrueInt, frame.PuppiMET.pt, frame.PV.npvs]
        for name, left, right in shape:
            a, b = values[left % len(values)], values[right % len(values)]
            values.append(OPERATIONS[name](a, b))
        frame = frame.define(**{f"v{i}": value for i, value in enumerate(values)})
        below = frame.filter(cut=values[cut % len(values)] > 20)
        return {
            **{f"sum{i}": frame.sum(value) for i, value in enumerate(values)},
            **{f"cut{i}": below.sum(below[f"v{i}"]) for i in range(len(values))},
            "cutflow": below.cutflow(),
        }

    def expressions(e: Any, f: float) -> Expressions:
        made = {
            "MET.pt": e.MET.pt * f,
            "Pileup": ak.with_field(e.Pileup, e.Pileup.nTrueInt + 3 * f, "nTrueInt"),
            "PuppiMET.pt": e.PuppiMET.pt * f + e.MET.pt,
        }
        return {name: made[name] for name in sorted(targets)}

    ours = analyse(varied(events, expressions))
    hand = analyse(by_hand(events, expressions(events, 1.1)))
    result = la.compute({"ours": ours, "hand": hand}, executor="sync")
    assert_same_values(result["ours"], "sUp", result["hand"])


# --- what is not varied is not computed again ----------------------------------------------------


class Counting:
    """Doubles a column, and counts how often it does on real events."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, column: ak.Array) -> ak.Array:
        self.calls += ak.backend(column) != "typetracer"
        return column * 2

    def __reduce__(self) -> Any:
        return Counting, ()


def many_variations(events: Any, number: int) -> Any:
    for i in range(number):
        events = events.vary(f"s{i}", {"Jet.pt": {"up": events.Jet.pt * (1 + (i + 1) / 100)}})
    return events


def test_untouched_columns_are_computed_once(events: Any) -> None:
    untouched, touched = Counting(), Counting()
    frame = many_variations(events, 10)
    eta = dak.map_partitions(untouched, frame.Jet.eta, label="untouched")
    pt = dak.map_partitions(touched, frame.Jet.pt, label="touched")
    frame = frame.define(eta=eta)
    frame = frame.filter(pt=ak.any(pt > 60, axis=1))
    outputs = [frame.hist(AXIS, x=frame.eta), frame.cutflow(), events.sum(eta)]
    untouched.calls = touched.calls = 0
    la.compute(outputs, executor="sync")
    assert untouched.calls == 1
    assert touched.calls == 11


def test_variation_nobody_wants_is_not_computed(events: Any) -> None:
    frame = varied(events, lambda e, f: {"Jet.pt": e.Jet.pt * f})
    plain = frame.hist(AXIS, x=frame.Jet.pt, variations=False)
    some = frame.hist(AXIS, x=frame.Jet.pt, variations=["sUp"])
    assert list(planned(plain).bookings[0].keys) == ["nominal"]
    assert list(planned(some).bookings[0].keys) == ["nominal", "sUp"]


def planned(outputs: Any, stage: str = "released") -> Program:
    (stages,) = make_plan(outputs).stages
    return stages[stage]


# --- release --------------------------------------------------------------------------------------


def test_release_bounds_live_values(events: Any) -> None:
    frame = many_variations(events, 10)
    frame = frame.filter(jets=ak.num(frame.Jet[frame.Jet.pt > 30]) >= 2)
    staged = make_plan([frame.hist(AXIS, x=frame.Jet.pt), frame.cutflow(), frame.sum()]).stages[0]
    before, after = map(passes.live_values, (staged["varied"], staged["released"]))
    assert before == len(staged["varied"].steps) + 1
    assert after < before / 5


def test_release_does_not_grow_with_variations(events: Any) -> None:
    def live(number: int) -> int:
        frame = many_variations(events, number)
        frame = frame.filter(jets=ak.num(frame.Jet[frame.Jet.pt > 30]) >= 2)
        return passes.live_values(planned([frame.hist(AXIS, x=frame.Jet.pt), frame.cutflow()]))

    assert live(12) == live(3)


def test_passes_change_no_number(events: Any) -> None:
    """Run the program as recorded, and after each pass: the same states."""
    frame = varied(events, lambda e, f: {"Jet": scaled(e.Jet, f), "MET.pt": e.MET.pt * f})
    plan = make_plan(everything(frame))
    staged = plan.stages[0]
    from lazyana.data.nanoevents import Reading
    from lazyana.sinks.base import Place

    (partition,) = plan.job.works[0].partitions
    place = Place("tt", 0, "nominal", "toy", 0, partition.entries)
    unshared = passes.vary(staged["recorded"])
    released = staged["released"]
    assert released.read is not None
    one = unshared.run(Reading(partition, released.read).events(), place)
    two = released.run(Reading(partition, released.read).events(), place)
    assert set(two) <= set(one)
    for key, state in two.items():
        np.testing.assert_array_equal(one[key], state)
    for output, label in set(one) - set(two):  # what share found to be untouched
        np.testing.assert_array_equal(one[output, label][..., :1], one[output, "nominal"][..., :1])


# --- prune ----------------------------------------------------------------------------------------


def test_prune_keeps_only_what_outputs_need(events: Any) -> None:
    frame = events.define(unused=lambda e: e.Muon.pt * 17).define(used=lambda e: e.MET.pt * 3)
    program = planned(frame.sum(frame.used), "pruned")
    assert [step.title for step in program.steps] == ["MET", "pt", "multiply", "sum"]
    assert program.read is not None
    assert program.read.branches == ("MET_pt",)


def test_only_functions_with_one_result_are_replaced() -> None:
    steps = (
        Step("a", np.add, (Ref("@events"), 1)),
        Step("b", np.modf, (Ref("a"),)),
        Step("c", ak.num, (Ref("a"),)),
        Step("d", np.add, (Ref("a"), 1), {"dtype": np.float32}),
    )
    program = passes.direct(Program("p", steps, (nominal_booking("o", None, "d", ()),)))
    functions = [step.function for step in program.steps]
    assert functions == [Elementwise(np.add), np.modf, ak.num, np.add]
    assert [step.key for step in program.steps] == ["a", "b", "c", "d"]


def test_nothing_is_read_that_was_not_planned(events: Any) -> None:
    """Records have fields that were not read: doing without awkward must not touch them."""
    good = events.Jet[(events.Jet.pt > 30) & (abs(events.Jet.eta) < 2.4)]
    outputs = events.sum(ak.sum(good.pt * 2 > 100, axis=1))
    released = make_plan(outputs).stages[0]["released"]
    assert any(isinstance(step.function, Elementwise) for step in released.steps)
    result = la.compute(outputs, executor="sync", progress=False)
    assert result.report.warnings == ()
