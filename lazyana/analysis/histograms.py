"""Histograms of a configuration: their axes, and in which samples, categories and variations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import awkward as ak
import hist
import numpy as np

from lazyana.analysis.axes import CUSTOM, METADATA, SIZES, Axis, distinct_names
from lazyana.analysis.columns import EVENTS, ObjectMask, meta_of, names_of, with_known_options
from lazyana.errors import InputError, InputTypeError, LazyanaError, did_you_mean
from lazyana.frame.booking import Merged, Output
from lazyana.frame.events import Events
from lazyana.sinks.base import NOMINAL

STORAGES = ("weight", "double", "int64")
"""What a histogram can hold in a bin: sums of weights and their variance, sums, or entries."""

MODES = ("OR", "AND")

Names: TypeAlias = tuple[str, ...]

_SAMPLE_FILTERS = ("only_samples", "exclude_samples")
_CATEGORY_FILTERS = ("only_categories", "exclude_categories")
_VARIATION_FILTERS = ("only_variations", "exclude_variations")


@with_known_options
@dataclass(frozen=True)
class HistConf:
    """A histogram: its axes, and where it is filled.

    Attributes
    ----------
    axes
        The axes, any number of them.
    storage
        What a bin holds: ``"weight"`` (sum of weights and its variance), ``"double"`` (sum of
        weights), ``"int64"`` (number of entries; with `no_weights` only). See `stored`.
    autofill
        False: the workflow books it itself.
    variations
        False: nominal only.
    only_variations, exclude_variations
        Only these variations, or all but these: labels, or names of weights, of systematics and of
        calibrators for all of theirs. Nominal is always kept.
    only_samples, exclude_samples
        Only these samples (or subsamples ``sample__subsample``), or all but these.
    only_categories, exclude_categories
        Only these categories, or all but these.
    no_weights
        Whether to count entries.
    metadata_hist
        Whether it has an entry for each partition, in each of its categories, and not for events.
        One axis is then a number of events of the partition,
        ``Axis("nEvents_after_skim", coll="metadata", ...)``, or ``nEvents_initial`` or
        ``nEvents_after_presel``; partitions without any such event have no entry. Partitions are
        counted, so that `no_weights` is set.
    collapse_2D_masks
        Whether a histogram of values of events may be filled in categories that select objects,
        of which the event then has, as `collapse_2D_masks_mode` says, at least one (``"OR"``), or
        some and no others (``"AND"``).
    collapse_2D_masks_mode
        ``"OR"`` or ``"AND"``.
    if_present
        Whether it is left out where a field of its collections does not exist, instead of an error.

    Raises
    ------
    InputError, InputTypeError
        Options that do not exist or do not fit together.

    Examples
    --------
    >>> HistConf([Axis("mass", bins=100, start=50, stop=150, coll="ll")]).axes[0].title
    'll.mass'
    """

    axes: Sequence[Axis]
    storage: Any = "weight"
    autofill: bool = True
    variations: bool = True
    only_variations: Sequence[str] | None = None
    exclude_samples: Sequence[str] | None = None
    only_samples: Sequence[str] | None = None
    exclude_categories: Sequence[str] | None = None
    only_categories: Sequence[str] | None = None
    no_weights: bool = False
    metadata_hist: bool = False
    collapse_2D_masks: bool = False
    collapse_2D_masks_mode: str = "OR"
    exclude_variations: Sequence[str] | None = None
    if_present: bool = False

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        given: Any = self.axes
        axes: tuple[Any, ...] = (given,) if isinstance(given, Axis) else tuple(given)
        for axis in axes:
            if not isinstance(axis, Axis):
                msg = f"A histogram has axes of class Axis, not {type(axis).__name__}."
                raise InputTypeError(msg)
        if not axes:
            msg = "A histogram has at least one axis: HistConf([Axis(...)])."
            raise InputError(msg)
        object.__setattr__(self, "axes", axes)
        distinct_names(axes, self._what)
        for option in (*_SAMPLE_FILTERS, *_CATEGORY_FILTERS, *_VARIATION_FILTERS):
            if (names := getattr(self, option)) is not None:
                names = names_of(f"{option} of {self._what}", names)
                object.__setattr__(self, option, names)
        object.__setattr__(self, "storage", _storage_name(self.storage))
        object.__setattr__(self, "no_weights", self.no_weights or self.metadata_hist)
        self._check_choice("storage", STORAGES)
        self._check_choice("collapse_2D_masks_mode", MODES)
        if self.storage == "int64" and not self.no_weights:
            msg = f"{self._what} has storage 'int64', which counts entries: set no_weights=True."
            raise InputError(msg)
        if self.metadata_hist and len(self._sizes()) != 1:
            msg = (
                f"{self._what} has metadata_hist, an entry for each partition: one of its axes has "
                f"to be Axis({SIZES[0]!r}, coll={METADATA!r}, ...), or of {' or '.join(SIZES[1:])}."
            )
            raise InputError(msg)
        if not self.metadata_hist and (sizes := self._sizes()):
            msg = f"{self._what} counts partitions by {sizes[0]}: set metadata_hist=True."
            raise InputError(msg)

    def _sizes(self) -> list[str]:
        """The numbers of events of partitions that are axes; none where others are of events."""
        if not all(axis.coll == METADATA for axis in self.axes):
            return []
        return [axis.field for axis in self.axes if axis.field in SIZES]

    @property
    def size(self) -> str:
        """The number of events of partitions that it is filled with, if it `metadata_hist`."""
        return self._sizes()[0]

    # -- where it is filled ------------------------------------------------------------------

    def fills(self, sample: str) -> bool:
        """Whether it is filled by itself for a sample, or a subsample ``sample__subsample``."""
        if not self.autofill:
            return False
        names = {sample, sample.partition("__")[0]}
        if self.only_samples is not None and not names & set(self.only_samples):
            return False
        return not names & set(self.exclude_samples or ())

    def check(
        self,
        name: str,
        *,
        samples: Iterable[str] | None = None,
        categories: Iterable[str] | None = None,
        variations: Iterable[str] | None = None,
    ) -> None:
        """Refuse names that do not exist anywhere in the analysis.

        Parameters
        ----------
        name
            Name of the histogram.
        samples, categories, variations
            All that exist; of variations also the names that stand for several. None: unchecked.

        Raises
        ------
        InputError
            Naming the option and what could have been meant.
        """
        for what, options, known in (
            ("sample", _SAMPLE_FILTERS, samples),
            ("category", _CATEGORY_FILTERS, categories),
            ("variation", _VARIATION_FILTERS, variations),
        ):
            if known is not None:
                there = (*known, NOMINAL) if what == "variation" else tuple(known)
                for option in options:
                    self._check_known(f"Histogram {name!r}: {option}", what, option, there)

    def _check_known(self, where: str, what: str, option: str, known: Sequence[str]) -> None:
        for name in getattr(self, option) or ():
            if name not in known:
                hint, there = did_you_mean(name, known), ", ".join(known) or "none"
                msg = (
                    f"{where} names a {what} {name!r} that there is not.{hint} There are: {there}."
                )
                raise InputError(msg)

    # -- booking -----------------------------------------------------------------------------

    def book(
        self,
        frame: Events,
        *,
        name: str,
        categories: Iterable[str] | None = None,
        sample: str = "",
        variations: Iterable[str] | bool = True,
        groups: Mapping[str, Iterable[str]] | None = None,
        known: Iterable[str] = (),
        object_masks: Mapping[str, ObjectMask] | None = None,
        custom_axes: Iterable[Axis] = (),
        custom: Mapping[str, Any] | None = None,
        custom_weight: Any = None,
        later: dict[str, set[str]] | None = None,
    ) -> Output | Merged | None:
        """Book the histogram.

        Parameters
        ----------
        frame
            The selected events, with their weights, variations and categories.
        name
            Name of the histogram.
        categories
            Those of the frame's categories that may be filled; None: all.
        sample
            Name of the sample, or subsample ``sample__subsample``.
        variations
            Those of the frame's variations (labels, or names of weights and systematics) that may
            be filled; False: none.
        groups
            Labels that other names of variations stand for, such as those of a calibrator; where
            one has none in this frame, names of variations are not checked.
        known
            Names of categories and variations that other frames of the analysis have: the
            histogram may name them.
        object_masks
            For each category that selects objects, which ones; shape ``(events, objects)``. The
            category of the frame is that of events with at least one.
        custom_axes
            Axes before its own.
        custom
            Columns of axes with ``coll="custom"``, by field, and the number of events of the
            partition.
        custom_weight
            A further factor of the weight, shape ``(events,)``.
        later
            Where to note labels of variations that this frame has not, but another may have, by
            `name`; None refuses them.

        Returns
        -------
        Output, Merged or None
            Axes ``dataset``, ``category``, ``variation``, `custom_axes`, its own. None where it is
            not filled: `fills` says no, there is no category of it here, or `if_present` says so.

        Raises
        ------
        ColumnError
            No such collection or field.
        InputError, InputTypeError
            A column that cannot fill its axis, axes of different collections, an unknown category
            or variation, a category of objects that does not go with the axes.
        """
        if not self.fills(sample):
            return None
        with named(name):
            chosen = self._categories(frame, categories, set(known))
            if chosen is not None and not chosen:
                return None
            axes = distinct_names((*custom_axes, *self.axes), self._what)
            if self.if_present and not all(axis.exists(frame) for axis in self.axes):
                return None
            columns = {one.title: one.column(frame, f"axis {one.title!r}", custom) for one in axes}
            objects = _object_collection(axes, columns)
            if custom_weight is not None:
                frame = frame.weight("custom_weight", custom_weight)
            options: dict[str, Any] = {
                "weighted": not self.no_weights,
                "label": name,
                "variations": self._labels(
                    frame,
                    variations,
                    groups or {},
                    set(known),
                    None if later is None else later.setdefault(name, set()),
                ),
            }
            made = [axis.axis(frame) for axis in axes]
            outputs = [
                frame.hist(*made, **options, categories=some, **filled)
                for some, filled in self._fillings(chosen, columns, objects, object_masks or {})
            ]
        return outputs[0] if len(outputs) == 1 else Merged(tuple(outputs))

    def _categories(
        self, frame: Events, given: Iterable[str] | None, known: set[str]
    ) -> Names | None:
        """Categories to fill, in the order of the frame; None where there are none at all."""
        there = frame._state.categories.names
        wanted = there if given is None else names_of("the categories", given)
        for option in _CATEGORY_FILTERS:
            self._check_known(option, "category", option, (*there, *sorted(known)))
        if not there and given is None and self.only_categories is None:
            return None
        only = wanted if self.only_categories is None else self.only_categories
        skipped = () if self.only_categories is not None else self.exclude_categories or ()
        return tuple(one for one in wanted if one in only and one not in skipped)

    def _labels(
        self,
        frame: Events,
        allowed: Iterable[str] | bool,
        groups: Mapping[str, Iterable[str]],
        known: set[str],
        later: set[str] | None,
    ) -> Names:
        """Labels of the variations to fill."""
        if not self.variations or allowed is False:
            return ()
        sets: dict[str, tuple[str, ...]] = {label: (label,) for label in frame.variations}
        declared: tuple[Any, ...] = (*frame._state.factors, *frame._state.systematics)
        for one in declared:
            sets[one.name] = (*sets.get(one.name, ()), *one.labels)
        for group, labels in groups.items():
            here = tuple(label for label in labels if label in frame.variations)
            sets[group] = (*sets.get(group, ()), *here)
        if frame.variations and all(map(tuple, groups.values())):
            # Data has no variations, other samples not all: that needs no other histogram.
            there = (*sets, NOMINAL, *(label for labels in groups.values() for label in labels))
            others = sorted(known - set(frame._state.categories.names))
            elsewhere = (*others, *self._labels_of_others(known))
            choices = tuple(dict.fromkeys((*there, *elsewhere)))
            if later is not None:
                unknown = [label for label in self._labels_named() if label not in choices]
                later |= set(unknown)
                choices += tuple(unknown)
            for option in _VARIATION_FILTERS:
                self._check_known(option, "variation", option, choices)

        def expand(names: Iterable[str]) -> set[str]:
            return {label for name in names for label in sets.get(name, ())}

        keep = set(frame.variations) if allowed is True else expand(allowed)
        if self.only_variations is not None:
            keep &= expand(self.only_variations)
        keep -= expand(self.exclude_variations or ())
        return tuple(label for label in frame.variations if label in keep)

    def _labels_of_others(self, known: set[str]) -> list[str]:
        """The labels it names that can be of a weight or systematic that other frames have."""
        return [label for label in self._labels_named() if any(map(label.startswith, known))]

    def _labels_named(self) -> list[str]:
        return [name for name in self._variations_named() if name.endswith(("Up", "Down"))]

    def _variations_named(self) -> list[str]:
        return [name for option in _VARIATION_FILTERS for name in getattr(self, option) or ()]

    def check_labels(self, name: str, later: set[str], labels: Iterable[str]) -> None:
        """Refuse labels of variations that no frame has.

        Parameters
        ----------
        name
            Name of the histogram.
        later
            What `book` noted under that name.
        labels
            The labels that frames have.

        Raises
        ------
        InputError
            Naming the label.
        """
        checked = (name for name in self._variations_named() if name not in later)
        choices = tuple(dict.fromkeys((*sorted(labels), *checked)))
        for option in _VARIATION_FILTERS:
            self._check_known(f"Histogram {name!r}: {option}", "variation", option, choices)

    def _fillings(
        self,
        categories: Names | None,
        columns: Mapping[str, Any],
        objects: str | None,
        masks: Mapping[str, ObjectMask],
    ) -> Iterator[tuple[Names | None, Mapping[str, Any]]]:
        """Categories that are filled alike, and with what."""
        selecting = [one for one in categories or () if one in masks]
        whole = [one for one in selecting if objects is None and self._collapses(one, masks[one])]
        rest = tuple(one for one in categories or () if one not in selecting or one in whole)
        if categories is None or rest:
            yield None if categories is None else rest, columns
        for one in selecting:
            if one not in whole:
                yield (one,), self._masked(one, columns, objects, ObjectMask(*masks[one]))

    def _collapses(self, category: str, mask: ObjectMask) -> bool:
        """Whether events of a category of objects are filled as they are."""
        if not self.collapse_2D_masks:
            msg = (
                f"category {category!r} selects objects of {mask[0]!r}, and the histogram has one "
                "value an event (with pos=1, the second object whether or not it is selected). "
                "Leave the category out with exclude_categories, or fill the events that have a "
                "selected object with collapse_2D_masks=True (collapse_2D_masks_mode 'OR': at "
                "least one, 'AND': no others)."
            )
            raise InputError(msg)
        return self.collapse_2D_masks_mode == "OR"

    def _masked(
        self, category: str, columns: Mapping[str, Any], objects: str | None, mask: ObjectMask
    ) -> dict[str, Any]:
        """The columns of a category that selects objects."""
        if objects is None:
            every = ak.all(mask.mask, axis=1)
            return {name: ak.mask(column, every) for name, column in columns.items()}
        if objects != mask.collection:
            msg = (
                f"category {category!r} selects objects of {mask.collection!r}, and the histogram "
                f"is of objects of {objects!r}: leave the category out with exclude_categories."
            )
            raise InputError(msg)
        return {
            name: column[mask.mask] if meta_of(column).ndim > 1 else column
            for name, column in columns.items()
        }

    # -- results -----------------------------------------------------------------------------

    def stored(self, filled: hist.Hist[Any]) -> hist.Hist[Any]:
        """A computed histogram in the storage that was asked for."""
        if self.storage == "weight":
            return filled
        kind: Any = hist.storage.Double if self.storage == "double" else hist.storage.Int64
        result: hist.Hist[Any] = hist.Hist(*filled.axes, storage=kind(), label=filled.label)
        values: Any = filled.values(flow=True)
        view: Any = result.view(flow=True)
        view[...] = np.rint(values) if self.storage == "int64" else values
        return result

    def serialize(self) -> dict[str, Any]:
        """All options, as plain values."""
        plain = {option.name: getattr(self, option.name) for option in fields(self)}
        plain = {
            key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()
        }
        return {**plain, "axes": [axis.serialize() for axis in self.axes]}

    @property
    def _what(self) -> str:
        return f"the histogram of {', '.join(axis.title for axis in self.axes)}"

    def _check_choice(self, option: str, choices: Names) -> None:
        given = getattr(self, option)
        if given not in choices:
            hint = did_you_mean(str(given), choices)
            msg = (
                f"{option} of {self._what} is {given!r}.{hint} Choose one of: {', '.join(choices)}."
            )
            raise InputError(msg)


def _storage_name(storage: Any) -> Any:
    """Name of a storage, of one from `hist.storage` too."""
    if isinstance(storage, hist.storage.Storage):
        storage = type(storage).__name__
    return storage.lower() if isinstance(storage, str) else storage


@contextmanager
def named(name: str) -> Iterator[None]:
    """Make errors say which histogram they are about."""
    try:
        yield
    except LazyanaError as error:
        msg = f"Histogram {name!r}: {error}"
        raise type(error)(msg) from error


def _object_collection(axes: Sequence[Axis], columns: Mapping[str, Any]) -> str | None:
    """The collection of which all objects are filled; None where values are one an event."""
    jagged = [axis for axis in axes if meta_of(columns[axis.title]).ndim > 1]
    collections = sorted({axis.coll for axis in jagged} - {EVENTS, CUSTOM, METADATA})
    if len(collections) > 1:
        msg = (
            f"its axes are of all objects of different collections, {', '.join(collections)}: "
            "fill one object of each, with pos=0."
        )
        raise InputError(msg)
    if collections:
        return collections[0]
    return jagged[0].title if jagged else None
