"""Read the columns of an analysis, against coffea, dask-awkward and bare decompression.

Files of many branches are generated, of which an analysis uses 18. Each is read in partitions, one
after the other in one thread, and every way makes the same NanoEvents columns:

- ``lazyana``: what a task of ours does: one vectored read, decompression, NanoEvents;
- ``coffea``: `NanoEventsFactory.from_root(mode="virtual")` for each partition, as coffea's Runner
  does for each chunk, and its columns read;
- ``dask-awkward``: the tasks of an optimised `uproot.dask` graph of these branches, on the
  synchronous scheduler, optimisation not counted; they make no NanoEvents;
- ``cramjam``: only reading the same bytes and decompressing them.

All in turns in one run; printed are medians, what they are to lazyana, and the peak of memory that
one partition needs (as Python's tracemalloc sees it).

On a shared server with two cores, busy with other work, 811 branches, 8 partitions; milliseconds
a partition, MB/s of compressed input, peak memory of a partition, and times of lazyana's time:

======================  =====================================  ====================================
way                     zstd, 100 000 events, 6.4 MB           lzma, 25 000 events, 1.1 MB
======================  =====================================  ====================================
lazyana                 67.5 ms,  95 MB/s, 29.7 MB             188 ms, 5.8 MB/s, 7.0 MB
coffea                  1279 ms, 5.0 MB/s, 33.7 MB, 18.9 x     1500 ms, 0.7 MB/s, 17.7 MB, 8.0 x
dask-awkward            1455 ms, 4.4 MB/s, 152 MB, 21.6 x      5665 ms, 0.2 MB/s, 38.5 MB, 30 x
cramjam alone           37.2 ms, 173 MB/s, 0.55 x              193 ms, 5.7 MB/s, 1.03 x
lazyana, 2 threads      85.7 ms,  75 MB/s, 29.7 MB, 1.27 x     181 ms, 6.1 MB/s, 7.0 MB, 0.96 x
======================  =====================================  ====================================

With lzma all but a few ms is decompression, which is the same for everybody: coffea comes closer
the more events a partition has, as it parses the tree (1.2 s) once for each. Where partitions cut
clusters into four, whose baskets each of them decompresses again, it was 2.7 times as slow.

Run ``python benchmarks/reading.py --help`` for options.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import awkward as ak
import cramjam
import dask
import numpy as np
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

from lazyana.data.catalog import Catalog
from lazyana.data.inspect import inspect
from lazyana.data.nanoevents import Reading, ReadPlan, blueprint_of
from lazyana.data.partitions import Partition, span_of
from lazyana.options import ReadOptions
from lazyana.reader.baskets import unpack
from lazyana.toy.sample import write_dataset

AT_LEAST = {"coffea": 5.0, "dask-awkward": 5.0}
AT_MOST = {"cramjam": 2.0}
COLUMNS = {
    "Muon": ("pt", "eta", "phi", "mass", "charge", "pfRelIso04_all", "tightId"),
    "Jet": ("pt", "eta", "phi", "mass", "jetId"),
    "MET": ("pt",),
    "PV": ("npvsGood",),
    "HLT": ("IsoMu24",),
    None: ("genWeight",),
}
"""18 branches: 16 columns and the two numbers of objects."""


@dataclass(frozen=True)
class Case:
    """Generated files, and the partitions they are read in."""

    files: tuple[Path, ...]
    partitions_of_file: int

    @cached_property
    def catalog(self) -> Catalog:
        """What inspection learns."""
        return inspect({"DY": [str(path) for path in self.files]})

    @cached_property
    def plan(self) -> ReadPlan:
        """What is read."""
        (layout,) = self.catalog.layouts.values()
        blueprint = blueprint_of(layout, NanoAODSchema)
        events, report = blueprint.trace()
        for column in columns(events):
            ak.typetracer.touch_data(column)
        return blueprint.needed(report)

    @cached_property
    def partitions(self) -> tuple[Partition, ...]:
        """Equal parts of each file."""
        parts = self.partitions_of_file
        spans = [
            span_of(
                file, file.entries * i // parts, file.entries * (i + 1) // parts, self.plan.branches
            )
            for file in self.catalog.files["DY"]
            for i in range(parts)
        ]
        return tuple(Partition(number, "DY", 0, (span,)) for number, span in enumerate(spans))

    @cached_property
    def steps(self) -> dict[str, Any]:
        """The same partitions, as coffea wants them."""
        steps: dict[str, Any] = {}
        for partition in self.partitions:
            (span,) = partition.spans
            one = steps.setdefault(span.url, {"object_path": "Events", "steps": []})
            one["steps"].append([span.start, span.stop])
        return steps

    @cached_property
    def stored_bytes(self) -> int:
        """Compressed size of what is read."""
        files = self.catalog.files["DY"]
        return sum(file.branch_bytes[name] for file in files for name in self.plan.branches)


def columns(events: Any) -> list[Any]:
    """The columns used, of eager, virtual or lazy events."""
    return [
        (events if collection is None else events[collection])[name]
        for collection, names in COLUMNS.items()
        for name in names
    ]


def by_lazyana(case: Case, threads: int = 1) -> Any:
    """One partition after the other, as a task reads it."""
    options = ReadOptions(decompression_threads=threads)
    for partition in case.partitions:
        yield columns(Reading(partition, case.plan, options).events())


def by_coffea(case: Case) -> Any:
    """One chunk after the other, as coffea's Runner reads it."""
    for partition in case.partitions:
        (span,) = partition.spans
        events = NanoEventsFactory.from_root(
            {span.url: "Events"},
            schemaclass=NanoAODSchema,
            mode="virtual",
            entry_start=span.start,
            entry_stop=span.stop,
        ).events()
        yield [ak.materialize(column) for column in columns(events)]


