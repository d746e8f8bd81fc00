"""The memory allocator, which keeps what was freed."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Return memory that is free in this process to the system.

    glibc keeps the gaps that many small arrays leave between others, and takes new memory for
    larger ones. Where the C library is another one nothing happens.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
