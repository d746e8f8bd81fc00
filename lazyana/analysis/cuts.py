"""Cuts: named conditions on events, or on the objects of a collection."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lazyana.analysis.expressions import Expression
from lazyana.analysis.masks import EVENTS, checked_mask, every, within
from lazyana.errors import InputError, InputTypeError
from lazyana.plan.fingerprint import fingerprint

_GIVEN = ("params", "processor_params", "year", "sample", "isMC")


@dataclass(frozen=True, eq=False)
class Context:
    """What cuts are told about the files their events come from.

    Attributes
    ----------
    params
        Parameters of the analysis.
    year
        Data-taking period, e.g. ``"2018"``.
    sample
        Name of the sample.
    is_mc
        Whether the events are simulated.
    """

    params: Any
    year: str
    sample: str
    is_mc: bool


@dataclass(frozen=True, eq=False)
class Cut:
    """A condition with a name.

    Attributes
    ----------
    name
        Name, for cutflows, tables and messages.
    params
        Parameters of the function. They are copied: what happens to the original, or in the
        function, does not change the cut.
    function
        Called as ``function(events, params=..., processor_params=..., year=..., sample=...,
        isMC=...)`` with those of the keywords that it takes. The events are lazy or not; what it
        returns is boolean, shape ``(events,)``, or ``(events, objects)`` for a collection. It may
        also return True or False, for all events.
    collection
        What the condition is about: ``"events"``, or the name of a collection whose objects are
        selected one by one.

    Raises
    ------
    InputError, InputTypeError
        No name, or a function that asks for something cuts are not given.

    Examples
    --------
    >>> import awkward as ak
    >>> two_muons = Cut("two_muons", {"n": 2}, lambda events, params: events.nMuon == params["n"])
    >>> two_muons.mask(ak.Array([{"nMuon": 1}, {"nMuon": 2}]), {}, "2018", "DY", True).tolist()
    [False, True]
    """

    name: str
    params: Any
    function: Callable[..., Any]
    collection: str = EVENTS

    def __post_init__(self) -> None:
        _check_text("The name of a cut", self.name)
        _check_text(f"The collection of cut {self.name!r}", self.collection)
        params = {} if self.params is None else self.params
        if not isinstance(params, Mapping):
            msg = (
                f"The parameters of cut {self.name!r} are a {type(params).__name__}: give a "
                "dictionary, {} for none."
            )
            raise InputTypeError(msg)
        object.__setattr__(self, "params", _copied(params))
        object.__setattr__(self, "_takes", _keywords(self.name, self.function))

    # -- what it is --------------------------------------------------------------------------

    @cached_property
    def content_id(self) -> str:
        """Hash of function, parameters and collection, the same in every process.

        Cuts of equal content have equal masks, whatever they are called. A function that holds
        an object without known content, such as an open file, is equal to itself only.
        """
        try:
            function = fingerprint(self.function)
        except InputTypeError:  # holds something that says nothing of its content
            function = f"{_name_of(self.function)} {id(self.function)}"
        return fingerprint((function, _plain(self.params), self.collection))

    @property
    def id(self) -> str:
        """Name and content, for people to recognise and programs to tell apart."""
        return f"{self.name}__{self.content_id[:16]}"

    def __eq__(self, other: object) -> bool:
        """Whether another cut has the same name and content."""
        return isinstance(other, Cut) and self.id == other.id

    def __hash__(self) -> int:
        """Equal cuts have equal hashes."""
        return hash(self.id)

    def __str__(self) -> str:
        """Name and function."""
        return f"Cut: {self.name}, f:{_name_of(self.function)}"

    def serialize(self, src_code: bool = False) -> dict[str, Any]:
        """The cut as plain data, for the record of a run.

        Parameters
        ----------
        src_code
            Whether to include the source of the function, where there is one.
        """
        function = {
            "name": _name_of(self.function),
            "module": getattr(self.function, "__module__", None),
            "src_file": _source(inspect.getsourcefile, self.function),
            "f_hash": self.content_id,
        }
        if src_code:
            function["src_code"] = _source(inspect.getsource, self.function)
        return {
            "name": self.name,
            "params": _plain(self.params),
            "collection": self.collection,
            "function": function,
            "id": self.id,
        }

    # -- what it selects ---------------------------------------------------------------------

    def mask(self, events: Any, processor_params: Any, year: str, sample: str, isMC: bool) -> Any:
        """Which events, or objects, pass.

        Parameters
        ----------
        events
            Lazy events, or NanoEvents in memory.
        processor_params
            Parameters of the analysis.
        year, sample, isMC
            What the events are.

        Returns
        -------
        Array
            Boolean, shape ``(events,)`` or ``(events, objects)``; what is None does not pass.

        Raises
        ------
        ColumnError, InputError, InputTypeError
            Something that the events do not have, or a result that is no mask; named after the
            cut.
        """
        given: dict[str, Any] = {
            "params": _copied(self.params),
            "processor_params": processor_params,
            "year": year,
            "sample": sample,
            "isMC": isMC,
        }
        takes: tuple[str, ...] = self.__dict__["_takes"]
        with within(f"Cut {self.name!r}"):
            mask = self.function(events, **{name: given[name] for name in takes})
            return checked_mask(mask, events, self.collection)

    def mask_in(self, events: Any, context: Context) -> Any:
        """Which events, or objects, pass: `mask` with what a context says."""
        return self.mask(events, context.params, context.year, context.sample, context.is_mc)

    get_mask = mask


class Masks:
    """Masks of cuts on the same events, each recorded once.

    Parameters
    ----------
    events
        Lazy events, or NanoEvents in memory.
    context
        What they are.
    """

    def __init__(self, events: Any, context: Context) -> None:
        self.events = events
        self.context = context
        self._known: dict[tuple[str, ...], Any] = {}

    def of(self, cut: Cut) -> Any:
        """The mask of a cut, shape ``(events,)`` or ``(events, objects)``."""
        key = (cut.content_id,)
        if key not in self._known:
            self._known[key] = cut.mask_in(self.events, self.context)
        return self._known[key]

    def each_of(self, cuts: Sequence[Cut]) -> list[Any]:
        """The masks of some cuts on events, all of which must hold; one at least."""
        return [self.of(cut) for cut in _distinct(cuts)]

    def all_of(self, cuts: Sequence[Cut]) -> Any:
        """The mask of passing all of some cuts; without cuts, everything passes.

        One cut on the objects of a collection makes it a mask of objects: conditions on events
        then hold for all of their objects.
        """
        # Conditions on events first: what several categories begin with is then shared.
        ordered = sorted(_distinct(cuts), key=lambda cut: cut.collection != EVENTS)
        key: tuple[str, ...] = (ordered[0].content_id,)
        mask = self.of(ordered[0])
        for cut in ordered[1:]:
            key = (*key, cut.content_id)
            if key not in self._known:
                self._known[key] = mask & self.of(cut)
            mask = self._known[key]
        return mask


def _distinct(cuts: Iterable[Cut]) -> list[Cut]:
    """The cuts that make a difference, each once; what lets everything pass where there is none."""
    distinct = {cut.content_id: cut for cut in cuts}
    distinct.pop(passthrough.content_id, None)
    return [*distinct.values()] or [passthrough]


def _by_expression(
    events: Any, params: Mapping[str, Any], year: str, sample: str, isMC: bool
) -> Any:
    constants = {"year": year, "sample": sample, "isMC": isMC}
    return Expression(params["expression"]).mask(events, params["ndim"], constants)


def from_expression(text: str, name: str | None = None, collection: str = EVENTS) -> Cut:
    """A cut written as text.

    Parameters
    ----------
    text
        The condition, e.g. ``"nMuonGood == 2 and MuonGood[:, 0].pt > 25"``; see `Expression`.
    name
        Name of the cut; the text itself by default, with ``÷`` for ``/``.
    collection
        Collection whose objects are selected, e.g. ``"Jet"`` for ``"Jet.pt > 30"``.

    Raises
    ------
    InputError
        Text that is not an expression, with the place in it.
    """
    expression = Expression(text)
    params = {"expression": expression.text, "ndim": 1 if collection == EVENTS else 2}
    # Names of cuts and categories are parts of paths.
    shown = name or expression.text.replace("/", "÷")
    return Cut(shown, params, _by_expression, collection)


def cuts_of(what: str, given: Any) -> tuple[Cut, ...]:
    """The cuts a user gave: a `Cut`, an expression in text, or a list of them.

    Parameters
    ----------
    what
        Where they were given, as messages begin, e.g. ``"skim"`` or ``"Category 'SR'"``.
    given
        What was given; None is no cut.

    Raises
    ------
    InputError, InputTypeError
        Something else, or text that is not an expression.
    """
    if given is None:
        return ()
    if isinstance(given, Cut):
        return (given,)
    if isinstance(given, str):
        with within(what):
            return (from_expression(given),)
    if isinstance(given, Iterable) and not isinstance(given, Mapping | bytes | np.ndarray):
        return tuple(cut for item in given for cut in cuts_of(what, item))
    if callable(given):
        name = _name_of(given)
        call = f"{name}(...)" if name.startswith("get_") else f"Cut({name!r}, {{}}, {name})"
        msg = f"{what} holds the function {name} where a cut is needed: write {call}."
        raise InputTypeError(msg)
    msg = (
        f"{what} holds a {type(given).__name__} ({repr(given)[:60]}): give a Cut, an expression in "
        "text such as 'nMuonGood == 2', or a list of them."
    )
    raise InputTypeError(msg)


# -- helpers -----------------------------------------------------------------------------------


def _check_text(what: str, given: Any) -> None:
    if not isinstance(given, str) or not given:
        msg = f"{what} is {given!r}: give text."
        raise InputTypeError(msg)


def _keywords(name: str, function: Any) -> tuple[str, ...]:
    """Those of the keywords given to cuts that a function takes."""
    if not callable(function):
        msg = f"The function of cut {name!r} is a {type(function).__name__}: give a function."
        raise InputTypeError(msg)
    try:
        parameters = list(inspect.signature(function).parameters.values())[1:]
    except (TypeError, ValueError):  # says nothing of what it takes
        return _GIVEN
    everything = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    asked = set(_GIVEN) if everything else {one.name for one in parameters}
    # What a partial function was given already stays.
    asked -= set(getattr(function, "keywords", ()))
    takes = tuple(name for name in _GIVEN if name in asked)
    for one in parameters:
        needed = one.default is inspect.Parameter.empty
        variable = one.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        if one.name not in _GIVEN and needed and not variable:
            msg = (
                f"The function of cut {name!r} asks for {one.name!r}, which cuts are not given: "
                f"write {_name_of(function)}(events, params, **kwargs). There are: "
                f"{', '.join(_GIVEN)}."
            )
            raise InputError(msg)
    return takes


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _source(look: Callable[[Any], Any], function: Any) -> str | None:
    try:
        found = look(function)
    except (OSError, TypeError):
        return None
    return None if found is None else str(found)


def _copied(value: Any) -> Any:
    """Plain containers copied all the way down; what they hold is the same."""
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(_copied(item) for item in value)
    return value


def _plain(value: Any) -> Any:
    """Parameters as plain data: dictionaries sorted by key, lists."""
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, str | bytes):
        return value
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    return value


def _passthrough(events: Any) -> Any:
    return every(events)


passthrough = Cut("passthrough", {}, _passthrough)
