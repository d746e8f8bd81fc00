from __future__ import annotations

import dataclasses
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

import lazyana as la
from lazyana.analysis.columns import ObjectMask
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.errors import ColumnError, InputError, InputTypeError
from lazyana.frame.booking import Merged

JET_PT = Axis("pt", bins=20, start=0, stop=200, coll="Jet")
MET_PT = Axis("pt", bins=10, start=0, stop=100, coll="MET")
NJET = Axis("nJet", type="integer", stop=6)

Selected = Callable[[Any], Any]


def hard(events: Any) -> Any:
    return events.Jet.pt > 40


def central(events: Any) -> Any:
    return abs(events.Jet.eta) < 1.2


@pytest.fixture(scope="module")
def frame(toy_files: dict[str, Any]) -> la.Events:
    """Weighed and varied events with a category of events and two of jets."""
    frame = la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})
    frame = frame.vary("jes", {"Jet.pt": {"up": frame.Jet.pt * 1.1, "down": frame.Jet.pt * 0.9}})
    frame = frame.weight("gen", frame.genWeight, up=frame.genWeight * 2, down=frame.genWeight / 2)
    return frame.categories(
        {
            "all": lambda e: ak.num(e.Jet) >= 0,
            "hard": lambda e: ak.any(hard(e), axis=1),
            "central": lambda e: ak.any(central(e), axis=1),
        }
    )


@pytest.fixture(scope="module")
def masks(frame: la.Events) -> dict[str, ObjectMask]:
    return {
        "hard": ObjectMask("Jet", hard(frame)),
        "central": ObjectMask("Jet", central(frame)),
    }


@pytest.fixture(scope="module")
def plain(toy_files: dict[str, Any]) -> list[ak.Array]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            NanoEventsFactory.from_root(
                {str(path): "Events"}, schemaclass=NanoAODSchema, mode="virtual"
            ).events()
            for path in toy_files["DYJetsToLL"]["files"]
        ]


@pytest.fixture(scope="module")
def filled(plain: list[ak.Array]) -> Callable[..., hist.Hist[Any]]:
    """A histogram filled by hand, one loop over files."""

    def fill(axes: Any, columns: Callable[[Any], tuple[Any, ...]]) -> hist.Hist[Any]:
        made: hist.Hist[Any] = hist.Hist(*axes, storage=hist.storage.Weight())
        for events in plain:
            *values, weight = ak.broadcast_arrays(*columns(events), events.genWeight)
            flat = [ak.flatten(value, axis=None) for value in (*values, weight)]
            made.fill(*map(ak.to_numpy, flat[:-1]), weight=ak.to_numpy(flat[-1]))
        return made

    return fill


def same(one: Any, other: hist.Hist[Any]) -> None:
    assert other.sum(flow=True).value != 0
    np.testing.assert_allclose(one.values(flow=True), other.values(flow=True), rtol=1e-12)
    np.testing.assert_allclose(one.variances(flow=True), other.variances(flow=True), rtol=1e-12)


def part(value: hist.Hist[Any], category: str, variation: str = "nominal") -> Any:
    return value["DYJetsToLL", category, variation, ...]


# -- declaring -----------------------------------------------------------------------------------


def test_options_are_in_the_known_order() -> None:
    known = (
        *("axes", "storage", "autofill", "variations", "only_variations", "exclude_samples"),
        *("only_samples", "exclude_categories", "only_categories", "no_weights", "metadata_hist"),
    )
    names = [option.name for option in dataclasses.fields(HistConf)]
    assert tuple(names[: len(known)]) == known


