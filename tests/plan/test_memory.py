"""The memory that is predicted, against what is measured."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import awkward as ak
import hist
import pytest

import lazyana as la
from lazyana.data.partitions import Partition
from lazyana.engine.job import Shipped, run_partition
from lazyana.frame.compute import make_plan
from lazyana.plan.memory import peak_memory
from lazyana.plan.reads import reads_of

PT = hist.axis.Regular(20, 0, 200, name="pt")
Y = hist.axis.Regular(20, 0, 200, name="y")
COPIES = 250


def jets(events: Any) -> Any:
    return events.hist(PT, pt=events.Jet.pt)


def many_columns(events: Any) -> Any:
    jet = events.Jet
    return [events.hist(PT, pt=column) for column in (jet.pt, jet.eta, jet.phi, jet.mass)]


def varied(events: Any) -> Any:
    for i in range(5):
        pt = events.Jet.pt
        shifts = {"up": pt * (1.1 + i / 10), "down": pt * (0.9 - i / 10)}
        events = events.vary(f"jes{i}", {"Jet.pt": shifts})
    return [events.hist(PT, pt=events.Jet.pt), events.hist(PT, pt=events.MET.pt)]


def weighted(events: Any) -> Any:
    true = events.Pileup.nTrueInt
    for i in range(8):
        events = events.weight(f"w{i}", 1.0, up=true / (25 + i), down=true / (35 + i))
    return events.hist(PT, pt=events.MET.pt)


def pairs(events: Any) -> Any:
    both = ak.combinations(events.Jet, 2)
    return events.hist(PT, pt=(both["0"] + both["1"]).pt)


def predicted_and_measured(outputs: Any) -> tuple[float, float]:
    """Bytes of a partition of many copies of a file, so that what does not grow is little."""
    plan = make_plan(outputs)
    (work,), (group,), (staged,) = plan.job.works, plan.groups, plan.stages
    (one,) = work.partitions
    large = Partition(0, one.dataset, 0, one.spans * COPIES)
    files = group.catalog.files[one.dataset]
    reads = reads_of(files, [large], work.program.read.branches)  # type: ignore[union-attr]
    an_event = peak_memory(staged["released"], staged["pruned"], group.blueprint, reads.held)
    shipped = Shipped(work.program)
    run_partition(shipped, replace(large, spans=one.spans))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run_partition(shipped, large)
        measured = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return max(an_event * large.entries, reads.reading_bytes), measured


@pytest.mark.parametrize("analysis", [jets, many_columns, varied, weighted, pairs])
def test_prediction_is_near_what_is_needed(
    events: la.Events, analysis: Callable[[Any], Any]
) -> None:
    predicted, measured = predicted_and_measured(analysis(events))
    assert 0.5 * measured < predicted < 2 * measured


def test_what_is_cut_away_is_counted_all_the_same(events: la.Events) -> None:
    few = events.filter(few=events.MET.pt > 150)
    predicted, measured = predicted_and_measured(many_columns(few))
    assert predicted > measured


def peak(outputs: Any, **held: float) -> float:
    plan = make_plan(outputs)
    (staged,), (group,) = plan.stages, plan.groups
    known = {name: held.get(name, 4.0) for name in staged["released"].read.branches}  # type: ignore[union-attr]
    return peak_memory(staged["released"], staged["pruned"], group.blueprint, known)


def test_columns_are_views_of_what_is_read(events: la.Events) -> None:
    # 10 jets an event: 44 bytes with their offset; 8 more for the offsets as they are used; while
    # the histogram is filled 3 numbers for each jet.
    assert peak(jets(events), Jet_pt=44) == 44 + 8 + 3 * 8 * 10
    assert peak(many_columns(events), Jet_pt=44) == 44 + 3 * 4 + 8 + 3 * 8 * 10


def test_what_is_made_is_counted_until_it_is_released(events: la.Events) -> None:
    scaled = events.hist(PT, pt=events.Jet.pt * 2)
    together = events.hist(PT, Y, pt=events.Jet.pt * 2, y=events.Jet.pt * 3)
    assert peak(together, Jet_pt=44) >= peak(scaled, Jet_pt=44) + 4 * 10
    outputs = [events.hist(PT, pt=events.Jet.pt * factor) for factor in (2, 3, 4)]
    # One after the other: what one histogram was filled with is gone when the next one is.
    assert peak(outputs, Jet_pt=44) == peak(outputs[:2], Jet_pt=44)


def test_pairs_need_the_square(events: la.Events) -> None:
    branches = ("Jet_pt", "Jet_eta", "Jet_phi", "Jet_mass")
    found = [
        peak(pairs(events), **dict.fromkeys(branches, 4.0 + 4 * number)) for number in (10, 20)
    ]
    assert 3.5 < found[1] / found[0] < 4


def test_steps_that_have_no_nominal_counterpart(events: la.Events) -> None:
    plan = make_plan(varied(events))
    (staged,), (group,) = plan.stages, plan.groups
    ready = staged["released"]
    assert any("@" in step.key for step in ready.steps)
    names = {
        step.key: step.key.replace("multiply", "new").replace("pt-", "other-")
        for step in ready.steps
    }
    renamed = ready.replace(
        steps=tuple(replace(step.with_refs(names), key=names[step.key]) for step in ready.steps),
        releases=tuple(tuple(names.get(key, key) for key in keys) for keys in ready.releases or ()),
    )
    held = {"Jet_pt": 44.0, "MET_pt": 4.0, "nJet": 4.0}
    found = [
        peak_memory(program, staged["pruned"], group.blueprint, held)
        for program in (ready, renamed)
    ]
    assert found[1] == pytest.approx(found[0], rel=0.5)


def test_variations_released_one_after_the_other_cost_little(events: la.Events) -> None:
    nominal, shifted = peak(jets(events)), peak(varied(events))
    assert nominal < shifted < 5 * nominal
