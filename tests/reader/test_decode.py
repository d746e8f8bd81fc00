"""Baskets and blocks, byte by byte."""

from __future__ import annotations

import struct
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from lazyana.reader.baskets import Baskets
from lazyana.reader.decode import (
    BasketError,
    UnusualBasketError,
    decode,
    decompress,
    open_basket,
)

LISTS = [[1.5], [], [2.5, 3.5], [], [4.5]]


def block(tag: bytes, stored: bytes, size: int, check: bytes = b"") -> bytes:
    """A compressed block behind ROOT's header."""
    packed = (len(stored) + len(check)).to_bytes(3, "little")
    return tag + b"\x08" + packed + size.to_bytes(3, "little") + check + stored


def compressed(tag: bytes, data: bytes) -> bytes:
    """Data as one block."""
    codec: Any = {
        b"ZL": uproot.ZLIB(5),
        b"XZ": uproot.LZMA(5),
        b"L4": uproot.LZ4(5),
        b"ZS": uproot.ZSTD(5),
    }[tag]
    stored = bytes(codec.compress(data))
    check = struct.pack(">Q", xxhash.xxh64(stored).intdigest()) if tag == b"L4" else b""
    return block(tag, stored, len(data), check)


def basket(data: bytes, entries: int, starts: list[int] | None = None, tag: bytes = b"") -> bytes:
    """A basket with its key."""
    name = b"\x07TBasket\x01x\x06Events"
    keylen = 18 + 8 + len(name) + 19
    content = data
    if starts is not None:
        offsets = [len(starts), *(start + keylen for start in starts[:-1]), 0]
        content += struct.pack(f">{len(offsets)}i", *offsets)
    packed = compressed(tag, content) if tag else content
    # As ROOT does: what does not get smaller stays as it is.
    stored = packed if len(packed) < len(content) else content
    key = struct.pack(">ihiIhh", keylen + len(stored), 4, len(content), 0, keylen, 0)
    tail = struct.pack(">Hiiiib", 3, 32000, 1000, entries, keylen + len(data), 0)
    return key + bytes(8) + name + tail + stored


def flat_basket(values: list[float], tag: bytes = b"") -> bytes:
    """A basket of numbers."""
    return basket(np.array(values, ">f4").tobytes(), len(values), tag=tag)


def list_basket(lists: list[list[float]], header: int = 0, tag: bytes = b"") -> bytes:
    """A basket of lists."""
    pieces = [b"h" * header + np.array(values, ">f4").tobytes() for values in lists]
    starts = np.cumsum([0, *map(len, pieces)]).tolist()
    return basket(b"".join(pieces), len(lists), starts, tag)


def index(code: str, *entries: int) -> Baskets:
    """What the index says of baskets with so many entries."""
    edges = np.cumsum([0, *entries])
    return Baskets(code, np.zeros(len(entries), "i8"), np.zeros(len(entries), "i8"), edges)


@pytest.mark.parametrize("tag", [b"", b"ZL", b"XZ", b"L4", b"ZS"])
def test_numbers(tag: bytes) -> None:
    opened = [open_basket(memoryview(flat_basket(part, tag))) for part in ([1, 2, 3], [4, 5])]
    found = decode(index(">f4", 3, 2), opened, 1, 4)
    assert ak.Array(found).to_list() == [2, 3, 4]
    assert str(ak.Array(found).type) == "3 * float32"


@pytest.mark.parametrize("tag", [b"", b"ZL", b"XZ", b"L4", b"ZS"])
@pytest.mark.parametrize("header", [0, 10])
@given(data=st.data())
def test_lists(tag: bytes, header: int, data: st.DataObject) -> None:
    number = st.floats(width=32, allow_nan=False)
    lists = data.draw(st.lists(st.lists(number, max_size=3), min_size=1, max_size=9))
    cut = data.draw(st.integers(0, len(lists)))
    start = data.draw(st.integers(0, len(lists)))
    stop = data.draw(st.integers(start, len(lists)))
    parts = [part for part in (lists[:cut], lists[cut:]) if part]
    opened = [open_basket(memoryview(list_basket(part, header, tag))) for part in parts]
    whole = index(f"[{header or ''}]>f4", *map(len, parts))
    needed = whole.between(start, stop)
    first = whole.edges.tolist().index(needed.edges[0])
    found = decode(needed, opened[first : first + len(needed.seeks)], start, stop)
    assert ak.Array(found).to_list() == lists[start:stop]


