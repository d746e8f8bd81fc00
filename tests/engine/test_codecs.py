from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import awkward as ak
import boost_histogram as bh
import hist
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyana.engine.codecs import Reader, Writer, kind_of
from lazyana.errors import FileError, InputTypeError
from lazyana.sinks.base import Place
from lazyana.sinks.columns import Columns
from lazyana.sinks.cutflow import Cutflow
from lazyana.sinks.tables import ColumnDataset, ColumnTable

axis = hist.axis
printable = st.text(st.characters(exclude_categories=["C"]), max_size=8)
edges = st.lists(
    st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=6, unique=True
).map(sorted)
flows = st.fixed_dictionaries({"underflow": st.booleans(), "overflow": st.booleans()})
options = st.one_of(flows, st.sampled_from([{"circular": True}, {"growth": True}]))
limits = st.tuples(st.floats(0.01, 1e4), st.floats(0.1, 1e4)).map(lambda x: (x[0], x[0] + x[1]))
transforms = st.one_of(
    st.sampled_from([axis.transform.log, axis.transform.sqrt]),
    st.sampled_from([-1.5, 0.3, 2.0, 3.0, 7.0]).map(axis.transform.Pow),
)


@st.composite
def axes(draw: st.DrawFn, name: str) -> Any:  # noqa: PLR0911  (one line a kind)
    common = {"name": name, "label": draw(printable)}
    bins = draw(st.integers(1, 5))
    kind = draw(
        st.sampled_from(["regular", "transformed", "variable", "integer", "int", "str", "bool"])
    )
    match kind:
        case "regular":
            return axis.Regular(bins, *draw(limits), **draw(options), **common)
        case "transformed":
            return axis.Regular(bins, *draw(limits), transform=draw(transforms), **common)
        case "variable":
            return axis.Variable(draw(edges), **draw(options), **common)
        case "integer":
            start = draw(st.integers(-1000, 1000))
            return axis.Integer(start, start + bins, **draw(options), **common)
        case "int":
            values = draw(st.lists(st.integers(-99, 99), min_size=1, max_size=4, unique=True))
            flow = draw(
                st.sampled_from([{"growth": True}, {"overflow": True}, {"overflow": False}])
            )
            return axis.IntCategory(values, **flow, **common)
        case "str":
            words = draw(st.lists(printable, min_size=1, max_size=4, unique=True))
            flow = draw(
                st.sampled_from([{"growth": True}, {"overflow": True}, {"overflow": False}])
            )
            return axis.StrCategory(words, **flow, **common)
        case _:
            return axis.Boolean(**common)


@st.composite
def histograms(draw: st.DrawFn) -> hist.Hist:
    names = "xyz"[: draw(st.integers(1, 3))]
    storage = draw(
        st.sampled_from(
            ["Double", "Int64", "AtomicInt64", "Unlimited", "Weight", "Mean", "WeightedMean"]
        )
    )
    made = hist.Hist(
        *[draw(axes(name)) for name in names],
        storage=getattr(bh.storage, storage)(),
        label=draw(printable),
        name=draw(printable),
    )
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = made.view(flow=True).shape
    if storage in ("Double", "Unlimited"):
        made[...] = random.normal(size=shape)
    elif storage in ("Int64", "AtomicInt64"):
        made[...] = random.integers(0, 1 << 40, size=shape)
    else:
        view = np.asarray(made.view(flow=True))
        for field in view.dtype.names:
            view[field] = random.normal(size=shape)
            view[field].flat[0] = draw(st.sampled_from([math.nan, math.inf, -math.inf, -0.0]))
    return made


def written(value: Any, directory: Path = Path("/nowhere")) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        Writer(archive, "outputs/0_x", directory).write(value)
    return file.getvalue()


def again(value: Any, directory: Path = Path("/nowhere")) -> Any:
    with zipfile.ZipFile(io.BytesIO(written(value, directory))) as archive:
        return Reader(archive, directory).read("outputs/0_x", kind_of(value))


def assert_same(one: hist.Hist, two: hist.Hist) -> None:
    assert type(two) is hist.Hist
    assert two.axes == one.axes
    for first, second in zip(one.axes, two.axes, strict=True):
        assert type(second) is type(first)
        assert (second.name, second.label, second.traits) == (first.name, first.label, first.traits)
    assert two.storage_type is one.storage_type
    assert (two.name, two.label) == (one.name, one.label)
    assert np.asarray(two.view(flow=True)).tobytes() == np.asarray(one.view(flow=True)).tobytes()


