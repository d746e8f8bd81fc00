"""Correction files of the embedded sample, written as the physics object groups write theirs.

What they hold is what the generator did: `lazyana.toy.leptons.muon_scale_factor` and
`~lazyana.toy.leptons.pileup_weight` as exact formulas, the jet energy resolution and its scale
factor, and energy scale uncertainties that cover the difference between data and simulation.
"""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lazyana.errors import FileError, InputError, OutputExistsError
from lazyana.toy.leptons import DATA, ISO_TIGHT, SIMULATION
from lazyana.toy.sample import EVENTS_PER_RUN, EVENTS_PER_SECTION, FIRST_RUN

YEAR, PERIOD = "2018", "Run2-2018-UL-NanoAODv9"
PILEUP = "Collisions18_UltraLegacy_goldenJSON"
JEC, JER, JETS = "Summer19UL18_V5_MC", "Summer19UL18_JRV2_MC", "AK4PFchs"
GOLDEN_RUNS = 2_000
"""Runs in the golden JSON: more than any sample of two million collisions has."""

MINIMUM_BIAS = 0.046
"""Relative uncertainty of the inelastic cross section, hence of the pileup of the data."""

ISO_LOOSE = 0.25

JES_SOURCES = {
    "Regrouped_Absolute": "0.008+0.2/y",
    "Regrouped_BBEC1_2018": "0.003+0.006*abs(x)/2.5",
    "Regrouped_FlavorQCD": "0.004+0.010*exp(-y/100)",
}
"""Relative uncertainty of the jet energy by source, of pseudorapidity x and momentum y in GeV."""

_FILES = {
    "pileup": Path("LUM", PERIOD, "puWeights.json.gz"),
    "muon": Path("MUO", PERIOD, "muon_Z.json.gz"),
    "jerc": Path("JME", PERIOD, "jet_jerc.json.gz"),
    "golden": Path(
        "DC", "Collisions18", "Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt"
    ),
}

Content = dict[str, Any]


def write_corrections(directory: str | Path, *, overwrite: bool = False) -> dict[str, Path]:
    """Write the correction files and the golden JSON of the embedded sample.

    The folder is laid out as those of ``LAZYANA_CORRECTIONS``: set to it, the default parameters of
    2018 find pileup weights, muon scale factors, energy scale uncertainties and the golden JSON.

    Parameters
    ----------
    directory
        Where to; made if need be.
    overwrite
        Replace files that exist.

    Returns
    -------
    dict of str to pathlib.Path
        ``"pileup"``, ``"muon"`` and ``"jerc"``: correctionlib files; ``"golden"``: the golden JSON.

    Raises
    ------
    OutputExistsError
        When a file exists and ``overwrite`` is false.
    """
    paths = _paths(directory)
    there = [path for path in paths.values() if path.exists()]
    if there and not overwrite:
        msg = f"{there[0]} exists already; pass overwrite=True to replace it, or another directory."
        raise OutputExistsError(msg)
    contents = {
        "pileup": _set("Pileup weights of the embedded sample", [_pileup()]),
        "muon": _set("Muon scale factors of the embedded sample", _muons()),
        "jerc": _set("Jet energy of the embedded sample", [*_energy_scale(), *_resolution()]),
        "golden": _golden(),
    }
    for name, path in paths.items():
        _write(path, contents[name])
    return paths


