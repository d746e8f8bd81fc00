"""Events assembled from buffers, against awkward's own way."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.data.assemble import assemble
from lazyana.data.buffers import buffer_key

EVENTS = ak.Array(
    [
        {"run": 1, "met": {"pt": 1.5}, "Muon": [{"pt": 1.0, "q": 1, "ids": [1, 2]}], "ok": None},
        {"run": 2, "met": {"pt": 2.5}, "Muon": [], "ok": True},
        {"run": 3, "met": {"pt": 0.5}, "Muon": [{"pt": 3.0, "q": -1, "ids": []}] * 2, "ok": False},
    ]
)


def taken_apart() -> tuple[Any, dict[str, Any]]:
    """Form and buffers of the events."""
    packed = ak.to_packed(ak.with_parameter(EVENTS, "doc", "events"))
    form, _, buffers = ak.to_buffers(packed, buffer_key="{form_key}/{attribute}")
    return form, dict(buffers)


FORM, BUFFERS = taken_apart()


# Where lists are virtual, awkward can only work with what is virtual below them, too.
NUMBERS = sorted(key for key in BUFFERS if key.endswith("/data"))


@given(st.sets(st.sampled_from(NUMBERS)) | st.just(set(BUFFERS)))
def test_the_same_as_awkward_makes(lazy: set[str]) -> None:
    looked_at: list[str] = []

    def later(key: str) -> Any:
        def read() -> Any:
            looked_at.append(key)
            return BUFFERS[key]

        return read

    buffers = {key: later(key) if key in lazy else value for key, value in BUFFERS.items()}
    made = assemble(FORM, len(EVENTS), buffers)
    assert looked_at == []
    expected = ak.from_buffers(FORM, len(EVENTS), BUFFERS, buffer_key=buffer_key, highlevel=False)
    assert made.form == expected.form
    assert made.length == expected.length
    assert ak.Array(made).to_list() == EVENTS.to_list()
    assert made.is_equal_to(ak.materialize(expected, highlevel=False))
    assert set(looked_at) == lazy


def test_a_buffer_is_read_once() -> None:
    calls: list[str] = []
    form = ak.forms.RecordForm([ak.forms.NumpyForm("float32", form_key="x")], ["x"])
    buffers = {"x/data": lambda: calls.append("x") or np.arange(4, dtype="f4")}
    events = ak.Array(assemble(form, 4, buffers))
    assert ak.sum(events.x) + ak.sum(events.x[1:]) == 12
    assert calls == ["x"]


def test_too_few_numbers() -> None:
    form = ak.forms.NumpyForm("float32", form_key="x")
    with pytest.raises(ValueError, match="'x/data' has 2 numbers, 3 are needed"):
        assemble(form, 3, {"x/data": np.zeros(2, "f4")})
