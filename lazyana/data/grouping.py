"""Grouping: which files share a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lazyana.data.catalog import Catalog, FileInfo, Layout
from lazyana.data.fileset import Dataset
from lazyana.data.mixed import Gap, conflicts, kind_in, united_layout, urls_text
from lazyana.errors import InputError

_SIMULATED = frozenset({"genWeight", "nGenPart", "Generator_weight"})


@dataclass(frozen=True, eq=False)
class Members:
    """Files that share a program, and the datasets they belong to.

    Attributes
    ----------
    catalog
        What is known of these files, and of no others.
    datasets
        The datasets, in order of appearance. Other files of them may be elsewhere.
    is_mc
        Whether they are simulation.
    layout
        The branches of all these files together.
    gaps
        What some of them lack of it.
    """

    catalog: Catalog
    datasets: tuple[Dataset, ...]
    is_mc: bool
    layout: Layout
    gaps: tuple[Gap, ...] = ()


def groups_of(catalog: Catalog, keys: Iterable[str], *, unite: bool = False) -> tuple[Members, ...]:
    """Files that share form, kind and the given metadata of their datasets.

    Parameters
    ----------
    catalog
        The files.
    keys
        Metadata that separate groups.
    unite
        Whether files with different branches may be together, as long as each branch has one type.
        Otherwise a dataset whose files have different branches is in several groups.

    Returns
    -------
    tuple of Members
        In order of appearance. Files without events say nothing of the events of their dataset,
        as often they lack all branches: they go with its other files.

    Raises
    ------
    InputError
        A dataset that is both data and simulation, or neither as it is said to be.
    """
    keys = tuple(keys)
    found: dict[tuple[Any, ...], dict[str, list[FileInfo]]] = {}
    joined: dict[tuple[Any, ...], list[list[Layout]]] = {}
    for dataset in catalog.fileset.datasets:
        files = _telling(catalog.files[dataset.name])
        if not files:
            continue
        is_mc = _is_mc(dataset, files, catalog.layouts)
        base = (is_mc, *(str(dataset.metadata.get(name)) for name in keys))
        for file in files:
            layout = catalog.layouts[file.signature]
            place = _place(layout, joined.setdefault(base, [])) if unite else layout.signature
            found.setdefault((*base, place), {}).setdefault(dataset.name, []).append(file)
    members: list[Members] = []
    done: set[str] = set()
    for key, some in found.items():
        members.append(_members(catalog, some, done, is_mc=key[0]))
        done.update(some)
    return tuple(members)


def simulated(dataset: Dataset, layout: Layout) -> bool:
    """Whether a dataset is simulation: as its metadata say, else by its branches.

    Raises
    ------
    InputError
        Metadata that call a dataset simulation whose files have no generator weight.
    """
    looks_simulated = not _SIMULATED.isdisjoint(layout.types)
    said = dataset.is_mc
    if said is None:
        return looks_simulated
    if said and not looks_simulated:
        msg = (
            f"Dataset {dataset.name!r} is called simulation (is_mc=True) but its files have no "
            "genWeight branch. Set is_mc=False for data."
        )
        raise InputError(msg)
    return said


def differences(one: Layout, other: Layout) -> str:
    """In what two layouts differ: branches of different types, else those only one of them has."""
    differ = list(conflicts(one, other))
    if differ:
        shown = [f"{name} ({kind_in(one, name)} or {kind_in(other, name)})" for name in differ]
    else:
        shown = sorted(set(one.types).symmetric_difference(other.types))
    if not shown:
        return "branches that hold no numbers"
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")


def _telling(files: Sequence[FileInfo]) -> Sequence[FileInfo]:
    """The files with events; all of them where none has any."""
    return [file for file in files if file.entries] or files


def _is_mc(dataset: Dataset, files: Sequence[FileInfo], layouts: Mapping[str, Layout]) -> bool:
    signatures = dict.fromkeys(file.signature for file in files)
    if dataset.is_mc is None:
        kinds = {name: simulated(dataset, layouts[name]) for name in signatures}
        if len(set(kinds.values())) > 1:
            urls = [
                urls_text([file.url for file in files if kinds[file.signature] is kind])
                for kind in (True, False)
            ]
            msg = (
                f"Dataset {dataset.name!r} is both simulation ({urls[0]}) and data ({urls[1]}, "
                "without a genWeight branch). Make them datasets of their own, or set is_mc."
            )
            raise InputError(msg)
        return next(iter(kinds.values()))
    return simulated(dataset, united_layout([layouts[name] for name in signatures]))


def _place(layout: Layout, joined: list[list[Layout]]) -> int:
    """Position of the layouts that one has no conflicts with, after adding it to them."""
    for place, others in enumerate(joined):
        if any(layout.signature == other.signature for other in others):
            return place
        if not any(conflicts(layout, other) for other in others):
            others.append(layout)
            return place
    joined.append([layout])
    return len(joined) - 1


def _members(
    catalog: Catalog, files: Mapping[str, Sequence[FileInfo]], done: set[str], *, is_mc: bool
) -> Members:
    """A group of files, with what says nothing of the datasets that no group had before."""
    by_signature: dict[str, list[str]] = {}
    for some in files.values():
        for file in some:
            by_signature.setdefault(file.signature, []).append(file.url)
    layouts = [catalog.layouts[signature] for signature in by_signature]
    united = united_layout(layouts)
    gaps = (Gap.of(layout, united, by_signature[layout.signature]) for layout in layouts)
    return Members(
        _only(catalog, files, done),
        tuple(dataset for dataset in catalog.fileset.datasets if dataset.name in files),
        is_mc,
        united,
        tuple(gap for gap in gaps if gap.branches),
    )


def _only(catalog: Catalog, files: Mapping[str, Sequence[FileInfo]], done: set[str]) -> Catalog:
    """A catalog of some files; of new datasets also of those without events or not readable."""
    mine: dict[str, tuple[FileInfo, ...]] = {}
    for name, some in files.items():
        chosen = {id(file) for file in some}
        mine[name] = tuple(
            file
            for file in catalog.files[name]
            if id(file) in chosen or (name not in done and not file.entries)
        )
    unreadable = {
        name: one for name, one in catalog.unreadable.items() if name in files and name not in done
    }
    return replace(catalog, files=mine, unreadable=unreadable)
