"""Saved columns as users get them back: from parquet files, or held in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import awkward as ak
import pyarrow as pa
import pyarrow.dataset as pads
from fsspec.implementations.local import LocalFileSystem
from pyarrow.fs import FSSpecHandler, PyFileSystem
from pyarrow.fs import LocalFileSystem as ArrowLocalFileSystem

from lazyana.errors import ColumnError, InputError, did_you_mean
from lazyana.sinks.base import NOMINAL
from lazyana.sinks.folder import MANIFEST, Folder, absolute
from lazyana.sinks.manifest import unpack_schema
from lazyana.sinks.parquet import COLUMNS, common_schema

_KEYS = ("dataset", "variation")
_KEY_TYPE = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class ColumnDataset:
    """Columns saved as a directory of parquet files, complete and described by its manifest.

    Only files that the manifest lists are read, in the order of their partitions, so rows come in
    the order of the events.

    Attributes
    ----------
    path
        The directory; a path or a URL.
    manifest
        What is in it: ``columns`` (name, type, unit, label), ``datasets`` (for each dataset and
        shape variation: events, rows, bytes, sumw, sumw2, files), ``total``, ``provenance``.

    See Also
    --------
    open_columns : Get one from a directory.
    """

    path: str
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets."""
        return tuple(self.manifest["datasets"])

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that are in any of the datasets."""
        return tuple(column["name"] for column in self.manifest["columns"])

    @property
    def rows(self) -> int:
        """Number of rows of all datasets, without shape variations."""
        return sum(entry["rows"] for _, _, entry in self._entries(None, NOMINAL))

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How the columns were made."""
        provenance: Mapping[str, Any] = self.manifest["provenance"]
        return provenance

    def variations(self, dataset: str) -> tuple[str, ...]:
        """Labels of the shape variations of a dataset, ``"nominal"`` first."""
        self._known([dataset], self.datasets, "dataset")
        return tuple(self.manifest["datasets"][dataset])

    def summary(self, dataset: str, variation: str = NOMINAL) -> Mapping[str, Any]:
        """Entry of the manifest: events, rows, bytes, sumw, sumw2, files.

        Raises
        ------
        InputError
            If there is no such dataset or variation.
        """
        self._known([variation], self.variations(dataset), f"variation of {dataset!r}")
        entry: Mapping[str, Any] = self.manifest["datasets"][dataset][variation]
        return entry

    def to_arrow_dataset(
        self, dataset: str | Sequence[str] | None = None, variation: str | None = NOMINAL
    ) -> pads.Dataset:
        """Give the files to pyarrow, with ``dataset`` and ``variation`` as columns.

        Parameters
        ----------
        dataset
            One or more datasets; all by default.
        variation
            Shape variation; None for all of them.

        Returns
        -------
        pyarrow.dataset.Dataset
            Nothing is read yet.

        Raises
        ------
        InputError
            If there is no such dataset or variation.
        """
        entries = self._entries(dataset, variation)
        files = [(file["path"], name, label) for name, label, e in entries for file in e["files"]]
        folder = Folder(self.path)
        return pads.FileSystemDataset.from_paths(
            [folder.full(path) for path, _, _ in files],
            schema=self._schema(entries),
            format=pads.ParquetFileFormat(),
            filesystem=arrow_filesystem(folder),
            partitions=[
                (pads.field("dataset") == name) & (pads.field("variation") == label)
                for _, name, label in files
            ],
        )

    def to_arrow(
        self,
        dataset: str | Sequence[str] | None = None,
        variation: str | None = NOMINAL,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Read into memory as one Arrow table.

        Parameters
        ----------
        dataset, variation
            As for `to_arrow_dataset`.
        columns
            Which columns; all by default, with ``dataset`` where that can be more than one, and
            ``variation`` likewise.

        Returns
        -------
        pyarrow.Table
            Units and labels are in the metadata of its fields.

        Raises
        ------
        InputError
            If there is no such dataset or variation.
        ColumnError
            If there is no such column.
        """
        lazy = self.to_arrow_dataset(dataset, variation)
        chosen = self._choose(lazy.schema, dataset, variation, columns)
        return lazy.to_table(columns=chosen)

    def to_awkward(
        self,
        dataset: str | Sequence[str] | None = None,
        variation: str | None = NOMINAL,
        columns: Sequence[str] | None = None,
    ) -> ak.Array:
        """Read into memory as an awkward array of records; parameters as for `to_arrow`.

        Returns
        -------
        awkward.Array
            Shape ``(rows,)``, with the types that were saved.
        """
        table = self.to_arrow(dataset, variation, columns)
        if not table.num_columns:
            return ak.Array(ak.contents.RecordArray([], [], length=table.num_rows))
        if not table.num_rows:
            empty = [pa.array([], type=column.type) for column in table.schema]
            table = pa.Table.from_arrays(empty, schema=table.schema)
        return ak.from_arrow(table)

    def batches(
        self,
        columns: Sequence[str] | None = None,
        batch_size: int = 65_536,
        *,
        dataset: str | Sequence[str] | None = None,
        variation: str | None = NOMINAL,
    ) -> Iterator[pa.RecordBatch]:
        """Read piece by piece, in order, e.g. for training; parameters as for `to_arrow`.

        Parameters
        ----------
        columns
            Which columns.
        batch_size
            Largest number of rows in a batch.
        dataset, variation
            As for `to_arrow_dataset`.

        Returns
        -------
        iterator of pyarrow.RecordBatch
            Never empty ones. Wrong arguments raise at once, not at the first batch.
        """
        if batch_size < 1:
            msg = f"batch_size is {batch_size}; it must be at least 1."
            raise InputError(msg)
        lazy = self.to_arrow_dataset(dataset, variation)
        chosen = self._choose(lazy.schema, dataset, variation, columns)
        found: Iterator[pa.RecordBatch] = lazy.to_batches(columns=chosen, batch_size=batch_size)
        return (batch for batch in found if batch.num_rows)

    def stamp(self, provenance: Mapping[str, Any]) -> ColumnDataset:
        """Write into the manifest how the columns were made.

        Parameters
        ----------
        provenance
            Anything JSON can hold.

        Returns
        -------
        ColumnDataset
            With that provenance; the manifest on disk is replaced atomically.
        """
        manifest = {**self.manifest, "provenance": dict(provenance)}
        Folder(self.path).write_json(MANIFEST, manifest)
        return replace(self, manifest=manifest)

    def _entries(
        self, dataset: str | Sequence[str] | None, variation: str | None
    ) -> list[tuple[str, str, Mapping[str, Any]]]:
        if dataset is None:
            names: Sequence[str] = self.datasets
        else:
            names = [dataset] if isinstance(dataset, str) else dataset
            self._known(names, self.datasets, "dataset")
        found = [
            (name, label, entry)
            for name in names
            for label, entry in self.manifest["datasets"][name].items()
            if variation in {None, label}
        ]
        if variation is not None and names and not found:
            labels = dict.fromkeys(label for name in names for label in self.variations(name))
            self._known([variation], tuple(labels), f"variation of {', '.join(names)}")
        return found

    def _schema(self, entries: Sequence[tuple[str, str, Mapping[str, Any]]]) -> pa.Schema:
        used = dict.fromkeys(entry["schema"] for _, _, entry in entries)
        schemas = [unpack_schema(self.manifest["schemas"][index]) for index in used]
        schema = common_schema(schemas, repr(self.path)) if schemas else pa.schema([])
        for key in _KEYS:
            schema = schema.append(pa.field(key, _KEY_TYPE, nullable=False))
        return schema

    def _choose(
        self,
        schema: pa.Schema,
        dataset: str | Sequence[str] | None,
        variation: str | None,
        columns: Sequence[str] | None,
    ) -> list[str]:
        if columns is None:
            dropped = {"dataset"} if isinstance(dataset, str) else set()
            dropped |= {"variation"} if variation is not None else set()
            return [name for name in schema.names if name not in dropped]
        chosen = [columns] if isinstance(columns, str) else list(columns)
        for name in chosen:
            if name not in schema.names:
                msg = (
                    f"no column {name!r} in {self.path!r}.{did_you_mean(name, schema.names)} "
                    f"There are: {', '.join(schema.names)}."
                )
                raise ColumnError(msg)
        return chosen

    def _known(self, names: Sequence[str], choices: Sequence[str], what: str) -> None:
        for name in names:
            if name not in choices:
                msg = (
                    f"no {what} {name!r} in {self.path!r}.{did_you_mean(name, choices)} "
                    f"There are: {', '.join(choices)}."
                )
                raise InputError(msg)


@dataclass(frozen=True, eq=False)
class ColumnTable(Mapping[str, ak.Array]):
    """Columns held in memory: a mapping of dataset to its nominal array of records.

    Shape variations are there under `to_awkward`, which takes the same arguments as that of
    `ColumnDataset`: code that uses it does not have to know where the columns are.

    Attributes
    ----------
    arrays
        By dataset and shape variation; each of shape ``(rows,)``, records of the columns.
    """

    arrays: Mapping[tuple[str, str], ak.Array] = field(repr=False)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets."""
        return tuple(dict.fromkeys(dataset for dataset, _ in self.arrays))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that are in any of the datasets."""
        return tuple(dict.fromkeys(name for array in self.arrays.values() for name in array.fields))

    @property
    def rows(self) -> int:
        """Number of rows of all datasets, without shape variations."""
        return sum(len(self[dataset]) for dataset in self.datasets)

    def variations(self, dataset: str) -> tuple[str, ...]:
        """Labels of the shape variations of a dataset, ``"nominal"`` first."""
        return tuple(label for name, label in self.arrays if name == dataset)

    def to_awkward(
        self, dataset: str, variation: str = NOMINAL, columns: Sequence[str] | None = None
    ) -> ak.Array:
        """Array of records of one dataset and one shape variation.

        Parameters
        ----------
        dataset, variation
            Which.
        columns
            Names of the columns; all by default.

        Returns
        -------
        awkward.Array
            Shape ``(rows,)``.

        Raises
        ------
        InputError
            If there is no such dataset or variation.
        ColumnError
            If there is no such column.
        """
        array = self._find(dataset, variation)
        if columns is None:
            return array
        for name in columns:
            if name not in array.fields:
                msg = (
                    f"no column {name!r}.{did_you_mean(name, array.fields)} "
                    f"There are: {', '.join(array.fields)}."
                )
                raise ColumnError(msg)
        return array[list(columns)]

    def _find(self, dataset: str, variation: str) -> ak.Array:
        if (dataset, variation) in self.arrays:
            return self.arrays[dataset, variation]
        known = dataset in self.datasets
        what, word = (f"variation of {dataset!r}", variation) if known else ("dataset", dataset)
        choices = self.variations(dataset) if known else self.datasets
        msg = f"no {what} {word!r}.{did_you_mean(word, choices)} There are: {', '.join(choices)}."
        raise InputError(msg)

    def __getitem__(self, dataset: str) -> ak.Array:
        """Nominal array of a dataset; `ColumnError`, a `KeyError`, if there is none."""
        try:
            return self._find(dataset, NOMINAL)
        except InputError as err:
            raise ColumnError(str(err)) from None

    def __iter__(self) -> Iterator[str]:
        """Names of the datasets."""
        return iter(self.datasets)

    def __len__(self) -> int:
        """Count the datasets."""
        return len(self.datasets)


def open_columns(path: str | os.PathLike[str]) -> ColumnDataset:
    """Open columns that were saved as a directory of parquet files.

    Parameters
    ----------
    path
        The directory; a path or a URL.

    Returns
    -------
    ColumnDataset
        Nothing but its manifest is read yet.

    Raises
    ------
    FileError
        If there are no columns, if the run that wrote them did not finish, or if files are
        missing or were changed since.

    Examples
    --------
    >>> ntuple = open_columns("results/columns")  # doctest: +SKIP
    >>> ntuple.to_awkward("DYJetsToLL", columns=["mll", "weight"])  # doctest: +SKIP
    """
    folder = Folder(absolute(path))
    return ColumnDataset(folder.url, COLUMNS.read(folder))


def arrow_filesystem(folder: Folder) -> Any:
    """The file system of a directory, as pyarrow wants it."""
    local = isinstance(folder.fs, LocalFileSystem)
    return ArrowLocalFileSystem() if local else PyFileSystem(FSSpecHandler(folder.fs))
