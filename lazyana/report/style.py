"""How plots look: one frozen value, no global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from lazyana.errors import InputError

Order = Literal["yield", "given"]

# The colour-blind safe sequences of M. Petroff (arXiv:2107.02270) that CMS recommends.
SIX_COLORS = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
TEN_COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)


@dataclass(frozen=True)
class PlotStyle:
    """How a plot looks.

    Attributes
    ----------
    experiment
        Bold name at the top left.
    figsize
        Width and height of the figure in inches.
    dpi
        Resolution of pixel formats.
    font_size
        Base size of the text in points.
    colors
        Colour of a group of datasets or of a systematic, by its label; what is not named takes the
        next colour of the CMS palette, in the order the labels were given, so that a label keeps
        its colour from plot to plot.
    order
        ``"yield"``: the smallest contribution at the bottom of the stack; ``"given"``: first label
        at the bottom.
    divide_by_width
        Show contents per unit of the axis. None: only where bins differ in width.
    ratio_range
        Lower and upper end of the ratio panel. None: a symmetric range that fits.
    empty_bins
        Draw the one-sided Poisson bar of bins without any data.
    data_label
        Name of data in the legend.
    legend_columns
        Number of columns of the legend. None: one, or two for more than six entries.
    colormap
        matplotlib colour map of two-dimensional plots.
    """

    experiment: str = "CMS"
    figsize: tuple[float, float] = (10.0, 10.0)
    dpi: float = 100.0
    font_size: float = 26.0
    colors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    order: Order = "yield"
    divide_by_width: bool | None = None
    ratio_range: tuple[float, float] | None = None
    empty_bins: bool = False
    data_label: str = "Data"
    legend_columns: int | None = None
    colormap: str = "viridis"

    def __post_init__(self) -> None:
        """Refuse values that could not be drawn."""
        if self.order not in ("yield", "given"):
            message = f"order={self.order!r} does not exist; choose 'yield' or 'given'"
            raise InputError(message)
        if self.ratio_range is not None and not self.ratio_range[0] < self.ratio_range[1]:
            message = f"ratio_range={self.ratio_range} is empty; give (lower, upper)"
            raise InputError(message)
        if min(*self.figsize, self.dpi, self.font_size) <= 0:
            message = (
                f"figsize={self.figsize} (inches), dpi={self.dpi} and "
                f"font_size={self.font_size} (points) must be positive"
            )
            raise InputError(message)


def colors_of(labels: Sequence[str], style: PlotStyle) -> dict[str, str]:
    """Colour of every label.

    Parameters
    ----------
    labels
        Names of what is drawn, in the order they were given.
    style
        Its `PlotStyle.colors` win; the palette of six is used for up to six labels, else the one of
        ten, which starts again after the tenth.

    Returns
    -------
    dict[str, str]
        Colour by label.
    """
    palette = SIX_COLORS if len(labels) <= len(SIX_COLORS) else TEN_COLORS
    return {
        label: style.colors.get(label, palette[number % len(palette)])
        for number, label in enumerate(labels)
    }
