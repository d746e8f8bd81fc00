"""Categories: selections of events with names, listed one by one or as products of binnings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from lazyana.analysis.cuts import Context, Cut, Masks, cuts_of, passthrough
from lazyana.analysis.masks import EVENTS, within
from lazyana.errors import InputError, InputTypeError, did_you_mean
from lazyana.frame.checks import check_name, unique

BASELINE = "baseline"


class Selection(ABC):
    """Categories by name, each the AND of some cuts."""

    @property
    @abstractmethod
    def categories(self) -> Mapping[str, tuple[Cut, ...]]:
        """The cuts of each category, all of which must hold, in order."""

    @abstractmethod
    def for_frame(
        self, events: Any, context: Context, recorded: Masks | None = None
    ) -> dict[str, Any]:
        """The masks as `lazyana.Events.categories` takes them; arguments as for `masks`.

        Raises
        ------
        InputError
            A category that selects objects.
        """

    @abstractmethod
    def serialize(self) -> dict[str, Any]:
        """The selection as plain data, for the record of a run."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the categories, in order."""
        return tuple(self.categories)

    def keys(self) -> list[str]:
        """Names of the categories, in order."""
        return list(self.categories)

    def items(self) -> list[tuple[str, tuple[Cut, ...]]]:
        """Names and cuts of the categories, in order."""
        return list(self.categories.items())

    def cuts(self, category: str) -> tuple[Cut, ...]:
        """The cuts of a category, all of which must hold.

        Raises
        ------
        InputError
            No category of that name.
        """
        if category not in self.categories:
            msg = (
                f"There is no category {category!r}.{did_you_mean(category, self.names)} There "
                f"are: {', '.join(self.names)}."
            )
            raise InputError(msg)
        return self.categories[category]

    def collection(self, category: str) -> str:
        """What a category selects: ``"events"``, or the objects of a collection."""
        return _collection(f"Category {category!r}", self.cuts(category))

    @property
    def collections(self) -> tuple[str, ...]:
        """Collections whose objects are selected by some category, sorted."""
        return tuple(sorted({self.collection(name) for name in self.names} - {EVENTS}))

    @property
    def is_multidim(self) -> bool:
        """Whether some category selects objects rather than events."""
        return bool(self.collections)

    def masks(self, events: Any, context: Context, recorded: Masks | None = None) -> dict[str, Any]:
        """The mask of each category; each distinct cut is recorded once.

        Parameters
        ----------
        events
            Lazy events, or NanoEvents in memory.
        context
            What they are.
        recorded
            Masks of cuts on the same events that were asked for before, to share.

        Returns
        -------
        dict
            Boolean masks by category, shape ``(events,)``, or ``(events, objects)`` where a cut
            is about the objects of a collection.

        Raises
        ------
        ColumnError, InputError, InputTypeError
            As for `Cut.mask`, naming category and cut.
        """
        recorded = recorded or Masks(events, context)
        return {name: self.mask(name, events, context, recorded) for name in self.names}

    def mask(
        self, category: str, events: Any, context: Context, recorded: Masks | None = None
    ) -> Any:
        """The mask of one category; see `masks`."""
        recorded = recorded or Masks(events, context)
        return _named_mask(f"Category {category!r}", self.cuts(category), recorded)

    def event_masks(self, category: str, recorded: Masks) -> list[Any]:
        """The masks of the cuts of a category on events, all of which must hold."""
        with within(f"Category {category!r}"):
            return recorded.each_of(self.cuts(category))

    def __iter__(self) -> Iterator[str]:
        """The names of the categories."""
        return iter(self.names)

    def __len__(self) -> int:
        """Number of categories."""
        return len(self.categories)

    def __contains__(self, name: object) -> bool:
        """Whether there is a category of that name."""
        return name in self.categories

    def __repr__(self) -> str:
        """Names and number."""
        more = ", …" if len(self) > 12 else ""
        shown = ", ".join(self.names[:12])
        return f"{type(self).__name__}({shown}{more}; {len(self)} categories)"

    def _only_events(self) -> None:
        for name in self.names:
            collection = self.collection(name)
            if collection != EVENTS:
                msg = (
                    f"Category {name!r} selects objects of {collection}, not events: make its "
                    "cuts conditions on events, e.g. with ak.any(mask, axis=1)."
                )
                raise InputError(msg)


