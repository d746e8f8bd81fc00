from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lazyana.analysis.coffearunner.run import BATCH, run_options_of
from lazyana.analysis.coffearunner.schema import RunOptions
from lazyana.analysis.run import Settings
from lazyana.errors import ExecutorError, FileError, InputError


def options(said: list[str] | None = None, **given: Any) -> Any:
    found = run_options_of(
        RunOptions.checked(given), (lambda _: None) if said is None else said.append
    )
    return {key: value for key, value in found.items() if value is not None}


@pytest.fixture
def own_proxy() -> Iterator[None]:
    """What the environment says of a proxy, as it was before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("X509_USER_PROXY", "as before")
        yield


def test_executors() -> None:
    assert options() == {"executor": "sync"}
    assert options(executor="futures", workers=6) == {"executor": "processes", "workers": 6}
    assert options(executor="dask/casa")["executor"] == "tls://localhost:8786"
    assert options(executor="tcp://host:1", workers=2) == {"executor": "tcp://host:1"}
    given: dict[str, Any] = {"executor": "distributed", "scaleout": 3, "workers": 2}
    assert options(**given) == {"executor": "distributed", "workers": 3}
    with pytest.raises(InputError, match=r"run_options\.executor is 'future'\. Did you mean 'futu"):
        options(executor="future")


@pytest.mark.parametrize("name", BATCH)
def test_batch_systems_are_named_and_need_a_choice(name: str) -> None:
    said: list[str] = []
    found = options(said, executor=name, scaleout=500)
    assert said[0].startswith(f"run_options.executor '{name}': start workers there")
    with pytest.raises(ExecutorError, match=name):
        Settings(**found)


def test_limits() -> None:
    said: list[str] = []
    given: dict[str, Any] = {
        "limit": 3,
        "max": 2,
        "chunk": 50_000,
        "retries": 7,
        "skipbadfiles": True,
    }
    assert options(said, **given) == {
        **{"executor": "sync", "limit_files": 3, "limit_partitions": 2, "partition_size": 50_000},
        **{"retries": 7, "on_error": "skip"},
    }
    for key in given:
        assert sum(one.startswith(f"run_options.{key}") for one in said) == 1
    assert Settings(**options(**given)).limit_files == 3


def test_what_is_about_jobs_is_said_to_be_unused() -> None:
    said: list[str] = []
    options(said, workers=2, walltime="03:00:00", splitjobs=False, scaleout=4, compression=3)
    assert said[-1].startswith(
        "run_options workers, scaleout, walltime, splitjobs, compression: not used"
    )
    said = []
    options(said, executor="futures", workers=2)
    assert not any("not used" in one for one in said)


def test_batches_of_files_are_refused() -> None:
    assert options(index="0,0") == {"executor": "sync"}
    with pytest.raises(InputError, match=r"index is '11,0'.*--filter-datasets"):
        options(index="11,0")


@pytest.mark.usefixtures("own_proxy")
def test_grid_proxy(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"run_options\.voms"):
        options(voms=str(tmp_path / "proxy"))
    assert os.environ["X509_USER_PROXY"] == "as before"
    (tmp_path / "proxy").touch()
    options(voms=str(tmp_path / "proxy"))
    assert os.environ["X509_USER_PROXY"] == str(tmp_path / "proxy")
