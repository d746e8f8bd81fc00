"""Records: JSON and blobs of bytes in one piece, each with a checksum, for files kept on disk.

A record is 16 bytes (the word ``lazyana1``, length and CRC-32 of the head), the head (JSON, with
size and CRC-32 of each blob) and the blobs one after the other. Records may follow each other.
"""

from __future__ import annotations

import json
import os
import struct
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lazyana.errors import FileError, LazyanaError, OutputExistsError

T = TypeVar("T")

_MAGIC = b"lazyana1"
_FIRST_BYTES = 32_768
_FRAME = struct.Struct("<8sII")


class RecordError(ValueError):
    """Bytes that are no record, are cut short, or were damaged."""


class CutShortError(RecordError):
    """A record that ends too early.

    Parameters
    ----------
    needed
        How many bytes it takes, as far as is known.
    """

    def __init__(self, needed: int) -> None:
        super().__init__(f"it ends before byte {needed}")
        self.needed = needed


@dataclass(frozen=True)
class Blob:
    """Where a blob of a record is.

    Attributes
    ----------
    start, size
        First byte and number of bytes.
    check
        CRC-32 of the bytes.
    """

    start: int
    size: int
    check: int

    def of(self, buffer: bytes) -> bytes:
        """The bytes, out of the buffer that holds the record.

        Raises
        ------
        RecordError
            A buffer that ends too early, or other bytes than were written.
        """
        found = buffer[self.start : self.start + self.size]
        if len(found) != self.size:
            raise CutShortError(self.start + self.size)
        _check(found, self.check)
        return found


@dataclass(frozen=True)
class Record:
    """What a record holds.

    Attributes
    ----------
    head
        The JSON.
    blobs
        Where its blobs are.
    end
        One past its last byte.
    """

    head: Mapping[str, Any]
    blobs: tuple[Blob, ...]
    end: int


def packed(head: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """A record of a head in JSON terms and some blobs."""
    sizes = [(len(blob), zlib.crc32(blob)) for blob in blobs]
    text = json.dumps({"head": head, "blobs": sizes}, separators=(",", ":")).encode()
    return b"".join((_FRAME.pack(_MAGIC, len(text), zlib.crc32(text)), text, *blobs))


def unpacked(buffer: bytes, start: int = 0) -> Record:
    """Read a record; its blobs need not be in the buffer yet.

    Raises
    ------
    RecordError
        No record, or a damaged one; `CutShortError` where the head is not complete.
    """
    at = start + _FRAME.size
    if len(buffer) < at:
        raise CutShortError(at)
    magic, size, check = _FRAME.unpack_from(buffer, start)
    if magic != _MAGIC:
        msg = "it is not a record"
        raise RecordError(msg)
    text = Blob(at, size, check).of(buffer)
    at += size
    blobs = []
    try:
        content = json.loads(text)
        for length, total in content["blobs"]:
            blobs.append(Blob(at, length, total))
            at += length
        return Record(content["head"], tuple(blobs), at)
    except (ValueError, KeyError, TypeError) as error:
        msg = "its head says something else than it should"
        raise RecordError(msg) from error


@dataclass(frozen=True, eq=False)
class Stored:
    """Bytes that stay in a file until they are needed.

    Attributes
    ----------
    path
        The file.
    blob
        Where they are in it.
    again
        What gives them where the file does not have them any more.
    """

    path: str
    blob: Blob
    again: Callable[[], bytes]

    def __len__(self) -> int:
        """How many bytes they are."""
        return self.blob.size

    def load(self) -> bytes:
        """The bytes."""
        try:
            with Path(self.path).open("rb", buffering=0) as file:
                file.seek(self.blob.start)
                found = file.read(self.blob.size)
            _check(found, self.blob.check)
        except (OSError, RecordError):
            return self.again()
        return found


def within(file: Any, start: int, size: int, action: Callable[[bytes], T]) -> T:
    """What an action makes of the first bytes of a range; it is given as many as it needs.

    Parameters
    ----------
    file
        An open file.
    start, size
        The range.
    action
        Given bytes from `start` on; raises `CutShortError` to be given more.

    Raises
    ------
    RecordError
        As the action raises it; also where the range is too short for it.
    """
    file.seek(start)
    buffer = file.read(min(size, _FIRST_BYTES))
    while True:
        try:
            return action(buffer)
        except CutShortError as error:
            more = file.read(min(error.needed, size) - len(buffer))
            if not more or error.needed > size:
                raise
            buffer += more


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a path to write to; what is there in the end takes the place of `target` at once.

    Readers see the old file or the new one, writers may work side by side, the last one wins.

    Raises
    ------
    OSError
        What the file system says; the old file is still there then.
    """
    # In the same folder: a rename is atomic within one file system only.
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        with suppress(OSError):  # it has got its name, or was never made
            temporary.unlink()


@contextmanager
def written_whole(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends well, and vanishes otherwise.

    Parameters
    ----------
    path
        The file to be. Missing parent directories are made.
    overwrite
        Replace an existing file.

    Raises
    ------
    OutputExistsError
        Where `path` exists and `overwrite` is not set.
    FileError
        Where the file cannot be written.
    """
    target = Path(path).absolute()
    _refuse(target, overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            _refuse(target, overwrite)
    except LazyanaError:
        raise
    except OSError as error:
        msg = f"Cannot write {target}: {error.strerror or error}. Save it somewhere else."
        raise FileError(msg) from error


def _refuse(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        msg = f"{target} is a directory; give the name of a file."
        raise FileError(msg)
    if target.exists() and not overwrite:
        msg = (
            f"{target} exists already: save under another name, or replace it (overwrite=True, "
            "--overwrite)."
        )
        raise OutputExistsError(msg)


def _check(found: bytes, check: int) -> None:
    if zlib.crc32(found) != check:
        msg = "its checksum is wrong"
        raise RecordError(msg)
