"""What a frame carries besides its events: columns, weights, systematics, categories."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

import dask_awkward as dak

from lazyana.errors import InputError, InputTypeError, did_you_mean
from lazyana.frame.checks import check_name, unique
from lazyana.frame.group import Level
from lazyana.options import NanPolicy
from lazyana.sinks.base import NOMINAL

_SUFFIX = {"up": "Up", "down": "Down"}


@dataclass(frozen=True, eq=False)
class Factor:
    """A named factor of the event weight.

    Attributes
    ----------
    name
        Its name.
    nominal
        Its value, a column or a number.
    shifts
        Its varied values by the label of the variation.
    level
        The events it is for.
    nan
        What to do about values that are not finite.
    """

    name: str
    nominal: Any
    shifts: tuple[tuple[str, Any], ...]
    level: Level
    nan: NanPolicy

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels of its variations."""
        return tuple(label for label, _ in self.shifts)

    def only(self, labels: Container[str]) -> Factor:
        """The factor with some of its variations."""
        return replace(self, shifts=tuple(shift for shift in self.shifts if shift[0] in labels))


@dataclass(frozen=True, eq=False)
class Systematic:
    """A named set of shifted worlds.

    Attributes
    ----------
    name
        Its name.
    shifts
        For the label of each variation, the varied columns and what replaces them.
    """

    name: str
    shifts: tuple[tuple[str, tuple[tuple[dak.Array, dak.Array], ...]], ...]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels of its variations."""
        return tuple(label for label, _ in self.shifts)


@dataclass(frozen=True, eq=False)
class Categories:
    """Named selections: each is a product of masks.

    Attributes
    ----------
    parts
        For each category, the names of the masks that must all hold.
    masks
        The masks by name, with the events they are for.
    """

    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    masks: Mapping[str, tuple[dak.Array, Level]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the categories, in order."""
        return tuple(self.parts)

    @classmethod
    def parse(cls, given: Any, mask: Callable[[str, Any], str]) -> Mapping[str, tuple[str, ...]]:
        """The categories a user named; `mask` gives the key of a mask, of its name and value."""
        if not isinstance(given, Mapping) or not given:
            msg = "Give the categories as a mapping: events.categories({'SR': mask, ...})."
            raise InputTypeError(msg)
        parts: dict[str, tuple[str, ...]] = {}
        axes: list[list[tuple[str, str]]] = []
        for name, value in given.items():
            check_name("category", name)
            if isinstance(value, Mapping):
                for label in value:
                    check_name(f"category of axis {name!r}", label)
                bins = [(label, mask(f"{name}: {label}", item)) for label, item in value.items()]
                if not bins:
                    msg = f"Category axis {name!r} is empty: give {{label: mask}}."
                    raise InputError(msg)
                axes.append(bins)
            else:
                given_masks = value if isinstance(value, list | tuple) else [value]
                if not given_masks:
                    msg = f"Category {name!r} is an empty list: give the masks that must all hold."
                    raise InputError(msg)
                parts[name] = tuple(mask(name, one) for one in given_masks)
        combinations = product(*axes) if axes else ()
        for combination in combinations:
            label = "_".join(label for label, _ in combination)
            if label in parts:
                msg = f"There is a category {label!r} already: give them different names."
                raise InputError(msg)
            parts[label] = tuple(key for _, key in combination)
        return parts

    def extend(
        self, parts: Mapping[str, tuple[str, ...]], masks: Mapping[str, dak.Array], level: Level
    ) -> Categories:
        """These and more; the events of the new ones are those at `level`."""
        unique("category", (*self.names, *parts))
        # Masks of an earlier declaration may have the same names.
        renamed = {name: f"{len(self.masks)}: {name}" for name in masks}
        return Categories(
            {
                **self.parts,
                **{name: tuple(renamed[key] for key in keys) for name, keys in parts.items()},
            },
            {**self.masks, **{renamed[name]: (mask, level) for name, mask in masks.items()}},
        )


