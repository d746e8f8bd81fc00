"""Decoding baskets: from the bytes in a file to numbers."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import uproot
import xxhash

from lazyana.reader.baskets import Baskets

_KEY = struct.Struct(">ihiIhh")
_TAIL = struct.Struct(">Hiiiib")
_BLOCK_BYTES = 9
_CHECKSUM = struct.Struct(">Q")
_CODE = re.compile(r"(\[(\d*)\])?([<>|][biuf]\d{1,2})")
_LEVEL = 1  # of no importance for decompression
_CODECS: dict[bytes, Any] = {
    b"ZL": uproot.ZLIB(_LEVEL),
    b"XZ": uproot.LZMA(_LEVEL),
    b"L4": uproot.LZ4(_LEVEL),
    b"ZS": uproot.ZSTD(_LEVEL),
}

Buffer = memoryview
Numbers = npt.NDArray[Any]


class BasketError(ValueError):
    """A basket that is not what the index says, or damaged."""


class UnusualBasketError(BasketError):
    """A basket of a kind that only uproot can read."""


@dataclass(frozen=True, eq=False)
class Basket:
    """A basket, decompressed.

    Attributes
    ----------
    data
        The numbers, and what else an entry consists of, shape ``(bytes,)``.
    starts
        First byte of each entry in `data`, and the end, shape ``(entries + 1,)``; None where all
        entries are of equal length.
    entries
        Number of entries.
    """

    data: Numbers
    starts: Numbers | None
    entries: int


def open_basket(buffer: Buffer) -> Basket:
    """Check and decompress a basket.

    Parameters
    ----------
    buffer
        The basket with its key.

    Raises
    ------
    BasketError
        Bytes that are no basket, of another length than they say, or that do not decompress.
    UnusualBasketError
        A basket that is left to uproot.
    """
    if len(buffer) < _KEY.size + _TAIL.size:
        msg = f"its basket has {len(buffer)} bytes, too few for one"
        raise BasketError(msg)
    size, _, objlen, _, keylen, _ = _KEY.unpack_from(buffer)
    if size != len(buffer) or not _KEY.size + _TAIL.size <= keylen <= size or objlen < 0:
        msg = "there is no basket where the index says"
        raise BasketError(msg)
    if b"TBasket" not in bytes(buffer[_KEY.size : keylen]):
        msg = "there is something else than a basket where the index says"
        raise BasketError(msg)
    _, _, _, entries, last, _ = _TAIL.unpack_from(buffer, keylen - _TAIL.size)
    stored = buffer[keylen:]
    raw = np.frombuffer(stored, np.uint8) if len(stored) == objlen else decompress(stored, objlen)
    border = last - keylen
    if not 0 <= border <= objlen or entries < 0:
        msg = "the key of its basket is damaged"
        raise BasketError(msg)
    if border == objlen:
        return Basket(raw, None, entries)
    return Basket(raw[:border], _starts(raw[border:], keylen, border, entries), entries)


def _starts(raw: Numbers, keylen: int, border: int, entries: int) -> Numbers:
    if len(raw) != 4 * (entries + 2):
        msg = f"its basket has {len(raw)} bytes of offsets for {entries} entries"
        raise UnusualBasketError(msg)
    starts = raw.view(">i4")[1:].astype(np.int32)
    starts -= keylen
    starts[-1] = border
    if starts[0] != 0 or (starts[1:] < starts[:-1]).any():
        msg = "the offsets of its basket are damaged"
        raise BasketError(msg)
    return starts


def decompress(stored: Buffer, size: int) -> Numbers:
    """Decompress the blocks of a basket or key.

    Parameters
    ----------
    stored
        Blocks, each behind its header.
    size
        Number of bytes that they have to become.

    Returns
    -------
    array
        Shape ``(size,)``, bytes.

    Raises
    ------
    BasketError
        Unknown algorithm, wrong checksum, wrong length.
    """
    pieces: list[Numbers] = []
    at = filled = 0
    while filled < size:
        codec, packed, length, at = _block(stored, at)
        stop = at + packed
        if stop > len(stored) or (packed < _CHECKSUM.size and codec is _CODECS[b"L4"]):
            msg = "a compressed block goes beyond the end of its basket"
            raise BasketError(msg)
        if codec is _CODECS[b"L4"]:
            (expected,) = _CHECKSUM.unpack(bytes(stored[at : at + _CHECKSUM.size]))
            at += _CHECKSUM.size
            if xxhash.xxh64(stored[at:stop]).intdigest() != expected:
                msg = "the checksum of a compressed block is wrong"
                raise BasketError(msg)
        try:
            piece = codec.decompress(stored[at:stop], length)
        except Exception as error:
            msg = f"a compressed block is damaged ({type(codec).__name__}: {error})"
            raise BasketError(msg) from error
        if len(piece) != length:
            msg = f"a compressed block gives {len(piece)} bytes instead of {length}"
            raise BasketError(msg)
        pieces.append(np.frombuffer(piece, np.uint8))
        filled += length
        at = stop
    if filled != size:
        msg = f"the compressed blocks give {filled} bytes instead of {size}"
        raise BasketError(msg)
    return pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0, np.uint8), *pieces])


def _block(stored: Buffer, at: int) -> tuple[Any, int, int, int]:
    """Codec, compressed and uncompressed length of a block, and where it begins."""
    head = bytes(stored[at : at + _BLOCK_BYTES])
    if len(head) < _BLOCK_BYTES:
        msg = "the compressed blocks end too early"
        raise BasketError(msg)
    codec = _CODECS.get(head[:2])
    if codec is None:
        msg = f"unknown compression {head[:2]!r}"
        raise BasketError(msg)
    packed = int.from_bytes(head[3:6], "little")
    length = int.from_bytes(head[6:9], "little")
    return codec, packed, length, at + _BLOCK_BYTES


def decode(
    baskets: Baskets, opened: Sequence[Basket], start: int, stop: int
) -> ak.contents.Content:
    """The entries of a range, of the baskets that hold them.

    Parameters
    ----------
    baskets
        What the index says of them.
    opened
        The baskets.
    start, stop
        The entry range.

    Returns
    -------
    Content
        Numbers in native byte order, or lists of them, shape ``(stop - start, ...)``.

    Raises
    ------
    BasketError
        Other numbers of entries than the index says, or baskets without some of the entries.
    """
    matched = _CODE.fullmatch(baskets.code)
    if matched is None:
        msg = f"unknown code {baskets.code!r}"
        raise BasketError(msg)
    edges = baskets.edges.tolist()
    for basket, (first, last) in zip(opened, itertools.pairwise(edges), strict=True):
        if basket.entries != last - first:
            msg = f"a basket has {basket.entries} entries, {last - first} by the index"
            raise BasketError(msg)
    if edges[0] > start or edges[-1] < stop:
        msg = f"its baskets hold entries {edges[0]}-{edges[-1]} only"
        raise BasketError(msg)
    dtype = np.dtype(matched[3])
    ranges = [
        (max(start - first, 0), min(stop, last) - first)
        for first, last in itertools.pairwise(edges)
    ]
    if matched[1] is None:
        return _flat(dtype, opened, ranges)
    return _lists(dtype, int(matched[2] or 0), opened, ranges)


Ranges = Sequence[tuple[int, int]]


def _flat(dtype: np.dtype[Any], opened: Sequence[Basket], ranges: Ranges) -> ak.contents.Content:
    out = np.empty(sum(hi - lo for lo, hi in ranges), dtype.newbyteorder("="))
    at = 0
    for basket, (lo, hi) in zip(opened, ranges, strict=True):
        if len(basket.data) != basket.entries * dtype.itemsize:
            msg = f"a basket of {basket.entries} numbers has {len(basket.data)} bytes"
            raise BasketError(msg)
        out[at : at + hi - lo] = basket.data.view(dtype)[lo:hi]
        at += hi - lo
    return ak.contents.NumpyArray(out)


def _lists(
    dtype: np.dtype[Any], header: int, opened: Sequence[Basket], ranges: Ranges
) -> ak.contents.Content:
    pieces: list[Numbers] = []
    offsets = np.empty(sum(hi - lo for lo, hi in ranges) + 1, np.int64)
    offsets[0] = at = total = 0
    for basket, (lo, hi) in zip(opened, ranges, strict=True):
        if basket.starts is None:
            msg = "its basket has no offsets"
            raise UnusualBasketError(msg)
        starts = basket.starts[lo : hi + 1]
        data = basket.data[starts[0] : starts[-1]]
        if header:
            data = _without_headers(data, starts - starts[0], header)
            starts = starts - header * np.arange(len(starts), dtype=np.int32)
        ends = (starts[1:] - starts[0]) >> (dtype.itemsize.bit_length() - 1)
        if len(data) % dtype.itemsize:
            msg = f"the lists of a basket are not whole numbers of {dtype}"
            raise BasketError(msg)
        np.add(ends, total, out=offsets[at + 1 : at + 1 + len(ends)], dtype=np.int64)
        at += len(ends)
        pieces.append(data.view(dtype))
        total += len(pieces[-1])
    out = np.empty(total, dtype.newbyteorder("="))
    at = 0
    for piece in pieces:
        out[at : at + len(piece)] = piece
        at += len(piece)
    return ak.contents.ListOffsetArray(ak.index.Index64(offsets), ak.contents.NumpyArray(out))


def _without_headers(data: Numbers, starts: Numbers, header: int) -> Numbers:
    if (np.diff(starts) < header).any():
        msg = f"an entry of a basket is shorter than the {header} bytes it has to begin with"
        raise BasketError(msg)
    keep = np.ones(len(data), bool)
    keep[(starts[:-1, np.newaxis] + np.arange(header)).ravel()] = False
    return data[keep]
