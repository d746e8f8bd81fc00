"""What is kept of a run: its outputs, and what they were made from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from coffea.util import save as save_coffea
from omegaconf import OmegaConf

from lazyana.analysis.build import COLUMNS_FOLDER
from lazyana.analysis.config import Analysis
from lazyana.analysis.defaults import dump_parameters
from lazyana.analysis.describe import described
from lazyana.analysis.nminusone import table
from lazyana.analysis.skims import skimmed_fileset
from lazyana.data.fileset import Fileset
from lazyana.engine.provenance import content_hash, git_state
from lazyana.engine.result import Result
from lazyana.errors import OutputExistsError
from lazyana.reader.records import written_whole

ALL = "all"
"""What the output of all datasets together is called."""

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def output_path(folder: Path, name: str = ALL) -> Path:
    """Where the output of that name is, as nested dictionaries."""
    return folder / f"output_{_safe(name)}.coffea"


def result_path(folder: Path, name: str = ALL) -> Path:
    """Where the result of that name is, readable one output at a time."""
    return folder / f"output_{_safe(name)}.lazyana"


def skims_path(folder: Path, name: str = ALL) -> Path:
    """Where the fileset of the skims of that name is."""
    return _beside(folder, "skimmed_dataset_definition", name, "json")


def configuration_hash(analysis: Analysis, fileset: Fileset, asked: Mapping[str, Any]) -> str:
    """Hash of all that decides what is in an output: the same in every process.

    Parameters
    ----------
    analysis
        The configuration.
    fileset
        The datasets and files that are asked for.
    asked
        Options of the run that change what is in the output.
    """
    datasets = {
        one.name: [[url for url, _ in one.files], dict(one.metadata)] for one in fileset.datasets
    }
    return content_hash([analysis_hash(analysis), _plain(datasets), _plain(asked)])


def analysis_hash(analysis: Analysis) -> str:
    """Hash of an analysis, whatever datasets it is run over and wherever it writes files."""
    sections = described(analysis)
    sections["datasets"] = sections["datasets"]["subsamples"]
    if sections["save_skimmed_files"] is not None:
        for where in ("path", "overwrite"):
            sections["save_skimmed_files"].pop(where, None)
    sections["workflow_options"].pop(COLUMNS_FOLDER, None)
    parameters = OmegaConf.to_container(analysis.parameters, resolve=False)
    return content_hash([_plain(sections), _plain(parameters)])


def with_record(
    result: Result, analysis: Analysis, configuration: str, source: Path | None
) -> Result:
    """A result whose provenance knows the configuration.

    Parameters
    ----------
    result
        The result.
    analysis
        The configuration.
    configuration
        Its `configuration_hash`.
    source
        The file of the configuration.
    """
    provenance = replace(
        result.provenance,
        configuration=configuration,
        analysis=analysis_hash(analysis),
        git={} if source is None else git_state(source.absolute().parent),
    )
    return replace(result, provenance=provenance)


def record_of(result: Result) -> dict[str, Any]:
    """What an output says of its origin, so that outputs can be merged: ``provenance``."""
    known = result.provenance
    return {
        "lazyana": known.lazyana,
        "time": known.time,
        "analysis": known.analysis,
        "configuration": known.configuration,
        "files": {name: [list(file) for file in files] for name, files in known.files.items()},
        "complete": result.report.complete,
    }


def write(
    folder: Path, name: str, analysis: Analysis, result: Result, output: Mapping[str, Any]
) -> dict[str, Path]:
    """Write what a run gave; the output that is read last is written last.

    Returns
    -------
    dict
        What was written, by what it is.
    """
    files = {"provenance": _beside(folder, "provenance", name, "json")}
    write_json(files["provenance"], result.provenance.to_json())
    if "skimmed_files" in output:
        files["skims"] = skims_path(folder, name)
        write_json(files["skims"], skimmed_fileset(output))
    if "n_minus_one" in output:
        files["N-1"] = _beside(folder, "n_minus_one", name, "json")
        files["N-1 table"] = _beside(folder, "n_minus_one", name, "csv")
        write_json(files["N-1"], output["n_minus_one"])
        every = table(output["n_minus_one"], bool)
        with written_whole(files["N-1 table"], overwrite=True) as temporary:
            temporary.write_text(every.csv(), encoding="utf-8")
    files |= {"result": result_path(folder, name), "output": output_path(folder, name)}
    result.save(files["result"], overwrite=True)
    with written_whole(files["output"], overwrite=True) as temporary:
        save_coffea(dict(output), str(temporary))
    return files


def check_configuration(folder: Path, analysis: Analysis) -> None:
    """Refuse a folder that has the outputs of another analysis.

    The same analysis may have been run over other datasets there.

    Raises
    ------
    OutputExistsError
        Naming its configuration.
    """
    there = _configuration_path(folder)
    if not there.exists():
        return
    try:
        made = json.loads(there.read_text(encoding="utf-8")).get("analysis")
    except (OSError, ValueError, AttributeError):
        made = None
    if made != analysis_hash(analysis):
        msg = (
            f"{there} is of another configuration, which outputs beside it were made from: choose "
            "another folder, or overwrite it (overwrite=True, --overwrite)."
        )
        raise OutputExistsError(msg)


def write_configuration(folder: Path, analysis: Analysis) -> dict[str, Path]:
    """Write what is run: the configuration and its parameters."""
    files = {"config": _configuration_path(folder), "parameters": folder / "parameters_dump.yaml"}
    write_json(files["config"], {**described(analysis), "analysis": analysis_hash(analysis)})
    dump_parameters(analysis.parameters, files["parameters"], overwrite=True)
    return files


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    with written_whole(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _configuration_path(folder: Path) -> Path:
    return folder / "config.json"


def _beside(folder: Path, what: str, name: str, suffix: str) -> Path:
    return folder / (f"{what}.{suffix}" if name == ALL else f"{what}_{_safe(name)}.{suffix}")


def _safe(name: str) -> str:
    return name.replace("/", "_")


def _plain(value: Any) -> Any:
    """A value in JSON terms, without what differs from process to process and place to place."""
    text = json.dumps(value, default=repr)
    return json.loads(_ADDRESS.sub("", text), object_hook=_without_place)


def _without_place(one: dict[str, Any]) -> dict[str, Any]:
    """What is told of a function, without the file it is in."""
    return {key: value for key, value in one.items() if key != "src_file"}
