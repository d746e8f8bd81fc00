"""Jets, secondary vertices and missing momentum of the toy sample.

Everything that makes a jet is a *source*: partons, hadronic taus,
but also every isolated electron and
muon (which is why analyses clean jets against leptons) and pileup interactions.
"""

from __future__ import annotations

import numpy as np

from lazyana.toy.leptons import Conditions
from lazyana.toy.tables import Array, Floats, Ints, Rng, Table, nearest, stack, wrap

PARTON, PILEUP, ELECTRON, MUON, TAU = range(5)
BTAG_MEDIUM = 0.2783  # DeepJet, UL 2018


def _source(table: Table, kind: int) -> Table:
    n = len(table)
    columns = {name: table[name] for name in ("pt", "eta", "phi", "mass")}
    columns["kind"] = np.full(n, kind)
    for name in ("partonFlavour", "hadronFlavour"):
        columns[name] = table[name] if kind == PARTON else np.zeros(n, np.int64)
    return Table(table.event, columns)


def sources(rng: Rng, partons: Table, leptons: Table, taus: Table, interactions: Array) -> Table:
    """What makes jets, on generator level; leptons inside another jet are merged into it."""
    events = len(interactions)
    hard = _source(partons.take(partons["pt"] > 6), PARTON)
    isolated = leptons.take(
        ((leptons["flavour"] == 1) | (leptons["flavour"] == 15)) & (leptons["pt"] > 8)
    )
    kind = np.abs(isolated["pdgId"])
    extra = stack([
        _source(isolated.take(kind == 11), ELECTRON), _source(isolated.take(kind == 13), MUON),
        _source(taus.take(taus["pt"] > 8), TAU),
    ])  # fmt: skip
    host = nearest(extra, hard, events, 0.4)
    pt = hard["pt"].copy()
    np.add.at(pt, host[host >= 0], extra["pt"][host >= 0])
    number = rng.poisson(0.03 * interactions)
    n = int(number.sum())
    pileup = Table(np.repeat(np.arange(events), number), {
        "pt": 11.0 * rng.random(n) ** (-1 / 4.2), "eta": np.clip(rng.normal(0, 2.4, n), -4.9, 4.9),
        "phi": rng.uniform(-np.pi, np.pi, n), "mass": rng.gamma(6, 0.5, n),
    })  # fmt: skip
    table = stack([hard.with_columns(pt=pt), extra.take(host < 0), _source(pileup, PILEUP)])
    return table.with_columns(_source=np.arange(len(table)), phi=wrap(table["phi"]))


def gen_jets(source: Table, threshold: float) -> Table:
    """Jets of stable particles without neutrinos above a threshold in GeV."""
    keep = (source["kind"] != PILEUP) & (source["pt"] > threshold) & (np.abs(source["eta"]) < 5)
    table = source.take(keep).sorted_by("pt")
    return table.with_columns(hadronFlavour=table["hadronFlavour"].astype(np.uint8))


def _response(rng: Rng, source: Table, state: Conditions) -> Floats:
    """Reconstructed over true transverse momentum after calibration."""
    pt, lepton = source["pt"], (source["kind"] == ELECTRON) | (source["kind"] == MUON)
    resolution = np.sqrt((3.0 / pt) ** 2 + 0.60 / pt + 0.045**2) * state.jet_smear
    resolution = np.where(lepton, 0.025, np.where(source["kind"] == TAU, 0.10, resolution))
    scale = np.where(lepton, 1.0, state.jet_scale)
    return np.maximum(scale * (1 + resolution * rng.normal(0, 1, len(source))), 0.05)


def jets(rng: Rng, source: Table, rho: Floats, state: Conditions) -> Table:
    """Reconstructed jets above 15 GeV with energy fractions, identification and flavour tags."""
    n = len(source)
    blur = np.where(source["kind"] <= PILEUP, 0.008 + 0.4 / source["pt"], 0.002)
    response = _response(rng, source, state)
    table = source.with_columns(
        pt=source["pt"] * response, mass=source["mass"] * response, _gen_pt=source["pt"],
        eta=source["eta"] + rng.normal(0, 1, n) * blur,
        phi=wrap(source["phi"] + rng.normal(0, 1, n) * blur),
    )  # fmt: skip
    table = table.take((table["pt"] > 15) & (np.abs(table["eta"]) < 5)).sorted_by("pt")
    return _flavour_tags(rng, _composition(rng, table, rho))


