"""RNTuples: what inspection notes of them, and reading their pages."""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from array import array
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader.fields import Field, Schema, schema_of
from lazyana.reader.fileinfo import FileInfo, Layout, Sizes
from lazyana.reader.forms import Form, base_form, branch_form, known_layout, plain_form
from lazyana.reader.header import HEADER_BYTES
from lazyana.reader.origin import nano_version, sums_of_runs, tag_of
from lazyana.reader.pages import (
    CHECKSUM_BYTES,
    HEADER,
    Cluster,
    Group,
    Numbers,
    PageError,
    Pages,
    UnusualPageError,
    check_envelope,
    clusters_of,
    groups_of_footer,
    inflated,
    wanted_ranges,
)
from lazyana.reader.ranges import read_ranges
from lazyana.reader.spans import Note, Span
from lazyana.reader.trees import ReplacedError, first_line, keep, open_tree, read_branch

_lock = threading.Lock()
_schemas: dict[bytes, Schema] = {}


class Ntuple:
    """An opened RNTuple, of which no more is parsed than is used."""

    def __init__(self, url: str, model: Any, options: ReadOptions) -> None:
        self.model = model
        self.uuid = str(model.file.uuid)
        self._url = url
        self._options = options
        self._lists: dict[Group, list[Cluster]] = {}
        parts = [
            (model.member(f"fSeek{part}"), model.member(f"fNBytes{part}"))
            for part in ("Header", "Footer")
        ]
        self.head, header, footer = read_ranges(
            url, [(0, HEADER_BYTES), *((seek, seek + size) for seek, size in parts)], options
        )
        self._header = inflated(header, model.member("fLenHeader"))
        check_envelope(self._header, HEADER)  # uproot only asserts
        extension, self.groups = groups_of_footer(
            inflated(footer, model.member("fLenFooter")), self._checksum
        )
        self.key = hashlib.sha256(self._header + extension).digest()

    def close(self) -> None:
        """Close the file."""
        self.model.file.close()

    @property
    def _checksum(self) -> bytes:
        return self._header[-CHECKSUM_BYTES:]

    @cached_property
    def schema(self) -> Schema:
        """The fields: parsed once in a process for all files that have the same."""
        with _lock:
            if self.key not in _schemas:
                _schemas[self.key] = schema_of(self.model)
            return _schemas[self.key]

    def clusters(self, start: int, stop: int) -> list[Cluster]:
        """The clusters that hold entries of a range, in order."""
        groups = [
            one for one in self.groups if one.first < stop and one.first + one.entries > start
        ]
        missing = [one for one in groups if one not in self._lists]
        if missing:
            stored = read_ranges(self._url, [one.place for one in missing], self._options)
            for group, buffer in zip(missing, stored, strict=True):
                self._lists[group] = clusters_of(inflated(buffer, group.size), self._checksum)
        found = (cluster for group in groups for cluster in self._lists[group])
        return [one for one in found if one.first < stop and one.first + one.entries > start]


# ------------------------------------------------------------------------------- inspection


def note_ntuple(url: str, name: str, model: Any, options: ReadOptions) -> tuple[FileInfo, Layout]:
    """What there is to know of an RNTuple opened by uproot.

    Parameters
    ----------
    url, name
        Where it is.
    model
        The RNTuple.
    options
        How to read its header, footer and page lists.

    Raises
    ------
    FileError
        A file that ends too early.
    PageError
        A file that is damaged.
    """
    ntuple = Ntuple(url, model, options)
    schema = ntuple.schema
    layout, places = known_layout(
        "RNTuple", ntuple.key.hex(), schema.names, lambda: _base_form(model, schema)
    )
    entries = sum(group.entries for group in ntuple.groups)
    clusters = ntuple.clusters(0, entries)
    packed, unpacked = _sizes(schema, places, clusters)
    root = model.file.root_directory
    origin = sums_of_runs(root, name)
    return FileInfo(
        url=url,
        tree=name,
        uuid=ntuple.uuid,
        entries=entries,
        signature=layout.signature,
        branch_bytes=packed,
        format="RNTuple",
        branch_memory=unpacked,
        clusters=(*(cluster.first for cluster in clusters), entries),
        file_bytes=int(model.file.fEND),
        compression=str(model.file.compression or "none"),
        sum_weights=origin[0],
        sum_signs=origin[1],
        origin=origin,
        nano_version=nano_version(schema.names, tag_of(root)),
    ), layout


