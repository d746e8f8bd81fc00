"""Running an analysis and keeping what it gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coffea.util import save as save_coffea

from lazyana.analysis.build import recorded
from lazyana.analysis.config import Analysis
from lazyana.analysis.datasets import limited
from lazyana.analysis.defaults import dump_parameters
from lazyana.analysis.describe import described
from lazyana.analysis.output import accumulator_of, skimmed_fileset
from lazyana.data.catalog import Catalog
from lazyana.engine.result import Result
from lazyana.errors import OutputExistsError
from lazyana.frame.compute import compute, explain
from lazyana.frame.inspection import inspect
from lazyana.options import ErrorPolicy
from lazyana.plan.explain import Explanation

OUTPUT, RESULT = "output_all.coffea", "output_all.lazyana"
CONFIG, PARAMETERS = "config.json", "parameters_dump.yaml"
SKIMS = "skimmed_dataset_definition.json"


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


def run(
    analysis: Analysis,
    folder: Path | str | None = None,
    *,
    executor: Any = None,
    workers: int | None = None,
    limit_files: int | None = None,
    partition_size: int | str | None = None,
    on_error: ErrorPolicy = "raise",
    progress: bool | None = None,
    overwrite: bool = False,
    performance_report: Path | str | None = None,
) -> AnalysisResult:
    """Run an analysis.

    Parameters
    ----------
    analysis
        The configuration.
    folder
        Where to write ``output_all.coffea`` (loads with `coffea.util.load`), ``output_all.lazyana``
        (loads with `lazyana.load`, one output at a time), ``config.json``,
        ``parameters_dump.yaml`` and, of a run that writes skims, their fileset
        ``skimmed_dataset_definition.json``; None writes nothing of it.
    executor, workers, partition_size, progress, performance_report
        As for `lazyana.compute`.
    limit_files
        How many files of each dataset to run over, from the first on; None: all.
    on_error
        ``"raise"``, or ``"skip"`` to go on without files that cannot be read; simulation is then
        divided by the sum of weights of those that were.
    overwrite
        Whether files of an earlier run in `folder` may be replaced.

    Returns
    -------
    AnalysisResult
        The output.

    Raises
    ------
    OutputExistsError
        An output that is there already.
    InputError, InputTypeError, ColumnError, FileError, ExecutorError
        Mistakes, before anything runs.
    RunError, FileError
        While events are processed.
    """
    target = None if folder is None else _free(Path(folder), overwrite=overwrite)
    catalog = catalog_of(analysis, limit_files, on_error=on_error, progress=progress)
    made = recorded(analysis, catalog, on_error=on_error)
    result = compute(
        made.outputs,
        executor=executor,
        workers=workers,
        partition_size=partition_size,
        on_error=on_error,
        progress=progress,
        performance_report=performance_report,
    )
    output = accumulator_of(made, {str(key): value for key, value in result.items()})
    files = {} if target is None else _written(target, analysis, result, output)
    return AnalysisResult(output, result, files)


def catalog_of(
    analysis: Analysis,
    limit_files: int | None = None,
    *,
    on_error: ErrorPolicy = "raise",
    progress: bool | None = None,
) -> Catalog:
    """What is known of the files of an analysis; those not seen before are opened."""
    fileset = limited(analysis.fileset, limit_files)
    return inspect(fileset, on_error=on_error, progress=progress)


def explained(
    analysis: Analysis, limit_files: int | None = None, *, stage: str | None = None
) -> Explanation:
    """Say what running an analysis would do, without doing it."""
    return explain(recorded(analysis, catalog_of(analysis, limit_files)).outputs, stage=stage)


def _free(folder: Path, *, overwrite: bool) -> Path:
    """A folder to write to, once nothing is in the way."""
    there = [name for name in (OUTPUT, RESULT) if (folder / name).exists()]
    if there and not overwrite:
        msg = (
            f"{folder / there[0]} is there already, from an earlier run: choose another folder, or "
            "overwrite it (overwrite=True, --overwrite)."
        )
        raise OutputExistsError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _written(
    folder: Path, analysis: Analysis, result: Result, output: Mapping[str, Any]
) -> dict[str, Path]:
    files = {
        "output": folder / OUTPUT,
        "result": folder / RESULT,
        "config": folder / CONFIG,
        "parameters": folder / PARAMETERS,
    }
    save_coffea(output, str(files["output"]))
    result.save(files["result"], overwrite=True)
    _write_json(files["config"], described(analysis))
    if "skimmed_files" in output:
        files["skims"] = folder / SKIMS
        _write_json(files["skims"], skimmed_fileset(analysis, output))
    dump_parameters(analysis.parameters, files["parameters"])
    return files


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
