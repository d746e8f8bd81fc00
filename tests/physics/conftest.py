"""Events made by hand, and the same toy events twice: as a lazy frame and as plain NanoEvents."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
from coffea.nanoevents.methods import nanoaod

import lazyana as la


class ByHand:
    """Events in memory made of a few objects each: collections by name, and their metadata."""

    def __init__(self, collections: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        self._collections = dict(collections)
        self.metadata = metadata

    @property
    def fields(self) -> list[str]:
        return list(self._collections)

    def __getitem__(self, name: str) -> Any:
        return self._collections[name]


@pytest.fixture(scope="session")
def objects() -> Callable[..., ak.Array]:
    """Makes objects of NanoEvents out of lists of fields; kinematics not given are 0, pT is 1."""

    def make(name: str = "PtEtaPhiMCandidate", **fields: Any) -> ak.Array:
        arrays = {key: plain_type(ak.Array(value)) for key, value in fields.items()}
        like = next(iter(arrays.values()))
        for key, default in {"pt": 1.0, "eta": 0.0, "phi": 0.0, "mass": 0.0, "charge": 0}.items():
            if key not in arrays:
                arrays[key] = ak.full_like(like, default, dtype=type(default))
        return ak.zip(arrays, with_name=name, behavior=nanoaod.behavior)

    return make


def plain_type(array: ak.Array) -> ak.Array:
    """The array; lists that are all empty become lists of real numbers."""
    unknown = "unknown" in str(array.type)
    return ak.values_astype(array, np.float64, including_unknown=True) if unknown else array


@pytest.fixture(scope="session")
def by_hand() -> Callable[..., ByHand]:
    """Makes events of collections."""

    def make(metadata: Mapping[str, Any] | None = None, **collections: Any) -> ByHand:
        return ByHand(collections, metadata or {"nano_version": 9})

    return make


@pytest.fixture(scope="session")
def lazy_events(toy_files: dict[str, Any]) -> la.Events:
    """Frame of simulated toy events with two prompt leptons and b jets."""
    return la.open({"TTTo2L2Nu": toy_files["TTTo2L2Nu"]})


@pytest.fixture(scope="session")
def eager_events(toy_files: dict[str, Any]) -> ak.Array:
    """Simulated toy events in memory: pairs of leptons, and jets."""
    return nano_events(next(iter(toy_files["DYJetsToLL"]["files"])))


@pytest.fixture(scope="session")
def same(
    lazy_events: la.Events, toy_files: dict[str, Any], value: Callable[..., ak.Array]
) -> Callable[..., ak.Array]:
    """Checks that an expression of the lazy events is that of the events in memory; gives it."""
    files = [nano_events(path) for path in toy_files["TTTo2L2Nu"]["files"]]

    def check(expression: Callable[[Any], Any]) -> ak.Array:
        plain = ak.concatenate([expression(events) for events in files])
        found = value(lazy_events, expression)
        assert ak.to_list(found) == ak.to_list(plain)
        assert len(plain) == lazy_events.entries > 100
        return plain

    return check


def nano_events(path: Any) -> ak.Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        factory = NanoEventsFactory.from_root(
            {str(path): "Events"}, schemaclass=NanoAODSchema, mode="virtual"
        )
        return factory.events()
