"""All commands: help, and mistakes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("demo", "--evnts", "10"), "No such option"),
        (("demo", "--executor", "threadz"), "There is no executor 'threadz'. Did you mean"),
        (("demo", "--mc", "nowhere.root"), "There is no file"),
        (("demo", "--partition-size", "0"), "partition_size must be at least 1"),
        (("demo", "--partition-size", "5 events"), "There is no unit 'events'"),
        (("show", "nothing.lazyana"), "does not exist"),
        (("dmo",), "No such command"),
    ],
)
def test_mistakes_are_one_message(
    lazyana: Command, words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = lazyana(*words, folder=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_lists_the_commands_and_options(lazyana: Command, tmp_path: Path) -> None:
    done = lazyana("--help", folder=tmp_path)
    assert "demo" in done.stdout
    assert "inspect" in done.stdout
    assert "show" in done.stdout
    done = lazyana("demo", "-h", folder=tmp_path)
    for option in ("--events", "--output", "--executor", "--keep", "--mc", "--data"):
        assert option in done.stdout
