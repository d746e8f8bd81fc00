from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lazyana.analysis.run import Settings
from lazyana.analysis.runoptions import executor_of, parse_run_options
from lazyana.errors import FileError, InputError, InputTypeError

POCKETCOFFEA = """
executor: futures
scaleout: 4
chunksize: 100000
limit-files: 2
limit-chunks: 3
retries: 10
tree-reduction: 20
skip-bad-files: true
process-separately: true
group-samples: {top: [TTTo2L2Nu, ST]}
voms-proxy: null
ignore-grid-certificate: true
mem-per-worker: 4GB
queue: short
starting-time: null
"""


def test_options_of_pocketcoffea(tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text(POCKETCOFFEA)
    options, notices = parse_run_options([str(tmp_path / "options.yaml")])
    assert options == {
        "executor": "processes",
        "workers": 4,
        "partition_size": 100_000,
        "limit_files": 2,
        "limit_partitions": 3,
        "retries": 10,
        "merge_fan_in": 20,
        "on_error": "skip",
        "process_separately": True,
        "group_samples": {"top": ["TTTo2L2Nu", "ST"]},
    }
    said = "\n".join(notices)
    for text in (
        "scaleout is called workers here",
        "chunksize is called partition_size here",
        "executor futures is processes here",
        "on_error here, 'skip' or 'raise'",
        "mem-per-worker is not used: it is of batch workers",
        "ignore-grid-certificate is not used: XRootD finds the proxy",
    ):
        assert text in said
    Settings(**{k: v for k, v in options.items() if not k.startswith(("process", "group"))})


def test_later_ones_replace_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("general:\n  limit-files: 2\nretries: 1\n")
    given = [str(tmp_path / "options.yaml"), "limit_files=5", "partition-size=200 MB"]
    options, notices = parse_run_options([*given, "n_minus_one=true"])
    assert options == {
        "limit_files": 5,
        "retries": 1,
        "partition_size": "200 MB",
        "n_minus_one": True,
    }
    assert notices == ()
    assert parse_run_options([]) == ({}, ())


def test_reports(tmp_path: Path) -> None:
    options, notices = parse_run_options(["performance-report=true"])
    assert options == {}
    assert "path of the report" in notices[0]
    options, _ = parse_run_options(["performance-report=r.html"])
    assert options == {"performance_report": "r.html"}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("limit-chunk=1", InputError, "Did you mean 'limit_chunks'"),
        ("wrkers=1", InputError, "Did you mean 'workers'"),
        ("executor=dask@lxplus", InputError, "starts workers at a site"),
        ("executor=dask/lxplus", InputError, "starts workers at a site"),
        ("executor=parsl/condor", InputError, "starts workers at a site"),
        ("executor=condor", InputError, "starts workers at a site"),
        ("overwrite=maybe", InputTypeError, "either true or false"),
        ("process-separately=0", InputTypeError, "either true or false"),
        ("skip_bad_files=yes please", InputTypeError, "either true or false"),
        ("nothing.yaml", FileError, "no file nothing.yaml"),
        ("workers={", FileError, "value of workers is no YAML"),
    ],
)
def test_mistakes(given: str, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        parse_run_options([given])


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n"])
def test_files_that_hold_no_options(tmp_path: Path, text: str) -> None:
    (tmp_path / "options.yaml").write_text(text)
    with pytest.raises(FileError, match=r"options\.yaml"):
        parse_run_options([str(tmp_path / "options.yaml")])


def test_executors() -> None:
    assert executor_of("iterative")[0] == "sync"
    assert executor_of("dask")[0] == "distributed"
    for ours in ("threads", "sync", "tcp://host:8786"):
        assert executor_of(ours) == (ours, "")
