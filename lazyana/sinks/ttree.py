"""ROOT trees written in one go: the data of all branches first, what describes them last.

Uproot writes the description first, and keeps it up to date; for a tree of 1500 branches that takes
half a minute, whatever is in it. Here uproot keeps the file, and the tree is made by us, as the
reference guide of ROOT describes its classes: TTree (version 20), TBranch (13), TLeaf (2),
TBasket (3). All numbers in it are big-endian.
"""

from __future__ import annotations

import datetime
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import uproot
from uproot import compression
from uproot.serialization import string
from uproot.writing._cascade import RawStreamerInfo

from lazyana.errors import InputError

Column: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[np.int64] | None]
"""Values of a branch, and for lists where those of each entry begin, from 0, shape
``(entries + 1,)``"""


@dataclass(frozen=True)
class Branch:
    """A branch of a tree, as it is written.

    Attributes
    ----------
    name
        Its name.
    dtype
        Type of its numbers, e.g. ``"float32"``.
    counter
        Name of the branch that counts its items; ``""`` where there is one value an entry.
    shape
        Shape of each value, ``()`` for a number.
    counts
        Type of the counter.
    title
        Description.
    optional
        Whether some files lack it, so that it may be None in all entries of a partition.
    """

    name: str
    dtype: str
    counter: str = ""
    shape: tuple[int, ...] = ()
    counts: str = "int32"
    title: str = ""
    optional: bool = False


@dataclass(frozen=True)
class _Kind:
    """How ROOT calls a type of numbers: code, class of the leaf, its smallest and largest value."""

    code: str
    leaf: str
    limits: struct.Struct


_KINDS: Mapping[str, _Kind] = {
    "bool": _Kind("O", "TLeafO", struct.Struct(">??")),
    "int8": _Kind("B", "TLeafB", struct.Struct(">bb")),
    "uint8": _Kind("b", "TLeafB", struct.Struct(">bb")),
    "int16": _Kind("S", "TLeafS", struct.Struct(">hh")),
    "uint16": _Kind("s", "TLeafS", struct.Struct(">hh")),
    "int32": _Kind("I", "TLeafI", struct.Struct(">ii")),
    "uint32": _Kind("i", "TLeafI", struct.Struct(">ii")),
    "int64": _Kind("L", "TLeafL", struct.Struct(">qq")),
    "uint64": _Kind("l", "TLeafL", struct.Struct(">qq")),
    "float32": _Kind("F", "TLeafF", struct.Struct(">ff")),
    "float64": _Kind("D", "TLeafD", struct.Struct(">dd")),
}

#: Types of numbers that can be written.
DTYPES = frozenset(_KINDS)

_MODELS = (
    *(getattr(uproot.models.TLeaf, f"Model_TLeaf{letter}_v1") for letter in "BSILFDO"),
    uproot.models.TBranch.Model_TBranch_v13,
    uproot.models.TTree.Model_TTree_v20,
)

# Bits of a TObject: on the heap, not deleted; and for a tree to be cleaned up, for a branch that
# it resets its addresses.
_OBJECT, _TREE, _BRANCH, _BRANCHES = 0x03000000, 0x03000008, 0x03400000, 0x03004000
_COUNT, _NEW_CLASS = 0x40000000, 0xFFFFFFFF
_LARGEST = 2**31 - 1

_KEY = struct.Struct(">ihiIhhqq")
_BASKET = struct.Struct(">Hiiii")
_TREE_NUMBERS = struct.Struct(">qqqqqdiiiiIqqqqqq")
_BRANCH_NUMBERS = struct.Struct(">iiiiq")
_BRANCH_SIZES = struct.Struct(">iIiqqqq")
_LEAF_NUMBERS = struct.Struct(">iii??")

# Line: colour 602, style 1, width 1; fill: colour 0, style 1001; marker: colour, style, size 1.
_FILL = b"@\x00\x00\x06\x00\x02\x00\x00\x03\xe9"
_ATTRIBUTES = (
    b"@\x00\x00\x08\x00\x02\x02Z\x00\x01\x00\x01"
    + _FILL
    + b"@\x00\x00\n\x00\x02\x00\x01\x00\x01?\x80\x00\x00"
)
_FEATURES = b"@\x00\x00\x07\x00\x00\x1a\xa1/\x10\x00"
_ROOM, _SIZE = 10, 32_000


def write_tree(
    file: Any,
    name: str,
    branches: Sequence[Branch],
    parts: Iterable[tuple[int, Mapping[str, Column]]],
) -> int:
    """Write a tree.

    Parameters
    ----------
    file
        Opened by `uproot.recreate`.
    name
        Name of the tree.
    branches
        Its branches; at least one. Counters are written, too, and must not be among them.
    parts
        Number of entries, and the column of each branch: one basket a branch is made of each part.

    Returns
    -------
    int
        Number of entries.

    Raises
    ------
    InputError
        No branches, or a part that is larger than ROOT can have it.
    """
    writer = _Writer(file, name, _with_counters(branches))
    for entries, columns in parts:
        if entries:
            writer.extend(entries, columns)
    writer.finish()
    return writer.entries


