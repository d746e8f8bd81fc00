"""From states to values: what came back of each group, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lazyana.errors import InputError
from lazyana.sinks.columns import Columns
from lazyana.sinks.cutflow import Stages, unite_cutflows, unite_stages
from lazyana.sinks.growing import GrowingHistogram
from lazyana.sinks.histogram import Histogram, merge_histograms, nominal_as
from lazyana.sinks.skim import Skims
from lazyana.sinks.sums import Sum, unite_sums


@dataclass(frozen=True)
class Filled:
    """A sink and what it was filled with in one group of datasets.

    Attributes
    ----------
    sink
        The sink.
    states
        Its states, by (dataset, shape variation).
    datasets
        Names of the group's datasets.
    """

    sink: Any
    states: Mapping[tuple[str, str], Any]
    datasets: tuple[str, ...]


def unite_histograms(hists: Sequence[Any]) -> Any:
    """One histogram; of a dataset in several groups, each has all variations that one of them has.

    A group that knows nothing of a variation has its nominal events there: all events of the
    dataset are in each of its variations.
    """
    known: dict[str, set[str]] = {}
    for one in hists:
        for dataset in one.axes[0]:
            known.setdefault(dataset, set()).update(one.axes[2])
    more = []
    for one in hists:
        for variation in sorted({label for labels in known.values() for label in labels}):
            if variation not in one.axes[2]:
                lacking = [name for name in one.axes[0] if variation in known[name]]
                if lacking:
                    more.append(nominal_as(one, lacking, variation))
    return merge_histograms([*hists, *more])


_UNITE: Mapping[type, Callable[[Sequence[Any]], Any]] = {
    Histogram: unite_histograms,
    GrowingHistogram: unite_histograms,
    Stages: unite_cutflows,
    Sum: unite_sums,
}


def finish(parts: Sequence[Filled]) -> Any:
    """The value of one output over all its groups.

    Raises
    ------
    InputError
        Sinks of different kinds.
    """
    first = parts[0].sink
    check_same_kind([part.sink for part in parts])
    if isinstance(first, Columns):
        return _finish_columns(parts)
    if isinstance(first, Skims):
        return _finish_skims(parts)
    values = [part.sink.finish(part.states, part.datasets) for part in parts]
    return values[0] if len(values) == 1 else _UNITE[type(first)](values)


def check_same_kind(sinks: Sequence[Any]) -> None:
    """Refuse to unite outputs of different kinds, or columns with different names.

    Raises
    ------
    InputError
        Naming what differs.
    """
    first = sinks[0]
    if all(isinstance(sink, Stages) for sink in sinks):
        unite_stages([sink.stages for sink in sinks])
    for other in sinks[1:]:
        if type(other) is not type(first):
            msg = (
                f"An output is a {first.kind} for one group of datasets and a {other.kind} for "
                "another: give them different names."
            )
            raise InputError(msg)
        if isinstance(first, Columns) and set(other.names) != set(first.names):
            differ = sorted(set(other.names) ^ set(first.names))
            msg = f"Columns of one output differ between groups of datasets: {', '.join(differ)}."
            raise InputError(msg)


def _finish_columns(parts: Sequence[Filled]) -> Any:
    sink = parts[0].sink
    labels = dict.fromkeys(label for part in parts for label in part.sink.weight_variations)
    found: dict[tuple[str, str], list[Any]] = {}
    for part in parts:
        for key, state in part.states.items():
            found.setdefault(key, []).append(state)
    # A dataset has several states where its files are in several groups.
    states = {key: one[0] if len(one) == 1 else sink.merge(one) for key, one in found.items()}
    datasets = [name for part in parts for name in part.datasets]
    return replace(sink, weight_variations=tuple(labels)).finish(states, datasets)


def _finish_skims(parts: Sequence[Filled]) -> Any:
    """One skim; files of different branches are in different groups, and stay different."""
    sink = parts[0].sink
    found: dict[tuple[str, str], list[Any]] = {}
    metadata: dict[str, Any] = {}
    empty: dict[str, Any] = {}
    for part in parts:
        metadata.update(part.sink.metadata)
        for key, state in part.states.items():
            found.setdefault(key, []).append(state)
        for name, files in part.sink.empty.items():
            empty[name] = tuple(dict.fromkeys((*empty.get(name, ()), *files)))
    left_out = {name for part in parts for name in part.sink.left_out}
    datasets = list(dict.fromkeys(name for part in parts for name in part.datasets))
    whole = replace(sink, metadata=metadata, empty=empty, left_out=tuple(sorted(left_out)))
    return whole.finish({key: sink.merge(one) for key, one in found.items()}, datasets)
