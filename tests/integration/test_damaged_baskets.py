"""Damage inside of baskets: an error wherever anything can tell, by any compression."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import lazyana as la
from lazyana.data.inspect import inspect
from lazyana.errors import FileError
from lazyana.reader.baskets import Baskets
from lazyana.toy.sample import write_dataset

EVENTS = 300


def opened(path: Path) -> la.Events:
    return la.open({"DY": str(path)})


def run(events: la.Events, on_error: str = "raise") -> la.Result:
    columns = {"pt": events.Muon.pt, "gen": events.genWeight}
    return la.compute(events.columns(columns), executor="sync", on_error=on_error)


def baskets(path: Path, branch: str) -> Baskets:
    """Where the baskets of a branch are."""
    (info,) = inspect({"DY": str(path)}).files["DY"]
    assert info.index is not None
    return info.index.branches[branch]


def key_bytes(content: bytes, at: int) -> int:
    """Length of the key in front of a basket."""
    return int.from_bytes(content[at + 14 : at + 16], "big")


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def outcome(events: la.Events, expected: la.Result) -> str:
    """What comes of reading: the same, something else, or the message of an error."""
    try:
        result = run(events)
    except FileError as error:
        return str(error)
    tables = [one.value.to_awkward("DY").to_list() for one in (result, expected)]
    return "same" if tables[0] == tables[1] else "something else"


@pytest.mark.parametrize("compression", ["zlib", "lzma", "lz4", "zstd"])
def test_a_byte_that_is_another(compression: str, tmp_path: Path) -> None:
    (path,) = write_dataset(tmp_path, "DYJetsToLL", events=EVENTS, compression=compression)
    content = path.read_bytes()
    events = opened(path)
    expected = run(events)
    for branch in ("nMuon", "Muon_pt", "genWeight"):
        found = baskets(path, branch)
        start, stop = int(found.seeks[0]), int(found.seeks[0] + found.sizes[0])
        head = start + key_bytes(content, start)
        outcomes = []
        for position in np.linspace(head, stop - 1, 9).astype(int).tolist():
            overwrite(path, position, bytes([content[position] ^ 0x41]))
            outcomes.append(outcome(events, expected))
            overwrite(path, position, content[position : position + 1])
        errors = [text for text in outcomes if text not in {"same", "something else"}]
        assert all(str(path) in text and repr(branch) in text for text in errors)
        # Without a checksum, numbers that are other numbers look as good as any; but a counter
        # must count the lists of its collection.
        compressed = int.from_bytes(content[start + 6 : start + 10], "big") != stop - head
        if branch == "nMuon" or (compressed and compression != "zstd"):
            assert errors
            assert "something else" not in outcomes


def test_a_counter_and_its_lists_disagree(tmp_path: Path) -> None:
    (path,) = write_dataset(tmp_path, "DYJetsToLL", events=EVENTS, compression=None)
    events = opened(path)
    seek = int(baskets(path, "nMuon").seeks[0])
    at = seek + key_bytes(path.read_bytes(), seek)
    # Two events exchange their counts: the sum, and with it every length, stays the same.
    counts = np.frombuffer(path.read_bytes()[at : at + 4 * EVENTS], ">i4").copy()
    first = int((np.diff(counts) != 0).argmax())
    counts[[first, first + 1]] = counts[[first + 1, first]]
    overwrite(path, at, counts.tobytes())
    with pytest.raises(
        FileError,
        match=rf"'Muon_\w+' and 'nMuon', entries 0-300 of {re.escape(str(path))}, do not fit "
        rf"together: entry {first} is a list of {counts[first + 1]} of {counts[first]}",
    ):
        run(events)
    assert run(events, "skip").report.events_lost == EVENTS
