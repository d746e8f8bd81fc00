"""Skims of a frame: which branches there are, and where the events have them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import awkward as ak
import dask_awkward as dak
from coffea.nanoevents.util import unquote

from lazyana.data.mixed import ALLOWED
from lazyana.data.nanoevents import LABEL_FIELD, Blueprint
from lazyana.data.reading import read_branches
from lazyana.errors import InputError, InputTypeError, did_you_mean
from lazyana.frame.booking import Output
from lazyana.plan.build import Call
from lazyana.plan.steps import AnyVariation
from lazyana.reader.origin import LUMI, RESCALE, WEIGHT
from lazyana.sinks.folder import Overwrite
from lazyana.sinks.skim import Skims
from lazyana.sinks.skimfile import COMPRESSION
from lazyana.sinks.skimorigin import COLUMNS, Source
from lazyana.sinks.ttree import DTYPES, Branch

if TYPE_CHECKING:
    from lazyana.frame.events import Events

#: What identifies an event, and what its weight is made of: kept unless dropped by name.
ALWAYS = (*LUMI, "event", WEIGHT)

Path = tuple[str, ...]
"""Names of the fields that lead to a branch; ``()`` for one that the events do not have."""


@dataclass(frozen=True)
class Stored:
    """The branches of a group of files.

    Attributes
    ----------
    branches
        Those that can be written, sorted by name, each with the way to it.
    counters
        Those that count the items of others, and are made anew.
    left_out
        Those that cannot be written, or that only some of the files have.
    """

    branches: tuple[tuple[Branch, Path], ...]
    counters: frozenset[str]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, blueprint: Blueprint) -> Stored:
        """The branches of a blueprint's files."""
        paths = _paths(blueprint)
        forms = _forms(blueprint)
        names = frozenset(forms)
        gaps = frozenset().union(*(gap.branches for gap in blueprint.gaps))
        found: dict[str, Branch] = {}
        for name in sorted(forms):
            branch = _branch(name, forms)
            if branch is not None:
                found[name] = branch
        # As many branches of numbers begin with n: only what counts something is a counter.
        counters = {branch.counter for branch in found.values() if branch.counter}
        counters |= {f"n{branch.name}" for branch in found.values() if branch.counter}
        branches = []
        for name, branch in found.items():
            optional = name in gaps
            if name in counters or (optional and not (blueprint.fill and name in paths)):
                continue
            branches.append((replace(branch, optional=optional), paths.get(name, ())))
        counters &= names
        kept = {branch.name for branch, _ in branches} | counters
        left_out = tuple(sorted(names - kept))
        return cls(tuple(branches), frozenset(counters), left_out)

    def choose(
        self, keep: Any, drop: Any, *, strict: bool = True
    ) -> tuple[tuple[Branch, Path], ...]:
        """The branches to write.

        Parameters
        ----------
        keep, drop
            Patterns of names.
        strict
            Whether each has to fit a branch.

        Raises
        ------
        InputError, InputTypeError
            A pattern that fits no branch, or nothing left.
        """
        names = [branch.name for branch, _ in self.branches]
        chosen = set(names)
        if keep is not None:
            kept = (
                self._matching("keep", pattern, names, strict)
                for pattern in _patterns("keep", keep)
            )
            chosen = set().union(*kept, (name for name in ALWAYS if name in names))
        for pattern in _patterns("drop", drop):
            chosen -= self._matching("drop", pattern, names, strict)
        if not chosen:
            msg = "No branch is left to write: keep more, or drop less."
            raise InputError(msg)
        return tuple(one for one in self.branches if one[0].name in chosen)

    def _matching(self, option: str, pattern: str, names: Iterable[str], strict: bool) -> set[str]:
        found = fitting(pattern, names)
        known = (*self.counters, *self.left_out)
        if strict and not found and not any(fnmatchcase(name, pattern) for name in known):
            groups = {name.partition("_")[0] for name in names}
            msg = (
                f"{option}={pattern!r} of the skim fits no branch."
                f"{did_you_mean(pattern, [*names, *groups])} Give names of branches or "
                "collections, or patterns such as 'Jet_*'."
            )
            raise InputError(msg)
        return found


def fitting(pattern: str, names: Iterable[str]) -> set[str]:
    """The branches that a pattern means: of that name, or of the collection of that name."""
    return {name for name in names if fnmatchcase(name, pattern) or name.startswith(f"{pattern}_")}


def _patterns(option: str, given: Any) -> tuple[str, ...]:
    found = (given,) if isinstance(given, str) else given
    if isinstance(found, Iterable):
        patterns = tuple(found)
        if all(isinstance(one, str) for one in patterns):
            return patterns
    msg = f"{option}={given!r} of a skim: give patterns of branch names, e.g. ['Jet_*', 'run']."
    raise InputTypeError(msg)


def _paths(blueprint: Blueprint) -> dict[str, Path]:
    """Where the events have each branch just as it was read."""
    found: dict[str, Path] = {}
    for key, path in blueprint.paths.items():
        if not key or not path:
            continue
        match unquote(key).split(","):
            case [name, "!load"] | [name, "!load", "!content"]:
                found.setdefault(name, path)
            case [name, load, *_, "!content"] if load == ALLOWED:
                found.setdefault(name, path)
    return found


def _forms(blueprint: Blueprint) -> dict[str, Any]:
    """Form of each branch, as it was read."""
    base = json.loads(blueprint.layout.base_form)
    return {
        name: ak.forms.from_dict(form)
        for name, form in zip(base["fields"], base["contents"], strict=True)
    }


