"""Guards: what dask-awkward would do silently with a lazy column is an error that helps."""

from __future__ import annotations

import itertools
import math
import operator
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import dask_awkward as dak
import numpy as np
import pytest
from coffea.nanoevents import NanoAODSchema
from dask_awkward.lib import core

from lazyana.data.guards import copied, install_guards, is_ours
from lazyana.data.inspect import inspect
from lazyana.data.nanoevents import Blueprint
from lazyana.errors import ColumnError, LazyValueError

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def events(toy_files: dict[str, Any]) -> Any:
    catalog = inspect(next(iter(toy_files["TTTo2L2Nu"]["files"])))
    (layout,) = catalog.layouts.values()
    return Blueprint(layout, NanoAODSchema).record()


@pytest.fixture(scope="module")
def columns(events: Any) -> dict[str, Any]:
    return {"array": events.MET.pt, "scalar": ak.sum(events.MET.pt)}


VALUES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "bool": (bool, r"condition.*events\.filter"),
    "if": (lambda c: 1 if c else 2, r"condition.*ak\.where"),
    "and": (lambda c: c and c, "condition.*& | ~ instead of and"),
    "not": (lambda c: not c, "condition"),
    "chained comparison": (lambda c: 0 < c < 5, "condition"),
    "max": (lambda c: max(c, c + 1), "condition"),
    "float": (float, r"a float\. Compute it first"),
    "int": (int, r"an int\. Compute"),
    "complex": (complex, r"a complex number\. Compute"),
    "sqrt": (math.sqrt, "a float"),
    "range": (range, "as an index or a count"),
    "position in a list": (lambda c: [1, 2][c], "as an index"),
    "asarray": (np.asarray, r"numpy array.*map_partitions"),
    "array": (np.array, "numpy array"),
    "histogram": (np.histogram, "numpy array"),
    "for": (lambda c: list(c), "looped over|no element"),
    "compute": (lambda c: c.compute(), r"la\.compute"),
    "element": (lambda c: c[0], "by position|no element"),
}


@pytest.mark.parametrize("kind", ["array", "scalar"])
@pytest.mark.parametrize("case", VALUES)
def test_lazy_column_has_no_value(case: str, kind: str, columns: dict[str, Any]) -> None:
    use, message = VALUES[case]
    with pytest.raises(LazyValueError, match=message):
        use(columns[kind])


def test_lazy_column_has_no_length(events: Any) -> None:
    with pytest.raises(LazyValueError, match=r"len\(\).*ak\.num\(column\).*cutflow"):
        len(events.Muon)


POSITIONS: dict[str, Callable[[Any], Any]] = {
    "number": lambda e: e.Muon[0],
    "last": lambda e: e.Muon.pt[-1],
    "numpy number": lambda e: e.Muon.pt[np.int64(2)],
    "slice": lambda e: e.Muon.pt[:10],
    "step": lambda e: e.Muon[::2],
    "two numbers": lambda e: e.Muon.pt[0, 0],
    "name and number": lambda e: e["Muon", "pt", 0],
    "list": lambda e: e.Muon[[0, 1]],
    "numpy array": lambda e: e.Muon[np.array([0, 1])],
    "numpy mask": lambda e: e.Muon[np.array([True, False])],
    "number of an event": lambda e: e.MET.pt[ak.num(e.Muon)],
}


@pytest.mark.parametrize("case", POSITIONS)
def test_events_have_no_position(case: str, events: Any) -> None:
    with pytest.raises(LazyValueError, match=r"by position .*column\[:, 0\].*events\.filter"):
        POSITIONS[case](events)


