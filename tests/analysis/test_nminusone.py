from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest

from lazyana.analysis.config import Analysis
from lazyana.analysis.cuts import Cut, passthrough
from lazyana.analysis.nminusone import common_part, table
from lazyana.analysis.run import run
from lazyana.errors import InputError

Make = Callable[..., Analysis]
DY, DATA = "DYJetsToLL_M-50_2018", "DATA_SingleMuon_2018_EraA"
JETS = {"two": ["nJetGood > 0", "nJetGood < 3"], "all": [passthrough], "one": ["nJetGood > 0"]}


def few(events: Any, params: Any) -> Any:
    return events.nMuonGood < params["below"]


@pytest.fixture(scope="module")
def analysis(zmumu: Make, dy_entry: dict[str, Any], filesets: dict[str, Any]) -> Analysis:
    entry = {"files": dy_entry["files"], "metadata": filesets[DY]["metadata"]}
    return zmumu(
        datasets={"jsons": [{DY: entry}]},
        skim=["nJet >= 2"],
        preselections=["nMuonGood > 0", Cut("few", {"below": 3}, few), "nElectronGood == 0"],
        categories=JETS,
        weights={"common": {"inclusive": ["genWeight", "pileup"], "bycategory": {"two": ["lumi"]}}},
        variations={"weights": {"common": {"inclusive": ["pileup"]}}},
    )


@pytest.fixture(scope="module")
def found(analysis: Analysis) -> Any:
    return run(analysis, executor="sync", partition_size=150, progress=False, n_minus_one=True)


@pytest.fixture(scope="module")
def selected(analysis: Analysis, dy_events: ak.Array) -> ak.Array:
    """All events with their good objects."""
    workflow = analysis.workflow(analysis)
    workflow._metadata = {"year": "2018"}
    workflow.events = dy_events[:]
    workflow.apply_object_preselection("nominal")
    return workflow.events


def expected_rows(cuts: dict[str, Any], before: Any = True) -> dict[str, Any]:
    masks = {name: np.asarray(mask) for name, mask in cuts.items()}
    rows = {"all cuts": np.logical_and.reduce(list(masks.values())) & before}
    for name in masks:
        others = [mask for other, mask in masks.items() if other != name]
        rows[f"without {name}"] = np.logical_and.reduce(others) & before
    return rows


def test_agrees_with_plain_awkward(found: Any, selected: ak.Array) -> None:
    muons, jets = ak.num(selected.MuonGood), ak.num(selected.JetGood)
    weights = np.asarray(selected.genWeight, np.float64)
    selection = {
        "nJet >= 2": ak.num(selected.Jet) >= 2,
        "nMuonGood > 0": muons > 0,
        "few": muons < 3,
        "nElectronGood == 0": ak.num(selected.ElectronGood) == 0,
    }
    presel = expected_rows(selection)
    two = expected_rows({"nJetGood > 0": jets > 0, "nJetGood < 3": jets < 3}, presel["all cuts"])
    section = found.output["n_minus_one"]
    assert set(section) == {"presel", "two"}
    for place, rows in (("presel", presel), ("two", two)):
        mine = section[place][DY]["DYJetsToLL"]
        assert set(mine) == set(rows)
        for row, mask in rows.items():
            assert mine[row]["nominal"]["events"] == mask.sum()
    assert presel["all cuts"].sum() < presel["without nMuonGood > 0"].sum()
    assert two["all cuts"].sum() < two["without nJetGood > 0"].sum()
    # The same without the pileup weight: divided by the sum of all weights.
    assert found.result["sum_genweights"][DY]["nominal"] == pytest.approx(weights.sum())


def test_agrees_with_the_cutflow(found: Any) -> None:
    output = found.output
    for place, category in (("presel", "all"), ("two", "two")):
        rows = output["n_minus_one"][place][DY]["DYJetsToLL"]["all cuts"]
        assert set(rows) == {"nominal", "pileupUp", "pileupDown"}
        for label, values in rows.items():
            assert values["events"] == output["cutflow"][category][DY]["DYJetsToLL"][label]
            sumw = output["sumw"][category][DY]["DYJetsToLL"][label]
            assert values["sumw"] == pytest.approx(sumw, rel=1e-12)
            sumw2 = output["sumw2"][category][DY]["DYJetsToLL"][label]
            assert values["sumw2"] == pytest.approx(sumw2, rel=1e-12)


def test_the_rest_is_the_same(found: Any, analysis: Analysis) -> None:
    plain = run(analysis, executor="sync", partition_size=150, progress=False)
    assert "n_minus_one" not in plain.output
    assert found.output["cutflow"] == plain.output["cutflow"]
    assert found.output["sumw"] == plain.output["sumw"]


def test_table(found: Any) -> None:
    made = table(found.output["n_minus_one"])
    assert {row[3] for row in made.rows} == {"nominal"}
    assert len(made.rows) == 5 + 3
    every = table(found.output["n_minus_one"], bool)
    assert len(every.rows) == 3 * len(made.rows)
    assert every.csv().splitlines()[0].startswith("Selection,Dataset,Sample,Variation,Cuts,Events")
    assert made.rows[0][4] == "all cuts"
    assert made.rows[0][6].value == 1


def test_weights_common_to_all_categories(analysis: Analysis) -> None:
    part = common_part(analysis.rules, "DYJetsToLL", None)
    assert (part.weights, part.varied) == (("genWeight", "pileup"), ("pileup",))


def test_samples_and_subsamples(zmumu: Make, filesets: dict[str, Any]) -> None:
    jsons = [{name: filesets[name]} for name in (DY, DATA)]
    split = {"DYJetsToLL": {"few": "nJetGood < 2", "many": "nJetGood >= 2"}}
    one = zmumu(datasets={"jsons": jsons, "subsamples": split})
    output = run(one, executor="sync", limit_files=1, progress=False, n_minus_one=True).output
    presel = output["n_minus_one"]["presel"]
    assert set(presel[DY]) == {"DYJetsToLL__few", "DYJetsToLL__many"}
    rows = presel[DATA]["DATA_SingleMuon"]
    counts = output["cutflow"]["presel"][DATA]
    assert rows["all cuts"]["nominal"]["events"] == counts["nominal"] > 0
    for target, some in presel[DY].items():
        baseline = output["cutflow"]["baseline"][DY][target]["nominal"]
        assert some["all cuts"]["nominal"]["events"] == baseline
        assert set(some) == set(rows)


def test_skims_have_none(zmumu: Make, tmp_path: Any) -> None:
    with pytest.raises(InputError, match="n_minus_one"):
        run(zmumu(save_skimmed_files=tmp_path / "skims"), n_minus_one=True)


def test_without_cuts(zmumu: Make) -> None:
    one = zmumu(skim=[], preselections=[], categories={})
    output = run(one, executor="sync", limit_files=1, progress=False, n_minus_one=True).output
    assert output["n_minus_one"] == {}
