"""What events stand for, file by file."""

from __future__ import annotations

from typing import Any

import pytest

import lazyana as la
from lazyana.frame.origin import standing_for


@pytest.mark.parametrize("size", [10**6, 70])
def test_events_stand_for_a_share_of_their_file(toy_files: dict[str, Any], size: int) -> None:
    names = ("DYJetsToLL", "TTTo2L2Nu")
    events = la.open({name: toy_files[name] for name in names})
    files = list(toy_files[names[0]]["files"])
    counts = [la.open({"x": [file]}).entries for file in files]
    shares = {names[0]: dict(zip(files, (2.5, -0.25), strict=True)), "other": {"x.root": 1.0}}
    one = events.sum(standing_for(events, events.genWeight, shares))
    plain = events.sum(events.genWeight)
    same = standing_for(events, events.genWeight, {"other": {"x.root": 1.0}})
    found = la.compute(
        {"one": one, "plain": plain, "same": events.sum(same)},
        executor="sync",
        partition_size=size,
        progress=False,
    )
    expected = 2.5 * counts[0] - 0.25 * counts[1]
    assert found["one"][names[0]]["nominal"] == pytest.approx(expected, rel=1e-12)
    assert found["one"][names[1]] == found["plain"][names[1]] != 0
    assert found["same"] == found["plain"]