@dataclass
class _Written:
    """A branch, and where its baskets are."""

    branch: Branch
    is_counter: bool
    largest: int = 0
    total: int = 0
    packed: int = 0
    sizes: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    reference: int = 0

    @property
    def dims(self) -> str:
        """Dimensions of an entry, as ROOT writes them."""
        counter = f"[{self.branch.counter}]" if self.branch.counter else ""
        return counter + "".join(f"[{size}]" for size in self.branch.shape)


def _with_counters(branches: Sequence[Branch]) -> list[_Written]:
    """The branches, and before the first that it counts each counter."""
    found: dict[str, _Written] = {}
    for branch in branches:
        if branch.counter and branch.counter not in found:
            counter = Branch(branch.counter, branch.counts, title=f"number of {branch.counter[1:]}")
            found[counter.name] = _Written(counter, is_counter=True)
        found[branch.name] = _Written(branch, is_counter=False)
    if not found:
        msg = "A tree has branches: give at least one."
        raise InputError(msg)
    return list(found.values())


class _Writer:
    """A tree that is being written to a file."""

    def __init__(self, file: Any, name: str, branches: Sequence[_Written]) -> None:
        self.entries = 0
        self._name = name
        self._branches = branches
        self._directory = file._cascading
        self._sink = file._file.sink
        self._streamers = file._file._cascading.streamers
        self._compression = file.compression
        self._starts = [0]

    def extend(self, entries: int, columns: Mapping[str, Column]) -> None:
        """Write one basket of each branch, all of them at one place of the file."""
        segments = self._directory.freesegments
        baskets = [self._basket(one, entries, columns) for one in self._branches]
        place = segments.allocate(sum(head.size + len(data) for head, data in baskets))
        records: list[bytes] = []
        for one, (head, data) in zip(self._branches, baskets, strict=True):
            size = head.size + len(data)
            records += (head.at(place, size, self._directory.key.location), data)
            one.places.append(place)
            one.sizes.append(size)
            one.total += head.size + head.length
            one.packed += size
            place += size
        self._sink.write(place - sum(map(len, records)), b"".join(records))
        segments.write(self._sink)
        self._sink.set_file_length(segments.fileheader.end)
        self.entries += entries
        self._starts.append(self.entries)

    def _basket(
        self, one: _Written, entries: int, columns: Mapping[str, Column]
    ) -> tuple[_Head, bytes]:
        branch = one.branch
        if one.is_counter:
            counted = next(b.branch.name for b in self._branches if b.branch.counter == branch.name)
            offsets = columns[counted][1]
            assert offsets is not None
            values: npt.NDArray[Any] = np.diff(offsets)
            one.largest = max(one.largest, int(values.max(initial=0)))
            offsets = None
        else:
            values, offsets = columns[branch.name]
        stored = np.ascontiguousarray(values, np.dtype(branch.dtype).newbyteorder(">"))
        width = stored.dtype.itemsize * int(np.prod(branch.shape, dtype=np.int64))
        names = string("TBasket") + string(branch.name) + string(self._name)
        header = _KEY.size + len(names) + _BASKET.size + 1
        data, last, per_entry = stored.tobytes(), header + stored.nbytes, width
        if offsets is not None:
            if header + stored.nbytes > _LARGEST:
                self._too_large(branch.name, stored.nbytes)
            places = (offsets * width + header).astype(">i4")
            data += struct.pack(">I", len(places)) + places.tobytes()
            per_entry = len(places) + 1
        packed = compression.compress(data, self._compression)
        if max(len(data), header + len(packed)) > _LARGEST:
            self._too_large(branch.name, len(data))
        return _Head(names, len(data), (3, _SIZE, per_entry, entries, last)), bytes(packed)

    def _too_large(self, branch: str, size: int) -> None:
        msg = (
            f"Branch {branch!r} has {size} bytes in one part of tree {self._name!r}, and ROOT "
            f"takes {_LARGEST}. Write smaller parts: compute with a smaller partition_size."
        )
        raise InputError(msg)

    def finish(self) -> None:
        """Write what describes the tree."""
        key = _KEY.size + len(string("TTree") + string(self._name) + string(self._name))
        body = self._described(key)
        packed = bytes(compression.compress(body, self._compression))
        self._directory.add_object(
            self._sink, "TTree", self._name, self._name, packed, len(body), big=True
        )
        seen = {one[-2:]: one for model in _MODELS for one in model.class_rawstreamers}
        self._streamers.update_streamers(
            self._sink, [RawStreamerInfo(*one) for one in seen.values()]
        )

    def _described(self, start: int) -> bytes:
        """The tree; the references in it count from the beginning of its key."""
        total, packed = (
            sum(getattr(one, n) for one in self._branches) for n in ("total", "packed")
        )
        numbers = _TREE_NUMBERS.pack(
            *(self.entries, total, packed, 0, 0, 1.0, 0, 25, 0, 1000, 0),
            *(10**12, 10**12, 0, -300_000_000, -30_000_000, 1_000_000),
        )
        # the two empty bytes are the ends and sizes of clusters
        front = _named(self._name, self._name, _TREE) + _ATTRIBUTES + numbers
        front += b"\x00\x00" + _FEATURES
        begun = _array(b"", len(self._branches), _BRANCHES)
        place = start + 6 + len(front) + len(begun)
        records: list[bytes] = []
        references: dict[str, int] = {"": 0}
        for one in self._branches:
            record = self._branch(one, place, references)
            records.append(record)
            place += len(record)
        branches = _array(b"".join(records), len(self._branches), _BRANCHES)
        leaves = np.array([references[one.branch.name] for one in self._branches], ">u4").tobytes()
        # no aliases, indices, friends, user information
        return _counted(
            20, front + branches + _array(leaves, len(self._branches), _OBJECT) + b"\x00" * 28
        )

    def _branch(self, one: _Written, place: int, references: dict[str, int]) -> bytes:
        """One branch, at a place from which references count."""
        branch, baskets = one.branch, len(one.places)
        room = max(_ROOM, baskets + 1)
        title = branch.title or f"{branch.name}{one.dims}/{_KINDS[branch.dtype].code}"
        front = (
            _named(branch.name, title, _BRANCH)
            + _FILL
            + _BRANCH_NUMBERS.pack(0, _SIZE, 1000 * bool(branch.counter), baskets, self.entries)
            + _FEATURES
            + _BRANCH_SIZES.pack(0, room, 0, self.entries, 0, one.total, one.packed)
            + _EMPTY
        )
        # Before it: of the branch count, mark, name and count; of the array of leaves its head.
        reference = place + 8 + len(b"TBranch\x00") + 6 + len(front) + len(_array(b"", 1, _OBJECT))
        references[branch.name] = reference + 2
        leaf = _leaf(one, references[branch.counter])
        numbers = (
            (one.sizes, ">i4"),
            (self._starts[: baskets + 1], ">i8"),
            (one.places, ">i8"),
        )
        back = b"".join(b"\x01" + _padded(some, room, dtype) for some, dtype in numbers)
        body = front + _array(_object(_KINDS[branch.dtype].leaf, leaf), 1, _OBJECT)
        return _object("TBranch", _counted(13, body + _EMPTY + back + b"\x00"))