class StandardSelection(Selection):
    """Categories listed one by one.

    Parameters
    ----------
    categories
        The cuts of each category, by its name: a `Cut`, an expression in text, or a list of them,
        all of which must hold.

    Raises
    ------
    InputError, InputTypeError
        A name that categories cannot have, something that is no cut, or a category with cuts on
        the objects of two collections.

    Examples
    --------
    >>> StandardSelection({"2mu": "nMuonGood == 2", "all": [passthrough]})
    StandardSelection(2mu, all; 2 categories)
    """

    def __init__(self, categories: Any) -> None:
        if not isinstance(categories, Mapping):
            msg = (
                f"Categories are a {type(categories).__name__}: give {{name: [cuts]}}, "
                "a StandardSelection or a CartesianSelection."
            )
            raise InputTypeError(msg)
        self._categories: dict[str, tuple[Cut, ...]] = {}
        for name, cuts in categories.items():
            check_name("category", name)
            what = f"Category {name!r}"
            self._categories[name] = cuts_of(what, cuts) or (passthrough,)
            _collection(what, self._categories[name])

    @property
    def categories(self) -> Mapping[str, tuple[Cut, ...]]:
        """The cuts of each category, all of which must hold, in order."""
        return self._categories

    def for_frame(
        self, events: Any, context: Context, recorded: Masks | None = None
    ) -> dict[str, Any]:
        """The masks as `lazyana.Events.categories` takes them; arguments as for `masks`.

        Raises
        ------
        InputError
            A category that selects objects.
        """
        self._only_events()
        recorded = recorded or Masks(events, context)
        return {name: self.event_masks(name, recorded) for name in self.names}

    def serialize(self) -> dict[str, Any]:
        """The selection as plain data, for the record of a run."""
        cuts = {name: [cut.serialize() for cut in cuts] for name, cuts in self.items()}
        return {"type": "StandardSelection", "categories": cuts, **_kind(self.collections)}


@dataclass(frozen=True, eq=False, repr=False)
class MultiCut:
    """A binning: cuts that split events along one axis. They may overlap and need not cover all.

    Attributes
    ----------
    name
        Name of the axis.
    cuts
        The bins, each a `Cut`, an expression in text, or a list of them that must all hold; kept
        as tuples of cuts.
    cuts_names
        Names of the bins; those of the cuts by default.

    Raises
    ------
    InputError, InputTypeError
        Not one name for each bin, a name twice, no bins, something that is no cut.

    Examples
    --------
    >>> MultiCut("njets", ["nJetGood == 4", "nJetGood >= 5"], ["4j", "5j"]).cuts_names
    ('4j', '5j')
    """

    name: str
    cuts: Any
    cuts_names: Any = None

    def __post_init__(self) -> None:
        check_name("MultiCut", self.name)
        what = f"MultiCut {self.name!r}"
        if isinstance(self.cuts, str) or not isinstance(self.cuts, Sequence):
            msg = f"The cuts of {what} are a {type(self.cuts).__name__}: give a list."
            raise InputTypeError(msg)
        bins = tuple(cuts_of(what, cut) or (passthrough,) for cut in self.cuts)
        if not bins:
            msg = f"{what} has no cuts: give at least one."
            raise InputError(msg)
        if isinstance(self.cuts_names, str):
            msg = f"The names of the cuts of {what} are {self.cuts_names!r}: give a list."
            raise InputTypeError(msg)
        names = tuple(self.cuts_names or ("_".join(cut.name for cut in cuts) for cuts in bins))
        if len(names) != len(bins):
            msg = (
                f"{what} has {len(bins)} cuts and {len(names)} names ({', '.join(map(str, names))})"
                ": give one name for each cut."
            )
            raise InputError(msg)
        with within(what):
            for name in names:
                check_name("bin", name)
            unique("bin", names)
        for name, cuts in zip(names, bins, strict=True):
            _collection(f"{what}, bin {name!r}", cuts)
        object.__setattr__(self, "cuts", bins)
        object.__setattr__(self, "cuts_names", names)

    @property
    def bins(self) -> dict[str, tuple[Cut, ...]]:
        """The cuts of each bin by its name."""
        return dict(zip(self.cuts_names, self.cuts, strict=True))

    @property
    def ncuts(self) -> int:
        """Number of bins."""
        return len(self.cuts)

    @property
    def collections(self) -> tuple[str, ...]:
        """Collections whose objects are selected by some bin, sorted."""
        return tuple(sorted({cut.collection for cuts in self.cuts for cut in cuts} - {EVENTS}))

    @property
    def is_multidim(self) -> bool:
        """Whether some bin selects objects rather than events."""
        return bool(self.collections)

    def serialize(self) -> dict[str, Any]:
        """The binning as plain data, for the record of a run."""
        return {
            "type": "multicut",
            "name": self.name,
            "cuts": {name: [cut.serialize() for cut in cuts] for name, cuts in self.bins.items()},
            **_kind(self.collections),
        }

    def __repr__(self) -> str:
        """Name and bins."""
        return f"MultiCut({self.name}: {', '.join(self.bins)})"


