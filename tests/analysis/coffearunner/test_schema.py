from __future__ import annotations

from typing import Any

import pytest

from lazyana.analysis.coffearunner.schema import Configuration, is_coffearunner
from lazyana.errors import InputError

LEAST: dict[str, Any] = {
    "dataset": {"jsons": "x.json", "campaign": "2018_UL", "year": 2018},
    "workflow": object,
}


def test_what_is_a_configuration_of_coffearunner() -> None:
    assert is_coffearunner(LEAST)
    assert is_coffearunner({"run_options": {}})
    assert not is_coffearunner({"datasets": {}, "run_options": {}})
    assert not is_coffearunner({"workflow": object})


def test_spellings_of_the_readme_and_of_the_code() -> None:
    for key, inner in (("systematic", "JERC"), ("systematics", "isJERC")):
        given = Configuration.checked({**LEAST, key: {inner: "split", "weights": True}})
        assert (given.systematic.JERC, given.systematic.weights) == ("split", True)
        assert "systematic" in given.model_fields_set
    assert Configuration.checked(LEAST).dataset.jsons == ("x.json",)
    assert Configuration.checked(LEAST).dataset.year == "2018"


def test_lists_of_weights_are_weights_without_values() -> None:
    common = {"inclusive": ["PU", "XS"], "bycategory": {"SR": ["lumi"]}}
    given = Configuration.checked({**LEAST, "weights": {"common": common}})
    assert given.weights.common.inclusive == {"PU": None, "XS": None}
    assert given.weights.common.bycategory == {"SR": {"lumi": None}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"dataset": {"campain": "x"}},
            r"'campain' is no key in dataset\. Did you mean 'campaign'",
        ),
        ({"outputs": "x"}, r"'outputs' is no key\. Did you mean 'output'"),
        ({"run_options": {"chunk": "many"}}, r"run_options\.chunk is 'many'"),
        ({"run_options": {"chunk": 0}}, r"run_options\.chunk is 0 \(int\): .*greater than 0"),
        (
            {"systematic": {"JERC": "all"}},
            r"systematic\.JERC is 'all' \(str\): give False, True or 'split'\.$",
        ),
        (
            {"systematic": {"isJERC": True, "JERC": True}},
            r"cfg\['systematic'\] has 'JERC' and 'isJERC', two spellings of the same: keep 'JERC'",
        ),
        (
            {"systematic": {}, "systematics": {}},
            "cfg has 'systematic' and 'systematics', two spellings.*keep 'systematic'",
        ),
        (
            {"systematic": {}, "systematics": {}, "outputs": "x"},
            r"(?s)two spellings.*'outputs' is no key\. Did you mean 'output'",
        ),
        (
            {"weights": {"bysample": {"DY": {"bycategorie": {}}}}},
            r"'bycategorie' is no key in weights\.bysample\.DY\. Did you mean 'bycategory'",
        ),
    ],
)
def test_wrong_keys_and_values_are_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Configuration.checked({**LEAST, **change})


def test_what_is_wrong_can_be_left_out() -> None:
    given = {**LEAST, "outputs": "x", "run_options": {"chunk": "many"}, "only": "DY*"}
    found = Configuration.without_mistakes({**given, "systematic": {"JERC": True}})
    assert found is not None
    assert (found.only, found.systematic.JERC, found.run_options.chunk) == ("DY*", True, None)
    assert Configuration.without_mistakes({**given, "dataset": {"jsons": "x.json"}}) is None
