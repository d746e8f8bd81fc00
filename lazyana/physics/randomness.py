"""Random numbers that belong to objects: the same for any partitioning, order and machine.

They are a hash of what identifies an object, not the next ones of a sequence.
"""

from __future__ import annotations

import hashlib
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from lazyana.physics.lazy import mapped, on_numbers
from lazyana.physics.vectors import elementwise

Hashes = npt.NDArray[np.uint64]


def standard_normal(run: Any, section: Any, event: Any, objects: Any, *, salt: str) -> Any:
    """Random numbers of a normal distribution of mean 0 and width 1, one an object.

    Parameters
    ----------
    run, section, event
        Numbers of the run, the luminosity section and the event, shape ``(events,)``.
    objects
        A column of the objects, shape ``(events, objects)``; its values do not matter.
    salt
        What the numbers are for: those of another salt are independent. Leave variations out of it,
        so that an object fluctuates the same way in all of them.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        A hash of event, position of the object in it and salt, shape ``(events, objects)``,
        float64; None where the object is.
    """
    start = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "little")
    columns = run, section, event, objects
    return mapped(_normal, *columns, label=f"random-{salt}", start=start)


def _normal(run: Any, section: Any, event: Any, objects: Any, start: int) -> Any:
    return on_numbers(_normal_of_numbers, run, section, event, objects, start=start)


def _normal_of_numbers(run: Any, section: Any, event: Any, objects: Any, start: int) -> ak.Array:
    def draw(objects: Any, position: Any, *identity: Any) -> Any:
        state = np.full(len(objects), start, dtype=np.uint64)
        for part in (*identity, position):
            state = mixed(state ^ part.astype(np.uint64))
        # The middle of one of 2^53 intervals: neither 0 nor 1, whose quantiles are infinite.
        return ndtri(((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)

    position = ak.local_index(objects, axis=1)
    return elementwise(draw, objects, position, run, section, event)


def mixed(state: Hashes) -> Hashes:
    """Hashes of whole numbers, in which every bit depends on every bit.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    """
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
