"""Distances in η-φ between objects: matching by ΔR, and what is close to what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import InputError
from lazyana.physics.lazy import mapped, on_numbers
from lazyana.physics.vectors import Integers, difference_of_phi, flattened, offsets


def object_matching(
    obj: Any, obj2: Any, dr_min: float, dpt_max: Any = None, return_indices: bool = False
) -> tuple[Any, ...]:
    """Match the objects of two collections one to one, the closest pairs first.

    Of the pairs closer than `dr_min`, and in pT than `dpt_max`, the closest one is matched, then
    the closest one of objects not matched yet, and so on. Of pairs equally close the one whose
    objects come first counts as closer.

    Parameters
    ----------
    obj, obj2
        The collections, shapes ``(events, first)`` and ``(events, second)``.
    dr_min
        Pairs have a ΔR smaller than this.
    dpt_max
        Pairs have a smaller difference of pT than this (GeV): a number, or one for each object of
        `obj2`, shape ``(events, second)``.
    return_indices
        Whether to give the indices too.

    Returns
    -------
    tuple
        For each object of `obj2` its match in `obj`, the object itself if it is matched, and their
        ΔR, all of shape ``(events, second)``, None where there is no match. With indices also the
        positions in `obj`, those in `obj2` and the ΔR of the matches only, in the order of `obj2`,
        shape ``(events, matches)``.

    Raises
    ------
    InputError
        A distance that is not positive.
    """
    _check_distance("dr_min", dr_min)
    columns = [obj.eta, obj.phi, obj2.eta, obj2.phi]
    if dpt_max is not None:
        columns += [obj.pt, obj2.pt, dpt_max]
    found = mapped(_matched, *columns, label="object-matching", dr_min=float(dr_min))
    matched = obj[found["first_or_none"]], obj2[found["second_or_none"]], found["dr_or_none"]
    if return_indices:
        return *matched, found["first"], found["second"], found["dr"]
    return matched


def deltaR_matching_nonunique(obj1: Any, obj2: Any, radius: float = 0.4) -> Any:
    """Give each object of the second collection to the closest of the first.

    An object of the first collection may get several, one of the second is given away once at
    most.

    Parameters
    ----------
    obj1, obj2
        The collections, shapes ``(events, first)`` and ``(events, second)``.
    radius
        Only within this ΔR.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The objects of `obj2` that each of `obj1` gets, with their distance in the field ``dR``,
        shape ``(events, first, given)``.

    Raises
    ------
    InputError
        A radius that is not positive.
    """
    _check_distance("radius", radius)
    columns = obj1.eta, obj1.phi, obj2.eta, obj2.phi
    given = mapped(_closest, *columns, label="matching", radius=float(radius))
    return mapped(_given, obj2, given, label="matched")


def delta_r_table(obj1: Any, obj2: Any) -> Any:
    """ΔR between all objects of two collections, shape ``(events, first, second)``.

    ``obj1.metric_table(obj2)`` to the last bit, but of η and φ alone, so that it is not computed
    again in variations of something else.

    Parameters
    ----------
    obj1, obj2
        The collections, shapes ``(events, first)`` and ``(events, second)``.
    """
    return mapped(_table, obj1.eta, obj1.phi, obj2.eta, obj2.phi, label="delta-r")


def metric_pt(obj1: Any, obj2: Any) -> Any:
    """Difference of the momenta: ``obj1.metric_table(obj2, metric=metric_pt)``, in GeV."""
    return abs(obj1.pt - obj2.pt)


def metric_eta(obj1: Any, obj2: Any) -> Any:
    """Difference of the pseudorapidities, as `metric_pt`."""
    return abs(obj1.eta - obj2.eta)


def metric_phi(obj1: Any, obj2: Any) -> Any:
    """Angle between them around the beam, in [0, π], as `metric_pt`."""
    return abs(obj1.delta_phi(obj2))


def is_isolated(objects: Any, others: Any, dr_min: float) -> Any:
    """Mask of the objects farther than a distance from all others, shape ``(events, objects)``.

    Parameters
    ----------
    objects, others
        The collections, shapes ``(events, objects)`` and ``(events, others)``. An object that is
        None is not isolated; others that are None do not count.
    dr_min
        The ΔR.

    Raises
    ------
    InputError
        A distance that is not positive.
    """
    _check_distance("dr_min", dr_min)
    columns = objects.eta, objects.phi, others.eta, others.phi
    return mapped(_isolated, *columns, label="isolated", dr_min=float(dr_min))


def closest_pt(objects: Any, others: Any, dr_min: float, dpt_max: Any) -> Any:
    """PT of what is closest to each object, of what is near in direction and in pT.

    Several objects may have the same partner.

    Parameters
    ----------
    objects, others
        The collections, shapes ``(events, objects)`` and ``(events, others)``.
    dr_min
        Partners have a ΔR smaller than this.
    dpt_max
        Partners have a smaller difference of pT than this (GeV), shape ``(events, objects)``.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        GeV, shape ``(events, objects)``; -1 where there is none.

    Raises
    ------
    InputError
        A distance that is not positive.
    """
    _check_distance("dr_min", dr_min)
    columns = [getattr(each, name) for each in (objects, others) for name in ("eta", "phi", "pt")]
    return mapped(_closest_pt, *columns, dpt_max, label="closest-pt", dr_min=float(dr_min))


@dataclass(frozen=True)
class _Pairs:
    """All pairs of the objects of two collections, as flat arrays.

    Attributes
    ----------
    counts, counts2
        Numbers of objects, shape ``(events,)``.
    """

    counts: Integers
    counts2: Integers

    @cached_property
    def offsets(self) -> Integers:
        """Where the objects of each event begin in the first collection."""
        return offsets(self.counts)

    @cached_property
    def offsets2(self) -> Integers:
        """Where the objects of each event begin in the second collection."""
        return offsets(self.counts2)

    @cached_property
    def first(self) -> Integers:
        """Number of the first object of each pair among those of all events."""
        partners = np.repeat(self.counts2, self.counts)
        return np.repeat(np.arange(self.offsets[-1], dtype=np.int64), partners)

    @cached_property
    def second(self) -> Integers:
        """Number of the second object of each pair among those of all events."""
        # Each object of the first collection meets the same ones of the second, one by one.
        length = np.repeat(self.counts2, self.counts)
        begin = np.repeat(self.offsets2[:-1], self.counts)
        ends = np.cumsum(length)
        second: Integers = np.arange(len(self.first)) + np.repeat(begin - ends + length, length)
        return second

    def delta_r(self, eta: Any, phi: Any, eta2: Any, phi2: Any) -> Any:
        """ΔR of each pair, computed as `vector` does."""
        phi_apart = difference_of_phi(phi[self.first], phi2[self.second])
        eta_apart = eta[self.first] - eta2[self.second]
        return np.sqrt(phi_apart**2 + eta_apart**2)


def _table(eta: Any, phi: Any, eta2: Any, phi2: Any) -> Any:
    return on_numbers(_table_of_numbers, eta, phi, eta2, phi2)


def _table_of_numbers(*columns: Any) -> ak.Array:
    pairs, delta_r = _all_pairs(*columns)
    inner = _lists(np.repeat(pairs.counts2, pairs.counts), delta_r)
    return ak.Array(_lists(pairs.counts, inner))


def _isolated(eta: Any, phi: Any, eta2: Any, phi2: Any, dr_min: float) -> Any:
    return on_numbers(_isolated_of_numbers, eta, phi, eta2, phi2, dr_min=dr_min)


def _isolated_of_numbers(eta: Any, phi: Any, eta2: Any, phi2: Any, dr_min: float) -> ak.Array:
    counts, flat = flattened(eta, np.nan)
    counts2, flat2 = flattened(eta2)
    pairs = _Pairs(counts, counts2)
    delta_r = pairs.delta_r(flat, flattened(phi, np.nan)[1], flat2, flattened(phi2)[1])
    isolated = ~np.isnan(flat)
    # What is not a number is not far away.
    isolated[pairs.first[~(delta_r > dr_min)]] = False
    return ak.Array(_lists(pairs.counts, isolated))


def _closest(eta: Any, phi: Any, eta2: Any, phi2: Any, radius: float) -> Any:
    return on_numbers(_closest_of_numbers, eta, phi, eta2, phi2, radius=radius)


def _closest_of_numbers(*columns: Any, radius: float) -> ak.Array:
    """Which of all pairs are to be kept and their ΔR, shape ``(events, first, second)``."""
    pairs, delta_r = _all_pairs(*columns)
    close = np.flatnonzero(delta_r < radius)
    close = close[np.argsort(delta_r[close], kind="stable")]
    closest = close[_first_of_each(pairs.second[close])]
    given = np.zeros(len(delta_r), dtype=bool)
    given[closest] = True
    inner = ak.contents.RecordArray(
        [ak.contents.NumpyArray(given), ak.contents.NumpyArray(delta_r)], ["given", "dr"]
    )
    return ak.Array(_lists(pairs.counts, _lists(np.repeat(pairs.counts2, pairs.counts), inner)))


def _given(obj2: Any, pairs: Any) -> Any:
    """The objects of the pairs to be kept, shape ``(events, first, given)``."""
    local = ak.local_index(pairs.dr, axis=1)
    others = ak.cartesian({"one": local, "other": obj2}, axis=1, nested=True)["other"]
    return ak.with_field(others, pairs.dr, "dR")[pairs.given]


def _closest_pt(*columns: Any, dr_min: float) -> Any:
    return on_numbers(_closest_pt_of_numbers, *columns, dr_min=dr_min)


def _closest_pt_of_numbers(*columns: Any, dr_min: float) -> ak.Array:
    eta, phi, pt, eta2, phi2, pt2, dpt_max = columns
    pairs, delta_r = _all_pairs(eta, phi, eta2, phi2)
    flat2 = _flat(pt2)
    apart = np.abs(_flat(pt)[pairs.first] - flat2[pairs.second])
    near = np.flatnonzero((delta_r < dr_min) & (apart < _flat(dpt_max)[pairs.first]))
    near = near[np.argsort(delta_r[near], kind="stable")]
    near = near[_first_of_each(pairs.first[near])]
    found = np.full(pairs.offsets[-1], -1.0, dtype=flat2.dtype)
    found[pairs.first[near]] = flat2[pairs.second[near]]
    return ak.Array(_lists(pairs.counts, found))


def _matched(
    eta: Any,
    phi: Any,
    eta2: Any,
    phi2: Any,
    pt: Any = None,
    pt2: Any = None,
    dpt_max: Any = None,
    *,
    dr_min: float,
) -> Any:
    if dpt_max is None:
        return on_numbers(_matched_of_numbers, eta, phi, eta2, phi2, dr_min=dr_min)
    if isinstance(dpt_max, ak.Array):
        columns = eta, phi, eta2, phi2, pt, pt2, dpt_max
        return on_numbers(_matched_of_numbers, *columns, dr_min=dr_min)
    columns = eta, phi, eta2, phi2, pt, pt2, float(dpt_max)
    return on_numbers(_matched_of_numbers, *columns, dr_min=dr_min)


def _matched_of_numbers(
    eta: Any,
    phi: Any,
    eta2: Any,
    phi2: Any,
    pt: Any = None,
    pt2: Any = None,
    dpt_max: Any = None,
    *,
    dr_min: float,
) -> ak.Array:
    """Positions and ΔR of the matches, without gaps and as long as the second collection."""
    pairs, delta_r = _all_pairs(eta, phi, eta2, phi2)
    allowed = delta_r < dr_min
    if dpt_max is not None:
        apart = np.abs(_flat(pt)[pairs.first] - _flat(pt2)[pairs.second])
        most = _flat(dpt_max)[pairs.second] if isinstance(dpt_max, ak.Array) else dpt_max
        allowed &= apart < most
    chosen = _one_to_one(pairs, np.flatnonzero(allowed), delta_r)
    chosen = chosen[np.argsort(pairs.second[chosen])]
    return _as_records(pairs, chosen, delta_r[chosen])


def _one_to_one(pairs: _Pairs, allowed: Integers, delta_r: Any) -> Integers:
    """The pairs that are matched: of those allowed the closest, then the closest of the rest.

    A pair closer than all others of either of its objects is matched, whatever becomes of the
    rest, so all such pairs are taken at once, until none is left.
    """
    left = allowed[np.argsort(delta_r[allowed], kind="stable")]
    taken = np.zeros(pairs.offsets[-1], dtype=bool)
    taken2 = np.zeros(pairs.offsets2[-1], dtype=bool)
    chosen: list[Integers] = []
    while len(left):
        first, second = pairs.first[left], pairs.second[left]
        closest = np.zeros(len(left), dtype=bool)
        closest[_first_of_each(first)] = True
        closest2 = np.zeros(len(left), dtype=bool)
        closest2[_first_of_each(second)] = True
        both = closest & closest2
        chosen.append(left[both])
        taken[first[both]] = True
        taken2[second[both]] = True
        left = left[~(taken[first] | taken2[second])]
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)


def _as_records(pairs: _Pairs, chosen: Integers, delta_r: Any) -> ak.Array:
    second = pairs.second[chosen]
    event = np.repeat(np.arange(len(pairs.counts2)), pairs.counts2)[second]
    local = pairs.first[chosen] - pairs.offsets[event]
    local2 = second - pairs.offsets2[event]
    counts = np.bincount(event, minlength=len(pairs.counts2))
    place = np.full(pairs.offsets2[-1], -1, dtype=np.int64)
    place[second] = np.arange(len(chosen))

    def or_none(values: Any) -> Any:
        content = ak.contents.NumpyArray(values)
        option = ak.contents.IndexedOptionArray(ak.index.Index64(place), content)
        return _lists(pairs.counts2, option)

    columns = {
        "first": _lists(counts, local),
        "second": _lists(counts, local2),
        "dr": _lists(counts, delta_r),
        "first_or_none": or_none(local),
        "second_or_none": or_none(local2),
        "dr_or_none": or_none(delta_r),
    }
    return ak.Array(ak.contents.RecordArray(list(columns.values()), list(columns)))


def _all_pairs(eta: Any, phi: Any, eta2: Any, phi2: Any) -> tuple[_Pairs, Any]:
    """All pairs and their ΔR; that of a pair with a missing object is not a number."""
    counts, flat = flattened(eta, np.nan)
    counts2, flat2 = flattened(eta2, np.nan)
    pairs = _Pairs(counts, counts2)
    return pairs, pairs.delta_r(flat, _flat(phi), flat2, _flat(phi2))


def _first_of_each(values: Integers) -> Integers:
    """Where each of the values occurs first."""
    return np.unique(values, return_index=True)[1]


def _flat(column: Any) -> Any:
    """The values of all events; what is missing is not a number."""
    return flattened(column, np.nan)[1]


def _lists(counts: Any, content: Any) -> Any:
    """Layout of lists of some lengths."""
    layout = ak.contents.NumpyArray(content) if isinstance(content, np.ndarray) else content
    return ak.contents.ListOffsetArray(ak.index.Index64(offsets(counts)), layout)


def _check_distance(name: str, value: Any) -> None:
    if not value > 0:
        msg = f"{name}={value!r} keeps nothing: give a positive ΔR, such as 0.4."
        raise InputError(msg)
