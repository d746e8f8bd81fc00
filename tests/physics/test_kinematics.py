from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.errors import ColumnError, InputError
from lazyana.physics.jets import with_tagger
from lazyana.physics.kinematics import (
    W_MASS,
    METzCalculator,
    get_charged_leptons,
    get_diboson,
    get_dijet,
    get_dilepton,
    met_z,
)

Objects = Callable[..., ak.Array]

ELECTRONS: dict[str, Any] = {
    "pt": [[], [40.0], [50.0, 30.0], [25.0], []],
    "eta": [[], [0.1], [0.2, -0.3], [1.0], []],
    "phi": [[], [0.4], [0.5, 2.0], [-2.0], []],
    "charge": [[], [1], [-1, 1], [1], []],
}
MUONS: dict[str, Any] = {
    "pt": [[], [], [], [35.0], [60.0, 20.0, 10.0]],
    "eta": [[], [], [], [-1.0], [0.0, 1.0, 2.0]],
    "phi": [[], [], [], [1.0], [0.0, 3.0, -3.0]],
    "charge": [[], [], [], [-1], [1, -1, 1]],
}
# Events of 0, 1 and 2 electrons, of one of each, and of 3 muons.


@pytest.fixture
def electrons(objects: Objects) -> ak.Array:
    return objects(**ELECTRONS)


@pytest.fixture
def muons(objects: Objects) -> ak.Array:
    return objects(**MUONS)


def test_a_pair_of_leptons_is_in_events_of_two(electrons: ak.Array, muons: ak.Array) -> None:
    pair = get_dilepton(electrons, muons)
    assert (pair.pt > 0).to_list() == [False, False, True, True, False]
    for name in ("pt", "eta", "phi", "mass", "charge"):
        assert pair[name].to_list()[:2] == [0, 0]
    for name in ("deltaR", "deltaPhi", "deltaEta", "l1pt", "l1mass", "l2eta", "l2phi"):
        assert [pair[name].to_list()[k] for k in (0, 1, 4)] == [-1, -1, -1]


def test_a_pair_of_leptons_is_their_sum(electrons: ak.Array, muons: ak.Array) -> None:
    pair = get_dilepton(electrons, muons)
    same, mixed = electrons[2, 0] + electrons[2, 1], muons[3, 0] + electrons[3, 0]
    for event, expected in ((2, same), (3, mixed)):
        assert pair.charge[event] == expected.charge == 0
        for name in ("pt", "eta", "phi", "mass"):
            assert pair[name][event] == pytest.approx(getattr(expected, name))
    assert pair.deltaR[2] == pytest.approx(electrons[2, 0].delta_r(electrons[2, 1]))
    assert pair.deltaEta[2] == pytest.approx(0.5)
    assert pair.deltaPhi[3] == pytest.approx(3.0)


def test_muons_are_the_first_of_a_mixed_pair(electrons: ak.Array, muons: ak.Array) -> None:
    pair = get_dilepton(electrons, muons)
    assert (pair.l1pt[3], pair.l1eta[3], pair.l1phi[3]) == (35, -1, 1)
    assert (pair.l2pt[3], pair.l2eta[3], pair.l2phi[3]) == (25, 1, -2)


def test_one_flavour_will_do(electrons: ak.Array, muons: ak.Array) -> None:
    assert (get_dilepton(electrons, None).pt > 0).to_list() == [False, False, True, False, False]
    assert not ak.any(get_dilepton(None, muons).pt > 0)
    with pytest.raises(InputError, match="neither electrons nor muons"):
        get_dilepton(None, None)


def test_a_pair_in_the_transverse_plane(electrons: ak.Array, muons: ak.Array) -> None:
    flat, pair = get_dilepton(electrons, muons, transverse=True), get_dilepton(electrons, muons)
    assert not ak.any(flat.eta)
    assert flat.pt.to_list() == pair.pt.to_list()


