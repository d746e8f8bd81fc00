"""Fields of RNTuples, and the columns that they are made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lazyana.reader.pages import Code

_COUNTER = re.compile(r"ROOT::RNTupleCardinality<(?:std::)?(u?int\d+)_t>")
_LEAF, _COLLECTION = 0, 1


@dataclass(frozen=True)
class Field:
    """A field of numbers, of lists of them, or of arrays of a fixed size.

    Attributes
    ----------
    sizes
        Size of each dimension after the first, from the outside; None for lists of any length.
    ends
        For each None in `sizes` the column with the end of each list.
    content
        Column with the numbers.
    counter
        Type of the numbers of a field that counts the items of a list; its column is one of ends.
    """

    sizes: tuple[int | None, ...]
    ends: tuple[int, ...]
    content: int
    counter: str | None = None

    @property
    def columns(self) -> tuple[int, ...]:
        """All columns that have to be read."""
        return (*self.ends, self.content)


@dataclass(frozen=True)
class Schema:
    """The fields of an RNTuple.

    Attributes
    ----------
    names
        All fields of entries.
    fields
        Those that are read page by page; the others are left to uproot.
    codes
        How each column is stored.
    """

    names: tuple[str, ...]
    fields: Mapping[str, Field]
    codes: tuple[Code | None, ...]

    def code(self, column: int) -> Code:
        """How a column of one of `fields` is stored."""
        code = self.codes[column]
        assert code is not None
        return code

    def dtype(self, field: Field) -> str:
        """Type of the numbers of a field."""
        return field.counter or self.code(field.content).dtype


def schema_of(model: Any) -> Schema:
    """The fields of an RNTuple opened by uproot."""
    records, columns = model.field_records, model.column_records
    children: dict[int, list[int]] = {}
    for number, record in enumerate(records):
        if record.parent_field_id != number:
            children.setdefault(record.parent_field_id, []).append(number)
    owned: dict[int, list[int]] = {}
    for number, column in enumerate(columns):
        owned.setdefault(column.field_id, []).append(number)
    codes = tuple(Code.of(column.type, column.nbits) for column in columns)

    def one_column(number: int) -> int | None:
        source = records[number].source_field_id
        found = owned.get(number if source is None else source, [])
        if len(found) != 1 or codes[found[0]] is None or columns[found[0]].first_element_index:
            return None  # strings, several representations, or added later
        return found[0]

    def field(number: int) -> Field | None:
        record = records[number]
        below = children.get(number, [])
        counter = _COUNTER.fullmatch(record.type_name)
        if record.struct_role == _COLLECTION and len(below) == 1:
            ends, inner = one_column(number), field(below[0])
            optional = record.type_name.startswith("std::optional")
            if ends is None or inner is None or optional:
                return None
            return Field((None, *inner.sizes), (ends, *inner.ends), inner.content, inner.counter)
        if record.struct_role == _LEAF and record.repetition and len(below) == 1:
            inner = field(below[0])
            if inner is None:
                return None
            sizes = (int(record.repetition), *inner.sizes)
            return Field(sizes, inner.ends, inner.content, inner.counter)
        column = one_column(number)
        if record.struct_role != _LEAF or record.repetition or below or column is None:
            return None
        return Field((), (), column, counter[1] if counter else None)

    top = {
        record.field_name: number
        for number, record in enumerate(records)
        if record.parent_field_id == number
    }
    fields = {name: field(number) for name, number in top.items()}
    return Schema(tuple(top), {name: one for name, one in fields.items() if one is not None}, codes)
