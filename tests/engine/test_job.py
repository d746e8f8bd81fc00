from __future__ import annotations

import copy
import itertools
import pickle
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import awkward as ak
import cloudpickle
import dask
import dask.multiprocessing
import dask.threaded
import hist
import numpy as np
import pytest
from dask._task_spec import convert_legacy_graph
from dask.utils import key_split
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import lazyana as la
from lazyana.data.partitions import Partition
from lazyana.engine.job import Job, Partial, Shipped, Work, merge, run_away, run_partition
from lazyana.engine.local import Local
from lazyana.engine.progress import Silent
from lazyana.engine.result import Problem
from lazyana.errors import FileError, RunError
from lazyana.frame.compute import make_plan
from lazyana.options import ReadOptions, RunOptions
from lazyana.plan.program import Booking, Program
from lazyana.reader.spans import Span

Freeze = Callable[[Any], Any]


# -- a job without files: what each partition gives is its number ---------------------------------


@dataclass(frozen=True)
class Numbers:
    """A sink that remembers the order of merging."""

    kind = "numbers"

    def merge(self, states: Any) -> Any:
        return list(itertools.chain(*states))


def partitions(number: int, first: int = 0) -> tuple[Partition, ...]:
    url = "root://eospublic.cern.ch//eos/opendata/cms/mc/Run2016/DYJetsToLL_M-50/NANOAOD/1.root"
    uuid = "13d2c5c6-6f0e-11ef-a0f7-0242ac110002"
    return tuple(
        Partition(
            i, "DY", 0, (Span((url,), "Events", "TTree", uuid, i * 1000, i * 1000 + 1000, "s"),)
        )
        for i in range(first, first + number)
    )


def numbers_job(*sizes: int, fan_in: int = 8) -> Job:
    works = []
    for number, size in enumerate(sizes):
        program = Program("DY", (), (Booking(f"{number}", Numbers(), {}),))
        works.append(Work(program, partitions(size, sum(sizes[:number]))))
    return Job("numbers", tuple(works), fan_in)


def its_number(shipped: Any, partition: Partition) -> Partial:
    output, number = shipped.program.bookings[0].output, partition.number
    problems = (Problem("DY", f"{number}.root", 0, 1, "gone"),) if number % 3 == 0 else ()
    states = {(output, "DY", "nominal"): [number]}
    return Partial(states, {"DY": (1, 1)}, {"seen": 1}, problems)


# -- the graph ------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 200), min_size=1, max_size=3), st.integers(2, 9))
def test_the_size_is_that_of_the_graph(sizes: list[int], fan_in: int) -> None:
    job = numbers_job(*sizes, fan_in=fan_in)
    assert job.size == len(job.graph())


def test_the_graph_is_plain_and_any_get_of_dask_runs_it(
    job: Job, frozen: Freeze, expected: Any
) -> None:
    graph = job.graph()
    assert type(graph) is dict
    assert {type(key) for key in graph} == {tuple}
    assert {type(node) for node in graph.values()} == {tuple, Shipped}
    assert frozen(dask.threaded.get(graph, job.key)) == expected
    processes = dask.multiprocessing.get(graph, job.key, num_workers=1)
    assert frozen(processes) == expected


def merges(leaves: int, fan_in: int) -> int:
    """Merge tasks of a tree in which what is left over alone moves up as it is."""
    total = 0
    while leaves > 1:
        full, rest = divmod(leaves, fan_in)
        total += full + (rest > 1)
        leaves = full + (rest > 0)
    return total


def count(graph: dict[Any, Any]) -> Counter[str]:
    return Counter(key_split(key).partition("/")[2] for key in graph)


@pytest.mark.parametrize("fan_in", [2, 3, 8])
@pytest.mark.parametrize("size", [50, 90, 1000])
def test_one_task_a_partition_and_the_merge_tree(outputs: Any, size: int, fan_in: int) -> None:
    job = make_plan(outputs, name="zmumu", options=RunOptions(size, fan_in)).job
    expected = {
        "program": len(job.works),
        "partition": job.partitions,
        "merge": sum(merges(len(work.partitions), fan_in) for work in job.works),
        "result": 1,
    }
    assert count(job.graph()) == {name: number for name, number in expected.items() if number}


