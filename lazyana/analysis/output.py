"""What an analysis gives: everything under the names that its users know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import hist
import numpy as np
from coffea.processor import column_accumulator

from lazyana.analysis.applied import Part
from lazyana.analysis.build import Recorded
from lazyana.analysis.config import GENERATOR_SUMS, STAGES, Analysis
from lazyana.analysis.datasets import sample_of
from lazyana.analysis.nminusone import SELECTION, common_part, rows_of
from lazyana.data.fileset import Dataset
from lazyana.sinks.base import NOMINAL
from lazyana.sinks.columns import WEIGHT
from lazyana.sinks.histogram import merge_histograms, nominal_as
from lazyana.sinks.tables import ColumnTable


def accumulator_of(made: Recorded, result: Mapping[str, Any]) -> dict[str, Any]:
    """The output of an analysis as nested dictionaries.

    Parameters
    ----------
    made
        The analysis, recorded.
    result
        What its outputs computed to.

    Returns
    -------
    dict
        ``sum_genweights`` and ``sum_signOf_genweights``: float by dataset of simulation.
        ``sumw`` and ``sumw2``: float by category, dataset, sample, variation, of simulation.
        ``cutflow``: numbers of events, of ``initial`` and ``skim`` by dataset, of ``presel`` by
        dataset and variation, of every category by dataset, sample and variation.
        ``variables``: a `hist.Hist` by histogram, sample, dataset, with the axes ``cat``,
        ``variation`` (of simulation) and those of the configuration.
        ``processing_metadata``: likewise, those with an entry for each partition.
        ``columns``: arrays by sample, dataset, category, variation and column.
        ``counts``: what the workflow counts, by name, sample, dataset and variation.
        ``n_minus_one``: of a run that makes N-1 tables ``events``, ``sumw`` and ``sumw2`` by
        selection (``presel`` or category), dataset, sample, row and variation.
        ``normalised``: whether simulation is divided by sums of generator weights;
        ``divided_by``: those sums by sample, dataset and category; ``unweighted``: the histograms
        that count entries.
        ``datasets_metadata``: what is known of the datasets, and which there are by period.
        ``skimmed_files`` and ``nskimmed_events``: files and the number of events in each, by
        dataset, and ``sum_genweights_skimmed``, of a run that writes skims.
        With ``do_postprocessing`` simulation is divided by its sum of generator weights.
    """
    return _Accumulator(made, result).everything()


@dataclass(frozen=True, eq=False)
class _Accumulator:
    """The parts of the output."""

    made: Recorded
    result: Mapping[str, Any]

    @property
    def analysis(self) -> Analysis:
        return self.made.analysis

    def everything(self) -> dict[str, Any]:
        """All of it."""
        found: dict[str, Any] = {
            name: {
                dataset: float(values[NOMINAL]) for dataset, values in self._section(name).items()
            }
            for name in GENERATOR_SUMS.values()
        }
        found |= self._cutflows()
        for section in ("variables", "processing_metadata"):
            found[section] = self._histograms(section)
        found["columns"] = self._columns()
        found["counts"] = {
            name: {target: dict(values) for target, values in some.items()}
            for name, some in self._section("counts").items()
        }
        if "n_minus_one" in self.result:
            found["n_minus_one"] = self._n_minus_one()
        found["datasets_metadata"] = self._metadata()
        found |= self._normalisation()
        found |= self._skims()
        return found

    def _section(self, name: str) -> Mapping[str, Any]:
        """A kind of outputs; there may be none of it."""
        found: Mapping[str, Any] = self.result.get(name, {})
        return found

    @cached_property
    def _datasets(self) -> Mapping[str, Dataset]:
        return {dataset.name: dataset for dataset in self.analysis.fileset.datasets}

    def _is_mc(self, dataset: str) -> bool:
        return bool(self._datasets[dataset].metadata["isMC"])

    def _datasets_of(self, target: str) -> list[str]:
        """The datasets of a sample or subsample."""
        sample = self._sample_of(target)
        return [name for name, one in self._datasets.items() if sample_of(one) == sample]

    def _sample_of(self, target: str) -> str:
        for sample in self.analysis.samples:
            for subsample in self.analysis.rules.subsamples.get(sample) or (None,):
                if self.analysis.rules.names_of(sample, subsample)[-1] == target:
                    return sample
        return target

    def _subsample_of(self, target: str) -> str | None:
        sample = self._sample_of(target)
        return None if sample == target else target.removeprefix(f"{sample}__")

    def _factor(self, target: str, part: str, dataset: str) -> float:
        """What a part is multiplied by."""
        if not self._is_mc(dataset):
            return 1.0
        return 1 / self._divisor(self._parts(target)[int(part)], dataset)

    def _parts(self, target: str) -> tuple[Part, ...]:
        """The categories of a sample or subsample of simulation that are weighed alike."""
        return self.analysis.rules.parts(self._sample_of(target), self._subsample_of(target))

    def _divisor(self, part: Part, dataset: str) -> float:
        """What simulation is divided by: the sum of its generator weights."""
        if not self.analysis.do_postprocessing or not self._is_mc(dataset):
            return 1.0
        for weight, name in GENERATOR_SUMS.items():
            if weight not in part.weights:
                continue
            return float(self._section(name)[dataset][NOMINAL]) or 1.0
        return 1.0

    def _cutflows(self) -> dict[str, Any]:
        cuts = len(self.analysis.skim), len(self.analysis.preselections)
        cutflow: dict[str, Any] = {stage: {} for stage in STAGES}
        sumw: dict[str, Any] = {}
        sumw2: dict[str, Any] = {}
        for target, parts in self._section("cutflow").items():
            for part, one in parts.items():
                skim, presel = one.stages[cuts[0]], one.stages[sum(cuts)]
                for dataset in one.datasets:
                    variations = self._variations(one.variations, dataset)
                    cutflow["initial"][dataset] = one.count(one.stages[0], dataset)
                    cutflow["skim"][dataset] = one.count(skim, dataset)
                    cutflow["presel"].setdefault(dataset, {}).update(
                        {label: one.count(presel, dataset, label) for label in variations}
                    )
                    factor = self._factor(target, part, dataset)
                    for category in one.categories:
                        cutflow.setdefault(category, {}).setdefault(dataset, {})[target] = {
                            label: one.count(category, dataset, label) for label in variations
                        }
                        if not self._is_mc(dataset):
                            continue
                        for found, values, power in ((sumw, one.sumw, 1), (sumw2, one.sumw2, 2)):
                            row = values[one.datasets.index(dataset), :, one.stages.index(category)]
                            found.setdefault(category, {}).setdefault(dataset, {})[target] = {
                                label: factor**power * float(row[one.variations.index(label)])
                                for label in variations
                            }
        return {"cutflow": cutflow, "sumw": sumw, "sumw2": sumw2}

    def _variations(self, labels: Iterable[str], dataset: str) -> list[str]:
        """The variations of a dataset: nominal only for data, and none of other years."""
        if not self._is_mc(dataset):
            return [label for label in labels if label == NOMINAL]
        return [label for label in labels if label not in self._labels_of_others[dataset]]

    @cached_property
    def _labels_of_others(self) -> dict[str, set[str]]:
        """For each dataset, the labels of variations that only others have."""
        own = self.made.labels
        every: set[str] = set().union(*own.values())
        return {name: every - own.get(name, set()) for name in self._datasets}

    def _n_minus_one(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for target, cutflows in self._section("n_minus_one").items():
            for number, one in cutflows.items():
                for dataset in one.datasets:
                    variations = self._variations(one.variations, dataset)
                    for place, part in self._places(target, number):
                        factor = 1 / self._divisor(part, dataset)
                        rows = rows_of(one, place, dataset, variations, factor)
                        if rows:
                            found.setdefault(place, {}).setdefault(dataset, {})[target] = rows
        return found

    def _places(self, target: str, number: str) -> list[tuple[str, Part]]:
        """What an N-1 table is of, and how that is weighed."""
        rules = self.analysis.rules
        sample, subsample = self._sample_of(target), self._subsample_of(target)
        if number == SELECTION:
            return [(SELECTION, common_part(rules, sample, subsample))]
        part = rules.parts(sample, subsample)[int(number)]
        return [(category, part) for category in part.categories]

    def _normalisation(self) -> dict[str, Any]:
        """What simulation was divided by, and which histograms were not."""
        divisors: dict[str, Any] = {}
        for target, cutflows in self._section("cutflow").items():
            for number, one in cutflows.items():
                for dataset in filter(self._is_mc, one.datasets):
                    part = self._parts(target)[int(number)]
                    divisor = self._divisor(part, dataset)
                    if divisor != 1:
                        place = divisors.setdefault(target, {}).setdefault(dataset, {})
                        place |= dict.fromkeys(part.categories, divisor)
        if "n_minus_one" in self.result:
            for target, datasets in divisors.items():
                for dataset, place in datasets.items():
                    [(_, part)] = self._places(target, SELECTION)
                    place[SELECTION] = self._divisor(part, dataset)
        counted = [name for name, one in self.made.variables.items() if one.no_weights]
        normalised = self.analysis.do_postprocessing
        return {"normalised": normalised, "divided_by": divisors, "unweighted": counted}

    def _histograms(self, section: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, targets in self._section(section).items():
            variable = self.made.variables[name]
            for target, parts in targets.items():
                for dataset in self._datasets_of(target):
                    some = [
                        (one, 1.0 if variable.no_weights else self._factor(target, part, dataset))
                        for part, one in parts.items()
                        if dataset in one.axes["dataset"]
                    ]
                    if not some:
                        continue
                    if len(some) > 1:
                        some = [(_united([_of_dataset(*one, dataset) for one in some]), 1.0)]
                    place = found.setdefault(name, {}).setdefault(target, {})
                    labels = self._variations(some[0][0].axes["variation"], dataset)
                    place[dataset] = variable.stored(
                        _named_as_users_know(
                            *some[0], dataset, labels if self._is_mc(dataset) else None
                        )
                    )
        return found

    def _columns(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for target, categories in self._section("columns").items():
            for category, table in categories.items():
                if not isinstance(table, ColumnTable):
                    continue  # written to files, which the result knows of
                for dataset in table.datasets:
                    place = found.setdefault(target, {}).setdefault(dataset, {})
                    place[category] = {
                        label: self._arrays(
                            target, category, label, table.to_awkward(dataset, label)
                        )
                        for label in self._variations(table.variations(dataset), dataset)
                    }
        return found

    def _arrays(self, target: str, category: str, variation: str, table: Any) -> dict[str, Any]:
        """The columns of one category of a dataset, as the configuration wants them."""
        found: dict[str, Any] = {}
        for one in self.made.columns[target, category]:
            found |= {
                name: column_accumulator(column) if isinstance(column, np.ndarray) else column
                for name, column in one.arrays({n: table[n] for n in table.fields}).items()
            }
        for name in table.fields:
            # Weights are varied of nominal events only: elsewhere those columns are empty.
            if name == WEIGHT or (variation == NOMINAL and name.startswith(f"{WEIGHT}_")):
                label = name.replace(f"{WEIGHT}_", f"{WEIGHT}_variation_", 1)
                found[label] = column_accumulator(np.asarray(table[name]))
        return found

    def _skims(self) -> dict[str, Any]:
        """The skimmed files, and what is in each, where there are any."""
        found: dict[str, Any] = {"skimmed_files": {}, "nskimmed_events": {}}
        sums: dict[str, float] = {}
        cutflow: dict[str, dict[str, int]] = {stage: {} for stage in STAGES}
        for skim in self._section("skims").values():
            for name, files in skim.files.items():
                one = skim.summary(name)
                found["skimmed_files"][name] = list(files)
                found["nskimmed_events"][name] = [int(file["events"]) for file in one["files"]]
                cutflow["initial"][name], cutflow["skim"][name] = one["entries"], one["events"]
                if one["sumw_kept"] is not None:
                    sums[name] = one["sumw_kept"]
        if not found["skimmed_files"]:
            return {}
        return {**found, "sum_genweights_skimmed": sums, "cutflow": cutflow}

    def _metadata(self) -> dict[str, Any]:
        periods: dict[str, Any] = {}
        for name, dataset in self._datasets.items():
            sample, year = sample_of(dataset), str(dataset.metadata["year"])
            for subsample in self.analysis.rules.subsamples.get(sample) or (None,):
                target = self.analysis.rules.names_of(sample, subsample)[-1]
                periods.setdefault(year, {}).setdefault(target, []).append(name)
        return {
            "by_datataking_period": periods,
            "by_dataset": {name: dict(one.metadata) for name, one in self._datasets.items()},
        }


def _of_dataset(one: hist.Hist[Any], factor: float, dataset: str) -> hist.Hist[Any]:
    """A histogram with that dataset only, multiplied by a factor."""
    axes = (_labels([dataset], "dataset"), *tuple(one.axes)[1:])
    new: hist.Hist[Any] = hist.Hist(*axes, storage=hist.storage.Weight(), label=one.label)
    target: Any = new.view(flow=True)
    _copy(one, factor, dataset, target[0])
    return new


def _united(parts: list[hist.Hist[Any]]) -> hist.Hist[Any]:
    """The categories of several parts; a variation that one lacks is nominal there."""
    if len(parts) == 1:
        return parts[0]
    labels = dict.fromkeys(label for one in parts for label in one.axes["variation"])
    filled = list(parts)
    for one in parts:
        missing = [label for label in labels if label not in one.axes["variation"]]
        filled += [nominal_as(one, list(one.axes["dataset"]), label) for label in missing]
    return merge_histograms(filled)


def _named_as_users_know(
    one: hist.Hist[Any], factor: float, dataset: str, labels: Sequence[str] | None
) -> hist.Hist[Any]:
    """One dataset of a histogram, times a factor: axes ``cat``, ``variation`` and its own.

    ``variation`` has the labels given; without any, there is no such axis, and all is nominal.
    """
    _, category, variation, *axes = one.axes
    first = [_labels(category, "cat")]
    if labels is not None:
        first.append(_labels(labels, "variation"))
    new: hist.Hist[Any] = hist.Hist(*first, *axes, storage=hist.storage.Weight(), label=one.label)
    which: Any = variation.index(NOMINAL)
    if labels is not None:
        every = len(labels) == len(variation)
        which = slice(None) if every else [variation.index(label) for label in labels]
    _copy(one, factor, dataset, new.view(flow=True), which)
    return new


def _copy(
    one: hist.Hist[Any], factor: float, dataset: str, target: Any, which: Any = slice(None)
) -> None:
    """Put one dataset of a histogram, times a factor, where it belongs."""
    source: Any = one.view(flow=True)[one.axes["dataset"].index(dataset)][:, which]
    np.multiply(source["value"], factor, out=target["value"])
    np.multiply(source["variance"], factor**2, out=target["variance"])


def _labels(labels: Iterable[str], name: str) -> Any:
    """An axis of labels, all of which are known."""
    return hist.axis.StrCategory(list(labels), name=name, label=name, overflow=False)