def by_dask_awkward(case: Case) -> Callable[[Case], Any]:
    """The tasks of an optimised graph, one after the other."""
    events = uproot.dask(case.steps)[list(case.plan.branches)]
    (optimised,) = dask.optimize(events)
    tasks = optimised.to_delayed(optimize_graph=False)

    def run(case: Case) -> Any:
        del case
        for task in tasks:
            yield task.compute(scheduler="sync", optimize_graph=False)

    return run


def by_cramjam(case: Case) -> Any:
    """The bytes, decompressed."""
    for partition in case.partitions:
        (span,) = partition.spans
        found = []
        file = os.open(span.url, os.O_RDONLY)
        for baskets in unpack(span.baskets, case.plan.branches).values():
            for seek, size in zip(baskets.seeks.tolist(), baskets.sizes.tolist(), strict=True):
                found.append(decompressed(os.pread(file, size, seek)))
        os.close(file)
        yield found


CODECS = {b"ZS": cramjam.zstd.decompress, b"XZ": cramjam.xz.decompress}


def decompressed(basket: bytes) -> Any:
    """The content of a basket of one block."""
    keylen = int.from_bytes(basket[14:16], "big")
    length = int.from_bytes(basket[6:10], "big")
    if len(basket) - keylen == length:
        return basket[keylen:]
    return CODECS[basket[keylen : keylen + 2]](basket[keylen + 9 :], output_len=length)


def timed(way: Callable[[Case], Any], case: Case) -> float:
    """Seconds that a way takes for all partitions."""
    start = time.perf_counter()
    for _ in way(case):
        pass
    return time.perf_counter() - start


