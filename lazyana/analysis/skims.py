"""Skims that a run wrote: their fileset, and merging their files into few."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coffea.util import load as load_coffea

from lazyana.analysis.config import GENERATOR_SUMS
from lazyana.analysis.datasets import Filter, load_datasets
from lazyana.analysis.schema import SkimSection
from lazyana.data.catalog import Catalog
from lazyana.data.fileset import Fileset
from lazyana.engine.progress import watch
from lazyana.errors import FileError, InputError, OutputExistsError, did_you_mean
from lazyana.frame.skimming import fitting
from lazyana.reader.records import written_whole
from lazyana.sinks.hadd import Merge, plan_merges
from lazyana.sinks.skimfile import EVENTS

DEFINITION = "skimmed_dataset_definition_hadd.json"

#: Most files that become one, unless told otherwise.
MAX_FILES = 500


def check_branches(skims: SkimSection | None, catalog: Catalog) -> None:
    """Refuse patterns of branches that no file has; data may lack some of simulation.

    Raises
    ------
    InputError
        Naming the pattern.
    """
    if skims is None:
        return
    names = set().union(*(layout.types for layout in catalog.layouts.values()))
    for option, patterns in (("keep", skims.keep or ()), ("drop", skims.drop)):
        for pattern in patterns:
            if not fitting(pattern, names):
                groups = {name.partition("_")[0] for name in names}
                msg = (
                    f"save_skimmed_files has {option} = {pattern!r}, which fits no branch of any "
                    f"file.{did_you_mean(pattern, sorted(names | groups))} Give names of branches "
                    "or collections, or patterns such as 'Jet_*'."
                )
                raise InputError(msg)


def skimmed_fileset(output: Mapping[str, Any]) -> dict[str, Any]:
    """The fileset of the skims that a run wrote, for further runs.

    Parameters
    ----------
    output
        What `lazyana.analysis.output.accumulator_of` gave, or the output of PocketCoffea.

    Returns
    -------
    dict
        ``{dataset: {"files": [...], "metadata": {...}}}``; the metadata know the sums of generator
        weights of all events, by which simulation is divided.
    """
    known = output["datasets_metadata"]["by_dataset"]
    return {
        name: {"files": list(files), "metadata": _metadata(output, name, known[name])}
        for name, files in output.get("skimmed_files", {}).items()
    }


def _metadata(output: Mapping[str, Any], name: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """What further runs have to know of a skimmed dataset."""
    # PocketCoffea compares them with text.
    found: dict[str, Any] = {
        key: str(one) if isinstance(one, bool) else one for key, one in known.items()
    }
    found |= {"isSkim": "True", "nevents": sum(output["nskimmed_events"][name])}
    read = output["cutflow"]["initial"].get(name, 0)
    if read:
        found["skim_efficiency"] = found["nevents"] / read
    for key in GENERATOR_SUMS.values():
        total = float(output[key].get(name, math.nan))
        found.pop(key, None)
        if math.isfinite(total):
            found[key] = total
    left = output.get("sum_genweights_skimmed", {}).get(name)
    if left and "sum_genweights" in found:
        found["skim_rescale_genweights"] = found["sum_genweights"] / float(left)
    return found


def open_definition(path: Path) -> dict[str, Any]:
    """The fileset of skims, of a file that a skimming run wrote.

    Parameters
    ----------
    path
        The output (``output_all.coffea``) or the fileset (``skimmed_dataset_definition.json``), of
        lazyana or PocketCoffea.

    Raises
    ------
    FileError
        A file that is not there or is something else.
    InputError
        An output of a run that wrote no skims.
    """
    if not path.is_file():
        msg = f"There is no file {path}: give the output or the fileset of a run that wrote skims."
        raise FileError(msg)
    if path.suffix == ".json":
        return Fileset.parse(path).to_dict()
    try:
        output = load_coffea(str(path))
    except Exception as error:
        msg = f"{path} is neither a fileset in JSON nor an output: {error}"
        raise FileError(msg) from error
    if not isinstance(output, Mapping) or not output.get("skimmed_files"):
        msg = f"{path} is of a run that wrote no skims: give save_skimmed_files and run it again."
        raise InputError(msg)
    return skimmed_fileset(output)


@dataclass(frozen=True)
class Merging:
    """Files of skims that are to become fewer.

    Attributes
    ----------
    merges
        By dataset, what becomes one file each.
    metadata
        What is known of the datasets.
    definition
        Where the fileset of the merged files is written.
    """

    merges: Mapping[str, tuple[Merge, ...]]
    metadata: Mapping[str, Mapping[str, Any]]
    definition: Path

    @property
    def every(self) -> tuple[Merge, ...]:
        """All merges."""
        return tuple(merge for some in self.merges.values() for merge in some)

    @property
    def fileset(self) -> dict[str, Any]:
        """The fileset of the merged files."""
        return {
            name: {"files": [one.url for one in some], "metadata": dict(self.metadata[name])}
            for name, some in self.merges.items()
        }

    def table(self) -> list[tuple[str, ...]]:
        """What becomes what: dataset, number of files before and after, events."""
        head = ("dataset", "files", "merged", "events")
        rows = (
            (
                name,
                str(sum(len(one.pieces) for one in some)),
                str(len(some)),
                f"{sum(one.entries for one in some):,}",
            )
            for name, some in self.merges.items()
        )
        return [head, *rows]

    def problems(self) -> list[str]:
        """What is missing or wrong of the merged files."""
        return [found for one in self.every if (found := one.problem()) is not None]

    def run(
        self, *, workers: int = 1, overwrite: bool = False, progress: bool | None = None
    ) -> dict[str, Any]:
        """Merge, and write the fileset.

        Files that an earlier run merged, with all their events, are left as they are, so that a
        run that was interrupted goes on.

        Parameters
        ----------
        workers
            How many files are made at a time.
        overwrite
            Whether files that are there may be replaced; all are made anew then.
        progress
            Whether to show a bar; None: if standard error is a terminal.

        Returns
        -------
        dict
            The fileset.

        Raises
        ------
        OutputExistsError
            Something else is in the way; nothing was written then.
        FileError, RunError
            A file that cannot be read, or that is not what was read.
        """
        left = [one for one in self.every if overwrite or not _is_done(one)]
        fileset = self.fileset
        if self.definition.exists() and not overwrite and _content(self.definition) != fileset:
            msg = (
                f"{self.definition} is there already, of other files: move it, or replace it with "
                "overwrite (--overwrite)."
            )
            raise OutputExistsError(msg)
        with watch("merging", len(left), show=progress, unit="files") as watcher:
            for entries in _all_of(left, workers):
                watcher.done(entries)
        with written_whole(self.definition, overwrite=True) as temporary:
            temporary.write_text(json.dumps(fileset, indent=2) + "\n", encoding="utf-8")
        return fileset


def merging(
    source: Path,
    folder: str | os.PathLike[str] | None = None,
    *,
    samples: Iterable[str] | None = None,
    datasets: Iterable[str] | None = None,
    max_files: int | None = None,
    max_events: int | None = None,
) -> Merging:
    """Find out which files of skims become which; nothing is written.

    Parameters
    ----------
    source
        As for `open_definition`. The fileset of the merged files is written beside it.
    folder
        Directory or URL to write to: ``<dataset>/<dataset>-000.root``; default: ``hadd``, beside
        the folders that the skims were written to.
    samples, datasets
        Names or patterns of those to merge; None: all.
    max_files, max_events
        Most files that become one (default: 500), and most events in one.

    Raises
    ------
    InputError, InputTypeError, FileError
        A name that nothing has, a limit that is none, files that cannot be read, do not fit
        together, or have other numbers of events than the skimming run wrote.
    """
    chosen = Filter(
        samples=None if samples is None else tuple(samples),
        datasets=None if datasets is None else tuple(datasets),
    )
    definition = open_definition(source)
    fileset = load_datasets([definition], chosen)
    found = {one.name: one for one in fileset.datasets if one.files}
    if not found:
        msg = f"There are no files to merge: the skims of {source} are all empty."
        raise InputError(msg)
    first = next(url for one in found.values() for url, _ in one.files)
    base = os.fspath(folder) if folder else _beside(first)
    merges: dict[str, tuple[Merge, ...]] = {}
    for name, dataset in found.items():
        merges[name] = plan_merges(
            [url for url, _ in dataset.files],
            f"{base.rstrip('/')}/{name}",
            name=name,
            max_files=MAX_FILES if max_files is None else max_files,
            max_events=max_events,
            tree=next((tree for _, tree in dataset.files if tree), EVENTS),
        )
        _check_events(name, dataset.metadata, sum(one.entries for one in merges[name]))
    metadata = {name: dict(definition[name]["metadata"]) for name in found}
    return Merging(merges, metadata, source.absolute().parent / DEFINITION)


def _check_events(name: str, metadata: Mapping[str, Any], events: int) -> None:
    """Refuse files that are not those that were written."""
    expected = metadata.get("nevents")
    if expected not in (None, "") and int(expected) != events:
        msg = (
            f"The files of dataset {name!r} have {events:,} events, and the run that wrote them "
            f"counted {int(expected):,}: files are missing, or were changed. Run it again."
        )
        raise InputError(msg)


def _beside(url: str) -> str:
    """A folder next to the one that skims were written to, given one of their files."""
    return f"{url.rsplit('/', 3)[0]}/hadd"


def _is_done(merge: Merge) -> bool:
    """Whether a file is there, with all its events."""
    if not merge.exists():
        return False
    problem = merge.problem()
    if problem is not None:
        msg = f"{problem} Replace it with overwrite (--overwrite), or choose another folder."
        raise OutputExistsError(msg)
    return True


def _content(path: Path) -> Any:
    with contextlib.suppress(ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None


def _all_of(merges: Iterable[Merge], workers: int) -> Iterator[int]:
    """Run merges, some at a time; the number of events of each that is done."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        futures = [pool.submit(merge.run) for merge in merges]
        try:
            for future in as_completed(futures):
                yield future.result().entries
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
