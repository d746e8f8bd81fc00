"""Parquet files: what inspection notes of them, and reading their column chunks."""

from __future__ import annotations

import bisect
import hashlib
import io
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader.fileinfo import FileInfo, Layout, Places, Sizes
from lazyana.reader.forms import Form, base_form, known_layout, plain_form
from lazyana.reader.ranges import Range, read_ranges, told_of
from lazyana.reader.spans import Note, Span
from lazyana.reader.trees import ReplacedError, first_line, keep

MAGIC = b"PAR1"
_TAIL_BYTES = 8
_GUESS_BYTES = 65_536
_PROBE_BYTES = 1_024


class FootlessError(FileError):
    """A file that does not end as a parquet file does."""


@dataclass(frozen=True)
class Footer:
    """The end of a parquet file, which tells what is in it.

    Attributes
    ----------
    metadata
        What pyarrow makes of it.
    uuid
        Hash of its bytes: sizes, positions, statistics and schema of everything in the file.
    file_bytes
        Size of the file.
    probe, probed
        A part of the footer, and the bytes in it: other ones mean that the file was replaced.
    """

    metadata: Any
    uuid: str
    file_bytes: int
    probe: Range
    probed: bytes


class Pieces(io.RawIOBase):
    """A file of which pyarrow reads parts that were fetched together."""

    def __init__(self, url: str, size: int, options: ReadOptions) -> None:
        super().__init__()
        self._url = url
        self._size = size
        self._options = options
        self._at = 0
        self._starts: list[int] = []
        self._views: list[memoryview] = []
        self.failure: Exception | None = None

    def hold(self, ranges: Sequence[Range], views: Sequence[memoryview]) -> None:
        """Have these parts, and no others, at hand."""
        pairs = sorted(zip(ranges, views, strict=True), key=lambda pair: pair[0])
        self._starts = [first for (first, _), _ in pairs]
        self._views = [view for _, view in pairs]
        self.failure = None

    def readable(self) -> bool:
        """Parts can be read."""
        return True

    def seekable(self) -> bool:
        """Any part can be read."""
        return True

    def tell(self) -> int:
        """Position of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes; those not at hand are fetched."""
        first = self._at
        stop = self._size if size is None or size < 0 else min(first + size, self._size)
        self._at = max(stop, first)
        place = bisect.bisect_right(self._starts, first) - 1
        if place >= 0:
            view, begin = self._views[place], first - self._starts[place]
            if begin + stop - first <= len(view):
                return bytes(view[begin : begin + stop - first])
        if stop <= first:
            return b""
        try:
            return bytes(read_ranges(self._url, [(first, stop)], self._options)[0])
        except Exception as error:
            # Kept, since pyarrow does not tell it from data that are damaged.
            self.failure = error
            raise


class Parquet:
    """An opened parquet file."""

    def __init__(self, url: str, size: int, options: ReadOptions) -> None:
        self.footer = read_footer(url, size, options)
        self.uuid = self.footer.uuid
        self.pieces = Pieces(url, self.footer.file_bytes, options)
        metadata = self.footer.metadata
        self.file: Any = pq.ParquetFile(
            self.pieces, metadata=metadata, pre_buffer=False, page_checksum_verification=True
        )
        self.schema = self.file.schema_arrow
        self.leaves = _leaves(self.schema)
        groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self.edges: list[int] = np.cumsum([0, *groups], dtype=np.int64).tolist()

    def close(self) -> None:
        """Let go of the file."""
        self.pieces.hold([], [])
        self.file.close()


def read_footer(url: str, size: int, options: ReadOptions) -> Footer:
    """Read and parse the footer of a parquet file of a known size.

    Raises
    ------
    FootlessError
        A file that has no footer at its end.
    FileError
        A footer that is damaged.
    OSError
        What the file system or server says.
    """
    begin = max(size - _GUESS_BYTES, 0)
    (tail,) = read_ranges(url, [(begin, size)], options)
    length = int.from_bytes(tail[-_TAIL_BYTES:-4], "little") if size >= _TAIL_BYTES else 0
    start = size - _TAIL_BYTES - length
    if bytes(tail[-4:]) != MAGIC or start < len(MAGIC):
        msg = (
            f"{url} begins as a parquet file but does not end as one: it is cut short or damaged. "
            "It may still be being written or copied."
        )
        raise FootlessError(msg)
    if start < begin:
        (more,) = read_ranges(url, [(start, begin)], options)
        footer = bytes(more) + bytes(tail)
    else:
        footer = bytes(tail[start - begin :])
    try:
        metadata = pq.read_metadata(pa.BufferReader(footer))
    except (pa.ArrowException, OSError) as error:
        msg = f"The footer of {url} is damaged: {first_line(error)}"
        raise FileError(msg) from ValueError(str(error))
    # Around the middle, since names come first and the schema of Arrow last.
    middle, half = length // 2, _PROBE_BYTES // 2
    probe = (start + max(middle - half, 0), start + min(middle + half, length))
    return Footer(
        metadata=metadata,
        uuid=hashlib.sha256(footer).hexdigest()[:32],
        file_bytes=size,
        probe=probe,
        probed=footer[probe[0] - start : probe[1] - start],
    )


