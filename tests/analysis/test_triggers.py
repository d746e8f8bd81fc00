"""Triggers: paths by primary dataset or from a list, in data and simulation."""

from __future__ import annotations

import logging
from typing import Any

import awkward as ak
import pytest
from omegaconf import OmegaConf

import lazyana as la
from lazyana.analysis.cutlibrary import (
    get_HLTsel,
    get_HLTsel_custom,
    get_L1sel,
    get_L1sel_custom,
)
from lazyana.analysis.cuts import Context
from lazyana.analysis.triggers import listed, parameter
from lazyana.errors import ColumnError, InputError, InputTypeError

PARAMS = OmegaConf.create(
    {
        "HLT_triggers": {
            "2018": {
                "SingleMuon": ["IsoMu24", "HLT_Mu50"],
                "EGamma": ["HLT_Ele32_WPTight_Gsf"],
                "JetHT": "PFHT1050",
            },
            "2017": {"SingleElectron": ["Ele32_WPTight_Gsf_L1DoubleEG"]},
        },
        "L1_triggers": {"2018": {"SingleMuon": ["L1_SingleMu22"]}},
    }
)
MC = Context(PARAMS, "2018", "DY", True)
DATA = Context(PARAMS, "2018", "DATA", False)

# Paths that lstrip("HLT_") would spoil.
EVENTS = ak.Array(
    {
        "HLT": [
            {"TkMu50": True, "HT300": False, "LTMu": False, "IsoMu24": False},
            {"TkMu50": False, "HT300": True, "LTMu": False, "IsoMu24": False},
            {"TkMu50": False, "HT300": False, "LTMu": True, "IsoMu24": False},
            {"TkMu50": False, "HT300": False, "LTMu": False, "IsoMu24": True},
        ],
        "L1": [{"SingleMu22": i == 2} for i in range(4)],
    }
)


