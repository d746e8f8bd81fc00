"""Add the weights of entries to bins: all categories and weight variations in one pass.

An *entry* is one value of a histogram: an event, or one object of an event. However many categories
its event is in, it is added once: to the sums of the *kind* of its event (see `Membership`), and
the sums of the kinds are then added up to those of the categories. Only where there are more kinds
than pays, an entry is added once for each of its categories.

There are three ways to do the additions. They do them in the same order, so the sums agree to the
last bit:

======================  ======================================  ============================
way                     used for                                cost of the first call
======================  ======================================  ============================
`numpy.bincount`        one slot: shape variations, counts      none
`scipy.sparse` product  several slots, little work so far       none
numba kernel            several slots, after `PATIENCE`         1-3 s in each process
======================  ======================================  ============================

The numba kernel is two to five times as fast as the sparse product, but numba needs more than a
second to start in a process, even when the compiled kernel comes out of its disk cache. A short
session never does enough work to earn that second back; a long job does so early.
``benchmarks/fill.py`` measures all of them, and ``boost_histogram.storage.MultiCell``, against a
loop of `hist.Hist.fill`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse  # type: ignore[import-untyped,unused-ignore]

from lazyana.sinks.base import Membership

Integers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Kernel: TypeAlias = Callable[..., None]

PATIENCE = 500_000_000
"""Additions (times slots) a process does before it starts numba: one or two seconds of work."""


@dataclass(frozen=True)
class Entries:
    """What one fill adds, before categories and weights.

    Attributes
    ----------
    bins
        Shape ``(entries,)``: flat bin of each entry, -1 for entries that are not filled.
    event
        Shape ``(entries,)``, increasing: the event of each entry; None where entry ``i`` is event
        ``i``.
    events
        Number of events.
    """

    bins: Integers
    event: Integers | None
    events: int


@dataclass(frozen=True)
class Target:
    """Where entries are added.

    Attributes
    ----------
    bins
        Number of bins.
    categories
        Positions of the categories that are kept among those of the membership; None keeps all.
    """

    bins: int
    categories: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Additions:
    """Entries that are added to one cell each.

    Attributes
    ----------
    cell
        Shape ``(entries,)``, int64: the cell of each entry.
    event
        Shape ``(entries,)``, increasing: the event of each entry; None where entry ``i`` is event
        ``i``.
    weights
        Shape ``(events, slots)``; None counts entries, in one slot.
    cells
        Number of cells.
    """

    cell: Integers
    event: Integers | None
    weights: Floats | None
    cells: int


Way: TypeAlias = Callable[[Additions], Floats]


def accumulate(
    entries: Entries, weights: Floats | None, membership: Membership | None, target: Target
) -> Floats:
    """Sum of weights and of squared weights in each bin, for each category and weight variation.

    The additions and their order follow from the arguments alone.

    Parameters
    ----------
    entries
        Bin and event of each entry.
    weights
        Shape ``(events, slots)``; None counts entries, in one slot.
    membership
        Categories of each event; None puts every event into one category.
    target
        Bins and categories to add to.

    Returns
    -------
    numpy.ndarray
        Shape ``(bins, categories, 2, slots)``: ``[:, :, 0]`` sums, ``[:, :, 1]`` sums of squares.
    """
    bins, event = entries.bins, entries.event
    if bins.min(initial=0) < 0:
        bins, event = _chosen(bins >= 0, bins, event)
    if membership is None:
        additions = Additions(bins, event, weights, target.bins)
        return _way(weights, len(bins))(additions)[:, np.newaxis]
    kind, sets = _kept_kinds(membership, target.categories)
    if event is not None:
        kind = kind[event]
    if kind.min(initial=0) < 0:
        kept = kind >= 0
        bins, event = _chosen(kept, bins, event)
        kind = kind[kept]
    additions = Additions(bins, event, weights, target.bins)
    if by_kind_pays(len(sets), target.bins, len(bins)):
        return by_kind(additions, kind, sets)
    return by_pair(additions, kind, sets)


def by_kind_pays(kinds: int, bins: int, entries: int) -> bool:
    """Whether to add entries to the sums of kinds, rather than to those of each category.

    The sums of the kinds are added up once for each category, as many entries would be otherwise.
    Two numbers a bin, sum and squares: so the sums of the kinds take no more memory than weights
    of as many events as there are entries, and adding them up takes less time than it saves.
    Numbers of the partition alone decide, so that all machines do the same additions. The number
    of slots does not: a weight is added up in the same way with and without its variations.
    """
    return 2 * kinds * bins <= entries


def by_kind(additions: Additions, kind: Integers, sets: npt.NDArray[np.bool_]) -> Floats:
    """`accumulate`, adding each entry once.

    Parameters
    ----------
    additions
        The entries, with bins for cells.
    kind
        Shape ``(entries,)``: kind of the event of each entry.
    sets
        Shape ``(kinds, categories)``: which categories each kind is in.
    """
    bins, categories = additions.cells, sets.shape[1]
    # What the events of one kind touch is close together.
    cell = kind * bins + additions.cell
    way = _way(additions.weights, len(cell))
    cells = way(replace(additions, cell=cell, cells=len(sets) * bins))
    table = cells.reshape(len(sets), bins * math.prod(cells.shape[1:]))
    sums = scipy.sparse.csr_array(sets.T, dtype=np.float64) @ table
    return np.ascontiguousarray(sums.reshape(categories, bins, *cells.shape[1:]).swapaxes(0, 1))


def by_pair(additions: Additions, kind: Integers, sets: npt.NDArray[np.bool_]) -> Floats:
    """`accumulate`, adding each entry once for each of its categories; parameters as `by_kind`.

    One pass, not one for each category: large weight matrices are read from memory only once.
    """
    bins, event, categories = additions.cells, additions.event, sets.shape[1]
    entry, category = np.divmod(np.flatnonzero(sets[kind]), categories)
    cell = additions.cell[entry] * categories + category
    event = entry if event is None else event[entry]
    way = _way(additions.weights, len(cell))
    cells = way(replace(additions, cell=cell, event=event, cells=bins * categories))
    return cells.reshape(bins, categories, *cells.shape[1:])


def _chosen(
    mask: npt.NDArray[np.bool_], bins: Integers, event: Integers | None
) -> tuple[Integers, Integers]:
    """Bin and event of the entries where the mask holds."""
    index = np.flatnonzero(mask)
    return bins[index], index if event is None else event[index]


def _kept_kinds(
    membership: Membership, categories: tuple[int, ...] | None
) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Kinds of events as far as some categories can tell them apart.

    Returns
    -------
    kind
        Shape ``(events,)``, -1 for events in none of the categories.
    sets
        Shape ``(kinds, categories kept)``; no kind is in no category.
    """
    sets = membership.sets
    number: Integers | None = None
    if categories is not None and categories != tuple(range(sets.shape[1])):
        merged = Membership.from_masks([sets[:, category] for category in categories])
        number, sets = merged.kind, merged.sets
    some = sets.any(axis=1)
    if not some.all():
        found = np.where(some, np.cumsum(some) - 1, -1)
        number = found if number is None else found[number]
        sets = sets[some]
    return membership.kind if number is None else number[membership.kind], sets


