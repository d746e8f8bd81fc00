"""Validating: everything wrong with a configuration and its files, found without running it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lazyana.analysis.build import recorded
from lazyana.analysis.config import Analysis
from lazyana.analysis.cutlibrary import goldenJson
from lazyana.analysis.datasets import limited
from lazyana.analysis.filecheck import Files, checked_files, with_missing
from lazyana.analysis.load import load_config
from lazyana.analysis.mistakes import Mistake, Sections, each_told, mistakes, sections_of, told
from lazyana.analysis.run import Settings
from lazyana.data.catalog import Catalog
from lazyana.data.fileset import Fileset, FilesetLike
from lazyana.errors import LazyanaError
from lazyana.report.tables import Table

Level: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Attributes
    ----------
    level
        ``"error"``, or ``"warning"`` where an analysis runs all the same.
    about
        ``"configuration"`` or ``"files"``.
    where
        The place in the configuration, or the dataset; ``""`` where that is not known.
    message
        What is wrong, and what to do.
    files
        Which files it is about.
    """

    level: Level
    about: str
    where: str
    message: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Validation:
    """What was looked at, and what is wrong with it.

    Attributes
    ----------
    configuration
        The file of the configuration; None where there were files only.
    problems
        What is wrong.
    datasets
        For each dataset: ``kind``, numbers of ``files`` and of those ``unreadable`` and ``empty``,
        and of ``events``; empty where no file was opened.
    """

    configuration: str | None
    problems: tuple[Problem, ...]
    datasets: Mapping[str, Mapping[str, Any]]

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return all(problem.level != "error" for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "ok": self.ok,
            "configuration": self.configuration,
            "datasets": {name: dict(one) for name, one in self.datasets.items()},
            "problems": [{**asdict(one), "files": list(one.files)} for one in self.problems],
        }

    def text(self) -> str:
        """A table of the datasets, and what is wrong."""
        lines: list[str] = []
        if self.datasets:
            heads = ("dataset", *next(iter(self.datasets.values())))
            rows = tuple((name, *one.values()) for name, one in self.datasets.items())
            lines += [Table("", heads, rows).text(), ""]
        for level in ("error", "warning"):
            some = [problem for problem in self.problems if problem.level == level]
            if some:
                lines.append(f"{len(some)} {level}{'s' * (len(some) > 1)}:")
                lines += [f"- {problem.message}".replace("\n", "\n  ") for problem in some]
        return "\n".join(lines if self.problems else [*lines, "Nothing is wrong."])


def validate(
    cfg: str | Path,
    *,
    samples: Iterable[str] | None = None,
    year: Iterable[str] | None = None,
    datasets: Iterable[str] | None = None,
    files: bool = True,
    limit_files: int | None = None,
    **inspecting: Any,
) -> Validation:
    """Find what is wrong with a configuration and with the files it names.

    The configuration is made and recorded, all files are opened; no event is processed and nothing
    is written. One mistake does not hide the others: what is wrong is left out, and the rest is
    looked at again.

    Parameters
    ----------
    cfg
        The Python file of the configuration.
    samples, year, datasets
        Names or patterns to keep, instead of those of the configuration.
    files
        Whether to open the files. Without, columns that do not exist are not found.
    limit_files
        How many files of each dataset to open; None: all.
    **inspecting
        ``executor``, ``workers``, ``progress`` and ``cache`` of `lazyana.inspect`.

    Returns
    -------
    Validation
        What is wrong. Mistakes of the configuration do not raise.

    Raises
    ------
    FileError
        There is no such configuration.
    ExecutorError
        There is no such executor.
    """
    if not Path(cfg).expanduser().is_file():
        load_config(cfg)  # says so
    try:
        sections, wrong = load_config(cfg)._sections, []
    except Exception as error:
        sections = sections_of(error) or {}
        wrong = [Mistake("", line) for line in each_told(error)]
    if not sections:
        return Validation(str(cfg), _of_configuration(wrong), {})
    sections = _narrowed(sections, {"samples": samples, "year": year, "datasets": datasets})
    wrong, left = mistakes(sections, _analysis)
    if left is None:
        return Validation(str(cfg), _of_configuration(wrong), {})
    analysis = _analysis(left)
    wrong += _of_run_options(analysis)
    warnings = [*_without_golden_json(analysis), *_not_of_data(analysis)]
    if not files:
        return Validation(str(cfg), (*_of_configuration(wrong), *warnings), {})
    found = checked_files(limited(analysis.fileset, limit_files), **inspecting)
    if any(found.catalog.files.values()):
        wrong += mistakes(left, lambda some: recorded(_analysis(some), found.catalog))[0]
    problems = (*_of_configuration(wrong), *_of_files(found), *warnings)
    return Validation(str(cfg), problems, _summary(found.catalog))


