"""Pages: numbers as uproot decodes them, and damage that is seen."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from lazyana.reader.pages import (
    Code,
    PageError,
    Pages,
    UnusualPageError,
    clusters_of,
    groups_of_footer,
    inflated,
)

KINDS = dict(uproot.const.rntuple_col_type_to_num_dict.items())
PLAIN = [name for name in KINDS if name not in ("switch", "real32trunc", "real32quant")]


def code_of(name: str) -> Code:
    code = Code.of(KINDS[name], uproot.const.rntuple_col_num_to_size_dict[KINDS[name]])
    assert code is not None
    return code


def encoded(code: Code, numbers: Any) -> bytes:
    """What the specification says that a page of these numbers is."""
    if code.bits == 1:
        return np.packbits(numbers, bitorder="little").tobytes()
    if code.delta:
        numbers = np.diff(numbers, prepend=numbers.dtype.type(0))
    if code.zigzag:
        bits = 8 * numbers.itemsize
        numbers = ((numbers << 1) ^ (numbers >> (bits - 1))).astype(numbers.dtype)
    raw = numbers.view(np.uint8)
    if code.split:
        raw = raw.reshape(len(numbers), numbers.itemsize).T.reshape(-1)
    return np.ascontiguousarray(raw).tobytes()


def one_page(content: bytes, count: int, *, checked: bool) -> tuple[Pages, list[memoryview]]:
    pages = Pages(np.array([count]), np.array([len(content)]), np.array([100]), np.array([checked]))
    tail = struct.pack("<Q", xxhash.xxh3_64_intdigest(content)) if checked else b""
    return pages, [memoryview(content + tail)]


# ------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("name", PLAIN)
@given(data=st.data())
def test_every_code(name: str, data: st.DataObject) -> None:
    code = code_of(name)
    dtype = np.dtype(code.dtype)
    numbers = data.draw(hn.arrays(dtype, st.integers(0, 20)))
    if code.delta:
        numbers = np.sort(numbers[numbers >= 0])
    pages, buffers = one_page(
        encoded(code, numbers), len(numbers), checked=data.draw(st.booleans())
    )
    found = pages.decode(code, buffers)
    assert found.dtype == dtype
    assert np.array_equal(found.view(np.uint8), numbers.view(np.uint8))
    assert pages.ranges[0][1] - pages.ranges[0][0] == len(buffers[0])


@pytest.mark.parametrize("name", ["switch", "real32trunc", "real32quant"])
def test_codes_left_to_uproot(name: str) -> None:
    assert Code.of(KINDS[name], 32) is None
    assert Code.of(999, 32) is None
    assert Code.of(KINDS["int32"], 31) is None


def test_pages_are_put_together() -> None:
    code = code_of("int16")
    parts = [np.arange(3, dtype=np.int16), np.arange(5, dtype=np.int16)]
    pages = Pages(np.array([3, 5]), np.array([6, 10]), np.array([0, 6]), np.array([False, False]))
    buffers = [memoryview(part.tobytes()) for part in parts]
    assert pages.decode(code, buffers).tolist() == [0, 1, 2, 0, 1, 2, 3, 4]
    assert pages.ranges == [(0, 6), (6, 16)]


def test_wrong_checksum() -> None:
    pages, (buffer,) = one_page(b"abcd", 4, checked=True)
    broken = bytearray(buffer)
    broken[1] ^= 1
    with pytest.raises(PageError, match="the checksum of a page is wrong"):
        pages.decode(code_of("uint8"), [memoryview(broken)])


@pytest.mark.parametrize(
    ("content", "message"), [(b"abcde", "a page of 4 bytes has 5"), (b"abc", "end too early")]
)
def test_wrong_length(content: bytes, message: str) -> None:
    pages, buffers = one_page(content, 4, checked=False)
    with pytest.raises(PageError, match=message):
        pages.decode(code_of("uint8"), buffers)


# ------------------------------------------------------------------------------- where they are


class Parts:
    """Header, footer and page list of a file, uncompressed, and what uproot makes of them."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        with uproot.open(path) as file:
            model = file["Events"]
            self.links, self.summaries = model.page_link_list, model.cluster_summaries
            self.columns = len(model.column_records)
            header, self.footer = (
                inflated(memoryview(content)[seek : seek + size], model.member(f"fLen{part}"))
                for part in ("Header", "Footer")
                for seek, size in [(model.member(f"fSeek{part}"), model.member(f"fNBytes{part}"))]
            )
        self.checksum = header[-8:]
        _, (group,) = groups_of_footer(self.footer, self.checksum)
        first, last = group.place
        self.entries = group.entries
        self.envelope = inflated(memoryview(content)[first:last], group.size)


@pytest.fixture(scope="module", params=["by uproot", "by ROOT"])
def parts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    if request.param == "by ROOT":
        folder: Path = request.getfixturevalue("real_data")
        return Parts(folder / "nanoaod" / "nano_dy_rntuple.root")
    path = tmp_path_factory.mktemp("pages") / "a.root"
    with uproot.recreate(path) as file:
        file.mkrntuple("Events", {"x": np.arange(5), "y": [[1], [], [2], [3], [4]]})
    return Parts(path)


def test_page_lists_are_those_of_uproot(parts: Parts) -> None:
    clusters = clusters_of(parts.envelope, parts.checksum)
    assert [(one.first, one.entries) for one in clusters] == [
        (one.num_first_entry, one.num_entries) for one in parts.summaries
    ]
    assert sum(one.entries for one in clusters) == parts.entries
    for cluster, links in zip(clusters, parts.links, strict=True):
        for column in range(parts.columns):
            pages, expected = cluster.pages(column), links[column].pages
            assert pages.counts.tolist() == [page.num_elements for page in expected]
            assert pages.seeks.tolist() == [page.locator.offset for page in expected]
            assert pages.sizes.tolist() == [page.locator.num_bytes for page in expected]
            assert pages.checked.tolist() == [page.has_checksum for page in expected]


def test_column_that_a_cluster_lacks(parts: Parts) -> None:
    with pytest.raises(UnusualPageError, match="lacks the column"):
        clusters_of(parts.envelope, parts.checksum)[0].pages(parts.columns)


def test_parts_of_another_header(parts: Parts) -> None:
    with pytest.raises(PageError, match="page list belongs to another header"):
        clusters_of(parts.envelope, b"12345678")
    with pytest.raises(PageError, match="footer belongs to another header"):
        groups_of_footer(parts.footer, b"12345678")


@given(data=st.data())
def test_any_wrong_byte_is_seen(data: st.DataObject, parts: Parts) -> None:
    broken = bytearray(parts.envelope)
    broken[data.draw(st.integers(8, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PageError, match="checksum"):
        clusters_of(bytes(broken), parts.checksum)


@pytest.mark.parametrize("kept", [0, 10, 100])
def test_cut_short(kept: int, parts: Parts) -> None:
    with pytest.raises(PageError, match=r"too few|checksum"):
        clusters_of(parts.envelope[:kept], parts.checksum)
    with pytest.raises(PageError, match=r"too few|checksum"):
        groups_of_footer(parts.footer[:kept], parts.checksum)


def test_something_else_in_place_of_a_page_list(parts: Parts) -> None:
    with pytest.raises(PageError, match="footer or page list"):
        clusters_of(parts.footer, parts.checksum)


def test_what_does_not_decompress() -> None:
    with pytest.raises(PageError, match="unknown compression"):
        inflated(memoryview(b"0123456789abcdef"), 100)
    assert inflated(memoryview(b"abc"), 3) == b"abc"
