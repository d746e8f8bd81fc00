"""Executors of dask.distributed: a cluster made here, a client, or a scheduler's address."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import dask
import distributed
from distributed import (
    CancelledError,
    Client,
    KilledWorker,
    LocalCluster,
    WorkerPlugin,
    as_completed,
    get_worker,
)
from distributed.comm.core import CommClosedError

from lazyana.data.partitions import Partition
from lazyana.engine.job import Job, Partial, Shipped, run_away
from lazyana.engine.local import interrupts_held
from lazyana.engine.progress import Watcher
from lazyana.errors import ExecutorError, RunError

Item = TypeVar("Item")
Found = TypeVar("Found")

_ANSWER = "10s"
_AT_ONCE = 1000


@dataclass(frozen=True)
class Distributed:
    """Runs a job on dask.distributed.

    Attributes
    ----------
    where
        A client; the address of a scheduler; or None for a cluster of processes on this machine,
        made for the job.
    workers
        Number of worker processes of a cluster made for the job; None for one a core.
    performance_report
        File for dask's performance report (HTML); None for none.

    Raises
    ------
    ExecutorError
        A client that cannot be used, or a number of workers for a cluster that is there already.
    """

    where: Client | str | None = None
    workers: int | None = None
    performance_report: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot run a job."""
        if self.where is not None and self.workers is not None:
            msg = (
                f"workers={self.workers} is for executors made here: how many workers "
                f"{self.description.partition(', ')[2]} has is up to the one who started it. "
                "Leave workers out."
            )
            raise ExecutorError(msg)
        if isinstance(self.where, Client):
            _check_client(self.where)

    @property
    def description(self) -> str:
        """Kind, for the run report."""
        if self.where is None:
            return "distributed, local cluster"
        if isinstance(self.where, str):
            return f"distributed, {self.where}"
        return f"distributed, {getattr(self.where.scheduler, 'address', self.where)}"

    def run(self, job: Job, watcher: Watcher) -> Partial:
        """Run a job to its end.

        Raises
        ------
        ExecutorError
            A scheduler that does not answer, a cluster that cannot be started.
        RunError
            Workers that died, a connection that was lost.
        KeyboardInterrupt
            When the user stops it; its tasks are cancelled.
        """
        with (
            self._client() as client,
            client.as_current(),
            _listening(client, job, watcher) as topic,
            self._report(),
        ):
            return _get(client, job.graph(_Announced(topic, job.token)), job.key)

    def each(
        self,
        function: Callable[[Item], Found],
        items: Sequence[Item],
        arrived: Callable[[int, Found], None],
    ) -> None:
        """Call a function for each of some items, one task each.

        Parameters
        ----------
        function
            What to call; it must be picklable.
        items
            What to call it with.
        arrived
            Called in this thread with the position of an item and what the function returned, as
            soon as that is there.

        Raises
        ------
        ExecutorError
            A scheduler that does not answer, a cluster that cannot be started.
        RunError
            Workers that died, a connection that was lost.
        Exception
            The first one that the function raises; the other tasks are cancelled.
        """
        with self._client() as client, self._report():
            name = f"lazyana/{type(function).__name__.lower()}"
            futures = client.map(function, items, pure=False, key=name, batch_size=_AT_ONCE)
            waiting = {future.key: position for position, future in enumerate(futures)}
            results = as_completed(list(futures), loop=client.loop, with_results=True)
            try:
                with _explained():
                    for future, found in results:
                        arrived(waiting.pop(future.key), found)
                        future.release()  # the scheduler need not keep what is here
            finally:
                # Interrupted or failed: the other tasks are of no use any more.
                left = [future for future in futures if future.key in waiting]
                if left:
                    client.cancel(left, force=True)

    def _report(self) -> Any:
        if self.performance_report is None:
            return nullcontext()
        Path(self.performance_report).parent.mkdir(parents=True, exist_ok=True)
        return distributed.performance_report(self.performance_report)

    @contextmanager
    def _client(self) -> Iterator[Client]:
        if isinstance(self.where, Client):
            yield self.where
            return
        with self._connect(self.where) if self.where else self._start() as client:
            yield client

    @contextmanager
    def _start(self) -> Iterator[Client]:
        try:
            with interrupts_held():
                cluster = LocalCluster(
                    n_workers=self.workers,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                )
        except (OSError, RuntimeError, TimeoutError) as error:
            msg = (
                f"No cluster can be started on this machine: {error}. A script that uses "
                "executor='distributed' must call it below `if __name__ == '__main__':`."
            )
            raise ExecutorError(msg) from error
        with cluster, Client(cluster, set_as_default=False) as client:
            client.register_plugin(_QuietEnd())
            sys.stderr.write(f"dask dashboard: {client.dashboard_link}\n")
            yield client

    @staticmethod
    def _connect(address: str) -> Client:
        try:
            return Client(address, timeout=_ANSWER, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            msg = f"No dask scheduler answers at {address!r}: {error}. Check that it runs."
            raise ExecutorError(msg) from error


_TALK = ("heartbeat", "stream died", "ended with CancelledError")


class _QuietEnd(WorkerPlugin):
    """Has workers end without a traceback where those they talk to end first.

    Where that is no end, but a scheduler or worker is lost, the scheduler says so.
    """

    name = "lazyana-quiet-end"

    def setup(self, worker: Any) -> None:
        """Leave conversations that broke off out of the log."""
        for handler in logging.getLogger("distributed").handlers:
            handler.addFilter(_is_no_talk)


def _is_no_talk(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    message = record.getMessage()
    return not isinstance(error, CommClosedError) and not any(one in message for one in _TALK)


def is_client(value: Any) -> bool:
    """Whether something is a client of dask.distributed."""
    return isinstance(value, Client)


def _check_client(client: Client) -> None:
    if client.asynchronous:
        msg = f"{client!r} is asynchronous: give a client made without asynchronous=True."
        raise ExecutorError(msg)
    if client.status != "running":
        msg = f"{client!r} is {client.status}: connect a new client to the scheduler."
        raise ExecutorError(msg)


def _get(client: Client, graph: dict[Any, Any], key: Any) -> Partial:
    # The graph is small for the number of its tasks, and each program is in it once: advice to
    # send less does not help.
    quiet = {"distributed.admin.large-graph-warning-threshold": "1 GB"}
    with dask.config.set(quiet):
        future = client.get(graph, key, sync=False)
    try:
        with _explained():
            result: Partial = future.result()
        return result
    finally:
        # Interrupted or failed: the other tasks are of no use any more.
        if future.status in ("pending", "error"):
            future.cancel(force=True)


@contextmanager
def _explained() -> Iterator[None]:
    """Say what happened where dask raises errors of its own."""
    try:
        yield
    except KilledWorker as error:
        msg = (
            f"{error.allowed_failures + 1} workers died while they ran {error.task!r}. Most often "
            "they ran out of memory: use a smaller partition_size, or give workers more memory. "
            "Otherwise see the logs of the workers."
        )
        raise RunError(msg) from error
    except CancelledError as error:
        msg = (
            f"The tasks were cancelled, or the connection to the scheduler was lost: {error}. "
            "Check that the scheduler still runs, and compute again."
        )
        raise RunError(msg) from error


class _Listener:
    """Counts each partition once, also if it was run again after its worker was lost."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._done: set[int] = set()

    def hear(self, number: int, events: int) -> None:
        if number not in self._done:
            self._done.add(number)
            self._watcher.done(events)


_listeners: dict[str, _Listener] = {}


@contextmanager
def _listening(client: Client, job: Job, watcher: Watcher) -> Iterator[str]:
    # One topic for each client: the scheduler remembers topics for ever.
    topic = f"lazyana-{client.id}"
    _listeners[job.token] = _Listener(watcher)
    client.subscribe_topic(topic, _hear)
    try:
        yield topic
    finally:
        del _listeners[job.token]


def _hear(event: Any) -> None:
    token, number, events = event[1]
    listener = _listeners.get(token)
    if listener is not None:
        listener.hear(number, events)


class _Announced:
    """Runs a partition and tells the client through the scheduler's event log."""

    def __init__(self, topic: str, token: str) -> None:
        self._topic = topic
        self._token = token
        self.__name__ = "run_partition"

    def __call__(self, shipped: Shipped, partition: Partition) -> Partial:
        partial = run_away(shipped, partition)
        message = (self._token, partition.number, partition.entries)
        get_worker().log_event(self._topic, message)
        return partial
