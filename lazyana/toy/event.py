"""One block of toy events in NanoAOD layout: collections, event columns, triggers and weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lazyana.toy import jets as toy_jets
from lazyana.toy import leptons as toy_leptons
from lazyana.toy.leptons import Conditions, muon_efficiency
from lazyana.toy.physics import Truth
from lazyana.toy.tables import Array, Bools, Floats, Ints, Rng, Table, link, nearest, stack

# thresholds in GeV of single-lepton paths; None: no isolation asked for
MUON_PATHS = {
    "IsoMu20": 20.0, "IsoMu24": 24.0, "IsoMu27": 27.0, "Mu27": 27.0, "Mu50": 50.0,
}  # fmt: skip
ELECTRON_PATHS = {
    "Ele27_WPTight_Gsf": 27.0, "Ele28_WPTight_Gsf": 28.0, "Ele32_WPTight_Gsf": 32.0,
    "Ele35_WPTight_Gsf": 35.0,
}  # fmt: skip
FLAGS = (
    "goodVertices", "globalSuperTightHalo2016Filter", "HBHENoiseFilter", "HBHENoiseIsoFilter",
    "EcalDeadCellTriggerPrimitiveFilter", "BadPFMuonFilter", "BadPFMuonDzFilter", "eeBadScFilter",
    "ecalBadCalibFilter",
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """The truth of a block, cut down to the events that are kept.

    Attributes
    ----------
    index
        Shape ``(events,)``: number of each event in its dataset.
    neutrinos
        Shape ``(events, 2)``: sum of their transverse momenta in GeV.
    """

    index: Ints
    tables: dict[str, Table]
    neutrinos: Floats
    flat: dict[str, Array]

    @classmethod
    def of(cls, truth: Truth, index: Ints, history: Table, pile: dict[str, Array]) -> Scene:
        """Everything the detector sees of the collisions of a block."""
        kinds = {
            name: stack(getattr(truth, name)) for name in ("leptons", "photons", "taus", "partons")
        }
        hidden = np.isin(np.abs(history["pdgId"]), (12, 14, 16)) & (history["status"] == 1)
        pt = np.where(hidden, history["pt"], 0.0)
        vector = [
            np.bincount(history.event, pt * wave(history["phi"]), truth.events)
            for wave in (np.cos, np.sin)
        ]
        flat = pile | {"ttbar": truth.ttbar, "scale": truth.scale, "boson_pt": truth.boson_pt}
        return cls(index, kinds, np.stack(vector, axis=1), flat)

    def keep(self, mask: Bools) -> Scene:
        """Only the events of a mask, shape ``(events,)``."""
        tables = {name: table.keep_events(mask) for name, table in self.tables.items()}
        flat = {name: values[mask] for name, values in self.flat.items()}
        return Scene(self.index[mask], tables, self.neutrinos[mask], flat)

    def pile(self) -> dict[str, Array]:
        """The pileup columns."""
        return {name: self.flat[name] for name in ("true", "number", "npvs", "good", "rho")}


def any_of(table: Table, mask: Array, events: int) -> Bools:
    """Events with at least one row that passes, shape ``(events,)``."""
    found = np.zeros(events, dtype=bool)
    found[table.event[mask]] = True
    return found


def muon_legs(muon: Table, state: Conditions) -> dict[str, Bools]:
    """Which muons fire which path; a muon is as lucky in one path as in the next."""
    legs: dict[str, Bools] = {}
    isolated = muon["pfRelIso04_all"] < toy_leptons.ISO_TIGHT
    for path, threshold in MUON_PATHS.items():
        pt = muon["pt"] + 24.0 - threshold
        fires = muon["_leg"] < muon_efficiency("trigger", pt, muon["eta"], data=state.is_data)
        legs[path] = fires & isolated if path.startswith("Iso") else fires
    legs["Mu17"] = (muon["_leg"] < 0.96) & (muon["pt"] > 17)
    legs["Mu8"] = (muon["_leg"] < 0.98) & (muon["pt"] > 8)
    return legs


def _two(table: Table, mask: Bools, events: int) -> Bools:
    found: Bools = np.bincount(table.event[mask], minlength=events) >= 2
    return found


def triggers(
    rng: Rng,
    muon: Table,
    electron: Table,
    jet: Table,
    fat: Table,
    flat: dict[str, Array],
    state: Conditions,
) -> dict[str, Array]:
    """The ``HLT_`` branches, shape ``(events,)`` each."""
    n = len(flat["MET_pt"])
    legs = muon_legs(muon, state)
    hlt = {path: any_of(muon, legs[path], n) for path in MUON_PATHS}
    good = (electron["_leg"] < 0.92) & (electron["pfRelIso03_all"] < 0.15)
    for path, threshold in ELECTRON_PATHS.items():
        turn = 1 / (1 + np.exp((threshold + 0.3 - electron["pt"]) / 0.8))
        hlt[path] = any_of(electron, good & (electron["_leg"] < 0.92 * turn), n)
    legs_e = {pt: good & (electron["pt"] > pt) for pt in (12, 23, 25)}
    hlt["Mu17_TrkIsoVVL_Mu8_TrkIsoVVL_DZ_Mass3p8"] = any_of(muon, legs["Mu17"], n) & _two(
        muon, legs["Mu8"], n
    )
    hlt["Mu8_TrkIsoVVL_Ele23_CaloIdL_TrackIdL_IsoVL_DZ"] = any_of(muon, legs["Mu8"], n) & any_of(
        electron, legs_e[23], n
    )
    hlt["Mu23_TrkIsoVVL_Ele12_CaloIdL_TrackIdL_IsoVL"] = (
        any_of(muon, legs["Mu17"] & (muon["pt"] > 23), n) & any_of(electron, legs_e[12], n)
    )  # fmt: skip
    hlt["Ele23_Ele12_CaloIdL_TrackIdL_IsoVL"] = any_of(electron, legs_e[23], n) & _two(
        electron, legs_e[12], n
    )
    hlt["DoubleEle25_CaloIdL_MW"] = _two(electron, legs_e[25], n)
    ht = np.bincount(
        jet.event, np.where((jet["pt"] > 30) & (np.abs(jet["eta"]) < 2.5), jet["pt"], 0.0), n
    )
    hlt["PFHT1050"], hlt["PFHT250"] = ht > 1050, (ht > 250) & (rng.random(n) < 0.05)
    for threshold in (40, 140, 500):
        prescale = {40: 0.001, 140: 0.02, 500: 1.0}[threshold]
        hlt[f"PFJet{threshold}"] = any_of(jet, jet["pt"] > threshold, n) & (
            rng.random(n) < prescale
        )
    hlt["AK8PFJet500"] = any_of(fat, fat["pt"] > 500, n)
    hlt["AK8PFJet400_TrimMass30"] = any_of(fat, (fat["pt"] > 400) & (fat["msoftdrop"] > 30), n)
    hlt["PFMET120_PFMHT120_IDTight"] = flat["MET_pt"] + rng.normal(0, 12, n) > 135
    return {f"HLT_{path}": fired for path, fired in hlt.items()}


def prefiring(jet: Table, events: int) -> dict[str, Array]:
    """``L1PreFiringWeight`` branches: probability that no forward jet vetoed the event."""
    forward = (np.abs(jet["eta"]) > 2.0) & (np.abs(jet["eta"]) < 3.0) & (jet["pt"] > 30)
    rate = np.where(forward, 0.05 * np.minimum(jet["pt"] / 150, 1.0), 0.0)
    flat = {}
    for name, factor in (("Nom", 1.0), ("Up", 1.2), ("Dn", 0.8)):
        weight = np.exp(np.bincount(jet.event, np.log1p(-rate * factor), events))
        flat[f"L1PreFiringWeight_{name}"] = flat[f"L1PreFiringWeight_ECAL_{name}"] = weight
    return flat


def generator(
    rng: Rng, scene: Scene, magnitude: Floats, negative: Floats
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Generator weights and LHE columns: one value an event, and rows of weights."""
    n, scale, partons = len(scene.index), scene.flat["scale"], scene.tables["partons"]
    hard = partons.take(partons["pt"] > 20)
    number, ht = hard.counts(n), np.bincount(hard.event, hard["pt"], n)
    weight = magnitude * np.where(rng.random(n) < negative, -1.0, 1.0)
    x = np.clip(scale / 13000 * np.exp(rng.normal(0, 1.0, n)), 1e-5, 0.9)
    other = np.clip((scale / 13000) ** 2 / x, 1e-5, 0.9)
    first = np.where(scene.flat["ttbar"], 21, rng.choice([1, 2, 3, 4], size=n))
    flat = {
        "genWeight": weight, "Generator_weight": weight, "LHEWeight_originalXWGTUP": weight,
        "Generator_binvar": scale, "Generator_scalePDF": scale, "Generator_x1": x,
        "Generator_x2": other,
        "Generator_id1": first, "Generator_id2": np.where(first == 21, 21, -first),
        "LHE_HT": ht, "LHE_HTIncoming": ht, "LHE_Vpt": scene.flat["boson_pt"],
        "LHE_AlphaS": np.full(n, 0.118),
        "LHE_Njets": number.astype(np.uint8), "LHE_NpNLO": np.minimum(number, 2).astype(np.uint8),
    }  # fmt: skip
    # renormalisation matters with every further jet, factorisation with the momentum fractions
    log2 = np.log(2.0) * np.array([-1.0, 0.0, 1.0])
    slope_r = -0.10 - 0.09 * np.minimum(number, 4)
    slope_f = 0.06 * (np.log10(x * other) + 4)
    scales = 1 + slope_r[:, None, None] * log2[:, None] + slope_f[:, None, None] * log2
    modes = np.arange(1, 11)
    pdf = (
        1
        + 0.008 * np.sin(modes * np.log(x)[:, None])
        + 0.006 * np.cos(modes * np.log(other)[:, None])
    )
    shower = np.stack(
        [
            1 + s * (0.03 + c * np.minimum(number, 4))
            for s, c in ((1, 0.03), (1, 0.015), (-1, 0.03), (-1, 0.015))
        ],
        1,
    )
    return flat, {
        "LHEScaleWeight": scales.reshape(n, 9),
        "LHEPdfWeight": np.concatenate([np.ones((n, 1)), pdf], axis=1), "PSWeight": shower,
    }  # fmt: skip