def test_leptons_that_are_missing_do_not_count(objects: Objects) -> None:
    leptons = ak.pad_none(objects(pt=[[20.0, 10.0], [20.0]], charge=[[1, -1], [1]]), 2)
    pair = get_dilepton(None, leptons)
    assert pair.pt.to_list() == [pytest.approx(30), 0]
    assert "?" not in str(pair.type)


def test_no_events_have_no_pairs(electrons: ak.Array, muons: ak.Array) -> None:
    assert get_dilepton(electrons[:0], muons[:0]).to_list() == []
    assert get_dijet(electrons[:0], taggerVars=False).to_list() == []
    assert get_charged_leptons(electrons[:0], muons[:0], 1, ak.Array([True])[:0]).to_list() == []


def test_the_pair_of_toy_muons_is_what_awkward_gives(eager_events: ak.Array) -> None:
    muons = eager_events.Muon
    two = ak.num(muons) == 2
    assert ak.sum(two) > 20
    expected = muons[two][:, 0] + muons[two][:, 1]
    pair = get_dilepton(None, muons)[two]
    for name in ("pt", "eta", "phi", "mass"):
        found, plain = ak.to_numpy(pair[name]), ak.to_numpy(getattr(expected, name))
        assert found.dtype == plain.dtype
        np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-6)
    assert pair.charge.to_list() == expected.charge.to_list()


def test_a_pair_with_missing_momentum(objects: Objects) -> None:
    pair = get_dilepton(None, objects(pt=[[30.0, 30.0]], eta=[[1.0, 1.0]], phi=[[0.0, 0.0]]))
    met = ak.zip({"pt": [40.0], "phi": [0.0]})
    both = get_diboson(pair, met)
    assert both.pt[0] == pytest.approx(100)
    assert both.pz[0] == pytest.approx(60 * math.sinh(1))
    assert both.charge.to_list() == [0]


def test_a_pair_with_missing_momentum_in_the_transverse_plane(objects: Objects) -> None:
    pair = objects(pt=[60.0], eta=[1.0], phi=[0.5], mass=[91.0], charge=[0])
    met = ak.zip({"pt": [40.0], "phi": [2.0]})
    flat = get_diboson(pair, met, transverse=True)
    expected = objects(pt=[60.0], phi=[0.5], mass=[91.0]) + objects(pt=[40.0], phi=[2.0])
    for name in ("pt", "eta", "phi", "mass"):
        assert flat[name][0] == pytest.approx(getattr(expected, name)[0], abs=1e-9)
    assert get_diboson(pair, met).mass[0] > flat.mass[0]


def test_a_missing_pair_stays_missing(objects: Objects) -> None:
    pairs = ak.firsts(objects(pt=[[30.0], []]))
    met = ak.zip({"pt": [40.0, 40.0], "phi": [0.0, 0.0]})
    assert get_diboson(pairs, met).pt.to_list() == [pytest.approx(70), None]


def test_the_lepton_of_a_charge(electrons: ak.Array, muons: ak.Array) -> None:
    mask = ak.Array([True] * 5)
    plus, minus = (get_charged_leptons(electrons, muons, charge, mask) for charge in (1, -1))
    absent = pytest.approx(-999.9)
    assert plus.pt.to_list() == [absent, absent, 30, 25, absent]
    assert minus.pt.to_list() == [absent, absent, 50, 35, absent]
    assert plus.eta.to_list() == [-9, -9, -0.3, 1, -9]
    assert plus.charge.to_list()[2:4] == [1, 1]


def test_a_lepton_of_a_charge_only_in_some_events(electrons: ak.Array, muons: ak.Array) -> None:
    mask = ak.Array([True, None, None, True, True])
    plus = get_charged_leptons(electrons, muons, 1, mask)
    assert (plus.pt > 0).to_list() == [False, False, False, True, False]


