"""Building programs: from what was booked on a frame to what runs, stage by stage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask_awkward as dak

from lazyana.data.nanoevents import Blueprint
from lazyana.errors import InputError, did_you_mean
from lazyana.plan import passes
from lazyana.plan.findings import Findings
from lazyana.plan.fuse import fuse
from lazyana.plan.lower import lower
from lazyana.plan.needs import check_files
from lazyana.plan.program import PLACE, Program, Ref, Shift, Step, nominal_booking
from lazyana.plan.steps import Fill

STAGES = ("recorded", "shared", "pruned", "varied", "fused", "released")


@dataclass(frozen=True, eq=False)
class Call:
    """A function of lazy columns that runs in the program but is no dask-awkward operation.

    Attributes
    ----------
    title
        Short name of the step.
    function
        What is called.
    args
        Columns, other calls, or plain values; `HERE` is the place of the events.
    """

    title: str
    function: Callable[..., Any]
    args: tuple[Any, ...]


HERE = Ref(PLACE)


@dataclass(frozen=True, eq=False)
class Request:
    """One output to keep.

    Attributes
    ----------
    output
        Its name, unique in the program.
    sink
        What keeps it.
    args
        What the sink is filled with, after the place: columns, calls, plain values.
    variations
        Labels of the shape variations it wants.
    """

    output: str
    sink: Any
    args: tuple[Any, ...]
    variations: tuple[str, ...]


def record(
    name: str,
    requests: Sequence[Request],
    shifts: Mapping[str, Sequence[tuple[dak.Array, dak.Array]]],
) -> Program:
    """The program as it was written, before any pass.

    Parameters
    ----------
    name
        Name of the group of datasets.
    requests
        The outputs.
    shifts
        For each shape variation, the varied columns and what each is replaced by.

    Returns
    -------
    Program
        All steps, in order.
    """
    wanted = {label for request in requests for label in request.variations}
    pairs = [pair for label, pairs in shifts.items() if label in wanted for pair in pairs]
    columns: dict[str, Any] = {}
    steps: dict[str, Step] = {}
    bookings = []
    for request in requests:
        fill = Call(request.sink.kind, Fill(request.sink), (HERE, *request.args))
        key = _add_call(fill, steps, columns, unique=request.output)
        bookings.append(nominal_booking(request.output, request.sink, key, request.variations))
    for column in (column for pair in pairs for column in pair):
        columns[column.name] = column
    steps = {**lower(columns.values()), **steps}
    program = Program(
        name,
        tuple(steps.values()),
        tuple(bookings),
        tuple(
            Shift(label, {old.name: new.name for old, new in pairs})
            for label, pairs in shifts.items()
            if label in wanted
        ),
    )
    return passes.drop_unused(program)


def stages(
    program: Program,
    blueprint: Blueprint,
    names: Mapping[str, str] | None = None,
    findings: Findings | None = None,
) -> dict[str, Program]:
    """The program after each pass.

    Parameters
    ----------
    program
        As recorded.
    blueprint
        Form of the events it reads.
    names
        What to call its outputs in messages.
    findings
        What was found out about other programs of the same job, to which what is found is added.

    Returns
    -------
    dict
        Keys ``"recorded"``, ``"shared"``, ``"pruned"``, ``"varied"``, ``"fused"`` and
        ``"released"``; the last is what runs.

    Raises
    ------
    InputError
        Branches that are needed, and that some files lack.
    """
    findings = findings or Findings()
    shared = passes.share(program, blueprint, findings)
    pruned = passes.prune(shared, blueprint, findings)
    check_files(pruned, blueprint, names)
    varied = passes.share(passes.vary(pruned), findings=findings)
    fused = fuse(varied)
    return {
        "recorded": program,
        "shared": shared,
        "pruned": pruned,
        "varied": varied,
        "fused": fused,
        "released": passes.release(passes.direct(fused)),
    }


def check_stage(stage: str) -> str:
    """The name of a stage, checked.

    Raises
    ------
    InputError
        Any other name.
    """
    if stage in STAGES:
        return stage
    msg = f"There is no stage {stage!r}.{did_you_mean(stage, STAGES)} Choose from {STAGES}."
    raise InputError(msg)


def _add_call(call: Call, steps: dict[str, Step], columns: dict[str, Any], unique: str = "") -> str:
    args: list[Any] = []
    for arg in call.args:
        if isinstance(arg, Call):
            args.append(Ref(_add_call(arg, steps, columns)))
        elif isinstance(arg, dak.Array):
            columns[arg.name] = arg
            args.append(Ref(arg.name))
        else:
            args.append(arg)
    key = f"{call.title}-{_token(unique, call.function, args)}"
    steps[key] = Step(key, call.function, tuple(args))
    return key


def _token(unique: str, function: Any, args: Iterable[Any]) -> str:
    # Within one program a name is enough; what makes steps equal is the pass `share`.
    text = repr((unique, "" if unique else function, [repr(arg) for arg in args]))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