ALLOWED: dict[str, Callable[[Any], Any]] = {
    "first of each": lambda e: e.Muon.pt[ak.num(e.Muon) > 0][:, 0],
    "two of each": lambda e: e.Muon.pt[:, :2],
    "all": lambda e: e.Muon[:].pt,
    "ellipsis": lambda e: e.Muon.pt[..., :1],
    "mask": lambda e: e.Muon[e.Muon.pt > 20],
    "event mask": lambda e: e.Muon[e.MET.pt > 20],
    "jagged number": lambda e: e.Muon[ak.argmax(e.Muon.pt, axis=1, keepdims=True)],
    "number of each": lambda e: e.Muon[ak.singletons(ak.argmax(e.Muon.pt, axis=1))],
    "names": lambda e: e["Muon", "pt"],
    "names and objects": lambda e: e["Muon", "pt", :, :1],
    "list of names": lambda e: e.Muon[["pt", "eta"]],
    "masked": lambda e: e.Muon.mask[e.Muon.pt > 20],
    "ufunc": lambda e: np.sqrt(e.MET.pt) + abs(e.MET.phi) ** 2,
    "ufunc with scalar": lambda e: np.add(e.MET.pt, ak.sum(e.MET.pt)),
    "ak with scalar": lambda e: ak.where(e.MET.pt > ak.max(e.MET.pt), e.MET.pt, 0),
    "scalar in arithmetic": lambda e: e.MET.pt / ak.sum(e.MET.pt) * 2,
    "numpy number times scalar": lambda e: np.float64(2) * ak.sum(e.MET.pt),
    "scalars": lambda e: -ak.sum(e.MET.pt) + ak.max(e.MET.pt) * 2,
    "method": lambda e: e.Muon.nearest(e.Jet),
    "property": lambda e: e.Muon.matched_gen.pt,
}


@pytest.mark.parametrize("case", ALLOWED)
def test_what_has_a_meaning_is_allowed(case: str, events: Any) -> None:
    assert is_ours(ALLOWED[case](events))


def test_looking_at_a_column(events: Any) -> None:
    assert "pt" in events.Muon.fields
    assert "ptt" not in events.Muon.fields
    assert hasattr(events.Muon, "pt")
    assert not hasattr(events.Muon, "ptt")
    assert getattr(events.Muon, "ptt", None) is None
    assert not hasattr(ak.sum(events.MET.pt), "pt")
    assert "Muon" in repr(events.Muon)
    assert "Scalar" in repr(ak.sum(events.MET.pt))
    assert {"pt", "eta"} <= set(dir(events.Muon))
    assert "pt" in events.Muon._ipython_key_completions_()


MISSPELT: dict[str, tuple[Callable[[Any], Any], str]] = {
    "attribute": (lambda e: e.Muon.ptt, r"Muon has no field or method 'ptt'\. Did you mean 'pt'"),
    "item": (lambda e: e.Muon["ptt"], r"'ptt'\. Did you mean 'pt'"),
    "tuple": (lambda e: e["Muon", "ptt"], r"Muon has no.*'ptt'\. Did you mean 'pt'"),
    "first of a tuple": (lambda e: e["Muons", "pt"], r"NanoEvents.*'Muons'.*mean 'Muon'"),
    "list": (lambda e: e.Muon[["pt", "etaa"]], r"'etaa'\. Did you mean 'eta'"),
    "upper case": (lambda e: e.Muon.PT, r"'PT'\. Did you mean 'pt'"),
    "method": (lambda e: e.Muon.nearst(e.Jet), r"'nearst'\. Did you mean 'nearest'"),
    "cross reference": (lambda e: e.Muon.matched_gn, r"Did you mean 'matched_gen'"),
    "after a cross reference": (lambda e: e.Muon.matched_gen.ptt, r"GenPart has no.*'ptt'"),
    "attribute as item": (lambda e: e.Muon["matched_gen"], r"write \.matched_gen instead"),
    "of selected ones": (lambda e: e.Muon[e.Muon.pt > 5].etaa, r"Muon.*Did you mean 'eta'"),
    "collection": (lambda e: e.Muonn, r"'Muonn'\. Did you mean 'Muon'"),
    "of a plain column": (lambda e: e.Muon.pt.pt, r"plain column of type var \* float32\."),
    "of zipped ones": (lambda e: ak.zip({"a": e.Muon.pt}).b, r"This column.*'b'.*Fields: a"),
    "of a scalar": (lambda e: ak.sum(e.MET.pt).pt, r"scalar has no attribute 'pt'"),
}


