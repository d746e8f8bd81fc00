from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from lazyana.analysis.config import Analysis
from lazyana.analysis.peek import Peeked, peek
from lazyana.errors import ColumnError, InputError

Make = Callable[..., Analysis]


def test_values_of_files(dy_entry: dict[str, Any], dy_events: ak.Array) -> None:
    found = peek({"DY": dy_entry}, ["nMuon", "Muon.pt", "MET.pt > 20"], 5)
    assert found.dataset == "DY"
    assert found.file == dy_entry["files"][0]
    assert found.events.fields == ["nMuon", "Muon.pt", "MET.pt > 20"]
    first = dy_events[:5]
    assert found.events["Muon.pt"].tolist() == first.Muon.pt.tolist()
    assert found.events["nMuon"].tolist() == ak.num(first.Muon).tolist()
    assert found.events["MET.pt > 20"].tolist() == (first.MET.pt > 20).tolist()


def test_events_that_pass(dy_entry: dict[str, Any], dy_events: ak.Array) -> None:
    found = peek({"DY": dy_entry}, ["event"], 3, where="nMuon == 2 and MET.pt > 20")
    passed = dy_events[(ak.num(dy_events.Muon) == 2) & (dy_events.MET.pt > 20)]
    assert found.events["event"].tolist() == passed.event[:3].tolist()
    none = peek({"DY": dy_entry}, ["event"], where="nMuon > 50")
    assert len(none.events) == 0
    assert "none of the first events" in none.text()


def test_objects_of_an_analysis(zmumu: Make) -> None:
    dataset = "DYJetsToLL_M-50_2018"
    asked = ["MuonGood.pt", "ll.mass", "nMuonGood"]
    selected = peek(zmumu(), asked, 4, dataset=dataset)
    assert set(selected.events["nMuonGood"].tolist()) == {2}
    assert ak.all(selected.events["MuonGood.pt"] > 15)
    assert ak.all(ak.num(selected.events["MuonGood.pt"]) == 2)
    every = peek(zmumu(), asked, 40, dataset=dataset, all_events=True)
    assert len(set(every.events["nMuonGood"].tolist())) > 1
    assert peek(zmumu(), ["ll.mass"], 1, dataset="DATA_SingleMuon_2018_EraA").file != every.file
    with pytest.raises(InputError, match="Did you mean 'DYJetsToLL_M-50_2018'"):
        peek(zmumu(), asked, dataset="DYJetsToLL_M-50")


def test_empty_files_are_passed_over(dy_entry: dict[str, Any], tmp_path: Path) -> None:
    empty = tmp_path / "empty.root"
    with uproot.recreate(empty) as file:
        file.mktree("Events", {"run": "uint32"})
    files = [str(empty), *dy_entry["files"]]
    assert peek({"DY": files}, ["run"]).file == files[1]
    with pytest.raises(InputError, match="have no events"):
        peek(str(empty), ["run"])


@pytest.mark.parametrize(
    ("expressions", "message"),
    [
        ([], "name expressions"),
        (["Muonn.pt"], "Did you mean 'Muon'"),
        (["Muon.ptt"], "Did you mean 'pt'"),
        (["Muon"], "'Muon.charge'"),
        (["1 + 1"], "for all events"),
        (["isMC"], "for all events"),
    ],
)
def test_what_cannot_be_shown(
    dy_entry: dict[str, Any], expressions: list[str], message: str
) -> None:
    with pytest.raises((ColumnError, InputError), match=message):
        peek({"DY": dy_entry}, expressions)


def test_the_table() -> None:
    events = ak.Array(
        {
            "pt": [[1.23456789, 2], list(np.arange(8.0)), []],
            "mass": [91.1876123, None, 2],
            "good": [True, False, True],
            "run": [315257, 1, 2],
        }
    )
    lines = Peeked("DY", "a.root", events).text().splitlines()
    assert lines[0] == "DY: a.root"
    assert lines[1].split() == ["pt", "mass", "good", "run"]
    assert lines[3].split() == ["0", "[1.2346,", "2]", "91.188", "yes", "315257"]
    assert "[0, 1, 2, 3, 4, 5, … 2 more]" in lines[4]
    assert lines[4].split()[-3:] == ["-", "no", "1"]
    assert lines[5].split()[:2] == ["2", "[]"]
