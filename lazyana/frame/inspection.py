"""Inspecting files on any executor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from lazyana.data import catalogfile
from lazyana.data.catalog import Catalog
from lazyana.data.fileset import FilesetLike
from lazyana.data.inspect import Arrived, Noted, Noting, Place
from lazyana.data.inspect import inspect as inspect_with
from lazyana.engine.executors import find_executor
from lazyana.engine.progress import watch
from lazyana.options import ErrorPolicy, ReadOptions
from lazyana.reader.fileinfo import Unreadable

_WAITING = 8


def inspect(
    source: FilesetLike,
    *,
    tree: str = "Events",
    executor: Any = None,
    workers: int | None = None,
    progress: bool | None = None,
    cache: bool | str | os.PathLike[str] = True,
    lumis: bool = False,
    on_error: ErrorPolicy = "raise",
    retries: int = ReadOptions.retries,
    backoff: float = ReadOptions.backoff,
    timeout: float = ReadOptions.timeout,
) -> Catalog:
    """Open every file of a fileset once and note what it holds.

    What is learned of a file is kept in a cache on disk, and the file is not opened again until it
    changes. `lazyana.open` and `lazyana.apply` inspect what they are given by themselves; a catalog
    made here, or loaded by `Catalog.load`, saves them from looking at the files at all.

    Parameters
    ----------
    source
        A path, URL or glob, several of them, the path of a fileset in JSON, or a mapping
        ``{dataset: files}`` or ``{dataset: {"files": files, "metadata": {...}}}``.
    tree
        Name of the tree with the events, where the fileset does not name it.
    executor
        ``"sync"``, ``"threads"``, ``"processes"``, ``"distributed"``, a `distributed.Client`, the
        address of a scheduler, or None: the active client, else threads. Opening a ROOT file of
        NanoAOD takes up to a second of Python's time: of thousands of files that are not in the
        cache, processes or a cluster open several at once, threads of one process do not.
    workers
        Number of threads or processes (default: one a core; threads: 8 for files at servers, 1 for
        local ones).
    progress
        Whether to show a progress bar (default: on a terminal). It counts the files that have to
        be opened.
    cache
        False to open all files and keep nothing, or the folder of another cache than
        ``$LAZYANA_CACHE_DIR`` or the user's one.
    lumis
        Whether to list the luminosity sections of each file.
    on_error
        ``"raise"``, or ``"skip"`` to leave out files that cannot be read and list them in
        `Catalog.unreadable`.
    retries, backoff, timeout
        How often to try again where a connection fails, after how many seconds, and how many
        seconds a server may take.

    Returns
    -------
    Catalog
        Entries, identity, branches and sizes, clusters, sums of weights and where the baskets are.

    Raises
    ------
    FileError
        A file that cannot be opened at any of its places, is of no known format or has no such
        tree; with ``on_error="skip"``, a dataset none of whose files can be read.
    InputError, InputTypeError, ExecutorError
        Wrong arguments, before a file is opened.

    Examples
    --------
    >>> catalog = la.inspect("fileset.json", executor="processes")  # doctest: +SKIP
    >>> catalog.save("fileset.catalog")  # doctest: +SKIP
    >>> events = la.open("fileset.catalog")  # doctest: +SKIP
    """
    options = ReadOptions(on_error=on_error, retries=retries, backoff=backoff, timeout=timeout)
    find_executor(executor, workers=workers)  # mistakes first

    def run(noting: Noting, places: Sequence[Place], arrived: Arrived) -> None:
        chosen = find_executor(executor, workers=workers)
        if workers is None and getattr(chosen, "kind", None) == "threads":
            # Opening a local file is work for Python, which only one thread at a time can do.
            chosen = find_executor("threads", workers=_WAITING if _wait(places) else 1)
        with watch("inspect", len(places), show=progress, unit="files") as watcher:

            def done(position: int, noted: Noted | Unreadable) -> None:
                arrived(position, noted)
                watcher.done(noted.entries if isinstance(noted, Noted) else 0)

            chosen.each(noting, places, done)

    return inspect_with(source, tree=tree, lumis=lumis, cache=cache, options=options, run=run)


def catalog_of(source: FilesetLike | Catalog, *, tree: str = "Events", **options: Any) -> Catalog:
    """The catalog that a user means.

    Parameters
    ----------
    source
        A catalog, the path of a catalog file, or a fileset to be inspected.
    tree
        Name of the tree, where the fileset does not name it.
    **options
        As for `inspect`.
    """
    if isinstance(source, Catalog):
        return source
    if isinstance(source, str | os.PathLike) and catalogfile.is_catalog(source):
        return Catalog.load(source)
    return inspect(source, tree=tree, **options)


def _wait(places: Sequence[Place]) -> bool:
    """Whether a file is at a server."""
    return any("://" in url for place in places for url in place.urls)
