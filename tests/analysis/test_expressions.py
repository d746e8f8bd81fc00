"""Expressions in text: what they select is what plain awkward computes, lazily or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazyana as la
from lazyana.analysis.expressions import Expression
from lazyana.errors import ColumnError, InputError, InputTypeError, LazyanaError

KNOWN = {"year": "2018", "sample": "DY", "isMC": True}

# Events with 0, 1, 2 and 3 objects.
EVENTS = ak.Array(
    {
        "Muon": [
            [],
            [{"pt": 30.0, "charge": 1}],
            [{"pt": 40.0, "charge": 1}, {"pt": 20.0, "charge": -1}],
            [{"pt": 50.0, "charge": -1}, {"pt": 26.0, "charge": -1}, {"pt": 5.0, "charge": 1}],
        ],
        "MET": [{"pt": 10.0}, {"pt": 20.0}, {"pt": 30.0}, {"pt": 40.0}],
        "HLT": [{"A": True}, {"A": False}, {"A": True}, {"A": False}],
        "flags": [0, 1, 2, 3],
    }
)


def passing(text: str, **known: Any) -> list[int]:
    """Numbers of the events that pass."""
    mask = Expression(text).mask(EVENTS, constants={**KNOWN, **known})
    return np.flatnonzero(ak.to_numpy(mask)).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nMuon == 2", [2]),
        ("nMuon == 2 and Muon[:, 0].pt > 25", [2]),
        ("Muon[:, 0].pt > 35", [2, 3]),
        ("Muon[:, 1].pt > 25", [3]),
        ("Muon[:, -1].pt < 25", [2, 3]),
        ("Muon[:, -2].pt > 30", [2]),
        ("Muon.pt[:, 0] > 35", [2, 3]),
        ("Muon['pt'][:, 0] > 35", [2, 3]),
        ("events['Muon', 'pt'][:, 0] > 35", [2, 3]),
        ("events.Muon[:, 0].pt > 35", [2, 3]),
        ("num(Muon[:, :2]) == 2", [2, 3]),
        ("num(Muon[:, 1:]) == 1", [2]),
        ("sum(Muon[:, ::2].pt) > 50", [3]),
        ("num(Muon[Muon.pt > 25]) == 1", [1, 2]),
        ("num(Muon[Muon.pt > 25 and Muon.charge < 0]) >= 1", [3]),
        ("num(Muon[~(Muon.pt > 25)]) == 1", [2, 3]),
        ("num(Muon[not Muon.pt > 25]) == 1", [2, 3]),
        ("15 < MET.pt < 35", [1, 2]),
        ("15 < MET.pt <= 30 != nMuon", [1, 2]),
        ("MET_pt > 25", [2, 3]),
        ("HLT.A", [0, 2]),
        ("HLT_A or nMuon == 3", [0, 2, 3]),
        ("not HLT.A", [1, 3]),
        ("HLT.A & (MET.pt > 20)", [2]),
        ("~HLT.A | (MET.pt > 20)", [1, 2, 3]),
        ("HLT.A ^ (MET.pt > 20)", [0, 3]),
        ("(flags & 2) > 0", [2, 3]),
        ("(flags | 1) == 3", [2, 3]),
        ("(flags ^ 1) == 2", [3]),
        ("~flags == -1", [0]),
        ("flags in (1, 3)", [1, 3]),
        ("flags not in [1, 3]", [0, 2]),
        ("any(Muon.pt > 35)", [2, 3]),
        ("all(Muon.pt > 15)", [0, 1, 2]),
        ("sum(Muon.pt > 15) == 2", [2, 3]),
        ("sum(Muon.charge) == 0", [0, 2]),
        ("max(Muon.pt) > 45 or nMuon == 0", [0, 3]),
        ("min(Muon.pt) < 10", [3]),
        ("max(MET.pt, 25) == 25", [0, 1]),
        ("min(MET.pt, flags * 10, 15) == 15", [2, 3]),
        ("count(Muon.pt) == 1", [1]),
        ("count(Muon) == 1", [1]),
        ("abs(MET.pt - 25) < 10", [1, 2]),
        ("sqrt(MET.pt ** 2) > 25", [2, 3]),
        ("log(exp(MET.pt)) > 25", [2, 3]),
        ("-MET.pt < -25", [2, 3]),
        ("MET.pt // 10 % 2 == 0", [1, 3]),
        ("where(HLT.A, MET.pt, -1) > 0", [0, 2]),
        ("is_none(Muon[:, 0].pt)", [0]),
        ("fill_none(Muon[:, 0].pt, 99) > 35", [0, 2, 3]),
        ("first(Muon.pt) > 35", [2, 3]),
        ("(nMuon > 1) + HLT.A == 2", [2]),
        ("ak.num(Muon) > 1 and np.abs(MET.pt) > 35", [3]),
        ("ak.sum(Muon.pt, axis=1) > 60 or ak.sum(Muon.pt, axis=-1) < 1", [0, 3]),
        ("(HLT.A) == (MET.pt < 15)", [0, 1, 3]),
        ("cos(pi) < MET.pt < inf", [0, 1, 2, 3]),
        ("isMC and year == '2018' and nMuon == 0", [0]),
        ("not isMC or nMuon == 0", [0]),
        ("(\n  nMuon == 2\n  or nMuon == 0\n)", [0, 2]),
        ("Muon[:, 0].pt > Muon[:, 1].pt + 22", [3]),
        ("2 ** 10 == 1024 and nMuon == 0", [0]),
    ],
)
def test_events_that_pass(text: str, expected: list[int]) -> None:
    assert passing(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # A missing object makes a condition unknown, which does not pass either way round.
        ("Muon[:, 1].pt > 25", [3]),
        ("not Muon[:, 1].pt > 25", [2]),
        ("Muon[:, 1].pt <= 25", [2]),
        ("not (Muon[:, 1].pt > 25 or HLT.A)", []),
        ("not (Muon[:, 1].pt > 25 and HLT.A)", [1, 2, 3]),
        # Where something else decides, it does not matter.
        ("nMuon == 0 or Muon[:, 0].pt > 35", [0, 2, 3]),
        ("not (nMuon > 0 and Muon[:, 0].pt > 35)", [0, 1]),
        ("Muon[:, 0].charge != Muon[:, 1].charge", [2]),
        ("Muon[:, 1].charge in (1, -1)", [2, 3]),
        ("Muon[:, 1].charge not in (1,)", [2, 3]),
        ("not not Muon[:, 1].pt > 25", [3]),
        ("(Muon[:, 1].pt > 25) ^ HLT.A", [2, 3]),
        ("any(Muon.pt > Muon[:, 1].pt)", [2, 3]),
        ("not any(Muon.pt > Muon[:, 1].pt + 100)", [2, 3]),
        ("max(Muon.pt) < 45", [1, 2]),
        ("not max(Muon.pt) < 45", [3]),
    ],
)
def test_missing_objects(text: str, expected: list[int]) -> None:
    assert passing(text) == expected


def test_constants_alone_are_constants() -> None:
    assert Expression("isMC and year in ('2017', '2018')").mask(EVENTS, constants=KNOWN) is True
    assert Expression("sample == 'TT'").mask(EVENTS, constants=KNOWN) is False
    assert Expression("not isMC").mask(EVENTS, constants=KNOWN) is False


def test_columns_go_before_constants() -> None:
    events = ak.Array({"year": [2017, 2018]})
    assert Expression("year == 2018").mask(events, constants=KNOWN).tolist() == [False, True]


def test_condition_on_objects() -> None:
    mask = Expression("Muon.pt > 25 and MET.pt > 20").mask(EVENTS, ndim=2)
    assert mask.tolist() == [[], [False], [True, False], [True, True, False]]


def test_value_of_an_expression() -> None:
    assert Expression("MET.pt * 2").column(EVENTS).tolist() == [20, 40, 60, 80]
    assert Expression("Muon[:, 0].pt").column(EVENTS).tolist() == [None, 30, 40, 50]
    assert Expression("nMuon > 1").column(EVENTS).tolist() == [False, False, True, True]
    assert Expression("Muon[Muon.pt > 30]").column(EVENTS).fields == ["pt", "charge"]


def test_names_in_an_expression() -> None:
    expression = Expression("nMuon == 2 and abs(Muon[:, 0].pt) > np.sqrt(events.MET.pt) and isMC")
    assert expression.names == ("Muon", "isMC", "nMuon")


def test_no_events() -> None:
    mask = Expression("nMuon == 2 and Muon[:, 0].pt > 25 or all(Muon.pt > 2)").mask(EVENTS[:0])
    assert mask.tolist() == []


def test_expression_is_its_text() -> None:
    assert Expression(" nMuon\n == 2 ") == Expression("nMuon == 2")
    assert Expression("nMuon == 2").text == "nMuon == 2"


# -- lazily ----------------------------------------------------------------------------------


def leading(e: Any) -> Any:
    return ak.firsts(e.Muon)


def second(e: Any) -> Any:
    return ak.firsts(e.Muon[:, 1:])


def hard_muons(e: Any) -> Any:
    last = (e.GenPart.statusFlags & 8192) > 0
    return ak.sum(last & (abs(e.GenPart.pdgId) == 13) & (e.GenPart.pt > 20), axis=1)


PLAIN: dict[str, Callable[[Any], Any]] = {
    "nMuon == 2 and Muon[:, 0].pt > 25": lambda e: (ak.num(e.Muon) == 2) & (leading(e).pt > 25),
    "not Muon[:, 1].pt > 15": lambda e: ~(second(e).pt > 15),
    "all(Jet.pt > 30 and abs(Jet.eta) < 2)": lambda e: (
        ak.all((e.Jet.pt > 30) & (abs(e.Jet.eta) < 2), axis=1)
    ),
    "abs((Muon[:, 0] + Muon[:, 1]).mass - 91.2) < 15": lambda e: (
        abs((leading(e) + second(e)).mass - 91.2) < 15
    ),
    "Muon[:, 0].delta_r(Muon[:, 1]) > 2": lambda e: leading(e).delta_r(second(e)) > 2,
    "any(Muon.nearest(Jet).pt > 30)": lambda e: ak.any(e.Muon.nearest(e.Jet).pt > 30, axis=1),
    "sum(all(Jet.metric_table(Muon) > 0.4, axis=2)) > 1": lambda e: (
        ak.sum(ak.all(e.Jet.metric_table(e.Muon) > 0.4, axis=2), axis=1) > 1
    ),
    "all(Muon.matched_gen.pt > 20)": lambda e: (
        ak.all(ak.fill_none(e.Muon.matched_gen.pt > 20, False, axis=-1), axis=1)
    ),
    "not all(Muon.matched_gen.pt > 20)": lambda e: (
        ak.any(ak.fill_none(e.Muon.matched_gen.pt <= 20, False, axis=-1), axis=1)
    ),
    "sum(Jet[Jet.btagDeepFlavB > 0.1].pt) > 40": lambda e: (
        ak.sum(e.Jet[e.Jet.btagDeepFlavB > 0.1].pt, axis=1) > 40
    ),
    "HLT_IsoMu24 or HLT.IsoMu27": lambda e: e.HLT.IsoMu24 | e.HLT.IsoMu27,
    "max(MET.pt, 30.0) > 30 and Flag.goodVertices": lambda e: (
        e.Flag.goodVertices & (e.MET.pt > 30)
    ),
    "sum((GenPart.statusFlags & 8192) > 0 and abs(GenPart.pdgId) == 13 and GenPart.pt > 20) > 1": (
        lambda e: hard_muons(e) > 1
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", PLAIN)
def test_lazy_and_eager_are_what_awkward_computes(
    text: str, dy_frame: la.Events, dy_events: ak.Array, value: Any
) -> None:
    expected = ak.fill_none(PLAIN[text](dy_events), False)
    assert 0 < ak.sum(expected) < len(expected)
    assert Expression(text).mask(dy_events).tolist() == expected.tolist()
    assert value(dy_frame, Expression(text).mask(dy_frame)).tolist() == expected.tolist()


def test_defined_columns_are_columns(dy_frame: la.Events, dy_events: ak.Array, value: Any) -> None:
    frame = dy_frame.define(MuonGood=dy_frame.Muon[dy_frame.Muon.pt > 20])
    found = value(frame, Expression("nMuonGood == 2 and MuonGood[:, 0].pt > 30").mask(frame))
    good = dy_events.Muon[dy_events.Muon.pt > 20]
    expected = (ak.num(good) == 2) & ak.any(good.pt[:, :1] > 30, axis=1)
    assert found.tolist() == expected.tolist()


def test_only_the_branches_named_are_read(dy_frame: la.Events) -> None:
    mask = Expression("nMuon == 2 and Muon[:, 0].pt > 25").mask(dy_frame)
    (group,) = la.explain(dy_frame.columns({"x": mask})).groups
    assert group.branches == ("Muon_pt", "nMuon")


def test_misspelt_column_of_a_frame(dy_frame: la.Events) -> None:
    with pytest.raises(ColumnError) as caught:
        Expression("nMuons == 2").mask(dy_frame)
    assert "There is no column 'nMuons'. Did you mean 'nMuon'" in str(caught.value)


# -- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error", "marked", "message"),
    [
        ("nMuon == 2 and nMuom > 1", ColumnError, "nMuom", "'nMuom'. Did you mean 'nMuon'"),
        ("nMuon == 2 and Muon.ptt[:, 0] > 1", ColumnError, "Muon.ptt", "'ptt'. Did you mean 'pt'?"),
        ("MET.phi > 1", ColumnError, "MET.phi", "Fields: pt"),
        ("MET_phi > 1", ColumnError, "MET_phi", "no column 'MET_phi'"),
        ("nMuon + 1", InputTypeError, "nMuon + 1", "no condition but int64"),
        ("nMuon and HLT.A", InputTypeError, "nMuon", "no condition but int64: compare it"),
        ("not nMuon", InputTypeError, "nMuon", "no condition but int64"),
        ("HLT.A & nMuon", InputTypeError, "nMuon", "no condition but int64"),
        ("Muon or HLT.A", InputTypeError, "Muon", "no condition but a record"),
        ("3", InputTypeError, "3", "no condition but the number 3"),
        ("'x'", InputTypeError, "'x'", "no condition but the text 'x'"),
        ("Muon.pt > 20", InputTypeError, "Muon.pt > 20", "several values an event: write any"),
        ("Muon > 20 or HLT.A", InputTypeError, "Muon", "a record with fields charge, pt"),
        ("abs(Muon) > 2", InputTypeError, "abs(Muon)", "a record with fields"),
        ("MET[:, 0].pt > 1", InputTypeError, "MET[:, 0]", "this has one"),
        ("sum(MET.pt) > 1", InputTypeError, "sum(MET.pt)", "needs several values an event"),
        ("any(Muon.pt)", InputTypeError, "any(Muon.pt)", "needs a condition, and this is var"),
        ("count(Muon.pt > 20) > 1", InputError, "count(Muon.pt > 20)", "write sum(x)"),
        ("num(Muon.pt > 20) > 1", InputError, "num(Muon.pt > 20)", "write sum(x)"),
        ("where(nMuon, 1, 2) > 1", InputTypeError, "where(nMuon, 1, 2)", "needs a condition"),
        ("sum(Muon.pt, axis=0) > 1", InputError, "0", "write axis=1"),
        ("sum(Muon.pt, axs=1) > 1", InputError, "1", "no option 'axs'"),
        ("abs(MET.pt, axis=1) > 1", InputError, "abs(MET.pt, axis=1)", "takes no keywords"),
        ("abs(MET.pt, 2) > 1", InputError, "abs(MET.pt, 2)", "takes 1 values, and here are 2"),
        ("absolut(MET.pt) > 1", InputError, "absolut(MET.pt)", "'absolut'. Did you mean 'abs'"),
        ("Muon.pt.sum() > 1", InputError, "Muon.pt.sum()", "no method 'sum'"),
        ("sum(3) > 1", InputTypeError, "sum(3)", "needs a column, and this is the number 3"),
        ("Muon.delta_r(Muon, axis=1) > 1", InputError, "Muon.delta_r(Muon, axis=1)", "no keywords"),
        ("(Muon.pt)(2) > 1", InputError, "(Muon.pt)(2)", "no method 'pt'"),
        ("Muon[:, 0](2) > 1", InputError, "Muon[:, 0]", "Only functions and methods"),
        ("abs > 1", ColumnError, "abs", "abs is a function: write abs(...)"),
        ("events == 1", ColumnError, "events", "events is all of them"),
        ("Muon[0].pt > 1", InputError, "Muon[0]", "write [:, 0]"),
        ("Muon[:2].pt > 1", InputError, "Muon[:2]", "write [:, 0]"),
        ("Muon[-1].pt > 1", InputError, "Muon[-1]", "write [:, 0]"),
        ("Muon[:, 0, 1].pt > 1", InputError, "Muon[:, 0, 1]", "write [:, 0]"),
        ("Muon[:, nMuon].pt > 1", InputError, "nMuon", "whole numbers"),
        ("Muon[:, 0.5].pt > 1", InputError, "0.5", "whole numbers"),
        ("num(Muon[HLT.A]) > 1", InputError, "HLT.A", "one for each object"),
        ("num(Muon[flags]) > 1", InputTypeError, "flags", "no condition but int64"),
        ("flags in MET.pt", InputError, "MET.pt", "'in' needs a list"),
        ("HLT.A.x > 1", ColumnError, "HLT.A.x", "It is a plain column"),
        ("year.x == 1", InputError, "year.x", "the text '2018' and has no field 'x'"),
        ("Muon.layout == 1", ColumnError, "Muon.layout", "no field 'layout'"),
        ("Muon.__class__ == 1", ColumnError, "Muon.__class__", "no field '__class__'"),
        ("MET.pt > 'x'", InputError, "MET.pt > 'x'", "cannot be computed"),
        ("MET.pt > 9 ** 9 ** 9", InputError, "9 ** 9 ** 9", "(OverflowError: "),
        ("nMuon > 1 / 0", InputError, "1 / 0", "ZeroDivisionError"),
    ],
)  # fmt: skip
def test_errors_point_at_the_place(
    text: str, error: type[Exception], marked: str, message: str
) -> None:
    with pytest.raises(error) as caught:
        Expression(text).mask(EVENTS, constants=KNOWN)
    said, shown, carets = str(caught.value).split("\n")
    assert message in said
    assert shown.strip() == text
    assert shown[carets.index("^") : len(carets)] == marked
    assert set(carets) <= {" ", "^"}


def test_condition_on_objects_that_is_one_on_events() -> None:
    with pytest.raises(InputTypeError, match="not one truth value an object"):
        Expression("MET.pt > 1").mask(EVENTS, ndim=2)


def test_text_is_needed() -> None:
    with pytest.raises(InputTypeError, match="given as a int"):
        Expression(3)  # type: ignore[arg-type]


WORDS = (
    *("nMuon", "Muon", "Muon.pt", "MET.pt", "HLT.A", "flags", "year", "isMC", "events", "pi"),
    *(
        "and",
        "or",
        "not",
        "in",
        "&",
        "|",
        "~",
        "^",
        "==",
        "!=",
        "<",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "**",
    ),
    *("(", ")", "[", "]", "[:, 0]", "[:, -1]", "[:", ",", ":", "abs(", "sum(", "any(", "max("),
    *("0", "2", "25.5", "'x'", ".pt", ".delta_r(", "lambda", "if", "else", "=", ":=", "_", "__"),
)


@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join) | st.text(max_size=30))
def test_whatever_is_written_gives_a_mask_or_our_error(text: str) -> None:
    try:
        mask = Expression(text).mask(EVENTS, constants=KNOWN)
    except LazyanaError:
        return
    assert mask is True or mask is False or len(mask) == len(EVENTS)


LEAVES = {
    "Muon[:, 0].pt > 35": [None, False, True, True],
    "Muon[:, 1].pt > 25": [None, None, False, True],
    "Muon[:, 2].charge == 1": [None, None, None, True],
    "HLT.A": [True, False, True, False],
    "nMuon > 1": [False, False, True, True],
    "isMC": [True] * 4,
}
Tree = Any
trees = st.recursive(
    st.sampled_from(sorted(LEAVES)),
    lambda inner: (
        st.tuples(st.just("not"), inner)
        | st.tuples(st.sampled_from(["and", "or", "^"]), inner, inner)
    ),
    max_leaves=8,
)


def written(tree: Tree) -> str:
    if isinstance(tree, str):
        return f"({tree})"
    return f"({' '.join((*map(written, tree[1:-1]), tree[0], written(tree[-1])))})"


def decided(tree: Tree, event: int) -> bool | None:
    """By the logic of three values, worked out one event after the other."""
    if isinstance(tree, str):
        return LEAVES[tree][event]
    values = [decided(one, event) for one in tree[1:]]
    if tree[0] == "not":
        return None if values[0] is None else not values[0]
    if tree[0] == "^":
        return None if None in values else values[0] != values[1]
    deciding = tree[0] == "or"
    if deciding in values:
        return deciding
    return None if None in values else not deciding


@given(trees)
def test_conditions_combine_as_unknown_values_do(tree: Tree) -> None:
    mask = Expression(written(tree)).mask(EVENTS, constants=KNOWN)
    found = [mask] * 4 if isinstance(mask, bool) else mask.tolist()
    assert found == [decided(tree, event) is True for event in range(4)]
