"""Recording: from a configuration to outputs of the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from lazyana.analysis.applied import Part
from lazyana.analysis.calibrators import apply_calibrators
from lazyana.analysis.columns import EVENTS, ColOut, ObjectMask
from lazyana.analysis.config import Analysis
from lazyana.analysis.cuts import Context, Cut, Masks
from lazyana.analysis.datasets import GROUP_BY
from lazyana.analysis.histograms import HistConf
from lazyana.analysis.view import EventsView
from lazyana.analysis.weights import apply_weight, apply_weights
from lazyana.analysis.workflow import Workflow
from lazyana.data.catalog import Catalog
from lazyana.errors import InputError
from lazyana.frame.events import Events
from lazyana.frame.open import apply
from lazyana.sinks.base import NOMINAL

COLUMNS_FOLDER = "dump_columns_as_arrays_per_chunk"
"""The workflow option that names a folder to write columns to as parquet."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """An analysis, recorded.

    Attributes
    ----------
    analysis
        The configuration.
    outputs
        What it keeps, not yet computed: ``sum_genweights`` and ``sum_signOf_genweights`` of all
        events of simulation; ``cutflow``, ``variables``, ``columns`` and ``counts`` of the selected
        ones, by sample or subsample and part.
    variables
        All histograms, those of the workflow included.
    columns
        All columns, by sample or subsample and category.
    """

    analysis: Analysis
    outputs: dict[str, Any]
    variables: Mapping[str, HistConf]
    columns: Mapping[tuple[str, str], tuple[ColOut, ...]]


def recorded(analysis: Analysis, catalog: Catalog, **reading: Any) -> Recorded:
    """Record an analysis.

    Parameters
    ----------
    analysis
        The configuration.
    catalog
        What is known of the files of its datasets.
    **reading
        ``missing`` and ``on_error`` of `lazyana.apply`.

    Raises
    ------
    ColumnError, InputError, InputTypeError
        Something that files, collections or the analysis do not have, with its place in the
        configuration.
    """
    known = {key for one in catalog.fileset.datasets for key in one.metadata}
    keys = tuple(key for key in GROUP_BY if key in known)
    recording = Recording(analysis)
    outputs = apply(recording, catalog, group_by=keys, **reading)
    return Recorded(analysis, outputs, recording.variables, recording.columns)


@dataclass(frozen=True)
class Recording:
    """Records an analysis for one group of files.

    Attributes
    ----------
    analysis
        The configuration.
    variables, columns
        The histograms and columns that were found.
    """

    analysis: Analysis
    variables: dict[str, HistConf] = field(default_factory=dict)
    columns: dict[tuple[str, str], tuple[ColOut, ...]] = field(default_factory=dict)

    def __call__(self, frame: Events) -> dict[str, Any]:
        """The outputs of the group."""
        metadata = shared_metadata(frame)
        context = Context(
            self.analysis.parameters,
            str(metadata["year"]),
            str(metadata["sample"]),
            frame.is_mc,
        )
        workflow = self.analysis.workflow(self.analysis)
        workflow.begin(frame, metadata)
        outputs: dict[str, Any] = {}
        if frame.is_mc:
            sign = np.sign(frame.genWeight)
            outputs["sum_genweights"] = frame.sum(frame.genWeight)
            outputs["sum_signOf_genweights"] = frame.sum(sign)
        self._skim(workflow, context)
        folder = self.analysis.save_skimmed_files
        if folder is not None:
            # What is written are the events of the files: nothing that comes later matters.
            path = f"{str(folder).rstrip('/')}/{context.sample}"
            return {**outputs, "skims": {context.sample: workflow.events.frame.skim(path)}}
        groups = self._select(workflow, context)
        outputs |= {"cutflow": {}, "variables": {}, "columns": {}, "counts": {}}
        for target, name in self._targets(context):
            frame = self._split(workflow.events.frame, context, name)
            parts = self.analysis.rules.parts(context.sample, name, is_mc=frame.is_mc)
            for number, part in enumerate(parts):
                filling = Filling(self.analysis, workflow, context, target, name, part, groups)
                filling.fill(outputs, frame, str(number))
                self.variables.update(filling.variables)
                for category in part.categories:
                    self.columns[target, category] = filling.columns(category)
        return outputs

    def _targets(self, context: Context) -> list[tuple[str, str | None]]:
        """What results of the sample are called, and the subsample that each is of."""
        rules = self.analysis.rules
        subsamples = rules.subsamples.get(context.sample) or (None,)
        return [(rules.names_of(context.sample, name)[-1], name) for name in subsamples]

    def _split(self, frame: Events, context: Context, subsample: str | None) -> Events:
        """The events of a subsample."""
        if subsample is None:
            return frame
        selection = self.analysis.subsamples[context.sample]
        return frame.filter(**{subsample: selection.mask(subsample, EventsView(frame), context)})

    def _skim(self, workflow: Workflow, context: Context) -> None:
        """Keep the events that pass the skim."""
        workflow.process_extra_before_skim()
        _keep(workflow, self.analysis.skim, context)
        workflow.process_extra_after_skim()

    def _select(self, workflow: Workflow, context: Context) -> Mapping[str, tuple[str, ...]]:
        """Calibrate, select objects and events.

        Returns
        -------
        dict
            The labels of the variations of each calibrator.
        """
        frame, groups = apply_calibrators(
            workflow.events.frame,
            self.analysis.calibrators.values(),
            context,
            self.analysis.rules.shapes_of(context.sample) if context.is_mc else (),
        )
        workflow.events.replace(frame)
        workflow.process_extra_after_calibrators(NOMINAL)
        workflow.apply_object_preselection(NOMINAL)
        workflow.count_objects(NOMINAL)
        workflow.define_common_variables_before_presel(NOMINAL)
        workflow.process_extra_before_presel(NOMINAL)
        _keep(workflow, self.analysis.preselections, context)
        workflow.define_common_variables_after_presel(NOMINAL)
        workflow.process_extra_after_presel(NOMINAL)
        return groups


@dataclass(frozen=True)
class Filling:
    """What is filled with the events of a sample or subsample, in the categories of one part.

    Attributes
    ----------
    analysis, workflow, context
        The configuration, what computes and what the files are.
    target
        What the results are called.
    subsample
        Name of the subsample; None where the sample is not split.
    part
        The categories, and how they are weighed and varied.
    groups
        The labels of the variations of each calibrator.
    """

    analysis: Analysis
    workflow: Workflow
    context: Context
    target: str
    subsample: str | None
    part: Part
    groups: Mapping[str, tuple[str, ...]]

    def fill(self, outputs: dict[str, Any], frame: Events, number: str) -> None:
        """Add the outputs of these events.

        Parameters
        ----------
        outputs
            Where to: by kind, target and part.
        frame
            The selected events.
        number
            What the part is called.
        """
        frame, objects = self._with_categories(self._weighed(frame))
        kept = (*self.part.varied, *self._shapes())
        outputs["cutflow"].setdefault(self.target, {})[number] = frame.cutflow()
        for name, variable in self.variables.items():
            booked = variable.book(
                frame,
                name=name,
                sample=self.target,
                variations=kept or False,
                groups=self.groups,
                known=(*self.analysis.categories.names, *self._all_variations()),
                object_masks=objects,
                custom_axes=tuple(self.workflow.define_custom_axes_extra()),
            )
            if booked is not None:
                outputs["variables"].setdefault(name, {}).setdefault(self.target, {})[number] = (
                    booked
                )
        for category in self.part.categories:
            self._add_columns(outputs, frame, category, kept, objects)
        if number == "0":  # weighed as the first categories are
            for name, column in self.workflow.count_events_extra(NOMINAL).items():
                outputs["counts"].setdefault(name, {})[self.target] = frame.sum(column)

    def _weighed(self, frame: Events) -> Events:
        frame = apply_weights(
            frame,
            self.part.weights,
            self.analysis.weights_classes,
            self.analysis.parameters,
            frame.metadata,
            varied=self.part.varied,
        )
        for data in self.workflow.compute_weights_extra(NOMINAL):
            frame = apply_weight(frame, data, varied=frame.is_mc)
        return frame

    def _with_categories(self, frame: Events) -> tuple[Events, dict[str, ObjectMask]]:
        """The events with their categories, and the masks of those that select objects."""
        selection = self.analysis.categories
        view = EventsView(frame)
        recorded = Masks(view, self.context)
        if not selection.is_multidim and len(self.part.categories) == len(selection.names):
            return frame.categories(selection.for_frame(view, self.context, recorded)), {}
        masks: dict[str, Any] = {}
        objects: dict[str, ObjectMask] = {}
        for name in self.part.categories:
            mask = selection.mask(name, view, self.context, recorded)
            collection = selection.collection(name)
            if collection != EVENTS:
                objects[name] = ObjectMask(collection, mask)
                mask = ak.any(mask, axis=1)
            masks[name] = mask
        return frame.categories(masks), objects

    def _shapes(self) -> tuple[str, ...]:
        """The labels of the shape variations that are kept."""
        return tuple(label for name in self.part.shapes for label in self.groups.get(name, ()))

    def _all_variations(self) -> tuple[str, ...]:
        """What histograms may name although these events do not have it."""
        return (*self.analysis.weights_classes, *self.analysis.calibrators)

    @cached_property
    def variables(self) -> dict[str, HistConf]:
        """The histograms of the configuration and of the workflow."""
        extra = self.workflow.define_histograms_extra()
        twice = sorted(set(extra) & set(self.analysis.variables))
        if twice:
            msg = (
                f"Histogram {twice[0]!r} is in the configuration and in define_histograms_extra of "
                f"{type(self.workflow).__name__}: give one of them another name."
            )
            raise InputError(msg)
        return {**self.analysis.variables, **extra}

    def columns(self, category: str) -> tuple[ColOut, ...]:
        """The columns of a category, those of the workflow included."""
        return (
            *self.analysis.rules.columns_of(self.context.sample, self.subsample, category),
            *self.workflow.define_column_accumulators_extra(),
        )

    def _add_columns(
        self,
        outputs: dict[str, Any],
        frame: Events,
        category: str,
        kept: tuple[str, ...],
        objects: Mapping[str, ObjectMask],
    ) -> None:
        """Add the columns of a category."""
        columns: dict[str, Any] = {}
        for one in self.columns(category):
            for name, column in one.expressions(frame, objects.get(category)).items():
                columns.setdefault(name, column)
        if not columns:
            return
        folder = self.analysis.workflow_options.get(COLUMNS_FOLDER)
        path = None if folder is None else str(Path(folder) / self.target / category)
        booked = frame.columns(path, columns, categories=[category], variations=kept or False)
        outputs["columns"].setdefault(self.target, {})[category] = booked


def shared_metadata(frame: Events) -> dict[str, Any]:
    """What the datasets of a frame have in common."""
    first, *others = (dict(dataset.metadata) for dataset in frame._group.datasets)
    return {
        key: value
        for key, value in first.items()
        if all(other.get(key) == value for other in others)
    }


def _keep(workflow: Workflow, cuts: Sequence[Cut], context: Context) -> None:
    """Keep the events that pass some cuts."""
    frame = workflow.events.frame
    masks: dict[str, Any] = {}
    recorded = Masks(workflow.events, context)
    for cut in cuts:
        name = cut.name
        while name in masks or name in frame.cuts:
            name += "'"
        masks[name] = recorded.of(cut)
    if masks:
        workflow.events.replace(frame.filter(**masks))
