from __future__ import annotations

import functools
import math
import operator
import os
import subprocess
import sys
import types
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import awkward as ak
import dask_awkward as dak
import hist
import numba
import numpy as np
import pytest
from correctionlib import schemav2

import lazyana as la
from lazyana.errors import InputTypeError
from lazyana.frame.compute import make_plan
from lazyana.plan.fingerprint import Hasher, fingerprint, output_fingerprints, program_fingerprint
from lazyana.plan.program import Ref, Step
from lazyana.toy.sample import write_dataset

HELPER = """
FACTOR = {factor}

def inner(column):
    return column * FACTOR

def helper(column):
    return inner(column) + {offset}
"""

ANALYSIS = """
import warnings
warnings.simplefilter("ignore")
import sys
import awkward as ak, dask_awkward as dak, hist
import lazyana as la
from lazyana.frame.compute import make_plan
from lazyana.plan.fingerprint import program_fingerprint

class Scale:
    by = 2.0
    names = {"a", "b", "c", "d"}
    def __call__(self, column):
        return column * self.by

def offset(column):
    return Scale()(column) + 1

e = la.open({"tt": sys.argv[1]})
e = e.weight("pu", e.Pileup.nTrueInt / 30, up=e.Pileup.nTrueInt / 25)
e = e.vary("jes", {"Jet.pt": {"up": e.Jet.pt * 1.1, "down": e.Jet.pt * 0.9}})
e = e.filter(jets=ak.num(e.Jet[e.Jet.pt > 30]) >= 2)
e = e.categories({"b": ak.any(e.Jet.btagDeepFlavB > 0.3, axis=1)})
x = dak.map_partitions(lambda pt: offset(pt), e.MET.pt)
near = e.Jet.nearest(e.Muon)
outputs = {
    "h": e.hist(hist.axis.Regular(10, 0, 1, name="x"), x=x),
    "s": e.sum(ak.sum(near.pt, axis=1)),
    "gen": e.sum(ak.sum(e.Muon.matched_gen.pt, axis=1)),
    "c": e.cutflow(),
}
program = make_plan(outputs).stages[0]["released"]
print(program_fingerprint(program))
"""


def test_same_in_every_process(toy_file: Path) -> None:
    found = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", ANALYSIS, str(toy_file)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(run.stdout.strip())
    assert len(found) == 1
    assert len(found.pop()) == 64


def correction(value: float) -> Any:
    constant = schemav2.Correction(
        name="sf",
        version=1,
        inputs=[schemav2.Variable(name="pt", type="real")],
        output=schemav2.Variable(name="weight", type="real"),
        data=schemav2.Formula(
            nodetype="formula", expression=f"{value}*x", parser="TFormula", variables=["pt"]
        ),
    )
    return schemav2.CorrectionSet(schema_version=2, corrections=[constant]).to_evaluator()["sf"]


def module_of(factor: float, offset: float) -> types.ModuleType:
    module = types.ModuleType("users_helpers")
    exec(HELPER.format(factor=factor, offset=offset), module.__dict__)
    return module


def analysis(
    events: Any,
    *,
    threshold: float = 30,
    payload: float = 0.5,
    body: Callable[[Any], Any] = lambda pt: pt * 2,
    closed_over: Any = 3,
    helpers: types.ModuleType | None = None,
    bins: int = 10,
    category: float = 0.3,
    weight: float = 30,
) -> dict[str, Any]:
    helpers = helpers or module_of(2, 3)
    e = events.weight("pu", events.Pileup.nTrueInt / weight)
    e = e.filter(jets=ak.num(e.Jet[e.Jet.pt > threshold]) >= 2)
    e = e.categories({"b": ak.any(e.Jet.btagDeepFlavB > category, axis=1)})
    x = dak.map_partitions(body, e.MET.pt)
    x = dak.map_partitions(lambda pt: pt * closed_over, x)
    x = dak.map_partitions(helpers.helper, x) + correction(payload).evaluate(e.MET.pt)
    return {
        "h": e.hist(hist.axis.Regular(bins, 0, 1, name="x"), x=x),
        "other": events.sum(events.MET.phi),
    }


def prints(outputs: Any) -> tuple[str, dict[str, str]]:
    (stages,) = make_plan(outputs).stages
    return program_fingerprint(stages["released"]), output_fingerprints(stages["released"])


