"""Buffers: computed from branches as coffea computes them, and None where a file lacks a branch."""

from __future__ import annotations

from dataclasses import dataclass, field

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents import transforms
from coffea.nanoevents.util import quote
from hypothesis import given
from hypothesis import strategies as st

from lazyana.data.buffers import Buffers, branches_of, buffer_key, parse_buffer_key, recipe_of
from lazyana.data.partitions import Partition
from lazyana.errors import FileError
from lazyana.reader.spans import Span

GLOBAL = "Muon_jetIdx,!load,nJet,!load,!counts2offsets,!local2global"
SOME, SOME_OBJECTS = "X,!loadallowmissing", "J_x,!loadallowmissing,nJ,!load"


def key_of(nodes: str, attribute: str = "data") -> str:
    return buffer_key(quote(nodes), attribute)


@dataclass
class Files:
    """Branches of a few files: a list of values a file, None where it lacks the branch."""

    entries: list[int]
    branches: dict[str, list[list[object] | None]]
    read: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)

    def buffers(self, *eager: str) -> Buffers:
        spans = tuple(
            Span((f"{n}.root",), "Events", "TTree", "", 0, entries, str(n))
            for n, entries in enumerate(self.entries)
        )
        lacking = {
            str(n): frozenset(name for name, files in self.branches.items() if files[n] is None)
            for n in range(len(self.entries))
        }
        partition = Partition(0, "DY", 3, spans)
        return Buffers(partition, frozenset(eager), self._read, self.noted.append, lacking)

    def _read(self, names: list[str], known: dict[str, ak.contents.Content]) -> None:
        self.read.extend(names)
        for name in names:
            there = [ak.Array(values) for values in self.branches[name] if values is not None]
            if there:
                known[name] = ak.concatenate(there, highlevel=False)


def test_keys_are_taken_apart_again() -> None:
    key = key_of("a,!load/b", "offsets")
    assert parse_buffer_key(key) == (quote("a,!load/b"), "offsets")


@pytest.mark.parametrize(
    ("nodes", "every", "strict"),
    [
        ("run,!load", {"run"}, {"run"}),
        (GLOBAL, {"Muon_jetIdx", "nJet"}, {"Muon_jetIdx", "nJet"}),
        ("X,!loadallowmissing,!index", {"X"}, set()),
        ("J_x,!loadallowmissing,nJ,!load,!content", {"J_x", "nJ"}, {"nJ"}),
        ("lazyana_dataset,!label", set(), set()),
    ],
)
def test_branches_of_a_buffer(nodes: str, every: set[str], strict: set[str]) -> None:
    assert branches_of(key_of(nodes)) == every
    assert branches_of(key_of(nodes), missing=False) == strict


@pytest.mark.parametrize(
    ("nodes", "attribute", "kind"),
    [
        ("run,!load", "data", "flat"),
        ("J_x,!load,!content", "data", "items"),
        ("J_x,!load", "offsets", "starts"),
        ("nJ,!load,!counts2offsets,!skip", "offsets", "counts"),
        (GLOBAL, "data", "global"),
        (f"{SOME},!index", "index", "index"),
        (f"{SOME},!content", "data", "values"),
        (f"{SOME_OBJECTS},!index", "index", "index"),
        (f"{SOME_OBJECTS},!content", "data", "values"),
        ("oJ,0.0,!full_like_from_offsets,!content", "data", "other"),
    ],
)
def test_recipes(nodes: str, attribute: str, kind: str) -> None:
    assert recipe_of(key_of(nodes, attribute)).kind == kind


events = st.lists(
    st.tuples(st.lists(st.integers(-2, 6), max_size=4), st.integers(0, 4)), min_size=1, max_size=6
)


@given(events=events, kind=st.sampled_from([np.int8, np.int16, np.int32, np.uint32, np.int64]))
def test_global_indices_are_those_of_coffea(
    events: list[tuple[list[int], int]], kind: type[np.generic]
) -> None:
    lists = ak.values_astype(ak.Array([[0], *(index for index, _ in events)])[1:], kind)
    counts = np.array([count for _, count in events], np.int32)
    files = Files([len(events)], {"Muon_jetIdx": [lists], "nJet": [counts]})
    mine = files.buffers()[key_of(GLOBAL)]()
    stack = [counts]
    transforms.counts2offsets(stack)
    stack = [ak.Array(lists.layout.to_ListOffsetArray64(True)), *stack]
    transforms.local2global(stack)
    assert mine.dtype == stack[0].dtype == np.int64
    assert mine.tolist() == stack[0].tolist()


