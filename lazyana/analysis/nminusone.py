"""N-1 tables of an analysis: what each cut removes that no other cut does."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lazyana.analysis.applied import Part, Rules
from lazyana.analysis.categories import Selection
from lazyana.analysis.cuts import Context, Cut, Masks, passthrough
from lazyana.analysis.masks import EVENTS
from lazyana.analysis.workflow import Workflow
from lazyana.frame.events import Events
from lazyana.frame.nminusone import all_but_one, left_out
from lazyana.report.tables import Cell, Efficiency, Table, Yield
from lazyana.sinks.base import NOMINAL
from lazyana.sinks.cutflow import ALL_CUTS, WITHOUT

SELECTION = "presel"
"""What the table of the cuts of skim and preselections is called, beside those of categories."""

Rows = dict[str, dict[str, dict[str, float]]]
"""By row and variation: ``events``, ``sumw``, ``sumw2``."""


# -- recording -----------------------------------------------------------------------------------


def masks_by_name(
    cuts: Iterable[Cut], recorded: Masks, taken: Container[str] = ()
) -> dict[str, Any]:
    """The masks of cuts by their names, which are made different from each other.

    Parameters
    ----------
    cuts
        The cuts.
    recorded
        Records masks.
    taken
        Names that are used already.
    """
    masks: dict[str, Any] = {}
    for cut in cuts:
        name = cut.name
        while name in masks or name in taken:
            name += "'"
        masks[name] = recorded.of(cut)
    return masks


@dataclass(frozen=True)
class Loosely:
    """Notes the cuts of an analysis instead of applying them one by one.

    Attributes
    ----------
    masks
        The cuts that were noted, by name.
    """

    masks: dict[str, Any] = field(default_factory=dict)

    def note(self, workflow: Workflow, cuts: Iterable[Cut], context: Context) -> None:
        """Note cuts; all events stay."""
        self.masks.update(masks_by_name(cuts, Masks(workflow.events, context), self.masks))

    def keep(self, workflow: Workflow, cuts: Iterable[Cut], context: Context) -> None:
        """Note cuts, and keep the events that fail no more than one of all that were noted."""
        self.note(workflow, cuts, context)
        workflow.events.replace(all_but_one(workflow.events.frame, self.masks))


def common_part(rules: Rules, sample: str, subsample: str | None) -> Part:
    """What weighs and varies events in all categories of a sample."""
    first, *others = rules.parts(sample, subsample)
    return Part(
        rules.categories,
        *(
            tuple(
                name
                for name in getattr(first, what)
                if all(name in getattr(part, what) for part in others)
            )
            for what in ("weights", "varied", "shapes")
        ),
    )


def by_category(frame: Events, selection: Selection, names: Iterable[str], recorded: Masks) -> Any:
    """The N-1 tables of those categories that are several cuts on events; None without any.

    Parameters
    ----------
    frame
        The selected events with their weights, without categories.
    selection
        The categories.
    names
        Which of them.
    recorded
        Records their masks.

    Returns
    -------
    Output or None
        A cutflow whose categories are called ``<category>: all cuts`` and
        ``<category>: without <cut>``.
    """
    found: dict[str, Any] = {}
    for category in names:
        cuts = {cut.content_id: cut for cut in selection.cuts(category)}
        cuts.pop(passthrough.content_id, None)
        if len(cuts) > 1 and selection.collection(category) == EVENTS:
            kept, _ = left_out(frame, masks_by_name(cuts.values(), recorded))
            found |= {_stage(category, row): mask for row, mask in kept.items()}
    return frame.categories(found).cutflow() if found else None


def _stage(category: str, row: str) -> str:
    return f"{category}: {row}"


# -- results -------------------------------------------------------------------------------------


def rows_of(
    cutflow: Any, place: str, dataset: str, variations: Iterable[str], factor: float
) -> Rows:
    """The N-1 table of one dataset.

    Parameters
    ----------
    cutflow
        What was counted.
    place
        A category, or `SELECTION`.
    dataset
        The dataset.
    variations
        Labels of the variations to keep.
    factor
        What weights are multiplied by.

    Returns
    -------
    dict
        By row (``all cuts``, ``without <cut>``) and variation ``events``, ``sumw`` and ``sumw2``;
        empty where there is no table of that category.
    """
    prefix = "" if place == SELECTION else _stage(place, "")
    found: Rows = {}
    for stage in cutflow.categories:
        row = stage.removeprefix(prefix)
        if stage.startswith(prefix) and (row == ALL_CUTS or row.startswith(WITHOUT)):
            found[row] = {
                label: {
                    "events": cutflow.count(stage, dataset, label),
                    "sumw": factor * cutflow.yield_(stage, dataset, label),
                    "sumw2": factor**2 * _cell(cutflow, cutflow.sumw2, stage, dataset, label),
                }
                for label in variations
            }
    return found


def _cell(cutflow: Any, values: Any, stage: str, dataset: str, label: str) -> float:
    row = values[cutflow.datasets.index(dataset), cutflow.variations.index(label)]
    return float(row[cutflow.stages.index(stage)])


def table(section: Mapping[str, Any], chosen: Callable[[str], bool] = NOMINAL.__eq__) -> Table:
    """The N-1 tables of an analysis as one.

    Parameters
    ----------
    section
        ``n_minus_one`` of the output: by selection, dataset, sample, row and variation.
    chosen
        Which variations; default: nominal only.

    Returns
    -------
    Table
        For each cut that was left out: events and sum of weights that pass all others, and which
        share of the events passes it too.
    """
    columns = ("Selection", "Dataset", "Sample", "Variation", "Cuts", "Events", "Kept", "Yield")
    return Table("N-1", columns, tuple(_rows(section, chosen)))


def _rows(section: Mapping[str, Any], chosen: Callable[[str], bool]) -> Iterator[tuple[Cell, ...]]:
    for place, datasets in section.items():
        for dataset, targets in datasets.items():
            for target, rows in targets.items():
                for label in filter(chosen, rows[ALL_CUTS]):
                    passing = rows[ALL_CUTS][label]["events"]
                    for row, values in rows.items():
                        one = values[label]
                        events = int(one["events"])
                        kept = Efficiency(passing / events if events else None)
                        total = Yield(one["sumw"], one["sumw2"] ** 0.5)
                        yield (place, dataset, target, label, row, events, kept, total)
