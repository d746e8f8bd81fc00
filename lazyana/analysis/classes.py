"""Classes that configurations list and call by their names: weights, calibrators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from lazyana.errors import InputError, InputTypeError

T = TypeVar("T")


def by_name(classes: Iterable[Any], base: type[T], what: str) -> dict[str, type[T]]:
    """The classes of an analysis by their ``name``, in the order given.

    Parameters
    ----------
    classes
        What a configuration lists.
    base
        What they are subclasses of.
    what
        Word for one of them, for messages.

    Raises
    ------
    InputTypeError
        Something that is no such class.
    InputError
        One without a name, or two of one name.
    """
    found: dict[str, type[T]] = {}
    for one in classes:
        if not (isinstance(one, type) and issubclass(one, base)):
            msg = f"{one!r} is no {what}: give subclasses of {base.__name__}, not their instances."
            raise InputTypeError(msg)
        name = getattr(one, "name", "")
        if not isinstance(name, str) or not name:
            msg = f"{what.capitalize()} {one.__qualname__} has no name: write name = '…' in it."
            raise InputError(msg)
        if name in found:
            both = " and ".join(
                f"{each.__module__}.{each.__qualname__}" for each in (found[name], one)
            )
            msg = (
                f"Two {what}s are called {name!r}: {both}. List each once, under a name of its own."
            )
            raise InputError(msg)
        found[name] = one
    return found
