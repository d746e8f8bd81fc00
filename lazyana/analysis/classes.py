"""Classes that configurations list and call by their names: weights, calibrators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from lazyana.errors import InputError, InputTypeError

T = TypeVar("T")


def check_methods(one: type, base: type, what: str) -> None:
    """Refuse methods that do not take the arguments they are called with.

    Parameters
    ----------
    one
        A class of users.
    base
        Of what it is a subclass.
    what
        What it is called, for messages.

    Raises
    ------
    InputError
        Naming the method, and how to write it.
    """
    for name, method in vars(base).items():
        own = inspect.getattr_static(one, name)
        if name.startswith("_") or own is method:
            continue
        if inspect.isfunction(own) and inspect.isfunction(method):
            given = tuple(inspect.signature(method).parameters)
            check_arguments(own, given, f"Method {name} of {what}")


def check_arguments(function: Callable[..., Any], given: Sequence[str], what: str) -> None:
    """Refuse a function that does not take the arguments it is called with.

    Parameters
    ----------
    function
        A function of users.
    given
        Names of the arguments.
    what
        What it is called, for messages.

    Raises
    ------
    InputError
        Naming it, and the arguments.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # says nothing of what it takes
        return
    try:
        signature.bind(*given)
    except TypeError as error:
        msg = f"{what} cannot be called ({error}): its arguments are ({', '.join(given)})."
        raise InputError(msg) from error


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
        One without a name, two of one name, or a method that takes other arguments.
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
        check_methods(one, base, f"{what} {name!r}")
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
