from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import awkward as ak
import numpy as np
import pytest
from awkward.typetracer import typetracer_with_report
from coffea.nanoevents.methods import candidate, vector

from lazyana.data import overloaded as module
from lazyana.data.elementwise import Elementwise
from lazyana.data.overloaded import overloaded

FIELDS = {"pt": 10.0, "eta": 0.5, "phi": 1.0, "mass": 0.1, "charge": -1, "quality": 3}


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    module._known.clear()
    yield
    module._known.clear()


def records(name: str, behavior: dict[Any, Any], counts: Any = None, **more: Any) -> ak.Array:
    size = 4 if counts is None else sum(counts)
    made = ak.zip(
        {key: np.full(size, value) for key, value in {**FIELDS, **more}.items()}, with_name=name
    )
    made = made if counts is None else ak.unflatten(made, counts)
    return ak.Array(made, behavior=behavior, attrs={"x": 1})


MUON = records("PtEtaPhiMCandidate", candidate.behavior)
MUONS = records("PtEtaPhiMCandidate", candidate.behavior, [2, 0, 2])
VECTOR = records("PtEtaPhiMLorentzVector", vector.behavior)
OTHER = ak.Array(records("PtEtaPhiMCandidate", candidate.behavior, charge=1.0), attrs={"y": 2})

CALLS: dict[str, tuple[np.ufunc, tuple[Any, ...], bool]] = {
    "sum": (np.add, (MUON, MUON), True),
    "sum of others": (np.add, (MUON, OTHER), True),
    "difference": (np.subtract, (MUON, MUON), True),
    "twice": (np.multiply, (VECTOR, 2.0), False),
    "half of": (np.divide, (VECTOR, 2.0), False),
    "minus": (np.negative, (VECTOR,), True),
    "of those selected": (np.add, (MUON[[True, False, True, True]], MUON[::-1][:3]), True),
    "of the first objects": (np.add, (MUONS[[True, False, True]][:, 0],) * 2, True),
    "lists": (np.add, (MUONS, MUONS), True),
    "missing": (np.add, (ak.firsts(MUONS), ak.firsts(MUONS)), True),
}


def traced(args: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
    """The arguments without data, and the reports of what is touched of them."""
    made, reports = [], []
    for arg in args:
        if isinstance(arg, ak.Array):
            array, report = typetracer_with_report(
                arg.layout.form_with_key("{id}"),
                highlevel=True,
                behavior=dict(arg.behavior),
                attrs=arg.attrs,
            )
            made.append(array)
            reports.append(report)
        else:
            made.append(arg)
    return made, reports


def outcome(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    made, reports = traced(args)
    result = function(*made)
    return (
        result.type.content,
        ak.backend(result),
        result.behavior,
        dict(result.attrs),
        [set(report.data_touched) for report in reports],
    )


@pytest.mark.parametrize("name", CALLS)
def test_is_what_the_function_gives(name: str) -> None:
    function, args, known = CALLS[name]
    expected = outcome(function, args)
    assert len(module._known) == 0
    for _ in range(3):
        assert outcome(Elementwise(function), args) == expected
    assert len(module._known) == 1
    assert (module._known[0].layout is not None) is known


def test_other_types_and_numbers_are_others() -> None:
    for args in ((MUON, MUON), (MUON, OTHER), (OTHER, MUON), (OTHER, OTHER)):
        assert outcome(Elementwise(np.add), args) == outcome(np.add, args)
    for factor in (2.0, 2, 3.0, np.float32(2)):
        args = (VECTOR, factor)
        assert outcome(Elementwise(np.multiply), args) == outcome(np.multiply, args)
    assert len(module._known) == 8


def test_methods_are_those_of_the_arrays() -> None:
    """The same type with other methods makes other things."""
    mine = dict(candidate.behavior)
    mine[np.add, "PtEtaPhiMCandidate", "PtEtaPhiMCandidate"] = lambda one, other: one.pt + other.pt
    ours = ak.Array(MUON, behavior=mine)
    assert outcome(Elementwise(np.add), (MUON, MUON)) == outcome(np.add, (MUON, MUON))
    assert outcome(Elementwise(np.add), (ours, ours)) == outcome(np.add, (ours, ours))
    (one, other), _ = traced((MUON, ours))
    assert overloaded(np.add, (one, other)) is None


def test_attributes_that_are_arrays_are_told_apart() -> None:
    """NanoEvents are an attribute of what is in them."""
    one, other = (ak.Array(MUON, attrs={"@events": ak.Array([1, 2])}) for _ in range(2))
    for args in ((one, one), (one, other), (other, one)):
        (first, second), _ = traced(args)
        expected = first + second
        found = Elementwise(np.add)(first, second)
        assert found.attrs.keys() == expected.attrs.keys() == {"@events"}
        assert found.attrs["@events"] is expected.attrs["@events"]


def test_what_is_no_array_is_left_to_the_function() -> None:
    mine = dict(candidate.behavior)
    mine[np.add, "PtEtaPhiMCandidate", "PtEtaPhiMCandidate"] = lambda one, other: 3
    ours = ak.Array(MUON, behavior=mine)
    made, _ = traced((ours, ours))
    assert overloaded(np.add, made) is None


def test_what_is_not_defined_is_told_by_the_function_itself() -> None:
    args, _ = traced((VECTOR, VECTOR))
    for _ in range(2):
        with pytest.raises(TypeError, match=r"no numpy\.arctan2 overloads for custom types"):
            Elementwise(np.arctan2)(*args)


def test_records_with_data_are_not_looked_at() -> None:
    assert ak.all(Elementwise(np.add)(MUON, MUON).mass > 0)
    assert len(module._known) == 0
