"""Directories that outputs are written to: files written whole, and a manifest that ends them.

::

    <path>/_manifest.json      written last: "this is complete"
    <path>/_unfinished.json    written first, removed last

The names of the two start with an underscore because every reader of parquet directories (pyarrow,
spark, awkward) skips such files, so the directory as a whole can be read without lazyana.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from lazyana.errors import FileError, InputError, OutputExistsError, RunError

MANIFEST = "_manifest.json"
UNFINISHED = "_unfinished.json"

Condition = Literal["absent", "empty", "complete", "unfinished", "foreign", "file"]

Overwrite = bool | Literal["unfinished"]
"""Whether an output of ours may be replaced, or only one of a run that did not finish."""


@dataclass(frozen=True)
class Folder:
    """A directory on any file system that fsspec knows.

    Parameters
    ----------
    url
        A path or a URL.

    Raises
    ------
    InputError
        If there is no file system for the URL, or its package is not installed.
    """

    url: str

    @cached_property
    def _place(self) -> tuple[Any, str]:
        if "::" in self.url:
            msg = f"cannot write to {self.url!r}: chained URLs can only be read."
            raise InputError(msg)
        try:
            fs, root = url_to_fs(self.url)
        except (ValueError, ImportError) as err:
            msg = f"cannot write to {self.url!r}: {err}"
            raise InputError(msg) from err
        return fs, str(root).rstrip("/")

    def __getstate__(self) -> dict[str, str]:
        """Only the URL travels: file systems hold sockets and locks."""
        return {"url": self.url}

    @property
    def fs(self) -> Any:
        """The fsspec file system."""
        return self._place[0]

    def full(self, relative: str = "") -> str:
        """Path of a file inside, as the file system wants it."""
        root = self._place[1]
        return f"{root}/{relative}" if relative else root

    def exists(self, relative: str = "") -> bool:
        """Whether there is such a file or directory."""
        return bool(self.fs.exists(self.full(relative)))

    def read_json(self, relative: str) -> Any:
        """Content of a JSON file."""
        return json.loads(self.fs.cat_file(self.full(relative)))

    def write_json(self, relative: str, content: Any) -> None:
        """Write a JSON file atomically."""
        text = json.dumps(content, indent=1, allow_nan=False)
        self.write(relative, lambda file: file.write(text.encode()))

    def write(self, relative: str, writer: Callable[[IO[bytes]], object]) -> int:
        """Write a file under a hidden name and rename it when it is whole.

        Parameters
        ----------
        relative
            Final name of the file.
        writer
            Called with the open file.

        Returns
        -------
        int
            Size in bytes.
        """
        folder, _, name = self.full(relative).rpartition("/")
        self.fs.makedirs(folder, exist_ok=True)
        hidden = f"{folder}/.{name}.{uuid.uuid4().hex}.tmp"
        try:
            with self.fs.open(hidden, "wb") as file:
                writer(file)
                size = int(file.tell())
            self._rename(hidden, f"{folder}/{name}")
        except BaseException:
            with contextlib.suppress(Exception):
                self.fs.rm_file(hidden)
            raise
        return size

    def _rename(self, old: str, new: str) -> None:
        if isinstance(self.fs, LocalFileSystem):
            Path(old).replace(new)
            return
        if self.fs.exists(new):  # not every remote file system renames onto an existing file
            self.fs.rm_file(new)
        self.fs.mv(old, new)

    def files(self) -> dict[str, int]:
        """Sizes in bytes of all files at any depth, by relative path."""
        self.fs.invalidate_cache()
        start = len(self.full()) + 1
        found = self.fs.find(self.full(), detail=True)
        return {path[start:]: int(info["size"]) for path, info in found.items()}

    def remove(self, relatives: Iterable[str]) -> None:
        """Remove files, and the directories between them and here that are empty then."""
        folders: set[str] = set()
        for relative in relatives:
            self.fs.rm_file(self.full(relative))
            folders.update(str(folder) for folder in Path(relative).parents)
        for folder in sorted(folders - {"."}, key=len, reverse=True):
            with contextlib.suppress(OSError):  # not empty
                self.fs.rmdir(self.full(folder))


def absolute(path: str | os.PathLike[str]) -> str:
    """Make a local path absolute, as workers may run elsewhere; a URL stays as it is."""
    text = os.fspath(path)
    return text if "://" in text else str(Path(text).expanduser().absolute())


@dataclass(frozen=True)
class Kind:
    """A kind of output that has a directory to itself.

    Attributes
    ----------
    what
        What is in it, e.g. ``"columns"``.
    version
        Latest version of its format.
    ours
        What the relative paths of files that we write look like; other files stay.
    reader
        What reads its files without lazyana, for a message.
    """

    what: str
    version: int
    ours: re.Pattern[str]
    reader: str

    @property
    def mark(self) -> dict[str, Any]:
        """Format and version, as a manifest begins."""
        return {"format": f"lazyana {self.what}", "version": self.version}

    def condition(self, folder: Folder) -> Condition:
        """Look at what is at the place of an output."""
        folder.fs.invalidate_cache()
        if not folder.exists():
            return "absent"
        if folder.fs.isfile(folder.full()):
            return "file"
        inside = folder.fs.ls(folder.full(), detail=False)
        names = {str(name).rstrip("/").rpartition("/")[2] for name in inside}
        # The manifest is looked for first: it is there from the moment the output is complete to
        # the moment before its first part is removed, whether or not the other file is there too.
        if MANIFEST in names and self._is_ours(folder, MANIFEST):
            return "complete"
        if UNFINISHED in names and self._is_ours(folder, UNFINISHED):
            return "unfinished"
        return "foreign" if names else "empty"

    def _is_ours(self, folder: Folder, relative: str) -> bool:
        try:
            content = folder.read_json(relative)
        except ValueError:
            return False
        return isinstance(content, dict) and content.get("format") == self.mark["format"]

    def check(self, folder: Folder, *, overwrite: Overwrite) -> None:
        """Refuse to write where something is; changes nothing.

        Raises
        ------
        OutputExistsError
            If there is such an output already and `overwrite` is not set, or anything that is not
            ours.
        """
        found = self.condition(folder)
        replaced = {"complete", "unfinished"} if overwrite is True else {overwrite}
        if found in {"absent", "empty", *replaced}:
            return
        url, what = folder.url, self.what
        messages = {
            "complete": (
                f"{url!r} holds {what} already. Choose another path, or replace it "
                "(overwrite=True, --overwrite)."
            ),
            "unfinished": (
                f"{url!r} holds {what} of a run that did not finish or is still running. "
                "Choose another path, or replace it (overwrite=True, --overwrite)."
            ),
            "file": f"{url!r} is a file; {what} are written into a directory. Choose another path.",
            "foreign": (
                f"the directory {url!r} is not empty and holds no {what} written by lazyana; it is "
                "never overwritten. Choose another path."
            ),
        }
        raise OutputExistsError(messages[found])

    def prepare(self, folder: Folder, *, overwrite: Overwrite) -> None:
        """Make an empty output that is marked as unfinished.

        Of an older output the files that we wrote are removed; others in the same directory stay.

        Raises
        ------
        OutputExistsError
            As for `check`.
        InputError
            If the file system cannot be written to.
        """
        self.check(folder, overwrite=overwrite)
        try:
            folder.write_json(UNFINISHED, self.mark)
        except NotImplementedError as err:
            msg = f"cannot write {self.what} to {folder.url!r}: this kind of URL can only be read."
            raise InputError(msg) from err
        if folder.exists(MANIFEST):
            folder.remove([MANIFEST])
        folder.remove(path for path in folder.files() if self.ours.fullmatch(path))

    def complete(
        self, folder: Folder, listed: Mapping[str, int], content: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Make an output complete: check its files, remove others of ours, write the manifest.

        Parameters
        ----------
        folder
            Where the files are.
        listed
            Their sizes in bytes, by relative path.
        content
            What the manifest is to tell, besides its mark, the number and size of all files, and
            the provenance.

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
        wrong = [path for path, size in listed.items() if files.get(path) != size]
        if wrong:
            msg = (
                f"{len(wrong)} of {len(listed)} files of {folder.url!r} are missing or were "
                f"changed after they were written, the first is {wrong[0]!r}. Do all workers see "
                "this directory, and does no other run write to it?"
            )
            raise RunError(msg)
        folder.remove(path for path in files if self.ours.fullmatch(path) and path not in listed)
        total = {"files": len(listed), "bytes": sum(listed.values())}
        manifest = {**self.mark, **content, "total": total, "provenance": {}}
        folder.write_json(MANIFEST, manifest)
        if folder.exists(UNFINISHED):
            folder.remove([UNFINISHED])
        return manifest

    def read(self, folder: Folder) -> dict[str, Any]:
        """Manifest of a complete output, its files checked to be there in full size.

        Raises
        ------
        FileError
            If there is none, if it is of a later version, or if files are missing or cut short.
        """
        found = self.condition(folder)
        if found == "unfinished":
            msg = (
                f"the run that wrote {folder.url!r} did not finish, or is still running: "
                f"there is no {MANIFEST}. Run it again with overwrite=True."
            )
            raise FileError(msg)
        if found != "complete":
            msg = (
                f"{folder.url!r} is not a directory of {self.what} written by lazyana: no "
                f"{MANIFEST} in it."
            )
            raise FileError(msg)
        manifest: dict[str, Any] = folder.read_json(MANIFEST)
        if manifest["version"] > self.version:
            msg = (
                f"{folder.url!r} was written in version {manifest['version']} of the format; this "
                f"lazyana knows versions up to {self.version}. Use a later lazyana, or read its "
                f"files with {self.reader}."
            )
            raise FileError(msg)
        sizes = folder.files()
        for file in _files(manifest["datasets"]):
            if sizes.get(file["path"]) != file["bytes"]:
                msg = (
                    f"the file {file['path']!r} of {folder.url!r} is missing or was changed since "
                    "it was written."
                )
                raise FileError(msg)
        return manifest


def _files(entries: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All files that the entries of a manifest list, at any depth."""
    for entry in entries.values():
        if "files" in entry:
            yield from entry["files"]
        else:
            yield from _files(entry)
