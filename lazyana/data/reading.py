"""Reading the branches of a partition, whatever its files are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import awkward as ak

from lazyana.data.formats import READERS
from lazyana.data.partitions import Partition, Span
from lazyana.data.ttree import Note
from lazyana.errors import FileError
from lazyana.options import ReadOptions


def read_branches(
    partition: Partition,
    names: Iterable[str],
    planned: Sequence[str],
    options: ReadOptions,
    note: Note,
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
    note
        Called with each branch that uproot had to read since the basket index lacks it.

    Returns
    -------
    dict
        Arrays of shape ``(events, ...)``, by name.

    Raises
    ------
    FileError
        A file that is gone, cut short, replaced since it was inspected, or unreadable.
    """
    names = list(names)
    parts = [_read_span(span, names, planned, options, note) for span in partition.spans]
    if len(parts) == 1:
        return parts[0]
    return {name: ak.concatenate([part[name] for part in parts], highlevel=False) for name in names}


def _read_span(
    span: Span, names: Sequence[str], planned: Sequence[str], options: ReadOptions, note: Note
) -> dict[str, ak.contents.Content]:
    read = READERS[span.format]
    try:
        return read(span.url, span, names, planned, options, note)
    except FileError:
        raise
    except FileNotFoundError as error:
        msg = f"There is no file {span.url} (any more)."
        raise FileError(msg) from error
    except OSError as error:
        msg = f"{span.url} cannot be read: {error.strerror or error}."
        raise FileError(msg) from error
