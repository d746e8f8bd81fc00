"""Correction files come apart, and come together again as they were written."""

from __future__ import annotations

import gzip
import json
from typing import Any

import correctionlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.physics.correction_json import choices, correction_set, split, with_flow


def binning(content: list[float], flow: Any = "error", **extra: Any) -> dict[str, Any]:
    edges = [float(i) for i in range(len(content) + 1)]
    return {
        "nodetype": "binning",
        "input": "x",
        "edges": edges,
        "content": content,
        "flow": flow,
        **extra,
    }


def correction(name: str, data: Any, *inputs: tuple[str, str], **extra: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": 1,
        "inputs": [{"name": n, "type": t} for n, t in inputs or (("x", "real"),)],
        "output": {"name": "y", "type": "real"},
        "data": data,
        **extra,
    }


def category(name: str, content: dict[str, Any], **extra: Any) -> dict[str, Any]:
    pairs = [{"key": key, "value": value} for key, value in content.items()]
    return {"nodetype": "category", "input": name, "content": pairs, **extra}


def written(*corrections: Any, indent: int | None = None, **extra: Any) -> bytes:
    whole = {"schema_version": 2, "corrections": list(corrections), **extra}
    return json.dumps(whole, indent=indent).encode()


@given(
    st.lists(st.text(max_size=12), min_size=1, max_size=5, unique=True),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.booleans(),
)
def test_parts_are_what_json_says(
    names: list[str], indent: int | None, packed: bool, last: bool
) -> None:
    ones = [correction(name, binning([1.0]), description=name) for name in names]
    whole = {"description": '"corrections": [', "schema_version": 2, "more": [1, {"a": []}]}
    whole = {**whole, "corrections": ones} if last else {"corrections": ones, **whole}
    data = json.dumps(whole, indent=indent).encode()
    parts = split(gzip.compress(data) if packed else data)
    assert [json.loads(part.text) for part in parts.values()] == ones
    assert list(parts) == names
    assert all(part.inputs == (("x", "real"),) and part.stack is None for part in parts.values())
    for name, one in zip(names, ones, strict=True):
        assert json.loads(correction_set(parts, name))["corrections"] == [one]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_values_are_those_of_the_file_to_the_last_bit(values: list[float]) -> None:
    # More digits than Python would write: correctionlib may read them otherwise than Python.
    digits = ", ".join(f"{value:.25f}" for value in values)
    text = written(correction("c", binning(values))).decode()
    text = text.replace(json.dumps(values), f"[{digits}]")
    whole = correctionlib.CorrectionSet.from_string(text)["c"]
    alone = correctionlib.CorrectionSet.from_string(correction_set(split(text.encode()), "c"))["c"]
    x = np.arange(len(values)) + 0.5
    assert np.array_equal(alone.evaluate(x), whole.evaluate(x))


def test_compound_brings_its_stack() -> None:
    compound = {
        "name": "both",
        "inputs": [{"name": "x", "type": "real"}],
        "output": {"name": "y", "type": "real"},
        "inputs_update": [],
        "input_op": "*",
        "output_op": "*",
        "stack": ["a", "b", "a"],
    }
    ones = [correction(name, value) for name, value in (("a", 2.0), ("b", 3.0), ("c", 5.0))]
    parts = split(written(*ones, compound_corrections=[compound]))
    assert parts["both"].stack == ("a", "b", "a")
    text = correction_set(parts, "both")
    assert [one["name"] for one in json.loads(text)["corrections"]] == ["a", "b"]
    assert correctionlib.CorrectionSet.from_string(text).compound["both"].evaluate(1.0) == 12.0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"nonsense", "no '{'"),
        (b"[]", "no '{'"),
        (b"{}", "schema version None"),
        (b'{"schema_version": 1, "corrections": []}', "schema version 1"),
        (b'{"schema_version": 2, "corrections": []}', "no corrections"),
        (b'{"schema_version": 2, "corrections": [{', "Expecting"),
        (b'{"schema_version"', "no ':'"),
    ],
)
def test_other_content_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        split(data)


def test_choices_of_an_input_are_those_of_all_branches() -> None:
    inner = [category("tag", {"up": 1.0, "down": 2.0}), category("tag", {"nominal": 1.0})]
    data = category("year", {"2018": binning(inner), "2017": 1.0})  # type: ignore[arg-type]
    whole = split(written(correction("c", data)))
    assert choices(correction_set(whole, "c")) == {
        "tag": ("down", "nominal", "up"),
        "year": ("2017", "2018"),
    }


@pytest.mark.parametrize("first", [True, False])
def test_default_allows_any_text(first: bool) -> None:
    strict, open_ = category("tag", {"up": 1.0}), category("tag", {"down": 1.0}, default=0.0)
    both = [open_, strict] if first else [strict, open_]
    data = category("run", {1: binning(both), 2: 0.0})  # type: ignore[arg-type, dict-item]
    assert choices(correction_set(split(written(correction("c", data))), "c")) == {}


def test_nodes_are_found_below_transforms_and_flows() -> None:
    moved = {
        "nodetype": "transform",
        "input": "x",
        "rule": category("rule", {"a": 1.0}),
        "content": category("inner", {"b": 1.0}),
    }
    data = binning([1.0], flow=category("flow", {"c": 1.0}, default=moved))
    found = choices(correction_set(split(written(correction("c", data))), "c"))
    assert found == {"rule": ("a",), "inner": ("b",)}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("flow", "expected"),
    [("error", 7.0), (-999.0, 7.0), (-999, 7.0), ("clamp", 2.0), (3.0, 3.0), (-999.5, -999.5)],
)
def test_flow_is_changed_where_the_file_fails(
    flow: Any, expected: float, indent: int | None
) -> None:
    said = r'"flow": "error", \ \"flow\": "error"'
    one = correction("c", binning([1.0, 2.0], flow), description=said)
    text = with_flow(correction_set(split(written(one, indent=indent)), "c"), 7.0)
    assert json.loads(text)["corrections"][0]["description"] == said
    if flow != -999:  # correctionlib takes no whole numbers for values
        assert correctionlib.CorrectionSet.from_string(text)["c"].evaluate(5.0) == expected
    assert json.loads(text)["corrections"][0]["data"]["flow"] == (
        expected if isinstance(flow, float) or expected == 7.0 else flow
    )


def test_flow_that_is_a_correction_stays() -> None:
    one = correction("c", binning([1.0], flow=binning([5.0, 6.0], "error")))
    text = with_flow(correction_set(split(written(one)), "c"), "clamp")
    data = json.loads(text)["corrections"][0]["data"]
    assert data["flow"]["flow"] == "clamp"
    assert data["flow"]["content"] == [5.0, 6.0]
