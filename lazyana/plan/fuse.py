"""The pass that makes one selection of the cuts a column goes through one after the other."""

from __future__ import annotations

import hashlib

from lazyana.plan.program import Program, Ref, Step, drop_unused, users_of
from lazyana.plan.steps import Rows, SelectEvents, TakeEvents


def fuse(program: Program) -> Program:
    """Select events of a column once, where nothing looks at what is left between the cuts.

    The numbers of the events that pass are found once for all columns that go through the same
    cuts.
    """
    steps = dict(program.by_key)
    users = users_of(program.steps)
    kept = {key for booking in program.bookings for key in booking.all_keys}

    def between(key: str) -> bool:
        """Whether a value is only there to be selected from again."""
        return key not in kept and all(
            isinstance(steps[user].function, SelectEvents) and steps[user].args[1] != Ref(key)
            for user in users.get(key, ())
        )

    found: dict[str, Step] = {}
    for step in program.steps:
        if not isinstance(step.function, SelectEvents) or between(step.key):
            found[step.key] = step
            continue
        cuts = [step]
        while (above := cuts[0].args[0].key) in steps and isinstance(
            steps[above].function, SelectEvents
        ):
            if not between(above):
                break
            cuts.insert(0, steps[above])
        found[step.key] = _taken(cuts, found)
    return drop_unused(program.replace(steps=tuple(found.values())))


def _taken(cuts: list[Step], found: dict[str, Step]) -> Step:
    """The step that takes what all of some cuts leave of a column, after adding what it needs."""
    rows = ""
    for cut in cuts:
        mask = cut.args[1]
        title = f"rows-{cut.function.cut}"  # type: ignore[attr-defined]
        key = f"{title}-{_token(rows, mask.key)}"
        if key not in found:
            found[key] = (
                Step(key, cut.function, (Ref(rows), mask)) if rows else Step(key, Rows(), (mask,))
            )
        rows = key
    first, last = cuts[0], cuts[-1]
    take = TakeEvents(first.function.cut)  # type: ignore[attr-defined]
    return Step(last.key, take, (first.args[0], Ref(rows), first.args[1]))


def _token(*names: str) -> str:
    return hashlib.sha256(repr(names).encode()).hexdigest()[:16]
