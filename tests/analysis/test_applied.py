from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from lazyana.analysis.applied import OPTIONS, Part, Rules, check_options
from lazyana.analysis.build import COLUMNS_FOLDER
from lazyana.analysis.schema import AppliedSection, VariationsSection
from lazyana.errors import InputError


@dataclass(frozen=True)
class Known:
    has_variations: bool = True
    isMC_only: bool = True  # noqa: N815  the name that weights use


WEIGHTS = {
    "genWeight": Known(has_variations=False),
    "signOf_genWeight": Known(has_variations=False),
    "pileup": Known(),
    "sf_btag": Known(),
    "prescale": Known(isMC_only=False),
}


def rules(
    weights: Any = None,
    weight_variations: Any = None,
    shapes: Any = None,
    columns: Any = None,
    subsamples: Any = None,
) -> Rules:
    return Rules(
        weights=AppliedSection(**(weights or {})),
        variations=VariationsSection(weights=weight_variations or {}, shape=shapes or {}),
        columns=AppliedSection(**(columns or {})),
        categories=("SR", "CR"),
        samples=("DY", "TT", "DATA"),
        subsamples=subsamples or {},
        known_weights=WEIGHTS,
        known_calibrators={
            "jet_calibration": Known(),
            "rochester": Known(has_variations=False),
        },
        data=frozenset({"DATA"}),
    )


def common(*inclusive: str, **bycategory: list[str]) -> dict[str, Any]:
    return {"common": {"inclusive": list(inclusive), "bycategory": bycategory}}


def test_categories_weighed_alike_are_one_part() -> None:
    one = rules(common("genWeight", "pileup"), common("pileup"))
    one.check()
    assert one.parts("DY") == (Part(("SR", "CR"), ("genWeight", "pileup"), ("pileup",)),)


def test_weights_by_category_sample_and_subsample() -> None:
    weights = {
        **common("genWeight", SR=["sf_btag"]),
        "bysample": {"TT": {"inclusive": ["pileup"]}, "DY__bb": {"inclusive": ["pileup"]}},
    }
    one = rules(weights, common(SR=["sf_btag"]), subsamples={"DY": ("bb", "light")})
    one.check()
    assert one.parts("TT") == (
        Part(("SR",), ("genWeight", "sf_btag", "pileup"), ("sf_btag",)),
        Part(("CR",), ("genWeight", "pileup")),
    )
    assert [part.weights for part in one.parts("DY", "bb")][1] == ("genWeight", "pileup")
    assert [part.weights for part in one.parts("DY", "light")][1] == ("genWeight",)


def test_data_get_their_own_weights_only_and_no_variation() -> None:
    one = rules(common("genWeight", "prescale"), common("prescale"), common("jet_calibration"))
    assert one.parts("DATA") == (Part(("SR", "CR"), ("prescale",)),)
    assert one.parts("DY")[0].shapes == ("jet_calibration",)
    assert one.shapes_of("DY") == ("jet_calibration",)


def test_table_tells_what_applies() -> None:
    one = rules(common("genWeight"), subsamples={"DY": ("bb",)})
    assert [row["sample"] for row in one.table()] == ["DY__bb", "TT", "DATA"]
    assert one.table()[0]["weights"] == "genWeight"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weights": common("pilup")}, "weights.common.inclusive names weight 'pilup'.*'pileup'"),
        (
            {"weights": common("XS")},
            r"'XS'.* There are: .*\. weights_classes lists only these: add",
        ),
        ({"weights": common(SSR=["pileup"])}, "names category 'SSR'.*'SR'"),
        ({"weights": {"bysample": {"DYY": {}}}}, "weights.bysample names sample 'DYY'.*'DY'"),
        ({"columns": {"bysample": {"DY__bb": {}}}}, "sample 'DY__bb'"),
        ({"shapes": common("jet_calib")}, "calibrator 'jet_calib'.*'jet_calibration'"),
        ({"weight_variations": common("pileup")}, "'pileup', which is not applied there"),
        (
            {"shapes": common("jet_calibration", SR=["rochester"])},
            r"variations\.shape\.common\.bycategory\['SR'\] names calibrator 'rochester', which "
            "has no variations. Write has_variations = True",
        ),
        (
            {"weights": common("genWeight"), "weight_variations": common("genWeight")},
            "'genWeight', which has no variations",
        ),
        (
            {"weights": common("pileup", SR=["pileup"])},
            "'pileup' applies twice to category 'SR' of DY.*weights.common.bycategory",
        ),
        (
            {"weights": {**common("pileup"), "bysample": {"TT": {"inclusive": ["pileup"]}}}},
            "applies twice to category 'SR' of TT",
        ),
        ({"weights": common("genWeight", "signOf_genWeight")}, "Both genWeight and signOf"),
        (
            {
                "weights": {**common(), "bysample": {"DY": {"inclusive": ["pileup"]}}},
                "weight_variations": {"bysample": {"TT": {"inclusive": ["pileup"]}}},
            },
            "bysample\\['TT'\\].inclusive names weight 'pileup', which is not applied there",
        ),
    ],
)
def test_contradictions(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        rules(**given).check()


def test_a_weight_that_is_listed_twice_is_told_once() -> None:
    with pytest.raises(InputError) as told:
        rules(weights=common("pileup", "pileup")).check()
    assert str(told.value).count("applies twice") == 1
    assert "it is twice in weights.common.inclusive. Keep one." in str(told.value)


def test_what_is_asked_for_by_the_name_of_data_is_told() -> None:
    weights = {
        **common("genWeight"),
        "bysample": {
            "DATA": {"inclusive": ["prescale"], "bycategory": {"SR": ["sf_btag"]}},
            "DATA__B": {"inclusive": ["pileup"]},
            "TT": {"inclusive": ["pileup"]},
        },
    }
    by_data = {"bysample": {"DATA": {"inclusive": ["prescale"]}}}
    shapes = {**common("jet_calibration"), "bysample": {"DATA": {"inclusive": ["jet_calibration"]}}}
    one = rules(weights, by_data, shapes, subsamples={"DATA": ("B", "C")})
    one.check()
    assert [(place, message.split(":")[0]) for place, message in one.not_of_data()] == [
        (place, f"{place} names {what}, but DATA is data")
        for place, what in (
            ("weights.bysample['DATA'].bycategory['SR']", "weight 'sf_btag'"),
            ("weights.bysample['DATA__B'].inclusive", "weight 'pileup'"),
            ("variations.weights.bysample['DATA'].inclusive", "variations of weight 'prescale'"),
            (
                "variations.shape.bysample['DATA'].inclusive",
                "variations of calibrator 'jet_calibration'",
            ),
        )
    ]
    assert rules(common("genWeight", "pileup")).not_of_data() == []


def test_misspelt_options_are_refused() -> None:
    assert COLUMNS_FOLDER in OPTIONS
    check_options([*OPTIONS, "muon_pt", "skim", "mode", "columns", "BDT", "dump", "export_array"])
    with pytest.raises(InputError) as told:
        check_options(
            ["dump_columns_as_array_per_chunk", "doNotScale_sumgenweight", "skimmode", "muon_pt"]
        )
    lines = str(told.value).split("\n- ")[1:]
    assert len(lines) == len(OPTIONS)
    for line, name in zip(lines, OPTIONS, strict=True):
        assert f"Did you mean {name!r}?" in line
