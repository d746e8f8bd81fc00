"""Files, inspected from the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import lazyana as la
from lazyana.cli.main import cli
from lazyana.data.catalog import Catalog
from lazyana.errors import OutputExistsError

pytestmark = pytest.mark.integration


@pytest.fixture
def sample(toy_files: dict[str, Any], tmp_path: Path) -> Path:
    """A fileset in JSON: two datasets, the second one with a file that is no ROOT file."""
    broken = tmp_path / "broken.root"
    broken.write_text("no ROOT file at all")
    path = tmp_path / "fileset.json"
    fileset = {name: dict(toy_files[name]) for name in ("DYJetsToLL", "SingleMuon")}
    fileset["SingleMuon"]["files"] = {**fileset["SingleMuon"]["files"], str(broken): "Events"}
    path.write_text(json.dumps(fileset))
    return path


def run(*words: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, ["inspect", *map(str, words)], prog_name="lazyana")


def test_inspect_shows_a_table(toy_files: dict[str, Any]) -> None:
    done = run(*toy_files["DYJetsToLL"]["files"], "--progress")
    assert done.exit_code == 0, done.output
    head, row = done.stdout.splitlines()
    catalog = la.inspect(list(toy_files["DYJetsToLL"]["files"]))
    assert head.split()[:6] == ["dataset", "compression", "NanoAOD", "files", "events", "size"]
    summary = catalog.to_json()["events"]
    assert row.split()[0] == "events"
    assert f" {summary['files']} " in row
    assert f" {summary['events']:,} " in row
    assert f"{summary['sum_weights']:.6g}" in row


def test_inspect_tells_of_unreadable_files(sample: Path, tmp_path: Path) -> None:
    done = run(sample, "--lumis", "--executor", "sync", "--save", tmp_path / "a.catalog")
    assert done.exit_code == 1, done.output
    assert "1 file cannot be read:" in done.stdout
    assert f"{tmp_path / 'broken.root'} is no ROOT or parquet file" in done.stdout
    assert "luminosity sections of" in done.stdout
    # The rest is saved, and shown again without the files; what failed still failed.
    again = run(tmp_path / "a.catalog", "--json")
    assert again.exit_code == 1
    summary = json.loads(again.stdout)["datasets"]
    assert list(summary) == ["DYJetsToLL", "SingleMuon"]
    assert summary["SingleMuon"]["files"] == 2
    assert list(summary["SingleMuon"]["unreadable"]) == [str(tmp_path / "broken.root")]
    assert run(sample, "--on-error", "raise").exit_code == 1


def test_inspect_in_json_and_branch_by_branch(toy_files: dict[str, Any]) -> None:
    paths = list(toy_files["TTTo2L2Nu"]["files"])
    told = json.loads(run(*paths, "--json", "--branches").stdout)
    catalog = la.inspect(paths)
    assert told["datasets"] == catalog.to_json()
    assert told["branches"] == catalog.branches()
    lines = run(*paths, "--branches").stdout.splitlines()
    assert lines[3].split() == ["branch", "type", "size", "files"]
    assert [line.split()[0] for line in lines[4:]] == list(catalog.branches())


def test_inspect_several_filesets_and_catalogs(
    sample: Path, toy_files: dict[str, Any], tmp_path: Path
) -> None:
    one = la.inspect({"TT": toy_files["TTTo2L2Nu"]}).save(tmp_path / "tt.catalog")
    done = run(one, sample, next(iter(toy_files["TTTo2L2Nu"]["files"])), "--json")
    stem = Path(next(iter(toy_files["TTTo2L2Nu"]["files"]))).stem
    assert list(json.loads(done.stdout)["datasets"]) == ["TT", "DYJetsToLL", "SingleMuon", stem]


def test_inspect_uses_the_cache_it_is_given(
    toy_files: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAZYANA_CACHE_DIR", str(tmp_path / "usual"))
    path = next(iter(toy_files["TTTo2L2Nu"]["files"]))
    assert run(path, "--no-cache").exit_code == 0
    assert not (tmp_path / "usual").exists()
    assert run(path, "--cache", tmp_path / "own").exit_code == 0
    assert not (tmp_path / "usual").exists()
    assert run(path).exit_code == 0
    kept = [len(list((tmp_path / name).glob("inspect/*/??/*"))) for name in ("usual", "own")]
    assert kept == [1, 1]


def test_inspect_does_not_overwrite(toy_files: dict[str, Any], tmp_path: Path) -> None:
    path = next(iter(toy_files["TTTo2L2Nu"]["files"]))
    kept = tmp_path / "a.catalog"
    kept.write_text("mine")
    refused = run(path, "--save", kept)
    assert isinstance(refused.exception, OutputExistsError)
    assert kept.read_text() == "mine"
    assert run(path, "--save", kept, "--overwrite").exit_code == 0
    assert Catalog.load(kept).files


def test_inspect_as_users_run_it(
    lazyana: Callable[..., subprocess.CompletedProcess[str]], sample: Path, tmp_path: Path
) -> None:
    done = lazyana("inspect", "fileset.json", "--no-progress", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == ""
    assert "1 file cannot be read:" in done.stdout
    for words, message in (
        (("nowhere.root",), "There is no file"),
        (("fileset.json", "--executor", "threadz"), "Did you mean 'threads'"),
        (("fileset.json", "--on-error", "ignore"), "ignore"),
        ((), "Missing argument"),
    ):
        wrong = lazyana("inspect", *words, folder=tmp_path)
        assert wrong.returncode not in (0, None)
        assert message in wrong.stderr
        assert "Traceback" not in wrong.stderr
