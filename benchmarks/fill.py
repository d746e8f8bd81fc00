"""Fill all categories and variations at once, against a loop of `hist.Hist.fill`.

For each case, in one run and in turns, the same numbers are made by

- ``loop``: one `hist.Hist.fill` for each category and variation, values masked once a category,
  histograms made beforehand;
- ``MultiCell``: one boost-histogram with a category axis and a cell for each sum of weights and of
  squared weights;
- ``sparse``: `Histogram.fill` as it is in a process that has not filled much (no numba);
- ``numba``: `Histogram.fill` as it is in a process that has.

Printed are medians and how many times faster than the loop they are. On a Xeon server that others
were using, for 20 000 events, in ms (compare within a line):

==============================  ======  =========  ======  =====
case                            loop    MultiCell  sparse  numba
==============================  ======  =========  ======  =====
8 categories x 21 variations    156.1   22.0       7.3     4.5
8 x 21, three objects an event  202.6   47.6       14.8    10.3
8 nested x 21                   191.1   35.2       8.1     2.5
8 nested x 21, three objects    248.2   98.7       8.9     5.6
8 x 1 (a shape variation)       11.3    14.0       3.0     5.7
8 nested x 1                    14.5    11.1       1.9     1.5
1 x 1 (no categories)           0.7     2.0        0.5     0.3
100 x 101, 100 bins             4316.0  302.1      105.2   57.5
==============================  ======  =========  ======  =====

With one slot, the last two are the same: their difference tells how busy the machine was.
So MultiCell was left out of the package. ``--start`` measures what numba costs in a new process:
1.4 to 3 s without and 1.0 to 1.4 s with its disk cache, most of it numba's own start.
`lazyana.sinks.fill` therefore begins with the sparse product, which gives the same bits, and goes
over to numba after about a second of work.

Run ``python benchmarks/fill.py --help`` for options.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import boost_histogram as bh
import hist
import numpy as np

from lazyana.sinks import fill
from lazyana.sinks.base import Membership, Place
from lazyana.sinks.histogram import Histogram

REQUIRED = 5.0
SLOW = 1.0  # seconds: what takes longer is measured once
PLACE = Place("ttbar", 0, "nominal", "ttbar.root", 0, 1)


@dataclass(frozen=True)
class Size:
    """A case: how many of everything, and the fraction of events in a category.

    Events are in each category at random, so that they are of many kinds: the worst case. Nested
    categories, each a part of the one before, are like those of an analysis: of few kinds.
    """

    name: str
    categories: int
    slots: int
    bins: int
    fraction: float
    objects: bool = False
    nested: bool = False


SIZES = (
    Size("8 categories x 21 variations", 8, 21, 50, 0.4),
    Size("8 x 21, three objects an event", 8, 21, 50, 0.4, objects=True),
    Size("8 nested x 21", 8, 21, 50, 0.4, nested=True),
    Size("8 nested x 21, three objects", 8, 21, 50, 0.4, objects=True, nested=True),
    Size("8 x 1 (a shape variation)", 8, 1, 50, 0.4),
    Size("8 nested x 1", 8, 1, 50, 0.4, nested=True),
    Size("1 x 1 (no categories)", 1, 1, 50, 1.0),
    Size("100 x 101, 100 bins", 100, 101, 100, 0.1),
)


class Case:
    """Events of one case, and the ways to fill them; each gives ``(rows, 2, slots, bins)``."""

    def __init__(self, size: Size, events: int) -> None:
        rng = np.random.default_rng(1)
        self.size = size
        self.axis = hist.axis.Regular(size.bins, 0, 120, name="pt")
        self.masks = rng.random((size.categories, events)) < size.fraction
        if size.nested:
            edges = np.linspace(1, 0, size.categories, endpoint=False) * 2 * size.fraction
            self.masks = rng.random(events) < edges[:, np.newaxis]
        self.weights = rng.normal(1, 0.1, (events, size.slots))
        self.counts = rng.poisson(3, events) if size.objects else np.ones(events, dtype=int)
        self.values = rng.exponential(30, self.counts.sum())
        self.column = ak.Array(self.values)
        if size.objects:
            self.column = ak.unflatten(self.values, self.counts)
        self.membership = Membership.from_masks(list(self.masks)) if size.categories > 1 else None
        labels = tuple(f"c{i:03}" for i in range(size.categories)) if size.categories > 1 else ()
        self.sink = Histogram((self.axis,), labels, tuple(f"s{i}" for i in range(1, size.slots)))
        empty = hist.Hist(self.axis, storage=hist.storage.Weight())
        self.single = [empty.copy() for _ in range(size.categories * size.slots)]

    def ours(self, compiled: fill._Compiled) -> np.ndarray:
        fill._compiled = compiled
        state = self.sink.fill(PLACE, self.weights, self.membership, self.column)
        return state.transpose(1, 2, 3, 0)

    def loop(self) -> np.ndarray:
        rows = []
        single = iter(self.single)
        for mask in self.masks:
            values = self.values[np.repeat(mask, self.counts)]
            for slot in range(self.size.slots):
                weight = np.repeat(self.weights[mask, slot], self.counts[mask])
                one = next(single).reset()
                view: Any = one.fill(values, weight=weight).view(flow=True)
                rows.append([view["value"], view["variance"]])
        out = np.array(rows).reshape(self.size.categories, self.size.slots, 2, -1)
        return out.swapaxes(1, 2)

    def multicell(self) -> np.ndarray:
        categories = bh.axis.Integer(0, self.size.categories, underflow=False, overflow=False)
        storage = bh.storage.MultiCell(2 * self.size.slots)
        one = bh.Histogram(categories, self.axis, storage=storage)
        event, category = np.nonzero(self.masks.T)
        last = np.cumsum(self.counts)[event]
        times = self.counts[event]
        # Position of every object of every (event, category) pair.
        within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        objects = np.repeat(last - times, times) + within
        both = np.concatenate([self.weights, self.weights**2], axis=1)
        sums = both[np.repeat(event, times)]
        one.fill(np.repeat(category, times), self.values[objects], weight=sums)
        out = np.asarray(one.view(flow=True))
        return out.reshape(2, self.size.slots, self.size.categories, -1).transpose(2, 0, 1, 3)


def cold() -> fill._Compiled:
    """The state of a process that has not filled anything."""
    return fill._Compiled()


def warm() -> fill._Compiled:
    """The state of a process in which numba has started."""
    compiled = fill._Compiled()
    compiled.after(fill.PATIENCE)
    return compiled


def measure(case: Case, repeat: int, started: fill._Compiled) -> dict[str, float]:
    """Median seconds of each way, run in turns so that a busy machine hits all of them."""
    ways: dict[str, Callable[[], np.ndarray]] = {
        "loop": case.loop,
        "MultiCell": case.multicell,
        "sparse": lambda: case.ours(cold()),
        "numba": lambda: case.ours(started),
    }
    truth = ways["loop"]()
    for name, way in ways.items():
        np.testing.assert_allclose(way(), truth, rtol=1e-12, atol=1e-12, err_msg=name)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeat):
        for name, way in ways.items():
            if turn and times[name][0] > SLOW:
                continue
            begin = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def start_of_numba() -> dict[str, float]:
    """Seconds until the kernel is ready in a new process, without and with numba's disk cache."""
    code = (
        "import time, coffea.nanoevents, lazyana.sinks.fill as f; t = time.perf_counter();"
        "f.compile_kernel(); print(time.perf_counter() - t)"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", code]
        runs = [
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            for _ in range(2)
        ]
    first, second = (float(run.stdout) for run in runs)
    return {"without cache": first, "with cache": second}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000, help="events of one fill")
    parser.add_argument("--repeat", type=int, default=5, help="fills of which the median is taken")
    parser.add_argument("--start", action="store_true", help="also measure the start of numba")
    parser.add_argument("--json", type=Path, help="file to write the medians to, in seconds")
    options = parser.parse_args()

    started = warm()
    report: dict[str, Any] = {"events": options.events, "repeat": options.repeat, "cases": {}}
    print(f"{options.events} events, median of {options.repeat} [ms] (times faster than the loop)")
    for size in SIZES:
        medians = measure(Case(size, options.events), options.repeat, started)
        report["cases"][size.name] = medians
        loop = medians["loop"]
        numbers = "  ".join(f"{k} {v * 1e3:8.2f} ({loop / v:5.1f}x)" for k, v in medians.items())
        print(f"{size.name:32s} {numbers}")
    reference = report["cases"][SIZES[0].name]
    report["ratio"] = {way: reference["loop"] / reference[way] for way in ("sparse", "numba")}
    print(
        f"{SIZES[0].name}: {report['ratio']['numba']:.1f}x, {report['ratio']['sparse']:.1f}x "
        f"before numba has started; at least {REQUIRED:g}x is required."
    )
    if options.start:
        report["start of numba"] = start_of_numba()
        for name, seconds in report["start of numba"].items():
            print(f"start of numba in a new process, {name}: {seconds:.2f} s")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if min(report["ratio"].values()) < REQUIRED:
        sys.exit(1)


if __name__ == "__main__":
    main()