def _base_form(model: Any, schema: Schema) -> Form:
    forms: dict[str, Form | None] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in schema.names:
            record = model[name].record
            if name.startswith("_collection") and not record.type_name:
                continue  # what ROOT's importer makes of the lists of a TTree, next to the lists
            field = schema.fields.get(name)
            forms[name] = (
                _form_by_uproot(model, name)
                if field is None
                else plain_form(name, schema.dtype(field), field.sizes, record.field_desc)
            )
    return base_form(forms, str(model.description))


def _form_by_uproot(model: Any, name: str) -> Form | None:
    try:
        form = json.loads(model[name].to_akform()[0].contents[0].to_json())
    except Exception:
        # A field that uproot cannot read either is left out.
        return None
    return branch_form(name, form, model[name].description, model[name].typename)


def _sizes(
    schema: Schema, places: Mapping[str, int], clusters: Sequence[Cluster]
) -> tuple[Sizes, Sizes]:
    """Compressed and uncompressed bytes of each field; 0 for those that uproot reads."""
    known: dict[int, tuple[int, int]] = {}

    def sizes_of(column: int) -> tuple[int, int]:
        if column not in known:
            width = np.dtype(schema.code(column).dtype).itemsize
            packed = unpacked = 0
            for cluster in clusters:
                try:
                    pages = cluster.pages(column)
                except UnusualPageError:
                    continue
                packed += int(pages.sizes.sum())
                unpacked += int(pages.counts.sum()) * width
            known[column] = (packed, unpacked)
        return known[column]

    packed, unpacked = (array("q", bytes(8 * len(places))) for _ in range(2))
    for name, field in schema.fields.items():
        for column in field.columns:
            small, large = sizes_of(column)
            packed[places[name]] += small
            unpacked[places[name]] += large
    return Sizes(places, packed), Sizes(places, unpacked)


# ---------------------------------------------------------------------------------- reading


def read_ntuple(
    url: str,
    span: Span,
    names: Iterable[str],
    planned: Sequence[str],
    options: ReadOptions,
    note: Note,
) -> dict[str, ak.contents.Content]:
    """Some fields of a span of an RNTuple, as a `Reader`: from its pages, else by uproot."""
    del planned
    names = list(names)
    ntuple = keep(url, span, options, lambda url, tree: _open(url, tree, options))
    try:
        clusters = ntuple.clusters(span.start, span.stop)
    except PageError as error:
        raise FileError(_damaged(url, span, error)) from error
    found = _read_fields(url, span, ntuple, clusters, names, options)
    for name in names:
        if name not in found:
            note(name)
            found[name] = compact(read_branch(ntuple.model, name, span).layout)
    return found


def _open(url: str, tree: str, options: ReadOptions) -> Ntuple:
    model = open_tree(url, tree, options)
    if not is_ntuple(model):
        model.file.close()
        raise ReplacedError(url)
    try:
        opened = Ntuple(url, model, options)
        _ = opened.schema  # uproot says here what it cannot read
        return opened
    except PageError as error:
        model.file.close()
        msg = f"{tree!r} of {url} cannot be read: {first_line(error)}"
        raise FileError(msg) from error
    except BaseException:
        model.file.close()
        raise


def is_ntuple(opened: Any) -> bool:
    """Whether what uproot opened is an RNTuple."""
    return str(getattr(opened, "classname", "")) == "ROOT::RNTuple"


def _read_fields(
    url: str,
    span: Span,
    ntuple: Ntuple,
    clusters: Sequence[Cluster],
    names: Sequence[str],
    options: ReadOptions,
) -> dict[str, ak.contents.Content]:
    """The fields that need no uproot, by one request."""
    schema = ntuple.schema
    wanted: dict[str, Field] = {}
    pages: dict[tuple[int, int], Pages] = {}
    for name in names:
        field = schema.fields.get(name)
        if field is None:
            continue
        try:
            listed = {
                (column, place): cluster.pages(column)
                for column in field.columns
                for place, cluster in enumerate(clusters)
                if (column, place) not in pages
            }
        except UnusualPageError:
            continue
        wanted[name] = field
        pages.update(listed)
    head, *buffers = read_ranges(url, [(0, HEADER_BYTES), *wanted_ranges(pages.values())], options)
    if head != ntuple.head:
        raise ReplacedError(url)
    owners = {column: name for name, field in wanted.items() for column in field.columns}
    numbers = _decoded(url, span, schema, pages, buffers, owners, options)
    found: dict[str, ak.contents.Content] = {}
    for name, field in wanted.items():
        try:
            found[name] = _assembled(schema, field, clusters, numbers, span)
        except PageError as error:
            raise FileError(_damaged(url, span, error, name)) from error
    return found


