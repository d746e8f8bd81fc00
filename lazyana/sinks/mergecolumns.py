"""Folders of parquet files as one file each, piece by piece."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from lazyana.errors import FileError, InputError, OutputExistsError, RunError
from lazyana.sinks.columns import COMPRESSIONS, check_known
from lazyana.sinks.folder import MANIFEST, UNFINISHED, Folder, absolute
from lazyana.sinks.manifest import unpack_schema
from lazyana.sinks.parquet import common_schema
from lazyana.sinks.tables import arrow_filesystem, open_columns

BATCH = 16_384
"""Rows that are read at a time."""

ROW_GROUP = 131_072
"""Rows that are written together."""


@dataclass(frozen=True)
class MergedFile:
    """A file that several were merged into.

    Attributes
    ----------
    url
        The file.
    rows
        Number of rows.
    files
        Number of files it was made of.
    """

    url: str
    rows: int
    files: int


@dataclass(frozen=True)
class _Task:
    """Files that become one.

    Attributes
    ----------
    name
        Path of the new file in the folder that is written.
    files
        Paths of the files in the folder that is read, in order.
    rows
        What they hold, as their manifest says; None where there is none.
    schema
        Their columns; None where there is no manifest.
    """

    name: str
    files: tuple[str, ...]
    rows: int | None = None
    schema: pa.Schema | None = None


def merge_columns(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    compression: str = "zstd",
    overwrite: bool = False,
) -> tuple[MergedFile, ...]:
    """Merge the parquet files of each folder at any depth into one file.

    Of columns that lazyana saved it is one file for each dataset and shape variation, called
    ``<folder>/<dataset>/<variation>.parquet``; of other folders it is ``<folder>.parquet``. There
    are no more rows in memory than two row groups have.

    Parameters
    ----------
    source
        Path or URL of a folder.
    target
        Where to write to; default: ``<source>_merged``.
    compression
        As for `pyarrow.parquet.ParquetWriter`.
    overwrite
        Whether files that are there may be replaced.

    Returns
    -------
    tuple of MergedFile
        The files that were written.

    Raises
    ------
    FileError
        No parquet files; columns that are not complete.
    InputError
        The folder itself, or one in it, as target; a compression that there is not.
    OutputExistsError
        A file that is there already; before anything is written.
    RunError
        Columns without a common type; rows that were lost.
    """
    folder = Folder(absolute(source))
    written = Folder(absolute(target) if target is not None else f"{folder.url.rstrip('/')}_merged")
    if f"{written.url.rstrip('/')}/".startswith(f"{folder.url.rstrip('/')}/"):
        msg = (
            f"{written.url} is the folder that is merged, or in it: merged files would be among "
            "those they are made of. Write to another folder."
        )
        raise InputError(msg)
    check_known(compression, COMPRESSIONS, "compression")
    tasks = list(_tasks(folder))
    if not tasks:
        msg = f"There are no parquet files in {folder.url}."
        raise FileError(msg)
    there = [task.name for task in tasks if written.exists(task.name)]
    if there and not overwrite:
        msg = (
            f"{written.full(there[0])} exists already: write to another folder, or replace it "
            "(overwrite=True, --overwrite)."
        )
        raise OutputExistsError(msg)
    return tuple(_merged(folder, written, task, compression) for task in tasks)


def _tasks(folder: Folder) -> Iterator[_Task]:
    files = sorted(folder.files()) if folder.exists() else []
    marks = {file for file in files if PurePosixPath(file).name in (MANIFEST, UNFINISHED)}
    roots = sorted({_parent(mark) for mark in marks})
    for root in roots:
        yield from _saved(folder, root)
    ours = tuple(f"{root}/" if root else "" for root in roots)
    others: dict[str, list[str]] = {}
    for file in files:
        hidden = PurePosixPath(file).name.startswith((".", "_"))
        if file.endswith(".parquet") and not hidden and not file.startswith(ours):
            others.setdefault(_parent(file), []).append(file)
    for parent, some in others.items():
        name = parent or PurePosixPath(folder.full()).name
        yield _Task(f"{name}.parquet", tuple(sorted(some, key=_natural)))


def _saved(folder: Folder, root: str) -> Iterator[_Task]:
    """Columns that were saved with a manifest, which are checked to be complete."""
    columns = open_columns(f"{folder.url.rstrip('/')}/{root}" if root else folder.url)
    for dataset in columns.datasets:
        for variation in columns.variations(dataset):
            entry = columns.summary(dataset, variation)
            place = PurePosixPath(root, dataset.replace("/", "_"), variation)
            yield _Task(
                f"{place}.parquet",
                tuple(str(PurePosixPath(root, file["path"])) for file in entry["files"]),
                entry["rows"],
                unpack_schema(columns.manifest["schemas"][entry["schema"]]),
            )


def _merged(folder: Folder, written: Folder, task: _Task, compression: str) -> MergedFile:
    filesystem = arrow_filesystem(folder)
    paths = [folder.full(file) for file in task.files]
    schema = task.schema
    if schema is None:
        schemas = [pq.read_schema(path, filesystem=filesystem) for path in paths]
        schema = common_schema(schemas, repr(folder.full(_parent(task.files[0]))))
    expected = task.rows
    if expected is None:
        expected = sum(_rows(path, filesystem) for path in paths)
    data = pads.FileSystemDataset.from_paths(
        paths, schema=schema, format=pads.ParquetFileFormat(), filesystem=filesystem
    )
    rows = 0

    def write(file: IO[bytes]) -> None:
        nonlocal rows
        with pq.ParquetWriter(file, schema, compression=compression) as writer:
            for table in _row_groups(data, schema):
                writer.write_table(table, row_group_size=ROW_GROUP)
                rows += table.num_rows
        if rows != expected:
            msg = (
                f"{task.name} would have {rows:,} rows, but the {len(paths)} files in "
                f"{folder.full(_parent(task.files[0]))} have {expected:,}: did they change?"
            )
            raise RunError(msg)

    written.write(task.name, write)
    return MergedFile(written.full(task.name), rows, len(paths))


def _row_groups(data: pads.Dataset, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in order, put together to what is written at a time."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    # One file and few batches ahead: rows of several files are not in memory.
    for batch in data.to_batches(batch_size=BATCH, fragment_readahead=1, batch_readahead=2):
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= ROW_GROUP:
            yield pa.Table.from_batches(waiting, schema=schema)
            waiting, rows = [], 0
    if rows:
        yield pa.Table.from_batches(waiting, schema=schema)


def _rows(path: str, filesystem: Any) -> int:
    return int(pq.read_metadata(path, filesystem=filesystem).num_rows)


def _parent(file: str) -> str:
    return file.rpartition("/")[0]


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in names by their size."""
    parts = re.findall(r"(\d+)|(\D+)", name)
    return [(int(number) if number else -1, text) for number, text in parts]
