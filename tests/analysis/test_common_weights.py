"""The common weights on the embedded sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest
from omegaconf import OmegaConf

import lazyana as la
from lazyana.analysis.classes import by_name
from lazyana.analysis.common_weights import common_weights
from lazyana.analysis.defaults import get_default_parameters, merge_parameters
from lazyana.analysis.view import EventsView
from lazyana.analysis.weights import WeightWrapper, apply_weights, compute_weight
from lazyana.errors import FileError, InputError
from lazyana.toy.corrections import toy_parameters, write_corrections
from lazyana.toy.leptons import muon_scale_factor, pileup_weight

METADATA = {"year": "2018", "sample": "DYJetsToLL", "isMC": True, "xsec": 6077.22}
KNOWN = by_name(common_weights, WeightWrapper, "weight")


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("corrections")
    write_corrections(directory)
    changes = OmegaConf.create(toy_parameters(directory, luminosity=50.0))
    # The isolation of the generator; the default is a looser one.
    iso = {"2018": {"iso": "NUM_TightRelIso_DEN_TightIDandIPCut"}}
    changes.lepton_scale_factors.muon_sf.sf_name = iso
    return merge_parameters(get_default_parameters(), changes, update=True)


@pytest.fixture(scope="module")
def good(dy_frame: la.Events) -> la.Events:
    muons = dy_frame.Muon
    return dy_frame.define(MuonGood=muons[(muons.pt > 20) & (abs(muons.eta) < 2.4)])


def test_common_weights_have_the_names_configurations_use() -> None:
    assert tuple(KNOWN) == (
        *("genWeight", "signOf_genWeight", "lumi", "XS", "pileup", "sf_mu_id", "sf_mu_iso"),
    )
    assert all(weight.isMC_only for weight in common_weights)
    varied = [weight.name for weight in common_weights if weight.has_variations]
    assert varied == ["pileup", "sf_mu_id", "sf_mu_iso"]


def compute(name: str, params: Any, events: Any, metadata: Any = METADATA) -> Any:
    return compute_weight(KNOWN[name](params, metadata), events)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("genWeight", lambda e: e.genWeight),
        ("signOf_genWeight", lambda e: np.sign(e.genWeight)),
        ("pileup", lambda e: pileup_weight(e.Pileup.nTrueInt)),
        ("sf_mu_id", lambda e: ak.prod(muon_scale_factor("id", e.pt, e.eta), axis=1)),
        ("sf_mu_iso", lambda e: ak.prod(muon_scale_factor("iso", e.pt, e.eta), axis=1)),
    ],
)
def test_values_are_those_of_the_generator(
    params: Any, good: la.Events, value: Callable[..., Any], name: str, expected: Any
) -> None:
    of = good.MuonGood if name.startswith("sf") else good
    found = value(good, compute(name, params, EventsView(good)).nominal)
    assert np.allclose(found, value(good, expected(of)), rtol=1e-6)


@pytest.mark.parametrize("name", ["sf_mu_id", "sf_mu_iso"])
def test_variations_are_around_nominal(
    params: Any, good: la.Events, value: Callable[..., Any], name: str
) -> None:
    data = compute(name, params, EventsView(good))
    nominal, up, down = (value(good, one) for one in (data.nominal, data.up, data.down))
    assert ak.all((down <= nominal) & (nominal <= up))
    assert ak.sum(down < up) > 50


def test_pileup_is_that_of_the_file(
    params: Any, good: la.Events, value: Callable[..., Any]
) -> None:
    data = compute("pileup", params, EventsView(good))
    given = params.pileupJSONfiles["2018"]
    reference = correctionlib.CorrectionSet.from_file(given.file)[given.name]
    number = value(good, good.Pileup.nTrueInt)
    for column, tag in ((data.nominal, "nominal"), (data.up, "up"), (data.down, "down")):
        assert ak.array_equal(value(good, column), reference.evaluate(number, tag))


def test_events_in_memory_have_the_same_weights(
    params: Any, good: la.Events, dy_events: ak.Array, value: Callable[..., Any]
) -> None:
    muons = dy_events.Muon
    events = ak.with_field(dy_events, muons[(muons.pt > 20) & (abs(muons.eta) < 2.4)], "MuonGood")
    for name in ("pileup", "sf_mu_id"):
        found = value(good, compute(name, params, EventsView(good)).up)
        assert ak.array_equal(found, compute(name, params, events).up, dtype_exact=False)


def test_luminosity_and_cross_section_are_numbers(params: Any, dy_frame: la.Events) -> None:
    assert compute("lumi", params, dy_frame).nominal == 50.0
    assert compute("XS", params, dy_frame).nominal == 6077.22
    assert compute("XS", params, dy_frame, {**METADATA, "xsec": "12.5"}).nominal == 12.5


def test_luminosity_of_other_years_is_that_of_the_defaults(params: Any) -> None:
    other = {**METADATA, "year": "2016_PostVFP"}
    assert compute("lumi", params, None, other).nominal == 16810.0
    with pytest.raises(InputError, match=r"lumi\.picobarns.*2019"):
        compute("lumi", params, None, {**METADATA, "year": "2019"})


def test_cross_sections_of_several_datasets_are_a_column(
    params: Any, toy_files: dict[str, Any], run: Callable[..., Any]
) -> None:
    frame = la.open({name: toy_files[name] for name in ("DYJetsToLL", "TTTo2L2Nu")})
    shared = {key: value for key, value in METADATA.items() if key != "xsec"}
    for metadata in (shared, frame.metadata):
        events = apply_weights(frame, ["XS"], KNOWN, params, metadata)
        for name, found in run(events.sum()).value.items():
            entries = la.open({name: toy_files[name]}).entries
            xsec = float(toy_files[name]["metadata"]["xsec"])
            assert found["nominal"] == pytest.approx(entries * xsec)


def test_all_weights_together(params: Any, good: la.Events, run: Callable[..., Any]) -> None:
    names = [weight.name for weight in common_weights if weight.name != "signOf_genWeight"]
    events = apply_weights(good, names, KNOWN, params, METADATA, varied=["pileup", "sf_mu_id"])
    assert events.variations == ("pileupUp", "pileupDown", "sf_mu_idUp", "sf_mu_idDown")
    found = run(events.sum()).value["DYJetsToLL"]
    assert len(set(found.values())) == 5
    assert found["sf_mu_idDown"] < found["nominal"] < found["sf_mu_idUp"]


def test_missing_correction_file_is_named_with_its_parameter(dy_frame: la.Events) -> None:
    with pytest.raises(FileError, match=r"pileupJSONfiles\.2018\.file: .*puWeights\.json\.gz"):
        compute("pileup", get_default_parameters(), dy_frame)


def test_muons_out_of_range_can_be_allowed(
    params: Any, dy_frame: la.Events, run: Callable[..., Any], tmp_path: Path
) -> None:
    everything = dy_frame.define(MuonGood=dy_frame.Muon)
    data = compute("sf_mu_id", params, EventsView(everything))
    with pytest.raises(la.errors.RunError, match=r"NUM_TightID.*not defined.*out_of_range"):
        run(everything.sum(data.nominal))
    clamped = OmegaConf.create(OmegaConf.to_container(params, resolve=False))
    clamped.lepton_scale_factors.muon_sf.out_of_range = "clamp"
    data = compute("sf_mu_id", clamped, EventsView(everything))
    assert run(everything.sum(data.nominal)).value["DYJetsToLL"]["nominal"] > 0
