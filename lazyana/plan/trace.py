"""Tracing: run a program on arrays without data to learn what it reads."""

from __future__ import annotations

import operator
from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from typing import Any

import awkward as ak
import numpy as np
from awkward.typetracer import touch_data

from lazyana.data.guards import differ_by_numbers
from lazyana.data.nanoevents import Blueprint, ReadPlan
from lazyana.data.probe import Probe, touch_buffers
from lazyana.plan.findings import Findings
from lazyana.plan.fingerprint import Hasher
from lazyana.plan.program import (
    PLACE,
    SOURCE,
    Program,
    Ref,
    Shift,
    Step,
    downstream,
    ordered,
    run_step,
    users_of,
    worlds,
)
from lazyana.plan.steps import Varied, by_numpy, is_opaque


def trace(program: Program, blueprint: Blueprint, findings: Findings | None = None) -> ReadPlan:
    """What a program reads.

    Every step runs on typetracers, which note what is touched. For the outputs that want the same
    variations the steps downstream of the varied columns run once, however many variations there
    are, on fresh arrays that note what is touched of them; the same is touched in the nominal
    value of the column and in each value that it has in those variations.

    Parameters
    ----------
    program
        The program, its variations not yet written out.
    blueprint
        Form of the events.
    findings
        What was found out about other programs: one that reads the same does not run again.

    Returns
    -------
    ReadPlan
        Branches and buffers.
    """
    findings = findings or Findings()
    key = blueprint, _read_hash(program, findings.hasher)
    if key not in findings.reads:
        findings.reads[key] = _run(program, blueprint)
    return findings.reads[key]


def _run(program: Program, blueprint: Blueprint) -> ReadPlan:
    events, report = blueprint.retrace()
    values: dict[str, Any] = {SOURCE: events, PLACE: None}
    found = worlds(program)
    varied = {key for wanted in found for key in wanted}
    replaced = [new for shift in program.shifts for new in shift.replacements.values()]
    plain = [key for key in program.outputs if key not in varied]
    alike: dict[Any, Any] = {}
    for step in ordered(program.by_key, [*plain, *replaced]):
        values[step.key] = _traced_once(step, values, alike)
    for wanted, shifts in found.items():
        _touch_varied(program, wanted, shifts, values)
    # What is used without being touched here is read when it is used.
    taken = _collections(program)
    return blueprint.needed(report, blueprint.form.fields if taken is None else taken)


def _read_hash(program: Program, hasher: Hasher) -> bytes:
    """Hash of all of a program that can matter for what it reads."""
    contents: dict[str, bytes] = {}
    for step in program.steps:
        kind = _kind(step)
        if is_opaque(step.function):
            made_of: Any = ("opaque", [contents.get(key, key) for key in step.refs])
        elif kind is not None:
            args = (contents.get(x.key, x.key) if isinstance(x, Ref) else x for x in kind[1:])
            made_of = ("kind", kind[0], *args)
        else:
            contents[step.key] = hasher.step(step, contents)
            continue
        contents[step.key] = hasher.digest(made_of)
    shifted = [
        (
            sorted(contents[key] for key in wanted),
            [sorted((contents[a], contents[b]) for a, b in s.replacements.items()) for s in shifts],
        )
        for wanted, shifts in worlds(program).items()
    ]
    return hasher.digest((sorted(contents[key] for key in program.outputs), shifted))


def first_use(
    program: Program, blueprint: Blueprint, branches: Collection[str]
) -> list[tuple[str, Step]]:
    """Which steps ask for some branches before all others.

    Parameters
    ----------
    program
        The program, its variations not yet written out.
    blueprint
        Form of the events.
    branches
        The branches.

    Returns
    -------
    list
        Each branch that a nominal or varied column is made of and the step that touches it first,
        in the order of the steps.
    """
    events, report = blueprint.trace()
    values: dict[str, Any] = {SOURCE: events, PLACE: None}
    replaced = [new for shift in program.shifts for new in shift.replacements.values()]
    found: dict[str, Step] = {}
    touched = 0
    for step in ordered(program.by_key, [*program.outputs, *replaced]):
        values[step.key] = _traced(step, values)
        now = len(report.data_touched) + len(report.shape_touched)
        if now > touched:
            touched = now
            news = set(blueprint.needed(report).branches).intersection(branches)
            for branch in sorted(news - found.keys()):
                found[branch] = step
    return list(found.items())


