from __future__ import annotations

from typing import Any

import hist
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lazyana.errors import InputError
from lazyana.report.stack import poisson_errors, ratio, stack, variations

MC = {"Z": ["dy"], "Other": ["tt", "zz"]}


def one(h: hist.Hist[Any], dataset: str, variation: str = "nominal") -> Any:
    """Contents by hist's own indexing, flow bins left out."""
    return h[dataset, "signal", variation, :].values()


@given(seed=st.integers(0, 10**6), factors=st.lists(st.floats(0.1, 10), min_size=3, max_size=3))
def test_stack_is_the_sum_by_hand(histogram: Any, seed: int, factors: list[float]) -> None:
    h = histogram(hist.axis.Regular(5, 0, 1, name="x"), seed=seed)
    scale = dict(zip(("dy", "tt", "zz"), factors, strict=True))
    numbers = stack(h, data="data", mc=MC, category="signal", scale=scale)
    expected = {name: factor * one(h, name) for name, factor in scale.items()}
    variances = sum(f**2 * h[name, "signal", "nominal", :].variances() for name, f in scale.items())
    assert list(numbers.stack) == ["Z", "Other"]
    np.testing.assert_allclose(numbers.stack["Z"], expected["dy"])
    np.testing.assert_allclose(numbers.stack["Other"], expected["tt"] + expected["zz"])
    np.testing.assert_allclose(numbers.total, sum(expected.values()))
    np.testing.assert_allclose(numbers.stat**2, variances)
    assert numbers.data is not None
    np.testing.assert_array_equal(numbers.data[0], one(h, "data"))
    np.testing.assert_array_equal(numbers.data[1], one(h, "data"))


@given(seed=st.integers(0, 10**6))
def test_systematics_add_over_datasets_then_in_quadrature(histogram: Any, seed: int) -> None:
    h = histogram(hist.axis.Regular(5, 0, 1, name="x"), seed=seed)
    scale = {"dy": 0.5}
    numbers = stack(h, mc=MC, category="signal", scale=scale)
    up, down = np.zeros(5), np.zeros(5)
    for labels in (["jesUp", "jesDown"], ["muUp"], ["scale_0", "scale_1", "scale_2"]):
        shifts = [
            sum(scale.get(d, 1) * (one(h, d, v) - one(h, d)) for d in ("dy", "tt", "zz"))
            for v in labels
        ]
        up += np.max([*shifts, np.zeros(5)], axis=0) ** 2
        down += np.min([*shifts, np.zeros(5)], axis=0) ** 2
    np.testing.assert_allclose(numbers.syst_up**2, up, atol=1e-12)
    np.testing.assert_allclose(numbers.syst_down**2, down, atol=1e-12)
    total_up, total_down = numbers.uncertainty
    np.testing.assert_allclose(total_up**2, up + numbers.stat**2)
    np.testing.assert_allclose(total_down**2, down + numbers.stat**2)


def shifted(histogram: Any, **shifts: float) -> hist.Hist[Any]:
    """One dataset with content 100 and variations shifted by the numbers given."""
    h: hist.Hist[Any] = histogram(
        hist.axis.Regular(2, 0, 1, name="x"),
        datasets=("dy",),
        categories=("all",),
        variations=("nominal", *shifts),
    )
    for number, shift in enumerate((0.0, *shifts.values())):
        h.view(flow=True)["value"][0, 0, number] = 100 + shift
    return h


@pytest.mark.parametrize(
    ("shifts", "up", "down"),
    [
        ({"aUp": 3.0}, 3, 0),
        ({"aDown": -3.0}, 0, 3),
        ({"aUp": 3.0, "aDown": 1.0}, 3, 0),
        ({"aUp": -2.0, "aDown": 1.0}, 1, 2),
        ({"aUp": 3.0, "aDown": -3.0, "bUp": 4.0, "bDown": -1.0}, 5, np.sqrt(10)),
    ],
)
def test_one_sided_shifts_widen_one_side(
    histogram: Any, shifts: dict[str, float], up: float, down: float
) -> None:
    numbers = stack(shifted(histogram, **shifts), mc="dy")
    np.testing.assert_allclose(numbers.syst_up, up)
    np.testing.assert_allclose(numbers.syst_down, down)


