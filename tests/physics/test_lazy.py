from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import awkward as ak
import dask_awkward as dak
import numpy as np
import pytest

import lazyana as la
from lazyana.errors import InputTypeError
from lazyana.physics.lazy import certain, is_lazy, mapped, on_numbers, with_fields


def scaled(column: Any, factor: float = 1.0) -> Any:
    return column * factor


def ranks(column: Any) -> Any:
    return on_numbers(ranks_of_numbers, column)


def ranks_of_numbers(column: ak.Array) -> ak.Array:
    flat = ak.to_numpy(ak.flatten(column))
    return ak.unflatten(np.argsort(np.argsort(flat)).astype(np.int64), ak.num(column))


def to_numpy_and_back(column: ak.Array) -> ak.Array:
    return ak.unflatten(np.asarray(ak.flatten(column)) * 2, ak.num(column))


def test_a_column_is_lazy_or_not(lazy_events: la.Events, eager_events: ak.Array) -> None:
    assert is_lazy(lazy_events.Muon.pt)
    assert not is_lazy(eager_events.Muon.pt)
    assert not is_lazy(1.0)


def test_a_function_is_called_on_arrays_in_memory() -> None:
    assert mapped(scaled, ak.Array([[1, 2], []]), label="scaled", factor=3).to_list() == [
        [3, 6],
        [],
    ]


def test_a_function_is_one_step_on_lazy_columns(
    lazy_events: la.Events, same: Callable[..., Any]
) -> None:
    column = mapped(scaled, lazy_events.Muon.pt, label="scaled", factor=2.0)
    assert isinstance(column, dak.Array)
    assert len(column.dask.layers) == len(lazy_events.Muon.pt.dask.layers) + 1
    same(lambda events: mapped(scaled, events.Muon.pt, label="scaled", factor=2.0))


def test_the_same_call_is_the_same_column(lazy_events: la.Events) -> None:
    one, other = (mapped(scaled, lazy_events.Muon.pt, label="s", factor=2.0) for _ in range(2))
    another = mapped(scaled, lazy_events.Muon.pt, label="s", factor=3.0)
    assert one.name == other.name != another.name


def test_a_function_may_need_the_numbers(same: Callable[..., Any], value: Any) -> None:
    # Ranks within a partition: what counts here is that it runs, and gives its type beforehand.
    def last(events: Any) -> Any:
        return mapped(ranks, events.Muon.pt, label="ranks") >= 0

    assert ak.all(same(last), axis=None)


def test_the_type_of_what_needs_the_numbers_is_known(lazy_events: la.Events) -> None:
    column = mapped(ranks, lazy_events.Muon.pt, label="ranks")
    assert str(column._meta.type).endswith("* var * int64")


def test_a_type_may_be_given(same: Callable[..., Any]) -> None:
    def twice(events: Any) -> Any:
        meta = ak.Array([[np.float32(1)]])
        return mapped(to_numpy_and_back, events.Muon.pt, label="twice", meta=meta)

    same(twice)


TRACED: list[float] = []


@dataclass(frozen=True)
class Shifted:
    """Says for which of the amounts its type was found out."""

    amount: float
    typed_by_inputs: ClassVar[bool] = True

    def __call__(self, *columns: Any) -> Any:
        if ak.backend(columns[0]) == "typetracer":
            TRACED.append(self.amount)
        return sum(columns) + self.amount


def test_a_type_that_depends_on_the_columns_alone_is_found_out_once(
    lazy_events: la.Events, same: Callable[..., Any]
) -> None:
    TRACED.clear()
    muons, jets = lazy_events.Muon, lazy_events.Jet
    for columns in ((muons.pt,), (muons.pt, muons.eta), (muons.eta, muons.pt), (jets.pt,)):
        shifted = [mapped(Shifted(a), *columns, label="shifted") for a in (1.0, 2.0, 3.0)]
        assert len({column.name for column in shifted}) == 3
        assert all(column._meta is shifted[0]._meta for column in shifted)
    assert TRACED == [1.0] * 4
    same(lambda events: mapped(Shifted(2.0), events.Muon.pt, events.Muon.eta, label="shifted"))


def test_only_what_is_given_is_read(lazy_events: la.Events) -> None:
    column = mapped(ranks, lazy_events.Muon.pt, label="ranks")
    text = str(la.explain(lazy_events.columns({"x": column})))
    assert "reads 2 of" in text
    assert "Muon_pt" in text
    assert "nMuon" in text


def test_lazy_and_eager_columns_do_not_mix(lazy_events: la.Events, eager_events: ak.Array) -> None:
    with pytest.raises(InputTypeError, match="scaled is given lazy columns and an array in memory"):
        mapped(scaled, lazy_events.Muon.pt, eager_events.Muon.pt, label="scaled")


def test_fields_are_added_in_one_step(lazy_events: la.Events, same: Callable[..., Any]) -> None:
    def added(events: Any) -> Any:
        muons = events["Muon"]
        return with_fields(muons, {"twice": muons.pt * 2, "pt": muons.pt * 3})

    same(lambda events: added(events).twice)
    same(lambda events: added(events).px)
    layers = len(added(lazy_events).dask.layers)
    assert layers == len((lazy_events.Muon.pt * 2).dask.layers) + 2


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ([True, None, False], [True, False, False]),
        ([[True, None], []], [[True, False], []]),
        ([[True, False]], [[True, False]]),
    ],
)
def test_what_is_not_known_does_not_pass(mask: Any, expected: Any) -> None:
    sure = certain(ak.Array(mask))
    assert sure.to_list() == expected
    assert "?" not in str(sure.type)


def test_a_mask_without_missing_values_is_left_alone(lazy_events: la.Events) -> None:
    mask = lazy_events.Muon.pt > 20
    assert certain(mask) is mask
    first = ak.firsts(lazy_events.Muon.pt) > 20
    assert "?" not in str(certain(first)._meta.type)