def _vertices(rng: Rng, pile: dict[str, Array], events: int) -> dict[str, Array]:
    return {
        "PV_x": rng.normal(0.01, 0.001, events), "PV_y": rng.normal(-0.025, 0.001, events),
        "PV_z": rng.normal(0, 3.5, events),
        "PV_ndof": rng.gamma(6, 15, events) + 5, "PV_chi2": rng.gamma(60, 1 / 60, events),
        "PV_score": rng.lognormal(8, 1, events),
        "PV_npvs": pile["npvs"], "PV_npvsGood": pile["good"],
        "fixedGridRhoFastjetAll": pile["rho"], "fixedGridRhoFastjetCentral": pile["rho"] * 0.9,
        "fixedGridRhoFastjetCentralCalo": pile["rho"] * 0.45,
    }  # fmt: skip


def _filters(rng: Rng, events: int) -> dict[str, Array]:
    flat: dict[str, Array] = {f"Flag_{name}": rng.random(events) > 0.0004 for name in FLAGS}
    flat["Flag_METFilters"] = np.all(list(flat.values()), axis=0)
    return flat


@dataclass(frozen=True)
class Block:
    """Events ready to be written: jagged tables, rows of fixed length, and one value an event."""

    index: Ints
    tables: dict[str, Table]
    fixed: dict[str, Array]
    flat: dict[str, Array]

    @property
    def is_mc(self) -> bool:
        """Whether the events are simulated."""
        return "genWeight" in self.flat