def test_members_under_their_own_names_add_in_quadrature(histogram: Any) -> None:
    h = shifted(histogram, pdf_1=3.0, pdf_2=4.0)
    np.testing.assert_allclose(stack(h, mc="dy").syst_up, 4)
    members = stack(h, mc="dy", systematics={"pdf_1": "pdf_1", "pdf_2": "pdf_2"})
    np.testing.assert_allclose(members.syst_up, 5)


def test_dataset_without_the_variation_is_not_shifted(mass: hist.Hist[Any]) -> None:
    tt, up = mass.axes["dataset"].index("tt"), mass.axes["variation"].index("jesUp")
    for part in ("value", "variance"):
        mass.view(flow=True)[part][tt, :, up] = 0
    numbers = stack(mass, mc=["dy", "tt"], category="signal", systematics={"jes": ["jesUp"]})
    shift = one(mass, "dy", "jesUp") - one(mass, "dy")
    np.testing.assert_allclose(numbers.syst_up, np.maximum(shift, 0))
    np.testing.assert_allclose(numbers.syst_down, np.maximum(-shift, 0))


def test_no_systematics_asked_for(mass: hist.Hist[Any]) -> None:
    numbers = stack(mass, mc="dy", category="all", systematics=())
    assert numbers.systematics == {}
    np.testing.assert_array_equal(numbers.syst_up, 0)


def test_flow_is_added_to_the_edge_bins(mass: hist.Hist[Any]) -> None:
    full = mass["dy", "signal", "nominal", :].values(flow=True)
    outside = stack(mass, data="data", mc="dy", category="signal")
    added = stack(mass, data="data", mc="dy", category="signal", flow="add")
    np.testing.assert_allclose(outside.total, full[1:-1])
    np.testing.assert_allclose(added.total[[0, -1]], [full[:2].sum(), full[-2:].sum()])
    np.testing.assert_allclose(added.total[1:-1], full[2:-2])
    variances = mass["dy", "signal", "nominal", :].variances(flow=True)
    assert added.stat[0] == pytest.approx(np.sqrt(variances[:2].sum()))
    shift = mass["dy", "signal", "muUp", :].values(flow=True) - full
    assert added.systematics["mu"][0][-1] == pytest.approx(max(shift[-2:].sum(), 0))
    assert (outside.outside.mc_below, outside.outside.mc_above) == (full[0], full[-1])
    assert not outside.outside.added
    assert added.outside.added


def test_unnamed_categories_are_not_neighbours_of_the_last(histogram: Any) -> None:
    h = histogram(hist.axis.StrCategory(["ee", "mm"], name="channel"))
    numbers = stack(h, mc="dy", category="all", flow="add")
    np.testing.assert_array_equal(numbers.total, h["dy", "all", "nominal", :].values())
    assert not numbers.outside.added


def test_other_axes_are_summed_over(histogram: Any) -> None:
    h = histogram(hist.axis.Regular(2, 0, 1, name="x"), hist.axis.Regular(3, 0, 1, name="y"))
    expected = h["dy", "all", "nominal", :, :].values(flow=True).sum(axis=1)[1:-1]
    np.testing.assert_allclose(stack(h, mc="dy", category="all", axis="x").total, expected)


def test_simulation_or_data_alone(mass: hist.Hist[Any]) -> None:
    assert stack(mass, mc="dy", category="all").data is None
    alone = stack(mass, data="data", category="all")
    assert alone.stack == {}
    np.testing.assert_array_equal(alone.total, 0)


def test_ratio(mass: hist.Hist[Any]) -> None:
    mass.view(flow=True)["value"][1, 1, 0, 1] = 0  # nothing is expected in the first bin
    numbers = stack(mass, data="data", mc="dy", category="signal")
    result = ratio(numbers)
    assert np.isnan(result.values[0])
    assert np.isnan(result.band_up[0])
    expected, inside = one(mass, "dy")[1:], slice(1, None)
    np.testing.assert_allclose(result.values[inside], one(mass, "data")[1:] / expected)
    up, down = poisson_errors(one(mass, "data"), one(mass, "data"))
    np.testing.assert_allclose(result.up[inside], up[1:] / expected)
    np.testing.assert_allclose(result.down[inside], down[1:] / expected)
    np.testing.assert_allclose(result.band_up[inside], numbers.uncertainty[0][1:] / expected)


