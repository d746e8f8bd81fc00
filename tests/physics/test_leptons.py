from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import pytest
from omegaconf import OmegaConf

from lazyana.errors import ColumnError, InputError, InputTypeError
from lazyana.physics.leptons import (
    lepton_selection,
    lepton_selection_promptMVA,
    photon_selection,
    soft_lepton_selection,
    supercluster_eta,
    tau_selection,
)

Objects = Callable[..., ak.Array]

PARAMS: dict[str, Any] = {
    "object_preselection": {
        "Muon": {"pt": 15, "eta": 2.4, "iso": 0.25, "id": "tightId"},
        "Electron": {"pt": 15, "eta": 2.4, "iso": 0.06, "id": "mvaFall17V2Iso_WP80"},
        "Photon": {"pt": 20, "eta": 2.5, "cutBased": 2, "dr_lepton": 0.4},
        "Tau": {"pt": 20, "eta": 2.3, "id": {"idDeepTau2017v2p1VSjet": 16}},
    }
}


def changed(name: str, **cuts: Any) -> dict[str, Any]:
    """The parameters with other cuts for some objects; those that are None are left out."""
    section = PARAMS["object_preselection"][name] | cuts
    kept = {key: value for key, value in section.items() if value is not None}
    return {"object_preselection": PARAMS["object_preselection"] | {name: kept}}


@pytest.fixture
def muons(objects: Objects) -> ak.Array:
    """Good ones, and in the second event ones with something wrong each; one without any."""
    return objects(
        pt=[[30.0, 16.0], [15.0, 20.0, 21.0, 22.0, 23.0], []],
        eta=[[-2.3, 2.3], [0.0, -2.4, 0.0, 0.0, 1.0], []],
        pfRelIso04_all=[[0.24, 0.0], [0.0, 0.0, 0.25, 0.0, 0.1], []],
        tightId=[[True, True], [True, True, True, False, True], []],
        cutBased=[[3, 2], [3, 3, 3, 3, 1], []],
        dxy=[[0.01, -0.05], [0.1, 0.1, 0.1, 0.1, -0.1], []],
        dxyErr=[[0.02, 0.02], [0.02, 0.02, 0.02, 0.02, 0.1], []],
    )


@pytest.mark.parametrize("params", [PARAMS, OmegaConf.create(PARAMS)])
def test_muons_pass_pt_eta_isolation_and_id(
    by_hand: Callable[..., Any], muons: ak.Array, params: Any
) -> None:
    good = lepton_selection(by_hand(Muon=muons), "Muon", params)
    assert good.pt.to_list() == [[30, 16], [23], []]
    assert good.layout.purelist_parameter("__record__") == "PtEtaPhiMCandidate"


def test_another_id_may_be_asked_for(by_hand: Callable[..., Any], muons: ak.Array) -> None:
    events = by_hand(Muon=muons)
    good = lepton_selection(events, "Muon", PARAMS, id={"cutBased": 3})
    assert good.pt.to_list() == [[30], [22], []]
    by_parameters = lepton_selection(events, "Muon", changed("Muon", id={"cutBased": 3}))
    assert by_parameters.pt.to_list() == good.pt.to_list()


def test_isolation_is_of_muons_always_and_of_electrons_if_wanted(
    by_hand: Callable[..., Any], muons: ak.Array, electrons: ak.Array
) -> None:
    with pytest.raises(InputError, match=r"object_preselection\.Muon has no 'iso'"):
        lepton_selection(by_hand(Muon=muons), "Muon", changed("Muon", iso=None))
    good = lepton_selection(by_hand(Electron=electrons), "Electron", changed("Electron", iso=None))
    assert good.pt.to_list() == [[20, 21, 24], []]


def test_missing_leptons_and_values_do_not_pass(
    by_hand: Callable[..., Any], muons: ak.Array
) -> None:
    good = lepton_selection(by_hand(Muon=ak.pad_none(muons, 3)), "Muon", PARAMS)
    assert good.pt.to_list() == [[30, 16], [23], []]


def test_no_events_have_no_leptons(by_hand: Callable[..., Any], muons: ak.Array) -> None:
    assert lepton_selection(by_hand(Muon=muons[:0]), "Muon", PARAMS).to_list() == []


