"""The manifest of saved columns: what is in the directory, and the sign that it is complete."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from lazyana.sinks.folder import Folder
from lazyana.sinks.parquet import COLUMNS, Part, Parts, part_path, write_table


def complete(
    folder: Folder, found: Mapping[tuple[str, str], Parts], *, flattened: bool, compression: str
) -> dict[str, Any]:
    """Make the output complete: check its files, remove what is not part of it, write the manifest.

    Parameters
    ----------
    folder
        Where the parts are.
    found
        What was written, by dataset and shape variation. Where nothing was kept a part without
        rows is added, so that every reader finds the columns.
    flattened
        Whether rows are objects.
    compression
        Of the parts added here.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    RunError
        If a part is missing or was changed since it was written.
    """
    whole = {key: _never_empty(folder, *key, parts, compression) for key, parts in found.items()}
    listed = {part.path: part.bytes for parts in whole.values() for part in parts.parts}
    return COLUMNS.complete(folder, listed, _content(whole, flattened=flattened))


def _never_empty(
    folder: Folder, dataset: str, variation: str, found: Parts, compression: str
) -> Parts:
    if found.parts or not len(found.schema):
        return found
    path = part_path(dataset, variation, "part-empty")
    size = write_table(folder, path, found.schema.empty_table(), compression)
    return Parts(found.partitions, (Part(path, 0, 0, size, 0.0, 0.0),), found.schema)


def _content(found: Mapping[tuple[str, str], Parts], *, flattened: bool) -> dict[str, Any]:
    schemas = list(dict.fromkeys(pack_schema(parts.schema) for parts in found.values()))
    columns: dict[str, dict[str, Any]] = {}
    for parts in found.values():
        for field in parts.schema:
            columns.setdefault(field.name, _describe(field))
    datasets: dict[str, dict[str, Any]] = {}
    for (dataset, variation), parts in found.items():
        entry = {
            "partitions": parts.partitions,
            **_totals(parts.parts),
            "schema": schemas.index(pack_schema(parts.schema)),
            "files": [_plain(part) for part in parts.parts],
        }
        datasets.setdefault(dataset, {})[variation] = entry
    return {
        "flattened": flattened,
        "columns": list(columns.values()),
        "datasets": datasets,
        "schemas": schemas,
    }


def _describe(field: pa.Field) -> dict[str, Any]:
    extra = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
    return {
        "name": field.name,
        "type": str(field.type),
        "nullable": field.nullable,
        "unit": extra.get("unit", ""),
        "label": extra.get("label", ""),
    }


def _totals(parts: Sequence[Part]) -> dict[str, Any]:
    return {
        "events": sum(part.events for part in parts),
        "rows": sum(part.rows for part in parts),
        "bytes": sum(part.bytes for part in parts),
        "sumw": _number(_sum([part.sumw for part in parts])),
        "sumw2": _number(_sum([part.sumw2 for part in parts])),
    }


def _sum(values: Sequence[float]) -> float:
    # exact where it can be, so that the order of the partitions does not matter
    return math.fsum(values) if all(map(math.isfinite, values)) else math.nan


def _plain(part: Part) -> dict[str, Any]:
    return asdict(part) | {"sumw": _number(part.sumw), "sumw2": _number(part.sumw2)}


def _number(value: float) -> float | None:
    # JSON knows neither nan nor infinity
    return value if math.isfinite(value) else None


def pack_schema(schema: pa.Schema) -> str:
    """Turn a schema into text."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def unpack_schema(text: str) -> pa.Schema:
    """Turn the text back into a schema."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
