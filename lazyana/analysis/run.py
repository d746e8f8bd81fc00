"""Running an analysis and keeping what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lazyana.analysis.build import COLUMNS_FOLDER, recorded
from lazyana.analysis.config import Analysis
from lazyana.analysis.datasets import limited
from lazyana.analysis.output import accumulator_of
from lazyana.analysis.record import (
    ALL,
    check_configuration,
    configuration_hash,
    output_path,
    record_of,
    result_path,
    with_record,
    write,
    write_configuration,
)
from lazyana.data.catalog import Catalog
from lazyana.engine.executors import find_executor
from lazyana.engine.result import Result
from lazyana.errors import InputError, InputTypeError, OutputExistsError, did_you_mean
from lazyana.frame.compute import compute, explain
from lazyana.frame.inspection import inspect
from lazyana.options import ErrorPolicy, ReadOptions, RunOptions, at_least
from lazyana.plan.explain import Explanation
from lazyana.sinks.folder import Overwrite


@dataclass(frozen=True)
class AnalysisResult:
    """What a run of an analysis gave.

    Attributes
    ----------
    output
        Everything as nested dictionaries, normalised: see `accumulator_of`.
    result
        The computed outputs as they are, with run report and provenance.
    files
        What was written, by what it is.
    """

    output: Mapping[str, Any] = field(repr=False)
    result: Result
    files: Mapping[str, Path]


@dataclass(frozen=True)
class Settings:
    """How an analysis is run.

    Attributes
    ----------
    executor, workers, partition_size, limit_partitions, merge_fan_in, progress, performance_report
        As for `lazyana.compute`. Simulation is divided by the sum of weights of what was processed,
        so with a limit the output is right as well.
    limit_files
        How many files of each dataset to run over, from the first on; None: all.
    on_error
        ``"raise"``, or ``"skip"`` to go on without files that cannot be read; simulation is then
        divided by the sum of weights of those that were.
    retries
        How often reading is tried again after a connection failed.
    n_minus_one
        Whether to make N-1 tables. All that comes before the preselections is then computed for
        events that fail cuts too: what functions of the workflow make of them must not fail.

    Raises
    ------
    InputError, InputTypeError, ExecutorError
        An option that cannot be.
    """

    executor: Any = None
    workers: int | None = None
    limit_files: int | None = None
    limit_partitions: int | None = None
    partition_size: int | str | None = None
    merge_fan_in: int = RunOptions.merge_fan_in
    on_error: ErrorPolicy = "raise"
    retries: int = ReadOptions.retries
    progress: bool | None = None
    performance_report: Path | str | None = None
    n_minus_one: bool = False

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        RunOptions(self.partition_size, self.merge_fan_in, self.limit_partitions)
        check_switch("n_minus_one", self.n_minus_one)
        if self.progress is not None:
            check_switch("progress", self.progress)
        if self.limit_files is not None:
            at_least("limit_files", self.limit_files, 1, "file")
        ReadOptions(on_error=self.on_error, retries=self.retries)
        find_executor(
            self.executor, workers=self.workers, performance_report=self.performance_report
        )

    @classmethod
    def of(cls, given: Mapping[str, Any], analysis: Analysis) -> Settings:
        """Settings by name.

        Parameters
        ----------
        given
            The settings; those that are missing or None are as the configuration says.
        analysis
            The configuration.

        Raises
        ------
        InputTypeError
            A name that none has.
        """
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                msg = (
                    f"Running has no option {name!r}.{did_you_mean(name, known)} There are: "
                    f"{', '.join(known)}."
                )
                raise InputTypeError(msg)
        chosen = {name: value for name, value in given.items() if value is not None}
        settled = dict(analysis.run_options)
        if "executor" in chosen:  # the workers are those of the executor
            settled.pop("workers", None)
        return cls(**{**settled, **chosen})

    def configuration(self, analysis: Analysis) -> str:
        """Hash of all that decides what is in the output of an analysis."""
        size = None if self.limit_partitions is None else self.partition_size
        asked = [self.limit_partitions, size, self.n_minus_one]
        return configuration_hash(
            analysis, limited(analysis.fileset, self.limit_files), {"asked": asked}
        )


def check_switch(name: str, value: Any) -> None:
    """Refuse anything but true and false.

    Raises
    ------
    InputTypeError
        Anything else.
    """
    if not isinstance(value, bool):
        msg = f"{name} is {value!r}: it is either true or false."
        raise InputTypeError(msg)


def run(
    analysis: Analysis,
    folder: Path | str | None = None,
    *,
    overwrite: bool = False,
    source: Path | None = None,
    **settings: Any,
) -> AnalysisResult:
    """Run an analysis.

    Parameters
    ----------
    analysis
        The configuration.
    folder
        Where to write ``output_all.coffea`` (loads with `coffea.util.load`), ``output_all.lazyana``
        (loads with `lazyana.load`, one output at a time), ``config.json``,
        ``parameters_dump.yaml``, ``provenance.json``; of a run that makes them
        ``n_minus_one.json`` and ``n_minus_one.csv``; of a run that writes skims their fileset
        ``skimmed_dataset_definition.json``. None writes nothing of it.
    overwrite
        Whether what an earlier run wrote may be replaced: the files in `folder`, and folders of
        skims and columns.
    source
        The file of the configuration: what git knows of it is recorded.
    **settings
        How to run: the attributes of `Settings`.

    Returns
    -------
    AnalysisResult
        The output.

    Raises
    ------
    OutputExistsError
        An output that is there already, or the configuration of another analysis.
    InputError, InputTypeError, ColumnError, FileError, ExecutorError
        Mistakes, before anything runs.
    RunError, FileError
        While events are processed.
    """
    chosen = Settings.of(settings, analysis)
    analysis = analysis if folder is None else moved(analysis, Path(folder))
    target = None if folder is None else _free(Path(folder), analysis, overwrite=overwrite)
    found = computed(analysis, chosen, source, overwrite=overwrite)
    if target is None:
        return found
    files = write_configuration(target, analysis)
    files |= write(target, ALL, analysis, found.result, found.output)
    return AnalysisResult(found.output, found.result, files)


def moved(analysis: Analysis, folder: Path) -> Analysis:
    """The analysis with columns below `folder` that would be written below its own output."""
    columns = analysis.workflow_options.get(COLUMNS_FOLDER)
    if analysis.output is None or columns is None:
        return analysis
    if not Path(columns).is_relative_to(analysis.output):
        return analysis
    below = str(folder / Path(columns).relative_to(analysis.output))
    options = {**analysis.workflow_options, COLUMNS_FOLDER: below}
    return Analysis(**{**analysis._sections, "workflow_options": options})


def computed(
    analysis: Analysis,
    settings: Settings,
    source: Path | None = None,
    *,
    overwrite: Overwrite = False,
) -> AnalysisResult:
    """Run an analysis and write nothing but its skims and columns; see `run`."""
    if settings.n_minus_one and analysis.save_skimmed_files is not None:
        msg = "A run that writes skims stops after the skim: leave n_minus_one out."
        raise InputError(msg)
    configuration = settings.configuration(analysis)
    catalog = catalog_of(
        analysis,
        settings.limit_files,
        on_error=settings.on_error,
        progress=settings.progress,
        retries=settings.retries,
    )
    made = recorded(
        analysis,
        catalog,
        n_minus_one=settings.n_minus_one,
        overwrite=overwrite,
        on_error=settings.on_error,
        progress=settings.progress,
    )
    result = compute(
        made.outputs,
        executor=settings.executor,
        workers=settings.workers,
        partition_size=settings.partition_size,
        merge_fan_in=settings.merge_fan_in,
        limit_partitions=settings.limit_partitions,
        reading=ReadOptions(on_error=settings.on_error, retries=settings.retries),
        progress=settings.progress,
        performance_report=settings.performance_report,
    )
    result = with_record(made.normalisation.told(result), analysis, configuration, source)
    output = accumulator_of(made, {str(key): value for key, value in result.items()})
    return AnalysisResult({**output, "provenance": record_of(result)}, result, {})


def catalog_of(analysis: Analysis, limit_files: int | None = None, **inspecting: Any) -> Catalog:
    """What is known of the files of an analysis; those not seen before are opened.

    Parameters
    ----------
    analysis
        The configuration.
    limit_files
        How many files of each dataset, from the first on; None: all.
    **inspecting
        Options of `lazyana.inspect`.
    """
    return inspect(limited(analysis.fileset, limit_files), **inspecting)


def explained(
    analysis: Analysis, limit_files: int | None = None, *, stage: str | None = None
) -> Explanation:
    """Say what running an analysis would do, without doing it."""
    return explain(recorded(analysis, catalog_of(analysis, limit_files)).outputs, stage=stage)


def _free(folder: Path, analysis: Analysis, *, overwrite: bool) -> Path:
    """A folder to write to, once nothing is in the way."""
    there = [path for path in (output_path(folder), result_path(folder)) if path.exists()]
    if there and not overwrite:
        msg = (
            f"{there[0]} is there already, from an earlier run: choose another folder, or "
            "overwrite it (overwrite=True, --overwrite)."
        )
        raise OutputExistsError(msg)
    if not overwrite:
        check_configuration(folder, analysis)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