def detect(
    rng: Rng, truth: Truth, index: Ints, state: Conditions, magnitude: Floats, negative: Floats
) -> Block:
    """Reconstruct a block of events.

    Parameters
    ----------
    rng
        Source of random numbers.
    truth
        The collisions.
    index
        Number of each event in its dataset, shape ``(events,)``.
    state
        Conditions of data or simulation; data keeps only what single-muon triggers fired on.
    magnitude, negative
        Absolute generator weight and share of negative ones, shape ``(events,)``.
    """
    history = truth.history()
    pile = toy_leptons.pileup(rng, truth.events, state)
    scene = Scene.of(truth, index, history, pile)
    muon = toy_leptons.muons(rng, scene.tables["leptons"], scene.tables["partons"], pile, state)
    if state.is_data:
        legs = muon_legs(muon, state)
        fired = any_of(muon, legs["IsoMu24"] | legs["Mu50"], truth.events)
        scene, muon = scene.keep(fired), muon.keep_events(fired)
    tables, fixed, flat = _reconstruct(rng, scene, muon, state)
    if not state.is_data:
        _add_truth(tables, flat, scene, history)
        weights, fixed = generator(rng, scene, magnitude, negative)
        flat |= weights
        return Block(scene.index, tables, fixed, flat)
    # data lost what prefired; simulation carries the weight for it
    seen = rng.random(len(scene.index)) < flat["L1PreFiringWeight_Nom"]
    flat = {k: v[seen] for k, v in flat.items() if not k.startswith(("L1PreFiring", "GenMET"))}
    return Block(
        scene.index[seen], {k: v.keep_events(seen) for k, v in tables.items()}, fixed, flat
    )


