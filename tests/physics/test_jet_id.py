from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import awkward as ak
import pytest
from correctionlib import schemav2
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from lazyana.errors import ColumnError, FileError, InputError, InputTypeError
from lazyana.physics.jet_id import (
    CORRECTED,
    FROM_SCRATCH,
    MULTIPLICITY,
    Region,
    Rules,
    compute_jetId,
    rules_of,
)

Objects = Callable[..., ak.Array]

PARAMS: dict[str, Any] = {"default_nano_version": {"2018": 9, "2022_preEE": 12, "2024": 15}}
FRACTIONS = ("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF")

fraction = st.sampled_from([0.0, 0.01, 0.02, 0.3, 0.4, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0])
jet = st.fixed_dictionaries(
    {
        "eta": st.sampled_from([0, 1, 2.5, 2.6, 2.65, 2.7, 2.8, 3, 3.1, 4.5]).flatmap(
            lambda eta: st.sampled_from([float(eta), -float(eta)])
        ),
        **dict.fromkeys(FRACTIONS, fraction),
        "jetId": st.sampled_from([0, 2, 6]),
        "chMultiplicity": st.integers(0, 2),
        "neMultiplicity": st.integers(0, 3),
    }
)
events_of_jets = st.lists(st.lists(jet, max_size=8), min_size=1, max_size=3)
few = settings(max_examples=30)


def jets_of(objects: Objects, events: list[list[dict[str, Any]]]) -> ak.Array:
    names = ("eta", *FRACTIONS, "jetId", "chMultiplicity", "neMultiplicity")
    columns = {name: [[one[name] for one in event] for event in events] for name in names}
    jets = objects(**columns)
    for name in ("jetId", "chMultiplicity", "neMultiplicity"):
        jets = ak.with_field(jets, ak.values_astype(jets[name], "int32"), name)
    return jets


def has_veto(one: dict[str, Any]) -> bool:
    return abs(one["eta"]) > 2.7 or (one["muEF"] < 0.8 and one["chEmEF"] < 0.8)


def corrected(one: dict[str, Any]) -> int:
    eta = abs(one["eta"])
    tight = one["jetId"] & 2 > 0
    if eta > 3:
        tight = tight and one["neEmEF"] < 0.4
    elif eta > 2.7:
        tight = tight and one["neHEF"] < 0.99
    return 2 * tight + 4 * (tight and has_veto(one))


def from_scratch(one: dict[str, Any]) -> int:
    eta = abs(one["eta"])
    if eta <= 2.6:
        tight = one["neHEF"] < 0.99 and one["neEmEF"] < 0.9 and one["chHEF"] > 0.01
        tight = tight and one["chMultiplicity"] > 0
        tight = tight and one["chMultiplicity"] + one["neMultiplicity"] > 1
    elif eta <= 2.7:
        tight = one["neHEF"] < 0.9 and one["neEmEF"] < 0.99
    elif eta <= 3:
        tight = one["neHEF"] < 0.99
    else:
        tight = one["neMultiplicity"] >= 2 and one["neEmEF"] < 0.4
    return 2 * tight + 4 * (tight and has_veto(one))


@few
@given(events=events_of_jets)
def test_what_is_stored_is_taken_below_version_12(
    objects: Objects, by_hand: Callable[..., Any], events: Any
) -> None:
    jets = jets_of(objects, events)
    assert compute_jetId(by_hand(Jet=jets), "Jet", PARAMS, "2018").to_list() == jets.jetId.to_list()


@few
@given(events=events_of_jets)
def test_what_is_stored_is_made_good_in_version_12(
    objects: Objects, by_hand: Callable[..., Any], events: Any
) -> None:
    made = by_hand({"nano_version": "12"}, Jet=jets_of(objects, events))
    expected = [[corrected(one) for one in event] for event in events]
    assert compute_jetId(made, "Jet", PARAMS, "2022_preEE").to_list() == expected


@few
@given(events=events_of_jets)
def test_large_jets_of_version_12_are_those_within_the_tracker(
    objects: Objects, by_hand: Callable[..., Any], events: Any
) -> None:
    made = by_hand({"nano_version": 12}, FatJet=jets_of(objects, events))
    expected = [[(one["jetId"] & 2) * (abs(one["eta"]) <= 2.7) for one in each] for each in events]
    assert compute_jetId(made, "FatJet", PARAMS).to_list() == expected


@few
@given(events=events_of_jets, jet_type=st.sampled_from(["Jet", "FatJet"]))
def test_later_versions_are_computed_from_scratch(
    objects: Objects, by_hand: Callable[..., Any], events: Any, jet_type: str
) -> None:
    made = by_hand({"nano_version": 15}, **{jet_type: jets_of(objects, events)})
    expected = [[from_scratch(one) for one in event] for event in events]
    assert compute_jetId(made, jet_type, PARAMS, "2024").to_list() == expected