def _way(weights: Floats | None, additions: int) -> Way:
    """How to add that many entries.

    It gives the sums of weights and of squared weights in each cell, shape ``(cells, 2, slots)``.
    Whichever it is, entries are added one after the other, in the order given.
    """
    if weights is None or weights.shape[1] == 1:
        return by_bincount
    kernel = _compiled.after(additions * weights.shape[1])
    if kernel is None:
        return partial(by_sparse, squares=weights * weights)
    return partial(by_kernel, kernel)


def by_bincount(additions: Additions) -> Floats:
    """Add the weights of one slot, or count."""
    cell, cells = additions.cell, additions.cells
    out = np.empty((cells, 2, 1))
    if additions.weights is None:
        out[:] = np.bincount(cell, minlength=cells)[:, np.newaxis, np.newaxis]
        return out
    weight = additions.weights[:, 0]
    if additions.event is not None:
        weight = weight[additions.event]
    out[:, 0, 0] = np.bincount(cell, weight, minlength=cells)
    out[:, 1, 0] = np.bincount(cell, weight * weight, minlength=cells)
    return out


def by_sparse(additions: Additions, squares: Floats) -> Floats:
    """Add as the product of a sparse matrix of ones, ``(cells, events)``, with the weights."""
    cell, event, weights = additions.cell, additions.event, additions.weights
    assert weights is not None
    events, slots = weights.shape
    # Column-compressed: the product then walks through the events in order, as the kernel does.
    ends = np.arange(events + 1)
    if event is not None:
        np.cumsum(np.bincount(event, minlength=events), out=ends[1:])
    ones = np.ones(len(cell))
    matrix = scipy.sparse.csc_array((ones, cell, ends), shape=(additions.cells, events))
    out = np.empty((additions.cells, 2, slots))
    out[:, 0] = matrix @ weights
    out[:, 1] = matrix @ squares
    return out