def test_two_leptons_of_one_charge_keep_events_in_place(objects: Objects) -> None:
    muons = objects(pt=[[20.0, 10.0], [20.0, 10.0]], charge=[[1, 1], [-1, 1]])
    nothing = objects(pt=[[], []])
    mask = ak.Array([True, True])
    assert get_charged_leptons(nothing, muons, 1, mask).pt.to_list() == [20, 10]
    assert get_charged_leptons(nothing, muons, -1, mask).pt.to_list()[1] == 20


def test_a_charge_is_plus_or_minus_one(electrons: ak.Array, muons: ak.Array) -> None:
    with pytest.raises(InputError, match="charge=0 is not the charge of a lepton"):
        get_charged_leptons(electrons, muons, 0, ak.Array([True] * 5))


@pytest.fixture
def jets(objects: Objects) -> ak.Array:
    return objects(
        pt=[[], [50.0], [60.0, 40.0], [60.0, 40.0, 30.0, 20.0]],
        eta=[[], [0.0], [0.5, -0.5], [0.5, -0.5, 1.0, 1.0]],
        phi=[[], [0.0], [0.0, 2.0], [0.0, 2.0, 1.0, 1.0]],
        btagCvL=[[], [0.1], [0.2, 0.3], [0.4, 0.5, 0.6, 0.7]],
        btagCvB=[[], [0.9], [0.8, 0.7], [0.6, 0.5, 0.4, 0.3]],
    )


def test_the_pair_of_the_first_two_jets(jets: ak.Array) -> None:
    pair = get_dijet(jets)
    expected = jets[2, 0] + jets[2, 1]
    for name in ("pt", "eta", "phi", "mass"):
        assert pair[name].to_list()[:2] == [0, 0]
        assert pair[name][2] == pair[name][3] == pytest.approx(getattr(expected, name))
    assert pair.deltaEta.to_list() == [-1, -1, 1, 1]
    assert pair.deltaPhi.to_list() == [-1, -1, pytest.approx(2), pytest.approx(2)]
    assert pair.j1pt.to_list() == [-1, -1, 60, 60]
    assert pair.j2Phi.to_list() == [-1, -1, 2, 2]
    assert pair.j2CvsL.to_list() == [-1, -1, 0.3, 0.5]
    assert pair.j1CvsB.to_list() == [-1, -1, 0.8, 0.6]


def test_what_is_left_of_the_jets(jets: ak.Array) -> None:
    pair, rest = get_dijet(jets, remnant_jet=True)
    assert pair.to_list() == get_dijet(jets).to_list()
    assert rest.pt.to_list() == [0, 0, 0, pytest.approx(50)]
    assert rest.eta[3] == pytest.approx(1)
    total = jets[3, 0] + jets[3, 1] + jets[3, 2] + jets[3, 3]
    assert (pair + rest)[3].mass == pytest.approx(total.mass)


def test_jets_without_tags(jets: ak.Array) -> None:
    plain = ak.without_field(jets, "btagCvL")
    assert "j1CvsL" not in get_dijet(plain, taggerVars=False).fields
    with pytest.raises(ColumnError, match=r"get_dijet\(taggerVars=True\) asks for .*'btagCvL'"):
        get_dijet(plain)


def test_jets_that_are_missing_do_not_count(jets: ak.Array) -> None:
    padded = ak.pad_none(jets, 3)
    assert get_dijet(padded).to_list() == get_dijet(jets).to_list()


momentum = st.floats(5, 300)
angle = st.floats(-3.1, 3.1)


