"""Headers of ROOT files, as uproot reads them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import uproot

from lazyana.reader.header import HEADER_BYTES, Header

UUID = bytes(range(16))


def test_it_is_what_uproot_reads(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("Events", {"x": "f4"}).extend({"x": np.zeros(9, "f4")})
    with uproot.open(tmp_path / "a.root") as file:
        expected = Header(str(file.file.uuid), file.file.fEND)
    start = (tmp_path / "a.root").read_bytes()[:HEADER_BYTES]
    assert Header.of(start) == Header.of(memoryview(start)) == expected


def test_a_file_beyond_two_gigabytes() -> None:
    places = (100, 5_000_000_000, 4_999_999_000, 50, 1, 60, 8, 505, 4_999_998_000, 400)
    start = struct.pack(">4siiqqiiiBiqiH16s", b"root", 1_062_808, *places, 1, UUID)
    found = Header.of(start)
    assert found == Header("00010203-0405-0607-0809-0a0b0c0d0e0f", 5_000_000_000)


@pytest.mark.parametrize("start", [b"", b"root", b"PAR1" + bytes(71)])
def test_no_root_file(start: bytes) -> None:
    assert Header.of(start) is None
