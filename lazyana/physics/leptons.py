"""Selections of electrons, muons, photons and taus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import InputError, did_you_mean
from lazyana.physics.inputs import field, flag, number, one_of, passes_id, section
from lazyana.physics.lazy import certain
from lazyana.physics.matching import is_isolated

# Between barrel and endcaps of the electromagnetic calorimeter.
GAP = (1.4442, 1.5660)

_ISOLATION = {"Electron": "pfRelIso03_all", "Muon": "pfRelIso04_all"}


def lepton_selection(
    events: Any,
    lepton_flavour: str,
    params: Any,
    id: Any = None,  # the name it has in configurations
) -> Any:
    """Electrons or muons that pass pT, η, isolation and identification.

    Electrons in the gap of the calorimeter, 1.4442 <= abs(η of the supercluster) <= 1.5660, do not
    pass.

    Parameters
    ----------
    events
        The events.
    lepton_flavour
        ``"Electron"`` or ``"Muon"``.
    params
        Parameters with ``object_preselection.<flavour>``: ``pt`` (GeV, larger than), ``eta``
        (absolute value smaller than), ``id`` (name of a field that says yes or no, or a mapping of
        fields to smallest values) and ``iso`` (relative isolation smaller than; ``pfRelIso04_all``
        of muons and, if it is wanted, ``pfRelIso03_all`` of electrons).
    id
        Identification to ask for instead of that of the parameters.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The leptons that pass, shape ``(events, leptons)``.

    Raises
    ------
    InputError, InputTypeError
        Another flavour, parameters missing or of the wrong kind.
    ColumnError
        The leptons do not have a field that the parameters ask for.
    """
    leptons = events[_checked(lepton_flavour)]
    cuts = section(params, "object_preselection", lepton_flavour)
    mask = _identified(leptons, lepton_flavour, params, id)
    if lepton_flavour == "Muon" or "iso" in cuts:
        mask = mask & _isolated(leptons, lepton_flavour, params)
    return leptons[certain(mask & _hard(leptons, lepton_flavour, params))]


def soft_lepton_selection(events: Any, lepton_flavour: str, params: Any) -> Any:
    """Leptons as found in jets: muons that are not isolated and come from off the vertex.

    Muons have ``pfRelIso04_all`` larger than ``iso_soft`` and an impact parameter larger than its
    uncertainty. Electrons are selected as by `lepton_selection`.

    Parameters
    ----------
    events, lepton_flavour, params
        As for `lepton_selection`, with ``iso_soft`` instead of ``iso`` for muons.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The leptons that pass, shape ``(events, leptons)``.

    Raises
    ------
    InputError, InputTypeError, ColumnError
        As for `lepton_selection`.
    """
    if _checked(lepton_flavour) == "Electron":
        return lepton_selection(events, lepton_flavour, params)
    muons, where = events[lepton_flavour], f"object_preselection.{lepton_flavour}"
    cuts = section(params, "object_preselection", lepton_flavour)
    mask = _identified(muons, lepton_flavour, params)
    mask = mask & (field(muons, "pfRelIso04_all", where) > number(cuts, "iso_soft", where))
    mask = mask & (abs(field(muons, "dxy", where) / field(muons, "dxyErr", where)) > 1)
    return muons[certain(mask & _hard(muons, lepton_flavour, params))]


def lepton_selection_promptMVA(
    events: Any,
    lepton_flavour: str,
    params: Any,
    year: str,
    apply_mva_cut: bool = False,
    mva_var: str = "mvaTTH",
) -> tuple[Any, Any]:
    """Electrons or muons from the primary vertex, away from b jets, as a classifier for ttH wants.

    Electrons in the gap of the calorimeter do not pass, as for `lepton_selection`.

    Parameters
    ----------
    events
        The events; with ``btag_cut`` also a collection ``Jet``.
    lepton_flavour
        ``"Electron"`` or ``"Muon"``.
    params
        Parameters with ``object_preselection.<flavour>``: ``pt`` (GeV, larger than), and the
        absolute values to be smaller than: ``eta``, ``sip3d`` (impact parameter over its
        uncertainty), ``dxy`` and ``dz`` (cm). If they are wanted, ``iso``
        (``miniPFRelIso_all`` smaller than), ``lostHits`` (at most), ``base_id`` (as ``id`` of
        `lepton_selection`) and ``btag_cut`` (``btagDeepFlavB`` of the jet the lepton is in smaller
        than). With `apply_mva_cut`, ``mva_wp`` (score larger than). Each is a number or a mapping
        of numbers by year.
    year
        The year.
    apply_mva_cut
        Whether the score has to pass too.
    mva_var
        Field with the score.

    Returns
    -------
    tuple
        The leptons that pass, shape ``(events, leptons)``, and the mask over all of them.

    Raises
    ------
    InputError, InputTypeError, ColumnError
        As for `lepton_selection`.
    """
    leptons, where = events[_checked(lepton_flavour)], f"object_preselection.{lepton_flavour}"
    cuts = _of_year(section(params, "object_preselection", lepton_flavour), year)
    mask = abs(leptons.eta) < number(cuts, "eta", where)
    if lepton_flavour == "Electron":
        mask = mask & _outside_gap(leptons)
    for name in ("sip3d", "dxy", "dz"):
        mask = mask & (abs(field(leptons, name, where)) < number(cuts, name, where))
    if "iso" in cuts:
        mask = mask & (field(leptons, "miniPFRelIso_all", where) < number(cuts, "iso", where))
    if "lostHits" in cuts:
        mask = mask & (field(leptons, "lostHits", where) <= number(cuts, "lostHits", where))
    if "base_id" in cuts:
        mask = mask & passes_id(leptons, cuts["base_id"], f"{where}.base_id")
    # Scores are at most 1: a larger number asks for nothing, of files that may have no such score.
    if "btag_cut" in cuts and number(cuts, "btag_cut", where) <= 1:
        mask = mask & (_score_of_jet(leptons, events["Jet"]) < number(cuts, "btag_cut", where))
    if apply_mva_cut:
        mask = mask & (field(leptons, mva_var, "mva_var") > number(cuts, "mva_wp", where))
    mask = certain(mask & (leptons.pt > number(cuts, "pt", where)))
    return leptons[mask], mask


def photon_selection(events: Any, photon: str, params: Any, leptons_collection: str = "") -> Any:
    """Photons outside the gap of the calorimeter that pass pT, η and identification.

    They have no seed in the pixel detector.

    Parameters
    ----------
    events
        The events, with a collection ``Photon``.
    photon
        Name of the section in the parameters, usually ``"Photon"``.
    params
        Parameters with ``object_preselection.<photon>``: ``pt`` (GeV), ``eta``, ``cutBased``
        (smallest value) or ``id`` as for `lepton_selection`, ``dr_lepton`` with leptons.
    leptons_collection
        Photons are farther than ``dr_lepton`` from all leptons of this collection, if given.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The photons that pass, shape ``(events, photons)``.

    Raises
    ------
    InputError, InputTypeError, ColumnError
        As for `lepton_selection`.
    """
    photons, where = events["Photon"], f"object_preselection.{photon}"
    cuts = section(params, "object_preselection", photon)
    eta = abs(photons.eta)
    mask = (eta < number(cuts, "eta", where)) & (photons.pt > number(cuts, "pt", where))
    mask = mask & ~((eta >= GAP[0]) & (eta <= GAP[1]))
    mask = mask & ~flag(photons, "pixelSeed", "photon_selection")
    if "id" in cuts:
        mask = mask & passes_id(photons, cuts["id"], f"{where}.id")
    else:
        least = number(cuts, "cutBased", where)
        mask = mask & (field(photons, "cutBased", f"{where}.cutBased") >= least)
    if leptons_collection:
        distance = number(cuts, "dr_lepton", where)
        mask = mask & is_isolated(photons, events[leptons_collection], distance)
    return photons[certain(mask)]


def tau_selection(events: Any, tau: str, params: Any, leptons_collection: str = "") -> Any:
    """Hadronic taus that pass pT, η and identification.

    Parameters
    ----------
    events
        The events, with a collection ``Tau``.
    tau
        Name of the section in the parameters, usually ``"Tau"``.
    params
        Parameters with ``object_preselection.<tau>``: ``pt`` (GeV), ``eta``, ``id`` as for
        `lepton_selection`, e.g. ``{"idDeepTau2017v2p1VSjet": 16}``, and if they are wanted ``dz``
        (cm, absolute value smaller than), ``decayMode`` (list of those that pass) and
        ``dr_lepton`` with leptons.
    leptons_collection
        Taus are farther than ``dr_lepton`` from all leptons of this collection, if given.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The taus that pass, shape ``(events, taus)``.

    Raises
    ------
    InputError, InputTypeError, ColumnError
        As for `lepton_selection`.
    """
    taus, where = events["Tau"], f"object_preselection.{tau}"
    cuts = section(params, "object_preselection", tau)
    mask = (abs(taus.eta) < number(cuts, "eta", where)) & (taus.pt > number(cuts, "pt", where))
    mask = mask & passes_id(taus, section(params, "object_preselection", tau, "id"), f"{where}.id")
    if "dz" in cuts:
        mask = mask & (abs(field(taus, "dz", f"{where}.dz")) < number(cuts, "dz", where))
    if "decayMode" in cuts:
        modes = field(taus, "decayMode", f"{where}.decayMode")
        mask = mask & one_of(modes, cuts["decayMode"], f"{where}.decayMode")
    if leptons_collection:
        distance = number(cuts, "dr_lepton", where)
        mask = mask & is_isolated(taus, events[leptons_collection], distance)
    return taus[certain(mask)]


def supercluster_eta(electrons: Any) -> Any:
    """η of the superclusters of electrons, shape ``(events, electrons)``."""
    if "deltaEtaSC" in electrons.fields:
        return electrons.deltaEtaSC + electrons.eta
    return field(electrons, "superclusterEta", "The gap of the calorimeter")


def _checked(lepton_flavour: str) -> str:
    if lepton_flavour not in _ISOLATION:
        hint = did_you_mean(lepton_flavour, _ISOLATION)
        msg = f"There is no lepton flavour {lepton_flavour!r}.{hint} Give one of {[*_ISOLATION]}."
        raise InputError(msg)
    return lepton_flavour


def _identified(leptons: Any, flavour: str, params: Any, wanted: Any = None) -> Any:
    """Mask of η, of the gap of the calorimeter and of the identification."""
    cuts, where = section(params, "object_preselection", flavour), f"object_preselection.{flavour}"
    mask = abs(leptons.eta) < number(cuts, "eta", where)
    if flavour == "Electron":
        mask = mask & _outside_gap(leptons)
    if wanted is None:
        wanted = section(params, "object_preselection", flavour, "id")
    return mask & passes_id(leptons, wanted, f"{where}.id")


def _outside_gap(electrons: Any) -> Any:
    eta = abs(supercluster_eta(electrons))
    return ~((eta >= GAP[0]) & (eta <= GAP[1]))


def _of_year(cuts: Mapping[str, Any], year: str) -> dict[str, Any]:
    """The cuts of a year: those given by year, and those that are of all years."""
    given = {str(name): cuts[name] for name in cuts}
    return {
        name: value[year] if isinstance(value, Mapping) and year in value else value
        for name, value in given.items()
    }


def _score_of_jet(leptons: Any, jets: Any) -> Any:
    """B tag of the jet each lepton is in; of one that is in none, 0."""
    position, scores = leptons.jetIdx, field(jets, "btagDeepFlavB", "btag_cut")
    inside = (position >= 0) & (position < ak.num(scores, axis=1))
    return ak.fill_none(scores[ak.mask(position, inside)], np.float32(0), axis=-1)


def _hard(leptons: Any, flavour: str, params: Any) -> Any:
    """Mask of pT; last, so that all else is the same in variations of the energy."""
    cuts = section(params, "object_preselection", flavour)
    return leptons.pt > number(cuts, "pt", f"object_preselection.{flavour}")


def _isolated(leptons: Any, flavour: str, params: Any) -> Any:
    where = f"object_preselection.{flavour}"
    most = number(section(params, "object_preselection", flavour), "iso", where)
    return field(leptons, _ISOLATION[flavour], f"{where}.iso") < most
