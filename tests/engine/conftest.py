"""An analysis to run, and how to compare what comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import awkward as ak
import dask
import dask_awkward as dak
import hist
import numpy as np
import pytest

import lazyana as la
from lazyana.engine.job import Job, Partial
from lazyana.frame.compute import make_plan
from lazyana.options import RunOptions

Function = Callable[[Any], Any]


@pytest.fixture(scope="session")
def outputs(toy_files: dict[str, Any]) -> Any:
    """Histogram, cutflow, sum and columns of data and simulation, with variations."""

    def analysis(events: Any) -> dict[str, Any]:
        if events.is_mc:
            weight = events.genWeight / 1000
            events = events.weight("gen", weight, up=weight * 1.1, down=weight * 0.9)
        jets = events.Jet
        events = events.vary("jes", {"Jet.pt": {"up": jets.pt * 1.05, "down": jets.pt * 0.95}})
        events = events.filter(jet=lambda events: ak.any(events.Jet.pt > 30, axis=1))
        events = events.categories({"hard": lambda events: ak.max(events.Jet.pt, axis=1) > 60})
        return {
            "jets": events.hist(hist.axis.Regular(20, 0, 200, name="pt"), pt=events.Jet.pt),
            "cutflow": events.cutflow(),
            "met": events.sum(events.MET.pt),
            "columns": events.columns(None, {"met": events.MET.pt}),
        }

    return la.apply(analysis, toy_files)


@pytest.fixture(scope="session")
def job(outputs: Any) -> Job:
    """Job of these outputs in small partitions: two groups, one of them with a merge tree."""
    job = make_plan(outputs, name="zmumu", options=RunOptions(90, merge_fan_in=3)).job
    assert len(job.works) == 2
    return job


@pytest.fixture(scope="session")
def frozen() -> Callable[[Any], Any]:
    """A function that turns what jobs give into values equal only if every bit is."""

    def freeze(value: Any) -> Any:
        if isinstance(value, Partial):
            return freeze((value.states, value.tally, value.notes))
        if isinstance(value, dict):
            return {key: freeze(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [freeze(item) for item in value]
        if isinstance(value, ak.Array):
            form, length, buffers = ak.to_buffers(ak.to_packed(value))
            return form.to_json(), length, freeze(dict(buffers))
        if isinstance(value, np.ndarray):
            return value.dtype.str, value.shape, value.tobytes()
        assert isinstance(value, str | int | float | bytes), type(value)
        return value

    return freeze


@pytest.fixture(scope="session")
def expected(job: Job, frozen: Callable[[Any], Any]) -> Any:
    """What the job gives in one thread by dask's simplest scheduler, frozen."""
    return frozen(dask.get(job.graph(), job.key))


@pytest.fixture(scope="session")
def job_of(toy_files: dict[str, Any]) -> Callable[..., Job]:
    """Makes a job of 20 partitions in which a function of the user sees every one of them."""
    name = "DYJetsToLL"

    def make(function: Function, size: int = 60, name_of_job: str = "user") -> Job:
        def met(pt: Any) -> Any:
            return pt if ak.backend(pt) == "typetracer" else function(pt)

        events = la.open({name: toy_files[name]})
        column = dak.map_partitions(met, events.MET.pt, label="users-own")
        return make_plan(events.sum(column), name=name_of_job, options=RunOptions(size)).job

    return make


@pytest.fixture
def fresh(job: Job) -> Job:
    """The same job under keys that no scheduler has seen."""
    return replace(job, token=Job("", ()).token)
