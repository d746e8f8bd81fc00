"""Configurations made, validated and shown from the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

pytestmark = pytest.mark.integration

Invoke = Callable[..., Result]


def test_a_new_configuration_runs(
    lazyana: Callable[..., subprocess.CompletedProcess[str]],
    toy_files: dict[str, Any],
    tmp_path: Path,
) -> None:
    paths = {name: next(iter(toy_files[name]["files"])) for name in ("DYJetsToLL", "SingleMuon")}
    files = [word for name, path in paths.items() for word in ("--files", path, "--sample", name)]
    made = lazyana("make-config", "mine", "--name", "Mine", *files, folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "lazyana run --cfg mine/config.py -o mine/output" in made.stdout
    words = ("--cfg", "mine/config.py", "-o", "mine/output", "-e", "sync")
    done = lazyana("run", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine" / "output" / "output_all.coffea").is_file()


def test_a_new_configuration_spares_what_is_there(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    assert "is not empty" in str(invoke("make-config", tmp_path).exception)
    words = ("make-config", tmp_path / "new", "--files", "a.root")
    assert "one for each" in str(invoke(*words).exception)


def test_validate_a_configuration(invoke: Invoke, zmumu_folder: Path, tmp_path: Path) -> None:
    config = zmumu_folder / "example_config.py"
    done = invoke("validate", "--cfg", config, "--executor", "sync", "--limit-files", 1)
    assert done.exit_code == 0, done.output
    assert "Nothing is wrong." in done.output
    text = config.read_text().replace('"genWeight"', '"genWeigth"').replace("jsons", "json", 1)
    wrong = zmumu_folder / "wrong_config.py"
    wrong.write_text(text.replace('"year": ["2018"]', '"year": ["2017"]'))
    bad = invoke("validate", "--cfg", wrong, "--no-files", "--json")
    assert bad.exit_code == 1
    told = json.loads(bad.stdout)
    assert told["ok"] is False
    assert any("Did you mean 'jsons'" in one["message"] for one in told["problems"])
    wrong.write_text(text.replace('"json":', '"jsons":').replace('["2018"]', '["2017"]'))
    bad = invoke("validate", "--cfg", wrong, "--no-files")
    assert bad.exit_code == 1
    assert "2 errors:" in bad.output
    assert "Did you mean 'genWeight'" in bad.output


def test_validate_files(invoke: Invoke, toy_files: dict[str, Any], tmp_path: Path) -> None:
    good = next(iter(toy_files["DYJetsToLL"]["files"]))
    assert invoke("validate", good, "--executor", "sync").exit_code == 0
    (tmp_path / "bad.root").write_text("nothing")
    done = invoke("validate", good, tmp_path / "bad.root", "--json")
    assert done.exit_code == 1
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["files"] == [str(tmp_path / "bad.root")]
    for words in (("nowhere.root",), ("--cfg", "nowhere.py")):
        done = invoke("validate", *words, "--json")
        assert done.exit_code == 1
        (problem,) = json.loads(done.stdout)["problems"]
        assert (
            f"There is no {'file' if words[0][0] == 'n' else 'configuration'}" in problem["message"]
        )
    assert "Give either" in str(invoke("validate").exception)
    assert "Give either" in str(invoke("validate", good, "--cfg", "a.py").exception)
    assert "--cfg" in str(invoke("validate", good, "--no-files").exception)


def test_inspect_a_configuration(invoke: Invoke, zmumu_folder: Path) -> None:
    words = ("inspect-config", "--cfg", zmumu_folder / "example_config.py")
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    for word in ("ZmumuBaseProcessor", "DYJetsToLL_M-50_2018", "dilepton", "sf_mu_iso", "mll"):
        assert word in done.output
    one = invoke(*words, "--section", "datasets", "--filter-samples", "DY*").output
    assert len(one.splitlines()) == 3
    told = json.loads(invoke(*words, "--section", "variables", "--json").output)
    assert "mll" in told["variables"]
    assert "Did you mean" in str(invoke(*words, "--section", "weigths").exception)


@pytest.mark.parametrize("command", ["validate", "make-config", "inspect-config", "peek"])
def test_help_has_an_example(invoke: Invoke, command: str) -> None:
    text = invoke(command, "-h").output
    examples = [
        line for line in text.splitlines() if line.strip().startswith(f"lazyana {command} ")
    ]
    assert len(examples) >= 2
