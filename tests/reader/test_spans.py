"""Spans as they travel to workers."""

from __future__ import annotations

import pickle

from lazyana.reader.spans import Span

SPAN = Span(
    ("root://a//f.root", "/b/f.root"), "Events", "TTree", "uuid", 10, 25, "form", 900, b"ranges"
)


def test_what_it_says() -> None:
    assert SPAN.url == "root://a//f.root"
    assert SPAN.entries == 15
    assert SPAN.where == "entries 10-25 of root://a//f.root"


def test_it_travels_whole_and_small() -> None:
    shipped = pickle.dumps(SPAN)
    assert pickle.loads(shipped) == SPAN
    assert len(shipped) < 200
