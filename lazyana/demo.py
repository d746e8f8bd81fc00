"""The main job: Z → μμ from ROOT files to histograms, cutflow, columns and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import hist

from lazyana.data.fileset import Fileset
from lazyana.engine.result import Result
from lazyana.errors import InputError
from lazyana.frame.compute import compute, explain
from lazyana.frame.events import Events
from lazyana.frame.open import apply
from lazyana.physics.lumi import read_golden_json
from lazyana.plan.explain import Explanation
from lazyana.report.plots import plot_data_mc
from lazyana.report.tables import Table, cutflow_table
from lazyana.toy.leptons import muon_scale_factor, pileup_weight

ELECTRON_IDS = ("mvaFall17V2Iso_WP80", "mvaIso_WP80")
MUON_PATHS = ("IsoMu24", "IsoMu27", "IsoMu20", "IsoMu22", "Mu50")
COLUMNS = {
    "mll": "GeV",
    "ptll": "GeV",
    "muon1_pt": "GeV",
    "muon2_pt": "GeV",
    "njets": "",
    "met": "GeV",
}


@dataclass(frozen=True)
class Zmumu:
    """The selection of Z → μμ, as a function of events.

    Attributes
    ----------
    columns_path
        Where the columns are written; None to leave them out.
    golden
        Golden JSON of the data; None to use all luminosity sections.
    corrections
        Whether the simulation is the embedded sample, whose efficiencies and pileup are known.
    overwrite
        Whether columns written earlier may be replaced.
    """

    columns_path: Path | None = None
    golden: Path | None = None
    corrections: bool = False
    overwrite: bool = False

    def __call__(self, events: Events) -> dict[str, Any]:
        """The outputs for one group of datasets."""
        outputs: dict[str, Any] = {}
        if events.is_mc:
            outputs["sum_genweights"] = events.sum(events.genWeight)
        events = self.selected(events)
        outputs["cutflow"] = events.cutflow()
        outputs["histograms"] = histograms(events)
        if self.columns_path is not None:
            outputs["columns"] = events.columns(
                self.columns_path,
                {name: events[name] for name in COLUMNS},
                units={name: unit for name, unit in COLUMNS.items() if unit},
                overwrite=self.overwrite,
            )
        return outputs

    def selected(self, events: Events) -> Events:
        """Events with two good muons, with weights, variations and categories."""
        if events.is_mc:
            events = with_theory_weights(events)
            events = with_shifted_momenta(events)
        events = self.skim(events)
        events = with_good_objects(events)
        events = dimuon(events)
        if events.is_mc and self.corrections:
            events = with_scale_factors(events)
        return events.categories(
            {
                "inclusive": events.ll.mass > 0,
                "z_peak": (events.ll.mass > 76) & (events.ll.mass < 106),
                "no_jets": events.njets == 0,
                "jets": events.njets > 0,
            }
        )

    def skim(self, events: Events) -> Events:
        """Loose cuts and the trigger: what the rest of the analysis never looks at again."""
        if not events.is_mc and self.golden is not None:
            certified = read_golden_json(self.golden)
            events = events.filter(golden_json=certified.mask(events.run, events.luminosityBlock))
        if "goodVertices" in events.Flag.fields:
            events = events.filter(event_flags=events.Flag.goodVertices)
        return events.filter(
            good_vertex=events.PV.npvsGood >= 1,
            one_muon=ak.any(events.Muon.pt > 18, axis=1),
            trigger=events.HLT[first_of(events.HLT.fields, MUON_PATHS, "HLT path")],
        )


def with_theory_weights(events: Events) -> Events:
    """The generator weight, and parton shower scales where they are stored."""
    events = events.weight("genWeight", events.genWeight)
    if "PSWeight" not in events.fields:
        return events
    # NanoAOD order: ISR up, FSR up, ISR down, FSR down; samples without them store one entry.
    weights = ak.fill_none(ak.pad_none(events.PSWeight, 4, clip=True), 1.0)
    return events.weight(
        "parton_shower",
        1.0,
        isr=(weights[:, 0], weights[:, 2]),
        fsr=(weights[:, 1], weights[:, 3]),
    )


def with_shifted_momenta(events: Events) -> Events:
    """Uncertainties of the momentum scales: 0.2 % for muons, 2 % for jets."""
    muon, jet = events.Muon.pt, events.Jet.pt
    events = events.vary("muon_scale", {"Muon.pt": {"up": muon * 1.002, "down": muon * 0.998}})
    return events.vary("jet_scale", {"Jet.pt": {"up": jet * 1.02, "down": jet * 0.98}})


def with_good_objects(events: Events) -> Events:
    """Muons, electrons and jets that pass the object selection."""
    muons, electrons, jets = events.Muon, events.Electron, events.Jet
    good_muons = muons[
        (muons.pt > 15) & (abs(muons.eta) < 2.4) & (muons.pfRelIso04_all < 0.25) & muons.tightId
    ]
    identified = electrons[first_of(electrons.fields, ELECTRON_IDS, "electron identification")]
    good_electrons = electrons[
        (electrons.pt > 15)
        & (abs(electrons.eta) < 2.4)
        & (electrons.pfRelIso03_all < 0.06)
        & identified
    ]
    selected = (jets.pt > 30) & (abs(jets.eta) < 2.4) & (jets.jetId >= 2)
    if "puId" in jets.fields:
        selected = selected & ((jets.puId >= 4) | (jets.pt > 50))
    jets = jets[selected]
    away = (far(jets, good_muons)) & (far(jets, good_electrons))
    return events.define(MuonGood=good_muons, ElectronGood=good_electrons, JetGood=jets[away])


def far(jets: Any, leptons: Any) -> Any:
    """Mask of jets at least ΔR = 0.4 from every lepton, shape ``(events, jets)``."""
    return ak.all(jets.metric_table(leptons) > 0.4, axis=2)


def dimuon(events: Events) -> Events:
    """Two good muons of opposite charge, no electron; the pair and what is plotted of it."""
    events = events.filter(
        two_muons=ak.num(events.MuonGood) == 2,
        no_electrons=ak.num(events.ElectronGood) == 0,
    )
    first, second = events.MuonGood[:, 0], events.MuonGood[:, 1]
    events = events.define(ll=first + second, leading=first, trailing=second)
    events = events.filter(
        opposite_charge=events.ll.charge == 0,
        leading_muon=events.leading.pt > 25,
        mass_window=(events.ll.mass > 25) & (events.ll.mass < 2000),
    )
    return events.define(
        mll=events.ll.mass,
        ptll=events.ll.pt,
        muon1_pt=events.leading.pt,
        muon2_pt=events.trailing.pt,
        njets=ak.num(events.JetGood),
        met=events.MET.pt,
    )


def with_scale_factors(events: Events) -> Events:
    """Pileup and muon efficiencies of the embedded sample, with their uncertainties."""
    pileup = pileup_weight(events.Pileup.nTrueInt)
    events = events.weight("pileup", pileup, up=pileup**1.2, down=pileup**0.8)
    muons = events.MuonGood
    for kind, error in (("id", 0.005), ("iso", 0.005), ("trigger", 0.01)):
        factor = muon_scale_factor(kind, muons.pt, muons.eta)
        if kind == "trigger":
            factor = factor[:, :1]
        events = events.weight(
            f"sf_mu_{kind}",
            ak.prod(factor, axis=1),
            up=ak.prod(factor * (1 + error), axis=1),
            down=ak.prod(factor * (1 - error), axis=1),
        )
    return events


def histograms(events: Events) -> dict[str, Any]:
    """The histograms of the selected events."""
    regular, integer = hist.axis.Regular, hist.axis.Integer
    muon, jet = events.MuonGood, events.JetGood
    return {
        "mll": events.hist(regular(60, 50, 150, name="mll", label=r"$m_{\mu\mu}$ [GeV]")),
        "ptll": events.hist(regular(40, 0, 200, name="ptll", label=r"$p_T^{\mu\mu}$ [GeV]")),
        "muon_pt": events.hist(
            regular(40, 0, 200, name="pt", label=r"Muon $p_T$ [GeV]"), pt=muon.pt
        ),
        "muon_eta": events.hist(
            regular(48, -2.4, 2.4, name="eta", label=r"Muon $\eta$"), eta=muon.eta
        ),
        "njets": events.hist(integer(0, 8, name="njets", label="Number of jets")),
        "jet_pt": events.hist(regular(40, 0, 300, name="pt", label=r"Jet $p_T$ [GeV]"), pt=jet.pt),
        "met": events.hist(regular(40, 0, 200, name="met", label=r"$p_T^{miss}$ [GeV]")),
        "mll_ptll": events.hist(
            regular(30, 60, 120, name="mll", label=r"$m_{\mu\mu}$ [GeV]"),
            regular(20, 0, 100, name="ptll", label=r"$p_T^{\mu\mu}$ [GeV]"),
        ),
    }


def first_of(fields: Sequence[str], names: Sequence[str], what: str) -> str:
    """The first of some names that a file has: NanoAOD versions differ.

    Raises
    ------
    InputError
        None of them is there.
    """
    for name in names:
        if name in fields:
            return name
    msg = f"The files have none of these as {what}: {', '.join(names)}."
    raise InputError(msg)


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    Attributes
    ----------
    result
        The result, also saved.
    files
        What was written, by what it is.
    cutflow
        The table of the cutflow.
    """

    result: Result
    files: Mapping[str, Path]
    cutflow: Table


