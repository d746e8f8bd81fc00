"""Executors of one machine: sync, threads, processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, TypeVar

from dask.callbacks import Callback
from dask.local import get_sync
from dask.multiprocessing import get as get_processes
from dask.system import CPU_COUNT
from dask.threaded import get as get_threads

from lazyana.engine.job import Job, Partial, Shipped, arrived, run_away
from lazyana.engine.progress import Watcher
from lazyana.errors import RunError
from lazyana.options import ReadOptions
from lazyana.plan.program import Program

Item = TypeVar("Item")
Found = TypeVar("Found")

_ENDED = (
    "A worker process ended before its work did. Most often it ran out of memory: use a smaller "
    "partition_size or fewer workers. A script that uses processes must start them below "
    "`if __name__ == '__main__':`."
)


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
        RunError
            A worker process that ended before its work did.
        KeyboardInterrupt
            When the user stops it. Threads finish the partitions they are at, processes end at
            once; nothing goes on behind.
        """
        # Handed over instead of registered: what is registered is for every computation of this
        # process, and jobs may run side by side. The user's own stay in use.
        callbacks = [*Callback.active, _Report(job, watcher)._callback]
        result: Partial
        if self.kind == "sync":
            result = get_sync(job.graph(), job.key, callbacks=callbacks)
        elif self.kind == "threads":
            with _threads(self._workers) as threads:
                result = get_threads(job.graph(), job.key, pool=threads, callbacks=callbacks)
        else:
            result = self._run_processes(job, callbacks)
        return result

    def each(
        self,
        function: Callable[[Item], Found],
        items: Sequence[Item],
        arrived: Callable[[int, Found], None],
    ) -> None:
        """Call a function for each of some items, side by side.

        Parameters
        ----------
        function
            What to call; for processes it must be picklable.
        items
            What to call it with.
        arrived
            Called in this thread with the position of an item and what the function returned, as
            soon as that is there.

        Raises
        ------
        RunError
            A worker process that ended before its work did.
        Exception
            The first one that the function raises; what has not been started then is not.
        """
        if self.kind == "sync":
            for position, item in enumerate(items):
                arrived(position, function(item))
            return
        workers = min(self._workers, max(len(items), 1))
        pools: AbstractContextManager[Executor]
        pools = _threads(workers) if self.kind == "threads" else _processes(workers, {})
        try:
            with pools as pool:
                futures = {pool.submit(function, item): n for n, item in enumerate(items)}
                for future in as_completed(futures):
                    arrived(futures[future], future.result())
        except BrokenProcessPool as error:
            raise RunError(_ENDED) from error

    @property
    def _workers(self) -> int:
        return self.workers or CPU_COUNT

    def _run_processes(self, job: Job, callbacks: list[Any]) -> Partial:
        # Programs go to each process once, when it starts; the graph only names them.
        graph = job.graph(run_away)
        shipped = {key: node for key, node in graph.items() if isinstance(node, Shipped)}
        payloads = {node.digest: node.payload for node in shipped.values()}
        graph.update({key: Known(node.digest) for key, node in shipped.items()})
        try:
            with _processes(self._workers, payloads) as pool:
                result: Partial = get_processes(
                    graph,
                    job.key,
                    pool=pool,
                    chunksize=1,
                    callbacks=callbacks,
                    optimize_graph=False,  # a fused task is no longer known by its key
                )
        except BrokenProcessPool as error:
            raise RunError(_ENDED) from error
        return result


class _Report(Callback):
    """Tells the watcher of partitions that are done."""

    def __init__(self, job: Job, watcher: Watcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sizes = {key: partition.entries for key, _, partition in job.tasks()}
        self._watcher = watcher

    def _posttask(self, key: Any, *_: Any) -> None:
        if key in self._sizes:
            self._watcher.done(self._sizes[key])


@contextlib.contextmanager
def _threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="lazyana")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _processes(workers: int, payloads: Mapping[str, bytes]) -> Iterator[ProcessPoolExecutor]:
    context = _Context()
    with tempfile.TemporaryDirectory(prefix="lazyana-") as folder:
        # What is sent to a process that is dead already, and fits into no pipe, is sent for ever.
        file = Path(folder) / "programs"
        file.write_bytes(pickle.dumps(dict(payloads)))
        pool = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_receive, initargs=(file,)
        )
        try:
            yield pool
            pool.shutdown()
        except BaseException:
            # What they do is of no use any more.
            context.stop()
            # The pool would wait for the rest of a result that its process did not live to send.
            pool._result_queue._writer.close()  # type: ignore[attr-defined]
            pool.shutdown(cancel_futures=True)
            raise


class _Context(SpawnContext):
    """Starts worker processes, and knows all of them."""

    def __init__(self) -> None:
        super().__init__()
        self._started: list[_Worker] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802  (multiprocessing's name)
        """A worker process, yet to be started."""
        worker = _Worker(*args, **kwargs)
        self._started.append(worker)
        return worker

    def stop(self) -> None:
        """End all at once, those too that an interrupt kept from being handed to the pool."""
        running = [worker for worker in self._started if worker.ident is not None]
        for worker in running:
            worker.terminate()
        for worker in running:
            worker.join()


class _Worker(SpawnProcess):
    """A process that Ctrl-C does not reach: the one that started it decides."""

    def start(self) -> None:
        with interrupts_held():
            super().start()


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back for a moment; processes and threads started meanwhile never hear it.

    A terminal sends it to every process. Workers that heard it too would each die with a traceback
    of its own, instead of being stopped by the one that started them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started on demand otherwise, and then Python lets interrupts through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Known:
    """A program that every worker process has received when it started: travels as a name."""

    def __init__(self, digest: str) -> None:
        self.digest = digest

    @property
    def program(self) -> Program:
        """The program."""
        return _received[self.digest].program

    @property
    def reading(self) -> ReadOptions:
        """How its files are read."""
        return _received[self.digest].reading


_received: dict[str, Shipped] = {}


def _receive(file: Path) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    payloads: Mapping[str, bytes] = pickle.loads(file.read_bytes())
    for digest, payload in payloads.items():
        _received[digest] = arrived(digest, payload)


def _end_with_parent() -> None:
    """A killed parent stops nothing itself, and the pool's queue would wait for it for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
