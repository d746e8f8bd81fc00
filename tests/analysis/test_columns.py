from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
from hypothesis import given
from hypothesis import strategies as st

import lazyana as la
from lazyana.analysis.columns import ColOut, ObjectMask, find_collection, find_column
from lazyana.errors import ColumnError, InputError, InputTypeError


def record(**columns: Any) -> ak.Array:
    return ak.Array({name: ak.Array(values) for name, values in columns.items()})


@pytest.fixture(scope="module")
def dy(toy_files: dict[str, Any]) -> la.Events:
    return la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})


@pytest.fixture(scope="module")
def plain(toy_files: dict[str, Any]) -> ak.Array:
    """The events of one file, in memory."""
    (path, *_) = toy_files["DYJetsToLL"]["files"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return NanoEventsFactory.from_root(
            {str(path): "Events"}, schemaclass=NanoAODSchema, mode="virtual"
        ).events()


# -- finding columns -----------------------------------------------------------------------------


def test_field_of_a_collection(plain: ak.Array) -> None:
    assert ak.array_equal(find_column(plain, "Jet", "pt", "x"), plain.Jet.pt)
    assert ak.array_equal(find_column(plain, "MET", "pt", "x"), plain.MET.pt)
    assert ak.array_equal(find_column(plain, "events", "genWeight", "x"), plain.genWeight)


def test_field_of_a_record_in_a_collection(plain: ak.Array) -> None:
    assert ak.array_equal(find_column(plain, "events", "MET.pt", "x"), plain.MET.pt)
    found = find_column(plain, "Jet", "matched_gen.pt", "x")
    assert ak.array_equal(found, plain.Jet.matched_gen.pt)


def test_number_of_objects(plain: ak.Array) -> None:
    assert find_column(plain, "events", "nJet", "x").to_list() == ak.num(plain.Jet).to_list()
    events = record(nJet=[7, 8], Jet=[[1], []])
    assert find_collection(events, "nJet", "x").to_list() == [7, 8]


def test_property_of_vectors(plain: ak.Array) -> None:
    pairs = ak.pad_none(plain.Muon, 2)
    events = record(ll=pairs[:, 0] + pairs[:, 1])
    assert "mass" not in events.ll.fields
    masses = find_column(events, "ll", "mass", "x")
    assert ak.array_equal(masses, events.ll.mass)
    assert ak.any(ak.is_none(masses))


def test_supercluster_eta(plain: ak.Array) -> None:
    found = find_column(plain, "Electron", "etaSC", "x")
    assert ak.array_equal(found, plain.Electron.eta + plain.Electron.deltaEtaSC)
    assert find_column(record(e=[{"superclusterEta": 1.0}]), "e", "etaSC", "x").to_list() == [1]
    assert find_column(record(e=[{"etaSC": 2.0, "eta": 1.0}]), "e", "etaSC", "x").to_list() == [2]


@pytest.mark.parametrize(
    ("collection", "field", "words"),
    [
        ("Jett", "pt", ["there is no 'Jett'", "Did you mean 'Jet'"]),
        ("Jet", "ptt", ["'Jet' has no field 'ptt'", "Did you mean 'pt'", " and "]),
        ("events", "nJets", ["Did you mean 'nJet'"]),
        ("events", "genWeight.x", ["'genWeight' has no field 'x'", "plain column"]),
        ("Jet", "ndim", ["has no field 'ndim'"]),
        ("Jet", "compute", ["has no field 'compute'"]),
    ],
)
def test_what_does_not_exist(
    plain: ak.Array, dy: la.Events, collection: str, field: str, words: list[str]
) -> None:
    for events in (plain, dy):
        with pytest.raises(ColumnError) as caught:
            find_column(events, collection, field, "Histogram 'h'")
        assert str(caught.value).startswith("Histogram 'h': ")
        assert [word for word in words if word not in str(caught.value)] == []


# -- declaring -----------------------------------------------------------------------------------


def test_options_have_the_known_defaults_and_order() -> None:
    out = ColOut("Jet", ["pt"])
    assert out == ColOut("Jet", ("pt",), True, True, True, -999.0, None, None)
    assert out.serialize() == {
        "collection": "Jet",
        "columns": ["pt"],
        "flatten": True,
        "store_size": True,
        "fill_none": True,
        "fill_value": -999.0,
        "pos_start": None,
        "pos_end": None,
    }
    assert {out: 1}[pickle.loads(pickle.dumps(out))] == 1


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: ColOut("Jet", ["pt"], flaten=False), InputTypeError, "Did you mean 'flatten'"),
        (lambda: ColOut("Jet", "pt"), InputTypeError, r"give a list of names, such as \['pt'\]"),
        (lambda: ColOut("Jet", [1]), InputTypeError, "has 1 in it"),
        (lambda: ColOut("Jet", []), InputError, "has no columns"),
        (lambda: ColOut("Jet", ["pt", "pt"]), InputError, "twice: pt, pt"),
        (lambda: ColOut("", ["pt"]), InputTypeError, "collection"),
        (lambda: ColOut("Jet", ["pt"], pos_start=-1), InputError, "pos_start"),
    ],
)
def test_wrong_options_are_refused(make: Callable[[], Any], error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        make()


# -- expressions ---------------------------------------------------------------------------------

EVENTS = record(
    Jet=[[{"pt": 1.5, "n": 1}, {"pt": None, "n": 2}], [], [{"pt": 4.0, "n": 3}]],
    MET=[{"pt": 5.0}, None, {"pt": 6.0}],
    njet=[2, 0, 1],
)


def test_objects_are_saved_with_their_number() -> None:
    found = ColOut("Jet", ["pt", "n"]).expressions(EVENTS)
    assert list(found) == ["Jet_N", "Jet_pt", "Jet_n"]
    assert found["Jet_N"].to_list() == [2, 0, 1]
    assert found["Jet_pt"].to_list() == [[1.5, -999.0], [], [4.0]]
    assert found["Jet_n"].to_list() == [[1, 2], [], [3]]


def test_options_of_the_number_and_of_missing_values() -> None:
    found = ColOut("Jet", ["pt"], store_size=False, fill_none=False).expressions(EVENTS)
    assert list(found) == ["Jet_pt"]
    assert found["Jet_pt"].to_list() == [[1.5, None], [], [4.0]]
    found = ColOut("Jet", ["pt"], fill_value=0.5).expressions(EVENTS)
    assert found["Jet_pt"].to_list() == [[1.5, 0.5], [], [4.0]]


def test_one_value_an_event_has_no_number() -> None:
    assert ColOut("MET", ["pt"]).expressions(EVENTS)["MET_pt"].to_list() == [5, -999, 6]
    found = ColOut("events", ["njet", "Jet.n"]).expressions(EVENTS)
    assert list(found) == ["events_njet", "events_Jet_n"]


@pytest.mark.parametrize("start", [None, 0, 1, 3])
@pytest.mark.parametrize("end", [None, 0, 1, 2])
def test_positions(start: int | None, end: int | None) -> None:
    found = ColOut("Jet", ["n"], pos_start=start, pos_end=end).expressions(EVENTS)
    expected = [numbers[start:end] for numbers in ([1, 2], [], [3])]
    assert found["Jet_n"].to_list() == expected
    assert found["Jet_N"].to_list() == [len(numbers) for numbers in expected]


def test_objects_of_a_category() -> None:
    mask = ObjectMask("Jet", ak.Array([[False, True], [], [True]]))
    found = ColOut("Jet", ["n"]).expressions(EVENTS, mask)
    assert found["Jet_n"].to_list() == [[2], [], [3]]
    assert found["Jet_N"].to_list() == [1, 0, 1]
    # The first of those that are selected.
    first = ColOut("Jet", ["n"], pos_end=1).expressions(EVENTS, mask)
    assert first["Jet_n"].to_list() == [[2], [], [3]]
    assert ColOut("MET", ["pt"]).expressions(EVENTS, mask)["MET_pt"].to_list() == [5, -999, 6]
    with pytest.raises(InputError, match="selects objects of 'Muon'"):
        ColOut("Jet", ["n"]).expressions(EVENTS, ObjectMask("Muon", mask.mask))


@pytest.mark.parametrize(
    ("values", "value", "kind"),
    [
        (np.array([1, 2], "int16"), -999.0, "int16"),
        (np.array([1, 2], "int8"), -999.0, "float64"),
        (np.array([1, 2], "uint16"), -999.0, "float64"),
        (np.array([1, 2], "uint16"), 999.0, "uint16"),
        (np.array([1, 2], "float32"), -999.0, "float32"),
        (np.array([1, 2], "float32"), 0.1, "float32"),
        (np.array([1, 2], "int32"), 0.5, "float64"),
        (np.array([1, 2], "int32"), float("nan"), "float64"),
        (np.array([True, False]), -999.0, "float64"),
    ],
)
def test_numbers_keep_their_type_where_it_holds_the_filled_value(
    values: Any, value: float, kind: str
) -> None:
    events = record(x=ak.mask(ak.Array(values), [True, False]), plain=values)
    found = ColOut("events", ["x", "plain"], fill_value=value).expressions(events)
    filled = ak.to_numpy(found["events_x"])
    assert filled.dtype == kind
    np.testing.assert_array_equal(filled, np.array([1, value], kind))
    assert ak.to_numpy(found["events_plain"]).dtype == values.dtype  # nothing is missing


def test_text_stays_missing_and_missing_lists_are_empty() -> None:
    events = record(s=["a", None], x=[[1.0, None], None], y=[1, 2])
    found = ColOut("events", ["s", "x"]).expressions(events)
    assert found["events_s"].to_list() == ["a", None]
    assert found["events_x"].to_list() == [[1, -999], []]


@given(
    st.lists(st.none() | st.lists(st.none() | st.floats(-5, 5, width=32), max_size=3), max_size=5)
)
def test_what_is_there_is_left_as_it_is(events: list[Any]) -> None:
    # What follows gives the column the same type in each example.
    column = ak.Array([*events, None, [None, 1.0]])[:-2]
    found = ColOut("events", ["x"]).expressions(ak.zip({"x": column}, depth_limit=1))["events_x"]
    assert found.to_list() == [
        [-999.0 if x is None else x for x in event or []] for event in events
    ]


def test_missing_numbers_in_lists_of_which_none_is_missing() -> None:
    lists = ak.Array([[1.0, None]]).layout
    column = ak.Array(ak.contents.UnmaskedArray(lists))
    found = ColOut("events", ["x"]).expressions(ak.Array({"x": column}))["events_x"]
    assert found.to_list() == [[1, -999]]


def test_what_cannot_be_saved() -> None:
    with pytest.raises(InputError, match="'Jet' is a record; name one of its fields: n, pt"):
        ColOut("events", ["Jet"]).expressions(EVENTS)
    with pytest.raises(InputError, match="leave pos_start and pos_end out"):
        ColOut("MET", ["pt"], pos_end=1).expressions(EVENTS)
    with pytest.raises(ColumnError, match=r"ColOut\('Jet'\): 'Jet' has no field 'ptt'"):
        ColOut("Jet", ["ptt"]).expressions(EVENTS)


# -- results -------------------------------------------------------------------------------------


def test_arrays_are_flat() -> None:
    out = ColOut("Jet", ["pt", "n"])
    arrays = out.arrays({**out.expressions(EVENTS), "other": [1]})
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "Jet_N": [2, 0, 1],
        "Jet_pt": [1.5, -999.0, 4.0],
        "Jet_n": [1, 2, 3],
    }
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    assert ColOut("Jet", ["n"], flatten=False).arrays({"Jet_n": [[1], []]})["Jet_n"].ndim == 2


def test_lazy_is_as_eager(
    dy: la.Events, toy_files: dict[str, Any], run: Callable[..., Any], plain: ak.Array
) -> None:
    def columns(events: Any) -> dict[str, Any]:
        mask = ObjectMask("Jet", events.Jet.pt > 40)
        return {
            **ColOut("Jet", ["pt", "jetId", "matched_gen.pt"], pos_end=2).expressions(events, mask),
            **ColOut("Muon", ["charge", "mass"]).expressions(events),
            **ColOut("events", ["nFatJet", "MET.phi", "genWeight"]).expressions(events),
        }

    table = run(dy.columns(columns(dy))).value.to_awkward("DYJetsToLL", "nominal")[: len(plain)]
    expected = columns(plain)
    assert list(expected) == [name for name in table.fields if name != "weight"]
    assert len(table) == len(plain) > 100
    for name, column in expected.items():
        assert table[name].to_list() == column.to_list(), name
