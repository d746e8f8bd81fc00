"""Failures to read: which entries of which file a task has to do without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lazyana.data.partitions import Partition
from lazyana.errors import FileError
from lazyana.reader.spans import Span


class SpanError(FileError):
    """An entry range of a file that cannot be read.

    Attributes
    ----------
    span
        Which one.
    """

    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message)
        self.span = span

    def __reduce__(self) -> Any:
        """Travel with the span."""
        return SpanError, (str(self), self.span)


@contextmanager
def reading(span: Span) -> Iterator[None]:
    """What goes wrong with the file inside is a `SpanError`, caused by what it was caused by."""
    try:
        yield
    except SpanError:
        raise
    except FileError as error:
        raise SpanError(str(error), span) from (error.__cause__ or error)


def located(partition: Partition, event: int) -> tuple[Span, int]:
    """Which span an event of a partition is in, and its entry in the file."""
    for span in partition.spans:
        if event < span.entries:
            return span, span.start + event
        event -= span.entries
    msg = f"The partition ends {event + 1} events before that one."
    raise IndexError(msg)
