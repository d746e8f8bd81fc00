"""The pass that merges equal work, also where it was written differently."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterable, Mapping
from typing import Any

from dask_awkward.lib.structure import _WithFieldFn

from lazyana.data.nanoevents import Blueprint
from lazyana.plan.findings import Findings
from lazyana.plan.lower import constant
from lazyana.plan.program import Program, Ref, Step, drop_unused, ordered, rename
from lazyana.plan.steps import Fill, SelectEvents, Varied
from lazyana.plan.trace import Layouts


def share(
    program: Program, blueprint: Blueprint | None = None, findings: Findings | None = None
) -> Program:
    """Merge equal work, also where it was written differently.

    A value merely handed on is the value itself; steps with equal functions and equal arguments
    are one. With a blueprint, whose types tell where that is the same, a field of a record that
    had another field replaced is the field of the original, also if events were selected since.
    What is found out is kept in `findings`, if they are given.
    """
    return _Sharing(program, blueprint, findings or Findings()).result()


class _Sharing:
    """The steps of a program that are left once equal ones are merged."""

    def __init__(self, program: Program, blueprint: Blueprint | None, findings: Findings) -> None:
        self._program = program
        self._steps: dict[str, Step] = {}
        self._names: dict[str, str] = {}
        self._known: dict[bytes, str] = {}
        self._contents: dict[str, bytes] = {}
        self._varies: dict[str, frozenset[str]] = {}
        self._fills: dict[tuple[str, ...], list[Step]] = {}
        self._hasher = findings.hasher
        self._layouts = None
        if blueprint is not None:
            known = findings.values(blueprint)
            self._layouts = Layouts(self._steps, blueprint, self._contents, known)
        self._shifted = self._shift_contents()

    def result(self) -> Program:
        for step in self._program.steps:
            self._names[step.key] = self._simplified(step.with_refs(self._names))
        if tuple(self._steps) == tuple(self._program.by_key) and self._layouts is None:
            return self._program  # nothing was written twice
        merged = self._program.replace(steps=tuple(self._steps.values()))
        return drop_unused(rename(merged, self._names))

    def _simplified(self, step: Step) -> str:
        """Key of the value of a step, after adding the steps that make it."""
        if step.function is constant and isinstance(step.args[0], Ref):
            return step.args[0].key
        if self._layouts is None:
            return self._add(step)
        if isinstance(step.function, _WithFieldFn):
            return self._add(self._without_overwritten(step))
        path = _field_path(step)
        if not path:
            return self._add(step)
        record = step.args[0].key
        for name in path[:-1]:
            record = self._add_field(record, name, None)
        return self._add_field(record, path[-1], step.key)

    def _add(self, step: Step) -> str:
        """Key of a step equal to this one: the one that is there, or this one, added."""
        if isinstance(step.function, Fill):
            return self._add_fill(step)
        digest = self._hasher.step(step, self._contents)
        if isinstance(step.function, Varied):
            # Nominal is no more than half of what a varied column is.
            digest = self._hasher.digest((digest, self._shifted.get(step.key)))
        key = self._known.setdefault(digest, step.key)
        if key == step.key:
            self._steps[key] = step
            self._contents[key] = digest
            if self._program.shifts:
                mine = (key,) if isinstance(step.function, Varied) else ()
                self._varies[key] = frozenset(mine).union(*map(self._varies_of, step.refs))
        return key

    def _add_fill(self, step: Step) -> str:
        """The same of a step that fills a sink, which no step takes the value of."""
        # Each variation fills for itself, and equal fills are merged before there are any.
        if self._layouts is not None:
            # A sink takes long to hash: only one that is filled with the same as another.
            others = self._fills.setdefault(step.refs, [])
            for other in others:
                one, two = (self._hasher.step(fill, self._contents) for fill in (step, other))
                if one == two:
                    return other.key
            others.append(step)
        self._steps[step.key] = step
        return step.key

    def _add_field(self, record: str, name: str, key: str | None) -> str:
        """Key of a field of a record, taken from where the field comes from."""
        selections, source, is_field = self._source_of(record, name)
        parts: list[tuple[str, Any, tuple[Any, ...]]] = []
        if not is_field:
            parts.append((name, operator.getitem, (name,)))
        parts += [(f"filter-{s.function.cut}", s.function, s.args[1:]) for s in selections]  # type: ignore[attr-defined]
        value = source
        for number, (title, function, args) in enumerate(parts):
            last = number == len(parts) - 1
            # A step that only this rewrite needs is named after what it is made of.
            mine = key if last and key is not None else _new_key(title, value, args)
            value = self._add(Step(mine, function, (Ref(value), *args)))
        return value

    def _source_of(self, record: str, name: str) -> tuple[list[Step], str, bool]:
        """Where a field of a record comes from.

        Returns
        -------
        selections
            The selections of events made since.
        key
            Of a record that has the field, or of the field itself.
        is_field
            Which of the two.
        """
        found: tuple[list[Step], str, bool] = ([], record, False)
        selections: list[Step] = []
        key = record
        while key in self._steps:
            maker = self._steps[key]
            if isinstance(maker.function, SelectEvents):
                selections.insert(0, maker)
            elif self._is_safe(maker) and self._worth(maker, selections):
                if _top(maker) == name:
                    if self._is_what(maker):
                        found = (list(selections), maker.args[1].key, True)
                    return found
                found = (list(selections), maker.args[0].key, False)
            else:
                break
            key = maker.args[0].key
        return found

    def _without_overwritten(self, step: Step) -> Step:
        """A step that puts a field into a record, without earlier values of that field."""
        above: list[Step] = []
        key = step.args[0].key if isinstance(step.args[0], Ref) else ""
        while key in self._steps and self._is_safe(self._steps[key]):
            maker = self._steps[key]
            key = maker.args[0].key
            if maker.function.where == step.function.where:  # type: ignore[attr-defined]
                # If it is new there it comes last, and leaving it out would change the order.
                if _top(maker) not in self._record(key).fields:
                    return step
                for other in above:
                    mine = _new_key("with-field", key, other.args[1:])
                    key = self._add(Step(mine, other.function, (Ref(key), *other.args[1:])))
                return Step(step.key, step.function, (Ref(key), *step.args[1:]), step.kwargs)
            above.insert(0, maker)
        return step

    def _is_safe(self, maker: Step) -> bool:
        """Whether a step puts a field into a record and leaves all else as it was.

        It does not where the new field has missing values or another structure than the records:
        then these are broadcast, and the other fields change too.
        """
        if not isinstance(maker.function, _WithFieldFn) or not isinstance(maker.args[0], Ref):
            return False
        what = maker.args[1]
        layout = self._layout(what.key) if isinstance(what, Ref) else None
        if not _top(maker) or (isinstance(what, Ref) and layout is None):
            return False
        return _fits(self._layout(maker.args[0].key), layout, exactly=False)

    def _is_what(self, maker: Step) -> bool:
        """Whether the new field in a record is the very column that was put into it."""
        what = maker.args[1]
        if not isinstance(what, Ref) or not isinstance(maker.function.where, str):  # type: ignore[attr-defined]
            return False
        layout = self._layout(what.key)
        # A record may have its methods only from the record it is in.
        leaf = not layout.fields
        return leaf and _fits(self._layout(maker.args[0].key), layout, exactly=True)

    def _layout(self, key: str) -> Any:
        return None if self._layouts is None else self._layouts[key]

    def _record(self, key: str) -> Any:
        layout = self._layout(key)
        while not layout.is_record:
            layout = layout.content
        return layout

    def _worth(self, maker: Step, selections: Iterable[Step]) -> bool:
        """Whether a field should be selected by itself: not if all varies with the selection."""
        masks = [key for step in selections for key in step.refs[1:]]
        varies = self._varies_of(maker.key) - self._varies_of(maker.refs[0])
        selected = frozenset[str]().union(*map(self._varies_of, masks))
        return not masks or not varies or not varies <= selected

    def _varies_of(self, key: str) -> frozenset[str]:
        """The varied columns that a value is made of."""
        return self._varies.get(key, frozenset())

    def _shift_contents(self) -> Mapping[str, list[tuple[str, bytes]]]:
        """For each varied column, what it becomes in each variation: content, not key."""
        program = self._program
        replaced = [new for shift in program.shifts for new in shift.replacements.values()]
        contents: dict[str, bytes] = {}
        for step in ordered(program.by_key, replaced):
            contents[step.key] = self._hasher.step(step, contents)
        found: dict[str, list[tuple[str, bytes]]] = {}
        for shift in program.shifts:
            for old, new in shift.replacements.items():
                found.setdefault(old, []).append((shift.variation, contents[new]))
        return found


def _field_path(step: Step) -> tuple[str, ...]:
    """The names of a step that takes a field of a record; none for any other step."""
    if step.function is not operator.getitem or len(step.args) != 2 or step.kwargs:
        return ()
    record, where = step.args
    names = (where,) if isinstance(where, str) else where
    if not isinstance(record, Ref) or not isinstance(names, tuple):
        return ()
    return names if all(isinstance(name, str) for name in names) else ()


def _top(maker: Step) -> str:
    """Name of the field that a step puts into a record; nested paths by their first name."""
    where = maker.function.where  # type: ignore[attr-defined]
    name = where if isinstance(where, str) or not where else where[0]
    return name if isinstance(name, str) else ""


def _fits(base: Any, what: Any, *, exactly: bool) -> bool:
    """Whether a column fits into records without changing their structure.

    Parameters
    ----------
    base, what
        Layouts of the records and of the column; the latter None for a number.
    exactly
        Whether the column may not be repeated either, such as one number an event for all objects.
    """
    while base is not None:
        base = _plain(base)
        if base.is_record:
            return True
        if not base.is_list or base.is_regular:
            return False
        base = base.content
        if what is None:
            continue
        what = _plain(what)
        if what.is_option or what.is_union or what.is_record or what.is_regular:
            return False
        if what.is_list and what.parameter("__array__") is None:
            what = what.content
        elif exactly:
            return False
        else:
            what = None
    return False


def _plain(layout: Any) -> Any:
    while layout.is_indexed and not layout.is_option:
        layout = layout.content
    return layout


def _new_key(name: str, value: str, args: Iterable[Any]) -> str:
    made_of = repr((name, value, tuple(args)))
    return f"{name}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"
