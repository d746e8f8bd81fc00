from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import correctionlib
import hist
import numpy as np
import pytest

import lazyana as la
from lazyana.analysis.build import recorded, shared_metadata
from lazyana.analysis.columns import ColOut
from lazyana.analysis.common_weights import common_weights
from lazyana.analysis.config import Analysis
from lazyana.analysis.cuts import Cut
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.analysis.run import catalog_of
from lazyana.analysis.weights import WeightData, WeightLambda
from lazyana.errors import ColumnError, InputError

Make = Callable[..., Analysis]
DY, DATA = "DYJetsToLL_M-50_2018", "DATA_SingleMuon_2018_EraA"


@pytest.fixture(scope="module")
def computed(zmumu: Make) -> Callable[..., Any]:
    """What an analysis computes to."""

    def compute(workflow: Any = None, **changes: Any) -> Any:
        one = zmumu(**changes) if workflow is None else zmumu(workflow=workflow, **changes)
        outputs = recorded(one, catalog_of(one)).outputs
        return la.compute(outputs, executor="sync", progress=False)

    return compute


def in_memory(entry: Any) -> ak.Array:
    """The selected events of a dataset, by awkward alone."""
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    events = ak.concatenate(
        [
            NanoEventsFactory.from_root(
                {path: "Events"}, schemaclass=NanoAODSchema, mode="eager"
            ).events()
            for path in entry["files"]
        ]
    )
    events = events[
        (events.PV.npvsGood >= 1) & ak.any(events.Muon.pt >= 18, axis=1) & events.HLT.IsoMu24
    ]
    muons, electrons, jets = events.Muon, events.Electron, events.Jet
    muons = muons[
        (muons.pt > 15) & (abs(muons.eta) < 2.4) & muons.tightId & (muons.pfRelIso04_all < 0.25)
    ]
    supercluster = abs(electrons.eta + electrons.deltaEtaSC)
    electrons = electrons[
        (electrons.pt > 15)
        & (abs(electrons.eta) < 2.4)
        & ~((supercluster >= 1.4442) & (supercluster <= 1.5660))
        & electrons.mvaFall17V2Iso_WP80
    ]
    jets = jets[
        (jets.pt > 30)
        & (abs(jets.eta) < 2.4)
        & (jets.jetId >= 2)
        & ((jets.puId >= 4) | (jets.pt >= 50))
    ]
    for leptons in (muons, electrons):
        jets = jets[ak.all(jets.metric_table(leptons) > 0.4, axis=2)]
    two = (ak.num(muons) == 2) & (ak.num(electrons) == 0)
    events, muons, jets = events[two], muons[two], jets[two]
    pair = muons[:, 0] + muons[:, 1]
    keep = (
        (pair.charge == 0) & (ak.max(muons.pt, axis=1) > 25) & (pair.mass > 25) & (pair.mass < 2000)
    )
    return ak.zip(
        {
            "mass": pair.mass[keep],
            "jets": jets.pt[keep],
            "muons": ak.zip({"pt": muons.pt, "eta": muons.eta})[keep],
            "events": ak.zip(
                {
                    name: events[name][keep]
                    for name in (("genWeight",) if "genWeight" in events.fields else ("run",))
                }
            ),
            "pileup": events.Pileup.nTrueInt[keep]
            if "Pileup" in events.fields
            else pair.mass[keep],
        },
        depth_limit=1,
    )


