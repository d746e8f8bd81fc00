"""Files that cannot be read: an error that helps, or left out and told; never a short read."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import dask_awkward as dak
import hist
import numpy as np
import pytest
import uproot

import lazyana as la
from lazyana.data.catalog import Catalog
from lazyana.data.fileset import Fileset
from lazyana.data.inspect import inspect
from lazyana.errors import ColumnError, FileError, RunError
from lazyana.reader.baskets import BasketIndex, Baskets
from lazyana.toy.sample import write_dataset

FILES, EVENTS, CLUSTER = 3, 300, 100
BAD = 1
"""Position of the file that is damaged."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three files in good order, of three baskets a branch; the compression has a checksum."""
    return write_dataset(
        tmp_path_factory.mktemp("whole"),
        "DYJetsToLL",
        events=FILES * EVENTS,
        files=FILES,
        cluster_events=CLUSTER,
        compression="zlib",
    )


@dataclass(frozen=True)
class Copies:
    """The same files at another place, to be damaged, and what inspection told of them before."""

    paths: list[Path]
    catalog: Catalog
    index: BasketIndex

    @property
    def events(self) -> la.Events:
        return la.open(self.catalog)

    @property
    def bad(self) -> Path:
        """The file that is damaged."""
        return self.paths[BAD]

    def baskets(self, branch: str) -> Baskets:
        """Where the baskets of a branch are, in the file that is damaged."""
        return self.index.branches[branch]


