from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazyana as la
from lazyana.errors import FileError
from lazyana.physics.lumi import CertifiedSections, read_golden_json

RUNS = st.integers(1, 4)
SECTIONS = st.integers(1, 12)
RANGES = st.tuples(RUNS, SECTIONS, SECTIONS).map(lambda x: (x[0], *sorted(x[1:])))


@given(st.lists(RANGES, max_size=6), st.lists(st.tuples(RUNS, SECTIONS), max_size=20))
def test_equals_looking_each_event_up(
    ranges: list[tuple[int, int, int]], events: list[tuple[int, int]]
) -> None:
    table = np.array(events, dtype=np.uint32).reshape(-1, 2)
    found = CertifiedSections(tuple(ranges)).mask(ak.Array(table[:, 0]), ak.Array(table[:, 1]))
    assert found.tolist() == [
        any(run == r and first <= section <= last for r, first, last in ranges)
        for run, section in events
    ]


def test_lazy(toy_files: dict[str, Any], value: Any) -> None:
    frame = la.open({"SingleMuon": toy_files["SingleMuon"]})
    run, section = value(frame, frame.run), value(frame, frame.luminosityBlock)
    some = CertifiedSections(((int(run[0]), 2, 3), (1, 1, 99)))
    expected = (run == run[0]) & ((section == 2) | (section == 3))
    assert 0 < ak.sum(expected) < len(expected)
    assert value(frame, some.mask(frame.run, frame.luminosityBlock)).tolist() == expected.tolist()


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    path.write_text(json.dumps({"315257": [[1, 88], [91, 92]]}))
    assert read_golden_json(path).ranges == ((315257, 1, 88), (315257, 91, 92))


@pytest.mark.parametrize("text", ["[1]", '{"315257": [[1]]}', '{"run": [[1, 2]]}', "{", '{"1": 3}'])
def test_another_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "golden.json"
    path.write_text(text)
    with pytest.raises(FileError, match="is no golden JSON"):
        read_golden_json(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read: No such file"):
        read_golden_json(tmp_path / "golden.json")