def test_equals_plain_awkward(computed: Any, filesets: dict[str, Any], parameters: Any) -> None:
    result = computed()
    luminosity = parameters.lumi.picobarns["2018"].tot
    for dataset, sample in ((DY, "DYJetsToLL"), (DATA, "DATA_SingleMuon")):
        selected = in_memory(filesets[dataset])
        assert len(selected) > 20
        weights = {"nominal": np.ones(len(selected))}
        if dataset == DY:
            weights = simulated(selected, parameters, luminosity, filesets[DY]["metadata"]["xsec"])
        masks = {
            "baseline": np.ones(len(selected), dtype=bool),
            "jets": np.asarray(ak.num(selected.jets) > 0),
            "none": np.asarray(ak.num(selected.jets) == 0),
        }
        mll = result["variables"]["mll"][sample]["0"]
        assert set(mll.axes["variation"]) == set(weights)
        for category, mask in masks.items():
            for variation, weight in weights.items():
                expected: Any = hist.Hist(
                    hist.axis.Regular(20, 50, 150), storage=hist.storage.Weight()
                ).fill(np.asarray(selected.mass)[mask], weight=weight[mask])
                mine = mll[{"dataset": dataset, "category": category, "variation": variation}]
                np.testing.assert_allclose(
                    mine.values(flow=True), expected.values(flow=True), rtol=1e-12
                )
                np.testing.assert_allclose(
                    mine.variances(flow=True), expected.variances(flow=True), rtol=1e-12
                )
            cutflow = result["cutflow"][sample]["0"]
            assert cutflow.count(category, dataset) == mask.sum()


def simulated(selected: Any, parameters: Any, luminosity: float, xsec: Any) -> dict[str, Any]:
    """The weights of simulation, nominal and varied, straight from the correction files."""
    start = np.asarray(selected.events.genWeight, dtype=np.float64) * luminosity * float(xsec)

    def corrections(node: Any) -> Any:
        return correctionlib.CorrectionSet.from_file(str(node.file))

    pileup_of = parameters.pileupJSONfiles["2018"]
    pileup = corrections(pileup_of)[pileup_of.name]
    muon_sf = parameters.lepton_scale_factors.muon_sf
    names, muons = muon_sf.sf_name["2018"], corrections(muon_sf.JSONfiles["2018"])

    def of_muons(kind: str, variation: str) -> Any:
        each = muons[names[kind]].evaluate(abs(selected.muons.eta), selected.muons.pt, variation)
        return np.asarray(ak.prod(each, axis=1), dtype=np.float64)

    def of_pileup(variation: str) -> Any:
        number = np.asarray(selected.pileup, dtype=np.float64)
        return pileup.evaluate(number, variation)

    iso = of_muons("iso", "nominal")
    nominal = start * of_pileup("nominal") * of_muons("id", "nominal") * iso
    found = {"nominal": nominal}
    for side, word, other in (("Up", "up", "systup"), ("Down", "down", "systdown")):
        found[f"pileup{side}"] = start * of_pileup(word) * of_muons("id", "nominal") * iso
        found[f"sf_mu_id{side}"] = start * of_pileup("nominal") * of_muons("id", other) * iso
    return found


def test_sums_of_all_events(computed: Any, filesets: dict[str, Any]) -> None:
    result = computed()
    from coffea.nanoevents import NanoEventsFactory

    weights = ak.concatenate(
        [
            NanoEventsFactory.from_root({path: "Events"}, mode="eager").events().genWeight
            for path in filesets[DY]["files"]
        ]
    )
    total = np.sum(np.asarray(weights, dtype=np.float64))
    assert result["sum_genweights"][DY]["nominal"] == pytest.approx(total, rel=1e-12)
    assert result["sum_signOf_genweights"][DY]["nominal"] == np.sum(np.sign(weights))
    assert DATA not in result["sum_genweights"]


def test_weights_by_category_are_parts(computed: Any) -> None:
    weights = {
        "common": {"inclusive": ["genWeight"], "bycategory": {"jets": ["pileup"]}},
        "bysample": {"DYJetsToLL": {"inclusive": ["lumi"]}},
    }
    varied = {"weights": {"common": {"bycategory": {"jets": ["pileup"]}}}}
    parts = computed(weights=weights, variations=varied)["variables"]["mll"]["DYJetsToLL"]
    assert list(parts["0"].axes["category"]) == ["baseline", "none"]
    assert list(parts["0"].axes["variation"]) == ["nominal"]
    assert list(parts["1"].axes["category"]) == ["jets"]
    assert list(parts["1"].axes["variation"]) == ["nominal", "pileupDown", "pileupUp"]


