"""Buffers: the arrays that events are built of, computed from the branches of a partition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import awkward as ak
import numpy as np
import numpy.typing as npt
from coffea.nanoevents.mapping.base import BaseSourceMapping
from coffea.nanoevents.util import quote, unquote

from lazyana.data.mixed import ALLOWED
from lazyana.data.partitions import Partition
from lazyana.errors import FileError
from lazyana.reader.spans import Span

LABEL_KEY = "lazyana_dataset,!label"

_LOADS = ("!load", ALLOWED)
_OFFSETS = quote(",!offsets")

Arrays = dict[str, ak.contents.Content]
Lacking = Mapping[str, frozenset[str]]
"""For each layout by its signature, branches that its files lack and that are read as None"""

Kind = Literal["label", "flat", "items", "starts", "counts", "global", "index", "values", "other"]


class Recipe(NamedTuple):
    """How a buffer comes from branches.

    Attributes
    ----------
    kind
        What to do.
    branch
        The branch, or the counter.
    counter
        Counter of the collection that the branch belongs to or, for global indices, points into.
    """

    kind: Kind
    branch: str = ""
    counter: str = ""


def buffer_key(form_key: str, attribute: str, form: Any = None) -> str:
    """Name of a buffer, as awkward's functions ask for it."""
    del form
    return f"{form_key}/{attribute}"


def parse_buffer_key(key: str) -> tuple[str, str]:
    """The inverse of `buffer_key`: key of the form, and which of its buffers."""
    form_key, _, attribute = key.rpartition("/")
    return form_key, attribute


def branches_of(key: str, *, missing: bool = True) -> set[str]:
    """Branches that one buffer is computed from, as coffea's form keys spell it out.

    Parameters
    ----------
    key
        The buffer.
    missing
        Whether those count that are read as None where a file lacks them.
    """
    nodes = unquote(parse_buffer_key(key)[0]).split(",")
    loads = _LOADS if missing else _LOADS[:1]
    return {name for name, node in pairwise(nodes) if node in loads}


@lru_cache(maxsize=65536)
def recipe_of(key: str) -> Recipe:
    """How to compute a buffer; ``"other"`` for what is left to coffea."""
    form_key, attribute = parse_buffer_key(key)
    name = unquote(form_key)
    if name == LABEL_KEY:
        return Recipe("label")
    found = Recipe("other")
    match attribute, name.split(","):
        case "data", [branch, "!load"]:
            found = Recipe("flat", branch)
        case "data", [branch, "!load", "!content"]:
            found = Recipe("items", branch)
        case "offsets", [branch, "!load"]:
            found = Recipe("starts", branch)
        case "offsets", [counter, "!load", "!counts2offsets", "!skip"]:
            found = Recipe("counts", counter)
        case "data", [branch, "!load", counter, "!load", "!counts2offsets", "!local2global"]:
            found = Recipe("global", branch, counter)
        case "index", [branch, allowed, "!index"] if allowed == ALLOWED:
            found = Recipe("index", branch)
        case "data", [branch, allowed, "!content"] if allowed == ALLOWED:
            found = Recipe("values", branch)
        case "index", [branch, allowed, counter, "!load", "!index"] if allowed == ALLOWED:
            found = Recipe("index", branch, counter)
        case "data", [branch, allowed, counter, "!load", "!content"] if allowed == ALLOWED:
            found = Recipe("values", branch, counter)
    return found


