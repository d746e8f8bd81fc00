from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import dask_awkward as dak
import hist
import numpy as np
import pytest

import lazyana as la
from lazyana.errors import RunError
from lazyana.frame.compute import make_plan
from lazyana.plan.fuse import fuse
from lazyana.plan.program import Program
from lazyana.plan.steps import SelectEvents, TakeEvents

AXIS = hist.axis.Regular(15, 0, 150, name="x")


def staged(outputs: Any) -> tuple[Program, Program]:
    (stages,) = make_plan(outputs).stages
    return stages["varied"], stages["fused"]


def selections(program: Program, kind: type) -> list[str]:
    return [step.title for step in program.steps if isinstance(step.function, kind)]


def cut(events: Any, number: int) -> Any:
    for i in range(number):
        events = events.filter(**{f"cut{i}": events.MET.pt > 5 * (i + 1)})
    return events


def test_cuts_in_a_row_are_one_selection(events: Any) -> None:
    cutting = cut(events, 4)
    before, after = staged(cutting.hist(AXIS, x=cutting.Jet.pt))
    assert len(selections(before, SelectEvents)) == 4 + 3  # of the jets, and of the MET between
    assert selections(after, TakeEvents).count("filter-cut3") == 1
    assert "filter-cut0" in selections(after, TakeEvents)  # the MET, which the next cut looks at
    assert len(selections(after, TakeEvents)) == 1 + 3


def test_numbers_of_events_are_found_once_for_all_columns(events: Any) -> None:
    cutting = cut(events, 3)
    outputs = [cutting.hist(AXIS, x=column.pt) for column in (cutting.Jet, cutting.Muon)]
    _, after = staged(outputs)
    assert [step.title for step in after.steps].count("rows-cut2") == 1
    assert selections(after, TakeEvents).count("filter-cut2") == 2


def test_what_is_used_between_the_cuts_is_selected_there(events: Any) -> None:
    frame = events.filter(first=events.MET.pt > 5)
    between = frame.hist(AXIS, x=frame.Jet.pt)
    frame = frame.filter(second=frame.MET.pt > 10)
    _, after = staged([between, frame.hist(AXIS, x=frame.Jet.pt)])
    titles = selections(after, TakeEvents)
    assert titles.count("filter-first") == 2  # jets and MET
    assert titles.count("filter-second") == 1
    taken = next(s for s in after.steps if s.title == "filter-second")
    assert after.by_key[taken.args[0].key].title == "filter-first"


def test_fusing_again_changes_nothing(events: Any) -> None:
    _, after = staged(cut(events, 3).hist(AXIS, x=lambda e: e.MET.pt))
    assert fuse(after) == after


@pytest.mark.parametrize("executor", ["sync", "threads"])
def test_equals_plain_awkward(toy_file: Any, events: Any, executor: str) -> None:
    frame = events.vary("jes", {"Jet.pt": {"up": events.Jet.pt * 1.1}})
    frame = frame.filter(met=lambda e: e.MET.pt > 10)
    frame = frame.filter(hard=lambda e: ak.firsts(e.Jet.pt) > 40)  # None without jets
    middle = frame.sum(ak.num(frame.Jet))
    frame = frame.filter(two=lambda e: ak.num(e.Jet[e.Jet.pt > 30]) >= 2)
    frame = frame.filter(central=lambda e: abs(ak.firsts(e.Jet.eta)) < 2.0)
    result = la.compute(
        {"middle": middle, "pt": frame.hist(AXIS, x=frame.Jet.pt)},
        executor=executor,
        progress=False,
    )
    from coffea.nanoevents import NanoEventsFactory

    plain = NanoEventsFactory.from_root({str(toy_file): "Events"}, mode="virtual").events()
    plain = plain[plain.MET.pt > 10]
    for variation, factor in (("nominal", 1.0), ("jesUp", 1.1)):
        jets = plain.Jet
        jets = ak.with_field(jets, jets.pt * np.float32(factor), "pt")
        jets = jets[ak.fill_none(ak.firsts(jets.pt) > 40, False)]
        assert result["middle"]["tt"][variation] == ak.sum(ak.num(jets))
        jets = jets[ak.num(jets[jets.pt > 30]) >= 2]
        jets = jets[ak.fill_none(abs(ak.firsts(jets.eta)) < 2.0, False)]
        expected: Any = hist.Hist(AXIS).fill(ak.to_numpy(ak.flatten(jets.pt)))
        mine = result["pt"][{"variation": variation, "dataset": 0, "category": 0}]
        np.testing.assert_array_equal(mine.values(flow=True), expected.values(flow=True))
        assert expected.sum() > 0


def test_mask_of_other_events_is_still_an_error(open_events: Callable[[], Any]) -> None:
    for position in range(3):
        frame = open_events()
        for number in range(3):
            mask = frame.MET.pt > 1
            if number == position:
                mask = dak.map_partitions(shorter, mask, label="shorter")
            frame = frame.filter(**{f"cut{number}": mask})
        with pytest.raises(RunError, match=f"'cut{position}' has"):
            la.compute(frame.hist(AXIS, x=frame.MET.pt), executor="sync", progress=False)


def shorter(mask: Any) -> Any:
    """A mask that lost an event."""
    return mask if ak.backend(mask) == "typetracer" else mask[:-1]
