"""The command line, run as users run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def lazyana(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    program = "from lazyana.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of the demo in an empty folder, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = lazyana("demo", "--events", "1000", "--keep", "--progress", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "partitions" in done.stderr
    return folder, done.stdout


def test_the_demo_says_what_it_reads_and_does(first: tuple[Path, str]) -> None:
    _, text = first
    assert "reads 27 of 361 branches" in text
    assert "steps: recorded" in text
    assert "opposite_charge" in text
    assert "complete: " in text


def test_the_demo_says_where_the_results_are(first: tuple[Path, str]) -> None:
    folder, text = first
    lines = text[text.index("Results:") :].splitlines()[1:]
    assert len(lines) == 5
    for line in lines:
        path = folder / line.split()[-1]
        assert path.exists(), line
    assert (folder / "zmumu" / "sample" / "fileset.json").is_file()


def test_results_are_not_overwritten_unless_asked(first: tuple[Path, str]) -> None:
    folder, _ = first
    refused = lazyana("demo", "--events", "100", folder=folder)
    assert refused.returncode == 1
    assert "zmumu exists and is not empty" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_saved_result_is_shown(first: tuple[Path, str]) -> None:
    folder, _ = first
    done = lazyana("show", "zmumu/zmumu.lazyana", "--cutflow", "--provenance", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "histograms/mll" in done.stdout
    assert "opposite_charge" in done.stdout
    assert "python" in done.stdout.lower()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("demo", "--evnts", "10"), "No such option"),
        (("demo", "--executor", "threadz"), "There is no executor 'threadz'. Did you mean"),
        (("demo", "--mc", "nowhere.root"), "There is no file"),
        (("demo", "--partition-size", "0"), "partition_size must be at least 1"),
        (("show", "nothing.lazyana"), "does not exist"),
        (("dmo",), "No such command"),
    ],
)
def test_mistakes_are_one_message(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = lazyana(*words, folder=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_lists_the_commands_and_options(tmp_path: Path) -> None:
    done = lazyana("--help", folder=tmp_path)
    assert "demo" in done.stdout
    assert "show" in done.stdout
    done = lazyana("demo", "-h", folder=tmp_path)
    for option in ("--events", "--output", "--executor", "--keep", "--mc", "--data"):
        assert option in done.stdout


def test_own_files(real_data: Path, tmp_path: Path) -> None:
    files = real_data / "nanoaod"
    done = lazyana(
        "demo",
        "--mc",
        str(files / "nano_dy.root"),
        "--data",
        str(files / "nano_dimuon.root"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "of 1499 branches" in done.stdout
    assert "of 1601 branches" in done.stdout
    assert (tmp_path / "zmumu" / "plots" / "mll.png").is_file()
