"""Recording: from a configuration to outputs of the frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import awkward as ak

from lazyana.analysis.applied import Part
from lazyana.analysis.axes import SIZES
from lazyana.analysis.calibrators import apply_calibrators
from lazyana.analysis.columns import EVENTS, ColOut, ObjectMask
from lazyana.analysis.config import Analysis
from lazyana.analysis.cuts import Context, Cut, Masks
from lazyana.analysis.datasets import GROUP_BY
from lazyana.analysis.histograms import HistConf
from lazyana.analysis.masks import within
from lazyana.analysis.nminusone import (
    SELECTION,
    Loosely,
    by_category,
    common_part,
    masks_by_name,
)
from lazyana.analysis.normalisation import Normalisation
from lazyana.analysis.processing import sizes
from lazyana.analysis.schema import SkimSection
from lazyana.analysis.skims import check_branches
from lazyana.analysis.view import EventsView
from lazyana.analysis.weights import Weight, apply_weight, apply_weights
from lazyana.analysis.workflow import Extras, Workflow
from lazyana.data.catalog import Catalog
from lazyana.errors import InputError
from lazyana.frame.booking import Output
from lazyana.frame.events import Events
from lazyana.frame.open import apply
from lazyana.frame.skimming import book_skim
from lazyana.sinks.base import NOMINAL
from lazyana.sinks.folder import Overwrite

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
        ones, by sample or subsample and part; ``processing_metadata`` of the partitions.
    variables
        All histograms, those of the workflow included.
    columns
        All columns, by sample or subsample and category.
    normalisation
        How the sums of generator weights were found.
    labels
        The labels of the variations that each dataset has.
    """

    analysis: Analysis
    outputs: dict[str, Any]
    variables: Mapping[str, HistConf]
    columns: Mapping[tuple[str, str], tuple[ColOut, ...]]
    normalisation: Normalisation
    labels: Mapping[str, set[str]]


