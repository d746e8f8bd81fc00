from __future__ import annotations

import gc
import pickle
import weakref
from typing import Any, ClassVar, NamedTuple

import pytest

from lazyana.errors import InputError, RunError
from lazyana.plan.passes import live_values, release
from lazyana.plan.program import (
    PLACE,
    SOURCE,
    Booking,
    Program,
    Ref,
    Shift,
    Step,
    downstream,
    nominal_booking,
    ordered,
    run_step,
    users_of,
    worlds,
)
from lazyana.sinks.base import Place

HERE = Place("dy", 0, "nominal", "dy.root", 10, 20)


class Pair(NamedTuple):
    left: Any
    right: Any


def collect(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def test_refs_are_found_in_any_nesting() -> None:
    step = Step(
        "s",
        collect,
        (Ref("a"), [Ref("b"), (Ref("a"), 1)], Pair(Ref("c"), 2)),
        {"k": {"x": Ref("d")}},
    )
    assert step.refs == ("a", "b", "c", "d")
    values = {"a": 1, "b": 2, "c": 3, "d": 4}
    args, kwargs = run_step(step, values)
    assert args == (1, [2, (1, 1)], Pair(3, 2))
    assert isinstance(args[2], Pair)
    assert kwargs == {"k": {"x": 4}}


def test_arguments_without_refs_are_handed_over_uncopied() -> None:
    plain: list[Any] = [1, {"a": 2}]
    args, _ = run_step(Step("s", collect, (plain, Ref("a"))), {"a": 0})
    assert args[0] is plain


def test_a_value_that_is_not_there_is_not_passed_on_as_a_reference() -> None:
    with pytest.raises(KeyError):
        run_step(Step("s", collect, (Ref("missing"),)), {})


def test_with_refs() -> None:
    step = Step("s", collect, (Ref("a"), Ref("b")), {"k": Ref("a")})
    assert step.with_refs({"z": "y"}) is step
    assert step.with_refs({"a": "a"}) is step
    moved = step.with_refs({"a": "c", "z": "y"}, "t")
    assert (moved.key, moved.args, moved.kwargs) == ("t", (Ref("c"), Ref("b")), {"k": Ref("c")})
    assert moved.refs == ("c", "b")
    assert step.with_refs({"a": "b"}).refs == ("b",)
    assert step.args == (Ref("a"), Ref("b"))


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("greater-0123456789abcdef", "greater"),
        ("filter-two-0123456789abcdef@jesUp", "filter-two@jesUp"),
        ("plain", "plain"),
        ("with-field", "with-field"),
    ],
)
def test_title(key: str, title: str) -> None:
    assert Step(key, collect).title == title


def test_ordered_puts_values_before_their_users() -> None:
    steps = {
        step.key: step
        for step in (
            Step("c", collect, (Ref("b"), Ref("a"))),
            Step("b", collect, (Ref("a"), Ref(SOURCE))),
            Step("a", collect),
            Step("unused", collect),
        )
    }
    assert [step.key for step in ordered(steps, ["c", "b"])] == ["a", "b", "c"]
    assert [step.key for step in ordered(steps, ["c"], known={"b"})] == ["a", "c"]
    assert ordered(steps, ["nowhere"]) == ()


def test_ordered_survives_long_chains() -> None:
    chain = {"0": Step("0", collect)}
    chain |= {str(i): Step(str(i), collect, (Ref(str(i - 1)),)) for i in range(1, 5000)}
    assert len(ordered(chain, ["4999"])) == 5000


def test_downstream_leaves_the_varied_out() -> None:
    steps = [
        Step("a", collect),
        Step("b", collect, (Ref("a"),)),
        Step("c", collect, (Ref("b"),)),
        Step("d", collect, (Ref("a"),)),
    ]
    users = users_of(steps)
    assert downstream(users, ["b"]) == {"c"}
    assert downstream(users, ["a"]) == {"b", "c", "d"}
    assert downstream(users, ["a", "b"]) == {"c", "d"}


