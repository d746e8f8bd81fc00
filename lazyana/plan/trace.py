"""Tracing: run a program on arrays without data to learn what it reads."""

from __future__ import annotations

import operator
from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from awkward.typetracer import touch_data, typetracer_with_report

from lazyana.data.guards import differ_by_numbers
from lazyana.data.nanoevents import Blueprint, ReadPlan
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

Path = tuple[str | None, ...]
"""Where in an array a buffer is: names of fields, and None for going into a list."""


def trace(program: Program, blueprint: Blueprint) -> ReadPlan:
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

    Returns
    -------
    ReadPlan
        Branches and buffers.
    """
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
    """

    def __init__(self, steps: Mapping[str, Step], blueprint: Blueprint) -> None:
        self._steps = steps
        self._values: dict[str, Any] = {SOURCE: blueprint.without_data(), PLACE: None}

    def __getitem__(self, key: str) -> Any:
        """Layout of one value; None for what is not an array."""
        if key not in self._values:
            for step in ordered(self._steps, [key], self._values):
                self._values[step.key] = _traced(step, self._values)
        return getattr(self._values[key], "layout", None)


def _traced_once(step: Step, values: Mapping[str, Any], alike: dict[Any, Any]) -> Any:
    """Value of a step; the same for ufuncs of the same columns that differ by a number only."""
    if (
        not isinstance(step.function, np.ufunc)
        or step.kwargs
        or not differ_by_numbers(step.function, step.args, Ref)
    ):
        return _traced(step, values)
    parts = tuple(arg.key if isinstance(arg, Ref) else type(arg) for arg in step.args)
    kind = (step.function, parts)
    if kind not in alike:
        alike[kind] = _traced(step, values)
    return alike[kind]


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
        probe.touch(values[step.args[0].key])
        for new in replaced[step.key]:
            probe.touch(nominal[new])


@dataclass(frozen=True, eq=False)
class Probe:
    """An array without data that notes what is touched of it.

    Attributes
    ----------
    array
        The array.
    report
        Its report.
    paths
        Where in the array the buffers of each form key are.
    """

    array: ak.Array
    report: Any
    paths: tuple[Path, ...]

    @classmethod
    def like(cls, value: ak.Array) -> Probe:
        """A probe of the type of another array."""
        paths: list[Path] = []
        form = _numbered(value.layout.form_with_key("{id}"), (), paths)
        array, report = typetracer_with_report(
            form, highlevel=True, behavior=value.behavior, attrs=value.attrs, buffer_key=_buffer_key
        )
        return cls(array, report, tuple(paths))

    def touch(self, value: ak.Array) -> None:
        """Touch in another array of this kind what was touched of the probe."""
        touched = {(key, False) for key in self.report.shape_touched}
        touched |= {(key, True) for key in self.report.data_touched}
        for path, data in {(self.paths[int(key)], data) for key, data in touched}:
            _touch(value.layout, path, data)


def _buffer_key(form_key: str, attribute: str, form: Any = None) -> str:
    del attribute, form
    return form_key


def _numbered(form: Any, path: Path, paths: list[Path]) -> Any:
    """The form, the key of each node the number of its path in `paths`."""
    key = str(len(paths))
    paths.append(path)
    if form.is_record:
        contents = [_numbered(form.content(name), (*path, name), paths) for name in form.fields]
        return form.copy(contents=contents, form_key=key)
    if form.is_union:
        contents = [_numbered(item, path, paths) for item in form.contents]
        return form.copy(contents=contents, form_key=key)
    if hasattr(form, "content"):
        inner = (*path, None) if form.is_list else path
        return form.copy(content=_numbered(form.content, inner, paths), form_key=key)
    return form.copy(form_key=key)


def _touch(layout: Any, path: Path, data: bool) -> None:
    """Touch the buffers at a path, and those that are needed to get there."""
    if layout.is_union:
        layout._touch_data(recursive=False)
        for content in layout.contents:
            _touch(content, path, data)
    elif layout.is_option or layout.is_indexed:
        layout._touch_data(recursive=False)
        _touch(layout.content, path, data)
    elif not path:
        (layout._touch_data if data else layout._touch_shape)(recursive=False)
    elif path[0] is None and layout.is_list:
        layout._touch_data(recursive=False)
        _touch(layout.content, path[1:], data)
    elif path[0] is not None and layout.is_record and path[0] in layout.fields:
        _touch(layout.content(path[0]), path[1:], data)
    else:  # of another structure than the nominal value: everything may be needed
        layout._touch_data(recursive=True)