class CartesianSelection(Selection):
    """All combinations of the bins of several binnings, and categories besides.

    The category of the bins ``4j`` and ``2b`` is called ``4j_2b``. There may be any number of
    cuts.

    Parameters
    ----------
    multicuts
        The binnings, a list of `MultiCut`.
    common_cats
        Categories that are not split: a `StandardSelection` or what makes one. They come first.

    Raises
    ------
    InputError, InputTypeError
        Two categories or binnings of the same name, something that is no binning, a combination
        of bins that select objects of different collections.
    """

    def __init__(self, multicuts: Any, common_cats: Any = None) -> None:
        given = [multicuts] if isinstance(multicuts, MultiCut) else multicuts
        if not isinstance(given, Sequence) or not all(isinstance(one, MultiCut) for one in given):
            msg = "A CartesianSelection takes a list of MultiCut(name, cuts, cuts_names)."
            raise InputTypeError(msg)
        if not given:
            msg = "A CartesianSelection without binnings: give MultiCuts, or a StandardSelection."
            raise InputError(msg)
        self.multicuts: tuple[MultiCut, ...] = tuple(given)
        common = common_cats
        if not isinstance(common, StandardSelection):
            common = StandardSelection(common or {})
        self.common_cats: StandardSelection = common
        combined = [
            ("_".join(label for label, _ in bins), tuple(cut for _, cuts in bins for cut in cuts))
            for bins in product(*(one.bins.items() for one in given))
        ]
        with within("CartesianSelection"):
            unique("MultiCut", (one.name for one in given))
            unique("category", (*common.names, *(name for name, _ in combined)))
            for name, cuts in combined:
                _collection(f"Category {name!r}", cuts)
        self._categories = {**common.categories, **dict(combined)}

    @property
    def categories(self) -> Mapping[str, tuple[Cut, ...]]:
        """The cuts of each category, all of which must hold, in order."""
        return self._categories

    def for_frame(
        self, events: Any, context: Context, recorded: Masks | None = None
    ) -> dict[str, Any]:
        """The masks as `lazyana.Events.categories` takes them; arguments as for `masks`.

        The bins are declared, not their combinations, which are then made when filling.

        Raises
        ------
        InputError
            A category that selects objects.
        """
        self._only_events()
        recorded = recorded or Masks(events, context)
        declared = self.common_cats.for_frame(events, context, recorded)
        for one in self.multicuts:
            axis = one.name
            while axis in declared:
                axis += " axis"
            declared[axis] = {
                label: _named_mask(f"MultiCut {one.name!r}, bin {label!r}", cuts, recorded)
                for label, cuts in one.bins.items()
            }
        return declared

    def serialize(self) -> dict[str, Any]:
        """The selection as plain data, for the record of a run."""
        return {
            "type": "CartesianSelection",
            "multicuts": [one.serialize() for one in self.multicuts],
            "common_cats": self.common_cats.serialize(),
            **_kind(self.collections),
        }


def selection_of(what: str, given: Any) -> Selection:
    """The categories a user gave.

    Parameters
    ----------
    what
        Where they were given, as messages begin, e.g. ``"categories"``.
    given
        A selection, a binning, or a dictionary of cuts by category. None or an empty dictionary
        is one category ``baseline`` of all events.

    Raises
    ------
    InputError, InputTypeError
        Something that is no selection.
    """
    if isinstance(given, Selection):
        return given
    with within(what):
        if isinstance(given, MultiCut):
            return CartesianSelection([given])
        if given is None or given == {}:
            return StandardSelection({BASELINE: (passthrough,)})
        return StandardSelection(given)


# -- helpers -----------------------------------------------------------------------------------


def _named_mask(what: str, cuts: Sequence[Cut], recorded: Masks) -> Any:
    with within(what):
        return recorded.all_of(cuts)


def _collection(what: str, cuts: Sequence[Cut]) -> str:
    """What cuts select together: events, or the objects of one collection."""
    found = {cut.collection: cut.name for cut in cuts if cut.collection != EVENTS}
    if len(found) > 1:
        shown = ", ".join(f"{name} ({collection})" for collection, name in found.items())
        msg = (
            f"{what} has cuts on the objects of different collections: {shown}. Objects of one "
            "collection can be selected; make the others cuts on events, e.g. with "
            "ak.any(mask, axis=1)."
        )
        raise InputError(msg)
    return next(iter(found), EVENTS)


def _kind(collections: Sequence[str]) -> dict[str, Any]:
    only = collections[0] if len(collections) == 1 else list(collections) or None
    return {"is_multidim": bool(collections), "multidim_collection": only}