@pytest.mark.parametrize("case", MISSPELT)
def test_misspelt_names(case: str, events: Any) -> None:
    use, message = MISSPELT[case]
    with pytest.raises(ColumnError, match=message) as caught:
        use(events)
    # The line that is wrong is the user's: directly below it there are only the guards.
    frames = [entry for entry in caught.traceback if "site-packages" not in str(entry.path)]
    assert str(frames[-1].path).endswith("guards.py")
    assert {str(entry.path) for entry in frames[:-1]} == {__file__}


def test_guards_are_installed_once() -> None:
    install_guards()
    before = {name: getattr(dak.Array, name) for name in ("__bool__", "__getattr__", "__getitem__")}
    install_guards()
    assert {name: getattr(dak.Array, name) for name in before} == before


# What anybody else's collections do, told by the type and text of what comes out.
OTHERS = """
import math, operator, sys
import awkward as ak, dask_awkward as dak, numpy as np
if sys.argv[1] == "guarded":
    from lazyana.data.guards import install_guards
    install_guards()
array = dak.from_awkward(ak.Array([{"x": 1.5, "y": [1, 2]}, {"x": 2.5, "y": []}]), npartitions=2)
unknown = dak.from_map(lambda n: ak.Array([{"x": float(n)}]), [1, 2], meta=array._meta)
scalar = ak.sum(array.x)
known = dak.Scalar.from_known(3.0) if hasattr(dak, "Scalar") else scalar
cases = dict(
    bool=bool, len=len, float=float, int=int, complex=complex, index=operator.index,
    asarray=np.asarray, array=np.array, iter=lambda c: list(c), item=lambda c: c[0],
    slice=lambda c: c[:1], last=lambda c: c[-1], compute=lambda c: ak.to_list(c.compute()),
    sqrt=np.sqrt, times=lambda c: np.float64(2) * c, plus=lambda c: c + 1, isin=lambda c: "x" in c,
    multiply=lambda c: np.multiply(2.0, c), matrix=lambda c: np.array([1.0, 2.0]) * c,
    attribute=lambda c: c.nothing, name=lambda c: c["nothing"], names=lambda c: c[["x", "no"]],
    numbers=lambda c: c[[0, 1]], path=lambda c: c["x", "no"], has=lambda c: hasattr(c, "__array__"),
    priority=lambda c: hasattr(c, "__array_priority__"), private=lambda c: c._nothing,
    condition=lambda c: 1 if c else 2, fields=lambda c: c.fields, text=str, range=range,
)
for kind, collection in (
    ("array", array), ("x", array.x), ("unknown", unknown), ("scalar", scalar), ("known", known),
):
    for name, use in cases.items():
        try:
            result = use(collection)
            shown = f"{type(result).__name__} {result}"
        except Exception as error:
            shown = f"raises {type(error).__name__}: {error}"
        print(kind, name, " ".join(shown.split()))
"""


