"""Tables of particles of many events, and the relativity they need, for the toy sample.

A `Table` holds one row per object of a block of events; ``rows`` are positions in such a table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rng = np.random.Generator


@dataclass(frozen=True)
class Table:
    """Rows of many events, in the order of the events.

    Attributes
    ----------
    event
        Shape ``(rows,)``: which event each row belongs to, never decreasing.
    columns
        One array of shape ``(rows,)`` for each name.
    """

    event: Ints
    columns: dict[str, Array]

    def __len__(self) -> int:
        return len(self.event)

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def take(self, rows: Array | slice) -> Table:
        """The rows of a mask, of positions or of a slice."""
        return Table(
            self.event[rows], {name: values[rows] for name, values in self.columns.items()}
        )

    def sorted_by(self, name: str) -> Table:
        """Rows in falling order of a column within each event."""
        return self.take(np.lexsort((-self.columns[name], self.event)))

    def with_columns(self, **columns: Array) -> Table:
        """A table with columns added or replaced."""
        return Table(self.event, self.columns | columns)

    def counts(self, events: int) -> Ints:
        """How many rows each event has, shape ``(events,)``."""
        return np.bincount(self.event, minlength=events).astype(np.int64)

    def position(self, rows: Ints) -> Ints:
        """Index within their event of rows given by number; -1 stays -1."""
        start = np.searchsorted(self.event, self.event)
        local = np.append(np.arange(len(self)) - start, -1)
        found: Ints = local[rows]
        return found

    def keep_events(self, keep: Bools) -> Table:
        """Only the events of a mask of shape ``(events,)``, renumbered from 0."""
        number = np.cumsum(keep) - 1
        kept = self.take(keep[self.event])
        return Table(number[kept.event], kept.columns)


def stack(tables: Iterable[Table]) -> Table:
    """All rows of tables with the same columns, in the order of the events."""
    parts = list(tables)
    event = np.concatenate([part.event for part in parts])
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].columns}
    return Table(event, columns).take(np.argsort(event, kind="stable"))


def link(keys: Ints, targets: Ints) -> Ints:
    """Position of each key among unique targets, -1 for keys that are negative or not there."""
    size = int(max(keys.max(initial=-1), targets.max(initial=-1))) + 1
    where = np.full(size + 1, -1, dtype=np.int64)
    where[targets[targets >= 0]] = np.flatnonzero(targets >= 0)
    found: Ints = where[np.where(keys < 0, size, keys)]
    return found


def nearest(one: Table, other: Table, events: int, radius: float) -> Ints:
    """Row of the nearest object of the same event within a cone, -1 for none, shape ``(rows,)``."""
    counts = other.counts(events)
    starts = np.cumsum(counts) - counts
    size = counts[one.event]
    busy = np.flatnonzero(size)
    first = np.cumsum(size[busy]) - size[busy]
    left = np.repeat(busy, size[busy])
    inside = np.arange(len(left)) - np.repeat(first, size[busy])
    right = starts[one.event[left]] + inside
    d_eta = one["eta"][left] - other["eta"][right]
    d_phi = wrap(one["phi"][left] - other["phi"][right])
    distance = d_eta**2 + d_phi**2
    result = np.full(len(one), -1, dtype=np.int64)
    if len(busy):
        closest = np.minimum.reduceat(distance, first)
        hit = (distance == np.repeat(closest, size[busy])) & (distance < radius**2)
        result[left[hit]] = right[hit]
    return result


def wrap(phi: Floats) -> Floats:
    """Angles in [-pi, pi)."""
    folded: Floats = (phi + np.pi) % (2 * np.pi) - np.pi
    return folded


def from_polar(pt: Floats, eta: Floats, phi: Floats, mass: Floats | float) -> Floats:
    """Four-momenta (E, px, py, pz), shape ``(rows, 4)``."""
    pz = pt * np.sinh(eta)
    energy = np.sqrt(pt**2 + pz**2 + np.square(mass))
    return np.stack([energy, pt * np.cos(phi), pt * np.sin(phi), pz], axis=1)


def to_polar(p4: Floats) -> dict[str, Floats]:
    """Columns ``pt``, ``eta``, ``phi`` and ``mass`` of four-momenta."""
    pt = np.hypot(p4[:, 1], p4[:, 2])
    mass2 = p4[:, 0] ** 2 - np.sum(p4[:, 1:] ** 2, axis=1)
    eta = np.arcsinh(p4[:, 3] / np.maximum(pt, 1e-9)).clip(-20, 20)
    phi = np.arctan2(p4[:, 2], p4[:, 1])
    return {"pt": pt, "eta": eta, "phi": phi, "mass": np.sqrt(np.maximum(mass2, 0.0))}


def boost(p4: Floats, parent: Floats) -> Floats:
    """Four-momenta from the rest frame of a parent to where the parent moves."""
    mass = np.sqrt(parent[:, 0] ** 2 - np.sum(parent[:, 1:] ** 2, axis=1))
    along = np.sum(p4[:, 1:] * parent[:, 1:], axis=1)
    energy = (p4[:, 0] * parent[:, 0] + along) / mass
    factor = (along / (parent[:, 0] + mass) + p4[:, 0]) / mass
    return np.column_stack([energy, p4[:, 1:] + factor[:, None] * parent[:, 1:]])


def two_body(
    rng: Rng,
    parent: Floats,
    m1: Floats | float,
    m2: Floats | float,
    cosine: Floats,
    axis: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Decay at a polar angle to an axis (the beam by default) in the rest frame of the parent."""
    mass2 = parent[:, 0] ** 2 - np.sum(parent[:, 1:] ** 2, axis=1)
    mass = np.sqrt(mass2)
    square = (mass2 - np.square(m1 + m2)) * (mass2 - np.square(m1 - m2))
    momentum = np.sqrt(np.maximum(square, 0.0)) / (2 * mass)
    azimuth = rng.uniform(-np.pi, np.pi, len(parent))
    sine = np.sqrt(np.maximum(1 - cosine**2, 0.0))
    x, y = sine * np.cos(azimuth), sine * np.sin(azimuth)
    if axis is None:
        direction = np.stack([x, y, cosine], axis=1)
    else:
        first = np.cross(axis, [0.6, 0.0, 0.8])
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        second = np.cross(axis, first)
        direction = x[:, None] * first + y[:, None] * second + cosine[:, None] * axis
    vector = momentum[:, None] * direction
    one = np.column_stack([np.sqrt(momentum**2 + np.square(m1)), vector])
    two = np.column_stack([np.sqrt(momentum**2 + np.square(m2)), -vector])
    return boost(one, parent), boost(two, parent)
