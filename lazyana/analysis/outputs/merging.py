"""Merging outputs: one file at a time, or one output of all files at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coffea.util import load as load_coffea
from coffea.util import save as save_coffea

from lazyana.analysis.outputs.accumulators import added, agreeing, rescaled
from lazyana.analysis.outputs.origin import Origin
from lazyana.analysis.outputs.results import merge_results
from lazyana.errors import FileError, InputError
from lazyana.reader.records import written_whole

COFFEA, LAZYANA = ".coffea", ".lazyana"


@dataclass(frozen=True)
class Merged:
    """What merging did.

    Attributes
    ----------
    path
        The file that was written.
    datasets
        Those that are in it.
    notices
        What should be known of it.
    """

    path: Path
    datasets: tuple[str, ...]
    notices: tuple[str, ...]


def merge_outputs(
    paths: Iterable[str | os.PathLike[str]],
    target: str | os.PathLike[str],
    *,
    different_files: bool = False,
    overwrite: bool = False,
) -> Merged:
    """Merge outputs of runs over different datasets, or different files of a dataset.

    Parameters
    ----------
    paths
        The outputs, ``.coffea`` (of this package, of PocketCoffea, or any accumulators by dataset)
        or ``.lazyana``. Of the first kind there are two in memory at a time, the merged one and
        another; of the second kind one output (histogram, table, ...) at a time.
    target
        The file to write, of the same kind.
    different_files
        That outputs without a record of the files they were made from are of different files, and
        not yet divided by sums of weights.
    overwrite
        Whether `target` may be replaced.

    Returns
    -------
    Merged
        What was written.

    Raises
    ------
    InputError
        Outputs that cannot be merged: the same events twice, other axes or keys, normalised and
        not; with the place.
    FileError
        A file that is missing or no output.
    OutputExistsError
        Where `target` exists and `overwrite` is not set.
    """
    given, written = [Path(path) for path in paths], Path(target)
    kinds = {path.suffix for path in (*given, written)}
    if not given or len(kinds) != 1 or kinds > {COFFEA} or kinds - {COFFEA, LAZYANA}:
        msg = (
            f"Outputs to merge are {COFFEA} or {LAZYANA} files, all of one kind with the file to "
            f"write; these are {', '.join(sorted(kinds)) if given else 'none'}."
        )
        raise InputError(msg)
    for path in given:
        if not path.is_file():
            msg = f"There is no output {path}."
            raise FileError(msg)
    origin = Origin(different_files)
    if kinds == {LAZYANA}:
        notices = merge_results(given, written, origin, overwrite=overwrite)
        return Merged(written, tuple(origin.datasets), (*notices, *origin.notices()))
    with written_whole(written, overwrite=overwrite) as temporary:
        save_coffea(_merge_accumulators(given, origin), str(temporary))
    return Merged(written, tuple(origin.datasets), tuple(origin.notices()))


def load_accumulators(path: Path) -> dict[str, Any]:
    """An output of nested dictionaries.

    Raises
    ------
    FileError
        A file that is none.
    """
    try:
        output = load_coffea(str(path))
    except Exception as error:
        msg = f"{path} cannot be read as an output: {type(error).__name__}: {error}"
        raise FileError(msg) from error
    if not isinstance(output, dict):
        msg = f"{path} holds a {type(output).__name__}, not a dictionary of results."
        raise FileError(msg)
    return output


def datasets_of(output: Mapping[str, Any]) -> list[str]:
    """The datasets of an output: its keys, where it is not an analysis with sections."""
    if "datasets_metadata" not in output:
        return list(map(str, output))
    counted = output.get("cutflow", {}).get("initial", {})
    return list({**counted, **output.get("skimmed_files", {})})


def _merge_accumulators(paths: Sequence[Path], origin: Origin) -> dict[str, Any]:
    first, *others = paths
    merged = _noted(first, origin)[0]
    undone: dict[tuple[str, str], dict[str, float]] = {}
    for path in others:
        output, again = _noted(path, origin)
        _check_same_kind(merged, output, first, path)
        # Shares of a dataset are added before they are divided by the sum of all their weights.
        for key in _divided(output, again):
            before = undone[key] if key in undone else _undivided(merged, *key)
            share = _undivided(output, *key)
            undone[key] = {name: before.get(name, 0.0) + one for name, one in share.items()}
        merged = _added(merged, output)
    for (target, dataset), sums in undone.items():
        rescaled(merged, target, dataset, {name: 1 / total for name, total in sums.items()})
        merged["divided_by"].setdefault(target, {})[dataset] = sums
    _check_counts(merged, origin)
    if origin.files:
        merged["provenance"] = origin.record()
    return merged


def _noted(path: Path, origin: Origin) -> tuple[dict[str, Any], set[str]]:
    """An output without the record of its origin, and which of its datasets were there before."""
    output = load_accumulators(path)
    record = output.pop("provenance", {})
    if record:
        origin.made_by(record["analysis"], path, complete=record["complete"])
    return output, origin.add(path, datasets_of(output), record.get("files"))


def _check_same_kind(
    one: Mapping[str, Any], other: Mapping[str, Any], path: Path, other_path: Path
) -> None:
    """Refuse outputs of different sections, or normalised and not."""
    if "datasets_metadata" not in one and "datasets_metadata" not in other:
        return
    if differ := sorted(set(one) ^ set(other)):
        msg = (
            f"{path} and {other_path} are outputs of different kinds: only one of them has "
            f"{', '.join(map(repr, differ))}."
        )
        raise InputError(msg)
    if one.get("normalised") != other.get("normalised"):
        msg = (
            f"Simulation is divided by sums of generator weights in one of {path} and "
            f"{other_path} only: run both with the same do_postprocessing."
        )
        raise InputError(msg)


def _divided(output: Mapping[str, Any], datasets: Iterable[str]) -> list[tuple[str, str]]:
    """The samples and datasets whose weights an output has divided."""
    chosen = set(datasets)
    return [
        (target, dataset)
        for target, some in output.get("divided_by", {}).items()
        for dataset in some
        if dataset in chosen
    ]


def _undivided(output: Mapping[str, Any], target: str, dataset: str) -> dict[str, float]:
    """What weights were divided by, which they are no longer."""
    # What has no events is divided by nothing.
    sums: dict[str, float] = output["divided_by"].get(target, {}).pop(dataset, {})
    rescaled(output, target, dataset, sums)
    return sums


def _added(merged: dict[str, Any], output: dict[str, Any]) -> dict[str, Any]:
    """Two outputs as one; what describes them is not added up."""
    described = {
        section: agreeing(merged.pop(section), output.pop(section), (section,))
        for section in ("datasets_metadata", "normalised", "divided_by", "unweighted")
        if section in output
    }
    return {**added(merged, output), **described}


def _check_counts(merged: Mapping[str, Any], origin: Origin) -> None:
    """Refuse more events than there are, of datasets whose files nobody knows."""
    metadata = merged.get("datasets_metadata", {}).get("by_dataset", {})
    for dataset, events in merged.get("cutflow", {}).get("initial", {}).items():
        known = metadata.get(dataset, {}).get("nevents")
        if dataset not in origin.files and known not in (None, "") and events > int(known):
            msg = (
                f"These outputs are of {events:,} events of dataset {dataset!r}, which has "
                f"{int(known):,}: some are counted twice."
            )
            raise InputError(msg)
