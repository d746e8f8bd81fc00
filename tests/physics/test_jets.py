from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import awkward as ak
import pytest
from omegaconf import OmegaConf

import lazyana as la
from lazyana.errors import ColumnError, InputError
from lazyana.physics.jets import (
    CCsorted,
    CvsLsorted,
    ProbBsorted,
    btagging,
    jet_selection,
    with_tagger,
)

Objects = Callable[..., ak.Array]

JET: dict[str, Any] = {
    "dr_lepton": 0.4,
    "pt": 30,
    "eta": 2.4,
    "jetId": 2,
    "puId": {"wp": "L", "value": 4, "maxpt": 50.0},
}
FATJET: dict[str, Any] = {"dr_lepton": 0.8, "pt": 200, "eta": 2.4, "jetId": 2, "msd": 40}


def params(**changes: Any) -> dict[str, Any]:
    return {
        "object_preselection": {"Jet": deepcopy(JET) | changes, "FatJet": FATJET | changes},
        "default_nano_version": {"2018": 9, "2017": 9, "2016_PreVFP": 9, "2022_preEE": 12},
    }


@pytest.fixture
def jets(objects: Objects) -> ak.Array:
    """Two good ones, then one each that fails pT, η, the identification, and is from pileup."""
    return objects(
        pt=[[60.0, 40.0, 30.0, 80.0, 70.0, 45.0], [], [55.0]],
        eta=[[0.0, 1.0, 0.0, -2.4, 0.5, -1.0], [], [2.0]],
        jetId=[[2, 6, 6, 6, 0, 6], [], [2]],
        puId=[[0, 4, 7, 7, 7, 0], [], [0]],
        btagDeepFlavB=[[0.1, 0.9, 0.5, 0.3, 0.2, 0.7], [], [0.4]],
        btagDeepFlavCvL=[[0.3, 0.2, 0.5, 0.3, 0.2, 0.7], [], [0.4]],
        btagDeepFlavCvB=[[0.3, 0.2, 0.5, 0.3, 0.2, 0.7], [], [0.4]],
    )


@pytest.fixture
def large_jets(objects: Objects) -> ak.Array:
    return objects(
        pt=[[300.0, 250.0, 150.0], []],
        eta=[[0.0, 1.0, 0.0], []],
        jetId=[[2, 6, 6], []],
        msoftdrop=[[80.0, 40.0, 90.0], []],
        particleNet_XbbVsQCD=[[0.1, 0.2, 0.3], []],
        particleNet_XccVsQCD=[[0.6, 0.5, 0.7], []],
    )


@pytest.mark.parametrize("kind", [dict, OmegaConf.create])
def test_jets_pass_pt_eta_id_and_pileup_id(
    by_hand: Callable[..., Any], jets: ak.Array, kind: Callable[..., Any]
) -> None:
    good, mask = jet_selection(by_hand(Jet=jets), "Jet", kind(params()), "2018")
    assert good.pt.to_list() == [[60, 40], [], [55]]
    assert mask.to_list() == [[True, True, False, False, False, False], [], [True]]
    assert jets[mask].pt.to_list() == good.pt.to_list()
    assert good.jetId_corrected.to_list() == [[2, 6], [], [2]]


def test_jets_are_away_from_leptons(
    by_hand: Callable[..., Any], jets: ak.Array, objects: Objects
) -> None:
    leptons = objects(eta=[[0.3, 2.0], [0.0], []])
    events = by_hand(Jet=jets, LeptonGood=leptons)
    assert jet_selection(events, "Jet", params(), "2018", "LeptonGood")[0].pt.to_list() == [
        [40],
        [],
        [55],
    ]
    with pytest.raises(InputError, match=r"the collection 'LeptonGood' where the era is wanted"):
        jet_selection(events, "Jet", params(), "LeptonGood")
    lacking = params()
    del lacking["object_preselection"]["Jet"]["dr_lepton"]
    with pytest.raises(InputError, match=r"object_preselection\.Jet has no 'dr_lepton'"):
        jet_selection(events, "Jet", lacking, "2018", "LeptonGood")


