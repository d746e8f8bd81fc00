"""The demonstration, run as users run it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_the_demo_says_what_it_reads_and_does(first: tuple[Path, str]) -> None:
    _, text = first
    assert "reads 27 of 361 branches" in text
    assert "steps: recorded" in text
    assert "opposite_charge" in text
    assert "complete: " in text


def test_the_saved_result_is_shown(lazyana: Command, first: tuple[Path, str]) -> None:
    folder, _ = first
    done = lazyana("show", "zmumu/zmumu.lazyana", "--cutflow", "--provenance", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "histograms/mll" in done.stdout
    assert "opposite_charge" in done.stdout
    assert "python" in done.stdout.lower()


def test_the_demo_says_where_the_results_are(first: tuple[Path, str]) -> None:
    folder, text = first
    lines = text[text.index("Results:") :].splitlines()[1:]
    assert len(lines) == 5
    for line in lines:
        path = folder / line.split()[-1]
        assert path.exists(), line
    assert (folder / "zmumu" / "sample" / "fileset.json").is_file()


def test_results_are_not_overwritten_unless_asked(
    lazyana: Command, first: tuple[Path, str]
) -> None:
    folder, _ = first
    refused = lazyana("demo", "--events", "100", folder=folder)
    assert refused.returncode == 1
    assert "zmumu exists and is not empty" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_own_files(lazyana: Command, real_data: Path, tmp_path: Path) -> None:
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
