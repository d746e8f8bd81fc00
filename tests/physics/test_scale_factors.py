"""Scale factors find the inputs of a correction by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest

from lazyana.errors import InputError, RunError
from lazyana.physics.corrections import Correction, open_corrections
from lazyana.physics.scale_factors import (
    event_scale_factor,
    muon_scale_factor,
    object_scale_factor,
    pileup_weight,
)

TAGS = {"nominal": 0.0, "systup": 0.01, "systdown": -0.02}
MUONS = ak.Array(
    [
        [{"pt": 20.0, "eta": -2.0}, {"pt": 50.0, "eta": 0.5}],
        [],
        [{"pt": 119.0, "eta": 1.0}],
    ]
)
# By |eta| and pt of the muons above.
VALUES = [[0.98, 0.96], [], [0.96]]


def binned(name: str, edges: list[float], content: list[Any]) -> dict[str, Any]:
    return {
        "nodetype": "binning",
        "input": name,
        "edges": edges,
        "content": content,
        "flow": "error",
    }


def category(name: str, content: dict[str, Any]) -> dict[str, Any]:
    pairs = [{"key": key, "value": value} for key, value in content.items()]
    return {"nodetype": "category", "input": name, "content": pairs}


def write(path: Path, inputs: dict[str, str], data: Any) -> Correction:
    one = {
        "name": "sf",
        "version": 1,
        "inputs": [{"name": name, "type": kind} for name, kind in inputs.items()],
        "output": {"name": "value", "type": "real"},
        "data": data,
    }
    path.write_text(json.dumps({"schema_version": 2, "corrections": [one]}))
    return open_corrections(path)["sf"]


def in_eta_and_pt(eta: str, pt: str, shift: float) -> dict[str, Any]:
    rows = [
        binned(pt, [15.0, 40.0, 120.0], [first + shift, second + shift])
        for first, second in ((0.97, 0.96), (0.98, 0.95))
    ]
    return binned(eta, [0.0, 1.2, 2.4], rows)


def muon_pog(path: Path, eta: str = "abseta", pt: str = "pt", **tags: float) -> Correction:
    data = category("scale_factors", {t: in_eta_and_pt(eta, pt, s) for t, s in tags.items()})
    return write(path, {eta: "real", pt: "real", "scale_factors": "string"}, data)


def test_muons_of_each_event_are_multiplied(tmp_path: Path) -> None:
    nominal, up, down = muon_scale_factor(muon_pog(tmp_path / "sf.json", **TAGS), MUONS)
    for found, shift in ((nominal, 0.0), (up, 0.01), (down, -0.02)):
        assert np.allclose(ak.flatten(found), ak.flatten(ak.Array(VALUES)) + shift, rtol=1e-12)
        assert ak.num(found).tolist() == [2, 0, 1]
    events = event_scale_factor((nominal, up, down))
    assert events[0].tolist() == pytest.approx([0.98 * 0.96, 1.0, 0.96])
    assert events[1].tolist() == pytest.approx([0.99 * 0.97, 1.0, 0.97])
    assert events[2].tolist() == pytest.approx([0.96 * 0.94, 1.0, 0.94])


def test_missing_muons_do_not_count(tmp_path: Path) -> None:
    muons = ak.pad_none(MUONS, 2)
    nominal, _, _ = event_scale_factor(
        muon_scale_factor(muon_pog(tmp_path / "sf.json", **TAGS), muons)
    )
    assert nominal.tolist() == pytest.approx([0.98 * 0.96, 1.0, 0.96])


@pytest.mark.parametrize("names", [("abseta", "pt"), ("probe_abseta", "probe_pt")])
def test_inputs_go_by_several_names(tmp_path: Path, names: tuple[str, str]) -> None:
    nominal, _, _ = muon_scale_factor(muon_pog(tmp_path / "sf.json", *names, **TAGS), MUONS)
    assert nominal.tolist() == VALUES


def test_signed_eta_stays_signed(tmp_path: Path) -> None:
    correction = muon_pog(tmp_path / "sf.json", "eta", **TAGS)
    with pytest.raises(RunError, match=r"eta -2 to 1"):
        muon_scale_factor(correction, MUONS)
    nominal, _, _ = muon_scale_factor(correction, MUONS, out_of_range="one")
    assert nominal.tolist() == [[1.0, 0.96], [], [0.96]]


@pytest.mark.parametrize("year", [None, "2018_UL"])
def test_older_files_know_their_year(tmp_path: Path, year: str | None) -> None:
    tags = {"sf": 0.0, "systup": 0.01, "systdown": -0.02}
    of_tag = {tag: in_eta_and_pt("abseta", "pt", shift) for tag, shift in tags.items()}
    tree = category("year", {"2018_UL": category("ValType", of_tag)})
    inputs = {"year": "string", "abseta": "real", "pt": "real", "ValType": "string"}
    correction = write(tmp_path / "sf.json", inputs, tree)
    assert muon_scale_factor(correction, MUONS, year=year)[0].tolist() == VALUES
    with pytest.raises(InputError, match=r"no year '2018'.*2018_UL"):
        muon_scale_factor(correction, MUONS, year="2018")


def test_year_is_asked_for_where_there_are_several(tmp_path: Path) -> None:
    tags = category("ValType", {"sf": 1.0, "systup": 1.1, "systdown": 0.9})
    tree = category("year", {"2017_UL": tags, "2018_UL": tags})
    correction = write(tmp_path / "sf.json", {"year": "string", "ValType": "string"}, tree)
    with pytest.raises(InputError, match=r"year: one of 2017_UL, 2018_UL"):
        object_scale_factor(correction, {})


def test_other_texts_are_given_by_name(tmp_path: Path) -> None:
    points = {
        point: category("syst", {"nominal": at, "up": at + 0.25, "down": at - 0.25})
        for point, at in (("wp80", 0.5), ("wp90", 0.75))
    }
    inputs = {"WorkingPoint": "string", "syst": "string"}
    correction = write(tmp_path / "sf.json", inputs, category("WorkingPoint", points))
    found = object_scale_factor(correction, {}, texts={"workingpoint": "wp90"})
    assert found == (0.75, 1.0, 0.5)
    with pytest.raises(InputError, match=r"one text.*WorkingPoint, syst"):
        object_scale_factor(correction, {})


def test_input_that_is_not_known_is_named(tmp_path: Path) -> None:
    correction = muon_pog(tmp_path / "sf.json", "abseta", "momentum", **TAGS)
    with pytest.raises(InputError, match=r"'momentum'.*pt, eta, abseta"):
        muon_scale_factor(correction, MUONS)


def test_correction_without_variations_is_refused(tmp_path: Path) -> None:
    correction = muon_pog(tmp_path / "sf.json", nominal=0.0)
    with pytest.raises(InputError, match=r"no up or systup or sfup for 'scale_factors'.*nominal"):
        muon_scale_factor(correction, MUONS)


def test_pileup_of_the_last_bin_holds_beyond(tmp_path: Path) -> None:
    weights = {
        tag: binned("NumTrueInteractions", [0.0, 1.0, 2.0], [0.5 + shift, 1.5 + shift])
        for tag, shift in (("nominal", 0.0), ("up", 0.25), ("down", -0.25))
    }
    inputs = {"NumTrueInteractions": "real", "weights": "string"}
    correction = write(tmp_path / "pu.json", inputs, category("weights", weights))
    nominal, up, down = pileup_weight(correction, ak.Array([0.5, 1.0, 7.0]))
    assert nominal.tolist() == [0.5, 1.5, 1.5]
    assert up.tolist() == [0.75, 1.75, 1.75]
    assert down.tolist() == [0.25, 1.25, 1.25]


def test_real_pileup_file(real_data: Path) -> None:
    path, name = (
        real_data / "corrections" / "puWeights2025.json.gz",
        "Collisions25_Prompt_goldenJSON",
    )
    number = np.linspace(0, 99.9, 1000)
    found = pileup_weight(open_corrections(path)[name], ak.Array(number))
    reference = correctionlib.CorrectionSet.from_file(str(path))[name]
    for values, tag in zip(found, ("nominal", "up", "down"), strict=True):
        assert np.array_equal(values, reference.evaluate(number, tag))
    assert not np.array_equal(found[0], found[1])


def test_other_corrections_are_no_pileup(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no weight of pileup: its inputs are abseta, pt"):
        pileup_weight(muon_pog(tmp_path / "sf.json", **TAGS), ak.Array([1.0]))
