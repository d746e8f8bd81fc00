"""Uncertainties of the jet energy scale."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import InputError, did_you_mean
from lazyana.physics.corrections import Correction, CorrectionFile, OutOfRange, evaluate

_ETA, _PT = "JetEta", "JetPt"
# Levels of the correction, which have no uncertainty of that name.
_LEVELS = ("L1FastJet", "L1RC", "L2Relative", "L3Absolute", "L2Residual", "L2L3Residual")


def jes_sources(corrections: CorrectionFile, tag: str, jet_type: str) -> tuple[str, ...]:
    """The sources of uncertainty of the jet energy scale in a file.

    Parameters
    ----------
    corrections
        A ``jet_jerc.json.gz`` of the JetMET POG.
    tag
        Tag of the correction of simulation, e.g. ``"Summer19UL18_V5_MC"``.
    jet_type
        E.g. ``"AK4PFchs"``.

    Returns
    -------
    tuple of str
        E.g. ``"Total"``, ``"FlavorQCD"``, ``"Regrouped_Absolute"``, in the order of the file.
    """
    start, end = f"{tag}_", f"_{jet_type}"
    inner = (
        name[len(start) : -len(end)]
        for name in corrections
        if name.startswith(start) and name.endswith(end) and len(name) > len(start) + len(end)
    )
    return tuple(
        source
        for source in inner
        if source not in _LEVELS
        and set(corrections.input_names(f"{start}{source}{end}")) == {_ETA, _PT}
    )


def jes_source(corrections: CorrectionFile, tag: str, source: str, jet_type: str) -> Correction:
    """The uncertainty of the jet energy scale from one source.

    Parameters
    ----------
    corrections, tag, jet_type
        As of `jes_sources`.
    source
        The source; ``"Total"`` for all of them.

    Raises
    ------
    InputError
        A source, tag or jet type that the file does not have.
    """
    name = f"{tag}_{source}_{jet_type}"
    if name in corrections and source not in _LEVELS:
        return corrections[name]
    known = jes_sources(corrections, tag, jet_type)
    if known:
        msg = (
            f"{corrections.path} has no uncertainty of the jet energy scale {source!r} for "
            f"{jet_type} under {tag}.{did_you_mean(source, known)} It has: {', '.join(known)}."
        )
        raise InputError(msg)
    there = _with_total(corrections)
    hint = did_you_mean(f"{tag} for {jet_type}", there)
    msg = (
        f"{corrections.path} has no uncertainties of the jet energy scale for {jet_type} under "
        f"{tag}.{hint} It has those of: {', '.join(there) or 'nothing'}."
    )
    raise InputError(msg)


def jes_uncertainty(
    source: Correction, pt: Any, eta: Any, *, out_of_range: OutOfRange = "clamp"
) -> Any:
    """Relative uncertainty of the jet energy scale.

    Parameters
    ----------
    source
        What `jes_source` gives.
    pt, eta
        Corrected transverse momentum (GeV) and pseudorapidity of the jets, shape
        ``(events, jets)``.
    out_of_range
        What to do about jets beyond the last bin of η; the files give -999 there, which is taken
        for no number.

    Returns
    -------
    array
        Shape ``(events, jets)``, float64.
    """
    columns = {_ETA: eta, _PT: pt}
    return evaluate(
        source, *(columns[one.name] for one in source.inputs), out_of_range=out_of_range
    )


def jes_factors(source: Correction, pt: Any, eta: Any) -> tuple[Any, Any]:
    """What momentum and mass of jets are multiplied with, one standard deviation up and down.

    Parameters
    ----------
    source, pt, eta
        As of `jes_uncertainty`.

    Returns
    -------
    up, down
        1 + u and 1 - u of the relative uncertainty u, float32, shape ``(events, jets)``: momenta of
        NanoAOD stay in the precision that they are stored in.
    """
    uncertainty = jes_uncertainty(source, pt, eta)
    up, down = (
        ak.values_astype(1 + sign * uncertainty, np.float32, including_unknown=True)
        for sign in (1, -1)
    )
    return up, down


def _with_total(corrections: CorrectionFile) -> list[str]:
    """Tags and jet types that have a total uncertainty."""
    split = (name.partition("_Total_") for name in corrections)
    return [
        f"{tag} for {jet_type}"
        for tag, found, jet_type in split
        if found and not tag.endswith("_Regrouped")
    ]
