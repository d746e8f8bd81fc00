"""Servers on this machine that files are read from, and that fail when told to."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"


class WebServer:
    """Serves a folder by http, in ranges.

    Attributes
    ----------
    requests
        What was asked for: (file name, first byte, one past the last byte).
    faults
        What the next requests get instead of an answer, the first one first:

        - ``"reset"``: half the answer, then a broken connection
        - ``"short"``: an answer that is complete, of half the bytes
        - ``"cut"``: half the answer, then the end of the connection
        - ``"whole"``: the whole file, whatever was asked for
        - ``"slow"``: nothing until the server stops
        - ``"die"``: the server is gone, as are all its connections
        - a number: that status
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[tuple[str, int, int]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[str | int] = []
        self.stopped = threading.Event()
        self._gone = False
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen, on the same port as before."""
        ours = self

        class Handler(_Handler):
            owner = ours

        self.stopped.clear()
        self._gone = False
        self._server = _Server((HOST, self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Be gone: nothing listens, and what is connected is cut off."""
        with self._lock:
            # Clients ask again by a connection that is not cut yet.
            self._gone = True
        server, self._server = self._server, None
        if server is not None:
            # Not from a request: it would wait for itself.
            server.shutdown()
            server.server_close()
        with self._lock:
            connections, self._connections = self._connections, set()
        for one in connections:
            # The thread that serves it closes it.
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.stopped.set()

    def url(self, name: str) -> str:
        return f"http://{HOST}:{self.port}/{name}"

    def asked(self, request: tuple[str, int, int]) -> str | int | None:
        """Take down a request; the fault that it meets."""
        with self._lock:
            if self._gone:
                return "gone"
            self.requests.append(request)
            return self.faults.pop(0) if self.faults else None

    def connected(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the game."""

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)


class _Handler(BaseHTTPRequestHandler):
    owner: WebServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.owner.connected(self.connection)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        path = self.owner.folder / self.path.lstrip("/")
        if not path.is_file():
            self._answer(404, b"")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self) -> None:
        path = self.owner.folder / self.path.lstrip("/")
        if not path.is_file():
            self._answer(404, b"")
            return
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]) + 1, size) if asked and asked[2] else size
        fault = self.owner.asked((path.name, first, last))
        self.owner.headers.append(dict(self.headers))
        if isinstance(fault, int):
            self._answer(fault, b"")
        elif fault == "gone":
            self.close_connection = True
        elif fault == "slow":
            self.owner.stopped.wait()
            self.close_connection = True
        elif fault == "die":
            threading.Thread(target=self.owner.stop).start()
            self.owner.stopped.wait()
            self.close_connection = True
        elif first >= size:
            self._answer(416, b"")
        else:
            self._send(path.read_bytes(), first, last, bool(asked), fault)

    def _send(self, data: bytes, first: int, last: int, part: bool, fault: str | None) -> None:
        whole = fault == "whole" or not part
        wanted = data if whole else data[first:last]
        half = wanted[: len(wanted) // 2]
        if fault == "short":
            wanted = half
        self.send_response(200 if whole else 206)
        self.send_header("Content-Length", str(len(wanted)))
        if not whole:
            self.send_header("Content-Range", f"bytes {first}-{last - 1}/{len(data)}")
        self.end_headers()
        if fault in ("reset", "cut"):
            self.wfile.write(half)
            self.wfile.flush()
            self.close_connection = True
            if fault == "reset":
                # What closes without lingering sends a reset.
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return
        self.wfile.write(wanted)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def web_server(folder: Path) -> Iterator[WebServer]:
    """A web server for a folder."""
    server = WebServer(folder)
    try:
        yield server
    finally:
        server.stop()


class XRootDServer:
    """Serves a folder of its own by root://.

    Attributes
    ----------
    folder
        The folder.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / "data"
        self._home = home
        for name in ("data", "admin", "run"):
            (home / name).mkdir()
        (home / "server.cfg").write_text(
            f"all.export /\noss.localroot {self.folder}\nall.adminpath {home}/admin\n"
            f"all.pidpath {home}/run\nxrd.allow host *\nxrootd.trace request\n"
        )
        for path in (home, *home.iterdir()):
            path.chmod(0o777)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Listen, on the same port as before."""
        # It refuses to run as the superuser, who is who runs tests in containers.
        user = ["-R", "nobody"] if os.geteuid() == 0 else []
        command = ["xrootd", *user, "-c", "server.cfg", "-p", str(self.port), "-l", "log.txt"]
        with (self._home / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(command, cwd=self._home, stdout=output, stderr=output)
        _wait_for(self._answers, lambda: f"xrootd does not start:\n{self._log()[-2000:]}")

    @property
    def process(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"xrootd ended:\n{self._log()[-2000:]}")
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def stop(self) -> None:
        """Be gone, without a word to anybody."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def pause(self) -> None:
        """Answer nobody."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            os.waitpid(self._process.pid, os.WUNTRACED)

    def add(self, path: Path) -> str:
        """Put a file into the folder; its URL."""
        target = self.folder / path.name
        shutil.copyfile(path, target)
        target.chmod(0o644)
        return self.url(path.name)

    def url(self, name: str) -> str:
        return f"root://{HOST}:{self.port}//{name}"

    def requests(self, kind: str) -> int:
        """How many requests of a kind there were, e.g. "open", "read", "readv"."""
        return len(re.findall(rf"req={kind}\b", self._log()))

    def _log(self) -> str:
        # The name of the instance is part of the path.
        logs = [*self._home.rglob("log.txt"), self._home / "output.txt"]
        return "".join(path.read_text(errors="replace") for path in logs if path.exists())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(condition: Callable[[], bool], message: Callable[[], str]) -> None:
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(message())
        time.sleep(0.02)


def why_no_xrootd() -> str | None:
    """What is missing for reading by root://, if anything is."""
    if shutil.which("xrootd") is None:
        return "no xrootd server here: apt-get install xrootd-server"
    try:
        import fsspec_xrootd  # noqa: F401  (is it there?)
    except ImportError as error:
        return f"{error}: pip install 'lazyana[xrootd]'"
    return None


@contextmanager
def xrootd_server() -> Iterator[XRootDServer]:
    """An XRootD server, in a folder that its user can read."""
    home = Path(tempfile.mkdtemp(prefix="lazyana-xrootd-"))
    server = XRootDServer(home)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
