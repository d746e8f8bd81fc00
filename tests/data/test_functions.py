"""numpy's and awkward's functions of lazy columns, beside the same of arrays in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import dask_awkward as dak
import numpy as np
import pytest

import lazyana as la
from lazyana.errors import LazyValueError


@pytest.fixture(scope="module")
def frame(toy_files: dict[str, Any]) -> la.Events:
    return la.open({"TTTo2L2Nu": toy_files["TTTo2L2Nu"]})


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "where": lambda events: np.where(events.MET.pt > 20, 1.0, 0.0),
    "where, of a number without dimension": lambda events: np.where(
        events.MET.pt > 20, np.ones(()) * 2, events.MET.pt
    ),
    "product with a number without dimension": lambda events: np.ones(()) * 3 * events.MET.pt,
    "where of awkward": lambda events: ak.where(events.MET.pt > 20, 2.0, np.ones(())),
    "sum": lambda events: np.sum(events.Muon.pt, axis=1),
    "any": lambda events: np.any(events.Muon.pt > 30, axis=1),
    "max": lambda events: np.max(events.Jet.pt, axis=1),
    "concatenate": lambda events: np.concatenate([events.Jet.pt, events.Muon.pt], axis=1),
    "nan_to_num": lambda events: np.nan_to_num(np.arctanh(events.Jet.eta), nan=0.0),
    "ones_like": lambda events: np.ones_like(events.MET.pt),
    "ptp": lambda events: ak.ptp(events.Jet.pt, axis=1),
    "nansum": lambda events: ak.nansum(events.Jet.pt, axis=-1),
    "corr": lambda events: ak.corr(events.Jet.eta, events.Jet.phi, axis=1),
    "softmax": lambda events: ak.softmax(events.Jet.phi, axis=-1),
    "argsort": lambda events: np.argsort(events.Jet.phi, axis=1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_do_what_they_do_in_memory(frame: la.Events, value: Any, name: str) -> None:
    function = FUNCTIONS[name]
    used = {"MET": ("pt",), "Muon": ("pt",), "Jet": ("pt", "eta", "phi")}
    in_memory = {
        name: ak.zip({field: value(frame, frame[name, field]) for field in fields})
        for name, fields in used.items()
    }
    with np.errstate(invalid="ignore"):
        expected = function(ak.zip(in_memory, depth_limit=1))
        found = value(frame, function(frame))
    assert ak.to_list(found) == ak.to_list(expected)


def test_numbers_without_dimension_keep_their_precision(frame: la.Events, value: Any) -> None:
    product = value(frame, np.full((), 0.1) * frame.MET.pt)
    assert frame.MET.pt._meta.layout.dtype == np.float32
    assert product.layout.dtype == np.float64
    assert ak.all(product == 0.1 * ak.values_astype(value(frame, frame.MET.pt), np.float64))


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "to_numpy": (ak.to_numpy, "correctionlib's evaluate takes the column itself"),
    "method": (lambda column: column.to_numpy(), r"\.to_numpy\(\)"),
    "Array": (ak.Array, "leave ak.Array out"),
    "any": (lambda column: ak.any([column > 1, column > 2], axis=0), r"write a \| b"),
    "clip": (lambda column: np.clip(column, 1, 2), r"np\.minimum\(np\.maximum\("),
    "round": (np.round, r"np\.rint"),
    "over events": (lambda column: ak.nansum(column, axis=0), r"ak\.nansum"),
    "over events from behind": (lambda column: ak.ptp(column, axis=-1), r"ak\.ptp"),
    "over everything": (ak.ptp, r"ak\.ptp"),
    "histogram": (np.histogram, r"np\.histogram"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_values_says_what_to_write_instead(frame: la.Events, name: str) -> None:
    use, message = REFUSED[name]
    with pytest.raises(LazyValueError, match=message):
        use(frame.MET.pt)


def test_other_collections_are_left_alone() -> None:
    array = dak.from_awkward(ak.Array([1.0, 2.0]), npartitions=1)
    with pytest.raises(NotImplementedError):
        ak.to_numpy(array)
    with pytest.raises(AttributeError):
        _ = array.nothing


def test_fields_win_over_methods_of_the_same_name(frame: la.Events, value: Any) -> None:
    jets = frame.FatJet
    assert hasattr(type(jets._meta), "tau2")  # the square of the proper time of a vector
    assert ak.array_equal(value(frame, jets.tau2), value(frame, jets["tau2"]))
    assert ak.all(value(frame, jets.tau2 < 10), axis=None)


BETWEEN_EVENTS: dict[str, Callable[[Any], Any]] = {
    "num": lambda events: ak.num(events.Jet, axis=0),
    "sort": lambda events: ak.sort(events.MET.pt),
    "sort by name": lambda events: ak.sort(array=events.MET.pt),
    "sort of numpy": lambda events: np.sort(events.MET.pt),
    "argsort of numpy": lambda events: np.argsort(events.MET.pt),
    "argsort": lambda events: ak.argsort(events.Jet.pt, axis=-2),
    "local_index": lambda events: ak.local_index(events.MET.pt),
    "local_index of objects": lambda events: ak.local_index(events.Jet.pt, axis=0),
    "pad_none": lambda events: ak.pad_none(events.MET.pt, 9, axis=0),
    "run_lengths": lambda events: ak.run_lengths(events.run),
    "cartesian": lambda events: ak.cartesian([events.MET.pt, events.MET.phi], axis=0),
    "cartesian by name": lambda events: ak.cartesian(
        {"a": events.MET.pt, "b": events.MET.phi}, axis=0
    ),
    "argcartesian": lambda events: ak.argcartesian([events.MET.pt, events.MET.phi], axis=0),
    "argcombinations": lambda events: ak.argcombinations(events.MET.pt, 2, axis=0),
    "combinations": lambda events: ak.combinations(events.MET.pt, 2, axis=-1),
}


@pytest.mark.parametrize("name", BETWEEN_EVENTS)
def test_events_of_a_partition_are_not_compared(frame: la.Events, name: str) -> None:
    with pytest.raises(LazyValueError, match="compares, numbers or counts events"):
        BETWEEN_EVENTS[name](frame)


BY_NAME: dict[str, Callable[[Any], Any]] = {
    "corr": lambda events: ak.corr(x=events.Jet.pt, y=events.Jet.eta, axis=0),
    "std": lambda events: ak.std(x=events.Jet.pt, axis=0),
    "softmax": lambda events: ak.softmax(x=events.MET.pt, axis=-1),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_columns_by_name_are_seen(frame: la.Events, name: str) -> None:
    with pytest.raises(LazyValueError, match="has no value yet"):
        BY_NAME[name](frame)
