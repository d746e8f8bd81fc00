"""Jets smeared and varied, against plain arithmetic on the same events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest

import lazyana as la
from lazyana.analysis.calibrators import Calibrator, apply_calibrators
from lazyana.analysis.classes import by_name
from lazyana.analysis.config import Analysis
from lazyana.analysis.cuts import Context
from lazyana.analysis.defaults import get_default_parameters, merge_parameters
from lazyana.analysis.jets_calibration import JetsCalibrator, default_calibrators_sequence
from lazyana.errors import FileError, InputError
from lazyana.physics.corrections import open_corrections
from lazyana.physics.energy import jer_factors, jer_of, jes_factors, jes_source
from lazyana.toy import corrections as toy

TAG, RESOLUTION = "Summer20UL18NanoV15_V1_MC", "Summer19UL18_JRV2_MC"
UP, DOWN = "AK4PFchs_JES_TotalUp", "AK4PFchs_JES_TotalDown"
JER_UP, JER_DOWN = "AK4PFchs_JERUp", "AK4PFchs_JERDown"


def jet_parameters(path: Path, *sources: str, smeared: bool = False) -> dict[str, Any]:
    """Parameters of jets calibrated by a real file."""
    tags = {"json_path": str(path), "jec_mc": TAG, "jer": RESOLUTION}
    return {
        "jets_calibration": {
            "jet_types": {"AK4PFPuppi": {"2018": tags}},
            "collection": {"2018": {"AK4PFPuppi": "Jet"}},
            "apply_jer_MC": {"2018": {"AK4PFPuppi": smeared}},
            "variations": {"AK4PFPuppi": {"2018": list(sources)}},
        }
    }


def of_jets(params: Any) -> Context:
    return Context(params, "2018", "DYJetsToLL", True)


@pytest.fixture(scope="module")
def jerc(real_data: Path) -> Path:
    return real_data / "corrections" / "jet_jerc_2018UL.json.gz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corrections")
    toy.write_corrections(path)
    return path


@pytest.fixture(scope="module")
def params(folder: Path) -> Any:
    """The default parameters with the files of the sample."""
    return merge_parameters(get_default_parameters(), toy.toy_parameters(folder))


def without_smearing(params: Any) -> Any:
    return merge_parameters(
        params, {"jets_calibration": {"apply_jer_MC": {"2018": {"AK4PFchs": False}}}}
    )


def test_default_sequence() -> None:
    assert list(by_name(default_calibrators_sequence, Calibrator, "calibrator")) == [
        "jet_calibration"
    ]


# -- scale -----------------------------------------------------------------------------------


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


def test_only_what_is_made_of_jets_is_computed_again(params: Any, dy_frame: la.Events) -> None:
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
    given = jet_parameters(jerc, "JES_Total", "JER", smeared=True)
    frame, labels = apply_calibrators(la.open(fileset), [JetsCalibrator], of_jets(given))
    plain = la.open(fileset)
    pt, eta = value(plain, plain.Jet.pt), value(plain, plain.Jet.eta)
    file = open_corrections(jerc)
    jer = jer_factors(
        jer_of(file, RESOLUTION, "AK4PFPuppi"),
        plain.Jet,
        plain.GenJet,
        plain.fixedGridRhoFastjetAll,
        plain,
    )
    nominal, jer_up, jer_down = (value(plain, factor) * pt for factor in jer)
    up, down = jes_factors(jes_source(file, TAG, "Total", "AK4PFPuppi"), nominal, eta)
    expected = {
        "nominal": nominal,
        "AK4PFPuppi_JES_TotalUp": nominal * up,
        "AK4PFPuppi_JES_TotalDown": nominal * down,
        "AK4PFPuppi_JERUp": jer_up,
        "AK4PFPuppi_JERDown": jer_down,
    }
    assert labels["jet_calibration"] == tuple(expected)[1:]
    for label, one in expected.items():
        assert ak.array_equal(value(frame, frame.Jet.pt, label), one)


# -- resolution ------------------------------------------------------------------------------


def test_default_parameters_with_the_files_of_the_sample(
    params: Any, dy_frame: la.Events, value: Callable[..., Any]
) -> None:
    frame, labels = apply_calibrators(dy_frame, default_calibrators_sequence, of_jets(params))
    assert labels == {"jet_calibration": (UP, DOWN, JER_UP, JER_DOWN)}
    nominal, higher, lower = (value(frame, frame.Jet.pt, v) for v in ("nominal", UP, DOWN))
    assert ak.all((lower < nominal) & (nominal < higher) & (higher < 1.2 * nominal))


def test_smeared_jets_follow_the_factors(
    params: Any, folder: Path, dy_frame: la.Events, dy_events: ak.Array, value: Callable[..., Any]
) -> None:
    frame, _ = apply_calibrators(dy_frame, default_calibrators_sequence, of_jets(params))
    file = open_corrections(folder / "JME" / toy.PERIOD / "jet_jerc.json.gz")
    factors = jer_factors(
        jer_of(file, toy.JER, toy.JETS),
        dy_events.Jet,
        dy_events.GenJet,
        dy_events.fixedGridRhoFastjetAll,
        dy_events,
    )
    for label, factor in zip(("nominal", JER_UP, JER_DOWN), factors, strict=True):
        for field in ("pt", "mass"):
            found = value(frame, frame.Jet[field], label)
            assert ak.array_equal(found, dy_events.Jet[field] * factor)
    nominal, up, down = (ak.std(factor) for factor in factors)
    assert down < nominal < up


def test_smearing_does_not_depend_on_partitions(
    params: Any, dy_frame: la.Events, run: Callable[..., Any]
) -> None:
    frame, _ = apply_calibrators(dy_frame, default_calibrators_sequence, of_jets(params))
    columns = frame.columns({"pt": frame.Jet.pt})
    tables = [run(columns, partition_size=size).value for size in (37, 600)]
    for label in ("nominal", JER_UP):
        one, other = (table.to_awkward("DYJetsToLL", label).pt for table in tables)
        assert ak.array_equal(one, other)


def test_jets_that_are_not_smeared_are_not_varied_by_it(
    params: Any, dy_frame: la.Events, dy_events: ak.Array, value: Callable[..., Any]
) -> None:
    context = of_jets(without_smearing(params))
    frame, labels = apply_calibrators(dy_frame, default_calibrators_sequence, context)
    assert labels == {"jet_calibration": (UP, DOWN)}
    assert ak.array_equal(value(frame, frame.Jet.pt), dy_events.Jet.pt)


def test_density_of_pileup_may_be_in_a_collection(
    jerc: Path, dy_frame: la.Events, value: Callable[..., Any]
) -> None:
    context = of_jets(jet_parameters(jerc, smeared=True))
    rho = dy_frame.fixedGridRhoFastjetAll
    found = []
    for factor in (None, 1, 2):
        events = dy_frame
        if factor is not None:
            events = events.define(Rho=ak.zip({"fixedGridRhoFastjetAll": factor * rho}))
        frame, _ = apply_calibrators(events, [JetsCalibrator], context)
        found.append(value(frame, frame.Jet.pt))
    assert ak.array_equal(found[0], found[1])
    assert not ak.array_equal(found[0], found[2])


# -- where it is applied ---------------------------------------------------------------------


def test_jets_are_calibrated_unless_told_otherwise(
    configuration: Callable[..., dict[str, Any]],
) -> None:
    shape = {"shape": {"bysample": {"DYJetsToLL": {"inclusive": ["jet_calibration"]}}}}
    for changes, applied in (
        ({}, [JetsCalibrator]),
        ({"variations": shape}, [JetsCalibrator]),
        ({"calibrators": []}, []),
    ):
        assert [*Analysis(**configuration(**changes)).calibrators.values()] == applied
    with pytest.raises(InputError, match="calibrator 'jet_calibration', which does not exist"):
        Analysis(**configuration(calibrators=[], variations=shape))


# -- mistakes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["JES_Totl"], r"'Totl' for AK4PFPuppi.*Did you mean 'Total'"),
        (["Total"], r"variations\.AK4PFPuppi\.2018 lists 'Total'.*JER and JES_<source>"),
        (["JERR"], r"lists 'JERR'.*Did you mean 'JER'"),
    ],
)
def test_unknown_sources_are_named(
    jerc: Path, dy_frame: la.Events, names: list[str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        apply_calibrators(dy_frame, [JetsCalibrator], of_jets(jet_parameters(jerc, *names)))


def test_sorting_is_refused(params: Any, dy_frame: la.Events) -> None:
    sort = {"jets_calibration": {"sort_by_pt": {"2018": {toy.JETS: True}}}}
    with pytest.raises(InputError, match=r"sort_by_pt\.2018\.AK4PFchs is true, .*events\.Jet\.pt"):
        apply_calibrators(dy_frame, [JetsCalibrator], of_jets(merge_parameters(params, sort)))


@pytest.mark.parametrize("wanted", [None, [], ["another_calibrator"]])
def test_missing_file_is_named_with_what_wants_it(
    dy_frame: la.Events, wanted: list[str] | None
) -> None:
    context = of_jets(get_default_parameters())
    with pytest.raises(
        FileError, match=r"(?s)AK4PFchs of 2018 cannot be smeared: .*json_path.*apply_jer_MC.*false"
    ):
        apply_calibrators(dy_frame, default_calibrators_sequence, context, wanted)


def test_file_without_the_resolution_is_named(params: Any, dy_frame: la.Events) -> None:
    tags = {"jet_types": {toy.JETS: {"2018": {"jer": "Summer19UL18_JRV3_MC"}}}}
    other = merge_parameters(params, {"default_jets_calibration": tags})
    with pytest.raises(InputError, match=rf"smeared: .*JRV3.*{toy.JER}.*apply_jer_MC\.2018"):
        apply_calibrators(dy_frame, default_calibrators_sequence, of_jets(other))


def test_year_without_jets_is_named(params: Any, dy_frame: la.Events) -> None:
    with pytest.raises(InputError, match=r"jets_calibration\.collection\.2019"):
        apply_calibrators(
            dy_frame, default_calibrators_sequence, Context(params, "2019", "DYJetsToLL", True)
        )


@pytest.mark.parametrize("wanted", [[], ["another_calibrator"]])
def test_file_is_not_needed_where_nothing_is_smeared_or_varied(
    dy_frame: la.Events, wanted: list[str]
) -> None:
    context = of_jets(without_smearing(get_default_parameters()))
    frame, labels = apply_calibrators(dy_frame, default_calibrators_sequence, context, wanted)
    assert frame is dy_frame
    assert labels == {"jet_calibration": ()}


def test_data_need_no_file(muon_frame: la.Events) -> None:
    context = Context(get_default_parameters(), "2018", "SingleMuon", False)
    frame, labels = apply_calibrators(muon_frame, default_calibrators_sequence, context)
    assert frame is muon_frame
    assert labels == {"jet_calibration": ()}
