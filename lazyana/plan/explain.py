"""Explaining programs: what is read, what runs, and what each variation does again."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyana.errors import InputError
from lazyana.options import bytes_text
from lazyana.plan.passes import live_values
from lazyana.plan.program import PLACE, SOURCE, Program, Step
from lazyana.plan.reads import Reads

_RECORDED, _LAST = "recorded", "released"


@dataclass(frozen=True, eq=False)
class GroupPlan:
    """The program of a group of datasets and what it runs over.

    Attributes
    ----------
    name
        Name of the group.
    kind
        ``"simulation"`` or ``"data"``.
    datasets
        Names of the datasets.
    partitions, events
        How many there are.
    branch_bytes
        Compressed size of each branch over all files, in bytes.
    stages
        The program after each pass.
    reads
        What the tasks read.
    peak
        Bytes that the largest partition takes while it runs, estimated, if no event is cut away.
    """

    name: str
    kind: str
    datasets: tuple[str, ...]
    partitions: int
    events: int
    branch_bytes: Mapping[str, int]
    stages: Mapping[str, Program]
    reads: Reads
    peak: int

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches read, sorted."""
        read = self.stages[_LAST].read
        return () if read is None else read.branches

    @property
    def lacking(self) -> tuple[str, ...]:
        """Those of them that read as None in files that lack them, sorted."""
        read = self.stages[_LAST].read
        found = {name for _, names in (read.lacking if read else ()) for name in names}
        return tuple(sorted(found.intersection(self.branches)))

    @property
    def bytes_read(self) -> int:
        """Compressed bytes of the branches read."""
        return sum(self.branch_bytes.get(branch, 0) for branch in self.branches)

    @property
    def recomputed(self) -> dict[str, tuple[str, ...]]:
        """For each shape variation, the titles of the steps that run again because of it."""
        found: dict[str, list[str]] = {}
        for step in self.stages[_LAST].steps:
            title, _, variation = step.title.partition("@")
            if variation:
                found.setdefault(variation, []).append(title)
        return {variation: tuple(titles) for variation, titles in found.items()}


@dataclass(frozen=True, eq=False)
class Explanation:
    """What computing some outputs means; print it to read it.

    Attributes
    ----------
    groups
        The groups of datasets.
    outputs
        Names and kinds of the outputs.
    tasks
        Number of tasks in the dask graph.
    stage
        The stage whose steps are listed; None for the summary only.
    """

    groups: tuple[GroupPlan, ...]
    outputs: tuple[tuple[str, str], ...]
    tasks: int
    stage: str | None = None

    def __str__(self) -> str:
        """The text."""
        return self.text()

    def __repr__(self) -> str:
        """The text, so that a notebook shows it."""
        return self.text()

    def text(self) -> str:
        """Groups, branches, partitions, steps after each pass, and variations, as text."""
        partitions = sum(group.partitions for group in self.groups)
        events = sum(group.events for group in self.groups)
        lines = [
            f"{_count(len(self.outputs), 'output')} of {_count(len(self.groups), 'group')}: "
            f"{events:,} events in {_count(partitions, 'partition')}, "
            f"{_count(self.tasks, 'task')} in all",
            *(f"  {name or 'output'}: {kind}" for name, kind in self.outputs),
        ]
        for group in self.groups:
            lines += ["", *self._group(group)]
        return "\n".join(lines)

    def graph(self, group: int = 0) -> Any:
        """A picture of the program: steps as boxes, coloured by variation.

        Parameters
        ----------
        group
            Position of the group in `groups`.

        Returns
        -------
        graphviz.Digraph
            Shown by notebooks; see also `save`.
        """
        stage = self.stage or _LAST
        return _picture(self.groups[group].stages[stage])

    def save(self, path: str | Path, group: int = 0) -> Path:
        """Draw the program into a file: ``.svg``, ``.pdf``, ``.png``, or ``.dot`` for its source.

        Raises
        ------
        InputError
            Graphviz's program ``dot`` is not installed, and the file is not ``.dot``.
        """
        target = Path(path)
        picture = self.graph(group)
        if target.suffix in (".dot", ".gv"):
            target.write_text(picture.source)
            return target
        if shutil.which("dot") is None:
            msg = (
                f"{target.name} is drawn by graphviz's program dot, which is not installed: "
                "install graphviz (apt-get or conda install graphviz), or save a .dot file."
            )
            raise InputError(msg)
        target.write_bytes(picture.pipe(format=target.suffix.lstrip(".") or "svg"))
        return target

    def _group(self, group: GroupPlan) -> list[str]:
        total = sum(group.branch_bytes.values())
        share = f" ({group.bytes_read / total:.1%})" if total else ""
        more = f" and {len(group.datasets) - 6} more" if len(group.datasets) > 6 else ""
        names = ", ".join(group.datasets[:6]) + more
        counts = " → ".join(f"{name} {len(p.steps)}" for name, p in group.stages.items())
        lines = [
            f"group {group.name!r}, {group.kind}: {names}",
            f"  {group.events:,} events in {_formats(group.reads)}, "
            f"{_count(group.partitions, 'partition')}{_each(group)}",
            f"  reads {len(group.branches)} of {len(group.branch_bytes)} branches, "
            f"{bytes_text(group.bytes_read)} of {bytes_text(total)}{share}",
            *(
                f"    {name:<36} {bytes_text(group.branch_bytes.get(name, 0)):>10}"
                for name in group.branches
            ),
            *_reading(group),
            f"  steps: {counts}",
            f"  values held at a time: at most {live_values(group.stages[_LAST])}",
        ]
        nominal = len(group.stages["pruned"].steps)
        recomputed = group.recomputed
        wanted = dict.fromkeys(v for b in group.stages[_LAST].bookings for v in b.variations)
        if wanted:
            lines.append("  variations:")
        for variation in wanted:
            titles = recomputed.get(variation, ())
            what = f"{len(titles)} of {nominal} steps again{_kinds(titles)}"
            lines.append(f"    {variation}: {what}")
        if self.stage is not None:
            program = group.stages[self.stage]
            lines.append(f"  steps ({self.stage}):")
            lines += [f"    {line}" for line in listing(program)]
        return lines