def test_ratio_needs_data(mass: hist.Hist[Any]) -> None:
    with pytest.raises(InputError, match=r"needs data"):
        ratio(stack(mass, mc="dy", category="all"))


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20))
def test_poisson_errors_are_garwood_intervals(numbers: list[int]) -> None:
    counts = np.array(numbers, dtype=float)
    up, down = poisson_errors(counts, counts)
    tail = scipy.stats.norm.sf(1)
    upper = scipy.stats.chi2.isf(tail, 2 * (counts + 1)) / 2
    lower = np.nan_to_num(scipy.stats.chi2.ppf(tail, 2 * counts) / 2)
    np.testing.assert_allclose(counts + up, upper, rtol=1e-9)
    np.testing.assert_allclose(counts - down, lower, rtol=1e-9, atol=1e-9)


def test_poisson_errors_of_weighted_and_negative_contents() -> None:
    up, down = poisson_errors(np.array([5.0, 0.0, -1.0]), np.array([2.5, 0.0, 4.0]))
    plain_up, plain_down = poisson_errors(np.array([10.0, 0.0]), np.array([10.0, 0.0]))
    np.testing.assert_allclose(up, [*(0.5 * plain_up), 2])
    np.testing.assert_allclose(down, [*(0.5 * plain_down), 2])


def test_poisson_errors_of_nothing() -> None:
    up, down = poisson_errors(np.zeros(2), np.zeros(2))
    np.testing.assert_allclose(up, 1.8410216)
    np.testing.assert_array_equal(down, 0)


def test_variations_by_hand(mass: hist.Hist[Any]) -> None:
    numbers = variations(mass, ["dy", "tt"], "signal", ["jes", "mu"], scale={"tt": 2})
    assert {name: list(shifts) for name, shifts in numbers.shifted.items()} == {
        "jes": ["jesDown", "jesUp"],
        "mu": ["muUp"],
    }
    expected = one(mass, "dy", "jesUp") + 2 * one(mass, "tt", "jesUp")
    np.testing.assert_allclose(numbers.shifted["jes"]["jesUp"], expected)
    np.testing.assert_allclose(numbers.nominal, one(mass, "dy") + 2 * one(mass, "tt"))


def test_variations_of_a_dataset_without_them(mass: hist.Hist[Any]) -> None:
    numbers = variations(mass, "data", "all", "jes")
    np.testing.assert_array_equal(numbers.shifted["jes"]["jesUp"], numbers.nominal)


def test_nothing_to_compare(histogram: Any) -> None:
    h = histogram(hist.axis.Regular(2, 0, 1, name="x"), variations=("nominal",))
    with pytest.raises(InputError, match=r"no variation but 'nominal'"):
        variations(h, "dy", "all")
    with pytest.raises(InputError, match=r"at least one dataset"):
        variations(h, (), "all")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "data= or mc= is needed; datasets: 'data', 'dy'"),
        ({"mc": "ttbar"}, "no dataset 'ttbar'"),
        ({"mc": {"a": ["dy"], "b": ["dy"]}}, "'dy' is asked for twice"),
        ({"mc": "dy", "data": "dy"}, "'dy' is asked for twice"),
        ({"mc": "dy", "category": "signl"}, "no category 'signl'. Did you mean 'signal'"),
        ({"mc": "dy", "category": None}, "category= is needed"),
        ({"mc": "dy", "scale": {"dyy": 1}}, "no dataset 'dyy'. Did you mean 'dy'"),
        ({"mc": "dy", "scale": {"dy": float("nan")}}, "scale of dataset 'dy' is nan"),
        ({"mc": "dy", "systematics": "jec"}, "no systematic 'jec'"),
        ({"mc": "dy", "axis": "pt"}, "no axis 'pt'"),
        ({"mc": "dy", "flow": "sum"}, "flow='sum' does not exist"),
    ],
)
def test_wrong_input(mass: hist.Hist[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        stack(mass, **{"category": "all", **options})
