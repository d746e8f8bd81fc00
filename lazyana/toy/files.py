"""How toy events become ROOT files: NanoAOD types, trees, clusters, compression."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from lazyana.errors import InputError, did_you_mean
from lazyana.toy.event import Block
from lazyana.toy.tables import Array, Ints

COMPRESSIONS: dict[str, tuple[Callable[[int], Any], int]] = {
    "zstd": (uproot.ZSTD, 3),
    "zlib": (uproot.ZLIB, 6),
    "lzma": (uproot.LZMA, 4),
    "lz4": (uproot.LZ4, 4),
}


# helpers of the generation that are no branches, and branches that only simulation has
HIDDEN = frozenset({"row", "flavour", "kind", "mother", "lepton"})
TRUTH = frozenset({"genPartFlav", "hadronFlavour", "partonFlavour"})
FULL_PRECISION = frozenset({"pt", "eta", "phi", "mass"})


def _number(values: Array, bits: int) -> Array:
    """NanoAOD's types: 32 bits, and no more mantissa bits than mean something."""
    if values.dtype == np.int64:
        return values.astype(np.int32)
    if values.dtype != np.float64:
        return values
    single = values.astype(np.float32)
    if bits >= 23:
        return single
    raw = single.view(np.uint32)
    half, mask = np.uint32(1 << (22 - bits)), np.uint32(0xFFFFFFFF << (23 - bits) & 0xFFFFFFFF)
    return ((raw + half) & mask).view(np.float32)


def to_awkward(block: Block) -> dict[str, Any]:
    """Branches of a block by name: NumPy for one value an event, awkward for the rest."""
    events = len(block.index)
    arrays: dict[str, Any] = {
        name: _number(values, 23) if name not in {"run", "event"} else values
        for name, values in block.flat.items()
    }
    for name, values in block.fixed.items():
        inner = _number(values, 12)
        offsets = np.arange(events + 1) * values.shape[1]
        arrays[name] = _jagged(offsets, ak.contents.NumpyArray(inner.ravel()))
    for name, table in sorted(block.tables.items()):
        fields = [
            field
            for field in sorted(table.columns)
            if not field.startswith("_")
            and field not in HIDDEN
            and (block.is_mc or field not in TRUTH)
        ]
        if not fields or (not block.is_mc and name.startswith("Gen")):
            continue
        contents = [
            ak.contents.NumpyArray(_number(table[f], 16 if f in FULL_PRECISION else 10))
            for f in fields
        ]
        offsets = np.concatenate([[0], np.cumsum(table.counts(events))])
        arrays[name] = _jagged(offsets, ak.contents.RecordArray(contents, fields))
    return arrays


def _jagged(offsets: Ints, content: Any) -> ak.Array:
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), content))


@dataclass(frozen=True)
class Layout:
    """How files are written."""

    compression: Any
    extra_branches: int
    cluster_events: int

    @classmethod
    def of(
        cls, compression: str | None, level: int | None, extra_branches: int, cluster_events: int
    ) -> Layout:
        """A layout with the codec of that name."""
        return cls(_codec(compression, level), extra_branches, cluster_events)


@dataclass(frozen=True)
class Sums:
    """Totals of one file, for its ``Runs`` tree and the fileset."""

    events: int = 0
    sumw: float = 0.0
    sumw2: float = 0.0
    scale: tuple[float, ...] = (0.0,) * 9

    def plus(self, arrays: dict[str, Any], stored: int) -> Sums:
        """Totals with the events of one more cluster."""
        if "genWeight" not in arrays or not stored:
            return replace(self, events=self.events + stored)
        weight = np.asarray(arrays["genWeight"], dtype=np.float64)
        scale = np.asarray(ak.to_regular(arrays["LHEScaleWeight"]), dtype=np.float64)
        return Sums(
            self.events + stored,
            self.sumw + float(weight.sum()),
            self.sumw2 + float((weight**2).sum()),
            tuple(float(v) for v in np.asarray(self.scale) + weight @ scale),
        )


def write_file(
    path: Path,
    clusters: Iterable[tuple[Block, int]],
    sections: Ints,
    layout: Layout,
    progress: Callable[[int], None],
) -> Sums:
    """One complete file or none: it gets its name only when all of it is there.

    Parameters
    ----------
    path
        The file.
    clusters
        Stored events, each portion with the number of events produced by then; at least one, which
        may be empty.
    sections
        Run and luminosity section of every produced event, shape ``(events, 2)``.
    layout
        Compression and cluster size.
    progress
        Called with the number of events produced by then.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    # room for every basket, so that the header is written once
    baskets = len(sections) // layout.cluster_events + 2
    sums, tree, is_mc = Sums(), None, False
    try:
        with uproot.recreate(partial, compression=layout.compression) as file:
            for block, produced in clusters:
                arrays, is_mc = to_awkward(block), block.is_mc
                tree = tree or _make_tree(file, "Events", arrays, baskets)
                if len(block.index):
                    tree.extend(arrays)
                    sums = sums.plus(arrays, len(block.index))
                progress(produced)
            _write_runs(file, sections, sums if is_mc else None)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return sums


def _make_tree(file: Any, name: str, arrays: dict[str, Any], baskets: int = 2) -> Any:
    types = {
        key: array.type.content if isinstance(array, ak.Array) else array.dtype
        for key, array in arrays.items()
    }
    return file.mktree(
        name,
        types,
        title=name,
        counter_name=lambda counted: "n" + counted,
        field_name=lambda outer, inner: inner if outer == "" else f"{outer}_{inner}",
        initial_basket_capacity=baskets,
    )


def _write_runs(file: Any, sections: Ints, sums: Sums | None) -> None:
    """The ``Runs`` tree, with sums of weights in simulation, and the ``LuminosityBlocks`` tree."""
    pairs = np.unique(sections, axis=0).astype(np.uint32)
    runs: dict[str, Any] = {"run": np.unique(pairs[:, 0])}
    if sums is not None:
        rows = len(runs["run"])
        runs["genEventCount"] = np.full(rows, sums.events, dtype=np.int64)
        runs["genEventSumw"] = np.full(rows, sums.sumw)
        runs["genEventSumw2"] = np.full(rows, sums.sumw2)
        scale = np.tile(np.asarray(sums.scale) / (sums.sumw or 1.0), rows)
        runs["LHEScaleSumw"] = _jagged(np.arange(rows + 1) * 9, ak.contents.NumpyArray(scale))
    blocks = {"run": pairs[:, 0], "luminosityBlock": pairs[:, 1]}
    for name, columns in (("Runs", runs), ("LuminosityBlocks", blocks)):
        tree = _make_tree(file, name, columns)
        if len(pairs):
            tree.extend(columns)


def _codec(compression: str | None, level: int | None) -> Any:
    if compression is None:
        return None
    if compression not in COMPRESSIONS:
        msg = (
            f"No compression {compression!r}; there are {', '.join(COMPRESSIONS)} and None."
            f"{did_you_mean(compression, COMPRESSIONS)}"
        )
        raise InputError(msg)
    make, default = COMPRESSIONS[compression]
    return make(default if level is None else level)
