"""Categories: their names, cuts and masks, one by one and as products."""

from __future__ import annotations

from itertools import product
from typing import Any

import awkward as ak
import pytest

import lazyana as la
from lazyana.analysis.categories import (
    BASELINE,
    CartesianSelection,
    MultiCut,
    StandardSelection,
    selection_of,
)
from lazyana.analysis.cutlibrary import get_nObj_min
from lazyana.analysis.cuts import Context, Cut, Masks, from_expression, passthrough
from lazyana.errors import ColumnError, InputError, InputTypeError

MC = Context({}, "2018", "DY", True)
HARD = from_expression("Jet.pt > 40", "hard", "Jet")
CENTRAL = from_expression("abs(Jet.eta) < 1.5", "central", "Jet")
MUONS = from_expression("abs(Muon.eta) < 1.5", "muons", "Muon")

NJETS = MultiCut(
    "njets", ["nJet == 0", "nJet == 1", get_nObj_min(2, coll="Jet")], ["0j", "1j", "2j"]
)
NMUONS = MultiCut("nmuons", ["nMuon < 2", "nMuon >= 2"], ["few", "many"])


def standard() -> StandardSelection:
    return StandardSelection(
        {
            "all": [],
            "dimuon": "nMuon == 2",
            "hard": ["nMuon == 2", get_nObj_min(1, coll="Jet"), "MET.pt > 20"],
            "passed": [passthrough],
        }
    )


def expected(events: ak.Array) -> dict[str, Any]:
    two = ak.num(events.Muon) == 2
    return {
        "all": events.MET.pt >= 0,
        "dimuon": two,
        "hard": two & (ak.num(events.Jet) >= 1) & (events.MET.pt > 20),
        "passed": events.MET.pt >= 0,
    }


def combinations(events: ak.Array) -> dict[str, Any]:
    jets, muons = ak.num(events.Jet), ak.num(events.Muon)
    njets = {"0j": jets == 0, "1j": jets == 1, "2j": jets >= 2}
    nmuons = {"few": muons < 2, "many": muons >= 2}
    return {f"{a}_{b}": one & two for (a, one), (b, two) in product(njets.items(), nmuons.items())}


def counts(run: Any, frame: la.Events, declared: dict[str, Any]) -> dict[str, float]:
    """Events in each category, as a histogram of the frame sees them."""
    import hist

    frame = frame.categories(declared)
    found = run(frame.hist(hist.axis.Regular(1, -1e9, 1e9, name="x"), x=frame.MET.pt)).value
    axis = found.axes["category"]
    return {name: float(found[{"category": name}].values(flow=True).sum()) for name in axis}


# -- one by one ------------------------------------------------------------------------------


def test_masks_are_the_and_of_the_cuts(
    dy_frame: la.Events, dy_events: ak.Array, value: Any
) -> None:
    wanted = expected(dy_events)
    eager = standard().masks(dy_events, MC)
    lazy = standard().masks(dy_frame, MC)
    assert list(eager) == list(lazy) == list(wanted)
    for name, mask in wanted.items():
        assert eager[name].tolist() == mask.tolist()
        assert value(dy_frame, lazy[name]).tolist() == mask.tolist()


def test_frame_takes_them(dy_frame: la.Events, dy_events: ak.Array, run: Any) -> None:
    found = counts(run, dy_frame, standard().for_frame(dy_frame, MC))
    assert found == {name: ak.sum(mask) for name, mask in expected(dy_events).items()}


def test_each_cut_is_called_once(dy_events: ak.Array) -> None:
    called.calls = 0  # type: ignore[attr-defined]
    cut = Cut("called", {}, called)
    again = Cut("called again", {}, called)
    recorded = Masks(dy_events, MC)
    selection = StandardSelection({"a": [cut], "b": [cut, "nMuon == 2"], "c": ["nJet > 1", again]})
    selection.masks(dy_events, MC, recorded)
    selection.mask("c", dy_events, MC, recorded)
    assert called.calls == 1  # type: ignore[attr-defined]


def called(events: Any) -> Any:
    called.calls += 1  # type: ignore[attr-defined]
    return events.MET.pt > 20


def test_cuts_of_a_category_may_be_shared_across_selections(dy_frame: la.Events) -> None:
    recorded = Masks(dy_frame, MC)
    one = StandardSelection({"a": "nMuon == 2"}).masks(dy_frame, MC, recorded)
    two = StandardSelection({"b": "nMuon == 2"}).masks(dy_frame, MC, recorded)
    assert one["a"] is two["b"]


def test_selection_looks_like_a_mapping() -> None:
    selection = standard()
    assert selection.names == ("all", "dimuon", "hard", "passed")
    assert selection.keys() == list(selection) == list(selection.names)
    assert [name for name, _ in selection.items()] == list(selection)
    assert len(selection) == 4
    assert "hard" in selection
    assert "soft" not in selection
    assert [cut.name for cut in selection.cuts("hard")] == [
        "nMuon == 2",
        "nJet_min1",
        "MET.pt > 20",
    ]
    assert selection.cuts("all") == (passthrough,)
    assert repr(selection) == "StandardSelection(all, dimuon, hard, passed; 4 categories)"


