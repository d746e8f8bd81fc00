"""Cuts that most analyses need, against plain awkward on the same events."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from correctionlib import schemav2
from omegaconf import OmegaConf

import lazyana as la
from lazyana.analysis import cutlibrary as lib
from lazyana.analysis.cuts import Context, Cut
from lazyana.analysis.defaults import get_default_parameters
from lazyana.errors import ColumnError, FileError, InputError

PARAMS = get_default_parameters()
MC = Context(PARAMS, "2018", "DY", True)
DATA = Context(PARAMS, "2018", "DATA_SingleMuon", False)
# Events with 0, 1, 2 and 3 jets.
JETS = [
    [],
    [{"pt": 50.0, "btagDeepFlavB": 0.9}],
    [{"pt": 60.0, "btagDeepFlavB": 0.3}, {"pt": 20.0, "btagDeepFlavB": 0.8}],
    [{"pt": pt, "btagDeepFlavB": tag} for pt, tag in ((90.0, 0.01), (40.0, 0.5), (30.0, 0.06))],
]
EVENTS = ak.Array(
    {"Jet": JETS, "BJetGood": [[], [], JETS[2][:1], JETS[3][:2]], "nLong": [0, 9, 9, 9]}
)


def passing(cut: Cut, context: Context = MC, events: Any = EVENTS) -> list[int]:
    return np.flatnonzero(ak.to_numpy(cut.mask_in(events, context))).tolist()


# -- names -----------------------------------------------------------------------------------

FACTORIES = {
    "get_HLTsel": "(primaryDatasets=None, invert=False)",
    "get_HLTsel_custom": "(trigger_list, invert=False)",
    "get_L1sel": "(primaryDatasets=None, invert=False)",
    "get_L1sel_custom": "(trigger_list, invert=False)",
    "get_JetVetoMap": "(name='JetVetoMaps')",
    "get_nObj_min": "(N, minpt=None, coll='JetGood', name=None)",
    "get_nObj_eq": "(N, minpt=None, coll='JetGood', name=None)",
    "get_nObj_less": "(N, coll='JetGood', name=None)",
    "get_nBtagMin": "(N, minpt=0, coll='BJetGood', wp='M', name=None)",
    "get_nBtagEq": "(N, minpt=0, coll='BJetGood', wp='M', name=None)",
    "get_nElectron": "(N, minpt=0, coll='ElectronGood', name=None)",
    "get_nMuon": "(N, minpt=0, coll='MuonGood', name=None)",
    "get_nPVgood": "(N, name=None)",
}
CUTS = {"passthrough": "passthrough", "eventFlags": "event_flags", "goldenJson": "golden_json_lumi"}
FUNCTIONS = {
    **dict.fromkeys(("count_objects_gt", "count_objects_lt", "count_objects_eq"), ()),
    **dict.fromkeys(("min_nObj", "min_nObj_minPt", "less_nObj", "eq_nObj", "eq_nObj_minPt"), ()),
    **dict.fromkeys(("nElectron", "nMuon"), ()),
    **dict.fromkeys(("nBtagMin", "nBtagEq"), ("year", "processor_params")),
}


@pytest.mark.parametrize(("name", "signature"), FACTORIES.items())
def test_factories_are_those_that_configurations_know(name: str, signature: str) -> None:
    found = inspect.signature(getattr(lib, name))
    bare = [one.replace(annotation=one.empty) for one in found.parameters.values()]
    assert str(inspect.Signature(bare)) == signature


def test_cuts_and_functions_are_those_that_configurations_know() -> None:
    assert {name: getattr(lib, name).name for name in CUTS} == CUTS
    for name, more in FUNCTIONS.items():
        parameters = inspect.signature(getattr(lib, name)).parameters
        assert tuple(parameters)[:-1] == ("events", "params", *more), name
        assert tuple(parameters.values())[-1].kind is inspect.Parameter.VAR_KEYWORD, name
    assert set(lib.__all__) == {*FACTORIES, *CUTS, *FUNCTIONS}


# -- numbers of objects ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cut", "name", "expected"),
    [
        (lib.get_nObj_min(2, coll="Jet"), "nJet_min2", [2, 3]),
        (lib.get_nObj_min(2, 40, "Jet"), "nJet_min2_pt40", [3]),
        (lib.get_nObj_min(1, 50.0, "Jet"), "nJet_min1_pt50.0", [1, 2, 3]),
        (lib.get_nObj_eq(2, coll="Jet"), "nJet_eq2", [2]),
        (lib.get_nObj_eq(1, 40, "Jet"), "nJet_eq1_pt40", [1, 2]),
        (lib.get_nObj_eq(0, coll="Jet"), "nJet_eq0", [0]),
        (lib.get_nObj_less(2, "Jet"), "nJet_less2", [0, 1]),
        (lib.get_nObj_min(2, coll="Jet", name="mine"), "mine", [2, 3]),
        (lib.get_nElectron(2, coll="Jet"), "nJet_2_pt0", [2, 3]),
        (lib.get_nElectron(1, 50, "Jet"), "nJet_1_pt50", [2, 3]),
        (lib.get_nMuon(2, 25, "Jet"), "nJet_2_pt25", [3]),
        (lib.get_nBtagMin(1), "nBJetGood_btagMin1_pt0", [2, 3]),
        (lib.get_nBtagMin(1, 70), "nBJetGood_btagMin1_pt70", [3]),
        (lib.get_nBtagEq(2), "nBJetGood_btagEq2_pt0", [3]),
        (lib.get_nBtagMin(1, coll="Jet"), "nJet_btagMin1_pt0", [1, 2, 3]),
        (lib.get_nBtagMin(2, coll="Jet", wp="L"), "nJet_btagMin2_pt0", [2, 3]),
        (lib.get_nBtagMin(1, coll="Jet", wp="T"), "nJet_btagMin1_pt0", [1, 2]),
        (lib.get_nBtagMin(1, 30, "Jet", "T"), "nJet_btagMin1_pt30", [1]),
        (lib.get_nBtagEq(1, coll="Jet", wp="M"), "nJet_btagEq1_pt0", [1, 3]),
        (lib.passthrough, "passthrough", [0, 1, 2, 3]),
    ],
)
def test_numbers_of_objects(cut: Cut, name: str, expected: list[int]) -> None:
    assert cut.name == name
    assert passing(cut) == expected


def test_column_with_the_number_is_taken() -> None:
    events = ak.with_field(EVENTS, EVENTS.Jet, "Long")
    assert passing(lib.get_nObj_min(5, coll="Long"), events=events) == [1, 2, 3]
    assert passing(lib.get_nObj_less(5, "Long"), events=events) == [0]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lib.count_objects_gt, [2, 3]),
        (lib.count_objects_lt, [0]),
        (lib.count_objects_eq, [1]),
    ],
)
def test_plain_functions(function: Callable[..., Any], expected: list[int]) -> None:
    assert passing(Cut("x", {"object": "Jet", "value": 1}, function)) == expected


def test_no_events() -> None:
    for cut in (lib.get_nObj_min(1, 20, "Jet"), lib.get_nBtagMin(1, 20, "Jet"), lib.passthrough):
        assert passing(cut, events=EVENTS[:0]) == []


@pytest.mark.parametrize("cut", [False, True])
def test_lazy_cuts_are_what_awkward_computes(
    dy_frame: la.Events, dy_events: ak.Array, value: Any, cut: bool
) -> None:
    frame, events = dy_frame, dy_events
    if cut:
        frame = frame.filter(met=frame.MET.pt > 20)
        events = events[events.MET.pt > 20]
    tagged = events.Jet.btagDeepFlavB > 0.2783
    expected = {
        lib.get_nObj_min(2, 30, "Jet"): ak.sum(events.Jet.pt >= 30, axis=1) >= 2,
        lib.get_nBtagMin(1, 30, "Jet"): ak.sum(tagged & (events.Jet.pt >= 30), axis=1) >= 1,
        lib.get_nMuon(2, 15, "Muon"): ak.sum(events.Muon.pt > 15, axis=1) >= 2,
        lib.get_nPVgood(20): events.PV.npvsGood >= 20,
        lib.passthrough: events.MET.pt >= 0,
    }
    for one, mask in expected.items():
        assert value(frame, one.mask_in(frame, MC)).tolist() == mask.tolist()
        assert one.mask_in(events, MC).tolist() == mask.tolist()
        assert ak.any(mask)


def test_unknown_collection_is_named(dy_frame: la.Events) -> None:
    with pytest.raises(ColumnError, match=r"Cut 'nJets_min2': .*Did you mean 'Jet'"):
        lib.get_nObj_min(2, coll="Jets").mask_in(dy_frame, MC)


@pytest.mark.parametrize(
    ("cut", "context", "error", "message"),
    [
        (lib.get_nBtagMin(1, coll="Jet", wp="X"), MC, InputError, "btagging_WP has L, M, T"),
        (
            lib.get_nBtagMin(1, coll="Jet"),
            Context(PARAMS, "2019", "x", True),
            InputError,
            "No parameter btagging.working_point.2019",
        ),
        (
            lib.get_nBtagMin(1, coll="Jet"),
            Context(PARAMS, "2022_preEE", "x", True),
            ColumnError,
            "Jet has no field 'btagPNetB', the b tagger of 2022_preEE",
        ),
    ],
)
def test_working_points_that_are_missing(cut: Cut, context: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        cut.mask_in(EVENTS, context)


# -- data quality ----------------------------------------------------------------------------

FLAGS = [*PARAMS.event_flags["2018"], *PARAMS.event_flags_data["2018"]]


def flagged(*failing: str | None) -> ak.Array:
    return ak.Array({"Flag": [{name: name != fail for name in FLAGS} for fail in failing]})


def test_filters_of_data_are_for_data_only() -> None:
    events = flagged(None, "goodVertices", "eeBadScFilter", "BadPFMuonFilter")
    assert passing(lib.eventFlags, MC, events) == [0, 2]
    assert passing(lib.eventFlags, DATA, events) == [0]


def test_event_flags_of_data_are_never_those_of_simulation() -> None:
    """However often data are seen before: the list of the parameters is shared, and stays."""
    before = OmegaConf.to_container(PARAMS.event_flags)
    events = flagged(None, "eeBadScFilter")
    for _ in range(3):
        assert passing(lib.eventFlags, DATA, events) == [0]
        assert passing(lib.eventFlags, MC, events) == [0, 1]
    assert OmegaConf.to_container(PARAMS.event_flags) == before


@pytest.mark.parametrize("lazy", [True, False])
def test_filters_of_toy_data(
    lazy: bool, muon_frame: la.Events, muon_events: ak.Array, value: Any
) -> None:
    mask = lib.eventFlags.mask_in(muon_frame if lazy else muon_events, DATA)
    expected = np.all([ak.to_numpy(muon_events.Flag[name]) for name in FLAGS], axis=0)
    assert (value(muon_frame, mask) if lazy else mask).tolist() == expected.tolist()


def test_filter_that_files_lack_is_named() -> None:
    events = ak.Array({"Flag": [{"goodVertex": True}]})
    with pytest.raises(ColumnError, match=r"no filter 'goodVertices', which event_flags.2018"):
        lib.eventFlags.mask_in(events, MC)


def test_no_filters_are_no_cut() -> None:
    params = {"event_flags": {"2018": []}, "event_flags_data": {"2018": ["Flag_goodVertices"]}}
    events = flagged(None, "goodVertices")
    events = ak.with_field(events, [1, 2], "run")
    assert passing(lib.eventFlags, Context(params, "2018", "x", True), events) == [0, 1]
    assert passing(lib.eventFlags, Context(params, "2018", "x", False), events) == [0]


def certified(folder: Path, sections: Any) -> Context:
    path = folder / "golden.json"
    path.write_text(json.dumps(sections))
    return Context({"lumi": {"goldenJSON": {"2018": str(path)}}}, "2018", "DATA", False)


@pytest.mark.parametrize("lazy", [True, False])
def test_golden_json_certifies_data(
    tmp_path: Path, lazy: bool, muon_frame: la.Events, muon_events: ak.Array, value: Any
) -> None:
    run, section = muon_events.run, muon_events.luminosityBlock
    first, middle = int(run[0]), int(np.median(ak.to_numpy(section)))
    context = certified(tmp_path, {str(first): [[1, middle]]})
    expected = (run == first) & (section <= middle)
    assert 0 < ak.sum(expected) < len(expected)
    mask = lib.goldenJson.mask_in(muon_frame if lazy else muon_events, context)
    assert (value(muon_frame, mask) if lazy else mask).tolist() == expected.tolist()


def test_golden_json_is_read_again_when_it_changes(tmp_path: Path, muon_events: ak.Array) -> None:
    run = str(int(muon_events.run[0]))
    for last, expected in ((100_000, True), (0, False)):
        (tmp_path / "golden.json").unlink(missing_ok=True)
        context = certified(tmp_path, {run: [[1, last]] if last else []})
        assert ak.any(lib.goldenJson.mask_in(muon_events, context)) == expected


def test_simulation_needs_no_golden_json(dy_frame: la.Events, value: Any) -> None:
    context = Context({}, "2018", "DY", True)
    assert ak.all(value(dy_frame, lib.goldenJson.mask_in(dy_frame, context)))


def test_golden_json_that_is_missing_is_named(tmp_path: Path, muon_events: ak.Array) -> None:
    context = certified(tmp_path, {})
    (tmp_path / "golden.json").unlink()
    with pytest.raises(FileError, match=r"golden JSON of 2018 cannot be read.*lumi.goldenJSON"):
        lib.goldenJson.mask_in(muon_events, context)


def test_real_golden_json(real_data: Path) -> None:
    path = real_data / "lumi" / "Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt"
    context = Context({"lumi": {"goldenJSON": {"2018": str(path)}}}, "2018", "DATA", False)
    run, sections = next(iter(json.loads(path.read_text()).items()))
    (first, last), *_ = sections
    events = ak.Array(
        {"run": np.full(3, int(run), np.uint32), "luminosityBlock": [first, last, last + 10_000]}
    )
    assert passing(lib.goldenJson, context, events) == [0, 1]


# -- jet veto maps ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def veto_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map that vetoes 0 < eta < 5.191, phi > 0."""
    pi = np.pi
    table = schemav2.MultiBinning(
        nodetype="multibinning",
        inputs=["eta", "phi"],
        edges=[[-5.191, 0.0, 5.191], [-pi, 0.0, pi]],
        content=[0.0, 0.0, 0.0, 100.0],
        flow="error",
    )
    veto = schemav2.Correction(
        name="Toy_V1",
        version=1,
        inputs=[
            schemav2.Variable(name="type", type="string"),
            schemav2.Variable(name="eta", type="real"),
            schemav2.Variable(name="phi", type="real"),
        ],
        output=schemav2.Variable(name="value", type="real"),
        data=schemav2.Category(
            nodetype="category",
            input="type",
            content=[schemav2.CategoryItem(key="jetvetomap", value=table)],
        ),
    )
    path = tmp_path_factory.mktemp("veto") / "veto.json"
    file = schemav2.CorrectionSet(schema_version=2, corrections=[veto])
    path.write_text(file.model_dump_json(exclude_unset=True))
    return path