def test_jet_energy_is_varied_downstream_only(computed: Any) -> None:
    shape = {"shape": {"common": {"inclusive": ["jet_calibration"]}}}
    result = computed(variations=shape)
    mll = result["variables"]["mll"]["DYJetsToLL"]["0"]
    jets = result["variables"]["jet_pt"]["DYJetsToLL"]["0"]
    labels = [label for label in jets.axes["variation"] if label != "nominal"]
    assert any(label.endswith("JES_TotalUp") for label in labels)
    for label in labels:
        nominal, varied = (
            one[{"dataset": DY, "category": "baseline", "variation": name}].values(flow=True)
            for one, name in ((jets, "nominal"), (jets, label))
        )
        assert not np.array_equal(nominal, varied)
        baseline = [
            mll[{"dataset": DY, "category": "baseline", "variation": name}].values()
            for name in ("nominal", label)
        ]
        np.testing.assert_array_equal(*baseline)


def test_subsamples(configuration: Callable[..., dict[str, Any]]) -> None:
    given = configuration()
    given["datasets"]["subsamples"] = {
        "DYJetsToLL": {"many": "nJetGood > 0", "few": "nJetGood == 0"}
    }
    one = Analysis(**given)
    result = la.compute(recorded(one, catalog_of(one)).outputs, executor="sync", progress=False)
    both = result["cutflow"]
    assert set(both) == {"DYJetsToLL__many", "DYJetsToLL__few", "DATA_SingleMuon"}
    counts = [both[f"DYJetsToLL__{name}"]["0"].count("baseline", DY) for name in ("many", "few")]
    assert min(counts) > 0
    assert both["DYJetsToLL__many"]["0"].count("jets", DY) == counts[0]
    assert both["DYJetsToLL__many"]["0"].count("none", DY) == 0


def test_hooks_of_the_workflow(zmumu: Make, computed: Any) -> None:
    base: Any = zmumu().workflow
    called: list[str] = []

    class Extra(base):  # type: ignore[misc]
        def process_extra_after_presel(self, variation: str) -> None:
            called.append(self._sample)
            self.events["ht"] = ak.sum(self.events.JetGood.pt, axis=1)

        def define_histograms_extra(self) -> Any:
            return {"ht": HistConf([Axis("ht", bins=5, start=0, stop=500)])}

        def compute_weights_extra(self, variation: str) -> Any:
            return [WeightData("double", 2.0)] if self._isMC else []

        def count_events_extra(self, variation: str) -> Any:
            return {"yield": None, "jets": self.events.nJetGood}

        def define_column_accumulators_extra(self) -> Any:
            return [ColOut("events", ["ht"])]

    plain, extra = computed(), computed(workflow=Extra)
    assert called == ["DYJetsToLL", "DATA_SingleMuon"]
    where = {"dataset": DY, "category": "baseline", "variation": "nominal"}
    one, two = (r["variables"]["mll"]["DYJetsToLL"]["0"][where].values() for r in (plain, extra))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-12)
    assert extra["variables"]["ht"]["DYJetsToLL"]["0"][where].sum(flow=True).value > 0
    total = plain["cutflow"]["DYJetsToLL"]["0"].yield_("baseline", DY)
    assert extra["counts"]["yield"]["DYJetsToLL"][DY]["nominal"] == pytest.approx(2 * total)
    assert extra["counts"]["jets"]["DATA_SingleMuon"][DATA]["nominal"] > 0
    table = extra["columns"]["DYJetsToLL"]["jets"]
    assert set(table[DY].fields) >= {"events_ht", "weight"}
    assert ak.all(table[DY].events_ht > 30)


