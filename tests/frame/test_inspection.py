"""Inspection on every executor gives the same catalog, shows progress and stops in order."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from distributed import Client, LocalCluster

import lazyana as la
from lazyana.data.catalog import Catalog
from lazyana.data.inspect import Noting, Place
from lazyana.engine.executors import find_executor
from lazyana.errors import ExecutorError, FileError, InputError, InputTypeError, RunError
from lazyana.frame.inspection import catalog_of
from lazyana.reader import formats


def write(path: Path, events: int = 5) -> Path:
    with uproot.recreate(path) as file:
        file.mktree("Events", {"x": np.float32, "genWeight": np.float32})
        file["Events"].extend({name: np.ones(events, np.float32) for name in ("x", "genWeight")})
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Seven files of 0 to 6 events."""
    return [str(write(tmp_path / f"{n}.root", events=n)) for n in range(7)]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of a real cluster, not the default one."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def own_processes() -> list[Any]:
    """Worker processes of ours that still run; not those of the cluster."""
    return [one for one in multiprocessing.active_children() if "Dask" not in one.name]


# ---------------------------------------------------------------------------- the same on all


@pytest.mark.parametrize(
    ("executor", "workers"), [(None, None), ("sync", None), ("threads", 3), ("threads", 1)]
)
def test_threads(executor: Any, workers: int | None, files: list[str]) -> None:
    expected = la.inspect(files, executor="sync", cache=False)
    catalog = la.inspect(files, executor=executor, workers=workers, cache=False)
    assert catalog == expected
    assert [info.entries for info in catalog.files["events"]] == list(range(7))
    assert [info.sum_weights for info in catalog.files["events"]] == list(range(7))
    assert not [one for one in threading.enumerate() if one.name.startswith("lazyana")]


