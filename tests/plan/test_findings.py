"""Programs planned one after the other: what is found out once holds for all it is used for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import awkward as ak
import hist
import pytest

import lazyana as la
from lazyana.frame.compute import make_plan
from lazyana.plan import trace as module
from lazyana.plan.build import stages
from lazyana.plan.findings import Findings
from lazyana.plan.program import Program

AXIS = hist.axis.Regular(20, 0, 200, name="x")


def varied(events: Any, field: str, up: Callable[[], Any]) -> Any:
    events = events.vary("s", {f"MET.{field}": {"up": up()}})
    return events.hist(AXIS, x=events.MET.pt)


MEASURED: dict[str, Callable[[Any], Any]] = {
    "a branch": lambda e: e.sum(e.MET.pt),
    "scaled": lambda e: e.sum(e.MET.pt * 1.5),
    "by another number": lambda e: e.sum(e.MET.pt * 2.5),
    "another branch": lambda e: e.sum(e.MET.phi * 1.5),
    "first": lambda e: e.sum(ak.firsts(e.Muon.pt)),
    "second": lambda e: e.sum(ak.pad_none(e.Muon.pt, 2)[:, 1]),
    "objects": lambda e: e.hist(AXIS, x=e.Jet[e.Jet.pt > 30.0].eta),
    "harder objects": lambda e: e.hist(AXIS, x=e.Jet[e.Jet.pt > 60.0].eta),
    "number of objects": lambda e: e.sum(ak.num(e.Jet)),
    "varied": lambda e: varied(e, "pt", lambda: e.MET.pt * 1.1),
    "varied by more": lambda e: varied(e, "pt", lambda: e.MET.pt * 1.2),
    "varied by a branch": lambda e: varied(e, "pt", lambda: e.RawMET.pt * 1.1),
    "varied otherwise": lambda e: varied(e, "phi", lambda: e.RawMET.phi * 1.1),
}


@pytest.fixture
def program(open_events: Callable[[], Any]) -> Callable[[str], tuple[Program, Any]]:
    """The program of an analysis as recorded, and the blueprint of its events."""

    def of(name: str) -> tuple[Program, Any]:
        events = open_events()
        plan = make_plan(MEASURED[name](events))
        return plan.stages[0]["recorded"], plan.groups[0].blueprint

    return of


def test_programs_read_what_they_read_alone(program: Callable[[str], tuple[Program, Any]]) -> None:
    alone = {}
    for name in MEASURED:
        alone[name] = stages(*program(name))["pruned"].read
    assert len({read.buffers for read in alone.values() if read}) == 6
    for order in (list(MEASURED), list(reversed(MEASURED)), sorted(MEASURED)):
        findings = Findings()
        for name in order:
            assert stages(*program(name), findings=findings)["pruned"].read == alone[name], name


@pytest.mark.parametrize(
    ("names", "runs"),
    [
        (("scaled", "by another number"), 1),
        (("objects", "harder objects"), 1),
        (("scaled", "another branch"), 2),
        (("a branch", "scaled"), 2),
        (("varied", "varied by more"), 1),
        (("varied", "varied by a branch", "varied otherwise"), 3),
    ],
)
def test_programs_that_differ_by_numbers_run_once_without_data(
    names: tuple[str, ...],
    runs: int,
    program: Callable[[str], tuple[Program, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = [program(name) for name in (*names, *names)]
    calls: list[Program] = []
    real = module._run
    monkeypatch.setattr(module, "_run", lambda *given: (calls.append(given[0]), real(*given))[1])
    for order in permutations(recorded, len(names)):
        calls.clear()
        findings = Findings()
        for one in order:
            stages(*one, findings=findings)
        assert len(calls) <= runs
    calls.clear()
    findings = Findings()
    for one in recorded:
        stages(*one, findings=findings)
    assert len(calls) == runs


def test_samples_of_one_analysis_run_once_without_data(
    toy_files: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a configuration: cross sections and names differ."""
    given = toy_files["DYJetsToLL"]
    simulated = {
        f"DY{n}": {**given, "metadata": {**given["metadata"], "year": str(n)}} for n in range(3)
    }

    def analysis(events: Any) -> Any:
        factor = 1.5 + float(events.metadata["year"])
        return events.weight("xs", events.genWeight * factor).hist(AXIS, x=events.Muon.pt)

    outputs = la.apply(analysis, simulated)
    calls: list[Any] = []
    real = module._run
    monkeypatch.setattr(module, "_run", lambda *given: (calls.append(given), real(*given))[1])
    assert len(make_plan(outputs).stages) == 3
    assert len(calls) == 1
    together = la.compute(outputs, executor="sync").value
    for name, one in simulated.items():
        alone = la.compute(la.apply(analysis, {name: one}), executor="sync").value
        assert alone.sum(flow=True).value > 0
        assert together[name, ...] == alone[name, ...]
