from __future__ import annotations

from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyana.errors import InputTypeError, RunError
from lazyana.sinks.base import Place
from lazyana.sinks.entries import axis_bins, check_column, find_entries
from lazyana.sinks.fill import Entries

PLACE = Place("dy", 3, "nominal", "dy.root", 100, 200)
REGULAR = hist.axis.Regular(4, 0, 1, name="pt")
INTEGER = hist.axis.Integer(0, 4, name="njets")
TEXT = hist.axis.StrCategory(["a", "b"], name="flavour")
TRANSFORMED = hist.axis.Regular(3, 1, 100, transform=hist.axis.transform.log, name="x")

FRACTIONAL_AXES = [
    REGULAR,
    TRANSFORMED,
    hist.axis.Regular(4, 0, 1, circular=True),
    hist.axis.Regular(4, 0, 1, flow=False),
    hist.axis.Regular(4, 0, 1, overflow=False),
    hist.axis.Regular(4, 0, 1, underflow=False),
    hist.axis.Variable([0, 0.1, 1]),
    hist.axis.Variable([0, 0.1, 1], circular=True),
    hist.axis.Variable([0, 0.1, 1], overflow=False),
]
INTEGER_AXES = [
    INTEGER,
    hist.axis.Integer(-3, 4, flow=False),
    hist.axis.Integer(-1, 2, circular=True),
    hist.axis.IntCategory([5, -1, 2]),
    hist.axis.IntCategory([5, -1, 2], overflow=False),
    hist.axis.Boolean(),
]
numbers = st.floats(width=64) | st.sampled_from([0.0, 0.1, 0.25, 1.0, 10.0, 100.0])


def bins(column: Any, axis: Any = REGULAR) -> list[int]:
    return find_entries(PLACE, [axis], [column]).bins.tolist()


def contents(axis: Any, values: Any) -> list[float]:
    """Bin contents with the bins of ours."""
    found, complete = axis_bins(axis, ak.to_layout(values))
    assert complete == bool((found >= 0).all())
    return np.bincount(found[found >= 0], minlength=axis.extent).tolist()


@pytest.mark.parametrize("axis", FRACTIONAL_AXES, ids=repr)
@settings(max_examples=40)
@given(values=st.lists(numbers), dtype=st.sampled_from(["float64", "float32"]))
def test_bins_of_numbers_are_those_of_hist(axis: Any, values: list[float], dtype: str) -> None:
    with np.errstate(over="ignore"):
        array = np.array(values, dtype=dtype)
    expected = hist.Hist(axis).fill(array).values(flow=True)
    assert contents(axis, array) == expected.tolist()


