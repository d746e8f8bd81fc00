"""Configurations of CoffeaRunner: its ``cfg`` dictionary as the sections of an `Analysis`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from lazyana.analysis.build import COLUMNS_FOLDER
from lazyana.analysis.categories import Selection, selection_of
from lazyana.analysis.coffearunner.applied import Context, arranged, weighing
from lazyana.analysis.coffearunner.collected import Collected
from lazyana.analysis.coffearunner.datasets import Campaign, Say, campaign_of, datasets_of
from lazyana.analysis.coffearunner.run import run_options_of
from lazyana.analysis.coffearunner.schema import Configuration
from lazyana.analysis.coffearunner.systematics import corrected
from lazyana.analysis.coffearunner.weights import PAGE
from lazyana.analysis.cutlibrary import get_HLTsel_custom
from lazyana.analysis.cuts import Cut, cuts_of
from lazyana.analysis.datasets import sample_of
from lazyana.analysis.defaults import get_default_parameters, merge_parameters
from lazyana.analysis.workflow import Workflow
from lazyana.data.fileset import Fileset
from lazyana.errors import InputError, InputTypeError

_OWN = ("variables", "columns", "save_skimmed_files", "do_postprocessing")
_WORD = re.compile(r"\w+")


def translated(cfg: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The sections of an analysis, from a configuration of CoffeaRunner.

    Parameters
    ----------
    cfg
        The dictionary. Besides the keys of CoffeaRunner it may have ``parameters``, ``skim``,
        ``variables``, ``columns``, ``weights_classes``, ``calibrators``, ``variations``,
        ``workflow_options``, ``save_skimmed_files`` and ``do_postprocessing`` of `Analysis`.
    folder
        Where its file is: paths may be relative to it.

    Returns
    -------
    sections
        What to make an `Analysis` with.
    notices
        What each key was translated to.

    Raises
    ------
    FileError, InputError, InputTypeError
        Keys that do not exist, or that cannot be translated: what to write instead. Several
        independent mistakes are one `InputError`.
    """
    notices: list[str] = []
    say, wrong = notices.append, Collected()
    with wrong.each():
        Configuration.checked(cfg)
    given = Configuration.without_mistakes(cfg) if wrong.errors else Configuration.checked(cfg)
    sections: dict[str, Any] = {}
    if given is not None:
        sections = _together(given, folder, say, wrong) | _alone(given, say, wrong)
    wrong.check()
    assert given is not None  # or something was wrong
    sections |= {key: getattr(given, key) for key in _OWN if key in given.model_fields_set}
    if given.do_postprocessing is None:
        say(_normalisation(sections["do_postprocessing"]))
    if given.output is not None:
        say(f"output: the folder {given.output}, or that of -o; nothing is replaced unasked.")
    return sections, notices


def _alone(given: Configuration, say: Say, wrong: Collected) -> dict[str, Any]:
    """The sections that depend on no other."""
    sections: dict[str, Any] = {"output": given.output}
    with wrong.each():
        sections["workflow"] = _workflow(given.workflow)
    with wrong.each():
        sections["workflow_options"] = _workflow_options(given, say)
    with wrong.each():
        sections["run_options"] = run_options_of(given.run_options, say)
    return sections


