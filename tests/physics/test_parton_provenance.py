"""Partons are recognised by their place: each kind of decay, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest

from lazyana.physics.parton_provenance import (
    get_partons_provenance_tt5F,
    get_partons_provenance_ttbb4F,
    get_partons_provenance_ttHbb,
)

TOP, ANTITOP = [5, -5, -1, 2], [5, -5, 3, -4]  # which of the two decays hadronically
CKM = [5, -5, 5, -4]


@pytest.mark.parametrize(
    ("function", "ids", "codes"),
    [
        (get_partons_provenance_ttHbb, [*TOP, 5, -5], [2, 3, 5, 5, 1, 1]),
        (get_partons_provenance_ttHbb, [*ANTITOP, 5, -5], [3, 2, 5, 5, 1, 1]),
        (get_partons_provenance_ttHbb, [21, *TOP, 5, -5], [4, 2, 3, 5, 5, 1, 1]),
        (get_partons_provenance_ttHbb, [*CKM, 5, -5], [-1, -1, -1, -1, 1, 1]),
        (get_partons_provenance_ttHbb, [5, -5, 5, -5], [2, 3, 1, 1]),
        (get_partons_provenance_ttHbb, [21, 5, -5, 5, -5], [4, 2, 3, 1, 1]),
        (get_partons_provenance_ttHbb, [5, -5, 5], [-1, -1, -1]),
        (get_partons_provenance_ttbb4F, [5, -5, *TOP], [1, 1, 2, 3, 5, 5]),
        (get_partons_provenance_ttbb4F, [5, -5, *ANTITOP], [1, 1, 3, 2, 5, 5]),
        (get_partons_provenance_ttbb4F, [5, -5, 21, *ANTITOP], [1, 1, 4, 3, 2, 5, 5]),
        (get_partons_provenance_ttbb4F, [5, -5, 5, -5], [-1] * 4),
        (get_partons_provenance_tt5F, TOP, [2, 3, 5, 5]),
        (get_partons_provenance_tt5F, [-5, 5, -1, 2], [-1] * 4),
        (get_partons_provenance_tt5F, [2, *ANTITOP], [4, 3, 2, 5, 5]),
        (get_partons_provenance_tt5F, [2], [-1]),
        (get_partons_provenance_tt5F, [], []),
    ],
)
def test_codes(function: Any, ids: list[int], codes: list[int]) -> None:
    # Among other events, in which nothing may change.
    events = ak.values_astype(ak.Array([TOP, ids, [], ids]), np.int64)
    found = function(events).to_list()
    assert found[1] == found[3] == codes
    assert found[0] == function(events[:1]).to_list()[0]
    assert found[2] == []
    assert function(events[:0]).to_list() == []


def test_missing_lists_have_no_partons() -> None:
    assert get_partons_provenance_tt5F(ak.Array([TOP, None])).to_list() == [[2, 3, 5, 5], []]


def test_lazy_events_give_the_same(same: Callable[..., ak.Array]) -> None:
    def provenance(events: Any) -> Any:
        parts = events.GenPart
        return get_partons_provenance_tt5F(parts.pdgId[(abs(parts.pdgId) < 6)][:, :4])

    assert ak.count(same(provenance)) > 100
