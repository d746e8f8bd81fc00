"""Inspection: what the files hold, learned by opening each of them once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from lazyana.data.catalog import Catalog, FileInfo, Layout
from lazyana.data.fileset import Fileset
from lazyana.data.formats import note_file
from lazyana.data.trees import FileState, file_state

_THREADS = 4


def inspect(
    source: Any,
    *,
    tree: str = "Events",
    progress: Callable[[int, int], None] | None = None,
) -> Catalog:
    """Open every file of a fileset once and note what it holds.

    A local file that did not change since this process inspected it is not opened again. To save
    opening remote files again, keep the catalog: `lazyana.open` takes it in place of a fileset.

    Parameters
    ----------
    source
        A fileset, or anything `Fileset.parse` takes.
    tree
        Name of the tree with the events, where the fileset does not name it.
    progress
        Called with (files done, files in all) after each file.

    Returns
    -------
    Catalog
        Entries, identity, branches and sizes.

    Raises
    ------
    FileError
        A file that cannot be opened, is no ROOT file, or has no such tree.
    """
    fileset = Fileset.parse(source)
    wanted = [
        (dataset.name, (url, given or tree))
        for dataset in fileset.datasets
        for url, given in dataset.files
    ]
    places = tuple(dict.fromkeys(place for _, place in wanted))
    found: dict[tuple[str, str], tuple[FileInfo, Layout]] = {}
    with ThreadPoolExecutor(max_workers=min(_THREADS, len(places))) as pool:
        results = pool.map(lambda place: _inspect_file(*place), places)
        for done, (place, result) in enumerate(zip(places, results, strict=True), start=1):
            found[place] = result
            if progress is not None:
                progress(done, len(places))
    files: dict[str, list[FileInfo]] = {dataset.name: [] for dataset in fileset.datasets}
    layouts: dict[str, Layout] = {}
    for name, place in wanted:
        info, layout = found[place]
        files[name].append(info)
        layouts.setdefault(info.signature, layout)
    return Catalog(fileset, {name: tuple(infos) for name, infos in files.items()}, layouts)


def _inspect_file(url: str, tree: str) -> tuple[FileInfo, Layout]:
    state = file_state(url)
    # Whether a remote file is what it was can only be known by opening it.
    return note_file(url, tree) if state is None else _inspect_state(url, tree, state)


@lru_cache(maxsize=16384)
def _inspect_state(url: str, tree: str, state: FileState) -> tuple[FileInfo, Layout]:
    del state  # part of the cache key only
    return note_file(url, tree)
