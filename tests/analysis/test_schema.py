from __future__ import annotations

from typing import Any

import pytest

from lazyana.analysis.schema import Applied, AppliedSection, Sections
from lazyana.errors import InputError

LEAST: dict[str, Any] = {"workflow": object, "parameters": {}, "datasets": {"jsons": ["a.json"]}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"preselection": []}, "'preselection' is no key. Did you mean 'preselections'"),
        ({"datasets": {"jsons": ["a"], "filtr": {}}}, "'filtr' is no key in datasets.*'filter'"),
        ({"variations": {"shapes": {}}}, "'shapes' is no key in variations.*'shape'"),
        ({"weights": {"comon": {}}}, "'comon' is no key in weights.*'common'"),
        ({"weights": {"common": {"inclusiv": []}}}, "in weights.common.*'inclusive'"),
        ({"weights": {"bysample": {"DY": {"bycat": {}}}}}, "weights.bysample.DY.*'bycategory'"),
        ({"datasets": {}}, "datasets.jsons is missing"),
        ({"do_postprocessing": "perhaps"}, "do_postprocessing is 'perhaps'"),
        ({"skim": 5}, "skim is 5.*: give a list"),
        (
            {"weights": ["XS"]},
            r"weights is \['XS'\] \(list\): give a dictionary, with the keys common, bysample\.",
        ),
        ({"weights": {"bysample": {"DY": 3}}}, "bysample.DY is 3 .* the keys inclusive, bycat"),
        ({"variables": [1]}, r"variables is \[1\] \(list\): give a dictionary, \{'<name>': "),
        ({"variables": ["x" * 200]}, "variables is .{100} .list.: give"),
        ({"do_postprocessing": "perhaps"}, "'perhaps' .str.: give True or False"),
        ({"run_options": {"workers": "two"}}, "run_options.workers is 'two' .*: give a whole num"),
        ({"run_options": {"executor": 2}}, "run_options.executor is 2 .*: give text"),
    ],
)
def test_mistakes_are_named_with_their_place(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Sections.checked({**LEAST, **changes})


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        Sections.checked({"parameter": {}, "datasets": {"jsons": ["a"]}})
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert any("'parameters'" in line for line in lines)
    assert any(line == "- workflow is missing." for line in lines)


def test_least_configuration() -> None:
    found = Sections.checked({**LEAST, "weights": None})
    assert found.datasets.jsons == ("a.json",)
    assert found.weights.common.inclusive == ()
    assert found.do_postprocessing


def test_one_json_and_years_as_numbers() -> None:
    given = {**LEAST, "datasets": {"jsons": "a.json", "filter": {"year": [2018], "samples": "DY"}}}
    found = Sections.checked(given)
    assert found.datasets.jsons == ("a.json",)
    assert found.datasets.filter.year == ("2018",)
    assert found.datasets.filter.samples == ("DY",)


def test_what_applies_to_a_category() -> None:
    section = AppliedSection(
        common=Applied(inclusive=("a", "b"), bycategory={"SR": ("c",)}),
        bysample={
            "DY": Applied(inclusive=("d",), bycategory={"SR": ("a", "e")}),
            "DY__bb": Applied(inclusive=("f",)),
        },
    )
    assert section.of(("TT",), "CR") == ("a", "b")
    assert section.of(("TT",), "SR") == ("a", "b", "c")
    assert section.of(("DY",), "SR") == ("a", "b", "c", "d", "e")
    assert section.of(("DY", "DY__bb"), "SR") == ("a", "b", "c", "d", "e", "f")
    assert list(section.entries())[2:4] == [
        ("common.bycategory['SR']", "SR", "c"),
        ("bysample['DY'].inclusive", None, "d"),
    ]