@pytest.fixture
def electrons(objects: Objects) -> ak.Array:
    return objects(
        pt=[[20.0, 21.0, 22.0, 23.0, 24.0], []],
        eta=[[0.0, 1.5, 1.4, -1.57, 0.0], []],
        # Only that of the supercluster counts: 0, 1.57, 1.45, -1.5, 0.
        deltaEtaSC=[[0.0, 0.07, 0.05, 0.07, 0.0], []],
        pfRelIso03_all=[[0.01, 0.01, 0.01, 0.01, 0.07], []],
        mvaFall17V2Iso_WP80=[[True, True, True, True, True], []],
    )


def test_electrons_in_the_gap_do_not_pass(by_hand: Callable[..., Any], electrons: ak.Array) -> None:
    good = lepton_selection(by_hand(Electron=electrons), "Electron", PARAMS)
    assert good.pt.to_list() == [[20, 21], []]


def test_the_supercluster_may_be_stored(electrons: ak.Array) -> None:
    expected = supercluster_eta(electrons).to_list()
    plain = ak.without_field(electrons, "deltaEtaSC")
    assert supercluster_eta(ak.with_field(plain, expected, "superclusterEta")).to_list() == expected
    with pytest.raises(ColumnError, match="superclusterEta"):
        supercluster_eta(plain)


def test_soft_muons_are_in_jets_and_off_the_vertex(
    by_hand: Callable[..., Any], muons: ak.Array
) -> None:
    params = changed("Muon", iso=None, iso_soft=0.05, pt=5)
    # Of the first event one is on the vertex and one isolated, of the second three are isolated.
    good = soft_lepton_selection(by_hand(Muon=muons), "Muon", params)
    assert good.pt.to_list() == [[], [21], []]


def test_soft_electrons_are_electrons(by_hand: Callable[..., Any], electrons: ak.Array) -> None:
    good = soft_lepton_selection(by_hand(Electron=electrons), "Electron", PARAMS)
    assert good.pt.to_list() == [[20, 21], []]


@pytest.mark.parametrize("selection", [lepton_selection, soft_lepton_selection])
def test_there_are_two_flavours(
    by_hand: Callable[..., Any], muons: ak.Array, selection: Callable[..., Any]
) -> None:
    with pytest.raises(InputError, match=r"no lepton flavour 'muon'\. Did you mean 'Muon'\?"):
        selection(by_hand(Muon=muons), "muon", PARAMS)


def test_parameters_are_checked(by_hand: Callable[..., Any], muons: ak.Array) -> None:
    events = by_hand(Muon=muons)
    with pytest.raises(InputError, match=r"object_preselection\.Muon has no 'pt'"):
        lepton_selection(events, "Muon", changed("Muon", pt=None))
    with pytest.raises(InputError, match=r"object_preselection\.Muon has no 'id'"):
        lepton_selection(events, "Muon", changed("Muon", id=None))
    with pytest.raises(InputTypeError, match=r"object_preselection\.Muon\.eta is 'low'"):
        lepton_selection(events, "Muon", changed("Muon", eta="low"))
    with pytest.raises(ColumnError, match=r"Muon\.id asks for .*'tightID'.*Did you mean 'tightId'"):
        lepton_selection(events, "Muon", changed("Muon", id="tightID"))
    with pytest.raises(InputError, match=r"\{cutBased: smallest value\}"):
        lepton_selection(events, "Muon", changed("Muon", id="cutBased"))
    with pytest.raises(InputError, match="The parameters have no 'object_preselection'"):
        lepton_selection(events, "Muon", {})


@pytest.fixture
def photons(objects: Objects) -> ak.Array:
    return objects(
        pt=[[30.0, 31.0, 32.0, 33.0, 34.0], []],
        eta=[[0.0, 1.5, -1.5, 1.0, 2.0], []],
        pixelSeed=[[False, False, False, True, False], []],
        cutBased=[[2, 3, 3, 3, 1], []],
        mvaID_WP80=[[False, True, True, True, True], []],
    )


def test_photons_pass_the_gap_the_seed_and_the_id(
    by_hand: Callable[..., Any], photons: ak.Array
) -> None:
    events = by_hand(Photon=photons)
    assert photon_selection(events, "Photon", PARAMS).pt.to_list() == [[30], []]
    by_id = changed("Photon", id="mvaID_WP80")
    assert photon_selection(events, "Photon", by_id).pt.to_list() == [[34], []]


