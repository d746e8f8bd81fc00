from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from lazyana.errors import (
    InputError,
    OutputExistsError,
    RunError,
)
from lazyana.sinks import hadd
from lazyana.sinks.hadd import merge_skims, plan_merges
from lazyana.sinks.skimfile import Table
from lazyana.sinks.skimorigin import write_rows
from lazyana.sinks.ttree import Branch, write_tree

BRANCHES = (
    Branch("event", "uint64", title="event number"),
    Branch("Jet_pt", "float32", "nJet", counts="uint32", title="pt"),
    Branch("Jet_id", "uint8", "nJet", counts="uint32"),
    Branch("HLT_IsoMu24", "bool"),
)


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    def make(number: int, events: int, without: str = "", dtype: str = "") -> Path:
        path = tmp_path / f"file{number}.root"
        random = np.random.default_rng(number)
        counts = random.integers(0, 4, events)
        arrays = {
            "event": ak.Array(np.arange(events) + 1000 * number),
            "Jet_pt": ak.unflatten(random.random(counts.sum()), counts),
            "Jet_id": ak.unflatten(random.integers(0, 7, counts.sum()), counts),
            "HLT_IsoMu24": ak.Array(random.random(events) < 0.5),
        }
        branches = [
            Branch(b.name, dtype or b.dtype, b.counter, counts=b.counts, title=b.title)
            if b.name == "event"
            else b
            for b in BRANCHES
            if b.name != without
        ]
        layouts = {branch.name: arrays[branch.name].layout for branch in branches}
        with uproot.recreate(path) as file:
            write_tree(
                file, "Events", branches, Table.of(branches, layouts, events, "test").parts(500)
            )
            sums = {"run": [1], "genEventCount": [events], "genEventSumw": [number + 0.5]}
            write_rows(file, "Runs", {k: ak.Array(np.asarray(v)) for k, v in sums.items()})
            block = {"run": [1, 1], "luminosityBlock": [number, 99]}
            write_rows(
                file, "LuminosityBlocks", {k: ak.Array(np.asarray(v)) for k, v in block.items()}
            )
        return path

    return make


@pytest.mark.parametrize("batch_bytes", [1, 700, 10**7])
def test_events_and_sums_are_those_of_the_files(
    tmp_path: Path, make_file: Callable[..., Path], batch_bytes: int
) -> None:
    files = [make_file(number, events) for number, events in enumerate((50, 0, 7, 120))]
    (merged,) = merge_skims(files, tmp_path / "out", batch_bytes=batch_bytes)
    assert (merged.entries, merged.sumw) == (177, 8.0)
    assert merged.sources == tuple(map(str, files))
    assert Path(merged.path).stat().st_size == merged.bytes
    with uproot.open(merged.path) as root:
        found = root["Events"]
        assert found.keys() == ["event", "nJet", "Jet_pt", "Jet_id", "HLT_IsoMu24"]
        for branch in found:
            parts = [uproot.open(file)["Events"][branch.name].array() for file in files]
            assert branch.array().tolist() == ak.concatenate(parts).tolist()
            assert branch.typename == uproot.open(files[0])["Events"][branch.name].typename
        assert found["Jet_pt"].title == "pt"
        assert root["Runs"]["genEventCount"].array().tolist() == [50, 0, 7, 120]
        assert root["LuminosityBlocks"]["luminosityBlock"].array().tolist() == [0, 99, 1, 2, 3]
        assert found["event"].num_baskets <= max(1, 3 * found.uncompressed_bytes // batch_bytes + 1)


def test_limits(tmp_path: Path, make_file: Callable[..., Path]) -> None:
    files = [make_file(number, 10 * number) for number in range(6)]
    merged = merge_skims(files, tmp_path / "out", name="DY", max_files=3, max_events=60)
    assert [(Path(one.path).name, one.entries, len(one.sources)) for one in merged] == [
        ("DY-000.root", 30, 3),
        ("DY-001.root", 30, 1),
        ("DY-002.root", 40, 1),
        ("DY-003.root", 50, 1),
    ]


def test_a_branch_that_some_lack(tmp_path: Path, make_file: Callable[..., Path]) -> None:
    files = [make_file(1, 5), make_file(2, 5, without="HLT_IsoMu24"), make_file(3, 0, "event")]
    with pytest.raises(InputError, match=r"'HLT_IsoMu24'.*missing='drop'"):
        merge_skims(files, tmp_path / "out")
    (merged,) = merge_skims(files, tmp_path / "out", missing="drop")
    assert uproot.open(merged.path)["Events"].keys() == ["event", "nJet", "Jet_pt", "Jet_id"]
    with pytest.raises(InputError, match="Did you mean 'drop'"):
        merge_skims(files, tmp_path / "out", missing="dropp")  # type: ignore[arg-type]


def test_a_branch_of_two_types(tmp_path: Path, make_file: Callable[..., Path]) -> None:
    files = [make_file(1, 5), make_file(2, 5, dtype="int64")]
    with pytest.raises(InputError, match=r"'event' is uint64 in .* and int64"):
        merge_skims(files, tmp_path / "out", missing="drop")
    assert not (tmp_path / "out").exists()


def test_what_is_there_stays(tmp_path: Path, make_file: Callable[..., Path]) -> None:
    files = [make_file(1, 5)]
    merge_skims(files, tmp_path / "out")
    with pytest.raises(OutputExistsError, match=r"merged-000\.root"):
        merge_skims(files, tmp_path / "out")
    assert merge_skims(files, tmp_path / "out", overwrite=True)[0].entries == 5


def test_a_wrong_count_is_not_kept(
    tmp_path: Path, make_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = hadd._read
    monkeypatch.setattr(hadd, "_read", lambda *args: list(read(*args))[:-1])
    files = [make_file(1, 5), make_file(2, 3)]
    with pytest.raises(RunError, match="5 of 8 events"):
        merge_skims(files, tmp_path / "out", batch_bytes=1000)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_plan_knows_what_is_missing(tmp_path: Path, make_file: Callable[..., Path]) -> None:
    files = [make_file(1, 5), make_file(2, 7)]
    one, other = plan_merges(files, tmp_path / "out", name="DY", max_files=1)
    assert (one.entries, one.url) == (5, str(tmp_path / "out" / "DY-000.root"))
    assert not one.exists()
    assert "There is no file" in (one.problem() or "")
    assert one.run().path == one.url
    assert one.problem() is None
    Path(one.url).rename(other.url)
    assert "has 5 events instead of 7" in (other.problem() or "")