def test_sinks_variations_categories_and_frames_add_no_tasks(toy_files: dict[str, Any]) -> None:
    events = la.open({"DY": toy_files["DYJetsToLL"]})
    axis = hist.axis.Regular(5, 0, 100, name="pt")
    options = RunOptions(100)
    plain = make_plan(events.hist(axis, pt=events.Jet.pt), options=options).job
    for i in range(10):
        pt = events.Jet.pt
        events = events.vary(f"s{i}", {"Jet.pt": {"up": pt * (1 + i / 10), "down": pt / 2}})
    events = events.weight("gen", events.genWeight, isr=(events.genWeight, events.genWeight))
    cut = events.filter(met=events.MET.pt > 20)
    cut = cut.categories({f"c{i}": (lambda e, i=i: e.MET.pt > i) for i in range(70)})
    many = [
        frame.hist(hist.axis.Regular(5, 0, 100 + i, name="pt"), pt=frame.Jet.pt)
        for frame in (events, cut)
        for i in range(3)
    ]
    rich = make_plan([*many, cut.cutflow(), cut.sum(cut.MET.pt)], options=options).job
    assert len(rich.works[0].program.steps) > 10 * len(plain.works[0].program.steps)
    assert count(rich.graph()) == count(plain.graph())
    assert count(rich.graph())["partition"] == rich.partitions == 6


def test_so_many_tasks_run(job: Job, expected: Any, frozen: Freeze) -> None:
    started: list[Any] = []
    with dask.callbacks.Callback(pretask=lambda key, *_: started.append(key)):
        assert frozen(Local("sync").run(job, Silent())) == expected
    ran = count(dict.fromkeys(started))
    assert len(started) == len(set(started))
    assert ran["partition"] == job.partitions > 10
    assert ran["merge"] == sum(merges(len(work.partitions), job.fan_in) for work in job.works)


def test_a_task_refers_to_the_program(job: Job) -> None:
    graph = job.graph()
    programs = [node for node in graph.values() if isinstance(node, Shipped)]
    assert min(len(pickle.dumps(node)) for node in programs) > 10_000
    for key, task in convert_legacy_graph(graph).items():
        if graph[key] not in programs:
            assert len(cloudpickle.dumps((key, task))) < 1000, key


def test_a_hundred_thousand_partitions(job: Job) -> None:
    program = job.works[0].program
    number = 100_000
    graph = Job("zmumu", (Work(program, partitions(number)),)).graph()
    assert len(graph) == number + merges(number, 8) + 2
    tasks = {key: node for key, node in graph.items() if not isinstance(node, Shipped)}
    assert len(pickle.dumps(tasks)) / number < 200


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("zmumu", "zmumu"),
        ("TTTo2L2Nu_13TeV-powheg", "TTTo2L2Nu_13TeV_powheg"),
        ("DY M-50 (2018)", "DY_M_50_2018_"),
        ("2018", "2018"),
        ("data/2018", "data_2018"),
        ("deadbeef", "deadbeef"),
        ("", "lazyana"),
    ],
)
def test_names_on_the_dashboard(name: str, shown: str) -> None:
    job = replace(numbers_job(9, 2), name=name)
    names = {key_split(key) for key in job.graph()}
    assert names == {f"{shown}/{what}" for what in ("program", "partition", "merge", "result")}


def test_two_jobs_share_no_key(job: Job) -> None:
    again = Job(job.name, job.works, job.fan_in)
    assert not set(job.graph()) & set(again.graph())


def test_task_groups_depend_on_one_program_each(job: Job) -> None:
    # distributed queues the tasks of a group only if the groups it depends on are tiny.
    groups: dict[str, set[Any]] = {}
    for key, task in job.graph().items():
        if key_split(key).endswith("/partition"):
            groups.setdefault(key[0], set()).add(task[1][0])
    assert len(groups) == len(job.works)
    assert all(len(programs) == 1 for programs in groups.values())