def test_other_collections_behave_as_ever() -> None:
    plain, guarded = (
        subprocess.run(
            [sys.executable, "-c", OTHERS, how],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for how in ("plain", "guarded")
    )
    assert len(plain) == 5 * 31
    assert guarded == plain


def test_others_are_not_ours(events: Any) -> None:
    other = dak.from_awkward(ak.Array([1, 2]), npartitions=1)
    assert not is_ours(other)
    assert not is_ours(3)
    assert bool(ak.sum(other))
    assert operator.length_hint(other) == 2
    assert is_ours(events.Muon.pt + 1)


def test_fields_are_recorded_once(events: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = events.Jet.pt, events.Jet.mass, copied(events).Jet
    recorded: list[Any] = []
    record = core._map_partitions

    def count(*args: Any, **kwargs: Any) -> Any:
        recorded.append(args)
        return record(*args, **kwargs)

    monkeypatch.setattr(core, "_map_partitions", count)
    assert events["Jet"]["pt"].name == events.Jet.pt.name == first[0].name
    assert copied(events).Jet.mass.name == first[1].name
    assert copied(first[2]).mass.name == first[1].name
    assert recorded == []
    assert events.Jet.eta.name != first[0].name
    assert len(recorded) == 1


def test_types_of_arithmetic_are_those_of_awkward(events: Any) -> None:
    """The type is found without the operation, or is that of the same with another number."""
    jets = events.Jet
    columns = (jets.pt, jets.jetId, jets.area > 0, events.MET.pt, ak.num(jets))
    for column, other in itertools.product(columns, (*columns, 2, 2.5, True)):
        for ufunc in (np.add, np.multiply, np.greater, np.equal, np.hypot, np.maximum):
            for args in ((column, other), (other, column), (column, other)):
                metas = [one._meta if isinstance(one, dak.Array) else one for one in args]
                try:
                    expected = ufunc(*metas)
                except (TypeError, ValueError) as error:
                    with pytest.raises(type(error)):
                        ufunc(*args)
                    continue
                assert ufunc(*args)._meta.type.content == expected.type.content


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (
            lambda c: c + "a",
            r"^np\.add of a lazy column and 'a' \(str\): give a number or a column",
        ),
        (lambda c: c > "3", r"np\.greater of a lazy column and '3' \(str\)"),
        (lambda c: c == None, r"np\.equal of a lazy column and None \(NoneType\)"),  # noqa: E711  (what is tested)
        (lambda c: c * {"sf": 1.0 / 3}, r"and \{'sf': 0\.3+\} \(dict\)"),
        (lambda c: c * np.datetime64("2018"), r"\(datetime64\)"),
        (
            lambda c: c * [1, 2],
            "np.multiply of a lazy column and 2 values in memory: .*map_partitions",
        ),
        (lambda c: np.array([1.0, 2.0]) * c, "and 2 values in memory"),
        (lambda c: np.hypot(c, ak.Array([1.0, 2.0])), "np.hypot .* 2 values in memory"),
    ],
)
def test_what_is_neither_number_nor_column_is_refused(
    use: Callable[[Any], Any], said: str, events: Any
) -> None:
    for column in (events.MET.pt, events.Jet.pt):
        with pytest.raises(LazyValueError, match=said):
            use(column)


@pytest.mark.parametrize(
    "use",
    [
        lambda c: c * np.float32(2),
        lambda c: c * 2j,
        lambda c: c * np.array([2.0]),
        lambda c: c[..., np.newaxis] > np.array([20.0, 30.0, 40.0]),
    ],
    ids=["float32", "complex", "one value", "lists of one length"],
)
def test_numbers_and_lists_of_one_length_are_taken(use: Callable[[Any], Any], events: Any) -> None:
    column = events.Jet.pt
    assert use(column)._meta.type.content == use(column._meta).type.content


def test_number_too_large_for_a_column_is_refused(events: Any) -> None:
    column = ak.values_astype(events.MET.pt, np.int8)
    assert (column + 1)._meta.type.content == (column + 2)._meta.type.content
    with pytest.raises(OverflowError):
        column + 1000


def test_copy_is_not_written_through() -> None:
    array = dak.from_awkward(ak.Array([{"x": 1}]), 1)
    other = copied(array)
    assert other.name == array.name
    other["y"] = 2
    assert array.fields == ["x"]
    assert other.fields == ["x", "y"]


def test_fields_assigned_in_place_are_new(events: Any) -> None:
    muons = events.Muon[events.Muon.pt > 20]
    before = muons.pt
    muons["pt"] = muons.pt * 2
    assert muons.pt is not before
    assert muons.pt.name != before.name
    # what was taken and then changed is not what the next one gets
    pair = ak.zip({"MET": events.MET, "PV": events.PV}, depth_limit=1)
    taken = pair.MET
    taken["twice"] = taken.pt * 2
    assert "twice" not in pair.MET.fields
