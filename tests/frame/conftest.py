"""The same events twice: as a lazy frame, and as plain NanoEvents of coffea to compare with."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import hist
import pytest
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

import lazyana as la


@dataclass(frozen=True)
class Plain:
    """Events in memory: an expression runs on the NanoEvents of each file, then is joined."""

    files: Mapping[str, tuple[str, ...]]
    events: Mapping[str, tuple[ak.Array, ...]]

    def __call__(self, expression: Callable[[Any], Any], *datasets: str) -> ak.Array:
        names = datasets or tuple(self.events)
        return ak.concatenate([expression(e) for name in names for e in self.events[name]])

    @classmethod
    def read(cls, files: Mapping[str, Any]) -> Plain:
        return cls(
            {name: tuple(map(str, paths)) for name, paths in files.items()},
            {name: tuple(nano_events(path) for path in paths) for name, paths in files.items()},
        )


def nano_events(path: Any) -> ak.Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        factory = NanoEventsFactory.from_root(
            {str(path): "Events"}, schemaclass=NanoAODSchema, mode="virtual"
        )
        return factory.events()


@pytest.fixture(scope="session")
def read_plain() -> Callable[[Mapping[str, Any]], Plain]:
    return Plain.read


@pytest.fixture(scope="session")
def plain(toy_files: dict[str, Any]) -> Plain:
    """All toy datasets as plain NanoEvents."""
    return Plain.read({name: list(entry["files"]) for name, entry in toy_files.items()})


@pytest.fixture(scope="session")
def mc(toy_files: dict[str, Any]) -> la.Events:
    """Frame of the two simulated toy datasets."""
    return la.open({name: toy_files[name] for name in ("DYJetsToLL", "TTTo2L2Nu")})


@pytest.fixture(scope="session")
def dy(toy_files: dict[str, Any]) -> la.Events:
    """Frame of the simulated Drell-Yan toy events."""
    return la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})


@pytest.fixture(scope="session")
def filled() -> Callable[..., hist.Hist[Any]]:
    """A histogram filled by `hist` itself: values and weight an event, jagged values too."""

    def fill(*axes: Any, values: Any, weight: Any = 1.0) -> hist.Hist[Any]:
        columns = ak.broadcast_arrays(*values, weight)
        if columns[0].ndim > 1:
            columns = [ak.flatten(column) for column in columns]
        *columns, weights = (ak.to_numpy(ak.fill_none(c, float("nan"))) for c in columns)
        keep = ~sum((column != column for column in columns), start=weights != weights)  # noqa: PLR0124  (NaN)
        made: hist.Hist[Any] = hist.Hist(*axes, storage=hist.storage.Weight())
        made.fill(*(column[keep] for column in columns), weight=weights[keep])
        return made

    return fill
