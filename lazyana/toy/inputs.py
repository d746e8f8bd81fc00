"""What a configuration needs to run on the embedded sample: filesets and parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lazyana.toy.corrections import toy_parameters

NAMES = {
    "DYJetsToLL": "DYJetsToLL_M-50",
    "TTTo2L2Nu": "TTTo2L2Nu",
    "SingleMuon": "DATA_SingleMuon",
}
"""What the fileset file of each toy dataset is called."""

PARAMETERS = Path("params", "sample.yaml")
"""Where the parameters are written, in the folder of a configuration."""


def write_inputs(
    folder: str | Path, fileset: Mapping[str, Any], corrections: str | Path
) -> dict[str, Path]:
    """Write what a configuration reads to run on the embedded sample.

    These are ``datasets/DYJetsToLL_M-50.json``, ``datasets/TTTo2L2Nu.json``,
    ``datasets/DATA_SingleMuon.json``, and in ``params/sample.yaml`` where the corrections are and
    what the integrated luminosity of the data is.

    Parameters
    ----------
    folder
        That of the configuration. Files of these names are replaced.
    fileset
        What `lazyana.toy.sample.write_sample` returned.
    corrections
        Where `lazyana.toy.corrections.write_corrections` wrote.

    Returns
    -------
    dict of str to pathlib.Path
        The fileset files by dataset of the sample, and ``"parameters"``.

    Raises
    ------
    FileError
        When a correction file is missing.
    """
    paths = {
        dataset: write_fileset(folder, NAMES[dataset], list(entry["files"]), entry["metadata"])
        for dataset, entry in fileset.items()
    }
    luminosity = fileset["SingleMuon"]["metadata"]["lumi"]
    changes = toy_parameters(corrections, luminosity=luminosity)
    return {**paths, "parameters": write_parameters(folder, changes)}


def write_fileset(
    folder: str | Path, name: str, files: list[str], metadata: Mapping[str, Any]
) -> Path:
    """Write ``datasets/<name>.json`` as dataset builders do: all metadata are text.

    Parameters
    ----------
    folder
        That of the configuration.
    name
        Name of the file; the dataset is called ``<name>_<year>``, of data with ``_Era<era>``.
    files
        The files of the dataset.
    metadata
        ``sample``, ``year``, ``isMC`` or ``is_mc``; ``xsec`` (pb) of simulation, ``era`` and
        ``primaryDataset`` of data.

    Returns
    -------
    pathlib.Path
        What was written.
    """
    known = {{"is_mc": "isMC"}.get(key, key): str(value) for key, value in metadata.items()}
    era = f"_Era{known['era']}" if "era" in known else ""
    content = {f"{name}_{known['year']}{era}": {"metadata": known, "files": files}}
    path = Path(folder) / "datasets" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def write_parameters(folder: str | Path, changes: Mapping[str, Any]) -> Path:
    """Write ``params/sample.yaml``.

    Parameters
    ----------
    folder
        That of the configuration.
    changes
        Changes of the default parameters.

    Returns
    -------
    pathlib.Path
        What was written.
    """
    path = Path(folder) / PARAMETERS
    path.parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(dict(changes)), path)
    return path
