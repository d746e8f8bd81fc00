"""Outputs of a frame, bin by bin against `hist` and plain awkward on the same events."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import awkward as ak
import dask_awkward as dak
import hist
import numpy as np
import pyarrow.dataset
import pytest

import lazyana as la
from lazyana.errors import ColumnError, FrameMismatchError, InputError, InputTypeError

DY, TT = "DYJetsToLL", "TTTo2L2Nu"
regular = hist.axis.Regular


@pytest.fixture(scope="module")
def selected(mc: la.Events) -> la.Events:
    """Events with jets; a varied weight, a varied column and categories."""
    frame = mc.weight("gen", mc.genWeight)
    frame = frame.weight("pu", frame.PV.npvs / 30, up=frame.PV.npvs / 25, down=1.0)
    frame = frame.vary("jes", {"Jet.pt": {"up": mc.Jet.pt * 1.1, "down": mc.Jet.pt * 0.9}})
    frame = frame.filter(jet=lambda e: ak.any(e.Jet.pt > 30, axis=1))
    return frame.categories(
        {"two": lambda e: ak.sum(e.Jet.pt > 30, axis=1) >= 2, "met": frame.MET.pt > 30}
    )


JES = {"nominal": 1.0, "jesUp": 1.1, "jesDown": 0.9}
PU: dict[str, Callable[[Any], Any]] = {
    "nominal": lambda e: e.PV.npvs / 30,
    "puUp": lambda e: e.PV.npvs / 25,
    "puDown": lambda e: ak.ones_like(e.PV.npvs, dtype=np.float64),
}
WORLDS = [(label, f, "nominal") for label, f in JES.items()] + [
    (label, 1.0, label) for label in ("puUp", "puDown")
]


def plainly(e: Any, factor: float, pu: str, category: str | None) -> tuple[Any, Any]:
    """The events of a category with their jets as varied, and their weights."""
    pt = e.Jet.pt * factor
    mask = ak.any(pt > 30, axis=1)
    if category == "two":
        mask = mask & (ak.sum(pt > 30, axis=1) >= 2)
    elif category == "met":
        mask = mask & (e.MET.pt > 30)
    weight = ak.values_astype(e.genWeight, np.float64) * PU[pu](e)
    return ak.with_field(e, ak.with_field(e.Jet, pt, "pt"), "Jet")[mask], weight[mask]


VARIABLES: dict[str, tuple[tuple[Any, ...], dict[str, Callable[[Any], Any]]]] = {
    "per event": ((regular(10, 0, 100, name="x"),), {"x": lambda e: e.MET.pt}),
    "per object": ((regular(10, 30, 130, name="x"),), {"x": lambda e: e.Jet.pt}),
    "with None": ((regular(10, 0, 50, name="x"),), {"x": lambda e: ak.firsts(e.Electron.pt)}),
    "2-D": (
        (regular(5, 0, 100, name="x"), hist.axis.Integer(0, 6, name="y")),
        {"x": lambda e: e.MET.pt, "y": lambda e: ak.num(e.Jet)},
    ),
    "2-D per object": (
        (hist.axis.Variable([20, 30, 60, 200], name="x"), regular(4, -2, 2, name="y")),
        {"x": lambda e: e.Jet.pt, "y": lambda e: e.Jet.eta},
    ),
    "3-D of objects and events": (
        (regular(3, 0, 90, name="x"), hist.axis.Boolean(name="y"), regular(2, -3, 3, name="z")),
        {"x": lambda e: e.MET.pt, "y": lambda e: e.HLT.IsoMu24, "z": lambda e: e.Jet.eta},
    ),
}


@pytest.fixture(scope="module")
def booked(selected: la.Events, run: Any) -> la.Result:
    return run(
        {name: selected.hist(*axes, **columns) for name, (axes, columns) in VARIABLES.items()}
    )


@pytest.mark.parametrize("name", VARIABLES)
def test_histogram_is_that_of_plain_awkward(
    booked: la.Result, plain: Any, filled: Any, name: str
) -> None:
    axes, columns = VARIABLES[name]
    found = booked[name]
    assert list(found.axes["dataset"]) == [DY, TT]
    assert list(found.axes["category"]) == ["met", "two"]
    assert list(found.axes["variation"]) == ["nominal", "jesDown", "jesUp", "puDown", "puUp"]
    for dataset in (DY, TT):
        for category in ("met", "two"):
            for label, factor, pu in WORLDS:

                def part(e: Any, i: int, f: Any = factor, pu: Any = pu, c: Any = category) -> Any:
                    events, weight = plainly(e, f, pu, c)
                    return [*(column(events) for column in columns.values()), weight][i]

                every = [plain(lambda e, i=i: part(e, i), dataset) for i in range(len(axes) + 1)]
                expected = filled(*axes, values=every[:-1], weight=every[-1])
                mine = found[{"dataset": dataset, "category": category, "variation": label}]
                for of in ("values", "variances"):
                    np.testing.assert_allclose(
                        getattr(mine, of)(flow=True), getattr(expected, of)(flow=True), rtol=1e-12
                    )
    assert found.sum(flow=True).value != 0


def test_default_column_has_the_name_of_the_axis(dy: la.Events, run: Any) -> None:
    frame = dy.define(met=dy.MET.pt)
    axis = regular(10, 0, 100, name="met")
    found = run([frame.hist(axis), frame.hist(axis, met=dy.MET.pt)])
    assert found[0] == found[1]
    assert found[0].sum(flow=True).value == 600


def test_unweighted_histogram_counts(selected: la.Events, plain: Any, run: Any) -> None:
    axis = regular(10, 0, 100, name="x")
    found = run(selected.hist(axis, x=lambda e: e.MET.pt, weighted=False, label="MET")).value
    assert found.label == "MET"
    assert list(found.axes["variation"]) == ["nominal", "jesDown", "jesUp"]
    for label, factor in JES.items():
        events = plain(lambda e, f=factor: plainly(e, f, "nominal", "two")[0].MET.pt, DY)
        mine = found[{"dataset": DY, "category": "two", "variation": label}]
        assert mine.sum(flow=True).value == mine.sum(flow=True).variance == len(events)


@pytest.mark.parametrize(
    ("keep", "categories", "variations"),
    ids=count(),
    argvalues=[
        ({"categories": ["two"]}, {"two"}, {"jesUp", "jesDown", "puUp", "puDown"}),
        ({"exclude_categories": ["two"]}, {"met"}, {"jesUp", "jesDown", "puUp", "puDown"}),
        ({"variations": False}, {"two", "met"}, set()),
        ({"variations": ["jes"]}, {"two", "met"}, {"jesUp", "jesDown"}),
        ({"variations": ["pu", "jesUp"]}, {"two", "met"}, {"puUp", "puDown", "jesUp"}),
        ({"variations": ["nominal", "puDown"]}, {"two", "met"}, {"puDown"}),
        ({"exclude_variations": ["jes", "puUp"]}, {"two", "met"}, {"puDown"}),
        ({"exclude_variations": (x for x in ["jes", "pu"])}, {"two", "met"}, set()),
        ({"categories": (x for x in ["met"]), "variations": ()}, {"met"}, set()),
    ],
)
def test_outputs_keep_what_is_asked_for(
    selected: la.Events,
    run: Any,
    booked: la.Result,
    keep: dict[str, Any],
    categories: set[str],
    variations: set[str],
) -> None:
    keep = {key: tuple(x) if hasattr(x, "__next__") else x for key, x in keep.items()}
    result = run(
        {
            "hist": selected.hist(regular(10, 0, 100, name="x"), x=lambda e: e.MET.pt, **keep),
            "columns": selected.columns({"x": lambda e: e.MET.pt}, **keep),
        }
    )
    found, whole = result["hist"], booked["per event"]
    assert set(found.axes["category"]) == categories
    assert set(found.axes["variation"]) == {"nominal", *variations}
    for where in [{"category": c, "variation": v} for c in categories for v in found.axes[2]]:
        assert found[where] == whole[where]
    table = result["columns"].to_awkward(DY)
    flags = {name.removeprefix("category_") for name in table.fields if "category_" in name}
    weights = {name.removeprefix("weight_") for name in table.fields if "weight_" in name}
    assert flags == categories
    assert weights == {v for v in variations if v.startswith("pu")}
    assert set(result["columns"].variations(DY)) == {"nominal", *variations} - weights


@pytest.mark.parametrize(
    ("book", "error", "words"),
    ids=count(),
    argvalues=[
        (lambda e: e.hist(), InputError, "at least one"),
        (lambda e: e.hist([regular(1, 0, 1)]), InputTypeError, "Axis 0 is a list"),
        (lambda e: e.hist(regular(1, 0, 1)), InputError, "has no name"),
        (lambda e: e.hist(regular(1, 0, 1, name="label")), InputError, "'label'.*option"),
        (lambda e: e.hist(regular(1, 0, 1, name="dataset")), InputError, "dataset"),
        (lambda e: e.hist(regular(1, 0, 1, name="x")), ColumnError, "'x' has no column.*x=column"),
        (
            lambda e: e.hist(regular(1, 0, 1, name="mll"), mlll=e.MET.pt),
            InputError,
            "'mlll'.*Did you mean 'mll'",
        ),
        (lambda e: e.hist(regular(1, 0, 1, name="x"), x=e.Jet), InputTypeError, "'x'.*record"),
        (lambda e: e.hist(regular(1, 0, 1, name="x"), x=3), InputTypeError, "'x'.*int"),
        (lambda e: e.hist(regular(1, 0, 1, name="x"), x=np.ones(2)), InputTypeError, "ndarray"),
        (
            lambda e: e.filter(c=e.MET.pt > 9).hist(regular(1, 0, 1, name="x"), x=e.MET.pt),
            FrameMismatchError,
            "'x'.*after filter 'jet'.*after filter 'c'",
        ),
        (
            lambda e: e.hist(regular(1, 0, 1, name="x"), x=e.MET.pt, categories=["tow"]),
            InputError,
            "no category 'tow'.*'two'.*met",
        ),
        (
            lambda e: e.hist(regular(1, 0, 1, name="x"), x=e.MET.pt, categories="two"),
            InputTypeError,
            "category.*'two'.*list",
        ),
        (
            lambda e: e.hist(regular(1, 0, 1, name="x"), x=e.MET.pt, categories=[]),
            InputError,
            "No category is left.*two, met",
        ),
        (
            lambda e: e.columns({"x": e.MET.pt}, exclude_categories=["two", "met"]),
            InputError,
            "No category is left",
        ),
        (
            lambda e: e.hist(regular(1, 0, 1, name="x"), x=e.MET.pt, variations=["jec"]),
            InputError,
            "no variation 'jec'.*'jes'",
        ),
        (
            lambda e: e.columns({"x": e.MET.pt}, exclude_variations=["jesUpp"]),
            InputError,
            "no variation 'jesUpp'.*'jesUp'",
        ),
        (lambda e: e.columns(None), InputTypeError, "mapping"),
        (lambda e: e.columns("path"), InputTypeError, "mapping"),
        (lambda e: e.columns("path", {}), InputTypeError, "mapping"),
        (lambda e: e.columns(3, {"x": e.MET.pt}), InputTypeError, "path.*int"),
        (lambda e: e.columns({"x": 3}), InputTypeError, "'x'.*int"),
        (lambda e: e.columns({"weight": e.MET.pt}), InputError, "'weight'"),
        (lambda e: e.columns({"x": e.MET.pt}, flaten=1), InputTypeError, "'flaten'.*'flatten'"),
        (lambda e: e.columns({"x": e.MET.pt}, compression="zip"), InputError, "'zip'"),
        (lambda e: e.columns({"x": e.MET.pt}, units={"y": "GeV"}), InputError, "'y'"),
        (lambda e: e.columns({"x": e.MET.pt}, flatten=True), InputError, "flatten"),
        (lambda e: e.sum(e.Jet), InputTypeError, "record"),
        (lambda e: e.sum(3), InputTypeError, "int"),
        (lambda e: e.head(0), InputError, "at least 1"),
        (lambda e: e.head("x"), InputTypeError, "'x'"),
        (lambda e: e.head(2, {}), InputError, "none is"),
        (lambda e: e.categories({"jet": e.MET.pt > 3}).cutflow(), InputError, "'jet'.*a cut"),
    ],
)
def test_booking_refuses(
    selected: la.Events, book: Callable[[Any], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=f"(?s){words}"):
        book(selected)


def test_frame_without_variations_may_be_asked_for_less(dy: la.Events, run: Any) -> None:
    axis = regular(1, 0, 1e6, name="x")
    found = run(dy.hist(axis, x=dy.MET.pt, variations=["jes"], exclude_variations=["pu"])).value
    assert list(found.axes["variation"]) == ["nominal"]
    assert found.sum(flow=True).value == 600


# -- columns ---------------------------------------------------------------------------------


def test_columns_in_memory_and_in_parquet(
    selected: la.Events, plain: Any, run: Any, tmp_path: Path
) -> None:
    columns = {"jets": lambda e: e.Jet[["pt", "eta"]], "met": lambda e: e.MET.pt}
    result = run(
        {
            "memory": selected.columns(columns),
            "disk": selected.columns(tmp_path / "out", columns, units={"met": "GeV"}),
        }
    )
    for label, factor, pu in WORLDS[:3]:
        events = plain(lambda e, f=factor, pu=pu: plainly(e, f, pu, None)[0].Jet.pt, DY)
        weight = plain(lambda e, f=factor, pu=pu: plainly(e, f, pu, None)[1], DY)
        met = plain(lambda e, f=factor, pu=pu: plainly(e, f, pu, None)[0].MET.pt, DY)
        for kept in (result["memory"], result["disk"]):
            table = kept.to_awkward(DY, label)
            assert ak.array_equal(table.jets_pt, events, dtype_exact=False, check_parameters=False)
            assert ak.array_equal(table.met, met, check_parameters=False)
            np.testing.assert_allclose(table.weight, weight, rtol=1e-12)
    nominal = result["disk"].to_awkward(DY)
    up = plain(lambda e: plainly(e, 1.0, "puUp", None)[1], DY)
    np.testing.assert_allclose(nominal.weight_puUp, up, rtol=1e-12)
    two = plain(lambda e: ak.sum(plainly(e, 1.0, "puUp", None)[0].Jet.pt > 30, axis=1) >= 2, DY)
    assert ak.array_equal(nominal.category_two, two)
    files = [str(f) for f in (tmp_path / "out").glob(f"dataset={DY}/variation=nominal/*.parquet")]
    assert pyarrow.dataset.dataset(files).count_rows() == len(nominal)
    assert len(ak.from_parquet(files)) == len(nominal)


def test_columns_flattened_to_objects(dy: la.Events, plain: Any, run: Any) -> None:
    frame = dy.filter(met=dy.MET.pt > 20)
    table = run(
        frame.columns({"pt": frame.Jet.pt, "met": frame.MET.pt}, flatten=True)
    ).value.to_awkward(DY)
    expected = plain(lambda e: ak.flatten(e.Jet.pt[e.MET.pt > 20]), DY)
    assert ak.array_equal(table.pt, expected, check_parameters=False)
    met = plain(lambda e: ak.flatten(ak.broadcast_arrays(e.MET.pt, e.Jet.pt)[0][e.MET.pt > 20]), DY)
    assert ak.array_equal(table.met, met, check_parameters=False)


# -- cutflow and sums ------------------------------------------------------------------------


def test_cutflow_counts_and_weighs_with_the_weights_known_by_then(
    dy: la.Events, plain: Any, run: Any
) -> None:
    frame = dy.vary("jes", {"Jet.pt": {"up": dy.Jet.pt * 1.3}})
    frame = frame.weight("gen", frame.genWeight)
    frame = frame.filter(jet=lambda e: ak.any(e.Jet.pt > 40, axis=1))
    frame = frame.weight("pu", frame.PV.npvs / 30, up=frame.PV.npvs / 25)
    frame = frame.filter(met=frame.MET.pt > 15)
    frame = frame.weight("sf", 0.5, up=0.6)
    frame = frame.categories({"two": lambda e: ak.sum(e.Jet.pt > 40, axis=1) >= 2})
    flow = run(frame.cutflow()).value
    assert flow.stages == ("all events", "jet", "met", "two")
    assert flow.variations == ("nominal", "jesUp", "puUp", "sfUp")

    def at(stage: str, variation: str) -> Any:
        def weights(e: Any) -> Any:
            pt = e.Jet.pt * (1.3 if variation == "jesUp" else 1)
            passed = {
                "all events": ak.ones_like(e.MET.pt, dtype=bool),
                "jet": ak.any(pt > 40, axis=1),
                "met": ak.any(pt > 40, axis=1) & (e.MET.pt > 15),
                "two": (ak.sum(pt > 40, axis=1) >= 2) & (e.MET.pt > 15),
            }[stage]
            weight = ak.values_astype(e.genWeight, np.float64)
            if stage != "all events":
                weight = weight * e.PV.npvs / (25 if variation == "puUp" else 30)
            if stage in ("met", "two"):
                weight = weight * (0.6 if variation == "sfUp" else 0.5)
            return weight[passed]

        return ak.to_numpy(plain(weights, DY))

    for stage in flow.stages:
        for variation in flow.variations:
            weights = at(stage, variation)
            assert flow.count(stage, DY, variation) == len(weights)
            assert flow.yield_(stage, DY, variation) == pytest.approx(weights.sum(), rel=1e-12)
            where = (0, flow.variations.index(variation), flow.stages.index(stage))
            assert flow.sumw2[where] == pytest.approx((weights**2).sum(), rel=1e-12)
    assert flow.count("jet", DY, "jesUp") > flow.count("jet", DY)


def test_cutflow_without_weights_counts(dy: la.Events, plain: Any, run: Any) -> None:
    flow = run(dy.filter(met=dy.MET.pt > 15).cutflow()).value
    passed = int(ak.sum(plain(lambda e: e.MET.pt > 15, DY)))
    assert flow.counts.tolist() == flow.sumw.tolist() == [[[600, passed]]]


def test_sums(selected: la.Events, plain: Any, run: Any) -> None:
    found = run(
        {
            "weight": selected.sum(),
            "count": selected.sum(weighted=False),
            "pt": selected.sum(selected.Jet.pt),
            "weighted": selected.sum(lambda e: ak.firsts(e.Electron.pt), weighted=True),
            "passed": selected.sum(selected.HLT.IsoMu24),
        }
    )
    for label, factor, pu in WORLDS:

        def total(of: Callable[[Any, Any], Any], f: Any = factor, pu: Any = pu) -> float:
            return float(ak.sum(plain(lambda e: of(*plainly(e, f, pu, None)), DY), axis=None))

        def doubles(values: Any) -> Any:
            return ak.values_astype(values, np.float64)

        expected = {
            "weight": total(lambda e, w: w),
            "count": total(lambda e, w: ak.ones_like(w)),
            "pt": total(lambda e, w: doubles(ak.flatten(e.Jet.pt))),
            "weighted": total(lambda e, w: doubles(ak.firsts(e.Electron.pt)) * w),
            "passed": total(lambda e, w: e.HLT.IsoMu24),
        }
        for name, number in expected.items():
            assert found[name][DY][label] == pytest.approx(number, rel=1e-12), (name, label)


# -- looking ---------------------------------------------------------------------------------


def test_head_shows_the_first_events(dy: la.Events, plain: Any) -> None:
    frame = dy.define(lead=ak.firsts(dy.Jet)).filter(met=dy.MET.pt > 30)
    shown = frame.head(4)
    first = plain.events[DY][0]
    expected = first[first.MET.pt > 30][:4]
    assert shown.event.to_list() == expected.event.to_list()
    assert shown.lead.pt.to_list() == ak.firsts(expected.Jet.pt).to_list()
    assert shown.Muon.matched_gen.pdgId.to_list() == expected.Muon.matched_gen.pdgId.to_list()
    columns = frame.head(3, {"met": frame.MET.pt, "n": lambda e: ak.num(e.Jet)})
    assert columns.to_list() == [
        {"met": met, "n": n}
        for met, n in zip(expected.MET.pt[:3], ak.num(expected.Jet)[:3], strict=True)
    ]


def test_dask_awkward_collection_is_pruned_and_equal(dy: la.Events, plain: Any) -> None:
    frame = dy.define(lead=ak.firsts(dy.Jet.pt)).filter(met=dy.MET.pt > 30)
    events = frame.to_dask_awkward(partition_size=100)
    assert events.npartitions == 6
    expected = plain(lambda e: ak.firsts(e.Jet.pt)[e.MET.pt > 30] + e.MET.pt[e.MET.pt > 30], DY)
    column = events.lead + events.MET.pt
    (needed,) = dak.necessary_columns(column).values()
    assert needed == {"nJet", "Jet_pt", "MET_pt"}
    assert ak.array_equal(column.compute(scheduler="sync"), expected)
    # Small files are put together.
    assert frame.to_dask_awkward().npartitions == 1
