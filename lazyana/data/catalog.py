"""Catalogs: what inspection learned of a fileset."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lazyana.data.baskets import BasketIndex
from lazyana.data.fileset import Fileset


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

    places: Mapping[str, int]
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
    sum_weights, sum_signs
        Sum of genWeight, and of its sign, of all events the file was made from; None for data.
    nano_version
        Version of NanoAOD, as far as the file tells.
    lumis
        Luminosity sections, pairs of (run, section), where they were asked for.
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
    nano_version: str | None = None
    lumis: tuple[tuple[int, int], ...] | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """All places where the file can be read, in the order to try them."""
        return (self.url, *self.alternatives)


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


@dataclass(frozen=True)
class Catalog:
    """What inspection learned of a fileset.

    Attributes
    ----------
    fileset
        The fileset inspected.
    files
        For every dataset, its files in order.
    layouts
        The layouts met, by signature.
    unreadable
        For every dataset, the files left out because they could not be read.
    """

    fileset: Fileset
    files: Mapping[str, tuple[FileInfo, ...]]
    layouts: Mapping[str, Layout]
    unreadable: Mapping[str, tuple[Unreadable, ...]] = field(default_factory=dict)

    def entries(self, dataset: str) -> int:
        """Number of events in a dataset."""
        return sum(file.entries for file in self.files[dataset])


def _typename(form: Mapping[str, Any]) -> str:
    """The type of a branch, as coffea's base form notes it on the innermost form."""
    while "content" in form:
        form = form["content"]
    return str(form.get("parameters", {}).get("typename", form.get("primitive", "?")))
