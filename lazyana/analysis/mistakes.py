"""All mistakes of a configuration: what is wrong is left out, and the rest tried again."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lazyana.analysis.config import Analysis
from lazyana.analysis.cuts import Cut
from lazyana.errors import LazyanaError, place_of

Sections: TypeAlias = dict[str, Any]
Attempt: TypeAlias = Callable[[Sections], object]

_NEEDED = ("workflow", "parameters", "datasets")
# What says nothing once a section is left out.
_DEPENDENT = {
    "categories": ("weights", "variations", "variables", "columns"),
    "weights_classes": ("weights", "variations"),
    "weights": ("variations",),
    "calibrators": ("variations",),
}
_HEADING = "The configuration cannot be used:\n- "
_MOST = 50


@dataclass(frozen=True)
class Mistake:
    """Something wrong in a configuration.

    Attributes
    ----------
    place
        The section, and what of it, e.g. ``"variables['mll']"``; ``""`` where that is not clear.
    message
        What is wrong.
    """

    place: str
    message: str


def mistakes(sections: Sections, attempt: Attempt) -> tuple[list[Mistake], Sections | None]:
    """All that is wrong with a configuration, as far as one thing can be told from another.

    Parameters
    ----------
    sections
        The configuration, as `Analysis` takes it.
    attempt
        What fails while something is wrong, such as making the `Analysis`.

    Returns
    -------
    list of Mistake
        In the order they were found.
    dict or None
        The configuration without what is wrong; None where the rest makes no sense without it.
    """
    left = dict(sections)
    found: dict[str, str] = {}
    said = _failure(attempt, left)
    while said:
        place, rest, still = _left_out(left, attempt, said)
        known = set(map(_gist, still))
        found |= {line: place for line in said if _gist(line) not in known}
        if rest is None or len(found) >= _MOST:
            return _listed(found), None
        left, said = rest, still
    return _listed(found), left


def sections_of(error: BaseException) -> Sections | None:
    """The sections of the configuration that an error is about; None where there was none yet."""
    for frame, _ in traceback.walk_tb((error.__cause__ or error).__traceback__):
        if frame.f_code is Analysis.__init__.__code__:
            return dict(frame.f_locals["sections"])
    return None


def told(error: BaseException) -> str:
    """What an error says, and where in the code of users it comes from."""
    # Libraries add notes of many lines, about what they were doing.
    notes = [note for note in getattr(error, "__notes__", ()) if "\n" not in note]
    first = str(error).strip().partition("\n")[0]
    said = str(error) if isinstance(error, LazyanaError) else f"{type(error).__name__}: {first}"
    place = place_of(error)
    return "\n".join([said, *([place] if place else []), *notes])


def each_told(error: BaseException) -> list[str]:
    """What an error says of a configuration, one thing each."""
    return told(error).removeprefix(_HEADING).split("\n- ")


def _listed(found: Mapping[str, str]) -> list[Mistake]:
    return [Mistake(place, message) for message, place in found.items()]


def _failure(attempt: Attempt, sections: Sections) -> list[str]:
    """What is said of a configuration, one thing each; nothing where nothing is wrong."""
    try:
        attempt(sections)
    except Exception as error:
        return each_told(error)
    return []


def _gist(message: str) -> tuple[str, str]:
    """A message without its list of choices, which changes with other parts."""
    first, _, pointed = message.partition("\n")
    return first.partition(". ")[0], pointed


def _left_out(
    sections: Sections, attempt: Attempt, said: list[str]
) -> tuple[str, Sections | None, list[str]]:
    """What is wrong, the configuration without it, and what is said of that.

    Each try takes as long as recording an analysis does. Messages name what is wrong, so that is
    tried first.
    """
    gists = set(map(_gist, said))

    def helps(rest: Sections) -> tuple[bool, list[str]]:
        now = _failure(attempt, rest)
        return not gists <= set(map(_gist, now)), now

    for name, place, rest in _items(sections):
        if any(name in line for line in said):
            better, now = helps(rest)
            if better:
                return place, rest, now
    needed = {name: sections[name] for name in _NEEDED if name in sections}
    if helps({**needed, "calibrators": []})[0]:
        for place, rest in _whole(sections):
            better, now = helps(rest)
            if better:
                return place, rest, now
    return "", None, []


def _items(sections: Sections) -> Iterator[tuple[str, str, Sections]]:
    """Each part of a section: its name, its place, and the configuration without it."""
    for section in ("skim", "preselections"):
        cuts: Any = sections.get(section)
        for number, cut in enumerate(cuts if isinstance(cuts, list | tuple) else ()):
            name = cut.name if isinstance(cut, Cut) else str(cut)
            others = [*cuts[:number], *cuts[number + 1 :]]
            yield name, f"{section}[{number}]", {**sections, section: others}
    variables, categories = (_mapping(sections, name) for name in ("variables", "categories"))
    for name in variables:
        place = f"variables[{name!r}]"
        yield str(name), place, {**sections, "variables": _without(variables, name)}
    for name in categories:
        # A category of all events instead: weights and histograms may name it.
        yield (
            str(name),
            f"categories[{name!r}]",
            {**sections, "categories": {**categories, name: []}},
        )
    for name in dict.fromkeys(_words(sections.get("weights"))):
        weights = _dropped(sections["weights"], name)
        yield name, "weights", {**_without(sections, *_DEPENDENT["weights"]), "weights": weights}
    datasets = _mapping(sections, "datasets")
    for name in _without(datasets, "jsons"):
        yield str(name), f"datasets.{name}", {**sections, "datasets": _without(datasets, name)}


def _whole(sections: Sections) -> Iterator[tuple[str, Sections]]:
    """Each section that can be left out, and the configuration without it."""
    # Calibrators that are left out are those that analyses usually have: none is another thing.
    names = dict.fromkeys((*_without(sections, *_NEEDED), "calibrators"))
    if sections.get("calibrators") == []:
        del names["calibrators"]
    # Sections that others depend on last.
    for name in sorted(names, key=lambda name: name in _DEPENDENT):
        rest = _without(sections, name, *_DEPENDENT.get(name, ()))
        yield name, {**rest, "calibrators": []} if name == "calibrators" else rest


def _mapping(sections: Sections, name: str) -> Mapping[Any, Any]:
    """A section that is a mapping; an empty one where it is something else."""
    given = sections.get(name)
    return given if isinstance(given, Mapping) else {}


def _without(mapping: Mapping[Any, Any], *names: Any) -> dict[Any, Any]:
    return {key: one for key, one in mapping.items() if key not in names}


def _words(value: Any) -> Iterator[str]:
    """The texts in nested lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _words(one)


def _dropped(value: Any, word: str) -> Any:
    """Nested lists without a word."""
    if isinstance(value, Mapping):
        return {key: _dropped(one, word) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_dropped(one, word) for one in value if one != word]
    return value
