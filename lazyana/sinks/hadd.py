"""Merging skims: several ROOT files become few, without ROOT and in bounded memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import awkward as ak
import numpy as np
import uproot

from lazyana.errors import (
    FileError,
    InputError,
    InputTypeError,
    OutputExistsError,
    RunError,
    did_you_mean,
)
from lazyana.options import ReadOptions
from lazyana.reader.origin import tag_of
from lazyana.reader.source import uproot_options
from lazyana.sinks.parquet import Folder, absolute
from lazyana.sinks.skim import NOTE
from lazyana.sinks.skimfile import BATCH_BYTES, COMPRESSION, EVENTS, Table, codec, publish
from lazyana.sinks.skimfolder import FORMAT, VERSION, known
from lazyana.sinks.skimorigin import BLOCKS, RUNS, Origin, rows_of, united
from lazyana.sinks.ttree import DTYPES, Branch, write_tree

Missing = Literal["raise", "drop"]
_MISSING = ("raise", "drop")


@dataclass(frozen=True)
class Piece:
    """A file to be merged.

    Attributes
    ----------
    url
        Where it is.
    entries
        Number of events in it.
    bytes
        Uncompressed size of its events.
    branches
        The branches of its events.
    """

    url: str
    entries: int
    bytes: int
    branches: tuple[Branch, ...]


@dataclass(frozen=True)
class MergedFile:
    """A file that others were merged into.

    Attributes
    ----------
    path
        Where it is.
    entries
        Number of events in it.
    bytes
        Its size.
    sumw
        Sum of genWeight of all events that it was made from; None for data.
    sources
        The files that were merged.
    """

    path: str
    entries: int
    bytes: int
    sumw: float | None
    sources: tuple[str, ...]


def look_at(files: Iterable[str | os.PathLike[str]], tree: str = EVENTS) -> tuple[Piece, ...]:
    """Open files that are to be merged, and tell what they hold.

    Parameters
    ----------
    files
        Paths or URLs.
    tree
        Name of the tree with the events.

    Raises
    ------
    FileError
        A file that is not there, cut short, or without such a tree.
    InputError
        A branch that cannot be written, a file that is there twice, or no files.
    """
    if isinstance(files, str | os.PathLike):
        msg = f"files={files!r} is one path: give a list of files."
        raise InputTypeError(msg)
    urls = [absolute(file) for file in files]
    twice = [url for url in urls if urls.count(url) > 1] if len(set(urls)) < len(urls) else []
    if not urls or twice:
        what = f"The file {twice[0]} is there twice" if twice else "There are no files to merge"
        msg = f"{what}: give each file of a dataset once."
        raise InputError(msg)
    return tuple(_look_at(url, tree) for url in urls)


def plan_merge(
    pieces: Sequence[Piece], *, max_files: Any = None, max_events: Any = None
) -> tuple[tuple[Piece, ...], ...]:
    """Which files become one, in their order.

    Parameters
    ----------
    pieces
        The files.
    max_files, max_events
        Most files that become one, and most events in one, a single file that has more aside.

    Raises
    ------
    InputError, InputTypeError
        A limit below 1.
    """
    for name, limit in (("max_files", max_files), ("max_events", max_events)):
        if limit is None:
            continue
        if not isinstance(limit, int) or isinstance(limit, bool):
            msg = f"{name}={limit!r} is a {type(limit).__name__}: give a whole number."
            raise InputTypeError(msg)
        if limit < 1:
            msg = f"{name}={limit}: give 1 or more."
            raise InputError(msg)
    groups: list[list[Piece]] = [[]]
    for piece in pieces:
        events = sum(one.entries for one in groups[-1]) + piece.entries
        full = max_files is not None and len(groups[-1]) >= max_files
        full = full or (max_events is not None and events > max_events)
        if full and groups[-1]:
            groups.append([])
        groups[-1].append(piece)
    return tuple(tuple(group) for group in groups if group)


def merge_skims(
    files: Iterable[str | os.PathLike[str]],
    target: str | os.PathLike[str],
    *,
    name: str = "merged",
    max_files: int | None = None,
    max_events: int | None = None,
    tree: str = EVENTS,
    compression: str = COMPRESSION,
    missing: Missing = "raise",
    overwrite: bool = False,
    batch_bytes: int = BATCH_BYTES,
) -> tuple[MergedFile, ...]:
    """Merge files of one dataset.

    Events are merged in the order of the files, the rows of ``Runs`` and ``LuminosityBlocks`` too,
    so that the sums of weights stay what they are. No more than some parts of `batch_bytes` are in
    memory at a time. What was written is read again and counted before it gets its name.

    Parameters
    ----------
    files
        Paths or URLs, of one dataset.
    target
        Directory to write to. Files become ``<name>-000.root``, ``<name>-001.root``, …
    name
        Beginning of the names.
    max_files, max_events
        Most files that become one, and most events in one, a single file that has more aside.
    tree
        Name of the tree with the events.
    compression
        ``"ZSTD"``, ``"ZLIB"``, ``"LZMA"`` or ``"LZ4"``, with a level if you like.
    missing
        What branches that only some of the files with events have do: ``"raise"`` (default), or
        ``"drop"``: they are left out.
    overwrite
        Whether files of the same names may be replaced.
    batch_bytes
        Uncompressed size of what is written at a time.

    Returns
    -------
    tuple of MergedFile
        In order.

    Raises
    ------
    InputError, InputTypeError, FileError, OutputExistsError
        Before anything is written: files that do not fit together or cannot be read, an option
        that is none, a file that is there already.
    RunError
        If what was written is not what was read.
    """
    codec(compression)
    if missing not in _MISSING:
        msg = f"missing={missing!r}.{did_you_mean(str(missing), _MISSING)} Give one of {_MISSING}."
        raise InputError(msg)
    groups = plan_merge(look_at(files, tree), max_files=max_files, max_events=max_events)
    branches = [_common(group, missing) for group in groups]
    folder = Folder(absolute(target))
    digits = max(3, len(str(len(groups) - 1)))
    names = [f"{name}-{number:0{digits}d}.root" for number in range(len(groups))]
    if not overwrite:
        there = next((one for one in names if folder.exists(one)), None)
        if there is not None:
            msg = f"{there!r} is in {folder.url!r} already. Choose another name, or overwrite=True."
            raise OutputExistsError(msg)
    merger = _Merger(folder, tree, compression, batch_bytes)
    return tuple(
        merger.merge(group, some, one)
        for group, some, one in zip(groups, branches, names, strict=True)
    )


@dataclass(frozen=True)
class _Merger:
    folder: Folder
    tree: str
    compression: str
    batch_bytes: int

    def merge(self, pieces: Sequence[Piece], branches: Sequence[Branch], name: str) -> MergedFile:
        origins, notes = zip(*(_origin_and_note(piece.url) for piece in pieces), strict=True)
        origin = united(origins)
        expected = sum(piece.entries for piece in pieces)
        sumw = known(origin.sumw)

        def write(path: Path) -> None:
            with uproot.recreate(path, compression=codec(self.compression)) as file:
                parts = _batches(pieces, branches, self.tree, self.batch_bytes)
                write_tree(file, self.tree, branches, parts)
                origin.write(file)
                file[NOTE] = json.dumps(_joined_note(notes, pieces, origin))
            _check(path, name, self.tree, expected, sumw)

        size = publish(self.folder, name, write)
        url = self.folder.url.rstrip("/") + "/" + name
        return MergedFile(url, expected, size, sumw, tuple(piece.url for piece in pieces))


def _open(url: str, options: ReadOptions | None = None) -> Any:
    try:
        return uproot.open(
            {url: None}, array_cache=None, **uproot_options(url, options or ReadOptions())
        )
    except FileNotFoundError as error:
        msg = f"There is no file {url}."
        raise FileError(msg) from error
    except Exception as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        msg = f"{url} cannot be opened as a ROOT file: {why}"
        raise FileError(msg) from error


def _look_at(url: str, tree: str) -> Piece:
    with _open(url) as root:
        kinds = root.classnames(cycle=False)
        if kinds.get(tree) != "TTree":
            trees = sorted(one for one, kind in kinds.items() if kind == "TTree")
            msg = (
                f"{url} has no TTree {tree!r}.{did_you_mean(tree, trees)} "
                f"Trees in it: {', '.join(trees) or 'none'}. Give its name with tree=."
            )
            raise FileError(msg)
        events = root[tree]
        counters = {
            one.count_branch.name for one in events.branches if one.count_branch is not None
        }
        branches = tuple(_branch(one, url) for one in events.branches if one.name not in counters)
        size = sum(int(one.uncompressed_bytes) for one in events.branches)
        return Piece(url, int(events.num_entries), size, branches)


def _branch(branch: Any, url: str) -> Branch:
    """How a branch of a file is written."""
    kind, counter, counts = branch.interpretation, "", "int32"
    if isinstance(kind, uproot.AsJagged):
        kind = kind.content
        counted = branch.count_branch
        counter = f"n{branch.name}" if counted is None else counted.name
        counts = counts if counted is None else str(counted.interpretation.to_dtype)
    dtype = getattr(kind, "to_dtype", None)
    shape: tuple[int, ...] = ()
    if dtype is not None and dtype.subdtype is not None:
        dtype, shape = dtype.subdtype
    if not isinstance(kind, uproot.AsDtype) or str(dtype) not in DTYPES:
        msg = (
            f"Branch {branch.name!r} of {url} is a {branch.typename}, and only numbers and lists "
            "of numbers can be merged. Make the skim without it: drop=..."
        )
        raise InputError(msg)
    return Branch(branch.name, str(dtype), counter, shape, counts, branch.title)


def _common(pieces: Sequence[Piece], missing: Missing) -> tuple[Branch, ...]:
    """The branches to write; files without events say nothing, as often they lack some."""
    told = [piece for piece in pieces if piece.entries] or list(pieces[:1])
    first = {branch.name: branch for branch in told[0].branches}
    kept = dict(first)
    for piece in told[1:]:
        mine = {branch.name: branch for branch in piece.branches}
        differ = [name for name in kept.keys() & mine if _type(kept[name]) != _type(mine[name])]
        lacking = sorted((kept.keys() | mine.keys()) - (kept.keys() & mine.keys()))
        if differ:
            name = min(differ)
            msg = (
                f"Branch {name!r} is {_type(first[name])} in {told[0].url} and {_type(mine[name])} "
                f"in {piece.url}: they cannot be merged."
            )
            raise InputError(msg)
        if lacking and missing == "raise":
            one, other = (told[0], piece) if lacking[0] in first else (piece, told[0])
            more = f" and {len(lacking) - 1} more branches" if len(lacking) > 1 else ""
            msg = (
                f"Branch {lacking[0]!r}{more}: in {one.url}, not in {other.url}. Merge files with "
                "the same branches, or leave out what some of them lack with missing='drop'."
            )
            raise InputError(msg)
        kept = {name: branch for name, branch in kept.items() if name in mine}
    if not kept:
        msg = f"{told[0].url} and {told[1].url if len(told) > 1 else 'itself'} share no branch."
        raise InputError(msg)
    return tuple(kept.values())


def _type(branch: Branch) -> str:
    return branch.dtype + "[]" * bool(branch.counter) + "".join(f"[{n}]" for n in branch.shape)


def _batches(
    pieces: Sequence[Piece], branches: Sequence[Branch], tree: str, most: int
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Parts of the events of several files, small files together, large files apart."""
    held: list[Mapping[str, Any]] = []
    entries = size = 0
    for arrays, number, nbytes in _read(pieces, branches, tree, most):
        held.append(arrays)
        entries, size = entries + number, size + nbytes
        if size >= most:
            yield from _joined(held, branches, entries).parts(2 * most)
            held, entries, size = [], 0, 0
    if held:
        yield from _joined(held, branches, entries).parts(2 * most)


