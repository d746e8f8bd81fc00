"""Calibrators: corrected objects, and what they become under systematic uncertainties."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

from omegaconf import OmegaConf

from lazyana.analysis.classes import by_name
from lazyana.analysis.masks import within
from lazyana.analysis.view import EventsView
from lazyana.errors import InputError, InputTypeError, did_you_mean
from lazyana.frame.events import Events
from lazyana.frame.recording import put_field
from lazyana.sinks.base import NOMINAL

if TYPE_CHECKING:
    from lazyana.analysis.cuts import Context

Columns: TypeAlias = dict[str, Any]

_SIDES = {"Up": "up", "Down": "down"}


class Calibrator:
    """A correction of objects: subclasses say what it changes and how.

    Calibrators are applied one after the other, each to what those before it made. What later ones
    and the analysis make of a varied column is varied too, so that a calibrator computes its own
    variations only.

    Parameters
    ----------
    params
        Parameters of the analysis.
    metadata
        What is known of the datasets: ``year``, ``sample``, ``isMC``, …
    do_variations
        Whether variations are wanted at all.

    Attributes
    ----------
    name
        What configurations call it.
    has_variations
        Whether it varies anything.
    isMC_only
        Whether data go without it.
    calibrated_collections
        The columns it may change: collections, fields (``"Jet.pt"``) or branches.
    """

    name: ClassVar[str]
    has_variations: ClassVar[bool] = False
    isMC_only: ClassVar[bool] = False
    calibrated_collections: Sequence[str] = ()
    _variations: Sequence[str] = ()

    def __init__(
        self,
        params: Any = None,
        metadata: Mapping[str, Any] | None = None,
        do_variations: bool = True,
        **options: Any,
    ) -> None:
        del options
        self.params = OmegaConf.create(params) if isinstance(params, dict) else params
        self.metadata: Mapping[str, Any] = metadata or {}
        self.do_variations = do_variations
        self._variations = list(self._variations)

    def initialize(self, events: Any) -> None:
        """Prepare for some events: e.g. set `_variations`, the labels of their variations.

        Parameters
        ----------
        events
            The events as the calibrators before this one left them.
        """

    @property
    def variations(self) -> tuple[str, ...]:
        """Labels of the variations: ``<systematic>Up`` and ``<systematic>Down``."""
        labels = (label for label in self._variations if label != NOMINAL)
        return tuple(labels) if self.has_variations and self.do_variations else ()

    def calibrate(
        self,
        events: Any,
        orig_colls: Mapping[str, Any],
        variation: str,
        already_applied_calibrators: Sequence[str] | None = None,
    ) -> Columns:
        """The columns in one world. A subclass must say how.

        Parameters
        ----------
        events
            The events as the calibrators before this one left them.
        orig_colls
            The collections as they are in the files.
        variation
            ``"nominal"`` or one of `variations`.
        already_applied_calibrators
            Names of the calibrators before this one.

        Returns
        -------
        dict
            What changes: new values by the name of the column, ``"Jet.pt"`` or ``"Jet"``.
        """
        del events, orig_colls, variation, already_applied_calibrators
        msg = (
            f"Calibrator {type(self).__name__} does not say what it changes: write def calibrate("
            "self, events, orig_colls, variation, already_applied_calibrators=None) that returns "
            "{'Jet.pt': …}."
        )
        raise InputError(msg)


def apply_calibrators(
    frame: Events,
    calibrators: Iterable[type[Calibrator]],
    context: Context,
    wanted_variations: Iterable[str] | None = None,
) -> tuple[Events, dict[str, tuple[str, ...]]]:
    """Calibrate the objects of events and declare their variations.

    Parameters
    ----------
    frame
        The events.
    calibrators
        Classes of the calibrators, in the order they are applied. Data go without those that are of
        simulation only.
    context
        Parameters of the analysis, year, sample and kind of the events.
    wanted_variations
        The variations to declare: names of calibrators, of systematics or labels; None for all.
        Names of things that these events do not have are ignored. Data have no variations.

    Returns
    -------
    events
        The events with calibrated columns, and with the variations.
    labels
        For each calibrator, the labels of the variations that were declared.

    Raises
    ------
    InputError, InputTypeError
        A calibrator that changes a column it does not declare, or other columns in one variation
        than in another, or that has variations and does not say which.
    """
    wanted = None if wanted_variations is None else frozenset(wanted_variations)
    known = by_name(calibrators, Calibrator, "calibrator")
    own = {"year": context.year, "sample": context.sample, "isMC": context.is_mc}
    # Looked up one by one: what differs between datasets is a column.
    metadata: Mapping[str, Any] = ChainMap(own, cast("dict[str, Any]", frame.metadata))
    originals = Originals(frame)
    labels: dict[str, tuple[str, ...]] = dict.fromkeys(known, ())
    applied: tuple[str, ...] = ()
    for name, one in known.items():
        if one.isMC_only and not context.is_mc:
            continue
        varied = context.is_mc and wanted != frozenset()
        calibrator = one(context.params, metadata, do_variations=varied)
        view = EventsView(frame)
        _initialize(calibrator, view)
        shifts = _wanted(calibrator, wanted) if varied else {}
        frame = _calibrated(view.frame, calibrator, originals, applied, shifts)
        labels[name] = tuple(label for shift in shifts.values() for label in shift.values())
        applied = (*applied, name)
    return frame, labels


def _initialize(calibrator: Calibrator, view: EventsView) -> None:
    """Prepare a calibrator, refused where it has variations and forgets to say which."""
    before = calibrator._variations
    with within(f"Calibrator {calibrator.name!r}"):
        calibrator.initialize(view)
    forgotten = calibrator._variations is before and not before
    if forgotten and calibrator.has_variations and calibrator.do_variations:
        msg = (
            f"Calibrator {calibrator.name!r} has variations, but does not say which: set "
            f"self._variations = ['{calibrator.name}Up', '{calibrator.name}Down'] in initialize "
            "([] for events that have none), or has_variations = False in the class."
        )
        raise InputError(msg)


class Originals(Mapping[str, Any]):
    """The collections as they are in the files."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def __getitem__(self, name: str) -> Any:
        """A collection or branch."""
        return self._frame[name]

    def __iter__(self) -> Any:
        """The names."""
        return iter(self._frame.fields)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._frame.fields)


