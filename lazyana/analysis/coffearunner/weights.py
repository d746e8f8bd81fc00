"""CoffeaRunner's weights as classes of weights: pileup, lepton scale factors, constants."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import awkward as ak

from lazyana.analysis.coffearunner.collected import Each, Keeping
from lazyana.analysis.coffearunner.datasets import missing, placed
from lazyana.analysis.coffearunner.files import pileup_in, scale_factor_in
from lazyana.analysis.common_weights import Pileup, common_weights
from lazyana.analysis.defaults import find_parameter
from lazyana.analysis.weights import WeightLambda, WeightWrapper
from lazyana.errors import FileError, InputError, did_you_mean
from lazyana.physics.corrections import Correction, open_corrections
from lazyana.physics.scale_factors import event_scale_factor, object_scale_factor, pileup_weight

PAGE = "docs/howto/coffearunner.md"

_KINDS = {"ele": "electron", "mu": "muon"}
_FILE = (".root", ".json", ".txt", ".gz", ".csv")
_ELSEWHERE = {
    "BTV": "b-tagging",
    "JMAR": "pileup jet identification",
    "roccor": "Rochester",
}
WITH_FILES = ("PU", "JME", *_ELSEWHERE)
"""Keys of CoffeaRunner for what is made out of files."""

_YEAR = re.compile(r"(?:20|UL)(\d\d)")
_RANGE = re.compile(r"(?P<low>\d+)to(?P<high>\d+)|[Bb]elow(?P<below>\d+)|[Aa]bove(?P<above>\d+)")
_LOW = {"electron": 20.0, "muon": 30.0}
"""Transverse momentum (GeV) below which CoffeaRunner takes the scale factor ``<name>_low``."""


@dataclass(frozen=True)
class Wanted:
    """A weight as it is written in a configuration.

    Attributes
    ----------
    key
        What tells it from others at the same place: its key, of scale factors the name.
    value
        What is written there, False to switch it off; of scale factors the second word of the key,
        the value and the range of transverse momentum (GeV).
    place
        Where, for messages.
    only
        The sample, the category or both that it is for; empty for all.
    """

    key: str
    value: Any = field(hash=False)
    place: str = ""
    only: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str]:
        """Equal for what is the same weight."""
        return self.key, repr(self.value)


@dataclass(frozen=True)
class ScaleFactor:
    """Scale factor of the leptons of a collection, a function for `WeightLambda`.

    Attributes
    ----------
    kind
        ``"electron"`` or ``"muon"``: ``lepton_scale_factors.<kind>_sf`` of the parameters has the
        collection.
    name
        Name of the correction; of electrons without `correction` the working point.
    year
        What the correction calls the year.
    low, high
        Range of transverse momentum (GeV) outside of which leptons count 1.
    correction
        The correction; None: that of the parameters.
    """

    kind: str
    name: str
    year: str
    low: float = 0.0
    high: float = math.inf
    correction: Correction | None = None

    def __call__(
        self, params: Any, metadata: Mapping[str, Any], events: Any, size: Any, shape_variation: str
    ) -> tuple[Any, Any, Any]:
        """Nominal, up and down of each event: the product over its leptons."""
        del size, shape_variation
        place = f"lepton_scale_factors.{self.kind}_sf"
        leptons = events[find_parameter(params, place, "collection")]
        correction = self.correction or self._default(params, place, str(metadata["year"]))
        names = {one.name.lower() for one in correction.inputs}
        eta = leptons.eta
        if self.kind == "electron" and "deltaEtaSC" in ak.fields(leptons):
            eta = eta + leptons.deltaEtaSC  # electrons are measured by where their cluster is
        numbers = {"pt": leptons.pt, "eta": eta, "abseta": abs(eta)}
        if "phi" in names:
            numbers["phi"] = leptons.phi
        texts = {"workingpoint": self.name} if "workingpoint" in names else {}
        factors = object_scale_factor(
            correction, numbers, year=self.year, texts=texts, out_of_range="clamp"
        )
        if (self.low, self.high) != (0.0, math.inf):
            inside = (leptons.pt >= self.low) & (leptons.pt < self.high)
            nominal, up, down = (ak.where(inside, one, 1.0) for one in factors)
            factors = (nominal, up, down)
        return event_scale_factor(factors)

    def _default(self, params: Any, place: str, year: str) -> Correction:
        where = (f"{place}.JSONfiles", year)
        if self.kind == "muon":
            return open_corrections(find_parameter(params, *where, "file"))[self.name]
        kind = "reco" if self.name.startswith("Reco") else "id"
        file = open_corrections(find_parameter(params, *where, "files", kind))
        return file[find_parameter(params, *where, "name")]


@dataclass(frozen=True)
class PileupOf:
    """Pileup weight of a correction, a function for `WeightLambda`."""

    correction: Correction
    varied: bool

    def __call__(
        self, params: Any, metadata: Any, events: Any, size: Any, shape_variation: str
    ) -> Any:
        """Nominal, up and down of each event, or nominal alone."""
        del params, metadata, size, shape_variation
        shifts = pileup_weight(self.correction, events.Pileup.nTrueInt)
        return shifts if self.varied else shifts[0]


@dataclass(frozen=True)
class Constant:
    """The same number for all events, a function for `WeightLambda`."""

    value: float

    def __call__(self, *given: Any) -> float:
        """The number."""
        del given
        return self.value


def wanted(
    weights: Mapping[str, Any],
    place: str,
    only: tuple[str, ...] = (),
    each: Each = Keeping,
) -> Iterator[Wanted]:
    """The weights of a place of a configuration, each scale factor of ``LSF`` by itself.

    Parameters
    ----------
    weights
        What is written there.
    place, only
        As of `Wanted`.
    each
        Context of what may be wrong by itself.
    """
    for key, value in weights.items():
        if key != "LSF":
            yield Wanted(key, value, f"{place}[{key!r}]", only)
        elif isinstance(value, Mapping):
            for name in value:
                with each():
                    for one in _scale_factor(name, value, f"{place}['LSF']"):
                        yield replace(one, only=only)
        else:
            with each():
                msg = f"{place}['LSF'] is {value!r}: give {{'<name> <year>': '<working point>'}}."
                raise InputError(msg)


def weight_class(
    one: Wanted,
    name: str,
    *,
    known: Mapping[str, type[WeightWrapper]],
    folder: Path,
    corrections: bool,
) -> type[WeightWrapper]:
    """The class of a weight.

    Parameters
    ----------
    one
        The weight.
    name
        What to call it.
    known
        Classes that have the key as their name.
    folder
        That of the configuration: files may be beside it.
    corrections
        Whether the parameters have the corrections of the campaign.

    Raises
    ------
    FileError, InputError
        Something that cannot be translated.
    """
    if isinstance(one.value, ScaleFactor):
        if one.value.correction is None and not corrections:
            raise InputError(_no_corrections(one))
        return WeightLambda.wrap_func(name, one.value, has_variations=True)
    if one.key in known:
        if known[one.key] in common_weights and one.value not in (None, True):
            msg = f"{one.place} is {one.value!r}: this weight takes no value, write None."
            raise InputError(msg)
        return known[one.key]
    if one.key == "PU":
        return _pileup(one, name, folder, corrections=corrections)
    if isinstance(one.value, int | float) and not isinstance(one.value, bool):
        return WeightLambda.wrap_func(name, Constant(float(one.value)))
    if isinstance(one.value, str) and (number := _number(one.value)) is not None:
        msg = (
            f"{one.place} is {one.value!r}, a text: a constant is a number, so write "
            f"{one.key!r}: {number!r} without quotes."
        )
        raise InputError(msg)
    choices = ("lumiMask", "PU", "JME", "LSF", *known)
    what = f" is the weight of {_ELSEWHERE[one.key]}, which" if one.key in _ELSEWHERE else ""
    msg = (
        f"{one.place}{what} is not made out of files here."
        f"{'' if what else did_you_mean(one.key, choices)} Write a WeightWrapper with name = "
        f"{one.key!r} and list it under cfg['weights_classes']; it finds what is written here as "
        f"params.weights_config.{one.key}. Made here are: {', '.join(choices)}, and numbers; see "
        f"{PAGE}."
    )
    raise InputError(msg)


def _pileup(one: Wanted, name: str, folder: Path, *, corrections: bool) -> type[WeightWrapper]:
    if one.value in (None, True):
        if not corrections:
            raise InputError(_no_corrections(one))
        return Pileup
    correction, varied = pileup_in(_file(one.place, one.value, folder))
    return WeightLambda.wrap_func(name, PileupOf(correction, varied), has_variations=varied)


def _number(text: str) -> float | None:
    """The number that a text is of."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _scale_factor(key: Any, given: Mapping[str, Any], place: str) -> Iterator[Wanted]:
    """One scale factor; nothing where it is the uncertainty of another."""
    value, where = given[key], f"{place}[{key!r}]"
    name, _, second = str(key).partition(" ")
    base = name.removesuffix("_error")
    if base != name:
        partner = [one for other, one in given.items() if str(other).split(" ")[0] == base]
        if partner != [value]:
            msg = (
                f"{where} is the uncertainty of nothing: errors of bins belong to the "
                f"histogram of '{base} …' in the same file. Leave this one out."
            )
            raise InputError(msg)
        return
    if value is False:
        yield Wanted(name, value, where)
        return
    kind = next((_KINDS[one] for one in _KINDS if name.startswith(one)), None)
    if kind is None or not second or not isinstance(value, str):
        msg = (
            f"{where} is {value!r}: write '<name> <year>': '<working point>' or "
            "'<name> <histogram>': '<file>', where <name> begins with ele or mu."
        )
        raise InputError(msg)
    if "HLT" in name or "Trig" in name:
        msg = (
            f"{where} is about a trigger: its efficiency is one of the event, not of each "
            f"{kind}. Write a WeightWrapper with name = {name!r}, list it under "
            f"cfg['weights_classes'], and move {name!r} out of LSF, beside it; see {PAGE}."
        )
        raise InputError(msg)
    words = {str(other).partition(" ")[0] for other in given}
    low, high = _range(name, value, kind, words)
    yield Wanted(name, ScaleFactor(kind, value, second, low, high), where)


