"""Recording and planning: what it costs before the first event is read.

Three measurements, each a ratio of medians taken in one run, so that the speed of the machine
drops out:

* ``datasets``: the same analysis on 1 and on 500 datasets of one form;
* ``variations``: a selection of 25 operations in nominal and 40 shape variations (20 up and
  down), recorded once and rewritten by lazyana, and recorded world by world with dask-awkward;
* ``partitions``: the graph of a job with 100 000 partitions, and what a task weighs.

Run ``python benchmarks/planning.py``; ``--json FILE`` keeps the numbers.
"""

from __future__ import annotations

import argparse
import json
import pickle
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import dask
import hist
import numpy as np
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

import lazyana as la
from lazyana.data.catalog import Catalog, FileInfo
from lazyana.data.fileset import Dataset, Fileset
from lazyana.data.inspect import inspect
from lazyana.data.partitions import Partition, partitions_of
from lazyana.engine.job import Job, Work
from lazyana.frame.compute import make_plan
from lazyana.plan import build, passes
from lazyana.reader.baskets import BasketIndex, Baskets
from lazyana.toy.sample import write_dataset


def selection(jet: Any, muon: Any, met: Any) -> dict[str, Any]:
    """A selection of 25 operations (field accesses not counted) and its three columns."""
    good = muon[(muon.pt > 15) & (abs(muon.eta) < 2.4)]
    central = jet[(jet.pt > 30) & (abs(jet.eta) < 2.4)]
    away = central[ak.fill_none(central.delta_r(central.nearest(good)) > 0.4, True)]
    tagged = away[away.btagDeepFlavB > 0.3]
    ht = ak.sum(away.pt, axis=1) + ak.sum(good.pt, axis=1)
    keep = (ak.num(away) >= 2) & (ak.num(tagged) >= 1) & (met > 20)
    leading = ak.firsts(away.pt)
    return {"ht": ht[keep], "leading": leading[keep], "significance": (met / np.sqrt(ht))[keep]}


def median_of(function: Callable[[], Any], repeat: int) -> float:
    """Median time of some calls, s; the first one is a rehearsal."""
    function()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def catalog_of(file: Path, datasets: int) -> Catalog:
    """A catalog of many datasets that all are the same file."""
    one = inspect(str(file))
    (info,) = next(iter(one.files.values()))
    names = [f"dataset{i:03d}" for i in range(datasets)]
    fileset = Fileset(
        tuple(
            Dataset(name, ((str(file), "Events"),), {"is_mc": True, "xsec": 1.0 + i})
            for i, name in enumerate(names)
        )
    )
    return Catalog(fileset, dict.fromkeys(names, (info,)), one.layouts)


def analysis(catalog: Catalog) -> Any:
    """Record a common analysis and plan it."""
    events = la.open(catalog)
    events = events.weight("gen", events.genWeight).weight(
        "pileup", 1.0, up=events.Pileup.nTrueInt / 25, down=events.Pileup.nTrueInt / 35
    )
    jet = events.Jet.pt
    events = events.vary("jes", {"Jet.pt": {"up": 1.02 * jet, "down": 0.98 * jet}})
    events = events.filter(muons=lambda e: ak.sum(e.Muon.pt > 15, axis=1) >= 2)
    events = events.filter(jets=lambda e: ak.sum(e.Jet.pt > 30, axis=1) >= 2)
    pt = hist.axis.Regular(50, 0, 500, name="pt")
    outputs = {
        "jet": events.hist(pt, pt=events.Jet.pt),
        "muon": events.hist(pt, pt=events.Muon.pt),
        "met": events.hist(pt, pt=events.MET.pt),
        "cutflow": events.cutflow(),
    }
    return make_plan(outputs)


def datasets(file: Path, repeat: int) -> dict[str, float]:
    """Build time on 1 and on 500 datasets."""
    one, many = catalog_of(file, 1), catalog_of(file, 500)
    first = median_of(lambda: analysis(one), repeat)
    second = median_of(lambda: analysis(many), repeat)
    return {"1 dataset (s)": first, "500 datasets (s)": second, "ratio": second / first}


def by_sources(events: la.Events, systematics: int) -> Any:
    """All worlds, recorded once: one systematic of the jet energy with many sources."""
    pt = events.Jet.pt
    shifts = {}
    for i in range(systematics):
        shift = 0.001 * (i + 1)
        shifts |= {f"source{i}Up": pt * (1 + shift), f"source{i}Down": pt * (1 - shift)}
    events = events.vary("jes", {"Jet.pt": shifts})
    columns = selection(events.Jet, events.Muon, events.MET.pt)
    return {name: events.sum(column) for name, column in columns.items()}


def by_rewrite(events: la.Events, systematics: int) -> Any:
    """All worlds, recorded once: systematics of the jet energy one by one, each up and down."""
    for i in range(systematics):
        pt, shift = events.Jet.pt, 0.001 * (i + 1)
        up, down = pt * (1 + shift), pt * (1 - shift)
        events = events.vary(f"jes{i}", {"Jet.pt": {"up": up, "down": down}})
    columns = selection(events.Jet, events.Muon, events.MET.pt)
    return {name: events.sum(column) for name, column in columns.items()}


def by_hand(events: Any, systematics: int) -> list[Any]:
    """All worlds, each recorded with dask-awkward as an analysis without lazyana does."""
    jets = [events.Jet]
    for i in range(systematics):
        for sign in (1, -1):
            shift = sign * 0.001 * (i + 1)
            jets.append(ak.with_field(events.Jet, events.Jet.pt * (1 + shift), "pt"))
    columns = [selection(jet, events.Muon, events.MET.pt) for jet in jets]
    return [ak.sum(column, axis=None) for world in columns for column in world.values()]


