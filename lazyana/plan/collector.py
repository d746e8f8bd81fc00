"""The garbage collector, which waits while a program is made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage is collected meanwhile; also a decorator.

    Recording and planning make many small objects that stay, few of them garbage. Looking through
    all objects of the process over and over takes up to half of their time where it holds much.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