class Buffers(Mapping[str, Any]):
    """What `ak.from_buffers` takes: arrays where planned, else a promise to read.

    Parameters
    ----------
    partition
        Which events.
    eager
        Keys of the buffers that are computed at once.
    read
        Adds some branches to those that were read already. Of a branch that some files lack it
        adds the entries of the others, and nothing where all do.
    note
        Called with each branch before it is read for a promise.
    lacking
        What files may lack.
    """

    def __init__(
        self,
        partition: Partition,
        eager: frozenset[str],
        read: Callable[[list[str], Arrays], None],
        note: Callable[[str], None],
        lacking: Lacking,
    ) -> None:
        self._partition = partition
        self._eager = eager
        self._read = read
        self._note = note
        self._lacking = lacking
        self._arrays: Arrays = {}
        self._evaluator = _Evaluator(self._branch, partition.entries)

    def load(self, names: Iterable[str]) -> None:
        """Read branches ahead, all at once."""
        names = [name for name in names if name not in self._arrays]
        if names:
            self._read(names, self._arrays)

    def forget(self) -> None:
        """Let go of the branches; what is asked for from now on is read again."""
        self._arrays.clear()

    def __getitem__(self, key: str) -> Any:
        """The buffer, or a function that returns it."""
        return self._compute(key) if key in self._eager else lambda: self._compute(key)

    def __len__(self) -> int:
        """How many buffers are computed at once."""
        return len(self._eager)

    def __iter__(self) -> Iterator[str]:
        """Their keys."""
        return iter(self._eager)

    def _compute(self, key: str) -> npt.NDArray[Any]:
        kind, branch, counter = recipe_of(key)
        found: npt.NDArray[Any] | None = None
        match kind:
            case "label":
                partition = self._partition
                return np.full(partition.entries, partition.label, dtype=np.int32)
            case "flat":
                found = _numbers(self._branch(branch))
            case "items" | "starts":
                lists = self._branch(branch)
                if isinstance(lists, ak.contents.ListOffsetArray):
                    found = _numbers(lists.content) if kind == "items" else _starts(lists)
            case "counts":
                found = self._offsets(counter or branch)
            case "global":
                found = self._global(branch, counter)
            case "index":
                return self._index(branch, counter)
            case "values":
                return self._values(branch, counter)
        return self._by_coffea(key) if found is None else found

    def _by_coffea(self, key: str) -> npt.NDArray[Any]:
        form_key, attribute = parse_buffer_key(key)
        suffix = _OFFSETS if attribute == "offsets" else ""
        full = f"lazyana/events/0-{self._partition.entries}/{attribute}/{form_key}{suffix}"
        result: npt.NDArray[Any] = self._evaluator[full]
        return result

    def _branch(self, name: str) -> ak.contents.Content:
        """A branch that all files must have."""
        for span in self._partition.spans:
            if self._lacks(span, name):
                msg = (
                    f"{span.url} has no branch {name!r}, which other files have, and what is made "
                    "of it cannot be None. Open files with these branches separately, with "
                    "la.apply(function, fileset)."
                )
                raise FileError(msg)
        return self._some(name)

    def _some(self, name: str) -> ak.contents.Content:
        """A branch of the files that have it."""
        if name not in self._arrays:
            self._note(name)
            self.load([name])
        layout = self._arrays[name]
        if isinstance(layout, ak.contents.ListOffsetArray) and (
            layout.offsets.dtype != np.int64 or layout.offsets[0] != 0
        ):
            layout = self._arrays[name] = layout.to_ListOffsetArray64(True)
        return layout

    def _offsets(self, counter: str) -> npt.NDArray[np.int64] | None:
        counts = _numbers(self._branch(counter))
        if counts is None:
            return None
        offsets = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        return offsets

    def _global(self, branch: str, counter: str) -> npt.NDArray[np.int64] | None:
        """Positions in a whole collection from those in its events; -1 for none.

        The same as coffea's transform ``local2global``.
        """
        lists, targets = self._branch(branch), self._offsets(counter)
        if targets is None or not isinstance(lists, ak.contents.ListOffsetArray):
            return None
        index = _numbers(lists.content)
        if index is None or not np.can_cast(index.dtype, np.int64):
            return None
        starts = _starts(lists)
        lengths = np.diff(starts)
        place = index[: starts[-1]] + np.repeat(targets[:-1], lengths)
        outside = (index[: starts[-1]] < 0) | (place >= np.repeat(targets[1:], lengths))
        place[outside] = -1
        return place

    # -- branches that files may lack ---------------------------------------------------------

    def _lacks(self, span: Span, branch: str) -> bool:
        return branch in self._lacking.get(span.signature, ())

    def _index(self, branch: str, counter: str) -> npt.NDArray[np.int64]:
        """Position of each number among those that were read; -1 where the file lacks them."""
        ends = np.cumsum([span.entries for span in self._partition.spans])
        if counter:
            offsets = self._offsets(counter)
            ends = np.asarray(offsets)[ends]
        sizes = np.diff(ends, prepend=0).tolist()
        parts: list[npt.NDArray[np.int64]] = []
        at = 0
        for span, size in zip(self._partition.spans, sizes, strict=True):
            if self._lacks(span, branch):
                parts.append(np.full(size, -1, np.int64))
            else:
                parts.append(np.arange(at, at + size, dtype=np.int64))
                at += size
        return np.concatenate(parts)

    def _values(self, branch: str, counter: str) -> npt.NDArray[Any]:
        """The numbers that were read."""
        if all(self._lacks(span, branch) for span in self._partition.spans):
            return np.empty(0, np.uint8)
        layout = self._some(branch)
        if counter and isinstance(layout, ak.contents.ListOffsetArray):
            layout = layout.content[: layout.offsets[-1]]
        values = _numbers(layout)
        expected = int(self._index(branch, counter).max(initial=-1)) + 1
        if values is None or len(values) != expected:
            found = "no numbers" if values is None else f"{len(values)} numbers"
            msg = (
                f"Branch {branch!r} of {self._partition.file} has {found} instead of {expected}, "
                f"as {counter or 'the events'} tell. The file is damaged: copy it again."
            )
            raise FileError(msg)
        return values


class _Evaluator(BaseSourceMapping):  # type: ignore[misc]
    """Coffea's evaluator of buffer keys, over branches held in memory."""

    def __init__(self, branch: Callable[[str], ak.contents.Content], entries: int) -> None:
        super().__init__(None, 0, entries)
        self._branch = branch

    @classmethod
    def _extract_base_form(cls, source: Any) -> Any:
        return source

    def key_root(self) -> str:
        return "lazyana:"

    def _column_source(self, uuid: str, path_in_source: str) -> None:
        del uuid, path_in_source  # there is one source only, and it is in memory

    def get_column_handle(self, columnsource: Any, name: str, allow_missing: bool) -> str:
        del columnsource, allow_missing
        return name

    def extract_column(
        self, columnhandle: str, start: int, stop: int, allow_missing: bool, **_: Any
    ) -> Any:
        del start, stop, allow_missing
        return ak.Array(self._branch(columnhandle))

    def __len__(self) -> int:
        return int(self._stop)

    def __iter__(self) -> Iterator[str]:
        return iter(())


def _numbers(layout: ak.contents.Content) -> npt.NDArray[Any] | None:
    """The numbers of a flat array as they are in memory; None for anything else."""
    if not isinstance(layout, ak.contents.NumpyArray) or layout.data.ndim != 1:
        return None
    data = np.ascontiguousarray(layout.data)
    return data if data.dtype.isnative else None


def _starts(lists: ak.contents.ListOffsetArray) -> npt.NDArray[np.int64]:
    starts: npt.NDArray[np.int64] = np.asarray(lists.offsets.data)
    return starts
