"""Progress: a bar on the terminal for whatever runs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

PATIENCE = 2.0
"""Seconds without a bar for what is usually done by then."""


class Watcher(Protocol):
    """Told of every partition or file that is done."""

    def done(self, events: int) -> None:
        """One more, with so many events, is done."""
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
    """A bar that shows what is done, the events in it and the time left."""

    def __init__(self, bar: Any, task: Any, patience: float) -> None:
        self._bar = bar
        self._task = task
        self._events = 0
        self._lock = threading.Lock()
        self._shown = False
        self._begin = time.monotonic() + patience

    def done(self, events: int) -> None:
        """Move on by one."""
        with self._lock:
            self._events += events
            self._bar.update(self._task, advance=1, events=self._events)
        self.show()

    def show(self) -> None:
        """Show it, if it is time."""
        with self._lock:
            if not self._shown and time.monotonic() >= self._begin:
                self._shown = True
                self._bar.start()

    def end(self) -> None:
        """Leave it as it is."""
        with self._lock:
            if self._shown:
                self._bar.stop()


@contextmanager
def watch(
    title: str,
    number: int,
    *,
    show: bool | None,
    unit: str = "partitions",
    patience: float = 0.0,
) -> Iterator[Watcher]:
    """Show progress while the context lasts.

    Parameters
    ----------
    title
        What is running.
    number
        How many there are.
    show
        Whether to show a bar; None: if standard error is a terminal.
    unit
        What is counted.
    patience
        Seconds in which nothing is shown: what is done by then needs no bar.
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
        TextColumn(unit),
        TextColumn("{task.fields[events]:,} events"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    watcher = Bar(bar, bar.add_task(title, total=number, events=0), patience)
    watcher.show()
    try:
        yield watcher
    finally:
        watcher.end()