def _together(given: Configuration, folder: Path, say: Say, wrong: Collected) -> dict[str, Any]:
    """The datasets, and what is done to their events."""
    campaign: Campaign | None = None
    fileset: Fileset | None = None
    parameters: DictConfig | None = None
    filters: dict[str, Any] = {}
    skim: tuple[Cut, ...] = ()
    with wrong.each():
        campaign = campaign_of(given.dataset, say)
    if campaign is not None:
        with wrong.each():
            fileset = datasets_of(given.dataset, folder, campaign.era, say, wrong.each)
    preselections, categories, names = _selections(given, say, wrong)
    with wrong.each():
        parameters = _merged(get_default_parameters(), given.parameters)
    with wrong.each():
        filters = _filter(given, say)
    with wrong.each():
        skim = cuts_of("skim", given.skim)
    if campaign is None or fileset is None or parameters is None:
        return {}
    context = Context(
        folder,
        campaign,
        parameters,
        tuple(dict.fromkeys(map(sample_of, fileset.datasets))),
        names,
        say,
        frozenset(sample_of(one) for one in fileset.datasets if one.is_mc is False),
        wrong.each,
    )
    sections: dict[str, Any] = {
        "datasets": {
            "jsons": [fileset],
            "filter": filters,
            "subsamples": given.dataset.subsamples,
        },
        "preselections": preselections,
        "categories": categories,
    }
    with wrong.each():
        weights = weighing(given, context)
        events = corrected(given, weights, context)
        sections |= {
            "skim": [*events.cuts, *skim],
            "parameters": merge_parameters(parameters, *weights.parameters, *events.parameters),
            "weights": arranged(weights.where, context.samples, context.categories),
            "weights_classes": list(weights.classes.values()),
            "do_postprocessing": "XS" in weights.where,
            **events.sections,
        }
    return sections


def _selections(
    given: Configuration, say: Say, wrong: Collected
) -> tuple[list[Cut], Any, tuple[str, ...]]:
    """The preselections, the categories and their names."""
    preselections: dict[str, Entry] = {}
    categories: Any = {}
    names = tuple(map(str, given.categories)) if isinstance(given.categories, Mapping) else ()
    with wrong.each():
        preselections = _preselections(given.preselections, say)
    with wrong.each():
        categories = _categories(given.categories, preselections, say)
        names = selection_of("categories", categories).names
    return _all_of(preselections), categories, names


# -- selections ----------------------------------------------------------------------------------

Entry = tuple[list[str], tuple[Cut, ...]]
"""HLT paths, and conditions."""


def _preselections(given: Any, say: Say) -> dict[str, Entry]:
    """The preselections by name: their HLT paths, and their conditions."""
    named = given if isinstance(given, Mapping) else {"": given} if given else {}
    found: dict[str, Entry] = {}
    for name, items in named.items():
        what = f"preselections[{name!r}]" if name else "preselections"
        each = list(_items(items))
        paths = [item for item in each if isinstance(item, str) and _WORD.fullmatch(item)]
        found[name] = (paths, cuts_of(what, [item for item in each if item not in paths]))
    if not found:
        return found
    paths = [path for some, _ in found.values() for path in some]
    cuts = [cut.name for _, some in found.values() for cut in some]
    said = [f"events fire one of {', '.join(dict.fromkeys(paths))}"] if paths else []
    said += [f"all of these hold: {'; '.join(dict.fromkeys(cuts))}"] if cuts else []
    say(f"preselections: {', and '.join(said) or 'no cut'}. They are applied, before categories.")
    return found


def _all_of(preselections: Mapping[str, Entry]) -> list[Cut]:
    """The cuts of the preselections: HLT paths are alternatives, conditions all hold."""
    paths = [path for some, _ in preselections.values() for path in some]
    cuts = [cut for _, some in preselections.values() for cut in some]
    return [*_triggers(paths), *cuts]


def _triggers(paths: Iterable[str]) -> list[Cut]:
    some = list(dict.fromkeys(paths))
    return [get_HLTsel_custom(some)] if some else []


def _categories(given: Any, preselections: Mapping[str, Entry], say: Say) -> Any:
    """The categories; the name of a preselection in one stands for its cuts."""
    if isinstance(given, Selection) or not given:
        return given
    if not isinstance(given, Mapping):
        msg = (
            f"categories are a {type(given).__name__}: give a dictionary, "
            "{'<name>': ['<condition>', …]}, [] for all events."
        )
        raise InputTypeError(msg)
    found: dict[str, list[Any]] = {}
    for name, items in given.items():
        found[name] = []
        for item in _items(items):
            if isinstance(item, str) and item in preselections:
                found[name] += _all_of({item: preselections[item]})
            else:
                found[name].append(item)
    say(f"categories: the cuts of {', '.join(map(repr, found))} are applied; [] is all events.")
    return found


def _items(given: Any) -> Iterable[Any]:
    return given if isinstance(given, list | tuple) else (given,)


# -- everything else -----------------------------------------------------------------------------