def toy_parameters(directory: str | Path, *, luminosity: float | None = None) -> dict[str, Any]:
    """Parameters that make the defaults of 2018 use the files of `write_corrections`.

    Parameters
    ----------
    directory
        Where `write_corrections` wrote.
    luminosity
        Integrated luminosity of the data in pb⁻¹, ``metadata["lumi"]`` of the written sample; by
        default that of 2018 stays.

    Returns
    -------
    dict
        Changes for `lazyana.analysis.defaults.merge_parameters`.

    Raises
    ------
    FileError
        When a file is missing.
    InputError
        When the luminosity is no positive number.
    """
    paths = _paths(directory)
    for path in paths.values():
        if not path.is_file():
            msg = f"No correction file {path}: write it with write_corrections({str(directory)!r})."
            raise FileError(msg)
    lumi: Content = {"goldenJSON": {YEAR: str(paths["golden"])}}
    if luminosity is not None:
        if not 0 < luminosity < math.inf:
            msg = f"luminosity must be a positive number of pb^-1, not {luminosity}."
            raise InputError(msg)
        # all data of the sample are of era A
        eras = {"A": luminosity, "B": 0.0, "C": 0.0, "D": 0.0, "tot": luminosity}
        lumi["picobarns"] = {YEAR: {era: float(value) for era, value in eras.items()}}
    jets = {"json_path": str(paths["jerc"]), "jec_mc": JEC, "jer": JER}
    variations = [*(f"JES_{source}" for source in JES_SOURCES), "JER"]
    return {
        "lumi": lumi,
        "pileupJSONfiles": {YEAR: {"file": str(paths["pileup"]), "name": PILEUP}},
        "lepton_scale_factors": {
            "muon_sf": {"JSONfiles": {YEAR: {"file": str(paths["muon"])}}},
        },
        "default_jets_calibration": {
            "jet_types": {JETS: {YEAR: jets}},
            "variations": {"full_variations": {JETS: {YEAR: variations}}},
        },
    }


def _paths(directory: str | Path) -> dict[str, Path]:
    folder = Path(directory).expanduser().resolve()
    return {name: folder / path for name, path in _FILES.items()}


# ------------------------------------------------------------------------- pieces of correctionlib


def _set(description: str, corrections: list[Content]) -> Content:
    return {"schema_version": 2, "description": description, "corrections": corrections}


def _correction(name: str, description: str, inputs: Iterable[str], data: Content) -> Content:
    """A correction of inputs, which are real numbers unless they end in ``:string``."""
    variables = [(each.partition(":")[0], each.partition(":")[2] or "real") for each in inputs]
    return {
        "name": name,
        "description": description,
        "version": 1,
        "inputs": [{"name": each, "type": kind} for each, kind in variables],
        "output": {"name": "weight", "type": "real"},
        "data": data,
    }


def _formula(expression: str, *variables: str) -> Content:
    return {
        "nodetype": "formula",
        "parser": "TFormula",
        "expression": expression,
        "variables": list(variables),
    }


def _choice(variable: str, contents: Mapping[str, Content]) -> Content:
    items = [{"key": key, "value": value} for key, value in contents.items()]
    return {"nodetype": "category", "input": variable, "content": items}


def _between(variable: str, edges: list[Any], content: Content, flow: str) -> Content:
    return {
        "nodetype": "binning",
        "input": variable,
        "edges": edges,
        "content": [content],
        "flow": flow,
    }


# --------------------------------------------------------------------------------- what they hold


def _gauss(mean: float, width: float) -> str:
    """A normal distribution of x, but for a factor that all of them share."""
    return f"exp(-0.5*((x-{mean!r})/{width!r})^2)/{width!r}"


def _pileup() -> Content:
    simulated = _gauss(SIMULATION.pileup_mean, SIMULATION.pileup_width)
    scales = {"nominal": 1.0, "up": 1 + MINIMUM_BIAS, "down": 1 - MINIMUM_BIAS}
    weights = {}
    for shift, scale in scales.items():
        data = _gauss(DATA.pileup_mean * scale, DATA.pileup_width * scale)
        weight = _formula(f"({data})/({simulated})", "NumTrueInteractions")
        weights[shift] = _between("NumTrueInteractions", [0.0, 100.0], weight, "clamp")
    return _correction(
        PILEUP,
        "Weights of simulated events by the true mean number of interactions",
        ("NumTrueInteractions", "weights:string"),
        _choice("weights", weights),
    )


