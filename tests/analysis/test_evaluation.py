"""Computing expressions: each part once, and only what names columns or follows from them."""

from __future__ import annotations

from typing import Any

import awkward as ak
import pytest

import lazyana as la
from lazyana.analysis.evaluation import Evaluation
from lazyana.analysis.syntax import Problem, parsed
from lazyana.analysis.view import EventsView
from lazyana.analysis.vocabulary import plain


class Counted:
    """Events that note what is taken from them."""

    def __init__(self, events: Any) -> None:
        self._events = events
        self.fields = events.fields
        self.taken: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.taken.append(name)
        return self._events[name]


EVENTS = ak.Array({"Jet": [[{"pt": 1.0}, {"pt": 5.0}], []], "nJet": [7, 8], "MET": [2.0, 3.0]})


def value(text: str, events: Any = EVENTS) -> Any:
    return plain(Evaluation(events, {}).value(parsed(text)))


def test_equal_parts_are_computed_once() -> None:
    events = Counted(EVENTS)
    found = value("sum(Jet.pt > MET) > 0 or sum(Jet.pt > MET) < MET", events)
    assert found.tolist() == [True, True]
    assert events.taken == ["Jet", "MET"]


def test_column_of_the_name_goes_before_the_number_of_objects() -> None:
    assert value("nJet").tolist() == [7, 8]
    assert value("nJet", EVENTS[["Jet", "MET"]]).tolist() == [2, 0]


def test_number_of_what_is_no_collection() -> None:
    with pytest.raises(Problem, match="nMET needs several values an event"):
        value("nMET")


def test_column_called_events_is_a_column() -> None:
    events = ak.Array({"events": [{"x": 1}, {"x": 2}], "x": [3, 4]})
    assert value("events.x", events).tolist() == [1, 2]
    assert value("events.x", events[["x"]]).tolist() == [3, 4]


def test_column_called_like_a_library_or_function() -> None:
    events = ak.Array({"ak": [[{"pt": 1.0}]], "sum": [5]})
    assert value("sum(ak.pt) + sum", events).tolist() == [6.0]


def test_fields_called_like_methods_of_arrays_are_fields() -> None:
    events = ak.Array({"Obj": [{"type": 3, "name": 4, "layout": 5}]})
    assert value("Obj.type + Obj.name + Obj.layout", events).tolist() == [12]


@pytest.mark.parametrize("name", ["compute", "dask", "_meta", "persist", "npartitions", "layout"])
def test_lazy_machinery_is_out_of_reach(name: str, dy_frame: la.Events) -> None:
    with pytest.raises(Problem, match=f"no field '{name}'"):
        value(f"Muon.{name}", dy_frame)


@pytest.mark.parametrize("name", ["filter", "weight", "array", "metadata", "datasets"])
def test_methods_of_the_frame_are_out_of_reach(name: str, dy_frame: la.Events) -> None:
    for events in (dy_frame, EventsView(dy_frame)):
        with pytest.raises(Problem, match=f"There is no column '{name}'"):
            value(f"events.{name}", events)


def test_methods_are_called(dy_frame: la.Events) -> None:
    with pytest.raises(Problem, match=r"delta_r is a method: write .delta_r\(...\)"):
        value("Muon.delta_r > 2", dy_frame)
    with pytest.raises(Problem, match="has no field 'delta_r'"):
        value("Muon.pt.delta_r(Muon) > 2", dy_frame)


def test_what_follows_from_fields_is_there(dy_frame: la.Events, dy_events: ak.Array) -> None:
    assert value("Muon.px", dy_events).tolist() == dy_events.Muon.px.tolist()
    assert value("Muon.px", dy_frame).ndim == 2


def test_vectors_are_added(dy_events: ak.Array) -> None:
    found = value("(Muon[:, 0] + Muon[:, 1]).mass", dy_events)
    first, second = ak.firsts(dy_events.Muon), ak.firsts(dy_events.Muon[:, 1:])
    assert found.tolist() == (first + second).mass.tolist()