@dataclass(frozen=True)
class _Head:
    """What is in front of the data of a basket."""

    names: bytes
    length: int
    numbers: tuple[int, int, int, int, int]

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return _KEY.size + len(self.names) + _BASKET.size + 1

    def at(self, place: int, size: int, directory: int) -> bytes:
        """The head of a basket of so many bytes at a place of the file."""
        now = uproot._util.datetime_to_code(datetime.datetime.now())
        key = _KEY.pack(size, 1004, self.length, now, self.size, 0, place, directory)
        return key + self.names + _BASKET.pack(*self.numbers) + b"\x00"


def _leaf(one: _Written, counter: int) -> bytes:
    branch = one.branch
    kind = _KINDS[branch.dtype]
    items = int(np.prod(branch.shape, dtype=np.int64))
    numbers = _LEAF_NUMBERS.pack(
        items, np.dtype(branch.dtype).itemsize, 0, one.is_counter, kind.code.islower()
    )
    base = _named(branch.name, branch.name + one.dims, _OBJECT) + numbers
    limits = kind.limits.pack(0, one.largest) if one.is_counter else kind.limits.pack(0, 0)
    return _counted(1, _counted(2, base + struct.pack(">I", counter)) + limits)


def _counted(version: int, body: bytes) -> bytes:
    return struct.pack(">IH", (len(body) + 2) | _COUNT, version) + body


def _object(kind: str, body: bytes) -> bytes:
    named = kind.encode() + b"\x00" + body
    return struct.pack(">II", (len(named) + 4) | _COUNT, _NEW_CLASS) + named


def _named(name: str, title: str, bits: int) -> bytes:
    return _counted(1, struct.pack(">HII", 1, 0, bits) + string(name) + string(title))


def _array(content: bytes, length: int, bits: int) -> bytes:
    return _counted(
        3, struct.pack(">HII", 1, 0, bits) + b"\x00" + struct.pack(">ii", length, 0) + content
    )


def _padded(numbers: Sequence[int], room: int, dtype: str) -> bytes:
    found = np.zeros(room, dtype)
    found[: len(numbers)] = numbers
    return found.tobytes()


_EMPTY = _array(b"", 0, _OBJECT)
