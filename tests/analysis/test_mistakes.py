from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lazyana as la
from lazyana.analysis.build import recorded
from lazyana.analysis.config import Analysis
from lazyana.analysis.datasets import load_datasets
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.analysis.mistakes import Sections, mistakes, sections_of, told
from lazyana.analysis.workflow import Workflow
from lazyana.errors import InputError

Configuration = Callable[..., dict[str, Any]]


def made(sections: Sections) -> Analysis:
    return Analysis(**sections)


def places(found: Any) -> dict[str, str]:
    return {mistake.place: mistake.message for mistake in found}


def test_nothing_is_wrong(configuration: Configuration) -> None:
    sections = configuration()
    assert mistakes(sections, made) == ([], sections)


def test_each_mistake_is_found_with_its_place(configuration: Configuration) -> None:
    sections = configuration(
        skim="nMuon > 1",
        preselections=["nMuon >"],
        weigths={},
        variables={
            "mll": HistConf([Axis(coll="ll", field="mass", bins=5, start=0, stop=5)]),
            "other": HistConf(
                [Axis(coll="ll", field="mass", bins=5, start=0, stop=5)], only_samples=["TTo"]
            ),
            "pt": "MuonGood.pt",
        },
    )
    sections["datasets"]["filter"] = {"samples": ["DYJets"]}
    found, left = mistakes(sections, made)
    said = places(found)
    assert sorted(said) == [
        *("datasets.filter", "preselections[0]", "skim"),
        *("variables['other']", "variables['pt']", "weigths"),
    ]
    assert "Did you mean 'weights'" in said["weigths"]
    assert "Did you mean 'DYJetsToLL'" in said["datasets.filter"]
    assert "HistConf" in said["variables['pt']"]
    assert left is not None
    assert list(made(left).variables) == ["mll"]


def test_a_wrong_weight_does_not_make_its_variations_wrong(configuration: Configuration) -> None:
    weights = {"common": {"inclusive": ["genWeight", "pileupp"], "bycategory": {"jetss": ["XS"]}}}
    found, left = mistakes(configuration(weights=weights), made)
    assert len(found) == 2
    assert [mistake.message.partition(".")[0] for mistake in found] == ["weights", "weights"]
    assert left is not None
    assert "variations" not in left


def test_of_categories_that_make_no_sense_what_names_them_is_not_wrong(
    configuration: Configuration,
) -> None:
    found, left = mistakes(configuration(categories=3), made)
    assert [mistake.place for mistake in found] == ["categories"]
    assert left is not None
    assert not {"weights", "variables"} & set(left)


def test_recording_tells_of_columns_that_do_not_exist(
    configuration: Configuration, dy_entry: dict[str, Any]
) -> None:
    sections = configuration(
        datasets={"jsons": [{"DY": dy_entry}]},
        skim=["nMuonn > 1"],
        categories={"baseline": [], "jets": "nJetGod > 0"},
        variables={
            name: HistConf([Axis(coll="ll", field=field, bins=5, start=0, stop=5)])
            for name, field in (("right", "mass"), ("wrong", "mas"))
        },
    )
    catalog = la.inspect(load_datasets([{"DY": dy_entry}]))
    found, left = mistakes(sections, lambda some: recorded(Analysis(**some), catalog))
    said = places(found)
    assert list(said) == ["skim[0]", "categories['jets']", "variables['wrong']"]
    assert "Did you mean 'nMuon'" in said["skim[0]"]
    assert "nJetGood" in said["categories['jets']"]
    assert "Did you mean 'mass'" in said["variables['wrong']"]
    assert left is not None
    assert list(left["variables"]) == ["right"]


@pytest.mark.parametrize(
    ("calibrators", "expected"),
    [
        ({}, ["calibrators", "variables['mll']"]),
        ({"calibrators": []}, ["variables['mll']"]),
        ({"calibrators": ["jet_calibration"]}, ["calibrators", "variables['mll']"]),
    ],
)
def test_no_calibrators_are_not_the_usual_ones(
    configuration: Configuration, calibrators: dict[str, Any], expected: list[str]
) -> None:
    """Those run where none are given; without correction files they are a mistake."""
    given = _without_calibrators(configuration(variables={"mll": "ll.mass"})) | calibrators

    def attempt(sections: Sections) -> Analysis:
        if sections.get("calibrators", ["jet_calibration"]):
            msg = "Calibrator 'jet_calibration': no correction file"
            raise InputError(msg)
        return made(sections)

    found, left = mistakes(given, attempt)
    assert sorted(places(found)) == expected
    assert left is not None
    assert left["calibrators"] == []


def _without_calibrators(sections: Sections) -> Sections:
    return {name: one for name, one in sections.items() if name != "calibrators"}


class Failing(Workflow):
    def apply_object_preselection(self, variation: str) -> None:
        raise TypeError("this workflow fails")


def test_nothing_is_left_without_a_workflow(
    configuration: Configuration, dy_entry: dict[str, Any]
) -> None:
    sections = configuration(workflow=Failing, datasets={"jsons": [{"DY": dy_entry}]})
    catalog = la.inspect(load_datasets([{"DY": dy_entry}]))
    found, left = mistakes(sections, lambda some: recorded(Analysis(**some), catalog))
    assert left is None
    assert len(found) == 1
    assert "TypeError: this workflow fails" in found[0].message
    assert Path(__file__).name in found[0].message


def test_sections_of_an_error(configuration: Configuration) -> None:
    sections = configuration(weigths={})
    with pytest.raises(InputError) as caught:
        made(sections)
    assert sections_of(caught.value) == sections
    assert sections_of(InputError("elsewhere")) is None


def test_errors_are_told_with_their_notes() -> None:
    error = InputError("wrong")
    error.add_note("here")
    assert told(error) == "wrong\nhere"
    other = ValueError("oh")
    other.add_note("there")
    assert told(other) == "ValueError: oh\nthere"