def test_configuration_is_a_value() -> None:
    conf = HistConf([JET_PT], only_samples=["a"], collapse_2D_masks=True)
    assert conf == HistConf((JET_PT,), only_samples=("a",), collapse_2D_masks=True)
    assert pickle.loads(pickle.dumps(conf)) == conf
    assert HistConf(JET_PT).axes == (JET_PT,)
    plain = conf.serialize()
    assert plain["axes"] == [JET_PT.serialize()]
    assert plain["only_samples"] == ["a"]
    assert plain["collapse_2D_masks_mode"] == "OR"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"only_sample": ["a"]}, "HistConf has no option 'only_sample'. Did you mean 'only_sampl"),
        ({"only_samples": "a"}, "give a list of names"),
        ({"storage": "wieght"}, "histogram of Jet.pt is 'wieght'. Did you mean 'weight'"),
        ({"storage": "int64"}, "set no_weights=True"),
        ({"collapse_2D_masks_mode": "or"}, "Did you mean 'OR'"),
        ({"axes": []}, "at least one axis"),
        ({"axes": ["Jet.pt"]}, "not str"),
        ({"axes": [JET_PT, JET_PT]}, "more than one axis 'Jet.pt'"),
        ({"axes": [Axis("x", bins=[0, 1], name="category")]}, "give it another name"),
        ({"axes": [Axis("x", bins=[0, 1], name="weighted")]}, "give it another name"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises((InputError, InputTypeError), match=match):
        HistConf(**{"axes": [JET_PT], **options})


def test_samples() -> None:
    assert HistConf([JET_PT]).fills("TT")
    assert not HistConf([JET_PT], autofill=False).fills("TT")
    only = HistConf([JET_PT], only_samples=["TT", "DY__bb"])
    assert [only.fills(name) for name in ("TT", "TT__4b", "DY", "DY__bb")] == [1, 1, 0, 1]
    without = HistConf([JET_PT], exclude_samples=["TT", "DY__bb"])
    assert [without.fills(name) for name in ("TT", "TT__4b", "DY", "DY__bb")] == [0, 0, 1, 0]


def test_names_that_exist_nowhere() -> None:
    there = {"samples": ["TT"], "categories": ["SR"], "variations": ["pileup"]}
    HistConf([JET_PT], only_samples=["TT"], only_variations=["nominal"]).check("h", **there)
    HistConf([JET_PT], only_samples=["T"], exclude_categories=["S"]).check("h")
    for option, name, hint in (
        ("only_samples", "TTT", "'TT'"),
        ("exclude_samples", "TTT", "'TT'"),
        ("only_categories", "SRR", "'SR'"),
        ("exclude_categories", "SRR", "'SR'"),
        ("only_variations", "pielup", "'pileup'"),
        ("exclude_variations", "pielup", "'pileup'"),
    ):
        conf = HistConf([JET_PT], **{option: [name]})
        with pytest.raises(InputError, match=f"Histogram 'h': {option} .* Did you mean {hint}"):
            conf.check("h", **there)


# -- filling -------------------------------------------------------------------------------------


def test_all_categories_and_variations(
    frame: la.Events, run: Callable[..., Any], filled: Callable[..., Any]
) -> None:
    value = run(HistConf([JET_PT]).book(frame, name="pt")).value
    assert value.axes.name == ("dataset", "category", "variation", "Jet.pt")
    assert value.label == "pt"
    assert set(value.axes["variation"]) == {"nominal", "genUp", "genDown", "jesUp", "jesDown"}
    axis = JET_PT.axis()
    same(part(value, "all"), filled([axis], lambda e: (e.Jet.pt,)))
    same(part(value, "all", "jesUp"), filled([axis], lambda e: (e.Jet.pt * 1.1,)))
    chosen = filled([axis], lambda e: (ak.mask(e.Jet.pt, ak.any(hard(e), axis=1)),))
    same(part(value, "hard"), chosen)


def test_one_object(frame: la.Events, run: Callable[..., Any], plain: list[ak.Array]) -> None:
    """Events without it are not filled; axes of several positions have different names."""
    axes = [dataclasses.replace(JET_PT, pos=pos) for pos in (0, 1)]
    conf = HistConf([*axes, MET_PT], only_categories=["all"])
    value = run(conf.book(frame, name="h")).value
    assert value.axes.name[3:] == ("Jet.pt.0", "Jet.pt.1", "MET.pt")

    def columns(events: Any) -> Any:
        two = ak.num(events.Jet) >= 2
        jets = ak.pad_none(events.Jet.pt, 2)
        return tuple(x[two] for x in (jets[:, 0], jets[:, 1], events.MET.pt, events.genWeight))

    named = (axes[0].with_name("first"), axes[1].with_name("second"), MET_PT)
    expected = hist.Hist(*(axis.axis() for axis in named), storage=hist.storage.Weight())
    for events in plain:
        *values, weights = map(ak.to_numpy, columns(events))
        expected.fill(*values, weight=weights)
    same(part(value, "all"), expected)


def test_several_axes(
    frame: la.Events, run: Callable[..., Any], filled: Callable[..., Any]
) -> None:
    """Values of events are repeated for each object."""
    eta = Axis("eta", bins=4, start=-5, stop=5, coll="Jet")
    year = Axis("year", coll="metadata", type="strcat", growth=True)
    value = run(HistConf([JET_PT, eta, NJET]).book(frame, name="h", custom_axes=[year])).value
    assert value.axes.name[3:] == ("metadata.year", "Jet.pt", "Jet.eta", "events.nJet")
    axes = [axis.axis() for axis in (JET_PT, eta, NJET)]
    expected = filled(axes, lambda e: (e.Jet.pt, e.Jet.eta, ak.num(e.Jet)))
    same(value["DYJetsToLL", "all", "nominal", "2018", ...], expected)


@pytest.mark.parametrize(
    ("axis", "column"),
    [
        (Axis("pt", bins=4, start=20, stop=40, coll="Jet", growth=True), lambda e: e.Jet.pt),
        (Axis("nJet", type="int", start=1, stop=2, growth=True), lambda e: ak.num(e.Jet)),
        (Axis("charge", coll="Muon", type="intcat", growth=True), lambda e: e.Muon.charge),
    ],
)
def test_axes_that_grow(
    axis: Axis,
    column: Callable[..., Any],
    frame: la.Events,
    run: Callable[..., Any],
    filled: Callable[..., Any],
) -> None:
    value = run(HistConf([axis]).book(frame, name="h")).value
    got = part(value, "all")
    grown = got.axes[0]
    assert grown.extent > axis.axis().extent
    if axis.type == "intcat":
        assert list(grown) == [-1, 1]
        fixed: Any = hist.axis.IntCategory([-1, 1], overflow=False)
    elif axis.type == "integer":
        fixed = hist.axis.Integer(int(grown.edges[0]), int(grown.edges[-1]), flow=False)
    else:
        assert value[..., -1].sum().value or value[..., 0].sum().value  # no more than is needed
        fixed = hist.axis.Regular(grown.size, grown.edges[0], grown.edges[-1])
    same(got, filled([fixed], lambda e: (column(e),)))


def test_custom_column_and_weight(
    frame: la.Events, run: Callable[..., Any], plain: list[ak.Array]
) -> None:
    axis = Axis("mine", coll="custom", bins=10, start=0, stop=100)
    booked = HistConf([axis]).book(
        frame, name="h", custom={"mine": frame.MET.pt / 2}, custom_weight=frame.MET.pt
    )
    value = run(booked).value
    expected = hist.Hist(axis.axis(), storage=hist.storage.Weight())
    for events in plain:
        met, weight = ak.to_numpy(events.MET.pt), ak.to_numpy(events.genWeight)
        expected.fill(met / 2, weight=weight.astype(float) * met)
    same(part(value, "all"), expected)
    same(part(value, "all", "genUp"), 2 * expected)


def test_entries(frame: la.Events, run: Callable[..., Any], plain: list[ak.Array]) -> None:
    conf = HistConf([NJET], no_weights=True, storage="int64", variations=False)
    value = run(conf.book(frame, name="h")).value
    assert list(value.axes["variation"]) == ["nominal"]
    counts = part(conf.stored(value), "all")
    assert counts.storage_type is hist.storage.Int64
    numbers = np.concatenate([ak.to_numpy(ak.num(events.Jet)) for events in plain])
    np.testing.assert_array_equal(counts.values(), np.bincount(numbers, minlength=6)[:6])


def test_storages(frame: la.Events, run: Callable[..., Any]) -> None:
    value = run(HistConf([NJET]).book(frame, name="h")).value
    assert HistConf([NJET]).stored(value) is value
    for storage in ("double", hist.storage.Double()):
        stored = HistConf([NJET], storage=storage).stored(value)
        assert stored.storage_type is hist.storage.Double
        np.testing.assert_array_equal(stored.values(flow=True), value.values(flow=True))
        assert list(stored.axes) == list(value.axes)


# -- what is filled ------------------------------------------------------------------------------


def test_chosen_categories(frame: la.Events, run: Callable[..., Any]) -> None:
    def categories(conf: HistConf, **options: Any) -> list[str] | None:
        booked = conf.book(frame, name="h", **options)
        return None if booked is None else sorted(run(booked).value.axes["category"])

    assert categories(HistConf([NJET])) == ["all", "central", "hard"]
    assert categories(HistConf([NJET], only_categories=["hard"])) == ["hard"]
    assert categories(HistConf([NJET], exclude_categories=["hard"])) == ["all", "central"]
    # As in a configuration that has both, what is only to be filled comes first.
    both = HistConf([NJET], only_categories=["hard"], exclude_categories=["hard"])
    assert categories(both) == ["hard"]
    assert categories(HistConf([NJET]), categories=["all", "hard"]) == ["all", "hard"]
    assert categories(HistConf([NJET], only_categories=["hard"]), categories=["all"]) is None
    elsewhere = HistConf([NJET], only_categories=["SR", "all"])
    assert categories(elsewhere, known=["SR"]) == ["all"]
    with pytest.raises(InputError, match="Histogram 'h': only_categories names a category 'SR'"):
        categories(elsewhere)


def test_frame_without_categories(toy_files: dict[str, Any], run: Callable[..., Any]) -> None:
    frame = la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})
    value = run(HistConf([NJET], only_variations=["jes"]).book(frame, name="h")).value
    assert list(value.axes["category"]) == ["all"]


