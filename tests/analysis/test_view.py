from __future__ import annotations

from typing import Any

import awkward as ak
import pytest

import lazyana as la
from lazyana.analysis.view import EventsView
from lazyana.errors import ColumnError, InputTypeError


def test_columns_are_put_in_and_taken_out(dy_frame: la.Events, value: Any) -> None:
    view = EventsView(dy_frame)
    before = view.frame
    view["MuonGood"] = view.Muon[view.Muon.pt > 20]
    view.hard = ak.any(view.MuonGood.pt > 40, axis=1)
    assert "MuonGood" in view.fields
    assert "MuonGood" not in before.fields
    expected = value(dy_frame, ak.any(dy_frame.Muon.pt > 40, axis=1))
    assert ak.all(value(view.frame, view.hard) == expected)


def test_fields_of_collections(dy_frame: la.Events, value: Any) -> None:
    view = EventsView(dy_frame)
    view["Jet", "double"] = view.Jet.pt * 2
    assert ak.all(value(view.frame, view.Jet.double) == value(dy_frame, dy_frame.Jet.pt * 2))
    assert ak.all(value(view.frame, view["Jet", "double"]) == value(dy_frame, dy_frame.Jet.pt * 2))


def test_numbers_of_objects_are_there(dy_frame: la.Events, value: Any) -> None:
    view = EventsView(dy_frame)
    assert ak.all(value(dy_frame, view.nMuon) == value(dy_frame, ak.num(dy_frame.Muon)))
    assert "nJet" in view
    assert "nJets" not in view
    with pytest.raises(ColumnError, match="nJets"):
        view["nJets"]


def test_what_is_refused(dy_frame: la.Events) -> None:
    view = EventsView(dy_frame)
    with pytest.raises(InputTypeError, match="looped over"):
        iter(view)
    with pytest.raises(InputTypeError, match="cutflow"):
        len(view)
    with pytest.raises(InputTypeError, match="cannot be assigned to"):
        view[3] = view.run
    with pytest.raises(InputTypeError, match=r"events\.filter"):
        view[view.run > 3]
    with pytest.raises(AttributeError):
        _ = view.__nothing__
    assert bool(view)
    assert "Muon" in dir(view)
    assert "Drell" in repr(view) or "DYJetsToLL" in repr(view)


def test_another_frame(dy_frame: la.Events) -> None:
    view = EventsView(dy_frame)
    fewer = dy_frame.filter(two=ak.num(dy_frame.Muon) == 2)
    view.replace(fewer)
    assert view.frame is fewer
    assert view.metadata["sample"] == "DYJetsToLL"
