from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from lazyana.analysis.coffearunner.applied import Context, Weighing, arranged, weighing
from lazyana.analysis.coffearunner.datasets import CAMPAIGNS
from lazyana.analysis.coffearunner.schema import Configuration
from lazyana.analysis.common_weights import Pileup
from lazyana.analysis.weights import WeightLambda
from lazyana.errors import InputError

PARAMETERS = OmegaConf.create(
    {"lepton_scale_factors": {"muon_sf": {"collection": "MuonGood"}}},
)
CATEGORIES = ("SR", "CR")
OWN = WeightLambda.wrap_func("BTV", lambda *_: 1.0)


def given(weights: Any, **more: Any) -> Configuration:
    dataset = {"jsons": "x.json", "campaign": "2018_UL", "year": "2018"}
    cfg = {"dataset": dataset, "workflow": object, "weights": weights, **more}
    return Configuration.checked(cfg)


def weighed(
    weights: Any, said: list[str] | None = None, data: Iterable[str] = (), **more: Any
) -> Weighing:
    notices: list[str] = [] if said is None else said
    campaign = CAMPAIGNS["2018_UL"]
    context = Context(
        *(Path.cwd(), campaign, PARAMETERS, ("DY", "TT"), CATEGORIES, notices.append),
        frozenset(data),
    )
    return weighing(given(weights, **more), context)


def section(made: Weighing) -> dict[str, Any]:
    return arranged(made.where, ("DY", "TT"), CATEGORIES)


def test_names_are_arranged_as_generally_as_they_apply() -> None:
    samples, categories = ("a", "b"), ("x", "y", "z")
    every = {(sample, category) for sample in samples for category in categories}
    names = {
        "all": every,
        "x": {("a", "x"), ("b", "x")},
        "b": {("b", one) for one in categories},
        "ay": {("a", "y")},
        "xb": {("a", "x"), ("b", "x"), ("b", "y")},
    }
    assert arranged(names, samples, categories) == {
        "common": {"inclusive": ["all"], "bycategory": {"x": ["x", "xb"]}},
        "bysample": {
            "a": {"inclusive": [], "bycategory": {"y": ["ay"]}},
            "b": {"inclusive": ["b"], "bycategory": {"y": ["xb"]}},
        },
    }


def test_each_place_applies_there_and_only_there() -> None:
    made = weighed(
        {
            "common": {"inclusive": {"PU": None}, "bycategory": {"SR": {"kSR": 2.0}}},
            "bysample": {
                "DY": {"inclusive": {"kDY": 1.5}, "bycategory": {"CR": {"kDYCR": 3.0}}},
            },
        }
    )
    assert section(made) == {
        "common": {"inclusive": ["genWeight", "pileup"], "bycategory": {"SR": ["kSR"]}},
        "bysample": {"DY": {"inclusive": ["kDY"], "bycategory": {"CR": ["kDYCR"]}}},
    }
    assert made.classes["pileup"] is Pileup


def test_the_most_special_of_a_weight_counts() -> None:
    made = weighed(
        {
            "common": {"inclusive": {"k": 1.0}, "bycategory": {"SR": {"k": 2.0}}},
            "bysample": {"DY": {"inclusive": {"k": 3.0}, "bycategory": {"SR": {"k": 4.0}}}},
        }
    )
    assert made.where == {
        "genWeight": {("DY", "SR"), ("DY", "CR"), ("TT", "SR"), ("TT", "CR")},
        "k": {("TT", "CR")},
        "k_SR": {("TT", "SR")},
        "k_DY": {("DY", "CR")},
        "k_DY_SR": {("DY", "SR")},
    }


def test_the_same_value_twice_is_one_weight() -> None:
    common = {"inclusive": {"k": 1.5}, "bycategory": {"SR": {"k": 1.5}}}
    assert section(weighed({"common": common}))["common"] == {
        "inclusive": ["genWeight", "k"],
        "bycategory": {},
    }


def test_a_weight_may_be_switched_off() -> None:
    common = {"inclusive": {"k": 1.5}, "bycategory": {"SR": {"k": False}}}
    assert weighed({"common": common}).where["k"] == {("DY", "CR"), ("TT", "CR")}


def test_only_what_there_is_can_be_switched_off_at_a_place() -> None:
    common = {"inclusive": {"kfactor": 1.5, "LSF": {"mu_ID 2018": "NUM"}}}
    words = r"bysample\['DY'\].*\['kfacto'\] is False, but there is no weight .* mean 'kfactor'"
    with pytest.raises(InputError, match=words):
        weighed({"common": common, "bysample": {"DY": {"inclusive": {"kfacto": False}}}})
    off = {"LSF": {"mu_IDD 2018": False}}
    with pytest.raises(InputError, match=r"no weight 'mu_IDD' to .* There are: kfactor, mu_ID\."):
        weighed({"common": {**common, "bycategory": {"SR": off}}})
    for known in ({"PU": False}, {"BTV": False}, {"LSF": {"mu_ID 2018": False}}):
        made = weighed({"common": common, "bysample": {"DY": {"inclusive": known}}})
        assert "kfactor" in made.where


def test_scale_factors_are_of_the_year_of_the_data() -> None:
    words = r"\['mu_ID 2017_UL'\] is of 2017, but dataset\.campaign of 2018"
    with pytest.raises(InputError, match=words):
        weighed({"common": {"inclusive": {"LSF": {"mu_ID 2017_UL": "NUM"}}}})
    with pytest.raises(InputError, match="is of 2016"):
        weighed({"common": {"inclusive": {"LSF": {"mu_ID UL16_preVFP": "NUM"}}}})
    for year in ("UL18", "2018_UL", "any"):
        assert (
            "mu_ID" in weighed({"common": {"inclusive": {"LSF": {f"mu_ID {year}": "NUM"}}}}).where
        )