def test_photons_are_away_from_leptons(
    by_hand: Callable[..., Any], photons: ak.Array, objects: Objects
) -> None:
    near, far = (objects(eta=[[eta], []]) for eta in (0.3, 0.5))
    events = by_hand(Photon=photons, Near=near, Far=far)
    assert photon_selection(events, "Photon", PARAMS, "Near").pt.to_list() == [[], []]
    assert photon_selection(events, "Photon", PARAMS, "Far").pt.to_list() == [[30], []]
    with pytest.raises(InputError, match="has no 'dr_lepton'"):
        photon_selection(events, "Photon", changed("Photon", dr_lepton=None), "Far")


@pytest.fixture
def taus(objects: Objects) -> ak.Array:
    return objects(
        pt=[[30.0, 31.0, 32.0, 19.0], []],
        eta=[[0.0, 1.5, -2.4, 0.0], []],
        dz=[[0.1, -0.3, 0.0, 0.0], []],
        decayMode=[[0, 11, 0, 0], []],
        idDeepTau2017v2p1VSjet=[[31, 63, 63, 63], []],
        idDeepTau2017v2p1VSe=[[1, 3, 3, 3], []],
    )


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        ({}, [30, 31]),
        ({"dz": 0.2}, [30]),
        ({"decayMode": [1, 10, 11]}, [31]),
        ({"id": {"idDeepTau2017v2p1VSjet": 16, "idDeepTau2017v2p1VSe": 2}}, [31]),
    ],
)
def test_taus_pass_what_is_asked(
    by_hand: Callable[..., Any], taus: ak.Array, cuts: Any, expected: Any
) -> None:
    good = tau_selection(by_hand(Tau=taus), "Tau", changed("Tau", **cuts))
    assert good.pt.to_list() == [expected, []]


def test_taus_are_away_from_leptons(
    by_hand: Callable[..., Any], taus: ak.Array, objects: Objects
) -> None:
    events = by_hand(Tau=taus, Lepton=objects(eta=[[0.3], []]))
    good = tau_selection(events, "Tau", changed("Tau", dr_lepton=0.5), "Lepton")
    assert good.pt.to_list() == [[31], []]


def test_taus_of_no_decay_mode(by_hand: Callable[..., Any], taus: ak.Array) -> None:
    with pytest.raises(InputError, match=r"Tau\.decayMode is empty"):
        tau_selection(by_hand(Tau=taus), "Tau", changed("Tau", decayMode=[]))


def test_lazy_events_give_the_same(same: Callable[..., ak.Array]) -> None:
    soft = changed("Muon", iso=None, iso_soft=0.1, pt=5)
    for flavour in ("Muon", "Electron"):
        found = same(lambda e, f=flavour: lepton_selection(e, f, PARAMS).pt)
        assert 0 < ak.sum(ak.num(found)) < ak.sum(ak.num(same(lambda e, f=flavour: e[f].pt)))
    same(lambda e: soft_lepton_selection(e, "Muon", soft).eta)
    same(lambda e: photon_selection(e, "Photon", PARAMS, "Electron").pt)
    same(lambda e: tau_selection(e, "Tau", changed("Tau", dr_lepton=0.4), "Muon").pt)


# -- prompt leptons --------------------------------------------------------------------------

PROMPT: dict[str, Any] = {
    "object_preselection": {
        "Muon": {
            **{"pt": 10, "eta": 2.4, "iso": 0.4, "sip3d": 8.0, "dxy": 0.05, "dz": 0.1},
            "base_id": "looseId",
            "mva_wp": {"2022_preEE": 0.64, "2024": 0.9},
            "btag_cut": {"2022_preEE": 0.3, "2024": 999.0},
        },
        "Electron": {
            **{"pt": 15, "eta": 2.5, "sip3d": 8.0, "dxy": 0.05, "dz": 0.1, "lostHits": 1},
            "mva_wp": 0.9,
        },
    }
}