def _read(
    pieces: Sequence[Piece], branches: Sequence[Branch], tree: str, most: int
) -> Iterator[tuple[Mapping[str, Any], int, int]]:
    names = [branch.name for branch in branches]
    for piece in pieces:
        if not piece.entries:
            continue
        step = max(1, most * piece.entries // max(piece.bytes, 1))
        with _open(piece.url) as root:
            events = root[tree]
            for start in range(0, piece.entries, step):
                stop = min(start + step, piece.entries)
                found = {
                    name: events[name].array(entry_start=start, entry_stop=stop) for name in names
                }
                yield found, stop - start, piece.bytes * (stop - start) // piece.entries


def _joined(held: Sequence[Mapping[str, Any]], branches: Sequence[Branch], entries: int) -> Table:
    layouts = {
        branch.name: ak.concatenate([one[branch.name] for one in held], highlevel=False)
        if len(held) > 1
        else held[0][branch.name].layout
        for branch in branches
    }
    return Table.of(branches, layouts, entries, "the merged events")


def _origin_and_note(url: str) -> tuple[Origin, Mapping[str, Any]]:
    with _open(url) as root:
        runs, blocks = (rows_of(root, name) for name in (RUNS, BLOCKS))
        kinds = root.classnames(cycle=False)
        note = json.loads(str(root[NOTE])) if kinds.get(NOTE) == "TObjString" else {}
        return Origin(runs or {}, blocks or {}, tag_of(root)), note


def _joined_note(
    notes: Iterable[Mapping[str, Any]], pieces: Sequence[Piece], origin: Origin
) -> dict[str, Any]:
    notes = list(notes)
    sources = [
        source
        for note, piece in zip(notes, pieces, strict=True)
        for source in note.get("sources", [piece.url])
    ]
    made = [note.get("entries", piece.entries) for note, piece in zip(notes, pieces, strict=True)]
    return {
        "format": FORMAT,
        "version": VERSION,
        "dataset": next((note["dataset"] for note in notes if "dataset" in note), ""),
        "events": sum(piece.entries for piece in pieces),
        "entries": sum(made),
        "sumw": known(origin.sumw),
        "sum_signs": known(origin.sum_signs),
        "sources": sources,
    }


def _check(path: Path, name: str, tree: str, entries: int, sumw: float | None) -> None:
    """Read again what was written."""
    with _open(str(path)) as root:
        found = int(root[tree].num_entries)
        runs = rows_of(root, RUNS) or {}
    again = known(Origin(runs, {}).sumw)
    same = again == sumw or (
        again is not None and sumw is not None and bool(np.isclose(again, sumw, rtol=1e-12))
    )
    if found != entries or not same:
        msg = (
            f"{name} would have {found} of {entries} events, and a sum of weights of {again} "
            f"instead of {sumw}: it is not kept. Is the disk full?"
        )
        raise RunError(msg)
