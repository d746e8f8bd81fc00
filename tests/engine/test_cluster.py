from __future__ import annotations

import importlib.metadata
import logging
import os
import socket
import sys
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import numpy as np
import pytest
import uproot
from distributed import Client, LocalCluster
from distributed.comm.core import CommClosedError
from packaging.requirements import Requirement

from lazyana.engine.cluster import Distributed, _QuietEnd, is_client
from lazyana.engine.executors import find_executor
from lazyana.engine.job import Job
from lazyana.engine.progress import Silent
from lazyana.errors import ExecutorError, FileError, RunError
from lazyana.plan.program import Booking

pytestmark = pytest.mark.integration

Freeze = Callable[[Any], Any]


@pytest.fixture(scope="module", autouse=True)
def by_value() -> Iterator[None]:
    """Workers cannot import this module; what is defined in it travels whole."""
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes, as a cluster somebody else started."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
    ):
        yield cluster


@pytest.fixture(scope="module")
def client(cluster: LocalCluster) -> Iterator[Client]:
    """A client that is not the default one."""
    with Client(cluster, set_as_default=False) as client:
        yield client


def memory_counts(dask_scheduler: Any) -> dict[str, int]:
    """How often a task of each name was computed."""
    prefixes = dask_scheduler.task_prefixes.values()
    return {prefix.name: prefix.state_counts["memory"] for prefix in prefixes}


def tasks_left(dask_scheduler: Any) -> list[str]:
    return [str(key) for key in dask_scheduler.tasks]


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


# -- results --------------------------------------------------------------------------------------


def test_a_client_gives_the_same_and_runs_one_task_a_partition(
    client: Client, job: Job, frozen: Freeze, expected: Any
) -> None:
    job = replace(job, name="counted", token="a1")
    watcher = Silent()
    assert frozen(Distributed(client).run(job, watcher)) == expected
    assert (watcher.partitions, watcher.events) == (job.partitions, job.events)
    counts = client.run_on_scheduler(memory_counts)
    graph = Counter(key[0].split("-")[0] for key in job.graph())
    ours = {name: number for name, number in counts.items() if name.startswith("counted/")}
    assert ours == graph
    assert ours["counted/partition"] == job.partitions
    assert eventually(lambda: client.run_on_scheduler(tasks_left) == [])


def test_the_plain_graph_runs_on_a_client(
    client: Client, job: Job, frozen: Freeze, expected: Any
) -> None:
    job = replace(job, token="a2")
    assert frozen(client.get(job.graph(), job.key)) == expected


def test_the_address_of_a_scheduler(
    cluster: LocalCluster, job: Job, frozen: Freeze, expected: Any
) -> None:
    executor = find_executor(cluster.scheduler_address)
    watcher = Silent()
    assert frozen(executor.run(replace(job, token="a3"), watcher)) == expected
    assert watcher.partitions == job.partitions
    assert executor.description == f"distributed, {cluster.scheduler_address}"


