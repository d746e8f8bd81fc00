"""Add the weights of entries to bins: all categories and weight variations in one pass.

An *entry* is one value of a histogram: an event, or one object of an event. There are three ways to
do the additions. They do the same ones in the same order, so the sums agree to the last bit:

======================  ======================================  ============================
way                     used for                                cost of the first call
======================  ======================================  ============================
`numpy.bincount`        one slot: shape variations, counts      none
`scipy.sparse` product  several slots, little work so far       none
numba kernel            after `PATIENCE` additions              1-3 s in each process
======================  ======================================  ============================

The numba kernel is two to five times as fast as the sparse product, but numba needs more than a
second to start in a process, even when the compiled kernel comes out of its disk cache. A short
session never does enough work to earn that second back; a long job does so early.
``benchmarks/fill.py`` measures all of them, and ``boost_histogram.storage.MultiCell``, against a
loop of `hist.Hist.fill`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse  # type: ignore[import-untyped,unused-ignore]

from lazyana.sinks.base import Membership

Integers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Kernel: TypeAlias = Callable[..., None]

PATIENCE = 500_000_000
"""Additions (memberships x slots) a process does before it starts numba, about a second of work."""


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
    bins, rows
        Number of bins and of categories that are kept.
    row_of
        Shape ``(categories of the membership,)``: row of each category, -1 for those left out.
    """

    bins: int
    rows: int
    row_of: Integers


def accumulate(
    entries: Entries, weights: Floats | None, membership: Membership | None, target: Target
) -> Floats:
    """Sum of weights and of squared weights in each bin, for each category and weight variation.

    Entries are added one after the other, in the order given, whichever way the additions are done.

    Parameters
    ----------
    entries
        Bin and event of each entry.
    weights
        Shape ``(events, slots)``; None counts entries, in one slot.
    membership
        Categories of each event; None puts every event into row 0.
    target
        Bins and rows to add to.

    Returns
    -------
    numpy.ndarray
        Shape ``(bins, rows, 2, slots)``: ``[:, :, 0]`` sums, ``[:, :, 1]`` sums of squares.
    """
    slots = 1 if weights is None else weights.shape[1]
    if weights is None or (slots == 1 and membership is None):
        return by_bincount(entries, weights, membership, target)
    kernel = _compiled.after(_additions(entries, membership) * slots)
    if kernel is not None:
        return by_kernel(kernel, entries, weights, membership, target)
    slow = by_bincount if slots == 1 else by_sparse
    return slow(entries, weights, membership, target)


def _additions(entries: Entries, membership: Membership | None) -> int:
    """Rough number of (entry, category) pairs."""
    if membership is None:
        return len(entries.bins)
    return len(entries.bins) * len(membership.index) // max(entries.events, 1)


def _cells(
    entries: Entries, membership: Membership | None, target: Target
) -> tuple[Integers, Integers]:
    """Cell (``bin * rows + row``) and event of each addition, both of shape ``(additions,)``."""
    bins, event = entries.bins, entries.event
    if membership is None:
        cell = bins * target.rows
        owner = np.arange(len(bins)) if event is None else event
    else:
        counts = np.diff(membership.offsets)
        if event is None:
            row = target.row_of[membership.index]
            owner = np.repeat(np.arange(len(bins)), counts)
            entry = owner
        else:
            counts = counts[event]
            starts = np.cumsum(counts) - counts
            entry = np.repeat(np.arange(len(bins)), counts)
            jump = np.repeat(membership.offsets[event] - starts, counts)
            row = target.row_of[membership.index[np.arange(len(entry)) + jump]]
            owner = event[entry]
        cell = bins[entry] * target.rows + row
        cell[row < 0] = -1
    keep = cell >= 0
    if keep.all():
        return cell, owner
    return cell[keep], owner[keep]


def by_bincount(
    entries: Entries, weights: Floats | None, membership: Membership | None, target: Target
) -> Floats:
    """`accumulate` for one slot."""
    cell, owner = _cells(entries, membership, target)
    out = np.empty((target.bins, target.rows, 2, 1))
    size = target.bins * target.rows
    if weights is None:
        counts = np.bincount(cell, minlength=size).reshape(target.bins, target.rows)
        out[:, :, 0, 0] = counts
        out[:, :, 1, 0] = counts
        return out
    weight = weights[owner, 0]
    out[:, :, 0, 0] = np.bincount(cell, weight, minlength=size).reshape(target.bins, target.rows)
    out[:, :, 1, 0] = np.bincount(cell, weight * weight, minlength=size).reshape(
        target.bins, target.rows
    )
    return out


def by_sparse(
    entries: Entries, weights: Floats, membership: Membership | None, target: Target
) -> Floats:
    """`accumulate` as the product of a sparse matrix of ones, ``(cells, events)``, with weights."""
    cell, owner = _cells(entries, membership, target)
    slots = weights.shape[1]
    # Column-compressed: the product then walks through the events in order, as the kernel does.
    ends = np.zeros(entries.events + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner, minlength=entries.events), out=ends[1:])
    ones = np.ones(len(cell))
    matrix = scipy.sparse.csc_array(
        (ones, cell, ends), shape=(target.bins * target.rows, entries.events)
    )
    out = np.empty((target.bins, target.rows, 2, slots))
    out[:, :, 0] = (matrix @ weights).reshape(target.bins, target.rows, slots)
    out[:, :, 1] = (matrix @ (weights * weights)).reshape(target.bins, target.rows, slots)
    return out


def by_kernel(
    kernel: Kernel,
    entries: Entries,
    weights: Floats,
    membership: Membership | None,
    target: Target,
) -> Floats:
    """`accumulate` by `add_entries` or its compiled form."""
    event = np.arange(len(entries.bins)) if entries.event is None else entries.event
    row_of = target.row_of
    if membership is None:
        offsets = np.arange(entries.events + 1)
        index = np.zeros(entries.events, dtype=np.int32)
        row_of = np.zeros(1, dtype=np.int64)
    else:
        offsets, index = membership.offsets, membership.index
    out = np.zeros((target.bins, target.rows, 2, weights.shape[1]))
    kernel(
        out,
        np.ascontiguousarray(entries.bins, dtype=np.int64),
        np.ascontiguousarray(event, dtype=np.int64),
        np.ascontiguousarray(weights, dtype=np.float64),
        np.ascontiguousarray(offsets, dtype=np.int64),
        np.ascontiguousarray(index, dtype=np.int32),
        np.ascontiguousarray(row_of, dtype=np.int64),
    )
    return out


def add_entries(
    out: Floats,
    bins: Integers,
    event: Integers,
    weights: Floats,
    offsets: Integers,
    index: npt.NDArray[np.int32],
    row_of: Integers,
) -> None:
    """Add weights and squared weights of all entries to `out`, shape ``(bins, rows, 2, slots)``.

    Slots are innermost and contiguous, sums next to squares, rows of one bin next to each other:
    the innermost loops are vector instructions, and what an event touches is close together. Slots
    are independent sums, so vectorising them does not change the order of any sum.
    """
    slots = weights.shape[1]
    for entry in range(bins.shape[0]):
        i = bins[entry]
        if i < 0:
            continue
        k = event[entry]
        weight = weights[k]
        for m in range(offsets[k], offsets[k + 1]):
            row = row_of[index[m]]
            if row < 0:
                continue
            sums = out[i, row, 0]
            squares = out[i, row, 1]
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
        array(floats, 4, readonly=False),
        array(integers, 1),
        array(integers, 1),
        array(floats, 2),
        array(integers, 1),
        array(numba.types.int32, 1),
        array(integers, 1),
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