def _reconstruct(
    rng: Rng, scene: Scene, muon: Table, state: Conditions
) -> tuple[dict[str, Table], dict[str, Array], dict[str, Array]]:
    n, pile, true = len(scene.index), scene.pile(), scene.tables
    electron = toy_leptons.electrons(rng, true["leptons"], true["partons"], pile, state)
    photon = toy_leptons.photons(rng, true["photons"], electron, true["partons"], pile)
    tau = toy_leptons.taus(rng, true["taus"], electron, true["partons"])
    source = toy_jets.sources(rng, true["partons"], true["leptons"], true["taus"], pile["number"])
    jet = toy_jets.jets(rng, source, pile["rho"], state)
    fat, sub = toy_jets.fat_jets(rng, source, state)
    flat = _vertices(rng, pile, n) | _filters(rng, n)
    position = {axis: flat[f"PV_{axis}"] for axis in "xyz"}
    flat |= toy_jets.missing_momentum(
        rng, scene.neutrinos, jet, pile["number"], scene.flat["scale"], state
    )
    flat |= triggers(rng, muon, electron, jet, fat, flat, state) | prefiring(jet, n)
    tables = {
        "Muon": muon, "Electron": electron, "Photon": photon, "Tau": tau, "Jet": jet, "FatJet": fat,
        "SubJet": sub,
        "SV": toy_jets.secondary_vertices(rng, jet, position),
        "FsrPhoton": toy_leptons.fsr_photons(rng, true["photons"], muon),
        "LowPtElectron": toy_leptons.low_pt_electrons(rng, true["leptons"], n),
        "GenJet": toy_jets.gen_jets(source, 10.0), "GenJetAK8": toy_jets.gen_jets(source, 100.0),
    }  # fmt: skip
    _cross_reference(tables, n)
    return tables, {}, flat


def _cross_reference(tables: dict[str, Table], events: int) -> None:
    """Indices between reconstructed objects, each local to its event and -1 for none."""
    muon, electron, jet, photon = (tables[name] for name in ("Muon", "Electron", "Jet", "Photon"))
    in_jet: dict[str, Array] = {}
    for name, table in (("muon", muon), ("electron", electron)):
        host, slots = toy_jets.contained(table, jet, events)
        relative = np.where(
            host >= 0,
            jet["pt"][host] / table["pt"] - 1,
            table[f"pfRelIso0{4 if name == 'muon' else 3}_all"],
        )
        tables[name.capitalize()] = table.with_columns(
            jetIdx=jet.position(host), jetRelIso=np.maximum(relative, -0.9),
            jetPtRelv2=np.where(host >= 0, 0.3 * np.sqrt(table["pt"]), 0.0),
        )  # fmt: skip
        for number, slot in enumerate(slots, start=1):
            in_jet[f"{name}Idx{number}"] = table.position(slot)
        in_jet[f"n{name.capitalize()}s"] = np.bincount(host[host >= 0], minlength=len(jet))
    tables["Jet"] = jet.with_columns(**in_jet)
    seen_as = link(np.arange(len(electron)), photon["_electron"])
    tables["Electron"] = tables["Electron"].with_columns(photonIdx=photon.position(seen_as))
    inside = nearest(photon, jet, events, 0.4)
    tables["Photon"] = photon.with_columns(
        electronIdx=electron.position(photon["_electron"]), jetIdx=jet.position(inside)
    )
    tau = tables["Tau"]
    tables["Tau"] = tau.with_columns(jetIdx=jet.position(nearest(tau, jet, events, 0.4)))
    fsr = tables["FsrPhoton"]
    tables["Muon"] = tables["Muon"].with_columns(
        fsrPhotonIdx=fsr.position(link(np.arange(len(muon)), fsr["_muon"]))
    )
    tables["FsrPhoton"] = fsr.with_columns(muonIdx=muon.position(fsr["_muon"]))
    fat, sub = tables["FatJet"], tables["SubJet"]
    pairs = 2 * np.arange(len(fat))
    tables["FatJet"] = fat.with_columns(
        subJetIdx1=sub.position(pairs), subJetIdx2=sub.position(pairs + 1)
    )


def _add_truth(
    tables: dict[str, Table], flat: dict[str, Array], scene: Scene, history: Table
) -> None:
    """Generator collections and the indices into them."""
    gen = history
    tables["GenPart"] = gen
    for name in ("Muon", "Electron", "Photon", "Tau", "LowPtElectron"):
        table = tables[name]
        match = gen.position(link(table["row"], gen["row"]))
        flavour = table["genPartFlav"] if "genPartFlav" in table.columns else table["flavour"]
        tables[name] = table.with_columns(genPartIdx=match, genPartFlav=flavour)
    for name, target, column in (
        ("Jet", "GenJet", "genJetIdx"),
        ("FatJet", "GenJetAK8", "genJetAK8Idx"),
    ):
        match = link(tables[name]["_source"], tables[target]["_source"])
        tables[name] = tables[name].with_columns(**{column: tables[target].position(match)})
    tau = scene.tables["taus"].sorted_by("pt")
    tables["GenVisTau"] = tau.with_columns(
        genPartIdxMother=gen.position(link(tau["row"], gen["row"]))
    )
    flat |= {
        "Pileup_nTrueInt": scene.flat["true"], "Pileup_nPU": scene.flat["number"],
    }  # fmt: skip
