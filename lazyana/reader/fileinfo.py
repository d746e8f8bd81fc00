"""What is known of one file, and how it is kept."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import cramjam
import numpy as np

from lazyana.reader.baskets import BasketIndex
from lazyana.reader.records import Blob, Record, RecordError, packed, unpacked

Places = Mapping[str, int]
"""Position of each branch among all of a layout."""

IndexAt = Callable[[Blob], BasketIndex]
"""Gives the basket index that lies somewhere in the buffer of a record."""


@dataclass(frozen=True)
class Layout:
    """The branches of a tree: files with equal layouts are read by the same plan.

    Attributes
    ----------
    signature
        Hash of the names and types of the branches.
    base_form
        Form of the flat branches, as coffea's schemas take it (JSON).
    """

    signature: str
    base_form: str

    @cached_property
    def types(self) -> Mapping[str, str]:
        """C++ type of each branch that can be read as an array, by name, sorted."""
        form = json.loads(self.base_form)
        named = zip(form["fields"], form["contents"], strict=True)
        return {name: _typename(content) for name, content in sorted(named)}

    @property
    def branches(self) -> tuple[str, ...]:
        """Names of the branches that can be read as arrays, sorted."""
        return tuple(self.types)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is derived."""
        return {"signature": self.signature, "base_form": self.base_form}

    def to_record(self, names: Iterable[str]) -> bytes:
        """As bytes to be kept, with the names of the branches in the order of `Sizes`."""
        form = bytes(cramjam.zstd.compress(self.base_form.encode(), level=6))
        return packed({"signature": self.signature, "names": list(names)}, [form])

    @classmethod
    def from_record(cls, buffer: bytes) -> tuple[Layout, Places]:
        """The layout, and the position of each branch.

        Raises
        ------
        RecordError
            Bytes that are not what `to_record` gives.
        """
        record = unpacked(buffer)
        form = bytes(cramjam.zstd.decompress(record.blobs[0].of(buffer))).decode()
        places = {name: place for place, name in enumerate(record.head["names"])}
        return cls(record.head["signature"], form), places


@dataclass(frozen=True, eq=False)
class Sizes(Mapping[str, int]):
    """A number for each branch of a file, small: the names are shared by all files of a layout.

    Attributes
    ----------
    places
        Position of each branch.
    numbers
        The numbers.
    """

    places: Places
    numbers: array[int]

    def __getitem__(self, branch: str) -> int:
        """The number of one branch."""
        return self.numbers[self.places[branch]]

    def __iter__(self) -> Iterator[str]:
        """The names of the branches."""
        return iter(self.places)

    def __len__(self) -> int:
        """How many branches there are."""
        return len(self.places)


