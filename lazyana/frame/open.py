"""Opening files: frames out of filesets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from coffea.nanoevents import NanoAODSchema

from lazyana.data.catalog import Catalog
from lazyana.data.fileset import FilesetLike
from lazyana.data.grouping import groups_of
from lazyana.data.inspect import inspect
from lazyana.data.nanoevents import Blueprint, blueprint_of, check_schema
from lazyana.errors import InputError, InputTypeError, did_you_mean
from lazyana.frame.booking import Merged, Output
from lazyana.frame.events import Events
from lazyana.frame.group import Group
from lazyana.frame.state import State
from lazyana.sinks.unite import check_same_kind

GROUP_BY = ("year",)


def open(
    source: FilesetLike | Catalog,
    *,
    schema: Any = NanoAODSchema,
    tree: str = "Events",
    name: str | None = None,
) -> Events:
    """Open files of one form as a lazy frame.

    Parameters
    ----------
    source
        A path, URL or glob, several of them, the path of a fileset in JSON, a mapping
        ``{dataset: files}`` or ``{dataset: {"files": files, "metadata": {...}}}``, or a catalog
        from `inspect`.
    schema
        The coffea schema that makes collections of branches.
    tree
        Name of the tree, where the fileset does not name it.
    name
        Name of the group, in task names.

    Returns
    -------
    Events
        The frame.

    Raises
    ------
    FileError
        A file that is missing, no ROOT file, or without that tree.
    InputError
        An empty fileset, or datasets of different forms: use `apply` for those.

    Examples
    --------
    >>> events = la.open({"DY": "dy/*.root"})  # doctest: +SKIP
    >>> events.Muon.pt  # doctest: +SKIP
    """
    groups = _groups(source, schema, tree, ())
    if len(groups) > 1:
        first, second = groups[0], groups[1]
        kinds = ["simulation" if group.is_mc else "data" for group in (first, second)]
        why = (
            f"{kinds[0]} and {kinds[1]}"
            if kinds[0] != kinds[1]
            else _difference(first.blueprint, second.blueprint)
        )
        msg = (
            f"Datasets {first.names[0]!r} and {second.names[0]!r} cannot share a frame: they are "
            f"{why}. Use la.apply(function, fileset), which calls function(events) once for each "
            "group of like datasets."
        )
        raise InputError(msg)
    return _frame(groups[0], name)


def apply(
    function: Callable[[Events], Any],
    source: FilesetLike | Catalog,
    *,
    schema: Any = NanoAODSchema,
    tree: str = "Events",
    group_by: Iterable[str] = GROUP_BY,
) -> Any:
    """Call a function once for every group of like datasets, and merge what it returns.

    Datasets are of one group if they have the same branches, are all data or all simulation, and
    have the same values of the metadata named by `group_by`.

    Parameters
    ----------
    function
        Takes the frame of a group and returns outputs, in any nesting of dictionaries and lists.
        Outputs at the same place of different groups are merged; a dictionary may have
        keys that those of other groups lack.
    source, schema, tree
        As for `open`.
    group_by
        Metadata that separate groups.

    Returns
    -------
    nesting of Output
        To be given to `lazyana.compute`.

    Raises
    ------
    FileError, InputError
        As for `open`; also outputs that cannot be merged.
    """
    if isinstance(group_by, str):
        msg = f"Give group_by as a list of metadata keys, [{group_by!r}], not as text."
        raise InputTypeError(msg)
    groups = _groups(source, schema, tree, tuple(group_by))
    returned = [function(_frame(group, None)) for group in groups]
    return _merge(returned, [group.name for group in groups], "")


def _groups(
    source: FilesetLike | Catalog, schema: Any, tree: str, keys: tuple[str, ...]
) -> list[Group]:
    checked: Any = check_schema(schema)  # coffea has no types: a class of Any is not Hashable
    catalog = source if isinstance(source, Catalog) else inspect(source, tree=tree)
    known = {key: None for one in catalog.fileset.datasets for key in one.metadata}
    for name in keys:
        if name not in known and name not in GROUP_BY:
            hint, there = did_you_mean(str(name), known), ", ".join(known) or "none"
            msg = f"No dataset has metadata {name!r} to group by.{hint} There are: {there}."
            raise InputError(msg)
    found = groups_of(catalog, keys)
    groups = []
    for key, datasets in found.items():
        signature, is_mc = key[:2]
        blueprint = blueprint_of(catalog.layouts[signature], checked)
        groups.append(Group(datasets[0].name, catalog, tuple(datasets), is_mc, blueprint))
    return groups


def _frame(group: Group, name: str | None) -> Events:
    if name is not None:
        group = Group(name, group.catalog, group.datasets, group.is_mc, group.blueprint)
    return Events(group, group.all_events, State())


def _difference(first: Blueprint, second: Blueprint) -> str:
    one, two = first.layout.types, second.layout.types
    differ = sorted(name for name in {*one, *two} if one.get(name) != two.get(name))
    more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
    names = f" ({', '.join(differ[:3])}{more})" if differ else ""
    return f"of different branches{names}"


def _merge(values: list[Any], groups: list[str], path: str) -> Any:
    first = values[0]
    where = f" at {path}" if path else ""
    kinds = {_kind(value) for value in values}
    if kinds == {"output"}:
        outputs = tuple(
            output
            for value in values
            for output in (value.outputs if isinstance(value, Merged) else (value,))
        )
        check_same_kind([output.sink for output in outputs])
        _check_alike(outputs, where)
        return first if len(values) == 1 else Merged(outputs)
    if kinds == {"mapping"}:
        keys = dict.fromkeys(key for value in values for key in value)
        return {
            key: _merge(
                [value[key] for value in values if key in value],
                [name for name, value in zip(groups, values, strict=True) if key in value],
                f"{path}/{key}" if path else str(key),
            )
            for key in keys
        }
    if kinds == {"sequence"}:
        if len({len(value) for value in values}) > 1:
            msg = f"The function returned lists of different lengths{where}: use dictionaries."
            raise InputError(msg)
        merged = [
            _merge(list(items), groups, f"{path}/{i}" if path else str(i))
            for i, items in enumerate(zip(*values, strict=True))
        ]
        return merged if isinstance(first, list) else tuple(merged)
    returned = ", ".join(f"{name}: {_kind(v)}" for name, v in zip(groups, values, strict=True))
    msg = (
        f"The function must return outputs (events.hist(...), events.cutflow(), …) in dictionaries "
        f"and lists, the same for all groups; it returned{where} {returned}."
    )
    raise InputTypeError(msg)


def _check_alike(outputs: Sequence[Output], where: str) -> None:
    """Refuse what could only fail when all events are processed.

    Raises
    ------
    InputError
        Histograms with different axes, columns written to different places or in other ways.
    """
    first = outputs[0]
    for other in outputs[1:]:
        for name in ("axes", "path", "flatten", "compression", "overwrite"):
            one, two = (getattr(output.sink, name, None) for output in (first, other))
            if one != two:
                msg = (
                    f"The {first.sink.kind}{where} has {name}={one!r} for {first.group.name!r} but "
                    f"{name}={two!r} for {other.group.name!r}: outputs at one place are merged, so "
                    "they must be alike. Give them different keys."
                )
                raise InputError(msg)


def _kind(value: Any) -> str:
    if isinstance(value, Output | Merged):
        return "output"
    if isinstance(value, dict):
        return "mapping"
    if isinstance(value, list | tuple):
        return "sequence"
    return type(value).__name__
