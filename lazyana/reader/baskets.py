"""The basket index: where in a file the baskets of each branch are."""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cramjam
import numpy as np
import numpy.typing as npt
import uproot

from lazyana.reader.records import Stored

_LENGTHS = struct.Struct("<IIQ")
_PACKED = struct.Struct("<IHHH")


@dataclass(frozen=True, eq=False)
class Baskets:
    """Consecutive baskets of one branch.

    Attributes
    ----------
    code
        How the numbers are stored: a numpy type such as ``">f4"``; ``"[]>f4"`` for lists of them,
        ``"[10]>f4"`` for lists that each have 10 bytes before their numbers.
    seeks
        Position of each basket in the file, in bytes.
    sizes
        Length of each basket, with its key, in bytes.
    edges
        First entry of each basket, and one past the last entry at the end.
    """

    code: str
    seeks: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int64]

    def between(self, start: int, stop: int) -> Baskets:
        """Those baskets that hold entries of a range."""
        first = int(np.searchsorted(self.edges, start, side="right")) - 1
        last = int(np.searchsorted(self.edges, stop, side="left"))
        first = max(first, 0)
        last = max(last, first)
        chosen = slice(first, last)
        return Baskets(
            self.code, self.seeks[chosen], self.sizes[chosen], self.edges[first : last + 1]
        )