def test_custom_columns_of_subsamples(
    zmumu: Make, configuration: Callable[..., dict[str, Any]]
) -> None:
    base: Any = zmumu().workflow

    class Extra(base):  # type: ignore[misc]
        def process_extra_after_presel(self, variation: str) -> None:
            self.custom_histogram_fields["half"] = self.events.ll.mass / 2

    axis = Axis("half", bins=10, start=25, stop=75, coll="custom")
    both = []
    for subsamples in ({}, {"DYJetsToLL": {"many": "nJetGood > 0", "few": "nJetGood == 0"}}):
        given = configuration(workflow=Extra, variables={"half": HistConf([axis])}, columns={})
        given["datasets"]["subsamples"] = subsamples
        one = Analysis(**given)
        result = la.compute(recorded(one, catalog_of(one)).outputs, executor="sync", progress=False)
        where = {"dataset": DY, "category": "baseline", "variation": "nominal"}
        parts = [
            part["0"][where].values()
            for target, part in result["variables"]["half"].items()
            if target.startswith("DY")
        ]
        assert all(part.sum() > 0 for part in parts)
        both.append(parts)
    assert [len(parts) for parts in both] == [1, 2]
    np.testing.assert_allclose(sum(both[1]), both[0][0], rtol=1e-12)


def test_hooks_are_called_once_for_all_subsamples(
    zmumu: Make, configuration: Callable[..., dict[str, Any]]
) -> None:
    base: Any = zmumu().workflow
    called: list[str] = []

    class Extra(base):  # type: ignore[misc]
        def compute_weights_extra(self, variation: str) -> Any:
            called.append(self._sample)
            return [WeightData("jets", 1.0 + self.events.nJetGood)] if self._isMC else []

        def count_events_extra(self, variation: str) -> Any:
            return {"jets": self.events.nJetGood}

    given = configuration(workflow=Extra)
    cuts = {"many": "nJetGood > 0", "few": "nJetGood == 0"}
    given["datasets"]["subsamples"] = {"DYJetsToLL": cuts}
    one = Analysis(**given)
    recorded(one, catalog_of(one))
    assert called == ["DYJetsToLL", "DATA_SingleMuon"]
    made = recorded(one, catalog_of(one), n_minus_one=True)
    result = la.compute(made.outputs, executor="sync", progress=False)
    counts = result["counts"]["jets"]
    assert counts["DYJetsToLL__few"][DY]["nominal"] == 0
    assert counts["DYJetsToLL__many"][DY]["nominal"] > 0
    # without jets the weight is 1, as in an analysis without it
    plain = Analysis(**{**given, "workflow": base})
    known = la.compute(recorded(plain, catalog_of(plain)).outputs, executor="sync", progress=False)
    few, many = (
        [r["cutflow"][f"DYJetsToLL__{name}"]["0"].yield_("baseline", DY) for r in (known, result)]
        for name in ("few", "many")
    )
    assert few[0] == few[1]
    assert many[1] >= 1.9 * many[0]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({}, {"columns": ["eta"]}, ""),
        ({}, {"columns": ["eta"], "fill_value": 0.0}, ""),
        ({}, {"columns": ["eta"], "pos_end": 1, "store_size": False}, ""),
        ({}, {"columns": ["eta"], "pos_end": 1}, "'JetGood_N' is saved twice, with pos_end=None"),
        ({"pos_end": 2}, {"pos_end": 2}, ""),
        ({}, {"fill_value": 0.0}, "'JetGood_pt' is saved twice, with fill_value=-999.0 and"),
    ],
)
def test_columns_of_one_collection(
    zmumu: Make, first: dict[str, Any], second: dict[str, Any], said: str
) -> None:
    one, two = (ColOut("JetGood", **{"columns": ["pt"], **some}) for some in (first, second))
    columns = {"common": {"inclusive": [one], "bycategory": {"baseline": [two]}}}
    given = zmumu(columns=columns)
    if not said:
        recorded(given, catalog_of(given))
        return
    with pytest.raises(InputError, match=f"category 'baseline' of DYJetsToLL: column {said}"):
        recorded(given, catalog_of(given))


