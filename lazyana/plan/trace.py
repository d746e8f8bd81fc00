"""Tracing: run a program on arrays without data to learn what it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import awkward as ak
from awkward.typetracer import touch_data, typetracer_with_report

from lazyana.data.nanoevents import Blueprint, ReadPlan
from lazyana.plan.program import PLACE, SOURCE, Program, Step, run_step
from lazyana.plan.steps import Varied

_DATA = ("data",)


def trace(program: Program, blueprint: Blueprint) -> ReadPlan:
    """What a program reads.

    Every step runs once, on typetracers. Where a column varies, the steps downstream get a
    fresh array that notes what they touch of it; the same is then touched in its nominal value
    and in each value it has in a variation, so that no step runs twice.

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
    events, report = blueprint.trace()
    values: dict[str, Any] = {SOURCE: events, PLACE: None}
    probes: list[tuple[Step, Any]] = []
    for step in program.steps:
        if getattr(step.function, "opaque", False):
            _touch_all(values[key] for key in step.refs)
            values[step.key] = None
        elif isinstance(step.function, Varied):
            values[step.key], probe = _probe(values[step.args[0].key])
            probes.append((step, probe))
        else:
            values[step.key] = run_step(step, values)
    replaced = _replacements(program)
    for step, probe in reversed(probes):
        for key in (step.args[0].key, *replaced.get(step.key, ())):
            _touch_like(values[key].layout, probe)
    return blueprint.needed(report)


def _replacements(program: Program) -> Mapping[str, list[str]]:
    replaced: dict[str, list[str]] = {}
    for shift in program.shifts:
        for old, new in shift.replacements.items():
            replaced.setdefault(old, []).append(new)
    return replaced


def _touch_all(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, ak.Array | ak.Record):
            touch_data(value)


def _probe(value: ak.Array) -> tuple[ak.Array, Any]:
    """An array like `value` and the report of what is touched of it."""
    form = _with_path_keys(value.layout.form_with_key("p{id}"), ())
    probe, report = typetracer_with_report(
        form, highlevel=True, behavior=value.behavior, attrs=value.attrs, buffer_key=_buffer_key
    )
    return probe, report


def _buffer_key(form_key: str, attribute: str, form: Any = None) -> str:
    del form
    return f"{form_key}\t{attribute}"


def _with_path_keys(form: Any, path: tuple[str, ...]) -> Any:
    """The form, each node named by the fields that lead to it."""
    form = form.copy()
    form.form_key = "\n".join(path)
    if form.is_record:
        contents = [
            _with_path_keys(form.content(name), (*path, name)) for name in form.fields
        ]
        return form.copy(contents=contents)
    if form.is_union:
        return form.copy(contents=[_with_path_keys(item, path) for item in form.contents])
    if hasattr(form, "content"):
        return form.copy(content=_with_path_keys(form.content, path))
    return form


def _touch_like(layout: Any, report: Any) -> None:
    """Touch in `layout` what a report says was touched of an array like it."""
    for touched in {*report.data_touched, *report.shape_touched}:
        key, _, attribute = touched.partition("\t")
        path = tuple(name for name in key.split("\n") if name)
        _touch_path(layout, path, attribute in _DATA and touched in set(report.data_touched))


def _touch_path(layout: Any, path: tuple[str, ...], data: bool) -> None:
    if layout.is_record:
        if path and path[0] in layout.fields:
            _touch_path(layout.content(path[0]), path[1:], data)
        return
    if layout.is_union:
        layout._touch_data(recursive=False)
        for content in layout.contents:
            _touch_path(content, path, data)
        return
    if hasattr(layout, "content"):
        layout._touch_data(recursive=False)
        _touch_path(layout.content, path, data)
    elif data and not path:
        layout._touch_data(recursive=False)
