from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lazyana.analysis.calibrators import Calibrator
from lazyana.analysis.coffearunner.applied import Context, weighing
from lazyana.analysis.coffearunner.datasets import CAMPAIGNS
from lazyana.analysis.coffearunner.schema import Configuration
from lazyana.analysis.coffearunner.systematics import FULL, Corrected, corrected
from lazyana.analysis.cutlibrary import goldenJson
from lazyana.analysis.defaults import find_parameter, get_default_parameters, merge_parameters
from lazyana.analysis.jets_calibration import JetsCalibrator
from lazyana.errors import FileError, InputError

PARAMETERS = get_default_parameters()


class Rochester(Calibrator):
    name = "roccor"
    has_variations = True


def made(
    weights: dict[str, Any],
    folder: Path,
    said: list[str] | None = None,
    *,
    campaign: str = "2018_UL",
    changes: Any = None,
    **more: Any,
) -> Corrected:
    notices: list[str] = [] if said is None else said
    dataset = {"jsons": "x.json", "campaign": campaign, "year": "2018"}
    cfg = {"dataset": dataset, "workflow": object, "weights": {"common": {"inclusive": weights}}}
    given = Configuration.checked({**cfg, **more})
    parameters = merge_parameters(PARAMETERS, changes) if changes else PARAMETERS
    context = Context(folder, CAMPAIGNS[campaign], parameters, ("DY",), ("SR",), notices.append)
    return corrected(given, weighing(given, context), context)


def golden_of(found: Corrected, era: str) -> str:
    (change,) = found.parameters
    return str(change["lumi"]["goldenJSON"][era])


def test_lumi_masks_are_the_first_cut(tmp_path: Path) -> None:
    said: list[str] = []
    assert made({}, tmp_path, said).cuts == []
    assert any("all data count" in one for one in said)
    found = made({"lumiMask": None}, tmp_path)
    assert (found.cuts, found.parameters) == ([goldenJson], [])
    name = "Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON_MuonPhys.txt"
    found = made({"lumiMasks": name}, tmp_path)
    place = "${golden_json:Collisions18/13TeV/Legacy_2018," + name + "}"
    assert golden_of(found, "2018") == place
    own = {"lumi": {"goldenJSON": {"2018": f"/somewhere/{name}"}}}
    assert (
        golden_of(made({"lumiMask": name}, tmp_path, changes=own), "2018") == f"/somewhere/{name}"
    )
    (tmp_path / name).touch()
    assert golden_of(made({"lumiMask": name}, tmp_path), "2018") == str(tmp_path / name)


def test_campaigns_with_their_own_lumi_mask(tmp_path: Path) -> None:
    found = made({"lumiMask": None}, tmp_path, campaign="Rereco17_94X")
    assert "Cert_294927-306462_13TeV_EOY2017ReReco" in golden_of(found, "2017")


def test_lumi_masks_of_another_year(tmp_path: Path) -> None:
    name = "Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt"
    with pytest.raises(InputError, match=r"certifies data of 2018, but dataset\.campaign is of"):
        made({"lumiMask": name}, tmp_path, campaign="2017_UL")
    with pytest.raises(FileError, match="which is neither in"):
        made({"lumiMask": "lumi/mask.txt"}, tmp_path)


@pytest.mark.parametrize("key", ["lumiMask", "JME"])
def test_files_are_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match=rf"\['{key}'\] is 3: write the name of a file, or None"):
        made({key: 3}, tmp_path)


def test_jets_are_calibrated_where_jme_says_so(tmp_path: Path) -> None:
    assert made({}, tmp_path).sections["calibrators"] == []
    said: list[str] = []
    found = made({"JME": "jec_compiled.pkl.gz"}, tmp_path, said)
    assert found.sections["calibrators"] == [JetsCalibrator]
    assert found.sections["variations"]["shape"]["common"]["inclusive"] == []
    assert any("jec_compiled.pkl.gz are not read" in one for one in said)
    (tmp_path / "jec.json.gz").touch()
    found = made({"JME": "jec.json.gz"}, tmp_path)
    merged = merge_parameters(PARAMETERS, *found.parameters)
    place = ("jets_calibration.jet_types.AK4PFchs", "2018", "json_path")
    assert find_parameter(merged, *place) == str(tmp_path / "jec.json.gz")
    with pytest.raises(FileError, match=r"names no\.json"):
        made({"JME": "no.json"}, tmp_path)
    with pytest.raises(InputError, match="no jet corrections of this campaign"):
        made({"JME": None}, tmp_path, campaign="Rereco17_94X")


def test_variations_of_jets(tmp_path: Path) -> None:
    found = made({"JME": None}, tmp_path, systematic={"JERC": True})
    assert found.sections["variations"]["shape"]["common"]["inclusive"] == ["jet_calibration"]
    assert found.parameters == []
    found = made({"JME": None}, tmp_path, systematics={"isJERC": "split"})
    merged = merge_parameters(PARAMETERS, *found.parameters)
    split = find_parameter(merged, "jets_calibration.variations.AK4PFchs", "2018")
    assert "JES_Regrouped_BBEC1_2018" in split
    assert split == find_parameter(PARAMETERS, FULL, "AK4PFchs", "2018")
    with pytest.raises(InputError, match=r"systematic\.JERC is 'split', but no weights have JME"):
        made({}, tmp_path, systematic={"JERC": "split"})


def test_variations_of_weights(tmp_path: Path) -> None:
    weights = {"PU": None, "k": 1.5, "lumiMask": None}
    found = made(weights, tmp_path, systematic={"weights": True})
    assert found.sections["variations"]["weights"]["common"]["inclusive"] == ["pileup"]
    unvaried: tuple[dict[str, Any], ...] = ({}, {"systematic": {"weights": False}})
    for more in unvaried:
        found = made(weights, tmp_path, **more)
        assert found.sections["variations"]["weights"]["common"]["inclusive"] == []
    own = {"weights": {"common": {"inclusive": ["pileup"]}}}
    assert made(weights, tmp_path, variations=own).sections["variations"] == own
    with pytest.raises(InputError, match="keep one of them"):
        made(weights, tmp_path, variations=own, systematic={"weights": True})


def test_muons_need_a_calibrator_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no calibrator 'roccor'.*cfg\['calibrators'\]"):
        made({"roccor": None}, tmp_path)
    wish: dict[str, Any] = {"systematic": {"roccor": True}, "calibrators": [Rochester]}
    found = made({"roccor": None}, tmp_path, **wish)
    assert found.sections["calibrators"] == [Rochester]
    assert found.sections["variations"]["shape"]["common"]["inclusive"] == ["roccor"]
    with pytest.raises(InputError, match=r"systematic\.roccor is True, but no weights have roccor"):
        made({}, tmp_path, **wish)
    # Those that are listed are added to what the weights ask for.
    found = made({"JME": None, "roccor": None}, tmp_path, calibrators=[Rochester])
    assert found.sections["calibrators"] == [JetsCalibrator, Rochester]