@pytest.mark.parametrize("axis", FRACTIONAL_AXES + INTEGER_AXES, ids=repr)
@settings(max_examples=40)
@given(
    values=st.lists(st.integers(0, 6)),
    dtype=st.sampled_from(["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "bool"]),
)
def test_bins_of_integers_are_those_of_hist(axis: Any, values: list[int], dtype: str) -> None:
    array = np.array(values).astype(dtype)
    expected = hist.Hist(axis).fill(array).values(flow=True)
    assert contents(axis, array) == expected.tolist()


@given(values=st.lists(st.sampled_from(["a", "b", "c", "", "ab", "ä"])), overflow=st.booleans())
def test_bins_of_strings_are_those_of_hist(values: list[str], overflow: bool) -> None:
    axis = hist.axis.StrCategory(["b", "ä", "a"], overflow=overflow)
    expected = hist.Hist(axis).fill(values).values(flow=True)
    assert contents(axis, ak.Array(values)) == expected.tolist()


def test_integers_beyond_32_bits_are_in_the_flow_bins() -> None:
    assert contents(INTEGER, np.array([2**32 + 1, -(2**40), 1])) == [1, 0, 1, 0, 0, 1]
    assert contents(INTEGER, np.array([2**63 + 1], dtype="uint64")) == [0, 0, 0, 0, 0, 1]
    category = hist.axis.IntCategory([1])
    assert contents(category, np.array([2**32 + 1])) == [0, 1]
    circular = hist.axis.Integer(0, 3, circular=True)
    assert contents(circular, np.array([3 * 2**40 + 2])) == [0, 0, 1]


def filled(entries: Entries) -> list[tuple[int, int]]:
    """Event and bin of what is filled."""
    event = np.arange(len(entries.bins)) if entries.event is None else entries.event
    pairs = zip(event.tolist(), entries.bins.tolist(), strict=True)
    return [pair for pair in pairs if pair[1] >= 0]


@pytest.mark.parametrize(
    "column",
    [
        ak.Array([0.1, None, 0.6]),
        ak.mask(np.array([0.1, 0.9, 0.6]), [True, False, True]),
        np.ma.masked_array([0.1, 0.9, 0.6], [False, True, False]),
        ak.firsts(ak.Array([[0.1], [], [0.6, 0.9]])),
        ak.Array([0.6, 9.0, 0.1])[ak.Array([2, None, 0])],
    ],
)
def test_none_is_not_filled(column: Any) -> None:
    assert filled(find_entries(PLACE, [REGULAR], [column])) == [(0, 1), (2, 3)]
    # beside another axis too
    two = find_entries(PLACE, [REGULAR, hist.axis.Boolean()], [column, np.array([True] * 3)])
    assert filled(two) == [(0, 1 * 2 + 1), (2, 3 * 2 + 1)]


@pytest.mark.parametrize(
    "column",
    [
        ak.Array([[0.1, None], [], [0.6]]),
        ak.Array([[0.1, None], None, [0.6]]),
        ak.Array([[], None, [0.1, None], [], [0.6]])[2:],
        ak.Array([[0.6], [], [0.1, None]])[[2, 1, 0]],
        ak.Array([[0.1, None], [], [0.6], [0.9], [0.3]])[:3],
    ],
)
def test_objects_belong_to_their_events(column: Any) -> None:
    entries = find_entries(PLACE, [REGULAR], [column])
    assert filled(entries) == [(0, 1), (2, 3)]
    assert entries.events == 3
    numbers = np.array([0.3, 0.6, 0.1])
    two = find_entries(PLACE, [REGULAR, REGULAR], [column, numbers])
    assert filled(two) == [(0, 1 * 6 + 2), (2, 3 * 6 + 1)]


@pytest.mark.parametrize("make", [np.array, ak.to_regular, lambda table: ak.from_numpy(table)])
def test_rectangular_columns_are_objects(make: Any) -> None:
    entries = find_entries(PLACE, [REGULAR], [make(np.array([[0.1, 0.3], [0.6, 0.8]]))])
    assert entries.bins.tolist() == [1, 2, 3, 4]
    assert entries.event is not None
    assert entries.event.tolist() == [0, 0, 1, 1]


def test_virtual_columns_are_read() -> None:
    form, length, buffers = ak.to_buffers(ak.Array([[0.1, 0.3], [], [0.6]]))
    virtual = {key: (lambda buffer=buffer: buffer) for key, buffer in buffers.items()}
    assert bins(ak.from_buffers(form, length, virtual)) == [1, 2, 3]


def test_columns_of_events_and_objects_are_broadcast() -> None:
    columns = [np.array([0.1, 0.3, 0.6]), ak.Array([[0, 1], None, [2]]), np.array([True] * 3)]
    entries = find_entries(PLACE, [REGULAR, INTEGER, hist.axis.Boolean()], columns)
    assert entries.bins.tolist() == [(1 * 6 + 1) * 2 + 1, (1 * 6 + 2) * 2 + 1, (3 * 6 + 3) * 2 + 1]


def test_objects_of_events_that_one_column_does_not_have_are_not_compared() -> None:
    columns = [ak.Array([[0.1], [0.3, 0.6]]), ak.Array([[1], None])]
    assert find_entries(PLACE, [REGULAR, INTEGER], columns).bins.tolist() == [1 * 6 + 2]


def test_different_numbers_of_objects_are_refused() -> None:
    columns = [ak.Array([[0.1], [0.3, 0.6]]), ak.Array([[1], [1]])]
    message = r"'pt' and 'njets' .* 2 and 1 in event 1 of dy.root, entries 100 to 200 .*'dy'"
    with pytest.raises(RunError, match=message):
        find_entries(PLACE, [REGULAR, INTEGER], columns)


def test_different_numbers_of_events_are_refused() -> None:
    message = r"\('pt': 2, 'njets': 1\) in dy.root, entries 100 to 200"
    with pytest.raises(RunError, match=message):
        find_entries(PLACE, [REGULAR, INTEGER], [np.zeros(2), np.zeros(1, dtype=int)])


RECORDS = ak.Array([{"pt": 1.0, "eta": 2.0}])
REFUSED = [
    (REGULAR, RECORDS, "'pt' is a record.*pt, eta"),
    (REGULAR, ak.Array([[{"pt": 1.0, "eta": 2.0}], None]), "'pt' is a record.*pt, eta"),
    (REGULAR, ak.Array([[[1.0]]]), "3 dimensions.*axis=2"),
    (REGULAR, np.zeros((1, 1, 1)), "3 dimensions"),
    (REGULAR, ak.Array(["a"]), "has strings, the axis takes numbers"),
    (REGULAR, ak.Array([[b"a"]]), "has strings, the axis takes numbers"),
    (REGULAR, np.zeros(1, dtype=complex), "complex128, which cannot be binned"),
    (REGULAR, np.zeros(1, dtype="datetime64[s]"), "datetime64.*cannot be binned"),
    (REGULAR, ak.Array([1.0, "a"]), "mixes types"),
    (INTEGER, ak.Array([[0.5]]), "fractional numbers .*values_astype"),
    (hist.axis.Boolean(), np.zeros(1), "axis 0.*fractional"),
    (TEXT, np.zeros(1), "'flavour' has numbers .*takes strings"),
]


@pytest.mark.parametrize(("axis", "column", "message"), REFUSED)
def test_columns_that_do_not_fit_are_refused(axis: Any, column: Any, message: str) -> None:
    with pytest.raises(InputTypeError, match=message):
        find_entries(PLACE, [axis], [column])


@pytest.mark.parametrize(("axis", "column", "message"), REFUSED)
def test_columns_that_do_not_fit_are_refused_before_they_have_values(
    axis: Any, column: Any, message: str
) -> None:
    tracer = ak.Array(ak.to_layout(column).to_typetracer(forget_length=True))
    with pytest.raises(InputTypeError, match=message):
        check_column(axis.name or "axis 0", axis, tracer)


@pytest.mark.parametrize(
    ("axis", "column"),
    [
        (REGULAR, ak.Array([[1, None], None])),
        (REGULAR, np.zeros((2, 2), dtype="float32")),
        (REGULAR, ak.Array([])),
        (INTEGER, ak.Array([True])),
        (TEXT, ak.Array([["a", None]])),
        (TEXT, ak.Array([[]])),
    ],
)
def test_columns_that_fit_are_let_through_before_they_have_values(axis: Any, column: Any) -> None:
    check_column("x", axis, ak.Array(ak.to_layout(column).to_typetracer(forget_length=True)))


@pytest.mark.parametrize("axis", [REGULAR, INTEGER, TEXT, hist.axis.IntCategory([1])], ids=repr)
@pytest.mark.parametrize("column", [ak.Array([]), ak.Array([None, None]), ak.Array([[], []])])
def test_nothing_fills_nothing(axis: Any, column: Any) -> None:
    assert set(bins(column, axis)) <= {-1}
