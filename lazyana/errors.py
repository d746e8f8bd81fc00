"""Everything lazyana raises on purpose.

::

    LazyanaError
    ├── ColumnError          (AttributeError, KeyError)  no such collection, field or branch
    ├── FrameMismatchError   (ValueError)                a column of other events than these
    ├── InputError           (ValueError)                a wrong value
    ├── InputTypeError       (TypeError)                 a value of the wrong kind
    ├── LazyValueError       (TypeError)                 a lazy column used as if it were a number
    ├── FileError            (OSError)                   a file that cannot be used
    ├── OutputExistsError    (FileExistsError)           an output that would be overwritten
    ├── OutputError          (KeyError, IndexError)      an output that is not in a result
    ├── ExecutorError        (ValueError)                no such executor, or it cannot be reached
    └── RunError             (RuntimeError)              something failed in processing events
"""

from __future__ import annotations

import difflib
import re
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path


class LazyanaError(Exception):
    """Base class of all errors raised by lazyana itself."""

    def __str__(self) -> str:
        """The message as written, without the quotes that `KeyError` would add."""
        return Exception.__str__(self)


class ColumnError(LazyanaError, AttributeError, KeyError):
    """A collection, field or branch that does not exist."""


class FrameMismatchError(LazyanaError, ValueError):
    """A column that belongs to other events than the frame it is given to."""


class InputError(LazyanaError, ValueError):
    """A wrong value, found before anything runs."""


class InputTypeError(LazyanaError, TypeError):
    """A value of the wrong kind, found before anything runs."""


class LazyValueError(LazyanaError, TypeError):
    """A lazy column or scalar used where a number is needed."""


class FileError(LazyanaError, OSError):
    """A file that is missing, not readable, or not what it should be."""


class OutputExistsError(LazyanaError, FileExistsError):
    """An output that exists already and would be overwritten."""


class OutputError(LazyanaError, KeyError, IndexError):
    """An output that is not in a result."""


class ExecutorError(LazyanaError, ValueError):
    """An executor that does not exist or cannot be reached."""


class RunError(LazyanaError, RuntimeError):
    """Something went wrong while events were processed."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Suggestion for a misspelt word, as the end of a message.

    Parameters
    ----------
    word
        What was written.
    choices
        What exists.

    Returns
    -------
    str
        ``" Did you mean 'x'?"`` with up to three choices, the closest first, or an empty string
        where nothing is close. Upper and lower case count as the same letter.
    """
    spelt: dict[str, list[str]] = {}
    for name in dict.fromkeys(choices):
        spelt.setdefault(name.lower(), []).append(name)
    near = difflib.get_close_matches(word.lower(), spelt, n=3, cutoff=0.6)
    close = [name for lower in near for name in spelt[lower]][:3]
    if not close:
        return ""
    return " Did you mean " + " or ".join(repr(name) for name in close) + "?"


def type_text(kind: object, longest: int = 80) -> str:
    """The type of an array as a message shows it: without parameters, on one line, not too long.

    Parameters
    ----------
    kind
        The type, e.g. ``array.type``.
    longest
        Number of characters to show at most.
    """
    text = " ".join(re.sub(r"\[parameters=\{.*?\}\]", "", str(kind)).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def place_of(error: BaseException) -> str | None:
    """Where in the code of users an error comes from: the innermost line that we led to.

    Parameters
    ----------
    error
        One that was raised.

    Returns
    -------
    str or None
        ``"workflow.py, line 12"`` with the whole path; None where no such code was running.
    """
    for file, line, kind in reversed(_steps(error)):
        if kind == _USERS:
            return f"{file}, line {line}"
    return None


def is_of_users(error: BaseException) -> bool:
    """Whether an error was raised by code of users that we led to, or by a library for it.

    The object functions (`lazyana.physics`), which users call, count as a library.
    """
    kinds = [kind for _, _, kind in _steps(error)]
    return _USERS in kinds and kinds[-1] != _OURS


_OURS, _USERS, _LIBRARY = "ours", "users", "library"


def _steps(error: BaseException) -> list[tuple[Path, int | None, str]]:
    """File, line and kind of the steps that lead to an error, from our first one on."""
    here = Path(__file__).parent
    installed = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
    called_by_users = here / "physics"  # as the functions of a library are
    steps: list[tuple[Path, int | None, str]] = []
    for step in traceback.extract_tb(error.__traceback__):
        file = Path(step.filename)
        if file.is_relative_to(called_by_users):
            kind = _LIBRARY
        elif file.is_relative_to(here):  # before libraries: installed, we are among them
            kind = _OURS
        elif step.filename[:1] == "<" or any(map(file.is_relative_to, installed)):
            kind = _LIBRARY
        else:
            kind = _USERS
        steps.append((file, step.lineno, kind))
    first = next((number for number, step in enumerate(steps) if step[2] == _OURS), 0)
    return steps[first:]
