"""Peeking: the values of expressions for the first few events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import awkward as ak
import numpy as np

from lazyana.analysis.build import Recording, shared_metadata
from lazyana.analysis.config import Analysis
from lazyana.analysis.cuts import Context
from lazyana.analysis.expressions import Expression
from lazyana.analysis.view import EventsView
from lazyana.data.fileset import Dataset, Fileset
from lazyana.errors import InputError
from lazyana.frame.checks import lazy
from lazyana.frame.events import Events
from lazyana.frame.open import open as open_files
from lazyana.report.tables import Table

_OBJECTS = 6


@dataclass(frozen=True)
class Peeked:
    """The first events of a file.

    Attributes
    ----------
    dataset, file
        Where they are from.
    events
        What was asked for, a field each, shape ``(events,)``.
    """

    dataset: str
    file: str
    events: ak.Array

    def table(self) -> Table:
        """A row for each event; of many objects the first ones are shown."""
        columns = [[_shown(one) for one in self.events[name]] for name in self.events.fields]
        rows = tuple((number, *cells) for number, cells in enumerate(zip(*columns, strict=True)))
        return Table("", ("", *self.events.fields), rows)

    def text(self) -> str:
        """The table, and where the events are from."""
        if not len(self.events):
            return f"{self.dataset}: none of the first events of {self.file} passes."
        return f"{self.dataset}: {self.file}\n{self.table().text()}"


def peek(
    source: Any,
    expressions: Sequence[str],
    number: int = 10,
    *,
    dataset: str | None = None,
    where: str | None = None,
    all_events: bool = False,
) -> Peeked:
    """Look at the values of expressions for the first few events.

    One file is opened, and of it the branches that are needed are read, of a few events at first
    and of more where few of them pass.

    Parameters
    ----------
    source
        An analysis, whose objects and variables the expressions may use, or files, as for
        `lazyana.open`.
    expressions
        What to show, as in cuts that are written as text: ``"Muon.pt"``, ``"nMuon"``.
    number
        How many events.
    dataset
        Of which dataset; default: the first one.
    where
        Which events, as a cut that is written as text.
    all_events
        Whether to show events of an analysis that its skim and its preselections reject, too.

    Returns
    -------
    Peeked
        The values.

    Raises
    ------
    ColumnError, InputError, InputTypeError
        An expression that is wrong, or something that is no value, such as whole objects.
    FileError
        A file that cannot be read, or files without events.
    """
    if not expressions:
        msg = "Nothing is asked for: name expressions, e.g. 'Muon.pt'."
        raise InputError(msg)
    parsed = {one.text: one for one in map(Expression, expressions)}  # mistakes first
    cut = None if where is None else Expression(where)
    if isinstance(source, Analysis):
        frame = _opened(_chosen(source.fileset, dataset))
        view, constants = _recorded(source, frame, all_events=all_events)
    else:
        frame = _opened(_chosen(Fileset.parse(source), dataset))
        view, constants = EventsView(frame), {"isMC": frame.is_mc}
    if cut is not None:
        view.replace(view.frame.filter(**{"where": cut.mask(view, constants=constants)}))
    columns = {text: _value(one, view, constants) for text, one in parsed.items()}
    (name,) = frame.datasets
    file = frame._group.catalog.files[name][0]
    return Peeked(name, file.url, view.frame.head(number, columns))


def _chosen(fileset: Fileset, name: str | None) -> Dataset:
    return fileset.datasets[0] if name is None else fileset[name]


def _opened(dataset: Dataset) -> Events:
    """The first file of a dataset that has events."""
    for url, tree in dataset.files:
        others = {url: dataset.alternatives[url]} if url in dataset.alternatives else {}
        one = replace(dataset, files=((url, tree),), alternatives=others)
        frame = open_files(Fileset((one,)))
        if frame.entries:
            return frame
    msg = f"The files of dataset {dataset.name!r} have no events: name another one."
    raise InputError(msg)


def _recorded(
    analysis: Analysis, frame: Events, *, all_events: bool
) -> tuple[EventsView, Mapping[str, Any]]:
    """The events as the categories of an analysis see them, and what their cuts may name."""
    if all_events:
        analysis = copy(analysis)
        analysis.skim = analysis.preselections = ()
    metadata = shared_metadata(frame)
    sample, year = str(metadata["sample"]), str(metadata["year"])
    workflow = analysis.workflow(analysis)
    workflow.begin(frame, metadata)
    recording = Recording(analysis)
    context = Context(analysis.parameters, year, sample, frame.is_mc)
    recording._skim(workflow, context)
    recording._select(workflow, context)
    return workflow.events, {"year": year, "sample": sample, "isMC": frame.is_mc}


def _value(expression: Expression, view: EventsView, constants: Mapping[str, Any]) -> Any:
    """The lazy value of an expression."""
    value = expression.column(view, constants)
    if not lazy(value):
        msg = f"{expression.text!r} is {value!r} for all events: name a column, e.g. 'Muon.pt'."
        raise InputError(msg)
    fields = ak.fields(value)
    if fields:
        shown = ", ".join(fields[:12]) + (", …" if len(fields) > 12 else "")
        msg = (
            f"{expression.text!r} has fields: name one of them, e.g. "
            f"{f'{expression.text}.{fields[0]}'!r}. There are: {shown}."
        )
        raise InputError(msg)
    return value


def _shown(value: Any) -> str:
    """A value in a cell; of a list the first items."""
    if isinstance(value, ak.Array):
        more = len(value) - _OBJECTS
        items = [_shown(one) for one in value[:_OBJECTS]]
        return f"[{', '.join(items)}{f', … {more} more' if more > 0 else ''}]"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{value:.5g}"
    return "-" if value is None else str(value)