def test_a_cluster_made_for_the_job(
    job: Job, frozen: Freeze, expected: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = tmp_path / "new" / "report.html"
    watcher = Silent()
    executor = Distributed(workers=1, performance_report=str(report))
    assert frozen(executor.run(job, watcher)) == expected
    assert watcher.partitions == job.partitions
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("dask dashboard: http://127.0.0.1:")
    assert err.count("\n") == 1
    html = report.read_text()
    assert "<html" in html
    assert "zmumu/partition" in html


def test_a_report_of_a_client_that_is_not_the_default(
    client: Client, job: Job, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    Distributed(client, None, str(report)).run(replace(job, name="reported", token="a4"), Silent())
    assert "reported/partition" in report.read_text()


def test_jobs_of_one_name_are_not_taken_for_each_other(
    client: Client, job_of: Callable[..., Job]
) -> None:
    one = job_of(abs)
    other = job_of(lambda pt: -abs(pt))
    assert one.name == other.name
    held = client.get(one.graph(), one.key, sync=False)
    negative = Distributed(client).run(other, Silent())
    ((_, first),) = held.result().states.items()
    ((_, second),) = negative.states.items()
    assert first == -second != 0


def test_jobs_side_by_side_are_counted_apart(client: Client, job_of: Callable[..., Job]) -> None:
    jobs = [job_of(abs, size) for size in (60, 100)]
    watchers = [Silent() for _ in jobs]
    threads = [
        threading.Thread(target=Distributed(client).run, args=args)
        for args in zip(jobs, watchers, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [watcher.partitions for watcher in watchers] == [job.partitions for job in jobs]


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


def test_each_worker_unpickles_a_program_once_and_the_scheduler_never(
    client: Client, job_of: Callable[..., Job], tmp_path: Path
) -> None:
    diary = tmp_path / "diary"
    job = job_of(abs, 30)
    (work,) = job.works
    bookings = (*work.program.bookings, Booking("seen", Witness(diary), {}))
    work = replace(work, program=work.program.replace(bookings=bookings))
    Distributed(client).run(replace(job, works=(work,)), Silent())
    times = Counter(diary.read_text().split())
    workers = {str(pid) for pid in client.run(os.getpid).values()}
    assert set(times) <= workers
    assert set(times.values()) == {1}


# -- what goes wrong ------------------------------------------------------------------------------


class LockError(ValueError):
    """An exception that cannot be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


@pytest.mark.parametrize("kind", [ValueError, LockError])
def test_a_failure_arrives_and_the_rest_is_cancelled(
    client: Client, job_of: Callable[..., Job], kind: type[Exception]
) -> None:
    def fail(pt: Any) -> Any:
        raise kind("no such luck")

    job = job_of(fail, 20)
    watcher = Silent()
    with pytest.raises(RunError, match=r"^Step 'users-own' failed in entries .*no such luck$"):
        Distributed(client).run(job, watcher)
    assert watcher.partitions == 0
    assert eventually(lambda: client.run_on_scheduler(tasks_left) == [])


def test_a_missing_file_arrives_as_such(client: Client, job: Job) -> None:
    work = job.works[0]
    (span,) = work.partitions[1].spans
    gone = replace(work.partitions[1], spans=(replace(span, urls=("/nowhere/gone.root",)),))
    broken = replace(work, partitions=(work.partitions[0], gone))
    with pytest.raises(FileError, match=r"/nowhere/gone\.root"):
        Distributed(client).run(replace(job, works=(broken,), token="b1"), Silent())


@dataclass(frozen=True)
class DieOnce:
    """Ends its process, the first time it runs."""

    folder: Path

    def __call__(self, pt: Any) -> Any:
        if len(list(self.folder.iterdir())) < 2:
            (self.folder / f"{time.monotonic_ns()}").touch()
            if len(list(self.folder.iterdir())) == 2:
                os._exit(1)
        return pt


def test_what_is_run_again_counts_once(
    client: Client, job_of: Callable[..., Job], tmp_path: Path, frozen: Freeze
) -> None:
    expected = frozen(Distributed(client).run(job_of(lambda pt: pt), Silent()))
    job, watcher = job_of(DieOnce(tmp_path)), Silent()
    partial = Distributed(client).run(job, watcher)
    assert len(list(tmp_path.iterdir())) == 2
    assert frozen(partial) == expected
    assert (watcher.partitions, watcher.events) == (job.partitions, job.events)


def test_workers_that_keep_dying_are_an_error(client: Client, job_of: Callable[..., Job]) -> None:
    def die(pt: Any) -> Any:
        os._exit(1)

    pattern = r"2 workers died while they ran .*user/partition.* smaller partition_size"
    with pytest.raises(RunError, match=pattern):
        Distributed(client).run(job_of(die, 600), Silent())


def test_nobody_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    start = time.monotonic()
    with pytest.raises(ExecutorError, match=f"No dask scheduler answers at '{address}'"):
        Distributed(address).run(Job("a", ()), Silent())
    assert time.monotonic() - start < 30  # it must end; how long it waits is no benchmark


def test_an_unknown_kind_of_address() -> None:
    with pytest.raises(ExecutorError, match="No dask scheduler answers at 'http://a:1'"):
        Distributed("http://a:1").run(Job("a", ()), Silent())


def test_clients_that_cannot_be_used(cluster: LocalCluster) -> None:
    with Client(cluster, set_as_default=False) as closed:
        assert is_client(closed)
    with pytest.raises(ExecutorError, match="closed: connect a new client"):
        Distributed(closed)


def test_how_many_workers_a_cluster_has_is_not_ours_to_say(client: Client) -> None:
    with pytest.raises(ExecutorError, match="workers=2 is for executors made here"):
        Distributed(client, 2)
    with pytest.raises(ExecutorError, match="tcp://host:8786 has"):
        Distributed("tcp://host:8786", 2)


def test_workers_whose_talk_breaks_off_do_not_log_it_but_all_else() -> None:
    logger, handler = logging.getLogger("distributed"), logging.NullHandler()
    kept = [(one, list(one.filters)) for one in logger.handlers]
    logger.addHandler(handler)
    try:
        _QuietEnd().setup(None)
    finally:
        logger.removeHandler(handler)
        for one, filters in kept:
            one.filters[:] = filters

    def is_logged(message: str, error: Exception | None = None) -> bool:
        info = None if error is None else (type(error), error, None)
        return bool(handler.filter(logging.makeLogRecord({"msg": message, "exc_info": info})))

    assert is_logged("failed during get data", ValueError("of a user"))
    assert is_logged("Worker is at 95% memory usage")
    assert not is_logged("failed during get data", CommClosedError("in <TCP (closed)>"))
    assert not is_logged("Unexpected exception during heartbeat. Closing worker.")
    assert not is_logged("Async instruction for <Task cancelled> ended with CancelledError")


# -- files in workers -----------------------------------------------------------------------------


def test_files_open_in_workers_as_fast_as_elsewhere(client: Client, tmp_path: Path) -> None:
    # uproot 5.7.6 and 5.7.7 copy the header of the tree for each name in it; with the settings
    # of memory allocation that the nanny of a worker makes, that takes 4 to 40 times as long. The
    # header of 24 MB of a big file is made of few branches with very long names here. What is
    # compared is the best of several times on the processor: 0.9 to 1.1 of each other with a good
    # uproot, 3 to 5 with a bad one, whatever else the machine is doing.
    assert all(worker["nanny"] for worker in client.scheduler_info()["workers"].values())
    file = tmp_path / "header.root"
    with uproot.recreate(file) as writing:
        writing.mktree("Events", {f"b{i}_{'x' * 20_000}": np.float32 for i in range(300)})

    # Inside this function, so that it travels with its code: workers cannot import this module.
    def seconds_to_open(path: str) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            with uproot.open(path, object_cache=None, array_cache=None) as opened:
                opened["Events"].keys()
            times.append(time.process_time() - start)
        return min(times)

    here = seconds_to_open(str(file))
    there = client.submit(seconds_to_open, str(file)).result()
    assert there / here < 2


def test_an_uproot_that_is_slow_in_workers_is_not_accepted() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    wanted = map(Requirement, project["dependencies"])
    (uproots,) = [item.specifier for item in wanted if item.name == "uproot"]
    assert "5.7.5" in uproots
    assert "5.7.6" not in uproots
    assert "5.7.7" not in uproots
    assert importlib.metadata.version("uproot") in uproots
