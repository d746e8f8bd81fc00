"""What a skim has to know of the files it is made from: all events count, not only those kept.

NanoAOD keeps in the tree ``Runs``, for each run, how many events were generated and the sums of
their weights: ``genEventCount``, ``genEventSumw``, ``genEventSumw2``, and vectors such as
``LHEScaleSumw`` and ``LHEPdfSumw``, each the sum of weight times variation divided by
``genEventSumw`` (https://cms-xpog.docs.cern.ch/autoDoc; the first versions put a ``_`` behind the
names). A skim of a part of a file has this part's share of each sum, so that the sums of all parts
are those of the whole file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import uproot

from lazyana.options import ReadOptions
from lazyana.reader.origin import LUMI, RESCALE, SIGNS, WEIGHT, tag_of
from lazyana.reader.retry import attempt
from lazyana.reader.source import uproot_options
from lazyana.reader.spans import Span
from lazyana.sinks.skimfile import Layout, Table
from lazyana.sinks.ttree import Branch, write_tree

RUNS, BLOCKS = "Runs", "LuminosityBlocks"
COUNT, SUMW, SUMW2 = "genEventCount", "genEventSumw", "genEventSumw2"

#: Branches of the events that the sums are made of, where they are there.
COLUMNS = (*LUMI, WEIGHT, RESCALE)

# Length and version of an object; a bit marks the length as one. The number of entries comes after
# the base classes: "TTree" in the reference guide of ROOT.
_VERSIONED, _COUNTED, _ENTRIES = struct.Struct(">IH"), 0x40000000, struct.Struct(">q")

Rows = Mapping[str, ak.Array]
"""Branches of a small tree by name, each of shape ``(rows,)`` or ``(rows, items)``."""


@dataclass(frozen=True)
class Source:
    """The files that the events of a partition are read from.

    Attributes
    ----------
    spans
        The entry ranges, in order.
    options
        How to read.
    extra
        Branches that the events are made without, read as they are, shape ``(events, ...)``.
    """

    spans: tuple[Span, ...]
    options: ReadOptions
    extra: Mapping[str, Layout] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """What is kept of all events, also of those that a skim leaves out.

    Attributes
    ----------
    runs, blocks
        Rows of the trees ``Runs`` and ``LuminosityBlocks``.
    tag
        What names the production, if the files say; the version of NanoAOD is in it.
    """

    runs: Rows
    blocks: Rows
    tag: str | None = None

    @property
    def sumw(self) -> float | None:
        """Sum of genWeight; None for data."""
        return _total(self.runs, SUMW)

    @property
    def sum_signs(self) -> float | None:
        """Sum of the sign of genWeight; None for data, and where it is not known."""
        return _total(self.runs, SIGNS)

    def write(self, file: Any) -> None:
        """Write the trees, and the tag, to a file opened by `uproot.recreate`."""
        for name, rows in ((RUNS, self.runs), (BLOCKS, self.blocks)):
            if rows:
                write_rows(file, name, rows)
        if self.tag is not None:
            file["tag"] = self.tag


def origin_of(source: Source, columns: Mapping[str, npt.NDArray[Any]]) -> Origin:
    """What is kept of all events of a partition.

    Parameters
    ----------
    source
        Where they are read from.
    columns
        Those of `COLUMNS` that the events have, of all events, shape ``(events,)``.

    Raises
    ------
    FileError
        A file that cannot be read.
    """
    parts, start = [], 0
    for span in source.spans:
        own = {name: column[start : start + span.entries] for name, column in columns.items()}
        parts.append(_origin_of_span(span, source.options, own))
        start += span.entries
    return united(parts)


def origin_of_file(urls: tuple[str, ...], tree: str, options: ReadOptions | None = None) -> Origin:
    """What a ROOT file keeps of all events that it was made from."""
    stored = _read_stored(urls, tree, options or ReadOptions())
    return Origin(stored.runs or {}, stored.blocks or {}, stored.tag)


def united(origins: Sequence[Origin]) -> Origin:
    """The rows of several, one after the other; branches that not all of them have are left out."""
    tag = next((one.tag for one in origins if one.tag is not None), None)
    return Origin(
        joined_rows([one.runs for one in origins]),
        joined_rows([one.blocks for one in origins], unique=True),
        tag,
    )


def joined_rows(parts: Iterable[Rows], *, unique: bool = False) -> Rows:
    """Rows one after the other.

    Parameters
    ----------
    parts
        The rows; where there are none nothing is known of the branches.
    unique
        Whether a luminosity section that occurs several times is there once.
    """
    some = [part for part in parts if part]
    filled = [part for part in some if len(next(iter(part.values())))] or some[:1]
    if not filled:
        return {}
    names = [name for name in filled[0] if all(name in part for part in filled)]
    rows = {name: ak.concatenate([part[name] for part in filled]) for name in names}
    if unique and {*LUMI} <= rows.keys():
        pairs = np.stack([np.asarray(rows[name], np.int64) for name in LUMI], axis=1)
        first = np.sort(np.unique(pairs, axis=0, return_index=True)[1])
        rows = {name: column[first] for name, column in rows.items()}
    return rows


def write_rows(file: Any, name: str, rows: Rows) -> None:
    """Write a small tree."""
    branches = [_branch(key, column) for key, column in rows.items()]
    length = len(next(iter(rows.values())))
    layouts = {key: column.layout for key, column in rows.items()}
    write_tree(file, name, branches, Table.of(branches, layouts, length, name).parts())


def _branch(name: str, column: ak.Array) -> Branch:
    jagged = column.ndim > 1
    layout = column.layout
    while not layout.is_numpy:
        layout = layout.content
    return Branch(name, str(layout.dtype), f"n{name}" if jagged else "")


def _total(rows: Rows, name: str) -> float | None:
    found = _named(rows, name)
    return None if found is None else float(np.sum(np.asarray(rows[found], np.float64)))


def _named(rows: Rows, name: str) -> str | None:
    """What a sum is called here."""
    return next((one for one in (name, f"{name}_") if one in rows), None)


# -- what a file keeps ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stored:
    """What lies in a file next to the tree of the events; None for a tree that is not there."""

    runs: Rows | None = None
    blocks: Rows | None = None
    tag: str | None = None
    entries: int = 0


def _read_stored(urls: tuple[str, ...], tree: str, options: ReadOptions) -> _Stored:
    def read(url: str) -> _Stored:
        with uproot.open({url: None}, array_cache=None, **uproot_options(url, options)) as root:
            folder = tree.rpartition("/")[0]
            runs, blocks = (rows_of(root, f"{folder}/{name}") for name in (RUNS, BLOCKS))
            summed = runs is not None and _named(runs, COUNT) is not None
            return _Stored(runs, blocks, tag_of(root), _entries(root, tree) if summed else 0)

    return attempt(urls, read, options)


def rows_of(root: Any, path: str) -> Rows | None:
    """The branches of a tree that are numbers, or lists of numbers; None if it is not there."""
    path = path.removeprefix("/")
    kinds = root.classnames(cycle=False, filter_name=lambda one: one == path)
    if kinds.get(path) not in ("TTree", "ROOT::RNTuple"):
        return None
    tree = root[path]
    arrays = {name: tree[name].array() for name in tree.keys()}  # noqa: SIM118  (a tree is no mapping)
    rows = {name: array for name, array in arrays.items() if _is_plain(array.layout)}
    counters = {f"n{name}" for name, array in rows.items() if array.ndim > 1}
    return {name: array for name, array in rows.items() if name not in counters}


def _entries(root: Any, path: str) -> int:
    """Number of entries of a tree, without what uproot needs to know to read its branches."""
    key = root.key(path)
    if key.fClassName != "TTree":
        return int(root[path].num_entries)
    chunk, cursor = key.get_uncompressed_chunk_cursor()
    at, body = cursor.index, chunk.raw_data
    at += _VERSIONED.size
    for _ in range(4):  # name and title, line, fill, marker; each begins with its length
        count, _ = _VERSIONED.unpack_from(body, at)
        at += (count & ~_COUNTED) + 4
    return int(_ENTRIES.unpack_from(body, at)[0])


def _is_plain(layout: Layout) -> bool:
    if layout.is_list:
        layout = layout.content
    return bool(layout.is_numpy and not layout.inner_shape and layout.dtype.kind in "biuf")


# -- the share of a part ----------------------------------------------------------------------


def _origin_of_span(
    span: Span, options: ReadOptions, own: Mapping[str, npt.NDArray[Any]]
) -> Origin:
    stored = _Stored()
    if span.format in ("TTree", "RNTuple"):
        stored = _read_stored(span.urls, span.tree, options)
    if stored.runs is None and RESCALE in own and WEIGHT in own:
        runs = _Sums.of_rescaled(own, span.entries).rows()
    else:
        sums = _Sums.of(own, span.entries)
        runs = sums.rows() if stored.runs is None else _share(stored, span, sums)
    return Origin(runs, _blocks(stored, span, own), stored.tag)


def _blocks(stored: _Stored, span: Span, own: Mapping[str, npt.NDArray[Any]]) -> Rows:
    """Luminosity sections: those of a file go with its first entry.

    Most sections without a selected event are in no event, so that they cannot go with one.
    """
    if stored.blocks is not None:
        return stored.blocks if span.start == 0 else _none_of(stored.blocks)
    if not {*LUMI} <= own.keys():
        return {}
    pairs = np.unique(np.stack([own[name].astype(np.uint32) for name in LUMI], axis=1), axis=0)
    return {name: ak.Array(np.ascontiguousarray(pairs[:, i])) for i, name in enumerate(LUMI)}


def _none_of(rows: Rows) -> Rows:
    return {name: column[:0] for name, column in rows.items()}


@dataclass(frozen=True)
class _Sums:
    """Sums of some events by run; `weights` is None for data."""

    run: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    weights: tuple[npt.NDArray[np.float64], ...] | None

    @classmethod
    def of(cls, own: Mapping[str, npt.NDArray[Any]], entries: int) -> _Sums:
        runs = own.get(LUMI[0], np.ones(entries, np.int64)).astype(np.int64)
        names, place, count = np.unique(runs, return_inverse=True, return_counts=True)
        if WEIGHT not in own:
            return cls(names, count, None)
        weight = own[WEIGHT].astype(np.float64)
        each = (weight, weight * weight, np.sign(weight))
        sums = (np.bincount(place, one, minlength=len(names)) for one in each)
        return cls(names, count, tuple(one.astype(np.float64) for one in sums))

    @classmethod
    def of_rescaled(cls, own: Mapping[str, npt.NDArray[Any]], entries: int) -> _Sums:
        """Those of the events that a skim of PocketCoffea was made from, as far as it tells."""
        found = cls.of({**own, WEIGHT: own[WEIGHT] * own[RESCALE]}, entries)
        assert found.weights is not None
        unknown = np.full(len(found.run), np.nan)
        return replace(found, weights=(found.weights[0], unknown, unknown))

    def rows(self) -> Rows:
        """A tree ``Runs`` made of them."""
        columns: dict[str, npt.NDArray[Any]] = {"run": self.run.astype(np.uint32)}
        if self.weights is not None:
            columns |= {COUNT: self.count.astype(np.int64)}
            columns |= dict(zip((SUMW, SUMW2, SIGNS), self.weights, strict=True))
        return {name: ak.Array(column) for name, column in columns.items()}

    def at(self, run: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
        """Number of events, and sums, for each of some runs; 0 for those without an event."""
        table = (self.count, *(self.weights or ()))
        if not len(self.run):
            return tuple(np.zeros(len(run), column.dtype) for column in table)
        place = np.minimum(np.searchsorted(self.run, run), len(self.run) - 1)
        there = self.run[place] == run
        return tuple(np.where(there, column[place], 0) for column in table)


def _share(stored: _Stored, span: Span, sums: _Sums) -> Rows:
    """The share that a part of a file has of its ``Runs``."""
    rows = dict(stored.runs or {})
    count = _named(rows, COUNT)
    run = np.asarray(rows["run"], np.int64) if "run" in rows else np.ones(0, np.int64)
    if count is None or sums.weights is None:
        there = np.isin(run, sums.run)
        return rows if span.start == 0 or not len(run) else {k: v[there] for k, v in rows.items()}
    # A file that was skimmed before counts more events than it has.
    complete = int(np.sum(np.asarray(rows[count], np.int64))) == stored.entries
    first = np.zeros(len(run), np.bool_)
    first[np.unique(run, return_index=True)[1]] = True
    mine = sums.at(run)
    if complete:
        rows[SIGNS] = ak.Array(np.where(first, mine[3], 0.0))
    elif SIGNS in rows:
        _scale(rows, SIGNS, span, stored.entries)
    else:  # nobody knows any more
        rows[SIGNS] = ak.Array(np.full(len(run), np.nan))
    if span.entries == stored.entries:
        return rows
    exact = complete and bool(first.all())
    for i, base in enumerate((COUNT, SUMW, SUMW2)):
        name = _named(rows, base)
        if name is None:
            continue
        if exact:
            kind = np.asarray(rows[name]).dtype
            rows[name] = ak.Array(mine[i].astype(kind))
        else:
            _scale(rows, name, span, stored.entries)
    return rows


def _scale(rows: dict[str, ak.Array], name: str, span: Span, entries: int) -> None:
    """Replace sums by what the entries of a part have of them, if all have the same."""
    values: npt.NDArray[Any] = np.asarray(rows[name])
    if values.dtype.kind in "iu":
        # whole numbers, whose sum over all parts is the number that there was
        below, above = (values * np.int64(edge) // entries for edge in (span.start, span.stop))
        rows[name] = ak.Array((above - below).astype(values.dtype))
    else:
        rows[name] = ak.Array(values * (span.stop / entries) - values * (span.start / entries))