def _calibrated(
    frame: Events,
    calibrator: Calibrator,
    originals: Mapping[str, Any],
    applied: tuple[str, ...],
    shifts: Mapping[str, Mapping[str, str]],
) -> Events:
    """The events after one calibrator, with some of its variations."""
    events = EventsView(frame)

    def columns(variation: str) -> Columns:
        with within(f"Calibrator {calibrator.name!r}"):
            found = calibrator.calibrate(events, originals, variation, applied)
        return _declared(calibrator, variation, found)

    after = _put(frame, columns(NOMINAL))
    for systematic, shift in shifts.items():
        worlds = {side: columns(label) for side, label in shift.items()}
        after = after.vary(systematic, _by_column(calibrator, systematic, worlds))
    return after


def _wanted(calibrator: Calibrator, wanted: frozenset[str] | None) -> dict[str, dict[str, str]]:
    """For each systematic that is wanted, the labels that are, by the name of the shift."""
    found = _systematics(calibrator.variations)
    if wanted is None or calibrator.name in wanted:
        return found
    chosen = {
        systematic: shifts
        if systematic in wanted
        else {side: label for side, label in shifts.items() if label in wanted}
        for systematic, shifts in found.items()
    }
    return {systematic: shifts for systematic, shifts in chosen.items() if shifts}


def _declared(calibrator: Calibrator, variation: str, found: Any) -> Columns:
    """What a calibrator returned, refused where it is not what the class announces."""
    what = f"Calibrator {calibrator.name!r} ({variation})"
    if not isinstance(found, Mapping):
        msg = f"{what} returned a {type(found).__name__}: return {{'Jet.pt': values, …}}."
        raise InputTypeError(msg)
    declared = tuple(calibrator.calibrated_collections)
    for column in found:
        collection = column.partition(".")[0]
        if column not in declared and collection not in declared:
            msg = (
                f"{what} changes {column!r}, which it does not declare."
                f"{did_you_mean(column, declared)} Add it to calibrated_collections, which has: "
                f"{', '.join(declared) or 'nothing'}."
            )
            raise InputError(msg)
    return dict(found)


def _systematics(labels: Iterable[str]) -> dict[str, dict[str, str]]:
    """For each systematic, its labels by the name of the shift."""
    found: dict[str, dict[str, str]] = {}
    for label in labels:
        side = next((end for end in _SIDES if label.endswith(end) and label != end), None)
        if side is None:
            msg = (
                f"A variation is called {label!r}: labels of shape variations end in Up or Down, "
                f"e.g. {label}Up."
            )
            raise InputError(msg)
        found.setdefault(label.removesuffix(side), {})[_SIDES[side]] = label
    return found


def _by_column(
    calibrator: Calibrator, systematic: str, worlds: Mapping[str, Columns]
) -> dict[str | tuple[str, ...], dict[str, Any]]:
    """The shifts of each column, from the columns of each shift."""
    columns: dict[str, None] = {}
    for world in worlds.values():
        columns |= dict.fromkeys(world)
    for shift, world in worlds.items():
        missing = [column for column in columns if column not in world]
        if missing:
            msg = (
                f"Calibrator {calibrator.name!r} does not change {', '.join(missing)} in shift "
                f"{shift!r} of {systematic!r}, but in another: return the same columns in all."
            )
            raise InputError(msg)
    return {column: {shift: world[column] for shift, world in worlds.items()} for column in columns}


def _put(frame: Events, columns: Columns) -> Events:
    """The events with columns replaced."""
    for path, column in columns.items():
        name, _, field = path.partition(".")
        value = put_field(frame[name], field, column) if field else column
        frame = frame.define(**{name: value})
    return frame
