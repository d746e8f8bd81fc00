"""Mixed forms: layouts put together, and forms in which numbers may be None."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from coffea.nanoevents.mapping.uproot import _lazify_form
from hypothesis import given
from hypothesis import strategies as st

from lazyana.data.catalog import Layout
from lazyana.data.mixed import Gap, conflicts, files_text, united_layout, urls_text, with_options
from lazyana.toy.sample import write_dataset

PROJECT = Path(__file__).parents[2]


def layout(signature: str = "s", **types: str) -> Layout:
    """A layout of branches of numbers; of lists, where the type ends with brackets."""
    forms = []
    for name, kind in types.items():
        form: dict[str, Any] = {"class": "NumpyArray", "primitive": kind.removesuffix("[]")}
        if kind.endswith("[]"):
            form = {"class": "ListOffsetArray", "offsets": "i64", "content": form}
        forms.append(_lazify_form(form, f"{name},!load", docstr=name, typestr=kind))
    base = {
        "class": "RecordArray",
        "fields": list(types),
        "contents": forms,
        "parameters": {"__doc__": "Events"},
        "form_key": None,
    }
    return Layout(signature, json.dumps(base))


def test_conflicts_are_branches_of_two_types() -> None:
    one = layout(a="int32", b="int32", c="int32[]", d="bool")
    other = layout(a="int32", b="uint32", c="int32", e="bool")
    assert conflicts(one, other) == conflicts(other, one) == ("b", "c")
    assert conflicts(one, one) == ()


names = st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from(["bool", "float32[]"]))


@given(st.lists(names, min_size=1, max_size=4))
def test_united_layout_has_every_branch_as_it_was(each: list[dict[str, str]]) -> None:
    types: dict[str, str] = {}
    layouts = []
    for number, one in enumerate(each):
        mine = {name: types.setdefault(name, kind) for name, kind in one.items()}
        layouts.append(layout(str(number), **mine))
    united = united_layout(layouts)
    assert united.types == dict(sorted(types.items()))
    base = json.loads(united.base_form)
    assert base["fields"] == list(types)
    for one in layouts:
        form = json.loads(one.base_form)
        for name, content in zip(form["fields"], form["contents"], strict=True):
            assert base["contents"][base["fields"].index(name)] == content
        gap = Gap.of(one, united, ["u"])
        assert gap.branches == set(types) - set(one.types)


def test_signature_of_a_united_layout_is_its_own() -> None:
    one, other = layout("1", a="bool"), layout("2", b="bool")
    assert united_layout([one]) is one
    both = united_layout([one, other])
    assert both.signature not in {"1", "2"}
    assert both == united_layout([one, other])
    assert both.signature != united_layout([one, layout("3", c="bool")]).signature


def test_files_are_shown_by_the_first_few() -> None:
    assert urls_text(["a", "b"]) == "a, b"
    assert urls_text(list("abcde")) == "a, b, c and 2 more"
    one, other = layout("1", a="bool"), layout("2", b="bool")
    united = united_layout([one, other])
    gaps = [Gap.of(one, united, list("abcd")), Gap.of(other, united, ["x", "y"])]
    assert gaps[0] == Gap("1", frozenset("b"), ("a", "b", "c"), 4)
    assert files_text(gaps) == "a, b, c and 3 more"
    assert files_text(gaps[1:]) == "x, y"


# ------------------------------------------------------------------------------ numbers or None


def number(key: str) -> dict[str, Any]:
    parameters = {"typename": "bool"}
    return {
        "class": "NumpyArray", "primitive": "bool", "form_key": key, "parameters": parameters
    }  # fmt: skip


def listed(key: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"class": "ListOffsetArray", "offsets": "i64", "content": content, "form_key": key}


def record(**contents: dict[str, Any]) -> dict[str, Any]:
    return {
        "class": "RecordArray",
        "fields": list(contents),
        "contents": list(contents.values()),
        "form_key": "%21invalid",
    }


def test_number_an_event_is_as_in_coffeas_union_forms() -> None:
    union = {
        "class": "IndexedOptionArray",
        "index": "i64",
        "content": number(""),
        "parameters": {"typename": "bool"},
    }
    theirs = _lazify_form(union, "HLT_X,!load", typestr="bool")
    form = record(HLT=record(X=number("HLT_X%2C%21load"), Y=number("HLT_Y%2C%21load")))
    (mine,) = with_options(form, {"HLT_X"})["contents"]
    assert mine["contents"] == [theirs, number("HLT_Y%2C%21load")]
    assert form["contents"][0]["contents"][0]["class"] == "NumpyArray"


def test_number_an_object_is_counted_by_its_collection() -> None:
    form = listed(
        "nMuon%2C%21load%2C%21counts2offsets%2C%21skip",
        record(
            x=number("Muon_x%2C%21load%2C%21content"), y=number("Muon_y%2C%21load%2C%21content")
        ),
    )
    muons = with_options(form, {"Muon_x"})
    assert {**muons, "content": None} == {**form, "content": None}
    x, y = muons["content"]["contents"]
    assert x["class"] == "IndexedOptionArray"
    assert x["form_key"] == "Muon_x%2C%21loadallowmissing%2CnMuon%2C%21load%2C%21index"
    assert x["content"] == number("Muon_x%2C%21loadallowmissing%2CnMuon%2C%21load%2C%21content")
    assert y == form["content"]["contents"][1]


@pytest.mark.parametrize(
    "form",
    [
        # derived from the branch, a list without a counter, and several numbers an event
        number("X%2C%21load%2CnY%2C%21load%2C%21counts2offsets%2C%21local2global"),
        listed("X%2C%21load", number("X%2C%21load%2C%21content")),
        {**number("X%2C%21load"), "inner_shape": [3]},
        listed("X%2C%21load%2C%21counts2offsets%2C%21skip", record()),
    ],
)
def test_what_cannot_be_none_stays(form: dict[str, Any]) -> None:
    assert with_options(record(x=form), {"X"}) == record(x=form)


# ---------------------------------------------------------------------------------- in any process

_FORM = """
import sys
from coffea.nanoevents import NanoAODSchema
from lazyana.data.grouping import groups_of
from lazyana.data.inspect import inspect
from lazyana.data.nanoevents import Blueprint
for unite in (False, True):
    for one in groups_of(inspect({"DY": sys.argv[1:]}), (), unite=unite):
        blueprint = Blueprint(one.layout, NanoAODSchema, one.gaps, unite)
        print(one.layout.signature, blueprint.form.to_json())
"""


def test_forms_are_the_same_in_every_process(tmp_path: Path) -> None:
    files = [
        *write_dataset(tmp_path / "a", "DYJetsToLL", events=5),
        *write_dataset(tmp_path / "b", "DYJetsToLL", events=5, extra_branches=5),
    ]
    found = {
        subprocess.run(
            [sys.executable, "-c", _FORM, *map(str, files)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(PROJECT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    one, other, both = found.pop().splitlines()
    assert len({one, other, both}) == 3
    assert "loadallowmissing" in both
    assert "loadallowmissing" not in one + other
