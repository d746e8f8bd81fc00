"""Momenta as flat arrays, and records of NanoEvents made of them.

`vector` does the same on awkward arrays, a few milliseconds an operation whatever the number of
events. Here the formulas are its own, to the last bit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt
from coffea.nanoevents.methods import candidate, nanoaod

Numbers: TypeAlias = npt.NDArray[Any]
Integers: TypeAlias = npt.NDArray[np.int64]

MOMENTUM = ("pt", "eta", "phi", "mass")
CANDIDATE = (*MOMENTUM, "charge")


@dataclass(frozen=True)
class Momenta:
    """Momenta by transverse momentum (GeV), η, φ and mass (GeV), shape ``(objects,)`` each."""

    pt: Numbers
    eta: Numbers
    phi: Numbers
    mass: Numbers

    @property
    def cartesian(self) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Components x, y and z, and energy."""
        decline = np.exp(-self.eta)
        inverse_sine = 0.5 * (1 + decline**2) / decline
        momentum2 = self.pt**2 * inverse_sine**2
        energy2 = np.maximum(np.copysign(self.mass**2, self.mass) + momentum2, 0)
        return (
            self.pt * np.cos(self.phi),
            self.pt * np.sin(self.phi),
            self.pt * np.sinh(self.eta),
            np.sqrt(energy2),
        )

    @classmethod
    def from_cartesian(cls, x: Numbers, y: Numbers, z: Numbers, energy: Numbers) -> Momenta:
        """Momenta of some components and energy; the mass is negative where its square is."""
        pt = np.sqrt(x**2 + y**2)
        mass2 = energy**2 - (x**2 + y**2 + z**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            eta = np.arcsinh(z / pt)
        # Without transverse momentum: along the beam, or no momentum at all.
        eta = np.where(np.isnan(eta) & (z == 0), 0, eta).astype(pt.dtype)
        return cls(pt, eta, np.arctan2(y, x), np.copysign(np.sqrt(np.abs(mass2)), mass2))

    def __add__(self, other: Momenta) -> Momenta:
        """The vector sum."""
        pairs = zip(self.cartesian, other.cartesian, strict=True)
        return self.from_cartesian(*(one + another for one, another in pairs))

    def delta_phi(self, other: Momenta) -> Numbers:
        """Difference of φ, at least -π and less than π."""
        return difference_of_phi(self.phi, other.phi)

    def delta_r(self, other: Momenta) -> Numbers:
        """Distance in η and φ."""
        apart: Numbers = np.sqrt(self.delta_phi(other) ** 2 + (self.eta - other.eta) ** 2)
        return apart


def difference_of_phi(phi: Numbers, other: Numbers) -> Numbers:
    """Difference of angles, at least -π and less than π."""
    difference: Numbers = (phi - other + np.pi) % (2 * np.pi) - np.pi
    return difference


@dataclass(frozen=True)
class Objects:
    """Objects of all events, one after the other.

    Attributes
    ----------
    counts
        Number of objects of each event, shape ``(events,)``.
    values
        Fields of the objects, shape ``(objects,)`` each.
    """

    counts: Integers
    values: Mapping[str, Numbers]

    @classmethod
    def of(cls, names: Sequence[str], columns: Sequence[ak.Array]) -> Objects:
        """Objects of columns of one collection, without those of which something is None.

        Parameters
        ----------
        names
            Names of the fields.
        columns
            Their values, shape ``(events, objects)``.
        """
        if any(_may_be_none(column.layout) for column in columns):
            known = reduce(operator.and_, (~ak.is_none(column, axis=1) for column in columns))
            columns = [column[known] for column in columns]
        lists = [flattened(column) for column in columns]
        values = {name: flat for name, (_, flat) in zip(names, lists, strict=True)}
        return cls(lists[0][0], values)

    @property
    def offsets(self) -> Integers:
        """Where the objects of each event begin, and where the last ones end."""
        return offsets(self.counts)

    def followed_by(self, other: Objects) -> Objects:
        """In each event these objects, then the others."""
        places = np.arange(sum(self.counts)) + np.repeat(other.offsets[:-1], self.counts)
        behind = np.arange(sum(other.counts)) + np.repeat(self.offsets[1:], other.counts)
        merged = {}
        for name, values in self.values.items():
            more = other.values[name]
            merged[name] = np.empty(
                len(values) + len(more), dtype=np.result_type(values.dtype, more.dtype)
            )
            merged[name][places] = values
            merged[name][behind] = more
        return Objects(self.counts + other.counts, merged)

    def take(self, places: Integers) -> dict[str, Numbers]:
        """Fields of the objects at some places among those of all events."""
        return {name: values[places] for name, values in self.values.items()}


def momenta(values: Mapping[str, Numbers]) -> Momenta:
    """The momenta of objects."""
    return Momenta(*(values[name] for name in MOMENTUM))


def offsets(lengths: Integers) -> Integers:
    """Where lists of some lengths begin, and where the last one ends."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])


def flattened(column: ak.Array, none: float | None = None) -> tuple[Integers, Numbers]:
    """Lists as their lengths, shape ``(events,)``, and their values, shape ``(objects,)``.

    Parameters
    ----------
    column
        Lists of numbers, shape ``(events, objects)``. None instead of a list has no values.
    none
        What to put in the place of values that are None; if None, they are left out.
    """
    layout = ak.materialize(column).layout
    if layout.is_list:
        # What awkward's own functions come to, without the milliseconds that they take.
        lists = layout.to_ListOffsetArray64(True)
        places = np.asarray(lists.offsets.data)
        content = lists.content[: places[-1]]
        if content.is_indexed and not content.is_option:
            content = content.project()
        if content.is_numpy:
            return np.diff(places), content.to_backend_array()
    if none is None:
        column = ak.drop_none(column, axis=1)
    lengths = ak.to_numpy(ak.fill_none(ak.num(column, axis=1), 0)).astype(np.int64)
    flat = ak.flatten(column, axis=1)
    if none is not None:
        known = ak.to_numpy(ak.drop_none(flat, axis=0))
        kind = known.dtype if known.dtype.kind == "f" else np.dtype(np.float64)
        flat = ak.fill_none(flat, kind.type(none))
    return lengths, ak.to_numpy(flat)


def elementwise(function: Callable[..., Any], *arrays: Any) -> Any:
    """A function of flat arrays, on arrays that fit together as in arithmetic.

    Parameters
    ----------
    function
        Function of numpy arrays of one length that gives such an array, or a tuple of them.
    *arrays
        Awkward arrays of numbers; where one is None, so is the result.

    Returns
    -------
    awkward.Array or tuple
        What the function gives, in the shape of the arrays.
    """

    def act(layouts: Sequence[Any], **_: Any) -> Any:
        if not all(one.is_numpy or one.is_unknown for one in layouts):
            return None
        flat = [
            one.to_backend_array() if one.is_numpy else np.empty(0, dtype=np.float64)
            for one in layouts
        ]
        found = function(*flat)
        several = found if isinstance(found, tuple) else (found,)
        return tuple(ak.contents.NumpyArray(values) for values in several)

    return ak.transform(act, *arrays, numpy_to_regular=True)


def records(columns: Mapping[str, Any], name: str) -> ak.Array:
    """Records of NanoEvents out of flat arrays, shape ``(events,)``.

    Parameters
    ----------
    columns
        Their fields, numpy arrays or layouts.
    name
        What kind of records they are, one of those of coffea or `PAIR`.
    """
    contents = [
        ak.contents.NumpyArray(values) if isinstance(values, np.ndarray) else values
        for values in columns.values()
    ]
    layout = ak.contents.RecordArray(contents, list(columns), parameters={"__record__": name})
    return ak.Array(layout, behavior=BEHAVIOR)


def _may_be_none(layout: Any) -> bool:
    while layout.is_list or (layout.is_indexed and not layout.is_option):
        layout = layout.content
    return bool(layout.is_option)


class _Distance:
    """The distance of two objects as an attribute of their pair.

    Vectors have a method of that name, which would be found first.
    """

    @property
    def deltaR(self) -> Any:
        """Distance in η and φ of the two objects."""
        return self["deltaR"]  # type: ignore[index]

    def delta_r(self, other: Any) -> Any:
        """Distance in η and φ from another object."""
        return super().deltaR(other)  # type: ignore[misc]


class PairRecord(_Distance, candidate.PtEtaPhiMCandidateRecord):  # type: ignore[misc]
    """The sum of two objects, and what is between them."""


class PairArray(_Distance, candidate.PtEtaPhiMCandidateArray):  # type: ignore[misc]
    """Sums of two objects, shape ``(events,)``, and what is between them."""


def _as_candidates(name: str, record: type, array: type) -> dict[Any, Any]:
    """Methods of NanoEvents for records of a new name too, momenta with a charge."""
    candidate_name = "PtEtaPhiMCandidate"
    found: dict[Any, Any] = {}
    for key, method in nanoaod.behavior.items():
        if isinstance(key, tuple) and candidate_name in key:
            # Operations of both kinds with each other, too.
            for places in ({0, 1, 2}, {1}, {2}):
                new = tuple(
                    name if part == candidate_name and i in places else part
                    for i, part in enumerate(key)
                )
                if name in new:
                    found.setdefault(new, method)
    return {**nanoaod.behavior, **found, name: record, ("*", name): array}


PAIR = "Pair"
BEHAVIOR: Mapping[Any, Any] = _as_candidates(PAIR, PairRecord, PairArray)
"""Methods of NanoEvents, and of pairs."""