def _composition(rng: Rng, table: Table, rho: Floats) -> Table:
    n, pt, kind = len(table), table["pt"], table["kind"]
    central = np.abs(table["eta"]) < 2.5
    # rows: charged hadrons, neutral hadrons, photons, electrons, muons
    shape = np.array([[9, 1.5, 4, 0.1, 0.1], [6, 2, 5, 0.05, 0.05], [0.3, 0.1, 1.5, 30, 0.01],
                      [0.3, 0.1, 0.3, 0.01, 30], [12, 0.3, 5, 0.1, 0.1]])[kind]  # fmt: skip
    shape[~central, 0] *= 0.05
    parts = rng.standard_gamma(shape)
    parts /= parts.sum(axis=1, keepdims=True)
    area = np.clip(rng.normal(0.50, 0.025, n), 0.3, 0.7)
    raw = 1 / (1.01 + 0.03 * (np.abs(table["eta"]) / 2.5) ** 2 + 1.5 / pt)
    raw = np.maximum(raw + 0.5 * area * (rho[table.event] - 18) / pt * 0.2, 0.4)
    clean = rng.random(n) < np.where(kind == PILEUP, 0.97, 0.995)
    isolated_lepton = (kind == ELECTRON) | (kind == MUON)
    hard = np.where(kind == PILEUP, rng.beta(1.3, 3.5, n), rng.beta(7, 0.7, n)) * 2 - 1
    level = np.searchsorted(np.array([-0.45, 0.0, 0.55]), hard)
    pu_id = np.where(pt >= 50, 7, np.array([0, 4, 6, 7])[level])
    return table.with_columns(
        chHEF=parts[:, 0], neHEF=parts[:, 1], neEmEF=parts[:, 2], chEmEF=parts[:, 3],
        muEF=parts[:, 4],
        area=area, rawFactor=1 - raw, jetId=np.where(clean, np.where(isolated_lepton, 2, 6), 0),
        puId=pu_id, puIdDisc=hard, muonSubtrFactor=parts[:, 4] * 0.98,
        nConstituents=2 + rng.poisson(np.where(isolated_lepton, 3.0, 6 + 1.6 * np.sqrt(pt))),
    )  # fmt: skip


def _logistic(rng: Rng, mean: Floats, width: Floats) -> Floats:
    value: Floats = 1 / (1 + np.exp(-(mean + width * rng.normal(0, 1, len(mean)))))
    return value


def _flavour_tags(rng: Rng, table: Table) -> Table:
    n, flavour = len(table), table["hadronFlavour"]
    seen = np.abs(table["eta"]) < 2.5
    is_b, is_c, gluon = flavour == 5, flavour == 4, table["partonFlavour"] == 21
    # about 80 % of b, 16 % of c and 1.3 % of other jets pass the medium working point
    mean = np.where(is_b, 1.6, np.where(is_c, -2.6, -4.6))
    width = np.where(is_b, 2.7, np.where(is_c, 1.7, 1.65))
    tag = np.where(seen, _logistic(rng, mean, width), -1.0)
    lighter = np.where(is_c, 0.6, np.where(is_b, 0.2, -1.6))
    return table.with_columns(
        btagDeepFlavB=tag, btagDeepB=np.where(seen, _logistic(rng, mean * 0.9, width), -1.0),
        btagDeepFlavCvL=np.where(seen, _logistic(rng, lighter, np.full(n, 1.2)), -1.0),
        btagDeepFlavCvB=np.where(seen, _logistic(rng, -mean * 0.6, np.full(n, 1.4)), -1.0),
        btagDeepFlavQG=np.where(seen, _logistic(rng, 1.6 * gluon - 0.8, np.ones(n)), -1.0),
        qgl=_logistic(rng, np.where(gluon, -1.0, 1.0), np.full(n, 1.3)),
        bRegCorr=np.where(is_b, rng.normal(1.05, 0.08, n), rng.normal(1.0, 0.05, n)),

    )  # fmt: skip


