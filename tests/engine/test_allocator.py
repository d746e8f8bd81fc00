"""Tests of lazyana.engine.allocator."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import numpy as np
import pytest

from lazyana.engine.allocator import give_back

STATUS = Path("/proc/self/statm")


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not STATUS.exists() or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="needs Linux and glibc, which keeps memory",
)
def test_gaps_are_given_back() -> None:
    arrays = [np.ones(4096) for _ in range(4000)]  # 32 kB each, 131 MB
    kept = arrays[::50]
    del arrays
    before = resident()
    give_back()
    assert before - resident() > 50e6
    assert all(array.sum() == 4096 for array in kept)


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(name: None) -> object:
        return object()

    monkeypatch.setattr(ctypes, "CDLL", other)
    give_back()
