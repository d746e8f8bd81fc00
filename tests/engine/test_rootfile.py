from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uproot

from lazyana.engine.rootfile import write_root
from lazyana.errors import FileError, InputError, InputTypeError, OutputExistsError

axis = hist.axis
AXES: dict[str, Callable[[str], Any]] = {
    "regular": lambda name: axis.Regular(5, 0.1, 1.3, name=name, label="m [GeV]"),
    "variable": lambda name: axis.Variable([0.1, 0.2, 3.0], name=name),
    "infinite": lambda name: axis.Variable([0.0, 1.0, math.inf], name=name),
    "integer": lambda name: axis.Integer(-2, 4, name=name),
    "int category": lambda name: axis.IntCategory([1, 5, 3], name=name),
    "str category": lambda name: axis.StrCategory(["b", "a"], name=name),
    "no overflow": lambda name: axis.StrCategory(["b", "a"], name=name, overflow=False),
    "growing": lambda name: axis.StrCategory(["b", "a"], name=name, growth=True),
    "boolean": lambda name: axis.Boolean(name=name),
    "no flow": lambda name: axis.Regular(5, 0, 1, name=name, flow=False),
    "no underflow": lambda name: axis.Regular(5, 0, 1, name=name, underflow=False),
    "circular": lambda name: axis.Regular(5, 0, 1, name=name, circular=True),
    "circular variable": lambda name: axis.Variable([0, 1, 5, 6], name=name, circular=True),
    "log": lambda name: axis.Regular(5, 0.1, 1.3, name=name, transform=axis.transform.log),
}
GROUPING = {
    "dataset": ["/DY/Run2/NANO", "tt"],
    "category": ["SR", "CR"],
    "variation": ["nominal", "jesUp", "jesDown"],
}


def filled(*axes: Any, storage: str = "weight") -> hist.Hist:
    made = hist.Hist(*axes, storage=storage)
    view = made.view(flow=True)
    random = np.random.default_rng(3)
    if storage == "weight":
        view["value"] = random.normal(size=view.shape)
        view["variance"] = random.random(view.shape)
    else:
        made[...] = random.integers(0, 100, view.shape)
    return made


def grouped(*axes: Any, storage: str = "weight") -> hist.Hist:
    labels = [axis.StrCategory(GROUPING[n], name=n, overflow=False) for n in GROUPING]
    return filled(*labels, *axes, storage=storage)


def with_flow(array: Any, *axes: Any) -> Any:
    """The array with under- and overflow along each axis, as ROOT has it."""
    for position, one in enumerate(axes):
        if not one.traits.underflow:
            array = np.insert(array, 0, 0.0, axis=position)
        if not one.traits.overflow:
            array = np.insert(array, array.shape[position], 0.0, axis=position)
    return array


@pytest.mark.parametrize("name", AXES)
def test_one_axis_comes_back(name: str, tmp_path: Path) -> None:
    one = AXES[name]("x")
    histogram = filled(one)
    with uproot.open(write_root(tmp_path / "a.root", {"h": histogram})) as file:
        found = file["h/nominal"]
        assert found.classname == "TH1D"
        values, variances = found.values(flow=True), found.variances(flow=True)
        edges, labels = found.axis().edges(), found.axis().labels()
        title = found.axis().member("fTitle")
    assert np.array_equal(values, with_flow(histogram.values(flow=True), one))
    assert np.array_equal(variances, with_flow(histogram.variances(flow=True), one))
    assert title == one.label
    if "category" in name or name in {"no overflow", "growing"}:
        assert labels == [str(label) for label in one]
    elif name != "boolean":
        expected = [0, 1, 5, 6] if name == "circular variable" else one.edges
        assert np.allclose(edges, expected, rtol=1e-15)


@pytest.mark.parametrize("second", AXES)
@pytest.mark.parametrize("first", ["variable", "str category", "no flow"])
def test_two_axes_come_back(first: str, second: str, tmp_path: Path) -> None:
    axes = [AXES[first]("x"), AXES[second]("y")]
    histogram = filled(*axes)
    with uproot.open(write_root(tmp_path / "a.root", {"h": histogram})) as file:
        found = file["h/nominal"]
        assert found.classname == "TH2D"
        assert np.array_equal(
            found.values(flow=True), with_flow(histogram.values(flow=True), *axes)
        )
        variances = with_flow(histogram.variances(flow=True), *axes)
        assert np.array_equal(found.variances(flow=True), variances)


@pytest.mark.parametrize("storage", ["double", "int64", "weight"])
def test_three_axes_of_every_dataset_category_and_variation(storage: str, tmp_path: Path) -> None:
    axes = [AXES["regular"]("x"), AXES["no overflow"]("y"), AXES["no underflow"]("z")]
    histogram = grouped(*axes, storage=storage)
    with uproot.open(write_root(tmp_path / "a.root", {"a/b": histogram})) as file:
        keys = set(file.keys(cycle=False, filter_classname="TH3D"))
        assert keys == {
            f"a/b/{category}/{dataset}/{variation}"
            for category in ("SR", "CR")
            for dataset in ("DY_Run2_NANO", "tt")
            for variation in ("nominal", "jesUp", "jesDown")
        }
        found = file["a/b/CR/DY_Run2_NANO/jesDown"]
        values, variances = found.values(flow=True), found.variances(flow=True)
    expected = histogram["/DY/Run2/NANO", "CR", "jesDown", ...]
    assert np.array_equal(values, with_flow(expected.values(flow=True), *axes))
    if storage == "weight":
        assert np.array_equal(variances, with_flow(expected.variances(flow=True), *axes))
    else:
        assert np.array_equal(variances, values)


