"""The header of a ROOT file: which file it is, and how long."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass

HEADER_BYTES = 75
"""Length of the longest header."""

# Magic word, version, BEGIN, END, SeekFree, NbytesFree, nfree, NbytesName, Units, Compress,
# SeekInfo, NbytesInfo, version of the UUID, UUID: "TFile" in the reference guide of ROOT.
_SMALL = struct.Struct(">4siiiiiiiBiiiH16s")
_BIG = struct.Struct(">4siiqqiiiBiqiH16s")
_BIG_FROM = 1_000_000
_VERSION, _END, _UUID = 1, 3, 13


@dataclass(frozen=True)
class Header:
    """What the first bytes of a ROOT file tell.

    Attributes
    ----------
    uuid
        Identity of the file.
    end
        Length of the file in bytes.
    """

    uuid: str
    end: int

    @classmethod
    def of(cls, start: bytes | memoryview) -> Header | None:
        """The header, from the first `HEADER_BYTES` of a file; None for what is no ROOT file."""
        if len(start) < HEADER_BYTES or bytes(start[:4]) != b"root":
            return None
        fields = _SMALL.unpack_from(start)
        if fields[_VERSION] >= _BIG_FROM:
            fields = _BIG.unpack_from(start)
        return cls(str(uuid.UUID(bytes=fields[_UUID])), fields[_END])