def fat_jets(rng: Rng, source: Table, state: Conditions) -> tuple[Table, Table]:
    """Large-radius jets above 170 GeV and their two subjets each."""
    hard = source.take((source["kind"] == PARTON) & (source["pt"] > 120))
    table = hard.with_columns(pt=hard["pt"] * _response(rng, hard, state))
    table = table.take((table["pt"] > 170) & (np.abs(table["eta"]) < 2.5)).sorted_by("pt")
    n, pt = len(table), table["pt"]
    soft_drop = pt * rng.gamma(1.4, 0.06, n)
    tau1 = rng.beta(4, 9, n)
    tau2, tau3 = tau1 * rng.beta(7, 3.5, n), tau1 * rng.beta(6, 4.5, n)
    heavy = table["hadronFlavour"] == 5
    fat = table.with_columns(
        msoftdrop=soft_drop, mass=soft_drop * rng.uniform(1.1, 1.8, n), tau1=tau1, tau2=tau2,
        tau3=tau3,
        area=rng.normal(2.0, 0.03, n), rawFactor=rng.normal(0.05, 0.02, n),
        jetId=np.where(rng.random(n) < 0.99, 6, 0), n2b1=rng.beta(5, 12, n),
        btagDeepB=_logistic(rng, np.where(heavy, 1.0, -4.0), np.full(n, 2.0)),
        particleNet_mass=soft_drop * rng.normal(1.0, 0.1, n), hadronFlavour=table["hadronFlavour"],
        nConstituents=10 + rng.poisson(2.4 * np.sqrt(pt)),
        **{f"particleNet_{kind}vsQCD": rng.beta(0.7, 5, n) for kind in ("T", "W", "Z", "Hbb")},
    )  # fmt: skip
    return fat, _subjets(rng, fat)


def _subjets(rng: Rng, fat: Table) -> Table:
    """Two prongs per jet whose distance makes the soft-drop mass: m^2 = z (1 - z) pt^2 dR^2."""
    n = len(fat)
    share = rng.uniform(0.55, 0.9, n)
    distance = np.minimum(fat["msoftdrop"] / (fat["pt"] * np.sqrt(share * (1 - share))), 0.8)
    turn = rng.uniform(-np.pi, np.pi, n)
    columns: dict[str, Array] = {}
    for name, step in (("eta", np.cos(turn)), ("phi", np.sin(turn))):
        pair = [fat[name] + (1 - share) * distance * step, fat[name] - share * distance * step]
        columns[name] = np.stack(pair, axis=1).ravel()
    columns["phi"] = wrap(columns["phi"])
    columns["pt"] = np.stack([share, 1 - share], axis=1).ravel() * np.repeat(fat["pt"], 2)
    columns["mass"] = columns["pt"] * rng.gamma(3, 0.02, 2 * n)
    columns["rawFactor"] = np.repeat(fat["rawFactor"], 2)
    columns["btagDeepB"] = np.repeat(fat["btagDeepB"], 2) * rng.uniform(0.3, 1, 2 * n)
    columns["hadronFlavour"] = np.repeat(fat["hadronFlavour"], 2).astype(np.uint8)
    for name, scale in (("tau1", 0.5), ("tau2", 0.3)):
        columns[name] = rng.beta(4, 6, 2 * n) * scale
    return Table(np.repeat(fat.event, 2), columns)


def secondary_vertices(rng: Rng, jet: Table, pv: dict[str, Floats]) -> Table:
    """Displaced vertices in jets, mostly of heavy flavour."""
    flavour = jet["hadronFlavour"]
    rate = np.where(flavour == 5, 0.65, np.where(flavour == 4, 0.30, 0.02)) * (
        np.abs(jet["eta"]) < 2.5
    )
    host = jet.take(rng.random(len(jet)) < rate)
    n = len(host)
    heavy = host["hadronFlavour"] >= 4
    length = 0.1 + rng.exponential(np.where(heavy, 0.6, 0.2)) * (1 + host["pt"] / 100)
    eta, phi = host["eta"] + rng.normal(0, 0.05, n), wrap(host["phi"] + rng.normal(0, 0.05, n))
    transverse = length / np.cosh(eta)
    tracks = 2 + rng.poisson(np.where(heavy, 1.8, 0.4))
    table = Table(host.event, {
        "pt": host["pt"] * rng.beta(3, 3, n), "eta": eta, "phi": phi,
        "mass": np.clip(rng.normal(np.where(heavy, 2.2, 0.8), 0.8), 0.3, 6),
        "dlen": length, "dlenSig": length / 0.03, "dxy": transverse, "dxySig": transverse / 0.015,
        "pAngle": np.pi - rng.exponential(0.05, n).clip(0, 3), "chi2": rng.gamma(2, 0.5, n),
        "ndof": 2.0 * tracks - 3,
        "ntracks": tracks.astype(np.uint8), "charge": rng.integers(-2, 3, n),
        "x": pv["x"][host.event] + transverse * np.cos(phi),
        "y": pv["y"][host.event] + transverse * np.sin(phi),
        "z": pv["z"][host.event] + length * np.tanh(eta),
    })  # fmt: skip
    return table.sorted_by("dlenSig")


