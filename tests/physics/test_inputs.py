from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import awkward as ak
import pytest
from omegaconf import OmegaConf

import lazyana as la
from lazyana.errors import ColumnError, InputError, InputTypeError
from lazyana.physics.inputs import field, flag, has, number, one_of, passes_id, section

PARAMS = {"object_preselection": {"Muon": {"pt": 15, "id": "tightId"}, "Jet": {}}}


NAMESPACES = SimpleNamespace(
    object_preselection=SimpleNamespace(**PARAMS["object_preselection"]),
)


@pytest.mark.parametrize(
    "params", [PARAMS, OmegaConf.create(PARAMS), SimpleNamespace(**PARAMS), NAMESPACES]
)
def test_a_section_is_found(params: Any) -> None:
    assert section(params, "object_preselection", "Muon")["pt"] == 15
    assert has(params, "object_preselection", "Muon", "pt")
    assert not has(params, "object_preselection", "Tau", "pt")
    assert not has(params, "object_preselection", "Muon", "pt", "more")


def test_a_missing_section_is_named_with_what_there_is() -> None:
    with pytest.raises(InputError) as error:
        section(PARAMS, "object_preselection", "Muons")
    assert "object_preselection has no 'Muons'. Did you mean 'Muon'?" in str(error.value)
    assert "There are: Jet, Muon." in str(error.value)
    with pytest.raises(InputError, match=r"The parameters have no 'objects'\."):
        section(PARAMS, "objects")


def test_a_cut_is_a_number() -> None:
    cuts = {"pt": 15, "eta": "2.4", "wide": True}
    assert number(cuts, "pt", "Muon") == 15
    with pytest.raises(InputError, match=r"Muon has no 'ptt'\. Did you mean 'pt'\?"):
        number(cuts, "ptt", "Muon")
    with pytest.raises(InputTypeError, match=r"Muon.eta is '2.4', not a number"):
        number(cuts, "eta", "Muon")
    with pytest.raises(InputTypeError, match=r"Muon.wide is True, not a number"):
        number(cuts, "wide", "Muon")


@pytest.fixture
def muons(objects: Callable[..., ak.Array]) -> ak.Array:
    return objects(tightId=[[True, False], []], cutBased=[[4, 2], []], mva=[[0.5, 0.9], []])


def test_a_field_that_is_not_there(muons: ak.Array) -> None:
    with pytest.raises(ColumnError) as error:
        field(muons, "tightID", "object_preselection.Muon.id")
    assert "object_preselection.Muon.id asks for the field 'tightID'" in str(error.value)
    assert "Did you mean 'tightId'?" in str(error.value)


def test_a_lazy_field_that_is_not_there(lazy_events: la.Events) -> None:
    with pytest.raises(ColumnError, match="Did you mean 'tightId'"):
        field(lazy_events.Muon, "tightID", "here")


def test_numbers_are_neither_yes_nor_no(muons: ak.Array, lazy_events: la.Events) -> None:
    assert flag(muons, "tightId", "here").to_list() == [[True, False], []]
    with pytest.raises(InputError, match=r"\{cutBased: smallest value\}"):
        flag(muons, "cutBased", "here")
    with pytest.raises(InputError, match=r"\{pfIsoId: smallest value\}"):
        flag(lazy_events.Muon, "pfIsoId", "here")


def test_an_identification_is_a_flag_or_smallest_values(muons: ak.Array) -> None:
    assert passes_id(muons, "tightId", "here").to_list() == [[True, False], []]
    assert passes_id(muons, {"cutBased": 2}, "here").to_list() == [[True, True], []]
    both = {"cutBased": 2, "mva": 0.8}
    assert passes_id(muons, both, "here").to_list() == [[False, True], []]
    assert passes_id(muons, OmegaConf.create(both), "here").to_list() == [[False, True], []]


@pytest.mark.parametrize("wanted", [None, 3, {}, True])
def test_an_identification_is_nothing_else(muons: ak.Array, wanted: Any) -> None:
    with pytest.raises(InputTypeError, match="name a field of yes or no"):
        passes_id(muons, wanted, "here")


def test_one_of_some_numbers() -> None:
    modes = ak.Array([[0, 5, 10], []])
    assert one_of(modes, [0, 1, 10], "here").to_list() == [[True, False, True], []]
    with pytest.raises(InputError, match="here is empty"):
        one_of(modes, [], "here")
