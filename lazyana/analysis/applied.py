"""What applies where: weights, variations and columns of each sample, subsample and category."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from lazyana.analysis.common_weights import common_weights
from lazyana.analysis.schema import AppliedSection, VariationsSection
from lazyana.errors import InputError, did_you_mean

SUBSAMPLE = "__"
"""Between the name of a sample and that of a subsample: ``TTTo2L2Nu__bb``."""

_EXCLUSIVE = ("genWeight", "signOf_genWeight")

_COMMON = {one.name for one in common_weights}
_ADD = " weights_classes lists only these: add common_weights to it, [*common_weights, …]."


@dataclass(frozen=True)
class Part:
    """Categories of a sample that are weighed and varied alike.

    Attributes
    ----------
    categories
        Their names.
    weights
        Names of the weights that apply.
    varied
        Names of those whose variations are kept.
    shapes
        Names of the calibrators whose variations are kept.
    """

    categories: tuple[str, ...]
    weights: tuple[str, ...] = ()
    varied: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What a configuration says of weights, variations and columns.

    Attributes
    ----------
    weights, columns
        What applies where.
    variations
        Which of their variations are kept.
    categories
        Names of the categories.
    samples
        Names of all samples, whether or not they are run over.
    subsamples
        Names of the subsamples of those that are split.
    known_weights
        The classes of the weights, by name.
    known_calibrators
        The classes of the calibrators, by name.
    data
        The samples that are no simulation.
    """

    weights: AppliedSection
    variations: VariationsSection
    columns: AppliedSection
    categories: tuple[str, ...]
    samples: tuple[str, ...]
    subsamples: Mapping[str, tuple[str, ...]]
    known_weights: Mapping[str, Any] = field(default_factory=dict)
    known_calibrators: Mapping[str, Any] = field(default_factory=dict)
    data: frozenset[str] = frozenset()

    def names_of(self, sample: str, subsample: str | None) -> tuple[str, ...]:
        """The names that a sample, or a subsample, goes by in a configuration."""
        return (sample,) if subsample is None else (sample, f"{sample}{SUBSAMPLE}{subsample}")

    def parts(self, sample: str, subsample: str | None = None) -> tuple[Part, ...]:
        """The categories of a sample, together where they are weighed and varied alike.

        Data get no weight that is of simulation only, and no variation.
        """
        names, is_mc = self.names_of(sample, subsample), sample not in self.data
        found: dict[tuple[Any, ...], list[str]] = {}
        for category in self.categories:
            weights = tuple(
                name
                for name in self.weights.of(names, category)
                if is_mc or not self.known_weights[name].isMC_only
            )
            kept = self.variations.weights.of(names, category) if is_mc else ()
            varied = tuple(name for name in weights if name in kept)
            shapes = self.variations.shape.of(names, category) if is_mc else ()
            found.setdefault((weights, varied, shapes), []).append(category)
        return tuple(Part(tuple(some), *key) for key, some in found.items())

    def shapes_of(self, sample: str) -> tuple[str, ...]:
        """Names of the calibrators whose variations some category of a sample keeps."""
        found: dict[str, None] = {}
        for subsample in self.subsamples.get(sample) or (None,):
            for category in self.categories:
                names = self.names_of(sample, subsample)
                found |= dict.fromkeys(self.variations.shape.of(names, category))
        return tuple(found)

    def columns_of(self, sample: str, subsample: str | None, category: str) -> tuple[Any, ...]:
        """The columns of a category of a sample."""
        return self.columns.of(self.names_of(sample, subsample), category)

    def table(self, samples: Iterable[str] | None = None) -> list[dict[str, str]]:
        """A row for each sample or subsample and part: its categories, weights and variations.

        Parameters
        ----------
        samples
            Which samples; None: all.
        """
        return [
            {
                "sample": self.names_of(sample, subsample)[-1],
                "categories": ", ".join(part.categories),
                "weights": ", ".join(part.weights),
                "varied": ", ".join(part.varied),
                "shapes": ", ".join(part.shapes),
            }
            for sample in (self.samples if samples is None else samples)
            for subsample in self.subsamples.get(sample) or (None,)
            for part in self.parts(sample, subsample)
        ]

    def check(self) -> None:
        """Refuse what names something that does not exist or contradicts itself.

        Raises
        ------
        InputError
            All of it, each with its place in the configuration.
        """
        wrong: list[str] = []
        sections = {
            "weights": (self.weights, self.known_weights, "weight"),
            "variations.weights": (self.variations.weights, self.known_weights, "weight"),
            "variations.shape": (self.variations.shape, self.known_calibrators, "calibrator"),
            "columns": (self.columns, None, "columns"),
        }
        for title, (section, known, what) in sections.items():
            wrong += self._unknown_samples(title, section)
            for place, category, item in section.entries():
                where = f"{title}.{place}"
                if category is not None and category not in self.categories:
                    wrong.append(_unknown(where, "category", category, self.categories))
                if known is not None and item not in known:
                    said = _unknown(where, what, str(item), known)
                    common = what == "weight" and item in _COMMON
                    wrong.append(f"{said}{_ADD if common else ''}")
        if not wrong:
            wrong = [
                *self._twice(),
                *self._both_generator_weights(),
                *self._without_weight(),
                *self._never_varied(),
            ]
        if wrong:
            msg = "The configuration cannot be used:\n" + "\n".join(f"- {line}" for line in wrong)
            raise InputError(msg)

    def not_of_data(self) -> list[tuple[str, str]]:
        """What is asked for by the name of data, but is of simulation only.

        Returns
        -------
        list of (place, message)
            Each weight and variation that is not applied.
        """
        found: dict[tuple[str, str], None] = {}
        for title, section, what in (
            ("weights", self.weights, "weight"),
            ("variations.weights", self.variations.weights, "variations of weight"),
            ("variations.shape", self.variations.shape, "variations of calibrator"),
        ):
            for name, applied in section.bysample.items():
                sample = name if name in self.samples else name.partition(SUBSAMPLE)[0]
                if sample not in self.data:
                    continue
                for category, item in applied.items():
                    if what == "weight" and not self.known_weights[item].isMC_only:
                        continue
                    where = f"{title}.bysample[{name!r}]"
                    where += f".bycategory[{category!r}]" if category is not None else ".inclusive"
                    instead = (
                        f"write isMC_only = False in the class of {item!r} if it is for data too"
                        if what == "weight"
                        else "data are not varied"
                    )
                    message = (
                        f"{where} names {what} {item!r}, but {sample} is data: it is not applied. "
                        f"Leave it out; {instead}."
                    )
                    found[where, message] = None
        return list(found)

    def _unknown_samples(self, title: str, section: AppliedSection) -> list[str]:
        every = [
            *self.samples,
            *(
                f"{sample}{SUBSAMPLE}{name}"
                for sample, names in self.subsamples.items()
                for name in names
            ),
        ]
        return [
            _unknown(f"{title}.bysample", "sample", name, every)
            for name in section.bysample
            if name not in every
        ]

    def _worlds(self) -> Iterable[tuple[str, str | None, str]]:
        """Every sample, subsample and category."""
        for sample in self.samples:
            for subsample in self.subsamples.get(sample) or (None,):
                for category in self.categories:
                    yield sample, subsample, category

    def _twice(self) -> list[str]:
        """Weights that several entries apply to the same events."""
        found: dict[tuple[str, ...], str] = {}
        for sample, subsample, category in self._worlds():
            names = self.names_of(sample, subsample)
            places: dict[str, list[str]] = {}
            for place, only, name in self.weights.entries():
                of_others = place.startswith("bysample") and not any(
                    place.startswith(f"bysample[{one!r}]") for one in names
                )
                if only in (None, category) and not of_others:
                    places.setdefault(name, []).append(place)
            for name, some in places.items():
                if len(some) > 1:  # of the same places once, however many categories it is of
                    where = " and ".join(f"weights.{place}" for place in dict.fromkeys(some))
                    twice = " twice" if len(set(some)) < len(some) else ""
                    found.setdefault(
                        (name, *some),
                        f"Weight {name!r} applies twice to category {category!r} of {names[-1]}: "
                        f"it is{twice} in {where}. Keep one.",
                    )
        return list(found.values())[:10]

    def _both_generator_weights(self) -> list[str]:
        for sample, subsample, category in self._worlds():
            weights = self.weights.of(self.names_of(sample, subsample), category)
            if all(name in weights for name in _EXCLUSIVE):
                return [
                    f"Both genWeight and signOf_genWeight apply to category {category!r} of "
                    f"{sample}: the second is the sign of the first. Keep one."
                ]
        return []

    def _never_varied(self) -> list[str]:
        """Calibrators whose variations are asked for, but that have none."""
        return list(
            dict.fromkeys(
                f"variations.shape.{place} names calibrator {name!r}, which has no variations. "
                "Write has_variations = True in its class, or leave it out."
                for place, _, name in self.variations.shape.entries()
                if not getattr(self.known_calibrators[name], "has_variations", True)
            )
        )

    def _without_weight(self) -> list[str]:
        """Variations of weights that do not apply, or have none."""
        wrong: dict[str, None] = {}
        for place, only, name in self.variations.weights.entries():
            where = f"variations.weights.{place}"
            if not getattr(self.known_weights[name], "has_variations", True):
                wrong[f"{where} names weight {name!r}, which has no variations."] = None
                continue
            applies = any(
                name in self.weights.of(self.names_of(sample, subsample), category)
                for sample, subsample, category in self._worlds()
                if only in (None, category)
                and (
                    not place.startswith("bysample")
                    or any(
                        place.startswith(f"bysample[{one!r}]")
                        for one in self.names_of(sample, subsample)
                    )
                )
            )
            if not applies:
                used = dict.fromkeys(item for _, _, item in self.weights.entries())
                wrong[
                    f"{where} names weight {name!r}, which is not applied there."
                    f"{did_you_mean(name, used)} Weights that apply somewhere: "
                    f"{', '.join(used) or 'none'}. Apply it too, or leave its variation out."
                ] = None
        return list(wrong)


