from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hist
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.patches import StepPatch

from lazyana.errors import InputError
from lazyana.report.plots import (
    PlotStyle,
    StackData,
    plot_2d,
    plot_data_mc,
    plot_variations,
    stack,
    variations,
)
from lazyana.report.stack import poisson_errors, ratio

MC = {"Z": ["dy"], "Other": ["tt", "zz"]}


@pytest.fixture(autouse=True)
def _nothing_global_changes() -> Iterator[None]:
    """Settings and backend stay as they are, and pyplot hears of no figure."""
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def steps(axes: Any, label: str) -> Any:
    """The step function of a legend entry: values, edges, baseline."""
    (patch,) = [p for p in axes.patches if isinstance(p, StepPatch) and p.get_label() == label]
    return patch.get_data()


def points(axes: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Places and contents of the data points, lower and upper ends of their bars."""
    (container,) = axes.containers
    line, _, (bars,) = container
    x, y = line.get_data()
    segments = np.array(bars.get_segments()).reshape(-1, 2, 2)
    return np.asarray(x), np.asarray(y), segments[:, 0, 1], segments[:, 1, 1]


@pytest.fixture
def numbers(pt: hist.Hist[Any]) -> StackData:
    pt.view(flow=True)["value"][0, 0, 0, 1:5] = pt.view(flow=True)["variance"][0, 0, 0, 1:5] = [
        40,
        35,
        3,
        20,
    ]
    return stack(pt, data="data", mc=MC, category="all")


def test_stack_drawn_is_the_stack_computed(numbers: StackData) -> None:
    _, axes = plot_data_mc(numbers, style=PlotStyle(order="given"))
    width = np.array([10, 20, 50, 120])
    z, other = numbers.stack["Z"] / width, numbers.stack["Other"] / width
    values, edges, baseline = steps(axes[0], "Z")
    np.testing.assert_allclose(values, z)
    np.testing.assert_array_equal(edges, numbers.edges)
    np.testing.assert_array_equal(baseline, 0)
    values, _, baseline = steps(axes[0], "Other")
    np.testing.assert_allclose(values, z + other)
    np.testing.assert_allclose(baseline, z)
    up, down = numbers.uncertainty
    values, _, baseline = steps(axes[0], "Stat. + syst. unc.")
    np.testing.assert_allclose(values, (numbers.total + up) / width)
    np.testing.assert_allclose(baseline, (numbers.total - down) / width)
    assert axes[0].get_ylabel() == "Events / GeV"
    assert axes[-1].get_xlabel() == "pt [GeV]"


def test_smallest_contribution_is_at_the_bottom(numbers: StackData) -> None:
    _, axes = plot_data_mc(numbers)
    small = min(numbers.stack, key=lambda label: numbers.stack[label].sum())
    np.testing.assert_array_equal(steps(axes[0], small)[2], 0)
    entries = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert entries == ["Data", *(n for n in MC if n != small), small, "Stat. + syst. unc."]


def test_data_drawn_have_poisson_errors(numbers: StackData) -> None:
    _, axes = plot_data_mc(numbers)
    assert numbers.data is not None
    values, variances = numbers.data
    width = np.diff(numbers.edges)
    up, down = poisson_errors(values, variances)
    x, y, lower, upper = points(axes[0])
    np.testing.assert_allclose(x, numbers.binning.centers)
    np.testing.assert_allclose(y, values / width)
    np.testing.assert_allclose(lower, (values - down) / width)
    np.testing.assert_allclose(upper, (values + up) / width)


def test_ratio_drawn_is_the_ratio_computed(numbers: StackData) -> None:
    _, axes = plot_data_mc(numbers)
    expected = ratio(numbers)
    _, y, lower, upper = points(axes[1])
    np.testing.assert_allclose(y, expected.values)
    np.testing.assert_allclose(lower, expected.values - expected.down)
    np.testing.assert_allclose(upper, expected.values + expected.up)
    (band,) = [patch for patch in axes[1].patches if isinstance(patch, StepPatch)]
    np.testing.assert_allclose(band.get_data()[0], 1 + expected.band_up)
    np.testing.assert_allclose(band.get_data()[2], 1 - expected.band_down)


def test_points_outside_of_the_ratio_panel_are_marked(numbers: StackData) -> None:
    values = ratio(numbers).values
    middle = float(np.sort(values)[1:3].mean())
    style = PlotStyle(ratio_range=(middle - 1e-3, middle + 1e-3))
    _, axes = plot_data_mc(numbers, style=style)
    assert axes[1].get_ylim() == style.ratio_range
    marked = {line.get_marker(): line.get_xdata() for line in axes[1].lines}
    centers = numbers.binning.centers
    np.testing.assert_array_equal(marked["^"], centers[values > middle + 1e-3])
    np.testing.assert_array_equal(marked["v"], centers[values < middle - 1e-3])


def test_empty_bins_of_data(mass: hist.Hist[Any]) -> None:
    for part in ("value", "variance"):
        mass.view(flow=True)[part][0, 0, 0, 1:3] = [0, 4]
    numbers = stack(mass, data="data", mc=MC, category="all")
    _, axes = plot_data_mc(numbers)
    assert len(points(axes[0])[0]) == 5
    _, axes = plot_data_mc(numbers, style=PlotStyle(empty_bins=True))
    _, y, lower, upper = points(axes[0])
    assert (y[0], lower[0]) == (0, 0)
    assert upper[0] == pytest.approx(1.841, abs=1e-3)


def test_histogram_is_stacked_with_the_same_options(mass: hist.Hist[Any]) -> None:
    options: dict[str, Any] = {
        "data": "data",
        "mc": MC,
        "category": "signal",
        "scale": {"dy": 2.0},
        "systematics": "jes",
        "flow": "add",
    }
    _, axes = plot_data_mc(mass, **options)
    expected = stack(mass, **options)
    values, _, baseline = steps(axes[0], "Stat. + syst. unc.")
    np.testing.assert_allclose(values, expected.total + expected.uncertainty[0])
    np.testing.assert_allclose(baseline, expected.total - expected.uncertainty[1])


def test_panels_and_texts(mass: hist.Hist[Any]) -> None:
    def texts(**options: Any) -> tuple[int, set[str]]:
        _, axes = plot_data_mc(mass, category="signal", **options)
        return len(axes), {text.get_text() for text in axes[0].texts}

    panels, words = texts(data="data", mc=MC, lumi=1.2)
    assert panels == 2
    assert {"CMS", "Private work", "signal"} <= words
    assert any("1.2" in word and "13 TeV" in word for word in words)
    panels, words = texts(mc=MC, text="two muons")
    assert panels == 1
    assert {"Simulation", "two muons"} <= words
    assert texts(data="data")[0] == 1
    assert texts(data="data", mc=MC, ratio=False, label="Preliminary")[0] == 1


@pytest.mark.parametrize(
    ("flow", "note"), [("note", "not shown: "), ("add", "edge bins include "), ("hide", None)]
)
def test_note_on_what_lies_outside(mass: hist.Hist[Any], flow: Any, note: str | None) -> None:
    _, axes = plot_data_mc(mass, data="data", mc="dy", category="all", flow=flow)
    notes = [text.get_text() for text in axes[0].texts if "flow" in text.get_text()]
    if note is None:
        assert notes == []
        return
    values = mass["dy", "all", "nominal", :].values(flow=True)
    data = mass["data", "all", "nominal", :].values(flow=True)
    assert notes == [
        f"{note}underflow: {data[0]:.4g} data, {values[0]:.4g} sim.; "
        f"overflow: {data[-1]:.4g} data, {values[-1]:.4g} sim."
    ]


def test_logarithmic_axes(pt: hist.Hist[Any], histogram: Any) -> None:
    h = histogram(hist.axis.Variable([1, 10, 100], name="x"))
    _, axes = plot_data_mc(h, data="data", mc=MC, category="all", log=True, log_x=True)
    assert (axes[0].get_yscale(), axes[0].get_xscale()) == ("log", "log")
    assert axes[0].get_ylim()[0] > 0


@pytest.mark.parametrize("log", [False, True])
def test_empty_histogram_is_drawn(mass: hist.Hist[Any], log: bool, tmp_path: Path) -> None:
    mass.reset()
    path = tmp_path / "empty.png"
    plot_data_mc(mass, data="data", mc=MC, category="all", log=log, path=path)
    assert path.stat().st_size > 0
    plot_variations(mass, "dy", "all", log=log, path=path)
    assert path.stat().st_size > 0


def test_names_of_bins_are_ticks(histogram: Any) -> None:
    h = histogram(hist.axis.Integer(0, 4, name="n", label="Jets"))
    _, axes = plot_data_mc(h, data="data", mc=MC, category="all")
    assert [text.get_text() for text in axes[1].get_xticklabels()] == ["0", "1", "2", "3"]
    assert axes[0].get_ylabel() == "Events"


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_picture_is_saved(numbers: StackData, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "plots" / f"pt.{suffix}"
    plot_data_mc(numbers, path=path)
    assert path.read_bytes()[:4] in (b"\x89PNG", b"%PDF")
    assert path.stat().st_size > 5000


def test_variations_drawn_are_the_variations_computed(pt: hist.Hist[Any]) -> None:
    numbers = variations(pt, ["dy", "tt"], "signal", ["jes", "mu"])
    width = np.diff(numbers.binning.edges)
    _, axes = plot_variations(pt, ["dy", "tt"], "signal", ["jes", "mu"])
    np.testing.assert_allclose(steps(axes[0], "Nominal")[0], numbers.nominal / width)
    for label in ("jesUp", "jesDown", "muUp"):
        shifts = numbers.shifted["mu" if label == "muUp" else "jes"]
        np.testing.assert_allclose(steps(axes[0], label)[0], shifts[label] / width)
    drawn = [patch.get_data()[0] for patch in axes[1].patches[1:]]
    expected = [s / numbers.nominal for shifts in numbers.shifted.values() for s in shifts.values()]
    np.testing.assert_allclose(drawn, expected)
    again = plot_variations(numbers)[1]
    np.testing.assert_array_equal(steps(again[0], "jesUp")[0], steps(axes[0], "jesUp")[0])


@pytest.fixture
def plane(histogram: Any) -> hist.Hist[Any]:
    h: hist.Hist[Any] = histogram(
        hist.axis.Regular(3, 0, 1, name="x", label="x"),
        hist.axis.Variable([0, 1, 5], name="y", label="y"),
        hist.axis.Integer(0, 2, name="n"),
    )
    return h


@pytest.mark.parametrize("log", [False, True])
def test_plane_drawn_is_the_sum_by_hand(plane: hist.Hist[Any], log: bool, tmp_path: Path) -> None:
    path = tmp_path / "plane.png"
    _, (axes,) = plot_2d(
        plane,
        ["dy", "tt"],
        "signal",
        "jesUp",
        axes=["y", "x"],
        scale={"tt": 2.0},
        log=log,
        path=path,
    )
    dy, tt = (plane[name, "signal", "jesUp", :, :, :].values(flow=True) for name in ("dy", "tt"))
    expected = (dy + 2 * tt).sum(axis=2)[1:-1, 1:-1]
    np.testing.assert_allclose(np.asarray(axes.collections[0].get_array()), expected)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("y", "x")
    assert path.stat().st_size > 0


def test_plane_of_nothing(plane: hist.Hist[Any]) -> None:
    plane.reset()
    plot_2d(plane, "dy", "all", axes=["x", "y"])
    with pytest.raises(InputError, match="no bin has a positive content"):
        plot_2d(plane, "dy", "all", axes=["x", "y"], log=True)


def test_wrong_input(mass: hist.Hist[Any], plane: hist.Hist[Any], numbers: StackData) -> None:
    with pytest.raises(InputError, match=r"no dataset 'dyy'. Did you mean 'dy'"):
        plot_data_mc(mass, data="data", mc=["dyy"], category="all")
    with pytest.raises(InputError, match=r"no variation 'jes'.*'jesUp'"):
        plot_2d(plane, "dy", "all", "jes", axes=["x", "y"])
    with pytest.raises(InputError, match="2 different axes"):
        plot_2d(plane, "dy", "all")
    with pytest.raises(InputError, match="no category 'al'"):
        plot_variations(mass, "dy", "al")
    with pytest.raises(InputError, match="StackData is complete"):
        plot_data_mc(numbers, mc="dy")
    with pytest.raises(InputError, match="VariationData is complete"):
        plot_variations(variations(mass, "dy", "all"), "dy")
    with pytest.raises(InputError, match="picture format"):
        plot_data_mc(numbers, path="plot.txt")


def test_matplotlib_is_imported_when_something_is_drawn() -> None:
    code = (
        "import sys, lazyana.report.plots, lazyana.report.tables;"
        "print(sorted({'matplotlib.figure', 'matplotlib.pyplot', 'mplhep'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
