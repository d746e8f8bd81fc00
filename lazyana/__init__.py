"""A lazy, dataframe-style query engine for NanoAOD."""

from __future__ import annotations

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
