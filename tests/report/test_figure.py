from __future__ import annotations

import pickle
from pathlib import Path

import matplotlib as mpl
import pytest

from lazyana.errors import InputError
from lazyana.report.figure import check_path, panels, save
from lazyana.report.style import PlotStyle


def test_suffix_is_checked_before_anything_is_drawn() -> None:
    check_path(None)
    check_path("plot.PDF")
    with pytest.raises(InputError, match=r"'plot.root' does not end in a picture format.*png"):
        check_path("plot.root")
    with pytest.raises(InputError, match=r"does not end"):
        check_path(Path("plot"))


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg", "eps", "jpg"])
def test_pictures_are_the_same_bytes_each_time(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / "new" / f"{number}.{suffix}" for number in range(2)]
    for path in paths:
        figure, axes = panels(PlotStyle(figsize=(2, 2)), with_ratio=False)
        axes[0].set_xlabel(r"$p_T$")
        save(figure, path)
    first, second = (path.read_bytes() for path in paths)
    assert len(first) > 1000
    # EPS carries the time of its making, and matplotlib offers no way to leave it out.
    assert suffix == "eps" or first == second


def test_figure_keeps_its_look_outside_of_the_context() -> None:
    figure, axes = panels(PlotStyle(figsize=(3, 3)), with_ratio=True)
    axes[1].set_xlabel(r"$p_T^{\mu\mu}$ and text")
    with figure.settings():
        inside = figure._repr_png_()
    with mpl.rc_context({"mathtext.fontset": "cm", "font.sans-serif": ["DejaVu Sans"]}):
        outside = figure._repr_png_()
    assert inside == outside
    assert pickle.loads(pickle.dumps(figure))._repr_png_() == inside
