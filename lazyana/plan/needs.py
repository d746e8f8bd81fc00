"""Needs: what files must have for a program, and which of its expressions ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lazyana.data.buffers import branches_of, parse_buffer_key
from lazyana.data.mixed import Gap, files_text
from lazyana.data.nanoevents import Blueprint, ReadPlan
from lazyana.errors import InputError
from lazyana.plan.program import Program, ordered
from lazyana.plan.trace import first_use

_APPLY = "let la.apply(function, fileset) call the function once for files of each form"


def check_files(
    program: Program, blueprint: Blueprint, names: Mapping[str, str] | None = None
) -> None:
    """Refuse a program that needs branches which some files lack.

    Parameters
    ----------
    program
        The program, pruned, its variations not yet written out.
    blueprint
        Form of the events.
    names
        What to call its outputs.

    Raises
    ------
    InputError
        Naming the branch, the expression that asks for it first, the files without it, and what
        to do.
    """
    read = program.read
    if read is None or not blueprint.gaps:
        return
    # Numbers that may be None are there in any file; what is made of a whole branch is not.
    needed = set().union(*(branches_of(key, missing=False) for key in read.buffers))
    lacking = {branch for gap in blueprint.gaps for branch in gap.branches & needed}
    if not lacking:
        return
    uses = first_use(program, blueprint, lacking)
    branch, step = uses[0] if uses else (min(lacking), None)
    gaps = [gap for gap in blueprint.gaps if branch in gap.branches]
    where = f" in step {step.title!r}" if step is not None else ""
    msg = (
        f"Branch {branch!r} is needed for {_expression(blueprint, read, branch)}{where}"
        f"{_output(program, step.key if step else None, names or {})}, but "
        f"{_lack(gaps)}{_others(lacking - {branch})}. {_way_out(branch, blueprint)}"
    )
    raise InputError(msg)


def _expression(blueprint: Blueprint, read: ReadPlan, branch: str) -> str:
    """The column that a branch is read for, as a user writes it."""
    keys = [key for key in read.buffers if branch in branches_of(key, missing=False)]
    paths = {blueprint.paths.get(parse_buffer_key(key)[0], ()) for key in keys}
    path = min(paths, key=lambda path: (len(path), path))
    return ".".join(("events", *path))


def _output(program: Program, key: str | None, names: Mapping[str, str]) -> str:
    """The first output that a step is for."""
    for booking in program.bookings:
        made = {step.key for step in ordered(program.by_key, booking.all_keys)}
        if key is None or key in made:
            name = names.get(booking.output, "")
            return f" of output {name!r}" if name else f" of the {booking.sink.kind}"
    return ""  # pragma: no cover  (every step is for an output)


def _lack(gaps: Iterable[Gap]) -> str:
    gaps = list(gaps)
    number = sum(gap.number for gap in gaps)
    return f"{number} file{'s lack' if number > 1 else ' lacks'} it: {files_text(gaps)}"


def _others(branches: Iterable[str]) -> str:
    names = sorted(branches)
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"; the same holds for {', '.join(names[:3])}{more}"


def _way_out(branch: str, blueprint: Blueprint) -> str:
    if not blueprint.fill:
        return (
            f"Read {branch!r} as None in these files with missing='none', {_APPLY}, or leave these "
            "files out."
        )
    return (
        "missing='none' fills numbers that there are once an event, or once an object of a "
        "collection that the file has; no whole collections, lists or cross references. "
        f"Do without it, {_APPLY}, or leave these files out."
    )
