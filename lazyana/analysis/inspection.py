"""What a configuration comes to, section by section, for people to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from lazyana.analysis.axes import CATEGORIES, Axis
from lazyana.analysis.columns import EVENTS
from lazyana.analysis.config import Analysis
from lazyana.analysis.cuts import Cut
from lazyana.analysis.datasets import summary
from lazyana.analysis.describe import described
from lazyana.analysis.histograms import HistConf
from lazyana.errors import InputError, did_you_mean
from lazyana.report.tables import Table

Rows: TypeAlias = list[Mapping[str, Any]]

_FIRST = 10
_WIDEST = 70


def inspected(analysis: Analysis, section: str | None = None) -> str:
    """What a configuration comes to. No file is opened.

    Parameters
    ----------
    analysis
        The configuration.
    section
        One of `SECTIONS`, which is then shown in full; default: all, of long ones the beginning.

    Returns
    -------
    str
        Text of several lines.

    Raises
    ------
    InputError
        There is no such section.
    """
    if section is not None:
        return _text(_checked(section)(analysis))
    parts: list[str] = []
    for name, show in SECTIONS.items():
        rows = show(analysis)
        title = f"{name} ({len(rows)})"
        more = len(rows) - _FIRST
        end = [f"… {more} more: --section {name}"] if more > 0 else []
        shown = [_text([_short(row) for row in rows[:_FIRST]])] if rows else []
        parts.append("\n".join([title, "=" * len(title), *shown, *end]))
    return "\n\n".join(parts)


def section_data(analysis: Analysis, section: str | None = None) -> Any:
    """The same as plain data: what `lazyana.analysis.describe.described` gives, or a part of it.

    Raises
    ------
    InputError
        There is no such section.
    """
    everything = described(analysis)
    if section is None:
        return everything
    _checked(section)
    return {key: everything[key] for key in _KEYS.get(section, (section,))}


def _checked(section: str) -> Callable[[Analysis], Rows]:
    if section not in SECTIONS:
        hint, there = did_you_mean(section, SECTIONS), ", ".join(SECTIONS)
        msg = f"There is no section {section!r}.{hint} There are: {there}."
        raise InputError(msg)
    return SECTIONS[section]


# -- the sections ----------------------------------------------------------------------------


def _workflow(analysis: Analysis) -> Rows:
    found = {"class": f"{analysis.workflow.__module__}.{analysis.workflow.__qualname__}"}
    found |= {f"option {name}": str(value) for name, value in analysis.workflow_options.items()}
    if analysis.save_skimmed_files is not None:
        found["writes skimmed files to"] = str(analysis.save_skimmed_files)
    return [{"workflow": name, "is": value} for name, value in found.items()]


def _subsamples(analysis: Analysis) -> Rows:
    return [
        {"sample": sample, "subsample": name, "cuts": _names(cuts)}
        for sample, selection in analysis.subsamples.items()
        for name, cuts in selection.items()
    ]


def _cuts(cuts: Iterable[Cut]) -> Rows:
    return [{"cut": cut.name, "parameters": _options(cut.params)} for cut in cuts]


def _categories(analysis: Analysis) -> Rows:
    return [{"category": name, "cuts": _names(cuts)} for name, cuts in analysis.categories.items()]


def _weights(analysis: Analysis) -> Rows:
    return [dict(row) for row in analysis.rules.table(analysis.samples)]


def _variables(analysis: Analysis) -> Rows:
    return [
        {
            "histogram": name,
            "axes": ", ".join(map(_axis, variable.axes)),
            "storage": variable.storage,
            "where": _where(variable),
        }
        for name, variable in analysis.variables.items()
    ]


def _columns(analysis: Analysis) -> Rows:
    return [
        {"place": place, "columns": ", ".join(column.names)}
        for place, _, column in analysis.rules.columns.entries()
    ]


SECTIONS: Mapping[str, Callable[[Analysis], Rows]] = {
    "workflow": _workflow,
    "datasets": lambda analysis: summary(analysis.fileset),
    "subsamples": _subsamples,
    "skim": lambda analysis: _cuts(analysis.skim),
    "preselections": lambda analysis: _cuts(analysis.preselections),
    "categories": _categories,
    "weights": _weights,
    "calibrators": lambda analysis: [
        {"calibrator": one.name, "class": f"{one.__module__}.{one.__qualname__}"}
        for one in analysis.calibrators.values()
    ],
    "variables": _variables,
    "columns": _columns,
}
"""What shows each section."""

_KEYS: Mapping[str, tuple[str, ...]] = {
    "workflow": ("workflow", "workflow_options", "save_skimmed_files", "do_postprocessing"),
    "subsamples": ("datasets",),
    "weights": ("weights", "variations", "weights_classes"),
}


# -- text ------------------------------------------------------------------------------------


def _text(rows: Rows) -> str:
    """Rows as a table; columns that are empty in all of them are left out."""
    heads = tuple(
        name for name in (rows[0] if rows else ()) if any(row[name] != "" for row in rows)
    )
    cells = tuple(tuple(row[name] for name in heads) for row in rows)
    return Table("", heads, cells).text() if rows else "(none)"


def _short(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row without the ends of long texts."""
    return {
        name: f"{cell[: _WIDEST - 1]}…" if isinstance(cell, str) and len(cell) > _WIDEST else cell
        for name, cell in row.items()
    }


def _names(cuts: Iterable[Cut]) -> str:
    return " and ".join(cut.name for cut in cuts)


def _options(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items())


def _where(variable: HistConf) -> str:
    """In which samples, categories and variations a histogram is filled; all: an empty text."""
    return "; ".join(
        f"{option.replace('_', ' ')} {', '.join(names)}"
        for option, names in variable.serialize().items()
        if option.startswith(("only_", "exclude_")) and names is not None
    )


def _axis(axis: Axis) -> str:
    """An axis: what is filled, and its bins."""
    coll = "" if axis.coll == EVENTS else f"{axis.coll}."
    what = f"{coll}{axis.field}" + ("" if axis.pos is None else f"[{axis.pos}]")
    bins: Any = axis.bins
    if axis.grows:
        return f"{what} (those of the datasets)"
    more = ", and what occurs" if axis.growth else ""
    if axis.type in CATEGORIES:
        return f"{what} ({', '.join(map(str, bins or ('none',)))}{more})"
    made = axis.axis()
    return f"{what} ({made.size} bins, {made.edges[0]:g} to {made.edges[-1]:g}{more})"
