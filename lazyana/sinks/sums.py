"""Sums of a column over all events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from lazyana.sinks.base import NOMINAL, Place, total

Sums = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Sum:
    """The sum of a column, or of the event weight.

    Attributes
    ----------
    weighted
        Whether each value counts with the weight of its event.
    weight_variations, shape_variations
        Labels of the variations.
    """

    weighted: bool = True
    weight_variations: tuple[str, ...] = ()
    shape_variations: tuple[str, ...] = ()

    kind = "sum"

    def fill(self, place: Place, weights: Any, column: Any) -> npt.NDArray[np.float64]:
        """Sum over the events, shape ``(1 + weight variations,)``, float64.

        None counts as nothing. A column with several values an event is summed over all of them.
        """
        if column is None:
            number = [place.entries] if weights is None else weights.sum(axis=0)
            return np.asarray(number, dtype=np.float64)
        values = ak.values_astype(column, np.float64)
        while values.ndim > 1:
            values = ak.sum(values, axis=-1)
        plain = ak.to_numpy(ak.fill_none(values, 0.0))
        if weights is None or not self.weighted:
            return np.array([plain.sum()])
        return np.asarray((weights * plain[:, np.newaxis]).sum(axis=0))

    def merge(self, states: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        """Sum, in the order given."""
        return total(states)

    def finish(
        self, states: Mapping[tuple[str, str], npt.NDArray[np.float64]], datasets: Sequence[str]
    ) -> Sums:
        """The sum for every dataset and variation: ``value[dataset][variation]``."""
        labels = (NOMINAL, *self.weight_variations)
        value: Sums = {}
        for dataset in sorted(datasets):
            nominal = states.get((dataset, NOMINAL), np.zeros(len(labels)))
            if len(nominal) < len(labels):  # not weighted: no weight variation changes it
                nominal = np.repeat(nominal[:1], len(labels))
            by_label = {label: float(nominal[i]) for i, label in enumerate(labels)}
            for variation in self.shape_variations:
                by_label[variation] = float(states.get((dataset, variation), nominal)[0])
            value[dataset] = by_label
        return value


def unite_sums(values: Sequence[Sums]) -> Sums:
    """Sums of several groups of datasets in one mapping.

    Those of a dataset that is in several groups are added; where one of them lacks a variation,
    its nominal value is taken.
    """
    parts: dict[str, list[Mapping[str, float]]] = {}
    for value in values:
        for dataset, by_label in value.items():
            parts.setdefault(dataset, []).append(by_label)
    return {
        dataset: {
            label: sum(part.get(label, part[NOMINAL]) for part in mine)
            for label in dict.fromkeys(label for part in mine for label in part)
        }
        for dataset, mine in parts.items()
    }
