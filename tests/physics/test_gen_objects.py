from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import pytest

from lazyana.errors import InputError
from lazyana.physics.gen_objects import getGenJets, getGenLeptons

PARAMS: dict[str, Any] = {
    "object_preselection": {
        "GEN_Lep": {"pt": 10, "eta": 2.5},
        "GEN_Jet": {"pt": 20, "eta": 2.4},
    }
}

Objects = Callable[..., ak.Array]


@pytest.fixture
def particles(objects: Objects) -> ak.Array:
    """A boson with a soft and a hard lepton, one of a tau, one decayed; and one from the beam."""
    return objects(
        pdgId=[[23, 11, -13, 15, 13, 11, 22], [-11], []],
        status=[[22, 1, 1, 2, 1, 2, 1], [1], []],
        genPartIdxMother=[[-1, 0, 0, 0, 3, 0, 1], [-1], []],
        pt=[[5.0, 20.0, 40.0, 30.0, 25.0, 50.0, 60.0], [12.0], []],
    )


@pytest.mark.parametrize(
    ("flavour", "expected"),
    [("Electron", [[20], [12], []]), ("Muon", [[40], [], []]), ("Both", [[40, 20], [12], []])],
)
def test_leptons_are_stable_and_of_no_tau(
    by_hand: Callable[..., Any], particles: ak.Array, flavour: str, expected: Any
) -> None:
    leptons = getGenLeptons(by_hand(GenPart=particles), flavour, PARAMS)
    assert leptons.pt.to_list() == expected


@pytest.mark.parametrize("cut", [{"pt": 30, "eta": 2.5}, {"pt": 10, "eta": 0}])
def test_leptons_pass_pt_and_eta(
    by_hand: Callable[..., Any], particles: ak.Array, cut: Any
) -> None:
    params = {"object_preselection": {"GEN_Lep": cut}}
    leptons = getGenLeptons(by_hand(GenPart=particles), "Both", params)
    assert leptons.pt.to_list() == [[40] if cut["eta"] else [], [], []]


def test_leptons_of_other_kinds(by_hand: Callable[..., Any], particles: ak.Array) -> None:
    with pytest.raises(InputError, match=r"no generated leptons 'Muons'\. Did you mean 'Muon'\?"):
        getGenLeptons(by_hand(GenPart=particles), "Muons", PARAMS)
    with pytest.raises(InputError, match="has no 'GEN_Lep'"):
        getGenLeptons(by_hand(GenPart=particles), "Muon", {"object_preselection": {}})


def test_no_events_have_no_leptons(by_hand: Callable[..., Any], particles: ak.Array) -> None:
    assert getGenLeptons(by_hand(GenPart=particles[:0]), "Both", PARAMS).to_list() == []


def test_jets_are_away_from_leptons(by_hand: Callable[..., Any], objects: Objects) -> None:
    jets = objects(pt=[[30.0, 40.0, 15.0, 50.0], []], eta=[[0.0, 1.0, 0.0, 2.5], []])
    events = by_hand(GenJet=jets, Leptons=objects(eta=[[0.3], [0.0]]))
    assert getGenJets(events, "Leptons", PARAMS).pt.to_list() == [[40], []]
    assert getGenJets(events, "", PARAMS).pt.to_list() == [[30, 40], []]
    closer = {"object_preselection": {"GEN_Jet": {"pt": 20, "eta": 2.4, "dr_lepton": 0.2}}}
    assert getGenJets(events, "Leptons", closer).pt.to_list() == [[30, 40], []]


def test_mothers_are_those_of_nanoevents(eager_events: ak.Array) -> None:
    particles = eager_events.GenPart
    direct = ak.fill_none(abs(particles.parent.pdgId) != 15, True)
    kept = (abs(particles.pdgId) == 13) & (particles.status == 1) & direct
    expected = particles[kept & (particles.pt > 10) & (abs(particles.eta) < 2.5)]
    found = getGenLeptons(eager_events, "Muon", PARAMS)
    assert ak.sum(ak.num(found)) > 20
    assert found.pt.to_list() == ak.sort(expected.pt, ascending=False).to_list()


def test_lazy_events_give_the_same(same: Callable[..., ak.Array]) -> None:
    for flavour in ("Electron", "Muon", "Both"):
        found = same(lambda e, f=flavour: getGenLeptons(e, f, PARAMS).pt)
        assert ak.sum(ak.num(found)) > 10
    same(lambda e: getGenJets(e, "Muon", PARAMS).pt)
