"""The sums of generator weights that simulation is divided by, also where it was skimmed before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lazyana.analysis.config import GENERATOR_SUMS, Analysis
from lazyana.data.catalog import Catalog
from lazyana.data.fileset import Dataset
from lazyana.engine.result import Result
from lazyana.errors import InputError
from lazyana.frame.events import Events
from lazyana.frame.origin import standing_for
from lazyana.reader.fileinfo import FileInfo
from lazyana.reader.origin import RESCALE

#: Sums of PocketCoffea's older outputs are float32.
_SAME = 1e-3


@dataclass(frozen=True)
class Remark:
    """Something about the sums of a dataset that its users should know.

    Attributes
    ----------
    dataset
        Which.
    text
        What.
    events
        It is told only if fewer events than that were processed; None: in any case.
    """

    dataset: str
    text: str
    events: int | None = None


@dataclass(frozen=True)
class Normalisation:
    """How the sums of generator weights of all events are found.

    Simulation that was not skimmed is divided by the sum of the events that are processed, before
    any cut. An event of a skim stands for others, too: of the sum over the events that a file was
    made from, which its ``Runs`` tree tells, it has its share. Where files do not tell, it has its
    share of the sum that the metadata of the dataset tell; where these do not, either, its weight
    counts as many times as its ``skimRescaleGenWeight`` says. So the sum is that of the files and
    partitions that are processed.

    Attributes
    ----------
    shares
        For each sum, what events of skims stand for.
    remarks
        What the run report has to tell.
    """

    shares: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()

    @classmethod
    def of(cls, analysis: Analysis, catalog: Catalog) -> Normalisation:
        """What is known of the datasets of an analysis.

        Raises
        ------
        InputError
            A skim of which nobody knows what it was made from, though it is divided by that.
        """
        shares: dict[str, dict[str, Mapping[str, float]]] = {}
        remarks: list[Remark] = []
        listed = {one.name: len(one.files) for one in analysis.fileset.datasets}
        used = {name for _, _, name in analysis.rules.weights.entries()}
        for dataset in catalog.fileset.datasets:
            files = catalog.files[dataset.name]
            rescaled = bool(files) and all(
                RESCALE in catalog.layouts[one.signature].types for one in files
            )
            if not dataset.metadata["isMC"] or not (dataset.metadata.get("isSkim") or rescaled):
                continue
            whole = len(files) == listed[dataset.name]
            for place, (weight, name) in enumerate(GENERATOR_SUMS.items()):
                one = _Skim(dataset, files, whole, name, [file.origin[place] for file in files])
                found = one.shares()
                is_used = weight in used and analysis.do_postprocessing
                if found is None and place == 0 and rescaled:
                    remarks += [one.remark(_EMPTY)] * is_used
                    continue
                if found is None and is_used:
                    raise InputError(one.unknown(weight))
                shares.setdefault(name, {})[dataset.name] = (
                    dict.fromkeys((file.url for file in files), math.nan)
                    if found is None
                    else found
                )
                remarks += one.remarks() if found and is_used else ()
        return cls(shares, tuple(remarks))

    def sums(self, frame: Events) -> dict[str, Any]:
        """The outputs of a group of simulated datasets: the sums of all its events.

        Parameters
        ----------
        frame
            The events before any cut.
        """
        weight = frame.genWeight
        by_name = dict(zip(GENERATOR_SUMS.values(), (weight, np.sign(weight)), strict=True))
        if RESCALE in frame.fields:
            by_name["sum_genweights"] = weight * frame[RESCALE]
        return {
            name: frame.sum(standing_for(frame, column, self.shares.get(name, {})))
            for name, column in by_name.items()
        }

    def told(self, result: Result) -> Result:
        """A result whose run report tells what there is to be known of the sums."""
        read = {name: one.events_read for name, one in result.report.datasets.items()}
        warnings = (
            f"Dataset {one.dataset!r}: {one.text}"
            for one in self.remarks
            if one.events is None or read.get(one.dataset, 0) < one.events
        )
        every = tuple(dict.fromkeys((*result.report.warnings, *warnings)))
        return replace(result, report=replace(result.report, warnings=every))


_EMPTY = (
    f"its sum of generator weights is that of its {RESCALE}, which does not count the parts of the "
    "original files of which no event was left. The fileset of a later skimming run tells the sum."
)


@dataclass(frozen=True)
class _Skim:
    """A skimmed dataset, and one of its sums.

    Attributes
    ----------
    dataset, files
        The dataset, and those of its files that are read.
    whole
        Whether these are all.
    name
        Name of the sum.
    sums
        What the files tell of it.
    """

    dataset: Dataset
    files: Sequence[FileInfo]
    whole: bool
    name: str
    sums: Sequence[float | None]

    @property
    def stated(self) -> float | None:
        """The sum that the metadata tell."""
        found = self.dataset.metadata.get(self.name)
        return None if found in (None, "") else float(found)

    @property
    def told(self) -> float | None:
        """The sum that the files tell, if all of them do."""
        known = [one for one in self.sums if one is not None and math.isfinite(one)]
        return math.fsum(known) if len(known) == len(self.sums) else None

    @property
    def differ(self) -> bool:
        """Whether metadata and files contradict each other."""
        if not self.whole or self.stated is None or self.told is None:
            return False
        return not math.isclose(self.stated, self.told, rel_tol=_SAME)

    @property
    def events(self) -> int | None:
        """Number of events of the whole skim."""
        if self.whole:
            return sum(file.entries for file in self.files)
        found = self.dataset.metadata.get("nevents")
        return None if found in (None, "") else int(float(found))

    @property
    def by_file(self) -> bool:
        """Whether it is the files that are asked."""
        return self.told is not None and not self.differ

    def shares(self) -> dict[str, float] | None:
        """What an event of each file stands for; None if that is not known."""
        if self.by_file:
            return _by_file(self.files, [one or 0.0 for one in self.sums])
        if self.stated is None or self.events is None:
            return None
        return dict.fromkeys((file.url for file in self.files), self.stated / (self.events or 1))

    def remarks(self) -> Iterable[Remark]:
        """What is to be known where the shares are."""
        if self.differ:
            yield self.remark(
                f"its metadata have {self.name} = {self.stated:.8g}, its files {self.told:.8g}. "
                "Simulation is divided by the former."
            )
        if not self.by_file:
            yield self.remark(
                f"not all of its {self.events:,} events were processed, and which part of its "
                f"{self.name} belongs to those that were is not known: it is taken to be as large "
                "as their part of the events.",
                self.events,
            )

    def remark(self, text: str, events: int | None = None) -> Remark:
        """A remark on the dataset."""
        return Remark(self.dataset.name, text, events)

    def unknown(self, weight: str) -> str:
        """Message that the sum is not known."""
        what = (
            f"its metadata have no {self.name}, the sum over all events before the skim"
            if self.stated is None
            else "its metadata have no nevents, the number of events in all of its files, of which "
            "only some are read"
        )
        return (
            f"Dataset {self.dataset.name!r} is a skim (isSkim) and is weighed by {weight}, but "
            f"neither do its files tell what they were made from, and {what}: take the fileset "
            "that the skimming run wrote, or set do_postprocessing=False."
        )


def _by_file(files: Iterable[FileInfo], sums: Iterable[float]) -> dict[str, float]:
    """What an event of each file stands for; files without events belong to the next one."""
    found: dict[str, float] = {}
    waiting, last = 0.0, None
    for file, total in zip(files, sums, strict=True):
        waiting += total
        if file.entries:
            found[file.url], waiting, last = waiting / file.entries, 0.0, file
    if last is not None:
        found[last.url] += waiting / last.entries
    return found
