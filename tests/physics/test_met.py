"""Missing momentum against plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from correctionlib import schemav2
from omegaconf import OmegaConf

from lazyana.errors import FileError, InputError
from lazyana.physics.met import met_correction_after_jec, met_xy_correction

PARAMS: dict[str, Any] = {
    "MET_xy": {
        "MC": {"2018": [[0.18, 0.5], [0.19, -0.4]]},
        "Data": {"2018": {"A": [[0.26, -1.9], [0.04, -0.1]]}},
    }
}


def events_of(pt: Any, phi: Any, vertices: Any) -> ak.Array:
    count = len(pt)
    return ak.Array(
        {
            "MET": ak.zip({"pt": pt, "phi": phi}),
            "PV": ak.zip({"npvs": vertices, "npvsGood": vertices}),
            "run": np.arange(count),
        }
    )


EVENTS = events_of(ak.Array([10.0, 0.0, 250.0]), ak.Array([0.1, 2.0, -3.0]), ak.Array([5, 20, 60]))


def corrected(events: Any, ax: float, bx: float, ay: float, by: float) -> tuple[Any, Any]:
    pt, phi, n = (
        ak.to_numpy(each).astype(float) for each in (events.MET.pt, events.MET.phi, events.PV.npvs)
    )
    vector = pt * np.exp(1j * phi) - (ax * n + bx + 1j * (ay * n + by))
    return np.abs(vector), np.angle(vector)


@pytest.mark.parametrize("params", [PARAMS, OmegaConf.create(PARAMS)])
@pytest.mark.parametrize(
    ("era", "numbers"), [("MC", (0.18, 0.5, 0.19, -0.4)), ("A", (0.26, -1.9, 0.04, -0.1))]
)
def test_shift_grows_with_the_vertices(params: Any, era: str, numbers: Any) -> None:
    found = met_xy_correction(params, EVENTS, "MET", "2018", era)
    for one, expected in zip(found, corrected(EVENTS, *numbers), strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-12)


def test_no_events_and_missing_ones() -> None:
    pt, phi = met_xy_correction(PARAMS, EVENTS[:0], "MET", "2018", "MC")
    assert len(pt) == len(phi) == 0
    holes = events_of(ak.Array([10.0, None, 250.0]), EVENTS.MET.phi, EVENTS.PV.npvs)
    found = met_xy_correction(PARAMS, holes, "MET", "2018", "MC")[0]
    assert ak.is_none(found).to_list() == [False, True, False]


def test_lazy_events_give_the_same(same: Callable[..., ak.Array]) -> None:
    def angle(events: Any) -> Any:
        return met_xy_correction(PARAMS, events, "MET", "2018", "MC")[1]

    assert ak.std(same(angle)) > 1


@pytest.mark.parametrize(
    ("year", "era", "words"),
    [
        ("2017", "MC", r"MET_xy\.MC has no '2017'.*2018"),
        ("2018", "E", r"MET_xy\.Data\.2018 has no 'E'.*There are: A"),
    ],
)
def test_what_is_not_there_is_named(year: str, era: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        met_xy_correction(PARAMS, EVENTS, "MET", year, era)


# -- files -----------------------------------------------------------------------------------


def file_of(folder: Path, formulas: dict[str, str], inputs: dict[str, Any]) -> Path:
    corrections = [
        schemav2.Correction(
            name=name,
            version=1,
            inputs=[schemav2.Variable(name=one, type=kind) for one, kind in inputs.items()],
            output=schemav2.Variable(name="out", type="real"),
            data=schemav2.Formula(
                nodetype="formula",
                parser="TFormula",
                expression=formula,
                variables=["met_pt", "met_phi", "npvs"],
            ),
        )
        for name, formula in formulas.items()
    ]
    path = folder / "met.json"
    content = schemav2.CorrectionSet(schema_version=2, corrections=corrections)
    path.write_text(content.model_dump_json(exclude_unset=True))
    return path


X, Y = "(x*cos(y)-(0.18*z+0.5))", "(x*sin(y)-(0.19*z-0.4))"
INPUTS = {"met_pt": "real", "met_phi": "real", "npvs": "real", "run": "real"}


@pytest.fixture
def from_file(tmp_path: Path) -> dict[str, Any]:
    formulas = {"pt_mc": f"sqrt({X}^2+{Y}^2)", "phi_mc": f"atan2({Y},{X})"}
    path = file_of(tmp_path, formulas, INPUTS)
    given = {"file": str(path), "MC": {"pt": "pt_mc", "phi": "phi_mc"}}
    return {"MET_xy": {"JSONfiles": {"2018": given}}}


def test_files_come_first(from_file: dict[str, Any]) -> None:
    both = {"MET_xy": {**PARAMS["MET_xy"], "MC": {}, **from_file["MET_xy"]}}
    found = met_xy_correction(both, EVENTS, "MET", "2018", "MC")
    for one, expected in zip(found, corrected(EVENTS, 0.18, 0.5, 0.19, -0.4), strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-12)


def test_files_on_lazy_events(from_file: dict[str, Any], same: Callable[..., ak.Array]) -> None:
    def momentum(events: Any) -> Any:
        return met_xy_correction(from_file, events, "MET", "2018", "MC")[0]

    assert ak.all(same(momentum) >= 0)


def test_files_may_ask_for_texts(tmp_path: Path) -> None:
    path = file_of(tmp_path, {"xy": "x"}, {"pt_phi": "string", "met_type": "string", **INPUTS})
    given = {"file": str(path), "Data": {"pt": "xy", "phi": "xy"}, "texts": {"met_type": "MET"}}
    params: dict[str, Any] = {"MET_xy": {"JSONfiles": {"2018": given}}}
    assert met_xy_correction(params, EVENTS, "MET", "2018", "A")[0].to_list() == [10, 0, 250]
    del given["texts"]
    with pytest.raises(InputError, match=r"function of 'met_type'.*2018|texts\.met_type"):
        met_xy_correction(params, EVENTS, "MET", "2018", "A")


def test_file_and_correction_have_to_be_there(from_file: dict[str, Any]) -> None:
    given = from_file["MET_xy"]["JSONfiles"]["2018"]
    given["MC"]["phi"] = "phi_mcc"
    with pytest.raises(InputError, match=r"no correction 'phi_mcc'.*'phi_mc'"):
        met_xy_correction(from_file, EVENTS, "MET", "2018", "MC")
    with pytest.raises(InputError, match=r"no 'Data'"):
        met_xy_correction(from_file, EVENTS, "MET", "2018", "A")
    given["file"] = "nowhere.json"
    with pytest.raises(FileError, match=r"nowhere\.json"):
        met_xy_correction(from_file, EVENTS, "MET", "2018", "MC")


# -- after calibrating jets ------------------------------------------------------------------


def test_what_jets_gained_is_taken_from_the_missing_momentum(
    objects: Callable[..., ak.Array],
) -> None:
    before = objects(pt=[[50.0, 30.0], [], [20.0]], phi=[[0.3, -2.0], [], [1.0]])
    after = ak.with_field(before, before.pt * 1.1, "pt")
    found = met_correction_after_jec(EVENTS, "MET", before, after)
    gained = ak.sum(0.1 * before.pt * np.exp(1j * before.phi), axis=1)
    vector = ak.to_numpy(EVENTS.MET.pt * np.exp(1j * EVENTS.MET.phi) - gained)
    np.testing.assert_allclose(found["pt"], np.abs(vector), rtol=1e-9)
    np.testing.assert_allclose(found["phi"][[0, 2]], np.angle(vector)[[0, 2]], rtol=1e-9)
    same = met_correction_after_jec(EVENTS, "MET", before, before)
    np.testing.assert_allclose(same["pt"], EVENTS.MET.pt, rtol=1e-12)


def test_calibrated_jets_of_lazy_events(same: Callable[..., ak.Array]) -> None:
    def momentum(events: Any) -> Any:
        jets = events.Jet
        return met_correction_after_jec(
            events, "MET", jets, ak.with_field(jets, jets.pt * 1.05, "pt")
        )["pt"]

    assert ak.all(same(momentum) >= 0)
