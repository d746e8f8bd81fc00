"""The cache on disk: what inspection learned of files, so that unchanged ones are not opened again.

One entry a file, in a folder that several processes and machines may share: an entry is written to
a file of another name which is then renamed, without locks. Entries hold JSON and numbers, never
code. What is damaged, of another file or of another version is ignored and written again.

A local file is the same if its size, inode and times of change are. A remote one, if its size and
what the server tells of its content are (ETag, checksum, time of change); where the server tells
nothing but the size, or something else than last time (copies at several places), the identifier
in the first bytes of a ROOT file decides, which costs one small request.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lazyana.errors import InputTypeError
from lazyana.options import ReadOptions
from lazyana.reader.baskets import BasketIndex
from lazyana.reader.fileinfo import FileInfo, Layout, Places
from lazyana.reader.header import HEADER_BYTES, Header
from lazyana.reader.ranges import open_anew, read_ranges, told_of
from lazyana.reader.records import Blob, RecordError, Stored, packed, replacing, unpacked, within

State = tuple[Any, ...]
"""What tells a file from what it was before, in JSON terms."""

Known = tuple[Layout, Places]
"""A layout, and the position of each branch."""

Reopen = Callable[[FileInfo], bytes]
"""Gives the basket index of a file where the cache has it no more."""

_DEFAULT = ReadOptions()
_VERSION = 3
_SECOND = 1_000_000_000
_CHECKSUMS = (
    "ETag",
    "etag",
    "e_tag",
    "Content-MD5",
    "content_md5",
    "md5Hash",
    "Digest",
    "checksum",
)
_TELLING = (
    *_CHECKSUMS,
    *("Last-Modified", "LastModified", "last_modified", "mtime", "modified", "updated", "created"),
)


def default_folder() -> Path | None:
    """$LAZYANA_CACHE_DIR, else a folder among the user's caches; None where there is no home."""
    given = os.environ.get("LAZYANA_CACHE_DIR")
    if given:
        return Path(given).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME")
    if shared and Path(shared).is_absolute():
        return Path(shared) / "lazyana"
    try:
        home = Path.home()
    except RuntimeError:  # a job without a home
        return None
    caches = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    return caches / "lazyana"


def state_of(
    urls: Sequence[str], options: ReadOptions = _DEFAULT, silent: set[str] | None = None
) -> State | None:
    """What tells a file from what it was before; None where nothing does.

    Parameters
    ----------
    urls
        The places of one file: the first one that answers counts.
    options
        How long servers may take.
    silent
        Servers that are not asked. One that takes half of the time, and fails, is added.
    """
    silent = set() if silent is None else silent
    for url in urls:
        state = _remote_state(url, options, silent) if "://" in url else _local_state(url)
        if state is not None:
            return state
    return None


def _local_state(path: str) -> State | None:
    try:
        stat = os.stat(path)  # noqa: PTH116  pathlib takes twice as long
    except OSError:
        return None
    changed = max(stat.st_mtime_ns, stat.st_ctime_ns)
    whole = stat.st_mtime_ns % _SECOND == 0 and stat.st_ctime_ns % _SECOND == 0
    if whole and time.time_ns() - changed < 2 * _SECOND:
        # A file system that counts in seconds: it may change again and look the same.
        return None
    return (path, stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)


def _remote_state(url: str, options: ReadOptions, silent: set[str]) -> State | None:
    server = "/".join(url.split("/", 3)[:3])
    if server in silent:
        return None
    begin = time.monotonic()
    try:
        system, info = told_of(url, options)
        told = {key: info[key] for key in _TELLING if info.get(key) is not None}
        if not told and "modified" in vars(type(system)):
            told["modified"] = system.modified(info["name"])
        if told.keys().isdisjoint(_CHECKSUMS) and any(map(_is_fresh, told.values())):
            told = {}
    except Exception:  # whatever a library raises: opening the file will say what is wrong
        if time.monotonic() - begin > options.timeout / 2:
            silent.add(server)
        return None
    size = info.get("size")
    return None if size is None else (url, int(size), *(f"{k}={v}" for k, v in told.items()))


def _is_fresh(changed: Any) -> bool:
    """Whether a time in whole seconds is so recent that the file may change again within it."""
    try:
        if isinstance(changed, str):
            changed = parsedate_to_datetime(changed)
        seconds = changed.timestamp() if isinstance(changed, datetime) else float(changed)
    except (TypeError, ValueError):
        return False
    return seconds.is_integer() and abs(time.time() - seconds) < 2


def _same(before: State, now: State | None, info: FileInfo, options: ReadOptions) -> bool:
    """Whether a file is what it was."""
    if now is None:
        return False
    local = "://" not in now[0]
    if local or (before == now and len(now) > len(("url", "size"))):
        return before == now
    return before[1] == now[1] and _has_header(info, options)


def _has_header(info: FileInfo, options: ReadOptions) -> bool:
    """Whether a remote ROOT file still begins as it did: with its identifier and size."""
    for url in info.urls:
        try:
            open_anew(url, options)
            (start,) = read_ranges(url, [(0, HEADER_BYTES)], options)
        except Exception:  # as above
            continue
        return Header.of(start) == Header(info.uuid, info.file_bytes)
    return False


