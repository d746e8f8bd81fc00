from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from lazyana.errors import InputError, InputTypeError, RunError
from lazyana.sinks import rows


def split(name: str, array: ak.Array) -> dict[str, ak.Array]:
    return {leaf: ak.Array(layout) for leaf, layout in rows.leaves(name, ak.to_layout(array))}


def flat(columns: dict[str, ak.Array], **per_event: list[float]) -> dict[str, list[object]]:
    layouts = {name: ak.to_layout(array) for name, array in columns.items()}
    once = {name: rows.plain(np.asarray(values)) for name, values in per_event.items()}
    return {
        name: ak.to_list(layout) for name, layout in rows.flatten("these", layouts, once).items()
    }


def test_a_record_is_split_into_its_fields_at_any_depth() -> None:
    array = ak.Array(
        [[{"pt": 1.0, "id": {"tight": True, "loose": 3}}], [], [{"pt": 2.0, "id": None}]],
        with_name="Jet",
    )
    found = split("jet", array)
    assert {name: column.to_list() for name, column in found.items()} == {
        "jet_pt": [[1.0], [], [2.0]],
        "jet_id_tight": [[True], [], [None]],
        "jet_id_loose": [[3], [], [None]],
    }


def test_a_tuple_is_split_by_position() -> None:
    assert list(split("pair", ak.zip(([1, 2], [3.0, 4.0])))) == ["pair_0", "pair_1"]


def test_a_matrix_becomes_a_list_of_fixed_length() -> None:
    matrix = np.arange(6, dtype=np.int16).reshape(3, 2)
    assert str(split("x", ak.Array(matrix))["x"].type) == "3 * 2 * int16"


@pytest.mark.parametrize(
    "array",
    [
        ak.Array([1, "a"]),
        ak.Array([1 + 2j]),
        ak.Array(ak.contents.RecordArray([], [], 2)),
    ],
    ids=["union", "complex", "no fields"],
)
def test_what_cannot_be_saved_is_refused_by_name(array: ak.Array) -> None:
    with pytest.raises(InputTypeError, match="the column 'strange' cannot be saved"):
        split("strange", array)


def test_columns_of_different_length_are_named() -> None:
    layouts = {"a": rows.plain(np.zeros(2)), "b": rows.plain(np.zeros(3))}
    with pytest.raises(RunError, match="a: 2, b: 3"):
        rows.common_length("these", layouts)


def test_objects_are_counted_and_events_repeated() -> None:
    found = flat(
        {
            "pt": ak.Array([[1.0, 2.0], [], None, [3.0]]),
            "tag": ak.Array([["a", "b"], [], [], ["c"]]),
            "met": ak.Array([10, 20, 30, None]),
            "pair": ak.Array(np.arange(8).reshape(4, 2)),
            "name": ak.Array(["w", "x", "y", "z"]),
        },
        weight=[0.1, 0.2, 0.3, 0.4],
    )
    assert found == {
        "pt": [1.0, 2.0, 3.0],
        "tag": ["a", "b", "c"],
        "met": [10, 10, None],
        "pair": [[0, 1], [0, 1], [6, 7]],
        "name": ["w", "w", "z"],
        "object_index": [0, 1, 0],
        "weight": [0.1, 0.1, 0.4],
    }


def test_lists_of_lists_lose_one_level() -> None:
    assert flat({"x": ak.Array([[[1, 2], []], [[3]]])})["x"] == [[1, 2], [], [3]]


def test_different_numbers_of_objects_are_named_with_their_event() -> None:
    with pytest.raises(RunError, match="in event 1 of them there are 1 of 'a' and 2 of 'b'"):
        flat({"a": ak.Array([[1], [2]]), "b": ak.Array([[1], [2, 3]])})


def test_there_must_be_something_to_flatten() -> None:
    with pytest.raises(InputError, match="nothing to flatten: a, b have one value per event"):
        flat({"a": ak.Array([1]), "b": ak.Array([2.0])})


def test_no_events_of_no_type_are_flat_already() -> None:
    assert flat({"a": ak.Array([])}) == {"a": [], "object_index": []}


def test_missing_numbers_are_float64() -> None:
    assert str(ak.Array(rows.nulls(2)).type) == "2 * ?float64"


def test_a_record_needs_no_columns() -> None:
    assert len(rows.record({}, 3)) == 3
