"""Progress: a bar on the terminal for whatever runs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol


class Watcher(Protocol):
    """Told of every partition that is done."""

    def done(self, events: int) -> None:
        """One more partition, with so many events, is done."""
        ...


@dataclass
class Silent:
    """Counts, and shows nothing.

    Attributes
    ----------
    partitions, events
        How many are done.
    """

    partitions: int = 0
    events: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def done(self, events: int) -> None:
        """Count one partition."""
        with self._lock:
            self.partitions += 1
            self.events += events


class Bar:
    """A bar that shows partitions, events per second and the time left."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar = bar
        self._task = task
        self._events = 0
        self._lock = threading.Lock()

    def done(self, events: int) -> None:
        """Move on by one partition."""
        with self._lock:
            self._events += events
            self._bar.update(self._task, advance=1, events=self._events)


@contextmanager
def watch(title: str, partitions: int, *, show: bool | None) -> Iterator[Watcher]:
    """Show progress while the context lasts.

    Parameters
    ----------
    title
        What is running.
    partitions
        How many there are.
    show
        Whether to show a bar; None: if standard error is a terminal.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("partitions"),
        TextColumn("{task.fields[events]:,} events"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        yield Bar(bar, bar.add_task(title, total=partitions, events=0))