# -- merging --------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 120), min_size=1, max_size=3), st.integers(2, 9))
def test_merged_in_the_order_of_the_partitions(sizes: list[int], fan_in: int) -> None:
    job = numbers_job(*sizes, fan_in=fan_in)
    graph = job.graph(its_number)
    partial = dask.get(graph, job.key)
    seen = [partial.states.get((f"{i}", "DY", "nominal"), []) for i in range(len(sizes))]
    assert [len(numbers) for numbers in seen] == sizes
    assert list(itertools.chain(*seen)) == list(range(sum(sizes)))
    assert partial.tally == ({"DY": (sum(sizes), sum(sizes))} if sum(sizes) else {})
    assert partial.notes.get("seen", 0) == sum(sizes)
    lost = [f"{number}.root" for number in range(0, sum(sizes), 3)]
    assert [problem.file for problem in partial.problems] == lost
    for key, task in graph.items():
        if key_split(key) == "numbers/merge":
            assert 2 <= len(task[2]) <= fan_in


def test_merging_leaves_what_it_merges_as_it_is(job: Job, frozen: Freeze) -> None:
    # A cluster may run a merge again, after a worker is lost or on another one.
    work = job.works[0]
    shipped = Shipped(work.program)
    partials = [run_partition(shipped, partition) for partition in work.partitions]
    before = frozen(partials)
    first = frozen(merge(shipped, partials))
    assert frozen(merge(shipped, partials)) == first
    merged = merge(shipped, partials[:4])
    snapshot = frozen(merged)
    merge(shipped, [merged, *partials[4:]])
    assert frozen(merged) == snapshot
    assert frozen(partials) == before


def test_partitioning_changes_nothing_but_rounding(outputs: Any) -> None:
    one = la.compute(outputs, executor="sync")

    @settings(max_examples=8, phases=[Phase.generate])  # an example takes too long to shrink
    @given(size=st.integers(40, 400), fan_in=st.integers(2, 9))
    def same(size: int, fan_in: int) -> None:
        other = la.compute(outputs, executor="sync", partition_size=size, merge_fan_in=fan_in)
        assert sum(part.events_read for part in other.report.datasets.values()) == 792
        np.testing.assert_array_equal(other["cutflow"].counts, one["cutflow"].counts)
        np.testing.assert_allclose(other["cutflow"].sumw, one["cutflow"].sumw, rtol=1e-12)
        for part in ("value", "variance"):
            mine, theirs = (result["jets"].view(flow=True)[part] for result in (other, one))
            np.testing.assert_allclose(mine, theirs, rtol=1e-12)
        for dataset, sums in one["met"].items():
            assert other["met"][dataset] == pytest.approx(sums, rel=1e-12)

    same()


def test_no_partition_is_an_empty_result() -> None:
    job = numbers_job(0, 0)
    assert dask.get(job.graph(its_number), job.key) == Partial()


# -- shipping -------------------------------------------------------------------------------------


class Witness:
    """Part of a program that writes down when it is unpickled."""

    def __init__(self, diary: Path) -> None:
        self.diary = diary

    def __reduce__(self) -> Any:
        return witness, (self.diary,)


def witness(diary: Path) -> Witness:
    with diary.open("a") as file:
        file.write("unpickled\n")
    return Witness(diary)


