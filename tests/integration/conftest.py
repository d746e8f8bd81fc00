"""The examples, as their readers run them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lazyana.analysis.config import Analysis
from lazyana.analysis.load import load_config

EXAMPLES = Path(__file__).parents[2] / "examples"
LEFT_BEHIND = ("sample", "output*", "DATA_*.json", "DYJetsToLL*.json", "TTTo*.json", "sample.yaml")


@pytest.fixture(scope="session")
def example_copy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """An example in a folder of its own, without what it left behind."""

    def copied(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name) / name
        shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        return folder

    return copied


@pytest.fixture(scope="session")
def configured() -> Callable[[Path], Analysis]:
    """The configuration in a file, whatever modules others have imported by the same names."""

    def loaded(path: Path) -> Analysis:
        for module in path.parent.glob("*.py"):
            sys.modules.pop(module.stem, None)
        return load_config(path)

    return loaded
