from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lazyana.analysis.columns import ColOut
from lazyana.analysis.config import Analysis
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.analysis.inspection import SECTIONS, inspected, section_data
from lazyana.errors import InputError

Make = Callable[..., Analysis]


def rows(text: str) -> list[list[str]]:
    """The cells of a table, below its headings."""
    return [line.split() for line in text.splitlines()[2:]]


def test_every_section_is_shown(zmumu: Make) -> None:
    text = inspected(zmumu(workflow_options={"model": "a.onnx"}))
    titles = [line for line in text.splitlines() if line.split(" ")[0] in SECTIONS and "(" in line]
    assert [title.split(" ")[0] for title in titles if title.endswith(")")][:10] == list(SECTIONS)
    for words in ("Zmumu", "a.onnx", "dimuon", "pt=25", "nJetGood > 0", "ll.mass (20 bins"):
        assert words in text
    assert "columns (0)" in text


def test_data_have_no_weights_of_simulation(zmumu: Make) -> None:
    simulation, data = rows(inspected(zmumu(), "weights"))
    assert data == ["DATA_SingleMuon", "baseline,", "jets,", "none"]
    assert simulation[0] == "DYJetsToLL"
    assert "genWeight," in simulation


def test_of_long_sections_the_beginning_is_shown(zmumu: Make) -> None:
    many = {f"category_{number}": [f"nJetGood == {number}"] for number in range(30)}
    analysis = zmumu(categories=many)
    text = inspected(analysis)
    assert "categories (30)" in text
    assert "… 20 more: --section categories" in text
    assert "category_29" not in text
    assert [row[0] for row in rows(inspected(analysis, "categories"))] == list(many)
    assert "category_29" in inspected(analysis, "weights")


def test_subsamples_and_columns(zmumu: Make) -> None:
    analysis = zmumu(
        datasets={
            **zmumu()._sections["datasets"],
            "subsamples": {"DYJetsToLL": {"pos": "nJet > 1"}},
        },
        columns={"common": {"bycategory": {"jets": [ColOut("JetGood", ["pt", "eta"])]}}},
    )
    (row,) = rows(inspected(analysis, "subsamples"))
    assert row == ["DYJetsToLL", "pos", "nJet", ">", "1"]
    (row,) = rows(inspected(analysis, "columns"))
    assert row == ["common.bycategory['jets']", "JetGood_pt,", "JetGood_eta"]
    assert "DYJetsToLL__pos" in inspected(analysis, "weights")


def test_axes_of_every_kind(zmumu: Make) -> None:
    axes = [
        Axis("pt", coll="MuonGood", pos=1, bins=[0, 10, 30]),
        Axis("n", type="int", start=0, stop=4),
        Axis("flavour", coll="JetGood", type="intcat", bins=[0, 4, 5]),
        Axis("year", coll="metadata", type="strcat", growth=True),
        Axis("run", type="intcat", growth=True),
        Axis("nPV", type="int", stop=9, growth=True),
    ]
    variables = {"all": HistConf(axes, only_categories=["jets"])}
    text = inspected(zmumu(variables=variables), "variables")
    for words in (
        "MuonGood.pt[1] (2 bins, 0 to 30)",
        "n (4 bins, 0 to 4)",
        "JetGood.flavour (0, 4, 5)",
        "metadata.year (those of the datasets)",
        "run (none, and what occurs)",
        "nPV (9 bins, 0 to 9, and what occurs)",
        "only categories jets",
    ):
        assert words in text


def test_plain_data(zmumu: Make) -> None:
    analysis = zmumu()
    assert json.loads(json.dumps(section_data(analysis)))["variables"].keys() == {"mll", "jet_pt"}
    for section in SECTIONS:
        told: Any = section_data(analysis, section)
        assert json.loads(json.dumps(told)) == told
        assert told
    assert set(section_data(analysis, "weights")) == {"weights", "variations", "weights_classes"}


@pytest.mark.parametrize("show", [inspected, section_data])
def test_sections_that_do_not_exist(zmumu: Make, show: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="Did you mean 'weights'"):
        show(zmumu(), "weight")
