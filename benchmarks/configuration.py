"""An analysis as a configuration, against the same analysis as loops of coffea and hist.

Both make the same 36 histograms of the same events, in 20 categories, nominal and in 20 shape
variations (eight uncertainties of the jet energy, two of the muon momentum) and, of the nominal
events, 6 weight variations. The loops are those of a usual coffea processor: for each chunk and
shape variation objects and events are selected, then for each histogram, category and weight
variation a `hist.Hist` is filled; virtual arrays read no branch that is not used. ``flat loops`` do
what few processors do: they flatten what fills a histogram once for all categories, and select from
it with numpy. Each way runs in a process of its own, so that its memory is its own, with
``executor="sync"`` and coffea's iterative executor. Every bin is compared.

CPU seconds are those of the run, without the imports: recording, planning and all; the files were
inspected before, and coffea's Runner knows their entries. How much of the run is recording and
planning is measured in that run.

Run ``python benchmarks/configuration.py --help`` for options.
"""

from __future__ import annotations

import argparse
import json
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from omegaconf import OmegaConf

from lazyana.toy.corrections import toy_parameters, write_corrections
from lazyana.toy.sample import write_dataset

WAYS = ("configuration", "loops", "flat loops")
REQUIRED = 10.0
MOST = 0.1

SIDES = (("Up", 1), ("Down", -1))
SHIFTS = {
    **{f"jet{n}{end}": ("Jet", 1 + sign * 0.004 * n) for n in range(1, 9) for end, sign in SIDES},
    **{f"muon{n}{end}": ("Muon", 1 + sign * 0.001 * n) for n in range(1, 3) for end, sign in SIDES},
}
"""The shape variations: what is scaled, and its momentum by how much."""

WEIGHTS = ("pileup", "sf_mu_id", "sf_mu_iso")
CATEGORIES = {
    f"{name}_above{50 + 5 * n}": (jets, 50 + 5 * n)
    for n in range(10)
    for name, jets in (("few", range(2)), ("many", range(2, 99)))
}
"""How many jets, and above which mass of the muons, by category."""

Binning = tuple[str, str, int | None, int, float, float]


def _objects(
    collection: str, position: int | None, **fields: tuple[int, float, float]
) -> dict[str, list[Binning]]:
    suffix = "" if position is None else f"_{position + 1}"
    return {
        f"{collection}{suffix}_{field}": [(collection, field, position, *binning)]
        for field, binning in fields.items()
    }


_ETA, _PHI = (48, -2.4, 2.4), (32, -3.2, 3.2)
_MLL: Binning = ("ll", "mass", None, 60, 60, 120)
_PTLL: Binning = ("ll", "pt", None, 20, 0, 100)
KEYS = ("coll", "field", "pos", "bins", "start", "stop")
HISTOGRAMS: dict[str, list[Binning]] = {
    **_objects("MuonGood", 0, pt=(50, 0, 250), eta=_ETA, phi=_PHI, pfRelIso04_all=(50, 0, 0.5)),
    **_objects("MuonGood", 1, pt=(50, 0, 250), eta=_ETA, phi=_PHI, pfRelIso04_all=(50, 0, 0.5)),
    **_objects("MuonGood", None, pt=(50, 0, 250), eta=_ETA, phi=_PHI),
    **_objects("JetGood", 0, pt=(60, 0, 300), eta=_ETA, phi=_PHI, mass=(50, 0, 100)),
    **_objects("JetGood", 1, pt=(60, 0, 300), eta=_ETA, phi=_PHI, mass=(50, 0, 100)),
    **_objects("JetGood", 2, pt=(60, 0, 300), eta=_ETA, phi=_PHI, mass=(50, 0, 100)),
    **_objects("JetGood", None, pt=(60, 0, 300), eta=_ETA, phi=_PHI),
    **_objects("MET", None, pt=(50, 0, 250), phi=_PHI),
    **_objects("ll", None, mass=(100, 50, 150), pt=(50, 0, 250), eta=_ETA),
    **_objects("events", None, nJetGood=(8, 0, 8)),
    "mll_ptll": [_MLL, _PTLL],
    "mll_njets": [_MLL, ("events", "nJetGood", None, 8, 0, 8)],
    "muon_pt_eta": [("MuonGood", "pt", 0, 50, 0, 250), ("MuonGood", "eta", 0, *_ETA)],
    "jet_pt_eta": [("JetGood", "pt", None, 60, 0, 300), ("JetGood", "eta", None, *_ETA)],
}
"""The axes of each histogram: collection, field, which object (None: all), bins and range."""