def _merged(parameters: DictConfig, *changes: Any) -> DictConfig:
    """Parameters with changes, if there are any."""
    some = [one for one in changes if one]
    return merge_parameters(parameters, *some) if some else parameters


def _workflow(given: Any) -> Any:
    """The workflow, refused where it is one of coffea."""
    if isinstance(given, type) and issubclass(given, Workflow):
        return given
    name = getattr(given, "__name__", repr(given))
    msg = (
        f"workflow is {name}, "
        + ("a processor of coffea" if hasattr(given, "process") else "no workflow")
        + ": nothing can be applied to what its process() does on its own. Make it a "
        "subclass of lazyana.analysis.workflow.Workflow: the selection of objects goes into "
        "apply_object_preselection, selections of events into cfg['preselections'] and "
        "cfg['categories'], histograms into cfg['variables'], weights into cfg['weights']. What "
        f"goes where: {PAGE}."
    )
    raise InputTypeError(msg)


def _filter(given: Configuration, say: Say) -> dict[str, Any]:
    """The filter of datasets."""
    chosen = given.dataset.filter.model_dump()
    if given.only:
        if chosen["datasets"] is not None:
            msg = "cfg has only and dataset.filter.datasets, which say the same: keep one of them."
            raise InputError(msg)
        say(f"only: datasets {given.only!r}, a name or a pattern.")
        chosen["datasets"] = (given.only,)
    if chosen["samples"] is not None or chosen["samples_exclude"]:
        say("dataset.filter: names may be patterns; a name that nothing has is an error.")
    return chosen


def _workflow_options(given: Configuration, say: Say) -> dict[str, Any]:
    """What the workflow is told."""
    options: dict[str, Any] = {**given.userconfig}
    inside = options.get("export_array")
    twice = sorted(set(options) & set(given.workflow_options))
    if twice:
        msg = f"userconfig and workflow_options have {twice[0]!r} both: keep one of them."
        raise InputError(msg)
    options |= given.workflow_options
    for key in sorted({"systematic", "systematics"} & set(given.userconfig)):
        asked = given.userconfig[key]
        if any(asked.values()) if isinstance(asked, Mapping) else asked:
            msg = (
                f"userconfig[{key!r}] is {asked!r}, which varies nothing there: move it to "
                "cfg['systematic']."
            )
            raise InputError(msg)
    if given.userconfig:
        say("userconfig: the workflow finds it as self.workflow_options.")
    export = inside if given.export_array is None else given.export_array
    if not export:
        return options
    if not isinstance(export, bool | str | Path):
        msg = f"userconfig['export_array'] is {export!r}: write True, False or a folder."
        raise InputTypeError(msg)
    own = isinstance(given.workflow, type) and issubclass(given.workflow, Workflow)
    makes = own and (
        given.workflow.define_column_accumulators_extra
        is not Workflow.define_column_accumulators_extra
    )
    if not (_any_columns(given.columns) or makes):
        msg = (
            "export_array writes columns, but cfg has none: add 'columns': {'common': "
            "{'inclusive': [ColOut('MuonGood', ['pt', 'eta'])]}}, or set it to False."
        )
        raise InputError(msg)
    if export is True and given.output is None:
        msg = "export_array is True, but there is no output to write below: name a folder instead."
        raise InputError(msg)
    target = f"{given.output}/arrays" if export is True else str(export)
    place = "arrays in the folder of the output" if export is True else target
    say(f"export_array: the columns of cfg['columns'] are written to {place}, as parquet.")
    return {**options, COLUMNS_FOLDER: target}


def _any_columns(section: Any) -> bool:
    """Whether a section of columns names any, in whatever samples and categories."""
    if isinstance(section, Mapping):
        return any(map(_any_columns, section.values()))
    return bool(section)


def _normalisation(divided: bool) -> str:
    if divided:
        return "weights have XS: simulation is divided by its sum of generator weights."
    return (
        "do_postprocessing: sums of weights, as CoffeaRunner has them; sum_genweights is beside "
        "them. With 'XS': None and 'lumi': None in weights.common.inclusive, and xsec in the "
        "metadata of the datasets, simulation is normalised to the luminosity."
    )