@dataclass(frozen=True)
class Keep:
    """Which categories and variations an output keeps.

    Attributes
    ----------
    categories
        Positions of the categories; None for all.
    weight_variations, shape_variations
        Labels.
    """

    categories: tuple[int, ...] | None
    weight_variations: tuple[str, ...]
    shape_variations: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class State:
    """What was declared on a frame so far.

    Attributes
    ----------
    columns
        Columns defined or replaced, with the events they are for.
    factors
        Factors of the event weight.
    systematics
        Systematic uncertainties of columns.
    categories
        The categories.
    history
        For every cut, how many weight factors there were before it.
    """

    columns: Mapping[str, tuple[dak.Array, Level]] = field(default_factory=dict)
    factors: tuple[Factor, ...] = ()
    systematics: tuple[Systematic, ...] = ()
    categories: Categories = field(default_factory=Categories)
    history: tuple[int, ...] = ()

    @cached_property
    def weight_variations(self) -> tuple[str, ...]:
        """Labels of the weight variations, in the order of the weight matrix."""
        return tuple(label for factor in self.factors for label in factor.labels)

    @cached_property
    def shape_variations(self) -> tuple[str, ...]:
        """Labels of the variations of columns."""
        return tuple(label for systematic in self.systematics for label in systematic.labels)

    @property
    def shifts(self) -> dict[str, tuple[tuple[dak.Array, dak.Array], ...]]:
        """For each shape variation, the varied columns and what replaces them."""
        return {label: pairs for s in self.systematics for label, pairs in s.shifts}

    def choose(
        self,
        categories: Iterable[str] | None,
        exclude_categories: Iterable[str],
        variations: Iterable[str] | bool,
        exclude_variations: Iterable[str],
    ) -> Keep:
        """Which categories and variations to keep, checked.

        Raises
        ------
        InputError
            A name that does not exist, or no category left.
        """
        return Keep(
            self._chosen_categories(
                _names("category", categories), _names("category", exclude_categories) or ()
            ),
            *self._chosen_variations(variations, _names("variation", exclude_variations) or ()),
        )

    def _chosen_categories(
        self, only: tuple[str, ...] | None, exclude: tuple[str, ...]
    ) -> tuple[int, ...] | None:
        names = self.categories.names
        if only is None and not exclude:
            return None
        chosen = _subset("category", only, exclude, {name: (name,) for name in names})
        if not chosen:
            msg = f"No category is left to keep. There are: {', '.join(names) or 'none'}."
            raise InputError(msg)
        return tuple(i for i, name in enumerate(names) if name in chosen)

    def _chosen_variations(
        self, variations: Iterable[str] | bool, exclude: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Labels of the weight variations and of the shape variations."""
        only = None if variations is True else _names("variation", variations or ())
        if not self.factors and not self.systematics:
            # Data has no variations; that must not need another analysis than simulation.
            return (), ()
        if only is None and not exclude:
            return self.weight_variations, self.shape_variations
        sets = {
            **{factor.name: factor.labels for factor in self.factors},
            **{systematic.name: systematic.labels for systematic in self.systematics},
        }
        known: dict[str, tuple[str, ...]]
        known = {label: (label,) for labels in sets.values() for label in labels}
        if only is not None:
            # Nominal is always kept; naming it among those to keep is no mistake.
            known[NOMINAL] = ()
        labels = _subset("variation", only, exclude, {**sets, **known})
        return (
            tuple(label for label in self.weight_variations if label in labels),
            tuple(label for label in self.shape_variations if label in labels),
        )


def labels_of(name: str, up: Any, down: Any, sources: Mapping[str, Any]) -> dict[str, Any]:
    """Label and value of each variation of a weight.

    Raises
    ------
    InputTypeError
        A source that is not a pair.
    """
    values = {f"{name}Up": up, f"{name}Down": down}
    for source, pair in sources.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            msg = (
                f"Source {source!r} of weight {name!r} is a {type(pair).__name__}: give a pair "
                f"{source}=(up, down), None for a side that does not exist."
            )
            raise InputTypeError(msg)
        values[f"{name}_{source}Up"], values[f"{name}_{source}Down"] = pair
    return {label: value for label, value in values.items() if value is not None}


def labels_of_shifts(systematic: str, shifts: Sequence[str]) -> tuple[str, ...]:
    """Label of the variation for each shift of a systematic."""
    return tuple(
        f"{systematic}{_SUFFIX[shift]}" if shift in _SUFFIX else f"{systematic}_{shift}"
        for shift in shifts
    )


def _names(what: str, given: Any) -> tuple[str, ...] | None:
    """Names in the order given; None stays None."""
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Iterable):
        msg = f"The {what} names to keep or exclude are {given!r}: give a list, such as ['x', 'y']."
        raise InputTypeError(msg)
    return tuple(given)


def _subset(
    what: str,
    only: Iterable[str] | None,
    exclude: Iterable[str],
    known: Mapping[str, tuple[str, ...]],
) -> set[str]:
    def expand(names: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for name in names:
            if name not in known:
                hint = did_you_mean(str(name), known)
                there = ", ".join(known) or "none"
                msg = f"There is no {what} {name!r} here.{hint} There are: {there}."
                raise InputError(msg)
            found.update(known[name])
        return found

    return expand(known if only is None else only) - expand(exclude)
