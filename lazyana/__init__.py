"""A lazy, dataframe-style query engine for NanoAOD."""

from __future__ import annotations

from lazyana.data.inspect import inspect
from lazyana.engine.result import Result
from lazyana.frame.compute import compute
from lazyana.frame.events import Events
from lazyana.frame.open import apply, open  # noqa: A004  (the word users expect: la.open)

__all__ = ["Events", "Result", "apply", "compute", "inspect", "open"]
