"""Uncertainties and resolution of the jet energy are those of the JetMET POG's files."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest

import lazyana as la
from lazyana.errors import InputError
from lazyana.physics.corrections import CorrectionFile, open_corrections
from lazyana.physics.energy import (
    jer_factors,
    jer_of,
    jes_factors,
    jes_source,
    jes_sources,
    jes_uncertainty,
    jet_radius,
)
from lazyana.toy import corrections as toy

TAG, JETS = "Summer20UL18NanoV15_V1_MC", "AK4PFPuppi"


@pytest.fixture(scope="module")
def path(real_data: Path) -> Path:
    return real_data / "corrections" / "jet_jerc_2018UL.json.gz"


@pytest.fixture(scope="module")
def file(path: Path) -> CorrectionFile:
    return open_corrections(path)


@pytest.fixture(scope="module")
def reference(path: Path) -> correctionlib.CorrectionSet:
    return correctionlib.CorrectionSet.from_file(str(path))


def test_sources_are_uncertainties_and_no_levels(file: CorrectionFile) -> None:
    sources = jes_sources(file, TAG, JETS)
    assert {"Total", "FlavorQCD", "Regrouped_Absolute_2018", "Regrouped_Total"} <= set(sources)
    assert not {"L1FastJet", "L2Relative", "L3Absolute", "L2L3Residual"} & set(sources)
    assert len(sources) == len(set(sources)) == 68
    assert jes_sources(file, TAG, "AK8PFPuppi") == ()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((TAG, "Totl", JETS), r"'Totl' for AK4PFPuppi.*Did you mean 'Total'.*FlavorQCD"),
        ((TAG, "L2Relative", JETS), r"no uncertainty.*'L2Relative'"),
        ((TAG, "Total", "AK4PFchs"), rf"AK4PFchs.*{TAG} for AK4PFPuppi"),
        (
            ("Summer19UL18_V5_MC", "Total", JETS),
            rf"Summer19UL18_V5_MC.*those of: {TAG} for {JETS}\.",
        ),
    ],
)
def test_what_is_not_there_is_named(
    file: CorrectionFile, given: tuple[str, str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        jes_source(file, *given)


@pytest.mark.parametrize("source", ["Total", "Regrouped_FlavorQCD"])
def test_uncertainty_is_that_of_correctionlib(
    file: CorrectionFile, reference: Any, source: str
) -> None:
    pt = ak.Array([[30.0, 100.0, 1000.0], [], [15.0]])
    eta = ak.Array([[0.1, -2.5, 1.5], [], [4.6]])
    found = jes_uncertainty(jes_source(file, TAG, source, JETS), pt, eta)
    flat = reference[f"{TAG}_{source}_{JETS}"].evaluate(
        ak.to_numpy(ak.flatten(eta)), ak.to_numpy(ak.flatten(pt))
    )
    assert ak.to_list(found) == ak.to_list(ak.unflatten(flat, [3, 0, 1]))
    assert ak.all((found != 0) & (abs(found) < 0.2))


def test_jets_beyond_the_last_bin_are_not_shifted_by_999(file: CorrectionFile) -> None:
    source = jes_source(file, TAG, "Total", JETS)
    pt, eta = ak.Array([[40.0, 40.0, 40.0]]), ak.Array([[5.39, 5.6, -7.0]])
    inside, beyond, behind = jes_uncertainty(source, pt, eta)[0]
    assert beyond == inside
    assert 0 < behind < 0.2
    assert jes_uncertainty(source, pt, eta, out_of_range="error")[0, 1] == -999


def test_factors_are_around_one_in_the_precision_of_nanoaod(file: CorrectionFile) -> None:
    source = jes_source(file, TAG, "Total", JETS)
    pt = ak.values_astype(ak.Array([[40.0, None], [], None]), np.float32)
    eta = ak.values_astype(ak.Array([[1.0, 2.0], [], None]), np.float32)
    up, down = jes_factors(source, pt, eta)
    uncertainty = float(jes_uncertainty(source, pt, eta)[0, 0])
    assert up.tolist() == [[float(np.float32(1 + uncertainty)), None], [], None]
    assert down.tolist() == [[float(np.float32(1 - uncertainty)), None], [], None]
    assert (pt * up)[0].type.content.content.primitive == "float32"


def test_lazy_jets_give_the_same(
    file: CorrectionFile, toy_files: dict[str, Any], value: Callable[..., Any]
) -> None:
    events = la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})
    source = jes_source(file, TAG, "Total", JETS)
    up, down = jes_factors(source, events.Jet.pt, events.Jet.eta)
    pt, eta = value(events, events.Jet.pt), value(events, events.Jet.eta)
    assert ak.array_equal(value(events, up), jes_factors(source, pt, eta)[0])
    assert ak.array_equal(value(events, down), jes_factors(source, pt, eta)[1])
    assert ak.count(pt) > 500


# -- resolution ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toy_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write_corrections(tmp_path_factory.mktemp("corrections"))["jerc"]


def hashed(state: int) -> int:
    """SplitMix64, in whole numbers of Python."""
    state = (state + 0x9E3779B97F4A7C15) % 2**64
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
    return state ^ state >> 31


def normal(salt: str, *numbers: int) -> float:
    state = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "little")
    for number in numbers:
        state = hashed(state ^ number)
    return NormalDist().inv_cdf(((state >> 11) + 0.5) / 2**53)


def hybrid(events: Any, file: Any, tag: str, jet_type: str, shift: str) -> list[list[float]]:
    """The factors, one jet after the other."""
    resolution, factor = (
        file[f"{tag}_{what}_{jet_type}"] for what in ("PtResolution", "ScaleFactor")
    )
    identities, jets, gen_jets, rhos = (
        ak.to_list(each)
        for each in (
            ak.zip([events.run, events.luminosityBlock, events.event]),
            ak.zip([events.Jet[name] for name in ("pt", "eta", "phi")]),
            ak.zip([events.GenJet[name] for name in ("pt", "eta", "phi")]),
            events.fixedGridRhoFastjetAll,
        )
    )
    found = []
    for identity, inside, generated, rho in zip(identities, jets, gen_jets, rhos, strict=True):
        factors = []
        for index, (pt, eta, phi) in enumerate(inside):
            r, s = resolution.evaluate(eta, pt, rho), factor.evaluate(eta, shift)
            near = []
            for gen_pt, gen_eta, gen_phi in generated:
                dr = math.hypot(eta - gen_eta, math.remainder(phi - gen_phi, 2 * math.pi))
                if dr < 0.2 and abs(pt - gen_pt) < 3 * r * pt:
                    near.append((dr, gen_pt))
            if near:
                c = 1 + (s - 1) * (pt - min(near)[1]) / pt
            else:
                random = normal(f"JER-{jet_type}", *identity, index)
                c = 1 + random * r * math.sqrt(max(s * s - 1, 0))
            factors.append(max(c, 0.01 / (pt * math.cosh(eta))))
        found.append(factors)
    return found


def smeared(events: Any, resolution: Any) -> Any:
    return jer_factors(resolution, events.Jet, events.GenJet, events.fixedGridRhoFastjetAll, events)


@pytest.mark.parametrize("which", ["toy", "real"])
def test_jets_are_smeared_by_the_hybrid_method(
    which: str, request: pytest.FixtureRequest, eager_events: ak.Array
) -> None:
    path = request.getfixturevalue("toy_path" if which == "toy" else "path")
    jet_type = toy.JETS if which == "toy" else JETS
    file = correctionlib.CorrectionSet.from_file(str(path))
    events = eager_events[:150]
    factors = smeared(events, jer_of(open_corrections(path), toy.JER, jet_type))
    for found, shift in zip(factors, ("nom", "up", "down"), strict=True):
        assert "float32" in str(found.type)
        expected = ak.Array(hybrid(events, file, toy.JER, jet_type, shift))
        np.testing.assert_allclose(ak.flatten(found), ak.flatten(expected), rtol=3e-6)
    assert ak.count(factors[0]) > 300
    assert 0.005 < ak.std(factors[0]) < 0.3


def test_smearing_is_the_same_for_lazy_events(
    toy_path: Path, same: Callable[..., ak.Array]
) -> None:
    resolution = jer_of(open_corrections(toy_path), toy.JER, toy.JETS)
    up = same(lambda events: smeared(events, resolution)[1])
    assert ak.count(up) > 300


def one_event(objects: Any, pt: Any, gen_pt: Any, distance: float = 0.0) -> Any:
    ones = ak.Array([1] * len(pt))
    return ak.Array({"run": ones, "luminosityBlock": ones, "event": ones}), (
        objects(pt=pt, eta=[[0.5] * len(each) for each in pt]),
        objects(pt=gen_pt, eta=[[0.5 + distance] * len(each) for each in gen_pt]),
        ak.Array([20.0] * len(pt)),
    )


def test_partners_are_near_in_direction_and_momentum(
    toy_path: Path, objects: Callable[..., ak.Array]
) -> None:
    resolution = jer_of(open_corrections(toy_path), toy.JER, toy.JETS)
    factors = {}
    for name, gen_pt, distance in (
        ("near", [[90.0]], 0.19), ("far", [[90.0]], 0.21), ("soft", [[50.0]], 0.0),
        ("none", [[]], 0.0), ("exact", [[100.0]], 0.0),
    ):  # fmt: skip
        events, given = one_event(objects, [[100.0]], gen_pt, distance)
        factors[name] = float(jer_factors(resolution, *given, events)[0][0, 0])
    scale = toy.DATA.jet_smear / toy.SIMULATION.jet_smear
    assert factors["near"] == pytest.approx(1 + (scale - 1) * 0.1, rel=1e-6)
    assert factors["exact"] == 1
    assert factors["far"] == factors["soft"] == factors["none"] != 1


def test_no_jets_missing_jets_and_no_events(
    toy_path: Path, objects: Callable[..., ak.Array]
) -> None:
    resolution = jer_of(open_corrections(toy_path), toy.JER, toy.JETS)
    events, (jets, gen, rho) = one_event(objects, [[100.0, 50.0], [], [30.0]], [[99.0], [], []])
    holes = ak.mask(jets, jets.pt != 50.0)
    full, missing = (jer_factors(resolution, each, gen, rho, events)[0] for each in (jets, holes))
    assert missing.to_list() == [[full[0, 0], None], [], [full[2, 0]]]
    assert len(jer_factors(resolution, jets[:0], gen[:0], rho[:0], events[:0])[0]) == 0


def test_a_jet_keeps_some_energy(tmp_path: Path, objects: Callable[..., ak.Array]) -> None:
    content = file_of({"ScaleFactor": 9.0, "SFUncertainty": 0.5, "PtResolution": 0.4})
    resolution = jer_of(written(tmp_path, content), "T", "AK4PFPuppi")
    events, given = one_event(objects, [[100.0]], [[180.0]])
    assert float(jer_factors(resolution, *given, events)[0][0, 0]) == pytest.approx(
        0.01 / (100 * math.cosh(0.5)), rel=1e-6
    )


def file_of(values: dict[str, Any]) -> dict[str, Any]:
    """Constants as a correction set; a mapping is by ``systematic``."""
    inputs = [{"name": "JetEta", "type": "real"}, {"name": "JetPt", "type": "real"}]
    corrections = []
    for name, value in values.items():
        data: Any = value
        own = list(inputs)
        if isinstance(value, dict):
            own.append({"name": "systematic", "type": "string"})
            keys = [{"key": key, "value": one} for key, one in value.items()]
            data = {"nodetype": "category", "input": "systematic", "content": keys}
        corrections.append(
            {
                "name": f"T_{name}_AK4PFPuppi",
                "version": 1,
                "inputs": own,
                "output": {"name": "out", "type": "real"},
                "data": data,
            }
        )
    return {"schema_version": 2, "corrections": corrections}


def written(folder: Path, content: dict[str, Any]) -> CorrectionFile:
    path = folder / "jet_jerc.json"
    path.write_text(json.dumps(content))
    return open_corrections(path)


def test_uncertainty_of_the_scale_factor_may_be_a_correction_of_its_own(
    tmp_path: Path, objects: Callable[..., ak.Array]
) -> None:
    events, given = one_event(objects, [[100.0, 60.0]], [[95.0]])
    one, other = (
        jer_factors(
            jer_of(written(tmp_path, file_of({"PtResolution": 0.1, **values})), "T", "AK4PFPuppi"),
            *given,
            events,
        )
        for values in (
            {"ScaleFactor": {"nom": 1.25, "up": 1.5, "down": 1.0}},
            {"ScaleFactor": 1.25, "SFUncertainty": 0.25},
        )
    )
    for first, second in zip(one, other, strict=True):
        assert first.to_list() == second.to_list()
    assert other[2].to_list() == [[1.0, 1.0]]
    assert other[1][0, 0] == pytest.approx(1 + 0.5 * 0.05)


@pytest.mark.parametrize(
    ("tag", "jet_type", "words"),
    [
        ("Summer19UL18_JRV3_MC", toy.JETS, rf"AK4PFchs under Summer19UL18_JRV3_MC.*{toy.JER} for"),
        (toy.JER, "AK8PFPuppi", rf"no resolution.*AK8PFPuppi.*It has those of: {toy.JER} for"),
    ],
)
def test_resolution_that_is_not_there_is_named(
    toy_path: Path, tag: str, jet_type: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        jer_of(open_corrections(toy_path), tag, jet_type)


def test_scale_factor_has_an_uncertainty(tmp_path: Path) -> None:
    file = written(tmp_path, file_of({"PtResolution": 0.1, "ScaleFactor": 1.1}))
    with pytest.raises(InputError, match=r"no correction 'T_SFUncertainty_AK4PFPuppi'"):
        jer_of(file, "T", "AK4PFPuppi")


def test_radius_is_in_the_name() -> None:
    assert [jet_radius(name) for name in ("AK4PFchs", "AK8PFPuppi", "AK15Puppi")] == [0.4, 0.8, 1.5]
    with pytest.raises(InputError, match="does not say its radius"):
        jet_radius("Jet")
