"""The passes: small rewrites Program -> Program, each of which can be looked at by itself."""

from __future__ import annotations

import operator
from collections.abc import Mapping

from dask_awkward.lib.structure import _WithFieldFn

from lazyana.data.nanoevents import Blueprint
from lazyana.plan.fingerprint import Hasher
from lazyana.plan.lower import constant
from lazyana.plan.program import PLACE, Booking, Program, Ref, Shift, Step, ordered
from lazyana.plan.steps import SelectEvents, Varied
from lazyana.plan.trace import trace


def share(program: Program) -> Program:
    """Merge equal work, also where it was written differently.

    A field of a record that had another field replaced is the field of the original; a value
    merely handed on is the value itself; steps with equal functions and equal arguments are one.
    """
    hasher = Hasher()
    names: dict[str, str] = {}
    known: dict[bytes, str] = {}
    contents: dict[str, bytes] = {}
    steps: dict[str, Step] = {}
    for original in program.steps:
        step = original.with_refs(names)
        for simple in _simplify(step, steps):
            if isinstance(simple, str):
                names[original.key] = simple
                break
            digest = hasher.step(simple, contents)
            if digest in known:
                names[simple.key] = known[digest]
            else:
                known[digest] = simple.key
                contents[simple.key] = digest
                steps[simple.key] = simple
            if simple.key != original.key:
                names[original.key] = names.get(simple.key, simple.key)
    return drop_unused(_rename(program.replace(steps=tuple(steps.values())), names))


def prune(program: Program, blueprint: Blueprint) -> Program:
    """Drop steps that nothing needs, and find out what has to be read.

    The steps run once on arrays without data, which note what is touched.
    """
    lean = drop_unused(program)
    return lean.replace(read=trace(lean, blueprint))


def vary(program: Program) -> Program:
    """Write the shape variations out: clone what is downstream of a replaced column.

    Everything else is shared with nominal. The clones are named ``key@variation``.
    """
    users = _users(program.steps)
    position = {step.key: i for i, step in enumerate(program.steps)}
    steps = dict(program.by_key)
    bookings = {booking.output: dict(booking.keys) for booking in program.bookings}
    for shift in program.shifts:
        wanting = [b for b in program.bookings if shift.variation in b.variations]
        names = dict(shift.replacements)
        downstream = _downstream(shift.replacements, users)
        for key in sorted(downstream, key=position.__getitem__):
            clone = _clone(steps[key], shift.variation, names)
            if clone is not None:
                names[key] = clone.key
                steps[clone.key] = clone
        for booking in wanting:
            (nominal,) = booking.keys.values()
            if nominal in names:
                bookings[booking.output][shift.variation] = names[nominal]
    varied = program.replace(
        steps=tuple(steps.values()),
        bookings=tuple(
            Booking(b.output, b.sink, bookings[b.output], b.variations) for b in program.bookings
        ),
        shifts=(),
    )
    return drop_unused(_settle(varied))


def release(program: Program) -> Program:
    """Note after which step each value is not needed any more."""
    last: dict[str, int] = {}
    for i, step in enumerate(program.steps):
        last[step.key] = i
        for key in step.refs:
            last[key] = i
    releases: list[list[str]] = [[] for _ in program.steps]
    for key, i in last.items():
        if key != PLACE:
            releases[i].append(key)
    return program.replace(releases=tuple(tuple(keys) for keys in releases))


def drop_unused(program: Program) -> Program:
    """Keep the steps that an output needs, nominal or varied, in order.

    A shift keeps only the columns that are used: varying what nobody looks at costs nothing.
    """
    wanted = dict.fromkeys(program.outputs)
    while True:
        steps = ordered(program.by_key, wanted)
        used = {step.key for step in steps}
        more = [
            new
            for shift in program.shifts
            for old, new in shift.replacements.items()
            if old in used and new not in wanted
        ]
        if not more:
            break
        wanted.update(dict.fromkeys(more))
    shifts = tuple(
        Shift(
            shift.variation,
            {old: new for old, new in shift.replacements.items() if old in used},
        )
        for shift in program.shifts
    )
    return program.replace(steps=steps, shifts=shifts)