@pytest.mark.parametrize(
    ("conf", "options", "expected"),
    [
        ({}, {}, {"genUp", "genDown", "jesUp", "jesDown"}),
        ({"variations": False}, {}, set()),
        ({}, {"variations": False}, set()),
        ({}, {"variations": ["jesUp", "gen"]}, {"jesUp", "genUp", "genDown"}),
        ({"only_variations": ["jes"]}, {"variations": ["jesUp", "gen"]}, {"jesUp"}),
        ({"only_variations": ["nominal", "genUp"]}, {}, {"genUp"}),
        ({"only_variations": ["jets"]}, {"groups": {"jets": ["jesUp", "x"]}}, {"jesUp"}),
        ({"only_variations": ["x", "jes"]}, {"groups": {"jets": ["x"]}}, {"jesUp", "jesDown"}),
        # a calibrator that varies other samples only: its labels are not known here
        ({"only_variations": ["other", "jes"]}, {"groups": {"jets": []}}, {"jesUp", "jesDown"}),
        ({"only_variations": ["sf_aUp", "gen"]}, {"known": ["sf"]}, {"genUp", "genDown"}),
        ({"exclude_variations": ["jes"]}, {}, {"genUp", "genDown"}),
        ({"exclude_variations": ["jesUp", "gen"]}, {}, {"jesDown"}),
    ],
)
def test_chosen_variations(
    frame: la.Events, conf: dict[str, Any], options: dict[str, Any], expected: set[str]
) -> None:
    booked = HistConf([JET_PT], **conf).book(frame, name="h", **options)
    sink = booked.sink  # type: ignore[union-attr]
    assert {*sink.weight_variations, *sink.shape_variations} == expected


