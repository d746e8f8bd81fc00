from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uproot

from lazyana.analysis.coffearunner.files import pileup_in, scale_factor_in
from lazyana.errors import FileError, InputError
from lazyana.physics.corrections import evaluate

ETA, ABSETA, PT = [-2.5, 0.0, 2.5], [0.0, 1.2, 2.4], [20.0, 50.0, 500.0]


def histogram(*edges: list[float], values: list[float], error: float = 0.0) -> Any:
    made = hist.Hist(*(hist.axis.Variable(one) for one in edges), storage=hist.storage.Weight())
    shape = tuple(len(one) - 1 for one in edges)
    view = made.view()
    view.value = np.reshape(values, shape)
    view.variance = np.full(shape, error**2)
    return made


@pytest.fixture(scope="module")
def root_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "sf.histo.root"
    with uproot.recreate(path) as file:
        file["EGamma_SF2D"] = histogram(ETA, PT, values=[0.9, 0.95, 1.0, 1.1], error=0.01)
        file["NUM_ID_pt_abseta"] = histogram(PT, ABSETA, values=[0.8, 0.85, 1.0, 1.2])
        file["Trig"] = histogram(PT, values=[0.7, 0.75])
        file["odd"] = histogram([-500.0, 0.0, 500.0], values=[1.0, 2.0])
        file["PU"] = histogram([0.0, 10.0, 20.0], values=[0.5, 1.5])
        file["PUup"] = histogram([0.0, 10.0, 20.0], values=[0.4, 1.6])
        file["PUdown"] = histogram([0.0, 10.0, 20.0], values=[0.6, 1.4])
    return path


def test_axes_are_told_apart(root_file: Path) -> None:
    one = scale_factor_in(root_file, "EGamma_SF2D")
    assert [each.name for each in one.inputs] == ["eta", "pt", "variation"]
    assert evaluate(one, -1.0, 30.0, "nominal") == pytest.approx(0.9)
    assert evaluate(one, 1.0, 30.0, "up") == pytest.approx(1.01)
    assert evaluate(one, 1.0, 30.0, "down") == pytest.approx(0.99)
    swapped = scale_factor_in(root_file, "NUM_ID_pt_abseta")
    assert [each.name for each in swapped.inputs] == ["pt", "abseta", "variation"]
    assert evaluate(swapped, 30.0, 2.0, "nominal") == pytest.approx(0.85)
    assert scale_factor_in(root_file, "Trig").inputs[0].name == "pt"


def test_beyond_the_last_bin_that_of_the_last_bin_counts(root_file: Path) -> None:
    one = scale_factor_in(root_file, "EGamma_SF2D")
    assert evaluate(one, 3.0, 9_000.0, "nominal") == pytest.approx(1.1)
    assert evaluate(one, -3.0, 1.0, "nominal") == pytest.approx(0.9)


def test_pileup(root_file: Path, tmp_path: Path) -> None:
    one, varied = pileup_in(root_file)
    assert varied
    assert [evaluate(one, 15.0, tag) for tag in ("nominal", "up", "down")] == [1.5, 1.6, 1.4]
    with uproot.recreate(tmp_path / "pu.root") as file:
        file["PU"] = histogram([0.0, 10.0], values=[0.5])
    one, varied = pileup_in(tmp_path / "pu.root")
    assert not varied
    assert evaluate(one, 5.0, "up") == evaluate(one, 5.0, "nominal") == 0.5


