"""What object functions are given: sections of the parameters and fields of collections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from lazyana.errors import ColumnError, InputError, InputTypeError, did_you_mean
from lazyana.physics.lazy import is_lazy


def section(params: Any, *keys: str) -> Any:
    """What is in the parameters under some keys.

    Parameters
    ----------
    params
        Parameters: nested mappings, e.g. of OmegaConf, or namespaces.
    *keys
        The keys that lead to it, ``("object_preselection", "Muon")``.

    Raises
    ------
    InputError
        A key that is not there, with those that are.
    """
    found = _entries(params)
    for depth, key in enumerate(keys):
        if not isinstance(found, Mapping) or key not in found:
            known = sorted(map(str, found)) if isinstance(found, Mapping) else []
            place = ".".join(keys[:depth]) or "The parameters"
            there = f" There are: {', '.join(known)}." if known else ""
            msg = (
                f"{place} {'has' if depth else 'have'} no {key!r}.{did_you_mean(key, known)}"
                f"{there} Give {'.'.join(keys[: depth + 1])}, e.g. in a YAML file of parameters."
            )
            raise InputError(msg)
        found = _entries(found[key])
    return found


def has(params: Any, *keys: str) -> bool:
    """Whether there is something in the parameters under some keys."""
    found = _entries(params)
    for key in keys[:-1]:
        if not isinstance(found, Mapping) or key not in found:
            return False
        found = _entries(found[key])
    # What is there is not looked at: parameters may look for a file when they are read.
    return isinstance(found, Mapping) and keys[-1] in found


def _entries(found: Any) -> Any:
    """What is in a section, by name."""
    return vars(found) if isinstance(found, SimpleNamespace) else found


def number(cuts: Any, key: str, where: str) -> float:
    """The number that parameters give for a cut.

    Parameters
    ----------
    cuts
        The section.
    key
        Name of the cut.
    where
        Name of the section, for messages.

    Raises
    ------
    InputError
        The cut is not there.
    InputTypeError
        It is not a number.
    """
    if not isinstance(cuts, Mapping) or key not in cuts:
        known = sorted(map(str, cuts)) if isinstance(cuts, Mapping) else []
        msg = (
            f"{where} has no {key!r}.{did_you_mean(key, known)} There are: {', '.join(known)}. "
            f"Give {where}.{key}."
        )
        raise InputError(msg)
    value = cuts[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{where}.{key} is {value!r}, not a number."
        raise InputTypeError(msg)
    return value


def field(objects: Any, name: str, asked: str) -> Any:
    """A field of a collection, shape ``(events, objects)``.

    Parameters
    ----------
    objects
        The collection.
    name
        Name of the field.
    asked
        Who asks for it, for the message, e.g. ``"object_preselection.Muon.id"``.

    Raises
    ------
    ColumnError
        There is no such field.
    """
    names = list(objects.fields)
    if name not in names:
        hint = did_you_mean(name, names)
        msg = (
            f"{asked} asks for the field {name!r}, which the objects do not have.{hint} "
            f"Fields: {', '.join(sorted(names))}"
        )
        raise ColumnError(msg)
    return objects[name]


def flag(objects: Any, name: str, asked: str) -> Any:
    """A field of a collection that says yes or no, shape ``(events, objects)``.

    Raises
    ------
    ColumnError
        There is no such field.
    InputError
        Its values are numbers: which of them is a yes?
    """
    values = field(objects, name, asked)
    kind = _dtype((values._meta if is_lazy(values) else values).layout)
    if kind != np.dtype(bool):
        msg = (
            f"{asked} asks for {name!r}, whose values are numbers ({kind}), as if it were yes or "
            f"no. Say how large it has to be: {{{name}: smallest value}}."
        )
        raise InputError(msg)
    return values


def passes_id(objects: Any, wanted: Any, asked: str) -> Any:
    """Mask of the objects that pass an identification, shape ``(events, objects)``.

    Parameters
    ----------
    objects
        The collection.
    wanted
        Name of a field that says yes or no, or a mapping of fields to the smallest value that
        passes: ``{"cutBased": 4}``; all of them have to pass.
    asked
        Who asks for it, for messages.

    Raises
    ------
    ColumnError, InputError, InputTypeError
        No such field, one that is not yes or no, nothing asked for.
    """
    if isinstance(wanted, str):
        return flag(objects, wanted, asked)
    if not isinstance(wanted, Mapping) or not wanted:
        msg = (
            f"{asked} is {wanted!r}: name a field of yes or no, or give {{field: smallest value}}."
        )
        raise InputTypeError(msg)
    smallest = {str(name): number(wanted, str(name), asked) for name in wanted}
    masks = [field(objects, name, asked) >= least for name, least in smallest.items()]
    mask = masks[0]
    for other in masks[1:]:
        mask = mask & other
    return mask


def one_of(values: Any, allowed: Iterable[Any], asked: str) -> Any:
    """Mask of the values that are one of some whole numbers, in the shape of the values.

    Parameters
    ----------
    values
        Whole numbers, a column.
    allowed
        The numbers.
    asked
        Who asks for it, for the message.

    Raises
    ------
    InputError
        No number is allowed.
    """
    masks = [values == int(each) for each in allowed]
    if not masks:
        msg = f"{asked} is empty, so nothing would pass: list numbers, or leave it out."
        raise InputError(msg)
    mask = masks[0]
    for other in masks[1:]:
        mask = mask | other
    return mask


def _dtype(layout: Any) -> np.dtype[Any]:
    while not hasattr(layout, "dtype"):
        layout = layout.content
    kind: np.dtype[Any] = np.dtype(layout.dtype)
    return kind
