from __future__ import annotations

from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
from coffea.processor import column_accumulator, value_accumulator

from lazyana.analysis.outputs.accumulators import added, agreeing, histograms_added
from lazyana.errors import InputError


def filled(
    labels: list[str], values: list[float], name: str = "cat", bins: int = 4, growth: bool = False
) -> hist.Hist[Any]:
    label: Any = hist.axis.StrCategory(labels, name=name, growth=growth)
    axis = hist.axis.Regular(bins, 0, 4, name="x", label="x [GeV]")
    one: hist.Hist[Any] = hist.Hist(label, axis, storage=hist.storage.Weight(), label="mine")
    for position in labels:
        one.fill(position, values, weight=2.0)
    return one


def test_nested() -> None:
    one: Any = {"a": {"n": 1, "s": np.float32(0.1)}, "files": ["x"], "names": {"p"}, "isMC": True}
    two: Any = {"a": {"n": 2, "s": np.float32(0.1), "m": 5}, "files": ["y"], "names": {"q"}}
    found = added(one, two)
    assert found["a"]["n"] == 3
    assert found["a"]["m"] == 5
    assert found["a"]["s"] == float(np.float32(0.1)) * 2
    assert isinstance(found["a"]["s"], float)
    assert found["files"] == ["x", "y"]
    assert found["names"] == {"p", "q"}
    assert found["isMC"] is True


def test_columns_are_joined() -> None:
    one = column_accumulator(np.array([1.0, 2.0]))
    assert added(one, column_accumulator(np.array([3.0]))).value.tolist() == [1, 2, 3]
    jagged = [ak.Array([[1], []]), ak.Array([[2, 3]])]
    assert added(*jagged).tolist() == [[1], [], [2, 3]]
    mine, its = (column_accumulator(array) for array in jagged)
    assert added(mine, its).value.tolist() == [[1], [], [2, 3]]
    with pytest.raises(InputError, match="c/pt has shape"):
        added(one, column_accumulator(np.zeros((2, 2))), ("c", "pt"))


def test_other_accumulators() -> None:
    one, two = value_accumulator(int, 2), value_accumulator(int, 3)
    assert added(one, two).value == 5


@pytest.mark.parametrize(
    ("one", "two"),
    [("2018", "2017"), (1, "1"), ({"a": 1}, 1), (True, False), (np.zeros(2), np.zeros(2))],
)
def test_what_cannot_be_added(one: Any, two: Any) -> None:
    with pytest.raises(InputError, match=r"^DY/year cannot be added"):
        added({"year": one}, {"year": two}, ("DY",))


def test_descriptions_are_not_added_up() -> None:
    one = {"DY": {"xsec": 6000.0, "year": "2018"}, "periods": ["DY"], "sets": {"a"}}
    two = {"DY": {"xsec": 6000.0, "year": "2018"}, "TT": {}, "periods": ["TT"], "sets": {"b"}}
    assert agreeing(one, two) == {
        "DY": {"xsec": 6000.0, "year": "2018"},
        "TT": {},
        "periods": ["DY", "TT"],
        "sets": {"a", "b"},
    }
    with pytest.raises(InputError, match="DY/xsec is 6000"):
        agreeing(one, {"DY": {"xsec": 1.0}})


def test_equal_axes() -> None:
    one, two = filled(["a", "b"], [1.5]), filled(["a", "b"], [1.5, 2.5])
    found = histograms_added(one, two, ())
    assert found[{"cat": "a"}].values().tolist() == [0, 4, 2, 0]
    assert found[{"cat": "b"}].variances().tolist() == [0, 8, 4, 0]


@pytest.mark.parametrize("growth", [False, True])
def test_labels_are_united(growth: bool) -> None:
    one = filled(["a", "b"], [1.5, 9.0], name="dataset", growth=growth)
    two = filled(["b", "c"], [2.5, -1.0], name="dataset", growth=growth)
    found = histograms_added(one, two, ())
    assert list(found.axes["dataset"]) == ["a", "b", "c"]
    assert found.label == "mine"
    for label, expected in {"a": [0, 0, 2, 0, 0, 2], "c": [2, 0, 0, 2, 0, 0]}.items():
        assert found[{"dataset": label}].values(flow=True).tolist() == expected
    assert found[{"dataset": "b"}].values(flow=True).tolist() == [2, 0, 2, 2, 0, 2]
    assert found.sum(flow=True).value == one.sum(flow=True).value + two.sum(flow=True).value


@pytest.mark.parametrize("storage", ["double", "weight", "int64"])
def test_axes_that_grew_cover_both(storage: str) -> None:
    made, whole = [], hist.Hist(hist.axis.Regular(5, -1, 4, name="x"), storage=storage)
    for start, stop, values in ((-1, 2, [-0.5, 1.5, 99]), (0, 4, [0.5, 3.5, -99])):
        axis = hist.axis.Regular(stop - start, start, stop, name="x", growth=True)
        one: hist.Hist[Any] = hist.Hist(axis, storage=storage)
        flow = one.view(flow=True)
        for value in values:
            whole.fill(value)
            place = int(np.clip(value - start, -1, stop - start)) + 1 if value > start else 0
            if storage == "weight":
                flow["value"][place] += 1
                flow["variance"][place] += 1
            else:
                flow[place] += 1
        made.append(one)
    found = histograms_added(*made, ())
    assert found.axes["x"].edges.tolist() == [-1, 0, 1, 2, 3, 4]
    assert found.axes["x"].traits.growth
    assert found.values(flow=True).tolist() == whole.values(flow=True).tolist()
    other: hist.Hist[Any] = hist.Hist(hist.axis.Regular(2, 0, 1, name="x", growth=True))
    with pytest.raises(InputError, match=r"'x' of histogram mll is .* in one output and"):
        histograms_added(hist.Hist(*made[0].axes), other, ("mll",))


def test_numbers_as_labels_and_plain_storage() -> None:
    made = []
    for labels in ([0, 4], [5, 4]):
        one: hist.Hist[Any] = hist.Hist(hist.axis.IntCategory(labels, name="flav"))
        one.fill([*labels, 77])
        made.append(one)
    found = histograms_added(*made, ())
    assert list(found.axes["flav"]) == [0, 4, 5]
    assert found.values(flow=True).tolist() == [1, 2, 1, 2]


def test_axes_that_differ_are_refused_with_their_place() -> None:
    place = ("variables", "mll", "DY")
    with pytest.raises(InputError, match="variables/mll/DY has b, c in one output only"):
        histograms_added(filled(["a", "b"], []), filled(["a", "c"], []), place)
    with pytest.raises(InputError, match="Axis 'x' of histogram variables/mll/DY is Regular"):
        histograms_added(filled(["a"], []), filled(["a"], [], bins=5), place)
    plain: hist.Hist[Any] = hist.Hist(*filled(["a"], []).axes)
    with pytest.raises(InputError, match="Weight storage in one output and"):
        histograms_added(filled(["a"], []), plain, place)


def test_means_with_other_labels_are_refused() -> None:
    made = [
        hist.Hist(hist.axis.StrCategory([label], name="s"), storage=hist.storage.Mean())
        for label in "ab"
    ]
    with pytest.raises(InputError, match="Mean storage"):
        histograms_added(*made, ("h",))