@pytest.mark.parametrize(("version", "expected"), [(12, CORRECTED), (15, FROM_SCRATCH)])
def test_default_parameters_hold_the_same_criteria(version: int, expected: Rules) -> None:
    folder = resources.files("lazyana.analysis") / "parameters"
    text = (folder / "jet_scale_factors.yaml").read_text(encoding="utf-8")
    found = rules_of(OmegaConf.create(text), version, large=False)
    assert (found.corrects, found.fields) == (expected.corrects, expected.fields)
    for one, other in ((found.tight, expected.tight), (found.veto, expected.veto)):
        assert [region.abseta_max for region in one] == [region.abseta_max for region in other]
        for mine, theirs in zip(one, other, strict=True):
            assert dict(mine.below) == dict(theirs.below)
            assert dict(mine.above) == dict(theirs.above)


def test_parameters_may_hold_other_criteria(objects: Objects, by_hand: Callable[..., Any]) -> None:
    jets = objects(eta=[[0.0, 1.0, 3.0]], neHEF=[[0.4, 0.6, 0.0]])
    tight = [{"abseta_max": 2, "below": {"neHEF": 0.5}}]
    params = {"jet_id_rules": {"AK4PFPuppi": {"15": {"tight": tight}}}}
    found = compute_jetId(by_hand(Jet=jets), "Jet", params, nano_version=15)
    assert found.to_list() == [[2, 0, 0]]
    del tight[0]["abseta_max"]
    with pytest.raises(
        InputError, match=r"jet_id_rules\.AK4PFPuppi\.15\.tight has no 'abseta_max'"
    ):
        compute_jetId(by_hand(Jet=jets), "Jet", params, nano_version=15)


def correction(name: str, above: float) -> schemav2.Correction:
    """A jet passes when it has at least two constituents and η is larger than a number."""
    inputs = [("eta", "real"), ("multiplicity", "int"), ("chHEF", "real")]
    return schemav2.Correction(
        name=name,
        version=1,
        inputs=[schemav2.Variable(name=one, type=kind) for one, kind in inputs],
        output=schemav2.Variable(name="passed", type="real"),
        data=schemav2.MultiBinning(
            nodetype="multibinning",
            inputs=["eta", "multiplicity"],
            edges=[[0.0, above, 5.0], [0.0, 2.0, 100.0]],
            content=[0.0, 0.0, 0.0, 1.0],
            flow="error",
        ),
    )


@pytest.fixture(scope="module")
def jet_id_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    corrections = [correction("AK4PUPPI_Tight", 1), correction("AK4PUPPI_TightLeptonVeto", 2)]
    content = schemav2.CorrectionSet(schema_version=2, corrections=corrections)
    path = tmp_path_factory.mktemp("jet_id") / "jetid.json.gz"
    path.write_bytes(gzip.compress(content.model_dump_json(exclude_unset=True).encode()))
    return path


def test_the_file_of_the_era_is_used(
    objects: Objects, by_hand: Callable[..., Any], jet_id_file: Path
) -> None:
    jets = objects(
        eta=[[0.5, -1.5, 2.5], [], [-2.5]],
        chHEF=[[0.1, 0.1, 0.1], [], [0.1]],
        chMultiplicity=[[1, 1, 1], [], [1]],
        neMultiplicity=[[1, 1, 1], [], [0]],
    )
    params = PARAMS | {"jet_scale_factors": {"jet_id": {"2024": str(jet_id_file)}}}
    events = by_hand({"nano_version": 15}, Jet=jets, FatJet=jets)
    assert compute_jetId(events, "Jet", params, "2024").to_list() == [[0, 2, 6], [], [0]]
    with pytest.raises(InputError, match="has no correction 'AK8PUPPI_Tight'"):
        compute_jetId(events, "FatJet", params, "2024")


@pytest.fixture
def resolver() -> Iterator[str]:
    """Parameters that look for a file when they are read."""

    def look_for(what: str) -> str:
        if what == "missing":
            msg = "no such correction file"
            raise FileError(msg)
        msg = f"no such kind of file: {what}"
        raise InputError(msg)

    OmegaConf.register_resolver("look_for_jet_id", look_for)
    yield "look_for_jet_id"
    OmegaConf.clear_resolver("look_for_jet_id")


