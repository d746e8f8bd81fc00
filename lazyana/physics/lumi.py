"""Luminosity sections that are certified, as golden JSON files list them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from lazyana.errors import FileError
from lazyana.physics.lazy import mapped, on_numbers

Integers = npt.NDArray[np.int64]

_BITS = 32  # luminosity sections are numbered with as many, and runs


@dataclass(frozen=True)
class CertifiedSections:
    """Certified luminosity sections.

    Attributes
    ----------
    ranges
        Run, first and last section of each range of them, both included; in any order.
    """

    ranges: tuple[tuple[int, int, int], ...]

    def mask(self, run: Any, luminosity_block: Any) -> Any:
        """Which events are in a certified section.

        Parameters
        ----------
        run, luminosity_block
            Columns of the events, lazy or in memory, shape ``(events,)``.

        Returns
        -------
        awkward.Array or dask_awkward.Array
            Boolean, shape ``(events,)``.
        """
        return mapped(self, run, luminosity_block, label="golden-json")

    def __call__(self, run: Any, luminosity_block: Any) -> Any:
        """The mask of columns in memory."""
        return on_numbers(self._of_numbers, run, luminosity_block)

    def _of_numbers(self, run: Any, luminosity_block: Any) -> ak.Array:
        first, last = _sorted(self.ranges)
        where = _numbers(run, luminosity_block)
        return ak.Array(where <= last[np.searchsorted(first, where, side="right") - 1])


def read_golden_json(path: str | Path) -> CertifiedSections:
    """The certified sections of a file.

    Parameters
    ----------
    path
        JSON with ranges of sections by run: ``{"315257": [[1, 88], [91, 92]]}``.

    Raises
    ------
    FileError
        A file that is missing or holds something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        ranges = tuple(
            (int(run), int(first), int(last))
            for run, sections in content.items()
            for first, last in sections
        )
    except OSError as error:
        msg = f"The golden JSON {path} cannot be read: {error.strerror or error}."
        raise FileError(msg) from error
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"{path} is no golden JSON, which has ranges of sections by run: {error}."
        raise FileError(msg) from error
    return CertifiedSections(ranges)


def _numbers(run: Any, section: Any) -> Integers:
    """Runs and sections as one number each, in the order of both."""
    number: Integers = (np.asarray(run).astype(np.int64) << _BITS) + np.asarray(section)
    return number


@lru_cache(maxsize=16)
def _sorted(ranges: tuple[tuple[int, int, int], ...]) -> tuple[Integers, Integers]:
    """The first and last sections of ranges, in order; where ranges overlap, the later last one."""
    # One more than there are, so that every event comes after some range.
    table = np.array([(-1, 0, 0), *ranges], dtype=np.int64)
    first, last = (_numbers(table[:, 0], table[:, column]) for column in (1, 2))
    order = np.argsort(first, kind="stable")
    return first[order], np.maximum.accumulate(last[order])
