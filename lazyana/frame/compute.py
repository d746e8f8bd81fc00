"""Computing: from booked outputs to one job and its result."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lazyana.data.partitions import partitions_of
from lazyana.engine.executors import find_executor
from lazyana.engine.job import Job, Partial, Work
from lazyana.engine.nesting import Nesting, split
from lazyana.engine.progress import watch
from lazyana.engine.provenance import Provenance, content_hash
from lazyana.engine.result import DatasetReport, Result, RunReport
from lazyana.errors import InputError
from lazyana.frame.booking import Marked, Merged, Output
from lazyana.frame.group import Group
from lazyana.options import RunOptions
from lazyana.plan.build import check_stage, record, stages
from lazyana.plan.explain import Explanation, GroupPlan
from lazyana.plan.fingerprint import program_fingerprint
from lazyana.plan.program import Program
from lazyana.sinks.columns import Columns
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


def make_plan(outputs: Any, *, name: str | None = None, options: RunOptions | None = None) -> Plan:
    """Plan outputs: one program for each group of datasets, one job for all.

    Parameters
    ----------
    outputs
        Outputs in any nesting of dictionaries, lists and tuples.
    name
        Prefix of the task names; default: the name of the group, if there is one.
    options
        How the job is cut into tasks.

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
    for group in groups:
        mine = [
            (f"{position}", output)
            for position, outputs in enumerate(parts)
            for output in outputs
            if output.group is group
        ]
        staged = stages(_record(group, mine), group.blueprint)
        programs.append(staged)
        read = staged["released"].read
        branches = () if read is None else read.branches
        first = sum(len(work.partitions) for work in works)
        partitions = partitions_of(
            group.catalog, group.names, options.partition_size, first, branches
        )
        works.append(Work(staged["released"], partitions))
    prefix = name or (groups[0].name if len(groups) == 1 else "lazyana")
    job = Job(prefix.replace("/", "_"), tuple(works), options.merge_fan_in)
    return Plan(nesting, parts, groups, tuple(programs), job)


def compute(
    outputs: Any,
    *,
    executor: Any = None,
    workers: int | None = None,
    progress: bool | None = None,
    partition_size: int = RunOptions.partition_size,
    merge_fan_in: int = RunOptions.merge_fan_in,
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
        Largest number of events in a partition.
    merge_fan_in
        How many partial results are merged at a time.
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
    options = RunOptions(partition_size, merge_fan_in)
    chosen = find_executor(executor, workers=workers, performance_report=performance_report)
    plan = make_plan(outputs, name=name, options=options)
    _prepare(plan)
    start = time.perf_counter()
    with watch(plan.job.name, plan.job.partitions, show=progress) as watcher:
        partial = chosen.run(plan.job, watcher)
    seconds = time.perf_counter() - start
    report = _report(plan, partial, seconds, chosen.description)
    provenance = _provenance(plan, {**asdict(options), "executor": chosen.description})
    values = [_stamped(value, provenance) for value in _values(plan, partial)]
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
        self._parts = [(output.sink, output.group.names) for output in plan.outputs[position]]
        self._output = str(position)

    def __call__(self, partial: Partial) -> Any:
        return self.value(_by_output(partial).get(self._output, {}))

    def value(self, states: States) -> Any:
        """The output's value, given its states."""
        return finish(
            [
                Filled(sink, {key: s for key, s in states.items() if key[0] in names}, names)
                for sink, names in self._parts
            ]
        )


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
    columns = [sink for sink in sinks if isinstance(sink, Columns)]
    for sink in columns:
        sink.check()
    for sink in columns:
        sink.prepare()


def _values(plan: Plan, partial: Partial) -> list[Any]:
    states = _by_output(partial)
    return [
        _Finisher(plan, position).value(states.get(str(position), {}))
        for position in range(len(plan.outputs))
    ]


def _by_output(partial: Partial) -> dict[str, States]:
    found: dict[str, dict[tuple[str, str], Any]] = {}
    for (output, dataset, label), state in partial.states.items():
        found.setdefault(output, {})[dataset, label] = state
    return dict(found)


def _stamped(value: Any, provenance: Provenance) -> Any:
    stamp = getattr(value, "stamp", None)
    return value if stamp is None else stamp(provenance.to_json())


def _report(plan: Plan, partial: Partial, seconds: float, executor: str) -> RunReport:
    datasets: dict[str, DatasetReport] = {}
    sizes: dict[str, int] = {}
    for group, staged in zip(plan.groups, plan.stages, strict=True):
        read = staged["released"].read
        branches = () if read is None else read.branches
        for name in group.names:
            partitions, events = partial.tally.get(name, (0, 0))
            size = sum(
                file.branch_bytes.get(branch, 0)
                for file in group.catalog.files[name]
                for branch in branches
            )
            # A dataset that was opened twice is read twice.
            size += sizes.get(name, 0)
            sizes[name] = size
            datasets[name] = DatasetReport(partitions, events, size)
    warnings = tuple(f"{note} ({count} times)" for note, count in sorted(partial.notes.items()))
    tasks = plan.job.size
    return RunReport(datasets, seconds, executor, tasks, (), warnings)


def _provenance(plan: Plan, options: Mapping[str, Any]) -> Provenance:
    programs: dict[str, str] = {}
    for group, staged in zip(plan.groups, plan.stages, strict=True):
        same = sum(name.partition(" #")[0] == group.name for name in programs)
        name = f"{group.name} #{same + 1}" if same else group.name
        programs[name] = program_fingerprint(staged["released"])
    files = {
        name: [(file.url, file.uuid, file.entries) for file in group.catalog.files[name]]
        for group in plan.groups
        for name in group.names
    }
    return Provenance.collect(options=options, programs=programs, fileset=content_hash(files))


def _arguments(task: Any) -> Sequence[Any]:
    if isinstance(task, tuple):
        return task
    return tuple(getattr(arg, "value", arg) for arg in getattr(task, "args", ()))


def explain(
    outputs: Any,
    stage: str | None = None,
    *,
    partition_size: int = RunOptions.partition_size,
) -> Explanation:
    """Say what computing outputs would do, without doing it.

    Parameters
    ----------
    outputs
        As for `compute`.
    stage
        List the steps of the program at this stage: ``"recorded"``, ``"shared"``, ``"pruned"``,
        ``"varied"`` or ``"released"``. None: no list.
    partition_size
        As for `compute`.

    Returns
    -------
    Explanation
        Text when printed: groups, branches read and their size, partitions, steps after each
        pass, what each variation computes again. ``.graph()`` and ``.save("program.svg")`` draw it.

    Raises
    ------
    InputError
        An unknown stage.
    """
    if stage is not None:
        check_stage(stage)
    plan = make_plan(outputs, options=RunOptions(partition_size))
    kinds = tuple(outputs[0].sink.kind for outputs in plan.outputs)
    groups = tuple(
        GroupPlan(
            group.name,
            "simulation" if group.is_mc else "data",
            group.names,
            len(work.partitions),
            group.entries,
            _branch_bytes(group),
            staged,
        )
        for group, staged, work in zip(plan.groups, plan.stages, plan.job.works, strict=True)
    )
    names = zip(plan.nesting.paths(), kinds, strict=True)
    return Explanation(groups, tuple(names), plan.job.size, stage)


def _branch_bytes(group: Group) -> dict[str, int]:
    total: dict[str, int] = {}
    for name in group.names:
        for file in group.catalog.files[name]:
            for branch, size in file.branch_bytes.items():
                total[branch] = total.get(branch, 0) + size
    return total
