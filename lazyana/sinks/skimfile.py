"""What a skim is written of: branches put together, baskets of bounded size, whole files."""

from __future__ import annotations

import math
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt
import uproot
from fsspec.implementations.local import LocalFileSystem

from lazyana.errors import InputError, InputTypeError, RunError, did_you_mean
from lazyana.sinks.folder import Folder
from lazyana.sinks.ttree import Branch, Column

#: An ``awkward.contents.Content``; awkward comes without types.
Layout: TypeAlias = Any

EVENTS = "Events"
COMPRESSION = "ZSTD(5)"

#: Uncompressed size of what is written at a time, one basket a branch: as large as ROOT makes the
#: clusters of its own files.
BATCH_BYTES = 32_000_000

_CODECS: Mapping[str, tuple[Callable[[int], Any], int]] = {
    "ZSTD": (uproot.ZSTD, 5),
    "ZLIB": (uproot.ZLIB, 4),
    "LZMA": (uproot.LZMA, 6),
    "LZ4": (uproot.LZ4, 4),
}


@dataclass(frozen=True, eq=False)
class Table:
    """Entries of a tree, ready to be written.

    Attributes
    ----------
    branches
        The branches.
    entries
        How many entries there are.
    columns
        The values of each branch.
    """

    branches: tuple[Branch, ...]
    entries: int
    columns: Mapping[str, Column]

    @classmethod
    def of(
        cls, branches: Iterable[Branch], layouts: Mapping[str, Layout], entries: int, where: str
    ) -> Table:
        """Arrays made ready.

        Parameters
        ----------
        branches
            What to write. One that is optional is left out where it is None in any entry.
        layouts
            An array of shape ``(entries,)`` or ``(entries, items)`` for each.
        entries
            How many entries there are.
        where
            Begins the message if they do not fit together.

        Raises
        ------
        RunError
            Branches of one counter with different numbers of items, or None where there must be
            a value.
        """
        kept: list[Branch] = []
        columns: dict[str, Column] = {}
        counted: dict[str, tuple[str, npt.NDArray[np.int64]]] = {}
        for branch in branches:
            layout = _without_none(branch, layouts[branch.name], where)
            if layout is None:
                continue
            kept.append(branch)
            if not branch.counter:
                columns[branch.name] = _numbers(branch, layout), None
                continue
            offsets, items = _items(branch, layout, where)
            first, known = counted.setdefault(branch.counter, (branch.name, offsets))
            if known is not offsets and not np.array_equal(known, offsets):
                msg = (
                    f"{where}: branches {first!r} and {branch.name!r} have different numbers of "
                    f"items, so {branch.counter} cannot count both. Drop one of them."
                )
                raise RunError(msg)
            columns[branch.name] = items, known
        return cls(tuple(kept), entries, columns)

    @property
    def bytes(self) -> int:
        """Uncompressed size."""
        return sum(
            values.nbytes + (0 if offsets is None else 4 * len(offsets))
            for values, offsets in self.columns.values()
        )

    def part(self, start: int, stop: int) -> dict[str, Column]:
        """The columns of some entries."""
        found: dict[str, Column] = {}
        for name, (values, offsets) in self.columns.items():
            if offsets is None:
                found[name] = values[start:stop], None
            else:
                some = offsets[start : stop + 1]
                found[name] = values[some[0] : some[-1]], some - some[0]
        return found

    def parts(self, most: int = BATCH_BYTES) -> Iterator[tuple[int, dict[str, Column]]]:
        """Yield ranges of about equal length and at most so many bytes, as they are written."""
        number = min(self.entries, math.ceil(self.bytes / most))
        edges = [part * self.entries // number for part in range(number + 1)] if number else []
        for start, stop in pairwise(edges):
            yield stop - start, self.part(start, stop)


def _without_none(branch: Branch, layout: Layout, where: str) -> Layout | None:
    """The array without options; None where a branch that may be missing is missing."""
    bare, missing = _bare(layout)
    if not missing:
        return bare
    if branch.optional:
        return None
    msg = f"{where}: branch {branch.name!r} is None in some entries, and ROOT has no None."
    raise RunError(msg)


def _bare(layout: Layout) -> tuple[Layout, bool]:
    """An array without options and indices, its lists one after the other; was any None in it."""
    missing = False
    while layout.is_option or layout.is_indexed:
        if layout.is_option:
            missing = missing or bool(np.any(layout.mask_as_bool(valid_when=False)))
        layout = layout.project()
    if not layout.is_list or layout.is_regular:
        return layout, missing
    lists = layout.to_ListOffsetArray64(True)
    content, inside = _bare(lists.content[: lists.offsets[-1]])
    return ak.contents.ListOffsetArray(lists.offsets, content), missing or inside


def _numbers(branch: Branch, layout: Layout) -> npt.NDArray[Any]:
    values = np.asarray(ak.to_numpy(layout), dtype=branch.dtype)
    return np.ascontiguousarray(values.reshape((len(layout), *branch.shape)))


def _items(
    branch: Branch, layout: Layout, where: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Where the items of each entry begin, and the items of all entries."""
    if not layout.is_list or layout.is_regular:
        msg = f"{where}: branch {branch.name!r} has no lists but {layout.form.type}."
        raise RunError(msg)
    offsets: npt.NDArray[np.int64] = np.asarray(layout.offsets.data)
    return offsets, _numbers(branch, layout.content)


def codec(text: Any) -> Any:
    """The compression of a file by its name and level, e.g. ``"ZSTD(5)"``.

    Raises
    ------
    InputError, InputTypeError
        Anything else.
    """
    if not isinstance(text, str):
        msg = f"compression={text!r} is a {type(text).__name__}: give text, e.g. {COMPRESSION!r}."
        raise InputTypeError(msg)
    found = re.fullmatch(r"(\w+)(?:\((\d)\))?", text.strip())
    name = found[1].upper() if found else text
    if found is None or name not in _CODECS:
        msg = (
            f"No compression {text!r}.{did_you_mean(name, _CODECS)} "
            f"Give {', '.join(_CODECS)}, with a level if you like: {COMPRESSION!r}."
        )
        raise InputError(msg)
    make, level = _CODECS[name]
    return make(int(found[2]) if found[2] else level)


def publish(folder: Folder, relative: str, write: Callable[[Path], None]) -> int:
    """Have a file written under another name, and give it its own when it is whole.

    Parameters
    ----------
    folder
        Where it belongs; a file on another machine is written here first, then copied.
    relative
        Its name.
    write
        Called with the path to write to.

    Returns
    -------
    int
        Size in bytes.
    """
    if isinstance(folder.fs, LocalFileSystem):
        target = Path(folder.full(relative))
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.with_name(f".{target.stem}.{uuid.uuid4().hex}.tmp")
        try:
            write(hidden)
            size = hidden.stat().st_size
            hidden.replace(target)
        finally:
            hidden.unlink(missing_ok=True)
        return size
    with tempfile.TemporaryDirectory() as place:
        local = Path(place) / "file.root"
        write(local)
        with local.open("rb") as source:
            return folder.write(relative, lambda file: shutil.copyfileobj(source, file))
