"""The embedded sample: Drell-Yan and ttbar simulation and data made of both, as NanoAOD files.

The layout is that of NanoAOD v9: 32-bit signed indices and counters, flat ``MET_`` and ``PV_``
columns. Events are drawn in blocks of fixed size, each with its own random stream, so the same seed
gives the same events however they are split into files, clusters and calls. Data differs from
simulation by known efficiencies, scales and a pileup profile: see `lazyana.toy.leptons`.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import InputError, OutputExistsError, did_you_mean
from lazyana.toy.event import Block, detect
from lazyana.toy.files import Layout, Sums, to_awkward, write_file
from lazyana.toy.leptons import DATA, SIMULATION
from lazyana.toy.padding import pad
from lazyana.toy.physics import collide
from lazyana.toy.tables import Array, Ints, Table

BLOCK = 5_000
"""Events drawn together; part of what the events are, like the seed."""

FIRST_RUN, EVENTS_PER_RUN, EVENTS_PER_SECTION = 315257, 1_000, 50
SIMULATED_SECTION = 1_000


@dataclass(frozen=True)
class ToyDataset:
    """One dataset of the embedded sample.

    Attributes
    ----------
    name
        Its name, also the first argument of `write_dataset`.
    is_mc
        Simulation rather than data.
    xsec
        Cross section in pb; for data the sum of what it is made of.
    ttbar_share
        Share of the collisions that are top quark pairs.
    gen_weight
        Absolute generator weight.
    negative
        Share of events with a negative generator weight.
    """

    name: str
    is_mc: bool
    xsec: float
    ttbar_share: float
    gen_weight: float = 1.0
    negative: float = 0.0
    year: str = "2018"
    era: str = "A"


_DY_XSEC, _TT_XSEC = 6077.22, 88.29
DATASETS: dict[str, ToyDataset] = {
    dataset.name: dataset
    for dataset in (
        ToyDataset("DYJetsToLL", True, _DY_XSEC, 0.0, 16_204.5, 0.04),
        ToyDataset("TTTo2L2Nu", True, _TT_XSEC, 1.0, 72.69, 0.02),
        ToyDataset("SingleMuon", False, _DY_XSEC + _TT_XSEC, _TT_XSEC / (_DY_XSEC + _TT_XSEC)),
    )
}


def _dataset(process: str) -> ToyDataset:
    if process not in DATASETS:
        msg = (
            f"No toy dataset {process!r}; there are {', '.join(DATASETS)}."
            f"{did_you_mean(process, DATASETS)}"
        )
        raise InputError(msg)
    return DATASETS[process]


def _stream(seed: int, *words: str | int) -> np.random.Generator:
    key = [zlib.crc32(word.encode()) if isinstance(word, str) else word for word in words]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *key])))


def _block(dataset: ToyDataset, number: int, seed: int, extra_branches: int) -> Block:
    """One block of events; always all of it, so that every event is the same in any range."""
    rng = _stream(seed, dataset.name, number)
    is_ttbar = rng.random(BLOCK) < dataset.ttbar_share
    index = np.arange(number * BLOCK, (number + 1) * BLOCK)
    block = detect(
        rng,
        collide(rng, is_ttbar),
        index,
        SIMULATION if dataset.is_mc else DATA,
        np.full(BLOCK, dataset.gen_weight),
        np.full(BLOCK, dataset.negative),
    )
    block = replace(block, flat=_identity(dataset, block.index) | block.flat)
    return pad(block, extra_branches, _stream(seed, dataset.name, number, "padding"))


def _sections(dataset: ToyDataset, index: Ints) -> Ints:
    """Run and luminosity section of events by number, shape ``(events, 2)``."""
    if dataset.is_mc:
        return np.stack([np.ones_like(index), index // SIMULATED_SECTION + 1], axis=1)
    section = index % EVENTS_PER_RUN // EVENTS_PER_SECTION + 1
    return np.stack([FIRST_RUN + index // EVENTS_PER_RUN, section], axis=1)


def _identity(dataset: ToyDataset, index: Ints) -> dict[str, Array]:
    sections = _sections(dataset, index).astype(np.uint32)
    return {
        "run": sections[:, 0],
        "luminosityBlock": sections[:, 1],
        "event": (index + 1).astype(np.uint64),
    }


def _between(block: Block, start: int, stop: int) -> Block:
    """The events of a block by position, start included and stop excluded."""
    tables = {}
    for name, table in block.tables.items():
        first, last = np.searchsorted(table.event, [start, stop])
        kept = table.take(slice(first, last))
        tables[name] = Table(kept.event - start, kept.columns)
    cut = slice(start, stop)
    fixed = {name: values[cut] for name, values in block.fixed.items()}
    flat = {name: values[cut] for name, values in block.flat.items()}
    return Block(block.index[cut], tables, fixed, flat)


def _join(blocks: list[Block]) -> Block:
    """Blocks one after the other."""
    if len(blocks) == 1:
        return blocks[0]
    starts = np.cumsum([0] + [len(block.index) for block in blocks])
    tables = {}
    for name, first in blocks[0].tables.items():
        parts = [block.tables[name] for block in blocks]
        event = np.concatenate([p.event + s for p, s in zip(parts, starts, strict=False)])
        columns = {key: np.concatenate([p[key] for p in parts]) for key in first.columns}
        tables[name] = Table(event, columns)
    first_block = blocks[0]
    fixed = {key: np.concatenate([b.fixed[key] for b in blocks]) for key in first_block.fixed}
    flat = {key: np.concatenate([b.flat[key] for b in blocks]) for key in first_block.flat}
    return Block(np.concatenate([b.index for b in blocks]), tables, fixed, flat)


def _clusters(
    dataset: ToyDataset, start: int, stop: int, seed: int, extra_branches: int, size: int
) -> Iterator[tuple[Block, int]]:
    """Stored events in portions of ``size``, each with how many events were produced by then."""
    waiting: list[Block] = []
    count = full_ones = 0
    for number in range(start // BLOCK, max(-(-stop // BLOCK), start // BLOCK + 1)):
        block = _block(dataset, number, seed, extra_branches)
        first, last = np.searchsorted(block.index, [start, stop])
        waiting.append(_between(block, int(first), int(last)))
        count += int(last - first)
        produced = min((number + 1) * BLOCK, stop) - start
        while count >= size:
            full = _join(waiting)
            yield _between(full, 0, size), produced
            waiting, count = [_between(full, size, len(full.index))], count - size
            full_ones += 1
    # what is left, or an empty portion when there is nothing at all
    if count or not full_ones:
        yield _join(waiting), stop - start


def events(process: str, start: int = 0, stop: int = BLOCK, *, seed: int = 1) -> ak.Array:
    """Events of a dataset as they would be written, without a file.

    Parameters
    ----------
    process
        Name of the dataset, see `DATASETS`.
    start, stop
        Range of produced events. Simulation stores all of them; data only those that fired a
        single-muon trigger, about a quarter.
    seed
        Seed of the sample.

    Returns
    -------
    awkward.Array
        Shape ``(events,)``, one field a collection or flat branch: ``events.Muon.pt`` has shape
        ``(events, muons)``, GeV.

    Raises
    ------
    InputError
        For an unknown dataset or a range that is none.
    """
    dataset = _dataset(process)
    _at_least(seed=(seed, 0))
    if not 0 <= start <= stop:
        msg = (
            f"The range of events must satisfy 0 <= start <= stop, not start={start}, stop={stop}."
        )
        raise InputError(msg)
    portions = _clusters(dataset, start, stop, seed, 0, stop - start + 1)
    return ak.zip(to_awkward(_join([block for block, _ in portions])), depth_limit=1)


def _at_least(**values: tuple[int, int]) -> None:
    for name, (value, least) in values.items():
        if value < least:
            msg = f"{name} must be at least {least}, not {value}."
            raise InputError(msg)


def _free(paths: list[Path], *, overwrite: bool) -> None:
    there = [path for path in paths if path.exists()]
    if there and not overwrite:
        msg = f"{there[0]} exists already; pass overwrite=True to replace it, or another directory."
        raise OutputExistsError(msg)


def write_dataset(
    directory: str | Path,
    process: str,
    *,
    events: int,
    files: int = 1,
    seed: int = 1,
    compression: str | None = "zstd",
    level: int | None = None,
    extra_branches: int = 0,
    cluster_events: int = 10_000,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write one dataset as ROOT files ``<process>_<number>.root``.

    Parameters
    ----------
    directory
        Where to; made if need be.
    process
        ``"DYJetsToLL"``, ``"TTTo2L2Nu"`` or ``"SingleMuon"``.
    events
        Number of produced events. Simulation stores all of them; data only those that fired a
        single-muon trigger, about a quarter.
    files
        Number of files; the events are the same for any number.
    seed
        Seed of the sample.
    compression, level
        ``"zstd"``, ``"zlib"``, ``"lzma"``, ``"lz4"`` or None, and its level.
    extra_branches
        Branches to add to the usual ones, made of noise; they do not change the other branches.
    cluster_events
        Events in a basket of every branch.
    overwrite
        Replace files that exist.
    progress
        Called with (produced events, all events) now and then.

    Returns
    -------
    list of pathlib.Path
        The files, each written completely before it got its name.

    Raises
    ------
    InputError
        For an unknown dataset or compression, or a number that is too small.
    OutputExistsError
        When a file exists and ``overwrite`` is false.
    """
    _at_least(seed=(seed, 0))
    written = _write(
        Path(directory), _dataset(process), events, files, seed,
        _layout(compression, level, extra_branches, cluster_events, events, files),
        overwrite, progress or (lambda done, total: None),
    )  # fmt: skip
    return [path for path, _ in written]


