"""Trees that uproot opens: TTrees for what the basket index does not tell, and their checks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import awkward as ak
import uproot

from lazyana.data.partitions import Span
from lazyana.errors import FileError, did_you_mean
from lazyana.options import ReadOptions

_TREES = ("TTree", "TNtuple", "TNtupleD")

FileState = tuple[int, int, int]
"""(inode, bytes, time of the last change in ns) of a local file"""

_kept = threading.local()


def open_tree(url: str, tree: str) -> Any:
    """The tree with the events of a file, opened by uproot.

    Raises
    ------
    FileError
        A file that cannot be opened, is no ROOT file, or has no such tree.
    """
    try:
        root = uproot.open({url: None})
    except FileNotFoundError as error:
        file, colon, inside = url.rpartition(":")
        named = colon and file.endswith(".root")
        hint = f" To name the tree write {{{file!r}: {inside!r}}}." if named else ""
        msg = f"There is no file {url}.{hint}"
        raise FileError(msg) from error
    except Exception as error:
        msg = f"{url} cannot be opened as a ROOT file: {first_line(error)}"
        raise FileError(msg) from error
    try:
        _check_length(root, url)
        return _tree_in(root, url, tree)
    except BaseException:
        root.close()
        raise


def _check_length(root: Any, url: str) -> None:
    """Refuse a local file that ends before the end its header tells."""
    found, expected = root.file.source.num_bytes, root.file.fEND
    if "://" not in url and found < expected:
        msg = (
            f"{url} is cut short: it has {found} of {expected} bytes. It may still be being "
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
    if isinstance(found, uproot.behaviors.TBranch.HasBranches):
        return found
    if "RNTuple" in kind:
        msg = (
            f"{tree!r} in {url} is an RNTuple, and events are read from a TTree: convert the file, "
            "or take the NanoAOD file it was made from."
        )
    else:
        msg = (
            f"{tree!r} in {url} is a {kind}, not a tree (TTree) of events. "
            f"Trees in it: {', '.join(_trees(root)) or 'none'}."
        )
    raise FileError(msg)


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
    return lines[0] if lines else type(error).__name__


def open_kept(url: str, span: Span, options: ReadOptions) -> Any:
    """The tree of a span, kept open by this thread for the next span of the file.

    Parameters
    ----------
    url
        Where to open the file.
    span
        Which tree.
    options
        How many trees the thread keeps open.

    Raises
    ------
    FileError
        A file that cannot be opened, or was replaced since it was inspected.
    """
    cache: OrderedDict[tuple[str, str], tuple[FileState | None, Any]]
    cache = _kept.__dict__.setdefault("cache", OrderedDict())
    key = (url, span.tree)
    state = file_state(url)
    known, tree = cache.pop(key, (None, None))
    if tree is not None and known != state:
        # Written over since this thread opened it.
        tree.file.close()
        tree = None
    if tree is None:
        tree = open_tree(url, span.tree)
    if str(tree.file.uuid) != span.uuid:
        tree.file.close()
        raise FileError(replaced(url))
    cache[key] = (state, tree)
    while len(cache) > options.open_files:
        _, (_, oldest) = cache.popitem(last=False)
        oldest.file.close()
    return tree


def replaced(url: str) -> str:
    """Message for a file whose content has another identity than when it was inspected."""
    return (
        f"{url} was replaced since it was inspected (other file identifier). "
        "Open the fileset again with la.open so that it is inspected anew."
    )


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
        msg = f"Branch {name!r}, {where}, cannot be read: {type(error).__name__}: {error}"
        raise FileError(msg) from error
    if len(array) != span.entries:
        msg = f"Branch {name!r}, {where}, has {len(array)} entries instead of {span.entries}."
        raise FileError(msg)
    return array
