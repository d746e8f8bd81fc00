from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest

import lazyana as la
from lazyana.analysis.axes import Axis, distinct_names, known_metadata
from lazyana.analysis.histograms import HistConf
from lazyana.errors import ColumnError, InputError, InputTypeError

REGULAR = {"bins": 4, "start": 0, "stop": 8}


@pytest.fixture(scope="module")
def mc(toy_files: dict[str, Any]) -> la.Events:
    fileset = {name: dict(toy_files[name]) for name in ("DYJetsToLL", "TTTo2L2Nu")}
    for name, era in (("DYJetsToLL", "B"), ("TTTo2L2Nu", "A")):
        fileset[name]["metadata"] = {**fileset[name]["metadata"], "era": era, "part": "0"}
    return la.open(fileset)


def record(**columns: Any) -> ak.Array:
    return ak.Array({name: ak.Array(values) for name, values in columns.items()})


# -- axes of hist --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (
            Axis("pt", "$p_T$", 4, 0, 8, coll="Jet"),
            hist.axis.Regular(4, 0, 8, name="Jet.pt", label="$p_T$"),
        ),
        (
            Axis("x", name="y", underflow=False, overflow=False, **REGULAR),
            hist.axis.Regular(4, 0, 8, name="y", label="y", underflow=False, overflow=False),
        ),
        (
            Axis("x", name="y", bins=4, start=1, stop=8, transform="log"),
            hist.axis.Regular(4, 1, 8, name="y", label="y", transform=hist.axis.transform.log),
        ),
        (
            Axis("x", name="y", transform=hist.axis.transform.Pow(2), **REGULAR),
            hist.axis.Regular(4, 0, 8, name="y", label="y", transform=hist.axis.transform.Pow(2)),
        ),
        (
            Axis("x", name="y", bins=[0, 1, 5], overflow=False),
            hist.axis.Variable([0, 1, 5], name="y", label="y", overflow=False),
        ),
        (
            Axis("x", name="y", bins=np.array([0.0, 1.0, 5.0]), type="variable"),
            hist.axis.Variable([0, 1, 5], name="y", label="y"),
        ),
        (
            Axis("x", name="y", type="integer", start=-1, stop=3, underflow=False),
            hist.axis.Integer(-1, 3, name="y", label="y", underflow=False),
        ),
        (
            Axis("x", name="y", type="int", bins=5, start=2),
            hist.axis.Integer(2, 7, name="y", label="y"),
        ),
        (
            Axis("x", name="y", type="intcat", bins=[11, 13], overflow=False),
            hist.axis.IntCategory([11, 13], name="y", label="y", overflow=False),
        ),
        (
            Axis("x", name="y", type="strcat", bins=["a", "b"]),
            hist.axis.StrCategory(["a", "b"], name="y", label="y"),
        ),
    ],
)
def test_axis_of_hist(axis: Axis, expected: Any) -> None:
    made = axis.axis()
    assert made == expected
    assert (made.name, made.label, made.traits) == (expected.name, expected.label, expected.traits)
    assert pickle.loads(pickle.dumps(axis)) == axis


def test_range_of_plots_is_an_attribute() -> None:
    assert Axis("x", lim=(1, 5), **REGULAR).axis().lim == [1, 5]
    assert not hasattr(Axis("x", **REGULAR).axis(), "lim")
    assert not hasattr(Axis("x", lim=None, **REGULAR).axis(), "lim")


