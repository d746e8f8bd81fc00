"""What happens in the collisions of the toy sample, before any detector.

Drell-Yan pairs and top quark pairs are drawn with vectorised NumPy, one block of events at a time,
with
their history: partons, bosons, radiated photons, tau and heavy-hadron decays,
neutrinos. Momenta are in
GeV and angles in rad; ``rows`` of a `Table` belong to the event numbered in its ``event`` array.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from lazyana.toy.tables import (
    Array,
    Bools,
    Floats,
    Ints,
    Rng,
    Table,
    from_polar,
    link,
    stack,
    to_polar,
    two_body,
    wrap,
)

# PDG 2022 values, GeV
Z_MASS, Z_WIDTH = 91.1876, 2.4952
W_MASS, W_WIDTH = 80.377, 2.085
TOP_MASS, TOP_WIDTH = 172.5, 1.42
MASS = {11: 0.000511, 13: 0.10566, 15: 1.77686}
BEAM_ENERGY = 6500.0

# bits of GenPart_statusFlags
PROMPT, DECAYED, TAU_PRODUCT, PROMPT_TAU_PRODUCT = 1 << 0, 1 << 1, 1 << 2, 1 << 3
DIRECT_TAU_PRODUCT, DIRECT_PROMPT_TAU_PRODUCT, HADRON_PRODUCT = 1 << 4, 1 << 5, 1 << 6
HARD, FROM_HARD, BEFORE_FSR = 1 << 7, 1 << 8, 1 << 11
FIRST, LAST, LAST_BEFORE_FSR = 1 << 12, 1 << 13, 1 << 14


@dataclass
class Truth:
    """The collisions of one block as they are built up.

    Particles are appended generation by generation; the number that `add` returns for each is its
    identity until `history` brings all into the order of the events.
    """

    events: int
    ttbar: Bools
    scale: Floats
    boson_pt: Floats
    particles: list[Table] = field(default_factory=list)
    leptons: list[Table] = field(default_factory=list)
    photons: list[Table] = field(default_factory=list)
    taus: list[Table] = field(default_factory=list)
    partons: list[Table] = field(default_factory=list)
    size: int = 0

    def add(
        self,
        event: Ints,
        p4: Floats,
        pdg: Array | int,
        status: Array | int,
        flags: Array | int,
        mother: Ints,
    ) -> Ints:
        """Append particles; returns their numbers, shape ``(rows,)``."""
        rows = np.arange(self.size, self.size + len(event))
        columns: dict[str, Array] = dict(to_polar(p4))
        columns["pdgId"] = np.broadcast_to(pdg, event.shape).astype(np.int64)
        columns["status"] = np.broadcast_to(status, event.shape).astype(np.int64)
        columns["statusFlags"] = np.broadcast_to(flags, event.shape).astype(np.int64)
        columns["mother"] = mother
        columns["row"] = rows
        self.particles.append(Table(event, columns))
        self.size += len(event)
        return rows

    def history(self) -> Table:
        """All particles in the order of the events, mothers before daughters."""
        table = stack(self.particles)
        mother = table.position(link(table["mother"], table["row"]))
        return table.with_columns(genPartIdxMother=mother)


def _table(event: Ints, p4: Floats, row: Ints, **columns: Array) -> Table:
    return Table(event, dict(to_polar(p4)) | {"row": row} | columns)


@cache
def _quantiles(shape: str) -> tuple[Floats, Floats]:
    """Grid and cumulative distribution of the shapes that have no closed inverse."""
    if shape == "mass":
        grid = np.concatenate([np.linspace(50, 150, 4000), np.geomspace(150.1, 2000, 1000)])
        s = grid**2
        # parton luminosities fall with the mass, which shifts the peak and feeds the low side
        resonance = grid**0.5 / ((s - Z_MASS**2) ** 2 + (s * Z_WIDTH / Z_MASS) ** 2)
        continuum = grid**-3.2
        density = resonance / np.trapezoid(resonance, grid) + 0.05 * continuum / np.trapezoid(
            continuum, grid
        )
    elif shape == "rapidity":
        grid = np.linspace(-4.2, 4.2, 2000)
        density = np.exp(-((np.abs(grid) / 2.75) ** 4))
    else:  # energy fraction of the lepton in an unpolarised tau decay
        grid = np.linspace(0.01, 1, 500)
        density = 5 / 3 - 3 * grid**2 + 4 / 3 * grid**3
    steps = np.diff(grid) * (density[1:] + density[:-1]) / 2
    cumulative = np.concatenate([[0.0], np.cumsum(steps)])
    return grid, cumulative / cumulative[-1]


def _draw(rng: Rng, shape: str, size: int) -> Floats:
    grid, cumulative = _quantiles(shape)
    return np.interp(rng.random(size), cumulative, grid)


def _falling_pt(rng: Rng, size: int, turn: float, power: float) -> Floats:
    """Transverse momenta that rise, peak below ``turn`` and fall like pt^-(2 power + 1)."""
    drawn: Floats = turn * np.sqrt((1 - rng.random(size)) ** (-1 / power) - 1)
    return np.minimum(drawn, 1500.0)


def _resonance(rng: Rng, size: int, mass: float, width: float, reach: float) -> Floats:
    edge = np.arctan(2 * reach / width)
    drawn: Floats = mass + width / 2 * np.tan(rng.uniform(-edge, edge, size))
    return drawn


def _incoming(truth: Truth, events: Ints, pdg: Ints) -> Ints:
    """The two partons from the protons, along the beam; returns the first of each event."""
    firsts = truth.add(
        events, _beam(events, 1.0), pdg[0], 21, PROMPT | HARD | FROM_HARD, np.full(len(events), -1)
    )
    truth.add(
        events, _beam(events, -1.0), pdg[1], 21, PROMPT | HARD | FROM_HARD, np.full(len(events), -1)
    )
    return firsts


def _beam(events: Ints, side: float) -> Floats:
    energy = np.full(len(events), BEAM_ENERGY / 10)
    zero = np.zeros(len(events))
    return np.stack([energy, zero, zero, side * energy], axis=1)


def drell_yan(rng: Rng, truth: Truth, events: Ints) -> None:
    """Add Z/gamma* + jets with a lepton pair of any flavour to the given events."""
    n = len(events)
    mass, rapidity = _draw(rng, "mass", n), _draw(rng, "rapidity", n)
    pt, phi = _falling_pt(rng, n, 12.0, 1.05), rng.uniform(-np.pi, np.pi, n)
    transverse = np.hypot(mass, pt)
    boson = np.stack(
        [
            transverse * np.cosh(rapidity),
            pt * np.cos(phi),
            pt * np.sin(phi),
            transverse * np.sinh(rapidity),
        ],
        axis=1,
    )
    truth.scale[events], truth.boson_pt[events] = transverse, pt
    quark = rng.choice([1, 2, 3, 4], p=[0.33, 0.48, 0.13, 0.06], size=n)
    flip = rng.choice([-1, 1], size=n)
    incoming = _incoming(truth, events, np.stack([quark * flip, -quark * flip]))
    first = truth.add(events, boson, 23, 22, PROMPT | HARD | FROM_HARD | FIRST, incoming)
    last = truth.add(events, boson, 23, 62, PROMPT | FROM_HARD | LAST | LAST_BEFORE_FSR, first)
    flavour = rng.choice([11, 13, 15], size=n)
    cosine = np.where(rng.random(n) < 0.75, rng.uniform(-1, 1, n), np.cbrt(rng.uniform(-1, 1, n)))
    weight = np.array([MASS[11], MASS[13], MASS[15]])[(flavour - 11) // 2]
    minus, plus = two_body(rng, boson, weight, weight, cosine)
    decay_leptons(rng, truth, np.tile(events, 2), np.concatenate([flavour, -flavour]),
                  np.concatenate([minus, plus]), np.tile(last, 2))  # fmt: skip
    _recoil(rng, truth, events, boson, rapidity, incoming)
    radiation(rng, truth, events, incoming, 0.25)


def _recoil(
    rng: Rng, truth: Truth, events: Ints, boson: Floats, rapidity: Floats, mother: Ints
) -> None:
    """One to three partons against the boson."""
    target = -boson[:, 1:3] + rng.normal(0, 2.5, (len(events), 2))
    size = np.hypot(target[:, 0], target[:, 1])
    number = (
        1
        + (rng.random(len(events)) < 0.35 * size / (size + 30))
        + (rng.random(len(events)) < 0.2 * size / (size + 60))
    )
    for which in range(3):
        share = np.where(number == which + 1, 1.0, rng.uniform(0.45, 1.0, len(events)))
        angle = np.where(number == which + 1, 0.0, rng.normal(0, 0.5, len(events)))
        cos, sin = np.cos(angle) * share, np.sin(angle) * share
        x, y = target[:, 0] * cos - target[:, 1] * sin, target[:, 0] * sin + target[:, 1] * cos
        pt = np.hypot(x, y)
        eta = np.clip(rapidity * 0.6 + rng.normal(0, 1.5, len(events)), -4.9, 4.9)
        there = (which < number) & (pt > 8)
        target = target - np.stack([x, y], axis=1)
        flavours = rng.choice(
            [21, 1, 2, 3, 4, 5], p=[0.37, 0.19, 0.24, 0.07, 0.09, 0.04], size=len(events)
        )
        partons(rng, truth, events[there], pt[there], eta[there], np.arctan2(y, x)[there],
                flavours[there], mother[there], 23, PROMPT | HARD | FROM_HARD | FIRST)  # fmt: skip


def radiation(rng: Rng, truth: Truth, events: Ints, mother: Ints, mean: float) -> None:
    """Further jets from initial-state radiation, a falling spectrum from 12 GeV."""
    pick = np.repeat(np.arange(len(events)), rng.poisson(mean, len(events)))
    n = len(pick)
    pt = np.minimum(12.0 * rng.random(n) ** (-1 / 1.8), 400.0)
    eta, phi = np.clip(rng.normal(0, 1.9, n), -4.9, 4.9), rng.uniform(-np.pi, np.pi, n)
    flavours = rng.choice([21, 1, 2, 4, 5], p=[0.66, 0.13, 0.14, 0.05, 0.02], size=n)
    partons(rng, truth, events[pick], pt, eta, phi, flavours, mother[pick], 43, PROMPT | FIRST)


def partons(
    rng: Rng, truth: Truth, event: Ints, pt: Floats, eta: Floats, phi: Floats,
    flavour: Ints, mother: Ints, status: int, flags: int,
) -> None:  # fmt: skip
    """Add partons that make jets."""
    sign = np.where(flavour == 21, 1, rng.choice([-1, 1], size=len(event)))
    weight = np.where(flavour == 5, 4.8, np.where(flavour == 4, 1.5, 0.0))
    p4 = from_polar(pt, eta, phi, weight)
    fragment(
        rng,
        truth,
        event,
        p4,
        flavour * sign,
        truth.add(event, p4, flavour * sign, status, flags | LAST, mother),
    )


def ttbar(rng: Rng, truth: Truth, events: Ints) -> None:
    """Add a top quark pair, t -> bW -> b l nu on both sides, to the given events."""
    n = len(events)
    kick, kick_phi = _falling_pt(rng, n, 32.0, 1.3), rng.uniform(-np.pi, np.pi, n)
    pt, phi = rng.gamma(2.3, 52.0, n), rng.uniform(-np.pi, np.pi, n)
    side, shift = rng.normal(0, 0.9, n), rng.normal(0, 0.75, n)
    mother = _incoming(truth, events, np.full((2, n), 21))
    truth.scale[events], truth.boson_pt[events] = np.hypot(TOP_MASS, pt), kick
    for sign in (1, -1):
        x = sign * pt * np.cos(phi) + kick * np.cos(kick_phi) / 2
        y = sign * pt * np.sin(phi) + kick * np.sin(kick_phi) / 2
        transverse = np.sqrt(_resonance(rng, n, TOP_MASS, TOP_WIDTH, 12.0) ** 2 + x**2 + y**2)
        rapidity = side + sign * shift
        top = np.stack(
            [transverse * np.cosh(rapidity), x, y, transverse * np.sinh(rapidity)], axis=1
        )
        _top_decay(rng, truth, events, top, sign, mother)
    partons(rng, truth, events, np.maximum(kick, 8.0), np.clip(rng.normal(0, 1.8, n), -4.9, 4.9),
            wrap(kick_phi + np.pi), np.full(n, 21), mother, 23,
            PROMPT | HARD | FROM_HARD | FIRST)  # fmt: skip
    radiation(rng, truth, events, mother, 0.6)


def _top_decay(rng: Rng, truth: Truth, events: Ints, top: Floats, sign: int, mother: Ints) -> None:
    n = len(events)
    hard = PROMPT | FROM_HARD
    first = truth.add(events, top, 6 * sign, 22, hard | HARD | FIRST, mother)
    last = truth.add(events, top, 6 * sign, 62, hard | LAST | LAST_BEFORE_FSR, first)
    w_mass = _resonance(rng, n, W_MASS, W_WIDTH, 20.0)
    w, b = two_body(rng, top, w_mass, 4.8, rng.uniform(-1, 1, n))
    w_row = truth.add(events, w, 24 * sign, 22, hard | HARD | FIRST | LAST | LAST_BEFORE_FSR, last)
    b_row = truth.add(events, b, np.full(n, 5 * sign), 23, hard | HARD | FIRST | LAST, last)
    fragment(rng, truth, events, b, np.full(n, 5 * sign), b_row)
    # W helicity in top decays: 69 % longitudinal, the rest left-handed
    longitudinal = 2 * rng.beta(2, 2, n) - 1
    cosine = np.where(rng.random(n) < 0.69, longitudinal, 1 - 2 * np.cbrt(rng.random(n)))
    flavour = rng.choice([11, 13, 15], size=n)
    weight = np.array([MASS[11], MASS[13], MASS[15]])[(flavour - 11) // 2]
    axis = w[:, 1:] / np.linalg.norm(w[:, 1:], axis=1, keepdims=True)
    lepton, neutrino = two_body(rng, w, weight, 0.0, cosine, axis)
    truth.add(events, neutrino, (flavour + 1) * sign, 1, hard | HARD | FIRST | LAST, w_row)
    decay_leptons(rng, truth, events, -flavour * sign, lepton, w_row)


def decay_leptons(rng: Rng, truth: Truth, event: Ints, pdg: Ints, p4: Floats, mother: Ints) -> None:
    """Add prompt charged leptons, radiate photons off them and let the taus decay."""
    n = len(event)
    kind = np.abs(pdg)
    radiates = rng.random(n) < np.where(kind == 11, 0.22, np.where(kind == 13, 0.10, 0.0))
    status = np.where(kind == 15, 2, np.where(radiates, 23, 1))
    flags = PROMPT | HARD | FROM_HARD | BEFORE_FSR | FIRST | LAST_BEFORE_FSR
    rows = truth.add(
        event,
        p4,
        pdg,
        status,
        flags + np.where(radiates, 0, LAST) + np.where(kind == 15, DECAYED, 0),
        mother,
    )
    # soft-photon spectrum dN/dz ~ 1/z
    fraction = np.where(radiates, 0.005 * 140 ** rng.random(n), 0.0)
    after = from_polar(
        *_kinematics(p4, 1 - fraction), np.array([MASS[11], MASS[13], MASS[15]])[(kind - 11) // 2]
    )
    emitted = to_polar(p4)
    angle = rng.exponential(0.06, n)
    turn = rng.uniform(-np.pi, np.pi, n)
    photon = from_polar(emitted["pt"] * fraction, emitted["eta"] + angle * np.cos(turn),
                        emitted["phi"] + angle * np.sin(turn), 0.0)  # fmt: skip
    r = radiates
    final = rows.copy()
    final[r] = truth.add(event[r], after[r], pdg[r], 1, PROMPT | FROM_HARD | LAST, rows[r])
    photon_rows = truth.add(event[r], photon[r], 22, 1, PROMPT | FROM_HARD | FIRST | LAST, rows[r])
    light = kind != 15
    flavour = np.ones(n, dtype=np.uint8)
    truth.leptons.append(
        _table(event[light], after[light], final[light], pdgId=pdg[light], flavour=flavour[light])
    )
    truth.photons.append(_table(event[r], photon[r], photon_rows, lepton=final[r], kind=kind[r]))
    t = kind == 15
    _decay_taus(rng, truth, event[t], pdg[t], p4[t], rows[t])


def _kinematics(p4: Floats, fraction: Floats) -> tuple[Floats, Floats, Floats]:
    polar = to_polar(p4)
    return polar["pt"] * fraction, polar["eta"], polar["phi"]


def _decay_taus(rng: Rng, truth: Truth, event: Ints, pdg: Ints, p4: Floats, mother: Ints) -> None:
    n = len(event)
    sign = np.sign(pdg)
    choice = rng.choice([11, 13, 0], p=[0.178, 0.174, 0.648], size=n)
    hadronic = choice == 0
    fraction = np.where(hadronic, rng.beta(2.4, 1.6, n), _draw(rng, "tau", n))
    mode = rng.choice([0, 1, 2, 10, 11], p=[0.18, 0.39, 0.17, 0.18, 0.08], size=n)
    visible_mass = np.where(
        mode == 0, 0.1396, np.clip(rng.normal(np.where(mode < 5, 0.78, 1.1), 0.15), 0.3, 1.7)
    )
    pt, eta, phi = _kinematics(p4, fraction)
    bend = 0.6 / np.maximum(pt, 1.0)
    eta, phi = eta + rng.normal(0, 1, n) * bend, phi + rng.normal(0, 1, n) * bend
    visible = from_polar(
        pt, eta, phi, np.where(hadronic, visible_mass, np.where(choice == 11, MASS[11], MASS[13]))
    )
    missing = from_polar(*_kinematics(p4, 1 - fraction), 0.0)
    flags = (
        TAU_PRODUCT
        | PROMPT_TAU_PRODUCT
        | DIRECT_TAU_PRODUCT
        | DIRECT_PROMPT_TAU_PRODUCT
        | FIRST
        | LAST
    )
    part = np.where(hadronic, 1.0, rng.uniform(0.2, 0.8, n))[:, None]
    truth.add(event, missing * part, 16 * sign, 1, flags, mother)
    x = ~hadronic
    truth.add(event[x], (missing * (1 - part))[x], -(choice + 1)[x] * sign[x], 1, flags, mother[x])
    lepton = truth.add(event[x], visible[x], choice[x] * sign[x], 1, flags, mother[x])
    truth.leptons.append(
        _table(
            event[x],
            visible[x],
            lepton,
            pdgId=choice[x] * sign[x],
            flavour=np.full(x.sum(), 15, np.uint8),
        )
    )
    h = hadronic
    truth.taus.append(_table(event[h], visible[h], mother[h], charge=-sign[h], status=mode[h]))


def fragment(rng: Rng, truth: Truth, event: Ints, p4: Floats, pdg: Ints, row: Ints) -> None:
    """Turn partons into jets: heavy hadrons, their semileptonic decays, and what is left to see."""
    kind = np.abs(pdg)
    heavy = np.flatnonzero((kind == 4) | (kind == 5))
    is_b = kind[heavy] == 5
    # a b quark makes mesons that hold an anti-particle sign in the PDG scheme
    bottom = rng.choice([-511, -521, -531, 5122], p=[0.41, 0.41, 0.10, 0.08], size=len(heavy))
    charm = rng.choice([411, 421, 431, 4122], p=[0.25, 0.60, 0.09, 0.06], size=len(heavy))
    hadron = np.where(is_b, bottom, charm)
    share = np.where(is_b, rng.beta(7, 2.5, len(heavy)), rng.beta(3.5, 2.5, len(heavy)))
    hadron_p4 = p4[heavy] * share[:, None]
    rows = truth.add(
        event[heavy], hadron_p4, hadron * np.sign(pdg[heavy]), 2, DECAYED | FIRST | LAST, row[heavy]
    )
    decays = rng.random(len(heavy)) < np.where(is_b, 0.40, 0.18)
    d = heavy[decays]
    lepton = rng.choice([11, 13], size=len(d))
    # a cascade b -> c -> l turns the sign round for about a third
    cascade = (kind[d] == 5) & (rng.random(len(d)) < 0.3)
    sign = np.sign(pdg[d]) * np.where((kind[d] == 4) | cascade, -1, 1)
    columns = to_polar(hadron_p4[decays])
    pt = np.maximum(columns["pt"] * rng.beta(1.6, 4.0, len(d)), 0.2)
    bend = 0.7 / (pt + 0.7)
    seen = from_polar(pt, columns["eta"] + rng.normal(0, 1, len(d)) * bend,
                      columns["phi"] + rng.normal(0, 1, len(d)) * bend,
                      np.where(lepton == 11, MASS[11], MASS[13]))  # fmt: skip
    neutrino = from_polar(*_kinematics(hadron_p4[decays], rng.beta(1.6, 4.5, len(d))), 0.0)
    flags = HADRON_PRODUCT | FIRST | LAST
    truth.add(event[d], neutrino, -(lepton + 1) * sign, 1, flags, rows[decays])
    lepton_row = truth.add(event[d], seen, lepton * sign, 1, flags, rows[decays])
    truth.leptons.append(
        _table(event[d], seen, lepton_row, pdgId=lepton * sign, flavour=kind[d].astype(np.uint8))
    )
    jet = p4.copy()
    jet[d] -= neutrino
    mass = 0.12 * to_polar(jet)["pt"] * rng.gamma(4, 0.25, len(event))
    table = _table(
        event,
        jet,
        row,
        partonFlavour=pdg,
        hadronFlavour=np.where((kind == 4) | (kind == 5), kind, 0),
    )
    truth.partons.append(table.with_columns(mass=mass))


def collide(rng: Rng, is_ttbar: Bools) -> Truth:
    """Draw one block of events.

    Parameters
    ----------
    rng
        Source of random numbers.
    is_ttbar
        Which process each event is, shape ``(events,)``: ttbar or Drell-Yan.
    """
    n = len(is_ttbar)
    truth = Truth(n, is_ttbar, np.zeros(n), np.zeros(n))
    for process, events in ((drell_yan, ~is_ttbar), (ttbar, is_ttbar)):
        if events.any():
            process(rng, truth, np.flatnonzero(events))
    return truth