def test_what_is_wrong_with_files(root_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no histogram 'EGamma_SF2'\. Did you mean 'EGamma_SF2D'"):
        scale_factor_in(root_file, "EGamma_SF2")
    with pytest.raises(InputError, match="neither pseudorapidity nor transverse momentum"):
        scale_factor_in(root_file, "odd")
    (tmp_path / "no.root").write_text("nothing")
    with pytest.raises(FileError, match="cannot be read as ROOT"):
        scale_factor_in(tmp_path / "no.root", "x")
    (tmp_path / "two.root").write_bytes(root_file.read_bytes())
    with uproot.recreate(tmp_path / "flat.root") as file:
        file["PU"] = histogram(ETA, PT, values=[1.0, 1.0, 1.0, 1.0])
    with pytest.raises(InputError, match="has 2 axes, not 1"):
        pileup_in(tmp_path / "flat.root")


def test_files_of_correctionlib_are_taken_as_they_are(real_data: Path) -> None:
    folder = real_data / "corrections"
    one, varied = pileup_in(folder / "puWeights2025.json.gz")
    assert varied
    assert evaluate(one, 40.0, "nominal") == pytest.approx(0.5012, abs=1e-4)
    with pytest.raises(InputError, match="name the one to use"):
        pileup_in(folder / "jmar_2018UL.json")
    named = scale_factor_in(folder / "jmar_2018UL.json", "PUJetID_eff")
    assert named.name == "PUJetID_eff"


def test_histograms_of_the_groups(real_data: Path) -> None:
    folder = real_data / "corrections"
    electron = scale_factor_in(folder / "ElectronRecoSF_94X.histo.root", "EGamma_SF2D")
    assert evaluate(electron, 0.1, 40.0, "nominal") == pytest.approx(0.97035, abs=1e-5)
    muon = scale_factor_in(
        folder / "RunBCDEF_MuISOSF.histo.root", "NUM_TightRelIso_DEN_MediumID_pt_abseta"
    )
    with uproot.open(folder / "RunBCDEF_MuISOSF.histo.root") as file:
        found = file["NUM_TightRelIso_DEN_MediumID_pt_abseta"]
        values, errors = found.values(), found.errors()
        at = zip(found.axes, (45.0, 1.0), strict=True)
        place = [np.searchsorted(axis.edges(), value) - 1 for axis, value in at]
    assert evaluate(muon, 45.0, 1.0, "nominal") == pytest.approx(values[tuple(place)])
    expected = values[tuple(place)] + errors[tuple(place)]
    assert evaluate(muon, 45.0, 1.0, "up") == pytest.approx(expected)
    pileup, varied = pileup_in(folder / "puwei_Summer23.histo.root")
    assert varied
    assert json.loads(pileup.text)["corrections"][0]["name"] == "PU"


NESTED = {
    "NUM_Tight_DEN_Tracks": {
        "abseta": {"abseta:[0.0,2.4]": {"value": 0.5, "error": 0.0}},
        "abseta_pt": {
            "binning": [{"variable": "abseta", "binning": [0.0, 1.2, 2.4]}],
            **{
                f"abseta:[{low},{high}]": {
                    "pt:[5,10]": {"value": value + 0.1, "error": 0.02},
                    "pt:[2.0,5.0]": {"value": value, "error": 0.01},
                }
                for low, high, value in ((0.0, 1.2, 0.9), (1.2, 2.4, 0.7))
            },
        },
    },
    "broken": {"abseta_pt": {"abseta:[0.0,2.4]": {"pt:[2,5]": 1.0}}},
    "holes": {
        "abseta_pt": {
            "abseta:[0.0,1.2]": {"pt:[2,5]": {"value": 1.0, "error": 0.0}},
            "abseta:[1.2,2.4]": {"pt:[5,9]": {"value": 1.0, "error": 0.0}},
        }
    },
    "wide": {
        "abseta_pt": {
            "abseta:[0.0,1.2]": {"pt:[2,9]": {"value": 1.0, "error": 0.0}},
            "abseta:[1.2,2.4]": {
                "pt:[2,5]": {"value": 1.0, "error": 0.0},
                "pt:[5,9]": {"value": 1.0, "error": 0.0},
            },
        }
    },
    "eta": {"eta": {"eta:[0.0,1.2]": {"value": 1.0, "error": 0.0}}},
}


def test_nested_json_of_muons(tmp_path: Path) -> None:
    path = tmp_path / "Efficiency_muon.histo.json"
    path.write_text(json.dumps(NESTED))
    for name in ("NUM_Tight_DEN_Tracks", "NUM_Tight_DEN_Tracks/abseta_pt_value"):
        one = scale_factor_in(path, name)
        assert [each.name for each in one.inputs] == ["abseta", "pt", "variation"]
        assert evaluate(one, 0.3, 3.0, "nominal") == pytest.approx(0.9)
        assert evaluate(one, 0.3, 7.0, "up") == pytest.approx(1.02)
        assert evaluate(one, 2.0, 7.0, "down") == pytest.approx(0.78)
        assert evaluate(one, 2.0, 700.0, "nominal") == pytest.approx(0.8)
    with pytest.raises(InputError, match="Did you mean 'NUM_Tight_DEN_Tracks'"):
        scale_factor_in(path, "NUM_Tight_DEN_Track")
    for name in ("broken", "holes", "wide", "eta", "NUM_Tight_DEN_Tracks/pt_abseta"):
        with pytest.raises(InputError, match=r"is no table of 'abseta:\[low,high\]'"):
            scale_factor_in(path, name)
