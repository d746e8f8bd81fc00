"""CoffeaRunner's weights as a section of a configuration: what applies where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from lazyana.analysis.classes import by_name
from lazyana.analysis.coffearunner.collected import Each, Keeping
from lazyana.analysis.coffearunner.datasets import Campaign, Say
from lazyana.analysis.coffearunner.schema import Configuration, WeightsPart
from lazyana.analysis.coffearunner.weights import (
    WITH_FILES,
    ScaleFactor,
    Wanted,
    check_year,
    wanted,
    weight_class,
    with_file,
)
from lazyana.analysis.common_weights import Pileup, common_weights
from lazyana.analysis.defaults import find_parameter
from lazyana.analysis.weights import WeightWrapper
from lazyana.errors import InputError, did_you_mean

LUMI_MASKS = ("lumiMask", "lumiMasks")

_GENERATOR = ("genWeight", "signOf_genWeight")

Place = tuple[str, str]
"""A sample and a category."""


@dataclass(frozen=True)
class Context:
    """What the translation knows of a configuration.

    Attributes
    ----------
    folder
        Where its file is.
    campaign
        What its campaign is here.
    parameters
        The parameters, so far.
    samples, categories
        Their names.
    say
        Takes notices.
    data
        The samples that are no simulation.
    each
        Context of what may be wrong by itself.
    """

    folder: Path
    campaign: Campaign
    parameters: DictConfig
    samples: tuple[str, ...]
    categories: tuple[str, ...]
    say: Say
    data: frozenset[str] = frozenset()
    each: Each = Keeping


@dataclass(frozen=True)
class Weighing:
    """What weights become.

    Attributes
    ----------
    where
        The samples and categories that each weight applies to, by its name.
    classes
        The classes of the weights, by name.
    lumi_mask, jets, muons
        What is written under ``lumiMask``, ``JME`` and ``roccor``, which are no weights.
    parameters
        Changes of the parameters.
    """

    where: Mapping[str, set[Place]]
    classes: dict[str, type[WeightWrapper]]
    lumi_mask: Wanted | None
    jets: Wanted | None
    muons: Wanted | None
    parameters: list[Mapping[str, Any]] = field(default_factory=list)


def weighing(given: Configuration, context: Context) -> Weighing:
    """Translate weights.

    Of the same weight at several places the most special one counts: that of a category before
    that of all, that of a sample before that of all samples.

    Raises
    ------
    FileError, InputError
        What cannot be translated.
    """
    own = by_name(given.weights_classes or (), WeightWrapper, "weight")
    classes = {**by_name(common_weights, WeightWrapper, "weight"), **own}
    places = _places(given, context, (*LUMI_MASKS, *WITH_FILES, *classes))
    where: dict[str, set[Place]] = {}
    made = Weighing(
        where,
        dict(classes),
        _taken(places, LUMI_MASKS, context),
        _taken(places, ("JME",), context),
        _taken(places, ("roccor",), context),
    )
    where |= _named(places, classes, context, made)
    return made


def spread(where: set[Place], found: type[WeightWrapper], context: Context) -> set[Place]:
    """Where a weight is listed: for data, too, where that is simpler to say and changes nothing.

    Parameters
    ----------
    where
        The samples and categories it is for.
    found
        Its class.
    context
        What is known of the configuration.
    """
    simulated = [sample for sample in context.samples if sample not in context.data]
    if not (found.isMC_only and simulated):
        return where
    kept = {place for place in where if place[0] not in context.data}
    for category in context.categories:
        if all((sample, category) in kept for sample in simulated):
            kept |= {(sample, category) for sample in context.data}
    return kept


def arranged(
    names: Mapping[str, set[Place]], samples: Sequence[str], categories: Sequence[str]
) -> dict[str, Any]:
    """Names as sections have them: for all, for categories, for samples, for one of both.

    Parameters
    ----------
    names
        Where each applies.
    samples, categories
        All there are.
    """
    found: dict[str, Any] = {"common": _empty(), "bysample": {}}
    for name, where in names.items():
        left = set(where)
        if left == {(sample, category) for sample in samples for category in categories}:
            found["common"]["inclusive"].append(name)
            continue
        for category in categories:
            column = {(sample, category) for sample in samples}
            if column <= left:
                found["common"]["bycategory"].setdefault(category, []).append(name)
                left -= column
        for sample in samples:
            some = [category for category in categories if (sample, category) in left]
            if not some:
                continue
            part = found["bysample"].setdefault(sample, _empty())
            if len(some) == len(categories):
                part["inclusive"].append(name)
                continue
            for category in some:
                part["bycategory"].setdefault(category, []).append(name)
    return found


def _empty() -> dict[str, Any]:
    return {"inclusive": [], "bycategory": {}}


# -- weights -----------------------------------------------------------------------------------


def _places(
    given: Configuration, context: Context, known_keys: Sequence[str]
) -> dict[Place, dict[str, Wanted]]:
    """The weights of each sample and category, by key."""
    written: list[Wanted] = []
    found: dict[Place, dict[str, Wanted]] = {
        (sample, category): {} for sample in context.samples for category in context.categories
    }
    for sample, category, weights, place in _written(given, context):
        only = tuple(name for name in (sample, category) if name is not None)
        some = {one.key: one for one in wanted(weights, place, only, context.each)}
        written += some.values()
        for (one_sample, one_category), known in found.items():
            if sample in (None, one_sample) and category in (None, one_category):
                known.update(some)
    _check_off(written, known_keys, context)
    return {
        place: {key: one for key, one in known.items() if one.value is not False}
        for place, known in found.items()
    }


def _check_off(written: Sequence[Wanted], known: Sequence[str], context: Context) -> None:
    """Refuse to switch off at a place what there is nowhere, since it is misspelt."""
    used = list(dict.fromkeys(one.key for one in written if one.value is not False))
    for one in written:
        if one.value is not False or not one.only or one.key in (*used, *known):
            continue
        msg = (
            f"{one.place} is False, but there is no weight {one.key!r} to switch off."
            f"{did_you_mean(one.key, used)} There are: {', '.join(used) or 'none'}."
        )
        with context.each():
            raise InputError(msg)


def _written(
    given: Configuration, context: Context
) -> Iterator[tuple[str | None, str | None, Mapping[str, Any], str]]:
    """Sample, category, weights and place, the most general first."""
    parts: list[tuple[str | None, WeightsPart, str]]
    parts = [(None, given.weights.common, "weights.common")]
    for sample, part in given.weights.bysample.items():
        with context.each():
            _check("weights.bysample", "sample", sample, context.samples)
        parts.append((sample, part, f"weights.bysample[{sample!r}]"))
    for only, part, where in parts:
        yield only, None, part.inclusive, f"{where}.inclusive"
        for category, weights in part.bycategory.items():
            with context.each():
                _check(f"{where}.bycategory", "category", category, context.categories)
            yield only, category, weights, f"{where}.bycategory[{category!r}]"


def _taken(
    places: Mapping[Place, dict[str, Wanted]], keys: Sequence[str], context: Context
) -> Wanted | None:
    """What is no weight but applies to all events alike, taken out of the weights."""
    each = [[known.pop(key) for key in keys if key in known] for known in places.values()]
    every = [one for some in each for one in some]
    if not every:
        return None
    if any(len(some) != 1 for some in each) or len({repr(one.value) for one in every}) > 1:
        one = every[0]
        others = [other.place for other in every if other.place != one.place]
        msg = (
            f"{others[0] if others else one.place}: {one.key} is not a weight, it changes the "
            "events before there are categories. Write it once, in weights.common.inclusive."
        )
        with context.each():
            raise InputError(msg)
    return every[0]


def _named(
    places: Mapping[Place, dict[str, Wanted]],
    classes: Mapping[str, type[WeightWrapper]],
    context: Context,
    made: Weighing,
) -> dict[str, set[Place]]:
    """Where each weight applies, by its name; the classes that it needs are added."""
    everywhere = set(places)
    found: dict[str, set[Place]] = {}
    if not any(key in known for known in places.values() for key in _GENERATOR):
        found["genWeight"] = everywhere
        context.say(
            "weights: simulation is weighed by genWeight, as workflows of CoffeaRunner do; "
            "write 'signOf_genWeight': None into weights.common.inclusive for its sign."
        )
    used = {one.identity: one for known in places.values() for one in known.values()}
    names: dict[tuple[str, str], str] = {}
    for identity, one in sorted(used.items(), key=lambda item: len(item[1].only)):
        with context.each():
            check_year(one, context.campaign.era)
            found_class = weight_class(
                with_file(one, context.folder),
                _name(one, names),
                known=classes,
                folder=context.folder,
                corrections=context.campaign.corrections,
            )
            _check_name(one, found_class, names, classes)
            names[identity] = found_class.name
            made.classes[found_class.name] = found_class
            simulated = any(
                sample not in context.data and identity == other.identity
                for (sample, _), known in places.items()
                for other in known.values()
            )
            if simulated or not (context.data and found_class.isMC_only):
                _say_weight(one, found_class.name, context, made, known=one.key in classes)
    asked: dict[tuple[str, str], set[Place]] = {}
    for place, known in places.items():
        for one in known.values():
            if (name := names.get(one.identity)) is None:
                continue  # something is wrong with it
            found.setdefault(name, set()).add(place)
            if place[0] in one.only:
                asked.setdefault((name, place[0]), set()).add(place)
    _say_not_of_data(asked, made, context)
    return {
        name: spread(where, made.classes[name], context)
        | {place for (other, _), some in asked.items() if other == name for place in some}
        for name, where in found.items()
    }


def _check_name(
    one: Wanted,
    found: type[WeightWrapper],
    names: Mapping[tuple[str, str], str],
    classes: Mapping[str, type[WeightWrapper]],
) -> None:
    """Refuse two weights of one name."""
    name = found.name
    if name in names.values():
        msg = (
            f"{one.place} gives weight {name!r} another value than elsewhere: a class is one "
            "weight. Write two classes, and give each a key of its own."
        )
        raise InputError(msg)
    if classes.get(name, found) not in (found, Pileup):
        msg = f"{one.place} and a class of cfg['weights_classes'] make a weight {name!r} each."
        raise InputError(msg)


def _say_not_of_data(asked: Iterable[tuple[str, str]], made: Weighing, context: Context) -> None:
    """Tell of weights of simulation that are asked for by the name of data."""
    for name, sample in asked:
        if sample in context.data and made.classes[name].isMC_only:
            context.say(
                f"weights.bysample[{sample!r}]: weight {name!r} is NOT applied, since {sample} is "
                "data and the weight is of simulation. If it is meant for data, write a "
                f"WeightWrapper with name = {name!r} and isMC_only = False and list it under "
                "cfg['weights_classes']."
            )


def _name(one: Wanted, names: Mapping[tuple[str, str], str]) -> str:
    """What a weight is called: its key, and what it is for if there is another of that key."""
    plain = "pileup" if one.key == "PU" else one.key
    return "_".join((plain, *one.only)) if plain in names.values() else plain


def _say_weight(one: Wanted, name: str, context: Context, made: Weighing, *, known: bool) -> None:
    """Tell of a weight; what is written for one whose class is known goes into parameters."""
    value = one.value
    if isinstance(value, ScaleFactor):
        collection = find_parameter(
            context.parameters, f"lepton_scale_factors.{value.kind}_sf", "collection"
        )
        context.say(f"{one.place}: weight {name!r}, the product over {collection}.")
    elif known and value is not None and value is not True:
        made.parameters.append({"weights_config": {one.key: value}})
        context.say(f"{one.place}: weight {name!r}; it is told as params.weights_config.{one.key}.")
    else:
        context.say(f"{one.place}: weight {name!r}.")


def _check(where: str, what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        msg = (
            f"{where} names {what} {name!r}, which does not exist.{did_you_mean(name, known)} "
            f"There are: {', '.join(known)}."
        )
        raise InputError(msg)
