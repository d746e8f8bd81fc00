"""Opening files: frames out of filesets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from coffea.nanoevents import NanoAODSchema

from lazyana.data.catalog import Catalog
from lazyana.data.fileset import FilesetLike
from lazyana.data.grouping import Members, differences, groups_of
from lazyana.data.mixed import urls_text
from lazyana.data.nanoevents import blueprint_of, check_schema
from lazyana.engine.progress import PATIENCE, watch
from lazyana.errors import ColumnError, InputError, InputTypeError, did_you_mean
from lazyana.frame.booking import Merged, Output
from lazyana.frame.events import Events
from lazyana.frame.group import Group
from lazyana.frame.inspection import catalog_of
from lazyana.frame.state import State
from lazyana.options import ErrorPolicy
from lazyana.plan.collector import collector_paused
from lazyana.sinks.columns import Columns
from lazyana.sinks.unite import check_same_kind

GROUP_BY = ("year",)

Missing = Literal["raise", "none"]
"""What a branch does that some files lack: ``"raise"``, or read as None with ``"none"``"""


def open(
    source: FilesetLike | Catalog,
    *,
    schema: Any = NanoAODSchema,
    tree: str = "Events",
    name: str | None = None,
    missing: Missing = "raise",
    on_error: ErrorPolicy = "raise",
) -> Events:
    """Open files as a lazy frame.

    The files may have different branches, as long as each branch has one type: the frame has all
    of them.

    Parameters
    ----------
    source
        A path, URL or glob, several of them, the path of a fileset in JSON, a mapping
        ``{dataset: files}`` or ``{dataset: {"files": files, "metadata": {...}}}``, a catalog
        from `inspect`, or the path of a saved one.
    schema
        The coffea schema that makes collections of branches.
    tree
        Name of the tree, where the fileset does not name it.
    name
        Name of the group, in task names.
    missing
        What a branch does that is used and that some files lack. ``"raise"``: an error when the
        outputs are planned, which names the files. ``"none"``: it reads as None in these files;
        this works for branches with one number an event, and one number an object of a collection
        that the file has.
    on_error
        ``"skip"`` leaves out files that cannot be opened; the run report lists them. For other
        settings of inspection, and to inspect on a cluster, give a catalog from `inspect`.

    Returns
    -------
    Events
        The frame.

    Raises
    ------
    FileError
        A file that is missing, no ROOT file, or without that tree.
    InputError
        An empty fileset, files with branches of different types, or data and simulation: use
        `apply` for those.

    Examples
    --------
    >>> events = la.open({"DY": "dy/*.root"})  # doctest: +SKIP
    >>> events.Muon.pt  # doctest: +SKIP
    """
    members = _members(source, tree, (), unite=True, missing=missing, on_error=on_error)
    if len(members) > 1:
        raise InputError(_apart(*members[:2]))
    return _frame(_groups(members, schema, missing)[0], name)


@collector_paused()
def apply(
    function: Callable[[Events], Any],
    source: FilesetLike | Catalog,
    *,
    schema: Any = NanoAODSchema,
    tree: str = "Events",
    group_by: Iterable[str] = GROUP_BY,
    missing: Missing = "raise",
    on_error: ErrorPolicy = "raise",
    progress: bool | None = None,
) -> Any:
    """Call a function once for every group of like files, and merge what it returns.

    Files are of one group if they have the same branches, are all data or all simulation, and
    their datasets have the same values of the metadata named by `group_by`. A dataset whose files
    have different branches is in several groups, so a function may ask
    ``if "IsoMu24" in events.HLT.fields``; what it returns for them is added.

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
    missing
        With ``"none"`` files with different branches are in one group, and a branch reads as None
        in the files that lack it, as for `open`.
    on_error
        As for `open`.
    progress
        Whether to show a bar if it takes more than two seconds (default: on a terminal).

    Returns
    -------
    nesting of Output
        To be given to `lazyana.compute`.

    Raises
    ------
    FileError, InputError
        As for `open`; also outputs that cannot be merged.
    ColumnError
        A column that files of other groups have, naming these and those that lack it.
    """
    if isinstance(group_by, str):
        msg = f"Give group_by as a list of metadata keys, [{group_by!r}], not as text."
        raise InputTypeError(msg)
    unite = missing == "none"
    members = _members(
        source, tree, tuple(group_by), unite=unite, missing=missing, on_error=on_error
    )
    groups = _groups(members, schema, missing)
    returned = []
    with watch("record", len(groups), show=progress, unit="groups", patience=PATIENCE) as watcher:
        for group in groups:
            returned.append(_called(function, group, groups))
            watcher.done(group.entries)
    return _merge(returned, [group.name for group in groups], "")


def _members(
    source: FilesetLike | Catalog,
    tree: str,
    keys: tuple[str, ...],
    *,
    unite: bool,
    missing: Missing,
    on_error: ErrorPolicy,
) -> tuple[Members, ...]:
    if missing not in ("raise", "none"):
        hint = did_you_mean(str(missing), ("raise", "none"))
        msg = f"There is no missing={missing!r}.{hint} Choose 'raise' or 'none'."
        raise InputError(msg)
    catalog = catalog_of(source, tree=tree, on_error=on_error)
    known = {key: None for one in catalog.fileset.datasets for key in one.metadata}
    for name in keys:
        if name not in known and name not in GROUP_BY:
            hint, there = did_you_mean(str(name), known), ", ".join(known) or "none"
            msg = f"No dataset has metadata {name!r} to group by.{hint} There are: {there}."
            raise InputError(msg)
    members = groups_of(catalog, keys, unite=unite)
    if not members:
        urls = [one.url for some in catalog.unreadable.values() for one in some]
        msg = f"There are no events: none of the files can be read ({urls_text(urls)})."
        raise InputError(msg)
    return members


def _groups(members: Sequence[Members], schema: Any, missing: Missing) -> list[Group]:
    checked: Any = check_schema(schema)  # coffea has no types: a class of Any is not Hashable
    groups: list[Group] = []
    for one in members:
        blueprint = blueprint_of(one.layout, checked, one.gaps, missing == "none")
        name = one.datasets[0].name
        groups.append(Group(name, one.catalog, one.datasets, one.is_mc, blueprint))
    return groups


def _frame(group: Group, name: str | None) -> Events:
    if name is not None:
        group = Group(name, group.catalog, group.datasets, group.is_mc, group.blueprint)
    return Events(group, group.all_events, State())


def _apart(first: Members, second: Members) -> str:
    """Why files cannot share a frame."""
    next_step = (
        "Use la.apply(function, fileset), which calls function(events) once for each group of like "
        "files."
    )
    names = [one.datasets[0].name for one in (first, second)]
    if first.is_mc != second.is_mc:
        kinds = ["simulation" if one.is_mc else "data" for one in (first, second)]
        return (
            f"Datasets {names[0]!r} and {names[1]!r} cannot share a frame: they are "
            f"{kinds[0]} and {kinds[1]}. {next_step}"
        )
    files = [one.catalog.files[one.datasets[0].name] for one in (first, second)]
    urls = [some[0].url for some in files]
    return (
        f"{urls[0]} of dataset {names[0]!r} and {urls[1]} of {names[1]!r} cannot share a frame: "
        f"branches are of different types: {differences(first.layout, second.layout)}. {next_step}"
    )


def _called(function: Callable[[Events], Any], group: Group, groups: Sequence[Group]) -> Any:
    """What a function returns for a group; what other groups have is said where it is missed."""
    try:
        return function(_frame(group, None))
    except ColumnError as error:
        said = _elsewhere(str(error), group, groups)
        if said is None:
            raise
        raise ColumnError(said) from error


def _elsewhere(message: str, group: Group, groups: Sequence[Group]) -> str | None:
    """What to say of a column that an error names and that only other groups have."""
    quoted = set(re.findall(r"'([^']+)'", message))
    mine = group.blueprint.columns
    for other in groups:
        there = sorted(other.blueprint.columns - mine) if other.is_mc == group.is_mc else []
        for column in there:
            collection, _, field = column.rpartition(".")
            if field in quoted and (not collection or collection in message):
                have = [one for one in groups if column in one.blueprint.columns]
                events = f"events.{collection}" if collection else "events"
                return (
                    f"Some files have no {column}: {_files([group])}. "
                    f"It is in {_files(have)}. Ask for it with `if {field!r} in {events}.fields`, "
                    "read it as None where it is missing with la.apply(..., missing='none'), or "
                    "leave these files out."
                )
    return None


def _files(groups: Iterable[Group]) -> str:
    files = [file.url for one in groups for name in one.names for file in one.catalog.files[name]]
    return urls_text(files)


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
        shared = [name for name in first.group.names if name in other.group.names]
        if shared and isinstance(first.sink, Columns):
            _check_variations(shared[0], first.sink, other.sink, where)


def _check_variations(dataset: str, one: Columns, other: Columns, where: str) -> None:
    """Refuse columns that would lack rows or weights of some events of a dataset."""
    for kind in ("shape_variations", "weight_variations"):
        labels, others = (set(getattr(sink, kind)) for sink in (one, other))
        if labels != others:
            msg = (
                f"The columns{where} have the variations {sorted(labels ^ others)} for some files "
                f"of dataset {dataset!r} only, as they have different branches. Give them the same "
                "variations, or different keys."
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
