"""The Program: an analysis as data, and how it runs over the events of one partition."""

from __future__ import annotations

import operator
from collections.abc import (
    Callable,
    Collection,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar

from lazyana.data.nanoevents import ReadPlan
from lazyana.errors import LazyanaError, RunError
from lazyana.sinks.base import NOMINAL, Place

SOURCE = "@events"
PLACE = "@place"
_COLLECTIONS = (tuple, list, set, frozenset)
_PLAIN = frozenset((str, int, float, bool, bytes, type(None)))


@dataclass(frozen=True, slots=True)
class Ref:
    """Stands in an argument for the value of another step."""

    key: str


@dataclass(frozen=True)
class Step:
    """One operation: ``key = function(*args, **kwargs)``.

    Attributes
    ----------
    key
        Name of the value it makes.
    function
        What is called.
    args, kwargs
        Arguments; a `Ref` in them, also inside lists, tuples and dicts, is another step's value.
    own_hash
        Hash of it but for the values it takes, once it is known.
    """

    key: str
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    own_hash: ClassVar[bytes | None] = None

    @cached_property
    def refs(self) -> tuple[str, ...]:
        """Keys of the values it takes, each once, in order."""
        return tuple(dict.fromkeys(_refs((*self.args, *self.kwargs.values()))))

    def with_refs(self, names: Mapping[str, str], key: str | None = None) -> Step:
        """The same step taking other values: each key that is in `names` is replaced.

        Parameters
        ----------
        names
            The new key for each.
        key
            Key of the new step, if it is not the same one.
        """
        refs = self.refs
        new = tuple([names.get(ref, ref) for ref in refs])
        if new == refs:
            return self
        swap = {ref: Ref(name) for ref, name in zip(refs, new, strict=True)}
        kwargs = filled(self.kwargs, swap) if self.kwargs else self.kwargs
        step = Step(key or self.key, self.function, filled(self.args, swap), kwargs)
        step.__dict__["refs"] = tuple(dict.fromkeys(new))
        if len(step.refs) == len(refs):
            step.keep_own_hash(self.own_hash)
        return step

    def calling(self, function: Callable[..., Any]) -> Step:
        """The same step with another function."""
        step = Step(self.key, function, self.args, self.kwargs)
        step.__dict__["refs"] = self.refs
        return step

    def keep_own_hash(self, own_hash: bytes | None) -> None:
        """Remember the hash of it but for the values it takes."""
        self.__dict__["own_hash"] = own_hash

    def __getstate__(self) -> dict[str, Any]:
        """Only the fields: what is cached is found again where it is needed."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restore the fields."""
        self.__dict__.update(state)

    @property
    def title(self) -> str:
        """Short readable name, without the token that makes the key unique."""
        head, _, variation = self.key.partition("@")
        name, _, token = head.rpartition("-")
        title = name if name and _is_token(token) else head
        return f"{title}@{variation}" if variation else title


@dataclass(frozen=True)
class Shift:
    """A shape variation: the columns that are replaced in it.

    Attributes
    ----------
    variation
        Its label, e.g. ``"jesUp"``.
    replacements
        For the key of each varied column, the key of the value it has in this variation.
    """

    variation: str
    replacements: Mapping[str, str]


@dataclass(frozen=True)
class Booking:
    """What to keep: a sink and the step that fills it.

    Attributes
    ----------
    output
        Name of the output.
    sink
        The sink.
    keys
        Key of the filling step for each shape variation; at first for nominal only.
    variations
        Shape variations it wants.
    """

    output: str
    sink: Any
    keys: Mapping[str, str]
    variations: tuple[str, ...] = ()

    @property
    def all_keys(self) -> Iterable[str]:
        """Keys of all its filling steps."""
        return self.keys.values()


@dataclass(frozen=True)
class Program:
    """Steps in the order they run, what they read and what is kept.

    Attributes
    ----------
    name
        Name of the group of datasets it is for.
    steps
        The steps; each comes after those it takes values from.
    bookings
        The outputs.
    shifts
        The shape variations declared.
    read
        What is read from each partition; None before `prune` has found out.
    releases
        For each step, the keys of values that are not needed after it; None before `release`.
    """

    name: str
    steps: tuple[Step, ...]
    bookings: tuple[Booking, ...]
    shifts: tuple[Shift, ...] = ()
    read: ReadPlan | None = None
    releases: tuple[tuple[str, ...], ...] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Only the fields: caches are made again where they are needed."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restore the fields."""
        self.__dict__.update(state)

    @cached_property
    def by_key(self) -> Mapping[str, Step]:
        """The steps by key."""
        return {step.key: step for step in self.steps}

    @property
    def outputs(self) -> tuple[str, ...]:
        """Keys of the steps whose values are kept, variation by variation.

        Steps run in an order made from this one: what only one variation needs is made, used
        by all outputs and released before the next variation begins.
        """
        labels = dict.fromkeys(label for booking in self.bookings for label in booking.keys)
        return tuple(
            booking.keys[label]
            for label in labels
            for booking in self.bookings
            if label in booking.keys
        )

    def replace(self, **changes: Any) -> Program:
        """A program with some attributes changed."""
        return replace(self, **changes)

    def run(self, events: Any, place: Place) -> dict[tuple[str, str], Any]:
        """Run the steps on the events of one partition.

        Parameters
        ----------
        events
            NanoEvents, shape ``(events,)``.
        place
            Where they come from.

        Returns
        -------
        dict
            The state of every output, by (output, shape variation).

        Raises
        ------
        RunError
            An exception in a step, naming the step and the events it happened in.
        """
        values: dict[str, Any] = {SOURCE: events, PLACE: place}
        del events  # so that they can go once no step needs them
        kept: dict[str, list[tuple[str, str]]] = {}
        for booking in self.bookings:
            for label, key in booking.keys.items():
                kept.setdefault(key, []).append((booking.output, label))
        states: dict[tuple[str, str], Any] = {}
        releases = self.releases or ((),) * len(self.steps)
        for step, done in zip(self.steps, releases, strict=True):
            value = run_step(step, values, place)
            for place_of_state in kept.get(step.key, ()):
                states[place_of_state] = value
            values[step.key] = value
            del value
            for key in done:
                del values[key]
        return states


def run_step(step: Step, values: Mapping[str, Any], place: Place | None = None) -> Any:
    """Value of one step, given the values it takes.

    Raises
    ------
    RunError
        An exception in the step, unless it is one of ours already.
    """
    args, kwargs = step.args, step.kwargs
    if step.refs:
        mine = {key: values[key] for key in step.refs}
        args, kwargs = filled(args, mine), filled(kwargs, mine)
        del mine
    try:
        return step.function(*args, **kwargs)
    except LazyanaError:
        raise
    except Exception as error:
        where = "" if place is None else f" in entries {place.start}-{place.stop} of {place.file}"
        msg = f"Step {step.title!r} failed{where}: {type(error).__name__}: {error}"
        raise RunError(msg) from error


def ordered(
    steps: Mapping[str, Step], wanted: Iterable[str], known: Container[str] = ()
) -> tuple[Step, ...]:
    """The steps that `wanted` needs and are not `known`, each after those it takes values from."""
    done: dict[str, Step] = {}
    for target in wanted:
        if target in done or target in known or target not in steps:
            continue
        stack = [(target, iter(steps[target].refs))]
        while stack:
            key, children = stack[-1]
            for child in children:
                if child in steps and child not in done and child not in known:
                    stack.append((child, iter(steps[child].refs)))
                    break
            else:
                done[key] = steps[key]
                stack.pop()
    return tuple(done.values())


def worlds(program: Program) -> Mapping[tuple[str, ...], list[Shift]]:
    """The variations that change something, by the filling steps that want them."""
    found: dict[tuple[str, ...], list[Shift]] = {}
    for shift in program.shifts:
        wanted = tuple(
            key
            for booking in program.bookings
            if shift.variation in booking.variations
            for key in booking.all_keys
        )
        if wanted and shift.replacements:
            found.setdefault(wanted, []).append(shift)
    return found


def users_of(steps: Iterable[Step]) -> Mapping[str, Sequence[str]]:
    """For every key, the keys of the steps that take its value, in order."""
    users: dict[str, list[str]] = {}
    for step in steps:
        for key in step.refs:
            users.setdefault(key, []).append(step.key)
    return users


def downstream(users: Mapping[str, Sequence[str]], varied: Collection[str]) -> set[str]:
    """Keys of the steps that depend on varied columns, these themselves left out.

    Parameters
    ----------
    users
        For every key, the keys of the steps that take its value.
    varied
        Keys of the varied columns.
    """
    found: set[str] = set()
    stack = list(varied)
    while stack:
        for user in users.get(stack.pop(), ()):
            if user not in found and user not in varied:
                found.add(user)
                stack.append(user)
    return found


def drop_unused(program: Program) -> Program:
    """Keep the steps that an output needs, nominal or varied, in order.

    A shift keeps only the columns that an output which wants it is made of: varying what nobody
    looks at costs nothing.
    """
    replaced: dict[str, dict[str, str]] = {shift.variation: {} for shift in program.shifts}
    for wanted, shifts in worlds(program).items():
        used = {step.key for step in ordered(program.by_key, wanted)}
        for shift in shifts:
            replaced[shift.variation] |= {
                old: new for old, new in shift.replacements.items() if old in used
            }
    kept = dict.fromkeys(program.outputs)
    kept |= dict.fromkeys(new for pairs in replaced.values() for new in pairs.values())
    return program.replace(
        steps=ordered(program.by_key, kept),
        shifts=tuple(Shift(shift.variation, replaced[shift.variation]) for shift in program.shifts),
    )


def rename(program: Program, names: Mapping[str, str]) -> Program:
    """The program whose bookings and shifts name other steps: the last of a chain of names."""

    def final(key: str) -> str:
        while key in names and names[key] != key:
            key = names[key]
        return key

    def booked() -> Iterator[Booking]:
        for b in program.bookings:
            keys = {label: final(key) for label, key in b.keys.items()}
            yield Booking(b.output, b.sink, keys, b.variations)

    return program.replace(
        bookings=tuple(booked()),
        shifts=tuple(
            Shift(
                shift.variation,
                {final(old): final(new) for old, new in shift.replacements.items()},
            )
            for shift in program.shifts
        ),
    )


def nominal_booking(output: str, sink: Any, key: str, variations: tuple[str, ...]) -> Booking:
    """A booking as it is before variations are written out."""
    return Booking(output, sink, {NOMINAL: key}, variations)


def _refs(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        kind = type(value)
        if kind is Ref:
            yield value.key
        elif kind not in _PLAIN:
            if isinstance(value, _COLLECTIONS):
                yield from _refs(value)
            elif isinstance(value, dict):
                yield from _refs(value.values())


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """`value` with every Ref that is in `values` replaced; what holds none is not copied."""
    kind = type(value)
    if kind is Ref:
        return values.get(value.key, value)
    if kind in _PLAIN:
        return value
    if isinstance(value, _COLLECTIONS):
        items = [filled(item, values) for item in value]
        if all(map(operator.is_, items, value)):
            return value
        return kind(*items) if hasattr(value, "_fields") else kind(items)
    if isinstance(value, dict):
        mapping = {key: filled(item, values) for key, item in value.items()}
        return mapping if any(mapping[key] is not value[key] for key in value) else value
    return value


def _is_token(text: str) -> bool:
    return len(text) >= 8 and all(letter in "0123456789abcdef" for letter in text)