def test_order_of_the_axes_does_not_matter(tmp_path: Path) -> None:
    variations = axis.StrCategory(["nominal", "up"], name="variation")
    histogram = filled(AXES["regular"]("x"), variations, AXES["variable"]("y"))
    with uproot.open(write_root(tmp_path / "a.root", {"h": histogram})) as file:
        assert file.keys(cycle=False, filter_classname="TH2D") == ["h/nominal", "h/up"]
        assert np.array_equal(file["h/up"].values(flow=True), histogram[:, 1, :].values(flow=True))


def test_statistics_are_those_of_the_bins_in_range(tmp_path: Path) -> None:
    histogram = hist.Hist(
        axis.Regular(2, 0, 4, name="x"), axis.Integer(0, 2, name="y"), storage="weight"
    )
    histogram.fill([1, 1, 3, 9], [0, 1, 1, 0], weight=[1.0, 2.0, 3.0, 50.0])
    with uproot.open(write_root(tmp_path / "a.root", {"h": histogram})) as file:
        found = file["h/nominal"]
        sums = {name: found.member(name) for name in found.all_members if name.startswith("fTsum")}
        entries = found.member("fEntries")
    assert sums == {
        "fTsumw": 6.0,
        "fTsumw2": 14.0,
        "fTsumwx": 1 + 2 + 9,
        "fTsumwx2": 1 + 2 + 27,
        "fTsumwy": 0.5 + 3 + 4.5,
        "fTsumwy2": 0.25 + 4.5 + 6.75,
        "fTsumwxy": 0.5 + 3 + 13.5,
    }
    assert entries == pytest.approx(36 / 14)


def test_an_empty_histogram(tmp_path: Path) -> None:
    histogram = hist.Hist(axis.Regular(2, 0, 4, name="x"), storage="weight", label="mass")
    with uproot.open(write_root(tmp_path / "a.root", {"h": histogram})) as file:
        assert file["h/nominal"].values(flow=True).tolist() == [0, 0, 0, 0]
        assert file["h/nominal"].title == "mass"
        assert file["h/nominal"].member("fEntries") == 0


def test_keys_by_format_and_function(tmp_path: Path) -> None:
    histogram = grouped(AXES["regular"]("x"))
    path = write_root(
        tmp_path / "a.root", {"mll": histogram}, key="{output}/{category}/{dataset}_{variation}"
    )
    with uproot.open(path) as file:
        assert "mll/SR/tt_jesUp" in file.keys(cycle=False)

    def key(output: str, category: str, dataset: str, variation: str) -> str:
        suffix = "" if variation == "nominal" else f"_{variation}"
        return f"{category}/{output}/{dataset}{suffix}"

    write_root(path, {"mll": histogram}, key=key, overwrite=True)
    with uproot.open(path) as file:
        assert {"SR/mll/tt", "SR/mll/tt_jesUp"} <= set(file.keys(cycle=False))


def test_wrong_keys(tmp_path: Path) -> None:
    histogram = grouped(AXES["regular"]("x"))
    with pytest.raises(InputError, match=r"No field 'categroy'.* Did you mean 'category'"):
        write_root(tmp_path / "a.root", {"h": histogram}, key="{categroy}/{dataset}")
    with pytest.raises(InputError, match=r"More than one .* 'h/SR'; give a key= with all of"):
        write_root(tmp_path / "a.root", {"h": histogram}, key="{output}/{category}")
    with pytest.raises(InputTypeError, match=r"returned 3, not a str"):
        write_root(tmp_path / "a.root", {"h": histogram}, key=lambda **_: 3)
    assert list(tmp_path.iterdir()) == []


def test_what_root_has_no_class_for(tmp_path: Path) -> None:
    four = hist.Hist(*[axis.Regular(2, 0, 1, name=name) for name in "abcd"], storage="weight")
    mean = hist.Hist(axis.Regular(2, 0, 1, name="a"), storage="mean")
    hollow = hist.Hist(axis.StrCategory([], growth=True, name="a"), storage="weight")
    for histogram, message in (
        (four, r"'h' has 4 axes besides .* \('a', 'b', 'c', 'd'\), but .* Leave it out"),
        (grouped(), r"has 0 axes besides .* \(none\)"),
        (mean, "'h' has Mean storage"),
        (hollow, "Axis 'a' of output 'h' has no bins"),
    ):
        with pytest.raises(InputError, match=message):
            write_root(tmp_path / "a.root", {"good": filled(AXES["log"]("x")), "h": histogram})
    assert list(tmp_path.iterdir()) == []


def test_existing_files_and_impossible_places(tmp_path: Path) -> None:
    histograms = {"h": filled(AXES["regular"]("x"))}
    path = write_root(tmp_path / "new" / "a.root", histograms)
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match=r"exists already"):
        write_root(path, histograms)
    assert path.read_bytes() == before
    assert write_root(path, histograms, overwrite=True) == path
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(FileError, match=r"Cannot write"):
        write_root(path / "b.root", histograms)
