from __future__ import annotations

from itertools import pairwise
from typing import Any

import hist
import numpy as np
import pytest

from lazyana.report import drawing
from lazyana.report.binning import Binning, binning_of
from lazyana.report.figure import panels
from lazyana.report.style import PlotStyle

UNEQUAL = Binning("pt [GeV]", np.array([0.0, 1.0, 3.0]))
EQUAL = Binning("pt [GeV]", np.array([0.0, 2.0, 4.0]))
ONES = Binning("pt [GeV]", np.array([0.0, 1.0, 2.0]))
BARE = Binning("eta", np.array([0.0, 0.1, 0.2]))


@pytest.mark.parametrize(
    ("binning", "divide", "widths", "label"),
    [
        (UNEQUAL, None, [1, 2], "Events / GeV"),
        (UNEQUAL, False, [1, 1], "Events / bin"),
        (EQUAL, None, [1, 1], "Events / 2 GeV"),
        (EQUAL, True, [2, 2], "Events / GeV"),
        (ONES, None, [1, 1], "Events / GeV"),
        (BARE, None, [1, 1], "Events / 0.1"),
        (BARE, True, [0.1, 0.1], "Events / unit"),
    ],
)
def test_division_by_width_and_its_label(
    binning: Binning, divide: bool | None, widths: list[float], label: str
) -> None:
    style = PlotStyle(divide_by_width=divide)
    np.testing.assert_allclose(drawing.divisor(binning, style), widths)
    assert drawing.content_label(binning, style) == label


def test_axes_that_count_are_never_divided() -> None:
    binning = binning_of(hist.axis.Integer(0, 3, name="n"))
    style = PlotStyle(divide_by_width=True)
    np.testing.assert_array_equal(drawing.divisor(binning, style), 1)
    assert drawing.content_label(binning, style) == "Events"


def filled(top: list[float], log: bool) -> tuple[float, float]:
    """Range of the vertical axis with a legend over the right half."""
    _, (axes,) = panels(PlotStyle(), with_ratio=False)
    binning = Binning("x", np.arange(5.0))
    axes.set_xlim(0, 4)
    box = axes.text(0.98, 0.97, "words\n" * 5, ha="right", va="top", transform=axes.transAxes)
    heights = np.array(top)
    lowest = drawing.lower_end([heights], log)
    drawing.make_room(axes, binning, heights, lowest, obstacles=[box], log=log)
    lower, upper = axes.get_ylim()
    frame = axes.transAxes.inverted()
    floor = box.get_window_extent().transformed(frame).y0
    height = axes.transData.transform((3.5, heights[-1]))[1]
    assert frame.transform((0, height))[1] <= floor
    return lower, upper


@pytest.mark.parametrize("log", [False, True])
def test_content_does_not_run_into_the_legend(log: bool) -> None:
    _, without = filled([100, 10, 10, 1], log)
    _, with_peak = filled([100, 10, 10, 100], log)
    assert with_peak > without > 100


def test_vertical_axis_of_nothing_and_of_negative_contents() -> None:
    assert filled([0, 0, 0, 0], log=False) == (0, 1)
    assert filled([0, 0, 0, 0], log=True)[0] == pytest.approx(0.1)
    assert filled([5, -2, 1, 1], log=False)[0] == pytest.approx(-2.2)


def test_logarithmic_axis_spans_seven_decades_at_most() -> None:
    assert drawing.lower_end([np.array([1e-12, 1e3, 0])], log=True) == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("lumi", "energy", "text"),
    [
        (59.83, 13.0, r"59.8 $\mathrm{fb^{-1}}$ (13 TeV)"),
        (None, 13.6, "(13.6 TeV)"),
        (None, None, ""),
    ],
)
def test_luminosity_and_energy(lumi: float | None, energy: float | None, text: str) -> None:
    figure, (axes,) = panels(PlotStyle(experiment="EXP"), with_ratio=False)
    with figure.settings():
        drawing.label_experiment(axes, PlotStyle(experiment="EXP"), "Private work", lumi, energy)
    texts: list[Any] = [each.get_text() for each in axes.texts]
    assert {"EXP", "Private work"} <= set(texts)
    assert (text in texts) == bool(text)
    assert len(texts) == 2 + bool(text)


def test_experiment_stands_clear_of_the_power_of_ten() -> None:
    figure, (axes,) = panels(PlotStyle(), with_ratio=False)
    with figure.settings():
        axes.set_ylim(0, 1e6)
        drawing.label_experiment(axes, PlotStyle(), "Private work", None, None)
    power = axes.yaxis.get_offset_text()
    assert "10" in power.get_text()
    boxes = [each.get_window_extent() for each in (power, *axes.texts)]
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))
