"""All commands: help, and mistakes."""

from __future__ import annotations

import subprocess
import sys
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


def test_errors_of_users_are_told_with_their_line(lazyana: Command, zmumu_folder: Path) -> None:
    workflow = (zmumu_folder / "workflow.py").read_text()
    config = (zmumu_folder / "example_config.py").read_text()
    (zmumu_folder / "wrong_config.py").write_text(
        config.replace("from workflow import", "from wrong_workflow import")
    )
    begin = "    def count_objects(self, variation):\n"
    assert begin in workflow
    line = workflow[: workflow.index(begin)].count("\n") + 2
    for wrong, words in (
        ("{}['a']", "KeyError: 'a'"),
        ("ak.num(self.events.Muon.pt, axis=7)", "AxisError: axis=7 exceeds the depth"),
    ):
        text = workflow.replace(begin, f"{begin}        {wrong}\n")
        (zmumu_folder / "wrong_workflow.py").write_text(text)
        done = lazyana("explain", "--cfg", "wrong_config.py", folder=zmumu_folder)
        assert done.returncode == 1
        assert f"Error: {words}" in done.stderr
        assert f"{zmumu_folder / 'wrong_workflow.py'}, line {line}" in done.stderr
        assert "Traceback" not in done.stderr
    done = lazyana("--traceback", "explain", "--cfg", "wrong_config.py", folder=zmumu_folder)
    assert "Traceback" in done.stderr
    assert words in done.stderr


def test_nothing_large_is_imported_before_a_command_runs() -> None:
    large = ("awkward", "coffea", "dask", "numba", "numpy", "pandas", "pyarrow", "uproot")
    code = f"import sys, lazyana.cli.main; print(*sorted(set({large}) & set(sys.modules)))"
    done = subprocess.run(  # a fresh process: here all of it is imported
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_mistakes_name_the_line_of_the_user(lazyana: Command, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text("x = 1\n\n\ndef hook():\n    return {}['a']\n")
    (tmp_path / "config.py").write_text("import hooks\n\ncfg = hooks.hook()\n")
    done = lazyana("run", "--cfg", "config.py", "-o", "output", folder=tmp_path)
    assert done.returncode == 1
    assert "cannot be executed: KeyError: 'a'" in done.stderr
    assert f"{tmp_path / 'hooks.py'}, line 5" in done.stderr
    assert "Traceback" not in done.stderr
    (tmp_path / "config.py").write_text(
        "from lazyana.analysis.config import Configurator\n\ncfg = Configurator(colums={})\n"
    )
    done = lazyana("run", "--cfg", "config.py", "-o", "output", folder=tmp_path)
    assert "'colums' is no key" in done.stderr
    assert f"{tmp_path / 'config.py'}, line 3" in done.stderr