def veto_context(path: Path) -> Context:
    maps = {"vetomaps": {"2018": {"file": str(path), "name": "Toy_V1"}}}
    params = {"jet_scale_factors": maps, "default_nano_version": {"2018": 9}}
    return Context(params, "2018", "DY", True)


def test_events_with_a_jet_in_a_vetoed_region_are_dropped(veto_file: Path) -> None:
    good = {"pt": 30.0, "eta": 1.0, "phi": 1.0, "jetId": 6, "neEmEF": 0.2, "chEmEF": 0.2}
    jets = [
        [good],
        [],
        [{**good, "eta": -1.0}, {**good, "phi": -1.0}],
        [{**good, "pt": 15.0}, {**good, "jetId": 2}, {**good, "eta": 5.19}],
        [{**good, "neEmEF": 0.5, "chEmEF": 0.4}],
        [{**good, "phi": float(np.float32(np.pi))}],
        [{**good, "eta": -1.0}, good],
    ]
    events = ak.Array({"Jet": jets})
    assert passing(lib.get_JetVetoMap(), veto_context(veto_file), events) == [1, 2, 3, 4]
    assert lib.get_JetVetoMap().name == "JetVetoMaps"
    assert lib.get_JetVetoMap("mine").name == "mine"


def test_lazy_veto_map(
    veto_file: Path, dy_frame: la.Events, dy_events: ak.Array, value: Any
) -> None:
    jets = dy_events.Jet
    jets = jets[(jets.jetId >= 6) & (jets.pt > 15) & (jets.neEmEF + jets.chEmEF < 0.9)]
    jets = jets[abs(jets.eta) < 5.19]
    expected = ~ak.any((jets.eta >= 0) & (jets.phi >= 0), axis=1)
    assert 0 < ak.sum(expected) < len(expected)
    mask = lib.get_JetVetoMap().mask_in(dy_frame, veto_context(veto_file))
    assert value(dy_frame, mask).tolist() == expected.tolist()


def test_year_without_veto_map_is_named() -> None:
    with pytest.raises(InputError, match=r"Cut 'JetVetoMaps': .*vetomaps.2018"):
        lib.get_JetVetoMap().mask_in(EVENTS, MC)


def test_what_is_listed_is_there() -> None:
    assert sorted(lib.__all__) == sorted(set(lib.__all__))
    for name in lib.__all__:
        assert hasattr(lib, name)