def _branch(name: str, forms: Mapping[str, Any]) -> Branch | None:
    """How a branch is written; None if it cannot be."""
    form = forms[name]
    counter, counts = "", "int32"
    if form.is_list and not form.is_regular:
        prefix = f"n{name.partition('_')[0]}"
        counter = prefix if prefix in forms else f"n{name}"
        counts = getattr(forms.get(counter), "primitive", counts)
        form = form.content
    shape: tuple[int, ...] = ()
    while form.is_regular:
        shape, form = (*shape, form.size), form.content
    if not form.is_numpy or form.primitive not in DTYPES:
        return None
    title = str(form.parameters.get("__doc__", ""))
    return Branch(name, form.primitive, counter, (*shape, *form.inner_shape), counts, title)


@dataclass(frozen=True)
class RowNumbers:
    """Numbers the events."""

    def __call__(self, column: ak.Array) -> ak.Array:
        """Positions, shape ``(events,)``, of any column."""
        return ak.local_index(column, axis=0)


@dataclass(frozen=True)
class ReadSource:
    """Tells where events come from, and reads what they are made without.

    Attributes
    ----------
    extra
        Branches of the files that the events do not have.
    """

    extra: tuple[str, ...] = ()

    def __call__(self, column: ak.Array) -> Source | None:
        """The files that a column of all events is read from; None where there are no data."""
        if ak.backend(column) == "typetracer":
            return None
        reading = column.attrs["@events_factory"].reading
        plan = reading.plan
        read = {}
        if self.extra:
            read = read_branches(
                reading.partition,
                self.extra,
                plan.branches,
                reading.options,
                reading,
                dict(plan.lacking),
            )
        return Source(reading.partition.spans, reading.options, read)


@dataclass(frozen=True)
class PickBranches:
    """Takes branches of some events out of collections, as they were read.

    Attributes
    ----------
    names
        Names of the branches.
    places
        For each, the position of its collection, and the names that lead to it from there.
    """

    names: tuple[str, ...]
    places: tuple[tuple[int, Path], ...]

    def __call__(self, rows: ak.Array, *collections: ak.Array) -> ak.Array:
        """Record array of the branches, shape ``(events left,)``.

        Parameters
        ----------
        rows
            Which events, shape ``(events left,)``.
        *collections
            The collections, of all events.
        """
        left = [collection[rows] for collection in collections]
        layouts = []
        for position, path in self.places:
            layout = left[position].layout
            for name in path:
                layout = layout[name]
            layouts.append(layout)
        length = rows.layout.length
        return ak.Array(ak.contents.RecordArray(layouts, list(self.names), length))


def book_skim(
    frame: Events,
    path: Any,
    keep: Any = None,
    drop: Any = (),
    *,
    any_variation: bool = False,
    compression: str = COMPRESSION,
    overwrite: Overwrite = False,
    strict: bool = True,
) -> Output:
    """A skim of a frame.

    Parameters
    ----------
    frame
        Its events are written.
    path
        Directory or URL to write to.
    keep, drop
        Patterns of the names of branches.
    any_variation
        Whether events are written that are left in any shape variation, not only nominally.
    compression, overwrite
        As for `lazyana.sinks.skim.Skims`.
    strict
        Whether each pattern has to fit a branch of these files.

    Raises
    ------
    InputError, InputTypeError
        A pattern that fits nothing, no path, no such compression.
    """
    if not isinstance(path, str | os.PathLike):
        msg = f"The path of the skim is a {type(path).__name__}: give the directory to write to."
        raise InputTypeError(msg)
    group, level = frame._group, frame._level
    stored = Stored.of(group.blueprint)
    chosen = tuple(
        one for one in stored.choose(keep, drop, strict=strict) if one[0].name != RESCALE
    )
    written = tuple(branch for branch, _ in chosen)
    if WEIGHT in (branch.name for branch in written):
        written = (*written, Branch(RESCALE, "float64", title="sum of genWeight before the skim"))
    extra = tuple(branch.name for branch, way in chosen if not way)
    inside = [(branch.name, way) for branch, way in chosen if way]
    tops = list(dict.fromkeys(way[0] for _, way in inside))
    places = tuple((tops.index(way[0]), way[1:]) for _, way in inside)
    every = group.stored(LABEL_FIELD)
    number = dak.map_partitions(RowNumbers(), every, label="row-numbers")
    rows: Any = group.select(number, group.all_events, level)
    if any_variation:
        rows = Call("any-variation", AnyVariation(), (rows,))
    origin = tuple(name for name in COLUMNS if name in group.events.fields)
    sink = Skims(
        os.fspath(path),
        written,
        origin,
        compression,
        overwrite,
        {dataset.name: dataset.metadata for dataset in group.datasets},
        _empty_files(frame),
        stored.left_out,
    )
    args = (
        Call("source", ReadSource(extra), (every,)),
        rows,
        Call(
            "branches",
            PickBranches(tuple(name for name, _ in inside), places),
            (rows, *map(group.stored, tops)),
        ),
        *(group.stored(name) for name in origin),
    )
    variations = frame._state.shape_variations if any_variation else ()
    return Output(group, sink, args, frame._state.shifts, variations)


def _empty_files(frame: Events) -> dict[str, tuple[tuple[tuple[str, ...], str], ...]]:
    """Places and tree of the ROOT files without events, by dataset."""
    group = frame._group
    found = {
        name: tuple(
            (file.urls, file.tree)
            for file in group.catalog.files[name]
            if not file.entries and file.format != "parquet"
        )
        for name in group.names
    }
    return {name: files for name, files in found.items() if files}
