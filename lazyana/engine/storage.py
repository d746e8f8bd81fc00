"""The result file: one zip archive with a header and one set of members per output.

Files appear complete or not at all, and one output is read without touching the others.
``docs/result-format.md`` describes the format.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from lazyana.engine.codecs import Reader, Writer, kind_of
from lazyana.engine.nesting import Nesting
from lazyana.errors import FileError, InputTypeError, LazyanaError
from lazyana.reader.records import written_whole

FORMAT = "lazyana-result"
VERSION = 1
HEADER = "result.json"
#: Fast and small enough: histograms are mostly zeros or noise.
_COMPRESS_LEVEL = 3


class _Archive(zipfile.ZipFile):
    """A zip archive whose members may be larger than 2 GiB."""

    def open(
        self, name: Any, mode: Any = "r", pwd: Any = None, *, force_zip64: bool = False
    ) -> Any:
        return super().open(name, mode, pwd, force_zip64=force_zip64 or mode == "w")


def write(
    path: str | os.PathLike[str],
    nesting: Nesting,
    outputs: Iterable[Any],
    parts: Mapping[str, Any],
    *,
    kinds: Iterable[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a result file.

    Parameters
    ----------
    path
        File to write, ``.lazyana`` by convention.
    nesting
        Shape of the result.
    outputs
        Values in the order of the nesting; with `kinds` they are made one at a time.
    parts
        Further entries of the header in JSON terms: report, provenance.
    kinds
        Kind of each output (hist, cutflow, columns, ...); default: what `outputs` are.
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
    InputTypeError
        For a value that the format has no place for.
    """
    target = Path(path).absolute()
    names = list(nesting.paths())
    if kinds is None:
        outputs = list(outputs)
        kinds = map(kind_of, outputs)
    leaves = [
        {"type": kind, "member": _member(number, name)}
        for number, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    tree = nesting.to_json(iter(leaves))
    header = {"format": FORMAT, "version": VERSION, "outputs": tree, **parts}
    with (
        written_whole(target, overwrite=overwrite) as temporary,
        _Archive(temporary, "x", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESS_LEVEL) as archive,
    ):
        archive.writestr(HEADER, json.dumps(header, indent=1, allow_nan=False))
        for name, leaf, value in zip(names, leaves, outputs, strict=True):
            try:
                Writer(archive, leaf["member"], target.parent).write(value)
            except InputTypeError as error:
                msg = f"Output {name!r}: {error}" if name else str(error)
                raise InputTypeError(msg) from error
    return target


def _member(number: int, path: str) -> str:
    """Readable and unique beginning of member names, safe on any file system."""
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "-", path)[:80].strip("-.")
    return f"outputs/{number:04d}_{slug}" if slug else f"outputs/{number:04d}"


@dataclass(frozen=True, eq=False)
class StoredOutputs(Sequence[Any]):
    """Outputs in a result file, each read when it is first asked for.

    Attributes
    ----------
    file
        Absolute path of the result file.
    leaves
        Description of each output: ``type`` and ``member``.
    signature
        Size and modification time of the file when it was opened: an output must not come out of
        another file that has taken its place.
    """

    file: Path
    leaves: tuple[Mapping[str, Any], ...]
    signature: tuple[int, int]
    _values: dict[int, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of outputs."""
        return len(self.leaves)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Value of one output; read once, then kept."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        if number not in self._values:
            self._values[number] = self._read(self.leaves[number])
        return self._values[number]

    def read_anew(self, index: int) -> Any:
        """Value of one output, which is not kept."""
        return self._read(self.leaves[index])

    def kind(self, index: int) -> str:
        """Kind of one output, without reading it."""
        return str(self.leaves[index]["type"])

    def _read(self, leaf: Mapping[str, Any]) -> Any:
        member = leaf["member"]
        with reading(self.file, member):
            if _signature(self.file) != self.signature:
                msg = f"{self.file} has changed since it was loaded; load it again."
                raise FileError(msg)
            # Opened here, so that it is closed whatever a library leaves open in the archive.
            with self.file.open("rb") as raw, zipfile.ZipFile(raw) as archive:
                return Reader(archive, self.file.parent).read(member, leaf["type"])


def read(path: str | os.PathLike[str]) -> tuple[Nesting, StoredOutputs, dict[str, Any]]:
    """Open a result file: only its header is read.

    Returns
    -------
    nesting
        Shape of the result.
    outputs
        Values in the order of the nesting, read when asked for.
    header
        The header as it is in the file.

    Raises
    ------
    FileError
        For a file that is missing, damaged, not a result file, or of a newer format version.
    """
    file = Path(path).absolute()
    with reading(file, HEADER):
        signature = _signature(file)
        with zipfile.ZipFile(file) as archive:
            if HEADER not in archive.namelist():
                msg = f"{file} is not a lazyana result file: it has no {HEADER} in it."
                raise FileError(msg)
            header = json.loads(archive.read(HEADER))
        _check_version(file, header)
        nesting, leaves = Nesting.from_json(header["outputs"])
    return nesting, StoredOutputs(file, tuple(leaves), signature), header


def _check_version(file: Path, header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        msg = f"{file} is not a lazyana result file: {HEADER} does not say format {FORMAT!r}."
        raise FileError(msg)
    if header["version"] > VERSION:
        writer = header.get("provenance", {}).get("lazyana", "unknown")
        msg = (
            f"{file} has result format version {header['version']}, written by lazyana {writer}; "
            f"this lazyana reads versions up to {VERSION}. Update lazyana to read it."
        )
        raise FileError(msg)


def _signature(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


@contextmanager
def reading(file: Path, member: str) -> Iterator[None]:
    """Turn whatever goes wrong inside an archive into an error that names file and next step."""
    again = "copy the file again or run the analysis again"
    try:
        yield
    except LazyanaError:
        raise
    except FileNotFoundError as error:
        msg = f"There is no file {file}; give the path that Result.save returned."
        raise FileError(msg) from error
    except zipfile.BadZipFile as error:
        complete = zipfile.is_zipfile(file)
        damaged = f"has a damaged member {member!r}"
        what = damaged if complete else "is not a zip archive, or is cut short"
        msg = f"{file} {what} ({error}). If it is a lazyana result file, {again}."
        raise FileError(msg) from error
    except (zlib.error, EOFError, KeyError, TypeError, ValueError, IndexError) as error:
        reason = error.args[0] if error.args else error
        msg = f"{file}: cannot read member {member!r} ({reason}). To get it back, {again}."
        raise FileError(msg) from error
    except OSError as error:
        msg = f"Cannot read {file}: {error.strerror or error}. Check the path and its permissions."
        raise FileError(msg) from error
