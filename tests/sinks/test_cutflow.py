from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from lazyana.errors import InputError
from lazyana.sinks.base import Membership, Place
from lazyana.sinks.cutflow import Cutflow, Stages, unite_cutflows

FIRST = np.array([True, True, False, True, True])
SECOND = np.array([True, None, True, False], dtype=object)  # of those left by the first
GEN = np.array([1.0, -1.0, 2.0, 0.5, 3.0])
PILEUP = np.array([2.0, 0.5, 1.0, 4.0])  # declared after the first cut
PILEUP_UP = PILEUP * 1.5
AFTER = np.array([0, 2])  # of those left by the first, what the second leaves
BTAG = [np.array([True, False]), np.array([True, True])]

SINK = Stages(("first", "second"), ("b", "all"), ("puUp",), ("jesUp", "jesDown"))


def place(variation: str = "nominal") -> Place:
    return Place("dy", 0, variation, "dy.root", 0, 5)


def fill(variation: str = "nominal") -> Any:
    early = GEN[:, np.newaxis]
    late = np.stack([GEN[FIRST] * PILEUP, GEN[FIRST] * PILEUP_UP], axis=1)
    matrices = [early, late, late[AFTER]]
    if variation != "nominal":
        matrices = [matrix[:, :1] for matrix in matrices]
    masks = [ak.Array(FIRST), ak.Array(SECOND.tolist())]
    return SINK.fill(place(variation), Membership.from_masks(BTAG), *masks, *matrices)


def expected(late: np.ndarray) -> dict[str, tuple[int, float, float]]:
    after = (GEN[FIRST] * late)[AFTER]
    stages = {
        "all events": GEN,
        "first": GEN[FIRST] * late,
        "second": after,
        "b": after[BTAG[0]],
        "all": after[BTAG[1]],
    }
    return {name: (len(w), w.sum(), (w**2).sum()) for name, w in stages.items()}


def test_counts_and_weights_by_hand() -> None:
    cutflow = SINK.finish({("dy", "nominal"): fill()}, ["dy"])
    for label, late in (("nominal", PILEUP), ("puUp", PILEUP_UP)):
        for stage, (count, sumw, sumw2) in expected(late).items():
            assert cutflow.count(stage, "dy", label) == count
            assert cutflow.yield_(stage, "dy", label) == pytest.approx(sumw)
            v, s = cutflow.variations.index(label), cutflow.stages.index(stage)
            assert cutflow.sumw2[0, v, s] == pytest.approx(sumw2)


def test_variation_without_state_is_nominal() -> None:
    shifted = fill("jesUp") * 2
    assert shifted.shape == (3, 1, 5)
    states = {("dy", "nominal"): fill(), ("dy", "jesUp"): shifted}
    cutflow = SINK.finish(states, ["dy", "none"])
    assert cutflow.variations == ("nominal", "jesDown", "jesUp", "puUp")
    assert cutflow.count("first", "dy", "jesUp") == 2 * cutflow.count("first", "dy")
    assert cutflow.count("first", "dy", "jesDown") == cutflow.count("first", "dy") == 4
    assert cutflow.counts[1].sum() == 0


def test_unweighted() -> None:
    sink = Stages(("first",))
    cutflow = sink.finish({("dy", "nominal"): sink.fill(place(), None, FIRST, None, None)}, ["dy"])
    assert cutflow.counts.tolist() == [[[5, 4]]]
    np.testing.assert_array_equal(cutflow.sumw, cutflow.counts)
    np.testing.assert_array_equal(cutflow.sumw2, cutflow.counts)


def test_more_than_64_categories_and_none_of_them() -> None:
    names = tuple(f"c{i}" for i in range(100))
    masks = [np.arange(5) % (i + 1) == 0 for i in range(100)]
    sink = Stages((), names)
    state = sink.fill(place(), Membership.from_masks(masks), None)
    cutflow = sink.finish({("dy", "nominal"): state}, ["dy"])
    for name, mask in zip(names, masks, strict=True):
        assert cutflow.count(name, "dy") == mask.sum()


def test_merge_adds_in_order() -> None:
    states = [fill() * factor for factor in (1, 10, 100)]
    np.testing.assert_array_equal(SINK.merge(states), states[0] + states[1] + states[2])


def test_misspelt_names() -> None:
    cutflow = SINK.finish({("dy", "nominal"): fill()}, ["dy"])
    with pytest.raises(InputError, match="Did you mean 'second'"):
        cutflow.count("secnd", "dy")
    with pytest.raises(InputError, match="no dataset 'tt'"):
        cutflow.count("second", "tt")


def one(dataset: str, variations: tuple[str, ...], number: int) -> Cutflow:
    counts = np.full((1, len(variations), 2), number) + np.arange(len(variations))[:, None]
    return Cutflow(
        (dataset,), ("all events", "cut"), variations, counts, counts * 1.0, counts * 2.0
    )


def test_unite() -> None:
    united = unite_cutflows([one("b", ("nominal", "jesUp"), 10), one("a", ("nominal",), 20)])
    assert united.datasets == ("a", "b")
    assert united.variations == ("nominal", "jesUp")
    assert united.count("cut", "b", "jesUp") == 11
    assert united.count("cut", "a", "jesUp") == united.count("cut", "a") == 20
    assert united.counts.dtype == np.int64
    twice = unite_cutflows([one("a", ("nominal",), 1), one("a", ("nominal",), 2)])
    assert twice.count("cut", "a") == 3
    assert twice.yield_("cut", "a") == 3.0


def staged(dataset: str, **counts: int) -> Cutflow:
    values = np.array([[list(counts.values())]])
    return Cutflow((dataset,), tuple(counts), ("nominal",), values, values * 1.0, values * 1.0)


def test_unite_where_a_group_lacks_a_cut() -> None:
    united = unite_cutflows([staged("mc", all=10, b=4), staged("data", all=9, a=7, b=5)])
    assert united.stages == ("all", "a", "b")
    assert [united.count(stage, "mc") for stage in united.stages] == [10, 10, 4]
    assert [united.count(stage, "data") for stage in united.stages] == [9, 7, 5]


def test_unite_refuses_cuts_in_different_orders() -> None:
    with pytest.raises(InputError):
        unite_cutflows([staged("mc", all=9, a=7, b=5), staged("data", all=9, b=7, a=5)])