@given(momentum, st.floats(-2.4, 2.4), angle, momentum, angle)
def test_a_solution_gives_the_mass_of_the_boson(
    pt: float, eta: float, phi: float, met: float, nu_phi: float
) -> None:
    lepton = ak.zip({"pt": [pt], "eta": [eta], "phi": [phi], "mass": [0.1057]})
    found = met_z(lepton, ak.zip({"pt": [met], "phi": [nu_phi]}))[0]
    energy = math.hypot(pt * math.cosh(eta), 0.1057)
    neutrino = math.hypot(met, found)
    across = pt * met * math.cos(phi - nu_phi)
    mass2 = 0.1057**2 + 2 * (energy * neutrino - across - pt * math.sinh(eta) * found)
    scale = energy * neutrino
    transverse2 = 0.1057**2 + 2 * (math.hypot(pt, 0.1057) * met - across)
    # A transverse mass beyond that of the boson leaves no real solution.
    if transverse2 < W_MASS**2 - 1e-6 * scale:
        assert mass2 == pytest.approx(W_MASS**2, abs=1e-6 * scale)
    else:
        assert mass2 >= W_MASS**2 - 1e-6 * scale


def test_the_solution_closer_to_the_lepton_is_taken() -> None:
    lepton = ak.zip({"pt": [40.0], "eta": [0.5], "phi": [0.0], "mass": [0.0]})
    met = ak.zip({"pt": [20.0], "phi": [2.0]})
    found = met_z(lepton, met)[0]
    pz, half = 40 * math.sinh(0.5), W_MASS**2 / 2 + 800 * math.cos(2.0)
    width = 40 * math.cosh(0.5) * math.sqrt(half**2 - 800**2) / 1600
    both = [half * pz / 1600 + sign * width for sign in (1, -1)]
    assert found == pytest.approx(min(both, key=lambda z: abs(z - pz)))
    backwards = ak.zip({"pt": [40.0], "eta": [-0.5], "phi": [0.0], "mass": [0.0]})
    assert met_z(backwards, met)[0] == pytest.approx(-found)


@pytest.mark.parametrize("side", [1, -1])
def test_the_smaller_solution_is_taken_beyond_300_gev(side: int) -> None:
    lepton = ak.zip({"pt": [150.0], "eta": [side * 2.3], "phi": [0.0], "mass": [0.0]})
    met = ak.zip({"pt": [60.0], "phi": [0.0]})
    # The lepton has 741 GeV along the beam, the solutions are 681 and 124 GeV.
    assert met_z(lepton, met)[0] == pytest.approx(side * 124.40827930155848)
    assert METzCalculator(lepton, met).to_list() == met_z(lepton, met).to_list()


def test_neutrinos_are_in_the_shape_of_the_leptons(objects: Objects) -> None:
    leptons = objects(pt=[[30.0, 40.0], []], mass=[[0.1, 0.1], []])
    met = ak.zip({"pt": [20.0, 30.0], "phi": [0.1, 0.2]})
    found = met_z(leptons, met)
    assert ak.num(found).to_list() == [2, 0]
    first = met_z(ak.firsts(leptons), met)
    assert first.to_list() == [found[0, 0], None]
    assert str(found.type) == "2 * var * float64"


def test_lazy_events_give_the_same(same: Callable[..., ak.Array]) -> None:
    def pair(e: Any) -> Any:
        return get_dilepton(e["Electron"], e["Muon"])

    assert ak.sum(same(lambda e: pair(e).mass) > 0) > 10
    for name in ("pt", "charge", "deltaPhi", "l2eta"):
        same(lambda e, name=name: pair(e)[name])
    same(lambda e: pair(e).deltaR)
    same(lambda e: get_dilepton(None, e["Muon"], transverse=True).px)
    same(lambda e: get_diboson(pair(e), e["MET"]).mass)
    same(lambda e: get_charged_leptons(e["Electron"], e["Muon"], 1, e["MET"].pt > 20).pt)
    same(lambda e: get_dijet(with_tagger(e["Jet"], "DeepFlav")).j2CvsB)
    same(lambda e: get_dijet(e["GenJet"], taggerVars=False, remnant_jet=True)[1].pt)
    same(lambda e: met_z(e["Muon"], e["MET"]))
    same(lambda e: met_z(ak.firsts(e["Electron"]), e["MET"]))
