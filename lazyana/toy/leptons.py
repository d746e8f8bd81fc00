"""What a detector makes of the leptons and photons of the toy sample.

Data and simulation differ on purpose,
by known amounts: `muon_scale_factor` and `pileup_weight` are the
exact corrections, `CONDITIONS` holds the scales and resolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyana.errors import InputError, did_you_mean
from lazyana.toy.tables import (
    Array,
    Bools,
    Floats,
    Rng,
    Table,
    link,
    stack,
    wrap,
)

ISO_TIGHT = 0.15
MUON_MASS, ELECTRON_MASS = 0.10566, 0.000511


@dataclass(frozen=True)
class Conditions:
    """State of the detector: where data and simulation differ.

    Attributes
    ----------
    muon_scale, electron_scale, jet_scale
        Factor on reconstructed momenta, 1 for a perfect calibration.
    muon_smear, electron_smear, jet_smear, met_smear
        Factor on the resolution.
    pileup_mean, pileup_width
        Mean and width of the number of interactions per bunch crossing.
    """

    is_data: bool
    muon_scale: float
    muon_smear: float
    electron_scale: float
    electron_smear: float
    jet_scale: float
    jet_smear: float
    met_smear: float
    pileup_mean: float
    pileup_width: float


SIMULATION = Conditions(False, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 32.0, 9.5)
DATA = Conditions(True, 0.9985, 1.06, 0.997, 1.08, 1.012, 1.10, 1.04, 34.0, 10.5)
CONDITIONS = {"simulation": SIMULATION, "data": DATA}
PILEUP_RANGE = (1.0, 98.0)


def muon_efficiency(kind: str, pt: Any, eta: Any, *, data: bool = False) -> Any:
    """True efficiency of prompt muons; plain arithmetic, so it works on lazy columns as well.

    Parameters
    ----------
    kind
        ``"id"`` (tightId),
        ``"iso"`` (pfRelIso04_all < 0.15) or ``"trigger"`` (HLT_IsoMu24, one leg,
        for muons that pass the other two).
    pt, eta
        Reconstructed transverse momentum in GeV and pseudorapidity, any shape.
    data
        In data instead of simulation.

    Raises
    ------
    InputError
        For an unknown kind.
    """
    edge = (eta / 2.4) ** 2
    if kind == "id":
        value = 0.975 - 0.012 * edge - 0.25 * np.exp(-pt / 6)
    elif kind == "iso":
        value = 0.985 - 0.35 * np.exp(-pt / 14)
    elif kind == "trigger":
        value = (0.93 - 0.06 * edge**2) / (1 + np.exp((24.2 - pt) / 0.5))
    else:
        kinds = ("id", "iso", "trigger")
        msg = (
            f"No muon efficiency {kind!r}; there are {', '.join(kinds)}.{did_you_mean(kind, kinds)}"
        )
        raise InputError(msg)
    return value * muon_scale_factor(kind, pt, eta) if data else value


def _no_such_efficiency(kind: str) -> InputError:
    kinds = ("id", "iso", "trigger")
    there = f"there are {', '.join(kinds)}.{did_you_mean(kind, kinds)}"
    return InputError(f"No muon efficiency {kind!r}; {there}")


def muon_scale_factor(kind: str, pt: Any, eta: Any) -> Any:
    """Efficiency in data over efficiency in simulation, exact by construction.

    Parameters
    ----------
    kind
        ``"id"``, ``"iso"`` or ``"trigger"`` as in `muon_efficiency`.
    pt, eta
        Transverse momentum in GeV and pseudorapidity, any shape.

    Raises
    ------
    InputError
        For an unknown kind.
    """
    edge = (eta / 2.4) ** 2
    if kind == "id":
        return 0.996 - 0.008 * edge
    if kind == "iso":
        return 0.997 - 0.020 * np.exp(-pt / 25) + 0.0 * edge
    if kind == "trigger":
        return 0.985 - 0.012 * edge + 0.0 * pt
    raise _no_such_efficiency(kind)


def pileup_weight(n_true: Any) -> Any:
    """Weight that turns the simulated profile of ``Pileup_nTrueInt`` into that of the data.

    Parameters
    ----------
    n_true
        True mean number of interactions, shape ``(events,)``.
    """
    sim, data = SIMULATION, DATA
    pull_sim = (n_true - sim.pileup_mean) / sim.pileup_width
    pull_data = (n_true - data.pileup_mean) / data.pileup_width
    return sim.pileup_width / data.pileup_width * np.exp((pull_sim**2 - pull_data**2) / 2)


def pileup(rng: Rng, events: int, state: Conditions) -> dict[str, Array]:
    """Interactions, vertices and energy density of each event, shape ``(events,)`` each."""
    low, high = PILEUP_RANGE
    true = rng.normal(state.pileup_mean, state.pileup_width, events)
    outside = (true < low) | (true > high)
    true[outside] = rng.uniform(20, 40, outside.sum())
    number = rng.poisson(true)
    vertices = 1 + rng.binomial(number, 0.70)
    good = 1 + rng.binomial(vertices - 1, 0.86)
    rho = np.maximum(0.55 * number + 1.5 + rng.normal(0, 2.0, events), 0.3)
    return {"true": true, "number": number, "npvs": vertices, "good": good, "rho": rho}


def track_columns(rng: Rng, pt: Floats, displaced: Bools) -> dict[str, Array]:
    """Impact parameters in cm of prompt and displaced tracks."""
    n = len(pt)
    error = 0.0012 + 0.012 / np.maximum(pt, 1)
    flight = np.where(displaced, rng.exponential(0.025, n), 0.0)
    dxy = rng.normal(0, 1, n) * error + flight * rng.choice([-1.0, 1.0], size=n)
    dz = rng.normal(0, 1, n) * error * 1.8 + flight * rng.normal(0, 1, n)
    ip3d = np.hypot(dxy, dz)
    return {
        "dxy": dxy, "dxyErr": error, "dz": dz, "dzErr": error * 1.8,
        "ip3d": ip3d, "sip3d": ip3d / (error * 1.4),
    }  # fmt: skip


def isolation(rng: Rng, prompt: Bools, passes: Bools, pt: Floats, interactions: Array) -> Floats:
    """Relative isolation: small and often 0 for prompt leptons, broad for those inside jets."""
    n = len(pt)
    width = 0.008 + (0.25 + 0.015 * interactions) / pt
    u = rng.random(n)
    inside = -width * np.log1p(-u * (1 - np.exp(-ISO_TIGHT / width)))
    inside = np.where(rng.random(n) < 0.3, 0.0, np.minimum(inside, 0.999 * ISO_TIGHT))
    tail = ISO_TIGHT + rng.exponential(0.15, n)
    jetty = rng.lognormal(0.0, 0.95, n)
    value: Floats = np.where(prompt, np.where(passes, inside, tail), jetty)
    return value


def _fake_muons(rng: Rng, partons: Table, events: int) -> Table:
    """Decays in flight and punch-through: soft, in or near jets, without a gen partner."""
    source = partons.take(rng.random(len(partons)) < 0.015)
    pt = 3 + rng.exponential(0.08 * source["pt"] + 1.0)
    near = {"pt": pt, "eta": source["eta"] + rng.normal(0, 0.12, len(source)),
            "phi": source["phi"] + rng.normal(0, 0.12, len(source))}  # fmt: skip
    number = rng.poisson(0.03, events)
    n = int(number.sum())
    far = {"pt": 3 + rng.exponential(1.5, n), "eta": rng.uniform(-2.4, 2.4, n),
           "phi": rng.uniform(-np.pi, np.pi, n)}  # fmt: skip
    both = stack(
        [Table(source.event, dict(near)), Table(np.repeat(np.arange(events), number), dict(far))]
    )
    n = len(both)
    return both.with_columns(
        mass=np.full(n, MUON_MASS), row=np.full(n, -1), flavour=np.zeros(n, np.uint8),
        pdgId=rng.choice([-13, 13], size=n),
    )  # fmt: skip


def muons(
    rng: Rng, leptons: Table, partons: Table, pile: dict[str, Array], state: Conditions
) -> Table:
    """Reconstructed muons above 3 GeV with identification, isolation and trigger legs."""
    real = leptons.take((np.abs(leptons["pdgId"]) == 13) & (rng.random(len(leptons)) < 0.988))
    table = stack([real, _fake_muons(rng, partons, len(pile["true"]))])
    n = len(table)
    resolution = np.hypot(0.008 + 0.012 * (table["eta"] / 2.4) ** 2, 1.2e-4 * table["pt"])
    resolution = resolution * state.muon_smear
    pt = table["pt"] * state.muon_scale * (1 + resolution * rng.normal(0, 1, n))
    table = table.with_columns(
        pt=pt, ptErr=pt * resolution * rng.gamma(30, 1 / 30, n), phi=wrap(table["phi"]),
        mass=np.full(n, MUON_MASS), charge=-np.sign(table["pdgId"]),
    )  # fmt: skip
    table = table.take((pt > 3) & (np.abs(table["eta"]) < 2.4)).sorted_by("pt")
    return _muon_quality(rng, table, pile, state)


def _muon_quality(rng: Rng, table: Table, pile: dict[str, Array], state: Conditions) -> Table:
    n, pt, eta = len(table), table["pt"], table["eta"]
    prompt = (table["flavour"] == 1) | (table["flavour"] == 15)
    heavy = (table["flavour"] == 4) | (table["flavour"] == 5)
    good = muon_efficiency("id", pt, eta, data=state.is_data)
    quality = rng.random(n) / np.where(prompt, good, np.where(heavy, 0.80, 0.15))
    tight = quality < 1
    medium = tight | (quality < 1.015)
    loose = medium | (rng.random(n) < np.where(prompt | heavy, 0.9, 0.6))
    passes = rng.random(n) < muon_efficiency("iso", pt, eta, data=state.is_data)
    iso04 = isolation(rng, prompt, passes, pt, pile["number"][table.event])
    iso03 = iso04 * rng.uniform(0.55, 1.0, n)
    charged = iso03 * rng.beta(2, 1.5, n)
    mini = iso04 * np.minimum(1.0, 10 / pt) * rng.uniform(0.6, 1.0, n)
    track = track_columns(rng, pt, ~prompt)
    steps = (0.4, 0.25, 0.20, 0.15, 0.10, 0.05)
    leg = rng.random(n)
    leg = np.where(medium, leg, 2.0)
    return table.with_columns(
        **track, tightId=tight & (np.abs(track["dz"]) < 0.5), mediumId=medium, looseId=loose,
        _leg=leg, _prompt=prompt,
        mediumPromptId=medium & (np.abs(track["dxy"]) < 0.02), isPFcand=loose,
        isGlobal=medium | (rng.random(n) < 0.6), isTracker=loose | (rng.random(n) < 0.8),
        pfRelIso04_all=iso04, pfRelIso03_all=iso03, pfRelIso03_chg=charged,
        miniPFRelIso_all=mini, tkRelIso=charged * 0.9,
        pfIsoId=np.sum([iso04 < step for step in steps], axis=0).astype(np.uint8),
        tkIsoId=((charged < 0.1).astype(np.uint8) + (charged < 0.05)).astype(np.uint8),
        miniIsoId=np.sum([mini < step for step in (0.4, 0.2, 0.1, 0.05)], axis=0).astype(np.uint8),
        highPtId=np.where(medium, 2, 0).astype(np.uint8), tightCharge=np.where(medium, 2, 0),
        nStations=rng.binomial(4, np.where(medium, 0.85, 0.4)),
        nTrackerLayers=6 + rng.binomial(11, 0.65, n),
        segmentComp=np.where(medium, rng.beta(9, 1.5, n), rng.beta(2, 3, n)),
        mvaTTH=np.where(prompt, rng.beta(9, 0.8, n), rng.beta(0.8, 6, n)) * 2 - 1,
        tunepRelPt=1 + rng.normal(0, 0.004, n),
    )  # fmt: skip


def electrons(
    rng: Rng, leptons: Table, partons: Table, pile: dict[str, Array], state: Conditions
) -> Table:
    """Reconstructed electrons above 5 GeV with identification, isolation and trigger legs."""
    rate = np.where(leptons["flavour"] > 5, 0.95, np.where(leptons["flavour"] > 1, 0.45, 0.95))
    real = leptons.take((np.abs(leptons["pdgId"]) == 11) & (rng.random(len(leptons)) < rate))
    source = partons.take(rng.random(len(partons)) < 0.05)
    n = len(source)
    fake = Table(source.event, {
        "pt": 5 + rng.exponential(0.25 * source["pt"]),
        "eta": source["eta"] + rng.normal(0, 0.1, n),
        "phi": source["phi"] + rng.normal(0, 0.1, n), "mass": np.full(n, ELECTRON_MASS),
        "row": np.full(n, -1), "pdgId": rng.choice([-11, 11], size=n),
        "flavour": np.zeros(n, np.uint8),
    })  # fmt: skip
    table = stack([real, fake])
    n = len(table)
    resolution = np.hypot(
        0.08 / np.sqrt(table["pt"]), 0.010 + 0.010 * (np.abs(table["eta"]) > 1.479)
    )
    resolution = resolution * state.electron_smear
    # a bremsstrahlung photon outside the cluster now and then
    lost = np.where(rng.random(n) < 0.12, np.minimum(rng.exponential(0.05, n), 0.5), 0.0)
    pt = table["pt"] * state.electron_scale * (1 + resolution * rng.normal(0, 1, n)) * (1 - lost)
    flip = np.where(rng.random(n) < 0.004 + 0.012 * (np.abs(table["eta"]) > 1.479), -1, 1)
    table = table.with_columns(
        pt=pt, energyErr=pt * np.cosh(table["eta"]) * resolution, phi=wrap(table["phi"]),
        charge=-np.sign(table["pdgId"]) * flip, pdgId=table["pdgId"] * flip,
        mass=np.full(n, ELECTRON_MASS),
    )  # fmt: skip
    table = table.take((pt > 5) & (np.abs(table["eta"]) < 2.5)).sorted_by("pt")
    return _electron_quality(rng, table, pile, state)


def _electron_quality(rng: Rng, table: Table, pile: dict[str, Array], state: Conditions) -> Table:
    n, pt, eta = len(table), table["pt"], table["eta"]
    prompt = (table["flavour"] == 1) | (table["flavour"] == 15)
    barrel = np.abs(eta) < 1.479
    latent = rng.random(n) * (1 + 0.35 * np.exp(-pt / 15)) * (1.015 if state.is_data else 1.0)
    # scores at which the working points sit, and the share of electrons above them
    scores = [1.0, 0.6, 0.0, -0.8, -1.0]
    iso_score = np.where(
        prompt,
        np.interp(latent, [0, 0.80, 0.90, 0.98, 1], scores),
        np.interp(latent, [0, 0.02, 0.07, 0.35, 1], scores),
    )
    score = np.where(prompt, iso_score, np.interp(latent, [0, 0.05, 0.15, 0.5, 1], scores))
    iso = isolation(
        rng, prompt, rng.random(n) < 0.97 - 0.3 * np.exp(-pt / 15), pt, pile["number"][table.event]
    )
    charged = iso * rng.beta(2, 1.5, n)
    level = np.where(
        score > 0.5, 4, np.where(score > 0.2, 3, np.where(score > -0.4, 2, score > -0.8))
    ) * (iso < 0.3)
    sieie = np.where(barrel, 0.0095, 0.027) * np.where(
        prompt, rng.gamma(120, 1 / 120, n), rng.gamma(30, 1.2 / 30, n)
    )
    leg = np.where(score > 0.0, rng.random(n), 2.0)
    return table.with_columns(
        **track_columns(rng, pt, ~prompt), _leg=leg, _prompt=prompt,
        mvaFall17V2Iso=iso_score, mvaFall17V2noIso=score,
        mvaFall17V2Iso_WP80=iso_score > 0.6, mvaFall17V2Iso_WP90=iso_score > 0.0,
        mvaFall17V2Iso_WPL=iso_score > -0.8,
        mvaFall17V2noIso_WP80=score > 0.6, mvaFall17V2noIso_WP90=score > 0.0,
        mvaFall17V2noIso_WPL=score > -0.8,
        cutBased=level.astype(np.int64), cutBased_HEEP=(level >= 3) & (pt > 35),
        pfRelIso03_all=iso, pfRelIso03_chg=charged,
        deltaEtaSC=rng.normal(0, 0.02, n), sieie=sieie,
        r9=np.where(prompt, rng.beta(14, 1.2, n), rng.beta(5, 2, n)),
        hoe=np.where(prompt, rng.exponential(0.01, n), rng.exponential(0.08, n)),
        eInvMinusPInv=rng.normal(0, 0.01, n) / np.sqrt(pt), eCorr=1 + rng.normal(0, 0.004, n),
        convVeto=rng.random(n) < np.where(prompt, 0.98, 0.75),
        isPFcand=rng.random(n) < np.where(prompt, 0.98, 0.8),
        lostHits=rng.binomial(2, np.where(prompt, 0.03, 0.25)).astype(np.uint8),
        tightCharge=np.where(prompt, 2, 1),
        mvaTTH=np.where(prompt, rng.beta(9, 0.8, n), rng.beta(0.8, 6, n)) * 2 - 1,
    )  # fmt: skip


def low_pt_electrons(rng: Rng, leptons: Table, events: int) -> Table:
    """Electrons of the dedicated low-momentum tracking, 1 to 5 GeV."""
    real = leptons.take(
        (np.abs(leptons["pdgId"]) == 11) & (leptons["pt"] < 5) & (leptons["pt"] > 1)
    )
    number = rng.poisson(0.08, events)
    n = int(number.sum())
    fake = Table(np.repeat(np.arange(events), number), {
        "pt": 1 + rng.exponential(1.0, n), "eta": rng.uniform(-2.5, 2.5, n),
        "phi": rng.uniform(-np.pi, np.pi, n),
        "mass": np.full(n, ELECTRON_MASS), "row": np.full(n, -1),
        "pdgId": rng.choice([-11, 11], size=n),
        "flavour": np.zeros(n, np.uint8),
    })  # fmt: skip
    table = stack([real, fake])
    table = table.take(np.abs(table["eta"]) < 2.5).sorted_by("pt")
    n = len(table)
    return table.with_columns(
        phi=wrap(table["phi"]), charge=-np.sign(table["pdgId"]),
        ID=rng.normal(1.5 * (table["flavour"] > 0), 1.5),
        electronIdx=np.full(n, -1), photonIdx=np.full(n, -1), convVeto=rng.random(n) < 0.9,
    )  # fmt: skip


def photons(
    rng: Rng, radiated: Table, electron: Table, partons: Table, pile: dict[str, Array]
) -> Table:
    """Reconstructed photons above 10 GeV: radiated ones, electrons seen again, and jets."""
    names = ("pt", "eta", "phi")
    jets = partons.take(rng.random(len(partons)) < 0.10)
    parts = []
    for source, flavour, spread, share in (
        (radiated, 1, 0.0, 1.0),
        (electron, 11, 0.002, 1.0),
        (jets, 0, 0.1, 0.4),
    ):
        n = len(source)
        columns: dict[str, Array] = {
            name: source[name] + rng.normal(0, spread, n) for name in names
        }
        columns["pt"] = source["pt"] * share * (1 + rng.normal(0, 0.02, n))
        columns["row"] = source["row"] if flavour else np.full(n, -1)
        columns["_electron"] = np.arange(n) if flavour == 11 else np.full(n, -1)
        columns["genPartFlav"] = np.where(columns["row"] >= 0, flavour, 0).astype(np.uint8)
        parts.append(Table(source.event, columns))
    table = stack(parts)
    table = table.take((table["pt"] > 10) & (np.abs(table["eta"]) < 2.5)).sorted_by("pt")
    n, from_electron, real = len(table), table["_electron"] >= 0, table["genPartFlav"] == 1
    score = np.where(real | from_electron, rng.beta(6, 1, n), rng.beta(1, 4, n)) * 2 - 1
    iso = isolation(
        rng, real | from_electron, rng.random(n) < 0.95, table["pt"], pile["number"][table.event]
    )
    barrel = np.abs(table["eta"]) < 1.479
    return table.with_columns(
        phi=wrap(table["phi"]),
        pdgId=np.full(n, 22), mvaID=score,
        mvaID_WP80=score > 0.42, mvaID_WP90=score > -0.02,
        electronVeto=~from_electron | (rng.random(n) < 0.03),
        pixelSeed=from_electron & (rng.random(n) < 0.97),
        pfRelIso03_all=iso, pfRelIso03_chg=iso * rng.beta(2, 1.5, n), r9=rng.beta(12, 1.2, n),
        hoe=rng.exponential(np.where(real, 0.01, 0.05)),
        sieie=np.where(barrel, 0.0095, 0.027) * rng.gamma(80, 1 / 80, n),
        cutBased=(score > -0.5).astype(np.int64) + (score > 0) + (score > 0.5),
        eCorr=1 + rng.normal(0, 0.005, n),
    )  # fmt: skip


def fsr_photons(rng: Rng, radiated: Table, muon: Table) -> Table:
    """Photons above 2 GeV near the muon that radiated them."""
    row = link(radiated["lepton"], muon["row"])
    table = radiated.with_columns(_muon=row).take(
        (row >= 0) & (radiated["pt"] > 2) & (rng.random(len(row)) < 0.8)
    )
    table = table.sorted_by("pt")
    n = len(table)
    return Table(table.event, {
        "pt": table["pt"] * (1 + rng.normal(0, 0.05, n)), "eta": table["eta"],
        "phi": wrap(table["phi"]), "_muon": table["_muon"],
        "relIso03": rng.exponential(0.3, n), "dROverEt2": rng.exponential(0.002, n),
    })  # fmt: skip


def taus(rng: Rng, decays: Table, electron: Table, partons: Table) -> Table:
    """Hadronic tau candidates above 18 GeV: real ones, jets and electrons."""
    jets = partons.take((rng.random(len(partons)) < 0.12) & (partons["pt"] > 18))
    fakes = electron.take(electron["_prompt"] & (rng.random(len(electron)) < 0.15))
    parts = []
    for source, flavour in ((decays, 5), (jets, 0), (fakes, 1)):
        n = len(source)
        mode = source["status"] if flavour == 5 else rng.choice([0, 1, 2, 10, 11], size=n)
        parts.append(Table(source.event, {
            "pt": source["pt"] * (1 + rng.normal(0, 0.06, n)) * (0.75 if flavour == 0 else 1.0),
            "eta": source["eta"], "phi": wrap(source["phi"]),
            "mass": np.where(
                mode == 0, 0.1396, np.clip(rng.normal(0.8 + 0.3 * (mode > 5), 0.2), 0.3, 1.7)),
            "charge": rng.choice([-1, 1], size=n) if flavour == 0 else source["charge"],
            "decayMode": mode,
            "row": np.full(n, -1) if flavour == 0 else source["row"],
            "genPartFlav": np.full(n, flavour, np.uint8),
        }))  # fmt: skip
    table = stack(parts)
    keep = (table["pt"] > 18) & (np.abs(table["eta"]) < 2.3) & (rng.random(len(table)) < 0.75)
    return _tau_quality(rng, table.take(keep).sorted_by("pt"))


def _bits(score: Floats, edges: list[float]) -> Array:
    """Bitmask with one bit more for every working point that is passed."""
    level = np.searchsorted(np.array(edges), score)
    bits: Array = ((1 << level) - 1).astype(np.uint8)
    return bits


def _tau_quality(rng: Rng, table: Table) -> Table:
    n, real = len(table), table["genPartFlav"] == 5
    jet = np.where(table["genPartFlav"] > 0, rng.beta(12, 0.6, n), rng.beta(0.6, 2.0, n))
    electron = np.where(table["genPartFlav"] == 1, rng.beta(0.7, 3, n), rng.beta(14, 0.6, n))
    muon = rng.beta(14, 0.4, n)
    steps = [0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.96, 0.98]
    iso = rng.exponential(np.where(real, 0.5, 6.0))
    new_mode = rng.random(n) < 0.98
    return table.with_columns(
        rawDeepTau2017v2p1VSjet=jet, rawDeepTau2017v2p1VSe=electron, rawDeepTau2017v2p1VSmu=muon,
        idDeepTau2017v2p1VSjet=_bits(jet, steps), idDeepTau2017v2p1VSe=_bits(electron, steps),
        idDeepTau2017v2p1VSmu=_bits(muon, [0.2, 0.5, 0.8, 0.9]),
        idDecayModeOldDMs=new_mode & (table["decayMode"] != 11),
        rawIso=iso, chargedIso=iso * rng.beta(2, 2, n), neutralIso=iso * rng.beta(2, 2, n),
        dxy=rng.normal(0, np.where(real, 0.008, 0.004)), dz=rng.normal(0, 0.01, n),
        leadTkPtOverTauPt=rng.beta(5, 2, n),
    )  # fmt: skip
