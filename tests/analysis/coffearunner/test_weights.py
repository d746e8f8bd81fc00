from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
import uproot

from lazyana.analysis.coffearunner.weights import (
    Constant,
    ScaleFactor,
    Wanted,
    wanted,
    weight_class,
    with_file,
)
from lazyana.analysis.common_weights import Pileup, common_weights
from lazyana.analysis.weights import WeightData, WeightWrapper, compute_weight
from lazyana.errors import FileError, InputError
from lazyana.plan.fingerprint import fingerprint

KNOWN = {one.name: one for one in common_weights}
PT, ETA = [10.0, 20.0, 50.0, 500.0], [-2.5, 0.0, 2.5]
PARAMS = {
    "lepton_scale_factors": {
        "electron_sf": {"collection": "ElectronGood"},
        "muon_sf": {"collection": "MuonGood"},
    }
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("weights")
    made = hist.Hist(hist.axis.Variable(ETA), hist.axis.Variable(PT), storage=hist.storage.Weight())
    view = made.view()
    view.value = np.array([[0.9, 0.95, 0.99], [1.01, 1.05, 1.1]])
    view.variance = np.full((2, 3), 0.01**2)
    with uproot.recreate(found / "sf.histo.root") as file:
        file["SF2D"] = made
    return found


def made(one: Wanted, folder: Path, name: str | None = None) -> type[WeightWrapper]:
    return weight_class(
        with_file(one, folder), name or one.key, known=KNOWN, folder=folder, corrections=True
    )


def leptons(collection: str, **fields: Any) -> ak.Array:
    """Events with none, one, two and three leptons."""
    pt = ak.Array([[], [15.0], [30.0, 60.0], [12.0, 25.0, 700.0]])
    eta = ak.Array([[], [-1.0], [1.0, -2.0], [0.5, -0.5, 2.0]])
    one = ak.zip({"pt": pt, "eta": eta, **fields}, with_name="PtEtaPhiMCandidate")
    return ak.Array({collection: one})


def expected(pt: list[float], eta: list[float], shift: float = 0.0) -> float:
    values = [[0.9, 0.95, 0.99], [1.01, 1.05, 1.1]]
    product = 1.0
    for one_pt, one_eta in zip(pt, eta, strict=True):
        column = min(int(np.searchsorted(PT, one_pt, side="right")) - 1, 2)
        product *= values[int(one_eta >= 0)][column] + shift
    return product


@pytest.mark.parametrize(
    ("key", "collection", "inside"),
    [
        ("mu_ID", "MuonGood", (0.0, math.inf)),
        ("ele_ID", "ElectronGood", (0.0, math.inf)),
        ("ele_Rereco_above20", "ElectronGood", (20.0, math.inf)),
        ("ele_Rereco_below20", "ElectronGood", (0.0, 20.0)),
        ("mu_ID_low", "MuonGood", (0.0, 30.0)),
    ],
)
def test_scale_factors_of_histograms_are_products(
    folder: Path, key: str, collection: str, inside: tuple[float, float]
) -> None:
    (one,) = wanted({"LSF": {f"{key} SF2D": "sf.histo.root"}}, "weights.common.inclusive")
    weight = made(one, folder)(PARAMS, {"year": "2018", "isMC": True})
    events = leptons(collection)
    found: Any = compute_weight(weight, events, len(events))
    for values, shift in ((found.nominal, 0.0), (found.up, 0.01), (found.down, -0.01)):
        for event, value in zip(events[collection], values, strict=True):
            some = [
                (lepton.pt, lepton.eta) for lepton in event if inside[0] <= lepton.pt < inside[1]
            ]
            pt, eta = [each[0] for each in some], [each[1] for each in some]
            assert value == pytest.approx(expected(pt, eta, shift))


def test_electrons_are_where_their_cluster_is(folder: Path) -> None:
    (one,) = wanted({"LSF": {"ele_ID SF2D": "sf.histo.root"}}, "w")
    weight = made(one, folder)(PARAMS, {"year": "2018"})
    events = leptons("ElectronGood", deltaEtaSC=ak.Array([[], [1.5], [0.0, 0.0], [0.0, 0.0, 0.0]]))
    found: Any = compute_weight(weight, events, len(events))
    assert found.nominal[1] == pytest.approx(expected([15.0], [0.5]))


def category(name: str, **content: Any) -> dict[str, Any]:
    """A node of correctionlib that chooses by text."""
    values = [{"key": key, "value": value} for key, value in content.items()]
    return {"nodetype": "category", "input": name, "content": values}


@pytest.fixture
def electron_file(tmp_path: Path) -> Path:
    """A file with the inputs that those of the electron group have."""
    shifts = {"sf": 1.0, "sfup": 1.1, "sfdown": 0.9}
    points = {"wp90iso": 0.97, "RecoAbove20": 0.99, "RecoBelow20": 1.02}
    data = category(
        "ValType",
        **{
            tag: category("WorkingPoint", **{name: one * shift for name, one in points.items()})
            for tag, shift in shifts.items()
        },
    )
    names = {"year": "string", "ValType": "string", "WorkingPoint": "string"}
    correction = {
        "name": "UL-Electron-ID-SF",
        "version": 1,
        "inputs": [
            {"name": name, "type": kind}
            for name, kind in {**names, "eta": "real", "pt": "real"}.items()
        ],
        "output": {"name": "weight", "type": "real"},
        "data": category("year", **{"2017": data}),
    }
    path = tmp_path / "electron.json"
    path.write_text(json.dumps({"schema_version": 2, "corrections": [correction]}))
    return path


def test_electrons_of_the_parameters(electron_file: Path, tmp_path: Path) -> None:
    files = {"id": str(electron_file), "reco": str(electron_file)}
    known = {"collection": "ElectronGood"}
    entry = {"2017": {"name": "UL-Electron-ID-SF", "files": files}}
    params = {"lepton_scale_factors": {"electron_sf": {**known, "JSONfiles": entry}}}
    given = {
        "ele_ID 2017": "wp90iso",
        "ele_Reco 2017": "RecoAbove20",
        "ele_Reco_low 2017": "RecoBelow20",
    }
    events = leptons("ElectronGood")
    found = {}
    for one in wanted({"LSF": given}, "w"):
        found[one.key] = compute_weight(made(one, tmp_path)(params, {"year": "2017"}), events)
    # None, one below 20 GeV, two above, one below and two above.
    for name, values in {
        "ele_ID": [1.0, 0.97, 0.97**2, 0.97**3],
        "ele_Reco": [1.0, 1.0, 0.99**2, 0.99**2],
        "ele_Reco_low": [1.0, 1.02, 1.0, 1.02],
    }.items():
        assert ak.to_list(found[name].nominal) == pytest.approx(values)
    assert ak.to_list(found["ele_ID"].up) == pytest.approx([(1.1 * 0.97) ** n for n in range(4)])
    other = next(wanted({"LSF": {"ele_ID 2018": "wp90iso"}}, "w"))
    with pytest.raises(InputError, match="2018"):
        compute_weight(made(other, tmp_path)(params, {"year": "2017"}), events)


def test_low_momenta_have_their_own() -> None:
    given = {"mu_ID 2018_UL": "NUM_x", "mu_ID_low SF2D": "sf.histo.root"}
    both = {one.key: one.value for one in wanted({"LSF": given}, "w")}
    assert (both["mu_ID"].low, both["mu_ID"].high) == (30.0, math.inf)
    assert (both["mu_ID_low"].low, both["mu_ID_low"].high) == (0.0, 30.0)
    given = {"ele_Reco 2017": "RecoAbove20", "ele_Reco_low 2017": "RecoBelow20"}
    both = {one.key: one.value for one in wanted({"LSF": given}, "w")}
    assert (both["ele_Reco"].low, both["ele_Reco_low"].high) == (20.0, 20.0)
    (middle,) = wanted({"LSF": {"ele_Reco 2022": "Reco20to75"}}, "w")
    assert (middle.value.low, middle.value.high) == (20.0, 75.0)


def test_errors_of_histograms_are_part_of_them() -> None:
    given = {"ele_ID SF2D": "sf.histo.root", "ele_ID_error SF2D_error": "sf.histo.root"}
    assert [one.key for one in wanted({"LSF": given}, "w")] == ["ele_ID"]
    given["ele_ID_error SF2D_error"] = "other.root"
    with pytest.raises(InputError, match="the uncertainty of nothing"):
        list(wanted({"LSF": given}, "w"))


def test_constants_and_known_weights(folder: Path) -> None:
    one = made(Wanted("kfactor", 1.25, "w"), folder)
    data: Any = compute_weight(one({}, {}), leptons("MuonGood"))
    assert isinstance(data, WeightData)
    assert (one.name, data.nominal, one.has_variations) == ("kfactor", 1.25, False)
    assert made(Wanted("XS", None, "w"), folder) is KNOWN["XS"]
    assert made(Wanted("PU", None, "w"), folder) is Pileup


def test_equal_weights_have_equal_content() -> None:
    same = fingerprint(ScaleFactor("muon", "NUM_x", "2018"))
    assert same == fingerprint(ScaleFactor("muon", "NUM_x", "2018"))
    assert same != fingerprint(ScaleFactor("muon", "NUM_y", "2018"))
    assert fingerprint(Constant(1.0)) != fingerprint(Constant(2.0))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"LSF": "x.root"}, r"\['LSF'\] is 'x\.root': give"),
        ({"LSF": {"tau_ID 2018": "tight"}}, "begins with ele or mu"),
        ({"LSF": {"mu_ID": "tight"}}, "begins with ele or mu"),
        ({"LSF": {"mu_HLT 2017_UL": "NUM_IsoMu27"}}, "is about a trigger"),
        ({"LSF": {"mu_ID x": "Efficiency_muon.txt"}}, "text are not read"),
        ({"PU": "pu.pkl.gz"}, r"pickles and text.*None for the one of the parameters"),
        ({"kfactor": "0.5"}, r"is '0.5', a text: .*write 'kfactor': 0.5 without quotes"),
        ({"kfactor": "nan"}, "is not made out of files here"),
        ({"JMAR": {"PUJetID_eff": "L"}}, "pileup jet identification.*weights_config.JMAR"),
        ({"LSFF": {}}, r"Did you mean 'LSF'"),
        ({"genWeight": 2.0}, "takes no value"),
    ],
)
def test_what_cannot_be_translated_says_what_to_write(
    folder: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        all(made(one, folder) for one in wanted(given, "weights.common.inclusive"))


def test_files_that_are_not_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = Wanted("PU", "pu.json", "weights.common.inclusive['PU']")
    with pytest.raises(FileError, match=r"names pu\.json, which is neither in .* nor in"):
        made(wish, folder)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError) as told:
        made(wish, tmp_path)
    assert str(told.value).endswith(f"names pu.json, which is not in {tmp_path}. Write its path.")
    (tmp_path / "src" / "BTV" / "data" / "PU" / "UL17").mkdir(parents=True)
    (tmp_path / "src" / "BTV" / "data" / "PU" / "UL17" / "pu.json").touch()
    with pytest.raises(FileError, match=r"Did you mean 'src/BTV/data/PU/UL17/pu\.json'\?$"):
        made(wish, tmp_path)
    with pytest.raises(FileError, match=r"names /nowhere/pu\.json, which does not exist\.$"):
        made(Wanted("PU", "/nowhere/pu.json", "w"), tmp_path)


def test_nested_json_of_muons(tmp_path: Path) -> None:
    cells = {"pt:[2.0,10.0]": {"value": 0.9, "error": 0.1}}
    table = {"NUM_x": {"abseta_pt": {"abseta:[0.0,2.4]": cells}}}
    (tmp_path / "sf.histo.json").write_text(json.dumps(table))
    one = next(wanted({"LSF": {"mu_ID_low NUM_x": "sf.histo.json"}}, "w"))
    found = with_file(one, tmp_path).value
    assert (found.high, found.correction.name) == (30.0, "NUM_x")


def test_campaigns_without_corrections(folder: Path) -> None:
    (muon,) = wanted({"LSF": {"mu_ID 2017": "NUM_x"}}, "w")
    for one in (muon, Wanted("PU", None, "w")):
        with pytest.raises(InputError, match="no corrections of this campaign"):
            weight_class(one, one.key, known=KNOWN, folder=folder, corrections=False)
    (own,) = wanted({"LSF": {"mu_ID SF2D": "sf.histo.root"}}, "w")
    found = weight_class(
        with_file(own, folder), "mu_ID", known=KNOWN, folder=folder, corrections=False
    )
    assert found.name == "mu_ID"