def by_kernel(kernel: Kernel, additions: Additions) -> Floats:
    """Add by `add_entries` or its compiled form."""
    cell, event, weights = additions.cell, additions.event, additions.weights
    assert weights is not None
    if event is None:
        event = np.arange(len(cell))
    out = np.zeros((additions.cells, 2, weights.shape[1]))
    kernel(
        out,
        np.ascontiguousarray(cell, dtype=np.int64),
        np.ascontiguousarray(event, dtype=np.int64),
        np.ascontiguousarray(weights, dtype=np.float64),
    )
    return out


def add_entries(out: Floats, cell: Integers, event: Integers, weights: Floats) -> None:
    """Add weights and squared weights of all entries to `out`, shape ``(cells, 2, slots)``.

    Slots are innermost and contiguous, sums next to squares: the innermost loops are vector
    instructions. Slots are independent sums, so vectorising them does not change the order of any
    sum.
    """
    slots = weights.shape[1]
    for entry in range(cell.shape[0]):
        weight = weights[event[entry]]
        sums = out[cell[entry], 0]
        squares = out[cell[entry], 1]
        for s in range(slots):
            sums[s] += weight[s]
        for s in range(slots):
            squares[s] += weight[s] * weight[s]


def compile_kernel() -> Kernel:
    """`add_entries` compiled by numba, out of numba's disk cache where there is one.

    One explicit signature, with inputs that may be read-only, so that nothing else is ever
    compiled. It releases the GIL.
    """
    import numba  # type: ignore[import-untyped,unused-ignore]  # slow to import: only when needed

    def array(kind: Any, dimensions: int, readonly: bool = True) -> Any:
        return numba.types.Array(kind, dimensions, "C", readonly=readonly)

    integers, floats = numba.types.int64, numba.types.float64
    signature = numba.types.void(
        array(floats, 3, readonly=False),
        array(integers, 1),
        array(integers, 1),
        array(floats, 2),
    )
    try:
        kernel: Kernel = numba.njit(signature, nogil=True, cache=True)(add_entries)
    except Exception:
        # Neither site-packages nor the home directory writable, a full disk, a damaged cache: the
        # cache only saves time. An error of the compilation itself comes back from the second try.
        kernel = numba.njit(signature, nogil=True, cache=False)(add_entries)
    return kernel


class _Compiled:
    """The compiled kernel of this process, once there was enough work to be worth compiling it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._additions = 0
        self._kernel: Kernel | None = None

    def after(self, additions: int) -> Kernel | None:
        """The kernel, or None while compiling it does not pay."""
        with self._lock:
            self._additions += additions
            if self._kernel is None and self._additions >= PATIENCE:
                self._kernel = compile_kernel()
            return self._kernel


_compiled = _Compiled()
