from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
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


def test_numbers_are_those_of_every_event(dy_frame: la.Events, value: Any) -> None:
    view = EventsView(dy_frame)
    given: dict[str, Any] = {"n": 0, "good": True, "k": np.float32(2.5), "one": np.ones(())}
    for name, number in given.items():
        view[name] = number
    view["Jet", "q"] = 3
    for name, number in given.items():
        column = value(view.frame, view[name])
        assert column.layout.dtype == np.asarray(number).dtype
        assert ak.to_list(column) == [number] * len(column)
        assert not column.layout.parameters
    assert ak.all(value(view.frame, view.Jet.q) == 3)


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
    with pytest.raises(InputTypeError, match=r"ak\.ones_like\(events\.event"):
        len(view)
    with pytest.raises(InputTypeError, match="cannot be assigned to"):
        view[3] = view.run
    with pytest.raises(InputTypeError, match=r"only cuts do: put the mask into skim.*ak\.mask"):
        view[view.run > 3]
    with pytest.raises(InputTypeError, match="Name a column"):
        view[3]
    with pytest.raises(AttributeError):
        _ = view.__nothing__
    assert bool(view)
    assert "Muon" in dir(view)
    assert "Drell" in repr(view) or "DYJetsToLL" in repr(view)


def test_events_that_fail_a_mask_are_none(dy_frame: la.Events, value: Any) -> None:
    view = EventsView(dy_frame)
    two = view.nMuon >= 2
    pairs = view[ak.mask(two, two)]
    assert pairs.fields == view.fields
    mass = (pairs.Muon[:, 0] + pairs.Muon[:, 1]).mass
    heavy = ak.where(ak.is_none(mass), False, mass > 80)

    numbers = value(dy_frame, ak.num(dy_frame.Muon))
    assert value(dy_frame, ak.is_none(mass)).tolist() == (numbers < 2).tolist()
    selected = dy_frame.filter(two=ak.num(dy_frame.Muon) >= 2)
    expected = value(selected, (selected.Muon[:, 0] + selected.Muon[:, 1]).mass > 80)
    assert value(dy_frame, heavy)[numbers >= 2].tolist() == expected.tolist()
    assert ak.any(expected)
    assert not ak.any(value(dy_frame, heavy)[numbers < 2])
    assert value(dy_frame, pairs["event"]).tolist() == [
        event if number >= 2 else None
        for event, number in zip(value(dy_frame, dy_frame.event), numbers, strict=True)
    ]
    with pytest.raises(ColumnError, match="Muonn"):
        _ = pairs.Muonn
    with pytest.raises(AttributeError):
        _ = pairs.__nothing__


def test_awkward_functions_of_the_events(dy_frame: la.Events, value: Any) -> None:
    view = EventsView(dy_frame)
    view["double"] = view.event * 2
    assert ak.fields(view) == list(view.fields)
    for use in (ak.num, ak.ones_like, lambda events: ak.with_field(events, events.run, "again")):
        with pytest.raises(InputTypeError, match=r"as a whole; events\['name'\] = column"):
            use(view)
    muons = view.Muon
    parts = {name: muons[name] for name in ("pt", "eta", "phi", "mass")}
    vectors = ak.zip(parts, with_name="PtEtaPhiMLorentzVector", behavior=view.behavior)
    assert ak.all(value(view.frame, vectors.px) == value(view.frame, muons.px), axis=None)


def test_another_frame(dy_frame: la.Events) -> None:
    view = EventsView(dy_frame)
    fewer = dy_frame.filter(two=ak.num(dy_frame.Muon) == 2)
    view.replace(fewer)
    assert view.frame is fewer
    assert view.metadata["sample"] == "DYJetsToLL"
