"""Correction files of the embedded sample hold what the generator did."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.errors import FileError, InputError, OutputExistsError
from lazyana.toy import sample as toy
from lazyana.toy.corrections import (
    GOLDEN_RUNS,
    JEC,
    JER,
    JES_SOURCES,
    PILEUP,
    toy_parameters,
    write_corrections,
)
from lazyana.toy.leptons import muon_efficiency, muon_scale_factor, pileup_weight

ID, TIGHT = "NUM_TightID_DEN_TrackerMuons", "NUM_TightRelIso_DEN_TightIDandIPCut"
LOOSE = "NUM_LooseRelIso_DEN_TightIDandIPCut"
TRIGGER = "NUM_IsoMu24_DEN_CutBasedIdTight_and_PFIsoTight"

MOMENTA = st.floats(15.0, 2_000.0)
ETAS = st.floats(0.0, 2.4, exclude_max=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_corrections(tmp_path_factory.mktemp("corrections"))


@pytest.fixture(scope="module")
def sets(files: dict[str, Path]) -> dict[str, Any]:
    return {
        name: correctionlib.CorrectionSet.from_file(str(path))
        for name, path in files.items()
        if name != "golden"
    }


@given(n_true=st.floats(0.0, 99.99))
def test_pileup_weights_are_those_of_the_generator(sets: dict[str, Any], n_true: float) -> None:
    weight = sets["pileup"][PILEUP].evaluate(n_true, "nominal")
    assert weight == pytest.approx(pileup_weight(n_true), rel=1e-12)


def test_pileup_weights_keep_the_number_of_events(sets: dict[str, Any]) -> None:
    events = toy.events("DYJetsToLL", 0, 20_000)
    n_true = events["Pileup_nTrueInt"].to_numpy()
    means = {}
    for shift in ("nominal", "up", "down"):
        weights = sets["pileup"][PILEUP].evaluate(n_true, shift)
        assert weights.mean() == pytest.approx(1, abs=0.02)
        means[shift] = np.average(n_true, weights=weights)
    assert means["down"] < means["nominal"] < means["up"]
    assert means["up"] / means["nominal"] == pytest.approx(1.046, abs=0.01)


@given(pt=MOMENTA, eta=ETAS)
def test_muon_factors_are_those_of_the_generator(
    sets: dict[str, Any], pt: float, eta: float
) -> None:
    muons = sets["muon"]
    for name, kind in ((ID, "id"), (TIGHT, "iso"), (TRIGGER, "trigger")):
        factor = muons[name].evaluate(eta, pt, "nominal")
        assert factor == pytest.approx(muon_scale_factor(kind, pt, eta), rel=1e-12)
    assert muons["NUM_TightID_DEN_genTracks"].evaluate(eta, pt, "nominal") == muons[ID].evaluate(
        eta, pt, "nominal"
    )


@given(pt=MOMENTA, eta=ETAS)
def test_muon_uncertainties_add_up(sets: dict[str, Any], pt: float, eta: float) -> None:
    for correction in sets["muon"].values():
        value = {
            shift: correction.evaluate(eta, pt, shift)
            for shift in ("nominal", "systup", "systdown", "stat", "syst")
        }
        total = math.hypot(value["stat"], value["syst"])
        assert value["systup"] - value["nominal"] == pytest.approx(total)
        assert value["nominal"] - value["systdown"] == pytest.approx(total)


def test_loose_isolation_is_that_of_the_generator(sets: dict[str, Any]) -> None:
    """Simulated muons pass it as often as the formula behind the factor says."""
    events = toy.events("DYJetsToLL", 0, 20_000)
    muons = ak.flatten(events.Muon[(events.Muon.pt > 15) & (events.Muon.genPartFlav == 1)])
    muons = muons[muons.tightId]
    tight = muon_efficiency("iso", muons.pt, muons.eta).to_numpy()
    also = 1 - math.exp(-2 / 3)
    expected = tight + (1 - tight) * also
    passes = (muons.pfRelIso04_all < 0.25).to_numpy()
    spread = math.sqrt(np.sum(expected * (1 - expected)))
    assert abs(passes.sum() - expected.sum()) < 4 * spread
    data = muon_efficiency("iso", muons.pt, muons.eta, data=True).to_numpy()
    factor = sets["muon"][LOOSE].evaluate(np.abs(muons.eta), muons.pt, "nominal")
    assert np.allclose(factor * expected, data + (1 - data) * also, rtol=1e-6)


@pytest.mark.parametrize(("eta", "pt"), [(2.5, 40.0), (-1.0, 40.0), (1.0, 14.9)])
def test_muons_outside_are_refused_as_by_the_real_files(
    eta: float, pt: float, sets: dict[str, Any]
) -> None:
    with pytest.raises((IndexError, RuntimeError)):
        sets["muon"][ID].evaluate(eta, pt, "nominal")


@given(pt=st.floats(10.0, 3_000.0), eta=st.floats(-5.0, 5.0))
def test_energy_uncertainties_add_up(sets: dict[str, Any], pt: float, eta: float) -> None:
    jets = sets["jerc"]
    sources = [jets[f"{JEC}_{source}_AK4PFchs"].evaluate(eta, pt) for source in JES_SOURCES]
    total = jets[f"{JEC}_Total_AK4PFchs"].evaluate(eta, pt)
    assert len(sources) == 3
    assert min(sources) > 0
    assert total == pytest.approx(math.hypot(*sources))
    assert 0.005 < total < 0.05


def test_energy_uncertainty_covers_what_data_are_off(sets: dict[str, Any]) -> None:
    total = sets["jerc"][f"{JEC}_Total_AK4PFchs"]
    assert total.evaluate(0.0, 40.0) > 0.012


def test_resolution_is_that_of_the_generator(sets: dict[str, Any]) -> None:
    jets = sets["jerc"]
    resolution = jets[f"{JER}_PtResolution_AK4PFchs"].evaluate(0.5, 40.0, 20.0)
    assert resolution == pytest.approx(math.sqrt((3 / 40) ** 2 + 0.6 / 40 + 0.045**2))
    factor = jets[f"{JER}_ScaleFactor_AK4PFchs"]
    assert [factor.evaluate(0.5, shift) for shift in ("down", "nom", "up")] == pytest.approx(
        [1.05, 1.10, 1.15]
    )


def test_inputs_are_those_of_the_real_file(real_data: Path, sets: dict[str, Any]) -> None:
    path = real_data / "corrections" / "jet_jerc_2018UL.json.gz"
    real = correctionlib.CorrectionSet.from_file(str(path))
    names = {
        f"{JEC}_Total_AK4PFchs": "Summer20UL18NanoV15_V1_MC_Total_AK4PFPuppi",
        f"{JER}_PtResolution_AK4PFchs": f"{JER}_PtResolution_AK4PFPuppi",
        f"{JER}_ScaleFactor_AK4PFchs": f"{JER}_ScaleFactor_AK4PFPuppi",
    }
    for ours, theirs in names.items():
        inputs = [(each.name, each.type) for each in sets["jerc"][ours].inputs]
        assert inputs == [(each.name, each.type) for each in real[theirs].inputs]


def test_golden_json_certifies_all_data(files: dict[str, Path], sample: dict[str, Any]) -> None:
    golden = json.loads(files["golden"].read_text(encoding="utf-8"))
    assert len(golden) == GOLDEN_RUNS
    (path,) = sample["SingleMuon"]["files"]
    own = json.loads((Path(path).parent / "golden.json").read_text(encoding="utf-8"))
    assert own
    for run, ((first, last),) in own.items():
        ((start, stop),) = golden[run]
        assert start <= first <= last <= stop


def test_same_bytes_each_time_and_nothing_overwritten_unasked(tmp_path: Path) -> None:
    before = {name: path.read_bytes() for name, path in write_corrections(tmp_path).items()}
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        write_corrections(tmp_path)
    after = write_corrections(tmp_path, overwrite=True)
    assert {name: path.read_bytes() for name, path in after.items()} == before
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(after.values())


def test_parameters_need_the_files_and_a_luminosity_that_is_one(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    with pytest.raises(FileError, match=r"write_corrections\("):
        toy_parameters(tmp_path)
    directory = files["pileup"].parents[2]
    assert "picobarns" not in toy_parameters(directory)["lumi"]
    for wrong in (0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="luminosity"):
            toy_parameters(directory, luminosity=wrong)