@settings(max_examples=100, deadline=None)
@given(histograms())
def test_histograms_come_back_to_the_last_bit(histogram: hist.Hist) -> None:
    assert kind_of(histogram) == "hist"
    assert_same(histogram, again(histogram))
    assert_same(histogram, again([histogram, histogram])[1])


def test_growing_category_axis_without_bins() -> None:
    histogram = hist.Hist(axis.StrCategory([], growth=True, name="x"), storage="weight")
    assert_same(histogram, again(histogram))


def test_a_weighted_fill_without_weighted_storage_has_no_variances_afterwards_either() -> None:
    histogram = hist.Hist.new.Reg(2, 0, 1).Double().fill([0.1], weight=[2.0])
    assert histogram.variances() is None
    assert again(histogram).variances() is None
    assert again(hist.Hist.new.Reg(2, 0, 1).Double().fill([0.1])).variances() is not None


def test_boost_histograms_are_saved_too() -> None:
    histogram = bh.Histogram(bh.axis.Regular(2, 0, 1), storage=bh.storage.Weight())
    histogram.fill([0.1, 0.7], weight=[1.0, 2.0])
    assert np.array_equal(again(histogram).values(), [1.0, 2.0])


def test_function_transform_is_refused() -> None:
    import numba

    square = numba.cfunc("f8(f8)")(lambda x: x * x)
    root = numba.cfunc("f8(f8)")(lambda x: x**0.5)
    transform = axis.transform.Function(square.ctypes, root.ctypes)
    histogram = hist.Hist(axis.Regular(3, 1, 2, transform=transform, name="x", label="mass"))
    with pytest.raises(
        InputTypeError, match=r"axis 'mass' has a transform that cannot be saved exactly"
    ):
        written(histogram)


def test_metadata_must_be_json() -> None:
    histogram = hist.Hist(axis.Regular(3, 1, 2, metadata={"cut": [1, None]}))
    assert again(histogram).axes[0].metadata == {"cut": [1, None]}
    histogram = hist.Hist(axis.Regular(3, 1, 2, metadata=object()))
    with pytest.raises(InputTypeError, match=r"metadata of a histogram cannot be saved as JSON"):
        written(histogram)


plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), printable),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(printable, st.integers()), inner, max_size=3),
    ),
    max_leaves=10,
)


@given(plain)
def test_numbers_come_back_to_the_last_bit(value: Any) -> None:
    assert kind_of(value) == "values"
    assert repr(again(value)) == repr(value)


def test_json_is_strict() -> None:
    with zipfile.ZipFile(io.BytesIO(written({"a": math.nan, "b": [math.inf, -math.inf]}))) as file:
        text = file.read("outputs/0_x.json").decode()
    assert json.loads(text, parse_constant=pytest.fail)["items"][0] == [
        "a",
        {"kind": "float", "value": "nan"},
    ]


@pytest.mark.parametrize("value", [np.float64(0.1), np.float32(0.1), np.int16(-3), np.bool_(True)])
def test_numpy_scalars_come_back_as_python_numbers(value: Any) -> None:
    assert again(value) == value
    assert type(again(value)) in (int, float, bool)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2],
        np.array([math.nan, -0.0]),
        np.array(["a", "bc"]),
        np.array([], dtype="M8[ns]"),
        np.zeros(3, dtype=[("a", "i4"), ("b", "f8")]),
    ],
)
def test_numpy_arrays(array: Any) -> None:
    for found in (again(array), again({"DY": array})["DY"]):
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert found.tobytes() == array.tobytes()


arrays = {
    "numbers": ak.Array([1.5, math.nan, -0.0]),
    "narrow": ak.values_astype(ak.Array([[1, 2], [], [3]]), np.uint8),
    "missing": ak.Array([None, [1, None], []]),
    "records": ak.Array([{"pt": [1.0], "name": "mu"}, {"pt": [], "name": ""}]),
    "named": ak.zip({"x": [[1], []], "y": [[2], []]}, with_name="Point"),
    "union": ak.Array([1, "two", [3.0]]),
    "regular": ak.to_regular(ak.Array([[1, 2], [3, 4]])),
    "no lists": ak.to_regular(ak.Array(np.zeros((0, 2)))),
    "time": ak.Array(np.array(["2024-01-01"], dtype="M8[s]")),
    "categorical": ak.str.to_categorical(ak.Array(["a", "b", "a"])),
    "bits": ak.Array(
        ak.contents.BitMaskedArray(
            ak.index.IndexU8([0b101]), ak.contents.NumpyArray(np.arange(3)), True, 3, True
        )
    ),
    "unknown": ak.Array([]),
    "unit": ak.with_parameter(ak.Array([1.0, 2.0]), "unit", "GeV"),
    "tuples": ak.Array([(1, 2.5), (3, 4.5)]),
    "slice": ak.Array([[1, 2], [3], [], [4, 5]])[1::2],
}


