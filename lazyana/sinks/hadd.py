"""Merging skims: several ROOT files become few, without ROOT and in bounded memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from lazyana.errors import (
    FileError,
    InputError,
    OutputExistsError,
    RunError,
    did_you_mean,
)
from lazyana.reader.origin import tag_of
from lazyana.sinks.folder import Folder, absolute
from lazyana.sinks.pieces import (
    MISSING,
    Missing,
    Piece,
    common_branches,
    look_at,
    look_at_one,
    open_file,
    plan_merge,
)
from lazyana.sinks.skim import NOTE
from lazyana.sinks.skimfile import BATCH_BYTES, COMPRESSION, EVENTS, Table, codec, publish
from lazyana.sinks.skimfolder import SKIMS, known
from lazyana.sinks.skimorigin import BLOCKS, RUNS, Origin, rows_of, united
from lazyana.sinks.ttree import Branch, write_tree


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


@dataclass(frozen=True)
class Merge:
    """Files that are to become one.

    Attributes
    ----------
    pieces
        The files, in their order.
    branches
        The branches to write.
    folder, name
        Where to.
    tree
        Name of the tree with the events.
    compression, batch_bytes
        As for `merge_skims`.
    """

    pieces: tuple[Piece, ...]
    branches: tuple[Branch, ...]
    folder: Folder
    name: str
    tree: str = EVENTS
    compression: str = COMPRESSION
    batch_bytes: int = BATCH_BYTES

    @property
    def url(self) -> str:
        """Where the file will be."""
        return self.folder.url.rstrip("/") + "/" + self.name

    @property
    def entries(self) -> int:
        """Number of events it will have."""
        return sum(piece.entries for piece in self.pieces)

    def exists(self) -> bool:
        """Whether there is a file of its name."""
        return self.folder.exists(self.name)

    def problem(self) -> str | None:
        """What is wrong with the file that is there; None for a file with all events."""
        try:
            found = look_at_one(self.url, self.tree).entries
        except (FileError, InputError) as error:
            return str(error)
        if found != self.entries:
            return f"{self.url} has {found:,} events instead of {self.entries:,}."
        return None

    def run(self) -> MergedFile:
        """Write the file; it gets its name once it was read again and counted.

        Raises
        ------
        FileError
            A file that cannot be read.
        RunError
            If what was written is not what was read.
        """
        origins, notes = zip(*(_origin_and_note(one.url) for one in self.pieces), strict=True)
        origin = united(origins)
        sumw = known(origin.sumw)

        def write(path: Path) -> None:
            with uproot.recreate(path, compression=codec(self.compression)) as file:
                parts = _batches(self.pieces, self.branches, self.tree, self.batch_bytes)
                write_tree(file, self.tree, self.branches, parts)
                origin.write(file)
                file[NOTE] = json.dumps(_joined_note(notes, self.pieces, origin))
            _check(path, self.name, self.tree, self.entries, sumw)

        size = publish(self.folder, self.name, write)
        sources = tuple(piece.url for piece in self.pieces)
        return MergedFile(self.url, self.entries, size, sumw, sources)


def merge_skims(
    files: Iterable[str | os.PathLike[str]],
    target: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    **options: Any,
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
    overwrite
        Whether files of the same names may be replaced.
    **options
        ``name``, ``max_files`` and others: see `plan_merges`.

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
    merges = plan_merges(files, target, **options)
    there = next((one for one in merges if one.exists()), None)
    if there is not None and not overwrite:
        msg = (
            f"{there.name!r} is in {there.folder.url!r} already. Choose another name, or "
            "overwrite=True."
        )
        raise OutputExistsError(msg)
    return tuple(merge.run() for merge in merges)


def plan_merges(
    files: Iterable[str | os.PathLike[str]],
    target: str | os.PathLike[str],
    *,
    name: str = "merged",
    max_files: int | None = None,
    max_events: int | None = None,
    tree: str = EVENTS,
    compression: str = COMPRESSION,
    missing: Missing = "raise",
    batch_bytes: int = BATCH_BYTES,
) -> tuple[Merge, ...]:
    """Find out which files of one dataset become which; nothing is written.

    Parameters
    ----------
    files, target
        As for `merge_skims`.
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
    batch_bytes
        Uncompressed size of what is written at a time.

    Raises
    ------
    InputError, InputTypeError, FileError
        Files that do not fit together or cannot be read, an option that is none.
    """
    codec(compression)
    if missing not in MISSING:
        msg = f"missing={missing!r}.{did_you_mean(str(missing), MISSING)} Give one of {MISSING}."
        raise InputError(msg)
    groups = plan_merge(look_at(files, tree), max_files=max_files, max_events=max_events)
    folder = Folder(absolute(target))
    digits = max(3, len(str(len(groups) - 1)))
    return tuple(
        Merge(
            group,
            common_branches(group, missing),
            folder,
            f"{name}-{number:0{digits}d}.root",
            tree,
            compression,
            batch_bytes,
        )
        for number, group in enumerate(groups)
    )


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
        with open_file(piece.url) as root:
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
    with open_file(url) as root:
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
        **SKIMS.mark,
        "dataset": next((note["dataset"] for note in notes if "dataset" in note), ""),
        "events": sum(piece.entries for piece in pieces),
        "entries": sum(made),
        "sumw": known(origin.sumw),
        "sum_signs": known(origin.sum_signs),
        "sources": sources,
    }


def _check(path: Path, name: str, tree: str, entries: int, sumw: float | None) -> None:
    """Read again what was written."""
    with open_file(str(path)) as root:
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