@pytest.fixture
def prompt_muons(objects: Objects) -> ak.Array:
    """Two good ones, then one with each thing wrong; events with one and without any."""
    good = {
        **{"pt": 20.0, "eta": 1.0, "miniPFRelIso_all": 0.1, "sip3d": 2.0, "dxy": -0.01},
        **{"dz": 0.02, "looseId": True, "jetIdx": 0, "mvaTTH": 0.95},
    }
    wrong = [
        {"pt": 10.0}, {"eta": -2.4}, {"miniPFRelIso_all": 0.4}, {"sip3d": -8.0}, {"dxy": -0.05},
        {"dz": 0.1}, {"looseId": False}, {"jetIdx": 1}, {"mvaTTH": 0.64},
    ]  # fmt: skip
    first = [good, {**good, "jetIdx": -1}, *({**good, **each} for each in wrong)]
    events = [first, [good], []]
    fields = {name: [[muon[name] for muon in event] for event in events] for name in good}
    return objects(**fields)


JETS = {"btagDeepFlavB": [[0.1, 0.8], [], [0.9]]}


@pytest.mark.parametrize("params", [PROMPT, OmegaConf.create(PROMPT)])
def test_prompt_muons(
    by_hand: Callable[..., Any], objects: Objects, prompt_muons: ak.Array, params: Any
) -> None:
    events = by_hand(Muon=prompt_muons, Jet=objects(**JETS))
    good, mask = lepton_selection_promptMVA(events, "Muon", params, "2022_preEE")
    # Those of a bad score are for the classifier to judge; a jet that is cut off has no score.
    assert ak.local_index(mask)[mask].to_list() == [[0, 1, 10], [0], []]
    assert good.mvaTTH.to_list() == [[0.95, 0.95, 0.64], [0.95], []]
    good, mask = lepton_selection_promptMVA(events, "Muon", params, "2022_preEE", True)
    assert ak.local_index(mask)[mask].to_list() == [[0, 1], [0], []]
    # In the other year the score has to be higher, and b jets do not matter.
    _, mask = lepton_selection_promptMVA(by_hand(Muon=prompt_muons), "Muon", params, "2024", True)
    assert ak.local_index(mask)[mask].to_list() == [[0, 1, 9], [0], []]


def test_prompt_electrons(by_hand: Callable[..., Any], objects: Objects) -> None:
    electrons = objects(
        pt=[[20.0, 20.0, 20.0, None], []],
        eta=[[1.0, 1.5, 1.0, 1.0], []],
        deltaEtaSC=[[0.0] * 4, []],
        lostHits=[[1, 0, 2, 0], []],
        mine=[[0.95, 0.95, 0.95, 0.95], []],
        **{name: [[0.01] * 4, []] for name in ("sip3d", "dxy", "dz")},
    )
    events = by_hand(Electron=electrons)
    good, mask = lepton_selection_promptMVA(events, "Electron", PROMPT, "2018", True, "mine")
    assert mask.to_list() == [[True, False, False, False], []]
    assert ak.num(good).to_list() == [1, 0]
    empty, mask = lepton_selection_promptMVA(
        by_hand(Electron=electrons[:0]), "Electron", PROMPT, "2018"
    )
    assert len(empty) == len(mask) == 0


@pytest.mark.parametrize(
    ("year", "options", "error", "words"),
    [
        ("2017", {"apply_mva_cut": True}, InputTypeError, r"Muon\.btag_cut is .*not a number"),
        ("2022_preEE", {"apply_mva_cut": True, "mva_var": "mvaTTHredo"}, ColumnError, "'mvaTTH'"),
    ],
)
def test_prompt_leptons_want_their_numbers(
    by_hand: Callable[..., Any],
    objects: Objects,
    prompt_muons: ak.Array,
    year: str,
    options: Any,
    error: type[Exception],
    words: str,
) -> None:
    events = by_hand(Muon=prompt_muons, Jet=objects(**JETS))
    with pytest.raises(error, match=words):
        lepton_selection_promptMVA(events, "Muon", PROMPT, year, **options)


@pytest.mark.parametrize("flavour", ["Muon", "Electron"])
def test_prompt_leptons_of_lazy_events(same: Callable[..., ak.Array], flavour: str) -> None:
    def momentum(events: Any) -> Any:
        found = lepton_selection_promptMVA(events, flavour, PROMPT, "2022_preEE", True)
        return found[0].pt

    assert ak.count(same(momentum)) > 20