def open_by_hand(file: Path) -> Any:
    """The events as coffea's dask mode gives them."""
    return NanoEventsFactory.from_root(
        {str(file): "Events"}, schemaclass=NanoAODSchema, mode="dask"
    ).events()


def variations(file: Path, repeat: int, systematics: int) -> dict[str, float]:
    """Build and optimise time in many worlds, both ways in turn; opening files is left out."""
    catalog = catalog_of(file, 1)
    times: dict[str, list[float]] = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        value = function()
        times.setdefault(name, []).append(time.perf_counter() - start)
        return value

    for number in range(repeat + 1):
        if number == 1:  # the first round was a rehearsal
            times.clear()
        theirs = open_by_hand(file)
        for title, record in (("sources", by_sources), ("one by one", by_rewrite)):
            ours = la.open(catalog)
            outputs = timed(f"{title}: record (s)", lambda e=ours, r=record: r(e, systematics))
            timed(f"{title}: plan (s)", lambda o=outputs: make_plan(o))
        sums = timed("dask-awkward: build (s)", lambda e=theirs: by_hand(e, systematics))
        timed("dask-awkward: optimise (s)", lambda c=sums: dask.optimize(*c))
    found = {name: statistics.median(values) for name, values in times.items()}
    by_hand_time = found["dask-awkward: build (s)"] + found["dask-awkward: optimise (s)"]
    for title in ("sources", "one by one"):
        mine = found[f"{title}: record (s)"] + found[f"{title}: plan (s)"]
        found[f"{title}: ratio"] = by_hand_time / mine
    return found


def stages(file: Path, repeat: int, systematics: int) -> dict[str, float]:
    """Where planning spends its time."""
    (group_outputs,) = [by_rewrite(la.open(catalog_of(file, 1)), systematics)]
    requests = [output.request(str(i)) for i, output in enumerate(group_outputs.values())]
    first = next(iter(group_outputs.values()))
    blueprint = first.group.blueprint
    recorded = build.record("events", requests, first.shifts)
    shared = passes.share(recorded, blueprint)
    pruned = passes.prune(shared, blueprint)
    varied = passes.vary(pruned)
    merged = passes.share(varied)
    named = {
        "lower": lambda: build.record("events", requests, first.shifts),
        "share": lambda: passes.share(recorded, blueprint),
        "prune": lambda: passes.prune(shared, blueprint),
        "vary": lambda: passes.vary(pruned),
        "share again": lambda: passes.share(varied),
        "release": lambda: passes.release(merged),
    }
    return {f"{name} (s)": median_of(run, repeat) for name, run in named.items()} | {
        "steps recorded": len(recorded.steps),
        "steps to run": len(merged.steps),
    }


def enlarged(info: FileInfo, partitions: int, size: int) -> FileInfo:
    """A file as large as that many partitions, each of two clusters of one basket a branch."""
    edges = np.arange(0, size * partitions + 1, size // 2)
    seeks = np.arange(len(edges) - 1) * 1_000_000
    assert info.index is not None
    baskets = {
        name: Baskets(one.code, seeks + 1000 * i, np.full_like(seeks, 900 + i % 50), edges)
        for i, (name, one) in enumerate(info.index.branches.items())
    }
    factor = size * partitions / info.entries
    return replace(
        info,
        entries=size * partitions,
        clusters=tuple(edges.tolist()),
        index=BasketIndex.build(baskets),
        branch_memory={name: int(factor * held) for name, held in info.branch_memory.items()},
    )


def partitions(file: Path, repeat: int, number: int) -> dict[str, float]:
    """Build time of the graph of a big job, and the size of its tasks."""
    size, files = 100_000, 1000
    catalog = catalog_of(file, files)
    program = analysis(catalog).job.works[0].program
    assert program.read is not None
    branches = program.read.branches
    # What planning learns of one file it does not keep for the others, as if they were not equal.
    info = enlarged(catalog.files["dataset000"][0], max(1, number // files), size)
    catalog = replace(catalog, files=dict.fromkeys(catalog.files, (info,)))

    def make() -> Any:
        ranges = partitions_of(catalog, catalog.files, size, 0, branches)
        return Job("big", (Work(program, ranges),)).graph()

    seconds = median_of(make, repeat)
    tasks = [
        (key, task)
        for key, task in make().items()
        if isinstance(task, tuple) and any(isinstance(part, Partition) for part in task)
    ]
    weight = statistics.mean(len(pickle.dumps(item)) for item in tasks[:: max(1, number // 1000)])
    automatic = partitions_of(catalog, catalog.files, None, 0, branches)
    return {
        "branches": len(branches),
        "partitions": len(tasks),
        "build (s)": seconds,
        "bytes a task, pickled": weight,
        "partitions, chosen by bytes": len(automatic),
        "events each": statistics.mean(partition.entries for partition in automatic),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=5, help="calls a median is taken of")
    parser.add_argument(
        "--systematics", type=int, default=20, help="shape systematics, each up and down"
    )
    parser.add_argument("--partitions", type=int, default=100_000, help="partitions of the big job")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        (file,) = write_dataset(folder, "TTTo2L2Nu", events=200)
        measurements: dict[str, Callable[[], dict[str, float]]] = {
            "datasets": lambda: datasets(file, options.repeat),
            "variations": lambda: variations(file, options.repeat, options.systematics),
            "passes": lambda: stages(file, options.repeat, options.systematics),
            "partitions": lambda: partitions(file, options.repeat, options.partitions),
        }
        found = {}
        for title, measure in measurements.items():
            found[title] = measure()
            print(title, flush=True)
            for name, number in found[title].items():
                print(f"  {name:28} {number:12.4g}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