def test_what_has_no_short_cut_is_left_to_coffea() -> None:
    files = Files([2], {"a": [[[[1], [2, 3]], []]], "r": [[[1, 2], [3, 4]]]})
    buffers = files.buffers()
    assert buffers[key_of("a,!load,!content,!content")]().tolist() == [1, 2, 3]
    files.branches["r"] = [ak.to_regular(ak.Array([[1, 2], [3, 4]]))]
    assert buffers[key_of("r,!load,!content")]().tolist() == [1, 2, 3, 4]


def test_planned_buffers_are_arrays_and_others_promises() -> None:
    planned = key_of("a,!load")
    files = Files([3], {"a": [[1, 2, 3]], "b": [[4, 5, 6]]})
    buffers = files.buffers(planned)
    buffers.load(["a"])
    assert list(buffers) == [planned]
    assert len(buffers) == 1
    assert (files.read, files.noted) == (["a"], [])
    assert buffers[planned].tolist() == [1, 2, 3]
    promise = buffers[key_of("b,!load")]
    assert files.read == ["a"]
    assert promise().tolist() == [4, 5, 6]
    assert (files.read, files.noted) == (["a", "b"], ["b"])
    assert promise().tolist() == [4, 5, 6]
    buffers.load(["a", "b"])
    assert files.read == ["a", "b"]
    buffers.forget()
    assert promise().tolist() == [4, 5, 6]
    assert files.read == ["a", "b", "b"]


def test_label_is_that_of_the_dataset() -> None:
    label = Files([2, 1], {}).buffers()[key_of("lazyana_dataset,!label")]()
    assert label.tolist() == [3, 3, 3]
    assert label.dtype == np.int32


def test_lists_start_at_nought() -> None:
    lists = ak.Array(ak.Array([[9], [1, 2], [3]]).layout[1:])
    buffers = Files([2], {"a": [lists], "nA": [[2, 1]]}).buffers()
    assert buffers[key_of("a,!load", "offsets")]().tolist() == [0, 2, 3]
    assert buffers[key_of("a,!load,!content")]().tolist() == [1, 2, 3]
    offsets = buffers[key_of("nA,!load,!counts2offsets,!skip", "offsets")]()
    assert offsets.tolist() == [0, 2, 3]


# ---------------------------------------------------------------------------- missing in some files

values = st.lists(
    st.tuples(st.booleans(), st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=4)),
    min_size=1,
    max_size=4,
)


@given(files=values)
def test_missing_numbers_are_none(files: list[tuple[bool, list[list[int]]]]) -> None:
    lists = [ak.values_astype(ak.Array([[0], *one])[1:], np.int64) for _, one in files]
    one_each = [np.arange(len(one)) + 10 for one in lists]
    counts = [ak.to_numpy(ak.num(one)) for one in lists]
    there = [has for has, _ in files]
    found = Files(
        [len(one) for one in lists],
        {
            "X": [one if has else None for one, has in zip(one_each, there, strict=True)],
            "J_x": [one if has else None for one, has in zip(lists, there, strict=True)],
            "nJ": list(counts),
        },
    ).buffers()
    none = [[None] * len(one) for one in one_each]
    expected = [list(a) if has else b for a, b, has in zip(one_each, none, there, strict=True)]
    assert together(found, SOME) == [x for one in expected for x in one]
    flat = [
        ak.flatten(one).to_list() if has else [None] * int(count.sum())
        for one, has, count in zip(lists, there, counts, strict=True)
    ]
    assert together(found, SOME_OBJECTS) == [x for one in flat for x in one]


def together(buffers: Buffers, nodes: str) -> list[int | None]:
    index = buffers[key_of(f"{nodes},!index", "index")]()
    content = buffers[key_of(f"{nodes},!content")]()
    assert index.dtype == np.int64
    layout = ak.contents.IndexedOptionArray(
        ak.index.Index64(index), ak.contents.NumpyArray(content)
    )
    return ak.Array(layout).to_list()


def test_branch_that_is_nowhere_is_not_asked_for() -> None:
    files = Files([2, 1], {"X": [None, None]})
    assert together(files.buffers(), SOME) == [None, None, None]
    assert files.read == []


def test_what_is_made_of_a_missing_branch_is_an_error() -> None:
    files = Files([1, 1], {"Muon_jetIdx": [[[0]], None], "nJet": [[1], [1]]})
    with pytest.raises(FileError, match=r"1\.root has no branch 'Muon_jetIdx'.*la\.apply"):
        files.buffers()[key_of(GLOBAL)]()


def test_lists_that_do_not_fit_their_counter() -> None:
    files = Files([1, 1], {"J_x": [[[1, 2]], None], "nJ": [[3], [1]]})
    with pytest.raises(
        FileError, match=r"'J_x' of 0\.root.*has 2 numbers instead of 3.*nJ.*damaged"
    ):
        files.buffers()[key_of(f"{SOME_OBJECTS},!content")]()