def _layout(
    compression: str | None, level: int | None, extra: int, cluster: int, events: int, files: int
) -> Layout:
    _at_least(events=(events, 0), files=(files, 1), extra_branches=(extra, 0))
    _at_least(cluster_events=(cluster, 1))
    return Layout.of(compression, level, extra, cluster)


def _paths(directory: Path, dataset: ToyDataset, files: int) -> list[Path]:
    return [directory / f"{dataset.name}_{number}.root" for number in range(files)]


def _write(
    directory: Path,
    dataset: ToyDataset,
    events: int,
    files: int,
    seed: int,
    layout: Layout,
    overwrite: bool,
    progress: Callable[[int, int], None],
) -> list[tuple[Path, Sums]]:
    paths = _paths(directory, dataset, files)
    _free(paths, overwrite=overwrite)
    directory.mkdir(parents=True, exist_ok=True)
    edges = [events * number // files for number in range(files + 1)]
    written = []
    for path, start, stop in zip(paths, edges[:-1], edges[1:], strict=True):

        def tick(done: int, start: int = start) -> None:
            progress(start + done, events)

        clusters = _clusters(
            dataset, start, stop, seed, layout.extra_branches, layout.cluster_events
        )
        sections = _sections(dataset, np.arange(start, stop))
        written.append((path, write_file(path, clusters, sections, layout, tick)))
    return written


def write_sample(
    directory: str | Path,
    *,
    events: int = 20_000,
    files: int = 2,
    seed: int = 1,
    luminosity: float | None = None,
    compression: str | None = "zstd",
    level: int | None = None,
    extra_branches: int = 0,
    cluster_events: int = 10_000,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write all datasets, ``fileset.json`` and the ``golden.json`` of the data.

    Normalising simulation by ``xsec * lumi * genWeight / sum(genWeight)`` and correcting it by
    `lazyana.toy.leptons.muon_scale_factor` and
    `~lazyana.toy.leptons.pileup_weight` describes the data.

    Parameters
    ----------
    directory
        Where to; made if need be.
    events
        Drell-Yan events; a fifth as many of ttbar.
    files
        Files of each dataset.
    seed
        Seed of the sample.
    luminosity
        Integrated luminosity of the data in pb^-1; by default a third of what the Drell-Yan
        events stand for.
    compression, level, extra_branches, cluster_events, overwrite
        As in `write_dataset`; an existing sample is replaced only if asked to.
    progress
        Called with (produced events, all events) now and then.

    Returns
    -------
    dict
        The fileset, also in ``fileset.json``: ``{dataset: {"files": {path: "Events"}, "metadata":
        {...}}}``; ``metadata["lumi"]`` is in pb^-1, ``metadata["xsec"]`` in pb.

    Raises
    ------
    InputError
        For an unknown compression or a number that is too small.
    OutputExistsError
        When a file exists and ``overwrite`` is false.
    """
    layout = _layout(compression, level, extra_branches, cluster_events, events, files)
    lumi = events / (3 * _DY_XSEC) if luminosity is None else float(luminosity)
    if not 0 <= lumi < np.inf:
        msg = f"luminosity must be a number of pb^-1 that is not negative, not {luminosity}."
        raise InputError(msg)
    _at_least(seed=(seed, 0))
    collisions = int(_stream(seed, "luminosity").poisson(DATASETS["SingleMuon"].xsec * lumi))
    sizes = {"DYJetsToLL": events, "TTTo2L2Nu": events // 5, "SingleMuon": collisions}
    target = Path(directory).resolve()
    fileset_path, golden_path = target / "fileset.json", target / "golden.json"
    outputs = [path for name in sizes for path in _paths(target, DATASETS[name], files)]
    _free([fileset_path, golden_path, *outputs], overwrite=overwrite)
    # a fileset that is there stands for a sample that is complete
    fileset_path.unlink(missing_ok=True)
    fileset: dict[str, Any] = {}
    before, total = 0, sum(sizes.values())
    for name, size in sizes.items():

        def tick(done: int, of: int, before: int = before) -> None:
            del of
            if progress is not None:
                progress(before + done, total)

        written = _write(target, DATASETS[name], size, files, seed, layout, overwrite, tick)
        before += size
        fileset[name] = _entry(DATASETS[name], written, lumi)
    _write_json(golden_path, _golden(collisions))
    _write_json(fileset_path, fileset)
    return fileset


def _entry(dataset: ToyDataset, written: list[tuple[Path, Sums]], lumi: float) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "sample": dataset.name if dataset.is_mc else f"DATA_{dataset.name}",
        "is_mc": dataset.is_mc,
        "year": dataset.year,
        "nano_version": 9,
        "lumi": lumi,
        "events": sum(sums.events for _, sums in written),
    }
    if dataset.is_mc:
        metadata |= {"xsec": dataset.xsec, "sumw": sum(sums.sumw for _, sums in written)}
    else:
        metadata |= {"era": dataset.era, "primaryDataset": dataset.name}
    return {"files": {str(path): "Events" for path, _ in written}, "metadata": metadata}


def _golden(collisions: int) -> dict[str, list[list[int]]]:
    """Certified luminosity sections, in the format of the golden JSON: all there are."""
    index = np.arange(0, max(collisions, 1), EVENTS_PER_SECTION)
    runs, sections = _sections(DATASETS["SingleMuon"], index).T
    return {str(run): [[1, int(sections[runs == run].max())]] for run in np.unique(runs)}


def _write_json(path: Path, content: Any) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
