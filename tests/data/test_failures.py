"""Failures to read know which entries they are about, wherever they travel."""

from __future__ import annotations

import errno
import pickle

import pytest

from lazyana.data.failures import SpanError, located, reading
from lazyana.data.partitions import Partition
from lazyana.errors import FileError
from lazyana.reader.spans import Span


def span(url: str, start: int = 0, stop: int = 10) -> Span:
    return Span((url,), "Events", "TTree", "uuid", start, stop, "signature")


def fail(error: BaseException, inside: Span, cause: BaseException | None = None) -> None:
    with reading(inside):
        raise error from cause


def test_a_failure_names_its_span_and_its_cause() -> None:
    cause = OSError(errno.EIO, "Input/output error")
    with pytest.raises(SpanError, match=r"a\.root is damaged") as caught:
        fail(FileError("a.root is damaged"), span("a.root"), cause)
    assert caught.value.span == span("a.root")
    assert caught.value.__cause__ is cause
    assert isinstance(caught.value, FileError)
    with pytest.raises(SpanError) as caught:
        fail(FileError("a.root is damaged"), span("a.root"))
    assert isinstance(caught.value.__cause__, FileError)


def test_the_innermost_span_counts() -> None:
    with pytest.raises(SpanError) as caught:
        fail(SpanError("b.root is damaged", span("b.root")), span("a.root"))
    assert caught.value.span.url == "b.root"


def test_what_is_no_failure_to_read_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError(), span("a.root"))


def test_it_travels() -> None:
    again = pickle.loads(pickle.dumps(SpanError("a.root is damaged", span("a.root", 5, 7))))
    assert type(again) is SpanError
    assert str(again) == "a.root is damaged"
    assert again.span == span("a.root", 5, 7)


def test_events_are_located_in_their_files() -> None:
    spans = (span("a.root", 5, 7), span("b.root"), span("c.root", 100, 103))
    partition = Partition(0, "DY", 0, spans)
    found = [located(partition, event) for event in range(partition.entries)]
    expected = [(one, entry) for one in spans for entry in range(one.start, one.stop)]
    assert found == expected
    with pytest.raises(IndexError):
        located(partition, partition.entries)