# ------------------------------------------------------------------------------------ as loops


def corrected(parameters: Any) -> Callable[[Any, Any], dict[str, tuple[Any, Any, Any]]]:
    """The weights that corrections give: nominal, up and down."""
    import correctionlib

    year = "2018"
    pileup = correctionlib.CorrectionSet.from_file(parameters.pileupJSONfiles[year].file)
    pileup = pileup[parameters.pileupJSONfiles[year].name]
    muon = parameters.lepton_scale_factors.muon_sf
    muons = correctionlib.CorrectionSet.from_file(muon.JSONfiles[year].file)

    def weights(events: Any, good: Any) -> dict[str, tuple[Any, Any, Any]]:
        vertices = ak.to_numpy(events.Pileup.nTrueInt)
        number, eta = ak.num(good), ak.to_numpy(abs(ak.flatten(good.eta)))
        pt = ak.to_numpy(ak.flatten(good.pt))
        found = {
            "pileup": tuple(pileup.evaluate(vertices, one) for one in ("nominal", "up", "down"))
        }
        for kind in ("id", "iso"):
            correction = muons[muon.sf_name[year][kind]]
            found[f"sf_mu_{kind}"] = tuple(
                np.asarray(ak.prod(ak.unflatten(correction.evaluate(eta, pt, one), number), axis=1))
                for one in ("nominal", "systup", "systdown")
            )
        return found  # type: ignore[return-value]

    return weights


def processor(parameters: Any, *, flat: bool) -> Any:
    """The analysis as a coffea processor."""
    import hist
    from coffea.processor import ProcessorABC

    luminosity = float(parameters.lumi.picobarns["2018"].tot)
    factors = corrected(parameters)
    weights = [f"{name}{direction}" for name in WEIGHTS for direction in ("Up", "Down")]

    class Loops(ProcessorABC):  # type: ignore[misc]
        def process(self, events: Any) -> dict[str, Any]:
            found = {
                name: hist.Hist(
                    hist.axis.StrCategory(list(CATEGORIES), name="cat"),
                    hist.axis.StrCategory(["nominal", *weights, *SHIFTS], name="variation"),
                    *(hist.axis.Regular(*axis[3:], name=f"{axis[0]}_{axis[1]}") for axis in axes),
                    storage=hist.storage.Weight(),
                )
                for name, axes in HISTOGRAMS.items()
            }
            total = float(np.sum(ak.to_numpy(events.genWeight), dtype=np.float64))
            events = events[(events.PV.npvsGood >= 1) & events.HLT.IsoMu24]
            for label, shifted in self.shifted(events):
                self.fill(found, label, shifted)
            return {"histograms": found, "sum_genweights": total}

        def shifted(self, events: Any) -> Iterator[tuple[str, Any]]:
            yield "nominal", events
            for label, (collection, factor) in SHIFTS.items():
                objects = events[collection]
                objects = ak.with_field(objects, objects.pt * factor, "pt")
                yield label, ak.with_field(events, objects, collection)

        def fill(self, found: Mapping[str, Any], label: str, events: Any) -> None:
            events, columns = self.selected(events)
            start = ak.to_numpy(events.genWeight).astype(np.float64) * 6077.22 * luminosity
            parts = factors(events, columns["MuonGood"])
            nominal = start * np.prod([one for one, _, _ in parts.values()], axis=0)
            chosen = {label: nominal}
            if label == "nominal":
                for name, (usual, up, down) in parts.items():
                    chosen |= {f"{name}Up": nominal / usual * up}
                    chosen |= {f"{name}Down": nominal / usual * down}
            jets, mass = ak.to_numpy(columns["events"].nJetGood), ak.to_numpy(columns["ll"].mass)
            masks = {
                name: (jets >= few.start) & (jets < few.stop) & (mass > lowest)
                for name, (few, lowest) in CATEGORIES.items()
            }
            for name, axes in HISTOGRAMS.items():
                values = taken(columns, axes)
                event = np.arange(len(events))
                if flat and values[0].ndim == 2:
                    event = np.repeat(event, ak.to_numpy(ak.num(values[0])))
                if flat:
                    values = [ak.to_numpy(ak.flatten(value, axis=None)) for value in values]
                for category, mask in masks.items():
                    if flat:
                        kept = event[mask[event]]
                        some = [value[mask[event]] for value in values]
                    else:
                        some = [value[mask] for value in values]
                        kept = event[mask]
                        if some[0].ndim == 2:
                            kept = np.repeat(kept, ak.to_numpy(ak.num(some[0])))
                        some = [ak.to_numpy(ak.flatten(value, axis=None)) for value in some]
                    for variation, weight in chosen.items():
                        found[name].fill(category, variation, *some, weight=weight[kept])

        def selected(self, events: Any) -> tuple[Any, dict[str, Any]]:
            muons, jets = events.Muon, events.Jet
            tight = muons.tightId & (muons.pfRelIso04_all < 0.25)
            muons = muons[(muons.pt > 15) & (abs(muons.eta) < 2.4) & tight]
            jets = jets[(jets.pt > 30) & (abs(jets.eta) < 2.4) & (jets.jetId >= 2)]
            jets = jets[ak.all(jets.metric_table(muons) > 0.4, axis=2)]
            two = ak.num(muons) == 2
            events, muons, jets = events[two], muons[two], jets[two]
            pair = muons[:, 0] + muons[:, 1]
            kept = (pair.charge == 0) & (muons[:, 0].pt > 25)
            events, muons, jets, pair = events[kept], muons[kept], jets[kept], pair[kept]
            columns = {"MuonGood": muons, "JetGood": jets, "ll": pair, "MET": events.MET}
            columns["events"] = ak.zip({"nJetGood": ak.num(jets)})
            return events, columns

        def postprocess(self, accumulator: Any) -> Any:
            for name in HISTOGRAMS:
                accumulator["histograms"][name] *= 1 / accumulator["sum_genweights"]
            return accumulator

    return Loops()


