"""Skims as an output: the events that are left, as NanoAOD files that can be read again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import uproot

from lazyana.errors import InputError
from lazyana.reader.origin import RESCALE, WEIGHT
from lazyana.sinks import skimfolder
from lazyana.sinks.base import NOMINAL, Place, plain
from lazyana.sinks.folder import Folder, Overwrite, absolute
from lazyana.sinks.skimfile import COMPRESSION, EVENTS, Table, codec, publish
from lazyana.sinks.skimfolder import SKIMS, Skim, SkimFile
from lazyana.sinks.skimorigin import Origin, Source, origin_of, origin_of_file, united
from lazyana.sinks.ttree import Branch, write_tree

#: State: the files written so far, in the order of the partitions.
Files: TypeAlias = tuple[SkimFile, ...]

#: What stands for None in the columns of all events, and their type, where these are not 0 and int.
_KINDS: Mapping[str, tuple[float, Any]] = {WEIGHT: (0.0, np.float64), RESCALE: (1.0, np.float64)}

#: Name of the object in each file that tells what it was made from (JSON).
NOTE = "lazyana_skim"


@dataclass(frozen=True)
class Skims:
    """Save the events that are left as NanoAOD, one ROOT file a partition.

    Branches are written as they were read: a skim is made of uncalibrated events. The trees
    ``Runs`` and ``LuminosityBlocks`` count the events that were left out, too, so that whoever
    normalises by the sum of weights in ``Runs`` gets the same from the skim as from what it was
    made from. A partition of which nothing is left makes a file, therefore. In each file a branch
    ``skimRescaleGenWeight`` is the ratio of the sum of genWeight of all events to that of the
    events left, as PocketCoffea has it.

    Parameters
    ----------
    path
        Directory or URL to write to. A local path is made absolute.
    branches
        What is written; at least one.
    origin
        The columns of all events that `fill` gets last: those of
        `lazyana.sinks.skimorigin.COLUMNS` that the files have.
    compression
        Of the files: ``"ZSTD"``, ``"ZLIB"``, ``"LZMA"`` or ``"LZ4"``, with a level if you like.
    overwrite
        Whether a skim in the same directory may be replaced. A directory that lazyana did not write
        is never touched.
    metadata
        What is known of the datasets, for those that read the skim.
    empty
        By dataset, places and tree of the files without events, which no partition is made of:
        what they were made from counts, too.
    left_out
        Branches that cannot be written, since only some of the files have them.

    Raises
    ------
    InputError, InputTypeError
        If there are no branches, or there is no such compression.
    """

    path: str
    branches: tuple[Branch, ...]
    origin: tuple[str, ...] = ()
    compression: str = COMPRESSION
    overwrite: Overwrite = False
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    empty: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]] = field(
        default_factory=dict, hash=False
    )
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot work, where it is written."""
        object.__setattr__(self, "path", absolute(self.path))
        codec(self.compression)
        if not self.branches:
            msg = "a skim without branches cannot be written: keep at least one."
            raise InputError(msg)

    @property
    def kind(self) -> str:
        """Short word for reports."""
        return "skim"

    def check(self) -> None:
        """Refuse an output that exists, before anything runs; changes nothing.

        Raises
        ------
        OutputExistsError
            If there is a skim already and `overwrite` is not set, or a directory not ours.
        InputError
            If there is no file system for the URL.
        """
        SKIMS.check(Folder(self.path), overwrite=self.overwrite)

    def prepare(self) -> None:
        """Make the directory and mark it as unfinished; with `overwrite`, empty it first.

        Raises
        ------
        OutputExistsError, InputError
            As for `check`.
        """
        SKIMS.prepare(Folder(self.path), overwrite=self.overwrite)

    def fill(
        self, place: Place, source: Source, rows: ak.Array, events: ak.Array, /, *columns: ak.Array
    ) -> Files:
        """Write the file of one partition.

        Parameters
        ----------
        place
            Where the events come from.
        source
            The files they are read from.
        rows
            Which events of the partition are left, shape ``(events left,)``.
        events
            Record array of the branches, shape ``(events left,)``; those that `source` holds are
            not among them.
        *columns
            One for each of `origin`, of all events of the partition.

        Returns
        -------
        tuple of SkimFile
            The state: what was written.

        Raises
        ------
        RunError
            If branches do not fit together.
        FileError
            If what the files were made from cannot be read.
        """
        where = f"the skim of {place.dataset!r} ({place.file}, entries {place.start}-{place.stop})"
        index = np.asarray(ak.to_numpy(rows), np.int64)
        own = {
            name: plain(column, *_KINDS.get(name, (0, np.int64)))
            for name, column in zip(self.origin, columns, strict=True)
        }
        origin = origin_of(source, own)
        kept = float(own[WEIGHT][index].sum()) if WEIGHT in own else None
        layouts = {name: events.layout[name] for name in events.fields}
        layouts |= {name: layout[index] for name, layout in source.extra.items()}
        if kept is not None:
            factor = (origin.sumw or 0.0) / kept if kept else 0.0
            layouts[RESCALE] = ak.contents.NumpyArray(np.full(len(index), factor))
        table = Table.of(self.branches, layouts, len(index), where)
        lacking = {branch.name for branch in self.branches} - {one.name for one in table.branches}
        for name in sorted(lacking):
            place.note(f"branch {name} is not in all files of a partition: not in its skim", 1)
        made = _Made(place.entries, tuple(span.where for span in source.spans), kept)
        return (self._write(place.dataset, f"{place.partition:06d}", table, origin, made),)

    def merge(self, states: Sequence[Files], /) -> Files:
        """One state out of several, in the order given."""
        return tuple(file for state in states for file in state)

    def finish(self, states: Mapping[tuple[str, str], Files], datasets: Sequence[str], /) -> Skim:
        """Make the output complete.

        Parameters
        ----------
        states
            By dataset and shape variation; there is only ``"nominal"``.
        datasets
            Names of all datasets; those without a state count as empty.

        Returns
        -------
        Skim
            The files.

        Raises
        ------
        RunError
            If files that were written are not there any more.
        FileError
            If a file without events cannot be read.
        """
        names = dict.fromkeys([*datasets, *(dataset for dataset, _ in states)])
        found = {name: states.get((name, NOMINAL), ()) for name in names}
        for name, files in self.empty.items():
            origin = united([origin_of_file(urls, tree) for urls, tree in files])
            kept = None if origin.sumw is None else 0.0
            made = _Made(0, tuple(urls[0] for urls, _ in files), kept)
            none = Table(tuple(one for one in self.branches if not one.optional), 0, {})
            found[name] = (*found.get(name, ()), self._write(name, "empty", none, origin, made))
        folder = Folder(self.path)
        return Skim(self.path, skimfolder.complete(folder, found, self.metadata, self.left_out))

    def _write(
        self, dataset: str, name: str, table: Table, origin: Origin, made: _Made
    ) -> SkimFile:
        relative = skimfolder.skim_path(dataset, name)
        sumw, signs = skimfolder.known(origin.sumw), skimfolder.known(origin.sum_signs)
        note = {
            **SKIMS.mark,
            "dataset": dataset,
            "events": table.entries,
            "entries": made.entries,
            "sumw": sumw,
            "sum_signs": signs,
            "sources": list(made.sources),
        }

        def write(path: Path) -> None:
            with uproot.recreate(path, compression=codec(self.compression)) as file:
                write_tree(file, EVENTS, table.branches, table.parts())
                origin.write(file)
                file[NOTE] = json.dumps(note)

        size = publish(Folder(self.path), relative, write)
        return SkimFile(
            relative, table.entries, made.entries, size, sumw, signs, made.sources, made.kept
        )


@dataclass(frozen=True)
class _Made:
    """What a file was made from: how many events, of which files, the weight of those kept."""

    entries: int
    sources: tuple[str, ...]
    kept: float | None