def test_generator_weight_is_there_unless_another_is() -> None:
    assert list(weighed({}).where) == ["genWeight"]
    assert list(weighed({"common": {"inclusive": ["signOf_genWeight"]}}).where) == [
        "signOf_genWeight"
    ]


def test_own_weights_find_what_is_written() -> None:
    said: list[str] = []
    common = {"inclusive": {"BTV": {"deepJet": "shape"}}}
    made = weighed({"common": common}, said, weights_classes=[OWN])
    assert made.parameters == [{"weights_config": {"BTV": {"deepJet": "shape"}}}]
    assert made.classes["BTV"] is OWN
    assert any("params.weights_config.BTV" in one for one in said)
    made = weighed({"common": {"inclusive": {"BTV": 0.7}}}, weights_classes=[OWN])
    assert made.parameters == [{"weights_config": {"BTV": 0.7}}]
    assert weighed({"common": {"inclusive": {"k": 0.7}}}).parameters == []
    both = {"common": {"inclusive": {"BTV": 1, "LSF": {"mu_ID x": "NUM"}}}}
    other = WeightLambda.wrap_func("mu_ID", lambda *_: 1.0)
    with pytest.raises(InputError, match="make a weight 'mu_ID' each"):
        weighed(both, weights_classes=[OWN, other])


def test_own_weights_of_two_values_are_refused() -> None:
    common = {"inclusive": {"BTV": "a"}, "bycategory": {"SR": {"BTV": "b"}}}
    with pytest.raises(InputError, match=r"bycategory\['SR'\]\['BTV'\].*another value"):
        weighed({"common": common}, weights_classes=[OWN])


def test_what_is_no_weight_is_taken_out() -> None:
    inclusive = {"lumiMask": "a.txt", "JME": "x.pkl.gz", "roccor": None}
    made = weighed({"common": {"inclusive": inclusive}})
    assert list(made.where) == ["genWeight"]
    assert made.lumi_mask is not None
    assert made.lumi_mask.value == "a.txt"
    assert made.jets is not None
    assert made.muons is not None


@pytest.mark.parametrize(
    "weights",
    [
        {"common": {"bycategory": {"SR": {"lumiMask": None}}}},
        {"bysample": {"DY": {"inclusive": {"JME": None}}}},
        {"common": {"inclusive": {"JME": "a"}, "bycategory": {"SR": {"JME": "b"}}}},
        {"common": {"inclusive": {"lumiMask": None, "lumiMasks": None}}},
    ],
)
def test_what_is_no_weight_is_for_all_events(weights: Any) -> None:
    with pytest.raises(InputError, match=r"Write it once, in weights\.common\.inclusive"):
        weighed(weights)


def test_places_that_do_not_exist() -> None:
    with pytest.raises(InputError, match=r"names sample 'DYY'.*Did you mean 'DY'"):
        weighed({"bysample": {"DYY": {"inclusive": {"PU": None}}}})
    with pytest.raises(InputError, match=r"weights.bysample\['DY'\].bycategory names category 'S'"):
        weighed({"bysample": {"DY": {"bycategory": {"S": {"PU": None}}}}})


def test_weights_of_simulation_are_not_applied_to_data() -> None:
    said: list[str] = []
    weights = {
        "common": {"inclusive": {"k": 1.5}},
        "bysample": {"TT": {"inclusive": {"prescale": 2.0}, "bycategory": {"SR": {"k": 3.0}}}},
    }
    made = weighed(weights, said, data=["TT"])
    told = [one for one in said if "NOT applied" in one]
    assert sorted(one.split(", since")[0] for one in told) == [
        "weights.bysample['TT']: weight 'k_TT_SR' is NOT applied",
        "weights.bysample['TT']: weight 'prescale' is NOT applied",
    ]
    assert not any(one.endswith("weight 'prescale'.") for one in said)
    # They stay where they are asked for, for the checks of the configuration.
    assert section(made) == {
        "common": {"inclusive": ["genWeight", "k"], "bycategory": {}},
        "bysample": {"TT": {"inclusive": ["prescale"], "bycategory": {"SR": ["k_TT_SR"]}}},
    }


def test_weights_for_data_too_are_applied_to_data() -> None:
    said: list[str] = []
    both = WeightLambda.wrap_func("prescale", lambda *_: 2.0, isMC_only=False)
    weights = {"bysample": {"TT": {"inclusive": {"prescale": None}}}}
    made = weighed(weights, said, data=["TT"], weights_classes=[both])
    assert made.where["prescale"] == {("TT", "SR"), ("TT", "CR")}
    assert said[-1] == "weights.bysample['TT'].inclusive['prescale']: weight 'prescale'."
    assert not any("NOT applied" in one for one in said)


def test_data_do_not_make_a_weight_of_all_simulation_special() -> None:
    weights = {"common": {"inclusive": {"k": 1.5}}, "bysample": {"TT": {"inclusive": {"k": False}}}}
    made = weighed(weights, data=["TT"])
    assert section(made)["common"]["inclusive"] == ["genWeight", "k"]


def test_own_weights_are_added_to_the_known_ones() -> None:
    made = weighed({"common": {"inclusive": ["BTV", "XS"]}}, weights_classes=[OWN])
    assert {"genWeight", "XS", "BTV"} <= set(made.classes)