def taken(columns: Mapping[str, Any], axes: list[Binning]) -> list[Any]:
    """What fills the axes of a histogram, of all events; a list where there is one object."""
    found = []
    for collection, field, position, *_ in axes:
        value = getattr(columns[collection], field)
        found.append(value if position is None else value[:, position : position + 1])
    return found


def by_loops(files: list[str], parameters: Any, chunk: int, *, flat: bool) -> Callable[[], Any]:
    """The analysis by coffea's Runner, which keeps what it knows of the files."""
    from coffea.nanoevents import NanoAODSchema
    from coffea.processor import IterativeExecutor, Runner

    runner = Runner(
        executor=IterativeExecutor(status=False),
        schema=NanoAODSchema,
        chunksize=chunk,
        savemetrics=False,
    )
    fileset = {"DY": {"files": dict.fromkeys(files, "Events")}}
    runner.preprocess(fileset)
    made = processor(parameters, flat=flat)

    def run() -> Any:
        return runner(fileset, processor_instance=made)["histograms"]

    return run


# -------------------------------------------------------------------------- as a configuration


def configuration(files: list[str], parameters: Any) -> Any:
    """The analysis as a configuration."""
    from lazyana.analysis.calibrators import Calibrator
    from lazyana.analysis.config import Configurator
    from lazyana.analysis.cutlibrary import get_nPVgood
    from lazyana.analysis.histograms import Axis, HistConf
    from lazyana.analysis.workflow import Workflow

    class Momentum(Calibrator):
        has_variations = True
        isMC_only = True  # noqa: N815  (the name that calibrators have)
        collection = ""

        def initialize(self, events: Any) -> None:
            self.calibrated_collections = (f"{self.collection}.pt",)
            mine = (label for label, (what, _) in SHIFTS.items() if what == self.collection)
            self._variations = tuple(mine)

        def calibrate(
            self, events: Any, orig_colls: Any, variation: str, already_applied_calibrators: Any
        ) -> dict[str, Any]:
            pt = events[self.collection].pt
            if variation != "nominal":
                pt = pt * SHIFTS[variation][1]
            return {f"{self.collection}.pt": pt}

    class JetMomentum(Momentum):
        name, collection = "jet_momentum", "Jet"

    class MuonMomentum(Momentum):
        name, collection = "muon_momentum", "Muon"

    class Dimuon(Workflow):
        def apply_object_preselection(self, variation: str) -> None:
            muons, jets = self.events.Muon, self.events.Jet
            tight = muons.tightId & (muons.pfRelIso04_all < 0.25)
            muons = muons[(muons.pt > 15) & (abs(muons.eta) < 2.4) & tight]
            jets = jets[(jets.pt > 30) & (abs(jets.eta) < 2.4) & (jets.jetId >= 2)]
            self.events["MuonGood"] = muons
            self.events["JetGood"] = jets[ak.all(jets.metric_table(muons) > 0.4, axis=2)]

        def count_objects(self, variation: str) -> None:
            self.events["nMuonGood"] = ak.num(self.events.MuonGood)
            self.events["nJetGood"] = ak.num(self.events.JetGood)

        def process_extra_after_presel(self, variation: str) -> None:
            self.events["ll"] = self.events.MuonGood[:, 0] + self.events.MuonGood[:, 1]

    pair = "ll.charge == 0 and MuonGood[:, 0].pt > 25"
    metadata = {"sample": "DY", "year": "2018", "isMC": True, "xsec": 6077.22}
    return Configurator(
        workflow=Dimuon,
        parameters=parameters,
        datasets={"jsons": [{"DY": {"files": files, "metadata": metadata}}]},
        skim=[get_nPVgood(1), "HLT.IsoMu24"],
        preselections=["nMuonGood == 2"],
        categories={
            name: [pair, f"{few.start} <= nJetGood < {few.stop}", f"ll.mass > {lowest}"]
            for name, (few, lowest) in CATEGORIES.items()
        },
        weights={"common": {"inclusive": ["genWeight", "lumi", "XS", *WEIGHTS]}},
        calibrators=[JetMomentum, MuonMomentum],
        variations={
            "weights": {"common": {"inclusive": list(WEIGHTS)}},
            "shape": {"common": {"inclusive": ["jet_momentum", "muon_momentum"]}},
        },
        variables={
            name: HistConf(
                [Axis(**dict(zip(KEYS, one, strict=True))) for one in axes]  # type: ignore[arg-type]
            )
            for name, axes in HISTOGRAMS.items()
        },
    )


