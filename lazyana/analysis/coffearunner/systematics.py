"""CoffeaRunner's lumi masks, jet corrections and systematics as sections of a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lazyana.analysis.calibrators import Calibrator
from lazyana.analysis.classes import by_name
from lazyana.analysis.coffearunner.applied import Context, Weighing, arranged, spread
from lazyana.analysis.coffearunner.datasets import missing, placed
from lazyana.analysis.coffearunner.schema import Configuration
from lazyana.analysis.coffearunner.weights import PAGE, Wanted
from lazyana.analysis.cutlibrary import goldenJson
from lazyana.analysis.defaults import find_parameter
from lazyana.analysis.jets_calibration import default_calibrators_sequence
from lazyana.errors import FileError, InputError

JETS = "jet_calibration"
FULL = "default_jets_calibration.variations.full_variations"

_GOLDEN = re.compile(r"\$\{golden_json:([^,]*),")
_RUN_YEAR = re.compile(r"Collisions(?:20)?(\d\d)")
_JSON = (".json", ".json.gz")


@dataclass(frozen=True)
class Corrected:
    """What is done to the events, and what is varied.

    Attributes
    ----------
    sections
        ``calibrators`` and ``variations``.
    parameters
        Changes of the parameters.
    cuts
        Cuts before those of the skim.
    """

    sections: dict[str, Any] = field(default_factory=dict)
    parameters: list[Mapping[str, Any]] = field(default_factory=list)
    cuts: list[Any] = field(default_factory=list)


def corrected(given: Configuration, weights: Weighing, context: Context) -> Corrected:
    """Translate what is no weight among the weights, and the systematics.

    Raises
    ------
    FileError, InputError
        What cannot be translated.
    """
    made = Corrected()
    with context.each():
        _lumi_mask(weights.lumi_mask, context, made)
    own = by_name(given.calibrators or (), Calibrator, "calibrator")
    known = {**by_name(default_calibrators_sequence, Calibrator, "calibrator"), **own}
    if weights.jets is not None:
        with context.each():
            _jets(weights.jets, known, context, made)
    if weights.muons is not None:
        with context.each():
            _check_calibrator("roccor", known)
        context.say(f"{weights.muons.place}: the calibrator 'roccor' of cfg['calibrators'].")
    # Objects stay as they are in the files unless a weight or the user's own list says so.
    asked = () if weights.jets is None else (JETS,)
    others = [one for name, one in known.items() if name in asked and name not in own]
    made.sections["calibrators"] = [*others, *own.values()]
    shapes = _shapes(given, weights, context, made)
    _variations(given, weights, shapes, context, made)
    return made


def _shapes(
    given: Configuration, weights: Weighing, context: Context, made: Corrected
) -> list[str]:
    """Names of the calibrators that are varied."""
    shapes: list[str] = []
    for wish, name, key, one in (
        (given.systematic.JERC, JETS, "JERC", weights.jets),
        (given.systematic.roccor, "roccor", "roccor", weights.muons),
    ):
        if not wish:
            continue
        if one is None:
            needed = "JME" if key == "JERC" else key
            msg = (
                f"systematic.{key} is {wish!r}, but no weights have {needed}: add {needed!r}: None "
                f"to weights.common.inclusive, or set {key} to False."
            )
            with context.each():
                raise InputError(msg)
        shapes.append(name)
    if given.systematic.JERC:
        with context.each():
            _split(given, context, made)
    if given.systematic.roccor:
        context.say("systematic.roccor: variations of the calibrator 'roccor'.")
    return shapes


def _variations(
    given: Configuration,
    weights: Weighing,
    shapes: list[str],
    context: Context,
    made: Corrected,
) -> None:
    told = "systematic" in given.model_fields_set
    if given.variations is not None:
        if told:
            msg = "cfg has systematic and variations, which say the same: keep one of them."
            with context.each():
                raise InputError(msg)
        made.sections["variations"] = given.variations
        return
    varied = {
        name: spread(where, weights.classes[name], context)
        for name, where in weights.where.items()
        if given.systematic.weights and weights.classes[name].has_variations
    }
    varied = {name: where for name, where in varied.items() if where}
    if told:
        context.say(f"systematic.weights: variations of {', '.join(varied) or 'no weight'}.")
    made.sections["variations"] = {
        "weights": arranged(varied, context.samples, context.categories),
        "shape": {"common": {"inclusive": shapes}},
    }


def _lumi_mask(mask: Wanted | None, context: Context, made: Corrected) -> None:
    """The cut of data to certified luminosity sections."""
    era, golden = context.campaign.era, context.campaign.golden_json
    if mask is None:
        context.say(
            "weights: there is no lumiMask, so all data count; write 'lumiMask': None into "
            "weights.common.inclusive for the golden JSON of the campaign."
        )
        return
    made.cuts.append(goldenJson)
    text = _file_name(mask)
    if text is None and golden is not None:
        made.parameters.append(_golden(era, "${golden_json:" + ",".join(golden) + "}"))
    elif text is not None:
        years = _RUN_YEAR.search(text)
        if years is not None and years[1] != era[2:4]:
            msg = (
                f"{mask.place} names {text}, which certifies data of 20{years[1]}, but "
                f"dataset.campaign is of {era[:4]}: no event would be left. Correct one of them."
            )
            raise InputError(msg)
        made.parameters.append(_golden(era, _golden_place(mask, text, context)))
    context.say(f"{mask.place}: data pass goldenJson, the first cut; lumi.goldenJSON.{era}.")


def _golden(era: str, place: str) -> dict[str, Any]:
    return {"lumi": {"goldenJSON": {era: place}}}


def _golden_place(mask: Wanted, text: str, context: Context) -> str:
    """The parameter for a golden JSON: a file, or one to be looked for when it is used."""
    path = placed(context.folder, text)
    if path is not None:
        return str(path)
    if "/" in text:
        msg = f"{mask.place} names {text}, {missing(context.folder, text)}"
        raise FileError(msg)
    plain: Any = OmegaConf.to_container(context.parameters, resolve=False)
    given = str(plain["lumi"]["goldenJSON"][context.campaign.era])
    if given.endswith(f"/{text}"):
        return given  # the user says where it is
    default = _GOLDEN.match(given)
    folder = default[1] if default else f"Collisions{context.campaign.era[2:4]}"
    return "${golden_json:" + folder + "," + text + "}"


def _jets(jets: Wanted, known: Mapping[str, Any], context: Context, made: Corrected) -> None:
    """Corrected jets."""
    _check_calibrator(JETS, known)
    era = context.campaign.era
    text = _file_name(jets)
    if not context.campaign.corrections and (text is None or not text.endswith(_JSON)):
        msg = (
            f"{jets.place}: the parameters have no jet corrections of this campaign. Leave JME "
            "out, or write its corrections into cfg['parameters'], default_jets_calibration."
            f"jet_types, and {era!r} as dataset.campaign."
        )
        raise InputError(msg)
    if text is not None and text.endswith(_JSON):
        path = placed(context.folder, text)
        if path is None:
            msg = f"{jets.place} names {text}, {missing(context.folder, text)}"
            raise FileError(msg)
        types = find_parameter(context.parameters, "jets_calibration.collection", era)
        changes = {str(name): {era: {"json_path": str(path)}} for name in types}
        made.parameters.append({"default_jets_calibration": {"jet_types": changes}})
        context.say(f"{jets.place}: jets are smeared by {path.name}, by {JETS!r}.")
        return
    instead = "" if text is None else f" Compiled files such as {text} are not read."
    context.say(
        f"{jets.place}: jets are smeared by {JETS!r} with the corrections of {era} in the "
        f"parameters (default_jets_calibration.jet_types).{instead}"
    )


def _split(given: Configuration, context: Context, made: Corrected) -> None:
    """Which sources vary jets."""
    if given.systematic.JERC != "split":
        context.say(
            f"systematic.JERC: {JETS!r} varies JES_Total and JER; unclustered energy is not varied."
        )
        return
    era = context.campaign.era
    for jet_type in find_parameter(context.parameters, "jets_calibration.collection", era):
        try:
            find_parameter(context.parameters, FULL, str(jet_type), era)
        except InputError as error:
            msg = f"systematic.JERC 'split' has no sources for {era}: {error}"
            raise InputError(msg) from error
    made.parameters.append({"jets_calibration": {"variations": "${" + FULL + "}"}})
    context.say(
        f"systematic.JERC 'split': {JETS!r} varies the regrouped sources and JER ({FULL}); "
        "unclustered energy is not varied."
    )


def _file_name(one: Wanted) -> str | None:
    """The file that is written there; None for that of the parameters."""
    if one.value is None or one.value is True:
        return None
    if not isinstance(one.value, str | Path):
        msg = f"{one.place} is {one.value!r}: write the name of a file, or None."
        raise InputError(msg)
    return str(one.value)


def _check_calibrator(name: str, known: Iterable[str]) -> None:
    if name not in known:
        msg = (
            f"There is no calibrator {name!r}: write one with that name and list it under "
            f"cfg['calibrators'], which has {', '.join(known) or 'none'}; see {PAGE}."
        )
        raise InputError(msg)