@cache
def _made_by() -> str:
    """Everything that an entry depends on besides the file: entries of others lie elsewhere."""
    versions = [f"{name} {version(name)}" for name in ("awkward", "coffea", "uproot")]
    text = "\n".join([str(_VERSION), *versions])
    return f"{_VERSION}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def layout_key(layout: bytes) -> str:
    """What tells layouts apart, given as `Layout.to_record` gives them.

    Those of one signature are read the same way, but may have branches in another order, or with
    other titles.
    """
    return hashlib.sha256(layout).hexdigest()[:16]


@dataclass(frozen=True)
class Cache:
    """A folder of entries.

    Attributes
    ----------
    folder
        Where they are.
    """

    folder: Path

    @classmethod
    def find(cls, choice: object) -> Cache | None:
        """The cache that a user means: True for the usual one, False for none, or a folder.

        Raises
        ------
        InputTypeError
            Something else.
        """
        if isinstance(choice, bool):
            folder = default_folder() if choice else None
        elif isinstance(choice, str | os.PathLike) and os.fspath(choice):
            folder = Path(choice).expanduser().absolute()
        else:
            msg = f"cache={choice!r} is neither True nor False nor a folder."
            raise InputTypeError(msg)
        return None if folder is None else cls(folder / "inspect" / _made_by())

    def entry(self, url: str, tree: str) -> Path:
        """Where the entry of a file is."""
        name = hashlib.sha256(f"{url}\n{tree}".encode()).hexdigest()[:32]
        return self.folder / name[:2] / name

    def get(
        self,
        urls: Sequence[str],
        tree: str,
        now: State | None,
        layouts: MutableMapping[str, Known],
        reopen: Reopen,
        options: ReadOptions = _DEFAULT,
    ) -> tuple[FileInfo, str] | None:
        """What is known of a file, and the key of its layout, if it is what it was.

        Parameters
        ----------
        urls, tree
            Which file.
        now
            Its state.
        layouts
            Layouts that need not be read again, by `layout_key`; the one of the file is added.
        reopen
            Called for the basket index if the entry is gone by the time that is needed.
        options
            How long servers may take.
        """
        path = str(self.entry(urls[0], tree))
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123  thousands of them
                size = os.fstat(file.fileno()).st_size
                read = partial(self._entry, path, (urls[0], tree), layouts, reopen)
                before, info, layout = within(file, 0, size, read)
        except (OSError, RecordError, KeyError, TypeError, IndexError):
            return None
        return (info, layout) if _same(before, now, info, options) else None

    def _entry(
        self,
        path: str,
        key: tuple[str, str],
        layouts: MutableMapping[str, Known],
        reopen: Reopen,
        buffer: bytes,
    ) -> tuple[State, FileInfo, str]:
        first = unpacked(buffer)
        if tuple(first.head["key"]) != key:
            msg = "it is the entry of another file"
            raise RecordError(msg)
        record = unpacked(buffer, first.end)
        layout = str(first.head["layout"])
        known = layouts.get(layout) or layouts.setdefault(layout, self.layout(layout))

        def index(blob: Blob) -> BasketIndex:
            return BasketIndex(Stored(path, blob, lambda: reopen(info)))

        info = FileInfo.from_record(buffer, record, known[1], index)
        return tuple(first.head["state"]), info, layout

    def layout(self, key: str) -> Known:
        """A layout, by its `layout_key`.

        Raises
        ------
        RecordError, OSError
            One that is not there, or damaged.
        """
        record = self._layout(key).read_bytes()
        if layout_key(record) != key:
            msg = "it is another layout, or damaged"
            raise RecordError(msg)
        return Layout.from_record(record)

    def _layout(self, key: str) -> Path:
        return self.folder / "layouts" / key

    def put(self, urls: Sequence[str], tree: str, state: State, layout: str, info: bytes) -> None:
        """Keep what is known of a file; where that cannot be, warn once and go on.

        Parameters
        ----------
        urls, tree
            Which file.
        state
            What it was before it was opened.
        layout
            The `layout_key` of its layout.
        info
            From `FileInfo.to_record`.
        """
        head = {"key": [urls[0], tree], "state": state, "layout": layout}
        self._write(self.entry(urls[0], tree), packed(head) + info)

    def put_layout(self, layout: bytes) -> None:
        """Keep a layout, given as `Layout.to_record` gives it, unless it is there and sound."""
        key = layout_key(layout)
        try:
            self.layout(key)
        except (OSError, RecordError):
            self._write(self._layout(key), layout)

    def _write(self, target: Path, content: bytes) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            _warn(str(self.folder), error.strerror or str(error))


@cache
def _warn(folder: str, reason: str) -> None:
    logging.getLogger("lazyana").warning(
        "What inspection learns cannot be kept in %s (%s): files will be opened again next time. "
        "Choose another folder with LAZYANA_CACHE_DIR or cache=.",
        folder,
        reason,
    )
