"""Plots of histograms that come back from a run.

Numbers are computed by `stack` and drawn by the functions here, which give matplotlib figures that
belong to nobody else: no pyplot, no backend is chosen, no global setting is touched. matplotlib
itself is imported when the first plot is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hist
import numpy as np

from lazyana.errors import InputError
from lazyana.report import lookup
from lazyana.report.binning import binning_of
from lazyana.report.lookup import NOMINAL, Array, Groups
from lazyana.report.stack import (
    Flow,
    StackData,
    Systematics,
    VariationData,
    check_scale,
    poisson_errors,
    stack,
    variations,
)
from lazyana.report.stack import ratio as ratio_of
from lazyana.report.style import PlotStyle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "PlotStyle",
    "StackData",
    "VariationData",
    "plot_2d",
    "plot_data_mc",
    "plot_variations",
    "stack",
    "variations",
]

_DEFAULT_STYLE = PlotStyle()


def plot_data_mc(
    h: hist.Hist[Any] | StackData,
    *,
    data: str | Sequence[str] = (),
    mc: Groups = (),
    category: str | None = None,
    scale: Mapping[str, float] | None = None,
    systematics: Systematics = None,
    axis: str | None = None,
    flow: Flow = "note",
    ratio: bool = True,
    log: bool = False,
    log_x: bool = False,
    lumi: float | None = None,
    energy: float | None = 13.0,
    label: str | None = None,
    text: str | None = None,
    xlabel: str | None = None,
    style: PlotStyle = _DEFAULT_STYLE,
    path: str | Path | None = None,
) -> tuple[Figure, tuple[Axes, ...]]:
    """Data over a stack of simulation, with uncertainties and the ratio of the two.

    Error bars of data are central 68.3 % Poisson intervals (Garwood). Where bins differ in width,
    contents are divided by it.

    Parameters
    ----------
    h
        Histogram of a run, or what `stack` made of one.
    data, mc, category, scale, systematics, axis, flow
        As for `stack`; not together with a `StackData`, except for ``flow="hide"``.
    ratio
        Draw the lower panel (where there are data and simulation).
    log, log_x
        Logarithmic axes.
    lumi
        Integrated luminosity in fb⁻¹, written above the frame.
    energy
        Centre-of-mass energy in TeV.
    label
        Text next to the name of the experiment. None: ``"Private work"``, or ``"Simulation"`` where
        there is no data.
    text
        Text inside the frame. None: the name of the category.
    xlabel
        Text of the horizontal axis. None: that of the axis of the histogram.
    style
        Colours, sizes, order.
    path
        Where to save the picture; the format is that of the suffix (``.png``, ``.pdf``, ``.svg``).

    Returns
    -------
    figure, axes
        The figure, and its panels from top to bottom.

    Raises
    ------
    InputError
        As for `stack`, or a suffix that is no picture format.
    """
    from lazyana.report import drawing
    from lazyana.report.figure import check_path, panels, save

    check_path(path)
    if not isinstance(h, StackData):
        numbers = stack(
            h,
            data=data,
            mc=mc,
            category=category,
            scale=scale,
            systematics=systematics,
            axis=axis,
            flow=flow,
        )
    elif data or mc or category or scale or systematics or axis or flow == "add":
        message = "a StackData is complete: give data, mc, category, ... to stack() instead"
        raise InputError(message)
    else:
        numbers = h
    with_ratio = ratio and numbers.data is not None and bool(numbers.stack)
    figure, axes = panels(style, with_ratio)
    with figure.settings():
        if log_x:
            axes[0].set_xscale("log")
        drawing.draw_stack(axes[0], numbers, style)
        if with_ratio:
            drawing.draw_ratio(axes[1], numbers.binning, ratio_of(numbers), style)
        drawing.finish(
            axes,
            numbers.binning,
            _contents(numbers),
            style,
            log=log,
            text=numbers.category if text is None else text,
            xlabel=xlabel,
            first=style.data_label,
        )
        if flow != "hide":
            drawing.write_outside(axes[0], numbers, style)
        default = "Simulation" if numbers.data is None else "Private work"
        drawing.label_experiment(axes[0], style, default if label is None else label, lumi, energy)
    save(figure, path)
    return figure, axes


def plot_variations(
    h: hist.Hist[Any] | VariationData,
    dataset: str | Sequence[str] = (),
    category: str | None = None,
    systematics: Systematics = None,
    *,
    scale: Mapping[str, float] | None = None,
    axis: str | None = None,
    flow: Flow = "note",
    log: bool = False,
    log_x: bool = False,
    energy: float | None = 13.0,
    label: str = "Simulation",
    text: str | None = None,
    xlabel: str | None = None,
    style: PlotStyle = _DEFAULT_STYLE,
    path: str | Path | None = None,
) -> tuple[Figure, tuple[Axes, ...]]:
    """Nominal and shifted distributions of a dataset, and their ratio to nominal.

    Parameters
    ----------
    h
        Histogram of a run, or what `variations` made of one.
    dataset
        Name, or names to sum over.
    category, systematics, scale, axis, flow
        As for `stack`.
    log, log_x, energy, label, text, xlabel, style, path
        As for `plot_data_mc`; ``text`` is by default the datasets and the category.

    Returns
    -------
    figure, axes
        The figure, and its panels from top to bottom.

    Raises
    ------
    InputError
        A name that does not exist, a histogram without systematics, a suffix that is no picture
        format.
    """
    from lazyana.report import drawing
    from lazyana.report.figure import check_path, panels, save

    check_path(path)
    if not isinstance(h, VariationData):
        numbers = variations(h, dataset, category, systematics, scale=scale, axis=axis, flow=flow)
    elif dataset or category or systematics or scale or axis or flow == "add":
        message = "a VariationData is complete: give dataset, ... to variations() instead"
        raise InputError(message)
    else:
        numbers = h
    figure, axes = panels(style, with_ratio=True)
    shifted = [values for shifts in numbers.shifted.values() for values in shifts.values()]
    with figure.settings():
        if log_x:
            axes[0].set_xscale("log")
        drawing.draw_variations(axes[0], axes[1], numbers, style)
        drawing.finish(
            axes,
            numbers.binning,
            [numbers.nominal, numbers.nominal + numbers.stat, *shifted],
            style,
            log=log,
            text=f"{numbers.title}\n{numbers.category}" if text is None else text,
            xlabel=xlabel,
        )
        drawing.label_experiment(axes[0], style, label, None, energy)
    save(figure, path)
    return figure, axes


def plot_2d(
    h: hist.Hist[Any],
    dataset: str | Sequence[str],
    category: str | None = None,
    variation: str = NOMINAL,
    *,
    axes: Sequence[str] | None = None,
    scale: Mapping[str, float] | None = None,
    log: bool = False,
    lumi: float | None = None,
    energy: float | None = 13.0,
    label: str = "Private work",
    text: str | None = None,
    style: PlotStyle = _DEFAULT_STYLE,
    path: str | Path | None = None,
) -> tuple[Figure, tuple[Axes, ...]]:
    """Contents of a two-dimensional histogram as colours; flow bins are left out.

    Parameters
    ----------
    h
        Histogram of a run.
    dataset
        Name, or names to sum over.
    category
        Name of the category; may be left out where there is only one.
    variation
        Label of the variation.
    axes
        Names of the horizontal and the vertical axis; may be left out where there are two. Others
        are summed over.
    scale
        Factor by dataset; 1 where not named.
    log
        Logarithmic colours.
    lumi, energy, label, text, style, path
        As for `plot_data_mc`.

    Returns
    -------
    figure, axes
        The figure, and its panel.

    Raises
    ------
    InputError
        A name that does not exist, another number of axes than two, a suffix that is no picture
        format, or logarithmic colours of nothing.
    """
    from lazyana.report import drawing
    from lazyana.report.figure import check_path, panels, save

    check_path(path)
    lookup.check(h)
    datasets = lookup.as_names(dataset)
    lookup.check_datasets(h, datasets)
    chosen = lookup.one_category(h, category)
    shown = lookup.user_axes(h, axes, 2)
    factors = check_scale(h, scale)
    values = sum(
        factors.get(name, 1.0) * lookup.content(h, name, chosen, variation, shown)[0]
        for name in datasets
    )
    figure, (plane,) = panels(style, with_ratio=False)
    with figure.settings():
        drawing.draw_2d(
            plane,
            (binning_of(h.axes[shown[0]]), binning_of(h.axes[shown[1]])),
            np.asarray(values)[1:-1, 1:-1],
            style,
            log=log,
        )
        title = f"{' + '.join(datasets)}, {chosen}" if text is None else text
        drawing.write_category(plane, title)
        drawing.label_experiment(plane, style, label, lumi, energy)
    save(figure, path)
    return figure, (plane,)


def _contents(numbers: StackData) -> list[Array]:
    """Everything a stack plot has to leave room for, shape ``(bins,)`` each."""
    contents = []
    if numbers.stack:
        contents += [numbers.total, numbers.total + numbers.uncertainty[0]]
        # A tenth of the peak of each contribution, so that none vanishes on a logarithmic axis.
        contents += [np.full_like(v, 0.1 * v.max()) for v in numbers.stack.values()]
    if numbers.data is not None:
        up, _ = poisson_errors(*numbers.data)
        contents += [numbers.data[0], np.where(numbers.data[0] != 0, numbers.data[0] + up, 0.0)]
    return contents