def peak(way: Callable[[Case], Any], case: Case) -> int:
    """Bytes that a way holds at most for the first partition."""
    tracemalloc.start()
    next(iter(way(case)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def check(case: Case) -> None:
    """Refuse to compare what is not the same."""
    for mine, other in zip(by_lazyana(case), by_coffea(case), strict=True):
        for one, two in zip(mine, other, strict=True):
            if not ak.array_equal(one, two, equal_nan=True, check_parameters=False):
                sys.exit("lazyana and coffea read different numbers")


def measure(case: Case, repeat: int) -> dict[str, Any]:
    """Medians in seconds, and peaks of memory in bytes."""
    ways: dict[str, Callable[[Case], Any]] = {
        "lazyana": by_lazyana,
        "coffea": by_coffea,
        "dask-awkward": by_dask_awkward(case),
        "cramjam": by_cramjam,
        "lazyana, 2 threads": lambda case: by_lazyana(case, 2),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat):
        for name, way in ways.items():
            times[name].append(timed(way, case))
    medians = {name: statistics.median(found) for name, found in times.items()}
    return {"seconds": medians, "peak": {name: peak(way, case) for name, way in ways.items()}}


def report(name: str, case: Case, found: dict[str, Any]) -> bool:
    """Print a case; whether it is as required."""
    ours = found["seconds"]["lazyana"]
    fine = True
    for way, seconds in found["seconds"].items():
        speed = case.stored_bytes / seconds / 1e6
        memory = found["peak"][way] / 1e6
        ratio = seconds / ours
        print(
            f"{name:6s} {way:20s} {seconds * 1e3 / len(case.partitions):8.1f} ms a partition "
            f"{speed:8.1f} MB/s {memory:7.1f} MB  {ratio:6.2f}x"
        )
        fine &= ratio >= AT_LEAST.get(way, 0) and 1 / ratio <= AT_MOST.get(way, np.inf)
    return fine


def generate(
    folder: Path, codec: str, events: int, files: int, partitions: int, extra: int
) -> tuple[Path, ...]:
    """Files of simulation with many branches, kept between runs."""
    # No partition cuts a cluster: it would be decompressed again for each of its parts.
    cluster = min(50_000, max(events // files // partitions, 1))
    cut = "" if cluster == 50_000 else f"-{cluster}"
    target = folder / f"{codec}-{events}-{files}-{extra}{cut}"
    if not target.exists():
        write_dataset(
            target,
            "DYJetsToLL",
            events=events,
            files=files,
            compression=codec,
            extra_branches=extra,
            cluster_events=cluster,
        )
    return tuple(sorted(target.glob("*.root")))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=400_000, help="events in all files")
    parser.add_argument("--files", type=int, default=2)
    parser.add_argument("--partitions", type=int, default=4, help="partitions of each file")
    parser.add_argument("--extra-branches", type=int, default=450, help="branches nobody uses")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--codecs", nargs="+", default=["zstd", "lzma"])
    parser.add_argument("--folder", type=Path, help="where to keep the generated files")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args(arguments)

    warnings.simplefilter("ignore")
    found: dict[str, Any] = {}
    fine = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        for codec in options.codecs:
            files = generate(
                folder,
                codec,
                options.events,
                options.files,
                options.partitions,
                options.extra_branches,
            )
            case = Case(files, options.partitions)
            check(case)
            with uproot.open(files[0]) as file:
                branches = len(file["Events"].branches)
            print(
                f"{codec}: {len(files)} files, {branches} branches, "
                f"{len(case.plan.branches)} used, "
                f"{len(case.partitions)} partitions of {case.partitions[0].entries} events, "
                f"{case.stored_bytes / 1e6:.1f} MB read"
            )
            found[codec] = measure(case, options.repeat)
            fine &= report(codec, case, found[codec])
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    verdict = "fulfilled" if fine else "NOT fulfilled"
    print(
        f"Required: coffea and dask-awkward at least {AT_LEAST['coffea']:g}x, cramjam at least "
        f"{1 / AT_MOST['cramjam']:g}x the time of lazyana: {verdict}."
    )
    if not fine:
        sys.exit(1)


if __name__ == "__main__":
    main()