def test_blocks_follow_each_other() -> None:
    parts = [bytes([i]) * 1000 for i in range(3)]
    stored = b"".join(map(compressed, (b"ZL", b"ZS", b"L4"), parts))
    assert decompress(memoryview(stored), 3000).tobytes() == b"".join(parts)


def wrong_checksum() -> bytes:
    data = bytearray(compressed(b"L4", b"abc" * 100))
    data[12] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (compressed(b"ZL", b"abc" * 100)[:-5], "beyond the end"),
        (compressed(b"ZL", b"abc" * 99), "297 bytes|end too early"),
        (compressed(b"ZL", b"abc" * 101), "303 bytes instead of 300"),
        (b"CS" + compressed(b"ZL", b"abc" * 100)[2:], "unknown compression b'CS'"),
        (block(b"ZL", b"rubbish", 300), "damaged"),
        (block(b"ZS", b"rubbish", 300), "damaged"),
        (block(b"XZ", b"rubbish", 300), "damaged"),
        (wrong_checksum(), "checksum"),
        (b"", "end too early"),
        (b"ZL\x08\x01", "end too early"),
        (b"L4\x01\x04\x00\x00\x2c\x01\x00abcd", "too short|beyond the end"),
    ],
)
def test_damaged_blocks(stored: bytes, message: str) -> None:
    with pytest.raises(BasketError, match=message):
        decompress(memoryview(stored), 300)


def broken(at: int, value: bytes) -> memoryview:
    """A basket of lists, with other bytes at one place."""
    content = bytearray(list_basket(LISTS))
    content[at : at + len(value)] = value
    return memoryview(content)


KEYLEN = 18 + 8 + 17 + 19


@pytest.mark.parametrize(
    ("buffer", "message"),
    [
        (memoryview(b"short"), "too few"),
        (memoryview(list_basket(LISTS))[:-1], "no basket where the index says"),
        (broken(0, b"\x00\x00\x00\x01"), "no basket where the index says"),
        (broken(27, b"TTree"), "something else than a basket"),
        (broken(KEYLEN - 5, b"\x7f\xff\xff\xff"), "key of its basket is damaged"),
        (broken(KEYLEN - 9, b"\x00\x00\x00\x09"), "bytes of offsets for 9 entries"),
        (broken(KEYLEN + 20 + 8, b"\x00\x00\x00\x01"), "offsets of its basket are damaged"),
    ],
)
def test_damaged_baskets(buffer: memoryview, message: str) -> None:
    with pytest.raises(BasketError, match=message):
        open_basket(buffer)


def test_another_number_of_entries_than_the_index_says() -> None:
    opened = [open_basket(memoryview(flat_basket([1, 2, 3])))]
    with pytest.raises(BasketError, match="3 entries, 4 by the index"):
        decode(index(">f4", 4), opened, 0, 4)


def test_lists_without_offsets_are_left_to_uproot() -> None:
    opened = [open_basket(memoryview(flat_basket([1, 2, 3])))]
    with pytest.raises(UnusualBasketError, match="no offsets"):
        decode(index("[]>f4", 3), opened, 0, 3)


def test_numbers_of_another_size() -> None:
    opened = [open_basket(memoryview(flat_basket([1, 2, 3])))]
    with pytest.raises(BasketError, match="3 numbers has 12 bytes"):
        decode(index(">f8", 3), opened, 0, 3)


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (2, 9)])
def test_entries_that_no_basket_holds(start: int, stop: int) -> None:
    opened = [open_basket(memoryview(flat_basket([1, 2, 3])))]
    with pytest.raises(BasketError, match="hold entries 0-3 only"):
        decode(index(">f4", 3), opened, start, stop)


def test_lists_shorter_than_what_each_begins_with() -> None:
    opened = [open_basket(memoryview(list_basket([[1.5, 2.5, 3.5], [4.5], [5.5]])))]
    with pytest.raises(BasketError, match="shorter than the 10 bytes"):
        decode(index("[10]>f4", 3), opened, 0, 3)


@pytest.mark.parametrize("code", ["O", "[]O", "V16", "[x]>f4", ""])
def test_codes_that_are_no_numbers_are_refused(code: str) -> None:
    opened = [open_basket(memoryview(flat_basket([1, 2, 3])))]
    with pytest.raises(BasketError, match="unknown code"):
        decode(index(code, 3), opened, 0, 3)
