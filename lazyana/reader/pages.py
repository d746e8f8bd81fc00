"""Pages of RNTuples: where they are, and from their bytes to numbers.

The binary format is that of ROOT's "RNTuple Binary Format Specification", version 1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import uproot
import xxhash

from lazyana.reader.decode import BasketError, decompress
from lazyana.reader.ranges import Range

Numbers = npt.NDArray[Any]

CHECKSUM_BYTES = 8
_LIST = struct.Struct("<qI")
_SIZE = struct.Struct("<q")
_WORD = struct.Struct("<Q")
_WORDS = struct.Struct("<QQ")
_GROUP = struct.Struct("<QQIQiQ")
_PAGE = np.dtype([("count", "<i4"), ("size", "<i4"), ("seek", "<u8")])
_PAGES_END = 12  # element offset and compression settings
HEADER, _FOOTER, _PAGE_LIST = 1, 2, 3
_SHARDED = 1 << 56


class PageError(ValueError):
    """Pages that are not what the file says, or damaged."""


class UnusualPageError(PageError):
    """Pages of a kind that only uproot can read."""


@dataclass(frozen=True)
class Code:
    """How the numbers of a column are stored.

    Attributes
    ----------
    dtype
        The numbers.
    bits
        Bits that one of them takes in a page.
    split
        First bytes of all numbers, then the second ones, and so on.
    zigzag
        Signs are in the last bit.
    delta
        Differences to the number before.
    """

    dtype: str
    bits: int
    split: bool = False
    zigzag: bool = False
    delta: bool = False

    @classmethod
    def of(cls, kind: int, bits: int) -> Code | None:
        """The code of a column type; None for those that are left to uproot."""
        const = uproot.const
        dtype = const.rntuple_col_num_to_dtype_dict.get(kind)
        if dtype == "bit":
            return cls("bool", 1)
        if dtype is None or dtype == "switch" or kind in const.rntuple_custom_float_types:
            return None
        if bits != 8 * np.dtype(dtype).itemsize:
            return None
        return cls(
            dtype,
            bits,
            split=kind in const.rntuple_split_types,
            zigzag=kind in const.rntuple_zigzag_types,
            delta=kind in const.rntuple_delta_types,
        )

    def bytes(self, count: int) -> int:
        """Uncompressed size of a page."""
        return -(-count * self.bits // 8)


@dataclass(frozen=True, eq=False)
class Pages:
    """The pages of one column in one cluster.

    Attributes
    ----------
    counts
        How many numbers each page holds.
    sizes, seeks
        Length and position of each page in the file, in bytes.
    checked
        Which pages are followed by a checksum.
    """

    counts: Numbers
    sizes: Numbers
    seeks: Numbers
    checked: Numbers

    @property
    def ranges(self) -> list[Range]:
        """The bytes of each page, with its checksum."""
        ends = self.seeks + self.sizes + CHECKSUM_BYTES * self.checked
        return list(zip(self.seeks.tolist(), ends.tolist(), strict=True))

    def decode(self, code: Code, buffers: Sequence[memoryview]) -> Numbers:
        """The numbers of all pages, shape ``(numbers,)``.

        Raises
        ------
        PageError
            Wrong checksum or length, or bytes that do not decompress.
        """
        parts = [
            _decode(code, buffer, int(count), checked=bool(checked))
            for buffer, count, checked in zip(buffers, self.counts, self.checked, strict=True)
        ]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([np.empty(0, code.dtype), *parts])


@dataclass(frozen=True, eq=False)
class Cluster:
    """Entries whose pages lie together.

    Attributes
    ----------
    first, entries
        First entry, and number of entries.
    envelope
        Page list that the cluster is in.
    at
        Where in it the cluster's columns begin.
    """

    first: int
    entries: int
    envelope: bytes
    at: int

    def pages(self, column: int) -> Pages:
        """The pages of a column.

        Raises
        ------
        UnusualPageError
            Columns that this cluster does not have, or has in another representation.
        PageError
            A page list that is damaged.
        """
        if column >= len(self._frames):
            msg = "a cluster lacks the column"
            raise UnusualPageError(msg)
        at = self._frames[column]
        size, number = _LIST.unpack_from(self.envelope, at)
        if -size != _LIST.size + _PAGE.itemsize * number + _PAGES_END:
            msg = "its pages are stored or located in an unusual way"
            raise UnusualPageError(msg)
        table = np.frombuffer(self.envelope, _PAGE, number, at + _LIST.size)
        sizes = table["size"].astype(np.int64)
        if (sizes < 0).any():
            msg = "its pages are located in an unusual way"
            raise UnusualPageError(msg)
        counts = table["count"].astype(np.int64)
        return Pages(np.abs(counts), sizes, table["seek"].astype(np.int64), counts < 0)

    @cached_property
    def _frames(self) -> Sequence[int]:
        """Where the pages of each column are listed: only the columns in use get parsed."""
        return list(_frames(self.envelope, self.at))


@dataclass(frozen=True)
class Group:
    """A group of clusters, whose page list is of its own.

    Attributes
    ----------
    first, entries
        First entry, and number of entries.
    place
        Where in the file its page list is.
    size
        Uncompressed size of the page list.
    """

    first: int
    entries: int
    place: Range
    size: int


def groups_of_footer(footer: bytes, header_checksum: bytes) -> tuple[bytes, list[Group]]:
    """Schema extension and cluster groups, from the footer of an RNTuple.

    Parameters
    ----------
    footer
        The footer, uncompressed.
    header_checksum
        The last bytes of the header it has to belong to.

    Returns
    -------
    extension
        The part of the footer that describes fields added after the header was written.
    groups
        In the order of entries.

    Raises
    ------
    PageError
        A footer that is damaged, or of another header.
    """
    check_envelope(footer, _FOOTER)
    at = 2 * _WORD.size  # preamble and feature flags
    if footer[at : at + CHECKSUM_BYTES] != header_checksum:
        msg = "its footer belongs to another header"
        raise PageError(msg)
    at += CHECKSUM_BYTES
    (size,) = _SIZE.unpack_from(footer, at)
    extension = bytes(footer[at : at + size])
    groups = []
    for start in _frames(footer, at + size):
        first, entries, _, length, stored, seek = _GROUP.unpack_from(footer, start + _SIZE.size)
        if stored < 0:
            msg = "its page lists are located in a way that cannot be read"
            raise PageError(msg)
        groups.append(Group(first, entries, (seek, seek + stored), length))
    return extension, sorted(groups, key=lambda group: group.first)


def clusters_of(envelope: bytes, header_checksum: bytes) -> list[Cluster]:
    """The clusters of a page list, uncompressed.

    Raises
    ------
    PageError
        A page list that is damaged, or of another header.
    """
    check_envelope(envelope, _PAGE_LIST)
    if envelope[_WORD.size : 2 * _WORD.size] != header_checksum:
        msg = "its page list belongs to another header"
        raise PageError(msg)
    at = 2 * _WORD.size
    (size,) = _SIZE.unpack_from(envelope, at)
    summaries = [
        _WORDS.unpack_from(envelope, start + _SIZE.size) for start in _frames(envelope, at)
    ]
    columns = _frames(envelope, at - size)
    found = []
    for (first, entries), start in zip(summaries, columns, strict=True):
        if entries >= _SHARDED:
            msg = "its clusters are of a kind (sharded) that cannot be read"
            raise PageError(msg)
        found.append(Cluster(first, entries, envelope, start))
    return found


def inflated(stored: memoryview, size: int) -> bytes:
    """A header, footer or page list, uncompressed.

    Raises
    ------
    PageError
        Bytes that do not decompress to that size.
    """
    if len(stored) == size:
        return bytes(stored)
    try:
        return decompress(stored, size).tobytes()
    except BasketError as error:
        raise PageError(str(error)) from error


def wanted_ranges(pages: Iterable[Pages]) -> list[Range]:
    """The bytes of all pages, one after the other."""
    return [one for each in pages for one in each.ranges]


def check_envelope(envelope: bytes, kind: int) -> None:
    """Refuse a header, footer or page list, uncompressed, that is damaged or none.

    Raises
    ------
    PageError
        A wrong checksum or kind.
    """
    if len(envelope) < 4 * _WORD.size:
        msg = f"its envelope has {len(envelope)} bytes, too few for one"
        raise PageError(msg)
    (word,) = _WORD.unpack_from(envelope)
    body, checksum = envelope[:-CHECKSUM_BYTES], envelope[-CHECKSUM_BYTES:]
    if word & 0xFFFF != kind or xxhash.xxh3_64_intdigest(body) != _WORD.unpack(checksum)[0]:
        msg = "the checksum of its header, footer or page list is wrong"
        raise PageError(msg)


def _frames(envelope: bytes, at: int) -> Iterator[int]:
    """Where the items of a list frame begin."""
    _, number = _LIST.unpack_from(envelope, at)
    at += _LIST.size
    for _ in range(number):
        yield at
        at += abs(_SIZE.unpack_from(envelope, at)[0])


def _decode(code: Code, buffer: memoryview, count: int, *, checked: bool) -> Numbers:
    if checked:
        buffer, tail = buffer[:-CHECKSUM_BYTES], buffer[-CHECKSUM_BYTES:]
        if xxhash.xxh3_64_intdigest(buffer) != _WORD.unpack(tail)[0]:
            msg = "the checksum of a page is wrong"
            raise PageError(msg)
    size = code.bytes(count)
    if len(buffer) > size:
        msg = f"a page of {size} bytes has {len(buffer)}"
        raise PageError(msg)
    try:
        stored = len(buffer) == size
        raw = np.frombuffer(buffer, np.uint8) if stored else decompress(buffer, size)
    except BasketError as error:
        raise PageError(str(error)) from error
    if code.bits == 1:
        return np.unpackbits(raw, count=count, bitorder="little").view(np.bool_)
    if code.split:
        raw = np.ascontiguousarray(raw.reshape(-1, count).T).reshape(-1) if count else raw
    numbers = raw.view(code.dtype)
    if code.zigzag:
        unsigned = numbers.view(f"u{numbers.itemsize}")
        numbers = ((unsigned >> 1) ^ (~(unsigned & 1) + 1)).view(code.dtype)
    return np.cumsum(numbers, dtype=code.dtype) if code.delta else numbers
