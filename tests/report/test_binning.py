from __future__ import annotations

import math
from typing import Any

import hist
import numpy as np
import pytest

from lazyana.errors import InputError
from lazyana.report.binning import binning_of


def test_continuous_axis() -> None:
    binning = binning_of(hist.axis.Variable([0, 1, 3], name="x", label="x [GeV]"))
    np.testing.assert_array_equal(binning.edges, [0, 1, 3])
    np.testing.assert_array_equal(binning.widths, [1, 2])
    np.testing.assert_array_equal(binning.centers, [0.5, 2])
    assert (binning.label, binning.unit, binning.ticks) == ("x [GeV]", "GeV", None)
    assert not binning.is_uniform


@pytest.mark.parametrize(
    ("label", "unit"),
    [("mass [GeV]", "GeV"), ("mass (GeV) ", "GeV"), ("[a] b", ""), (r"$\phi$ [rad]", "rad")],
)
def test_unit_is_read_from_the_label(label: str, unit: str) -> None:
    assert binning_of(hist.axis.Regular(2, 0, 1, name="x", label=label)).unit == unit


def test_rounding_keeps_equal_widths_equal() -> None:
    assert binning_of(hist.axis.Regular(77, -0.3, 1e3, name="x")).is_uniform


@pytest.mark.parametrize(
    ("axis", "edges", "ticks"),
    [
        (hist.axis.Integer(2, 5, name="n"), [1.5, 2.5, 3.5, 4.5], ("2", "3", "4")),
        (hist.axis.StrCategory(["ee", "mm"], name="c"), [-0.5, 0.5, 1.5], ("ee", "mm")),
        (hist.axis.IntCategory([13, 11], name="c"), [-0.5, 0.5, 1.5], ("13", "11")),
        (hist.axis.Boolean(name="b"), [-0.5, 0.5, 1.5], ("false", "true")),
    ],
)
def test_axes_that_count_or_name(axis: Any, edges: list[float], ticks: tuple[str, ...]) -> None:
    binning = binning_of(axis)
    np.testing.assert_array_equal(binning.edges, edges)
    assert binning.ticks == ticks


def test_many_integers_are_numbers() -> None:
    assert binning_of(hist.axis.Integer(0, 100, name="n")).ticks is None


def test_infinite_edge() -> None:
    with pytest.raises(InputError, match=r"'pt' has an infinite edge.*flow='add'"):
        binning_of(hist.axis.Variable([0, 1, math.inf], name="pt"))
