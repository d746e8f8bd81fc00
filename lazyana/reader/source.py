"""How uproot reads remote files: by the same requests, limits and checks as everything else."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from typing import Any

from uproot.source.chunk import Chunk, Source
from uproot.source.futures import TrivialExecutor, TrivialFuture

from lazyana.options import ReadOptions
from lazyana.reader.ranges import Range, read_ranges


def uproot_options(url: str, options: ReadOptions) -> dict[str, Any]:
    """What to tell `uproot.open` beside a URL; nothing for a local file.

    Parameters
    ----------
    url
        A local path or URL.
    options
        How to read.
    """
    return {"handler": RangeSource, "reading": options} if "://" in url else {}


class RangeSource(Source):  # type: ignore[misc]
    """A remote file, as uproot asks for it.

    By itself uproot takes an error of one of several ranges for its bytes, does not see that a
    server sent too little, and waits as long as the server likes.
    """

    def __init__(self, file_path: str, *, reading: ReadOptions, **_: Any) -> None:
        super().__init__()
        self._file_path = file_path
        self._reading = reading
        self._closed = False
        self._executor = TrivialExecutor()

    def chunk(self, start: int, stop: int) -> Chunk:
        """One range of bytes."""
        (found,) = self._read([(start, stop)])
        return found

    def chunks(self, ranges: Sequence[Range], notifications: queue.Queue[Chunk]) -> list[Chunk]:
        """Several ranges, by one request."""
        found = self._read([(start, stop) for start, stop in ranges])
        for one in found:
            notifications.put(one)
        return found

    def _read(self, ranges: Sequence[Range]) -> list[Chunk]:
        if self._closed:
            msg = f"{self._file_path} is closed"
            raise ValueError(msg)
        self._num_requests += 1
        self._num_requested_chunks += len(ranges)
        self._num_requested_bytes += sum(stop - start for start, stop in ranges)
        buffers = read_ranges(self._file_path, ranges, self._reading)
        return [
            Chunk(self, start, stop, TrivialFuture(buffer))
            for (start, stop), buffer in zip(ranges, buffers, strict=True)
        ]

    @property
    def closed(self) -> bool:
        """Whether nothing more can be read."""
        return self._closed

    def __enter__(self) -> RangeSource:
        """The source."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it; connections are kept for other files."""
        self._closed = True
