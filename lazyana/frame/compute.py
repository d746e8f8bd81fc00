"""Computing: from booked outputs to one job and its result."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lazyana.data.partitions import bytes_of, partitions_of
from lazyana.engine.allocator import give_back
from lazyana.engine.executors import find_executor
from lazyana.engine.job import Job, Partial, Work
from lazyana.engine.nesting import Nesting, split
from lazyana.engine.progress import PATIENCE, watch
from lazyana.engine.provenance import Provenance, content_hash
from lazyana.engine.result import DatasetReport, Problem, Result, RunReport
from lazyana.errors import InputError, InputTypeError
from lazyana.frame.booking import Marked, Merged, Output
from lazyana.frame.group import Group
from lazyana.frame.limit import Limit, left_out
from lazyana.options import ErrorPolicy, ReadOptions, RunOptions
from lazyana.plan.build import check_stage, record, stages
from lazyana.plan.collector import collector_paused
from lazyana.plan.explain import Explanation, GroupPlan
from lazyana.plan.findings import Findings
from lazyana.plan.fingerprint import program_fingerprint
from lazyana.plan.memory import peak_memory
from lazyana.plan.program import Program
from lazyana.plan.reads import reads_of
from lazyana.reader.fileinfo import FileInfo
from lazyana.sinks.columns import Columns
from lazyana.sinks.skim import Skims
from lazyana.sinks.unite import Filled, finish


@dataclass(frozen=True, eq=False)
class Plan:
    """Outputs made ready to run.

    Attributes
    ----------
    nesting
        How the outputs were given.
    outputs
        The outputs, in order; each in as many parts as it has groups.
    groups
        The groups of datasets.
    stages
        For each group, its program after each pass.
    job
        What runs.
    """

    nesting: Nesting
    outputs: tuple[tuple[Output, ...], ...]
    groups: tuple[Group, ...]
    stages: tuple[Mapping[str, Program], ...]
    job: Job


@collector_paused()
def make_plan(
    outputs: Any,
    *,
    name: str | None = None,
    options: RunOptions | None = None,
    reading: ReadOptions | None = None,
    progress: bool | None = False,
) -> Plan:
    """Plan outputs: one program for each group of datasets, one job for all.

    Parameters
    ----------
    outputs
        Outputs in any nesting of dictionaries, lists and tuples.
    name
        Prefix of the task names; default: the name of the group, if there is one.
    options
        How the job is cut into tasks.
    reading
        How files are read.
    progress
        Whether to show a bar if it takes more than two seconds; None: on a terminal.

    Raises
    ------
    InputError, InputTypeError
        No outputs, or something that is none; two outputs writing to one place.
    """
    options = options or RunOptions()
    nesting, found = split(outputs, lambda value: isinstance(value, Output | Merged))
    if not found:
        msg = "There is nothing to compute: give outputs such as events.hist(...)."
        raise InputError(msg)
    parts = tuple(item.outputs if isinstance(item, Merged) else (item,) for item in found)
    paths = tuple(nesting.paths())
    _check_paths(parts, paths)
    groups = tuple(dict.fromkeys(output.group for outputs in parts for output in outputs))
    programs = []
    works: list[Work] = []
    limit = Limit(options.limit_partitions)
    findings = Findings()
    with watch("plan", len(groups), show=progress, unit="groups", patience=PATIENCE) as watcher:
        for group in groups:
            mine = [
                (_name_of(position, part), output)
                for position, outputs in enumerate(parts)
                for part, output in enumerate(outputs)
                if output.group is group
            ]
            called = {name: paths[int(name.partition(".")[0])] for name, _ in mine}
            staged = stages(_record(group, mine), group.blueprint, called, findings)
            programs.append(staged)
            branches = _branches(staged)
            first = sum(len(work.partitions) for work in works)
            partitions = partitions_of(
                group.catalog, group.names, options.partition_size, first, branches
            )
            works.append(Work(staged["released"], limit.first_of(group, partitions)))
            watcher.done(group.entries)
    prefix = name or (groups[0].name if len(groups) == 1 else "lazyana")
    job = Job(
        prefix.replace("/", "_"), tuple(works), options.merge_fan_in, reading or ReadOptions()
    )
    return Plan(nesting, parts, groups, tuple(programs), job)


def compute(
    outputs: Any,
    *,
    executor: Any = None,
    workers: int | None = None,
    progress: bool | None = None,
    partition_size: int | str | None = None,
    merge_fan_in: int = RunOptions.merge_fan_in,
    limit_partitions: int | None = None,
    on_error: ErrorPolicy | None = None,
    reading: ReadOptions | None = None,
    performance_report: str | Path | None = None,
    name: str | None = None,
) -> Result:
    """Compute outputs, all in one pass over the events.

    Parameters
    ----------
    outputs
        Outputs of one or more frames, in any nesting of dictionaries, lists and tuples.
    executor
        ``"sync"``, ``"threads"``, ``"processes"``, ``"distributed"``, a `distributed.Client`, the
        address of a scheduler, or None: the active client, else threads.
    workers
        Number of threads or processes (default: one a core).
    progress
        Whether to show a progress bar (default: on a terminal).
    partition_size
        Largest number of events in a partition, or the size of the columns read of it, such as
        ``"200 MB"`` (uncompressed); default: up to 1 000 000 events and 128 MB, less where there
        are few events in all (see `lazyana.options.PartitionSize`).
    merge_fan_in
        How many partial results are merged at a time.
    limit_partitions
        Process no more than the first partitions of each dataset, this many; default: all.
    on_error
        What a file that cannot be read does: ``"raise"`` stops the run (default), ``"skip"``
        leaves its events out and says so in the run report.
    reading
        How files are read; default: `ReadOptions()`.
    performance_report
        File for dask's performance report (HTML); needs dask.distributed.
    name
        Prefix of the task names on the dashboard (default: the name of the first dataset).

    Returns
    -------
    Result
        The values in the nesting of `outputs`, with a run report and provenance.

    Raises
    ------
    InputError, InputTypeError, ExecutorError, OutputExistsError
        Before anything runs.
    FileError, RunError
        While events are processed.
    """
    options = RunOptions(partition_size, merge_fan_in, limit_partitions)
    how = _reading(on_error, reading)
    chosen = find_executor(executor, workers=workers, performance_report=performance_report)
    plan = make_plan(outputs, name=name, options=options, reading=how, progress=progress)
    _prepare(plan)
    start = time.perf_counter()
    with watch(plan.job.name, plan.job.partitions, show=progress) as watcher:
        partial = chosen.run(plan.job, watcher)
    seconds = time.perf_counter() - start
    report = _report(plan, partial, seconds, chosen.description)
    settings = {**asdict(options), "on_error": how.on_error, "executor": chosen.description}
    provenance = _provenance(plan, settings, partial.problems)
    states = _by_output(partial)
    del partial  # so that states can go once their output is made of them
    values = [
        _stamped(_Finisher(plan, position).taken(states), provenance)
        for position in range(len(plan.outputs))
    ]
    give_back()
    return Result(plan.nesting, values, report, provenance)


def graph_for_dask(graph: Any) -> dict[Any, Any]:
    """The graph of outputs that dask computes together: one job for all."""
    marked = [
        (key, item.output)
        for key, task in dict(graph).items()
        for item in _arguments(task)
        if isinstance(item, Marked)
    ]
    outputs = dict(marked)
    plan = make_plan(outputs)
    _prepare(plan)
    result: dict[Any, Any] = plan.job.graph()
    for position, key in enumerate(outputs):
        result[key] = (_Finisher(plan, position), plan.job.key)
    return result


Output.planner = staticmethod(graph_for_dask)


States = Mapping[tuple[str, str], Any]
"""States of one output by (dataset, shape variation)."""


class _Finisher:
    """Takes one output's value out of the result of a job."""

    def __init__(self, plan: Plan, position: int) -> None:
        self._parts = [
            (_name_of(position, part), output.sink, output.group.names)
            for part, output in enumerate(plan.outputs[position])
        ]

    def __call__(self, partial: Partial) -> Any:
        return self.taken(_by_output(partial))

    def taken(self, states: dict[str, States]) -> Any:
        """The output's value, given the states of all outputs, of which its own are removed."""
        return finish(
            [Filled(sink, states.pop(name, {}), names) for name, sink, names in self._parts]
        )


