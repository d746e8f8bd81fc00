"""Catalog files: a zip archive of a header in JSON and records that are read where they lie.

========================  =======================================================================
``catalog.json``          format, version, who wrote it, the fileset, which file of the fileset has
                          which number, files left out, and a summary for people
``layouts/SIGNATURE``     record (see `reader.records`): names of the branches, and their form
``files/NUMBER``          record: what is known of one file, sizes of its branches, basket index
========================  =======================================================================

Records are not compressed by the archive: what they hold is compressed, and the basket index of a
file is read only when it is needed.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lazyana.errors import FileError
from lazyana.reader.records import written_whole

FORMAT = "lazyana-catalog"
VERSION = 1
_HEADER = "catalog.json"
_LOCAL = struct.Struct("<4s22xHH")
_SIGNATURE = b"PK\x03\x04"

Place = tuple[int, int]
"""(first byte, number of bytes) of a member in the file"""


def is_catalog(path: str | os.PathLike[str]) -> bool:
    """Whether there is a catalog file at a path; a few bytes are read to tell."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(_LOCAL.size + len(_HEADER))
    except OSError:
        return False
    return start.startswith(_SIGNATURE) and start.endswith(_HEADER.encode())


def write(
    path: str | os.PathLike[str],
    header: Mapping[str, Any],
    members: Iterable[tuple[str, bytes]],
    *,
    overwrite: bool,
) -> Path:
    """Write a catalog file.

    Parameters
    ----------
    path
        The file; missing folders are made.
    header
        What goes into ``catalog.json`` besides format and version.
    members
        Name and content of the records, taken one by one.
    overwrite
        Replace an existing file.

    Returns
    -------
    Path
        Absolute path of the file.

    Raises
    ------
    OutputExistsError
        Where the file exists and `overwrite` is not set.
    FileError
        Where the file cannot be written.
    """
    target = Path(path).expanduser().absolute()
    if target.is_dir():
        msg = f"{target} is a folder: give the name of a file."
        raise FileError(msg)
    text = json.dumps({"format": FORMAT, "version": VERSION, **header}, indent=1)
    with (
        written_whole(target, overwrite=overwrite) as temporary,
        zipfile.ZipFile(temporary, "x") as archive,
    ):
        archive.writestr(_HEADER, text, zipfile.ZIP_DEFLATED)
        for name, content in members:
            archive.writestr(name, content)
    return target


def read(path: str | os.PathLike[str]) -> tuple[Path, dict[str, Any], dict[str, Place]]:
    """Open a catalog file.

    Returns
    -------
    path
        Absolute path of the file.
    header
        The content of ``catalog.json``.
    members
        Where the records are in the file.

    Raises
    ------
    FileError
        A file that is missing, damaged, no catalog, or of a newer version.
    """
    file = Path(path).expanduser().absolute()
    try:
        with file.open("rb") as raw, zipfile.ZipFile(raw) as archive:
            named = _HEADER in archive.namelist()
            header = json.loads(archive.read(_HEADER)) if named else {}
            _check_version(file, header)
            places = {
                one.filename: _place(raw, one)
                for one in archive.infolist()
                if one.filename != _HEADER
            }
    except FileError:
        raise
    except FileNotFoundError as error:
        msg = f"There is no file {file}: give the path that Catalog.save returned."
        raise FileError(msg) from error
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror or error}."
        raise FileError(msg) from error
    except (zipfile.BadZipFile, ValueError, KeyError, struct.error, zlib.error) as error:
        raise damaged(file, error) from error
    return file, header, places


def damaged(file: Path, error: BaseException) -> FileError:
    """The error for a catalog file that cannot be understood."""
    return FileError(
        f"{file} is no catalog of lazyana, or it is damaged ({error}). Copy it again, or inspect "
        "the files again."
    )


def _check_version(file: Path, header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        msg = f"{file} is no catalog of lazyana: it has no {_HEADER} of format {FORMAT!r} in it."
        raise FileError(msg)
    if header["version"] != VERSION:
        writer = header.get("lazyana", "unknown")
        msg = (
            f"{file} has catalog version {header['version']}, written by lazyana {writer}; this "
            f"lazyana reads version {VERSION}. Inspect the files again with this one."
        )
        raise FileError(msg)


def _place(raw: Any, member: zipfile.ZipInfo) -> Place:
    raw.seek(member.header_offset)
    signature, name, extra = _LOCAL.unpack(raw.read(_LOCAL.size))
    if signature != _SIGNATURE or member.compress_type != zipfile.ZIP_STORED:
        msg = f"its member {member.filename!r} is not stored as it should be"
        raise ValueError(msg)
    return member.header_offset + _LOCAL.size + name + extra, member.file_size