CHANGES: dict[str, dict[str, Any]] = {
    "constant": {"threshold": 31},
    "type of a constant": {"threshold": 30.0},
    "correction payload": {"payload": 0.25},
    "lambda body": {"body": lambda pt: pt * 3},
    "closure value": {"closed_over": 4},
    "type of a closure value": {"closed_over": 3.0},
    "helper's constant": {"helpers": module_of(2, 4)},
    "global of a helper's helper": {"helpers": module_of(5, 3)},
    "histogram axis": {"bins": 11},
    "category": {"category": 0.4},
    "weight": {"weight": 31},
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_with_the_analysis(change: str, open_events: Callable[[], Any]) -> None:
    whole, parts = prints(analysis(open_events()))
    other, others = prints(analysis(open_events(), **CHANGES[change]))
    assert other != whole
    assert others["0"] != parts["0"]
    assert others["1"] == parts["1"]  # the other output is as it was


def test_same_for_another_recording_with_other_datasets(
    open_events: Callable[[], Any], toy_file: Path, tmp_path: Path
) -> None:
    copies = {}
    for name in ("one", "two", "three"):
        copies[name] = tmp_path / f"{name}.root"
        copies[name].symlink_to(toy_file)
    many = la.open({name: str(path) for name, path in copies.items()})
    assert prints(analysis(open_events())) == prints(analysis(many))


def test_program_does_not_depend_on_size_of_files(
    open_events: Callable[[], Any], tmp_path: Path
) -> None:
    (path,) = write_dataset(tmp_path, "TTTo2L2Nu", events=40, seed=5)
    assert prints(analysis(open_events())) == prints(analysis(la.open({"x": str(path)})))


class Plain:
    limit: ClassVar = [1, 2]

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def double(self) -> Any:
        return self.value * 2

    @staticmethod
    def static() -> int:
        return 1


def local_class(value: Any) -> type:
    class Local:
        limit: ClassVar = [value]

        @property
        def twice(self) -> Any:
            return value * 2

        @staticmethod
        def plus() -> Any:
            return value + 1

    return Local


def wrapping(value: Any) -> Callable[[Any], Any]:
    """Has module and name of a function of awkward, as a decorator leaves it."""

    @functools.wraps(ak.sum)
    def wrapped(array: Any) -> Any:
        return value * ak.sum(array, axis=1)

    return wrapped


class Scaled:
    """A decorator that is an object."""

    def __init__(self, function: Callable[[Any], Any], factor: float) -> None:
        functools.update_wrapper(self, function)
        self.factor = factor

    def __call__(self, value: Any) -> Any:
        return self.__wrapped__(value) * self.factor  # type: ignore[attr-defined]


class Table(dict[str, int]):
    """A mapping that holds more."""

    def __init__(self, more: int) -> None:
        super().__init__(a=1)
        self.more = more


def pair_type(factor: int) -> Any:
    class Pair(NamedTuple):
        one: int

        def __call__(self, value: int) -> int:
            return self.one * value * factor

    return Pair(1)


@dataclass(frozen=True)
class Lazily:
    """Something that is found out when it is asked for."""

    value: int

    @functools.cached_property
    def twice(self) -> int:
        return 2 * self.value


def closure(value: Any) -> Callable[[Any], Any]:
    return lambda x: x + value


@functools.cache
def cached(x: int) -> int:
    return x


DIFFERENT: list[tuple[Any, Any]] = [
    (1, True),
    (1, 1.0),
    (0.0, -0.0),
    (1.0, math.nan),
    ("1", 1),
    ("a", b"a"),
    ((1,), [1]),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({1, 2}, {1, 3}),
    (slice(1, 2), slice(1, 3)),
    (np.array([1, 2]), np.array([1.0, 2.0])),
    (np.array([1, 2]), np.array([[1, 2]])),
    (np.float32(1), np.array(1, dtype=np.float32)),
    (np.array(["a", None], object), np.array(["b", None], object)),
    (np.dtype("f4"), np.dtype("f8")),
    (np.sin, np.cos),
    (ak.Array([[1], []]), ak.Array([[], [1]])),
    (Plain(1), Plain(2)),
    (Plain(1).__init__, Plain(2).__init__),
    ({"a": 1}.get, {"a": 2}.get),
    (local_class(1), local_class(2)),
    (closure(1), closure(2)),
    (functools.partial(max, 1), functools.partial(max, 2)),
    (functools.cache(closure(1)), functools.cache(closure(2))),
    (numba.njit(closure(1)), numba.njit(closure(2))),
    (np.vectorize(closure(1)), np.vectorize(closure(2))),
    (operator.itemgetter(1), operator.itemgetter(2)),
    (lambda a, b: a, lambda a, *, b: a),
    (lambda a=1: a, lambda a=2: a),
    (lambda x: x.pt, lambda x: x.eta),
    (str.lower, str.upper),
    (math, operator),
    (int, float),
    (types.MappingProxyType({"a": 1}), types.MappingProxyType({"a": 2})),
    (correction(1), correction(2)),
    (correction(1)._context, correction(2)._context),
    (wrapping(1), wrapping(2)),
    (wrapping(1), ak.sum),
    (Scaled(abs, 2.0), Scaled(abs, 3.0)),
    (numba.njit(closure(1)), numba.njit(closure(1), fastmath=True)),
    (Table(1), Table(2)),
    (Table(1), {"a": 1}),
    (pair_type(1), pair_type(2)),
    (defaultdict(int, a=1), defaultdict(list, a=1)),
    (np.ma.masked_array([1, 2], [True, False]), np.ma.masked_array([1, 2], [False, False])),
    (Lazily(1), Lazily(2)),
    (hist.axis.Regular(3, 0, 1, name="x"), hist.axis.Regular(3, 0, 2, name="x")),
]


@pytest.mark.parametrize("number", range(len(DIFFERENT)))
def test_different_things_differ(number: int) -> None:
    pair = DIFFERENT[number]
    first, second = map(fingerprint, pair)
    assert first == fingerprint(pair[0])
    assert first != second


EQUAL: list[Callable[[], Any]] = [
    lambda: closure(1),
    lambda: Plain({"a": [1, 2.5, None]}),
    lambda: local_class(3),
    lambda: correction(1),
    lambda: np.arange(5),
    lambda: ak.Array([[1, 2], [], [3]])[[0, 1]],
    lambda: hist.axis.StrCategory(["a", "b"], name="x"),
    lambda: cached,
    lambda: {3, 1, 2},
    lambda: iter([1, 2]),
]


@pytest.mark.parametrize("number", range(len(EQUAL)))
def test_equal_things_made_twice_are_equal(number: int) -> None:
    make = EQUAL[number]
    assert fingerprint(make()) == fingerprint(make())


def test_what_is_derived_does_not_count() -> None:
    one = Lazily(1)
    before = fingerprint(one)
    assert one.twice == 2
    assert fingerprint(one) == before


def test_sliced_array_is_its_content() -> None:
    assert fingerprint(ak.Array([[1, 2], [3]])[1:]) == fingerprint(ak.Array([[3]]))


pt = object()  # has the name of an attribute below


def test_attribute_is_not_a_global() -> None:
    """A global that merely shares its name with an attribute does not count."""
    namespace: dict[str, Any] = {"pt": 1}
    exec("f = lambda e: e.pt", namespace)
    before = fingerprint(namespace["f"])
    namespace["pt"] = 2
    assert fingerprint(namespace["f"]) == before


def test_own_module_reached_by_attribute() -> None:
    def using(module: types.ModuleType) -> str:
        namespace: dict[str, Any] = {"helpers": module}
        exec("f = lambda e: helpers.helper(e)", namespace)
        return fingerprint(namespace["f"])

    assert using(module_of(1, 1)) == using(module_of(1, 1))
    assert using(module_of(1, 1)) != using(module_of(1, 2))


def test_recursive_functions() -> None:
    def pair(factor: int) -> tuple[Any, Any]:
        scope: dict[str, Any] = {}
        source = f"def f(x):\n    return g(x) + 1\ndef g(x):\n    return f(x) * {factor}\n"
        exec(source, scope)
        return scope["f"], scope["g"]

    assert fingerprint(pair(2)) == fingerprint(pair(2))
    assert fingerprint(pair(2)[0]) != fingerprint(pair(3)[0])
    assert fingerprint(pair(2)[0]) != fingerprint(pair(2)[1])


def test_what_cannot_be_sent_is_refused_with_its_type() -> None:
    import threading

    with pytest.raises(InputTypeError, match="lock"):
        fingerprint(threading.Lock())


class Pair(NamedTuple):
    one: Any
    other: Any


def hashed(*args: Any, **kwargs: Any) -> bytes:
    """Of a step, the values it takes named after what is behind them."""
    contents = {"a": b"A", "again": b"A", "b": b"B", "c": b"C"}
    return Hasher().step(Step("x", max, args, kwargs), contents)


def test_steps_are_told_apart_by_the_places_of_what_they_take() -> None:
    a, b, c = Ref("a"), Ref("b"), Ref("c")
    different = [
        hashed(a),
        hashed(b),
        hashed(a, a),
        hashed(a, b),
        hashed(b, a),
        hashed((a, b)),
        hashed((b, a)),
        hashed(a, b, a),
        hashed(a, b, b),
        hashed(a, b, c),
        hashed([a], b),
        hashed(a, key=b),
        hashed(b, key=a),
        hashed(Pair(a, b), b),
        hashed(Pair(a, b), a),
        hashed(Ref("@events")),
        hashed("a"),
    ]
    assert len(set(different)) == len(different)


def test_equal_values_are_one_whatever_they_are_called() -> None:
    a, again, b, c = Ref("a"), Ref("again"), Ref("b"), Ref("c")
    assert hashed(a, again) == hashed(a, a) == hashed(again, again)
    assert hashed(a, b, again, c) == hashed(again, b, a, c) == hashed(a, b, a, c)


def test_steps_of_one_hasher_do_not_mix_up_places() -> None:
    hasher, contents = Hasher(), {"a": b"A", "b": b"B"}
    pair = Pair(Ref("a"), 1)
    first = Step("x", max, (pair, Ref("b")))
    second = Step("y", max, (Ref("b"), pair))
    assert hasher.step(first, contents) == Hasher().step(first, contents)
    assert hasher.step(second, contents) == hashed(Ref("b"), Pair(Ref("a"), 1))


def test_the_hash_of_a_step_follows_the_values_it_is_given() -> None:
    contents = {"a": b"A", "again": b"A", "b": b"B", "c": b"C"}
    step = Step("x", max, (Ref("a"), Ref("b")))
    Hasher().step(step, contents)  # from now on it knows its own hash
    for one, other in (("b", "a"), ("c", "c"), ("a", "again"), ("c", "a")):
        given = step.with_refs({"a": one, "b": other}, "y")
        assert Hasher().step(given, contents) == hashed(Ref(one), Ref(other)), (one, other)
