"""Uncertainties of the jet energy scale are those of the JetMET POG's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest

import lazyana as la
from lazyana.errors import InputError
from lazyana.physics.corrections import CorrectionFile, open_corrections
from lazyana.physics.energy import jes_factors, jes_source, jes_sources, jes_uncertainty

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
