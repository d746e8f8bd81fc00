from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.engine.nesting import Nesting, split
from lazyana.errors import FileError, InputError, InputTypeError

keys = st.one_of(st.text(st.characters(exclude_characters="/"), min_size=1), st.integers())
nestings = st.recursive(
    st.sampled_from("abc").map(lambda word: word * 2),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3).filter(
            lambda node: len({str(key) for key in node}) == len(node)
        ),
    ),
    max_leaves=12,
)


@given(nestings)
def test_split_and_join_are_inverse(outputs: object) -> None:
    nesting, leaves = split(outputs)
    assert nesting.join(iter(leaves)) == outputs
    assert type(nesting.join(iter(leaves))) is type(outputs)
    assert nesting.size == len(leaves) == len(list(nesting.paths()))


@given(nestings)
def test_json_keeps_shape_and_leaves(outputs: object) -> None:
    nesting, leaves = split(outputs)
    text = json.dumps(nesting.to_json({"name": leaf} for leaf in leaves))
    again, nodes = Nesting.from_json(json.loads(text))
    assert again == nesting
    assert [node["name"] for node in nodes] == leaves


def test_paths_and_starts() -> None:
    nesting, leaves = split({"mll": 1, "regions": {"SR": [2, 3], "CR": (4,)}})
    assert list(nesting.paths()) == ["mll", "regions/SR/0", "regions/SR/1", "regions/CR/0"]
    assert leaves == [1, 2, 3, 4]
    assert nesting.starts == (0, 1)
    assert nesting.children[1].starts == (0, 2)
    assert list(split("one")[0].paths()) == [""]


def test_an_output_may_itself_be_a_dict() -> None:
    nesting, leaves = split({"sum": {"DY": 1.0}}, is_output=lambda node: "DY" in node)
    assert leaves == [{"DY": 1.0}]
    assert list(nesting.paths()) == ["sum"]


@pytest.mark.parametrize("outputs", [{"a": {1.5: "x"}}, {"a": {True: "x"}}, {"a": {("b",): "x"}}])
def test_other_keys_are_refused(outputs: object) -> None:
    with pytest.raises(InputTypeError, match=r"at 'a' is a .*; keys are str or int"):
        split(outputs)


def test_what_is_no_output_is_refused_with_its_place() -> None:
    with pytest.raises(InputTypeError, match=r"int 3 at 'a/0' is not an output; give what"):
        split({"a": [3]}, is_output=lambda node: node == "output")


@pytest.mark.parametrize("outputs", [{1: "a", "1": "b"}, {"a/b": "a", "a": {"b": "b"}}])
def test_two_outputs_with_one_path_are_refused(outputs: object) -> None:
    with pytest.raises(InputError, match=r"Two outputs have the path"):
        split(outputs)


def test_a_nesting_of_unknown_kind_is_refused() -> None:
    with pytest.raises(FileError, match=r"'set' is not known"):
        Nesting.from_json({"kind": "set", "items": []})
