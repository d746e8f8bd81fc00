"""What events were made from: generator weights, luminosity sections, version of NanoAOD."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

WEIGHT = "genWeight"

#: By how much a skim of PocketCoffea has to multiply the weights of the events left, so that their
#: sum is that of all events that they were selected from.
RESCALE = "skimRescaleGenWeight"

#: Sum of the sign of genWeight, which NanoAOD does not keep in its tree ``Runs``, but our skims do.
SIGNS = "genEventSumSign"
LUMI = ("run", "luminosityBlock")

Lumis = tuple[tuple[int, int], ...]
"""Luminosity sections: pairs of (run, section)."""

Sums = tuple[float | None, float | None]
"""Sum of genWeight, and of its sign; None where it is not known."""

Column = Callable[[str], npt.NDArray[Any]]
"""Reads a branch of one number an event, shape ``(events,)``."""

_RUN_SUMS = ("genEventSumw", "genEventSumw_")
_TAG = re.compile(r"nano(?:aod)?_?v(\d+)(?!\d)", re.IGNORECASE)

# Each needs branches that are there, as skims leave out some. A branch of the first versions was
# renamed in version 10 (energy density, to Rho_fixedGridRhoFastjetAll) and version 15 (missing
# momentum, MET to PFMET); ParticleNet for all jets came with 12, low-pT electrons with 9, UParT
# with 15: documentation of NanoAOD (https://cms-xpog.docs.cern.ch/autoDoc), and the lists of
# changes of CROWN (https://crown.readthedocs.io, NanoAOD versions).
_VERSIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("v15", ("PFMET_pt",)),
    ("v15", ("Jet_btagUParTAK4B",)),
    ("v12-v14", ("MET_pt", "Jet_btagPNetB")),
    ("v10-v14", ("MET_pt", "Rho_fixedGridRhoFastjetAll")),
    ("v9", ("fixedGridRhoFastjetAll", "nLowPtElectron")),
)


def nano_version(branches: Collection[str], tag: str | None = None) -> str | None:
    """The version of NanoAOD of a file, as far as it can be told.

    Parameters
    ----------
    branches
        Names of the branches.
    tag
        What the producer of the file wrote into it (see `tag_of`).

    Returns
    -------
    str or None
        Such as ``"v9"``, or ``"v12-v14"`` where several versions have all that is seen.
    """
    named = _TAG.search(tag or "")
    if named:
        return f"v{named[1]}"
    return next((name for name, some in _VERSIONS if all(one in branches for one in some)), None)


def tag_of(root: Any) -> str | None:
    """The tag that CMSSW's NanoAOD output module writes next to the trees of a ROOT file.

    Parameters
    ----------
    root
        File opened by uproot.
    """
    kinds = root.classnames(recursive=False, cycle=False)
    return str(root["tag"]) if kinds.get("tag") == "TObjString" else None


def sums_of_runs(root: Any, tree: str) -> Sums:
    """Sums of genWeight and of its sign of all events that a ROOT file was made from.

    Its ``Runs`` tree tells, which counts the events that a skim left out, too: they are in the sum
    that normalises what is left.

    Parameters
    ----------
    root
        File opened by uproot.
    tree
        Path of the tree with the events; ``Runs`` lies next to it.

    Returns
    -------
    tuple of (float or None, float or None)
        None where the file does not tell: data, a file without that tree, and the signs of most
        files.
    """
    runs = _next_to(root, tree, "Runs")
    if runs is None or not runs.num_entries:
        return None, None
    names = {*runs.keys()}
    weights = next((name for name in _RUN_SUMS if name in names), "")
    return _sum(runs, weights), _sum(runs, SIGNS)


def _sum(runs: Any, name: str) -> float | None:
    if name not in {*runs.keys()}:
        return None
    found = float(ak.sum(ak.values_astype(runs[name].array(), np.float64), axis=None))
    return None if name == SIGNS and math.isnan(found) else found


def weights_of_events(column: Column) -> tuple[float, float]:
    """Sum of genWeight of the events in a file, and of its sign."""
    weights = column(WEIGHT).astype(np.float64)
    return float(weights.sum()), float(np.sign(weights).sum())


def lumis_of_file(root: Any, tree: str) -> Lumis | None:
    """Luminosity sections that a ROOT file was made from, by its tree ``LuminosityBlocks``.

    That has the sections without a selected event, too.

    Parameters
    ----------
    root
        File opened by uproot.
    tree
        Path of the tree with the events; ``LuminosityBlocks`` lies next to it.

    Returns
    -------
    tuple of (run, section) or None
        Sorted; None where there is no such tree.
    """
    blocks = _next_to(root, tree, "LuminosityBlocks")
    if blocks is None or not {*LUMI} <= {*blocks.keys()}:
        return None
    return lumis_of(lambda name: ak.to_numpy(blocks[name].array()))


def lumis_of(column: Column) -> Lumis:
    """Luminosity sections of events, pairs of (run, section), sorted."""
    run, section = (column(name).astype(np.int64) for name in LUMI)
    pairs = np.unique(np.stack((run, section), axis=1), axis=0)
    return tuple((one, other) for one, other in pairs.tolist())


def _next_to(root: Any, tree: str, name: str) -> Any | None:
    """A tree or RNTuple that lies next to that of the events."""
    folder = tree.rpartition("/")[0]
    path = f"{folder}/{name}" if folder else name
    kinds = root.classnames(cycle=False, filter_name=lambda one: one == path)
    return root[path] if kinds.get(path) in ("TTree", "ROOT::RNTuple") else None
