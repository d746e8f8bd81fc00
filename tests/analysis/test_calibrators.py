"""Calibrators: order, declared columns, variations; jets against plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest

import lazyana as la
from lazyana.analysis.calibrators import (
    Calibrator,
    JetsCalibrator,
    apply_calibrators,
    calibrators_by_name,
    default_calibrators,
)
from lazyana.analysis.cuts import Context
from lazyana.analysis.defaults import get_default_parameters, merge_parameters
from lazyana.errors import FileError, InputError, InputTypeError
from lazyana.physics.corrections import open_corrections
from lazyana.physics.energy import jes_factors, jes_source
from lazyana.toy.corrections import toy_parameters, write_corrections

MC = Context({}, "2018", "DYJetsToLL", True)
DATA = Context({}, "2018", "SingleMuon", False)
TAG = "Summer20UL18NanoV15_V1_MC"


class Scale(Calibrator):
    """Muon momenta times 2; 4 and 1 when varied."""

    name = "scale"
    has_variations = True
    calibrated_collections = ("Muon.pt",)
    factors: Mapping[str, float] = {"nominal": 2.0, "muon_scaleUp": 4.0, "muon_scaleDown": 1.0}

    def initialize(self, events: Any) -> None:
        self._variations = [label for label in self.factors if label != "nominal"]

    def calibrate(
        self,
        events: Any,
        orig_colls: Mapping[str, Any],
        variation: str,
        already_applied_calibrators: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        return {"Muon.pt": events.Muon.pt * self.factors[variation]}


class Sum(Calibrator):
    """MET as the sum of what the muons are now and what they were."""

    name = "sum"
    calibrated_collections = ("MET",)

    def calibrate(
        self,
        events: Any,
        orig_colls: Mapping[str, Any],
        variation: str,
        already_applied_calibrators: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        assert already_applied_calibrators == ("scale",)
        now, before = (ak.sum(muons.pt, axis=1) for muons in (events.Muon, orig_colls["Muon"]))
        met = ak.with_field(events.MET, now, "pt")
        return {"MET": ak.with_field(met, before, "sumEt")}


# -- the classes -----------------------------------------------------------------------------


def test_calibrators_are_known_by_name_in_order() -> None:
    assert list(calibrators_by_name([Sum, Scale])) == ["sum", "scale"]
    assert list(calibrators_by_name(default_calibrators)) == ["jet_calibration"]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([Scale()], InputTypeError, "not their instances"),
        (["jet_calibration"], InputTypeError, "'jet_calibration' is no calibrator"),
        ([type("Nameless", (Calibrator,), {})], InputError, "Nameless has no name"),
        ([Scale, Scale], InputError, "Two calibrators are called 'scale'"),
    ],
)
def test_other_things_are_no_calibrators(given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        calibrators_by_name(given)


def test_variations_are_there_where_they_are_wanted() -> None:
    for wanted, labels in ((True, ("muon_scaleUp", "muon_scaleDown")), (False, ())):
        calibrator = Scale(do_variations=wanted)
        calibrator.initialize(None)
        assert calibrator.variations == labels


def test_calibrator_has_to_say_what_it_does(dy_frame: la.Events) -> None:
    silent = type("Silent", (Calibrator,), {"name": "silent"})
    with pytest.raises(InputError, match=r"Silent does not say.*def calibrate"):
        apply_calibrators(dy_frame, [silent], MC)


# -- applying --------------------------------------------------------------------------------


def test_columns_and_variations(
    dy_frame: la.Events, dy_events: ak.Array, value: Callable[..., Any]
) -> None:
    frame, labels = apply_calibrators(dy_frame, [Scale], MC)
    assert labels == {"scale": ("muon_scaleUp", "muon_scaleDown")}
    assert frame.variations == ("muon_scaleUp", "muon_scaleDown")
    for variation, factor in Scale.factors.items():
        found = value(frame, frame.Muon.pt, variation)
        assert ak.array_equal(found, dy_events.Muon.pt * factor, dtype_exact=False)
    assert ak.array_equal(value(frame, frame.Muon.eta), dy_events.Muon.eta)


def test_later_calibrators_see_what_earlier_ones_made(
    dy_frame: la.Events, dy_events: ak.Array, value: Callable[..., Any]
) -> None:
    frame, labels = apply_calibrators(dy_frame, [Scale, Sum], MC)
    assert labels["sum"] == ()
    total = ak.sum(dy_events.Muon.pt, axis=1)
    for variation, factor in Scale.factors.items():
        found = value(frame, frame.MET.pt, variation)
        assert np.allclose(found, factor * total, rtol=1e-5)
    assert np.allclose(value(frame, frame.MET.sumEt), total, rtol=1e-5)


@pytest.mark.parametrize(
    ("wanted", "labels"),
    [
        (None, ("muon_scaleUp", "muon_scaleDown")),
        (["scale"], ("muon_scaleUp", "muon_scaleDown")),
        (["muon_scale"], ("muon_scaleUp", "muon_scaleDown")),
        (["muon_scaleDown"], ("muon_scaleDown",)),
        (["jet_calibration"], ()),
        ([], ()),
    ],
)
def test_wanted_variations(
    dy_frame: la.Events, wanted: list[str] | None, labels: tuple[str, ...]
) -> None:
    frame, found = apply_calibrators(dy_frame, [Scale], MC, wanted)
    assert frame.variations == found["scale"] == labels


def test_data_are_calibrated_but_not_varied(
    muon_frame: la.Events, muon_events: ak.Array, value: Callable[..., Any]
) -> None:
    of_mc = type("OfMC", (Sum,), {"name": "mc", "isMC_only": True})
    frame, labels = apply_calibrators(muon_frame, [of_mc, Scale], DATA)
    assert labels == {"mc": (), "scale": ()}
    assert frame.variations == ()
    assert ak.array_equal(value(frame, frame.Muon.pt), 2 * muon_events.Muon.pt)
    assert ak.array_equal(value(frame, frame.MET.pt), muon_events.MET.pt)


def test_what_initialize_puts_into_the_events_stays(
    dy_frame: la.Events, dy_events: ak.Array, value: Callable[..., Any]
) -> None:
    class Keeping(Scale):
        def initialize(self, events: Any) -> None:
            super().initialize(events)
            events["Muon", "pt_original"] = events.Muon.pt

    frame, _ = apply_calibrators(dy_frame, [Keeping], MC)
    assert ak.array_equal(value(frame, frame.Muon.pt_original), dy_events.Muon.pt)
    assert ak.array_equal(value(frame, frame.Muon.pt), 2 * dy_events.Muon.pt)


def test_metadata_of_the_datasets_is_at_hand(dy_frame: la.Events) -> None:
    seen = {}

    class Looking(Calibrator):
        name = "looking"

        def calibrate(self, events: Any, orig_colls: Any, variation: str, *_: Any) -> Any:
            seen.update(year=self.metadata["year"], xsec=self.metadata["xsec"])
            return {}

    apply_calibrators(dy_frame, [Looking], MC)
    assert seen["year"] == "2018"
    assert seen["xsec"] == dy_frame.metadata["xsec"]


def changed(**members: Any) -> type[Calibrator]:
    return type("Changed", (Scale,), members)


@pytest.mark.parametrize(
    ("calibrator", "error", "words"),
    [
        (
            changed(calibrated_collections=("Muon.eta", "Jet")),
            InputError,
            r"'scale' \(nominal\) changes 'Muon\.pt'.*Muon\.eta, Jet",
        ),
        (changed(calibrate=lambda *_: None), InputTypeError, r"returned a NoneType"),
        (changed(factors={"nominal": 1.0, "shifted": 2.0}), InputError, r"'shifted'.*shiftedUp"),
        (
            changed(
                calibrated_collections=("Muon", "Jet"),
                calibrate=lambda _, events, orig, variation, applied: (
                    {("Jet.pt" if variation == "muon_scaleUp" else "Muon.pt"): events.Jet.pt}
                    if variation != "nominal"
                    else {}
                ),
            ),
            InputError,
            r"does not change Muon\.pt in shift 'up' of 'muon_scale'",
        ),
    ],
)
def test_wrong_calibrators_are_refused(
    dy_frame: la.Events, calibrator: type[Calibrator], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        apply_calibrators(dy_frame, [calibrator], MC)


# -- jets ------------------------------------------------------------------------------------


def jet_parameters(path: Path, *sources: str) -> dict[str, Any]:
    types = {"AK4PFPuppi": {"2018": {"json_path": str(path), "jec_mc": TAG}}}
    return {
        "jets_calibration": {
            "jet_types": types,
            "collection": {"2018": {"AK4PFPuppi": "Jet"}},
            "variations": {"AK4PFPuppi": {"2018": list(sources)}},
        }
    }


def of_jets(params: Any) -> Context:
    return Context(params, "2018", "DYJetsToLL", True)


@pytest.fixture(scope="module")
def jerc(real_data: Path) -> Path:
    return real_data / "corrections" / "jet_jerc_2018UL.json.gz"


def test_jets_are_shifted_by_the_uncertainty_of_the_file(
    jerc: Path, dy_frame: la.Events, dy_events: ak.Array, value: Callable[..., Any]
) -> None:
    sources = ("Total", "Regrouped_FlavorQCD")
    params = jet_parameters(jerc, *(f"JES_{source}" for source in sources), "JER")
    frame, labels = apply_calibrators(dy_frame, [JetsCalibrator], of_jets(params))
    expected = [f"AK4PFPuppi_JES_{source}{side}" for source in sources for side in ("Up", "Down")]
    assert labels == {"jet_calibration": tuple(expected)}
    jets = dy_events.Jet
    for field in ("pt", "mass"):
        assert ak.array_equal(value(frame, frame.Jet[field]), jets[field])
    reference = correctionlib.CorrectionSet.from_file(str(jerc))
    for source in sources:
        u = reference[f"{TAG}_{source}_AK4PFPuppi"].evaluate(jets.eta, jets.pt)
        for side, sign in (("Up", 1), ("Down", -1)):
            factor = ak.values_astype(1 + sign * u, np.float32)
            for field in ("pt", "mass"):
                found = value(frame, frame.Jet[field], f"AK4PFPuppi_JES_{source}{side}")
                assert ak.array_equal(found, jets[field] * factor)
    assert ak.count(jets.pt) > 500


def test_only_what_is_made_of_jets_is_computed_again(jerc: Path, dy_frame: la.Events) -> None:
    params = jet_parameters(jerc, "JES_Total")
    frame, _ = apply_calibrators(dy_frame, [JetsCalibrator], of_jets(params))
    for column, touched in ((frame.Jet.pt, True), (frame.Jet.eta, False), (frame.MET.pt, False)):
        counted = ak.sum(column > 30, axis=1) if column.ndim == 2 else column
        (group,) = la.explain(frame.sum(counted)).groups
        assert bool(any(group.recomputed.values())) is touched


def test_variations_agree_on_the_real_file(
    jerc: Path, real_data: Path, value: Callable[..., Any]
) -> None:
    path = real_data / "nanoaod" / "nano_dy.root"
    fileset = {"dy": {"files": {str(path): "Events"}, "metadata": {"is_mc": True}}}
    frame, _ = apply_calibrators(
        la.open(fileset), [JetsCalibrator], of_jets(jet_parameters(jerc, "JES_Total"))
    )
    plain = la.open(fileset)
    pt, eta = value(plain, plain.Jet.pt), value(plain, plain.Jet.eta)
    source = jes_source(open_corrections(jerc), TAG, "Total", "AK4PFPuppi")
    up, down = jes_factors(source, pt, eta)
    assert ak.array_equal(value(frame, frame.Jet.pt, "AK4PFPuppi_JES_TotalUp"), pt * up)
    assert ak.array_equal(value(frame, frame.Jet.pt, "AK4PFPuppi_JES_TotalDown"), pt * down)
    assert ak.all(up >= 1)
    assert ak.all(down <= 1)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["JES_Totl"], r"'Totl' for AK4PFPuppi.*Did you mean 'Total'"),
        (["Total"], r"variations\.AK4PFPuppi\.2018 lists 'Total'.*JES_<source>"),
    ],
)
def test_unknown_sources_are_named(
    jerc: Path, dy_frame: la.Events, names: list[str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        apply_calibrators(dy_frame, [JetsCalibrator], of_jets(jet_parameters(jerc, *names)))


def test_default_parameters_with_the_files_of_the_sample(
    tmp_path: Path, dy_frame: la.Events, value: Callable[..., Any]
) -> None:
    write_corrections(tmp_path)
    params = merge_parameters(get_default_parameters(), toy_parameters(tmp_path), update=True)
    frame, labels = apply_calibrators(dy_frame, default_calibrators, of_jets(params))
    up, down = "AK4PFchs_JES_TotalUp", "AK4PFchs_JES_TotalDown"
    assert labels == {"jet_calibration": (up, down)}
    nominal, higher, lower = (value(frame, frame.Jet.pt, v) for v in ("nominal", up, down))
    assert ak.all((lower < nominal) & (nominal < higher) & (higher < 1.2 * nominal))


def test_missing_file_is_named_with_its_parameter(dy_frame: la.Events) -> None:
    params = get_default_parameters()
    with pytest.raises(FileError, match=r"jets_calibration\.jet_types.*json_path"):
        apply_calibrators(dy_frame, default_calibrators, of_jets(params))


@pytest.mark.parametrize("wanted", [[], ["another_calibrator"]])
def test_file_is_not_needed_where_no_variation_is_wanted(
    dy_frame: la.Events, wanted: list[str]
) -> None:
    context = of_jets(get_default_parameters())
    frame, labels = apply_calibrators(dy_frame, default_calibrators, context, wanted)
    assert frame is dy_frame
    assert labels == {"jet_calibration": ()}


def test_data_need_no_file(muon_frame: la.Events) -> None:
    context = Context(get_default_parameters(), "2018", "SingleMuon", False)
    frame, labels = apply_calibrators(muon_frame, default_calibrators, context)
    assert frame is muon_frame
    assert labels == {"jet_calibration": ()}
