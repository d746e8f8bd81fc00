"""Grouping: which datasets share a program."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lazyana.data.catalog import Catalog, Layout
from lazyana.data.fileset import Dataset
from lazyana.errors import InputError

_SIMULATED = frozenset({"genWeight", "nGenPart", "Generator_weight"})


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


def groups_of(catalog: Catalog, keys: Iterable[str]) -> dict[tuple[Any, ...], list[Dataset]]:
    """Datasets that share layout, kind and the given metadata, in order of appearance.

    Raises
    ------
    InputError
        A dataset whose files have different branches.
    """
    keys = tuple(keys)
    groups: dict[tuple[Any, ...], list[Dataset]] = {}
    for dataset in catalog.fileset.datasets:
        layout = catalog.layouts[one_signature(catalog, dataset)]
        key = (
            layout.signature,
            simulated(dataset, layout),
            *(str(dataset.metadata.get(name)) for name in keys),
        )
        groups.setdefault(key, []).append(dataset)
    return groups


def one_signature(catalog: Catalog, dataset: Dataset) -> str:
    """The layout all files of a dataset have in common.

    Raises
    ------
    InputError
        Files of one dataset with different branches, naming the first difference.
    """
    files = catalog.files[dataset.name]
    for other in files[1:]:
        if other.signature != files[0].signature:
            layouts = (catalog.layouts[file.signature] for file in (files[0], other))
            msg = (
                f"The files of dataset {dataset.name!r} have different branches: "
                f"{files[0].url} and {other.url} differ in {_differences(*layouts)}. "
                "Make them datasets of their own."
            )
            raise InputError(msg)
    return files[0].signature


def _differences(one: Layout, other: Layout) -> str:
    """The branches that only one of two layouts has, or that are of another type."""
    differ = [
        name if name not in one.types or name not in other.types else f"{name} ({a} or {b})"
        for name in sorted({*one.types, *other.types})
        if (a := one.types.get(name)) != (b := other.types.get(name))
    ]
    shown = ", ".join(differ[:5]) or "branches that hold no numbers"
    return f"{shown} and {len(differ) - 5} more" if len(differ) > 5 else shown
