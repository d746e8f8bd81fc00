"""Operations the frame itself records, with types that need not be found out by trying."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import awkward as ak
import dask_awkward as dak
from dask_awkward.lib.structure import _WithFieldFn

from lazyana.plan.steps import Varied

_calls = itertools.count()


def mark(systematic: str, column: str, nominal: dak.Array) -> dak.Array:
    """A column that has other values in some variations; its value is the nominal one.

    Parameters
    ----------
    systematic, column
        What varies it, and what it is called.
    nominal
        The column.

    Returns
    -------
    dask_awkward.Array
        A new column each time: two frames may vary the same column differently.
    """
    varied: dak.Array = dak.map_partitions(
        Varied(systematic, column),
        nominal,
        label=f"vary-{systematic}",
        token=_token(nominal.name, str(next(_calls))),
        meta=nominal._meta,
    )
    return varied


def put_field(record: dak.Array, name: str | list[str], column: dak.Array) -> dak.Array:
    """A record array with one field replaced or added, as `ak.with_field` makes it.

    Parameters
    ----------
    record, column
        The records and the new field.
    name
        Name of the field, or the names that lead to it.
    """
    layout = None
    if isinstance(name, str):
        layout = _with_content(record._meta.layout, column._meta.layout, name)
    put: dak.Array
    if layout is None:
        put = ak.with_field(record, column, name)
        return put
    meta = record._meta
    put = dak.map_partitions(
        _WithFieldFn(name, True, None, None),
        record,
        column,
        label="with-field",
        token=_token(record.name, column.name, str(name)),
        meta=ak.Array(layout, behavior=meta.behavior, attrs=meta.attrs),
    )
    return put


def _with_content(records: Any, column: Any, name: str) -> Any:
    """Layout of records with a field replaced; None where that is not straightforward."""
    if column.parameter("__array__") is not None or column.is_regular or records.is_regular:
        return None
    if records.is_record and name in records.fields and not (column.is_option or records.is_tuple):
        contents = [
            column if field == name else content
            for field, content in zip(records.fields, records.contents, strict=True)
        ]
        return records.copy(contents=contents)
    if records.is_list and column.is_list:
        content = _with_content(records.content, column.content, name)
        return None if content is None else records.copy(content=content)
    return None


def _token(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