def test_groups_of_files(toy_files: dict[str, Any], run: Callable[..., Any]) -> None:
    """Data and simulation: axes that grow are the same, categories of objects are merged."""
    conf = HistConf([JET_PT, Axis("dataset", coll="metadata", type="strcat", growth=True)])

    def analysis(frame: la.Events) -> Any:
        frame = frame.categories({"all": ak.num(frame.Jet) >= 0, "hard": ak.any(hard(frame), 1)})
        masks = {"hard": ObjectMask("Jet", hard(frame))}
        return {"pt": conf.book(frame, name="pt", object_masks=masks)}

    names = ["DYJetsToLL", "SingleMuon"]
    value = run(la.apply(analysis, {name: toy_files[name] for name in names}))["pt"]
    assert list(value.axes["metadata.dataset"]) == names
    for name in names:
        for category in ("all", "hard"):
            by_value = value[name, category, "nominal", sum, :].values()
            assert (by_value > 0).tolist() == [name == one for one in names]
    assert value["SingleMuon", "hard", "nominal", :40j:sum, sum].value == 0


def test_unknown_variation(frame: la.Events) -> None:
    conf = HistConf([JET_PT], only_variations=["jse"])
    with pytest.raises(InputError, match=r"variation 'jse' .* Did you mean 'jes'"):
        conf.book(frame, name="h")


def test_not_filled(frame: la.Events) -> None:
    assert HistConf([NJET], only_samples=["TT"]).book(frame, name="h", sample="DY") is None
    assert HistConf([NJET], autofill=False).book(frame, name="h") is None
    missing = Axis("score", bins=[0, 1], coll="Jet")
    assert HistConf([missing], if_present=True).book(frame, name="h") is None
    with pytest.raises(ColumnError, match="'Jte'"):
        HistConf([dataclasses.replace(missing, coll="Jte")], if_present=True).book(frame, name="h")


