"""Leptons and jets of the generator."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import InputError, did_you_mean
from lazyana.physics.inputs import number, one_of, section
from lazyana.physics.lazy import certain
from lazyana.physics.matching import is_isolated


def getGenLeptons(events: Any, lepton_flavour: str, params: Any) -> Any:
    """Stable electrons and muons of the generator that are not the child of a tau.

    Parameters
    ----------
    events
        Simulated events, with a collection ``GenPart``.
    lepton_flavour
        ``"Electron"``, ``"Muon"`` or ``"Both"``.
    params
        Parameters with ``object_preselection.GEN_Lep``: ``pt`` (GeV) and ``eta``.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The particles, highest pT first, shape ``(events, leptons)``.

    Raises
    ------
    InputError
        Another flavour, parameters missing.
    """
    flavours = {"Electron": (11,), "Muon": (13,), "Both": (11, 13)}
    if lepton_flavour not in flavours:
        hint = did_you_mean(lepton_flavour, flavours)
        msg = f"There are no generated leptons {lepton_flavour!r}.{hint} Give one of {[*flavours]}."
        raise InputError(msg)
    cuts, where = section(params, "object_preselection", "GEN_Lep"), "object_preselection.GEN_Lep"
    particles = events["GenPart"]
    kind = abs(particles.pdgId)
    mask = one_of(kind, flavours[lepton_flavour], "lepton_flavour")
    mask = mask & (particles.status == 1) & (_mother(particles) != 15)
    mask = mask & (abs(particles.eta) < number(cuts, "eta", where))
    leptons = particles[mask & (particles.pt > number(cuts, "pt", where))]
    return leptons[ak.argsort(leptons.pt, axis=1, ascending=False)]


def getGenJets(events: Any, GenLepCollNameForCleaning: str, params: Any) -> Any:
    """Jets of the generator away from its leptons.

    Parameters
    ----------
    events
        Simulated events, with a collection ``GenJet``.
    GenLepCollNameForCleaning
        Jets are farther than ΔR = 0.4, or ``dr_lepton``, from all leptons of this collection;
        ``""``: of none.
    params
        Parameters with ``object_preselection.GEN_Jet``: ``pt`` (GeV) and ``eta``.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The jets that pass, shape ``(events, jets)``.

    Raises
    ------
    InputError
        Parameters missing.
    """
    cuts, where = section(params, "object_preselection", "GEN_Jet"), "object_preselection.GEN_Jet"
    jets = events["GenJet"]
    mask = (abs(jets.eta) < number(cuts, "eta", where)) & (jets.pt > number(cuts, "pt", where))
    if GenLepCollNameForCleaning:
        distance = number(cuts, "dr_lepton", where) if "dr_lepton" in cuts else 0.4
        mask = mask & is_isolated(jets, events[GenLepCollNameForCleaning], distance)
    return jets[certain(mask)]


def _mother(particles: Any) -> Any:
    """Absolute PDG number of what each particle comes from, 0 for those from the beam."""
    position = particles.genPartIdxMother
    mother = particles.pdgId[ak.mask(position, position >= 0)]
    return abs(ak.fill_none(mother, np.int32(0), axis=-1))