def test_options_are_in_the_known_order() -> None:
    axis = Axis("pt", "l", 4, 0, 8, "Jet", "n", 1, "regular", "sqrt", (0, 5), True, True, False)
    assert axis.serialize() == {
        "field": "pt",
        "label": "l",
        "bins": 4,
        "start": 0,
        "stop": 8,
        "coll": "Jet",
        "name": "n",
        "pos": 1,
        "type": "regular",
        "transform": "sqrt",
        "lim": [0, 5],
        "underflow": True,
        "overflow": True,
        "growth": False,
    }
    assert Axis("x", bins=[1, 2]).serialize()["bins"] == [1, 2]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"bin": 4}, "Axis has no option 'bin'. Did you mean 'bins'"),
        ({"bins": 4}, "needs start, stop"),
        ({"bins": 4, "start": 5, "stop": 1}, "4 bins from 5 to 1"),
        ({"bins": [1, 1]}, "do not increase"),
        ({"bins": [1]}, "needs bins, the list of its edges"),
        ({"bins": "abc", "type": "strcat"}, "give a number, or a list"),
        ({"type": "regualr", **REGULAR}, "Did you mean 'regular'"),
        ({"type": "integer"}, "needs stop"),
        ({"type": "integer", "bins": [1, 2]}, "bins as a number"),
        ({"type": "integer", "start": 3, "stop": 3}, "no integers from 3 to 3"),
        ({"type": "intcat"}, "list of its categories"),
        ({"type": "intcat", "bins": ["a"]}, "category 'a': type 'intcat' is for integers"),
        ({"type": "strcat", "bins": [1]}, "category 1: type 'strcat' is for text"),
        ({"transform": "lgo", **REGULAR}, "Did you mean 'log'"),
        ({"transform": "log", **REGULAR}, "start above 0"),
        ({"transform": "sqrt", "bins": [1, 2]}, "transform is for regular axes"),
        ({"transform": "sqrt", "overflow": False, **REGULAR}, "both flow bins"),
        ({"transform": np.log, **REGULAR}, "a ufunc as transform"),
        ({"growth": True, "overflow": False, **REGULAR}, "leave underflow=False and overflow"),
        ({"growth": True, "transform": "sqrt", **REGULAR}, "both flow bins that do not grow"),
        ({"growth": True, "type": "integer"}, "needs stop"),
        ({"pos": -1, **REGULAR}, "positions are 0, 1, 2"),
        ({"pos": 0, "coll": "metadata", **REGULAR}, "leave pos out"),
        ({"coll": None, **REGULAR}, "give a name"),
        ({"lim": (1,), **REGULAR}, "give two numbers"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises((InputError, InputTypeError), match=match):
        Axis("x", **options)


# -- columns -------------------------------------------------------------------------------------


def test_one_object_of_each_event() -> None:
    events = record(Jet=[[{"pt": 1.0}, {"pt": 2.0}], [{"pt": 3.0}], []])
    for pos, expected in ((0, [1, 3, None]), (1, [2, None, None]), (5, [None] * 3)):
        axis = Axis("pt", coll="Jet", pos=pos, **REGULAR)
        assert axis.column(events, "x").to_list() == expected
    assert Axis("pt", coll="Jet", **REGULAR).column(events, "x").to_list() == [[1, 2], [3], []]
    with pytest.raises(InputError, match=r"h: events.x is one value an event: leave pos out"):
        Axis("x", pos=0, **REGULAR).column(record(x=[1]), "h")


def test_custom_columns() -> None:
    axis = Axis("mine", coll="custom", **REGULAR)
    assert axis.column(record(x=[1]), "h", {"mine": 5}) == 5
    with pytest.raises(ColumnError, match=r"h: no custom column 'mine' .* Did you mean 'min'"):
        axis.column(record(x=[1]), "h", {"min": 5})


def test_field_is_looked_for_in_collections_only() -> None:
    events = record(Jet=[[{"pt": 1.0}]], x=[1])
    there = {
        ("Jet", "pt"): True,
        ("Jet", "pt.x"): True,
        ("Jet", "score"): False,
        ("Jte", "pt"): True,  # refused when it is looked up
        ("events", "y"): True,
        ("metadata", "y"): True,
    }
    for (coll, field), exists in there.items():
        assert Axis(field, coll=coll, **REGULAR).exists(events) is exists


@pytest.mark.parametrize(
    ("options", "axis"),
    [
        (REGULAR, lambda **o: hist.axis.Regular(**REGULAR, **o)),
        ({"bins": [0, 1, 5]}, lambda **o: hist.axis.Variable([0, 1, 5], **o)),
        ({"type": "int", "start": 2, "stop": 5}, lambda **o: hist.axis.Integer(2, 5, **o)),
        ({"type": "intcat"}, lambda **o: hist.axis.IntCategory([], **o)),
        ({"type": "strcat", "bins": ["a"]}, lambda **o: hist.axis.StrCategory(["a"], **o)),
    ],
)
def test_axes_that_grow(options: dict[str, Any], axis: Callable[..., Any]) -> None:
    made = Axis("x", name="x", growth=True, **options).axis()
    assert made == axis(name="x", label="x", growth=True)
    assert made.traits.growth


def test_objects_at_several_positions_are_different_axes() -> None:
    first, second = (Axis("pt", coll="Jet", pos=pos, **REGULAR) for pos in (0, 1))
    met = Axis("pt", coll="MET", **REGULAR)
    assert [axis.title for axis in HistConf([first, second]).axes] == ["Jet.pt", "Jet.pt"]
    told_apart = distinct_names((first, second, met), "h")
    assert [axis.title for axis in told_apart] == ["Jet.pt.0", "Jet.pt.1", "MET.pt"]


# -- metadata ------------------------------------------------------------------------------------


def metadata(mc: la.Events, value: Callable[..., Any], field: str, **options: Any) -> set[Any]:
    axis = Axis(field, coll="metadata", **{"type": "strcat", "growth": True, **options})
    return set(value(mc, axis.column(mc, "h")).to_list())


def test_names_of_datasets(mc: la.Events, value: Callable[..., Any]) -> None:
    assert metadata(mc, value, "year") == {"2018"}
    assert metadata(mc, value, "era") == {"A", "B"}
    assert metadata(mc, value, "dataset") == {"DYJetsToLL", "TTTo2L2Nu"}
    column = Axis("era", coll="metadata", type="strcat", growth=True).column(mc, "h")
    by_dataset = value(mc, column).to_list()
    assert by_dataset == value(mc, mc.dataset.map({"DYJetsToLL": "B", "TTTo2L2Nu": "A"})).to_list()


def test_numbers_of_datasets(mc: la.Events, value: Callable[..., Any]) -> None:
    options = {"type": "regular", "growth": False, **REGULAR}
    assert metadata(mc, value, "year", **options) == {2018}
    assert metadata(mc, value, "part", **options) == {0}
    assert metadata(mc, value, "xsec", **options) == {6077.22, 88.29}
    with pytest.raises(InputTypeError, match=r"'era' is '[AB]', no number: use an axis"):
        metadata(mc, value, "era", **options)


def test_unknown_metadata(mc: la.Events, value: Callable[..., Any]) -> None:
    with pytest.raises(ColumnError, match=r"no metadata 'yaer'\. Did you mean 'year'"):
        metadata(mc, value, "yaer")


def test_categories_that_grow_are_those_of_the_whole_fileset(mc: la.Events) -> None:
    dy = la.Events(mc._group, mc._level, mc._state)
    assert list(Axis("era", coll="metadata", type="strcat", growth=True).axis(dy)) == ["A", "B"]
    grown = Axis("era", coll="metadata", type="strcat", growth=True, bins=["B", "C"]).axis(dy)
    assert list(grown) == ["B", "C", "A"]
    assert list(Axis("year", coll="metadata", type="intcat", growth=True).axis(dy)) == [2018]
    assert known_metadata(dy, "dataset", str) == ("DYJetsToLL", "TTTo2L2Nu")
