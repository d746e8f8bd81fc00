"""Triggers: events that fired one of several paths, by primary dataset or from a list."""

from __future__ import annotations

import logging
import operator
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, reduce
from typing import Any

import awkward as ak
from omegaconf import DictConfig, OmegaConf

from lazyana.analysis.defaults import find_parameter
from lazyana.errors import ColumnError, InputError, InputTypeError, did_you_mean
from lazyana.frame.labels import Labels

# In 2017 the menu began without this path: what stands for it is that of another L1 seed together
# with a bit of the filters its electrons passed. Source: EGM recommendation for 2017; the bit is
# "1e (32_L1DoubleEG_AND_L1SingleEGOr)" of TrigObj_filterBits.
_ELE32_2017, _ELE32_BIT, _ELECTRON = "Ele32_WPTight_Gsf_L1DoubleEG", 1024, 11


def fired_listed(events: Any, params: Mapping[str, Any], year: str) -> Any:
    """Events that fired one of a list of paths."""
    fired = _fired(events, params["kind"], params["paths"], year)
    return ~fired if params["invert"] else fired


def fired_by_primary_dataset(
    events: Any, params: Mapping[str, Any], processor_params: Any, year: str, isMC: bool
) -> Any:
    """Events that fired one of the paths in the parameters."""
    kind, wanted = params["kind"], params["primaryDatasets"]
    menu = _menu(processor_params, kind, year)
    if wanted is None and not isMC:
        fired = _fired_own(events, kind, menu, year)
    else:
        names = (
            list(menu) if wanted is None else [_in_menu(menu, one, kind, year) for one in wanted]
        )
        paths = dict.fromkeys(path for name in names for path in menu[name])
        fired = _fired(events, kind, list(paths), year)
    return ~fired if params["invert"] else fired


def _fired_own(events: Any, kind: str, menu: Mapping[str, Sequence[str]], year: str) -> Any:
    """Events of data that fired a path of the primary dataset they are from."""
    metadata = getattr(events, "metadata", None) or {}
    own = metadata.get("primaryDataset")
    if own is None:
        msg = (
            f"Which primary dataset these data are from is not known, so neither are their {kind} "
            "paths: give primaryDataset in the metadata of the dataset, or "
            f"get_{kind}sel(primaryDatasets=[...])."
        )
        raise InputError(msg)
    if not isinstance(own, Labels):
        return _fired(events, kind, menu[_in_menu(menu, str(own), kind, year)], year)
    each = []
    for name in own.names:
        fired = _fired(events, kind, menu[_in_menu(menu, name, kind, year)], year)
        each.append((own == name) & fired)
    return reduce(operator.or_, each)


def _menu(processor_params: Any, kind: str, year: str) -> dict[str, list[str]]:
    """Paths by primary dataset, without HLT_ or L1_."""
    given = parameter(processor_params, f"{kind}_triggers", year)
    if not isinstance(given, Mapping):
        msg = (
            f"The parameter {kind}_triggers.{year} is no mapping: give the paths of each primary "
            "dataset, e.g. SingleMuon: [IsoMu24]."
        )
        raise InputTypeError(msg)
    return {
        str(name): [path.removeprefix(f"{kind}_") for path in listed(paths)]
        for name, paths in given.items()
    }


def _in_menu(menu: Mapping[str, Any], name: str, kind: str, year: str) -> str:
    if name not in menu:
        msg = (
            f"{kind}_triggers.{year} has no primary dataset {name!r}.{did_you_mean(name, menu)} "
            f"There are: {', '.join(menu) or 'none'}."
        )
        raise InputError(msg)
    return name


def _fired(events: Any, kind: str, paths: Sequence[str], year: str) -> Any:
    """Events that fired one of the paths that their files have."""
    if kind not in events.fields:
        msg = f"The events have no {kind} branches."
        raise ColumnError(msg)
    table = events[kind]
    there = [path for path in paths if path in ak.fields(table)]
    missing = [path for path in paths if path not in there]
    if not there:
        hint = did_you_mean(paths[0], ak.fields(table)) if paths else ""
        msg = f"The files have none of the {kind} paths {', '.join(paths) or '(none given)'}.{hint}"
        raise ColumnError(msg)
    if missing:
        _report(f"Files have no {kind} path {', '.join(missing)}: left out of {', '.join(paths)}.")
    return reduce(operator.or_, (_path(events, table, path, year) for path in there))


def _path(events: Any, table: Any, path: str, year: str) -> Any:
    if path != _ELE32_2017 or year != "2017":
        return table[path]
    objects = events["TrigObj"]
    electron = (objects.id == _ELECTRON) & ((objects.filterBits & _ELE32_BIT) > 0)
    return table[path] & ak.any(electron, axis=1)


@cache
def _report(message: str) -> None:
    """Say something once."""
    logging.getLogger("lazyana").warning(message)


def parameter(processor_params: Any, *path: str) -> Any:
    """A parameter by its place, see `lazyana.analysis.defaults.find_parameter`."""
    given = processor_params
    if not isinstance(given, DictConfig):
        given = OmegaConf.create(dict(given or {}))
    return find_parameter(given, *path)


def listed(given: Any) -> list[str]:
    """A list of names, also where one name is given."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Iterable):
        msg = f"Names are given as {given!r}: give a list, such as ['x', 'y']."
        raise InputTypeError(msg)
    return list(map(str, given))
