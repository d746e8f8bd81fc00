"""Runs that give one output for each dataset, and go on where an earlier one stopped."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lazyana.analysis.build import COLUMNS_FOLDER
from lazyana.analysis.config import Analysis
from lazyana.analysis.datasets import sample_of
from lazyana.analysis.record import (
    ALL,
    check_configuration,
    output_path,
    result_path,
    skims_path,
    write,
    write_configuration,
    write_json,
)
from lazyana.analysis.run import AnalysisResult, Settings, computed, moved
from lazyana.engine.result import Result
from lazyana.errors import (
    InputError,
    InputTypeError,
    LazyanaError,
    OutputExistsError,
    did_you_mean,
)


def run_separately(
    analysis: Analysis,
    folder: Path | str,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    overwrite: bool = False,
    source: Path | None = None,
    **settings: Any,
) -> Iterator[tuple[str, AnalysisResult | None]]:
    """Run an analysis over one dataset after the other, each with an output of its own.

    Outputs that an earlier run with the same configuration left in the folder are kept, so that a
    run that was stopped goes on when it is started again.

    Parameters
    ----------
    analysis
        The configuration.
    folder
        Where to write ``output_<dataset>.coffea``, ``output_<dataset>.lazyana`` and what else `run`
        writes. Skims and columns go into a folder for each dataset.
    groups
        Samples to be run over together, by the name of their output.
    overwrite
        Whether everything is made anew.
    source
        The file of the configuration.
    **settings
        How to run: the attributes of `Settings`.

    Yields
    ------
    name
        Of the dataset, or group.
    AnalysisResult or None
        What it gave; None where the output was there already.

    Raises
    ------
    OutputExistsError
        An output or a configuration of another analysis, before anything runs.
    InputError
        A group of a sample that there is not, or named as something else.
    LazyanaError
        As for `run`; what was finished before stays.
    """
    chosen = Settings.of(settings, analysis)
    target = Path(folder)
    analysis = moved(analysis, target)
    parts = {name: _part(analysis, name, some) for name, some in _units(analysis, groups).items()}
    done = set() if overwrite else {n for n, p in parts.items() if _is_done(target, n, p, chosen)}
    if not overwrite:
        check_configuration(target, analysis)
    target.mkdir(parents=True, exist_ok=True)
    write_configuration(target, analysis)
    # What an earlier run did not finish is made anew, what it finished stays.
    computing = partial(
        computed, settings=chosen, source=source, overwrite=overwrite or "unfinished"
    )
    return _run_all(target, parts, done, computing)


def _run_all(
    folder: Path,
    parts: Mapping[str, Analysis],
    done: set[str],
    computing: Callable[[Analysis], AnalysisResult],
) -> Iterator[tuple[str, AnalysisResult | None]]:
    for name, part in parts.items():
        if name in done:
            yield name, None
            continue
        try:
            found = computing(part)
        except OutputExistsError:
            raise
        except LazyanaError as error:
            error.add_note(
                f"This was in {name}. What is finished stays: start again to go on from there."
            )
            raise
        files = write(folder, name, part, found.result, found.output)
        yield name, AnalysisResult(found.output, found.result, files)
    skims = [path for name in parts if (path := skims_path(folder, name)).exists()]
    if skims:
        every = (json.loads(path.read_text(encoding="utf-8")) for path in skims)
        write_json(skims_path(folder), {name: one for some in every for name, one in some.items()})


def _units(analysis: Analysis, groups: Any) -> dict[str, list[str]]:
    """The datasets of each output, by its name."""
    group_of: dict[str, str] = {}
    if not isinstance(groups, Mapping | None):
        msg = f"group_samples is {groups!r}: give lists of samples by the name of their group."
        raise InputTypeError(msg)
    for group, samples in (groups or {}).items():
        if not isinstance(samples, str | Sequence):
            msg = f"group_samples[{group!r}] is {samples!r}: give a list of samples."
            raise InputTypeError(msg)
        for sample in [samples] if isinstance(samples, str) else samples:
            if sample not in analysis.rules.samples:
                known = analysis.rules.samples
                msg = (
                    f"Group {group!r} is of a sample {sample!r} that there is not."
                    f"{did_you_mean(sample, known)} There are: {', '.join(known)}."
                )
                raise InputError(msg)
            if group_of.setdefault(sample, group) != group:
                msg = f"Sample {sample!r} is in two groups, {group_of[sample]!r} and {group!r}."
                raise InputError(msg)
    found: dict[str, list[str]] = {}
    for dataset in analysis.fileset.datasets:
        unit = group_of.get(sample_of(dataset), dataset.name)
        found.setdefault(unit, []).append(dataset.name)
    names = {dataset.name for dataset in analysis.fileset.datasets}
    for name, datasets in found.items():
        if name == ALL or (name in names and datasets != [name]):
            msg = f"An output cannot be called {name!r}: choose another name for the group."
            raise InputError(msg)
    return found


def _part(analysis: Analysis, name: str, datasets: Sequence[str]) -> Analysis:
    """The analysis of some datasets, which writes files into folders of their own."""
    one = analysis.filtered(datasets=list(map(glob.escape, datasets)))
    changed: dict[str, Any] = {}
    if analysis.save_skimmed_files is not None:
        changed["save_skimmed_files"] = analysis.save_skimmed_files.inside(name)
    if (columns := analysis.workflow_options.get(COLUMNS_FOLDER)) is not None:
        options = {**analysis.workflow_options, COLUMNS_FOLDER: _inside(columns, name)}
        changed["workflow_options"] = options
    return Analysis(**{**one._sections, **changed}) if changed else one


def _inside(folder: Any, name: str) -> str:
    return f"{str(folder).rstrip('/')}/{name}"


def _is_done(folder: Path, name: str, part: Analysis, settings: Settings) -> bool:
    """Whether an output is there already.

    Raises
    ------
    OutputExistsError
        One that was made of something else.
    """
    output, result = output_path(folder, name), result_path(folder, name)
    if not (output.exists() or result.exists()):
        return False
    if not result.exists():
        msg = (
            f"{output} is there already, but not {result} that was written before it: choose "
            "another folder, or make all outputs anew (overwrite=True, --overwrite)."
        )
        raise OutputExistsError(msg)
    made = Result.load(result).provenance.configuration
    if made != settings.configuration(part):
        msg = (
            f"{output if output.exists() else result} is there already, and was not made from this "
            "configuration, these files and limits: choose another folder, or make all outputs "
            "anew (overwrite=True, --overwrite)."
        )
        raise OutputExistsError(msg)
    return output.exists()