@pytest.fixture(scope="module")
def inspected(whole: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Copies:
    folder = tmp_path_factory.mktemp("copies")
    paths = [Path(shutil.copy(path, folder)) for path in whole]
    catalog = inspect({"DY": list(map(str, paths))})
    index = catalog.files["DY"][BAD].index
    assert index is not None
    return Copies(paths, catalog, index)


@pytest.fixture
def copies(inspected: Copies, whole: list[Path]) -> Copies:
    for path, copy in zip(whole, inspected.paths, strict=True):
        if copy.is_dir():
            copy.rmdir()
        copy.unlink(missing_ok=True)
        shutil.copy(path, copy)
    return inspected


@pytest.fixture(scope="module")
def good(whole: list[Path]) -> la.Events:
    """The events of the files that are never damaged."""
    return opened([path for i, path in enumerate(whole) if i != BAD])


def outputs(events: la.Events) -> dict[str, Any]:
    """What is summed before cuts, what is counted, and what a histogram holds."""
    axis = hist.axis.Regular(20, 0, 200, name="pt")
    weighted = events.weight("gen", events.genWeight)
    two = weighted.filter(two=ak.num(weighted.Muon) == 2)
    return {
        "sumw": weighted.sum(),
        "muons": two.hist(axis, pt=two.Muon.pt),
        "cutflow": two.cutflow(),
        "table": two.columns({"event": two.event, "pt": two.Muon.pt}),
    }


def opened(paths: list[Path]) -> la.Events:
    return la.open({"DY": list(map(str, paths))})


def run(events: la.Events, on_error: Any = "raise", **options: Any) -> la.Result:
    return la.compute(outputs(events), executor="sync", on_error=on_error, **options)


def same(one: la.Result, other: la.Result) -> bool:
    """Whether two results are of the same events."""
    tables = [result["table"].to_awkward("DY") for result in (one, other)]
    return (
        one["sumw"]["DY"]["nominal"] == pytest.approx(other["sumw"]["DY"]["nominal"])
        and np.array_equal(one["cutflow"].counts, other["cutflow"].counts)
        and np.allclose(one["muons"].values(flow=True), other["muons"].values(flow=True))
        and tables[0].to_list() == tables[1].to_list()
    )


# -- damage ---------------------------------------------------------------------------------------


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def key_bytes(path: Path, at: int) -> int:
    """Length of the key in front of a basket."""
    return int.from_bytes(path.read_bytes()[at + 14 : at + 16], "big")


def scramble(path: Path, found: Baskets, number: int = 1) -> None:
    """Flip bits in the middle of what a basket holds."""
    at, size = int(found.seeks[number]), int(found.sizes[number])
    key = key_bytes(path, at)
    content = np.frombuffer(path.read_bytes()[at + key : at + size], np.uint8)
    half = len(content) // 2
    overwrite(path, at + key + half, (content[half : half + 8] ^ 0x5A).tobytes())


def cut(copies: Copies) -> None:
    """End the file in the middle of the second basket of a branch that is used."""
    found = copies.baskets("Muon_pt")
    os.truncate(copies.bad, int(found.seeks[1] + found.sizes[1] // 2))


def damage_basket(copies: Copies) -> None:
    scramble(copies.bad, copies.baskets("Muon_pt"))


def damage_key(copies: Copies) -> None:
    overwrite(copies.bad, int(copies.baskets("Muon_pt").seeks[1]), bytes(18))


def remove(copies: Copies) -> None:
    copies.bad.unlink()


def replace_by_another(copies: Copies) -> None:
    """Put a file in its place that was written later: the same but for its identifier."""
    content = copies.bad.read_bytes()
    identifier = uuid.UUID(copies.catalog.files["DY"][BAD].uuid).bytes
    assert content.count(identifier) > 0
    copies.bad.unlink()
    copies.bad.write_bytes(content.replace(identifier, uuid.uuid1().bytes))


def update(copies: Copies) -> None:
    """Add to the file, as ROOT's UPDATE does: its identifier stays the same."""
    with uproot.update(copies.bad) as file:
        file["more"] = np.histogram(np.arange(10_000) % 97, bins=500)
    before = copies.catalog.files["DY"][BAD]
    with uproot.open(copies.bad) as file:
        assert str(file.file.uuid) == before.uuid
        assert file.file.fEND != before.file_bytes


def empty(copies: Copies) -> None:
    copies.bad.write_bytes(b"")


def write_something_else(copies: Copies) -> None:
    copies.bad.write_text("no ROOT file at all, but long enough to be one. " * 20_000)


def make_directory(copies: Copies) -> None:
    copies.bad.unlink()
    copies.bad.mkdir()


def make_dead_link(copies: Copies) -> None:
    copies.bad.unlink()
    copies.bad.symlink_to("nowhere.root")


@dataclass(frozen=True)
class Case:
    """A damage, and what is said about it.

    Attributes
    ----------
    damage
        What happens to the file.
    message
        Pattern of the message.
    lost
        Partitions of one cluster each that are lost.
    """

    damage: Callable[[Copies], None]
    message: str
    lost: tuple[int, ...] = (0, 1, 2)


CASES = {
    "cut short": Case(
        cut,
        r"Branch '\w+'( and \d+ more)? cannot be read in entries \d+-\d+: {path} ends at byte \d+, "
        r"before byte \d+ that was asked for\. Copy the file again",
        (1, 2),
    ),
    "basket": Case(
        damage_basket,
        r"'Muon_pt'.*entries \d+-\d+ of {path}.*The file is damaged: copy it again",
        (1,),
    ),
    "key": Case(
        damage_key,
        r"Branch 'Muon_pt', entries \d+-\d+ of {path}, cannot be read: there is no basket where "
        "the index says. The file is damaged: copy it again",
        (1,),
    ),
    "gone": Case(remove, r"There is no file {path} \(any more\)"),
    "replaced": Case(replace_by_another, r"{path} was replaced since it was inspected.*la\.open"),
    "updated": Case(update, r"{path} was replaced since it was inspected"),
    "empty": Case(empty, r"{path} ends at byte 0, before byte"),
    "not ROOT": Case(write_something_else, r"{path} was replaced since it was inspected"),
    "directory": Case(make_directory, r"{path} cannot be read: Is a directory"),
    "dead link": Case(make_dead_link, r"There is no file {path} \(any more\)"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_between_opening_and_computing_it_is_an_error(case: Case, copies: Copies) -> None:
    case.damage(copies)
    with pytest.raises(FileError) as caught:
        run(copies.events, partition_size=CLUSTER)
    message = str(caught.value)
    assert type(caught.value) is FileError
    assert re.search(case.message.format(path=re.escape(str(copies.bad))), message)
    # Which of its partitions runs first is not for us to say.
    assert any(f"entries {i * CLUSTER}-{(i + 1) * CLUSTER}" in message for i in case.lost)
    assert message.endswith("To leave out what cannot be read, compute with on_error='skip'.")
    assert message.count("on_error") == 1


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_between_opening_and_computing_it_is_left_out(
    case: Case, copies: Copies, whole: list[Path]
) -> None:
    case.damage(copies)
    result = run(copies.events, "skip", partition_size=CLUSTER)
    problems = result.report.problems
    assert [(one.dataset, one.file) for one in problems] == [("DY", str(copies.bad))] * len(
        case.lost
    )
    entries = [(problem.start, problem.stop) for problem in problems]
    assert entries == [(i * CLUSTER, (i + 1) * CLUSTER) for i in case.lost]
    assert re.search(case.message.format(path=re.escape(str(copies.bad))), problems[0].error)
    assert "on_error" not in problems[0].error
    check_lost(result, whole, {BAD: [number for number in range(3) if number not in case.lost]})


def check_lost(result: la.Result, whole: list[Path], kept: Mapping[int, list[int]]) -> None:
    """A result is of these events and no others; clusters of damaged files are given by number."""
    expected = []
    for position, path in enumerate(whole):
        with uproot.open(path) as file:
            number = file["Events"]["event"].array(library="np")
            muons = file["Events"]["nMuon"].array(library="np")
            weight = file["Events"]["genWeight"].array(library="np")
        clusters = kept.get(position, range(3))
        chosen = np.isin(np.arange(EVENTS) // CLUSTER, list(clusters))
        expected.append((number[chosen], muons[chosen], weight[chosen]))
    number, muons, weight = (np.concatenate(parts) for parts in zip(*expected, strict=True))
    assert result["table"].to_awkward("DY").event.to_list() == number[muons == 2].tolist()
    assert result["sumw"]["DY"]["nominal"] == pytest.approx(weight.sum(dtype=float))
    report = result.report
    assert report.events_read == len(number)
    assert report.events_lost == FILES * EVENTS - len(number)
    assert report.complete == (report.events_lost == 0)
    assert repr(result).startswith("Result: 4 outputs, INCOMPLETE") == (not report.complete)


def test_the_normalisation_is_that_of_the_events_processed(
    copies: Copies, whole: list[Path], good: la.Events
) -> None:
    expected_events = 1234.5
    copies.bad.unlink()
    found, expected, complete = run(copies.events, "skip"), run(good), run(opened(whole))
    assert same(found, expected)

    def normalised(result: la.Result, sumw: float) -> float:
        fraction = result["muons"].sum(flow=True).value / sumw
        return float(expected_events * fraction)

    sums = [result["sumw"]["DY"]["nominal"] for result in (found, expected, complete)]
    assert normalised(found, sums[0]) == pytest.approx(normalised(expected, sums[1]))
    # The efficiency of the cut does not hang on how many events were read, to statistics: what
    # the sum of all files would give is a third too low.
    assert normalised(found, sums[0]) == pytest.approx(normalised(complete, sums[2]), rel=0.2)
    assert normalised(found, sums[2]) < 0.8 * normalised(found, sums[0])
    assert found["cutflow"].counts.max() == EVENTS * (FILES - 1) == found.report.events_read


def test_bytes_are_those_of_the_events_processed(copies: Copies, good: la.Events) -> None:
    copies.bad.unlink()
    read, expected = (run(events, "skip").report.datasets["DY"] for events in (copies.events, good))
    assert (read.events_read, read.bytes_read) == (expected.events_read, expected.bytes_read)


def test_of_a_task_with_several_files_only_the_bad_one_is_lost(
    copies: Copies, whole: list[Path]
) -> None:
    damage_basket(copies)
    assert la.explain(outputs(copies.events)).groups[0].partitions == 1
    result = run(copies.events, "skip")
    (problem,) = result.report.problems
    assert (problem.file, problem.start, problem.stop) == (str(copies.bad), 0, EVENTS)
    check_lost(result, whole, {BAD: []})
    assert result.report.datasets["DY"].partitions == 1


def test_nothing_left_is_an_empty_result(copies: Copies, whole: list[Path]) -> None:
    for path in copies.paths:
        path.unlink()
    fine = inspect({"good": str(whole[0])})
    both = Catalog(
        Fileset((*copies.catalog.fileset.datasets, *fine.fileset.datasets)),
        {**copies.catalog.files, **fine.files},
        {**copies.catalog.layouts, **fine.layouts},
    )
    result = run(la.open(both), "skip")
    assert [problem.file for problem in result.report.problems] == list(map(str, copies.paths))
    assert result.report.datasets["DY"].partitions == 0
    assert result.report.datasets["DY"].events_read == 0
    assert result["sumw"]["DY"]["nominal"] == 0
    assert len(result["table"].to_awkward("DY")) == 0
    assert result["sumw"]["good"]["nominal"] > 0
    nothing = run(copies.events, "skip")
    assert nothing["muons"].sum(flow=True).value == 0
    assert nothing.report.events_read == 0
    assert nothing.report.events_lost == FILES * EVENTS


@pytest.mark.integration
@pytest.mark.parametrize("executor", ["threads", "processes", "distributed"])
def test_everywhere_the_same(executor: str, copies: Copies) -> None:
    cut(copies)
    copies.paths[2].unlink()
    how = {"on_error": "skip", "partition_size": CLUSTER}
    here = la.compute(outputs(copies.events), executor="sync", **how)
    there = la.compute(outputs(copies.events), executor=executor, workers=2, **how)
    assert same(here, there)
    assert there.report.problems == here.report.problems
    assert len(here.report.problems) == 5


@pytest.mark.integration
def test_the_error_comes_back_from_other_processes(copies: Copies) -> None:
    cut(copies)
    with pytest.raises(FileError, match=r"ends at byte .* on_error='skip'"):
        la.compute(outputs(copies.events), executor="processes", workers=1)


def test_a_partition_that_fails_leaves_no_columns(copies: Copies, tmp_path: Path) -> None:
    scramble(copies.bad, copies.baskets("event"))
    events, folder = copies.events, tmp_path / "columns"
    met = events.vary("shift", {"MET.pt": {"up": events.MET.pt * 2, "down": events.MET.pt / 2}})
    table = met.columns(str(folder), {"event": met.event, "met": met.MET.pt})
    result = la.compute(table, executor="sync", on_error="skip", partition_size=CLUSTER)
    assert len(list(folder.rglob("*.parquet"))) == 3 * (FILES * 3 - 1)
    expected = [number for number in range(1, 901) if not 401 <= number <= 500]
    assert result.value.to_awkward("DY").event.to_list() == expected
    assert la.open_columns(folder).to_awkward("DY", "shiftUp").event.to_list() == expected
    assert not result.report.complete


def test_columns_written_before_the_failure_do_not_count(copies: Copies, tmp_path: Path) -> None:
    # The nominal part is written when the varied one asks for a branch that cannot be read.
    damage_first_key(copies, "Muon_dxy")
    events, folder = copies.events, tmp_path / "columns"
    dxy = at_run_time(events, lambda muons: ak.sum(muons.dxy, axis=1))
    varied = events.vary("shift", {"MET.pt": {"up": dxy, "down": dxy}})
    table = varied.columns(str(folder), {"event": varied.event, "met": varied.MET.pt})
    result = la.compute(table, executor="sync", on_error="skip", partition_size=EVENTS)
    assert [problem.start for problem in result.report.problems] == [0]
    kept = [number for number in range(1, 901) if not 301 <= number <= 600]
    for variation in ("nominal", "shiftUp", "shiftDown"):
        assert result.value.to_awkward("DY", variation).event.to_list() == kept
    assert len(list(folder.rglob("*.parquet"))) == 3 * (FILES - 1)


# -- what is not used -----------------------------------------------------------------------


def test_a_branch_that_is_not_used_may_be_damaged(copies: Copies, whole: list[Path]) -> None:
    for number, seek in enumerate(copies.baskets("Jet_pt").seeks.tolist()):
        scramble(copies.bad, copies.baskets("Jet_pt"), number)
        overwrite(copies.bad, seek, bytes(18))
    result = run(copies.events)
    assert same(result, run(opened(whole)))
    assert result.report.complete


# -- while the program runs -----------------------------------------------------------------------


def at_run_time(events: la.Events, function: Callable[[Any], Any]) -> Any:
    """What a function of the user makes of the muons; of which fields, nobody knows before."""

    def step(muons: Any) -> Any:
        if ak.backend(muons) == "typetracer":
            return ak.sum(muons.pt, axis=1)
        return function(muons)

    return dak.map_partitions(step, events.Muon, label="users-own")


def damage_first_key(copies: Copies, branch: str) -> None:
    overwrite(copies.bad, int(copies.baskets(branch).seeks[0]), bytes(18))


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_branches_read_in_the_middle_of_the_program(
    on_error: Any, copies: Copies, good: la.Events
) -> None:
    damage_first_key(copies, "Muon_dxy")

    def compute(events: la.Events, how: Any = "raise") -> la.Result:
        dxy = at_run_time(events, lambda muons: ak.sum(muons.dxy, axis=1))
        return la.compute(events.sum(dxy), executor="sync", on_error=how)

    if on_error == "raise":
        with pytest.raises(FileError, match=r"'Muon_dxy', entries 0-300 of .*on_error='skip'\.$"):
            compute(copies.events)
        return
    result = compute(copies.events, "skip")
    assert result.value["DY"] == pytest.approx(compute(good).value["DY"])
    assert result.report.events_lost == EVENTS
    assert result.report.problems[0].file == str(copies.bad)


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("kind", [OSError, FileError])
def test_errors_of_the_program_are_never_left_out(
    kind: type[Exception], on_error: Any, good: la.Events
) -> None:
    def fail(_: Any) -> Any:
        raise kind("no such correction")

    asked = good.sum(at_run_time(good, fail))
    with pytest.raises((RunError, FileError), match="no such correction") as caught:
        la.compute(asked, executor="sync", on_error=on_error)
    assert "on_error" not in str(caught.value)


def test_a_missing_branch_is_named_before_anything_runs(good: la.Events) -> None:
    with pytest.raises(ColumnError, match=r"Muon has no .*'ptt'.*Did you mean 'pt'"):
        good.Muon.ptt  # noqa: B018  (asking raises)
