"""Histograms as they come back from a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hist
import numpy as np
import pytest

DATASETS = ("data", "dy", "tt", "zz")
CATEGORIES = ("all", "signal")
VARIATIONS = ("nominal", "jesDown", "jesUp", "muUp", "scale_0", "scale_1", "scale_2")


def run_histogram(*axes: Any, seed: int = 1, **names: tuple[str, ...]) -> hist.Hist[Any]:
    """Random contents everywhere, flow bins too; data has a nominal variation only."""
    h: hist.Hist[Any] = hist.Hist(
        hist.axis.StrCategory(names.get("datasets", DATASETS), name="dataset"),
        hist.axis.StrCategory(names.get("categories", CATEGORIES), name="category"),
        hist.axis.StrCategory(names.get("variations", VARIATIONS), name="variation"),
        *axes,
        storage=hist.storage.Weight(),
    )
    rng = np.random.default_rng(seed)
    h.view(flow=True)["value"] = rng.uniform(1, 20, h.view(flow=True).shape)
    h.view(flow=True)["variance"] = rng.uniform(1, 20, h.view(flow=True).shape)
    if "data" in h.axes["dataset"]:
        data = h.axes["dataset"].index("data")
        view = h.view(flow=True)
        counts = rng.poisson(10, view.shape[1:])
        view["value"][data] = view["variance"][data] = counts
        view["value"][data, :, 1:] = view["variance"][data, :, 1:] = 0
    return h


@pytest.fixture(scope="session")
def histogram() -> Callable[..., hist.Hist[Any]]:
    """Maker of histograms: axes of the user, seed, and names on the other axes."""
    return run_histogram


@pytest.fixture
def mass() -> hist.Hist[Any]:
    """Six equal bins of 10 GeV."""
    return run_histogram(hist.axis.Regular(6, 60, 120, name="mass", label="Mass [GeV]"))


@pytest.fixture
def pt() -> hist.Hist[Any]:
    """Four bins of different width."""
    return run_histogram(hist.axis.Variable([0, 10, 30, 80, 200], name="pt", label="pt [GeV]"))
