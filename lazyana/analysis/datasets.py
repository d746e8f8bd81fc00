"""Datasets of an analysis: filesets whose metadata say sample, year and kind."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lazyana.data.fileset import Dataset, Fileset
from lazyana.errors import InputError, did_you_mean
from lazyana.options import at_least

GROUP_BY = ("sample", "year", "era", "primaryDataset", "isSkim")
"""Metadata that separate groups of files: what hooks and cuts may ask for."""

_NUMBERS = ("xsec", "sum_genweights", "sum_signOf_genweights", "skim_rescale_genweights")
_TRUTHS = ("isMC", "isSkim")


@dataclass(frozen=True)
class Filter:
    """Which datasets to run over.

    Attributes
    ----------
    samples, samples_exclude, year, datasets
        Names or patterns (``TTTo*``) to keep, or to leave out; None keeps all.
    """

    samples: tuple[str, ...] | None = None
    samples_exclude: tuple[str, ...] = ()
    year: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None


def load_datasets(sources: Sequence[Any], chosen: Filter | None = None) -> Fileset:
    """The datasets of several fileset files, those that a filter keeps.

    Parameters
    ----------
    sources
        Paths of fileset files, ``{dataset: {"files": [...], "metadata": {...}}}`` in JSON, or such
        mappings. The metadata are ``sample``, ``year``, ``isMC``, for simulation ``xsec`` (pb), for
        data ``era`` and ``primaryDataset``; numbers and truth values may be text.
    chosen
        Which to keep.

    Returns
    -------
    Fileset
        The datasets, their metadata of their proper types.

    Raises
    ------
    InputError
        Metadata that are missing, of another type, or contradict those of the same dataset in
        another file; a filter that names something that is not there, or leaves nothing.
    FileError
        A file that is missing or is no fileset.
    """
    if not sources:
        msg = "There are no datasets: give the paths of fileset files under datasets['jsons']."
        raise InputError(msg)
    found: dict[str, Dataset] = {}
    for source in sources:
        for dataset in Fileset.parse(source).datasets:
            typed = replace(dataset, metadata=_typed(dataset))
            if dataset.name in found and found[dataset.name] != typed:
                raise InputError(_contradiction(found[dataset.name], typed))
            found[dataset.name] = typed
    everything = Fileset(tuple(found.values()))
    return everything if chosen is None else kept(everything, chosen)


def kept(fileset: Fileset, chosen: Filter) -> Fileset:
    """The datasets that a filter keeps.

    Raises
    ------
    InputError
        A filter that names something that is not there, or leaves nothing.
    """
    return Fileset(tuple(_filtered(fileset.datasets, chosen)))


def sample_of(dataset: Dataset) -> str:
    """The sample of a dataset."""
    return str(dataset.metadata["sample"])


def limited(fileset: Fileset, files: int | None) -> Fileset:
    """The first files of each dataset."""
    if files is None:
        return fileset
    at_least("limit_files", files, 1, "file")
    return Fileset(
        tuple(
            replace(
                one,
                files=one.files[:files],
                alternatives={
                    url: others
                    for url, others in one.alternatives.items()
                    if url in dict(one.files[:files])
                },
            )
            for one in fileset.datasets
        )
    )


def _typed(dataset: Dataset) -> dict[str, Any]:
    """The metadata with numbers and truth values as such.

    Raises
    ------
    InputError
        Something that is missing or is none.
    """
    metadata = dict(dataset.metadata)
    where = f"The metadata of dataset {dataset.name!r}"
    if "sample" not in metadata or "year" not in metadata:
        missing = "sample" if "sample" not in metadata else "year"
        hint = did_you_mean(missing, metadata)
        msg = f"{where} have no {missing!r}.{hint} There are: {', '.join(metadata) or 'none'}."
        raise InputError(msg)
    for key in ("sample", "year", "era", "primaryDataset"):
        if key in metadata:
            metadata[key] = str(metadata[key])
    for key in _TRUTHS:
        if key in metadata:
            metadata[key] = _truth(where, key, metadata[key])
    for key in _NUMBERS:
        if metadata.get(key) not in (None, ""):
            metadata[key] = _number(where, key, metadata[key])
    if metadata.get("nano_version") not in (None, ""):
        metadata["nano_version"] = int(_number(where, "nano_version", metadata["nano_version"]))
    is_mc = metadata.get("isMC", dataset.is_mc)
    if is_mc is None:
        msg = f"{where} do not say whether it is simulation: add isMC, True or False."
        raise InputError(msg)
    return {**metadata, "isMC": is_mc, "part": str(metadata.get("part") or "")}


def _truth(where: str, key: str, value: Any) -> bool:
    words = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    msg = f"{where} have {key} = {value!r}: write True or False."
    raise InputError(msg)


def _number(where: str, key: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        msg = f"{where} have {key} = {value!r}, which is no number."
        raise InputError(msg) from error


def _contradiction(one: Dataset, other: Dataset) -> str:
    differ = [
        key
        for key in {**one.metadata, **other.metadata}
        if one.metadata.get(key) != other.metadata.get(key)
    ]
    what = f"the metadata {differ[0]!r} differ" if differ else "the files differ"
    values = (
        f": {one.metadata.get(differ[0])!r} and {other.metadata.get(differ[0])!r}" if differ else ""
    )
    return (
        f"Dataset {one.name!r} is in two fileset files, and {what}{values}. Keep one of them, or "
        "give them different names."
    )


def _filtered(datasets: Iterable[Dataset], chosen: Filter) -> list[Dataset]:
    left = list(datasets)
    samples = sorted({sample_of(one) for one in left})
    years = sorted({str(one.metadata["year"]) for one in left})
    names = [one.name for one in left]
    keep = _matching("sample", chosen.samples, samples)
    drop = _matching("sample", chosen.samples_exclude, samples) if chosen.samples_exclude else set()
    kept_years = _matching("year", chosen.year, years)
    kept_names = _matching("dataset", chosen.datasets, names)
    left = [
        one
        for one in left
        if sample_of(one) in keep - drop
        and str(one.metadata["year"]) in kept_years
        and one.name in kept_names
    ]
    if not left:
        msg = (
            f"The filter leaves no dataset. There are samples {', '.join(samples)} of the years "
            f"{', '.join(years)}, in the datasets {', '.join(names)}."
        )
        raise InputError(msg)
    return left


def _matching(what: str, patterns: Iterable[Any] | None, known: Sequence[str]) -> set[str]:
    """What of the known names some patterns stand for; all where there are none."""
    if patterns is None:
        return set(known)
    found: set[str] = set()
    for pattern in map(str, patterns):
        matches = fnmatch.filter(known, pattern)
        if not matches:
            hint = did_you_mean(pattern, known)
            msg = (
                f"No dataset has the {what} {pattern!r} that the filter names.{hint} There are: "
                f"{', '.join(known)}."
            )
            raise InputError(msg)
        found.update(matches)
    return found


def summary(fileset: Fileset) -> list[Mapping[str, Any]]:
    """What there is to run over: a row for each dataset, to be printed."""
    return [
        {
            "dataset": one.name,
            "sample": sample_of(one),
            "year": one.metadata["year"],
            "kind": "simulation" if one.metadata["isMC"] else "data",
            "files": len(one.files),
        }
        for one in fileset.datasets
    ]
