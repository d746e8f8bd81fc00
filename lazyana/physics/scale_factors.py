"""Scale factors of objects, whatever a file calls their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import awkward as ak

from lazyana.errors import InputError
from lazyana.physics.corrections import Correction, Input, OutOfRange, evaluate

Shifts: TypeAlias = tuple[Any, Any, Any]
"""Nominal, up and down."""

_TAGS = (("nominal", "sf"), ("up", "systup", "sfup"), ("down", "systdown", "sfdown"))
_YEARS = ("year", "era")


def object_scale_factor(
    correction: Correction,
    numbers: Mapping[str, Any],
    *,
    year: str | None = None,
    texts: Mapping[str, str] | None = None,
    out_of_range: OutOfRange = "error",
) -> Shifts:
    """Scale factor of each object, nominal and varied.

    The inputs of a correction are recognised by their names: those of `numbers`, ``year`` or
    ``era``, those of `texts`; the one text that is left chooses between nominal, up and down.

    Parameters
    ----------
    correction
        The correction.
    numbers
        Columns by the name of the input, e.g. ``{"pt": ..., "eta": ..., "abseta": ...}``, shape
        ``(events, objects)``; the correction uses those it has.
    year
        What the correction calls the year; not needed where it knows one only.
    texts
        Other texts, such as the working point, by the name of the input.
    out_of_range
        See `lazyana.physics.corrections.Correction.out_of_range`.

    Returns
    -------
    tuple
        Nominal, up and down, each of shape ``(events, objects)``.

    Raises
    ------
    InputError
        An input that is none of these, or no text for nominal, up or down.
    """
    tagged = [
        one
        for one in correction.inputs
        if one.kind == "string" and one.name.lower() not in (*_YEARS, *(texts or {}))
    ]
    if len(tagged) != 1:
        raise InputError(_no_tag(correction, tagged))
    tags = [_first(correction, tagged[0], names) for names in _TAGS]
    fixed = {
        one.name: _fixed(correction, one, numbers, year, texts or {})
        for one in correction.inputs
        if one is not tagged[0]
    }
    nominal, up, down = (
        evaluate(
            correction,
            *({**fixed, tagged[0].name: tag}[one.name] for one in correction.inputs),
            out_of_range=out_of_range,
        )
        for tag in tags
    )
    return nominal, up, down


def event_scale_factor(factors: Shifts) -> Shifts:
    """Product over the objects of each event, nominal and varied.

    Parameters
    ----------
    factors
        Nominal, up and down of each object, shape ``(events, objects)``.

    Returns
    -------
    tuple
        The same of each event, shape ``(events,)``; 1 where there is no object. The objects of an
        event are shifted together.
    """
    nominal, up, down = (ak.prod(factor, axis=1) for factor in factors)
    return nominal, up, down


def pileup_weight(correction: Correction, n_true: Any) -> Shifts:
    """Weight that turns the pileup of the simulation into that of the data.

    Parameters
    ----------
    correction
        Function of the true number of interactions and of ``nominal``, ``up`` and ``down``, from a
        ``puWeights.json.gz`` of the luminosity POG.
    n_true
        ``Pileup_nTrueInt``, shape ``(events,)``.

    Returns
    -------
    tuple
        Nominal, up and down, each of shape ``(events,)``; beyond the last bin that of the last bin.
    """
    numbers = {one.name.lower(): n_true for one in correction.inputs if one.kind != "string"}
    if len(numbers) != 1:
        names = ", ".join(one.name for one in correction.inputs)
        msg = f"Correction {correction.name!r} is no weight of pileup: its inputs are {names}."
        raise InputError(msg)
    return object_scale_factor(correction, numbers, out_of_range="clamp")


def muon_scale_factor(
    correction: Correction,
    muons: Any,
    *,
    year: str | None = None,
    out_of_range: OutOfRange = "error",
) -> Shifts:
    """Scale factor of each muon from a file of the Muon POG.

    Parameters
    ----------
    correction
        Function of η or its absolute value and of transverse momentum (GeV), in older files of the
        year too; and of ``nominal`` or ``sf``, ``systup`` and ``systdown``, in which statistical
        and systematic uncertainty are added up.
    muons
        Muons with ``pt`` (GeV) and ``eta``, shape ``(events, muons)``.
    year
        What the correction calls the year.
    out_of_range
        See `lazyana.physics.corrections.Correction.out_of_range`.

    Returns
    -------
    tuple
        Nominal, up and down, each of shape ``(events, muons)``.
    """
    numbers = {"pt": muons.pt, "eta": muons.eta, "abseta": abs(muons.eta)}
    return object_scale_factor(correction, numbers, year=year, out_of_range=out_of_range)


def _fixed(
    correction: Correction,
    one: Input,
    numbers: Mapping[str, Any],
    year: str | None,
    texts: Mapping[str, str],
) -> Any:
    """What an input is in all of nominal, up and down."""
    name = one.name.lower()
    if one.kind == "string":
        if name in texts:
            return texts[name]
        return one.choices[0] if year is None and len(one.choices) == 1 else _year(one, year)
    for known, column in numbers.items():
        if name in (known, f"probe_{known}"):
            return column
    msg = (
        f"Correction {correction.name!r} is a function of {one.name!r}, which is not known here. "
        f"Known are: {', '.join(numbers)}."
    )
    raise InputError(msg)


def _year(one: Input, year: str | None) -> str:
    if year is not None:
        return year
    msg = f"The correction wants to know the {one.name}: one of {', '.join(one.choices)}."
    raise InputError(msg)


def _first(correction: Correction, one: Input, names: tuple[str, ...]) -> str:
    """The name of nominal, up or down that the correction uses."""
    for name in names:
        if name in one.choices or not one.choices:
            return name
    msg = (
        f"Correction {correction.name!r} has no {' or '.join(names)} for {one.name!r}. It has: "
        f"{', '.join(one.choices)}."
    )
    raise InputError(msg)


def _no_tag(correction: Correction, tagged: list[Input]) -> str:
    texts = ", ".join(one.name for one in tagged) or "none"
    return (
        f"Correction {correction.name!r} should have one text that chooses nominal, up or down; it "
        f"has: {texts}. Evaluate it with lazyana.physics.corrections.evaluate."
    )
