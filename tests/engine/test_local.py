from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask.callbacks
import pytest

from lazyana.engine.job import Job, Partial
from lazyana.engine.local import Local
from lazyana.engine.progress import Silent
from lazyana.errors import FileError, RunError
from lazyana.plan.program import Booking, Program

Freeze = Callable[[Any], Any]
KINDS = ("sync", "threads", "processes")


def left_behind() -> list[Any]:
    """Processes and threads of ours that still run."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("lazyana")]
    return [*multiprocessing.active_children(), *threads]


@pytest.mark.parametrize(
    ("kind", "workers"),
    [("sync", None), ("threads", 1), ("threads", 2), ("threads", 4), ("processes", 2)],
)
def test_the_same_to_the_last_bit(
    job: Job, kind: str, workers: int | None, frozen: Freeze, expected: Any
) -> None:
    watcher = Silent()
    partial = Local(kind, workers).run(job, watcher)
    assert frozen(partial) == expected
    assert (watcher.partitions, watcher.events) == (job.partitions, job.events)
    assert left_behind() == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_partition_is_told_of_also_one_alone(job_of: Callable[..., Job], kind: str) -> None:
    # Ten and a fan-in of three leave one over; one partition needs no merging.
    for size, partitions in ((60, 10), (600, 2)):
        job = replace(job_of(abs, size), fan_in=3)
        works = tuple(
            replace(work, partitions=work.partitions[: partitions or None]) for work in job.works
        )
        job = replace(job, works=works)
        watcher = Silent()
        Local(kind, 1).run(job, watcher)
        assert watcher.partitions == job.partitions == min(partitions, job.partitions)


def test_description() -> None:
    assert Local("sync").description == "sync"
    assert Local("threads", 3).description == "threads, 3 workers"
    assert Local("processes").description.startswith("processes, ")


# -- programs -------------------------------------------------------------------------------------


class Witness:
    """A sink that writes down where it is unpickled."""

    kind = "witness"

    def __init__(self, diary: Path) -> None:
        self.diary = diary

    def __reduce__(self) -> Any:
        return witness, (self.diary,)


def witness(diary: Path) -> Witness:
    with diary.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return Witness(diary)


def with_witness(job: Job, diary: Path) -> Job:
    """The same job, with a note of every unpickling of a program."""
    works = []
    for work in job.works:
        seen = Booking("seen", Witness(diary), {})
        program: Program = work.program.replace(bookings=(*work.program.bookings, seen))
        works.append(replace(work, program=program))
    return replace(job, works=tuple(works))


@pytest.fixture(scope="module", autouse=True)
def by_value() -> Any:
    """Processes cannot import this module; what is defined in it travels whole."""
    import sys

    import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


def test_each_process_unpickles_a_program_once(job_of: Callable[..., Job], tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    job = with_witness(job_of(abs), diary)
    Local("processes", 2).run(job, Silent())
    times = Counter(diary.read_text().split())
    assert str(os.getpid()) not in times
    assert 1 <= len(times) <= 2
    assert set(times.values()) == {1}


@pytest.mark.parametrize("kind", ["sync", "threads"])
def test_in_this_process_nothing_is_pickled(
    job_of: Callable[..., Job], tmp_path: Path, kind: str
) -> None:
    diary = tmp_path / "diary"
    Local(kind).run(with_witness(job_of(abs), diary), Silent())
    assert not diary.exists()


# -- what goes wrong ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trouble:
    """Notes every partition it sees, and fails from the second one on."""

    folder: Path
    kind: type[Exception]

    def __call__(self, pt: Any) -> Any:
        (self.folder / f"{len(list(self.folder.iterdir()))}-{os.getpid()}").touch()
        if len(list(self.folder.iterdir())) > 1:
            raise self.kind("no such luck")
        return pt


class LockError(ValueError):
    """An exception that cannot be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


@pytest.mark.parametrize("error", [ValueError, LockError])
@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_arrives_and_ends_the_run(
    job_of: Callable[..., Job], tmp_path: Path, kind: str, error: type[Exception]
) -> None:
    job = job_of(Trouble(tmp_path, error), 40)
    pattern = r"^Step 'users-own' failed in entries \d+-\d+ of .*root: \w+Error: no such luck$"
    with pytest.raises(RunError, match=pattern) as caught:
        Local(kind, 2).run(job, Silent())
    assert type(caught.value) is RunError
    assert 2 <= len(list(tmp_path.iterdir())) < job.partitions / 2
    assert left_behind() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_file_arrives_as_such(job: Job, kind: str) -> None:
    work = job.works[0]
    (span,) = work.partitions[1].spans
    gone = replace(work.partitions[1], spans=(replace(span, urls=("/nowhere/gone.root",)),))
    broken = replace(work, partitions=(work.partitions[0], gone))
    with pytest.raises(FileError, match=r"/nowhere/gone\.root") as caught:
        Local(kind, 1).run(replace(job, works=(broken,)), Silent())
    assert type(caught.value) is FileError
    assert left_behind() == []


def die(pt: Any) -> Any:
    os._exit(1)


def test_processes_that_die_at_once_are_not_waited_for(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from lazyana.engine.local import _processes\n"
        "with _processes(1, {'digest': bytes(1_000_000)}) as pool:\n"  # more than fits into a pipe
        "    pool.submit(print).result()\n"
    )
    done = subprocess.run(
        [sys.executable, script], stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert "BrokenProcessPool" in done.stderr.splitlines()[-1]


def test_a_process_that_dies_is_an_error(job_of: Callable[..., Job]) -> None:
    with pytest.raises(RunError, match=r"ended before its work did.* memory"):
        Local("processes", 1).run(job_of(die), Silent())
    assert left_behind() == []


# -- beside others --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sync", "threads"])
def test_callbacks_of_the_user_are_called(job_of: Callable[..., Job], kind: str) -> None:
    job = job_of(abs)
    done: list[Any] = []
    with dask.callbacks.Callback(posttask=lambda key, *_: done.append(key)):
        Local(kind).run(job, Silent())
    assert {key for key, _, _ in job.tasks()} <= set(done)
    assert not dask.callbacks.Callback.active


def test_jobs_side_by_side_are_counted_apart(job_of: Callable[..., Job]) -> None:
    jobs = [job_of(abs, size) for size in (40, 60, 100)]
    watchers = [Silent() for _ in jobs]

    def run(job: Job, watcher: Silent) -> Partial:
        return Local("threads", 2).run(job, watcher)

    with ThreadPoolExecutor(len(jobs)) as pool:
        partials = list(pool.map(run, jobs, watchers))
    assert [watcher.partitions for watcher in watchers] == [job.partitions for job in jobs]
    assert [partial.tally["DYJetsToLL"][1] for partial in partials] == [600, 600, 600]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="lists open files as Linux does")
def test_threads_leave_no_file_open(job: Job) -> None:
    ours = {partition.file for work in job.works for partition in work.partitions}

    def still_open() -> int:
        links = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return sum(str(link) in ours for link in links)

    gc.collect()
    before = still_open()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Local("threads", 4).run(job, Silent())
        gc.collect()
    assert still_open() == before
