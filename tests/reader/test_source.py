"""Uproot on remote files: the same arrays, and errors that say what happened."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader.formats import note_file
from lazyana.reader.retry import attempt, is_passing
from lazyana.reader.source import RangeSource, uproot_options

servers = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("remote_servers.py"))))

QUICK = ReadOptions(retries=2, backoff=0.01, timeout=20)
ARRAYS = {
    "x": np.arange(30_000, dtype=np.float32),
    "jagged": ak.unflatten(np.arange(30_000), np.tile([1, 0, 3, 2], 5_000)[:20_000])[:10_000],
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "f.root"
    with uproot.recreate(path) as file:
        file.mktree("Events", {"x": "float32", "jagged": "var * int64"})
        for start in range(0, 10_000, 2_500):
            file["Events"].extend({name: a[start : start + 2_500] for name, a in ARRAYS.items()})
    return path


@pytest.fixture
def web(path: Path) -> Iterator[Any]:
    with servers.web_server(path.parent) as server:
        yield server


def read(url: str, options: ReadOptions = QUICK) -> ak.Array:
    with uproot.open({url: "Events"}, **uproot_options(url, options)) as tree:
        return tree.arrays(["x", "jagged"])


def test_local_files_are_left_to_uproot(path: Path) -> None:
    assert uproot_options(str(path), QUICK) == {}
    assert len(read(str(path))) == 10_000


def test_the_same_arrays(web: Any, path: Path) -> None:
    assert ak.array_equal(read(web.url("f.root")), read(str(path)), dtype_exact=True)


@pytest.mark.integration
def test_the_same_arrays_by_xrootd(path: Path) -> None:
    missing = servers.why_no_xrootd()
    if missing:
        pytest.skip(missing)
    with servers.xrootd_server() as server:
        url = server.add(path)
        assert ak.array_equal(read(url), read(str(path)), dtype_exact=True)
        assert server.requests("open") == 1
        # Opened anew, as it may be another file by now; uproot and what is read beside it share it.
        note_file(url, "Events")
        assert server.requests("open") == 2


def test_several_ranges_are_one_request(web: Any) -> None:
    near = ReadOptions(max_gap=10_000_000)
    with uproot.open({web.url("f.root"): "Events"}, **uproot_options(web.url(""), near)) as tree:
        assert isinstance(tree.file.source, RangeSource)
        before, requests = len(web.requests), tree.file.source.num_requests
        tree.arrays(["x", "jagged"])
        assert len(web.requests) == before + 1
        assert tree.file.source.num_requests == requests + 1
        assert tree.file.source.num_requested_chunks > requests + 1


@pytest.mark.parametrize("fault", ["reset", "cut", "short", "slow", 503])
@pytest.mark.parametrize("good", [0, 1, 3])
def test_errors_are_those_of_the_connection(good: int, fault: Any, web: Any) -> None:
    web.faults += [None] * good + [fault] * 30
    with pytest.raises(Exception) as caught:  # noqa: PT011  which one is asked below
        read(web.url("f.root"), ReadOptions(timeout=0.3))
    assert is_passing(caught.value)


@pytest.mark.parametrize("fault", ["reset", "short", 503])
@pytest.mark.parametrize("good", [0, 2, 4])
def test_files_are_noted_at_another_try(good: int, fault: Any, web: Any, path: Path) -> None:
    web.faults += [None] * good + [fault]
    notes: list[str] = []
    url = web.url("f.root")
    info, _ = attempt([url], lambda url: note_file(url, "Events", QUICK), QUICK, notes.append)
    assert info.uuid == note_file(str(path), "Events")[0].uuid
    assert len(notes) == 1


def test_file_that_is_not_there_is_not_tried_again(web: Any) -> None:
    with pytest.raises(FileError, match=r"no file http://.*/g\.root") as caught:
        note_file(web.url("g.root"), "Events")
    assert not is_passing(caught.value)


def test_nothing_is_read_after_closing(web: Any) -> None:
    with uproot.open({web.url("f.root"): "Events"}, **uproot_options(web.url(""), QUICK)) as tree:
        source = tree.file.source
        assert not source.closed
    assert source.closed
    with pytest.raises(ValueError, match="is closed"):
        source.chunk(0, 5)
