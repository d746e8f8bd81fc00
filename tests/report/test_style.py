from __future__ import annotations

from typing import Any

import pytest

from lazyana.errors import InputError
from lazyana.report.style import SIX_COLORS, TEN_COLORS, PlotStyle, colors_of


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"order": "random"}, "order='random'"),
        ({"ratio_range": (1.5, 0.5)}, "ratio_range"),
        ({"figsize": (0.0, 5.0)}, "figsize"),
        ({"dpi": -1.0}, "dpi=-1.0"),
    ],
)
def test_values_that_cannot_be_drawn(options: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        PlotStyle(**options)


def test_styles_are_values() -> None:
    assert PlotStyle() == PlotStyle()
    assert PlotStyle(dpi=50) != PlotStyle()


def test_named_color_wins_and_others_keep_theirs() -> None:
    colors = colors_of(["a", "b", "c"], PlotStyle(colors={"b": "black"}))
    assert colors == {"a": SIX_COLORS[0], "b": "black", "c": SIX_COLORS[2]}


def test_palette_fits_the_number_of_labels() -> None:
    labels = [str(number) for number in range(12)]
    assert tuple(colors_of(labels[:6], PlotStyle()).values()) == SIX_COLORS
    assert tuple(colors_of(labels[:10], PlotStyle()).values()) == TEN_COLORS
    assert colors_of(labels, PlotStyle())["10"] == TEN_COLORS[0]
