"""A lazy, dataframe-style query engine for NanoAOD."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazyana.data.catalog import Catalog
    from lazyana.engine.result import Result
    from lazyana.frame.booking import Output
    from lazyana.frame.compute import compute, explain
    from lazyana.frame.events import Events
    from lazyana.frame.inspection import inspect
    from lazyana.frame.open import apply, open
    from lazyana.options import ReadOptions
    from lazyana.sinks.tables import open_columns

    load = Result.load

__all__ = [
    "Catalog",
    "Events",
    "Output",
    "ReadOptions",
    "Result",
    "apply",
    "compute",
    "explain",
    "inspect",
    "load",
    "open",
    "open_columns",
]

if not TYPE_CHECKING:  # type checkers would take any name for one of these
    _HOMES = {
        "Catalog": "lazyana.data.catalog",
        "Events": "lazyana.frame.events",
        "Output": "lazyana.frame.booking",
        "ReadOptions": "lazyana.options",
        "Result": "lazyana.engine.result",
        "apply": "lazyana.frame.open",
        "compute": "lazyana.frame.compute",
        "explain": "lazyana.frame.compute",
        "inspect": "lazyana.frame.inspection",
        "open": "lazyana.frame.open",
        "open_columns": "lazyana.sinks.tables",
    }

    def __getattr__(name: str) -> object:
        """Import a name when it is asked for, so that commands which need little start at once."""
        if name == "load":
            return __getattr__("Result").load
        if name not in _HOMES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
