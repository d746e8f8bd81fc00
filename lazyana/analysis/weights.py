"""Weights of events as classes: what they are called, when they apply, how they vary."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np
from omegaconf import OmegaConf

from lazyana.analysis.classes import check_arguments
from lazyana.analysis.masks import within
from lazyana.analysis.view import EventsView
from lazyana.errors import InputError, InputTypeError, did_you_mean
from lazyana.frame.events import Events
from lazyana.sinks.base import NOMINAL

Column: TypeAlias = Any

_ARGUMENTS = ("params", "metadata", "events", "size", "shape_variation")
"""What the functions of weights are called with."""

_RESERVED = frozenset({"name", "nominal", "up", "down", "nan"})


@dataclass(frozen=True, eq=False)
class WeightData:
    """Values of a weight.

    Attributes
    ----------
    name
        Name of the weight.
    nominal
        Its value: a column of shape ``(events,)``, or a number.
    up, down
        Its values when varied; None for a side that does not exist.
    """

    name: str
    nominal: Column
    up: Column | None = None
    down: Column | None = None

    @property
    def shifts(self) -> dict[str, tuple[Column | None, Column | None]]:
        """Up and down by source; the source without a name is ``""``."""
        varied = self.up is not None or self.down is not None
        return {"": (self.up, self.down)} if varied else {}


@dataclass(frozen=True, eq=False)
class WeightDataMultiVariation:
    """Values of a weight with several sources of uncertainty.

    Attributes
    ----------
    name
        Name of the weight.
    nominal
        Its value: a column of shape ``(events,)``, or a number.
    variations
        Names of the sources.
    up, down
        Its values when each source is varied, in the same order; None for a side that does not
        exist.
    """

    name: str
    nominal: Column
    variations: Sequence[str]
    up: Sequence[Column | None]
    down: Sequence[Column | None]

    def __post_init__(self) -> None:
        if not len(self.variations) == len(self.up) == len(self.down):
            msg = (
                f"Weight {self.name!r} has {len(self.variations)} sources with {len(self.up)} "
                f"values up and {len(self.down)} down: give one of each a source, or None."
            )
            raise InputError(msg)

    @property
    def shifts(self) -> dict[str, tuple[Column | None, Column | None]]:
        """Up and down by source."""
        return dict(zip(self.variations, zip(self.up, self.down, strict=True), strict=True))


Weight: TypeAlias = WeightData | WeightDataMultiVariation


def mapped(function: Callable[[Any], Any], weight: Weight) -> Weight:
    """The weight with what a function makes of each of its values."""
    if isinstance(weight, WeightDataMultiVariation):
        up, down = ([function(value) for value in side] for side in (weight.up, weight.down))
        return replace(weight, nominal=function(weight.nominal), up=up, down=down)
    sides = {name: function(getattr(weight, name)) for name in ("nominal", "up", "down")}
    return replace(weight, **sides)


class WeightWrapper:
    """A weight: subclasses say what it is called and how it is computed.

    A weight is known by its `name` within the analysis that lists its class.

    Parameters
    ----------
    params
        Parameters of the analysis.
    metadata
        What is known of the datasets: ``year``, ``sample``, ``isMC``, ``xsec``, …

    Attributes
    ----------
    name
        What configurations call it.
    has_variations, isMC_only
        Whether it is varied, and whether data go without it.
    variations
        Names of the sources of uncertainty; empty for a plain up and down.
    """

    name: ClassVar[str]
    has_variations: ClassVar[bool] = False
    isMC_only: ClassVar[bool] = True
    variations: Sequence[str] = ()

    def __init__(self, params: Any = None, metadata: Mapping[str, Any] | None = None) -> None:
        self._params = OmegaConf.create(params) if isinstance(params, dict) else params
        self._metadata: Mapping[str, Any] = metadata or {}

    def compute(self, events: Any, size: Any, shape_variation: str) -> Any:
        """The values of the weight. A subclass must say how.

        Parameters
        ----------
        events
            The events, lazy or not.
        size
            Shape of one value an event, for `numpy.ones` and the like: the number of events, or for
            lazy ones ``()``, with which they give a number that holds for every event.
        shape_variation
            ``"nominal"``: what shape variations change is found out from the recording.

        Returns
        -------
        WeightData or WeightDataMultiVariation
            Nominal and varied values.
        """
        del events, size, shape_variation
        msg = (
            f"Weight {type(self).__name__} does not say how it is computed: write "
            "def compute(self, events, size, shape_variation) that returns WeightData."
        )
        raise InputError(msg)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the variations: ``<name>Up`` or ``<name>_<source>Up``, and down."""
        if not self.has_variations:
            return ()
        stems = [f"{self.name}_{source}" for source in self._sources] or [self.name]
        return tuple(f"{stem}{side}" for stem in stems for side in ("Up", "Down"))

    @property
    def _sources(self) -> tuple[str, ...]:
        # Some set the private name, when they know the year.
        return tuple(getattr(self, "_variations", None) or self.variations)


