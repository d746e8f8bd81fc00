"""Analyses that are written as configurations, from the command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import lazyana as la

pytestmark = pytest.mark.integration

Invoke = Callable[..., Result]


def test_run_of_a_configuration(
    lazyana: Callable[..., subprocess.CompletedProcess[str]], zmumu_folder: Path
) -> None:
    words = ("run", "--cfg", "example_config.py", "-o", "output", "-e", "sync")
    done = lazyana(*words, folder=zmumu_folder)
    assert done.returncode == 0, done.stderr
    assert "DYJetsToLL_M-50_2018" in done.stdout
    assert sorted(path.name for path in (zmumu_folder / "output").iterdir()) == [
        "config.json",
        "output_all.coffea",
        "output_all.lazyana",
        "parameters_dump.yaml",
        "provenance.json",
    ]
    result = la.load(zmumu_folder / "output" / "output_all.lazyana")
    cutflow = result["cutflow"]["DATA_SingleMuon"]["0"]
    assert cutflow.count("baseline", "DATA_SingleMuon_2018_EraA") > 20
    again = lazyana(*words, folder=zmumu_folder)
    assert again.returncode == 1
    assert "is there already" in again.stderr


def test_a_test_run_of_some_samples(invoke: Invoke, zmumu_folder: Path, tmp_path: Path) -> None:
    config = ("--cfg", str(zmumu_folder / "example_config.py"), "-o", str(tmp_path / "few"))
    done = invoke("run", *config, "--test", "--filter-samples", "DY*")
    assert done.exit_code == 0, done.output
    assert "DATA" not in done.output
    assert "sync" in done.output


def test_misspelt_options_and_names_of_a_run(
    invoke: Invoke, zmumu_folder: Path, tmp_path: Path
) -> None:
    words = ("run", "--cfg", str(zmumu_folder / "example_config.py"), "-o", str(tmp_path / "other"))
    typo = invoke(*words, "--limit-file", "1")
    assert typo.exit_code == 2
    assert "--limit-files" in typo.output
    sample = invoke(*words, "--filter-samples", "DYJetsToL").exception
    assert "Did you mean 'DYJetsToLL'" in str(sample)
    for zero in ("--limit-files", "--limit-partitions", "--scaleout"):
        assert isinstance(invoke(*words, zero, "0").exception, Exception), zero
    words = ("run", "--cfg", str(zmumu_folder / "example_confg.py"), "-o", str(tmp_path / "other"))
    assert "Did you mean 'example_config.py'" in str(invoke(*words).exception)
    assert not (tmp_path / "other").exists()


def test_explain_of_a_configuration(invoke: Invoke, zmumu_folder: Path) -> None:
    done = invoke("explain", "--cfg", str(zmumu_folder / "example_config.py"))
    assert done.exit_code == 0, done.output
    assert "genWeight, lumi, XS, pileup, sf_mu_id, sf_mu_iso" in done.output
    assert "Muon_tightId" in done.output


def test_parameters_are_printed(invoke: Invoke, zmumu_folder: Path) -> None:
    assert "tot: 59832" in invoke("print-parameters", "lumi.picobarns", "2018").output
    config = ("--cfg", str(zmumu_folder / "example_config.py"))
    own = invoke("print-parameters", "object_preselection.Muon", *config)
    assert "tightId" in own.output
    typo = invoke("print-parameters", "lumi.picobarn").exception
    assert "Did you mean 'picobarns'" in str(typo)


def test_one_output_for_each_dataset(invoke: Invoke, zmumu_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("limit-chunks: 1\nexecutor: iterative\n")
    words = ("run", "--cfg", zmumu_folder / "example_config.py", "-o", tmp_path / "out")
    words = (*words, "-ro", tmp_path / "options.yaml", "-ps", "--n-minus-one")
    done = invoke(*words, "-ro", "limit_files=1")
    assert done.exit_code == 0, done.output
    assert "Notice: limit-chunks is called limit_partitions here." in done.output
    assert "without dilepton" in done.output
    again = invoke(*words, "--limit-files", "1")
    assert again.output.count("there already") == 2
    other = invoke(*words)
    assert "was not made from this configuration" in str(other.exception)
    outputs = sorted((tmp_path / "out").glob("output_*.lazyana"))
    assert len(outputs) == 2
    merged = tmp_path / "out" / "output_all.lazyana"
    assert invoke("merge-outputs", *outputs, "-o", merged).exit_code == 0
    assert set(la.load(merged).report.datasets) == {
        *("DATA_SingleMuon_2018_EraA", "DYJetsToLL_M-50_2018"),
    }


def test_options_that_do_not_go_together(
    invoke: Invoke, zmumu_folder: Path, tmp_path: Path
) -> None:
    words = ("run", "--cfg", zmumu_folder / "example_config.py")
    folder = invoke(*words)
    assert folder.exit_code == 2
    assert "--outputdir" in folder.output
    words = (*words, "-o", tmp_path / "out")
    groups = invoke(*words, "-ro", "group-samples={a: [DYJetsToLL]}")
    assert "--process-separately" in groups.output
    site = invoke(*words, "-e", "dask@lxplus")
    assert "starts workers at a site" in str(site.exception)
    assert not (tmp_path / "out").exists()