def live_values(program: Program) -> int:
    """Largest number of values held at a time while the program runs."""
    releases = program.releases or ((),) * len(program.steps)
    live = peak = 1
    for done in releases:
        live += 1
        peak = max(peak, live)
        live -= len(done)
    return peak


def _simplify(step: Step, steps: Mapping[str, Step]) -> tuple[Step | str, ...]:
    """What a step comes down to: steps to have instead, or the key of a value that exists."""
    if step.function is constant and isinstance(step.args[0], Ref):
        return (step.args[0].key,)
    if not _is_field(step):
        return (step,)
    record, name = step.args
    maker = steps.get(record.key)
    if maker is None:
        return (step,)
    base = _base_of_other_field(maker, name)
    if base is not None:
        return _simplify(Step(step.key, step.function, (Ref(base), name)), steps)
    if isinstance(maker.function, SelectEvents):
        inner = steps.get(maker.args[0].key)
        base = _base_of_other_field(inner, name) if inner is not None else None
        if base is not None:
            column = _simplify(Step(f"{step.key}-all", step.function, (Ref(base), name)), steps)
            if len(column) == 1 and isinstance(column[0], Step):
                chosen = (Ref(column[0].key), *maker.args[1:])
                return (column[0], Step(step.key, maker.function, chosen))
    return (step,)


def _is_field(step: Step) -> bool:
    return (
        step.function is operator.getitem
        and len(step.args) == 2
        and isinstance(step.args[0], Ref)
        and isinstance(step.args[1], str)
    )


def _base_of_other_field(maker: Step, name: str) -> str | None:
    """The record before some field other than `name` was put into it."""
    function = maker.function
    if not isinstance(function, _WithFieldFn) or not isinstance(maker.args[0], Ref):
        return None
    return maker.args[0].key if isinstance(function.where, str) and function.where != name else None


def _rename(program: Program, names: Mapping[str, str]) -> Program:
    def final(key: str) -> str:
        while key in names and names[key] != key:
            key = names[key]
        return key

    return program.replace(
        bookings=tuple(
            Booking(b.output, b.sink, {label: final(key) for label, key in b.keys.items()},
                    b.variations)
            for b in program.bookings
        ),
        shifts=tuple(
            Shift(
                shift.variation,
                {final(old): final(new) for old, new in shift.replacements.items()},
            )
            for shift in program.shifts
        ),
    )


def _users(steps: tuple[Step, ...]) -> dict[str, list[str]]:
    users: dict[str, list[str]] = {}
    for step in steps:
        for key in step.refs:
            users.setdefault(key, []).append(step.key)
    return users


def _downstream(varied: Mapping[str, str], users: Mapping[str, list[str]]) -> set[str]:
    """Steps that depend on a varied column, the varied columns themselves left out."""
    found: set[str] = set()
    stack = list(varied)
    while stack:
        for user in users.get(stack.pop(), ()):
            if user not in found and user not in varied:
                found.add(user)
                stack.append(user)
    return found


def _clone(step: Step, variation: str, names: Mapping[str, str]) -> Step | None:
    vary_step = getattr(step.function, "vary", None)
    if vary_step is not None and not isinstance(step.function, type):
        step = vary_step(step, variation)
    shifted = step.with_refs(names)
    if shifted is step:
        return None
    return Step(f"{step.key}@{variation}", shifted.function, shifted.args, shifted.kwargs)


def _settle(program: Program) -> Program:
    """In the nominal world a varied column is just its nominal value."""
    names: dict[str, str] = {}
    steps = []
    for original in program.steps:
        step = original.with_refs(names)
        if isinstance(step.function, Varied):
            names[step.key] = step.args[0].key
        else:
            steps.append(step)
    return _rename(program.replace(steps=tuple(steps)), names)
