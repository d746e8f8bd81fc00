"""Inspection: what the files hold, learned by opening each of them once and then kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import uproot

from lazyana.data.cache import Cache, Known, State, layout_key, state_of
from lazyana.data.catalog import Catalog
from lazyana.data.fileset import Fileset
from lazyana.data.partitions import span_of
from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader.fileinfo import FileInfo, Layout, Unreadable
from lazyana.reader.formats import READERS, note_file
from lazyana.reader.origin import (
    LUMI,
    WEIGHT,
    Column,
    Lumis,
    lumis_of,
    lumis_of_file,
    nano_version,
    weights_of_events,
)
from lazyana.reader.records import unpacked
from lazyana.reader.retry import attempt
from lazyana.reader.source import uproot_options
from lazyana.reader.trees import ReplacedError, first_line

_THREADS = 8
_AT_ONCE = 64


@dataclass(frozen=True)
class Place:
    """A file to be inspected.

    Attributes
    ----------
    urls
        Where it is: its name, and other places to try when that fails.
    tree
        Name of the tree with the events.
    """

    urls: tuple[str, ...]
    tree: str


@dataclass(frozen=True)
class Noted:
    """What opening a file told, as it is kept and sent from one process to another.

    Attributes
    ----------
    entries
        Number of events.
    layout
        Its layout, as a record.
    info
        The rest, as a record.
    """

    entries: int
    layout: bytes
    info: bytes


@dataclass(frozen=True)
class Noting:
    """Opens a file and notes what there is to know of it; travels to any worker.

    Attributes
    ----------
    lumis
        Whether to list luminosity sections.
    options
        How to read; ``on_error="skip"`` makes a file that cannot be read `Unreadable`.
    """

    lumis: bool = False
    options: ReadOptions = field(default_factory=ReadOptions)

    def __call__(self, place: Place) -> Noted | Unreadable:
        """What is noted of one file.

        Raises
        ------
        FileError
            A file that cannot be read at any of its places, unless these are skipped.
        """
        try:
            info, layout = attempt(place.urls, lambda url: self._note(url, place), self.options)
        except FileError as error:
            if self.options.on_error == "skip":
                return Unreadable(place.urls[0], str(error))
            raise
        branches = {name: number for number, name in enumerate(info.branch_bytes)}
        return Noted(info.entries, layout.to_record(branches), info.to_record(branches))

    def _note(self, url: str, place: Place) -> tuple[FileInfo, Layout]:
        info, layout = note_file(url, place.tree, self.options)
        column = _column_of(url, info, self.options)
        found: dict[str, Any] = {"url": place.urls[0], "alternatives": place.urls[1:]}
        if WEIGHT in layout.types and None in (info.sum_weights, info.sum_signs):
            weights, signs = weights_of_events(column)
            found["sum_weights"] = weights if info.sum_weights is None else info.sum_weights
            found["sum_signs"] = signs if info.sum_signs is None else info.sum_signs
        if info.nano_version is None:
            found["nano_version"] = nano_version(layout.types)
        if self.lumis:
            found["lumis"] = _lumis(url, info, layout, column, self.options)
        return replace(info, **found), layout


def _lumis(url: str, info: FileInfo, layout: Layout, column: Column, options: ReadOptions) -> Lumis:
    if info.format != "parquet":
        try:
            with uproot.open({url: None}, **uproot_options(url, options)) as root:
                found = lumis_of_file(root, info.tree)
        except Exception as error:
            msg = f"The luminosity sections of {url} cannot be read: {first_line(error)}"
            raise FileError(msg) from error
        if found is not None:
            return found
    missing = [name for name in LUMI if name not in layout.types]
    if missing:
        msg = (
            f"{url} has no branch {missing[0]!r}, so its luminosity sections cannot be listed: "
            "inspect it without them."
        )
        raise FileError(msg)
    return lumis_of(column)


def _column_of(url: str, info: FileInfo, options: ReadOptions) -> Column:
    """Reads branches of all events of a file, as tasks do."""

    def column(name: str) -> npt.NDArray[Any]:
        if not info.entries:
            return np.zeros(0)
        span = span_of(info, 0, info.entries, [name])
        found = READERS[info.format](url, span, [name], [name], options, _nothing)[name]
        values: npt.NDArray[Any] = ak.to_numpy(found)
        return values

    return column


def _nothing(branch: str) -> None:
    del branch


Arrived = Callable[[int, Noted | Unreadable], None]
Runner = Callable[[Noting, Sequence[Place], Arrived], None]
"""Calls a function for each place, and tells of each result when it is there."""


def in_threads(noting: Noting, places: Sequence[Place], arrived: Arrived) -> None:
    """The runner that needs nothing else: a few threads of this process."""
    with ThreadPoolExecutor(min(_THREADS, len(places))) as pool:
        try:
            futures = {pool.submit(noting, place): n for n, place in enumerate(places)}
            for future in as_completed(futures):
                arrived(futures[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def inspect(
    source: Any,
    *,
    tree: str = "Events",
    lumis: bool = False,
    cache: bool | str | os.PathLike[str] = True,
    options: ReadOptions | None = None,
    run: Runner = in_threads,
) -> Catalog:
    """Open every file of a fileset once and note what it holds.

    Parameters
    ----------
    source
        A fileset, or anything `Fileset.parse` takes.
    tree
        Name of the tree with the events, where the fileset does not name it.
    lumis
        Whether to list the luminosity sections of each file.
    cache
        Whether to take from the cache, and keep in it, what is known of files; or its folder.
    options
        How to read, and what a file that cannot be read does.
    run
        What calls a function for each file.

    Returns
    -------
    Catalog
        What there is to know of each file.

    Raises
    ------
    FileError
        A file that cannot be read; with ``on_error="skip"``, a dataset none of whose files can.
    """
    fileset = Fileset.parse(source)
    wanted = [
        (dataset.name, Place(dataset.places(url), given or tree))
        for dataset in fileset.datasets
        for url, given in dataset.files
    ]
    noting = Noting(lumis, options or ReadOptions())
    session = _Session(Cache.find(cache), noting)
    places = tuple(dict.fromkeys(place for _, place in wanted))
    missing = session.look_up(places)
    if missing:
        run(noting, missing, lambda number, noted: session.arrived(missing[number], noted))
    return session.catalog(fileset, wanted)


class _Session:
    """What is found in one call of `inspect`."""

    def __init__(self, cache: Cache | None, noting: Noting) -> None:
        self._cache = cache
        self._lumis = noting.lumis
        self._options = noting.options
        self._silent: set[str] = set()
        self._states: dict[Place, State | None] = {}
        self._found: dict[Place, FileInfo | Unreadable] = {}
        self._layouts: dict[str, Known] = {}
        self._layout_of: dict[Place, str] = {}

    def look_up(self, places: Sequence[Place]) -> list[Place]:
        """Take what the cache knows, and give back the places it does not know."""
        if self._cache is None:
            return list(places)
        # File systems of clusters and servers take their time to answer.
        remote = any("://" in url for place in places for url in place.urls)
        step = 1 if remote else _AT_ONCE
        batches = [places[start : start + step] for start in range(0, len(places), step)]
        if len(batches) == 1:
            self._look_up(batches[0])
        else:
            with ThreadPoolExecutor(min(_THREADS, len(batches))) as pool:
                list(pool.map(self._look_up, batches))
        return [place for place in places if place not in self._found]

    def _look_up(self, places: Iterable[Place]) -> None:
        assert self._cache is not None
        for place in places:
            state = self._states[place] = self._state(place)
            known = self._get(place, state)
            if known is None:
                continue
            info, layout = known
            if self._lumis and info.lumis is None:
                continue
            self._layout_of[place] = layout
            self._found[place] = _named(info, place)

    def _state(self, place: Place) -> State | None:
        return state_of(place.urls, self._options, self._silent)

    def _get(self, place: Place, state: State | None) -> tuple[FileInfo, str] | None:
        assert self._cache is not None
        return self._cache.get(
            place.urls, place.tree, state, self._layouts, _index_again, self._options
        )

    def arrived(self, place: Place, noted: Noted | Unreadable) -> None:
        """Keep what a worker found."""
        if isinstance(noted, Unreadable):
            self._found[place] = noted
            return
        layout = self._layout_of[place] = layout_key(noted.layout)
        known = self._layouts.get(layout)
        if known is None:
            known = self._layouts[layout] = Layout.from_record(noted.layout)
            if self._cache is not None:
                self._cache.put_layout(noted.layout)
        state = self._states.get(place)
        # Changed while it was opened: what was found belongs to neither state.
        changed = state and "://" not in state[0] and self._state(place) != state
        if self._cache is not None and state and not changed:
            self._cache.put(place.urls, place.tree, state, layout, noted.info)
            kept = self._get(place, state)
            if kept is not None:
                self._found[place] = kept[0]
                return
        self._found[place] = FileInfo.from_record(noted.info, unpacked(noted.info), known[1])

    def catalog(self, fileset: Fileset, wanted: Sequence[tuple[str, Place]]) -> Catalog:
        """What was found, by dataset."""
        files: dict[str, list[FileInfo]] = {dataset.name: [] for dataset in fileset.datasets}
        failed: dict[str, list[Unreadable]] = {}
        for name, place in wanted:
            found = self._found[place]
            if isinstance(found, FileInfo):
                files[name].append(found)
            else:
                failed.setdefault(name, []).append(found)
        for name, infos in files.items():
            if not infos:
                raise FileError(_all_failed(name, failed[name]))
        used: dict[str, Layout] = {}
        for _, place in wanted:
            if place in self._layout_of:
                layout, _ = self._layouts[self._layout_of[place]]
                used.setdefault(layout.signature, layout)
        return Catalog(
            fileset,
            {name: tuple(infos) for name, infos in files.items()},
            used,
            {name: tuple(some) for name, some in failed.items()},
        )


def _named(info: FileInfo, place: Place) -> FileInfo:
    """The file with the other places that this fileset knows."""
    if info.urls == place.urls:
        return info
    return replace(info, url=place.urls[0], alternatives=place.urls[1:])


def _index_again(info: FileInfo) -> bytes:
    """The basket index, from the file itself."""
    options = ReadOptions()
    again, _ = attempt(info.urls, lambda url: note_file(url, info.tree, options), options)
    if again.uuid != info.uuid or again.index is None:
        raise ReplacedError(info.url)
    return again.index.payload


def _all_failed(dataset: str, failed: Sequence[Unreadable]) -> str:
    shown = "\n".join(f"  {one.error}" for one in failed[:5])
    more = f"\n  and {len(failed) - 5} more" if len(failed) > 5 else ""
    return (
        f"None of the {len(failed)} files of dataset {dataset!r} can be read, and a dataset cannot "
        f"be left out as a whole:\n{shown}{more}"
    )
