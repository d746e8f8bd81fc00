"""Cutflows: how many events are left after each cut, in every variation, in the same pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lazyana.errors import InputError, did_you_mean
from lazyana.sinks.base import NOMINAL, Membership, Place, plain, total
from lazyana.sinks.fill import Entries, Target, accumulate

ALL_EVENTS = "all events"

ALL_CUTS, WITHOUT = "all cuts", "without "
"""Categories of an N-1 table: all cuts, and all but one, whose name follows."""


@dataclass(frozen=True, eq=False)
class Cutflow:
    """Events left after each cut.

    Attributes
    ----------
    datasets, variations, stages
        Names along the axes. The first stage is all events read, then come the cuts in their
        order, then the categories.
    counts
        Number of events, shape ``(datasets, variations, stages)``, int64. A weight variation
        has the counts of nominal.
    sumw, sumw2
        Sums of the weights known at each stage and of their squares, same shape, float64.
    categories
        The stages that are categories: parts of the events after the last cut.
    """

    datasets: tuple[str, ...]
    stages: tuple[str, ...]
    variations: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    sumw: npt.NDArray[np.float64]
    sumw2: npt.NDArray[np.float64]
    categories: tuple[str, ...] = ()

    def count(self, stage: str, dataset: str, variation: str = NOMINAL) -> int:
        """Number of events of a dataset left at a stage."""
        return int(self.counts[self._position(stage, dataset, variation)])

    def yield_(self, stage: str, dataset: str, variation: str = NOMINAL) -> float:
        """Sum of weights of a dataset at a stage."""
        return float(self.sumw[self._position(stage, dataset, variation)])

    def _position(self, stage: str, dataset: str, variation: str) -> tuple[int, int, int]:
        return (
            _find("dataset", dataset, self.datasets),
            _find("variation", variation, self.variations),
            _find("stage", stage, self.stages),
        )


@dataclass(frozen=True)
class Stages:
    """The cutflow sink.

    Attributes
    ----------
    cuts
        Names of the cuts, in order.
    categories
        Names of the categories of the last stage.
    weight_variations
        Labels of the weight variations of the last stage. An earlier stage knows the first of
        them; for the others its weight is nominal.
    shape_variations
        Labels of the shape variations.
    """

    cuts: tuple[str, ...]
    categories: tuple[str, ...] = ()
    weight_variations: tuple[str, ...] = ()
    shape_variations: tuple[str, ...] = ()

    kind = "cutflow"

    def fill(self, place: Place, membership: Membership | None, *columns: Any) -> Any:
        """Count events and sum weights at every stage.

        Parameters
        ----------
        place
            Where the events come from.
        membership
            Their categories after the last cut.
        *columns
            The masks of the cuts, then for every stage from all events on the weight matrix, or
            None where there is no weight yet.

        Returns
        -------
        array
            Shape ``(3, weight variations + 1, stages)``: counts, sumw, sumw2.
        """
        masks, weights = columns[: len(self.cuts)], columns[len(self.cuts) :]
        slots = 1 + (len(self.weight_variations) if place.variation == NOMINAL else 0)
        state = np.zeros((3, slots, len(self.stages)))
        left = (np.count_nonzero(plain(mask, False, np.bool_)) for mask in masks)
        counts = [place.entries, *(int(count) for count in left)]
        for stage, (count, matrix) in enumerate(zip(counts, weights, strict=True)):
            state[:, :, stage] = _sums(count, matrix, slots)
        if membership is not None:
            self._fill_categories(state, membership, weights[-1], slots)
        return state

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages."""
        return (ALL_EVENTS, *self.cuts, *self.categories)

    def merge(self, states: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        """Sum, in the order given."""
        return total(states)

    def finish(
        self, states: Mapping[tuple[str, str], npt.NDArray[np.float64]], datasets: Sequence[str]
    ) -> Cutflow:
        """The cutflow of all datasets."""
        names = tuple(sorted(datasets))
        variations = (NOMINAL, *sorted((*self.weight_variations, *self.shape_variations)))
        values = np.zeros((3, len(names), len(variations), len(self.stages)))
        labels = (NOMINAL, *self.weight_variations)
        for d, dataset in enumerate(names):
            nominal = states.get((dataset, NOMINAL))
            if nominal is None:
                continue
            for v, variation in enumerate(variations):
                if variation in labels:
                    values[:, d, v] = nominal[:, labels.index(variation)]
                else:
                    # A variation without a state of its own touches nothing that is counted.
                    values[:, d, v] = states.get((dataset, variation), nominal)[:, 0]
        counts = np.rint(values[0]).astype(np.int64)
        return Cutflow(
            names, self.stages, variations, counts, values[1], values[2], self.categories
        )

    def _fill_categories(self, state: Any, membership: Membership, matrix: Any, slots: int) -> None:
        events = membership.events
        of_kind = np.bincount(membership.kind, minlength=len(membership.sets))
        counts = of_kind @ membership.sets.astype(np.int64)
        # A histogram of one bin, with all events in it.
        entries = Entries(np.zeros(events, dtype=np.int64), None, events)
        sums = accumulate(entries, matrix, membership, Target(1))[0]
        first = 1 + len(self.cuts)
        for stage, (count, known) in enumerate(zip(counts, sums, strict=True), start=first):
            state[0, :, stage] = count
            state[1:, :, stage] = known[:, :1]
            state[1:, : known.shape[1], stage] = known


def unite_cutflows(cutflows: Sequence[Cutflow]) -> Cutflow:
    """One cutflow out of those of several groups of datasets.

    A group that lacks a variation has the nominal value there; one that lacks a cut has the
    value of the stage before it, for nothing was cut.

    Raises
    ------
    InputError
        Cutflows whose stages come in different orders.
    """
    stages = unite_stages([cutflow.stages for cutflow in cutflows])
    datasets = tuple(sorted({name for cutflow in cutflows for name in cutflow.datasets}))
    varied = {name for cutflow in cutflows for name in cutflow.variations} - {NOMINAL}
    variations = (NOMINAL, *sorted(varied))
    shape = (len(datasets), len(variations), len(stages))
    counts = np.zeros(shape, dtype=np.int64)
    sumw, sumw2 = np.zeros(shape), np.zeros(shape)
    for cutflow in cutflows:
        rows = [datasets.index(name) for name in cutflow.datasets]
        sources = [
            cutflow.variations.index(name if name in cutflow.variations else NOMINAL)
            for name in variations
        ]
        columns = _columns_of(cutflow.stages, stages)
        for united, part in (
            (counts, cutflow.counts),
            (sumw, cutflow.sumw),
            (sumw2, cutflow.sumw2),
        ):
            np.add.at(united, rows, part[:, sources][:, :, columns])
    categories = dict.fromkeys(name for cutflow in cutflows for name in cutflow.categories)
    return Cutflow(datasets, stages, variations, counts, sumw, sumw2, tuple(categories))


def unite_stages(lists: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """All stages of several cutflows, in an order that agrees with each.

    Raises
    ------
    InputError
        Two lists that contradict each other.
    """
    united: list[str] = []
    for stages in lists:
        after = -1
        for stage in stages:
            if stage not in united:
                united.insert(after + 1, stage)
            position = united.index(stage)
            if position <= after:
                msg = (
                    f"Cuts come in different orders in the cutflows of two groups: {stage!r} and "
                    f"{united[after]!r}. Use the same order, or give the cutflows different names."
                )
                raise InputError(msg)
            after = position
    return tuple(united)


def _columns_of(mine: tuple[str, ...], united: tuple[str, ...]) -> list[int]:
    """For each united stage, the position of the same stage or of the last one before it."""
    columns: list[int] = []
    for stage in united:
        columns.append(mine.index(stage) if stage in mine else columns[-1])
    return columns


def _sums(count: int, matrix: Any, slots: int) -> npt.NDArray[np.float64]:
    """Count, sum of weights and of their squares, shape ``(3, slots)``."""
    sums = np.full((3, slots), float(count))
    if matrix is None:
        return sums
    known = matrix.shape[1]
    sums[1:, :known] = _column_sums(matrix)
    sums[1:, known:] = sums[1:, :1]
    return sums


def _column_sums(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sum of each column and of its squares, shape ``(2, columns)``.

    Many events are taken for one long row, because sums of long rows are vector instructions; and
    it is done block by block, so that squares are taken of what is still in the cache.
    """
    columns = matrix.shape[1]
    together = 1 + 1024 // columns
    sums = np.zeros((2, columns))
    for start in range(0, len(matrix), 32 * together):
        block = np.ascontiguousarray(matrix[start : start + 32 * together])
        whole = len(block) - len(block) % together
        rows, rest = block[:whole].reshape(-1, together * columns), block[whole:]
        sums[0] += np.einsum("ij->j", rows).reshape(together, columns).sum(axis=0)
        sums[1] += np.einsum("ij,ij->j", rows, rows).reshape(together, columns).sum(axis=0)
        if len(rest):
            sums[0] += rest.sum(axis=0)
            sums[1] += np.square(rest).sum(axis=0)
    return sums


def _find(what: str, name: str, names: tuple[str, ...]) -> int:
    if name in names:
        return names.index(name)
    msg = f"There is no {what} {name!r} in the cutflow.{did_you_mean(name, names)} It has: {names}."
    raise InputError(msg)
