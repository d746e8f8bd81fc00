"""Where the partons of simulated top pairs come from, by their order in the events of a generator.

Codes: 1 the Higgs boson or the gluon that splits into b quarks, 2 the b quark of the top quark that
decays hadronically, 3 that of the one that decays leptonically, 4 additional radiation, 5 the
quarks of the W boson, -1 unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from lazyana.physics.lazy import mapped, on_numbers
from lazyana.physics.vectors import Integers, flattened, offsets

PAIR, HADRONIC, LEPTONIC, RADIATION, W, UNKNOWN = 1, 2, 3, 4, 5, -1
_TOP = 4  # b, anti-b and the two quarks of the W boson


@dataclass(frozen=True)
class Order:
    """The order of the partons of a process.

    Attributes
    ----------
    before, after
        Codes of those before and after the decay products of the top quarks.
    radiation
        Where the additional parton is, if there is one more.
    leptonic
        Whether both top quarks decay leptonically, so that there is no W boson's quark; the b quark
        of the top quark then has the code 2, that of the antitop quark 3.
    """

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    radiation: int = 0
    leptonic: bool = False

    @property
    def length(self) -> int:
        """Number of partons without radiation."""
        return len(self.before) + (2 if self.leptonic else _TOP) + len(self.after)

    def codes(self, ids: Integers) -> Integers:
        """Codes of events with `length` partons, shape ``(events, length)``."""
        begin = len(self.before)
        found = np.full(ids.shape, UNKNOWN, dtype=np.int64)
        found[:, :begin] = self.before
        if self.leptonic:
            found[:, begin : begin + 2] = HADRONIC, LEPTONIC
        else:
            found[:, begin : begin + _TOP] = _of_tops(ids[:, begin : begin + _TOP])
        found[:, self.length - len(self.after) :] = self.after
        return found


def get_partons_provenance_ttHbb(pdgIds: Any) -> Any:
    """Origin of the partons of ttH with H to bb and one or no hadronic top quark.

    Parameters
    ----------
    pdgIds
        PDG numbers of the partons, shape ``(events, partons)``: if there are 5 or 7 the additional
        one, b and anti-b of the top quarks, if there are 6 or 7 the quarks of the W boson, those of
        the Higgs boson.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The codes, shape ``(events, partons)``; -1 for all of another number of partons.
    """
    semileptonic = Order(after=(PAIR, PAIR))
    return _mapped(pdgIds, semileptonic, Order(after=(PAIR, PAIR), leptonic=True))


def get_partons_provenance_ttbb4F(pdgIds: Any) -> Any:
    """Origin of the partons of ttbb in the four-flavour scheme, one top quark hadronic.

    Parameters
    ----------
    pdgIds
        PDG numbers of the partons, shape ``(events, partons)``: those of the gluon, if there are 7
        the additional one, b and anti-b of the top quarks, the quarks of the W boson.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The codes, shape ``(events, partons)``; -1 for all of another number of partons.
    """
    return _mapped(pdgIds, Order(before=(PAIR, PAIR), radiation=2))


def get_partons_provenance_tt5F(pdgIds: Any) -> Any:
    """Origin of the partons of tt in the five-flavour scheme, one top quark hadronic.

    Parameters
    ----------
    pdgIds
        PDG numbers of the partons, shape ``(events, partons)``: if there are 5 the additional one,
        b and anti-b of the top quarks, the quarks of the W boson.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The codes, shape ``(events, partons)``; -1 for all of another number of partons.
    """
    return _mapped(pdgIds, Order())


def _mapped(pdg_ids: Any, *orders: Order) -> Any:
    return mapped(_provenance, pdg_ids, label="parton-provenance", orders=orders)


def _provenance(pdg_ids: Any, orders: tuple[Order, ...]) -> Any:
    return on_numbers(_provenance_of_numbers, pdg_ids, orders=orders)


def _provenance_of_numbers(pdg_ids: Any, orders: tuple[Order, ...]) -> ak.Array:
    counts, flat = flattened(pdg_ids)
    begin = offsets(counts)
    found = np.full(len(flat), UNKNOWN, dtype=np.int64)
    for order in orders:
        for extra in (0, 1):
            events = np.flatnonzero(counts == order.length + extra)
            places = begin[events][:, None] + np.arange(order.length + extra)
            if extra:
                found[places[:, order.radiation]] = RADIATION
                places = np.delete(places, order.radiation, axis=1)
            found[places] = order.codes(flat[places])
    return ak.unflatten(found, counts)


def _of_tops(ids: Integers) -> Integers:
    """Codes of b, anti-b and the two quarks of a W boson, shape ``(events, 4)``.

    The first quark of the W boson is of down type: its sign tells which of the top quarks it is of.
    """
    b, anti_b, down, up = (ids[:, place] for place in range(_TOP))
    of_antitop = np.isin(down, (1, 3)) & np.isin(up, (-2, -4))
    of_top = np.isin(down, (-1, -3)) & np.isin(up, (2, 4))
    known: npt.NDArray[np.bool_] = (b == 5) & (anti_b == -5) & (of_top | of_antitop)
    codes = np.empty(ids.shape, dtype=np.int64)
    codes[:, 0] = np.where(of_top, HADRONIC, LEPTONIC)
    codes[:, 1] = np.where(of_antitop, HADRONIC, LEPTONIC)
    codes[:, 2:] = W
    return np.where(known[:, None], codes, UNKNOWN)
