"""The configuration as plain data, for people to read and for the record of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lazyana.analysis.config import Analysis
from lazyana.analysis.schema import AppliedSection
from lazyana.plan.fingerprint import fingerprint


def described(analysis: Analysis) -> dict[str, Any]:
    """The configuration as plain data.

    Parameters
    ----------
    analysis
        The configuration.

    Returns
    -------
    dict
        Its sections by name. Functions and classes are told by name and by a hash of their code,
        the same in every process.
    """
    given = analysis._given
    return {
        "workflow": _class(analysis.workflow),
        "workflow_options": _plain(analysis.workflow_options),
        "datasets": {
            "names": [dataset.name for dataset in analysis.fileset.datasets],
            "metadata": {one.name: _plain(one.metadata) for one in analysis.fileset.datasets},
            "files": {one.name: len(one.files) for one in analysis.fileset.datasets},
            "filter": _plain(given.datasets.filter.model_dump()),
            "subsamples": {name: one.serialize() for name, one in analysis.subsamples.items()},
        },
        "skim": [cut.serialize() for cut in analysis.skim],
        "preselections": [cut.serialize() for cut in analysis.preselections],
        "categories": analysis.categories.serialize(),
        "weights": _applied(given.weights),
        "variations": {
            "weights": _applied(given.variations.weights),
            "shape": _applied(given.variations.shape),
        },
        "weights_classes": {name: _class(one) for name, one in analysis.weights_classes.items()},
        "calibrators": {name: _class(one) for name, one in analysis.calibrators.items()},
        "variables": {name: one.serialize() for name, one in analysis.variables.items()},
        "columns": _applied(given.columns),
        "save_skimmed_files": (
            None
            if analysis.save_skimmed_files is None
            else _plain(analysis.save_skimmed_files.model_dump())
        ),
        "do_postprocessing": analysis.do_postprocessing,
    }


def _applied(section: AppliedSection) -> dict[str, Any]:
    return {
        "common": _plain(section.common.model_dump()),
        "bysample": {name: _plain(one.model_dump()) for name, one in section.bysample.items()},
    }


def _class(one: Any) -> dict[str, str]:
    return {"name": f"{one.__module__}.{one.__qualname__}", "hash": fingerprint(one)}


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if hasattr(value, "serialize"):
        return value.serialize()
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(one) for one in value), key=repr)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return repr(value)
