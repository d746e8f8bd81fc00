"""Byte ranges of files, local or remote, in one request."""

from __future__ import annotations

import importlib.util
import math
import os
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from types import FrameType
from typing import Any

import aiohttp
import fsspec
from fsspec.asyn import sync
from fsspec.registry import registry

from lazyana.errors import FileError
from lazyana.options import ReadOptions

Range = tuple[int, int]
"""(first byte, one past the last byte)"""

# The largest piece asked of a server at once: several of them travel side by side.
_LONGEST = 8 * 2**20
# Requests to one web server at a time; XRootD takes all ranges in one request.
_SIDE_BY_SIDE = 32
# A server that sends less than this many bytes a second does not answer in time.
_SLOWEST = 250_000
# Seconds that files at XRootD servers are kept open for the next partition. The library closes what
# was opened longer ago, even while it is read.
_KEPT_OPEN = 600
_FILES_OPEN = 256
# Seconds in which threads of the XRootD client are done with telling of an answer.
_SETTLES = 5


class CutShortError(FileError):
    """A local file that ends before what is asked of it.

    Parameters
    ----------
    path
        The file.
    size
        Where it ends, in bytes.
    wanted
        One past the last byte that was asked for.
    """

    def __init__(self, path: str, size: int, wanted: int) -> None:
        super().__init__(f"{path} ends at byte {size}, before byte {wanted} that was asked for.")
        self.size = size
        self._made_of = (path, size, wanted)

    def __reduce__(self) -> tuple[type[CutShortError], tuple[str, int, int]]:
        """Made anew in another process."""
        return CutShortError, self._made_of


def read_ranges(url: str, ranges: Sequence[Range], options: ReadOptions) -> list[memoryview]:
    """Read parts of a file by one request.

    Parameters
    ----------
    url
        A local path or URL.
    ranges
        What to read.
    options
        ``max_gap`` (ranges closer than that are read as one), ``timeout``.

    Returns
    -------
    list of memoryview
        The bytes of each range, each of the length asked for.

    Raises
    ------
    FileError
        A local file that ends too early, or a URL that this installation or the server cannot
        read parts of.
    OSError, aiohttp.ClientError
        What the file system or server says, or a server that sends too little.
    """
    merged = coalesced(ranges, options.max_gap, _LONGEST if "://" in url else None)
    buffers = _remote(url, merged, options) if "://" in url else _local(url, merged)
    found: dict[Range, memoryview] = {}
    waiting = sorted(set(ranges))
    at = 0
    for (first, last), buffer in zip(merged, buffers, strict=True):
        view = memoryview(buffer)
        while at < len(waiting) and waiting[at][1] <= last:
            one = waiting[at]
            found[one] = view[one[0] - first : one[1] - first]
            at += 1
    return [found[one] for one in ranges]


def coalesced(ranges: Sequence[Range], max_gap: int, longest: int | None = None) -> list[Range]:
    """Ranges in order, those no more than `max_gap` bytes apart put together.

    Parameters
    ----------
    ranges
        In any order; they may overlap.
    max_gap
        Bytes between two ranges that are read along.
    longest
        Number of bytes that ranges are not put together beyond, unless they overlap.
    """
    merged: list[Range] = []
    for first, last in sorted(ranges):
        start, stop = merged[-1] if merged else (0, -1)
        fits = longest is None or last - start <= longest
        if merged and (first < stop or (first - stop <= max_gap and fits)):
            merged[-1] = (start, max(last, stop))
        else:
            merged.append((first, last))
    return merged


def told_of(url: str, options: ReadOptions) -> tuple[Any, dict[str, Any]]:
    """What the server of a remote file tells of it without sending any of it.

    Parameters
    ----------
    url
        A URL.
    options
        ``timeout``.

    Returns
    -------
    system
        The fsspec file system that asked.
    info
        Name, ``size`` in bytes (None where it is not told), and what else the system tells.

    Raises
    ------
    FileError
        A URL that this installation cannot read.
    OSError, aiohttp.ClientError
        What the server says.
    """
    system, path = _filesystem(url, options)
    limits = {"timeout": options.timeout} if system.async_impl else {}
    try:
        info: dict[str, Any] = system.info(path, **limits)
    except FileNotFoundError as error:
        # What any failure becomes for http: the cause tells whether to try again.
        if isinstance(error.__cause__, OSError | aiohttp.ClientError):
            raise error.__cause__ from error
        raise
    return system, info


def _local(path: str, ranges: Sequence[Range]) -> list[bytes]:
    file = os.open(path, os.O_RDONLY)
    try:
        return [_pread(path, file, first, last) for first, last in ranges]
    finally:
        os.close(file)


def _pread(path: str, file: int, first: int, last: int) -> bytes:
    pieces: list[bytes] = []
    at = first
    while at < last:
        piece = os.pread(file, last - at, at)
        if not piece:
            raise CutShortError(path, at, last)
        pieces.append(piece)
        at += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _remote(url: str, ranges: Sequence[Range], options: ReadOptions) -> list[Any]:
    if not ranges:
        return []
    system, path = _filesystem(url, options)
    limits: dict[str, Any] = {}
    if system.async_impl:
        size = sum(last - first for first, last in ranges)
        limits = {"timeout": options.timeout + size / _SLOWEST}
        if url.startswith("http"):
            limits["batch_size"] = _SIDE_BY_SIDE
    try:
        buffers = system.cat_ranges(
            [path] * len(ranges),
            [first for first, _ in ranges],
            [last for _, last in ranges],
            **limits,
        )
        for (first, last), buffer in zip(ranges, buffers, strict=True):
            _check(url, first, last, buffer)
    except Exception as error:
        _close(system, path)
        if isinstance(error, OSError | aiohttp.ClientError):
            raise
        if isinstance(error.__cause__, StopIteration):
            msg = "the server sent fewer bytes than asked for"
            raise ConnectionError(msg) from error
        # The libraries behind fsspec have errors of their own for trouble with a server.
        msg = f"{type(error).__name__}: {error}"
        raise ConnectionError(msg) from error
    return list(buffers)