def run(
    fileset: Fileset,
    output: Path,
    *,
    golden: Path | None = None,
    corrections: bool = False,
    overwrite: bool = False,
    tell: Callable[[Explanation], None] = lambda _: None,
    **options: Any,
) -> Demo:
    """Run the analysis and write everything it makes.

    Parameters
    ----------
    fileset
        Simulation, data or both.
    output
        Folder for the results.
    golden, corrections, overwrite
        As for `Zmumu`.
    tell
        Called with what is going to be done, before it is.
    **options
        For `lazyana.compute`.

    Returns
    -------
    Demo
        Result, files and cutflow.
    """
    analysis = Zmumu(output / "columns", golden, corrections, overwrite)
    outputs = apply(analysis, fileset)
    sizes = {key: options[key] for key in ("partition_size",) if key in options}
    tell(explain(outputs, **sizes))
    result = compute(outputs, name="zmumu", **options)
    return finish(result, fileset, output, overwrite=overwrite)


def finish(result: Result, fileset: Fileset, output: Path, *, overwrite: bool) -> Demo:
    """Save a result: file of everything, ROOT file, plots, cutflow."""
    files = {
        "result": result.save(output / "zmumu.lazyana", overwrite=overwrite),
        "histograms for ROOT": result.to_root(output / "histograms.root", overwrite=overwrite),
        "columns (parquet)": output / "columns",
    }
    data, simulated = kinds(result, fileset)
    scale = normalisation(result, fileset, data, simulated)
    table = cutflow_table(result["cutflow"], weighted=bool(scale), scale=scale or None)
    files["cutflow"] = output / "cutflow.txt"
    files["cutflow"].write_text(table.text() + "\n" + result.report.text() + "\n")
    plots = output / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    lumi = luminosity(fileset, data)
    for name, value in result["histograms"].items():
        if len(value.axes) > 4:
            continue
        plot_data_mc(
            value,
            data=data,
            mc=simulated,
            category="inclusive",
            scale=scale,
            lumi=lumi,
            log=name in ("jet_pt", "met", "ptll"),
            path=plots / f"{name}.png",
        )
    files["plots"] = plots
    return Demo(result, files, table)


