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

from lazyana.errors import FileError, InputError, OutputExistsError, RunError, did_you_mean
from lazyana.sinks import parquet
from lazyana.sinks.parquet import MANIFEST, UNFINISHED, Condition, Folder, absolute, begin
from lazyana.sinks.skimfile import EVENTS

FORMAT = "lazyana skim"
VERSION = 1

#: Files that are ours: skims, and skims whose writing was cut short.
OURS = re.compile(r"[^/]+/(skim-[^/]+\.root|\.skim-[^/]+\.tmp)")


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
    """

    path: str
    events: int
    entries: int
    bytes: int
    sumw: float | None = None
    sum_signs: float | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skim:
    """Events saved as NanoAOD files, complete and described by their manifest.

    Attributes
    ----------
    path
        The directory; a path or a URL.
    manifest
        What is in it: ``datasets`` (for each: metadata, events, entries, sumw, sum_signs, files),
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
        """Entry of the manifest: events, entries, sumw, sum_signs, metadata, files.

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
    found = condition(folder)
    if found == "unfinished":
        msg = (
            f"the run that wrote {folder.url!r} did not finish, or is still running: there is no "
            f"{MANIFEST}. Run it again with overwrite=True."
        )
        raise FileError(msg)
    if found != "complete":
        msg = f"{folder.url!r} is not a directory of skims written by lazyana: no {MANIFEST} in it."
        raise FileError(msg)
    manifest = folder.read_json(MANIFEST)
    if manifest["version"] > VERSION:
        msg = (
            f"{folder.url!r} was written in version {manifest['version']} of the format; this "
            f"lazyana knows versions up to {VERSION}. Use a later lazyana, or open its ROOT files."
        )
        raise FileError(msg)
    sizes = folder.files()
    for dataset in manifest["datasets"].values():
        for file in dataset["files"]:
            if sizes.get(file["path"]) != file["bytes"]:
                msg = (
                    f"the file {file['path']!r} of {folder.url!r} is missing or was changed since "
                    "it was written."
                )
                raise FileError(msg)
    return Skim(folder.url, manifest)


def skim_path(dataset: str, name: str) -> str:
    """Relative path of a file."""
    return f"{quote(dataset, safe='')}/skim-{name}.root"


def condition(folder: Folder) -> Condition:
    """Look at what is at the place of a skim."""
    return parquet.condition(folder, FORMAT)


def check(folder: Folder, *, overwrite: bool) -> None:
    """Refuse to write where something is; changes nothing.

    Raises
    ------
    OutputExistsError
        If there is a skim already and `overwrite` is not set, or anything that is not ours.
    """
    found = condition(folder)
    if found in {"absent", "empty"} or (overwrite and found in {"complete", "unfinished"}):
        return
    url = folder.url
    messages = {
        "complete": f"{url!r} holds a skim already. Choose another path or pass overwrite=True.",
        "unfinished": (
            f"{url!r} holds a skim of a run that did not finish or is still running. Choose "
            "another path or pass overwrite=True."
        ),
        "file": f"{url!r} is a file; skims are written into a directory. Choose another path.",
        "foreign": (
            f"the directory {url!r} is not empty and no skim of lazyana; it is never overwritten. "
            "Choose another path."
        ),
    }
    raise OutputExistsError(messages[found])


def prepare(folder: Folder, *, overwrite: bool) -> None:
    """Make an empty skim that is marked as unfinished.

    Of an older skim the files that we wrote are removed; others in the same directory stay.

    Raises
    ------
    OutputExistsError
        As for `check`.
    InputError
        If the file system cannot be written to.
    """
    check(folder, overwrite=overwrite)
    begin(folder, "a skim", {"format": FORMAT, "version": VERSION}, OURS)


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
    files = folder.files()
    listed = {file.path: file.bytes for some in found.values() for file in some}
    wrong = [path for path, size in listed.items() if files.get(path) != size]
    if wrong:
        msg = (
            f"{len(wrong)} of {len(listed)} files of {folder.url!r} are missing or were changed "
            f"after they were written, the first is {wrong[0]!r}. Do all workers see this "
            "directory, and does no other run write to it?"
        )
        raise RunError(msg)
    folder.remove(path for path in files if OURS.fullmatch(path) and path not in listed)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "datasets": {
            name: {
                "metadata": json.loads(json.dumps(dict(metadata.get(name, {})), default=str)),
                "events": sum(file.events for file in some),
                "entries": sum(file.entries for file in some),
                "sumw": _total([file.sumw for file in some]),
                "sum_signs": _total([file.sum_signs for file in some]),
                "files": [_plain(file) for file in some],
            }
            for name, some in found.items()
        },
        "left_out": sorted(left_out),
        "total": {"files": len(listed), "bytes": sum(listed.values())},
        "provenance": {},
    }
    folder.write_json(MANIFEST, manifest)
    if folder.exists(UNFINISHED):
        folder.remove([UNFINISHED])
    return manifest


def _plain(file: SkimFile) -> dict[str, Any]:
    return asdict(file) | {"sources": list(file.sources)}


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    # exact, so that the order of the partitions does not matter
    return math.fsum(known) if known and len(known) == len(values) else None


def known(value: float | None) -> float | None:
    """A number that JSON can hold; None for nan."""
    return None if value is None or not math.isfinite(value) else value
