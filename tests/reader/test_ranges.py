"""Byte ranges: of local files, of web servers and XRootD servers, and what may go wrong there."""

from __future__ import annotations

import itertools
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader.ranges import Range, coalesced, read_ranges, storage_options
from lazyana.reader.retry import attempt, is_passing

servers = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("remote_servers.py"))))

SIZE = 100_000
DATA = bytes(i * i % 251 for i in range(SIZE))
APART = ReadOptions(max_gap=0, timeout=20, backoff=0.01)
WANTED: list[Range] = [(500, 700), (0, 75), (60, 90), (50_000, 90_000), (99_999, 100_000)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ranges") / "f.bin"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def web(file: Path) -> Iterator[Any]:
    with servers.web_server(file.parent) as server:
        yield server


@pytest.fixture(scope="module")
def xrootd(file: Path) -> Iterator[Any]:
    with xrootd_with(file) as server:
        yield server


@pytest.fixture
def mortal(file: Path) -> Iterator[Any]:
    """A server for one test, which may do anything to it."""
    with xrootd_with(file) as server:
        yield server


@contextmanager
def xrootd_with(file: Path) -> Iterator[Any]:
    missing = servers.why_no_xrootd()
    if missing:
        pytest.skip(missing)
    with servers.xrootd_server() as server:
        server.add(file)
        yield server


def check(found: list[memoryview], wanted: list[Range] = WANTED) -> None:
    assert [bytes(one) for one in found] == [DATA[first:last] for first, last in wanted]


# --------------------------------------------------------------------------------- coalescing

RANGES = st.lists(
    st.tuples(st.integers(0, SIZE - 1), st.integers(1, 3_000)).map(
        lambda pair: (pair[0], min(pair[0] + pair[1], SIZE))
    ),
    max_size=40,
)


@given(RANGES, st.integers(0, 5_000), st.none() | st.integers(1, 20_000))
def test_coalesced_ranges_hold_all_and_stay_apart(
    ranges: list[Range], max_gap: int, longest: int | None
) -> None:
    merged = coalesced(ranges, max_gap, longest)
    assert all(any(a <= first and last <= b for a, b in merged) for first, last in ranges)
    edges = {edge for one in ranges for edge in one}
    assert {edge for one in merged for edge in one} <= edges
    for (a, b), (c, d) in itertools.pairwise(merged):
        assert c >= b
        assert c - b > max_gap or (longest is not None and d - a > longest)


@given(RANGES, st.integers(0, 5_000))
def test_each_range_is_what_is_in_the_file(file: Path, ranges: list[Range], max_gap: int) -> None:
    check(read_ranges(str(file), ranges, ReadOptions(max_gap=max_gap)), ranges)


# -------------------------------------------------------------------------------- local files


def test_local_file_that_ends_early(file: Path) -> None:
    with pytest.raises(FileError, match=r"f\.bin ends at byte 100000, before byte 100001"):
        read_ranges(str(file), [(0, 5), (99_990, SIZE + 1)], APART)


def test_local_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_ranges(f"{file}x", [(0, 5)], APART)


def test_many_reads_leave_no_file_open(file: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        read_ranges(str(file), WANTED, APART)
        with pytest.raises(FileError):
            read_ranges(str(file), [(0, SIZE + 1)], APART)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


# ---------------------------------------------------------------------------------------- http


def test_ranges_by_http(web: Any) -> None:
    check(read_ranges(web.url("f.bin"), WANTED, APART))
    assert sorted((a, b) for _, a, b in web.requests) == coalesced(WANTED, 0)
    web.requests.clear()
    check(read_ranges(web.url("f.bin"), WANTED, ReadOptions(max_gap=SIZE)))
    assert web.requests == [("f.bin", 0, SIZE)]
    assert read_ranges(web.url("f.bin"), [], APART) == []


def test_no_server_sends_compressed_ranges(web: Any) -> None:
    read_ranges(web.url("f.bin"), [(0, 5)], APART)
    assert web.headers[0]["Accept-Encoding"] == "identity"


def test_settings_of_fsspec_are_kept(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"client_kwargs": {"headers": {"Authorization": "Bearer xyz"}}, "headers": {"X-A": "b"}}
    monkeypatch.setitem(fsspec.config.conf, "http", given)
    check(read_ranges(web.url("f.bin"), WANTED, APART))
    assert {h["Authorization"] for h in web.headers} == {"Bearer xyz"}
    assert {(h["X-A"], h["Accept-Encoding"]) for h in web.headers} == {("b", "identity")}
    assert storage_options(web.url(""), APART)["client_kwargs"]["timeout"].sock_read == 20


# What a server does, and what that is: (kind of error, whether trying again may help).
FAULTS: dict[Any, tuple[Any, bool]] = {
    "reset": ((OSError, aiohttp.ClientError), True),
    "cut": (aiohttp.ClientError, True),
    "short": (ConnectionError, True),
    "die": ((OSError, aiohttp.ClientError), True),
    "whole": (FileError, False),
    503: (aiohttp.ClientError, True),
    429: (aiohttp.ClientError, True),
    404: (FileNotFoundError, False),
    403: (aiohttp.ClientError, False),
    401: (aiohttp.ClientError, False),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_a_web_server(fault: Any, web: Any) -> None:
    kind, passing = FAULTS[fault]
    web.faults.append(fault)
    with pytest.raises(kind) as caught:
        read_ranges(web.url("f.bin"), WANTED, APART)
    assert is_passing(caught.value) is passing


@pytest.mark.parametrize("fault", [fault for fault, (_, passing) in FAULTS.items() if passing])
def test_next_try_works(fault: Any, web: Any) -> None:
    web.faults.append(fault)
    notes: list[str] = []

    def read(url: str) -> list[memoryview]:
        if fault == "die" and web.stopped.is_set():
            web.start()
        return read_ranges(url, WANTED, APART)

    check(attempt([web.url("f.bin")], read, APART, notes.append))
    assert notes[0].startswith(web.url("f.bin"))
    assert notes[0].endswith("; read after 1 retry")


def test_slow_web_server(web: Any) -> None:
    web.faults.append("slow")
    with pytest.raises(TimeoutError) as caught:
        read_ranges(web.url("f.bin"), WANTED, ReadOptions(max_gap=0, timeout=0.3))
    assert is_passing(caught.value)


def test_web_server_that_says_nothing_in_all_that_time(web: Any) -> None:
    """The limit of the whole request ends what sends a little now and then."""
    web.faults += ["slow"] * 9
    options = ReadOptions(max_gap=0, timeout=0.3)
    with pytest.raises(TimeoutError):
        read_ranges(web.url("f.bin"), [(i, i + 1) for i in range(0, 90, 2)], options)


def test_file_that_is_shorter_at_the_server(web: Any) -> None:
    with pytest.raises(ConnectionError, match=r"sent 10 of 20 bytes from byte 99990"):
        read_ranges(web.url("f.bin"), [(SIZE - 10, SIZE + 10)], APART)


def test_nobody_listens(web: Any) -> None:
    web.stop()
    with pytest.raises(FileError) as caught:
        attempt([web.url("f.bin")], lambda url: read_ranges(url, WANTED, APART), APART)
    assert str(caught.value).startswith(f"{web.url('f.bin')} cannot be read: Cannot connect")
    assert str(caught.value).endswith("(tried 4 times).")


def test_one_file_system_for_many_threads(web: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(read_ranges, web.url("f.bin"), WANTED, APART) for _ in range(40)]
        for one in reads:
            check(one.result())
    assert len(web.requests) == 40 * len(coalesced(WANTED, 0))


# ------------------------------------------------------------------------------------- XRootD


@pytest.mark.integration
def test_ranges_by_xrootd(xrootd: Any) -> None:
    before = xrootd.requests("readv")
    check(read_ranges(xrootd.url("f.bin"), WANTED, APART))
    assert xrootd.requests("readv") == before + 1
    assert xrootd.requests("read") == 0
    assert read_ranges(xrootd.url("f.bin"), [], APART) == []


@pytest.mark.integration
def test_more_ranges_than_xrootd_takes_at_once(xrootd: Any) -> None:
    before = xrootd.requests("readv")
    wanted = [(i, i + 2) for i in range(0, 9_000, 3)]
    check(read_ranges(xrootd.url("f.bin"), wanted, APART), wanted)
    assert xrootd.requests("readv") == before + 3  # of 1024 pieces


@pytest.mark.integration
def test_file_that_is_shorter_at_an_xrootd_server(xrootd: Any) -> None:
    with pytest.raises(OSError, match="readv") as caught:
        read_ranges(xrootd.url("f.bin"), [(0, 10), (SIZE - 10, SIZE + 10)], APART)
    assert is_passing(caught.value)


@pytest.mark.integration
def test_file_that_an_xrootd_server_lacks(xrootd: Any) -> None:
    with pytest.raises(FileError, match=r"f\.bout cannot be read: Unable to open .* no such file"):
        attempt([xrootd.url("f.bout")], lambda url: read_ranges(url, WANTED, APART), APART)
    other = [xrootd.url("f.bout"), xrootd.url("f.bin")]
    check(attempt(other, lambda url: read_ranges(url, WANTED, APART), APART))


@pytest.mark.integration
def test_xrootd_server_that_is_gone_and_comes_back(mortal: Any) -> None:
    url = mortal.url("f.bin")
    check(read_ranges(url, WANTED, APART))
    mortal.stop()
    for _ in range(2):
        with pytest.raises(OSError, match="Connection error") as caught:
            read_ranges(url, WANTED, APART)
        assert is_passing(caught.value)
    mortal.start()
    time.sleep(1.1)  # the client knows for a second that nobody was there
    check(read_ranges(url, WANTED, APART))


@pytest.mark.integration
def test_slow_xrootd_server(mortal: Any, file: Path) -> None:
    options = ReadOptions(max_gap=0, timeout=0.5, retries=0)
    url = mortal.url("f.bin")
    check(read_ranges(url, WANTED, options))
    mortal.pause()
    with pytest.raises(OSError) as caught:  # noqa: PT011  of the client or of ours, who is first
        read_ranges(url, WANTED, options)
    assert is_passing(caught.value)
    notes: list[str] = []
    places = [url, str(file)]
    check(attempt(places, lambda place: read_ranges(place, WANTED, options), options, notes.append))
    assert notes[0].endswith(f"; read from {file} instead")


@pytest.mark.integration
def test_one_xrootd_file_for_many_threads(xrootd: Any) -> None:
    before = xrootd.requests("readv")
    with ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(read_ranges, xrootd.url("f.bin"), WANTED, APART) for _ in range(40)]
        for one in reads:
            check(one.result())
    assert xrootd.requests("readv") == before + 40


# Run on its own: forking a process with threads is what is tried here, and Python warns of it.
FORKING = """
import multiprocessing, sys, time, warnings
import fsspec.asyn
from lazyana.reader.ranges import read_ranges
from lazyana.options import ReadOptions
warnings.simplefilter("ignore")

def read(url):
    return bytes(read_ranges(url, [(100, 200)], ReadOptions(timeout=20))[0])

def tell_slowly(function, *args, **more):
    tell(function, *args, **more)
    time.sleep(0.2)  # A fork that waits for this thread holds the interpreter it needs.

loop = fsspec.asyn.get_loop()
tell, loop.call_soon_threadsafe = loop.call_soon_threadsafe, tell_slowly
for url in sys.argv[1:]:
    expected = read(url)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(read, [url] * 4) == [expected] * 4, read(url) == expected)
"""


@pytest.mark.integration
def test_forked_processes_and_their_parent_read(web: Any, xrootd: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(FORKING)
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(script), web.url("f.bin"), xrootd.url("f.bin")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=places, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"] * 4
    assert "Traceback" not in done.stderr  # of what Python runs when forking, and goes on after


# -------------------------------------------------------------------------------------- others


def test_any_file_system_that_fsspec_knows() -> None:
    fsspec.filesystem("memory").pipe("/f.bin", DATA)
    check(read_ranges("memory://f.bin", WANTED, APART))
    with pytest.raises(FileNotFoundError):
        read_ranges("memory://g.bin", WANTED, APART)


def test_address_that_nothing_reads() -> None:
    with pytest.raises(FileError, match=r"nothing here reads nope:// \(Protocol not known"):
        read_ranges("nope://host/f.bin", WANTED, APART)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str, **_: Any) -> Any:
        raise ImportError("Install fsspec-xrootd to access xrootd storage system.")

    monkeypatch.setattr(fsspec, "url_to_fs", missing)
    with pytest.raises(FileError, match=r"pip install 'lazyana\[xrootd\]'"):
        read_ranges("root://host//f.bin", WANTED, APART)
