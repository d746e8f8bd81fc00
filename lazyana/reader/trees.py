"""Files that are opened and kept open: trees and RNTuples that uproot opens, and their checks."""

from __future__ import annotations

import textwrap
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp
import awkward as ak
import uproot

from lazyana.errors import FileError, did_you_mean
from lazyana.options import ReadOptions
from lazyana.reader.header import HEADER_BYTES, Header
from lazyana.reader.source import uproot_options
from lazyana.reader.spans import Span

_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")

FileState = tuple[int, int, int]
"""(inode, bytes, time of the last change in ns) of a local file"""

_kept = threading.local()
_DEFAULT = ReadOptions()


class ReplacedError(FileError):
    """A file whose content has another identity than when it was inspected.

    Parameters
    ----------
    url
        Where it is.
    """

    def __init__(self, url: str) -> None:
        super().__init__(
            f"{url} was replaced since it was inspected (other file identifier). "
            "Open the fileset again with la.open so that it is inspected anew."
        )
        self.url = url

    def __reduce__(self) -> Any:
        """Travel as what it is made of."""
        return ReplacedError, (self.url,)


class Opened(Protocol):
    """A file that is open."""

    @property
    def uuid(self) -> str:
        """Identity of its content."""

    def close(self) -> None:
        """Close it."""


OpenedT = TypeVar("OpenedT", bound=Opened)


@dataclass(frozen=True)
class _OpenTree:
    tree: Any

    @property
    def uuid(self) -> str:
        return str(self.tree.file.uuid)

    def close(self) -> None:
        self.tree.file.close()


def open_tree(url: str, tree: str, options: ReadOptions = _DEFAULT) -> Any:
    """The TTree or RNTuple with the events of a file, opened by uproot.

    Parameters
    ----------
    url
        Where the file is.
    tree
        Name of the tree in it.
    options
        How long servers may take.

    Raises
    ------
    FileError
        A file that cannot be opened, is no ROOT file, or has no such tree.
    """
    try:
        # Without its cache of arrays: what is read is not read again, and files are kept open.
        root = uproot.open({url: None}, array_cache=None, **uproot_options(url, options))
    except FileNotFoundError as error:
        raise FileError(no_file(url)) from error
    except Exception as error:
        _check_length(url)  # the usual reason
        msg = f"{url} cannot be opened as a ROOT file: {first_line(error)}"
        raise FileError(msg) from error
    try:
        _check_length(url)
        return _tree_in(root, url, tree)
    except BaseException:
        root.close()
        raise


def _check_length(url: str) -> None:
    """Refuse a local file that ends before the end its header tells."""
    if "://" in url:
        return
    try:
        with Path(url).open("rb") as file:
            header = Header.of(file.read(HEADER_BYTES))
        found = Path(url).stat().st_size
    except OSError:  # who opens it says so
        return
    if header is not None and found < header.end:
        msg = (
            f"{url} is cut short: it has {found} of {header.end} bytes. It may still be being "
            "written or copied."
        )
        raise FileError(msg)


def _tree_in(root: Any, url: str, tree: str) -> Any:
    try:
        found = root[tree]
        is_folder = isinstance(found, uproot.ReadOnlyDirectory)
        kind = "TDirectory" if is_folder else str(found.classname)
    except (KeyError, uproot.exceptions.KeyInFileError) as error:
        trees = _trees(root)
        msg = (
            f"{url} has no tree {tree!r}.{did_you_mean(tree, trees)} "
            f"Trees in it: {', '.join(trees) or 'none'}. Give its name with tree=."
        )
        raise FileError(msg) from error
    except Exception as error:
        msg = f"Tree {tree!r} of {url} cannot be read: {first_line(error)}"
        raise FileError(msg) from error
    kinds = (uproot.behaviors.TBranch.HasBranches, uproot.behaviors.RNTuple.RNTuple)
    if isinstance(found, kinds):
        return found
    msg = (
        f"{tree!r} in {url} is a {kind}, not a tree of events (TTree or RNTuple). "
        f"Trees in it: {', '.join(_trees(root)) or 'none'}."
    )
    raise FileError(msg)


