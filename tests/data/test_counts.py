"""Lists and their counters: damage that decompresses is seen where the two disagree."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents import BaseSchema, NanoAODSchema
from hypothesis import given
from hypothesis import strategies as st

from lazyana.data.counts import Disagreement, counters_of, disagreement
from lazyana.data.inspect import inspect
from lazyana.data.nanoevents import Blueprint

COUNTERS = {"Jet_pt": "nJet", "Jet_eta": "nJet", "Muon_pt": "nMuon"}


def lists(counts: list[int], before: int = 0) -> ak.contents.ListOffsetArray:
    """Lists of these lengths, in a buffer with something before them."""
    offsets = before + np.cumsum([0, *counts])
    content = ak.contents.NumpyArray(np.zeros(offsets[-1], np.float32))
    return ak.contents.ListOffsetArray(ak.index.Index64(offsets), content)


def numbers(counts: list[int], dtype: str = "int32") -> ak.contents.NumpyArray:
    return ak.contents.NumpyArray(np.array(counts, dtype))


@given(
    st.lists(st.integers(0, 5), max_size=20),
    st.integers(0, 3),
    st.sampled_from(["int32", "uint32", "uint8", "int64"]),
)
def test_lists_as_long_as_counted(counts: list[int], before: int, dtype: str) -> None:
    arrays = {
        "Jet_pt": lists(counts),
        "Jet_eta": lists(counts, before),
        "nJet": numbers(counts, dtype),
    }
    assert disagreement(arrays, COUNTERS) is None


@given(st.data(), st.integers(0, 3))
def test_the_first_event_that_differs_is_named(data: Any, before: int) -> None:
    counts = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=20))
    other = data.draw(st.lists(st.integers(0, 5), min_size=len(counts), max_size=len(counts)))
    arrays = {
        "Jet_pt": lists(counts),
        "Jet_eta": lists(other, before),
        "nJet": numbers(counts),
    }
    differ = [i for i, pair in enumerate(zip(counts, other, strict=True)) if len(set(pair)) > 1]
    expected = None
    if differ:
        event = differ[0]
        expected = Disagreement("Jet_eta", "nJet", event, other[event], counts[event])
    assert disagreement(arrays, COUNTERS) == expected


def test_a_counter_below_zero() -> None:
    arrays = {"Muon_pt": lists([2, 0, 1]), "nMuon": numbers([2, -3, 4])}
    assert disagreement(arrays, COUNTERS) == Disagreement("Muon_pt", "nMuon", 1, 0, -3)


def test_what_cannot_be_compared_is_not() -> None:
    option = ak.from_iter([[1.0], None], highlevel=False)
    arrays = {"Jet_pt": lists([1, 2]), "Muon_pt": option, "nMuon": numbers([1, 0])}
    assert disagreement(arrays, COUNTERS) is None
    assert disagreement({"Jet_pt": lists([]), "nJet": numbers([])}, COUNTERS) is None


@pytest.mark.parametrize("schema", [NanoAODSchema, BaseSchema])
def test_counters_are_those_that_the_schema_divides_by(
    schema: type[BaseSchema], toy_files: dict[str, Any]
) -> None:
    (layout,) = inspect({"DY": toy_files["DYJetsToLL"]}).layouts.values()
    found = counters_of(Blueprint(layout, schema).form)
    if schema is BaseSchema:  # it takes branches one by one, each with its own lengths
        assert found == {}
        return
    assert found["Muon_pt"] == "nMuon"
    assert found["GenPart_genPartIdxMother"] == "nGenPart"
    assert not {"LHEScaleWeight", "MET_pt", "nMuon", "run"} & set(found)
    assert all(name in layout.types for pair in found.items() for name in pair)
    jagged = {name for name, kind in layout.types.items() if kind.endswith("[]")}
    assert set(found) == {name for name in jagged if "_" in name}
