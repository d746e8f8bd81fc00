"""The basket index, packed and unpacked."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st

from lazyana.reader.baskets import BasketIndex, Baskets, code_of, unpack

CODES = (">f4", "|b1", "[]>f4", "[10]>i4")


@st.composite
def baskets(draw: st.DrawFn) -> Baskets:
    """The baskets of a branch."""
    lengths = draw(st.lists(st.integers(0, 9), min_size=0, max_size=6))
    number = len(lengths)
    seeks = draw(st.lists(st.integers(0, 2**40), min_size=number, max_size=number))
    sizes = draw(st.lists(st.integers(1, 2**31), min_size=number, max_size=number))
    edges = np.concatenate([[0], np.cumsum(lengths)])
    return Baskets(
        draw(st.sampled_from(CODES)), *(np.asarray(x, "<i8") for x in (seeks, sizes, edges))
    )


branches = st.dictionaries(st.sampled_from(["a", "b_pt", "nB", "ü"]), baskets())


def plain(one: Baskets) -> tuple[Any, ...]:
    """All there is to baskets, comparable."""
    return (one.code, one.seeks.tolist(), one.sizes.tolist(), one.edges.tolist())


@given(branches)
def test_an_index_keeps_everything(given_branches: dict[str, Baskets]) -> None:
    index = pickle.loads(pickle.dumps(BasketIndex.build(given_branches)))
    assert {name: plain(one) for name, one in index.branches.items()} == {
        name: plain(one) for name, one in given_branches.items()
    }


@given(branches)
def test_what_a_task_carries(given_branches: dict[str, Baskets]) -> None:
    names = ["not indexed", *given_branches]
    last = max((int(one.edges[-1]) for one in given_branches.values()), default=1)
    (packed,) = BasketIndex.build(given_branches).split(names, [0, last])
    assert {name: plain(one) for name, one in unpack(packed, names).items()} == {
        name: plain(one.between(0, last)) for name, one in given_branches.items()
    }


@given(baskets(), st.integers(0, 60), st.integers(0, 60))
def test_between_holds_every_entry(one: Baskets, first: int, length: int) -> None:
    entries = int(one.edges[-1])
    start = min(first, entries)
    stop = min(start + length, entries)
    part = one.between(start, stop)
    if start < stop:
        assert part.edges[0] <= start
        assert part.edges[-1] >= stop
        # The first and the last basket are needed.
        assert part.edges[1] > start or len(part.seeks) == 1
        assert part.edges[-2] < stop
    at = one.seeks.tolist()
    assert part.seeks.tolist() in [at[i : i + len(part.seeks)] for i in range(len(at) + 1)]


def test_byte_ranges_of_other_branches_are_refused() -> None:
    one = Baskets(">f4", np.array([100]), np.array([10]), np.array([0, 5]))
    (packed,) = BasketIndex.build({"a": one}).split(["a", "b"], [0, 5])
    with pytest.raises(ValueError, match="for other branches than its plan"):
        unpack(packed, ["b", "a"])


def test_a_task_carries_few_bytes() -> None:
    edges = np.arange(3) * 100_000
    one = Baskets("[]>f4", np.array([10**9, 2 * 10**9]), np.array([30_000, 40_000]), edges)
    names = [f"Muon_{i}" for i in range(20)]
    (packed,) = BasketIndex.build(dict.fromkeys(names, one)).split(names, [0, 200_000])
    assert len(packed) < 700


def test_an_index_of_all_nanoaod_is_small() -> None:
    """2656 branches in 20 clusters: positions as in a real file, one basket after the other."""
    rng = np.random.default_rng(1)
    sizes = rng.lognormal(8, 2, (20, 2656)).astype(np.int64) + 80
    seeks = (np.cumsum(sizes).reshape(20, 2656) - sizes) + 300
    edges = np.arange(21) * 50_000
    index = BasketIndex.build(
        {
            f"Collection_{i}_property": Baskets(CODES[i % 4], seeks[:, i], sizes[:, i], edges)
            for i in range(2656)
        }
    )
    assert len(index.payload) < 400_000


@pytest.mark.parametrize(
    ("interpretation", "code"),
    [
        (uproot.AsDtype(">f4"), ">f4"),
        (uproot.AsDtype("bool"), "|b1"),
        (uproot.AsJagged(uproot.AsDtype(">i2")), "[]>i2"),
        (uproot.AsJagged(uproot.AsDtype(">f8"), header_bytes=10), "[10]>f8"),
        (uproot.AsDtype(">f4", "f8"), None),
        (uproot.AsDtype((">f4", (3,))), None),
        (uproot.AsDtype([("x", ">f4"), ("y", ">i4")]), None),
        (uproot.AsStrings(), None),
        (uproot.AsJagged(uproot.AsDtype((">f4", (2,)))), None),
    ],
)
def test_what_can_be_read_without_uproot(interpretation: Any, code: str | None) -> None:
    assert code_of(interpretation) == code
