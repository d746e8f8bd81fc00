"""What `explain` says is what is done."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import pytest
import uproot

import lazyana as la
from lazyana.errors import InputError
from lazyana.options import bytes_text
from lazyana.plan.build import STAGES
from lazyana.plan.explain import Explanation, listing
from lazyana.toy.sample import write_dataset


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("explain")
    (path,) = write_dataset(folder, "DYJetsToLL", events=60)
    events = la.open({"DY": {"files": str(path)}})
    jet = events.Jet.pt
    events = events.vary("jes", {"Jet.pt": {"up": jet * 1.05, "down": jet * 0.95}})
    events = events.filter(jet=ak.any(events.Jet.pt > 20, axis=1))
    pt = hist.axis.Regular(10, 0, 100, name="pt")
    return {
        "jets": events.hist(pt, pt=events.Jet.pt),
        "all muons": la.open({"DY": {"files": str(path)}}).hist(pt, pt=events_muon(path)),
    }


def events_muon(path: Path) -> Any:
    return lambda events: events.Muon.pt


@pytest.fixture(scope="module")
def explanation(outputs: dict[str, Any]) -> Explanation:
    return la.explain(outputs, partition_size=25)


def test_partitions_tasks_and_groups_are_those_of_the_job(
    outputs: dict[str, Any], explanation: Explanation
) -> None:
    result = la.compute(outputs, partition_size=25, executor="sync")
    assert explanation.tasks == result.report.tasks
    assert sum(group.partitions for group in explanation.groups) == result.report.partitions
    assert [group.name for group in explanation.groups] == ["DY", "DY"]
    assert "2 outputs of 2 groups: 120 events in 6 partitions" in str(explanation)


def test_branches_and_their_bytes_are_listed(explanation: Explanation) -> None:
    jets, muons = explanation.groups
    assert jets.branches == ("Jet_pt", "nJet")
    assert muons.branches == ("Muon_pt", "nMuon")
    assert jets.bytes_read == jets.branch_bytes["Jet_pt"] + jets.branch_bytes["nJet"] > 0
    text = explanation.text()
    assert f"reads 2 of {len(jets.branch_bytes)} branches" in text
    assert "Jet_pt" in text


def test_partitions_requests_and_memory(explanation: Explanation) -> None:
    jets, _ = explanation.groups
    assert jets.reads.events == (20, 20, 20)
    assert jets.reads.requests == jets.partitions == 3
    text = explanation.text()
    assert "60 events in 1 TTree file, 3 partitions of 20 events" in text
    a_task = bytes_text(jets.bytes_read / 3)
    assert f"requests: 3, one for each partition and file, of up to {a_task} a partition" in text
    assert jets.peak > jets.reads.column_bytes > 0
    assert (
        f"memory: {bytes_text(jets.reads.column_bytes)} of columns in the largest partition, about "
        f"{bytes_text(jets.reads.reading_bytes)} to read, up to {bytes_text(jets.peak)} to run"
    ) in text
    assert "by uproot" not in text


def test_files_of_several_sizes_and_branches_without_an_index(explanation: Explanation) -> None:
    group = explanation.groups[0]
    reads = replace(
        group.reads,
        events=(5, 17, 20),
        formats={"TTree": 2, "RNTuple": 1},
        by_uproot={f"x{i}": i + 1 for i in range(8)},
    )
    text = str(replace(explanation, groups=(replace(group, reads=reads),)))
    assert "1 RNTuple file and 2 TTree files, 3 partitions of 5 to 20 events (median 17)" in text
    assert "by uproot (slow): x0 (1 file), x1 (2 files)," in text
    assert "x5 (6 files) and 2 more: not in the basket index" in text


def test_nothing_to_read(tmp_path: Path) -> None:
    path = tmp_path / "empty.root"
    with uproot.recreate(path) as file:
        file.mktree("Events", {"run": "uint32", "MET_pt": "float32", "MET_phi": "float32"})
    events = la.open(path)
    text = str(la.explain(events.sum(events.MET.pt)))
    assert "0 events in no files with events, 0 partitions" in text
    assert "requests" not in text


def test_variations_say_what_runs_again(explanation: Explanation) -> None:
    jets, muons = explanation.groups
    assert set(jets.recomputed) == {"jesUp", "jesDown"}
    again = jets.recomputed["jesUp"]
    assert "hist" in again
    assert "any" in again
    assert muons.recomputed == {}
    assert f"jesUp: {len(again)} of {len(jets.stages['pruned'].steps)} steps again" in str(
        explanation
    )


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_can_be_listed(outputs: dict[str, Any], stage: str) -> None:
    explanation = la.explain(outputs, stage)
    program = explanation.groups[0].stages[stage]
    lines = listing(program)
    assert len(lines) == len(program.steps)
    assert all(line in explanation.text() for line in (f"    {line}" for line in lines))
    freed = any("frees" in line for line in lines)
    assert freed == (stage == "released")


def test_a_stage_that_does_not_exist_is_refused(outputs: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"'prune'.*Did you mean 'pruned'.*Choose from"):
        la.explain(outputs, "prune")


def test_the_picture_has_a_node_for_each_step_and_colours_variations(
    explanation: Explanation, tmp_path: Path
) -> None:
    program = explanation.groups[0].stages["released"]
    source = explanation.graph().source
    assert source.count("penwidth") == len(program.steps)
    assert "jesUp" in source
    target = explanation.save(tmp_path / "program.dot")
    assert target.read_text() == source


def test_drawing_needs_dot_and_says_so(
    explanation: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="install graphviz"):
        explanation.save(tmp_path / "program.svg")
    assert not (tmp_path / "program.svg").exists()


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's dot is not installed")
def test_drawing_with_dot(explanation: Explanation, tmp_path: Path) -> None:
    assert explanation.save(tmp_path / "program.svg").read_text().count("<svg") == 1


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")]
)
def test_sizes_are_for_people(number: float, text: str) -> None:
    assert bytes_text(number) == text
