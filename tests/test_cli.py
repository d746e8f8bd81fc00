"""The command line, run as users run it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import lazyana as la
from lazyana.cli import cli
from lazyana.data.catalog import Catalog
from lazyana.errors import OutputExistsError

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
        (("demo", "--partition-size", "5 events"), "There is no unit 'events'"),
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
    assert "inspect" in done.stdout
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


# ------------------------------------------------------------------------------------ inspect


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


def test_inspect_as_users_run_it(sample: Path, tmp_path: Path) -> None:
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


# --- analyses as configurations --------------------------------------------------------------


@pytest.fixture(scope="module")
def zmumu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, with the sample it reads."""
    folder = tmp_path_factory.mktemp("example") / "zmumu"
    shutil.copytree(Path(__file__).parents[1] / "examples" / "zmumu", folder)
    subprocess.run(
        [sys.executable, "make_sample.py", "sample", "2000"], cwd=folder, check=True, timeout=300
    )
    return folder


def test_run_of_a_configuration(zmumu: Path) -> None:
    words = ("run", "--cfg", "example_config.py", "-o", "output", "-e", "sync")
    done = lazyana(*words, folder=zmumu)
    assert done.returncode == 0, done.stderr
    assert "DYJetsToLL_M-50_2018" in done.stdout
    assert sorted(path.name for path in (zmumu / "output").iterdir()) == [
        "config.json",
        "output_all.coffea",
        "output_all.lazyana",
        "parameters_dump.yaml",
    ]
    result = la.load(zmumu / "output" / "output_all.lazyana")
    cutflow = result["cutflow"]["DATA_SingleMuon"]["0"]
    assert cutflow.count("baseline", "DATA_SingleMuon_2018_EraA") > 20
    again = lazyana(*words, folder=zmumu)
    assert again.returncode == 1
    assert "is there already" in again.stderr


def in_process(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def test_a_test_run_of_some_samples(zmumu: Path, tmp_path: Path) -> None:
    config = ("--cfg", str(zmumu / "example_config.py"), "-o", str(tmp_path / "few"))
    done = in_process("run", *config, "--test", "--filter-samples", "DY*")
    assert done.exit_code == 0, done.output
    assert "DATA" not in done.output
    assert "sync" in done.output


def test_misspelt_options_and_names_of_a_run(zmumu: Path, tmp_path: Path) -> None:
    words = ("run", "--cfg", str(zmumu / "example_config.py"), "-o", str(tmp_path / "other"))
    typo = in_process(*words, "--limit-file", "1")
    assert typo.exit_code == 2
    assert "--limit-files" in typo.output
    sample = in_process(*words, "--filter-samples", "DYJetsToL").exception
    assert "Did you mean 'DYJetsToLL'" in str(sample)
    words = ("run", "--cfg", str(zmumu / "example_confg.py"), "-o", str(tmp_path / "other"))
    assert "Did you mean 'example_config.py'" in str(in_process(*words).exception)
    assert not (tmp_path / "other").exists()


def test_explain_of_a_configuration(zmumu: Path) -> None:
    done = in_process("explain", "--cfg", str(zmumu / "example_config.py"))
    assert done.exit_code == 0, done.output
    assert "genWeight, lumi, XS, pileup, sf_mu_id, sf_mu_iso" in done.output
    assert "Muon_tightId" in done.output


def test_parameters_are_printed(zmumu: Path) -> None:
    assert "tot: 59832" in in_process("print-parameters", "lumi.picobarns", "2018").output
    config = ("--cfg", str(zmumu / "example_config.py"))
    own = in_process("print-parameters", "object_preselection.Muon", *config)
    assert "tightId" in own.output
    typo = in_process("print-parameters", "lumi.picobarn").exception
    assert "Did you mean 'picobarns'" in str(typo)
