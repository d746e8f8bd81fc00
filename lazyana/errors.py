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
    here = Path(__file__).parent
    libraries = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
    steps = [(Path(step.filename), step) for step in traceback.extract_tb(error.__traceback__)]
    ours = [number for number, (file, _) in enumerate(steps) if file.is_relative_to(here)]
    for file, step in reversed(steps[ours[0] :] if ours else steps):
        if step.filename[:1] != "<" and not any(map(file.is_relative_to, (here, *libraries))):
            return f"{file}, line {step.lineno}"
    return None
