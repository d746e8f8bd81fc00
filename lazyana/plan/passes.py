"""The passes: small rewrites Program -> Program, each of which can be looked at by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lazyana.data.nanoevents import Blueprint
from lazyana.plan.findings import Findings
from lazyana.plan.program import (
    PLACE,
    Booking,
    Program,
    Ref,
    Step,
    downstream,
    drop_unused,
    ordered,
    rename,
    users_of,
    worlds,
)
from lazyana.plan.share import share
from lazyana.plan.steps import AnyVariation, Varied, by_numpy, in_variation
from lazyana.plan.trace import trace
from lazyana.sinks.base import NOMINAL

__all__ = ["direct", "drop_unused", "live_values", "prune", "release", "share", "vary"]


def prune(program: Program, blueprint: Blueprint, findings: Findings | None = None) -> Program:
    """Drop steps that nothing needs, and find out what has to be read.

    The steps run on arrays without data, which note what is touched; not those of a program that
    reads the same as one that ran, according to `findings`.
    """
    lean = drop_unused(program)
    return lean.replace(read=trace(lean, blueprint, findings))


def vary(program: Program) -> Program:
    """Write the shape variations out: clone what is downstream of a replaced column.

    Everything else is shared with nominal. The clones are named ``key@variation``. What is kept in
    any variation takes all of them instead.
    """
    steps = dict(program.by_key)
    united: dict[str, dict[str, None]] = {}
    keys = {booking.output: dict(booking.keys) for booking in program.bookings}
    for wanted, shifts in worlds(program).items():
        needed = ordered(program.by_key, wanted)
        users = users_of(needed)
        for shift in shifts:
            names = dict(shift.replacements)
            affected = downstream(users, names)
            for step in needed:
                if step.key not in affected:
                    continue
                if isinstance(step.function, AnyVariation):
                    found = (names.get(key, key) for key in step.refs)
                    united.setdefault(step.key, {}).update(dict.fromkeys(found))
                else:
                    names[step.key] = _clone(step, shift.variation, names, steps)
            for booking in program.bookings:
                nominal = booking.keys[NOMINAL]
                if nominal in wanted and names.get(nominal, nominal) != nominal:
                    keys[booking.output][shift.variation] = names[nominal]
    for key, others in united.items():
        more = (Ref(other) for other in others if other not in steps[key].refs)
        steps[key] = replace(steps[key], args=(*steps[key].args, *more))
    for booking in program.bookings:
        if getattr(booking.sink, "fills_every_variation", False):
            _fill_the_others(booking, keys[booking.output], steps)
    varied = program.replace(
        steps=tuple(steps.values()),
        bookings=tuple(
            Booking(b.output, b.sink, keys[b.output], b.variations) for b in program.bookings
        ),
        shifts=(),
    )
    return _settle(varied)


def _fill_the_others(booking: Booking, keys: dict[str, str], steps: dict[str, Step]) -> None:
    """Fill a sink also in the variations that touch nothing it is filled with."""
    nominal = steps[keys[NOMINAL]]
    for variation in booking.variations:
        if variation not in keys:
            key = f"{nominal.key}@{variation}"
            steps[key] = replace(in_variation(nominal, variation), key=key)
            keys[variation] = key


def direct(program: Program) -> Program:
    """Call numpy's functions directly where their arguments allow it."""
    return program.replace(steps=tuple(map(by_numpy, program.steps)))


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


def live_values(program: Program) -> int:
    """Largest number of values held at a time while the program runs, the events among them."""
    releases = program.releases or ((),) * len(program.steps)
    live = peak = 1
    for done in releases:
        live += 1
        peak = max(peak, live)
        live -= len(done)
    return peak


def _clone(step: Step, variation: str, names: Mapping[str, str], steps: dict[str, Step]) -> str:
    """Key of a step's value in a variation, after adding the step that makes it."""
    if isinstance(step.function, Varied):
        inner = step.args[0].key
        return names.get(inner, inner)
    mine = in_variation(step, variation)
    shifted = mine.with_refs(names, f"{step.key}@{variation}")
    if shifted is mine:  # nothing that it takes is different
        return step.key
    steps[shifted.key] = shifted
    return shifted.key


def _settle(program: Program) -> Program:
    """What is used of a program; in the nominal world a varied column is its nominal value."""
    names: dict[str, str] = {}
    steps = []
    for original in ordered(program.by_key, program.outputs):
        step = original.with_refs(names)
        if isinstance(step.function, Varied):
            names[step.key] = step.args[0].key
        else:
            steps.append(step)
    return rename(program.replace(steps=tuple(steps)), names)
