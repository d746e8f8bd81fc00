"""The cache of inspections and files at servers: asked no more than needed, and never stale."""

from __future__ import annotations

import http.server
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import numpy as np
import pytest
import uproot

from lazyana.data.cache import state_of
from lazyana.data.catalog import Catalog
from lazyana.data.inspect import inspect
from lazyana.options import ReadOptions
from lazyana.reader import formats
from lazyana.reader.fileinfo import FileInfo

servers = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[1] / "reader" / "remote_servers.py"))
)


def write(path: Path, value: float = 0) -> Path:
    """A file with a branch `x` of one value in 5 events."""
    with uproot.recreate(path) as file:
        file.mktree("Events", {"x": np.float32}).extend({"x": np.full(5, value, np.float32)})
    return path


def exchange(path: Path) -> None:
    """Another content of the same size in the same place, later."""
    size = path.stat().st_size
    write(path.with_name("n.root"), value=1).replace(path)
    assert path.stat().st_size == size


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache of its own for each test."""
    return tmp_path / "cache"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """URLs opened by inspection, in order."""
    urls: list[str] = []
    real = formats.open_tree

    def counting(url: str, *others: Any) -> Any:
        urls.append(url)
        return real(url, *others)

    monkeypatch.setattr(formats, "open_tree", counting)
    return urls


def only(catalog: Catalog) -> FileInfo:
    """The only file of a catalog."""
    ((info,),) = catalog.files.values()
    return info


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the files of a folder, in parts if asked, and tells as much of them as it should."""

    tells: tuple[str, ...] = ()
    requests: list[str]

    def do_HEAD(self) -> None:
        """Answer without the content."""
        self._answer(b"")

    def do_GET(self) -> None:
        """Answer with the content asked for."""
        self._answer(Path(self.translate_path(self.path)).read_bytes())

    def _answer(self, content: bytes) -> None:
        stat = Path(self.translate_path(self.path)).stat()
        given = self.headers.get("Range")
        self.requests.append(f"{self.command} {given or ''}".strip())
        size = stat.st_size
        first, last = 0, size - 1
        if given:
            left, _, right = given.removeprefix("bytes=").partition("-")
            first, last = int(left), min(int(right or size), size - 1)
        self.send_response(206 if given else 200)
        self.send_header("Accept-Ranges", "bytes")
        if given:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last - first + 1))
        if "ETag" in self.tells:
            self.send_header("ETag", f'"{stat.st_mtime_ns}"')
        self.end_headers()
        self.wfile.write(content[first : last + 1])

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, type[Handler]]]:
    """Address of a server of a folder, and its handler."""

    class Own(Handler):
        requests: list[str] = []  # noqa: RUF012  (shared on purpose)

    handler = partial(Own, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}", Own
        finally:
            running.shutdown()
            thread.join()


@pytest.mark.integration
@pytest.mark.parametrize("tells", [("ETag",), ()])
def test_a_file_at_a_server_is_opened_again_only_if_it_changed(
    tells: tuple[str, ...],
    tmp_path: Path,
    folder: Path,
    opened: list[str],
    server: tuple[str, type[Handler]],
) -> None:
    address, handler = server
    handler.tells = tells
    path = write(tmp_path / "a.root")
    url = f"{address}/a.root"
    first = only(inspect(url, cache=folder))
    assert first.entries == 5
    handler.requests.clear()
    assert only(inspect(url, cache=folder)) == first
    # What it tells is enough, or the first bytes of the file are.
    assert len(handler.requests) == (1 if tells else 2)
    assert opened == [url]
    exchange(path)
    os.utime(path)
    assert only(inspect(url, cache=folder)).uuid != first.uuid
    assert opened == [url, url]


