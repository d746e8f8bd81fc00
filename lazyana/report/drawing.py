"""Drawing: artists for numbers that are computed already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FixedLocator, NullLocator

from lazyana.errors import InputError
from lazyana.report.binning import Binning
from lazyana.report.lookup import Array
from lazyana.report.stack import Ratio, StackData, VariationData, poisson_errors
from lazyana.report.style import PlotStyle, colors_of

BAND_COLOR = "#4d4d4d"
_RATIO_HALF_WIDTHS = (0.1, 0.2, 0.3, 0.5, 1.0)


def divisor(binning: Binning, style: PlotStyle) -> Array:
    """What contents are divided by: the widths of the bins, or ones; shape ``(bins,)``."""
    wanted = style.divide_by_width
    divide = (not binning.is_uniform) if wanted is None else wanted
    return binning.widths if divide and binning.ticks is None else np.ones(len(binning.widths))


def content_label(binning: Binning, style: PlotStyle) -> str:
    """Text of the vertical axis: ``"Events / 2 GeV"``, ``"Events / GeV"`` or ``"Events"``."""
    if binning.ticks is not None:
        return "Events"
    divided = not np.array_equal(divisor(binning, style), np.ones(len(binning.widths)))
    if divided or not binning.is_uniform:
        per_unit = f"Events / {binning.unit or 'unit'}"
        return per_unit if divided else "Events / bin"
    width = f"{binning.widths[0]:.4g}"
    return f"Events / {binning.unit if width == '1' and binning.unit else width}" + (
        f" {binning.unit}" if binning.unit and width != "1" else ""
    )


def draw_stack(axes: Axes, numbers: StackData, style: PlotStyle) -> None:
    """Filled contributions, the band of the total, and data with Poisson errors."""
    width = divisor(numbers.binning, style)
    colors = colors_of(tuple(numbers.stack), style)
    labels = list(numbers.stack)
    if style.order == "yield":
        labels.sort(key=lambda label: float(numbers.stack[label].sum()))
    bottom = np.zeros_like(numbers.total)
    for label in labels:
        top = bottom + numbers.stack[label]
        axes.stairs(
            top / width,
            numbers.edges,
            baseline=bottom / width,
            fill=True,
            facecolor=colors[label],
            edgecolor="none",
            label=label,
        )
        bottom = top
    if numbers.stack:
        axes.stairs(numbers.total / width, numbers.edges, color="black", linewidth=1.2)
        up, down = numbers.uncertainty
        name = "Stat. + syst. unc." if numbers.systematics else "Stat. unc."
        _band(axes, numbers.binning, numbers.total / width, (up / width, down / width), name)
    if numbers.data is not None:
        values, variances = numbers.data
        up, down = poisson_errors(values, variances)
        shown = (values != 0) | style.empty_bins
        _points(
            axes,
            numbers.binning.centers[shown],
            (values / width)[shown],
            ((down / width)[shown], (up / width)[shown]),
            style.data_label,
        )


def draw_ratio(axes: Axes, binning: Binning, ratio: Ratio, style: PlotStyle) -> None:
    """Data over simulation, with a triangle at the edge for points outside of the panel."""
    one = np.ones_like(ratio.values)
    _band(axes, binning, one, (ratio.band_up, ratio.band_down), None)
    axes.axhline(1.0, color="black", linewidth=1.0, linestyle="--")
    shown = np.isfinite(ratio.values) & ((ratio.values != 0) | style.empty_bins)
    low, high = style.ratio_range or _ratio_range(ratio.values[shown], ratio.down[shown])
    centers, values = binning.centers[shown], ratio.values[shown]
    _points(axes, centers, values, (ratio.down[shown], ratio.up[shown]), None)
    margin = 0.06 * (high - low)
    for outside, place, marker in (
        (values > high, high - margin, "^"),
        (values < low, low + margin, "v"),
    ):
        axes.plot(
            centers[outside],
            np.full(int(outside.sum()), place),
            marker=marker,
            color="black",
            markersize=9,
            linestyle="none",
        )
    axes.set_ylim(low, high)
    axes.set_ylabel(f"{style.data_label} / Sim.", loc="center")


def draw_variations(upper: Axes, lower: Axes, numbers: VariationData, style: PlotStyle) -> None:
    """Nominal in black, each systematic in one colour: first shift solid, second dashed."""
    width = divisor(numbers.binning, style)
    edges = numbers.binning.edges
    expected = np.where(numbers.nominal > 0, numbers.nominal, np.nan)
    relative = numbers.stat / expected
    _band(lower, numbers.binning, np.ones_like(relative), (relative, relative), None)
    upper.stairs(
        numbers.nominal / width, edges, color="black", linewidth=2, baseline=None, label="Nominal"
    )
    _band(
        upper,
        numbers.binning,
        numbers.nominal / width,
        (numbers.stat / width, numbers.stat / width),
        "Stat. unc.",
    )
    lower.axhline(1.0, color="black", linewidth=1.0)
    colors = colors_of(tuple(numbers.shifted), style)
    ratios = []
    for name, shifts in numbers.shifted.items():
        for (label, values), dash in zip(shifts.items(), _dashes(len(shifts)), strict=True):
            look = {"color": colors[name], "linestyle": dash, "linewidth": 2, "baseline": None}
            upper.stairs(values / width, edges, label=label, **look)
            lower.stairs(values / expected, edges, **look)
            ratios.append(values / expected)
    shown = np.concatenate(ratios)
    finite = shown[np.isfinite(shown)]
    lower.set_ylim(style.ratio_range or _ratio_range(finite, np.zeros_like(finite)))
    lower.set_ylabel("Shift / nom.", loc="center")


def draw_2d(
    axes: Axes, binnings: tuple[Binning, Binning], values: Array, style: PlotStyle, *, log: bool
) -> None:
    """Coloured cells with a colour bar; empty cells stay white; ``values`` shape ``(x, y)``."""
    x, y = binnings
    shown = np.ma.masked_where(values <= 0 if log else values == 0, values)
    if log and shown.count() == 0:
        message = "log=True, but no bin has a positive content"
        raise InputError(message)
    norm = LogNorm(shown.min(), shown.max()) if log else Normalize(min(0.0, values.min()))
    mesh = axes.pcolormesh(
        x.edges, y.edges, shown.T, cmap=style.colormap, norm=norm, rasterized=True
    )
    figure = axes.get_figure()
    assert figure is not None
    box = axes.get_position()
    bar = figure.add_axes((box.x1 + 0.02, box.y0, 0.04, box.height))
    figure.colorbar(mesh, cax=bar)
    bar.set_ylabel("Events")
    label_axis(axes, x)
    axes.set_ylabel(y.label)
    if y.ticks is not None:
        axes.yaxis.set_major_locator(FixedLocator(list(y.centers)))
        axes.set_yticklabels(y.ticks)
        axes.yaxis.set_minor_locator(NullLocator())


def finish(
    axes: Sequence[Axes],
    binning: Binning,
    contents: Sequence[Array],
    style: PlotStyle,
    *,
    log: bool,
    text: str,
    xlabel: str | None,
    first: str | None = None,
) -> None:
    """Axis texts, legend, category, and a vertical range that leaves room for them.

    Parameters
    ----------
    axes
        Panels from top to bottom, with everything drawn.
    binning
        The horizontal axis.
    contents
        What has to fit, shape ``(bins,)`` each, undivided; NaN where there is nothing.
    style
        The style.
    log
        Logarithmic vertical axis.
    text
        Text inside the frame.
    xlabel
        Text of the horizontal axis; None: that of the binning.
    first
        Entry of the legend to go first, above the stack that is listed from top to bottom; None
        keeps the order of drawing.
    """
    upper, lower = axes[0], axes[-1]
    label_axis(lower, binning, xlabel)
    if lower is not upper:
        upper.set_xlabel("")
    upper.set_ylabel(content_label(binning, style))
    width = divisor(binning, style)
    shown = [np.nan_to_num(array) / width for array in contents]
    obstacles = [place_legend(upper, style, first), write_category(upper, text)]
    make_room(
        upper, binning, np.max(shown, axis=0), lower_end(shown, log), obstacles=obstacles, log=log
    )
    figure = upper.get_figure()
    if isinstance(figure, Figure):
        figure.align_ylabels(axes)


def label_axis(axes: Axes, binning: Binning, label: str | None = None) -> None:
    """Range, text and tick names of the horizontal axis."""
    axes.set_xlim(binning.edges[0], binning.edges[-1])
    axes.set_xlabel(binning.label if label is None else label)
    if binning.ticks is not None:
        axes.xaxis.set_major_locator(FixedLocator(list(binning.centers)))
        axes.set_xticklabels(binning.ticks)
        axes.xaxis.set_minor_locator(NullLocator())


def label_experiment(
    axes: Axes, style: PlotStyle, text: str, lumi: float | None, energy: float | None
) -> None:
    """``CMS Private work`` to the left above the frame, luminosity and energy to the right."""
    parts = [] if lumi is None else [rf"{lumi:.3g} $\mathrm{{fb^{{-1}}}}$"]
    parts += [] if energy is None else [f"({energy:g} TeV)"]
    # mplhep's own way around the power of ten above the axis makes a figure in pyplot.
    name, words, right, _ = mplhep.label.exp_text(
        style.experiment,
        text,
        lumi=" ".join(parts) or None,
        ax=axes,
        scilocator_adjust=False,
    )
    power = axes.yaxis.get_offset_text()
    if power.get_text():
        width = power.get_window_extent().transformed(axes.transAxes.inverted()).width
        for left in (name, words):
            left.set_x(left.get_position()[0] + width + 0.02)
    if right is not None:
        right.set_y(1.008)  # keeps the brackets off the frame


def place_legend(axes: Axes, style: PlotStyle, first: str | None) -> Legend:
    """Legend at the top right: in the order of drawing, or as `finish` says for a stack."""
    handles, labels = axes.get_legend_handles_labels()
    entries = list(zip(handles, labels, strict=True))
    if first is not None:
        bands = [entry for entry in entries if entry[1].endswith("unc.")]
        heads = [entry for entry in entries if entry[1] == first]
        rest = [entry for entry in entries if entry not in bands and entry not in heads]
        entries = [*heads, *reversed(rest), *bands]
    columns = style.legend_columns or (2 if len(entries) > 6 else 1)
    return axes.legend(
        [handle for handle, _ in entries],
        [label for _, label in entries],
        loc="upper right",
        ncols=columns,
        columnspacing=1.0,
        labelspacing=0.35,
        handletextpad=0.5,
    )


def write_category(axes: Axes, text: str) -> Any:
    """Name of the category inside the frame at the top left."""
    return axes.text(0.04, 0.955, text, transform=axes.transAxes, ha="left", va="top")


def write_outside(axes: Axes, numbers: StackData, style: PlotStyle) -> None:
    """Small note along the right border: what lies outside of the axis, or that it was added."""
    outside = numbers.outside
    parts = []
    for word, data, mc in (
        ("underflow", outside.data_below, outside.mc_below),
        ("overflow", outside.data_above, outside.mc_above),
    ):
        seen = [] if numbers.data is None else [f"{data:.4g} {style.data_label.lower()}"]
        expected = [f"{mc:.4g} sim."] if numbers.stack else []
        if data or mc:
            parts.append(f"{word}: " + ", ".join([*seen, *expected]))
    if not parts:
        return
    note = "edge bins include " if outside.added else "not shown: "
    axes.text(
        1.012,
        1.0,
        note + "; ".join(parts),
        transform=axes.transAxes,
        rotation=90,
        ha="left",
        va="top",
        fontsize=0.42 * style.font_size,
        color="#777777",
    )


def make_room(
    axes: Axes,
    binning: Binning,
    heights: Array,
    lowest: float,
    *,
    obstacles: Sequence[Any],
    log: bool,
) -> None:
    """Set the vertical range so that nothing runs into legend and texts.

    Parameters
    ----------
    axes
        With everything drawn; obstacles are anchored to its frame.
    binning
        The axis.
    heights
        Highest thing drawn in each bin, shape ``(bins,)``.
    lowest
        Lower end of the range (positive for a logarithmic axis).
    obstacles
        Artists inside the frame.
    log
        Whether the axis is logarithmic.
    """
    ceiling = np.full(len(heights), 0.95)
    left, right = (
        _axis_fractions(axes, binning.edges[:-1]),
        _axis_fractions(axes, binning.edges[1:]),
    )
    for obstacle in obstacles:
        box = obstacle.get_window_extent().transformed(axes.transAxes.inverted())
        covered = (right > box.x0 - 0.02) & (left < box.x1 + 0.02)
        ceiling[covered] = np.minimum(ceiling[covered], max(box.y0 - 0.03, 0.25))
    if log:
        start = np.log(lowest)
        reach = (np.log(np.maximum(heights, lowest)) - start) / ceiling
        top = np.exp(start + max(float(reach.max()), np.log(10.0)))
    else:
        top = lowest + float(((heights - lowest) / ceiling).max())
    # The range comes first: a logarithmic axis without one looks for it and warns of empty bins.
    axes.set_ylim(lowest, top if top > lowest else lowest + 1.0)
    axes.set_yscale("log" if log else "linear")


def lower_end(values: Sequence[Array], log: bool) -> float:
    """Where the vertical axis starts: 0 or below the smallest content; shape ``(bins,)`` each."""
    joined = np.concatenate([np.asarray(array)[np.isfinite(array)] for array in values])
    if not log:
        return min(0.0, 1.1 * float(joined.min(initial=0.0)))
    positive = joined[joined > 0]
    if not len(positive):
        return 0.1
    # A nearly empty bin must not squeeze the rest: seven decades are enough for any plot.
    return max(0.3 * float(positive.min()), 1e-7 * float(positive.max()))


def _axis_fractions(axes: Axes, x: Array) -> Array:
    """Horizontal places as fractions of the frame."""
    points = np.column_stack([x, np.ones_like(x)])
    pixels = axes.transData.transform(points)
    return np.asarray(axes.transAxes.inverted().transform(pixels)[:, 0])


def _band(
    axes: Axes, binning: Binning, middle: Array, errors: tuple[Array, Array], label: str | None
) -> None:
    """Hatched uncertainty band."""
    axes.stairs(
        middle + errors[0],
        binning.edges,
        baseline=middle - errors[1],
        fill=True,
        facecolor="none",
        edgecolor=BAND_COLOR,
        hatch="/////",
        linewidth=0.0,
        label=label,
    )


def _points(axes: Axes, x: Array, y: Array, errors: tuple[Array, Array], label: str | None) -> None:
    """Data points with asymmetric error bars."""
    axes.errorbar(
        x,
        y,
        yerr=np.stack(errors),
        fmt="o",
        color="black",
        markersize=7,
        elinewidth=1.5,
        capsize=0,
        label=label,
        zorder=5,
    )


def _dashes(count: int) -> list[Any]:
    """Line styles of the shifts of one systematic."""
    styles: list[Any] = ["-", (0, (4, 2)), (0, (1, 1)), (0, (5, 1, 1, 1))]
    return [styles[number % len(styles)] for number in range(count)]


def _ratio_range(values: Array, down: Array) -> tuple[float, float]:
    """Symmetric range around 1 that shows nine of ten of the points that are at all precise."""
    distance = np.abs(values - 1.0)[down < 0.5]
    needed = float(np.quantile(distance, 0.9)) * 1.3 if len(distance) else 0.0
    half = next((half for half in _RATIO_HALF_WIDTHS if half >= needed), 1.0)
    return 1.0 - half, 1.0 + half