def test_unpickled_once_and_only_where_it_runs(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    program = Program("DY", (), (Booking("0", Witness(diary), {}),))
    graph = pickle.dumps(Job("a", (Work(program, partitions(3)),)).graph())
    copies = [node for _ in range(4) for node in pickle.loads(graph).values()]
    copies = [node for node in copies if isinstance(node, Shipped)]
    assert not diary.exists()
    start = threading.Barrier(4)

    def use(shipped: Shipped) -> Program:
        start.wait()
        return shipped.program

    with ThreadPoolExecutor(4) as pool:
        programs = list(pool.map(use, copies))
    assert diary.read_text() == "unpickled\n"
    assert all(program is programs[0] for program in programs)
    pickle.dumps(copies[0])
    assert diary.read_text() == "unpickled\n"


def test_pickled_once(job: Job) -> None:
    shipped = Shipped(job.works[0].program)
    assert shipped.payload is shipped.payload
    assert shipped.program is job.works[0].program


# -- what goes wrong ------------------------------------------------------------------------------


class LockError(ValueError):
    """An exception that cannot be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


def fail(kind: type[Exception]) -> Callable[[Any], Any]:
    def function(pt: Any) -> Any:
        raise kind("no such luck")

    return function


def test_a_step_that_fails_is_named(job_of: Callable[..., Job]) -> None:
    job = job_of(fail(ValueError))
    shipped, partition = Shipped(job.works[0].program), job.works[0].partitions[1]
    with pytest.raises(RunError, match="no such luck") as caught:
        run_partition(shipped, partition)
    message = str(caught.value)
    entries = f"entries {partition.start}-{partition.stop}"
    assert message.startswith(f"Step 'users-own' failed in {entries} of ")
    assert partition.file in message
    assert "ValueError" in message
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("kind", [ValueError, LockError])
def test_the_error_travels_whatever_caused_it(
    job_of: Callable[..., Job], kind: type[Exception]
) -> None:
    job = job_of(fail(kind))
    shipped = Shipped(job.works[0].program)
    with pytest.raises(RunError, match="no such luck") as caught:
        run_away(shipped, job.works[0].partitions[0])
    assert (caught.value.__cause__ is None) == (kind is LockError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is RunError
    assert str(again) == str(caught.value)


def test_a_file_that_is_gone(job: Job) -> None:
    partition = job.works[0].partitions[0]
    span = replace(partition.spans[0], urls=("/nowhere/gone.root",))
    gone = replace(partition, spans=(span,))
    with pytest.raises(FileError, match=r"/nowhere/gone\.root"):
        run_partition(Shipped(job.works[0].program), gone)


def test_an_unforeseen_error_of_reading_names_file_and_entries(job: Job) -> None:
    program = job.works[0].program
    assert program.read is not None
    damaged = program.replace(read=replace(program.read, form="{}"))
    with pytest.raises(RunError, match=r"Entries 0-\d+ of .*root cannot be read: "):
        run_partition(Shipped(damaged), job.works[0].partitions[0])


def test_a_program_that_was_not_planned(job: Job) -> None:
    program = job.works[0].program.replace(read=None)
    with pytest.raises(RuntimeError, match="was not planned"):
        run_partition(Shipped(program), job.works[0].partitions[0])


def test_what_was_not_foreseen_is_read_and_noted(job: Job, frozen: Freeze) -> None:
    program = copy.copy(job.works[0].program)
    assert program.read is not None
    shipped, partition = Shipped(program), job.works[0].partitions[0]
    usual = run_partition(shipped, partition)
    assert usual.notes == {}
    fewer = frozenset(key for key in program.read.buffers if "MET_pt" not in key)
    branches = tuple(name for name in program.read.branches if name != "MET_pt")
    lean = program.replace(read=replace(program.read, buffers=fewer, branches=branches))
    # The byte ranges in a task are those of its own plan.
    spans = tuple(replace(span, baskets=b"") for span in partition.spans)
    partial = run_partition(Shipped(lean), replace(partition, spans=spans))
    unforeseen = "branch MET_pt read although the plan did not foresee it"
    assert partial.notes.pop(unforeseen) == 1
    (by_uproot,) = partial.notes
    assert by_uproot.startswith("branches read by uproot, not by the basket index: ")
    assert "MET_pt" not in by_uproot
    assert frozen(partial.states) == frozen(usual.states)


def test_the_tally_counts_events(job: Job, toy_files: dict[str, Any]) -> None:
    partial = Local("sync").run(job, Silent())
    assert set(partial.tally) == set(toy_files)
    assert sum(events for _, events in partial.tally.values()) == job.events
    assert sum(number for number, _ in partial.tally.values()) == job.partitions
    assert ak.sum([work.partitions[0].label for work in job.works]) == 0


# -- what cannot be read and is left out ----------------------------------------------------------


SKIP = ReadOptions(on_error="skip")


def gone(span: Span) -> Span:
    return replace(span, urls=(f"/nowhere/{Path(span.url).name}",))


@pytest.fixture
def together(job: Job) -> Partition:
    """One partition of some entry ranges, one after the other."""
    some = [one for one in job.works[0].partitions if one.dataset == "DYJetsToLL"][:5]
    spans = tuple(span for partition in some for span in partition.spans)
    return replace(some[0], spans=spans)


@pytest.mark.parametrize("lost", [(), (0,), (2,), (4, 1), (0, 1, 2, 3)])
def test_the_spans_that_can_be_read_are(
    lost: tuple[int, ...], job: Job, together: Partition, frozen: Freeze
) -> None:
    program, spans = job.works[0].program, together.spans
    damaged = tuple(gone(span) if i in lost else span for i, span in enumerate(spans))
    partial = run_partition(Shipped(program, SKIP), replace(together, spans=damaged))
    left = replace(together, spans=tuple(s for i, s in enumerate(spans) if i not in lost))
    expected = run_partition(Shipped(program), left)
    assert frozen(replace(partial, problems=())) == frozen(expected)
    assert partial.tally == {"DYJetsToLL": (1, left.entries)}
    assert [(one.file, one.start, one.stop) for one in partial.problems] == [
        (damaged[i].url, damaged[i].start, damaged[i].stop) for i in sorted(lost)
    ]
    assert sum(one.events for one in partial.problems) + left.entries == together.entries


def test_nothing_is_left(job: Job, together: Partition) -> None:
    shipped = Shipped(job.works[0].program, SKIP)
    nothing = run_partition(shipped, replace(together, spans=tuple(map(gone, together.spans))))
    assert (nothing.states, nothing.notes) == ({}, {})
    assert nothing.tally == {"DYJetsToLL": (0, 0)}
    assert [problem.start for problem in nothing.problems] == [s.start for s in together.spans]
    name = "FileNotFoundError: There is no file /nowhere/"
    assert all(problem.error.startswith(name) for problem in nothing.problems)


def test_merged_with_what_was_read(job: Job, together: Partition, frozen: Freeze) -> None:
    shipped = Shipped(job.works[0].program, SKIP)
    some = run_partition(shipped, together)
    nothing = run_partition(shipped, replace(together, spans=tuple(map(gone, together.spans))))
    for order in ([some, nothing], [nothing, some]):
        merged = merge(shipped, order)
        assert frozen(merged.states) == frozen(some.states)
        assert merged.tally == some.tally
        assert merged.problems == nothing.problems


def test_errors_of_the_program_are_not_left_out(job_of: Callable[..., Job]) -> None:
    job = job_of(fail(FileError))
    for reading in (ReadOptions(), SKIP):
        with pytest.raises(FileError, match=r"^no such luck$"):
            run_partition(Shipped(job.works[0].program, reading), job.works[0].partitions[0])
    with pytest.raises(RunError, match="no such luck"):
        run_partition(
            Shipped(job_of(fail(OSError)).works[0].program, SKIP), job.works[0].partitions[0]
        )


def test_a_place_that_fails_is_noted_when_another_works(job: Job) -> None:
    partition = job.works[0].partitions[0]
    span = partition.spans[0]
    urls = ("/nowhere/first.root", span.url)
    there = replace(partition, spans=(replace(span, urls=urls), *partition.spans[1:]))
    partial = run_partition(Shipped(job.works[0].program), there)
    ((note, count),) = partial.notes.items()
    assert note.startswith("/nowhere/first.root: ")
    assert note.endswith(f"read from {span.url} instead")
    assert count == 1
