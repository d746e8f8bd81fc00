"""Byte ranges of files, local or remote, in one request."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lazyana.errors import FileError
from lazyana.options import ReadOptions

Range = tuple[int, int]
"""(first byte, one past the last byte)"""


def read_ranges(url: str, ranges: Sequence[Range], options: ReadOptions) -> list[memoryview]:
    """Read parts of a file by one request.

    Parameters
    ----------
    url
        A local path or URL.
    ranges
        What to read.
    options
        ``max_gap`` (ranges closer than that are read as one), ``timeout``.

    Returns
    -------
    list of memoryview
        The bytes of each range, each of the length asked for.

    Raises
    ------
    FileError
        A file that ends too early.
    OSError
        What the file system or server says.
    """
    merged = coalesced(ranges, options.max_gap)
    buffers = _local(url, merged)
    found: dict[Range, memoryview] = {}
    waiting = sorted(set(ranges))
    at = 0
    for (first, last), buffer in zip(merged, buffers, strict=True):
        if len(buffer) != last - first:
            msg = (
                f"{url} ends at byte {first + len(buffer)}, before byte {last} that was asked for."
            )
            raise FileError(msg)
        view = memoryview(buffer)
        while at < len(waiting) and waiting[at][1] <= last:
            one = waiting[at]
            found[one] = view[one[0] - first : one[1] - first]
            at += 1
    return [found[one] for one in ranges]


def coalesced(ranges: Sequence[Range], max_gap: int) -> list[Range]:
    """Ranges in order, those no more than `max_gap` bytes apart put together."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first - merged[-1][1] <= max_gap:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _local(path: str, ranges: Sequence[Range]) -> list[bytes]:
    file = os.open(path, os.O_RDONLY)
    try:
        return [_pread(file, first, last) for first, last in ranges]
    finally:
        os.close(file)


def _pread(file: int, first: int, last: int) -> bytes:
    pieces: list[bytes] = []
    while first < last:
        piece = os.pread(file, last - first, first)
        if not piece:
            break
        pieces.append(piece)
        first += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