@pytest.mark.parametrize(
    ("axes", "match"),
    [
        ([Axis("ptt", bins=[0, 1], coll="Jet")], "axis 'Jet.ptt'.* Did you mean 'pt'"),
        ([Axis("pt", bins=[0, 1], coll="JetGod")], "no 'JetGod' in the events. Did you mean 'Jet'"),
        ([Axis("Jet", bins=[0, 1])], "is a record"),
        ([Axis("pt", bins=[0, 1], coll="MET", pos=0)], "leave pos out"),
        ([Axis("pt", type="integer", stop=4, coll="MET")], "fractional"),
        ([JET_PT, Axis("pt", bins=[0, 1], coll="Muon")], "different collections, Jet, Muon"),
    ],
)
def test_what_cannot_be_filled(frame: la.Events, axes: list[Axis], match: str) -> None:
    with pytest.raises((ColumnError, InputError, InputTypeError), match=match) as caught:
        HistConf(axes).book(frame, name="mine")
    assert str(caught.value).startswith("Histogram 'mine': ")


# -- categories of objects -----------------------------------------------------------------------


def test_objects_of_a_category(
    frame: la.Events,
    masks: dict[str, ObjectMask],
    run: Callable[..., Any],
    filled: Callable[..., Any],
) -> None:
    booked = HistConf([JET_PT, NJET]).book(frame, name="h", object_masks=masks)
    assert isinstance(booked, Merged)
    value = run(booked).value
    assert list(value.axes["category"]) == ["all", "central", "hard"]
    axes = [JET_PT.axis(), NJET.axis()]
    same(part(value, "all"), filled(axes, lambda e: (e.Jet.pt, ak.num(e.Jet))))
    for name, mask in (("hard", hard), ("central", central)):
        expected = filled(axes, lambda e, mask=mask: (e.Jet.pt[mask(e)], ak.num(e.Jet)))
        same(part(value, name), expected)
    same(
        part(value, "hard", "jesUp"),
        filled(axes, lambda e: (e.Jet.pt[e.Jet.pt * 1.1 > 40] * 1.1, ak.num(e.Jet))),
    )
    same(part(value, "central", "genUp"), 2 * part(value, "central"))
    only = HistConf([JET_PT, NJET], only_categories=["hard"])
    alone = run(only.book(frame, name="h", object_masks=masks)).value
    assert list(alone.axes["category"]) == ["hard"]
    same(part(alone, "hard"), part(value, "hard"))


@pytest.mark.parametrize("mode", ["OR", "AND"])
def test_events_of_a_category_of_objects(
    frame: la.Events,
    masks: dict[str, ObjectMask],
    run: Callable[..., Any],
    plain: list[ak.Array],
    mode: str,
) -> None:
    conf = HistConf([MET_PT], collapse_2D_masks=True, collapse_2D_masks_mode=mode)
    value = run(conf.book(frame, name="h", object_masks=masks)).value
    for name, mask in (("hard", hard), ("central", central)):
        expected = hist.Hist(MET_PT.axis(), storage=hist.storage.Weight())
        for events in plain:
            keep = ak.any(mask(events), axis=1)
            if mode == "AND":
                keep = keep & ak.all(mask(events), axis=1)
            expected.fill(
                ak.to_numpy(events.MET.pt[keep]), weight=ak.to_numpy(events.genWeight[keep])
            )
        same(part(value, name), expected)


def test_objects_of_a_category_need_axes_of_objects(
    frame: la.Events, masks: dict[str, ObjectMask]
) -> None:
    for axis in (MET_PT, dataclasses.replace(JET_PT, pos=1)):
        with pytest.raises(InputError, match=r"'hard' selects objects of 'Jet'.*collapse"):
            HistConf([axis]).book(frame, name="h", object_masks=masks)
    muons = HistConf([Axis("pt", bins=[0, 50], coll="Muon")])
    with pytest.raises(InputError, match="histogram is of objects of 'Muon'"):
        muons.book(frame, name="h", object_masks=masks)
    without = dataclasses.replace(muons, exclude_categories=["hard", "central"])
    assert without.book(frame, name="h", object_masks=masks) is not None