def test_unknown_category_is_named(dy_events: ak.Array) -> None:
    with pytest.raises(InputError, match=r"no category 'dimuons'. Did you mean 'dimuon'\?"):
        standard().mask("dimuons", dy_events, MC)


def test_errors_name_category_and_cut(dy_frame: la.Events) -> None:
    selection = StandardSelection({"SR": ["nMuon == 2", "nMuonGod == 2"]})
    with pytest.raises(ColumnError, match=r"^Category 'SR': Cut 'nMuonGod == 2': There is no col"):
        selection.masks(dy_frame, MC)


def test_selection_is_written_down_as_plain_data() -> None:
    record = standard().serialize()
    assert record["type"] == "StandardSelection"
    assert len(record["categories"]["hard"]) == 3
    assert (record["is_multidim"], record["multidim_collection"]) == (False, None)
    record = StandardSelection({"a": HARD}).serialize()
    assert (record["is_multidim"], record["multidim_collection"]) == (True, "Jet")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([passthrough], InputTypeError, r"Categories are a list: give \{name: \[cuts\]\}"),
        ({"a": 3}, InputTypeError, "Category 'a' holds a int"),
        ({"a": ["x >"]}, InputError, "Category 'a': Not an expression"),
        ({"nominal": []}, InputError, "cannot be called 'nominal'"),
        ({"a/b": []}, InputError, "cannot be called 'a/b'"),
        ({3: []}, InputTypeError, "name of a category is 3"),
        ({"a": [HARD, MUONS]}, InputError, r"different collections: hard \(Jet\), muons \(Muon\)"),
    ],
)
def test_what_is_no_selection_is_refused(given: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        StandardSelection(given)


# -- of objects ------------------------------------------------------------------------------


def test_categories_of_objects(dy_frame: la.Events, dy_events: ak.Array, value: Any) -> None:
    selection = StandardSelection(
        {"jets": [HARD], "both": ["nMuon == 2", HARD, CENTRAL], "events": "nMuon == 2"}
    )
    hard, two = dy_events.Jet.pt > 40, ak.num(dy_events.Muon) == 2
    wanted = {"jets": hard, "both": two & hard & (abs(dy_events.Jet.eta) < 1.5), "events": two}
    lazy = selection.masks(dy_frame, MC)
    for name, mask in selection.masks(dy_events, MC).items():
        assert mask.tolist() == wanted[name].tolist()
        assert value(dy_frame, lazy[name]).tolist() == wanted[name].tolist()
    assert [selection.collection(name) for name in selection] == ["Jet", "Jet", "events"]
    assert selection.collections == ("Jet",)
    assert selection.is_multidim
    with pytest.raises(InputError, match="Category 'jets' selects objects of Jet"):
        selection.for_frame(dy_frame, MC)


def test_categories_may_be_of_different_collections() -> None:
    selection = StandardSelection({"jets": HARD, "muons": MUONS})
    assert selection.collections == ("Jet", "Muon")
    assert selection.serialize()["multidim_collection"] == ["Jet", "Muon"]


# -- products --------------------------------------------------------------------------------


def test_combinations_of_bins(dy_frame: la.Events, dy_events: ak.Array, value: Any) -> None:
    selection = CartesianSelection([NJETS, NMUONS], common_cats={"all": [], "met": "MET.pt > 20"})
    wanted = {
        "all": dy_events.MET.pt >= 0,
        "met": dy_events.MET.pt > 20,
        **combinations(dy_events),
    }
    assert selection.names == tuple(wanted)
    assert len(selection) == 8
    lazy = selection.masks(dy_frame, MC)
    for name, mask in selection.masks(dy_events, MC).items():
        assert mask.tolist() == wanted[name].tolist()
        assert value(dy_frame, lazy[name]).tolist() == wanted[name].tolist()
        assert [cut.name for cut in selection.cuts(name)]


def test_frame_makes_the_combinations(dy_frame: la.Events, dy_events: ak.Array, run: Any) -> None:
    selection = CartesianSelection([NJETS, NMUONS], StandardSelection({"njets": "MET.pt > 20"}))
    wanted = {"njets": dy_events.MET.pt > 20, **combinations(dy_events)}
    found = counts(run, dy_frame, selection.for_frame(dy_frame, MC))
    assert sorted(found) == sorted(selection)
    assert found == {name: ak.sum(mask) for name, mask in wanted.items()}


def test_shape_variations_change_who_is_where(dy_frame: la.Events, run: Any) -> None:
    import hist

    jets = dy_frame.Jet.pt
    frame = dy_frame.vary("jes", {"Jet.pt": {"up": jets * 1.5, "down": jets * 0.5}})
    selection = CartesianSelection([MultiCut("n", ["sum(Jet.pt > 40) >= 1"], ["hard"]), NMUONS])
    frame = frame.categories(selection.for_frame(frame, MC))
    found = run(frame.hist(hist.axis.Regular(1, -1e9, 1e9, name="x"), x=frame.MET.pt)).value
    yields = [
        found[{"category": "hard_many", "variation": shift}].values().sum()
        for shift in ("jesDown", "nominal", "jesUp")
    ]
    assert yields[0] < yields[1] < yields[2]


def test_more_than_64_cuts(dy_events: ak.Array, dy_frame: la.Events, run: Any) -> None:
    bins = [f"{i} <= MET.pt < {i + 1}" for i in range(100)]
    met = MultiCut("met", bins, [f"met{i}" for i in range(100)])
    selection = CartesianSelection([met, NMUONS])
    assert len(selection) == 200
    masks = selection.masks(dy_events, MC)
    assert sum(ak.sum(mask) for mask in masks.values()) == ak.sum(dy_events.MET.pt < 100)
    found = counts(run, dy_frame, CartesianSelection([met]).for_frame(dy_frame, MC))
    assert sum(found.values()) == ak.sum(dy_events.MET.pt < 100)
    assert len(found) == 100


def test_bins_may_select_objects(dy_events: ak.Array) -> None:
    eta = MultiCut("eta", [CENTRAL, from_expression("abs(Jet.eta) >= 1.5", "forward", "Jet")])
    selection = CartesianSelection([eta, NMUONS], {"all": []})
    assert selection.names == (
        *("all", "central_few", "central_many"),
        *("forward_few", "forward_many"),
    )
    masks = selection.masks(dy_events, MC)
    many = ak.num(dy_events.Muon) >= 2
    assert masks["central_many"].tolist() == (many & (abs(dy_events.Jet.eta) < 1.5)).tolist()
    assert masks["all"].ndim == 1
    assert eta.is_multidim
    assert not NMUONS.is_multidim
    assert selection.collections == ("Jet",)
    with pytest.raises(InputError, match="selects objects of Jet"):
        selection.for_frame(dy_events, MC)


def test_bins_are_named_after_their_cuts() -> None:
    assert MultiCut("eta", [CENTRAL, HARD, [CENTRAL, HARD]]).cuts_names == (
        *("central", "hard", "central_hard"),
    )
    assert repr(NJETS) == "MultiCut(njets: 0j, 1j, 2j)"
    assert NJETS.ncuts == 3


def test_products_are_written_down_as_plain_data() -> None:
    record = CartesianSelection([NJETS, NMUONS], {"all": []}).serialize()
    assert record["type"] == "CartesianSelection"
    assert [list(one["cuts"]) for one in record["multicuts"]] == [
        ["0j", "1j", "2j"],
        ["few", "many"],
    ]
    assert list(record["common_cats"]["categories"]) == ["all"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("n", "nJet == 0"), InputTypeError, "cuts of MultiCut 'n' are a str"),
        (("n", []), InputError, "MultiCut 'n' has no cuts"),
        (("n", ["nJet == 0"], ["a", "b"]), InputError, r"1 cuts and 2 names \(a, b\)"),
        (("n", ["nJet == 0", "nJet == 1"], "ab"), InputTypeError, "give a list"),
        (("n", ["nJet == 0", "nJet == 1"], ["a", "a"]), InputError, "a bin 'a' already"),
        (("n", ["nJet > 2"], ["a/b"]), InputError, "MultiCut 'n': .*cannot be called 'a/b'"),
        (("n", [[HARD, MUONS]], ["x"]), InputError, "MultiCut 'n', bin 'x' has cuts on"),
        (("n", [4], ["x"]), InputTypeError, "MultiCut 'n' holds a int"),
    ],
)
def test_what_is_no_binning_is_refused(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        MultiCut(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), InputError, "without binnings"),
        ((["nJet == 0"],), InputTypeError, "takes a list of MultiCut"),
        ((None,), InputTypeError, "takes a list of MultiCut"),
        (([NJETS, NJETS],), InputError, "a MultiCut 'njets' already"),
        (([NJETS], {"0j": []}), InputError, "a category '0j' already"),
        (([MultiCut("a", [HARD]), MultiCut("b", [MUONS])],), InputError, "different collections"),
        (([NJETS], [passthrough]), InputTypeError, "Categories are a list"),
    ],
)
def test_what_is_no_product_is_refused(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        CartesianSelection(*arguments)


# -- from what users write -------------------------------------------------------------------


def test_no_categories_are_one_of_all_events(dy_events: ak.Array) -> None:
    for given in (None, {}):
        selection = selection_of("categories", given)
        assert selection.names == (BASELINE,)
        assert ak.all(selection.mask(BASELINE, dy_events, MC))


def test_selections_stay_what_they_are() -> None:
    for given in (standard(), CartesianSelection([NJETS])):
        assert selection_of("categories", given) is given
    assert selection_of("categories", NJETS).names == ("0j", "1j", "2j")
    assert selection_of("categories", {"a": "nJet == 0"}).names == ("a",)


def test_place_in_the_configuration_is_named() -> None:
    with pytest.raises(InputTypeError, match=r"^datasets.subsamples\['DY'\]: Category 'x' holds"):
        selection_of("datasets.subsamples['DY']", {"x": 4})
