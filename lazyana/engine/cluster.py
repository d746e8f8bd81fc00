"""Executors of dask.distributed: a cluster made here, a client, or a scheduler's address."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import distributed
from distributed import Client, LocalCluster, get_worker

from lazyana.data.partitions import Partition
from lazyana.engine.job import Job, Partial, Shipped, run_partition
from lazyana.engine.progress import Watcher
from lazyana.errors import ExecutorError


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
    """

    where: Client | str | None = None
    workers: int | None = None
    performance_report: str | None = None

    @property
    def description(self) -> str:
        """Kind, for the run report."""
        if self.where is None:
            return "distributed, local cluster"
        address = self.where if isinstance(self.where, str) else self.where.scheduler.address
        return f"distributed, {address}"

    def run(self, job: Job, watcher: Watcher) -> Partial:
        """Run a job to its end.

        Raises
        ------
        ExecutorError
            A scheduler that does not answer.
        KeyboardInterrupt
            When the user stops it; its tasks are cancelled.
        """
        with self._client() as client:
            topic = f"lazyana-{uuid.uuid4().hex}"
            graph = job.graph(_Announced(topic))
            client.subscribe_topic(topic, lambda event: watcher.done(event[1]))
            try:
                return self._get(client, graph, job.key)
            finally:
                client.unsubscribe_topic(topic)

    def _get(self, client: Client, graph: dict[Any, Any], key: str) -> Partial:
        report: Any = nullcontext()
        if self.performance_report is not None:
            report = distributed.performance_report(self.performance_report)
        with report:
            future = client.get(graph, key, sync=False)
            try:
                result: Partial = future.result()
            except BaseException:
                future.cancel(force=True)
                raise
        return result

    @contextmanager
    def _client(self) -> Iterator[Client]:
        if isinstance(self.where, Client):
            yield self.where
        elif isinstance(self.where, str):
            with self._connect(self.where) as client:
                yield client
        else:
            cluster = LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
            )
            with cluster, Client(cluster) as client:
                sys.stderr.write(f"dask dashboard: {client.dashboard_link}\n")
                yield client

    @staticmethod
    def _connect(address: str) -> Client:
        try:
            return Client(address, timeout="10s")
        except (OSError, TimeoutError, ValueError) as error:
            msg = f"No dask scheduler answers at {address!r}: {error}. Check that it runs."
            raise ExecutorError(msg) from error


class _Announced:
    """Runs a partition and tells the client through the scheduler's event log."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.__name__ = "run_partition"

    def __call__(self, shipped: Shipped, partition: Partition) -> Partial:
        partial = run_partition(shipped, partition)
        get_worker().log_event(self._topic, partition.entries)
        return partial


def is_client(value: Any) -> bool:
    """Whether something is a client of dask.distributed."""
    return isinstance(value, Client)
