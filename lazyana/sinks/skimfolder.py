"""The directory that skims live in: ROOT files, each written atomically, and their manifest.

::

    <path>/_manifest.json             written last: "this is complete"
    <path>/_unfinished.json           written first, removed last
    <path>/DYJetsToLL/skim-000000.root    one per partition
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import quote

from lazyana.errors import InputError, did_you_mean
from lazyana.sinks.folder import MANIFEST, Folder, Kind, absolute
from lazyana.sinks.skimfile import EVENTS

#: Files that are ours are skims, and skims whose writing was cut short.
SKIMS = Kind("skims", 1, re.compile(r"[^/]+/(skim-[^/]+\.root|\.skim-[^/]+\.tmp)"), "uproot")


@dataclass(frozen=True)
class SkimFile:
    """One file of a skim.

    Attributes
    ----------
    path
        Relative to the directory of the skim.
    events
        Number of events in it.
    entries
        Number of events that it was made from.
    bytes
        Size of the file.
    sumw, sum_signs
        Sum of genWeight, and of its sign, of all events that it was made from; None for data, and
        where it is not known.
    sources
        The files it was made from.
    sumw_kept
        Sum of genWeight of the events in it; None for data.
    """

    path: str
    events: int
    entries: int
    bytes: int
    sumw: float | None = None
    sum_signs: float | None = None
    sources: tuple[str, ...] = ()
    sumw_kept: float | None = None


@dataclass(frozen=True)
class Skim:
    """Events saved as NanoAOD files, complete and described by their manifest.

    Attributes
    ----------
    path
        The directory; a path or a URL.
    manifest
        What is in it: ``datasets`` (for each: metadata, events, entries, sumw, sum_signs,
        sumw_kept, files),
        ``left_out`` (branches of some files that are not written), ``total``, ``provenance``.
    """

    path: str
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets."""
        return tuple(self.manifest["datasets"])

    @property
    def events(self) -> Mapping[str, int]:
        """Number of events kept of each dataset."""
        return {name: one["events"] for name, one in self.manifest["datasets"].items()}

    @property
    def files(self) -> Mapping[str, tuple[str, ...]]:
        """Paths or URLs of the files of each dataset."""
        return {name: tuple(self._urls(name)) for name in self.datasets}

    @property
    def fileset(self) -> dict[str, dict[str, Any]]:
        """The files as `lazyana.open` takes them, with what was known of the datasets."""
        return {
            name: {
                "files": dict.fromkeys(self._urls(name), EVENTS),
                "metadata": dict(one["metadata"]),
            }
            for name, one in self.manifest["datasets"].items()
        }

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How the skim was made."""
        provenance: Mapping[str, Any] = self.manifest["provenance"]
        return provenance

    def summary(self, dataset: str) -> Mapping[str, Any]:
        """Entry of the manifest: events, entries, sums of weights, metadata, files.

        Raises
        ------
        InputError
            If there is no such dataset.
        """
        if dataset not in self.datasets:
            known = ", ".join(self.datasets)
            msg = (
                f"No dataset {dataset!r}.{did_you_mean(dataset, self.datasets)} There are: {known}."
            )
            raise InputError(msg)
        entry: Mapping[str, Any] = self.manifest["datasets"][dataset]
        return entry

    def stamp(self, provenance: Mapping[str, Any]) -> Skim:
        """The skim with what made it, which is written into the manifest too."""
        stamped = replace(self, manifest={**self.manifest, "provenance": dict(provenance)})
        Folder(self.path).write_json(MANIFEST, stamped.manifest)
        return stamped

    def _urls(self, dataset: str) -> list[str]:
        folder = Folder(self.path)
        files = self.manifest["datasets"][dataset]["files"]
        root = self.path.rstrip("/") if "://" in self.path else folder.full()
        return [f"{root}/{file['path']}" for file in files]


def open_skim(path: str | os.PathLike[str]) -> Skim:
    """Open a skim that was written before.

    Parameters
    ----------
    path
        Its directory; a path or a URL.

    Raises
    ------
    FileError
        If it is not complete, not of lazyana, or if files are missing or cut short.
    """
    folder = Folder(absolute(path))
    return Skim(folder.url, SKIMS.read(folder))


def skim_path(dataset: str, name: str) -> str:
    """Relative path of a file."""
    return f"{quote(dataset, safe='')}/skim-{name}.root"


def complete(
    folder: Folder,
    found: Mapping[str, Sequence[SkimFile]],
    metadata: Mapping[str, Mapping[str, Any]],
    left_out: Sequence[str] = (),
) -> dict[str, Any]:
    """Make the skim complete: check its files, remove what is not part of it, write the manifest.

    Parameters
    ----------
    folder
        Where the files are.
    found
        What was written, by dataset.
    metadata
        What is known of the datasets.
    left_out
        Branches that were not written.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    RunError
        If a file is missing or was changed since it was written.
    """
    listed = {file.path: file.bytes for some in found.values() for file in some}
    content = {
        "datasets": {
            name: {
                "metadata": json.loads(json.dumps(dict(metadata.get(name, {})), default=str)),
                "events": sum(file.events for file in some),
                "entries": sum(file.entries for file in some),
                "sumw": _total([file.sumw for file in some]),
                "sum_signs": _total([file.sum_signs for file in some]),
                "sumw_kept": _total([file.sumw_kept for file in some]),
                "files": [_plain(file) for file in some],
            }
            for name, some in found.items()
        },
        "left_out": sorted(left_out),
    }
    return SKIMS.complete(folder, listed, content)


def _plain(file: SkimFile) -> dict[str, Any]:
    return asdict(file) | {"sources": list(file.sources)}


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    # exact, so that the order of the partitions does not matter
    return math.fsum(known) if known and len(known) == len(values) else None


def known(value: float | None) -> float | None:
    """A number that JSON can hold; None for nan."""
    return None if value is None or not math.isfinite(value) else value
