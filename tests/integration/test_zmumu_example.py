"""The example Z → μμ gives what plain awkward gives, on generated and on real files.

Everything between the two rulers of `=` knows nothing of the package: it reads with NanoEvents,
selects with awkward, corrects with correctionlib and fills with hist.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import hist
import numpy as np
import pytest
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
from coffea.util import load

import lazyana as la
from lazyana.analysis.calibrators import Calibrator
from lazyana.analysis.config import Analysis
from lazyana.analysis.defaults import merge_parameters
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.analysis.jets_calibration import JetsCalibrator
from lazyana.analysis.run import run
from lazyana.toy.corrections import write_corrections
from lazyana.toy.inputs import write_inputs

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).parents[2] / "examples"
DY, DATA = "DYJetsToLL_M-50_2018", "DATA_SingleMuon_2018_EraA"
SAMPLES = {DY: "DYJetsToLL", DATA: "DATA_SingleMuon"}

# ====================================================================================== by hand

XSEC = 6077.22
MUON_SHIFT = 0.02
FILTERS = (
    *("goodVertices", "globalSuperTightHalo2016Filter", "HBHENoiseFilter", "HBHENoiseIsoFilter"),
    *("EcalDeadCellTriggerPrimitiveFilter", "BadPFMuonFilter"),
)
BINS: dict[str, tuple[int, float, float]] = {
    "MuonGood_eta_1": (50, -2.5, 2.5),
    "MuonGood_pt_1": (50, 0, 200),
    "MuonGood_phi_1": (32, -np.pi, np.pi),
    "JetGood_eta_1": (50, -5, 5),
    "JetGood_pt_1": (50, 0, 300),
    "JetGood_phi_1": (32, -np.pi, np.pi),
    "nJets": (8, 0, 8),
    "mll": (100, 50, 150),
    "every_jet": (3000, 0, 300),
}
FINE = "every_jet"  # not of the example: finer, so that few events show a variation


@cache
def corrections_of(path: Path) -> Any:
    return correctionlib.CorrectionSet.from_file(str(path))


@dataclass(frozen=True)
class Inputs:
    """Files of the events and of the corrections, and what is in the latter called how."""

    files: Mapping[str, list[str]]
    golden: Path
    pileup: tuple[Path, str]
    muon: Path
    jes: tuple[Path, str]
    jes_label: str
    lumi: float

    def correction(self, where: tuple[Path, str]) -> Any:
        return corrections_of(where[0])[where[1]]

    @cached_property
    def certified(self) -> Any:
        return json.loads(self.golden.read_text())


@dataclass
class Expected:
    """What a dataset gives: numbers of events, sums of weights and histograms by variation."""

    initial: int = 0
    skim: int = 0
    sum_genweights: float = 0.0
    sum_signs: float = 0.0
    selected: dict[str, int] = field(default_factory=dict)
    sumw: dict[str, float] = field(default_factory=dict)
    sumw2: dict[str, float] = field(default_factory=dict)
    histograms: dict[tuple[str, str], Any] = field(default_factory=dict)

    def fill(self, label: str, columns: Mapping[str, Any], weight: Any) -> None:
        """Add selected events; None in a column is not filled."""
        self.sumw[label] = self.sumw.get(label, 0.0) + float(weight.sum())
        self.sumw2[label] = self.sumw2.get(label, 0.0) + float((weight**2).sum())
        for name, bins in BINS.items():
            objects = ak.drop_none(ak.singletons(columns[name])) if name != FINE else columns[name]
            one = hist.Hist(hist.axis.Regular(*bins), storage=hist.storage.Weight())
            filled = self.histograms.setdefault((name, label), one)
            weights = np.repeat(weight, ak.to_numpy(ak.num(objects)))
            filled.fill(ak.to_numpy(ak.flatten(objects)), weight=weights)


def by_hand(dataset: str, inputs: Inputs) -> Expected:
    """Everything a dataset gives, file by file."""
    found = Expected()
    is_mc = dataset == DY
    for path in inputs.files[dataset]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            events = NanoEventsFactory.from_root(
                {path: "Events"}, schemaclass=NanoAODSchema, mode="virtual"
            ).events()
        found.initial += len(events)
        if is_mc:
            generated = np.asarray(events.genWeight, dtype=np.float64)
            found.sum_genweights += generated.sum()
            found.sum_signs += np.sign(generated).sum()
        events = skimmed(events, inputs, is_mc)
        found.skim += len(events)
        for label, muons, jets in worlds(events, inputs, is_mc):
            select(events, label, muons, jets, inputs, found, is_mc)
    return found


def skimmed(events: Any, inputs: Inputs, is_mc: bool) -> Any:
    keep = (events.PV.npvsGood >= 1) & ak.any(events.Muon.pt >= 18, axis=1) & events.HLT.IsoMu24
    for name in FILTERS if is_mc else (*FILTERS, "eeBadScFilter"):
        keep = keep & events.Flag[name]
    if not is_mc:
        sections = zip(events.run.tolist(), events.luminosityBlock.tolist(), strict=True)
        certified = [
            any(first <= section <= last for first, last in inputs.certified.get(str(run), []))
            for run, section in sections
        ]
        keep = keep & np.array(certified)
    return events[keep]


def worlds(events: Any, inputs: Inputs, is_mc: bool) -> Iterator[tuple[str, Any, Any]]:
    """The muons and jets of each shape variation."""
    muons, jets = events.Muon, events.Jet
    yield "nominal", muons, jets
    if not is_mc:
        return
    for side, sign in (("Up", 1), ("Down", -1)):
        flat = ak.flatten(jets)
        source = inputs.correction(inputs.jes)
        values = {"JetEta": flat.eta, "JetPt": flat.pt}
        shift = source.evaluate(*(np.asarray(values[one.name]) for one in source.inputs))
        factor = ak.unflatten((1 + sign * shift).astype(np.float32), ak.num(jets))
        moved = ak.with_field(jets, jets.pt * factor, "pt")
        yield f"{inputs.jes_label}{side}", muons, ak.with_field(moved, jets.mass * factor, "mass")
        moved = ak.with_field(muons, muons.pt * np.float32(1 + sign * MUON_SHIFT), "pt")
        yield f"muon_scale{side}", moved, jets


def select(
    events: Any, label: str, muons: Any, jets: Any, inputs: Inputs, found: Expected, is_mc: bool
) -> None:
    """Good objects, two muons, histograms."""
    muons = muons[
        (muons.pt > 15) & (abs(muons.eta) < 2.4) & muons.tightId & (muons.pfRelIso04_all < 0.25)
    ]
    electrons = events.Electron
    supercluster = abs(electrons.eta + electrons.deltaEtaSC)
    in_gap = (supercluster >= 1.4442) & (supercluster <= 1.5660)
    electrons = electrons[
        (electrons.pt > 15) & (abs(electrons.eta) < 2.4) & ~in_gap & electrons.mvaFall17V2Iso_WP80
    ]
    jets = jets[
        (jets.pt > 30)
        & (abs(jets.eta) < 2.4)
        & (jets.jetId >= 2)
        & ((jets.puId >= 4) | (jets.pt >= 50))
    ]
    for leptons in (muons, electrons):
        jets = jets[ak.all(jets.metric_table(leptons) > 0.4, axis=2)]
    two = (ak.num(muons) == 2) & (ak.num(electrons) == 0)
    events, muons, jets = events[two], muons[two], jets[two]
    pair = muons[:, 0] + muons[:, 1]
    keep = (pair.charge == 0) & (muons[:, 0].pt > 25) & (pair.mass > 25) & (pair.mass < 2000)
    events, muons, jets, pair = events[keep], muons[keep], jets[keep], pair[keep]
    first = {"MuonGood": muons[:, 0], "JetGood": ak.firsts(jets)}
    columns = {
        f"{name}_{one}_1": objects[one]
        for name, objects in first.items()
        for one in ("eta", "pt", "phi")
    } | {"nJets": ak.num(jets), "mll": pair.mass, FINE: jets.pt}
    weights = simulated(events, muons, inputs) if is_mc else {"nominal": np.ones(len(events))}
    if label != "nominal":
        weights = {label: weights["nominal"]}
    for name, weight in weights.items():
        found.selected[name] = found.selected.get(name, 0) + len(events)
        found.fill(name, columns, weight)


def simulated(events: Any, muons: Any, inputs: Inputs) -> dict[str, Any]:
    """The weights of simulation, nominal and varied."""
    pileup_of = inputs.correction(inputs.pileup)
    # This correction is as wide as its bins: the last ones hold for all beyond.
    n_true = np.clip(np.asarray(events.Pileup.nTrueInt, dtype=np.float64), 0, 98.9)

    def factor(kind: str, shift: str) -> Any:
        if kind == "pileup":
            return pileup_of.evaluate(n_true, shift)
        of_muons = inputs.correction((inputs.muon, kind))
        each = of_muons.evaluate(
            np.asarray(ak.flatten(abs(muons.eta))),
            np.asarray(ak.flatten(muons.pt)),
            {"up": "systup", "down": "systdown"}.get(shift, shift),
        )
        return np.prod(each.reshape(-1, 2), axis=1)

    kinds = {
        "pileup": "pileup",
        "sf_mu_id": "NUM_TightID_DEN_TrackerMuons",
        "sf_mu_iso": "NUM_LooseRelIso_DEN_TightIDandIPCut",
    }
    start = np.asarray(events.genWeight, dtype=np.float64) * inputs.lumi * XSEC
    nominal = {name: factor(kind, "nominal") for name, kind in kinds.items()}
    found = {"nominal": start * np.prod(list(nominal.values()), axis=0)}
    for name, kind in kinds.items():
        for side in ("Up", "Down"):
            factors = {**nominal, name: factor(kind, side.lower())}
            found[f"{name}{side}"] = start * np.prod(list(factors.values()), axis=0)
    return found


# ================================================================================ by the example


class MuonScale(Calibrator):
    """Momenta of muons, up and down."""

    name = "muon_scale"
    has_variations = True
    isMC_only = True  # noqa: N815  (the name that calibrators have)
    calibrated_collections = ("Muon.pt",)

    def initialize(self, events: Any) -> None:
        self._variations = ("muon_scaleUp", "muon_scaleDown")

    def calibrate(
        self, events: Any, orig_colls: Any, variation: str, already_applied_calibrators: Any = None
    ) -> dict[str, Any]:
        sign = {"muon_scaleUp": 1, "muon_scaleDown": -1}.get(variation, 0)
        return {"Muon.pt": events.Muon.pt * (1 + sign * MUON_SHIFT)}


@dataclass(frozen=True)
class Case:
    """The example on some files."""

    inputs: Inputs
    analysis: Analysis
    folder: Path

    def run(self, **options: Any) -> Any:
        return run(self.analysis, **{"executor": "sync", "progress": False, **options}).output

    @cached_property
    def output(self) -> Any:
        """What the example writes."""
        self.run(folder=self.folder / "output")
        return load(str(self.folder / "output" / "output_all.coffea"))


def module_of(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"example_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def varied(configuration: Analysis) -> Analysis:
    """The example with variations of the shape, and with momenta of jets in fine bins.

    Jets are not smeared: that takes random numbers.
    """
    sections = dict(configuration._sections)
    shapes = {"common": {"inclusive": ["jet_calibration", "muon_scale"]}}
    sections["variations"] = {**sections["variations"], "shape": shapes}
    jets = Axis("pt", bins=3000, start=0, stop=300, coll="JetGood")
    sections["variables"] = {**sections["variables"], FINE: HistConf([jets])}
    smeared = {"apply_jer_MC": {"2018": {"AK4PFchs": False, "AK4PFPuppi": False}}}
    sections["parameters"] = merge_parameters(sections["parameters"], {"jets_calibration": smeared})
    return Analysis(**sections, calibrators=[JetsCalibrator, MuonScale])


@pytest.fixture(scope="module")
def generated(
    toy_files: dict[str, Any],
    example_copy: Callable[[str], Path],
    configured: Callable[[Path], Analysis],
) -> Case:
    folder = example_copy("zmumu")
    corrections = write_corrections(folder / "corrections")
    write_inputs(folder, toy_files, folder / "corrections")
    inputs = Inputs(
        {DY: [*toy_files["DYJetsToLL"]["files"]], DATA: [*toy_files["SingleMuon"]["files"]]},
        corrections["golden"],
        (corrections["pileup"], "Collisions18_UltraLegacy_goldenJSON"),
        corrections["muon"],
        (corrections["jerc"], "Summer19UL18_V5_MC_Total_AK4PFchs"),
        "AK4PFchs_JES_Total",
        toy_files["SingleMuon"]["metadata"]["lumi"],
    )
    return Case(inputs, varied(configured(folder / "example_config.py")), folder)


@pytest.fixture(scope="module")
def real(
    real_data: Path,
    example_copy: Callable[[str], Path],
    configured: Callable[[Path], Analysis],
) -> Case:
    folder = example_copy("zmumu")
    module_of(folder / "make_sample.py").main(["--real", str(real_data)])
    corrections = real_data / "corrections"
    inputs = Inputs(
        {
            DY: [str(real_data / "nanoaod" / "nano_dy.root")],
            DATA: [str(real_data / "nanoaod" / "nano_dimuon.root")],
        },
        real_data / "lumi" / "Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt",
        (corrections / "puWeights2025.json.gz", "Collisions25_Prompt_goldenJSON"),
        next((folder / "sample").rglob("muon_Z.json.gz")),
        (
            corrections / "jet_jerc_2018UL.json.gz",
            "Summer20UL18NanoV15_V1_MC_Total_AK4PFPuppi",
        ),
        "AK4PFPuppi_JES_Total",
        59832.47534,
    )
    return Case(inputs, varied(configured(folder / "example_config.py")), folder)


@pytest.fixture(scope="module", params=["generated", "real"])
def case(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def close(mine: Any, expected: Any) -> None:
    """Equal to rounding; weights of both signs may add up to little."""
    size = np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(mine, expected, rtol=1e-12, atol=1e-12 * size)


def assert_variations_matter(expected: Expected, jes: str) -> None:
    for name, up in (("MuonGood_pt_1", "muon_scaleUp"), (FINE, f"{jes}Up")):
        nominal, varied = (
            expected.histograms[name, label].values(flow=True) for label in ("nominal", up)
        )
        assert not np.array_equal(nominal, varied)


@pytest.mark.parametrize("dataset", [DY, DATA])
def test_equals_plain_awkward(case: Case, dataset: str) -> None:
    expected, sample, output = by_hand(dataset, case.inputs), SAMPLES[dataset], case.output
    labels = set(expected.selected)
    assert len(labels) == (11 if dataset == DY else 1)
    assert expected.selected["nominal"] > 0
    if dataset == DY:
        assert_variations_matter(expected, case.inputs.jes_label)
    cutflow = output["cutflow"]
    assert cutflow["initial"][dataset] == expected.initial
    assert cutflow["skim"][dataset] == expected.skim
    assert cutflow["presel"][dataset] == expected.selected
    assert cutflow["baseline"][dataset][sample] == expected.selected
    factor = 1.0
    if dataset == DY:
        close(output["sum_genweights"][dataset], expected.sum_genweights)
        assert output["sum_signOf_genweights"][dataset] == expected.sum_signs
        factor = 1 / expected.sum_genweights
        for name, power in (("sumw", 1), ("sumw2", 2)):
            mine = output[name]["baseline"][dataset][sample]
            assert set(mine) == labels
            for label, value in getattr(expected, name).items():
                close(mine[label], value * factor**power)
    assert set(output["variables"]) == set(BINS)
    for (name, label), one in expected.histograms.items():
        whole = output["variables"][name][sample][dataset]
        if dataset == DY:
            assert set(whole.axes["variation"]) == labels
            whole = whole[{"variation": label}]
        mine = whole[{"cat": "baseline"}]
        np.testing.assert_array_equal(mine.axes[0].edges, one.axes[0].edges)
        close(mine.values(flow=True), one.values(flow=True) * factor)
        close(mine.variances(flow=True), one.variances(flow=True) * factor**2)


def same(one: Any, other: Any, check: Any) -> None:
    assert one["cutflow"] == other["cutflow"]
    for name, samples in one["variables"].items():
        for sample, datasets in samples.items():
            for dataset, mine in datasets.items():
                its = other["variables"][name][sample][dataset]
                check(mine.values(flow=True), its.values(flow=True))
                check(mine.variances(flow=True), its.variances(flow=True))


def test_any_executor_gives_the_same_bits(generated: Case) -> None:
    other = generated.run(executor="threads", workers=2)
    same(other, generated.output, np.testing.assert_array_equal)


def test_any_partitioning_gives_the_same(generated: Case) -> None:
    same(generated.run(partition_size=70), generated.output, close)


# -- the same with the frame ---------------------------------------------------------------------


def test_equals_the_frame_bit_for_bit(generated: Case, toy_files: dict[str, Any]) -> None:
    one = generated.output
    frame = module_of(EXAMPLES / "frame_zmumu.py")
    names = {"DYJetsToLL": DY, "SingleMuon": DATA}
    inputs = generated.inputs
    corrections = {"golden": inputs.golden, "pileup": inputs.pileup[0], "muon": inputs.muon}
    zmumu = frame.Zmumu(corrections, inputs.lumi)
    result = la.compute(
        la.apply(zmumu, {name: toy_files[name] for name in names}), executor="sync", progress=False
    )
    for name, dataset in names.items():
        cutflow, its = result["cutflow"], one["cutflow"]
        assert cutflow.count("all events", name) == its["initial"][dataset]
        assert cutflow.count("trigger", name) == its["skim"][dataset]
        assert cutflow.count("mass", name) == its["presel"][dataset]["nominal"]
        is_mc = dataset == DY
        factor = 1 / result["sum_genweights"][name]["nominal"] if is_mc else 1.0
        labels = [*result["mll"].axes["variation"]] if is_mc else ["nominal"]
        assert len(labels) == (7 if is_mc else 1)
        for variable in set(BINS) - {FINE}:
            for label in labels:
                mine = result[variable][{"dataset": name, "category": 0, "variation": label}]
                whole = one["variables"][variable][SAMPLES[dataset]][dataset]
                where = {"cat": "baseline", **({"variation": label} if is_mc else {})}
                configured = whole[where]
                assert np.array_equal(mine.values(flow=True) * factor, configured.values(flow=True))
                assert np.array_equal(
                    mine.variances(flow=True) * factor**2, configured.variances(flow=True)
                )