@pytest.mark.integration
def test_processes(files: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    catalog = la.inspect(files, executor="processes", workers=2, cache=folder)
    assert catalog == la.inspect(files, executor="sync", cache=False)
    assert own_processes() == []
    Path(files[0]).write_bytes(b"broken")
    skipped = la.inspect(files, executor="processes", workers=2, cache=folder, on_error="skip")
    assert [one.url for one in skipped.unreadable["events"]] == files[:1]


@pytest.mark.integration
def test_a_client_and_an_address(
    client: Client, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = la.inspect(files, executor="sync", cache=False)
    folder = tmp_path / "cache"
    assert la.inspect(files, executor=client, cache=folder, progress=True) == expected
    assert "7/7" in capsys.readouterr().err
    assert la.inspect(files, executor=client, cache=folder) == expected
    address = client.scheduler.address
    assert la.inspect(files, executor=address, cache=False) == expected
    with client.as_current():  # what is active is used without being named
        assert la.inspect(files, cache=False) == expected
    Path(files[2]).write_bytes(b"broken")
    with pytest.raises(FileError, match=files[2]):
        la.inspect(files, executor=client, cache=False)
    skipped = la.inspect(files, executor=client, cache=False, on_error="skip")
    assert [one.url for one in skipped.unreadable["events"]] == [files[2]]
    deadline = time.monotonic() + 20
    while client.run_on_scheduler(_tasks) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert client.run_on_scheduler(_tasks) == []


def _tasks(dask_scheduler: Any) -> list[str]:
    return [str(key) for key in dask_scheduler.tasks]


class Deadly:
    """Ends the process that it is called in."""

    def __call__(self, item: int) -> int:
        import os

        os._exit(item)


@pytest.mark.integration
def test_workers_that_die_are_told_of() -> None:
    executor: Any = find_executor("processes", workers=1)
    with pytest.raises(RunError, match="A worker process ended"):
        executor.each(Deadly(), [1, 2], lambda position, found: None)
    assert own_processes() == []


# ------------------------------------------------------------------------ each, and interrupts


@pytest.mark.parametrize("kind", ["sync", "threads"])
def test_each_item_arrives_once_with_its_position(kind: str) -> None:
    executor: Any = find_executor(kind)
    found: dict[int, int] = {}
    here: set[threading.Thread] = set()

    def arrived(position: int, value: int) -> None:
        assert position not in found
        found[position] = value
        here.add(threading.current_thread())

    executor.each(lambda item: item * item, range(50), arrived)
    assert found == {n: n * n for n in range(50)}
    assert here == {threading.current_thread()}
    executor.each(abs, [], arrived)


@pytest.mark.parametrize("kind", ["sync", "threads"])
def test_the_first_error_stops_the_rest(kind: str) -> None:
    executor: Any = find_executor(kind)
    started: list[int] = []

    def fail(item: int) -> int:
        started.append(item)
        if item == 3:
            msg = "the third"
            raise ValueError(msg)
        time.sleep(0.01)
        return item

    with pytest.raises(ValueError, match="the third"):
        executor.each(fail, range(500), lambda position, found: None)
    assert len(started) < 500
    assert not [one for one in threading.enumerate() if one.name.startswith("lazyana")]


def test_what_was_opened_before_an_interrupt_is_known(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = formats.open_tree
    opened: list[str] = []

    def interrupted(url: str, *others: Any) -> Any:
        if len(opened) == 4:
            raise KeyboardInterrupt
        opened.append(url)
        return real(url, *others)

    monkeypatch.setattr(formats, "open_tree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        la.inspect(files, executor="sync", cache=tmp_path / "cache")
    monkeypatch.setattr(
        formats, "open_tree", lambda *given: opened.append(given[0]) or real(*given)
    )
    assert len(la.inspect(files, executor="sync", cache=tmp_path / "cache").files["events"]) == 7
    assert opened == files


# ------------------------------------------------------------------------------ what is shown


def test_the_bar_counts_what_is_opened(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    la.inspect(files[:5], progress=True)
    text = capsys.readouterr().err
    assert "inspect" in text
    assert "5/5" in text
    assert "10 events" in text
    la.inspect(files, progress=True)
    assert "2/2" in capsys.readouterr().err
    la.inspect(files, progress=True)
    la.inspect(files, progress=False, cache=False)
    assert capsys.readouterr().err == ""


# -------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"executor": "threadz"}, ExecutorError, "Did you mean 'threads'"),
        ({"workers": 0}, ExecutorError, "at least 1"),
        ({"on_error": "ignore"}, InputError, "Choose one of raise, skip"),
        ({"retries": -1}, InputError, "retries must be at least 0"),
        ({"timeout": "long"}, InputTypeError, "timeout must be a number"),
        ({"cache": 3}, InputTypeError, "neither True nor False nor a folder"),
    ],
)
def test_mistakes_come_before_files_are_opened(
    options: dict[str, Any],
    error: type[Exception],
    message: str,
    files: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(formats, "open_tree", lambda *given: pytest.fail("opened a file"))
    with pytest.raises(error, match=message):
        la.inspect(files, **options)


def test_a_file_is_noted_by_itself(files: list[str]) -> None:
    noted = Noting()(Place((files[3],), "Events"))
    assert getattr(noted, "entries", None) == 3


# --------------------------------------------------------------------------------- catalog_of


def test_the_catalog_that_is_meant(files: list[str], tmp_path: Path) -> None:
    catalog = la.inspect(files)
    path = catalog.save(tmp_path / "any.name")
    assert catalog_of(catalog) is catalog
    assert catalog_of(files) == catalog
    assert catalog_of(str(path)) == catalog_of(path) == catalog
    assert catalog_of(files, executor="sync", cache=False) == catalog
    with pytest.raises(FileError, match="no tree 'Evts'"):
        catalog_of(files[1], tree="Evts")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FileError, match="is no catalog of lazyana, or it is damaged"):
        catalog_of(path)
    assert Catalog.merge(catalog, catalog) == catalog