def missing_momentum(
    rng: Rng, neutrinos: Floats, jet: Table, interactions: Array, scale: Floats, state: Conditions
) -> dict[str, Array]:
    """MET, PuppiMET, RawMET and GenMET branches, shape ``(events,)`` each.

    Parameters
    ----------
    neutrinos
        Sum of the transverse momenta of the neutrinos in GeV, shape ``(events, 2)``.
    """
    events = len(interactions)
    # what jets were measured wrong by ends up, with the other sign, in the missing momentum
    shift = np.where(jet["kind"] == PILEUP, 0.0, jet["pt"] - jet["_gen_pt"])
    wrong = np.stack([
        np.bincount(jet.event, shift * np.cos(jet["phi"]), events),
        np.bincount(jet.event, shift * np.sin(jet["phi"]), events),
    ], axis=1)  # fmt: skip
    flat: dict[str, Array] = {}

    def store(name: str, vector: Floats) -> None:
        flat[f"{name}_pt"] = np.hypot(vector[:, 0], vector[:, 1])
        flat[f"{name}_phi"] = np.arctan2(vector[:, 1], vector[:, 0])

    width = np.sqrt(6.0**2 + 2.4**2 * interactions) * state.met_smear
    noise = rng.normal(0, 1, (events, 2))
    store("GenMET", neutrinos)
    store("MET", neutrinos - wrong + noise * width[:, None])
    store(
        "PuppiMET",
        neutrinos - wrong + (0.5 * noise + 0.35 * rng.normal(0, 1, (events, 2))) * width[:, None],
    )
    store(
        "RawMET",
        neutrinos - 0.9 * wrong + (noise + 0.2 * rng.normal(0, 1, (events, 2))) * width[:, None],
    )
    total = (
        np.bincount(jet.event, jet["pt"], events)
        + 28.0 * interactions
        + rng.normal(400, 60, events)
        + scale
    )
    for name, share in (("MET", 1.0), ("PuppiMET", 0.25), ("RawMET", 0.9)):
        flat[f"{name}_sumEt"] = np.maximum(total * share, 10.0)
    variance = width**2 * rng.gamma(40, 1 / 40, events)
    flat["MET_covXX"], flat["MET_covYY"] = variance, width**2 * rng.gamma(40, 1 / 40, events)
    flat["MET_covXY"] = 0.1 * variance * rng.normal(0, 1, events)
    flat["MET_significance"] = flat["MET_pt"] ** 2 / variance
    up = rng.normal(0, 1, (events, 2)) * width[:, None] * 0.15
    flat["MET_MetUnclustEnUpDeltaX"], flat["MET_MetUnclustEnUpDeltaY"] = up[:, 0], up[:, 1]
    for name, size in (("UnclusteredUp", 1.0), ("UnclusteredDown", -1.0)):
        puppi, phi = flat["PuppiMET_pt"], flat["PuppiMET_phi"]
        moved = np.stack([puppi * np.cos(phi), puppi * np.sin(phi)], axis=1) + size * 0.6 * up
        flat[f"PuppiMET_pt{name}"] = np.hypot(moved[:, 0], moved[:, 1])
        flat[f"PuppiMET_phi{name}"] = np.arctan2(moved[:, 1], moved[:, 0])
    return flat


def contained(inner: Table, jet: Table, events: int) -> tuple[Ints, list[Ints]]:
    """The jet around each lepton, and the first two leptons in each jet.

    Returns
    -------
    tuple
        Rows of ``jet`` for each lepton, and two arrays with rows of ``inner`` for each jet; -1 for
        none.
    """
    host = nearest(inner, jet, events, 0.4)
    order = np.argsort(host, kind="stable")
    order = order[host[order] >= 0]
    hosts = host[order]
    place = np.arange(len(hosts)) - np.searchsorted(hosts, hosts)
    slots = []
    for which in range(2):
        slot = np.full(len(jet), -1, dtype=np.int64)
        slot[hosts[place == which]] = order[place == which]
        slots.append(slot)
    return host, slots
