"""Which executor runs a job."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from lazyana.engine.job import Job, Partial
from lazyana.engine.local import Found, Item, Local
from lazyana.engine.progress import Watcher
from lazyana.errors import ExecutorError, did_you_mean

LOCAL = ("sync", "threads", "processes")
NAMES = (*LOCAL, "distributed")


class Executor(Protocol):
    """Runs jobs."""

    @property
    def description(self) -> str:
        """What it is, for the run report."""
        ...

    def run(self, job: Job, watcher: Watcher) -> Partial:
        """Run a job to its end, telling the watcher of every partition."""
        ...

    def each(
        self,
        function: Callable[[Item], Found],
        items: Sequence[Item],
        arrived: Callable[[int, Found], None],
    ) -> None:
        """Call a function for each of some items, telling positions and results as they come."""
        ...


def find_executor(
    executor: Any = None,
    *,
    workers: int | None = None,
    performance_report: str | Path | None = None,
) -> Executor:
    """The executor that a user means.

    Parameters
    ----------
    executor
        ``"sync"``, ``"threads"``, ``"processes"``, ``"distributed"`` (a cluster on this machine),
        a `distributed.Client`, the address of a scheduler such as ``"tcp://host:8786"``, or None:
        the client that is active in this process, else threads.
    workers
        Number of threads or processes (default: one a core).
    performance_report
        File for dask's performance report; needs an executor of dask.distributed.

    Raises
    ------
    ExecutorError
        No such executor, or options that it does not have.
    """
    report = _check_report(performance_report)
    _check_workers(workers)
    if executor is None:
        executor = _active_client() or ("threads" if report is None else "distributed")
    if isinstance(executor, str) and executor in LOCAL:
        return _local(executor, workers, report)
    if isinstance(executor, str) and executor != "distributed" and "://" not in executor:
        msg = (
            f"There is no executor {executor!r}.{did_you_mean(executor, NAMES)} Choose one of "
            f"{', '.join(NAMES)}, the address of a scheduler (tcp://host:8786), or a Client."
        )
        raise ExecutorError(msg)
    from lazyana.engine.cluster import Distributed, is_client

    if isinstance(executor, str) or is_client(executor):
        return Distributed(None if executor == "distributed" else executor, workers, report)
    msg = (
        f"{executor!r} is no executor: choose one of {', '.join(NAMES)}, the address of a "
        "scheduler, or a distributed.Client."
    )
    raise ExecutorError(msg)


def _local(kind: str, workers: int | None, report: str | None) -> Local:
    if report is not None:
        msg = (
            f"A performance report is made by dask.distributed, not by {kind!r}: "
            "use executor='distributed', a client or the address of a scheduler."
        )
        raise ExecutorError(msg)
    if kind == "sync" and workers not in (None, 1):
        msg = f"executor='sync' runs in one thread: use 'threads' for {workers} workers."
        raise ExecutorError(msg)
    return Local(kind, workers)


def _check_workers(workers: Any) -> None:
    if workers is None:
        return
    if isinstance(workers, bool) or not isinstance(workers, int):
        msg = f"workers must be a whole number, not {workers!r}."
        raise ExecutorError(msg)
    if workers < 1:
        msg = f"workers must be at least 1, not {workers}."
        raise ExecutorError(msg)


def _check_report(path: Any) -> str | None:
    if path is None:
        return None
    if not isinstance(path, str | Path):
        msg = f"performance_report must be the path of a file, not {path!r}."
        raise ExecutorError(msg)
    if Path(path).is_dir():
        msg = f"performance_report={str(path)!r} is a folder: name the file, e.g. report.html."
        raise ExecutorError(msg)
    return str(path)


def _active_client() -> Any:
    """The client that is active in this process, if dask.distributed is used at all."""
    module = sys.modules.get("distributed")
    if module is None:
        return None
    try:
        return module.get_client()
    except ValueError:
        return None