def _decoded(
    url: str,
    span: Span,
    schema: Schema,
    pages: Mapping[tuple[int, int], Pages],
    buffers: Sequence[memoryview],
    owners: Mapping[int, str],
    options: ReadOptions,
) -> dict[tuple[int, int], Numbers]:
    """The numbers of each column in each cluster."""
    ends = np.cumsum([0, *(len(one.counts) for one in pages.values())]).tolist()

    def decoded(item: tuple[tuple[int, int], int]) -> Numbers:
        (column, place), number = item
        try:
            mine = buffers[ends[number] : ends[number + 1]]
            return pages[column, place].decode(schema.code(column), mine)
        except PageError as error:
            raise FileError(_damaged(url, span, error, owners[column])) from error

    items = [(key, number) for number, key in enumerate(pages)]
    if options.decompression_threads > 1 and len(items) > 1:
        with ThreadPoolExecutor(options.decompression_threads) as pool:
            return dict(zip(pages, pool.map(decoded, items), strict=True))
    return dict(zip(pages, map(decoded, items), strict=True))


def _assembled(
    schema: Schema,
    field: Field,
    clusters: Sequence[Cluster],
    numbers: Mapping[tuple[int, int], Numbers],
    span: Span,
) -> ak.contents.Content:
    """A field of the clusters, cut to the span."""
    entries = [cluster.entries for cluster in clusters]
    first = clusters[0].first if clusters else span.start
    if first > span.start or first + sum(entries) < span.stop:
        msg = f"it has {sum(entries)} entries from {first} on"
        raise PageError(msg)
    counts = entries
    columns = iter(field.ends)
    levels: list[int | ak.index.Index64] = []
    for size in field.sizes:
        if size is None:
            column = next(columns)
            ends = [_checked(numbers[column, k], n) for k, n in enumerate(counts)]
            counts = [int(one[-1]) if len(one) else 0 for one in ends]
            levels.append(ak.index.Index64(_offsets(ends, counts)))
        else:
            counts = [size * n for n in counts]
            levels.append(size)
    parts = [_checked(numbers[field.content, k], n) for k, n in enumerate(counts)]
    dtype = schema.dtype(field)
    if field.counter is not None:
        parts = [np.diff(part, prepend=part.dtype.type(0)) for part in parts]
    total = np.concatenate(
        [np.empty(0, dtype), *(part.astype(dtype, copy=False) for part in parts)]
    )
    layout: ak.contents.Content = ak.contents.NumpyArray(total)
    lengths = _lengths(sum(entries), levels)
    for level, length in zip(reversed(levels), reversed(lengths), strict=True):
        if isinstance(level, int):
            layout = ak.contents.RegularArray(layout, level, length)
        else:
            layout = ak.contents.ListOffsetArray(level, layout)
    return compact(layout[span.start - first : span.stop - first])


def _checked(numbers: Numbers, expected: int) -> Numbers:
    if len(numbers) != expected:
        msg = f"its pages hold {len(numbers)} numbers instead of {expected}"
        raise PageError(msg)
    return numbers


def _offsets(ends: Sequence[Numbers], counts: Sequence[int]) -> Numbers:
    """Where lists begin and end, from their ends in each cluster."""
    offsets = np.empty(sum(map(len, ends)) + 1, np.int64)
    offsets[0] = at = before = 0
    for part, count in zip(ends, counts, strict=True):
        np.add(part, before, out=offsets[at + 1 : at + 1 + len(part)], casting="unsafe")
        at += len(part)
        before += count
    if (np.diff(offsets) < 0).any():
        msg = "the ends of its lists are not in order"
        raise PageError(msg)
    return offsets


def _lengths(entries: int, levels: Sequence[int | ak.index.Index64]) -> list[int]:
    """Number of items at each level of nesting."""
    lengths = [entries]
    for level in levels:
        lengths.append(lengths[-1] * level if isinstance(level, int) else int(level[-1]))
    return lengths[:-1]


def compact(layout: ak.contents.Content) -> ak.contents.Content:
    """The same with 64-bit offsets from 0 on, and no item that is in no list."""

    def compacted(part: ak.contents.Content, **_: Any) -> ak.contents.Content | None:
        if not isinstance(part, ak.contents.ListOffsetArray):
            return None
        lists = part.to_ListOffsetArray64(True)
        items = compact(lists.content[: int(lists.offsets[-1])])
        return ak.contents.ListOffsetArray(lists.offsets, items, parameters=lists.parameters)

    result: ak.contents.Content = ak.transform(compacted, layout, highlevel=False)
    return result


def _damaged(url: str, span: Span, error: PageError, name: str | None = None) -> str:
    what = "The RNTuple" if name is None else f"Branch {name!r}"
    return (
        f"{what}, entries {span.start}-{span.stop} of {url}, cannot be read: {error}. "
        "The file is damaged: copy it again."
    )
