"""A lazy, dataframe-style query engine for NanoAOD."""

from __future__ import annotations

from lazyana.data.inspect import inspect
from lazyana.engine.result import Result
from lazyana.frame.compute import compute, explain
from lazyana.frame.events import Events
from lazyana.frame.open import apply, open

__all__ = ["Events", "Result", "apply", "compute", "explain", "inspect", "open"]
