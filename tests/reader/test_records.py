"""Records: what is kept comes back the same, and damage is noticed."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.reader.records import (
    Blob,
    CutShortError,
    RecordError,
    Stored,
    packed,
    replacing,
    unpacked,
    within,
)

heads = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9) | st.none())
blobs = st.lists(st.binary(max_size=40), max_size=4)


@given(heads, blobs, st.binary(max_size=9))
def test_what_is_packed_is_unpacked(head: Any, content: list[bytes], before: bytes) -> None:
    one = packed(head, content)
    record = unpacked(before + one + b"more", len(before))
    assert record.head == head
    assert [blob.of(before + one) for blob in record.blobs] == content
    assert record.end == len(before) + len(one)


@given(heads, blobs, st.data())
def test_a_flipped_bit_is_noticed(head: Any, content: list[bytes], data: st.DataObject) -> None:
    damaged = bytearray(packed(head, content))
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(RecordError):
        _ = [blob.of(bytes(damaged)) for blob in unpacked(bytes(damaged)).blobs]


@given(heads, blobs, st.data())
def test_a_cut_is_noticed(head: Any, content: list[bytes], data: st.DataObject) -> None:
    whole = packed(head, content)
    size = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(CutShortError) as caught:
        _ = [blob.of(whole[:size]) for blob in unpacked(whole[:size]).blobs]
    assert size < caught.value.needed <= len(whole)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + bytes(90), b"lazyana1" + bytes(90)])
def test_other_files_are_no_records(content: bytes) -> None:
    with pytest.raises(RecordError):
        unpacked(content)


class Counted(io.BytesIO):
    """A file that knows how much of it was read."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.taken += len(found)
        return found


def test_only_what_is_needed_is_read() -> None:
    content = [bytes(50_000), bytes(1_000_000)]
    whole = packed({}, content)
    file = Counted(b"0123" + whole + b"more")

    def first(buffer: bytes) -> bytes:
        return unpacked(buffer).blobs[0].of(buffer)

    assert within(file, 4, len(whole), first) == content[0]
    assert file.taken < 52_000


def test_nothing_beyond_a_range_is_read() -> None:
    whole = packed({}, [bytes(100)])
    with pytest.raises(RecordError):
        within(
            io.BytesIO(whole),
            0,
            len(whole) - 1,
            lambda buffer: unpacked(buffer).blobs[0].of(buffer),
        )


def test_stored_bytes_are_loaded_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "file"
    whole = packed({}, [b"first", b"second"])
    file.write_bytes(whole)
    (_, blob) = unpacked(whole).blobs
    stored = Stored(str(file), blob, partial(bytes, b"again"))
    assert (stored.load(), len(stored)) == (b"second", 6)
    file.write_bytes(whole[:-1] + b"!")
    assert stored.load() == b"again"
    file.write_bytes(whole[:-1])
    assert stored.load() == b"again"
    file.unlink()
    assert stored.load() == b"again"
    assert Stored(str(file), Blob(0, 3, 0), partial(bytes, b"")).load() == b""


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    with pytest.raises(FileNotFoundError), replacing(target):
        pass  # nothing was written
    with pytest.raises(TypeError), replacing(target) as temporary, temporary.open("w") as file:
        file.write(None)  # type: ignore[arg-type]
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
