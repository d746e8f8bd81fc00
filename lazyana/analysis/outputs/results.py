"""Results as one: output by output, with no more than two of each in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lazyana.analysis.outputs.accumulators import added
from lazyana.analysis.outputs.origin import Origin
from lazyana.engine import storage
from lazyana.engine.nesting import split
from lazyana.engine.provenance import Provenance, content_hash
from lazyana.engine.result import DatasetReport, Result, RunReport
from lazyana.errors import InputError
from lazyana.sinks.cutflow import unite_cutflows
from lazyana.sinks.tables import ColumnTable
from lazyana.sinks.unite import unite_histograms


@dataclass
class _Leaf:
    """An output, and where it is in the results to merge."""

    kind: str
    sources: list[tuple[storage.StoredOutputs, int]]

    def value(self, path: str) -> Any:
        """Its value, put together from one source after the other."""
        found: Any = None
        for number, (outputs, position) in enumerate(self.sources):
            one = outputs.read_anew(position)
            if not number:
                found = one
                continue
            try:
                found = _UNITE[self.kind](found, one)
            except InputError as error:
                msg = f"Output {path!r}: {error}"
                raise InputError(msg) from error
        return found


def _tables(one: ColumnTable, other: ColumnTable) -> ColumnTable:
    return ColumnTable(added(dict(one.arrays), other.arrays))


_UNITE: Mapping[str, Callable[[Any, Any], Any]] = {
    "hist": lambda one, other: unite_histograms([one, other]),
    "cutflow": lambda one, other: unite_cutflows([one, other]),
    "table": _tables,
    "values": added,
}


def merge_results(
    paths: Sequence[Path], target: Path, origin: Origin, *, overwrite: bool
) -> list[str]:
    """Merge ``.lazyana`` results; see `lazyana.analysis.outputs.merging.merge_outputs`.

    Parameters
    ----------
    paths
        The results.
    target
        The file to write.
    origin
        Notes what they are of.
    overwrite
        Whether `target` may be replaced.

    Returns
    -------
    list of str
        What was left out.
    """
    results = [Result.load(path) for path in paths]
    tree: Any = None
    for path, result in zip(paths, results, strict=True):
        origin.add(path, result.report.datasets, result.provenance.files)
        origin.made_by(result.provenance.analysis, path, complete=result.report.complete)
        outputs: Any = result.outputs
        leaves = (_Leaf(outputs.kind(i), [(outputs, i)]) for i in range(len(outputs)))
        tree = _grafted(tree, result.nesting.join(leaves), ())
    notices: list[str] = []
    nesting, found = split(_mergeable(tree, (), notices), lambda node: isinstance(node, _Leaf))
    paths_of = list(nesting.paths())
    values = (leaf.value(path) for leaf, path in zip(found, paths_of, strict=True))
    parts = {
        "report": _report([result.report for result in results]).to_json(),
        "provenance": _provenance(paths, results, origin).to_json(),
    }
    kinds = [leaf.kind for leaf in found]
    storage.write(target, nesting, values, parts, kinds=kinds, overwrite=overwrite)
    return notices


def _grafted(one: Any, other: Any, place: tuple[str, ...]) -> Any:
    """Two nestings as one."""
    if one is None:
        return other
    if isinstance(one, dict) and isinstance(other, dict):
        for key, node in other.items():
            one[key] = _grafted(one.get(key), node, (*place, str(key)))
        return one
    same = type(one) is type(other)
    if isinstance(one, list | tuple) and same and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return type(one)([_grafted(a, b, (*place, str(i))) for i, (a, b) in pairs])
    if isinstance(one, _Leaf) and isinstance(other, _Leaf) and one.kind == other.kind:
        one.sources += other.sources
        return one
    kinds = [node.kind if isinstance(node, _Leaf) else type(node).__name__ for node in (one, other)]
    msg = f"Output {'/'.join(place)!r} is a {kinds[0]} in one result and a {kinds[1]} in another."
    raise InputError(msg)


def _mergeable(node: Any, place: tuple[str, ...], notices: list[str]) -> Any:
    """A nesting without what is in files of several results, which stay where they are."""
    if isinstance(node, dict):
        kept = {key: _mergeable(one, (*place, str(key)), notices) for key, one in node.items()}
        return {key: one for key, one in kept.items() if one is not None}
    if isinstance(node, _Leaf) and len(node.sources) > 1 and node.kind not in _UNITE:
        path = "/".join(place)
        notices.append(f"left out, whose files stay where they are: {path} ({node.kind})")
        return None
    return node


def _report(reports: Sequence[RunReport]) -> RunReport:
    datasets: dict[str, DatasetReport] = {}
    for report in reports:
        for name, one in report.datasets.items():
            known = datasets.get(name, DatasetReport(0, 0, 0))
            sizes = known.bytes_read, one.bytes_read
            datasets[name] = DatasetReport(
                known.partitions + one.partitions,
                known.events_read + one.events_read,
                None if None in sizes else sum(filter(None, sizes)),
            )
    return RunReport(
        datasets,
        sum(report.wall_time for report in reports),
        ", ".join(dict.fromkeys(report.executor for report in reports)),
        sum(report.tasks for report in reports),
        tuple(problem for report in reports for problem in report.problems),
        tuple(dict.fromkeys(warning for report in reports for warning in report.warnings)),
    )


def _provenance(paths: Sequence[Path], results: Sequence[Result], origin: Origin) -> Provenance:
    programs = {
        f"{path.name}: {group}": program
        for path, result in zip(paths, results, strict=True)
        for group, program in result.provenance.programs.items()
    }
    made = Provenance.collect(
        options={"merged": [str(path) for path in paths]},
        programs=programs,
        fileset=content_hash(origin.files),
        files=origin.files,
    )
    return replace(made, analysis=origin.analysis)
