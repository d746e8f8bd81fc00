from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from lazyana.engine.provenance import Provenance, content_hash, git_state
from lazyana.errors import InputTypeError
from lazyana.options import RunOptions


def test_collect_says_what_is_installed() -> None:
    found = Provenance.collect()
    assert found.packages["awkward"] == version("awkward")
    assert found.packages["boost-histogram"] == version("boost-histogram")
    assert found.python == sys.version.split()[0]
    assert found.platform
    when = datetime.fromisoformat(found.time)
    assert when.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - when) < timedelta(minutes=5)


def test_command_line_of_the_process() -> None:
    program = (
        "from lazyana.engine.provenance import Provenance; print(Provenance.collect().command)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, "two words"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout.strip().endswith("'two words'")
    assert Provenance.collect(command="lazyana demo").command == "lazyana demo"


def test_json_round_trip() -> None:
    made = Provenance.collect(
        options={
            "executor": "threads",
            "path": Path("a/b"),
            "limits": (1, np.float64(2.5), np.int64(3)),
            "scale": math.nan,
            "run": RunOptions(partition_size=10),
            "function": math.sqrt,
            "names": {"b", "a"},
            "deep": {"none": None, "yes": True, 3: 1.5},
        },
        programs={"mc": "ab12"},
        fileset="cd34",
        files={"DY": [["a.root", "0-1", 5]]},
    )
    assert made.options["path"] == "a/b"
    assert made.options["limits"] == [1, 2.5, 3]
    assert made.options["scale"] == "nan"
    assert made.options["run"]["partition_size"] == 10
    assert made.options["function"] == "math.sqrt"
    assert made.options["names"] == ["a", "b"]
    assert made.options["deep"] == {"none": None, "yes": True, "3": 1.5}
    text = json.dumps(made.to_json(), allow_nan=False)
    assert Provenance.from_json(json.loads(text)) == made


def test_from_json_ignores_fields_of_later_versions() -> None:
    made = Provenance.collect(command="x")
    assert Provenance.from_json({**made.to_json(), "mood": "good"}) == made


def test_text_names_everything() -> None:
    text = Provenance.collect(
        options={"executor": "sync"}, programs={"mc": "ab12"}, fileset="cd34", command="do it"
    ).text()
    for word in ("awkward", "do it", "cd34", "mc: ab12", "executor = 'sync'"):
        assert word in text


def test_content_hash_does_not_depend_on_the_order_of_keys() -> None:
    first = content_hash({"a": [1, 2.5], "b": {"c": None}})
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert content_hash({"b": {"c": None}, "a": [1, 2.5]}) == first
    assert content_hash({"b": {"c": None}, "a": [2.5, 1]}) != first


def test_content_hash_refuses_what_has_no_fixed_text() -> None:
    with pytest.raises(InputTypeError, match="type object is not JSON"):
        content_hash({"a": object()})


def test_text_of_a_configuration() -> None:
    made = Provenance.collect(files={"DY": [["a.root", "", 5], ["b.root", "", 2000]]})
    git = {"commit": "ef56", "branch": "main", "changed": [" M config.py"]}
    text = replace(made, configuration="c1", analysis="a1", git=git).text()
    for words in ("DY: 2 files, 2,005 events", "a1, as configured c1", "ef56 (main)", "config.py"):
        assert words in text


def test_state_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state(tmp_path) == {}
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    me = ("-c", "user.name=me", "-c", "user.email=me@example.org")

    def git(*words: str) -> None:
        subprocess.run(["git", *me, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--initial-branch", "mine")
    assert git_state(tmp_path) == {}  # nothing is committed
    folder = tmp_path / "analysis"
    folder.mkdir()
    for name in ("config.py", "workflow.py"):
        (folder / name).write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    state = git_state(folder)
    assert re.fullmatch("[0-9a-f]{40}", state["commit"])
    assert (state["branch"], state["changed"]) == ("mine", [])
    (folder / "config.py").write_text("2")
    (folder / "new.py").write_text("3")
    (tmp_path / "elsewhere").write_text("4")
    changed = git_state(folder)["changed"]
    assert [line.split() for line in changed] == [
        ["M", "analysis/config.py"],
        ["??", "analysis/new.py"],
    ]
    monkeypatch.setenv("PATH", "")
    assert git_state(folder) == {}
