"""Masks: one truth value an event, or an object, and never None."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

import lazyana as la
from lazyana.analysis.masks import checked_mask, every, within
from lazyana.errors import ColumnError, InputError, InputTypeError

EVENTS = ak.Array({"Jet": [[{"pt": 1.0}, {"pt": 2.0}], [], [{"pt": 3.0}]], "MET": [1.0, 2.0, 3.0]})


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize(
    "events",
    [
        EVENTS,
        EVENTS[["Jet"]],
        ak.Array({"Jet": [[1.0], None, []]}),
        ak.Array({"MET": [{"pt": 1.0}, {"pt": 2.0}, {"pt": None}]}),
        ak.Array({"run": np.array([1, 1, 2], np.uint32), "Jet": [[], [], []]}),
        EVENTS[:0],
    ],
)
def test_every_event_passes_or_none(events: Any, value: bool) -> None:
    mask = every(events, value)
    assert mask.tolist() == [value] * len(events)
    assert mask.ndim == 1
    assert not ak.any(ak.is_none(mask))


def test_every_lazy_event_passes_or_none(dy_frame: la.Events, value: Any) -> None:
    assert ak.all(value(dy_frame, every(dy_frame)))
    assert not ak.any(value(dy_frame, every(dy_frame, False)))


def test_events_without_columns_have_no_mask() -> None:
    with pytest.raises(ColumnError, match="no column"):
        every(ak.Array([{}, {}]))


def test_none_does_not_pass() -> None:
    assert checked_mask(ak.Array([True, None, False]), EVENTS, "events").tolist() == [
        True,
        False,
        False,
    ]
    objects = ak.Array([[True, None], None, [False]])
    assert checked_mask(objects, EVENTS, "Jet").tolist() == [[True, False], [], [False]]


def test_lazy_none_does_not_pass(dy_frame: la.Events, dy_events: ak.Array, value: Any) -> None:
    mask = checked_mask(ak.firsts(dy_frame.Muon.pt) > 20, dy_frame, "events")
    assert str(mask.type) == "?? * bool"
    found = value(dy_frame, mask)
    assert found.tolist() == ak.any(dy_events.Muon.pt[:, :1] > 20, axis=1).tolist()


def test_mask_without_none_is_left_alone(dy_frame: la.Events) -> None:
    mask = dy_frame.MET.pt > 20
    assert checked_mask(mask, dy_frame, "events") is mask


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_one_truth_value_is_for_all(value: Any) -> None:
    assert checked_mask(value, EVENTS, "events").tolist() == [bool(value)] * 3
    expected = [[bool(value)] * 2, [], [bool(value)]]
    assert checked_mask(value, EVENTS, "Jet").tolist() == expected


def test_one_truth_value_is_for_all_lazy_objects(
    dy_frame: la.Events, dy_events: ak.Array, value: Any
) -> None:
    found = value(dy_frame, checked_mask(True, dy_frame, "Jet"))
    assert ak.all(found, axis=None)
    assert ak.num(found).tolist() == ak.num(dy_events.Jet).tolist()


def test_numpy_masks_are_masks() -> None:
    assert checked_mask(np.array([True, False, True]), EVENTS, "events").tolist() == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("mask", "collection", "message"),
    [
        (EVENTS.MET, "events", "float64, not boolean"),
        (ak.Array([1, 0, 1]), "events", "int64, not boolean"),
        (EVENTS.Jet.pt > 1, "events", "several values an event: reduce it with ak.any"),
        (EVENTS.MET > 1, "Jet", "not one truth value for each Jet"),
        (EVENTS.Jet, "events", "record with fields pt"),
        (3, "events", "The result is a int"),
        (None, "events", "The result is a NoneType"),
        ([True, False, True], "events", "The result is a list"),
    ],
)
def test_what_is_no_mask_is_refused(mask: Any, collection: str, message: str) -> None:
    with pytest.raises(InputTypeError, match=message):
        checked_mask(mask, EVENTS, collection)


def test_lazy_sum_over_all_events_is_refused(dy_frame: la.Events) -> None:
    with pytest.raises(InputTypeError, match=r"ak\.sum"):
        checked_mask(ak.sum(dy_frame.MET.pt) > 3, dy_frame, "events")


def test_errors_say_where_they_come_from() -> None:
    with (
        pytest.raises(InputError, match=r"^Category 'SR': Cut 'x': wrong$") as caught,
        within("Category 'SR'"),
        within("Cut 'x'"),
    ):
        raise InputError("wrong")
    assert isinstance(caught.value.__cause__, InputError)


def test_errors_of_others_keep_their_type_and_get_a_note() -> None:
    with pytest.raises(ZeroDivisionError) as caught, within("Cut 'x'"):
        1 / 0  # noqa: B018  (raises)
    assert caught.value.__notes__ == ["This happened in: Cut 'x'"]
