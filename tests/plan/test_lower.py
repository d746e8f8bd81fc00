from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import dask
import dask_awkward as dak
import numpy as np
import pytest

from lazyana.errors import FrameMismatchError, LazyanaError, LazyValueError
from lazyana.plan.lower import constant, lower, plain_behavior
from lazyana.plan.program import SOURCE, Ref, Step, ordered, run_step


def evaluate(column: Any, events: Any) -> Any:
    steps = lower([column])
    values: dict[str, Any] = {SOURCE: events}
    for step in ordered(steps, [column.name]):
        values[step.key] = run_step(step, values)
    return values[column.name]


EVENTS = ak.Array(
    [
        {"MET": {"pt": 10.0, "phi": 1.0}, "PV": {"npvs": 3}},
        {"MET": {"pt": 20.0, "phi": 2.0}, "PV": {"npvs": 4}},
    ]
)


def nested(lists: list[Any], *, by: dict[str, Any]) -> Any:
    return lists[0] + lists[1][0] * by["factor"] + by["column"]


def plus(column: Any, number: float, *, text: str = "", mask: Any = None) -> Any:
    return column + number + len(text) + (0 if mask is None else mask)


SAME: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "field": (lambda e: e.MET.pt, lambda e: e.MET.pt),
    "ufunc with numbers": (lambda e: 2 * e.MET.pt - 1.5, lambda e: 2 * e.MET.pt - 1.5),
    "where": (
        lambda e: ak.where(e.MET.pt > 15, e.MET.pt, -1),
        lambda e: ak.where(e.MET.pt > 15, e.MET.pt, -1),
    ),
    "user's lambda": (
        lambda e: dak.map_partitions(lambda x: x**2, e.MET.pt),
        lambda e: e.MET.pt**2,
    ),
    "keywords": (
        lambda e: dak.map_partitions(plus, e.MET.pt, 3, text="ab", mask=e.MET.phi),
        lambda e: e.MET.pt + 5 + e.MET.phi,
    ),
    "nested containers": (
        lambda e: dak.map_partitions(
            nested, [e.MET.pt, (e.MET.phi, 1)], by={"factor": 2, "column": e.PV.npvs}
        ),
        lambda e: e.MET.pt + 2 * e.MET.phi + e.PV.npvs,
    ),
    "zip": (
        lambda e: ak.zip({"a": e.MET.pt, "b": e.MET.phi}).b,
        lambda e: e.MET.phi,
    ),
    "delayed payload": (
        lambda e: dak.map_partitions(
            lambda table, x: x * table["a"], dask.delayed({"a": 4}), e.MET.pt, meta=e.MET.pt._meta
        ),
        lambda e: e.MET.pt * 4,
    ),
    "concatenate fields": (
        lambda e: ak.concatenate([e.MET.pt[:, np.newaxis], e.MET.phi[:, np.newaxis]], axis=1),
        lambda e: ak.concatenate([e.MET.pt[:, np.newaxis], e.MET.phi[:, np.newaxis]], axis=1),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_lowered_is_what_was_written(name: str, events: Any) -> None:
    lazy, eager = SAME[name]
    assert evaluate(lazy(events), EVENTS).to_list() == eager(EVENTS).to_list()


def test_cartesian_is_lowered_without_random_names(events: Any) -> None:
    pairs = ak.cartesian([events.Jet.pt, events.Muon.pt], axis=1)
    step = lower([pairs])[pairs.name]
    assert step.function is ak.cartesian
    assert len(step.args[0]) == 2
    assert step.kwargs["axis"] == 1
    data = ak.Array([{"Jet": [{"pt": 1.0}], "Muon": [{"pt": 2.0}, {"pt": 3.0}]}])
    assert evaluate(pairs, data).to_list() == [[(1.0, 2.0), (1.0, 3.0)]]


REFUSED: dict[str, tuple[Callable[[Any], Any], type[LazyanaError], str]] = {
    "sum over events": (lambda e: ak.sum(e.MET.pt), LazyValueError, "axis=1"),
    "axis 0": (lambda e: ak.max(e.Jet.pt, axis=0), LazyValueError, "combines all events"),
    "slice": (lambda e: e.MET.pt[:10], LazyValueError, "events"),
    "one event": (lambda e: e.MET.pt[0], LazyValueError, "events"),
    "repartition": (
        lambda e: e.MET.pt.repartition(divisions=(0, 1, 2)),
        LazyValueError,
        "cannot be computed by itself",
    ),
    "concatenate events": (
        lambda e: ak.concatenate([e.MET.pt, e.MET.phi], axis=0),
        LazyValueError,
        "rearranges events",
    ),
    "another collection": (
        lambda e: dak.map_partitions(
            max, e.MET.pt, dak.from_awkward(ak.Array([1.0]), 1), meta=e.MET.pt._meta
        ),
        FrameMismatchError,
        "from-awkward",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_all_events_is_refused(name: str, events: Any) -> None:
    write, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        lower([write(events)])


def test_events_of_two_recordings_are_refused(events: Any, open_events: Callable[[], Any]) -> None:
    with pytest.raises(FrameMismatchError, match="two frames"):
        lower([events.MET.pt, open_events().MET.pt])


def test_source_is_the_events(events: Any) -> None:
    steps = lower([events.MET.pt])
    sources = [step for step in steps.values() if step.refs == (SOURCE,)]
    assert [step.function for step in sources] == [constant]


def test_each_layer_is_lowered_once(events: Any) -> None:
    met = events.MET
    one, both = lower([met.pt]), lower([met.pt, met.phi])
    assert set(one) < set(both)
    assert len(both) == len(one) + 1
    assert all(isinstance(step, Step) for step in both.values())
    assert both[met.pt.name].args[0] == Ref(met.name)


def test_plain_behavior_leaves_the_original_alone() -> None:
    class Function:
        behavior: Any = None

    function = Function()
    function.behavior = {"a": 1}
    assert plain_behavior(function).behavior is None
    assert function.behavior == {"a": 1}
    assert plain_behavior(len) is len
