"""The directory that saved columns live in: parquet parts, each written atomically.

::

    <path>/_manifest.json                                      written last: "this is complete"
    <path>/_unfinished.json                                    written first, removed last
    <path>/dataset=DY/variation=nominal/part-000000.parquet    one per partition

The names of the two JSON files start with an underscore because every reader of parquet directories
(pyarrow, spark, awkward) skips such files, so the directory as a whole can be read without lazyana.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from lazyana.errors import InputError, OutputExistsError, RunError

MANIFEST = "_manifest.json"
UNFINISHED = "_unfinished.json"
FORMAT = "lazyana columns"
VERSION = 1

#: Few different values, such as counts and run numbers, are worth a dictionary. With pyarrow's own
#: limit of 1 MB one is built for momenta too: twice the time for larger files (measured).
_DICTIONARY_BYTES = 65_536

#: Files that are ours: parts, and parts whose writing was cut short.
OURS = re.compile(r"dataset=[^/]+/variation=[^/]+/(part-[^/]+\.parquet|\.part-[^/]+\.tmp)")

Condition = Literal["absent", "empty", "complete", "unfinished", "foreign", "file"]


@dataclass(frozen=True)
class Part:
    """One parquet file: what one partition left of one dataset and one shape variation.

    Attributes
    ----------
    path
        Relative to the directory of the output.
    events, rows
        Events kept, and rows written; they differ where objects were flattened.
    bytes
        Size of the file.
    sumw, sumw2
        Sum over the rows of the nominal weight, and of its square.
    """

    path: str
    events: int
    rows: int
    bytes: int
    sumw: float
    sumw2: float


@dataclass(frozen=True)
class Parts:
    """What is known so far of one dataset and one shape variation.

    Attributes
    ----------
    partitions
        Number of partitions seen, also those of which nothing was kept.
    parts
        The files, in the order of the partitions.
    schema
        Types of all of them.
    """

    partitions: int
    parts: tuple[Part, ...]
    schema: pa.Schema


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
            msg = f"cannot write columns to {self.url!r}: chained URLs can only be read."
            raise InputError(msg)
        try:
            fs, root = url_to_fs(self.url)
        except (ValueError, ImportError) as err:
            msg = f"cannot write columns to {self.url!r}: {err}"
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


def condition(folder: Folder, form: str = FORMAT) -> Condition:
    """Look at what is at the place of an output of a format."""
    folder.fs.invalidate_cache()
    if not folder.exists():
        return "absent"
    if folder.fs.isfile(folder.full()):
        return "file"
    inside = folder.fs.ls(folder.full(), detail=False)
    names = {str(name).rstrip("/").rpartition("/")[2] for name in inside}
    # The manifest is looked for first: it is there from the moment the output is complete to the
    # moment before its first part is removed, whether or not the other file is there too.
    if MANIFEST in names and _is_ours(folder, MANIFEST, form):
        return "complete"
    if UNFINISHED in names and _is_ours(folder, UNFINISHED, form):
        return "unfinished"
    return "foreign" if names else "empty"


def _is_ours(folder: Folder, relative: str, form: str) -> bool:
    try:
        content = folder.read_json(relative)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("format") == form


def check(folder: Folder, *, overwrite: bool) -> None:
    """Refuse to write where something is; changes nothing.

    Raises
    ------
    OutputExistsError
        If there are columns already and `overwrite` is not set, or anything that is not ours.
    """
    found = condition(folder)
    if found in {"absent", "empty"} or (overwrite and found in {"complete", "unfinished"}):
        return
    url = folder.url
    if found == "complete":
        msg = f"{url!r} holds columns already. Choose another path or pass overwrite=True."
    elif found == "unfinished":
        msg = (
            f"{url!r} holds columns of a run that did not finish or is still running. "
            "Choose another path or pass overwrite=True."
        )
    elif found == "file":
        msg = f"{url!r} is a file; columns are written into a directory. Choose another path."
    else:
        msg = (
            f"the directory {url!r} is not empty and was not written by lazyana; it is never "
            "overwritten. Choose another path."
        )
    raise OutputExistsError(msg)


def prepare(folder: Folder, *, overwrite: bool) -> None:
    """Make an empty output that is marked as unfinished.

    Of an older output the files that we wrote are removed; others in the same directory stay.

    Raises
    ------
    OutputExistsError
        As for `check`.
    InputError
        If the file system cannot be written to.
    """
    check(folder, overwrite=overwrite)
    begin(folder, "columns", {"format": FORMAT, "version": VERSION}, OURS)


def begin(folder: Folder, what: str, mark: Mapping[str, Any], ours: re.Pattern[str]) -> None:
    """Mark an output as unfinished, and remove what is left of an older one.

    Parameters
    ----------
    folder
        Where it is.
    what
        What is written, for the message.
    mark
        Format and version.
    ours
        What the paths of files that we wrote look like; other files stay.

    Raises
    ------
    InputError
        If the file system cannot be written to.
    """
    try:
        folder.write_json(UNFINISHED, mark)
    except NotImplementedError as err:
        msg = f"cannot write {what} to {folder.url!r}: this kind of URL can only be read."
        raise InputError(msg) from err
    if folder.exists(MANIFEST):
        folder.remove([MANIFEST])
    folder.remove(path for path in folder.files() if ours.fullmatch(path))


def part_path(dataset: str, variation: str, name: str) -> str:
    """Relative path of a part; pyarrow undoes the quoting of unusual characters."""
    return f"dataset={quote(dataset, safe='')}/variation={quote(variation, safe='')}/{name}.parquet"


def write_table(folder: Folder, relative: str, table: pa.Table, compression: str) -> int:
    """Write one part atomically and return its size in bytes."""

    def write(file: IO[bytes]) -> None:
        pq.write_table(
            table, file, compression=compression, dictionary_pagesize_limit=_DICTIONARY_BYTES
        )

    return folder.write(relative, write)


def with_metadata(
    schema: pa.Schema, units: Mapping[str, str], labels: Mapping[str, str]
) -> pa.Schema:
    """Put units and labels into the metadata of the fields; other metadata is dropped."""

    def annotate(field: pa.Field) -> pa.Field:
        extra = {"unit": units.get(field.name), "label": labels.get(field.name)}
        return field.with_metadata({key: text for key, text in extra.items() if text})

    return pa.schema([annotate(field) for field in schema])


def common_schema(schemas: Sequence[pa.Schema], where: str) -> pa.Schema:
    """One schema that holds the columns of all.

    Numbers of different width become the wider, and a column that is missing somewhere can be null.

    Raises
    ------
    RunError
        If a column has types that cannot be joined.
    """
    distinct: list[pa.Schema] = []
    for schema in schemas:
        if not any(schema.equals(other, check_metadata=True) for other in distinct):
            distinct.append(schema)
    if len(distinct) == 1:
        return distinct[0]
    everywhere = set.intersection(*(set(schema.names) for schema in distinct))
    try:
        merged = pa.unify_schemas(distinct, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as err:
        msg = (
            f"the columns of {where} do not have one type everywhere: {err}. "
            "Convert with ak.values_astype, or read the datasets one by one."
        )
        raise RunError(msg) from err
    return pa.schema([f.with_nullable(f.nullable or f.name not in everywhere) for f in merged])
