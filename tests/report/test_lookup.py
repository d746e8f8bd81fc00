from __future__ import annotations

from typing import Any

import hist
import numpy as np
import pytest

from lazyana.errors import InputError, InputTypeError
from lazyana.report import lookup


def test_content_is_the_slice_with_flow(mass: hist.Hist[Any]) -> None:
    values, variances = lookup.content(mass, "tt", "signal", "jesUp", ("mass",))
    chosen = mass["tt", "signal", "jesUp", :]
    np.testing.assert_array_equal(values, chosen.values(flow=True))
    np.testing.assert_array_equal(variances, chosen.variances(flow=True))


def test_content_sums_over_other_axes_and_keeps_the_order_asked_for(histogram: Any) -> None:
    h = histogram(
        hist.axis.Regular(2, 0, 1, name="x"),
        hist.axis.Regular(3, 0, 1, name="y", underflow=False),
        hist.axis.Regular(4, 0, 1, name="z"),
    )
    array = h.values(flow=True)[1, 0, 2]
    values, _ = lookup.content(h, "dy", "all", "jesUp", ("z", "y"))
    assert values.shape == (6, 5)
    np.testing.assert_array_equal(values[:, 0], 0)
    np.testing.assert_allclose(values[:, 1:], array.sum(axis=0).T)
    total, _ = lookup.content(h, "dy", "all", "jesUp", ())
    assert total == pytest.approx(array.sum())


def test_content_of_axes_in_another_order(mass: hist.Hist[Any]) -> None:
    turned = mass.project("mass", "variation", "dataset", "category")
    expected = lookup.content(mass, "zz", "signal", "muUp", ("mass",))
    np.testing.assert_array_equal(
        lookup.content(turned, "zz", "signal", "muUp", ("mass",)), expected
    )


@pytest.mark.parametrize(
    ("axis", "name", "hint"),
    [
        ("dataset", "dyy", "Did you mean 'dy'"),
        ("category", "Signal", "Did you mean 'signal'"),
        ("variation", "jesup", "Did you mean 'jesUp'"),
    ],
)
def test_unknown_name_lists_what_exists(
    mass: hist.Hist[Any], axis: str, name: str, hint: str
) -> None:
    with pytest.raises(InputError) as error:
        lookup.position(mass, axis, name)
    message = str(error.value)
    assert f"no {axis} {name!r}" in message
    assert hint in message
    assert all(repr(known) in message for known in lookup.names(mass, axis))


def test_long_lists_are_shortened() -> None:
    assert lookup.listing(f"d{i}" for i in range(40)).endswith("'d29' and 10 more")
    assert lookup.listing([]) == "nothing"


def test_not_a_histogram() -> None:
    with pytest.raises(InputTypeError, match=r"not dict"):
        lookup.check({})


def test_axis_is_missing(mass: hist.Hist[Any]) -> None:
    with pytest.raises(InputError, match=r"no axis 'category'.*'dataset', 'variation', 'mass'"):
        lookup.check(mass.project("dataset", "variation", "mass"))


@pytest.mark.parametrize("storage", [hist.storage.Mean(), hist.storage.Double()])
def test_storage_without_variances(storage: Any) -> None:
    axes = [hist.axis.StrCategory(["nominal"], name=name) for name in lookup.NAMED_AXES]
    h: hist.Hist[Any] = hist.Hist(*axes, hist.axis.Regular(2, 0, 1, name="x"), storage=storage)
    extra = {"sample": [1.0]} if isinstance(storage, hist.storage.Mean) else {}
    h.fill(*["nominal"] * 3, [0.5], weight=[0.3], **extra)
    with pytest.raises(InputError, match=r"use hist.storage.Weight"):
        lookup.check(h)


def test_dataset_twice(mass: hist.Hist[Any]) -> None:
    with pytest.raises(InputError, match=r"'dy' is asked for twice"):
        lookup.check_datasets(mass, ["dy", "tt", "dy"])


def test_groups() -> None:
    assert lookup.as_groups("dy") == {"dy": ("dy",)}
    assert lookup.as_groups(["dy", "tt"]) == {"dy": ("dy",), "tt": ("tt",)}
    assert lookup.as_groups({"Z": "dy", "top": ["tt", "st"]}) == {"Z": ("dy",), "top": ("tt", "st")}


def test_category_may_be_left_out_where_there_is_one(mass: hist.Hist[Any], histogram: Any) -> None:
    one = histogram(hist.axis.Regular(2, 0, 1, name="x"), categories=("only",))
    assert lookup.one_category(one, None) == "only"
    with pytest.raises(InputError, match=r"category= is needed.*'all', 'signal'"):
        lookup.one_category(mass, None)


def test_user_axes(histogram: Any) -> None:
    h = histogram(hist.axis.Regular(2, 0, 1, name="x"), hist.axis.Regular(2, 0, 1, name="y"))
    assert lookup.user_axes(h, None, 2) == ("x", "y")
    assert lookup.user_axes(h, ["y"], 1) == ("y",)
    with pytest.raises(InputError, match=r"1 axis is shown, not 2.*'x', 'y'"):
        lookup.user_axes(h, None, 1)
    with pytest.raises(InputError, match=r"no axis 'mass'"):
        lookup.user_axes(h, ["mass"], 1)
    with pytest.raises(InputError, match=r"2 different axes"):
        lookup.user_axes(h, ["x", "x"], 2)


def test_absent_variation_is_zero_everywhere(mass: hist.Hist[Any]) -> None:
    assert not lookup.was_filled(mass, "data", "jesUp")
    assert lookup.was_filled(mass, "data", "nominal")
    # Content in the overflow of another category is enough to know that it was filled.
    mass.view(flow=True)["value"][0, 1, 2, -1] = 1
    assert lookup.was_filled(mass, "data", "jesUp")


@pytest.mark.parametrize(
    ("variation", "systematic"),
    [
        ("jesUp", "jes"),
        ("jesDown", "jes"),
        ("jes_FlavorQCDDown", "jes_FlavorQCD"),
        ("scale_0", "scale"),
        ("Up", "Up"),
        ("plain", "plain"),
    ],
)
def test_systematic_of_a_variation(variation: str, systematic: str) -> None:
    assert lookup.systematic_of(variation) == systematic


def test_systematics(mass: hist.Hist[Any]) -> None:
    assert lookup.systematics_of(mass, None) == {
        "jes": ("jesDown", "jesUp"),
        "mu": ("muUp",),
        "scale": ("scale_0", "scale_1", "scale_2"),
    }
    assert lookup.systematics_of(mass, "mu") == {"mu": ("muUp",)}
    assert lookup.systematics_of(mass, ()) == {}
    mine = {"member 0": "scale_0", "jets": ["jesUp"]}
    assert lookup.systematics_of(mass, mine) == {"member 0": ("scale_0",), "jets": ("jesUp",)}


def test_unknown_systematic(mass: hist.Hist[Any]) -> None:
    with pytest.raises(InputError, match=r"no systematic 'jse'. Did you mean 'jes'"):
        lookup.systematics_of(mass, ["jse"])
    with pytest.raises(InputError, match=r"no variation 'muDown'"):
        lookup.systematics_of(mass, {"mu": ["muUp", "muDown"]})
    with pytest.raises(InputError, match=r"'mu' names no variations"):
        lookup.systematics_of(mass, {"mu": []})
