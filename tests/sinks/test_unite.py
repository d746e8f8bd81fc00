from __future__ import annotations

from typing import Any

import hist
import numpy as np
import pytest

from lazyana.errors import InputError
from lazyana.sinks.base import Place
from lazyana.sinks.columns import Columns
from lazyana.sinks.cutflow import Stages
from lazyana.sinks.histogram import Histogram
from lazyana.sinks.sums import Sum
from lazyana.sinks.unite import Filled, check_same_kind, finish


def filled(sink: Any, dataset: str, *columns: Any) -> Filled:
    state = sink.fill(Place(dataset, 0, "nominal", "f.root", 0, 3), *columns)
    return Filled(sink, {(dataset, "nominal"): state}, (dataset,))


def histogram(variations: tuple[str, ...] = ()) -> Histogram:
    return Histogram((hist.axis.Regular(3, 0, 3, name="x"),), weight_variations=variations)


X = np.array([0.5, 1.5, 1.5])


def test_one_group() -> None:
    assert finish([filled(Sum(), "a", None, None)]) == {"a": {"nominal": 3.0}}


def test_sums_of_two_groups() -> None:
    parts = [filled(Sum(), "a", None, None), filled(Sum(), "b", None, None)]
    assert finish(parts) == {"a": {"nominal": 3.0}, "b": {"nominal": 3.0}}


def test_histograms_of_simulation_and_data() -> None:
    weights = np.array([[1.0, 2.0]] * 3)
    value = finish(
        [
            filled(histogram(("puUp",)), "mc", weights, None, X),
            filled(histogram(), "data", None, None, X),
        ]
    )
    assert list(value.axes["dataset"]) == ["data", "mc"]
    assert value["mc", "all", "puUp", :].values().tolist() == [2, 4, 0]
    assert value["data", "all", "nominal", :].values().tolist() == [1, 2, 0]


def test_cutflows_of_two_groups() -> None:
    sink = Stages(("cut",))
    mask = np.array([True, False, True])
    value = finish([filled(sink, name, None, mask, None, None) for name in ("b", "a")])
    assert value.datasets == ("a", "b")
    assert value.count("cut", "a") == value.count("cut", "b") == 2


def test_dataset_in_two_groups_is_added() -> None:
    weights = np.array([[1.0, 2.0]] * 3)
    parts = [
        filled(histogram(("puUp",)), "a", weights, None, X),
        filled(histogram(), "a", None, None, X),
    ]
    value = finish(parts)
    assert list(value.axes["dataset"]) == ["a"]
    assert value["a", "all", "nominal", :].values().tolist() == [2, 4, 0]
    # Where a group knows nothing of a variation, its events are as they are.
    assert value["a", "all", "puUp", :].values().tolist() == [3, 6, 0]
    assert value["a", "all", "puUp", :].variances().tolist() == [5, 10, 0]
    sums = [
        filled(Sum(weight_variations=("puUp",)), "a", weights, None),
        filled(Sum(), "a", None, X),
    ]
    for order in (sums, sums[::-1]):
        assert finish(order) == {"a": {"nominal": 6.5, "puUp": 9.5}}
    cutflow = Stages(("cut",))
    mask = np.array([True, False, True])
    both = finish([filled(cutflow, "a", None, mask, None, None)] * 2)
    assert both.count("cut", "a") == 4
    columns = Columns(("x",))
    table = finish([filled(columns, "a", None, None, X), filled(columns, "a", None, None, X * 2)])
    assert table.to_awkward("a").x.to_list() == [0.5, 1.5, 1.5, 1.0, 3.0, 3.0]


def test_different_kinds_are_refused() -> None:
    with pytest.raises(InputError, match=r"is a sum .* and a cutflow"):
        check_same_kind([Sum(), Stages(())])
    with pytest.raises(InputError, match=r"is a hist .* and a sum"):
        finish([filled(histogram(), "a", None, None, X), filled(Sum(), "b", None, None)])


def test_different_columns_are_refused() -> None:
    with pytest.raises(InputError, match="mll, pt"):
        check_same_kind([Columns(("pt", "n")), Columns(("mll", "n"))])
    check_same_kind([Columns(("pt", "n")), Columns(("n", "pt"))])