@pytest.mark.parametrize(
    ("year", "pileup", "expected"),
    [
        ("2018", {"wp": "L", "maxpt": 50}, [0, 0, 1, 1, 1, 1]),
        ("2017", {"wp": "T", "maxpt": 50}, [0, 0, 0, 0, 1, 1]),
        ("2016_PreVFP", {"wp": "L", "maxpt": 50}, [0, 1, 1, 1, 1, 1]),
        ("2016_PostVFP", {"wp": "M", "maxpt": 50}, [0, 0, 1, 1, 1, 1]),
        ("2018", {"value": 7, "maxpt": 50}, [0, 0, 0, 0, 1, 1]),
        ("2018", {"wp": "T", "maxpt": 45}, [0, 0, 0, 0, 1, 1]),
        ("2018", {"wp": "T", "maxpt": 40}, [1, 1, 1, 1, 1, 1]),
    ],
)
def test_working_points_of_pileup_are_those_of_the_era(
    by_hand: Callable[..., Any], objects: Objects, year: str, pileup: Any, expected: Any
) -> None:
    jets = objects(
        pt=[[40.0, 40.0, 40.0, 40.0, 40.0, 50.0]],
        jetId=[[6] * 6],
        puId=[[0, 1, 4, 6, 7, 0]],
    )
    _, mask = jet_selection(by_hand(Jet=jets), "Jet", params(puId=pileup), year)
    assert mask.to_list() == [[bool(each) for each in expected]]


def test_working_points_of_pileup_may_be_parameters(
    by_hand: Callable[..., Any], jets: ak.Array
) -> None:
    given = params()
    points = {"working_point": {"L": 7}}
    given["jet_scale_factors"] = {"jet_puId": {"2018": points}}
    assert jet_selection(by_hand(Jet=jets), "Jet", given, "2018")[0].pt.to_list() == [
        [60],
        [],
        [55],
    ]
    given["object_preselection"]["Jet"]["puId"]["wp"] = "M"
    with pytest.raises(InputError, match=r"Jet\.puId\.wp is 'M'\. In 2018 there are: L"):
        jet_selection(by_hand(Jet=jets), "Jet", given, "2018")


def test_another_spelling_of_the_pileup_id(by_hand: Callable[..., Any], jets: ak.Array) -> None:
    given = params()
    cuts = given["object_preselection"]["Jet"]
    cuts["puid"] = cuts.pop("puId")
    assert jet_selection(by_hand(Jet=jets), "Jet", given, "2018")[0].pt.to_list() == [
        [60, 40],
        [],
        [55],
    ]
    del cuts["puid"]
    with pytest.raises(InputError, match="puId"):
        jet_selection(by_hand(Jet=jets), "Jet", given, "2018")


@pytest.mark.parametrize(
    ("year", "metadata"), [("2018", {"nano_version": "15"}), ("2022_preEE", {"nano_version": 9})]
)
def test_puppi_jets_need_no_pileup_id(
    by_hand: Callable[..., Any], objects: Objects, year: str, metadata: Any
) -> None:
    fractions = {name: [[0.1]] for name in ("neHEF", "neEmEF", "chEmEF", "muEF")}
    jets = objects(
        pt=[[40.0]],
        jetId=[[6]],
        chHEF=[[0.5]],
        chMultiplicity=[[5]],
        neMultiplicity=[[5]],
        **fractions,
    )
    good, _ = jet_selection(by_hand(metadata, Jet=jets), "Jet", params(), year)
    assert good.jetId_corrected.to_list() == [[6]]


def test_large_jets_pass_the_soft_drop_mass(
    by_hand: Callable[..., Any], large_jets: ak.Array, objects: Objects
) -> None:
    events = by_hand(FatJet=large_jets, Near=objects(eta=[[0.7], []]))
    good, mask = jet_selection(events, "FatJet", params(), "2018", jet_tagger="PNetMD")
    assert good.pt.to_list() == [[300], []]
    assert (good.btagBB.to_list(), good.btagCC.to_list()) == ([[0.1], []], [[0.6], []])
    assert mask.to_list() == [[True, False, False], []]
    assert jet_selection(events, "FatJet", params(), "2018", "Near")[0].pt.to_list() == [[], []]
    lacking = params()
    del lacking["object_preselection"]["FatJet"]["msd"]
    with pytest.raises(InputError, match="has no 'msd'"):
        jet_selection(events, "FatJet", lacking, "2018")


def test_jets_have_the_values_of_a_tagger(by_hand: Callable[..., Any], jets: ak.Array) -> None:
    good, _ = jet_selection(by_hand(Jet=jets), "Jet", params(), "2018", jet_tagger="DeepFlavour")
    assert good.btagB.to_list() == [[0.1, 0.9], [], [0.4]]
    assert good.btagCvL.to_list() == [[0.3, 0.2], [], [0.4]]
    with pytest.raises(InputError, match=r"no tagger 'DeepFlv'\. Did you mean 'DeepFlav'\?"):
        with_tagger(jets, "DeepFlv")
    with pytest.raises(ColumnError, match=r"jet_tagger='PNet' asks for the field 'btagPNetB'"):
        with_tagger(jets, "PNet")


