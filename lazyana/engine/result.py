"""What came back: values in the nesting they were asked for in, run report, provenance."""

from __future__ import annotations

import os
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from lazyana.engine import rootfile, storage
from lazyana.engine.codecs import kind_of
from lazyana.engine.nesting import Nesting
from lazyana.engine.provenance import Provenance
from lazyana.errors import InputError, InputTypeError, OutputError, did_you_mean
from lazyana.options import bytes_text


@dataclass(frozen=True)
class DatasetReport:
    """What was read of one dataset.

    Attributes
    ----------
    partitions
        Number of partitions.
    events_read
        Number of events read.
    bytes_read
        Compressed bytes read, None where that is not known.
    """

    partitions: int
    events_read: int
    bytes_read: int | None = None


@dataclass(frozen=True)
class Problem:
    """Events that are not in the result, and why.

    Attributes
    ----------
    dataset
        Name of the dataset.
    file
        URL of the file.
    start, stop
        Entry range in the file.
    error
        Type and text of the error.
    """

    dataset: str
    file: str
    start: int
    stop: int
    error: str

    @property
    def events(self) -> int:
        """Number of events lost."""
        return self.stop - self.start


@dataclass(frozen=True)
class RunReport:
    """How a run went.

    Attributes
    ----------
    datasets
        What was read of each dataset.
    wall_time
        Duration in s.
    executor
        Description of the executor, e.g. ``"distributed, 8 workers"``.
    tasks
        Number of tasks in the graph.
    problems
        What could not be read and is missing from the result, in the order of the partitions.
    warnings
        What else should be known, e.g. how many weights were NaN.
    """

    datasets: Mapping[str, DatasetReport] = field(default_factory=dict)
    wall_time: float = 0.0
    executor: str = ""
    tasks: int = 0
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all events are in the result."""
        return not self.problems

    @property
    def events_lost(self) -> int:
        """Number of events that are missing from the result."""
        return sum(problem.events for problem in self.problems)

    @property
    def partitions(self) -> int:
        """Number of partitions of all datasets."""
        return sum(item.partitions for item in self.datasets.values())

    @property
    def events_read(self) -> int:
        """Number of events read of all datasets."""
        return sum(item.events_read for item in self.datasets.values())

    def text(self) -> str:
        """Readable lines, for a terminal or a log."""
        failed = f"INCOMPLETE, {_lost(self.problems)} lost"
        run = f"{self.partitions:,} partitions, {self.tasks:,} tasks"
        lines = [
            f"{'complete' if self.complete else failed}: {self.events_read:,} events in "
            f"{self.wall_time:.1f} s ({', '.join(filter(None, (run, self.executor)))})"
        ]
        width = max(map(len, self.datasets), default=0)
        for name, item in self.datasets.items():
            read = "" if item.bytes_read is None else f", {bytes_text(item.bytes_read)} read"
            events = f"{item.events_read:>13,} events, {item.partitions:,} partitions"
            lines.append(f"  {name:<{width}}  {events}{read}")
        lines += [f"  left out: {line}" for line in _by_file(self.problems)]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """All fields in JSON terms, and ``complete``."""
        return {"complete": self.complete, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunReport:
        """The inverse of `to_json`; fields that this version does not know are ignored."""
        return cls(
            datasets={name: _known(DatasetReport, item) for name, item in data["datasets"].items()},
            wall_time=data["wall_time"],
            executor=data["executor"],
            tasks=data["tasks"],
            problems=tuple(_known(Problem, item) for item in data["problems"]),
            warnings=tuple(data["warnings"]),
        )


def _by_file(problems: Sequence[Problem]) -> Iterator[str]:
    """One line for each file: the partitions of a file mostly fail for one reason."""
    places: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        places.setdefault((problem.dataset, problem.file), []).append(problem)
    for (dataset, file), found in places.items():
        ranges: list[list[int]] = []
        for problem in found:
            if ranges and ranges[-1][1] == problem.start:
                ranges[-1][1] = problem.stop
            else:
                ranges.append([problem.start, problem.stop])
        entries = "".join(f"[{start}:{stop}]" for start, stop in ranges)
        events = sum(problem.events for problem in found)
        # Of a file that could not be inspected nothing is known.
        what = f"{entries}, {events:,} events" if events else "(unknown events)"
        yield f"{dataset} {file} {what}: {found[0].error}"


def _lost(problems: Sequence[Problem]) -> str:
    """How many events are missing, as far as that is known."""
    files = len({(problem.dataset, problem.file) for problem in problems})
    events = sum(problem.events for problem in problems)
    unknown = any(not problem.events for problem in problems)
    number = f"{events:,}"
    if unknown:
        number = f"more than {number}" if events else "an unknown number of"
    return f"{number} events of {files:,} file{'s' * (files != 1)}"


Known = TypeVar("Known", DatasetReport, Problem)


def _known(cls: type[Known], data: Mapping[str, Any]) -> Known:
    names = {item.name for item in fields(cls)}
    return cls(**{name: value for name, value in data.items() if name in names})


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Values of booked outputs in the nesting in which they were asked for.

    Where the outermost container was a dict, a result is used like one (``result["mll"]``,
    ``result.keys()``); where it was a list or tuple, like that (``result[0]``). A container inside
    is again a Result with the same report and provenance: ``result["regions"]["SR"][0]``, or in one
    step ``result["regions/SR/0"]``. The value of a single output is ``result.value``.

    Attributes
    ----------
    nesting
        Shape of the result.
    outputs
        Values of the outputs, in the order of `nesting`, from position `start` on.
    report
        How the run went.
    provenance
        Where the result comes from.
    start
        Position of the first output of this result in `outputs`.
    """

    nesting: Nesting
    outputs: Sequence[Any]
    report: RunReport
    provenance: Provenance
    start: int = 0

    def __post_init__(self) -> None:
        """Refuse values that do not fit the nesting."""
        if len(self.outputs) < self.start + self.nesting.size:
            needed = self.start + self.nesting.size
            msg = f"There are {len(self.outputs)} values for a nesting of {needed} outputs."
            raise InputError(msg)

    @property
    def value(self) -> Any:
        """The value of a single output, else plain dicts, lists and tuples of all values."""
        return self.nesting.join(self.outputs[self.start + i] for i in range(self.nesting.size))

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Path-like name of every output, e.g. ``"regions/SR/0"``."""
        return tuple(self.nesting.paths())

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {path: self.start + i for i, path in enumerate(self.paths)}

    def flat(self) -> dict[str, Any]:
        """Values by path-like name."""
        return {path: self.outputs[position] for path, position in self._positions.items()}

    def kind(self, path: str) -> str:
        """Kind of an output (hist, cutflow, columns, ...), without reading it from a file.

        Raises
        ------
        OutputError
            Where there is no such output.
        """
        if path not in self._positions:
            raise _missing(path, self.paths)
        position = self._positions[path]
        if isinstance(self.outputs, storage.StoredOutputs):
            return self.outputs.kind(position)
        return kind_of(self.outputs[position])

    def __getitem__(self, key: str | int) -> Any:
        """Value of an output, or the Result of what is nested under `key`.

        Raises
        ------
        OutputError
            Where there is no such output.
        """
        keys = self.nesting.keys
        if self.nesting.kind == "output":
            msg = "This result is a single output: its value is result.value."
            raise InputTypeError(msg)
        if self.nesting.kind != "dict" and isinstance(key, int) and -len(keys) <= key < len(keys):
            key = range(len(keys))[key]
        if key in keys:
            return self._child(keys.index(key))
        if isinstance(key, str) and "/" in key:
            return self._at_path(key)
        raise _missing(key, keys)

    def __iter__(self) -> Iterator[Any]:
        """Keys of a dict, values of a list or tuple."""
        if self.nesting.kind == "dict":
            return iter(self.nesting.keys)
        if self.nesting.kind == "output":
            msg = "This result is a single output and cannot be iterated over: use result.value."
            raise InputTypeError(msg)
        return (self._child(i) for i in range(len(self)))

    def __len__(self) -> int:
        """Number of keys or items in the outermost container; 1 for a single output."""
        return 1 if self.nesting.kind == "output" else len(self.nesting.keys)

    def __contains__(self, key: object) -> bool:
        """Whether there is such a key (dict) or position (list, tuple)."""
        return key in self.nesting.keys

    def keys(self) -> KeysView[str | int]:
        """Keys of the outermost dict."""
        return KeysView(self._mapping("keys"))

    def values(self) -> ValuesView[Any]:
        """Values of the outermost dict."""
        return ValuesView(self._mapping("values"))

    def items(self) -> ItemsView[str | int, Any]:
        """Keys and values of the outermost dict."""
        return ItemsView(self._mapping("items"))

    def get(self, key: str | int, default: Any = None) -> Any:
        """Value under `key`, or `default` where there is none."""
        return self[key] if key in self._mapping("get") else default

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Save everything in one file, which appears complete or not at all.

        Parameters
        ----------
        path
            File to write, ``.lazyana`` by convention. Missing directories are made.
        overwrite
            Replace an existing file.

        Returns
        -------
        Path
            Absolute path of the file.

        Raises
        ------
        OutputExistsError
            Where the file exists and `overwrite` is not set.
        FileError
            Where the file cannot be written.
        InputTypeError
            For a value that the format has no place for.
        """
        parts = {"report": self.report.to_json(), "provenance": self.provenance.to_json()}
        values = list(self.flat().values())
        return storage.write(path, self.nesting, values, parts, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Result:
        """Open a saved result. Each output is read when it is first asked for.

        Raises
        ------
        FileError
            For a file that is missing, damaged, not a result file, or of a newer format version.
        """
        nesting, outputs, header = storage.read(path)
        with storage.reading(outputs.file, storage.HEADER):
            report = RunReport.from_json(header["report"])
            provenance = Provenance.from_json(header["provenance"])
        return cls(nesting, outputs, report, provenance)

    def to_root(
        self,
        path: str | os.PathLike[str],
        overwrite: bool = False,
        *,
        key: str | Callable[..., str] = rootfile.DEFAULT_KEY,
        outputs: Sequence[str] | None = None,
    ) -> Path:
        """Write the histograms to a ROOT file, one object per dataset, category and variation.

        They become TH1D, TH2D or TH3D, with under- and overflow and sums of squared weights.

        Parameters
        ----------
        path
            File to write. It appears complete or not at all.
        overwrite
            Replace an existing file.
        key
            Where each object goes: a format string with the fields output, dataset, category,
            variation, or a function with these keyword arguments, e.g.
            ``"{output}/{category}/{dataset}_{variation}"`` for combine.
        outputs
            Paths of the histograms to write; by default all outputs that are histograms.

        Returns
        -------
        Path
            Absolute path of the file.

        Raises
        ------
        InputError
            For an output that is no histogram, or one that ROOT has no class for.
        OutputError
            For an output that does not exist.
        OutputExistsError
            Where the file exists and `overwrite` is not set.
        """
        chosen = [path for path in self.paths if self.kind(path) == "hist"]
        if outputs is not None:
            for name in outputs:
                if self.kind(name) != "hist":
                    msg = f"Output {name!r} is of kind {self.kind(name)!r}, not a histogram."
                    raise InputError(msg)
            chosen = list(outputs)
        if not chosen:
            msg = "This result has no histograms to write to a ROOT file."
            raise InputError(msg)
        histograms = {name: self.outputs[self._positions[name]] for name in chosen}
        return rootfile.write_root(path, histograms, key=key, overwrite=overwrite)

    def __repr__(self) -> str:
        """Outputs with their kinds; nothing is read."""
        state = "complete" if self.report.complete else "INCOMPLETE"
        lines = [f"Result: {self.nesting.size} outputs, {state}"]
        lines += [f"  {path or '.value'}: {self.kind(path)}" for path in self.paths]
        return "\n".join(lines)

    def _ipython_key_completions_(self) -> list[str | int]:
        return list(self.nesting.keys)

    def _child(self, number: int) -> Any:
        child, start = self.nesting.children[number], self.start + self.nesting.starts[number]
        if child.kind == "output":
            return self.outputs[start]
        return Result(child, self.outputs, self.report, self.provenance, start)

    def _at_path(self, path: str) -> Any:
        if path in self._positions:
            return self.outputs[self._positions[path]]
        raise _missing(path, self.paths)

    def _mapping(self, method: str) -> Mapping[str | int, Any]:
        if self.nesting.kind != "dict":
            msg = f"This result is a {self.nesting.kind}, not a dict: it has no {method}()."
            raise InputTypeError(msg)
        return cast("Mapping[str | int, Any]", self)


def _missing(key: Any, choices: Sequence[Any]) -> OutputError:
    names = [str(choice) for choice in choices]
    shown = ", ".join(map(repr, choices[:20])) + (", ..." if len(choices) > 20 else "")
    msg = f"No output {key!r} in this result.{did_you_mean(str(key), names)} There are: {shown}."
    return OutputError(msg)