def check_year(one: Wanted, era: str) -> None:
    """Refuse scale factors of the parameters that are said to be of another year than the data.

    Parameters
    ----------
    one
        A weight.
    era
        The year of the datasets.

    Raises
    ------
    InputError
        A scale factor of another year.
    """
    if not isinstance(one.value, ScaleFactor) or one.value.name.endswith(_FILE):
        return
    year = _YEAR.search(one.value.year)
    if year is not None and year[1] != era[2:4]:
        msg = (
            f"{one.place} is of 20{year[1]}, but dataset.campaign of {era[:4]}, whose corrections "
            "are used: correct one of them."
        )
        raise InputError(msg)


def with_file(one: Wanted, folder: Path) -> Wanted:
    """A scale factor with its correction, if it is in a file."""
    found = one.value
    if not isinstance(found, ScaleFactor) or not found.name.endswith(_FILE):
        return one
    path = _file(one.place, found.name, folder)
    correction = scale_factor_in(path, found.year)
    return replace(one, value=replace(found, name=found.year, correction=correction))


def _range(name: str, value: str, kind: str, words: set[str]) -> tuple[float, float]:
    """Transverse momentum from and to which a scale factor counts."""
    found = _RANGE.search(name if value.endswith(_FILE) else f"{value} {name}")
    if found is not None:
        low, high = found["low"] or found["above"] or 0, found["high"] or found["below"] or math.inf
        return float(low), float(high)
    if name.endswith("_low"):
        return 0.0, _LOW[kind]
    return (_LOW[kind] if f"{name}_low" in words else 0.0), math.inf


def _file(place: str, value: Any, folder: Path) -> Path:
    """A correction file that a configuration names."""
    text = str(value)
    if ".pkl" in text or not text.endswith((".json", ".json.gz", ".root")):
        msg = (
            f"{place} names {text}: pickles and text are not read. Write the name of "
            "a correctionlib file (.json, .json.gz) or of a ROOT file with the histogram"
            f"{', or None for the one of the parameters' if 'PU' in place else ''}."
        )
        raise InputError(msg)
    path = placed(folder, text)
    if path is None:
        msg = f"{place} names {text}, {missing(folder, text)}"
        raise FileError(msg)
    return path


def _no_corrections(one: Wanted) -> str:
    return (
        f"{one.place}: the parameters have no corrections of this campaign. Write the name of a "
        "correctionlib or ROOT file, or the corrections of the campaign into cfg['parameters'] and "
        "its era as dataset.campaign."
    )
