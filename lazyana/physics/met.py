"""Corrections of the missing transverse momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import InputError
from lazyana.physics.corrections import Correction, evaluate, open_corrections
from lazyana.physics.inputs import has, section
from lazyana.physics.lazy import mapped, on_numbers
from lazyana.physics.vectors import elementwise

SIMULATION = "MC"


def met_xy_correction(
    params: Any, events: Any, METcol: str, year: str, era: str
) -> tuple[Any, Any]:
    """Missing momentum without its modulation in φ.

    Parameters
    ----------
    params
        Parameters with ``MET_xy``: either, under ``JSONfiles.<year>``, a ``file`` of the JetMET POG
        and what its corrections of ``pt`` and ``phi`` are called for ``Data`` and ``MC`` (and,
        under ``texts``, what other inputs that are text are to be); or, under ``MC.<year>`` and
        ``Data.<year>.<era>``, the coefficients ``[[ax, bx], [ay, by]]`` of
        ``x - (ax n + bx)``, ``y - (ay n + by)`` for n primary vertices (GeV). Files come first.
    events
        The events, with the collection and ``PV.npvs``.
    METcol
        The collection, e.g. ``"MET"``.
    year, era
        The year, and the era of data; ``"MC"`` for simulation.

    Returns
    -------
    pt, phi
        Corrected momentum (GeV) and its angle, shape ``(events,)``.

    Raises
    ------
    InputError
        A year or era without correction, a correction of other inputs.

    Notes
    -----
    Source of the formula and of the coefficients that come with lazyana:
    ``XYMETCorrection_withUL17andUL18andUL16.h`` of the JetMET POG.
    """
    met, vertices = events[METcol], events["PV"]
    if has(params, "MET_xy", "JSONfiles", year):
        return _from_file(section(params, "MET_xy", "JSONfiles", year), events, met, vertices, era)
    kind = (SIMULATION, year) if era == SIMULATION else ("Data", year, era)
    coefficients = section(params, "MET_xy", *kind)
    found = mapped(
        _without_modulation,
        *(met.pt, met.phi, vertices.npvs),
        label="met-xy",
        coefficients=tuple(tuple(map(float, line)) for line in coefficients),
    )
    return found["pt"], found["phi"]


def met_correction_after_jec(
    events: Any, METcoll: str, jets_pre_jec: Any, jets_post_jec: Any
) -> dict[str, Any]:
    """Missing momentum after jets were calibrated: what jets gained is taken from it.

    Parameters
    ----------
    events
        The events.
    METcoll
        The collection, e.g. ``"MET"``.
    jets_pre_jec, jets_post_jec
        The jets before and after, with ``pt`` (GeV) and ``phi``, shape ``(events, jets)``.

    Returns
    -------
    dict
        ``"pt"`` (GeV) and ``"phi"``, shape ``(events,)``.
    """
    met = events[METcoll]
    jets = (getattr(jets, name) for jets in (jets_pre_jec, jets_post_jec) for name in ("pt", "phi"))
    found = mapped(_recoiled, met.pt, met.phi, *jets, label="met-after-jec")
    return {"pt": found["pt"], "phi": found["phi"]}


def _from_file(given: Any, events: Any, met: Any, vertices: Any, era: str) -> tuple[Any, Any]:
    """What corrections of momentum and angle in a file give."""
    file, kind = open_corrections(str(section(given, "file"))), "Data"
    if era == SIMULATION:
        kind = SIMULATION
    numbers = {
        "met_pt": lambda: met.pt,
        "met_phi": lambda: met.phi,
        "npvs": lambda: vertices.npvs,
        "npvgood": lambda: vertices.npvsGood,
        "run": lambda: events["run"],
    }

    def value(quantity: str) -> Any:
        correction = file[str(section(given, kind, quantity))]
        texts = {**given.get("texts", {}), "pt_phi": quantity, "dtmc": kind.upper()}
        return evaluate(
            correction, *(_input(correction, one.name, numbers, texts) for one in correction.inputs)
        )

    return value("pt"), value("phi")


def _input(correction: Correction, name: str, numbers: Any, texts: Mapping[str, str]) -> Any:
    if name.lower() in numbers:
        return numbers[name.lower()]()
    if name in texts:
        return str(texts[name])
    msg = (
        f"Correction {correction.name!r} is a function of {name!r}, which is not known here. Known "
        f"are {', '.join(numbers)}; give texts as MET_xy.JSONfiles.<year>.texts.{name}."
    )
    raise InputError(msg)


def _without_modulation(*columns: Any, coefficients: Any) -> Any:
    return on_numbers(_without_modulation_of_numbers, *columns, coefficients=coefficients)


def _without_modulation_of_numbers(pt: Any, phi: Any, vertices: Any, coefficients: Any) -> ak.Array:
    def correct(pt: Any, phi: Any, n: Any) -> Any:
        (ax, bx), (ay, by) = coefficients
        x, y = pt * np.cos(phi) - (ax * n + bx), pt * np.sin(phi) - (ay * n + by)
        return np.hypot(x, y), np.arctan2(y, x)

    return _vector(*elementwise(correct, pt, phi, vertices))


def _recoiled(*columns: Any) -> Any:
    return on_numbers(_recoiled_of_numbers, *columns)


def _recoiled_of_numbers(
    pt: Any, phi: Any, before: Any, phi_before: Any, after: Any, phi_after: Any
) -> ak.Array:
    gained = [
        ak.sum(after * function(phi_after), axis=1) - ak.sum(before * function(phi_before), axis=1)
        for function in (np.cos, np.sin)
    ]
    x, y = pt * np.cos(phi) - gained[0], pt * np.sin(phi) - gained[1]
    return _vector(np.hypot(x, y), np.arctan2(y, x))


def _vector(pt: Any, phi: Any) -> ak.Array:
    return ak.zip({"pt": pt, "phi": phi})