def recorded(
    analysis: Analysis,
    catalog: Catalog,
    *,
    n_minus_one: bool = False,
    overwrite: Overwrite = False,
    **reading: Any,
) -> Recorded:
    """Record an analysis.

    Parameters
    ----------
    analysis
        The configuration.
    catalog
        What is known of the files of its datasets.
    n_minus_one
        Whether there are N-1 tables: ``n_minus_one``, by sample or subsample.
    overwrite
        Whether folders of skims and columns of an earlier run may be replaced.
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
    check_branches(analysis.save_skimmed_files, catalog)
    recording = Recording(
        analysis, n_minus_one, Normalisation.of(analysis, catalog), overwrite=overwrite
    )
    outputs = apply(recording, catalog, group_by=keys, **reading)
    found = {label for labels in recording.labels.values() for label in labels}
    for name, later in recording.later.items():
        recording.variables[name].check_labels(name, later, found)
    return Recorded(
        analysis,
        outputs,
        recording.variables,
        recording.columns,
        recording.normalisation,
        recording.labels,
    )


@dataclass(frozen=True)
class Recording:
    """Records an analysis for one group of files.

    Attributes
    ----------
    analysis
        The configuration.
    n_minus_one
        Whether there are N-1 tables.
    normalisation
        How the sums of generator weights are found.
    variables, columns, labels, later
        Histograms and columns that were found, labels of variations by dataset and missing ones.
    overwrite
        Whether folders of skims and columns may be replaced.
    """

    analysis: Analysis
    n_minus_one: bool = False
    normalisation: Normalisation = field(default_factory=Normalisation)
    variables: dict[str, HistConf] = field(default_factory=dict)
    columns: dict[tuple[str, str], tuple[ColOut, ...]] = field(default_factory=dict)
    labels: dict[str, set[str]] = field(default_factory=dict)
    later: dict[str, set[str]] = field(default_factory=dict)
    overwrite: Overwrite = False

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
            outputs |= self.normalisation.sums(frame)
        self._skim(workflow, context)
        skimmed = workflow.events.frame
        skims = self.analysis.save_skimmed_files
        if skims is not None:
            return {**outputs, "skims": {context.sample: self._written(skims, workflow, context)}}
        groups = self._select(workflow, context)
        outputs |= {"cutflow": {}, "variables": {}, "columns": {}, "counts": {}}
        if self.n_minus_one:
            outputs["n_minus_one"] = self._n_minus_one(frame, metadata, context)
        extras = workflow.extras()
        stages = dict(zip(SIZES, (frame, skimmed, workflow.events.frame), strict=True))
        outputs["processing_metadata"] = self._processing(extras, stages, context)
        for target, name, once in self._targets(workflow, extras, context):
            parts = self.analysis.rules.parts(context.sample, name)
            for number, part in enumerate(parts):
                place = (context, target, name, part, groups, self.later, self.overwrite)
                filling = Filling(self.analysis, once, *place)
                filling.fill(outputs, str(number))
                self.variables.update(filling.variables)
                sink = outputs["cutflow"][target][str(number)].sink
                for dataset in frame.datasets:
                    known = self.labels.setdefault(dataset, set())
                    known |= {*sink.weight_variations, *sink.shape_variations}
                for category in part.categories:
                    self.columns[target, category] = filling.columns(category)
        return outputs

    def _written(self, skims: SkimSection, workflow: Workflow, context: Context) -> Output:
        """The skim: events as they are in the files, whatever they are selected by."""
        any_variation = skims.mode == "presel_any_variation"
        if any_variation:
            self._select(workflow, context)
        return book_skim(
            workflow.events.frame,
            skims.inside(context.sample).path,
            skims.keep,
            skims.drop,
            any_variation=any_variation,
            compression=skims.compression,
            overwrite=skims.overwrite or self.overwrite,
            strict=False,
        )

    def _processing(
        self, extras: Extras, stages: Mapping[str, Events], context: Context
    ) -> dict[str, Any]:
        """The histograms with an entry for each partition, of the whole sample."""
        variables = {**self.analysis.variables, **extras.variables}
        found = sizes(variables, stages, context.sample, self.analysis.categories.names)
        self.variables.update({name: variables[name] for name in found})
        return {name: {context.sample: {"0": one}} for name, one in found.items()}

    def _targets(
        self, workflow: Workflow, extras: Extras, context: Context
    ) -> Iterator[tuple[str, str | None, Once]]:
        """What results of the sample are called, the subsample that each is of, and its events."""
        rules, whole = self.analysis.rules, workflow.events.frame
        for name in rules.subsamples.get(context.sample) or (None,):
            frame, mine = whole, extras
            if name is not None:
                selection = self.analysis.subsamples[context.sample]
                mask = selection.mask(name, EventsView(whole), context)
                frame, mine = extras.inside(whole, name, mask)
            target = rules.names_of(context.sample, name)[-1]
            yield target, name, Once(frame, mine, Masks(EventsView(frame), context))

    def _n_minus_one(
        self, frame: Events, metadata: Mapping[str, Any], context: Context
    ) -> dict[str, Any]:
        """The N-1 tables of the cuts of skim and preselections, by sample or subsample.

        Everything is recorded once more, with all events: where a cut is left out, there are
        others than the selected ones.
        """
        if not (self.analysis.skim or self.analysis.preselections):
            return {}
        workflow = self.analysis.workflow(self.analysis)
        workflow.begin(frame, metadata)
        loosely = Loosely()
        self._skim(workflow, context, loosely.note)
        groups = self._select(workflow, context, loosely.keep)
        found: dict[str, Any] = {}
        for target, name, once in self._targets(workflow, workflow.extras(), context):
            part = common_part(self.analysis.rules, context.sample, name)
            filling = Filling(self.analysis, once, context, target, name, part, groups)
            found[target] = {SELECTION: filling.weighed().cutflow()}
        return found

    def _skim(self, workflow: Workflow, context: Context, keep: Keep | None = None) -> None:
        """Keep the events that pass the skim."""
        workflow.process_extra_before_skim()
        (keep or _keep)(workflow, self.analysis.skim, context)
        workflow.process_extra_after_skim()

    def _select(
        self, workflow: Workflow, context: Context, keep: Keep | None = None
    ) -> Mapping[str, tuple[str, ...]]:
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
        (keep or _keep)(workflow, self.analysis.preselections, context)
        workflow.define_common_variables_after_presel(NOMINAL)
        workflow.process_extra_after_presel(NOMINAL)
        return groups


@dataclass(frozen=True)
class Once:
    """The selected events of a sample or subsample, and what all parts share.

    Attributes
    ----------
    frame
        The events.
    extras
        What the workflow adds.
    masks
        The masks of the cuts of the categories.
    weights
        The weights by name, as they are needed.
    """

    frame: Events
    extras: Extras
    masks: Masks
    weights: dict[str, Weight] = field(default_factory=dict)


@dataclass(frozen=True)
class Filling:
    """What is filled with the events of a sample or subsample, in the categories of one part.

    Attributes
    ----------
    analysis, once, context
        The configuration, what the parts share and what the files are.
    target
        What the results are called.
    subsample
        Name of the subsample; None where the sample is not split.
    part
        The categories, and how they are weighed and varied.
    groups
        The labels of the variations of each calibrator.
    later
        Labels of variations that histograms name and other groups have to have.
    overwrite
        Whether folders of columns may be replaced.
    """

    analysis: Analysis
    once: Once
    context: Context
    target: str
    subsample: str | None
    part: Part
    groups: Mapping[str, tuple[str, ...]]
    later: dict[str, set[str]] = field(default_factory=dict)
    overwrite: Overwrite = False

    def fill(self, outputs: dict[str, Any], number: str) -> None:
        """Add the outputs of these events.

        Parameters
        ----------
        outputs
            Where to: by kind, target and part.
        number
            What the part is called.
        """
        weighed = self.weighed()
        frame, objects = self._with_categories(weighed)
        extras = self.once.extras
        kept = (*self.part.varied, *self._shapes(), *(one.name for one in extras.weights))
        outputs["cutflow"].setdefault(self.target, {})[number] = frame.cutflow()
        # Labels of those that no sample varies are not known.
        shapes = {name for _, _, name in self.analysis.rules.variations.shape.entries()}
        groups = {name: labels for name, labels in self.groups.items() if name in shapes}
        for name, variable in self.variables.items():
            if variable.metadata_hist:
                continue
            booked = variable.book(
                frame,
                name=name,
                sample=self.target,
                variations=kept or False,
                groups=groups,
                known=(*self.analysis.categories.names, *self._all_variations()),
                object_masks=objects,
                custom_axes=extras.axes,
                custom=extras.fields,
                later=self.later,
            )
            if booked is not None:
                outputs["variables"].setdefault(name, {}).setdefault(self.target, {})[number] = (
                    booked
                )
        if "n_minus_one" in outputs:
            categories = self.analysis.categories
            booked = by_category(weighed, categories, self.part.categories, self.once.masks)
            if booked is not None:
                outputs["n_minus_one"].setdefault(self.target, {})[number] = booked
        for category in self.part.categories:
            self._add_columns(outputs, frame, category, kept, objects)
        if number == "0":  # weighed as the first categories are
            for name, column in extras.counts.items():
                outputs["counts"].setdefault(name, {})[self.target] = frame.sum(column)

    def weighed(self) -> Events:
        """The events with the weights of the part."""
        frame = apply_weights(
            self.once.frame,
            self.part.weights,
            self.analysis.weights_classes,
            self.analysis.parameters,
            self.once.frame.metadata,
            varied=self.part.varied,
            computed=self.once.weights,
        )
        for data in self.once.extras.weights:
            frame = apply_weight(frame, data, varied=frame.is_mc)
        return frame

    def _with_categories(self, frame: Events) -> tuple[Events, dict[str, ObjectMask]]:
        """The events with their categories, and the masks of those that select objects."""
        selection, recorded = self.analysis.categories, self.once.masks
        view = recorded.events
        if not selection.is_multidim and len(self.part.categories) == len(selection.names):
            return frame.categories(selection.for_frame(view, self.context, recorded)), {}
        masks: dict[str, Any] = {}
        objects: dict[str, ObjectMask] = {}
        for name in self.part.categories:
            collection = selection.collection(name)
            if collection == EVENTS:
                masks[name] = selection.event_masks(name, recorded)
                continue
            mask = selection.mask(name, view, self.context, recorded)
            objects[name] = ObjectMask(collection, mask)
            masks[name] = ak.any(mask, axis=1)
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
        extra = self.once.extras.variables
        twice = sorted(set(extra) & set(self.analysis.variables))
        if twice:
            msg = (
                f"Histogram {twice[0]!r} is in the configuration and in define_histograms_extra of "
                f"{self.analysis.workflow.__name__}: give one of them another name."
            )
            raise InputError(msg)
        return {**self.analysis.variables, **extra}

    def columns(self, category: str) -> tuple[ColOut, ...]:
        """The columns of a category, those of the workflow included."""
        return (
            *self.analysis.rules.columns_of(self.context.sample, self.subsample, category),
            *self.once.extras.columns,
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
        saved: dict[str, ColOut] = {}
        for one in self.columns(category):
            for name, column in one.expressions(frame, objects.get(category)).items():
                with within(f"Columns of category {category!r} of {self.target}"):
                    saved.setdefault(name, one).check_same(one, name)
                columns.setdefault(name, column)
        if not columns:
            return
        folder = self.analysis.workflow_options.get(COLUMNS_FOLDER)
        path = None if folder is None else str(Path(folder) / self.target / category)
        options: dict[str, Any] = {} if path is None else {"overwrite": self.overwrite}
        booked = frame.columns(
            path, columns, categories=[category], variations=kept or False, **options
        )
        outputs["columns"].setdefault(self.target, {})[category] = booked


def shared_metadata(frame: Events) -> dict[str, Any]:
    """What the datasets of a frame have in common."""
    first, *others = (dict(dataset.metadata) for dataset in frame._group.datasets)
    return {
        key: value
        for key, value in first.items()
        if all(other.get(key) == value for other in others)
    }


Keep = Callable[[Workflow, Sequence[Cut], Context], None]
"""What is done with cuts."""


def _keep(workflow: Workflow, cuts: Sequence[Cut], context: Context) -> None:
    """Keep the events that pass some cuts."""
    frame = workflow.events.frame
    masks = masks_by_name(cuts, Masks(workflow.events, context), frame.cuts)
    if masks:
        workflow.events.replace(frame.filter(**masks))