def _size(url: str, options: ReadOptions) -> int:
    if "://" not in url:
        return Path(url).stat().st_size
    _, info = told_of(url, options)
    if info.get("size") is None:
        msg = f"The server of {url} does not tell how long the file is, so its end is not found."
        raise FileError(msg)
    return int(info["size"])


# ------------------------------------------------------------------------------- inspection


def note_parquet(url: str, name: str, options: ReadOptions) -> tuple[FileInfo, Layout]:
    """What there is to know of a parquet file.

    Parameters
    ----------
    url
        Where it is.
    name
        What the fileset calls the tree, which a parquet file does not have.
    options
        How to read its footer.

    Raises
    ------
    FileError
        A file that is cut short or damaged.
    OSError
        What the file system or server says.
    """
    opened = Parquet(url, _size(url, options), options)
    schema, metadata = opened.schema, opened.footer.metadata
    # With its metadata: descriptions are in there.
    key = hashlib.sha256(schema.serialize().to_pybytes()).hexdigest()
    layout, places = known_layout("parquet", key, schema.names, lambda: _base_form(schema))
    packed, unpacked, codecs = _chunk_sizes(opened, places)
    opened.close()
    return FileInfo(
        url=url,
        tree=name,
        uuid=opened.uuid,
        entries=int(metadata.num_rows),
        signature=layout.signature,
        branch_bytes=packed,
        format="parquet",
        branch_memory=unpacked,
        clusters=tuple(dict.fromkeys(opened.edges)),
        file_bytes=opened.footer.file_bytes,
        compression=max(codecs, key=lambda codec: codecs[codec], default="none"),
    ), layout


def _chunk_sizes(opened: Parquet, places: Places) -> tuple[Sizes, Sizes, dict[str, int]]:
    """Compressed and uncompressed bytes of each column, and compressed ones by codec."""
    packed, unpacked = (array("q", bytes(8 * len(places))) for _ in range(2))
    codecs: dict[str, int] = {}
    metadata = opened.footer.metadata
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for name, leaves in opened.leaves.items():
            for leaf in leaves:
                chunk = group.column(leaf)
                packed[places[name]] += chunk.total_compressed_size
                unpacked[places[name]] += chunk.total_uncompressed_size
                codecs[chunk.compression] = (
                    codecs.get(chunk.compression, 0) + chunk.total_compressed_size
                )
    return Sizes(places, packed), Sizes(places, unpacked), codecs


def _base_form(schema: Any) -> Form:
    forms: dict[str, Form | None] = {}
    for field in schema:
        kind = _kind(field.type)
        forms[field.name] = (
            None if kind is None else plain_form(field.name, kind[0], kind[1], _doc(field))
        )
    # Of columns with one name nobody knows which one is meant.
    for name in schema.names:
        if len(schema.get_all_field_indices(name)) > 1:
            forms[name] = None
    return base_form(forms, "parquetfile")


def _kind(given: Any) -> tuple[str, list[int | None]] | None:
    """Type of numbers and sizes of dimensions as `plain_form` takes them; None for other types."""
    kind = _storage(given)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = _kind(kind.value_type)
        return None if inner is None else (inner[0], [None, *inner[1]])
    if pa.types.is_fixed_size_list(kind):
        inner = _kind(kind.value_type)
        return None if inner is None else (inner[0], [kind.list_size, *inner[1]])
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return str(np.dtype(kind.to_pandas_dtype())), []
    return None


def _storage(kind: Any) -> Any:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _doc(field: Any) -> str:
    metadata = field.metadata or {}
    return str(metadata.get(b"title", field.name.encode()).decode(errors="replace"))


def _leaves(schema: Any) -> dict[str, list[int]]:
    """For each column of a table, which of the file's columns it is made of."""
    leaves: dict[str, list[int]] = {}
    at = 0
    for field in schema:
        number = _leaf_count(field.type)
        leaves.setdefault(field.name, []).extend(range(at, at + number))
        at += number
    return leaves


def _leaf_count(given: Any) -> int:
    kind = _storage(given)
    if pa.types.is_dictionary(kind) or kind.num_fields == 0:
        return 1
    return sum(_leaf_count(kind.field(i).type) for i in range(kind.num_fields))


# ---------------------------------------------------------------------------------- reading