def by_configuration(
    files: list[str], parameters: Any, spent: dict[str, float]
) -> Callable[[], Any]:
    """The analysis by lazyana, to which the files are known; notes CPU seconds of its parts."""
    import lazyana.analysis.run as running
    from lazyana.frame import compute

    analysis = configuration(files, parameters)
    running.catalog_of(analysis)
    for module, name in ((running, "recorded"), (compute, "make_plan")):
        setattr(module, name, timed(getattr(module, name), name, spent))

    def whole() -> Any:
        output = running.run(analysis, executor="sync", progress=False).output
        return {name: output["variables"][name]["DY"]["DY"] for name in HISTOGRAMS}

    return whole


def timed(function: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    """The function, noting how many CPU seconds it takes."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        found = function(*args, **kwargs)
        spent[name] = time.process_time() - start
        return found

    return wrapped


# ------------------------------------------------------------------------------------ measuring


def measure(way: str, files: list[str], parameters: Any, chunk: int, kept: Path) -> dict[str, Any]:
    """CPU seconds and peak memory of one way, in this process."""
    warnings.simplefilter("ignore")
    import_vectors()
    found: dict[str, Any] = {}
    if way == "configuration":
        run = by_configuration(files, parameters, found)
    else:
        run = by_loops(files, parameters, chunk, flat=way == "flat loops")
    start = time.process_time()
    histograms = run()
    found["cpu"] = time.process_time() - start
    found["peak"] = peak_memory()
    kept.write_bytes(pickle.dumps(histograms))
    return found


def import_vectors() -> None:
    """Add two vectors: the library of vectors is imported bit by bit, where it is first used."""
    from coffea.nanoevents.methods.candidate import behavior

    fields = {key: [1.0] for key in ("pt", "eta", "phi", "mass", "charge")}
    one = ak.zip(fields, with_name="PtEtaPhiMCandidate", behavior=behavior)
    _ = (one + one).mass


def peak_memory() -> int:
    """Bytes this process has held at most."""
    # Not that of `resource`: it counts what the process was started by, too.
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index("VmHWM:") + 1]) * 1024


def check(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> int:
    """Refuse to compare what is not the same; how many bins there are."""
    bins = 0
    for name in HISTOGRAMS:
        mine, other = ours[name], theirs[name]
        for category in CATEGORIES:
            for variation in other.axes["variation"]:
                place = {"cat": category, "variation": variation}
                one, two = mine[place].view(flow=True), other[place].view(flow=True)
                for what in ("value", "variance"):
                    if not np.allclose(one[what], two[what], rtol=1e-6, atol=1e-12):
                        sys.exit(f"{name} in {category}, {variation}: not the same {what}s")
                bins += one.size
    return bins


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--files", type=int, default=2)
    parser.add_argument("--extra-branches", type=int, default=300, help="branches nobody uses")
    parser.add_argument("--chunk", type=int, default=100_000, help="coffea's chunksize")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to keep the generated files")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.way:
        given = json.loads(options.json.read_text())
        found = measure(
            options.way,
            given["files"],
            OmegaConf.load(given["parameters"]),
            options.chunk,
            options.folder,
        )
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as temporary:
        compare(options, Path(temporary))


def inputs(options: argparse.Namespace, temporary: Path) -> Path:
    """Make the events, the corrections and the parameters; what describes them."""
    from lazyana.analysis.defaults import get_default_parameters, merge_parameters

    folder = (options.folder or temporary) / f"zmumu-{options.events}-{options.files}"
    if not folder.exists():
        write_dataset(
            folder,
            "DYJetsToLL",
            events=options.events,
            files=options.files,
            extra_branches=options.extra_branches,
            cluster_events=50_000,
        )
    write_corrections(temporary / "corrections")
    changes = OmegaConf.create(toy_parameters(temporary / "corrections"))
    OmegaConf.save(merge_parameters(get_default_parameters(), changes), temporary / "all.yaml")
    files = [str(path) for path in sorted(folder.glob("*.root"))]
    given = temporary / "given.json"
    given.write_text(json.dumps({"files": files, "parameters": str(temporary / "all.yaml")}))
    return given


def compare(options: argparse.Namespace, temporary: Path) -> None:
    """Run both in turns, and say how they compare."""
    given = inputs(options, temporary)
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for number in range(options.repeat):
        for way, measured in found.items():
            words = ["--way", way, "--json", given, "--folder", temporary / way.replace(" ", "-")]
            words += ["--chunk", options.chunk]
            command = [sys.executable, __file__, *map(str, words)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            measured.append(json.loads(done.stdout.splitlines()[-1]))
        if number == 0:
            kept = [pickle.loads((temporary / way.replace(" ", "-")).read_bytes()) for way in found]
            bins = [check(kept[0], other) for other in kept[1:]]
            print(f"{options.events} events: {bins[0]} bins agree", flush=True)

    def median(way: str, what: str) -> float:
        return statistics.median(one[what] for one in found[way])

    for way in found:
        print(f"{way:14s} {median(way, 'cpu'):7.2f} CPU s {median(way, 'peak') / 1e6:7.0f} MB peak")
    recording, planning = (median("configuration", what) for what in ("recorded", "make_plan"))
    share = (recording + planning) / median("configuration", "cpu")
    print(f"recording {recording:.2f} s, planning {planning:.2f} s: {share:.1%} of the run")
    ratios = {
        way: {what: median(way, what) / median("configuration", what) for what in ("cpu", "peak")}
        for way in WAYS[1:]
    }
    for way, ratio in ratios.items():
        print(f"{way} / configuration: {ratio['cpu']:.1f}x CPU, {ratio['peak']:.2f}x memory")
    if options.json:
        options.json.write_text(json.dumps({"runs": found, "ratios": ratios}, indent=2) + "\n")
    fine = ratios["loops"]["cpu"] >= REQUIRED and ratios["loops"]["peak"] >= 1 and share < MOST
    said = "fulfilled" if fine else "NOT fulfilled"
    print(f"Required: {REQUIRED:g}x, no more memory, less than {MOST:.0%} before it runs: {said}.")
    if not fine:
        sys.exit(1)


if __name__ == "__main__":
    main()
