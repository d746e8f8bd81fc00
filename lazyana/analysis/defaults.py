"""Parameters: the defaults of every era, what an analysis changes in them, and looking them up.

Parameters are an OmegaConf configuration. What they hold as ``${...}`` is worked out when it is
read, see `lazyana.analysis.resolvers`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from lazyana.analysis.resolvers import PARAMETERS, register_configuration_dir, register_resolvers
from lazyana.errors import (
    FileError,
    InputError,
    InputTypeError,
    LazyanaError,
    OutputExistsError,
    did_you_mean,
)

__all__ = [
    "ERAS",
    "compose_parameters_from_files",
    "dump_parameters",
    "find_parameter",
    "get_default_parameters",
    "get_defaults_and_compose",
    "merge_parameters",
    "merge_parameters_from_files",
    "merge_parameters_from_string",
    "parameters_text",
    "register_configuration_dir",
]

ERAS = (
    "2016_PreVFP", "2016_PostVFP", "2017", "2018", "2022_preEE", "2022_postEE",
    "2023_preBPix", "2023_postBPix", "2024", "2025",
)  # fmt: skip
"""Data-taking periods the defaults know, called ``year`` in datasets."""

_ERA = re.compile(r"20\d\d")

register_resolvers()


def get_default_parameters() -> DictConfig:
    """Parameters that come with lazyana, for all eras.

    Needs neither CVMFS nor a network: files are looked for when they are used.

    Returns
    -------
    omegaconf.DictConfig
        ``lumi`` (pb⁻¹, golden JSON), ``pileupJSONfiles``, ``event_flags``, ``event_flags_data``,
        ``btagging``, ``lepton_scale_factors``, ``jets_calibration``, ``jet_scale_factors``,
        ``jet_id_rules``, ``MET_xy``, ``default_nano_version`` and ``HLT_examples``. A new object
        each time.
    """
    return OmegaConf.create(_defaults())


@cache
def _defaults() -> dict[str, Any]:
    """Content of our files, read once; each top-level key is in one file."""
    content: dict[str, Any] = {}
    for path in sorted(PARAMETERS.glob("*.yaml")):
        content |= _plain(_load(path))
    return content


def merge_parameters(
    main: DictConfig | Mapping[str, Any],
    *others: DictConfig | Mapping[str, Any],
    update: bool = True,
) -> DictConfig:
    """Parameters with changes, the last one given wins.

    Parameters
    ----------
    main
        Parameters to start from; they stay as they are.
    others
        Changes and additions.
    update
        Change single values inside of what there is; lists are replaced. If false, each top-level
        key of a change replaces that key with everything in it.

    Returns
    -------
    omegaconf.DictConfig
        New parameters.

    Raises
    ------
    InputError
        When an era is spelt with other upper and lower case than it is known by, or given twice, or
        a list is to be merged into a mapping.
    InputTypeError
        When something is no mapping.
    """
    merged = _parameters(main, "the parameters")
    for number, other in enumerate(others, 1):
        change = _parameters(other, f"change {number} of the parameters")
        _check(merged, change, update=update)
        merged = _merge(merged, change) if update else _replace(merged, change)
    return merged


def merge_parameters_from_files(
    main: DictConfig | Mapping[str, Any], *files: str | Path, update: bool = True
) -> DictConfig:
    """As `merge_parameters`, with changes from YAML files.

    Raises
    ------
    FileError
        When a file is missing or no YAML.
    InputError, InputTypeError
        As in `merge_parameters`.
    """
    return merge_parameters(main, *map(_load, files), update=update)


def merge_parameters_from_string(
    main: DictConfig | Mapping[str, Any], *texts: str, update: bool = True
) -> DictConfig:
    """As `merge_parameters`, with changes written as YAML text.

    Raises
    ------
    InputError, InputTypeError
        As in `merge_parameters`, and for a text that is no YAML.
    """
    return merge_parameters(main, *map(_from_text, texts), update=update)


def compose_parameters_from_files(*files: str | Path, update: bool = True) -> DictConfig:
    """Parameters of YAML files alone, without the defaults; the last file wins.

    Raises
    ------
    FileError, InputError, InputTypeError
        As in `merge_parameters_from_files`.
    """
    return merge_parameters_from_files({}, *files, update=update)


def get_defaults_and_compose(*files: str | Path, update: bool = True) -> DictConfig:
    """The defaults, changed by YAML files; the last file wins.

    Raises
    ------
    FileError, InputError, InputTypeError
        As in `merge_parameters_from_files`.
    """
    return merge_parameters_from_files(get_default_parameters(), *files, update=update)


def _load(path: str | Path) -> DictConfig:
    """Content of a YAML file, an empty mapping for an empty one."""
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        folder = Path(path).expanduser().parent
        beside = sorted(one.name for one in folder.glob("*.y*ml")) if folder.is_dir() else []
        there = f" In that folder are: {', '.join(beside)}." if beside else ""
        msg = f"Cannot read the parameters in {path}: {error.strerror or error}.{there}"
        raise FileError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path} is no text file of parameters: {error}."
        raise FileError(msg) from error
    try:
        return _from_text(text)
    except InputError as error:
        msg = f"{path}: {error}"
        raise FileError(msg) from error


def _from_text(text: str) -> DictConfig:
    try:
        content = OmegaConf.load(StringIO(text))
    except Exception as error:  # errors of the YAML parser, of OmegaConf, and plain OSError
        msg = f"no YAML of parameters: {error}"
        raise InputError(msg) from error
    if not isinstance(content, DictConfig):
        msg = "no YAML of parameters: it holds a list, not a mapping."
        raise InputError(msg)
    return content


def _parameters(given: Any, what: str) -> DictConfig:
    """A copy as configuration, with eras as strings: YAML reads an unquoted 2018 as a number."""
    if isinstance(given, DictConfig):
        given = OmegaConf.to_container(given, resolve=False)
    if not isinstance(given, Mapping):
        msg = f"Expected a mapping for {what}, not {type(given).__name__}."
        raise InputTypeError(msg)
    created: DictConfig = OmegaConf.create(_with_text_eras(given, ""))
    return created


def _with_text_eras(value: Any, place: str) -> Any:
    if isinstance(value, Mapping):
        texts: dict[Any, Any] = {}
        for key, item in value.items():
            text = str(key) if isinstance(key, int) and _ERA.fullmatch(str(key)) else key
            if text in texts:
                msg = f"{place or 'The top level'} has {text} twice, with and without quotes."
                raise InputError(msg)
            texts[text] = _with_text_eras(item, f"{place}.{text}".strip("."))
        return texts
    if isinstance(value, (list, tuple)):
        return [_with_text_eras(item, place) for item in value]
    return value


def _check(main: Any, change: Any, place: str = "", *, update: bool) -> None:
    """Refuse changes that would not do what they look like.

    These are an era that differs from one there is in upper and lower case only, and a list where
    there is a mapping or the other way round.
    """
    if isinstance(main, DictConfig) and isinstance(change, DictConfig):
        known = {str(key).casefold(): key for key in main}
        for key in change:
            if key in main:
                # an interpolation is followed where it leads; one that leads nowhere is replaced
                below = f"{place}.{key!s}".strip(".")
                _check(_node(main, key), _node(change, key), below, update=update)
            elif _ERA.match(str(key)) and str(key).casefold() in known:
                there = known[str(key).casefold()]
                msg = f"{place} has {there!r}, not {key!r}: upper and lower case count."
                raise InputError(msg)
    elif update and {type(main), type(change)} == {DictConfig, ListConfig}:
        first, second = ("a mapping", "a list")[:: 1 if isinstance(main, DictConfig) else -1]
        msg = f"{place} is {first}, the change to it {second}: pass update=False to replace it."
        raise InputError(msg)


def _node(parent: DictConfig, key: Any) -> Any:
    try:
        return parent[key]
    except OmegaConfBaseException:
        return None


def _merge(main: DictConfig, change: DictConfig) -> DictConfig:
    try:
        merged = OmegaConf.merge(main, change)
    except OmegaConfBaseException as error:
        msg = f"The parameters cannot be merged: {error}"
        raise InputError(msg) from error
    assert isinstance(merged, DictConfig)
    return merged


def _replace(main: DictConfig, change: DictConfig) -> DictConfig:
    both: Any = OmegaConf.to_container(main, resolve=False)
    replaced: DictConfig = OmegaConf.create({**both, **_plain(change)})
    return replaced


def _plain(node: DictConfig | ListConfig) -> Any:
    return OmegaConf.to_container(node, resolve=False)


def find_parameter(parameters: DictConfig, *path: str) -> Any:
    """A parameter by its place, with an error that says where the place ends.

    Parameters
    ----------
    parameters
        Where to look.
    path
        Keys with dots between them, ``"lumi.picobarns.2018.tot"``, or as several arguments,
        ``"lumi.picobarns", year, "tot"``.

    Returns
    -------
    Any
        The value, or the part of the parameters below.

    Raises
    ------
    InputError
        When there is no such parameter, or it is marked as to be set (``???``).
    LazyanaError
        What made its value impossible to work out, e.g. a `FileError` for a file that is missing.
    """
    here: Any = parameters
    seen: list[str] = []
    keys = [str(key) for key in path]
    while keys:
        key = keys.pop(0)
        if not _has(here, key) and "." in key:
            key, rest = key.split(".", 1)
            keys.insert(0, rest)
        if not _has(here, key):
            raise InputError(_no_parameter(here, ".".join([*seen, key, *keys]), seen, key))
        seen.append(key)
        here = _value(here, key, ".".join(seen))
    return here


def _has(node: Any, key: str) -> bool:
    if isinstance(node, DictConfig):
        # `in` says no to a value that cannot be worked out; those have a better error
        return any(key == each for each in node)
    return isinstance(node, ListConfig) and key.isdigit() and int(key) < len(node)


def _value(node: Any, key: str, place: str) -> Any:
    try:
        return node[int(key)] if isinstance(node, ListConfig) else node[key]
    except MissingMandatoryValue:
        msg = f"The parameter {place} has no value yet (???): give it one."
        raise InputError(msg) from None
    except InterpolationResolutionError as error:
        if (ours := _our_error(error)) is None:
            msg = f"The parameter {place} cannot be worked out: {error}"
            raise InputError(msg) from error
        msg = f"{place}: {ours}"
        raise type(ours)(msg) from error


def _our_error(error: BaseException | None) -> LazyanaError | None:
    """The error of ours that OmegaConf wrapped into its own, once or more often."""
    while error is not None and not isinstance(error, LazyanaError):
        error = error.__cause__ or error.__context__
    return error


def _no_parameter(node: Any, place: str, seen: list[str], key: str) -> str:
    above = ".".join(seen) or "the top level"
    if isinstance(node, (DictConfig, ListConfig)):
        names: Iterable[Any] = node if isinstance(node, DictConfig) else range(len(node))
        choices = [str(name) for name in names]
        there = f"{above} has {', '.join(choices) or 'nothing'}.{did_you_mean(key, choices)}"
    else:
        there = f"{above} is {node!r}."
    return f"No parameter {place}; {there} To add it, merge it into the parameters."


def parameters_text(parameters: DictConfig, *path: str) -> str:
    """Parameters as YAML text, values worked out where that is possible.

    A value that cannot be worked out, such as the place of a file that is not there, is shown as it
    was written.

    Parameters
    ----------
    parameters
        What to show.
    path
        Show only what is at this place, as in `find_parameter`.

    Raises
    ------
    InputError
        When there is no such place.
    """
    part = find_parameter(parameters, *path) if path else parameters
    if not isinstance(part, (DictConfig, ListConfig)):
        return f"{part}\n"
    # created without its parents: what could not be worked out must stay as it was written
    return str(OmegaConf.to_yaml(OmegaConf.create(_worked_out(part))))


def _worked_out(node: DictConfig | ListConfig) -> Any:
    raw = _plain(node)
    if isinstance(node, ListConfig):
        return [_entry(node, index, raw[index]) for index in range(len(node))]
    return {key: _entry(node, key, raw[key]) for key in node}


def _entry(node: Any, key: Any, raw: Any) -> Any:
    try:
        value = node[key]
    except (MissingMandatoryValue, InterpolationResolutionError):
        return raw
    return _worked_out(value) if isinstance(value, (DictConfig, ListConfig)) else value


def dump_parameters(parameters: DictConfig, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write parameters as YAML, values worked out where that is possible.

    Parameters
    ----------
    parameters
        What to write.
    path
        The file; its folder is made if need be.
    overwrite
        Replace a file that exists.

    Returns
    -------
    pathlib.Path
        The file, written completely before it got its name.

    Raises
    ------
    OutputExistsError
        When the file exists and ``overwrite`` is false.
    """
    target = Path(path).expanduser()
    if target.exists() and not overwrite:
        msg = f"{target} exists already; pass overwrite=True to replace it, or another path."
        raise OutputExistsError(msg)
    text = parameters_text(parameters)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target
