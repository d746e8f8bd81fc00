from __future__ import annotations

from pathlib import Path

import pytest

from lazyana.analysis.outputs.origin import Origin
from lazyana.errors import InputError

A, B = Path("a.coffea"), Path("b.coffea")


def test_different_files_of_a_dataset() -> None:
    origin = Origin()
    assert origin.add(A, ["DY"], {"DY": [["1.root", "u1", 5]]}) == set()
    assert origin.add(B, ["DY", "TT"], {"DY": [["2.root", "u2", 5]], "TT": []}) == {"DY"}
    assert origin.files == {"DY": [["1.root", "u1", 5], ["2.root", "u2", 5]]}
    assert list(origin.datasets) == ["DY", "TT"]


@pytest.mark.parametrize("again", [["other/1.root", "u1", 5], ["1.root", "", 5]])
def test_the_same_file_twice(again: list[object]) -> None:
    origin = Origin()
    origin.add(A, ["DY"], {"DY": [["1.root", again[1], 5]]})
    with pytest.raises(InputError, match=r"twice in these outputs: both a\.coffea and b\.coffea"):
        origin.add(B, ["DY"], {"DY": [again]})
    # Another dataset may be of it: data of several triggers are.
    origin.add(B, ["TT"], {"TT": [again]})


def test_nobody_knows_the_files() -> None:
    origin = Origin()
    origin.add(A, ["DY"], None)
    with pytest.raises(InputError, match="--different-files"):
        origin.add(B, ["DY"], None)
    trusting = Origin(different_files=True)
    trusting.add(A, ["DY"], None)
    assert trusting.add(B, ["DY"], None) == {"DY"}


def test_notices_and_record() -> None:
    origin = Origin()
    origin.made_by("x", A, complete=True)
    assert origin.notices() == []
    assert origin.analysis == origin.record()["analysis"] == "x"
    origin.made_by("y", B, complete=False)
    assert [text.partition(":")[0] for text in origin.notices()] == [
        "made by different configurations",
        "incomplete",
    ]
    assert origin.analysis == ""
    assert origin.record()["complete"] is False