def test_a_remote_file_is_told_by_what_the_file_system_knows(tmp_path: Path, folder: Path) -> None:
    system = fsspec.filesystem("memory")
    content = write(tmp_path / "a.root").read_bytes()
    system.pipe("/state/a.root", content)
    before = state_of(["memory://state/a.root"])
    assert before is not None
    assert before[:2] == ("memory://state/a.root", len(content))
    assert state_of(["memory://state/a.root"]) == before
    system.pipe("/state/a.root", content)
    assert state_of(["memory://state/a.root"]) != before
    assert state_of(["memory://state/none.root"]) is None
    assert state_of(["nosuch://state/none.root"]) is None
    # Where the first place does not answer, the second one counts.
    local = str(tmp_path / "a.root")
    assert state_of(["memory://state/none.root", local]) == state_of([local])


def test_copies_of_a_file_with_other_times_are_the_same_file(
    tmp_path: Path, folder: Path, opened: list[str]
) -> None:
    system = fsspec.filesystem("memory")
    content = write(tmp_path / "a.root").read_bytes()
    other = write(tmp_path / "b.root", value=1).read_bytes()
    assert len(content) == len(other)
    url = "memory://copies/a.root"
    for sent, opens in ((content, 1), (content, 1), (other, 2), (other + b"0", 3)):
        system.pipe("/copies/a.root", sent)
        inspect(url, cache=folder)
        assert len(opened) == opens


def test_a_server_that_says_nothing_is_asked_once() -> None:
    options = ReadOptions(timeout=0.2)
    silent: set[str] = set()
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(100)
        deaf.settimeout(0)
        server = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        assert state_of([f"{server}/a.root"], options, silent) is None
        assert silent == {server}
        while connections(deaf):
            pass
        assert state_of([f"{server}/b.root"], options, silent) is None
        assert connections(deaf) == 0


def connections(listening: socket.socket) -> int:
    """1 if somebody had come, who is sent away."""
    try:
        listening.accept()[0].close()
    except BlockingIOError:
        return 0
    return 1


def test_a_file_that_is_not_there_says_nothing_of_its_server(
    server: tuple[str, type[Handler]],
) -> None:
    silent: set[str] = set()
    assert state_of([f"{server[0]}/none.root"], ReadOptions(timeout=20), silent) is None
    assert not silent


@pytest.fixture
def xrootd() -> Iterator[Any]:
    missing = servers.why_no_xrootd()
    if missing:
        pytest.skip(missing)
    with servers.xrootd_server() as running:
        yield running


# Run on its own: the first question of a process sets up the client. It would ask for ten minutes.
ASKING = """
from lazyana.data.cache import state_of
from lazyana.options import ReadOptions
print(state_of(["root://127.0.0.1:1//a.root"], ReadOptions(timeout=1)))
"""


@pytest.mark.integration
def test_nobody_at_an_xrootd_address() -> None:
    missing = servers.why_no_xrootd()
    if missing:
        pytest.skip(missing)
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", ASKING]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, env=places, check=False
    )
    assert done.stdout.split() == ["None"], done.stderr


@pytest.mark.integration
@pytest.mark.parametrize("way", ["at once", "later", "renamed"])
def test_a_file_at_an_xrootd_server_is_opened_again_only_if_it_changed(
    way: str, tmp_path: Path, folder: Path, opened: list[str], xrootd: Any
) -> None:
    """Its times are in whole seconds, and this process keeps the file open."""
    url = xrootd.add(write(tmp_path / "a.root"))
    target = xrootd.folder / "a.root"
    now = int(time.time())
    os.utime(target, (now, now) if way == "at once" else (now - 100, now - 100))
    first = only(inspect(url, cache=folder))
    assert only(inspect(url, cache=folder)) == first
    assert opened == [url]
    if way == "renamed":
        write(tmp_path / "b.root", value=1)
        (tmp_path / "b.root").chmod(0o644)
        (tmp_path / "b.root").rename(target)
    else:
        xrootd.add(write(tmp_path / "a.root", value=1))
    assert target.stat().st_size == first.file_bytes
    os.utime(target, (now, now))
    second = only(inspect(url, cache=folder))
    assert second.uuid != first.uuid
    assert opened == [url, url]
    with uproot.open(target) as file:
        assert second.uuid == str(file.file.uuid)
