"""Spans: what is read of one file at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
        Byte ranges of the branches that the plan reads, from `BasketIndex.select`; ``b""`` where
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