class WeightLambda(WeightWrapper):
    """A weight made of a function."""

    _function: ClassVar[Callable[..., Any]]

    @classmethod
    def wrap_func(
        cls,
        name: str,
        function: Callable[..., Any],
        has_variations: bool = False,
        variations: Sequence[str] | None = None,
        isMC_only: bool = True,
    ) -> type[WeightLambda]:
        """The class of a weight that a function computes.

        Parameters
        ----------
        name
            What configurations call it.
        function
            Called with ``(params, metadata, events, size, shape_variation)``; returns the nominal
            value, ``(nominal, up, down)``, ``(nominal, sources, ups, downs)`` or `WeightData`.
        has_variations, variations, isMC_only
            As of `WeightWrapper`.
        """
        if not callable(cast("Any", function)):
            msg = (
                f"The function of weight {name!r} is a {type(function).__name__}: give a function."
            )
            raise InputTypeError(msg)
        check_arguments(function, _ARGUMENTS, f"The function of weight {name!r}")
        members = {
            "__doc__": getattr(function, "__doc__", None) or f"Weight {name}.",
            "__module__": getattr(function, "__module__", __name__),
            "name": name,
            "_function": staticmethod(function),
            "has_variations": has_variations,
            "variations": tuple(variations or ()),
            "isMC_only": isMC_only,
        }
        return type(name, (cls,), members)

    def compute(self, events: Any, size: Any, shape_variation: str) -> Weight:
        """What the function returns, as `WeightData`."""
        value = type(self)._function(self._params, self._metadata, events, size, shape_variation)
        if isinstance(value, tuple) and len(value) == 3:
            return WeightData(self.name, *value)
        if isinstance(value, tuple) and len(value) == 4:
            return WeightDataMultiVariation(self.name, *value)
        if isinstance(value, tuple):
            msg = (
                f"The function of weight {self.name!r} returned {len(value)} values: return the "
                "nominal one, (nominal, up, down) or (nominal, sources, ups, downs)."
            )
            raise InputTypeError(msg)
        return value if isinstance(value, Weight) else WeightData(self.name, value)


# -- applying weights ----------------------------------------------------------------------------


def compute_weight(weight: WeightWrapper, events: Any, size: Any = ()) -> Weight:
    """The values of a weight, checked.

    Parameters
    ----------
    weight
        The weight.
    events, size
        As of `WeightWrapper.compute`.

    Raises
    ------
    InputTypeError, InputError
        No `WeightData`, that of another weight, or variations other than those declared.
    """
    with within(f"Weight {weight.name!r}"):
        data = weight.compute(events, size, NOMINAL)
    what = f"compute of weight {weight.name!r}"
    if not isinstance(data, Weight):
        msg = (
            f"{what} returned a {type(data).__name__}: return WeightData(name, nominal, up, down)."
        )
        raise InputTypeError(msg)
    if data.name != weight.name:
        msg = f"{what} returned the values of {data.name!r}: write WeightData(name=self.name, …)."
        raise InputError(msg)
    _check_shifts(weight, data, what)
    return data


def apply_weight(events: Events, data: Weight, *, varied: bool = True) -> Events:
    """Multiply the weight of events by the values of a weight.

    Parameters
    ----------
    events
        The events.
    data
        The values.
    varied
        Whether the variations are kept.

    Returns
    -------
    Events
        The events with the weight, and with variations ``<name>Up`` and ``<name>Down``, or
        ``<name>_<source>Up`` and ``<name>_<source>Down``.
    """
    pairs = data.shifts if varied else {}
    shifts: dict[str, Any]
    shifts = {source: (_number(up), _number(down)) for source, (up, down) in pairs.items()}
    up, down = shifts.pop("", (None, None))
    return events.weight(data.name, _number(data.nominal), up, down, **shifts)


def apply_weights(
    events: Events,
    names: Iterable[str],
    known: Mapping[str, type[WeightWrapper]],
    params: Any,
    metadata: Mapping[str, Any],
    *,
    varied: Container[str] = (),
    computed: dict[str, Weight] | None = None,
) -> Events:
    """Multiply the weight of events by several weights, one after the other.

    Parameters
    ----------
    events
        The events.
    names
        Names of the weights. Data go without those that are of simulation only.
    known
        The classes of the weights there are.
    params, metadata
        What the weights are made with.
    varied
        Names of those whose variations are kept. Data have no variations.
    computed
        Weights of the same events that were computed already; those that are now are put in.

    Raises
    ------
    InputError
        A name that is not known.
    """
    computed = {} if computed is None else computed
    for name in names:
        if name not in known:
            hint, there = did_you_mean(name, known), ", ".join(known)
            msg = f"There is no weight {name!r}.{hint} There are: {there or 'none'}."
            raise InputError(msg)
        if known[name].isMC_only and not events.is_mc:
            continue
        if name not in computed:
            computed[name] = compute_weight(known[name](params, metadata), EventsView(events))
        events = apply_weight(events, computed[name], varied=events.is_mc and name in varied)
    return events


def _check_shifts(weight: WeightWrapper, data: Weight, what: str) -> None:
    sources = [source for source in data.shifts if source]
    if data.shifts and not weight.has_variations:
        msg = f"{what} returned variations: write has_variations = True, or leave them out."
        raise InputError(msg)
    if weight.has_variations and not data.shifts:
        msg = f"{what} returned no variations: return them, or write has_variations = False."
        raise InputError(msg)
    declared = weight._sources
    unknown = [source for source in sources if declared and source not in declared]
    if unknown:
        hint = did_you_mean(unknown[0], declared)
        msg = (
            f"{what} returned source {unknown[0]!r}, which it does not declare.{hint} "
            f"Declared are: {', '.join(declared)}."
        )
        raise InputError(msg)
    odd = [source for source in sources if source in _RESERVED]
    if odd:
        msg = f"A source of weight {weight.name!r} cannot be called {odd[0]!r}: rename it."
        raise InputError(msg)


def _number(value: Any) -> Any:
    """A column or number; what numpy makes of ``size=()`` is a number."""
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
