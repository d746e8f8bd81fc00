"""Energy of jets: uncertainties of its scale, and its resolution."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import InputError, did_you_mean
from lazyana.physics.corrections import Correction, CorrectionFile, OutOfRange, evaluate
from lazyana.physics.lazy import mapped, on_numbers
from lazyana.physics.matching import closest_pt
from lazyana.physics.randomness import standard_normal
from lazyana.physics.scale_factors import Shifts
from lazyana.physics.vectors import elementwise

_ETA, _PT, _RHO = "JetEta", "JetPt", "Rho"
# Smearing leaves a jet at least this energy (GeV), as in CMSSW.
_LEAST_ENERGY = 1e-2
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


@dataclass(frozen=True)
class Resolution:
    """The resolution of the jet energy.

    Attributes
    ----------
    jet_type
        E.g. ``"AK4PFchs"``.
    resolution
        Relative resolution of the pT in simulation.
    scale_factor
        Resolution in data over that in simulation.
    uncertainty
        The uncertainty of `scale_factor`; None for a scale factor that gives its variations itself.
    """

    jet_type: str
    resolution: Correction
    scale_factor: Correction
    uncertainty: Correction | None = None

    @property
    def radius(self) -> float:
        """Radius parameter of the jets."""
        return jet_radius(self.jet_type)


def jet_radius(jet_type: str) -> float:
    """Radius parameter of jets by the number in the name of their type, 0.4 of ``"AK4PFchs"``.

    Raises
    ------
    InputError
        A name without it.
    """
    found = re.match(r"AK(\d+)", jet_type)
    if found is None:
        msg = f"Jet type {jet_type!r} does not say its radius: types are called AK4…, AK8…."
        raise InputError(msg)
    return int(found[1]) / 10


def jer_of(corrections: CorrectionFile, tag: str, jet_type: str) -> Resolution:
    """The resolution of the jet energy in a file.

    Parameters
    ----------
    corrections
        A ``jet_jerc.json.gz`` of the JetMET POG.
    tag
        Tag of the resolution, e.g. ``"Summer19UL18_JRV3_MC"``.
    jet_type
        E.g. ``"AK4PFchs"``.

    Raises
    ------
    InputError
        A tag or jet type that the file does not have, a scale factor without variations.
    """
    wanted = f"{tag}_PtResolution_{jet_type}"
    if wanted not in corrections:
        split = (name.partition("_PtResolution_") for name in corrections)
        there = [f"{known} for {of}" for known, found, of in split if found]
        hint = did_you_mean(f"{tag} for {jet_type}", there)
        msg = (
            f"{corrections.path} has no resolution of the jet energy for {jet_type} under {tag}."
            f"{hint} It has those of: {', '.join(there) or 'nothing'}."
        )
        raise InputError(msg)
    factor = corrections[f"{tag}_ScaleFactor_{jet_type}"]
    if any(one.kind == "string" for one in factor.inputs):
        return Resolution(jet_type, corrections[wanted], factor)
    uncertainty = corrections[f"{tag}_SFUncertainty_{jet_type}"]
    return Resolution(jet_type, corrections[wanted], factor, uncertainty)


def jer_factors(resolution: Resolution, jets: Any, gen_jets: Any, rho: Any, events: Any) -> Shifts:
    """What momentum and mass of simulated jets are multiplied with to have the resolution of data.

    The hybrid method: a jet with a jet of the generator within half of its radius, and within three
    standard deviations in pT, is moved away from it by the scale factor s of the resolution r,
    ``1 + (s - 1) (pT - pT_gen) / pT``; others fluctuate, ``1 + N(0, r) sqrt(max(s² - 1, 0))``. No
    jet is left with less than 10 MeV.

    Source: JetMET POG, *Jet Energy Resolution*, smearing procedures; ``SmearedJetProducerT`` of
    CMSSW, whose formulas coffea's ``CorrectedJetsFactory`` has too.

    Parameters
    ----------
    resolution
        What `jer_of` gives.
    jets
        Jets of calibrated pT (GeV), with η and φ, shape ``(events, jets)``.
    gen_jets
        Jets of the generator of the same radius, shape ``(events, gen_jets)``.
    rho
        Density of the energy of pileup (GeV), ``fixedGridRhoFastjetAll``, shape ``(events,)``.
    events
        The events, with ``run``, ``luminosityBlock`` and ``event``, of which the fluctuation of a
        jet is a hash: the same for any partitioning, and in all variations.

    Returns
    -------
    tuple
        Nominal, up and down of the scale factor, float32, shape ``(events, jets)``.
    """
    given = {_ETA: jets.eta, _PT: jets.pt, _RHO: rho}

    def value(correction: Correction, text: str = "") -> Any:
        columns = (text if one.kind == "string" else given[one.name] for one in correction.inputs)
        return evaluate(correction, *columns, out_of_range="clamp")

    factor, uncertainty = resolution.scale_factor, resolution.uncertainty
    if uncertainty is None:
        scales = [value(factor, shift) for shift in ("nom", "up", "down")]
    else:
        nominal, width = value(factor), value(uncertainty)
        scales = [nominal, nominal + width, nominal - width]
    relative = value(resolution.resolution)
    partner = closest_pt(jets, gen_jets, resolution.radius / 2, 3 * relative * jets.pt)
    identity = events.run, events.luminosityBlock, events.event
    random = standard_normal(*identity, jets.pt, salt=f"JER-{resolution.jet_type}")
    columns = jets.pt, jets.eta, partner, relative * random
    nominal, up, down = (mapped(_smeared, *columns, one, label="smear") for one in scales)
    return nominal, up, down


def _smeared(*columns: Any) -> Any:
    return on_numbers(_smeared_of_numbers, *columns)


def _smeared_of_numbers(*columns: Any) -> ak.Array:
    def factor(pt: Any, eta: Any, partner: Any, fluctuation: Any, scale: Any) -> Any:
        scaled = 1 + (scale - 1) * (pt - partner) / pt
        moved = 1 + fluctuation * np.sqrt(np.maximum(scale**2 - 1, 0))
        found = np.where(partner > 0, scaled, moved)
        return np.maximum(found, _LEAST_ENERGY / (pt * np.cosh(eta))).astype(np.float32)

    return elementwise(factor, *columns)


def _with_total(corrections: CorrectionFile) -> list[str]:
    """Tags and jet types that have a total uncertainty."""
    split = (name.partition("_Total_") for name in corrections)
    return [
        f"{tag} for {jet_type}"
        for tag, found, jet_type in split
        if found and not tag.endswith("_Regrouped")
    ]
