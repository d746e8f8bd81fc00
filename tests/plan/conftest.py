"""A small sample for the tests of plans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lazyana as la
from lazyana.toy.sample import write_dataset


@pytest.fixture(scope="session")
def toy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of simulated top pairs."""
    (path,) = write_dataset(tmp_path_factory.mktemp("plan"), "TTTo2L2Nu", events=120)
    return path


@pytest.fixture
def events(toy_file: Path) -> Any:
    """A new frame of it, called ``tt``."""
    return la.open({"tt": str(toy_file)})


@pytest.fixture
def open_events(toy_file: Path) -> Callable[[], Any]:
    """Opens further frames of it."""
    return lambda: la.open({"tt": str(toy_file)})
