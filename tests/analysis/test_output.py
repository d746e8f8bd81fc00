from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazyana as la
from lazyana.analysis.build import recorded
from lazyana.analysis.calibrators import Calibrator
from lazyana.analysis.columns import ColOut
from lazyana.analysis.config import Analysis
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.analysis.output import accumulator_of
from lazyana.analysis.run import catalog_of
from lazyana.errors import InputError

DY = "DYJetsToLL_M-50_2018"


def accumulated(one: Analysis) -> tuple[Any, Any]:
    made = recorded(one, catalog_of(one))
    values = dict(la.compute(made.outputs, executor="sync", progress=False).items())
    return accumulator_of(made, values), values


def test_storages(zmumu: Callable[..., Analysis]) -> None:
    axis = Axis("nJetGood", bins=4, start=0, stop=4)
    variables = {
        "entries": HistConf([axis], storage="int64", no_weights=True),
        "sums": HistConf([axis], storage="double"),
        "weighted": HistConf([axis]),
    }
    output, _ = accumulated(zmumu(variables=variables, do_postprocessing=False))
    kinds = {name: output["variables"][name]["DYJetsToLL"][DY] for name in variables}
    assert {name: type(one.storage_type()).__name__ for name, one in kinds.items()} == {
        "entries": "Int64",
        "sums": "Double",
        "weighted": "Weight",
    }
    nominal = {"cat": "baseline", "variation": "nominal"}
    total = output["cutflow"]["baseline"][DY]["DYJetsToLL"]["nominal"]
    assert kinds["entries"][nominal].values(flow=True).sum() == total
    np.testing.assert_allclose(kinds["sums"][nominal].values(), kinds["weighted"][nominal].values())


def test_counted_entries_are_not_divided(zmumu: Callable[..., Analysis]) -> None:
    axis = Axis("nJetGood", bins=4, start=0, stop=4)
    variables = {"entries": HistConf([axis], storage="int64", no_weights=True)}
    output, _ = accumulated(zmumu(variables=variables))
    entries = output["variables"]["entries"]["DYJetsToLL"][DY][{"cat": "baseline"}]
    total = output["cutflow"]["baseline"][DY]["DYJetsToLL"]["nominal"]
    assert entries[{"variation": "nominal"}].values(flow=True).sum() == total


@pytest.mark.parametrize("weight", ["genWeight", "signOf_genWeight"])
def test_what_simulation_is_divided_by(zmumu: Callable[..., Analysis], weight: str) -> None:
    one = zmumu(weights={"common": {"inclusive": [weight]}}, variations={})
    output, values = accumulated(one)
    name = {"genWeight": "sum_genweights", "signOf_genWeight": "sum_signOf_genweights"}[weight]
    raw = values["cutflow"]["DYJetsToLL"]["0"].yield_("baseline", DY)
    expected = raw / values[name][DY]["nominal"]
    assert output["sumw"]["baseline"][DY]["DYJetsToLL"]["nominal"] == pytest.approx(expected)
    assert 0 < expected < 1


def test_skims_know_the_sum_of_all_events(configuration: Callable[..., dict[str, Any]]) -> None:
    given = configuration(weights={"common": {"inclusive": ["genWeight"]}}, variations={})
    marked = []
    for entry in given["datasets"]["jsons"]:
        ((name, one),) = entry.items()
        of_skim = {"isSkim": "True", "sum_genweights": "1000.0"} if name == DY else {}
        marked.append({name: {**one, "metadata": {**one["metadata"], **of_skim}}})
    given["datasets"] = {**given["datasets"], "jsons": marked}
    output, values = accumulated(Analysis(**given))
    raw = values["cutflow"]["DYJetsToLL"]["0"].yield_("baseline", DY)
    yields = output["sumw"]["baseline"][DY]["DYJetsToLL"]["nominal"]
    assert yields == pytest.approx(raw / 1000.0)


def test_each_year_has_its_own_variations(
    configuration: Callable[..., dict[str, Any]], filesets: dict[str, Any]
) -> None:
    """Together as alone, in histograms as in the sums."""

    class Yearly(Calibrator):
        name = "yearly"
        has_variations = True
        calibrated_collections = ("MET.pt",)

        def initialize(self, events: Any) -> None:
            self._variations = [f"met_{self.metadata['year']}{side}" for side in ("Up", "Down")]

        def calibrate(self, events: Any, orig_colls: Any, variation: str, *_: Any) -> Any:
            return {"MET.pt": events.MET.pt * (1.0 if variation == "nominal" else 1.5)}

    datasets = {
        f"DY_{year}": {
            "metadata": {**filesets[DY]["metadata"], "year": year},
            "files": [filesets[DY]["files"][number]],
        }
        for number, year in enumerate(("2017", "2018"))
    }
    axis = Axis("pt", coll="MET", bins=20, start=0, stop=200)
    changes: dict[str, Any] = {
        "calibrators": [Yearly],
        "weights": {"common": {"inclusive": ["genWeight"]}},
        "variations": {"shape": {"common": {"inclusive": ["yearly"]}}},
        "variables": {
            "met": HistConf([axis]),
            "only": HistConf([axis], only_variations=["met_2017Up", "met_2018Up"]),
        },
        "columns": {},
        "skim": ["nMuon > 0"],
    }

    def output(*years: str, **more: Any) -> Any:
        some = {name: one for name, one in datasets.items() if name.endswith(years)}
        given = Analysis(**configuration(**{**changes, **more}, datasets={"jsons": [some]}))
        return accumulated(given)[0]

    both = output("2017", "2018")
    only = both["variables"]["only"]["DYJetsToLL"]
    assert [list(only[f"DY_{year}"].axes["variation"]) for year in ("2017", "2018")] == [
        ["nominal", "met_2017Up"],
        ["nominal", "met_2018Up"],
    ]
    with pytest.raises(InputError, match=r"'only': only_variations names .* 'met_2017Up' that"):
        output("2018")
    for year in ("2017", "2018"):
        name, alone = f"DY_{year}", output(year, variables={"met": HistConf([axis])})
        labels = ["nominal", f"met_{year}Down", f"met_{year}Up"]
        for found in (both, alone):
            one = found["variables"]["met"]["DYJetsToLL"][name]
            assert list(one.axes["variation"]) == labels
            for section in (
                found["sumw"]["baseline"][name]["DYJetsToLL"],
                found["cutflow"]["presel"][name],
            ):
                assert sorted(section) == sorted(labels)
        assert one == both["variables"]["met"]["DYJetsToLL"][name]
        assert one[{"cat": "baseline", "variation": labels[1]}].sum(flow=True).value > 0


def test_no_weights_no_division(zmumu: Callable[..., Analysis]) -> None:
    output, values = accumulated(zmumu(weights={}, variations={}))
    cutflow = values["cutflow"]["DYJetsToLL"]["0"]
    sums = output["sumw"]["baseline"][DY]["DYJetsToLL"]
    assert sums == {"nominal": cutflow.count("baseline", DY)}


def test_columns_of_the_workflow(zmumu: Callable[..., Analysis]) -> None:
    base: Any = zmumu().workflow

    class Extra(base):  # type: ignore[misc]
        def define_column_accumulators_extra(self) -> Any:
            return [ColOut("JetGood", ["pt"]), ColOut("ll", ["mass"])]

    output, _ = accumulated(zmumu(workflow=Extra))
    found = output["columns"]["DYJetsToLL"][DY]["jets"]["nominal"]
    assert found["JetGood_pt"].value.ndim == 1
    assert len(found["ll_mass"].value) == len(found["JetGood_N"].value)
