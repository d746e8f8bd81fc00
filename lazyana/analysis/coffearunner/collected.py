"""All mistakes of a configuration in one message, as far as they do not follow from each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeAlias

from lazyana.errors import InputError, LazyanaError

HEADING = "The configuration cannot be used:\n- "


@dataclass(frozen=True)
class Keeping:
    """A context that keeps what is wrong inside.

    Attributes
    ----------
    errors
        Where to; None: it is raised.
    """

    errors: list[LazyanaError] | None = None

    def __enter__(self) -> None:
        """Nothing is wrong yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Keep the mistake; the program goes on after the context."""
        if self.errors is None or not isinstance(error, LazyanaError):
            return False
        self.errors.append(error)
        return True


Each: TypeAlias = Callable[[], Keeping]
"""Makes a context for what may be wrong by itself; `Keeping` itself stops at the first."""


@dataclass(frozen=True)
class Collected:
    """Mistakes, kept until all are known."""

    errors: list[LazyanaError] = field(default_factory=list)

    def each(self) -> Keeping:
        """A context: what is wrong inside is kept, and the program goes on after it."""
        return Keeping(self.errors)

    def check(self) -> None:
        """Raise what was kept: one mistake as it is, several as one `InputError`.

        Raises
        ------
        LazyanaError
            Something is wrong.
        """
        lines = dict.fromkeys(
            line for one in self.errors for line in str(one).removeprefix(HEADING).split("\n- ")
        )
        if len(lines) == 1:
            raise self.errors[0]
        if lines:
            raise InputError(HEADING + "\n- ".join(lines))
