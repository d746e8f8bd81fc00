"""Looking at the first events, and handing events over to dask-awkward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import dask
import dask_awkward as dak
import numpy as np
import pytest
import uproot

import lazyana as la
from lazyana.data.nanoevents import LABEL_FIELD
from lazyana.data.partitions import memory_of
from lazyana.errors import FrameMismatchError, InputError, InputTypeError
from lazyana.frame.peek import Show, head, to_dask_awkward

DY = "DYJetsToLL"


def test_sink_hands_its_column_back() -> None:
    column = ak.Array([1, 2])
    assert Show().fill(None, column) is column


def test_head_has_as_many_events_as_asked_for(dy: la.Events, plain: Any) -> None:
    events = plain.events[DY][0].event.to_list()
    for number in (1, 5, np.int64(7), 300):
        assert head(dy, number, None).event.to_list() == events[:number]
    # No more than the first file has.
    assert len(head(dy, 1000, None)) == 300


def test_head_goes_on_until_enough_events_pass(dy: la.Events, plain: Any) -> None:
    first = plain.events[DY][0]
    mask = first.MET.pt > 35
    assert 5 < ak.sum(mask) < 50
    frame = dy.filter(met=dy.MET.pt > 35)
    assert frame.head(5).event.to_list() == first.event[mask][:5].to_list()
    nothing = dy.filter(none=dy.MET.pt < 0).head(3)
    assert len(nothing) == 0
    assert nothing.Muon.pt.to_list() == []


def test_head_shows_collections_with_their_methods(dy: la.Events, plain: Any) -> None:
    shown = dy.head(3)
    first = plain.events[DY][0][:3]
    assert set(shown.fields) == set(first.fields)
    assert shown.Jet.nearest(shown.Muon).pt.to_list() == first.Jet.nearest(first.Muon).pt.to_list()
    assert shown.Muon.matched_gen.pt.to_list() == first.Muon.matched_gen.pt.to_list()


def test_head_is_nominal(dy: la.Events) -> None:
    frame = dy.vary("met", {"MET.pt": {"up": dy.MET.pt * 2}})
    assert frame.head(3).MET.pt.to_list() == dy.head(3).MET.pt.to_list()


def test_head_checks_its_columns(dy: la.Events) -> None:
    frame = dy.filter(met=dy.MET.pt > 50)
    with pytest.raises(FrameMismatchError, match=r"'x'.*before any filter"):
        frame.head(3, {"x": dy.MET.pt})
    for wrong in (True, 2.5, None):
        with pytest.raises(InputTypeError, match=r"events\.head\(5\)"):
            frame.head(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 1 event, not -1"):
        frame.head(-1)


def test_files_without_events(tmp_path: Path) -> None:
    path = tmp_path / "empty.root"
    with uproot.recreate(path) as file:
        file.mktree("Events", {"run": "uint32", "MET_pt": "float32", "MET_phi": "float32"})
    frame = la.open(path)
    assert len(frame.head()) == 0
    assert frame.head(2, {"x": frame.MET.pt}).to_list() == []
    with pytest.raises(InputError, match="files of empty have no events"):
        frame.to_dask_awkward()


def test_collection_has_what_the_frame_has(mc: la.Events, plain: Any) -> None:
    frame = mc.define(n=ak.num(mc.Jet), Muon=mc.Muon[mc.Muon.pt > 20])
    frame = frame.filter(met=frame.MET.pt > 30)
    events = to_dask_awkward(frame, 100)
    assert set(events.fields) == set(frame.fields)
    assert LABEL_FIELD not in events.fields

    def selected(e: Any) -> Any:
        return e[e.MET.pt > 30]

    names = (DY, "TTTo2L2Nu")
    columns = {
        "n": (events.n, plain(lambda e: ak.num(selected(e).Jet), *names)),
        "pt": (
            events.Muon.pt,
            plain(lambda e: (m := selected(e).Muon)[m.pt > 20].pt, *names),
        ),
        "gen": (
            events.Muon.matched_gen.pdgId,
            plain(lambda e: (m := selected(e).Muon)[m.pt > 20].matched_gen.pdgId, *names),
        ),
        "mass": (
            (ak.firsts(events.Jet) + ak.firsts(events.Electron)).mass,
            plain(
                lambda e: (ak.firsts(selected(e).Jet) + ak.firsts(selected(e).Electron)).mass,
                *names,
            ),
        ),
    }
    lazy = {name: column for name, (column, _) in columns.items()}
    (found,) = dask.compute(lazy, scheduler="sync")
    for name, (_, expected) in columns.items():
        assert ak.array_equal(found[name], expected, dtype_exact=False, check_parameters=False)


def test_collection_reads_only_what_is_used(dy: la.Events) -> None:
    events = dy.to_dask_awkward()
    for column, branches in (
        (events.Jet.eta, {"nJet", "Jet_eta"}),
        (ak.num(events.Muon), {"nMuon"}),
        (events.MET.pt, {"MET_pt"}),
    ):
        (needed,) = dak.necessary_columns(column).values()
        # The number of jets is in the offsets too, whatever field they are taken from.
        assert branches <= needed <= branches | {"Jet_pt"}


def test_partitions_of_a_collection(dy: la.Events) -> None:
    assert to_dask_awkward(dy).npartitions == 1
    assert to_dask_awkward(dy, 150).npartitions == 6
    # Bytes count for all columns, as it is not known yet which are used.
    of_all = sum(memory_of(file, file.branch_memory) for file in dy._group.catalog.files[DY])
    assert to_dask_awkward(dy, f"{of_all // 4} B").npartitions == 6
