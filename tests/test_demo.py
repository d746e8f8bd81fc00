"""The main job, against the same analysis written with plain awkward."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

import lazyana as la
from lazyana import demo
from lazyana.data.fileset import Dataset, Fileset
from lazyana.engine.result import Result
from lazyana.errors import InputError
from lazyana.sinks.tables import open_columns
from lazyana.toy.leptons import muon_scale_factor, pileup_weight
from lazyana.toy.sample import write_sample

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, events=3_000, files=2, cluster_events=1_000)
    return folder


@pytest.fixture(scope="module")
def made(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> demo.Demo:
    return demo.run(
        Fileset.parse(sample / "fileset.json"),
        tmp_path_factory.mktemp("results") / "zmumu",
        golden=sample / "golden.json",
        corrections=True,
        executor="sync",
        partition_size=700,
    )


def eager(files: list[str]) -> Any:
    """The events of some files, as coffea reads them."""
    schema = type("Quiet", (NanoAODSchema,), {"warn_missing_crossrefs": False})
    parts = [
        NanoEventsFactory.from_root({path: "Events"}, schemaclass=schema, mode="virtual").events()
        for path in files
    ]
    assert parts
    return parts


def plain_selection(events: Any, muon_scale: float = 1.0) -> tuple[Any, Any, Any]:
    """Mass of the pair and the two good muons, with loops over nothing but files."""
    muons = ak.with_field(events.Muon, events.Muon.pt * np.float32(muon_scale), "pt")
    electrons = events.Electron
    path = demo.first_of(events.HLT.fields, demo.MUON_PATHS, "path")
    kept = (
        events.Flag.goodVertices
        & (events.PV.npvsGood >= 1)
        & ak.any(muons.pt > 18, axis=1)
        & events.HLT[path]
    )
    good = muons[
        (muons.pt > 15) & (abs(muons.eta) < 2.4) & (muons.pfRelIso04_all < 0.25) & muons.tightId
    ]
    identified = electrons[demo.first_of(electrons.fields, demo.ELECTRON_IDS, "id")]
    bad = electrons[
        (electrons.pt > 15)
        & (abs(electrons.eta) < 2.4)
        & (electrons.pfRelIso03_all < 0.06)
        & identified
    ]
    kept = kept & (ak.num(good) == 2) & (ak.num(bad) == 0)
    good = good[kept]
    first, second = good[:, 0], good[:, 1]
    pair = first + second
    last = (pair.charge == 0) & (first.pt > 25) & (pair.mass > 25) & (pair.mass < 2000)
    return pair.mass[last], good[last], events[kept][last]


@pytest.mark.parametrize("dataset", ["DYJetsToLL", "TTTo2L2Nu", "SingleMuon"])
def test_the_selected_events_are_those_of_plain_awkward(
    made: demo.Demo, sample: Path, dataset: str
) -> None:
    fileset = json.loads((sample / "fileset.json").read_text())
    masses = [plain_selection(events)[0] for events in eager(list(fileset[dataset]["files"]))]
    count = sum(len(mass) for mass in masses)
    assert count > 10
    assert made.result["cutflow"].count("mass_window", dataset) == count
    axis = hist.axis.Regular(60, 50, 150)
    expected = hist.Hist(axis).fill(np.concatenate([ak.to_numpy(mass) for mass in masses]))
    columns = made.result["columns"].to_awkward(dataset=dataset)
    assert np.array_equal(hist.Hist(axis).fill(columns.mll).values(), expected.values())


@pytest.mark.parametrize(("variation", "scale"), [("nominal", 1.0), ("muon_scaleUp", 1.002)])
def test_weighted_histograms_are_those_of_plain_awkward(
    made: demo.Demo, sample: Path, variation: str, scale: float
) -> None:
    fileset = json.loads((sample / "fileset.json").read_text())
    expected = hist.Hist(hist.axis.Regular(60, 50, 150), storage=hist.storage.Weight())
    for events in eager(list(fileset["DYJetsToLL"]["files"])):
        mass, muons, kept = plain_selection(events, scale)
        weight = ak.to_numpy(kept.genWeight).astype(float)
        weight = weight * ak.to_numpy(pileup_weight(kept.Pileup.nTrueInt))
        for kind in ("id", "iso", "trigger"):
            factor = muon_scale_factor(kind, muons.pt, muons.eta)
            factor = factor[:, :1] if kind == "trigger" else factor
            weight = weight * ak.to_numpy(ak.prod(factor, axis=1))
        expected.fill(mass, weight=weight)
    found = made.result["histograms/mll"]["DYJetsToLL", "inclusive", variation, :]
    # The shift is computed in float32 from the column, as written in the analysis.
    np.testing.assert_allclose(found.values(flow=True), expected.values(flow=True), rtol=1e-12)
    np.testing.assert_allclose(
        found.variances(flow=True), expected.variances(flow=True), rtol=1e-12
    )


def test_everything_promised_is_there_and_can_be_read(made: demo.Demo) -> None:
    loaded = Result.load(made.files["result"])
    assert loaded["histograms/mll"] == made.result["histograms/mll"]
    assert loaded.report.events_read == made.result.report.events_read
    columns = open_columns(str(made.files["columns (parquet)"]))
    assert set(demo.COLUMNS) <= set(columns.columns)
    assert columns.provenance["programs"] == made.result.provenance.to_json()["programs"]
    plots = sorted(path.name for path in made.files["plots"].iterdir())
    names = ("jet_pt", "met", "mll", "muon_eta", "muon_pt", "njets", "ptll")
    assert plots == [f"{name}.png" for name in names]
    assert "z_peak" in made.files["cutflow"].read_text()


def test_data_and_simulation_agree(made: demo.Demo, sample: Path) -> None:
    fileset = Fileset.parse(sample / "fileset.json")
    data, simulated = demo.kinds(made.result, fileset)
    assert (data, sorted(simulated)) == (["SingleMuon"], ["DYJetsToLL", "TTTo2L2Nu"])
    scale = demo.normalisation(made.result, fileset, data, simulated)
    cutflow = made.result["cutflow"]
    expected = sum(scale[name] * cutflow.yield_("z_peak", name) for name in simulated)
    seen = cutflow.count("z_peak", "SingleMuon")
    assert abs(seen / expected - 1) < 0.03 + 4 / np.sqrt(seen)


# coffea warns of branches that the files lack or that it replaces; none of them is used here.
@pytest.mark.filterwarnings("ignore:Branch .* already exists", "ignore:Missing cross-reference")
@pytest.mark.parametrize(
    ("mc", "data"),
    [
        (["nano_dy.root"], ["nano_dimuon.root"]),
        (["nanoAOD_2015_CMS_Open_Data_ttbar.root"], []),
        ([], ["nano_dimuon.root"]),
    ],
)
def test_real_files(real_data: Path, tmp_path: Path, mc: list[str], data: list[str]) -> None:
    datasets = [
        Dataset(name, ((str(real_data / "nanoaod" / file), None),), {"is_mc": is_mc})
        for name, files, is_mc in (("simulation", mc, True), ("data", data, False))
        for file in files
    ]
    made = demo.run(Fileset(tuple(datasets)), tmp_path, executor="sync", partition_size=25)
    for dataset in datasets:
        (events,) = eager([dataset.files[0][0]])
        mass, _, _ = plain_selection(events)
        assert made.result["cutflow"].count("mass_window", dataset.name) == len(mass)
        assert made.result["cutflow"].count("all events", dataset.name) == len(events)


def test_a_file_without_any_known_trigger_says_what_was_looked_for(real_data: Path) -> None:
    events = la.open(str(real_data / "nanoaod" / "nano_dy.root"))
    with pytest.raises(InputError, match="none of these as HLT path: NoSuchPath"):
        demo.first_of(events.HLT.fields, ["NoSuchPath"], "HLT path")
