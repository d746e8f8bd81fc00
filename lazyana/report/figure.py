"""Figures without pyplot: nothing is global, and settings hold inside of a context only."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import mplhep
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lazyana.errors import InputError
from lazyana.report.style import PlotStyle


def settings(style: PlotStyle) -> dict[str, Any]:
    """Settings of matplotlib for one figure: the CMS style of mplhep and what the user chose."""
    rc: dict[str, Any] = dict(mplhep.style.CMS)
    # Fonts that come with mplhep and matplotlib; the others of the CMS style are often missing, and
    # looking for them logs a line for each piece of text.
    rc["font.family"] = ["TeX Gyre Heros", "DejaVu Sans"]
    rc |= {
        "font.size": style.font_size,
        "figure.figsize": style.figsize,
        "figure.dpi": style.dpi,
        "savefig.dpi": style.dpi,
        "savefig.bbox": "tight",
        "axes.formatter.use_mathtext": True,
        "axes.formatter.limits": (-3, 4),
        "hatch.linewidth": 0.8,
        "svg.hashsalt": "lazyana",
    }
    return rc


class StyledFigure(Figure):
    """A figure that is drawn and saved with its own settings, whatever the global ones are."""

    def __init__(self, rc: dict[str, Any]) -> None:
        # Any, since matplotlib types the names of settings one by one.
        self._rc: Any = rc
        with self.settings():
            super().__init__()
        FigureCanvasAgg(self)

    def settings(self) -> AbstractContextManager[None]:
        """Context in which the figure's own settings hold."""
        return mpl.rc_context(self._rc)

    def draw(self, renderer: Any) -> None:
        """Draw, with the figure's own settings."""
        with self.settings():
            super().draw(renderer)

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """Save, with the figure's own settings."""
        with self.settings():
            super().savefig(fname, **kwargs)

    def _repr_png_(self) -> bytes:
        """The picture in a notebook."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def check_path(path: str | Path | None) -> None:
    """Refuse a file name whose suffix is no picture format, before anything is drawn."""
    if path is None:
        return
    formats = FigureCanvasAgg.get_supported_filetypes()
    suffix = Path(path).suffix.removeprefix(".").lower()
    if suffix not in formats:
        message = (
            f"{str(path)!r} does not end in a picture format; choose from {', '.join(formats)}"
        )
        raise InputError(message)


def save(figure: StyledFigure, path: str | Path | None) -> None:
    """Write the picture, the same bytes for the same numbers; the directory is made if needed."""
    if path is None:
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    dated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".ps": {}, ".eps": {}}
    figure.savefig(target, metadata=dated.get(target.suffix.lower()))


def panels(style: PlotStyle, with_ratio: bool) -> tuple[StyledFigure, tuple[Axes, ...]]:
    """An empty figure with one panel, or two that share the horizontal axis."""
    figure = StyledFigure(settings(style))
    with figure.settings():
        if not with_ratio:
            return figure, (figure.add_subplot(),)
        grid = figure.add_gridspec(2, 1, height_ratios=(3, 1), hspace=0.07)
        upper = figure.add_subplot(grid[0])
        lower = figure.add_subplot(grid[1], sharex=upper)
        upper.tick_params(labelbottom=False)
        return figure, (upper, lower)
