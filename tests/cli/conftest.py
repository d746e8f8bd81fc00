"""The command line, run as users run it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lazyana.cli.main import cli


@pytest.fixture(scope="session")
def lazyana() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command in a folder, in a process of its own."""

    def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "lazyana", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def invoke() -> Callable[..., Result]:
    """Runs the command in this process."""

    def run(*words: object) -> Result:
        return CliRunner().invoke(cli, [str(word) for word in words], prog_name="lazyana")

    return run


@pytest.fixture(scope="session")
def zmumu_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, with the sample it reads."""
    folder = tmp_path_factory.mktemp("example") / "zmumu"
    shutil.copytree(Path(__file__).parents[2] / "examples" / "zmumu", folder)
    subprocess.run(
        [sys.executable, "make_sample.py", "sample", "2000"], cwd=folder, check=True, timeout=300
    )
    return folder


@pytest.fixture(scope="session")
def first(
    lazyana: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, str]:
    """A run of the demo in an empty folder, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = lazyana("demo", "--events", "1000", "--keep", "--progress", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "partitions" in done.stderr
    return folder, done.stdout
