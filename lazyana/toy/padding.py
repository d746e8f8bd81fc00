"""Branches of noise with plausible names, to make toy files as wide as real ones.

A full NanoAOD file has 700 to 2700 branches,
of which an analysis reads some twenty; the cost of the
others is what reading benchmarks are about.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count, product

import numpy as np

from lazyana.toy.event import Block
from lazyana.toy.tables import Array, Rng

# of ten branches added, where they go: as in real files, most are trigger bits
PATTERN = ("HLT", "Jet", "HLT", "L1", "Muon", "HLT", "Electron", "L1", "HLT", "SV")

_PATHS = (
    "DiPFJetAve{}", "PFHT{}_PFMET100_PFMHT100_IDTight", "AK8PFHT{}_TrimMass50", "AK4CaloJet{}",
    "DoubleMu4_{}_Bs", "Photon{}_R9Id90_HE10_IsoM", "Mu{}_Photon30_IsoCaloId",
    "QuadPFJet{}_88_76_15", "DoublePFJets{}_CaloBTagDeepCSV_p71",
    "MediumChargedIsoPFTau{}HighPtRelaxedIso",
    "BTagMu_AK4DiJet{}_Mu5", "HISinglePhoton{}_Eta3p1", "Ele{}_CaloIdM_TrackIdM_PFJet30",
    "CaloMET{}_HBHECleaned",
)  # fmt: skip
_SEEDS = ("SingleMu{}er2p1", "DoubleEG{}_10", "SingleJet{}", "HTT{}er", "ETMHF{}", "SingleEG{}")
_STEPS = tuple(range(20, 620, 10))


def names(number: int) -> list[str]:
    """The first so many branch names, no two alike and none of those a sample has anyhow."""
    paths = (f"HLT_{path.format(step)}" for step, path in product(_STEPS, _PATHS))
    seeds = (f"L1_{seed.format(step)}" for step, seed in product(_STEPS, _SEEDS))
    fields = {kind: count() for kind in ("Jet", "Muon", "Electron", "SV")}
    chosen: list[str] = []
    for place in range(number):
        kind = PATTERN[place % len(PATTERN)]
        bit = next(paths, None) if kind == "HLT" else next(seeds, None) if kind == "L1" else None
        if bit is None:
            home = kind if kind in fields else "Jet"
            bit = f"{home}_userFloat{next(fields[home]):03d}"
        chosen.append(bit)
    return chosen


def pad(block: Block, number: int, rng: Rng) -> Block:
    """A block with branches of noise added."""
    if not number:
        return block
    flat = dict(block.flat)
    extra: dict[str, dict[str, Array]] = {}
    events = len(block.index)
    for name in names(number):
        kind, field = name.split("_", 1)
        if kind in ("HLT", "L1"):
            flat[name] = rng.random(events, dtype=np.float32) < 0.02
        else:
            values = rng.standard_normal(len(block.tables[kind]))
            extra.setdefault(kind, {})[field] = values
    tables = dict(block.tables)
    for kind, columns in extra.items():
        tables[kind] = tables[kind].with_columns(**columns)
    return replace(block, flat=flat, tables=tables)