def test_worlds_group_variations_by_who_wants_them() -> None:
    bookings = (
        Booking("1", None, {"nominal": "f1"}, ("aUp", "bUp")),
        Booking("2", None, {"nominal": "f2"}, ("bUp",)),
    )
    shifts = (Shift("aUp", {"x": "y"}), Shift("bUp", {"x": "z"}), Shift("cUp", {"x": "w"}))
    found = worlds(Program("p", (), bookings, (*shifts, Shift("bUp", {}))))
    assert {key: [s.variation for s in value] for key, value in found.items()} == {
        ("f1",): ["aUp"],
        ("f1", "f2"): ["bUp"],
    }


def test_outputs_go_variation_by_variation() -> None:
    bookings = (
        Booking("1", None, {"nominal": "a", "sUp": "b"}),
        Booking("2", None, {"nominal": "c", "tUp": "d", "sUp": "e"}),
    )
    assert Program("p", (), bookings).outputs == ("a", "c", "b", "e", "d")


def test_error_names_the_step_and_the_events() -> None:
    steps = (Step("divide-0123456789abcdef", lambda: 1 / 0),)
    program = Program("p", steps, (nominal_booking("o", None, steps[0].key, ()),))
    with pytest.raises(RunError, match=r"'divide'.*10-20 of dy.root.*ZeroDivisionError") as caught:
        program.run(None, HERE)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_our_own_errors_are_not_wrapped() -> None:
    def refuse() -> None:
        msg = "as it is"
        raise InputError(msg)

    with pytest.raises(InputError, match=r"^as it is$"):
        run_step(Step("s", refuse), {})


def test_state_of_one_step_goes_to_every_output_that_keeps_it() -> None:
    step = Step("s", lambda: 7)
    bookings = tuple(nominal_booking(name, None, "s", ()) for name in "ab")
    states = Program("p", (step,), bookings).run(None, HERE)
    assert states == {("a", "nominal"): 7, ("b", "nominal"): 7}


def test_pickled_without_caches() -> None:
    step = Step("s", max, (Ref("a"), Ref(PLACE)))
    program = Program("p", (step,), ())
    plain = len(pickle.dumps(program))
    assert step.refs
    assert program.by_key
    assert len(pickle.dumps(program)) == plain
    assert pickle.loads(pickle.dumps(program)).steps[0].refs == ("a", PLACE)


class Value:
    """Something that can be watched; knows how many of its kind are alive."""

    alive: ClassVar[weakref.WeakSet[Value]] = weakref.WeakSet()
    peak = 0

    def __init__(self, *_: Any) -> None:
        Value.alive.add(self)
        Value.peak = max(Value.peak, len(Value.alive))


def values_program(*edges: tuple[str, tuple[str, ...]]) -> Program:
    steps = tuple(Step(key, Value, tuple(Ref(ref) for ref in refs)) for key, refs in edges)
    last = steps[-1].key
    return Program("p", steps, (nominal_booking("o", None, last, ()),))


SHAPES = {
    "chain": values_program(
        ("a", (SOURCE,)), ("b", ("a",)), ("c", ("b",)), ("d", ("c",)), ("e", ("d",))
    ),
    "kept to the end": values_program(
        ("a", (SOURCE,)), ("b", ("a",)), ("c", ("b",)), ("d", ("c", "a", SOURCE))
    ),
    "fan": values_program(
        ("a", (SOURCE,)), ("b", ("a",)), ("c", ("a",)), ("d", ("a",)), ("e", ("b", "c", "d"))
    ),
    "unused": values_program(("a", (SOURCE,)), ("b", (SOURCE,)), ("c", (SOURCE,)), ("d", ("a",))),
}


@pytest.mark.parametrize("name", SHAPES)
def test_live_values_are_what_is_alive(name: str) -> None:
    for program in (release(SHAPES[name]), SHAPES[name]):
        gc.collect()
        Value.peak = 0
        states = program.run(Value(), HERE)
        assert Value.peak == live_values(program)
        assert len(Value.alive) == 1  # the state
        del states


def test_release_lets_values_go() -> None:
    program = SHAPES["chain"]
    assert live_values(release(program)) == 2
    assert live_values(program) == 6
