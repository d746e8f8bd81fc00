"""Executors of one machine: sync, threads, processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import dask
from dask.callbacks import Callback
from dask.local import get_sync
from dask.multiprocessing import get as get_processes
from dask.threaded import get as get_threads

from lazyana.engine.job import Job, Partial, Shipped, _arrived
from lazyana.engine.progress import Watcher
from lazyana.plan.program import Program


@dataclass(frozen=True)
class Local:
    """Runs a job on this machine.

    Attributes
    ----------
    kind
        ``"sync"`` (in this thread), ``"threads"`` or ``"processes"``.
    workers
        How many threads or processes; None for one a core.
    """

    kind: str
    workers: int | None = None

    @property
    def description(self) -> str:
        """Kind and number of workers, for the run report."""
        return self.kind if self.kind == "sync" else f"{self.kind}, {self._workers} workers"

    def run(self, job: Job, watcher: Watcher) -> Partial:
        """Run a job to its end.

        Raises
        ------
        KeyboardInterrupt
            When the user stops it; nothing goes on behind.
        """
        graph = job.graph()
        sizes = {
            (f"{job.name}/partition", partition.number): partition.entries
            for work in job.works
            for partition in work.partitions
        }
        with _Report(sizes, watcher), dask.config.set(scheduler=None):
            return self._get(graph, job.key)

    @property
    def _workers(self) -> int:
        return self.workers or os.cpu_count() or 1

    def _get(self, graph: dict[Any, Any], key: str) -> Partial:
        get: Callable[..., Any]
        if self.kind == "sync":
            result: Partial = get_sync(graph, key)
            return result
        if self.kind == "threads":
            threads = ThreadPoolExecutor(self._workers, thread_name_prefix="lazyana")
            try:
                result = get_threads(graph, key, pool=threads)
            except BaseException:
                threads.shutdown(wait=True, cancel_futures=True)
                raise
            threads.shutdown()
            return result
        return self._get_processes(graph, key)

    def _get_processes(self, graph: dict[Any, Any], key: str) -> Partial:
        # Programs go to each process once, when it starts; the graph only names them.
        shipped = {name: node for name, node in graph.items() if isinstance(node, Shipped)}
        payloads = {node.digest: node.payload for node in shipped.values()}
        light = {**graph, **{name: Known(node.digest) for name, node in shipped.items()}}
        processes = ProcessPoolExecutor(
            self._workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_receive,
            initargs=(payloads,),
        )
        try:
            result: Partial = get_processes(light, key, pool=processes, chunksize=1)
        except BaseException:
            _stop(processes)
            raise
        processes.shutdown()
        return result


class _Report(Callback):  # type: ignore[misc]
    """Tells the watcher of partitions that are done."""

    def __init__(self, sizes: Mapping[Any, int], watcher: Watcher) -> None:
        super().__init__()
        self._sizes = sizes
        self._watcher = watcher

    def _posttask(self, key: Any, *_: Any) -> None:
        if key in self._sizes:
            self._watcher.done(self._sizes[key])


class Known:
    """A program that every worker process has received when it started: travels as a name."""

    def __init__(self, digest: str) -> None:
        self.digest = digest

    @property
    def program(self) -> Program:
        """The program."""
        return _received[self.digest].program


_received: dict[str, Shipped] = {}


def _receive(payloads: Mapping[str, bytes]) -> None:
    for digest, payload in payloads.items():
        _received[digest] = _arrived(digest, payload)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the processes at once: what they do is of no use any more."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