def no_file(url: str) -> str:
    """Message for a file that does not exist."""
    file, colon, inside = url.rpartition(":")
    named = colon and file.endswith(".root")
    hint = f" To name the tree write {{{file!r}: {inside!r}}}." if named else ""
    return f"There is no file {url}.{hint}"


def file_state(url: str) -> FileState | None:
    """What tells a local file from what it was before; None for a remote one.

    Raises
    ------
    FileError
        A local file that is gone.
    """
    if "://" in url:
        return None
    try:
        stat = Path(url).stat()
    except FileNotFoundError as error:
        msg = f"There is no file {url} (any more)."
        raise FileError(msg) from error
    except OSError as error:
        msg = f"{url} cannot be read: {error.strerror or error}."
        raise FileError(msg) from error
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _trees(root: Any) -> list[str]:
    kinds = root.classnames(cycle=False)
    return sorted(name for name, kind in kinds.items() if kind in _TREES)


def first_line(error: BaseException) -> str:
    """The first line of an exception's message that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(",") if lines else type(error).__name__


def open_kept(url: str, span: Span, options: ReadOptions) -> Any:
    """The tree of a span, opened by uproot and kept open by this thread (see `keep`)."""
    return keep(url, span, options, lambda url, tree: _OpenTree(open_tree(url, tree, options))).tree


def keep(
    url: str, span: Span, options: ReadOptions, opener: Callable[[str, str], OpenedT]
) -> OpenedT:
    """The file of a span, kept open by this thread for the next span of the file.

    Parameters
    ----------
    url
        Where to open the file.
    span
        Which tree, in which format.
    options
        How many files the thread keeps open.
    opener
        Opens a URL and tree of the span's format.

    Raises
    ------
    FileError
        A file that cannot be opened, or was replaced since it was inspected.
    """
    cache: OrderedDict[tuple[str, str, str], tuple[FileState | None, OpenedT]]
    cache = _kept.__dict__.setdefault("cache", OrderedDict())
    key = (url, span.tree, span.format)
    state = file_state(url)
    known, opened = cache.pop(key, (None, None))
    if opened is not None and (known != state or opened.uuid != span.uuid):
        # Written over since this thread opened it.
        opened.close()
        opened = None
    if opened is None:
        opened = _opened(url, span.tree, opener)
    if opened.uuid != span.uuid:
        opened.close()
        raise ReplacedError(url)
    cache[key] = (state, opened)
    while len(cache) > options.open_files:
        _, (_, oldest) = cache.popitem(last=False)
        oldest.close()
    return opened


def _opened(url: str, tree: str, opener: Callable[[str, str], OpenedT]) -> OpenedT:
    try:
        return opener(url, tree)
    except (OSError, aiohttp.ClientError):
        raise
    except Exception as error:
        # Libraries stumble over damage in ways of their own.
        what = f"{type(error).__name__}: {first_line(error)}"
        msg = f"{url} cannot be opened ({what}). The file is damaged: copy it again."
        raise FileError(msg) from error


def read_branch(tree: Any, name: str, span: Span) -> ak.Array:
    """One branch of a span, shape ``(events, ...)``.

    Raises
    ------
    FileError
        A branch that cannot be read, or ends too early.
    """
    where = span.where
    try:
        array = tree[name].array(entry_start=span.start, entry_stop=span.stop, library="ak")
    except Exception as error:
        why = textwrap.shorten(str(error), 240, placeholder=" …")
        msg = f"Branch {name!r}, {where}, cannot be read: {type(error).__name__}: {why}"
        raise FileError(msg) from error
    if len(array) != span.entries:
        msg = f"Branch {name!r}, {where}, has {len(array)} entries instead of {span.entries}."
        raise FileError(msg)
    return array
