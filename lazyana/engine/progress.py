"""Progress: a bar on the terminal for whatever runs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol


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

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar = bar
        self._task = task
        self._events = 0
        self._lock = threading.Lock()

    def done(self, events: int) -> None:
        """Move on by one."""
        with self._lock:
            self._events += events
            self._bar.update(self._task, advance=1, events=self._events)


@contextmanager
def watch(
    title: str, number: int, *, show: bool | None, unit: str = "partitions"
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
    with bar:
        yield Bar(bar, bar.add_task(title, total=number, events=0))
