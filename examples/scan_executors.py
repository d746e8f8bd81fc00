"""One analysis on several executors: the same bits from each, and a picture of what ran.

Writes a small sample into a temporary folder, and the picture, ``program.dot``, into this one::

    python examples/scan_executors.py
    dot -Tsvg program.dot -o program.svg  # with graphviz
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np

import lazyana as la
from lazyana.toy.sample import write_dataset


def analysis(events: la.Events) -> dict[str, Any]:
    """Jets above 30 GeV with their energy scale up and down, and the missing momentum."""
    events = events.weight("genWeight", events.genWeight)
    pt = events.Jet.pt
    events = events.vary("jes", {"Jet.pt": {"up": pt * 1.02, "down": pt * 0.98}})
    jets = events.Jet[events.Jet.pt > 30]
    number = hist.axis.Integer(0, 8, name="njets", label="Jets")
    momentum = hist.axis.Regular(50, 0, 200, name="met", label=r"$p_T^{miss}$ [GeV]")
    return {
        "njets": events.hist(number, njets=ak.num(jets)),
        "met": events.hist(momentum, met=events.MET.pt),
        "met_njets": events.hist(number, momentum, njets=ak.num(jets), met=events.MET.pt),
    }


def main() -> None:
    """Run it."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_dataset(folder, "TTTo2L2Nu", events=10_000, files=2)
        outputs = analysis(la.open({"TTTo2L2Nu": paths}))
        explanation = la.explain(outputs, partition_size=2_000)
        print(explanation)
        path = explanation.save(Path("program.dot"))
        print(f"\n{path}: the program, coloured by variation\n")

        first: la.Result | None = None
        for executor in ("sync", "threads", "distributed"):
            result = la.compute(outputs, executor=executor, partition_size=2_000, progress=False)
            first = first or result
            same = all(
                np.array_equal(result[name].view(flow=True), first[name].view(flow=True))
                for name in outputs
            )
            report = result.report
            print(f"{report.executor:<28} {report.wall_time:5.1f} s  the same bits: {same}")


# Processes started by "distributed" import this file: what runs must be below this line.
if __name__ == "__main__":
    main()
