"""What planning found out about programs, for those that are planned after them.

The programs of one job are often the same but for the names of their samples and a few numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lazyana.data.nanoevents import Blueprint, ReadPlan
from lazyana.plan.fingerprint import Hasher


@dataclass(frozen=True)
class Findings:
    """What was found out.

    Attributes
    ----------
    hasher
        Remembers the functions it has hashed.
    reads
        What programs read, by the form of the events and by what tells programs apart in that.
    """

    hasher: Hasher = field(default_factory=Hasher)
    reads: dict[tuple[Blueprint, bytes], ReadPlan] = field(default_factory=dict)
    _values: dict[Blueprint, dict[bytes, Any]] = field(default_factory=dict)

    def values(self, blueprint: Blueprint) -> dict[bytes, Any]:
        """Values without data of steps of these events, by the hash of all that makes them."""
        return self._values.setdefault(blueprint, {})
