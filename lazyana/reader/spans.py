"""Spans: what is read of one file at a time, and what reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import awkward as ak

from lazyana.options import ReadOptions

Note = Callable[[str], None]
"""Told the name of each branch that uproot had to read."""


@dataclass(frozen=True, slots=True)
class Span:
    """An entry range of one file, and how to read it.

    Attributes
    ----------
    urls
        Where the file is: the first one is its name, the others are tried when that fails.
    tree, format, uuid
        The tree, how it is stored, and the identity the file's content must still have.
    start, stop
        First entry, and one past the last.
    signature
        Layout of the file.
    file_bytes
        Size that the file must still have; 0 where it is not known.
    baskets
        Byte ranges of the branches that the plan reads, from `BasketIndex.split`; ``b""`` where
        there is no index.
    """

    urls: tuple[str, ...]
    tree: str
    format: str
    uuid: str
    start: int
    stop: int
    signature: str
    file_bytes: int = 0
    baskets: bytes = b""

    def __reduce__(self) -> Any:
        """Travel without the names of the fields: there are as many spans as tasks."""
        return Span, (
            self.urls,
            self.tree,
            self.format,
            self.uuid,
            self.start,
            self.stop,
            self.signature,
            self.file_bytes,
            self.baskets,
        )

    @property
    def url(self) -> str:
        """Name of the file."""
        return self.urls[0]

    @property
    def entries(self) -> int:
        """Number of events."""
        return self.stop - self.start

    @property
    def where(self) -> str:
        """The entries, for messages."""
        return f"entries {self.start}-{self.stop} of {self.url}"


class Reader(Protocol):
    """Reads branches of a span, of files in one format."""

    def __call__(
        self,
        url: str,
        span: Span,
        names: Iterable[str],
        planned: Sequence[str],
        options: ReadOptions,
        note: Note,
    ) -> dict[str, ak.contents.Content]:
        """Some branches of a span.

        Parameters
        ----------
        url
            Which of the places of the file.
        span
            Which entries.
        names
            The branches.
        planned
            The branches that the plan reads, as `Span.baskets` counts them. Formats without a
            basket index find in the file itself where its data are.
        options
            How to read.
        note
            Called with each branch that uproot had to read.

        Returns
        -------
        dict
            Arrays of shape ``(events, ...)``, by name.

        Raises
        ------
        FileError
            A file that was replaced or is damaged, naming it and the branch; in parquet also a
            column without a value for some event.
        OSError
            What the file system or server says.
        """