def _muon_formulas() -> dict[str, tuple[str, float]]:
    """Scale factor by correction, a formula of |eta| = x and momentum y, and its uncertainty."""
    identification = "0.996-0.008*(x/2.4)^2"
    simulated, tight = "(0.985-0.35*exp(-y/14))", "(0.997-0.020*exp(-y/25))"
    # isolation above the tight cut falls exponentially: this much of it passes the loose one
    also = 1 - math.exp(-(ISO_LOOSE - ISO_TIGHT) / 0.15)
    loose = f"({simulated}*{tight}*{1 - also!r}+{also!r})/({simulated}*{1 - also!r}+{also!r})"
    return {
        "NUM_TightID_DEN_genTracks": (identification, 0.003),
        "NUM_TightID_DEN_TrackerMuons": (identification, 0.003),
        "NUM_TightRelIso_DEN_TightIDandIPCut": (tight, 0.002),
        "NUM_LooseRelIso_DEN_TightIDandIPCut": (loose, 0.002),
        "NUM_IsoMu24_DEN_CutBasedIdTight_and_PFIsoTight": ("0.985-0.012*(x/2.4)^2", 0.004),
    }


def _muons() -> list[Content]:
    found = []
    for name, (nominal, uncertainty) in _muon_formulas().items():
        values = {
            "nominal": nominal,
            "systup": f"({nominal})*{1 + uncertainty!r}",
            "systdown": f"({nominal})*{1 - uncertainty!r}",
            "stat": f"({nominal})*{0.6 * uncertainty!r}",
            "syst": f"({nominal})*{0.8 * uncertainty!r}",
        }
        contents = {key: _formula(value, "abseta", "pt") for key, value in values.items()}
        data: Content = _choice("scale_factors", contents)
        data = _between("pt", [15.0, "inf"], data, "error")
        data = _between("abseta", [0.0, 2.4], data, "error")
        about = "Efficiency in data over that in simulation; stat and syst are uncertainties"
        found.append(_correction(name, about, ("abseta", "pt", "scale_factors:string"), data))
    return found


def _energy_scale() -> list[Content]:
    total = "sqrt(" + "+".join(f"({each})^2" for each in JES_SOURCES.values()) + ")"
    return [
        _correction(
            f"{JEC}_{source}_{JETS}",
            "Relative uncertainty of the jet energy",
            ("JetEta", "JetPt"),
            _between("JetEta", [-5.4, 5.4], _formula(formula, "JetEta", "JetPt"), "clamp"),
        )
        for source, formula in {**JES_SOURCES, "Total": total}.items()
    ]


def _resolution() -> list[Content]:
    # the response of jets in the generator, and how much wider it is in data
    relative = _formula("sqrt((3.0/x)^2+0.60/x+0.045^2)", "JetPt")
    nominal = DATA.jet_smear / SIMULATION.jet_smear
    factors = {"nom": nominal, "up": nominal + 0.05, "down": nominal - 0.05}
    content = {key: _formula(repr(value)) for key, value in factors.items()}
    return [
        _correction(
            f"{JER}_PtResolution_{JETS}",
            "Relative resolution of the jet momentum in simulation",
            ("JetEta", "JetPt", "Rho"),
            _between("JetEta", [-5.4, 5.4], relative, "clamp"),
        ),
        _correction(
            f"{JER}_ScaleFactor_{JETS}",
            "Resolution in data over that in simulation",
            ("JetEta", "systematic:string"),
            _between("JetEta", [-5.4, 5.4], _choice("systematic", content), "clamp"),
        ),
    ]


def _golden() -> dict[str, list[list[int]]]:
    """All luminosity sections of the data certified."""
    sections = [[1, EVENTS_PER_RUN // EVENTS_PER_SECTION]]
    return {str(run): sections for run in range(FIRST_RUN, FIRST_RUN + GOLDEN_RUNS)}


def _write(path: Path, content: Content) -> None:
    """Write JSON, compressed if the name says so, the same bytes each time."""
    text = json.dumps(content).encode()
    data = gzip.compress(text, mtime=0) if path.suffix == ".gz" else text
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
