"""Files that are to be merged: what they hold, and whether they fit together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import uproot

from lazyana.errors import FileError, InputError, InputTypeError, did_you_mean
from lazyana.options import ReadOptions
from lazyana.reader.source import uproot_options
from lazyana.sinks.folder import absolute
from lazyana.sinks.skimfile import EVENTS
from lazyana.sinks.ttree import DTYPES, Branch

Missing = Literal["raise", "drop"]
MISSING = ("raise", "drop")

#: Files that are opened at a time, to find out what they hold.
_THREADS = 8


@dataclass(frozen=True)
class Piece:
    """A file to be merged.

    Attributes
    ----------
    url
        Where it is.
    entries
        Number of events in it.
    bytes
        Uncompressed size of its events.
    branches
        The branches of its events.
    """

    url: str
    entries: int
    bytes: int
    branches: tuple[Branch, ...]


def look_at(files: Iterable[str | os.PathLike[str]], tree: str = EVENTS) -> tuple[Piece, ...]:
    """Open files that are to be merged, and tell what they hold.

    Parameters
    ----------
    files
        Paths or URLs.
    tree
        Name of the tree with the events.

    Raises
    ------
    FileError
        A file that is not there, cut short, or without such a tree.
    InputError
        A branch that cannot be written, a file that is there twice, or no files.
    """
    if isinstance(files, str | os.PathLike):
        msg = f"files={files!r} is one path: give a list of files."
        raise InputTypeError(msg)
    urls = [absolute(file) for file in files]
    twice = [url for url in urls if urls.count(url) > 1] if len(set(urls)) < len(urls) else []
    if not urls or twice:
        what = f"The file {twice[0]} is there twice" if twice else "There are no files to merge"
        msg = f"{what}: give each file of a dataset once."
        raise InputError(msg)
    with ThreadPoolExecutor(_THREADS) as pool:
        return tuple(pool.map(lambda url: look_at_one(url, tree), urls))


def plan_merge(
    pieces: Sequence[Piece], *, max_files: Any = None, max_events: Any = None
) -> tuple[tuple[Piece, ...], ...]:
    """Which files become one, in their order.

    Parameters
    ----------
    pieces
        The files.
    max_files, max_events
        Most files that become one, and most events in one, a single file that has more aside.

    Raises
    ------
    InputError, InputTypeError
        A limit below 1.
    """
    for name, limit in (("max_files", max_files), ("max_events", max_events)):
        if limit is None:
            continue
        if not isinstance(limit, int) or isinstance(limit, bool):
            msg = f"{name}={limit!r} is a {type(limit).__name__}: give a whole number."
            raise InputTypeError(msg)
        if limit < 1:
            msg = f"{name}={limit}: give 1 or more."
            raise InputError(msg)
    groups: list[list[Piece]] = [[]]
    for piece in pieces:
        events = sum(one.entries for one in groups[-1]) + piece.entries
        full = max_files is not None and len(groups[-1]) >= max_files
        full = full or (max_events is not None and events > max_events)
        if full and groups[-1]:
            groups.append([])
        groups[-1].append(piece)
    return tuple(tuple(group) for group in groups if group)


def open_file(url: str, options: ReadOptions | None = None) -> Any:
    """A ROOT file, opened by uproot.

    Raises
    ------
    FileError
        A file that is not there, or is none.
    """
    try:
        return uproot.open(
            {url: None}, array_cache=None, **uproot_options(url, options or ReadOptions())
        )
    except FileNotFoundError as error:
        msg = f"There is no file {url}."
        raise FileError(msg) from error
    except Exception as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        msg = f"{url} cannot be opened as a ROOT file: {why}"
        raise FileError(msg) from error


def look_at_one(url: str, tree: str) -> Piece:
    """What one file holds; see `look_at`."""
    with open_file(url) as root:
        kinds = root.classnames(cycle=False)
        if kinds.get(tree) != "TTree":
            trees = sorted(one for one, kind in kinds.items() if kind == "TTree")
            msg = (
                f"{url} has no TTree {tree!r}.{did_you_mean(tree, trees)} "
                f"Trees in it: {', '.join(trees) or 'none'}. Give its name with tree=."
            )
            raise FileError(msg)
        events = root[tree]
        counters = {
            one.count_branch.name for one in events.branches if one.count_branch is not None
        }
        branches = tuple(_branch(one, url) for one in events.branches if one.name not in counters)
        size = sum(int(one.uncompressed_bytes) for one in events.branches)
        return Piece(url, int(events.num_entries), size, branches)


def _branch(branch: Any, url: str) -> Branch:
    """How a branch of a file is written."""
    kind, counter, counts = branch.interpretation, "", "int32"
    if isinstance(kind, uproot.AsJagged):
        kind = kind.content
        counted = branch.count_branch
        counter = f"n{branch.name}" if counted is None else counted.name
        counts = counts if counted is None else str(counted.interpretation.to_dtype)
    dtype = getattr(kind, "to_dtype", None)
    shape: tuple[int, ...] = ()
    if dtype is not None and dtype.subdtype is not None:
        dtype, shape = dtype.subdtype
    if not isinstance(kind, uproot.AsDtype) or str(dtype) not in DTYPES:
        msg = (
            f"Branch {branch.name!r} of {url} is a {branch.typename}, and only numbers and lists "
            "of numbers can be merged. Make the skim without it: drop=..."
        )
        raise InputError(msg)
    return Branch(branch.name, str(dtype), counter, shape, counts, branch.title)


def common_branches(pieces: Sequence[Piece], missing: Missing) -> tuple[Branch, ...]:
    """The branches to write; files without events say nothing, as often they lack some.

    Raises
    ------
    InputError
        Branches that differ, or that only some of the files have, unless these are dropped.
    """
    told = [piece for piece in pieces if piece.entries] or list(pieces[:1])
    first = {branch.name: branch for branch in told[0].branches}
    kept = dict(first)
    for piece in told[1:]:
        mine = {branch.name: branch for branch in piece.branches}
        differ = [name for name in kept.keys() & mine if _type(kept[name]) != _type(mine[name])]
        lacking = sorted((kept.keys() | mine.keys()) - (kept.keys() & mine.keys()))
        if differ:
            name = min(differ)
            msg = (
                f"Branch {name!r} is {_type(first[name])} in {told[0].url} and {_type(mine[name])} "
                f"in {piece.url}: they cannot be merged."
            )
            raise InputError(msg)
        if lacking and missing == "raise":
            one, other = (told[0], piece) if lacking[0] in first else (piece, told[0])
            more = f" and {len(lacking) - 1} more branches" if len(lacking) > 1 else ""
            msg = (
                f"Branch {lacking[0]!r}{more}: in {one.url}, not in {other.url}. Merge files with "
                "the same branches, or leave out what some of them lack with missing='drop'."
            )
            raise InputError(msg)
        kept = {name: branch for name, branch in kept.items() if name in mine}
    if not kept:
        msg = f"{told[0].url} and {told[1].url if len(told) > 1 else 'itself'} share no branch."
        raise InputError(msg)
    return tuple(kept.values())


def _type(branch: Branch) -> str:
    return branch.dtype + "[]" * bool(branch.counter) + "".join(f"[{n}]" for n in branch.shape)