def _check(url: str, first: int, last: int, buffer: Any) -> None:
    """Refuse what is not the bytes asked for."""
    if isinstance(buffer, BaseException):
        raise buffer
    if len(buffer) > last - first:
        msg = (
            f"The server of {url} sent {len(buffer)} bytes where {last - first} were asked for: it "
            "cannot send parts of files. Copy the file, or name another place of it."
        )
        raise FileError(msg)
    if len(buffer) < last - first:
        msg = f"the server sent {len(buffer)} of {last - first} bytes from byte {first} on"
        raise ConnectionError(msg)


def _filesystem(url: str, options: ReadOptions) -> tuple[Any, str]:
    """What fsspec reads a URL with, one for all threads of a process, and the path in there."""
    scheme = url.partition("://")[0]
    settings = storage_options(url, options)
    try:
        if scheme == "root":
            # A system of our own: opening a file with uproot closes those that its system keeps.
            settings |= {"filehandle_cache_ttl": _KEPT_OPEN, "filehandle_cache_size": _FILES_OPEN}
        system, path = fsspec.url_to_fs(url, **settings)
    except (ImportError, ValueError) as error:
        hint = " Install it: pip install 'lazyana[xrootd]'." if scheme == "root" else ""
        msg = f"{url} cannot be read, since nothing here reads {scheme}:// ({error}).{hint}"
        raise FileError(msg) from error
    return system, path


def storage_options(url: str, options: ReadOptions) -> dict[str, Any]:
    """What to tell fsspec, or `uproot.open`, beside a URL.

    Settings of fsspec itself, from its configuration files or ``FSSPEC_...`` variables, are kept.
    For ``root://`` the settings are those of the XRootD client of this process, made here.

    Parameters
    ----------
    url
        A local path or URL.
    options
        ``timeout``: for http, the seconds without a byte after which a connection is given up.
    """
    scheme = url.partition("://")[0]
    if scheme in ("http", "https"):
        wait = aiohttp.ClientTimeout(
            total=None, sock_connect=options.timeout, sock_read=options.timeout
        )
        given = fsspec.config.conf
        known = {**given.get("http", {}), **given.get("https", {})}
        return {
            "client_kwargs": {"timeout": wait, **known.get("client_kwargs", {})},
            # Compressed once more, ranges would have other lengths.
            "headers": {"Accept-Encoding": "identity", **known.get("headers", {})},
        }
    if scheme == "root" and importlib.util.find_spec("XRootD") is not None:
        _set_up_xrootd(math.ceil(options.timeout))
    return {}


@lru_cache(maxsize=1)
def _set_up_xrootd(timeout: int) -> None:
    """Have the XRootD client of this process report failures at once, for us to try again.

    By itself it tries a dead server for ten minutes, remembers for half an hour that it was dead,
    and waits for an answer as long. Variables ``XRD_...`` of the shell take precedence.
    """
    environment = importlib.import_module("XRootD.client.env")
    settings = {
        "ConnectionRetry": 1,
        "ConnectionWindow": timeout,
        "StreamErrorWindow": 1,
        "StreamTimeout": timeout,
        # Of one request, however much it asks for.
        "RequestTimeout": 10 * timeout,
        "TimeoutResolution": 1,
    }
    for name, value in settings.items():
        environment.EnvPutInt(name, value)


def open_anew(url: str, options: ReadOptions) -> bool:
    """Have the next request open a file again, as an open one stays what it was when replaced.

    Returns
    -------
    bool
        Whether the file was open.
    """
    return url.startswith("root://") and _close(*_filesystem(url, options))


def _close(system: Any, path: str) -> bool:
    """Forget the connection of a file, so that the next try makes a new one."""
    kept = getattr(system, "_readonly_filehandle_cache", None)
    if kept is None:
        return False

    async def forget() -> bool:
        # On the thread of the event loop, the only one that changes these.
        item = kept._cache.pop(system.unstrip_protocol(path), None)
        if item is not None:
            item.handle.close(callback=lambda *_: None)
        return item is not None

    closed: bool = sync(system.loop, forget)
    return closed


_held: list[Any] = []


def _before_fork() -> None:
    """Make forking safe for this process and for the forked one.

    fsspec drops its file systems in the forked process, which would close connections that this
    one waits on: they are held. The XRootD client stops its threads for a fork while this thread
    holds the interpreter, so none of them may still be telling Python of an answer: it would wait
    for the interpreter, and the fork for it, for ever.
    """
    for kind in set(registry.values()):
        _held.extend(getattr(kind, "_cache", {}).values())
    end = time.monotonic() + _SETTLES
    while "XRootD.client.utils" in _called_from_outside() and time.monotonic() < end:
        time.sleep(0.001)


def _called_from_outside() -> set[str]:
    """Modules of the functions that libraries' own threads have called, and that still run."""
    return {_outermost(frame) for frame in sys._current_frames().values()}


def _outermost(frame: FrameType) -> str:
    while frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__"))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_held.clear)