OPTIONS = ("dump_columns_as_arrays_per_chunk", "donotscale_sumgenweights", "skim_mode")
"""Options of the workflow that are read here; all others are for the workflow of the user."""

_MISSPELT = 0.85
"""Similarity, of 1, from which on an option is one of these, misspelt."""


def check_options(options: Iterable[str]) -> None:
    """Refuse options of the workflow that are nearly one of those read here.

    Parameters
    ----------
    options
        Names of the options.

    Raises
    ------
    InputError
        One that is misspelt.
    """
    wrong = [
        f"workflow_options has {name!r}, which nothing reads. Did you mean {near[0]!r}? An option "
        "of your own needs a name that is less like it."
        for name in map(str, options)
        if name not in OPTIONS
        and (near := get_close_matches(name.lower(), OPTIONS, n=1, cutoff=_MISSPELT))
    ]
    if wrong:
        msg = "The configuration cannot be used:\n" + "\n".join(f"- {line}" for line in wrong)
        raise InputError(msg)


def _unknown(where: str, what: str, name: str, known: Iterable[str]) -> str:
    choices: Sequence[str] = list(known)
    return (
        f"{where} names {what} {name!r}, which does not exist.{did_you_mean(name, choices)} "
        f"There are: {', '.join(choices) or 'none'}."
    )