def test_same_histogram_twice(zmumu: Make) -> None:
    base: Any = zmumu().workflow

    class Twice(base):  # type: ignore[misc]
        def define_histograms_extra(self) -> Any:
            return {"mll": HistConf([Axis("mass", bins=5, start=0, stop=500, coll="ll")])}

    one = zmumu(workflow=Twice)
    with pytest.raises(InputError, match="'mll' is in the configuration and in define_hist"):
        recorded(one, catalog_of(one))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"variables": {"x": HistConf([Axis("mas", bins=5, start=0, stop=1, coll="ll")])}},
            "Histogram 'x'.*'mas'",
        ),
        (
            {"variables": {"x": HistConf([Axis("pt", bins=5, start=0, stop=1, coll="JetGod")])}},
            "Histogram 'x'.*'JetGod'.*'JetGood'",
        ),
        ({"preselections": ["nMuonGod == 2"]}, "'nMuonGod'|MuonGod"),
        ({"categories": {"SR": ["BJet.pt[:, 0] > 3"]}}, "Category 'SR'.*'BJet'"),
        (
            {"columns": {"common": {"inclusive": [ColOut("JetGood", ["ptt"])]}}},
            "ColOut\\('JetGood'\\).*'ptt'",
        ),
    ],
)
def test_mistakes_are_found_before_anything_runs(zmumu: Make, changes: Any, said: str) -> None:
    one = zmumu(**changes)
    with pytest.raises(ColumnError, match=said):
        recorded(one, catalog_of(one))


def test_shared_metadata(dy_frame: la.Events) -> None:
    assert shared_metadata(dy_frame)["sample"] == "DYJetsToLL"


def test_hooks_are_asked_once_whatever_the_parts(
    configuration: Callable[..., dict[str, Any]], zmumu: Make
) -> None:
    base: Any = zmumu().workflow
    asked: list[str] = []

    class Extra(base):  # type: ignore[misc]
        def process_extra_after_presel(self, variation: str) -> None:
            self.custom_histogram_fields["half"] = self.events.ll.mass / 2

        def define_custom_axes_extra(self) -> Any:
            asked.append(f"axes {self._sample}")
            years = Axis("year", coll="metadata", name="year", type="strcat", bins=["2018"])
            self.custom_axes.append(years)

        def define_histograms_extra(self) -> Any:
            asked.append(f"histograms {self._sample}")
            return {"half": HistConf([Axis("half", bins=4, start=25, stop=75, coll="custom")])}

        def define_column_accumulators_extra(self) -> Any:
            asked.append(f"columns {self._sample}")
            return []

        def compute_weights_extra(self, variation: str) -> Any:
            asked.append(f"weights {self._sample}")
            return [WeightData("own", 1.0, 2.0, 0.5)] if self._isMC else []

    def weight(*given: Any) -> Any:
        asked.append("weight")
        return 1.0

    def cut(events: Any, params: Any) -> Any:
        asked.append(f"cut {events.metadata['sample']}")
        return events.nJetGood >= 0

    either = Cut("either", {}, cut)
    given = configuration(workflow=Extra)
    given["weights_classes"] = [*common_weights, WeightLambda.wrap_func("plain", weight)]
    given["categories"] = {"one": [either], "two": [either, "nJetGood > 0"]}
    applied = {"inclusive": ["genWeight", "plain"], "bycategory": {"two": ["lumi"]}}
    given |= {"weights": {"common": applied}, "variations": {}, "columns": {}}
    one = Analysis(**given)
    assert len(one.rules.parts("DYJetsToLL")) == 2
    result = la.compute(recorded(one, catalog_of(one)).outputs, executor="sync", progress=False)
    hooks = [
        f"{what} {sample}"
        for what in ("axes", "histograms", "columns", "weights", "cut")
        for sample in ("DYJetsToLL", "DATA_SingleMuon")
    ]
    assert sorted(asked) == sorted([*hooks, "weight"])

    half, mll = (result["variables"][name]["DYJetsToLL"]["0"] for name in ("half", "mll"))
    assert [axis.name for axis in half.axes][-2:] == ["year", "custom.half"]
    assert list(half.axes["variation"]) == ["nominal", "ownDown", "ownUp"]
    where = {"dataset": DY, "category": "one", "year": "2018"}
    whole, nominal, up = (
        one[{**where, "variation": label}].sum(flow=True).value
        for one, label in ((mll, "nominal"), (half, "nominal"), (half, "ownUp"))
    )
    assert (nominal, up) == pytest.approx((whole, 2 * whole))