def test_a_file_that_is_not_there_is_not_needed(
    objects: Objects, by_hand: Callable[..., Any], tmp_path: Path, resolver: str
) -> None:
    one = {"eta": 0.0, "jetId": 0, "chMultiplicity": 2, "neMultiplicity": 0}
    jets = jets_of(objects, [[one | dict.fromkeys(FRACTIONS, 0.2)]])
    events = by_hand({"nano_version": 15}, Jet=jets)
    for place in (str(tmp_path / "jetid.json.gz"), f"${{{resolver}:missing}}"):
        params = OmegaConf.create(PARAMS | {"jet_scale_factors": {"jet_id": {"2024": place}}})
        assert compute_jetId(events, "Jet", params, "2024").to_list() == [[6]]


def test_a_file_named_wrongly_is_an_error(
    objects: Objects, by_hand: Callable[..., Any], resolver: str
) -> None:
    place = f"${{{resolver}:another}}"
    params = OmegaConf.create(PARAMS | {"jet_scale_factors": {"jet_id": {"2024": place}}})
    events = by_hand({"nano_version": 15}, Jet=objects(eta=[[0.0]]))
    with pytest.raises(ValueError, match="no such kind of file: another"):
        compute_jetId(events, "Jet", params, "2024")


@pytest.mark.parametrize(
    ("metadata", "expected"), [({"nano_version": "9"}, [[2]]), ({"year": "2024"}, [[6]])]
)
def test_the_version_is_that_of_the_dataset_or_of_the_era(
    objects: Objects, by_hand: Callable[..., Any], metadata: Any, expected: Any
) -> None:
    one = {"eta": 0.0, "jetId": 2, "chMultiplicity": 2, "neMultiplicity": 0}
    jets = jets_of(objects, [[one | dict.fromkeys(FRACTIONS, 0.2)]])
    found = compute_jetId(by_hand(metadata, Jet=jets), "Jet", PARAMS, "2024")
    assert found.to_list() == expected


def test_the_version_has_to_be_known(objects: Objects, by_hand: Callable[..., Any]) -> None:
    events = by_hand({"year": "2099"}, Jet=objects(jetId=[[2]]))
    with pytest.raises(InputError, match="default_nano_version for '2099'"):
        compute_jetId(events, "Jet", PARAMS, "2099")
    with pytest.raises(InputTypeError, match="nano_version='v9' is not a version"):
        compute_jetId(events, "Jet", PARAMS, "2018", nano_version="v9")


def test_fields_have_to_be_there(objects: Objects, by_hand: Callable[..., Any]) -> None:
    events = by_hand(Jet=objects(jetId=[[2]]))
    with pytest.raises(ColumnError, match="identification of Jet in NanoAOD 15 asks for the field"):
        compute_jetId(events, "Jet", PARAMS, nano_version=15)


def test_missing_jets_stay_missing(objects: Objects, by_hand: Callable[..., Any]) -> None:
    one = {"eta": 0.0, "jetId": 2, "chMultiplicity": 2, "neMultiplicity": 0}
    jets = ak.pad_none(jets_of(objects, [[one | dict.fromkeys(FRACTIONS, 0.2)]]), 2)
    for version in (12, 15):
        found = compute_jetId(by_hand(Jet=jets), "Jet", PARAMS, nano_version=version)
        assert found.to_list() == [[6, None]]


def test_rules_say_what_they_take() -> None:
    assert FROM_SCRATCH.fields[0] == "eta"
    assert MULTIPLICITY not in FROM_SCRATCH.fields
    assert {"chMultiplicity", "neMultiplicity", *FRACTIONS} == set(FROM_SCRATCH.fields[1:])
    assert Region(1.0, below=(("a", 1),), above=(("b", 0),)).fields == {"a", "b"}


@pytest.mark.integration
def test_jets_of_a_real_file(real_data: Path) -> None:
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    path = real_data / "nanoaod" / "nano_tt_v12.root"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        events = NanoEventsFactory.from_root(
            {str(path): "Events"}, schemaclass=NanoAODSchema, mode="virtual"
        ).events()
    found = compute_jetId(events, "Jet", PARAMS, "2022_preEE")
    jets = events.Jet
    central = abs(jets.eta) <= 2.7
    assert ak.all((found & 2)[central] == (jets.jetId & 2)[central], axis=None)
    assert 0 < ak.sum(found < (jets.jetId & 6)) < ak.sum(ak.num(jets))


def test_lazy_events_give_the_same(same: Callable[..., ak.Array], jet_id_file: Path) -> None:
    same(lambda e: compute_jetId(e, "Jet", PARAMS, "2018"))
    found = same(lambda e: compute_jetId(e, "Jet", PARAMS, nano_version=12))
    assert set(ak.flatten(found).to_list()) >= {0, 6}
    same(lambda e: compute_jetId(e, "FatJet", PARAMS, nano_version=12))