def test_missing_jets_do_not_pass(by_hand: Callable[..., Any], jets: ak.Array) -> None:
    good, mask = jet_selection(by_hand(Jet=ak.pad_none(jets, 2)), "Jet", params(), "2018")
    assert good.pt.to_list() == [[60, 40], [], [55]]
    assert mask.to_list()[1:] == [[False, False], [True, False]]


def test_no_events_have_no_jets(by_hand: Callable[..., Any], jets: ak.Array) -> None:
    good, mask = jet_selection(by_hand(Jet=jets[:0]), "Jet", params(), "2018")
    assert good.to_list() == mask.to_list() == []


def test_jets_are_tagged_by_a_working_point(jets: ak.Array) -> None:
    btag = {"btagging_algorithm": "btagDeepFlavB", "btagging_WP": {"L": 0.2, "M": 0.7}}
    assert btagging(jets, btag, wp="M").btagDeepFlavB.to_list() == [[0.9], [], []]
    assert btagging(jets, btag, wp="L", veto=True).btagDeepFlavB.to_list() == [[0.1], [], []]
    assert btagging(jets, OmegaConf.create(btag), "L").pt.to_list() == [[40, 30, 80, 45], [], [55]]
    with pytest.raises(InputError, match=r"btagging_WP has no 'T'.*There are: L, M"):
        btagging(jets, btag, wp="T")
    with pytest.raises(ColumnError, match="btagging_algorithm asks for"):
        btagging(jets, btag | {"btagging_algorithm": "btagPNetB"}, wp="L")


def test_jets_are_sorted_by_their_tag(jets: ak.Array, large_jets: ak.Array) -> None:
    tagged = with_tagger(jets, "DeepFlav")
    assert ProbBsorted(tagged).pt.to_list() == [[40, 45, 30, 80, 70, 60], [], [55]]
    # Those of equal values stay in their order.
    assert CvsLsorted(tagged).pt.to_list() == [[45, 30, 60, 80, 40, 70], [], [55]]
    assert CvsLsorted(jets, "DeepFlav").pt.to_list() == CvsLsorted(tagged).pt.to_list()
    assert CCsorted(large_jets, "PNetMD").pt.to_list() == [[150, 300, 250], []]
    with pytest.raises(ColumnError, match="select them with a jet_tagger"):
        ProbBsorted(jets)


def selected(events: Any, part: int = 0) -> Any:
    return jet_selection(events, "Jet", params(), "2018", "Muon", jet_tagger="DeepFlav")[part]


def test_lazy_events_give_the_same(same: Callable[..., ak.Array]) -> None:
    found = same(lambda e: selected(e).pt)
    assert 0 < ak.sum(ak.num(found)) < ak.sum(ak.num(same(lambda e: e["Jet"].pt)))
    same(lambda e: selected(e, 1))
    same(lambda e: selected(e).btagCvB)
    same(lambda e: jet_selection(e, "FatJet", params(pt=100), "2018", "Muon")[0].msoftdrop)
    same(lambda e: ProbBsorted(selected(e)).pt)
    btag = {"btagging_algorithm": "btagDeepFlavB", "btagging_WP": {"M": 0.2783}}
    same(lambda e: btagging(selected(e), btag, "M", veto=True).pt)


def test_jets_of_other_energies_are_selected_anew(
    lazy_events: la.Events, value: Callable[..., ak.Array]
) -> None:
    pt = lazy_events.Jet.pt
    events = lazy_events.vary("jes", {"Jet.pt": {"up": pt * 1.1, "down": pt * 0.9}})
    shifted = lazy_events.define(Jet=ak.with_field(lazy_events.Jet, pt * 1.1, "pt"))
    found = value(events, lambda e: selected(e).pt, "jesUp")
    assert found.to_list() == value(shifted, lambda e: selected(e).pt).to_list()
    assert found.to_list() != value(events, lambda e: selected(e).pt).to_list()


def test_distances_are_not_computed_again_for_other_energies(lazy_events: la.Events) -> None:
    pt = lazy_events.Jet.pt
    events = lazy_events.vary("jes", {"Jet.pt": {"up": pt * 1.1, "down": pt * 0.9}})
    program = la.explain(events.columns({"x": selected(events).pt})).groups[0].stages["varied"]
    titles = [step.title for step in program.steps]
    assert [title for title in titles if title.startswith("isolated")] == ["isolated"]
    assert {"greater", "greater@jesUp", "greater@jesDown"} <= set(titles)
    assert len([title for title in titles if title.endswith("@jesUp")]) < 12