def read_parquet(
    url: str,
    span: Span,
    names: Iterable[str],
    planned: Sequence[str],
    options: ReadOptions,
    note: Note,
) -> dict[str, ak.contents.Content]:
    """Some columns of a span of a parquet file, as a `Reader`."""
    del planned, note
    names = list(names)
    opened = keep(url, span, options, lambda url, _: _open(url, span, options))
    for name in names:
        if name not in opened.leaves:
            msg = f"Column {name!r} is not in {url}."
            raise FileError(msg)
    groups = _groups(opened.edges, span)
    ranges = _chunks(opened, names, groups)
    probed, *views = read_ranges(url, [opened.footer.probe, *ranges], options)
    if bytes(probed) != opened.footer.probed:
        raise ReplacedError(url)
    opened.pieces.hold(ranges, views)
    try:
        table = _read_table(opened, groups, names, span, options)
    finally:
        opened.pieces.hold([], [])
    first = opened.edges[groups[0]] if groups else span.start
    if len(table) < span.stop - first:
        msg = f"{url} has {len(table)} entries from {first} on instead of {span.stop - first}."
        raise FileError(msg)
    table = table.slice(span.start - first, span.entries)
    return {name: _content(table.column(name), name, span) for name in names}


def _open(url: str, span: Span, options: ReadOptions) -> Parquet:
    """The file that was inspected; its size is known, and is not asked for again."""
    try:
        return Parquet(url, span.file_bytes or _size(url, options), options)
    except FootlessError as error:
        raise ReplacedError(url) from error


def _groups(edges: Sequence[int], span: Span) -> list[int]:
    """The row groups that hold entries of a span."""
    if span.start >= span.stop:
        return []
    first = bisect.bisect_right(edges, span.start) - 1
    return list(range(first, min(bisect.bisect_left(edges, span.stop), len(edges) - 1)))


def _chunks(opened: Parquet, names: Iterable[str], groups: Iterable[int]) -> list[Range]:
    """The bytes of columns in row groups."""
    leaves = [leaf for name in dict.fromkeys(names) for leaf in opened.leaves[name]]
    chunks = (
        opened.footer.metadata.row_group(group).column(leaf) for group in groups for leaf in leaves
    )
    ranges = []
    for chunk in chunks:
        start = chunk.data_page_offset
        # Some writers note 0 where there is no dictionary.
        if chunk.dictionary_page_offset and chunk.dictionary_page_offset < start:
            start = chunk.dictionary_page_offset
        ranges.append((start, start + chunk.total_compressed_size))
    return ranges


def _read_table(
    opened: Parquet, groups: Sequence[int], names: Sequence[str], span: Span, options: ReadOptions
) -> Any:
    def read(columns: Sequence[str]) -> Any:
        return opened.file.read_row_groups(
            list(groups), columns=list(columns), use_threads=options.decompression_threads > 1
        )

    try:
        return read(names)
    except (pa.ArrowException, OSError) as error:
        if opened.pieces.failure is not None:
            raise opened.pieces.failure from None
        damaged = next((name for name in names if _fails(read, name)), None)
        what = "A column" if damaged is None else f"Column {damaged!r}"
        msg = (
            f"{what}, {span.where}, cannot be read: {first_line(error)}. The file is damaged: "
            "copy it again."
        )
        # The cause is a ValueError: an OSError would look like trouble with the connection.
        raise FileError(msg) from ValueError(str(error))


def _fails(read: Callable[[Sequence[str]], Any], name: str) -> bool:
    try:
        read([name])
    except (pa.ArrowException, OSError):
        return True
    return False


def _content(column: Any, name: str, span: Span) -> ak.contents.Content:
    """A column as awkward knows it, with no value missing."""
    # Not combined by pyarrow, whose list arrays may be too short for it.
    chunks = column.chunks or [pa.array([], column.type)]
    parts = [_layout(chunk, name, span) for chunk in chunks]
    layout: ak.contents.Content
    layout = parts[0] if len(parts) == 1 else ak.concatenate(parts, highlevel=False)
    return layout


def _layout(given: Any, name: str, span: Span) -> ak.contents.Content:
    values = given.storage if isinstance(given, pa.ExtensionArray) else given
    if values.null_count:
        msg = (
            f"Column {name!r}, {span.where}, has missing values (null). Fill them when the file is "
            "written, e.g. by ak.fill_none, or leave the column out."
        )
        raise FileError(msg)
    kind = values.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        offsets = values.offsets.to_numpy().astype(np.int64)
        begin, end = int(offsets[0]), int(offsets[-1])
        inner = _layout(values.values.slice(begin, end - begin), name, span)
        return ak.contents.ListOffsetArray(ak.index.Index64(offsets - begin), inner)
    if pa.types.is_fixed_size_list(kind):
        inner = _layout(values.flatten(), name, span)
        return ak.contents.RegularArray(inner, kind.list_size, len(values))
    return ak.contents.NumpyArray(values.to_numpy(zero_copy_only=False))