@dataclass(frozen=True, eq=False)
class BasketIndex:
    """The baskets of all branches of one tree that can be read without uproot.

    Branches that are not in it are read by uproot.

    Attributes
    ----------
    source
        The index, compressed; or where it is stored, to be loaded each time it is used.
    """

    source: bytes | Stored

    @property
    def payload(self) -> bytes:
        """The index, compressed."""
        return self.source if isinstance(self.source, bytes) else self.source.load()

    @property
    def size(self) -> int:
        """Length of the payload in bytes; nothing is loaded to know it."""
        return len(self.source)

    def __eq__(self, other: object) -> bool:
        """Whether it says the same, wherever it is stored."""
        return isinstance(other, BasketIndex) and self.payload == other.payload

    def __hash__(self) -> int:
        """Of the payload."""
        return hash(self.payload)

    @classmethod
    def build(cls, branches: Mapping[str, Baskets]) -> BasketIndex:
        """The index of some branches."""
        edges: dict[bytes, int] = {}
        rows = [
            (name, one.code, edges.setdefault(_bytes(one.edges), len(edges)))
            for name, one in branches.items()
        ]
        head = {
            "names": [row[0] for row in rows],
            "codes": [row[1] for row in rows],
            "edges": [row[2] for row in rows],
            "lengths": [len(edge) // 8 for edge in edges],
        }
        text = json.dumps(head, separators=(",", ":")).encode()
        seeks = _joined([one.seeks for one in branches.values()])
        sizes = _joined([one.sizes for one in branches.values()])
        body = b"".join((text, _planes(seeks), _planes(sizes), b"".join(edges)))
        packed = bytes(cramjam.zstd.compress(body, level=6))
        return cls(_LENGTHS.pack(len(text), len(seeks), len(body)) + packed)

    @cached_property
    def branches(self) -> Mapping[str, Baskets]:
        """The baskets of every branch, by name."""
        return self._unpacked()

    def _unpacked(self, wanted: Collection[str] | None = None) -> dict[str, Baskets]:
        """The baskets of some branches, or of all."""
        payload = self.payload
        text_bytes, count, size = _LENGTHS.unpack_from(payload)
        body = bytes(cramjam.zstd.decompress(payload[_LENGTHS.size :], output_len=size))
        head = json.loads(body[:text_bytes])
        numbers = np.frombuffer(body, "<i8", offset=text_bytes + 16 * count)
        edges = np.split(numbers, np.cumsum(head["lengths"])[:-1])
        planes = np.frombuffer(body, np.uint8, 16 * count, text_bytes).reshape(2, 8, count)
        found: dict[str, Baskets] = {}
        at = 0
        for name, code, edge in zip(head["names"], head["codes"], head["edges"], strict=True):
            end = at + len(edges[edge]) - 1
            if wanted is None or name in wanted:
                seeks, sizes = _unplaned(planes[:, :, at:end])
                found[name] = Baskets(code, seeks, sizes, edges[edge])
            at = end
        return found

    def split(self, names: Sequence[str], cuts: Sequence[int]) -> list[bytes]:
        """What tasks need to read some branches of consecutive entry ranges; for `unpack`.

        Parameters
        ----------
        names
            The branches; the order counts. Those that are not in the index are left out.
        cuts
            The first entry of each range, and one past the last one of the last range.

        Returns
        -------
        list of bytes
            For `unpack`, shape ``(len(cuts) - 1,)``.
        """
        known = self.__dict__.get("branches", {})
        if names and not known:
            known = self._unpacked(set(names))  # not kept, or those of thousands of files would be
        chosen = {place: known[name] for place, name in enumerate(names) if name in known}
        if not chosen:
            return [b""] * (len(cuts) - 1)
        return _Splitter(chosen, names).split(np.asarray(cuts, np.int64))

    def __getstate__(self) -> dict[str, Any]:
        """The payload, wherever it is stored, without what is derived."""
        return {"source": self.payload}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restore the payload; frozen fields cannot be set."""
        self.__dict__.update(state)


class _Splitter:
    """Packs the baskets of many entry ranges, those of branches with equal edges together."""

    def __init__(self, baskets: Mapping[int, Baskets], names: Sequence[str]) -> None:
        self._check = _check(names)
        codes: dict[str, int] = {}
        kinds: dict[bytes, list[tuple[int, int, Baskets]]] = {}
        for place, one in baskets.items():
            code = codes.setdefault(one.code, len(codes))
            kinds.setdefault(_bytes(one.edges), []).append((place, code, one))
        self._words = "\n".join(codes).encode()
        self._edges = [np.asarray(some[0][2].edges, "<i8") for some in kinds.values()]
        self._seeks = [np.array([one.seeks for *_, one in some], "<i8") for some in kinds.values()]
        self._sizes = [np.array([one.sizes for *_, one in some], "<u4") for some in kinds.values()]
        self._rows = [(place, code) for some in kinds.values() for place, code, _ in some]
        self._kinds = [len(some) for some in kinds.values()]
        self._heads: dict[tuple[tuple[int, ...], tuple[int, ...]], bytes] = {}

    def split(self, cuts: npt.NDArray[np.int64]) -> list[bytes]:
        firsts, lasts = [], []
        for edges in self._edges:
            # As in `Baskets.between`.
            first = np.maximum(np.searchsorted(edges, cuts[:-1], side="right") - 1, 0)
            firsts.append(first.tolist())
            lasts.append(np.maximum(np.searchsorted(edges, cuts[1:]), first).tolist())
        chosen = zip(zip(*firsts, strict=True), zip(*lasts, strict=True), strict=True)
        return [self._one(some, many) for some, many in chosen]

    def _one(self, firsts: Sequence[int], lasts: Sequence[int]) -> bytes:
        found: dict[bytes, int] = {}
        which = []
        seeks, sizes = [], []
        for kind, (first, last) in enumerate(zip(firsts, lasts, strict=True)):
            edges = self._edges[kind][first : last + 1].tobytes()
            which.append(found.setdefault(edges, len(found)))
            seeks.append(self._seeks[kind][:, first:last].tobytes())
            sizes.append(self._sizes[kind][:, first:last].tobytes())
        head = self._head(tuple(which), tuple(len(edges) // 8 for edges in found))
        return b"".join((head, *found, *seeks, *sizes))

    def _head(self, which: tuple[int, ...], lengths: tuple[int, ...]) -> bytes:
        """All that comes before the edges: hardly ever different for the ranges of a file."""
        known = self._heads.get((which, lengths))
        if known is None:
            kinds = np.repeat(np.array(which, "<u2"), self._kinds)[:, np.newaxis]
            rows = np.hstack((np.array(self._rows, "<u2"), kinds)).astype("<u2")
            head = _PACKED.pack(self._check, len(rows), len(lengths), len(self._words))
            known = head + self._words + rows.tobytes() + np.array(lengths, "<u4").tobytes()
            self._heads[which, lengths] = known
        return known


def unpack(packed: bytes, names: Sequence[str]) -> dict[str, Baskets]:
    """The baskets of each branch, from a part that `BasketIndex.split` made for the same names.

    Raises
    ------
    ValueError
        Other names, or in another order, than `split` was given.
    """
    if not packed:
        return {}
    check, count, kinds, word_bytes = _PACKED.unpack_from(packed)
    if check != _check(names):
        msg = "the byte ranges of a task are for other branches than its plan"
        raise ValueError(msg)
    at = _PACKED.size
    codes = packed[at : at + word_bytes].decode().split("\n")
    at += word_bytes
    rows = np.frombuffer(packed, "<u2", 3 * count, at).reshape(-1, 3).tolist()
    at += 6 * count
    lengths = np.frombuffer(packed, "<u4", kinds, at)
    at += 4 * kinds
    total = int(lengths.sum())
    edges = np.split(np.frombuffer(packed, "<i8", total, at), np.cumsum(lengths)[:-1])
    at += 8 * total
    number = sum(len(edges[edge]) - 1 for _, _, edge in rows)
    seeks = np.frombuffer(packed, "<i8", number, at)
    sizes = np.frombuffer(packed, "<u4", number, at + 8 * number).astype(np.int64)
    found: dict[str, Baskets] = {}
    first = 0
    for place, code, edge in rows:
        last = first + len(edges[edge]) - 1
        found[names[place]] = Baskets(
            codes[code], seeks[first:last], sizes[first:last], edges[edge]
        )
        first = last
    return found


def baskets_of(tree: Any) -> dict[str, Baskets]:
    """The baskets of a tree opened by uproot.

    Parameters
    ----------
    tree
        A TTree.

    Returns
    -------
    dict
        For the branches that consist of numbers or lists of numbers in free baskets of this file.
    """
    names = Counter(branch.name for branch in tree.branches)
    found = {branch.name: _baskets_of(branch) for branch in tree.branches}
    # Of branches with one name, uproot knows which one is meant.
    return {name: one for name, one in found.items() if one is not None and names[name] == 1}


def _baskets_of(branch: Any) -> Baskets | None:
    code = code_of(branch.interpretation)
    if code is None or len(branch.branches) or branch.embedded_baskets:
        return None
    if branch.member("fFileName", none_if_missing=True):
        return None  # kept in another file
    number = branch.num_baskets
    edges = np.asarray(branch.member("fBasketEntry")[: number + 1], "<i8")
    complete = len(edges) == number + 1 and int(edges[-1]) == branch.num_entries
    if not complete or edges[0] != 0 or (np.diff(edges) < 0).any():
        return None
    return Baskets(
        code,
        np.asarray(branch.member("fBasketSeek")[:number], "<i8"),
        np.asarray(branch.member("fBasketBytes")[:number], "<i8"),
        edges,
    )


def code_of(interpretation: Any) -> str | None:
    """The code of `Baskets` for an interpretation of uproot; None for what is left to uproot."""
    prefix = ""
    if type(interpretation) is uproot.AsJagged:
        header = interpretation.header_bytes
        prefix = f"[{header or ''}]"
        interpretation = interpretation.content
    if type(interpretation) is not uproot.AsDtype:
        return None
    stored, wanted = interpretation.from_dtype, interpretation.to_dtype
    plain = stored.kind in "biuf" and stored.subdtype is None and stored.fields is None
    if not plain or wanted != stored.newbyteorder("="):
        return None
    return prefix + str(stored.str)


def _check(names: Sequence[str]) -> int:
    return zlib.crc32("\n".join(names).encode())


def _bytes(numbers: npt.NDArray[Any]) -> bytes:
    return np.asarray(numbers, "<i8").tobytes()


def _joined(arrays: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    arrays = list(arrays)
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)


def _planes(numbers: npt.NDArray[Any]) -> bytes:
    """The first bytes of all numbers, then the second ones, …: what is alike lies together."""
    return np.asarray(numbers, "<i8").view(np.uint8).reshape(-1, 8).T.tobytes()


def _unplaned(planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The numbers, shape ``(..., numbers)``, of planes of shape ``(..., 8, numbers)``."""
    return np.ascontiguousarray(planes.swapaxes(-1, -2)).view("<i8")[..., 0]
