"""Outputs in pieces: by dataset, sample, year, histogram or category."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boost_histogram as bh
import hist
from coffea.util import save as save_coffea

from lazyana.analysis.config import STAGES
from lazyana.analysis.outputs.merging import COFFEA, load_accumulators
from lazyana.errors import InputError, OutputExistsError, did_you_mean
from lazyana.reader.records import written_whole

BY = ("dataset", "sample", "year", "variable", "category")

_HISTOGRAMS = ("variables", "processing_metadata")
_LEVELS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("sumw", "sumw2", "cutflow", "n_minus_one"), ("category", "dataset")),
    **dict.fromkeys(_HISTOGRAMS, ("variable", "target", "dataset")),
    **dict.fromkeys(("columns", "divided_by"), ("target", "dataset", "category")),
    "counts": ("count", "target", "dataset"),
    **dict.fromkeys(
        (
            *("sum_genweights", "sum_signOf_genweights", "skimmed_files", "nskimmed_events"),
            "sum_genweights_skimmed",
        ),
        ("dataset",),
    ),
}
"""What the keys of each section of an output are."""

Keep = Mapping[str, set[str]]
"""The datasets, categories or histograms to keep, by which of them it is."""


def split_output(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    by: str,
    *,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Split an output into files of fewer datasets, histograms or categories.

    Parameters
    ----------
    path
        The output, ``.coffea``.
    folder
        Where to write ``<name of the output>_<what it is of>.coffea``.
    by
        ``"dataset"``, ``"sample"``, ``"year"``; ``"variable"``: a file for each histogram, and one
        for the columns; ``"category"``.
    overwrite
        Whether files that are there may be replaced.

    Returns
    -------
    dict
        The files, by what they are of.

    Raises
    ------
    InputError
        An unknown way to split; an output that has nothing to be split by.
    FileError
        A file that is missing or no output.
    OutputExistsError
        A file that is there already; before anything is written.
    """
    source = Path(path)
    if by not in BY:
        msg = f"Outputs are not split by {by!r}.{did_you_mean(by, BY)} Choose: {', '.join(BY)}."
        raise InputError(msg)
    if source.suffix != COFFEA:
        beside = source.with_suffix(COFFEA)
        instead = f"{beside}, which is beside it" if beside.exists() else "one"
        msg = f"{source} is no {COFFEA} file: give {instead}. A .lazyana file needs no splitting."
        raise InputError(msg)
    output = load_accumulators(source)
    parts = dict(_parts(output, by))
    if not parts:
        msg = f"{source} has nothing to be split by {by}."
        raise InputError(msg)
    names = {name: name.replace("/", "_") for name in parts}
    files = {name: Path(folder) / f"{source.stem}_{safe}{COFFEA}" for name, safe in names.items()}
    there = [file for file in files.values() if file.exists()]
    if there and not overwrite:
        msg = f"{there[0]} is there already: choose another folder, or overwrite it (--overwrite)."
        raise OutputExistsError(msg)
    for name, keep in parts.items():
        part = _kept_of(output, keep)
        with written_whole(files[name], overwrite=overwrite) as temporary:
            save_coffea(part, str(temporary))
    return files


def _parts(output: Mapping[str, Any], by: str) -> Iterator[tuple[str, Keep]]:
    """What each file is of, and what to keep for it."""
    metadata = output.get("datasets_metadata", {}).get("by_dataset")
    if by == "category":
        known = {key for section in ("sumw", "cutflow") for key in output.get(section, {})}
        for category in sorted(known - set(STAGES)):
            yield category, {"category": {category}}
        return
    if by == "variable":
        for section in _HISTOGRAMS:
            for name in output.get(section, {}):
                yield name, {"variable": {name}, "section": {section}}
        if output.get("columns"):
            yield "columns", {"variable": set(), "section": {"columns"}}
        return
    if metadata is None:
        if by == "dataset":
            yield from ((name, {"dataset": {name}}) for name in output)
        return
    groups: dict[str, set[str]] = {}
    for dataset, known_of in metadata.items():
        key = dataset if by == "dataset" else str(known_of.get(by, ""))
        groups.setdefault(key, set()).add(dataset)
    for key, datasets in groups.items():
        yield key, {"dataset": datasets}


def _kept_of(output: Mapping[str, Any], keep: Keep) -> dict[str, Any]:
    """A part of an output; what describes it stays."""
    if "datasets_metadata" not in output:
        return {key: value for key, value in output.items() if key in keep["dataset"]}
    found: dict[str, Any] = {}
    for section, value in output.items():
        others = keep.get("section")
        whole = section in (*_HISTOGRAMS, "columns")
        if others is not None and whole and section not in others:
            found[section] = {}
        else:
            found[section] = _filtered(value, _LEVELS.get(section, ()), keep)
    if "dataset" in keep:
        found["datasets_metadata"] = _metadata(output["datasets_metadata"], keep["dataset"])
        if "provenance" in output:
            record = output["provenance"]
            files = _filtered(record["files"], ("dataset",), keep)
            found["provenance"] = {**record, "files": files}
    return found


def _filtered(node: Any, levels: tuple[str, ...], keep: Keep) -> Any:
    if not levels or not isinstance(node, Mapping):
        histogram = isinstance(node, bh.Histogram) and "category" in keep
        return _of_categories(node, keep["category"]) if histogram else node
    level, *below = levels
    kept = keep.get(level)
    found = {}
    for key, value in node.items():
        stage = level == "category" and key in STAGES
        if kept is None or key in kept or stage:
            part = _filtered(value, tuple(below), keep)
            # What has nothing of it any more goes; what had nothing before stays.
            if not (isinstance(part, Mapping) and value and not part) and part is not None:
                found[key] = part
    return found


def _metadata(known: Mapping[str, Any], datasets: set[str]) -> dict[str, Any]:
    periods: dict[str, Any] = {}
    for year, targets in known.get("by_datataking_period", {}).items():
        for target, names in targets.items():
            left = type(names)(name for name in names if name in datasets)
            if left:
                periods.setdefault(year, {})[target] = left
    chosen = {name: one for name, one in known["by_dataset"].items() if name in datasets}
    return {**known, "by_datataking_period": periods, "by_dataset": chosen}


def _of_categories(one: Any, categories: set[str]) -> Any:
    """A histogram with some of its categories; None if it has none of them."""
    names = [axis.name for axis in one.axes]
    if "cat" not in names:
        return one
    place = names.index("cat")
    axis = one.axes[place]
    labels = [label for label in axis if label in categories]
    if not labels:
        return None
    fewer = hist.axis.StrCategory(labels, name=axis.name, label=axis.label, overflow=False)
    axes = [fewer if number == place else other for number, other in enumerate(one.axes)]
    new = type(one)(*axes, storage=one.storage_type())
    new.__dict__.update({key: value for key, value in one.__dict__.items() if key != "axes"})
    before = (slice(None),) * place
    target: Any = new.view(flow=True)
    target[...] = one.view(flow=True)[(*before, [axis.index(label) for label in labels])]
    return new
