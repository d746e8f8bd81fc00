"""Objects made of others: pairs of leptons or jets, the neutrino of a W boson."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import InputError
from lazyana.physics.inputs import field
from lazyana.physics.lazy import mapped, on_numbers
from lazyana.physics.vectors import (
    CANDIDATE,
    MOMENTUM,
    PAIR,
    Momenta,
    Numbers,
    Objects,
    elementwise,
    momenta,
    records,
)

W_MASS = 80.4
"""Mass of the W boson in GeV, as the usual neutrino reconstruction has it."""

_TAGS = {"CvsL": "btagCvL", "CvsB": "btagCvB"}


def get_dilepton(electrons: Any, muons: Any, transverse: bool = False) -> Any:
    """The pair of the two leptons of an event.

    Parameters
    ----------
    electrons, muons
        Leptons, shapes ``(events, electrons)`` and ``(events, muons)``; None: not of that flavour.
    transverse
        Give the pair η = 0.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        A vector with a charge for each event, shape ``(events,)``. In events of exactly two
        leptons it is their sum, with ``deltaR``, ``deltaPhi``, ``deltaEta`` between them and
        ``l1pt``, ``l1eta``, ``l1phi``, ``l1mass``, ``l2pt``, … of each, muons first, then in the
        order they are in. In other events the momentum and the charge are 0 and all else -1.

    Raises
    ------
    InputError
        Neither electrons nor muons.
    """
    given = [leptons for leptons in (muons, electrons) if leptons is not None]
    if not given:
        msg = "get_dilepton is given neither electrons nor muons: give one of them, or both."
        raise InputError(msg)
    columns = [getattr(leptons, name) for leptons in given for name in CANDIDATE]
    return mapped(_dilepton, *columns, label="dilepton", transverse=bool(transverse))


def get_diboson(dileptons: Any, MET: Any, transverse: bool = False) -> Any:
    """The sum of a pair of leptons and the missing momentum.

    Parameters
    ----------
    dileptons
        Vectors, shape ``(events,)``, e.g. of `get_dilepton`.
    MET
        Missing transverse momentum, shape ``(events,)``; it gets no mass and η = 0.
    transverse
        Take the pair with η = 0.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        Vectors with a charge, shape ``(events,)``.
    """
    columns = *(getattr(dileptons, name) for name in CANDIDATE), MET.pt, MET.phi
    return mapped(_diboson, *columns, label="diboson", transverse=bool(transverse))


def get_charged_leptons(electrons: Any, muons: Any, charge: int, mask: Any) -> Any:
    """The lepton of a charge in events of exactly two leptons.

    Parameters
    ----------
    electrons, muons
        Leptons, shapes ``(events, electrons)`` and ``(events, muons)``.
    charge
        1 or -1.
    mask
        Only in these events, shape ``(events,)``.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        A vector with a charge for each event, shape ``(events,)``: the first lepton of that
        charge, muons first. Where there is none, η and φ are -9 and all else is -999.9.

    Raises
    ------
    InputError
        Another charge.
    """
    if charge not in (-1, 1):
        msg = f"charge={charge!r} is not the charge of a lepton: give 1 or -1."
        raise InputError(msg)
    columns = [getattr(leptons, name) for leptons in (muons, electrons) for name in CANDIDATE]
    columns.append(mask)
    return mapped(_charged_lepton, *columns, label="charged-lepton", charge=charge)


def get_dijet(jets: Any, taggerVars: bool = True, remnant_jet: bool = False) -> Any:
    """The pair of the first two jets of an event.

    Parameters
    ----------
    jets
        Jets, shape ``(events, jets)``, in the order that decides which are the first two.
    taggerVars
        Whether the pair has the c tags of the jets, as ``j1CvsL``, ``j1CvsB``, ``j2CvsL`` and
        ``j2CvsB``; the jets are then from `lazyana.physics.jets.jet_selection` with a tagger. Jets
        of the generator have none.
    remnant_jet
        Whether to give the sum of the other jets as well.

    Returns
    -------
    awkward.Array or dask_awkward.Array or tuple
        A vector for each event, shape ``(events,)``, of charge 0 so that leptons can be added. In
        events of two jets or more it is the sum of the first two, with ``deltaR``, ``deltaPhi``,
        ``deltaEta`` between them and ``j1pt``, ``j1eta``, ``j1Phi``, ``j1mass``, ``j2pt``, … of
        each. In other events the momentum is 0 and all else -1. With the remnant also the vector
        sum of all other jets, 0 without any.

    Raises
    ------
    ColumnError
        The jets do not have the tags.
    """
    momentum = [getattr(jets, name) for name in MOMENTUM]
    tags = _TAGS.values() if taggerVars else ()
    columns = [*momentum, *(field(jets, name, "get_dijet(taggerVars=True)") for name in tags)]
    pair = mapped(_dijet, *columns, label="dijet")
    if not remnant_jet:
        return pair
    return pair, mapped(_remnant, *momentum, label="remnant")


def met_z(lepton: Any, MET: Any, w_mass: float = W_MASS) -> Any:
    """Momentum along the beam of the neutrino of a W boson that decays to a lepton.

    The mass of the W boson leaves two solutions. If they are complex it is their real part, else
    the one closer to that of the lepton, unless it is beyond 300 GeV: then the smaller one.

    Parameters
    ----------
    lepton
        The lepton, shape ``(events,)`` or ``(events, leptons)``.
    MET
        Missing transverse momentum, shape ``(events,)``.
    w_mass
        Mass of the W boson (GeV).

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The momentum (GeV), in the shape of `lepton`, float64.
    """
    columns = *(getattr(lepton, name) for name in MOMENTUM), MET.pt, MET.phi
    return mapped(_met_z, *columns, label="met-z", w_mass=w_mass)


def METzCalculator(lepton: Any, MET: Any) -> Any:
    """Momentum along the beam of the neutrino of a W boson, as `met_z`."""
    return met_z(lepton, MET)


def _dilepton(*columns: Any, transverse: bool) -> Any:
    return on_numbers(_dilepton_of_numbers, *columns, transverse=transverse)


def _dilepton_of_numbers(*columns: Any, transverse: bool) -> ak.Array:
    leptons = _joined(columns)
    two = leptons.counts == 2
    first, second, pair = _pair(leptons, two)
    fields = {name: _spread(values, two, 0) for name, values in _fields(pair).items()}
    fields["charge"] = _spread(first["charge"] + second["charge"], two, 0)
    if transverse:
        fields["eta"] = np.zeros_like(fields["eta"])
    between = _between(momenta(first), momenta(second))
    fields |= {name: _spread(values, two, -1) for name, values in between.items()}
    for number, lepton in (("1", first), ("2", second)):
        fields |= {f"l{number}{name}": _spread(lepton[name], two, -1) for name in MOMENTUM}
    return records(fields, PAIR)


def _dijet(*columns: Any) -> Any:
    return on_numbers(_dijet_of_numbers, *columns)


def _dijet_of_numbers(*columns: Any) -> ak.Array:
    tags = _TAGS if len(columns) > len(MOMENTUM) else {}
    jets = Objects.of((*MOMENTUM, *tags.values()), columns)
    two = jets.counts >= 2
    first, second, pair = _pair(jets, two)
    fields = {name: _spread(values, two, 0) for name, values in _fields(pair).items()}
    fields["charge"] = np.zeros(len(two), dtype=np.int32)
    between = _between(momenta(first), momenta(second))
    fields |= {name: _spread(values, two, -1) for name, values in between.items()}
    names = {"Phi": "phi", "pt": "pt", "eta": "eta", "mass": "mass", **tags}
    for number, jet in (("1", first), ("2", second)):
        fields |= {f"j{number}{new}": _spread(jet[old], two, -1) for new, old in names.items()}
    return records(fields, PAIR)


def _remnant(*columns: Any) -> Any:
    return on_numbers(_remnant_of_numbers, *columns)


def _remnant_of_numbers(*columns: Any) -> ak.Array:
    """The sum of all jets of an event but the first two, added in double precision."""
    jets = Objects.of(MOMENTUM, columns)
    event = np.repeat(np.arange(len(jets.counts)), jets.counts)
    rest = np.arange(len(event)) - jets.offsets[event] >= 2
    events = len(jets.counts)
    parts = momenta(jets.take(np.flatnonzero(rest))).cartesian
    sums = [np.bincount(event[rest], weights=part, minlength=events) for part in parts]
    some = jets.counts > 2
    total = Momenta.from_cartesian(*(part[some] for part in sums))
    kind = jets.values["pt"].dtype
    fields = {
        name: _spread(values.astype(kind), some, 0) for name, values in _fields(total).items()
    }
    return records(fields | {"charge": np.zeros(events, dtype=np.int32)}, "PtEtaPhiMCandidate")


def _charged_lepton(*columns: Any, charge: int) -> Any:
    return on_numbers(_charged_lepton_of_numbers, *columns, charge=charge)


def _charged_lepton_of_numbers(*columns: Any, charge: int) -> ak.Array:
    *columns, mask = columns  # type: ignore[assignment]
    leptons = _joined(columns)
    two = (leptons.counts == 2) & ak.to_numpy(ak.fill_none(mask, False, axis=-1))
    begin = leptons.offsets[:-1][two]
    first, second = (leptons.values["charge"][begin + i] == charge for i in (0, 1))
    found = two.copy()
    found[two] = first | second
    chosen = leptons.take(np.where(first, begin, begin + 1)[first | second])
    absent = {"eta": -9.0, "phi": -9.0}
    fields = {
        name: _spread(values, found, absent.get(name, -999.9)) for name, values in chosen.items()
    }
    return records(fields, "PtEtaPhiMCandidate")


def _diboson(*columns: Any, transverse: bool) -> Any:
    return on_numbers(_diboson_of_numbers, *columns, transverse=transverse)


def _diboson_of_numbers(*columns: Any, transverse: bool) -> ak.Array:
    def add(
        pt: Numbers, eta: Numbers, phi: Numbers, mass: Numbers, met: Numbers, met_phi: Numbers
    ) -> tuple[Numbers, ...]:
        nothing = np.zeros_like(met)
        pair = Momenta(pt, np.zeros_like(eta) if transverse else eta, phi, mass)
        return tuple(_fields(pair + Momenta(met, nothing, met_phi, nothing)).values())

    *momentum, charge, met, met_phi = columns
    sums = elementwise(add, *momentum, met, met_phi)
    fields = dict(zip(MOMENTUM, sums, strict=True)) | {"charge": charge}
    return ak.zip(fields, with_name="PtEtaPhiMCandidate", behavior=charge.behavior)


def _met_z(*columns: Any, w_mass: float) -> Any:
    return on_numbers(_met_z_of_numbers, *columns, w_mass=w_mass)


def _met_z_of_numbers(*columns: Any, w_mass: float) -> ak.Array:
    def solve(*flat: Numbers) -> Numbers:
        # Differences of fourth powers: single precision is not enough.
        return _neutrino_pz(*(values.astype(np.float64) for values in flat), w_mass=w_mass)

    return elementwise(solve, *columns)


def _neutrino_pz(
    pt: Numbers,
    eta: Numbers,
    phi: Numbers,
    mass: Numbers,
    met: Numbers,
    met_phi: Numbers,
    *,
    w_mass: float,
) -> Numbers:
    pz = pt * np.sinh(eta)
    transverse2 = pt**2 + mass**2
    half = (w_mass**2 - mass**2) / 2 + pt * met * np.cos(phi - met_phi)
    # Both solutions are middle ± width, complex where the root is negative.
    root = np.maximum(half**2 - transverse2 * met**2, 0)
    middle = half * pz / transverse2
    width = np.sqrt((transverse2 + pz**2) * root) / transverse2
    high, low = middle + width, middle - width
    near = np.where(np.abs(low - pz) < np.abs(high - pz), low, high)
    small = np.where(np.abs(low) < np.abs(high), low, high)
    found: Numbers = np.where(np.abs(near) > 300, small, near)
    return found


def _joined(columns: Any) -> Objects:
    """Leptons of one flavour or, one after the other, of two."""
    size = len(CANDIDATE)
    leptons = Objects.of(CANDIDATE, columns[:size])
    if len(columns) == size:
        return leptons
    return leptons.followed_by(Objects.of(CANDIDATE, columns[size:]))


def _pair(
    objects: Objects, mask: Numbers
) -> tuple[dict[str, Numbers], dict[str, Numbers], Momenta]:
    """The first two objects and their sum, in the events of a mask."""
    begin = objects.offsets[:-1][mask]
    first, second = objects.take(begin), objects.take(begin + 1)
    return first, second, momenta(first) + momenta(second)


def _between(first: Momenta, second: Momenta) -> dict[str, Numbers]:
    """Distances of two objects."""
    return {
        "deltaR": first.delta_r(second),
        "deltaPhi": np.abs(first.delta_phi(second)),
        "deltaEta": np.abs(first.eta - second.eta),
    }


def _fields(vectors: Momenta) -> dict[str, Numbers]:
    return {name: getattr(vectors, name) for name in MOMENTUM}


def _spread(values: Numbers, mask: Numbers, otherwise: float) -> Numbers:
    """The values where a mask is True, a number elsewhere."""
    spread = np.full(len(mask), otherwise, dtype=values.dtype)
    spread[mask] = values
    return spread