def _of_run_options(analysis: Analysis) -> list[Mistake]:
    """What is wrong with how it runs; not of the executor, which the command line may name."""
    try:
        Settings.of({"executor": "sync"}, analysis)
    except LazyanaError as error:
        return [Mistake("run_options", told(error))]
    return []


def validate_files(source: FilesetLike, **inspecting: Any) -> Validation:
    """Find what is wrong with files.

    Parameters
    ----------
    source
        The files, as for `lazyana.open`.
    **inspecting
        As for `validate`, and ``tree``.

    Returns
    -------
    Validation
        What is wrong.

    Raises
    ------
    FileError, InputError, InputTypeError
        No fileset.
    """
    found = checked_files(Fileset.parse(with_missing(source)), **inspecting)
    return Validation(None, _of_files(found), _summary(found.catalog))


def _analysis(sections: Sections) -> Analysis:
    return Analysis(**sections)


def _narrowed(sections: Sections, chosen: Mapping[str, Iterable[str] | None]) -> Sections:
    """A configuration with other filters, its missing files in it."""
    datasets = sections.get("datasets")
    if not isinstance(datasets, Mapping):
        return sections
    changes = {key: tuple(names) for key, names in chosen.items() if names is not None}
    given = datasets.get("jsons") or ()
    several = given if isinstance(given, list | tuple) else (given,)
    new = {**datasets, "jsons": [with_missing(one) for one in several]}
    if changes:
        new["filter"] = {**(datasets.get("filter") or {}), **changes}
    return {**sections, "datasets": new}


def _without_golden_json(analysis: Analysis) -> list[Problem]:
    """Whether data are used as they are, those of uncertified luminosity sections too."""
    data = [one.name for one in analysis.fileset.datasets if not one.metadata["isMC"]]
    cuts = {cut.content_id for cut in (*analysis.skim, *analysis.preselections)}
    if not data or goldenJson.content_id in cuts:
        return []
    msg = (
        f"Data ({', '.join(data)}) are not restricted to certified luminosity sections: add "
        "goldenJson of lazyana.analysis.cutlibrary to skim, unless a cut of your own does it."
    )
    return [Problem("warning", "configuration", "skim", msg)]


def _not_of_data(analysis: Analysis) -> list[Problem]:
    """Weights and variations that are asked for by the name of data, which go without them."""
    return [
        Problem("warning", "configuration", where, message)
        for where, message in analysis.rules.not_of_data()
    ]


def _of_configuration(wrong: Iterable[Mistake]) -> tuple[Problem, ...]:
    return tuple(Problem("error", "configuration", one.place, one.message) for one in wrong)


def _of_files(found: Files) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            "warning" if one.harmless else "error", "files", one.dataset, one.message, one.files
        )
        for one in found.problems
    )


def _summary(catalog: Catalog) -> dict[str, dict[str, Any]]:
    kinds = {True: "simulation", False: "data", None: "?"}
    return {
        one.name: {
            "kind": kinds[one.is_mc],
            "files": len(one.files),
            "unreadable": len(catalog.unreadable.get(one.name, ())),
            "empty": sum(not file.entries for file in catalog.files[one.name]),
            "events": catalog.entries(one.name),
        }
        for one in catalog.fileset.datasets
    }
