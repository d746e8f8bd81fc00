from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from lazyana.errors import InputError, OutputExistsError, RunError
from lazyana.options import ReadOptions
from lazyana.reader.spans import Span
from lazyana.sinks.base import Place
from lazyana.sinks.skim import NOTE, Skims
from lazyana.sinks.skimorigin import Source, write_rows
from lazyana.sinks.ttree import Branch

BRANCHES = (
    Branch("Jet_pt", "float32", "nJet"),
    Branch("event", "uint64"),
    Branch("hidden", "int16"),
    Branch("maybe", "bool", optional=True),
)
WEIGHT = np.array([0.5, -1.0, 2.0, 4.0, 8.0])


@pytest.fixture
def original(tmp_path: Path) -> str:
    path = tmp_path / "original.root"
    with uproot.recreate(path) as file:
        write_rows(file, "Events", {"genWeight": ak.Array(WEIGHT)})
    return str(path)


@pytest.fixture
def sink(tmp_path: Path) -> Skims:
    return Skims(
        str(tmp_path / "skim"), BRANCHES, ("run", "genWeight"), metadata={"DY": {"xsec": 3.0}}
    )


@pytest.fixture
def fill(original: str) -> Callable[..., Any]:
    def filled(
        sink: Skims, start: int, stop: int, kept: list[int], partition: int = 0, **maybe: Any
    ) -> Any:
        place = Place("DY", partition, "nominal", original, start, stop)
        whole = Span((original,), "Events", "TTree", "", start, stop, "")
        events = stop - start
        hidden = ak.contents.NumpyArray(np.arange(start, stop).astype(np.int16))
        source = Source((whole,), ReadOptions(), {"hidden": hidden})
        number = np.array(kept, np.int64)
        record = ak.Array(
            {
                "Jet_pt": ak.Array([[float(n)] * n for n in range(start, stop)] or [[0.0]])[number],
                "event": ak.Array(np.arange(start, stop))[number],
                "maybe": maybe.get("maybe", ak.Array(np.ones(events, bool)))[number],
            }
        )
        columns = (ak.Array(np.ones(events, np.uint32)), ak.Array(WEIGHT[start:stop]))
        return sink.fill(place, source, ak.Array(number), record, *columns), place

    return filled


def test_fill_merge_finish(sink: Skims, fill: Callable[..., Any]) -> None:
    sink.check()
    sink.prepare()
    states = [
        fill(sink, start, stop, kept, number)[0]
        for number, (start, stop, kept) in enumerate([(0, 3, [1, 2]), (3, 4, []), (4, 5, [0])])
    ]
    merged = sink.merge([sink.merge(states[:2]), states[2]])
    assert merged == sink.merge(states) == tuple(file for state in states for file in state)
    skim = sink.finish({("DY", "nominal"): merged}, ("DY", "never read"))
    assert skim.events == {"DY": 3, "never read": 0}
    assert skim.summary("DY")["entries"] == 5
    assert skim.summary("DY")["sumw"] == WEIGHT.sum()
    assert skim.summary("DY")["sum_signs"] == 3.0
    assert skim.fileset["DY"]["metadata"] == {"xsec": 3.0}
    files = [uproot.open(path) for path in skim.files["DY"]]
    assert [file["Events"].num_entries for file in files] == [2, 0, 1]
    assert files[0]["Events"]["event"].array().tolist() == [1, 2]
    assert files[0]["Events"]["Jet_pt"].array().tolist() == [[1.0], [2.0, 2.0]]
    assert files[0]["Events"]["hidden"].array().tolist() == [1, 2]
    assert files[0]["Events"]["nJet"].typename == "int32_t"
    assert [file["Runs"]["genEventSumw"].array().tolist() for file in files] == [[1.5], [4], [8]]
    note = json.loads(str(files[2][NOTE]))
    assert (note["dataset"], note["events"], note["entries"]) == ("DY", 1, 1)
    assert note["sources"][0].startswith("entries 4-5 of ")


def test_a_second_try_replaces_the_first(sink: Skims, fill: Callable[..., Any]) -> None:
    sink.prepare()
    fill(sink, 0, 3, [0, 1, 2])
    state, _ = fill(sink, 0, 3, [1])
    skim = sink.finish({("DY", "nominal"): state}, ("DY",))
    assert skim.events == {"DY": 1}
    assert len(list(Path(sink.path, "DY").iterdir())) == 1


def test_a_branch_that_files_lack_is_noted(sink: Skims, fill: Callable[..., Any]) -> None:
    sink.prepare()
    state, place = fill(sink, 0, 2, [0, 1], maybe=ak.Array([True, None]))
    skim = sink.finish({("DY", "nominal"): state}, ("DY",))
    assert "maybe" not in uproot.open(skim.files["DY"][0])["Events"]
    assert place.notes == {"branch maybe is not in all files of a partition: not in its skim": 1}


def test_branches_that_do_not_fit_name_the_place(
    tmp_path: Path, fill: Callable[..., Any], sink: Skims
) -> None:
    odd = replace(sink, branches=(*BRANCHES[:1], Branch("event", "uint64", "nevent")))
    with pytest.raises(RunError, match=r"the skim of 'DY' .*entries 0-3.*'event' has no lists"):
        fill(odd, 0, 3, [0])


def test_files_without_events_count(sink: Skims, tmp_path: Path) -> None:
    empty = tmp_path / "empty.root"
    with uproot.recreate(empty) as file:
        write_rows(file, "Events", {"genWeight": ak.Array(WEIGHT[:0])})
        runs = {"run": [1], "genEventCount": [7], "genEventSumw": [6.5]}
        write_rows(file, "Runs", {name: ak.Array(values) for name, values in runs.items()})
    sink = replace(sink, empty={"DY": (((str(empty),), "Events"),)})
    sink.prepare()
    skim = sink.finish({}, ("DY",))
    (path,) = skim.files["DY"]
    with uproot.open(path) as root:
        assert root["Events"].num_entries == 0
        assert root["Events"].keys() == ["nJet", "Jet_pt", "event", "hidden"]
        assert root["Runs"]["genEventSumw"].array().tolist() == [6.5]
    assert skim.summary("DY")["sumw"] == 6.5


def test_what_is_refused(sink: Skims) -> None:
    with pytest.raises(InputError, match="without branches"):
        Skims("somewhere", ())
    with pytest.raises(InputError, match="No compression"):
        replace(sink, compression="none")
    sink.prepare()
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        sink.check()
    replace(sink, overwrite=True).check()
    assert sink.kind == "skim"