def _collections(program: Program) -> set[str] | None:
    """The collections a program takes from the events; None where it takes them as a whole."""
    found: set[str] = set()
    for step in program.steps:
        if SOURCE not in step.refs:
            continue
        if step.function is not operator.getitem or not isinstance(step.args[1], str):
            return None
        found.add(step.args[1])
    return found


class Layouts:
    """Layouts of the values of steps, found by running the steps on arrays without data.

    Parameters
    ----------
    steps
        The steps by key; more may be added later.
    blueprint
        Form of the events.
    contents
        Hashes of the steps.
    known
        Values that were found before, by hash; those that are found are added.
    """

    def __init__(
        self,
        steps: Mapping[str, Step],
        blueprint: Blueprint,
        contents: Mapping[str, bytes],
        known: dict[bytes, Any],
    ) -> None:
        self._steps = steps
        self._contents = contents
        self._known = known
        self._values: dict[str, Any] = {SOURCE: blueprint.without_data(), PLACE: None}

    def __getitem__(self, key: str) -> Any:
        """Layout of one value; None for what is not an array."""
        if key not in self._values:
            for step in ordered(self._steps, [key], self._values):
                content = self._contents[step.key]
                if content not in self._known:
                    self._known[content] = _traced(step, self._values)
                self._values[step.key] = self._known[content]
        return getattr(self._values[key], "layout", None)


def _traced_once(step: Step, values: Mapping[str, Any], alike: dict[Any, Any]) -> Any:
    """Value of a step; the same for steps of the same columns whose results are of one type."""
    kind = _kind(step)
    if kind is None:
        return _traced(step, values)
    if kind not in alike:
        alike[kind] = _traced(step, values)
    return alike[kind]


def _kind(step: Step) -> Any:
    """What the type of a step's value depends on, if that is less than all of the step."""
    if step.kwargs:
        return None
    columns = (isinstance(arg, Ref) for arg in step.args)
    if getattr(step.function, "typed_by_inputs", False) and all(columns):
        return type(step.function), *step.args
    if isinstance(step.function, np.ufunc) and differ_by_numbers(step.function, step.args, Ref):
        return step.function, *(arg if isinstance(arg, Ref) else type(arg) for arg in step.args)
    return None


def _traced(step: Step, values: Mapping[str, Any]) -> Any:
    if not is_opaque(step.function):
        return run_step(by_numpy(step), values)
    for key in step.refs:
        if isinstance(values[key], ak.Array | ak.Record):
            touch_data(values[key])
    return None


def _touch_varied(
    program: Program, wanted: Iterable[str], shifts: Iterable[Shift], nominal: dict[str, Any]
) -> None:
    """Touch in the replacements what the steps downstream of the varied columns touch."""
    replaced: dict[str, list[str]] = {}
    for shift in shifts:
        for old, new in shift.replacements.items():
            replaced.setdefault(old, []).append(new)
    needed = ordered(program.by_key, wanted)
    affected = downstream(users_of(needed), replaced) | replaced.keys()
    values: MutableMapping[str, Any] = ChainMap({}, nominal)
    alike: dict[Any, Any] = {}
    probes: list[tuple[Step, Probe]] = []
    for step in needed:
        if step.key in replaced and isinstance(step.function, Varied):
            probe = Probe.like(values[step.args[0].key])
            values[step.key] = probe.array
            probes.append((step, probe))
        elif step.key in affected:
            values[step.key] = _traced_once(step, values, alike)
        elif step.key not in nominal:
            nominal[step.key] = _traced(step, nominal)
    for step, probe in reversed(probes):
        touched = probe.touched
        for value in (values[step.args[0].key], *(nominal[new] for new in replaced[step.key])):
            touch_buffers(value, touched)
