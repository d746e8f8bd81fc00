"""The directory that saved columns live in: parquet parts, each written atomically.

::

    <path>/_manifest.json                                      written last: "this is complete"
    <path>/_unfinished.json                                    written first, removed last
    <path>/dataset=DY/variation=nominal/part-000000.parquet    one per partition
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from lazyana.errors import RunError
from lazyana.sinks.folder import Folder, Kind

#: Few different values, such as counts and run numbers, are worth a dictionary. With pyarrow's own
#: limit of 1 MB one is built for momenta too: twice the time for larger files (measured).
_DICTIONARY_BYTES = 65_536

#: Files that are ours are parts, and parts whose writing was cut short.
COLUMNS = Kind(
    "columns",
    1,
    re.compile(r"dataset=[^/]+/variation=[^/]+/(part-[^/]+\.parquet|\.part-[^/]+\.tmp)"),
    "pyarrow.dataset",
)


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
