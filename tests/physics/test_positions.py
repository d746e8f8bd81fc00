"""Objects by position."""

from __future__ import annotations

from collections.abc import Callable

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.physics.positions import at_position

LISTS = st.lists(st.lists(st.integers(-9, 9), max_size=4), max_size=12)


def as_plain_awkward(column: ak.Array, position: int) -> ak.Array:
    """The same in the words of awkward."""
    return ak.firsts(column[:, slice(position, position + 1 or None)], axis=1)


@given(lists=LISTS, position=st.integers(-5, 5))
def test_as_awkward_has_it(lists: list[list[int]], position: int) -> None:
    column = ak.values_astype(ak.Array(lists or ak.Array([[1]])[:0]), np.float32)
    assert at_position(column, position).to_list() == as_plain_awkward(column, position).to_list()
    # lists that do not follow one another, and a part of a longer array
    for picked in (column[::-1], column[1:]):
        found = at_position(picked, position)
        assert found.to_list() == as_plain_awkward(picked, position).to_list()


@pytest.mark.parametrize("position", [0, 1, -1])
def test_records_options_and_deeper_lists(position: int) -> None:
    for column in (
        ak.Array([[{"pt": 1.0}, {"pt": 2.0}], [], [{"pt": 3.0}]]),
        ak.Array([[1.0, None], [], [None]]),
        ak.Array([[1.0], None, [2.0, 3.0]]),
        ak.Array([[[1, 2], []], [], [[3]]]),
        ak.to_regular(ak.Array([[1, 2], [3, 4]])),
    ):
        found, plain = at_position(column, position), as_plain_awkward(column, position)
        assert found.to_list() == plain.to_list()
        assert found.type == plain.type


@pytest.mark.parametrize("position", [0, 1, -2])
def test_lazy_as_in_memory(same: Callable[..., ak.Array], position: int) -> None:
    found = same(lambda events: at_position(events.Muon.pt, position))
    assert 0 < ak.sum(ak.is_none(found)) < len(found)
    same(lambda events: at_position(events.Muon, position).mass)