@dataclass(frozen=True)
class FileInfo:
    """What is known about one file.

    Attributes
    ----------
    url, tree
        Where its events are.
    uuid
        Identity of the file's content, checked again when it is read.
    entries
        Number of events.
    signature
        Which `Layout` it has.
    branch_bytes
        Compressed size of each branch, in bytes.
    format
        How the events are stored: ``"TTree"``, ``"RNTuple"`` or ``"parquet"``.
    alternatives
        Other URLs of the same file, to be tried when the first one fails.
    branch_memory
        Uncompressed size of each branch, in bytes.
    clusters
        First entry of each cluster or row group, and the number of entries at the end.
    index
        Where the baskets of a TTree are; None for other formats.
    file_bytes
        Size of the file.
    compression
        How most of it is compressed, e.g. ``"ZSTD(5)"``.
    sum_weights
        Sum of genWeight of all events the file was made from, from its ``Runs`` tree, which also
        counts those that a skim left out; where there is none, of the events in the file. None for
        data.
    sum_signs
        Sum of the sign of genWeight, likewise; of files that are no skims of ours it is that of the
        events in the file. None for data.
    origin
        Sums of genWeight and of its sign as the ``Runs`` tree tells them; None where it does not.
    nano_version
        Version of NanoAOD as far as the file tells, such as ``"v9"`` or ``"v12-v14"``.
    lumis
        Luminosity sections the file was made from, pairs of (run, section), sorted; None where
        they were not asked for.
    """

    url: str
    tree: str
    uuid: str
    entries: int
    signature: str
    branch_bytes: Mapping[str, int]
    format: str = "TTree"
    alternatives: tuple[str, ...] = ()
    branch_memory: Mapping[str, int] = field(default_factory=dict)
    clusters: tuple[int, ...] = ()
    index: BasketIndex | None = None
    file_bytes: int = 0
    compression: str = ""
    sum_weights: float | None = None
    sum_signs: float | None = None
    origin: tuple[float | None, float | None] = (None, None)
    nano_version: str | None = None
    lumis: tuple[tuple[int, int], ...] | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """All places where the file can be read, in the order to try them."""
        return (self.url, *self.alternatives)

    def to_record(self, places: Places) -> bytes:
        """As bytes to be kept.

        Parameters
        ----------
        places
            Position of each branch of the layout.
        """
        plain = {
            one.name: getattr(self, one.name) for one in fields(self) if one.name not in _CODED
        }
        counted = {name: getattr(self, name) for name in _COUNTED}
        branches = list(places)
        codes = {name: _code(table.values()) for name, table in counted.items()}
        tables = {
            name: [None if list(table) == branches else list(table), codes[name]]
            for name, table in counted.items()
        }
        numbers = b"".join(
            np.array(list(table.values()), _STORED[codes[name]]).tobytes()
            for name, table in counted.items()
        )
        lumis = None if self.lumis is None else lumi_ranges(self.lumis)
        head = {"plain": plain, "tables": tables, "lumis": lumis, "indexed": self.index is not None}
        index = b"" if self.index is None else self.index.payload
        return packed(head, [bytes(cramjam.zstd.compress(numbers, level=3)), index])

    @classmethod
    def from_record(
        cls, buffer: bytes, record: Record, places: Places, index: IndexAt | None = None
    ) -> FileInfo:
        """What `to_record` was given.

        Parameters
        ----------
        buffer
            Holds the record, the basket index at its end perhaps not.
        record
            The record in it.
        places
            Position of each branch of the layout.
        index
            Makes the basket index, if it is not to be read at once.

        Raises
        ------
        RecordError
            Bytes that are not what `to_record` gives.
        """
        try:
            head = record.head
            sizes, last = record.blobs
            numbers = bytes(cramjam.zstd.decompress(sizes.of(buffer)))
            given = {key: tupled(value) for key, value in head["plain"].items()}
            at = 0
            for name, (names, code) in head["tables"].items():
                found = places if names is None else {one: n for n, one in enumerate(names)}
                stop = at + len(found) * array(code).itemsize
                stored = np.frombuffer(numbers[at:stop], _STORED[code])
                given[name] = Sizes(found, array(code, stored.astype(code).tobytes()))
                at = stop
            if head["indexed"]:
                given["index"] = BasketIndex(last.of(buffer)) if index is None else index(last)
            return cls(**given, lumis=_lumi_pairs(head["lumis"]))
        except (KeyError, TypeError, AttributeError, cramjam.DecompressionError) as error:
            msg = f"it says something else of a file than it should ({error})"
            raise RecordError(msg) from error


_COUNTED = ("branch_bytes", "branch_memory")
_CODED = (*_COUNTED, "index", "lumis")
_STORED = {"I": "<u4", "q": "<i8"}


def _code(numbers: Iterable[int]) -> str:
    """Type code of the smallest array that holds them."""
    return "I" if max(numbers, default=0) < 2**32 else "q"


def tupled(value: Any) -> Any:
    """Lists of JSON as tuples."""
    return tuple(map(tupled, value)) if isinstance(value, list) else value


def lumi_ranges(lumis: Iterable[tuple[int, int]]) -> dict[str, list[list[int]]]:
    """Luminosity sections as in a golden JSON file: for each run, ranges of sections."""
    found: dict[str, list[list[int]]] = {}
    for run, section in sorted(set(lumis)):
        ranges = found.setdefault(str(run), [])
        if ranges and ranges[-1][1] == section - 1:
            ranges[-1][1] = section
        else:
            ranges.append([section, section])
    return found


def _lumi_pairs(
    ranges: Mapping[str, Iterable[Sequence[int]]] | None,
) -> tuple[tuple[int, int], ...] | None:
    if ranges is None:
        return None
    return tuple(
        (int(run), section)
        for run, some in ranges.items()
        for first, last in some
        for section in range(first, last + 1)
    )


@dataclass(frozen=True)
class Unreadable:
    """A file that inspection had to leave out.

    Attributes
    ----------
    url
        Which file.
    error
        Why.
    """

    url: str
    error: str


def _typename(form: Mapping[str, Any]) -> str:
    """The type of a branch, as coffea's base form notes it on the innermost form."""
    while "content" in form:
        form = form["content"]
    return str(form.get("parameters", {}).get("typename", form.get("primitive", "?")))