def _name_of(position: int, part: int) -> str:
    """Name of an output in the programs: another one in each group, for they may share datasets."""
    return f"{position}.{part}" if part else f"{position}"


def _record(group: Group, outputs: Sequence[tuple[str, Output]]) -> Program:
    # Varied columns are of their frame alone, so the variations of several frames may share a name.
    shifts: dict[str, dict[str, Any]] = {}
    for _, output in outputs:
        for label, pairs in output.shifts.items():
            shifts.setdefault(label, {}).update({pair[0].name: pair for pair in pairs})
    pairs_of = {label: list(pairs.values()) for label, pairs in shifts.items()}
    requests = [output.request(name) for name, output in outputs]
    return record(group.name, requests, pairs_of)


def _check_paths(parts: Sequence[Sequence[Output]], names: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for outputs, name in zip(parts, names, strict=True):
        given = getattr(outputs[0].sink, "path", None)
        if given is None:
            continue
        path = given if "://" in given else os.path.realpath(given)
        for other, its_name in seen.items():
            if path == other:
                msg = f"Outputs {its_name!r} and {name!r} both write to {path}: choose two places."
                raise InputError(msg)
            inner, outer = max(path, other, key=len), min(path, other, key=len)
            if inner.startswith(outer.rstrip("/") + "/"):
                msg = (
                    f"Outputs {its_name!r} and {name!r} write to {other} and {path}, one inside "
                    "the other: choose two places side by side."
                )
                raise InputError(msg)
        seen[path] = name


def _prepare(plan: Plan) -> None:
    sinks = [outputs[0].sink for outputs in plan.outputs]
    files = [sink for sink in sinks if isinstance(sink, Columns | Skims)]
    for sink in files:
        sink.check()
    for sink in files:
        sink.prepare()


def _by_output(partial: Partial) -> dict[str, States]:
    found: dict[str, dict[tuple[str, str], Any]] = {}
    for (output, dataset, label), state in partial.states.items():
        found.setdefault(output, {})[dataset, label] = state
    return dict(found)


def _stamped(value: Any, provenance: Provenance) -> Any:
    stamp = getattr(value, "stamp", None)
    # What is written says itself what is in it.
    return value if stamp is None else stamp(replace(provenance, files={}).to_json())


def _reading(on_error: ErrorPolicy | None, reading: Any) -> ReadOptions:
    """How files are read, where what to do about errors may be said in two places."""
    if reading is None:
        return ReadOptions() if on_error is None else ReadOptions(on_error=on_error)
    if not isinstance(reading, ReadOptions):
        msg = (
            f"reading={reading!r} is a {type(reading).__name__}: give a ReadOptions, e.g. "
            "lazyana.options.ReadOptions(retries=5)."
        )
        raise InputTypeError(msg)
    if on_error is None:
        return reading
    merged = replace(reading, on_error=on_error)
    if reading.on_error not in (on_error, ReadOptions.on_error):
        msg = (
            f"on_error={on_error!r} contradicts reading=ReadOptions(on_error="
            f"{reading.on_error!r}): say it in one place only."
        )
        raise InputError(msg)
    return merged


def _report(plan: Plan, partial: Partial, seconds: float, executor: str) -> RunReport:
    datasets: dict[str, DatasetReport] = {}
    sizes: dict[str, float] = {}
    shares = _shares_read(plan, partial.problems)
    for group, staged in zip(plan.groups, plan.stages, strict=True):
        branches = _branches(staged)
        for name in group.names:
            partitions, events = partial.tally.get(name, (0, 0))
            # A dataset that was opened twice is read twice.
            sizes.setdefault(name, 0)
            for file in group.catalog.files[name]:
                sizes[name] += bytes_of(file, branches) * shares.get((name, file.url), 0)
            datasets[name] = DatasetReport(partitions, events, round(sizes[name]))
    warnings = tuple(
        note if count == 1 else f"{note} ({count:,} times)"
        for note, count in sorted(partial.notes.items())
    )
    if left := left_out(plan.groups, plan.job.events):
        warnings = (*warnings, left)
    problems = (*_left_out(plan), *partial.problems)
    return RunReport(datasets, seconds, executor, plan.job.size, problems, warnings)


def _shares_read(plan: Plan, problems: Iterable[Problem]) -> dict[tuple[str, str], float]:
    """Share of the events of a file that was read, by (dataset, file)."""
    entries: Counter[tuple[str, str]] = Counter()
    for group in plan.groups:
        for name in group.names:
            for file in group.catalog.files[name]:
                entries[name, file.url] += file.entries
    read: Counter[tuple[str, str]] = Counter()
    for work in plan.job.works:
        for partition in work.partitions:
            for span in partition.spans:
                read[partition.dataset, span.url] += span.entries
    for problem in problems:
        read[problem.dataset, problem.file] -= problem.events
    return {place: count / entries[place] for place, count in read.items()}


def _branches(staged: Mapping[str, Program]) -> tuple[str, ...]:
    read = staged["released"].read
    return () if read is None else read.branches


def _left_out(plan: Plan) -> list[Problem]:
    """The files that inspection could not read, which are in no partition."""
    found = {
        (name, file.url): Problem(name, file.url, 0, 0, file.error)
        for group in plan.groups
        for name in group.names
        for file in group.catalog.unreadable.get(name, ())
    }
    return list(found.values())


def _provenance(plan: Plan, options: Mapping[str, Any], problems: Iterable[Problem]) -> Provenance:
    programs: dict[str, str] = {}
    for group, staged in zip(plan.groups, plan.stages, strict=True):
        same = sum(name.partition(" #")[0] == group.name for name in programs)
        name = f"{group.name} #{same + 1}" if same else group.name
        programs[name] = program_fingerprint(staged["pruned"])
    files: dict[str, dict[Any, None]] = {}
    read: dict[str, dict[Any, None]] = {}
    shares = _shares_read(plan, problems)
    for group in plan.groups:
        for name in group.names:
            for file in group.catalog.files[name]:
                files.setdefault(name, {})[file.url, file.uuid, file.entries] = None
                entries = round(shares.get((name, file.url), 0) * file.entries)
                if entries or not file.entries:
                    read.setdefault(name, {})[file.url, file.uuid, entries] = None
    return Provenance.collect(
        options=options,
        programs=programs,
        fileset=content_hash({name: list(found) for name, found in files.items()}),
        files={name: [list(file) for file in found] for name, found in read.items()},
    )


def _arguments(task: Any) -> Sequence[Any]:
    if isinstance(task, tuple):
        return task
    return tuple(getattr(arg, "value", arg) for arg in getattr(task, "args", ()))


def explain(
    outputs: Any,
    stage: str | None = None,
    *,
    partition_size: int | str | None = None,
) -> Explanation:
    """Say what computing outputs would do, without doing it.

    Parameters
    ----------
    outputs
        As for `compute`.
    stage
        List the steps of the program at this stage: ``"recorded"``, ``"shared"``, ``"pruned"``,
        ``"varied"``, ``"fused"`` or ``"released"``. None: no list.
    partition_size
        As for `compute`.

    Returns
    -------
    Explanation
        Text when printed: groups, branches read and their size, partitions, requests, memory,
        steps after each pass, what each variation computes again. ``.graph()`` and
        ``.save("program.svg")`` draw it.

    Raises
    ------
    InputError
        An unknown stage.
    """
    if stage is not None:
        check_stage(stage)
    plan = make_plan(outputs, options=RunOptions(partition_size), progress=None)
    kinds = tuple(outputs[0].sink.kind for outputs in plan.outputs)
    groups = tuple(map(_explained, plan.groups, plan.stages, plan.job.works))
    names = zip(plan.nesting.paths(), kinds, strict=True)
    return Explanation(groups, tuple(names), plan.job.size, stage)


def _explained(group: Group, staged: Mapping[str, Program], work: Work) -> GroupPlan:
    files = [file for name in group.names for file in group.catalog.files[name]]
    reads = reads_of(files, work.partitions, _branches(staged))
    an_event = peak_memory(staged["released"], staged["pruned"], group.blueprint, reads.held)
    return GroupPlan(
        group.name,
        "simulation" if group.is_mc else "data",
        group.names,
        len(work.partitions),
        group.entries,
        _branch_bytes(files),
        staged,
        reads,
        round(an_event * reads.largest),
    )


def _branch_bytes(files: Iterable[FileInfo]) -> dict[str, int]:
    total: dict[str, int] = {}
    for file in files:
        for branch, size in file.branch_bytes.items():
            total[branch] = total.get(branch, 0) + size
    return total