@pytest.mark.parametrize("name", arrays)
def test_awkward_arrays_keep_their_type(name: str) -> None:
    array = arrays[name]
    assert kind_of(array) == "awkward"
    for found in (again(array), again({"DY": {"nominal": array}})["DY"]["nominal"]):
        assert found.type == array.type
        assert ak.array_equal(found, array, equal_nan=True, check_parameters=True)


def test_a_slice_is_saved_without_the_rest() -> None:
    big = ak.Array(np.random.default_rng(0).normal(size=100_000))
    assert len(written(big[:10])) < 5_000


def test_cutflow() -> None:
    shape = (2, 1, 3)
    random = np.random.default_rng(1)
    cutflow = Cutflow(
        datasets=("DY", "tt"),
        stages=("all", "trigger", "mass"),
        variations=("nominal",),
        counts=random.integers(0, 100, shape),
        sumw=random.normal(size=shape),
        sumw2=random.normal(size=shape),
    )
    found = again(cutflow)
    assert kind_of(cutflow) == "cutflow"
    assert (found.datasets, found.stages, found.variations) == (
        cutflow.datasets,
        cutflow.stages,
        cutflow.variations,
    )
    for name in ("counts", "sumw", "sumw2"):
        assert getattr(found, name).dtype == getattr(cutflow, name).dtype
        assert np.array_equal(getattr(found, name), getattr(cutflow, name))


def saved_columns(path: Path | None, values: list[float]) -> Any:
    sink = Columns(("pt",), None if path is None else str(path), overwrite=True)
    sink.prepare()
    place = Place("DY", 0, "nominal", "a.root", 0, len(values))
    return sink.finish({("DY", "nominal"): sink.fill(place, None, None, ak.Array(values))}, ["DY"])


def test_columns_in_memory() -> None:
    table = saved_columns(None, [1.0, 2.0])
    assert kind_of(table) == "table"
    found = again(table)
    assert isinstance(found, ColumnTable)
    assert found.arrays.keys() == table.arrays.keys()
    assert found["DY"].type == table["DY"].type
    assert found["DY"].to_list() == table["DY"].to_list()


def test_columns_on_disk_are_a_reference(tmp_path: Path) -> None:
    columns = saved_columns(tmp_path / "columns", [1.0, 2.0])
    assert kind_of(columns) == "columns"
    found = again(columns, tmp_path)
    assert isinstance(found, ColumnDataset)
    assert found == columns
    assert found.to_awkward()["pt"].to_list() == [1.0, 2.0]


def test_columns_stamped_after_saving_are_still_the_same(tmp_path: Path) -> None:
    columns = saved_columns(tmp_path / "columns", [1.0])
    data = written(columns, tmp_path)
    columns.stamp({"program": "ab12"})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = Reader(archive, tmp_path).read("outputs/0_x", "columns")
    assert found.provenance == {"program": "ab12"}


def test_columns_moved_together_with_the_result(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    data = written(saved_columns(tmp_path / "old" / "columns", [1.0]), tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = Reader(archive, tmp_path / "new").read("outputs/0_x", "columns")
    assert found.to_awkward()["pt"].to_list() == [1.0]


def test_columns_that_are_gone_or_other_ones(tmp_path: Path) -> None:
    data = written(saved_columns(tmp_path / "columns", [1.0]), tmp_path)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        reader = Reader(archive, tmp_path)
        saved_columns(tmp_path / "columns", [1.0, 2.0, 3.0])
        with pytest.raises(FileError, match=r"written anew since"):
            reader.read("outputs/0_x", "columns")
        (tmp_path / "columns").rename(tmp_path / "elsewhere")
        with pytest.raises(FileError, match=r"There are no columns at .*columns; move them back"):
            reader.read("outputs/0_x", "columns")


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, np.longdouble(1), {"a": [b"bytes"]}])
def test_what_has_no_place_is_refused(value: Any) -> None:
    with pytest.raises(InputTypeError, match=r"cannot be saved in a result file. What can be"):
        written(value)


def test_keys_and_arrays_that_have_no_place_are_refused() -> None:
    with pytest.raises(InputTypeError, match=r"keys are str or int"):
        written({1.5: 1})
    with pytest.raises(InputTypeError, match=r"array of Python objects"):
        written(np.array([{}, None]))
