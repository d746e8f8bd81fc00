"""Reading the branches of a partition, whatever its files are made of and wherever they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import awkward as ak
import numpy as np

from lazyana.data.failures import reading
from lazyana.data.partitions import Partition
from lazyana.options import ReadOptions
from lazyana.reader.formats import READERS
from lazyana.reader.ranges import open_anew
from lazyana.reader.retry import attempt
from lazyana.reader.spans import Span
from lazyana.reader.trees import ReplacedError


class Notes(Protocol):
    """Who is told what did not go the planned way while a partition was read."""

    def fell_back(self, branch: str) -> None:
        """Uproot had to read a branch, since the basket index lacks it."""

    def recovered(self, what: str) -> None:
        """A place of a file failed, and another try or another place worked."""


def read_branches(
    partition: Partition,
    names: Iterable[str],
    planned: Sequence[str],
    options: ReadOptions,
    notes: Notes,
    lacking: Mapping[str, frozenset[str]] | None = None,
) -> dict[str, ak.contents.Content]:
    """Some branches of a partition.

    Parameters
    ----------
    partition
        Which events.
    names
        The branches.
    planned
        The branches that the plan reads.
    options
        How to read.
    notes
        Told of branches that uproot had to read, and of trouble that was overcome.
    lacking
        For layouts by signature, branches that their files lack and are not asked for.

    Returns
    -------
    dict
        Arrays of shape ``(events, ...)``, by name. Of a branch that some of the files lack only
        the events of the others; a branch that all of them lack is left out.

    Raises
    ------
    SpanError
        A file that is gone, cut short, replaced since it was inspected, or unreadable, at all of
        its places.
    """
    names, lacking = list(names), lacking or {}
    parts = []
    for span in partition.spans:
        missing = lacking.get(span.signature, frozenset())
        there = [name for name in names if name not in missing]
        parts.append(_read_span(span, there, planned, options, notes))
    if len(parts) == 1:
        return parts[0]
    found = {name: [part[name] for part in parts if name in part] for name in names}
    return {name: joined(arrays) for name, arrays in found.items() if arrays}


def joined(arrays: Sequence[ak.contents.Content]) -> ak.contents.Content:
    """The entries of several arrays one after the other; numbers and lists of them the fast way."""
    if len(arrays) == 1:
        return arrays[0]
    if _are_numbers(arrays):
        return ak.contents.NumpyArray(np.concatenate([array.data for array in arrays]))
    if all(isinstance(array, ak.contents.ListOffsetArray) for array in arrays):
        starts = [np.asarray(array.offsets.data) for array in arrays]
        contents = [
            array.content[one[0] : one[-1]] for array, one in zip(arrays, starts, strict=True)
        ]
        if _are_numbers(contents):
            counts = np.concatenate([[0], *(np.diff(one) for one in starts)])
            offsets = ak.index.Index64(np.cumsum(counts, dtype=np.int64))
            return ak.contents.ListOffsetArray(offsets, joined(contents))
    return ak.concatenate(arrays, highlevel=False)


def _are_numbers(arrays: Sequence[ak.contents.Content]) -> bool:
    """Whether all are flat arrays of one type, without anything to keep but the numbers."""
    flat = all(
        isinstance(array, ak.contents.NumpyArray) and array.data.ndim == 1 and not array.parameters
        for array in arrays
    )
    return flat and len({array.data.dtype for array in arrays}) == 1


def _read_span(
    span: Span, names: Sequence[str], planned: Sequence[str], options: ReadOptions, notes: Notes
) -> dict[str, ak.contents.Content]:
    read = READERS[span.format]

    def read_at(url: str) -> dict[str, ak.contents.Content]:
        try:
            return read(url, span, names, planned, options, notes.fell_back)
        except ReplacedError:
            # What this process has had open since before the inspection may be the old file.
            if not open_anew(url, options):
                raise
            return read(url, span, names, planned, options, notes.fell_back)

    with reading(span):
        return attempt(span.urls, read_at, options, notes.recovered)
