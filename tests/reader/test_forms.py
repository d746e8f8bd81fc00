"""Forms of branches: what coffea takes, and one signature for what is alike."""

from __future__ import annotations

import json
import threading
import warnings
from typing import Any

import awkward as ak
import pytest
from coffea.nanoevents import NanoAODSchema

from lazyana.reader.forms import (
    base_form,
    branch_form,
    kind_of,
    known_layout,
    plain_form,
    signature_of,
)

KINDS: dict[str, tuple[str, list[int | None]]] = {
    "float32": ("float32", []),
    "[]float32": ("float32", [None]),
    "[][]bool": ("bool", [None, None]),
    "[3]int64": ("int64", [3]),
    "[][2]uint8": ("uint8", [None, 2]),
}
TYPES = ["float", "float[]", "bool[][]", "int64_t[3]", "uint8_t[][2]"]


def form_of(array: ak.Array) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(array.layout.form.to_json())
    return found


@pytest.mark.parametrize(("kind", "typename"), list(zip(KINDS, TYPES, strict=True)))
def test_plain_form(kind: str, typename: str) -> None:
    primitive, sizes = KINDS[kind]
    form = plain_form("x", primitive, sizes, "about it")
    assert form is not None
    assert kind_of(form) == kind
    inner = form
    while "content" in inner:
        inner = inner["content"]
    assert inner["parameters"] == {"__doc__": "about it", "typename": typename}
    assert str(ak.forms.from_dict(form).type).count("var") == sizes.count(None)


def test_keys_are_those_of_coffea() -> None:
    form = plain_form("Muon_pt", "float32", [None])
    assert form is not None
    assert form["form_key"] == "Muon_pt%2C%21load"
    assert form["content"]["form_key"] == "Muon_pt%2C%21load%2C%21content"
    numbers = {
        name: plain_form(name, "uint32", [])
        for name in ("run", "luminosityBlock", "event", "nMuon")
    }
    base = base_form(numbers | {"Muon_pt": form})
    base["parameters"]["metadata"] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of all that a real file has
        events = NanoAODSchema(base).form
    assert "Muon" in events["fields"]


@pytest.mark.parametrize(
    "array",
    [
        ak.Array([1, None]),
        ak.Array([[1, None], []]),
        ak.Array([1, "a"]),
        ak.Array([{"a": None}, {"a": 1}]),
    ],
)
def test_what_nanoevents_cannot_hold(array: ak.Array) -> None:
    assert branch_form("x", form_of(array), "", "") is None


@pytest.mark.parametrize("name", ["a,b", "a!", "!load"])
def test_names_that_nanoevents_cannot_hold(name: str) -> None:
    assert plain_form(name, "int8", []) is None


def test_offsets_are_wide() -> None:
    array = ak.Array(
        ak.contents.ListOffsetArray(
            ak.index.Index32([0, 1]),
            ak.contents.ListOffsetArray(ak.index.Index32([0, 1]), ak.contents.NumpyArray([1.0])),
        )
    )
    form = branch_form("x", form_of(array), "", "")
    assert form is not None
    assert (form["offsets"], form["content"]["offsets"]) == ("i64", "i64")


def test_kinds_tell_apart() -> None:
    arrays = [
        ak.Array([1]),
        ak.Array([1.0]),
        ak.Array([[1]]),
        ak.Array(["a"]),
        ak.Array([{"a": 1}]),
        ak.Array([{"b": 1}]),
        ak.Array([(1,)]),
        ak.to_regular(ak.Array([[1]])),
        ak.to_regular(ak.Array([[1, 2]])),
        ak.Array([[[1]]]),
        ak.Array([1, None]),
    ]
    assert len({kind_of(form_of(array)) for array in arrays}) == len(arrays)


def test_signature() -> None:
    """Of names and types, whatever the order and the descriptions."""
    x, y = plain_form("x", "int8", [], "one"), plain_form("y", "int8", [None], "two")
    other = plain_form("x", "int8", [], "another")
    assert signature_of(base_form({"x": x, "y": y})) == signature_of(
        base_form({"y": y, "x": other})
    )
    changed = [
        {"x": x},
        {"x": x, "y": plain_form("y", "int8", [])},
        {"x": x, "z": plain_form("z", "int8", [None])},
        {"x": x, "y": plain_form("y", "int16", [None])},
    ]
    found = {signature_of(base_form(forms)) for forms in [*changed, {"x": x, "y": y}]}
    assert len(found) == 5


def test_layouts_are_made_once() -> None:
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        return base_form({"x": plain_form("x", "int8", [])})

    found: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(known_layout("test", "once", ["x", "odd", "x"], make))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert all(layout is found[0][0] for layout, _ in found)
    assert found[0][1] == {"x": 0, "odd": 1}
    assert known_layout("test", "another", ["x"], make)[0] == found[0][0]