@pytest.fixture
def reports(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is said about paths that are left out, said anew."""
    from lazyana.analysis import triggers

    triggers._report.cache_clear()
    caplog.set_level(logging.WARNING, logger="lazyana")
    return caplog


def fired(cut: Any, context: Context = MC, events: Any = EVENTS) -> list[bool]:
    found: list[bool] = cut.mask_in(events, context).tolist()
    return found


def test_trigger_prefix_is_taken_off_as_a_word_not_by_lstrip() -> None:
    for path, event in (("TkMu50", 0), ("HT300", 1), ("LTMu", 2)):
        expected = [i == event for i in range(4)]
        assert fired(get_HLTsel_custom([f"HLT_{path}"])) == expected
        assert fired(get_HLTsel_custom([path])) == expected


def test_any_path_of_a_list_will_do() -> None:
    cut = get_HLTsel_custom(["HLT_TkMu50", "IsoMu24"])
    assert cut.name == "HLT_trigger_TkMu50_IsoMu24"
    assert fired(cut) == [True, False, False, True]
    inverted = get_HLTsel_custom(["HLT_TkMu50", "IsoMu24"], invert=True)
    assert inverted.name == "HLT_trigger_TkMu50_IsoMu24_NOT"
    assert fired(inverted) == [False, True, True, False]
    assert fired(get_HLTsel_custom("TkMu50")) == [True, False, False, False]


def test_level_one_seeds() -> None:
    expected = [False, False, True, False]
    assert fired(get_L1sel_custom(["L1_SingleMu22"])) == expected
    assert fired(get_L1sel(["SingleMuon"])) == expected
    assert fired(get_L1sel(invert=True)) == [not one for one in expected]
    assert get_L1sel(["SingleMuon"]).name == "L1_trigger_SingleMuon"


@pytest.mark.parametrize("lazy", [True, False])
def test_simulation_fires_a_path_of_any_primary_dataset(
    lazy: bool, dy_frame: la.Events, dy_events: ak.Array, value: Any
) -> None:
    hlt = dy_events.HLT
    muon, electron = hlt.IsoMu24 | hlt.Mu50, hlt.Ele32_WPTight_Gsf
    for cut, expected in (
        (get_HLTsel(), muon | electron | hlt.PFHT1050),
        (get_HLTsel(["SingleMuon", "EGamma"]), muon | electron),
        (get_HLTsel("EGamma", invert=True), ~electron),
    ):
        mask = cut.mask_in(dy_frame if lazy else dy_events, MC)
        assert (value(dy_frame, mask) if lazy else mask).tolist() == expected.tolist()
        assert 0 < ak.sum(expected) < len(expected)


def test_data_fire_a_path_of_their_own_primary_dataset(
    muon_frame: la.Events, muon_events: ak.Array, value: Any
) -> None:
    hlt = muon_events.HLT
    muon, electron = hlt.IsoMu24 | hlt.Mu50, hlt.Ele32_WPTight_Gsf
    for cut, expected in (
        (get_HLTsel(), muon),
        (get_HLTsel(invert=True), ~muon),
        (get_HLTsel(["EGamma"]), electron),
    ):
        assert value(muon_frame, cut.mask_in(muon_frame, DATA)).tolist() == expected.tolist()


def test_data_of_several_primary_datasets_are_told_apart(toy_files: Any, value: Any) -> None:
    entry = toy_files["SingleMuon"]
    other = {**entry, "metadata": {**entry["metadata"], "primaryDataset": "EGamma"}}
    frame = la.open({"SingleMuon": entry, "EGamma": other})
    mask = value(frame, get_HLTsel().mask_in(frame, DATA)).tolist()
    both = value(frame, (frame.HLT.IsoMu24 | frame.HLT.Mu50)).tolist()
    electron = value(frame, frame.HLT.Ele32_WPTight_Gsf).tolist()
    half = len(both) // 2
    expected = {"SingleMuon": both[:half], "EGamma": electron[:half]}
    assert mask == [one for name in frame.datasets for one in expected[name]]
    assert both[:half] != electron[:half]


def test_data_without_primary_dataset_are_refused() -> None:
    with pytest.raises(InputError, match=r"give primaryDataset .* or get_HLTsel\(primaryDatasets"):
        get_HLTsel().mask_in(EVENTS, DATA)


def test_path_that_files_lack_is_left_out_and_reported_once(
    reports: pytest.LogCaptureFixture,
) -> None:
    cut = get_HLTsel_custom(["TkMu50", "Mu55", "Mu60"])
    assert fired(cut) == fired(cut) == [True, False, False, False]
    assert reports.messages == [
        "Files have no HLT path Mu55, Mu60: left out of TkMu50, Mu55, Mu60."
    ]


def test_files_with_none_of_the_paths_are_refused(reports: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ColumnError, match=r"none of the HLT paths IsoMu42, .*mean 'IsoMu24'\?"):
        get_HLTsel_custom(["IsoMu42", "Mu60"]).mask_in(EVENTS, MC)
    with pytest.raises(ColumnError, match="The events have no L1 branches"):
        get_L1sel_custom(["x"]).mask_in(EVENTS[["HLT"]], MC)
    assert reports.messages == []


@pytest.mark.parametrize(
    ("cut", "context", "message"),
    [
        (get_HLTsel(["SingleMu"]), MC, "no primary dataset 'SingleMu'. Did you mean 'SingleMuon'"),
        (get_HLTsel(), Context(PARAMS, "2016", "DY", True), "HLT_triggers has 2018, 2017"),
        (get_HLTsel(), Context({}, "2018", "DY", True), "No parameter HLT_triggers.2018"),
    ],
)
def test_parameters_that_are_missing_are_named(cut: Any, context: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cut.mask_in(EVENTS, context)


def test_paths_without_primary_datasets_are_refused() -> None:
    context = Context({"HLT_triggers": {"2018": ["IsoMu24"]}}, "2018", "DY", True)
    with pytest.raises(InputTypeError, match="paths of each primary dataset"):
        get_HLTsel().mask_in(EVENTS, context)
    with pytest.raises(InputError, match="list of HLT paths is empty"):
        get_HLTsel_custom([])


def test_electron_path_of_2017() -> None:
    electron, bit = 11, 1024
    objects = [
        [{"id": electron, "filterBits": bit | 2}],
        [{"id": electron, "filterBits": 2}, {"id": 13, "filterBits": bit}],
        [],
        [{"id": 13, "filterBits": 0}, {"id": electron, "filterBits": bit}],
    ]
    path = "Ele32_WPTight_Gsf_L1DoubleEG"
    events = ak.Array(
        {"HLT": [{path: one} for one in (True, True, True, False)], "TrigObj": objects}
    )
    in_2017 = Context(PARAMS, "2017", "DY", True)
    assert fired(get_HLTsel(), in_2017, events) == [True, False, False, False]
    assert fired(get_HLTsel_custom([path]), MC, events) == [True, True, True, False]


def test_parameters_are_left_alone() -> None:
    before = OmegaConf.to_yaml(PARAMS)
    get_HLTsel().mask_in(ak.with_field(EVENTS, EVENTS.HLT, "HLT"), MC)
    assert OmegaConf.to_yaml(PARAMS) == before


def test_plain_parameters_are_parameters() -> None:
    assert parameter({"a": {"2018": 3}}, "a", "2018") == 3
    assert listed("x") == ["x"]
    assert listed(("x", "y")) == ["x", "y"]
    with pytest.raises(InputTypeError, match="Names are given as 3"):
        listed(3)