def kinds(result: Result, fileset: Fileset) -> tuple[list[str], list[str]]:
    """Names of the datasets that are data, and of those that are simulation."""
    simulated = list(result["sum_genweights"]) if "sum_genweights" in result else []
    data = [item.name for item in fileset.datasets if item.name not in simulated]
    return data, simulated


def luminosity(fileset: Fileset, data: Sequence[str]) -> float | None:
    """Integrated luminosity of the data in fb⁻¹, where the fileset says it (in pb⁻¹)."""
    known = [float(fileset[name].metadata.get("lumi") or 0) for name in data]
    return sum(known) / 1000 if known and all(known) else None


def normalisation(
    result: Result, fileset: Fileset, data: Sequence[str], simulated: Sequence[str]
) -> dict[str, float]:
    """Factor for each simulated dataset.

    Cross section x luminosity / sum of generator weights where both are known; else all
    simulation together is scaled to the data.
    """
    sums = {name: result["sum_genweights"][name]["nominal"] for name in simulated}
    lumi = luminosity(fileset, data)
    sections = {name: fileset[name].metadata.get("xsec") for name in simulated}
    if lumi is not None and all(sections.values()):
        return {
            name: float(sections[name]) * lumi * 1000 / sums[name]  # type: ignore[arg-type]
            for name in simulated
        }
    cutflow = result["cutflow"]
    last = cutflow.stages.index("mass_window")
    seen = sum(int(cutflow.counts[cutflow.datasets.index(name), 0, last]) for name in data)
    expected = sum(cutflow.sumw[cutflow.datasets.index(name), 0, last] for name in simulated)
    return dict.fromkeys(simulated, seen / expected) if seen and expected > 0 else {}