def listing(program: Program) -> list[str]:
    """The steps of a program, numbered, with the numbers of the steps they take values from."""
    numbers = {step.key: i for i, step in enumerate(program.steps)}
    names = {SOURCE: "events", PLACE: "place"}
    releases = program.releases or ((),) * len(program.steps)
    lines = []
    for i, (step, done) in enumerate(zip(program.steps, releases, strict=True)):
        inputs = ", ".join(names.get(key) or f"{numbers[key]}" for key in step.refs)
        values = ", ".join(_plain(step))
        args = ", ".join(part for part in (inputs, values) if part)
        freed = [names.get(key) or str(numbers[key]) for key in done if key != step.key]
        note = f"   frees {', '.join(freed)}" if freed else ""
        lines.append(f"{i:>4}  {step.title}({args}){note}")
    return lines


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _formats(reads: Reads) -> str:
    if not reads.formats:
        return "no files with events"
    return " and ".join(
        f"{_count(number, f'{kind} file')}" for kind, number in sorted(reads.formats.items())
    )


def _each(group: GroupPlan) -> str:
    """The events of a partition."""
    least, median, most = group.reads.events
    if group.partitions < 2:
        return ""
    if least == most:
        return f" of {most:,} events"
    return f" of {least:,} to {most:,} events (median {median:,})"


def _reading(group: GroupPlan) -> list[str]:
    """How many requests there are, how much memory they need, and what is slow."""
    reads = group.reads
    if not reads.requests:
        return []
    lines = [
        f"  requests: {reads.requests:,}, one for each partition and file, of up to "
        f"{bytes_text(reads.request_bytes)} a partition",
        f"  memory: {bytes_text(reads.column_bytes)} of columns in the largest partition, about "
        f"{bytes_text(reads.reading_bytes)} to read, up to {bytes_text(group.peak)} to run",
    ]
    lacking = group.lacking
    if lacking:
        more = f" and {len(lacking) - 6} more" if len(lacking) > 6 else ""
        lines.append(f"  None where files lack them: {', '.join(lacking[:6])}{more}")
    if reads.by_uproot:
        names = [f"{name} ({_count(n, 'file')})" for name, n in reads.by_uproot.items()]
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        lines.append(f"  by uproot (slow): {', '.join(names[:6])}{more}: not in the basket index")
    return lines


def _kinds(titles: Sequence[str], most: int = 6) -> str:
    counts = Counter(titles).most_common()
    shown = [name if count == 1 else f"{count} {name}" for name, count in counts[:most]]
    more = ", …" if len(counts) > most else ""
    return f": {', '.join(shown)}{more}" if shown else ""


def _plain(step: Step) -> list[str]:
    """The plain values among a step's arguments, if they are short."""
    shown = (*step.args, *step.kwargs.values())
    return [repr(v) for v in shown if isinstance(v, str | int | float) and len(repr(v)) < 30]


def _picture(program: Program) -> Any:
    import graphviz

    picture = graphviz.Digraph(program.name, graph_attr={"rankdir": "TB"})
    picture.attr("node", shape="box", style="filled", fillcolor="white", fontname="Helvetica")
    colors = ["#d1e5f0", "#fddbc7", "#e6f5d0", "#fee0b6", "#d8daeb", "#fde0ef", "#c7eae5"]
    chosen: dict[str, str] = {}
    picture.node(SOURCE, "events", shape="ellipse")
    for step in program.steps:
        title, _, variation = step.title.partition("@")
        if variation and variation not in chosen:
            chosen[variation] = colors[len(chosen) % len(colors)]
        label = f"{title}\n{variation}" if variation else title
        fill = chosen.get(variation, "white")
        outlined = "2" if step.key in program.outputs else "1"
        picture.node(_node(step.key), label, fillcolor=fill, penwidth=outlined)
        for key in step.refs:
            if key != PLACE:
                picture.edge(_node(key), _node(step.key))
    return picture


def _node(key: str) -> str:
    return key.replace(":", "_")
