"""The events as the functions of an analysis see them: a frame that can be assigned to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak

from lazyana.errors import ColumnError, InputTypeError
from lazyana.frame.events import Events


class EventsView:
    """Lazy events that columns can be put into: ``events["MuonGood"] = muons``.

    A workflow holds one. Behind it is a frame, which never changes; putting a column in puts
    another frame behind it. Columns that were taken out before stay what they were.

    Parameters
    ----------
    frame
        The frame to begin with.
    """

    def __init__(self, frame: Events) -> None:
        self.__dict__["frame"] = frame

    frame: Events

    def __getattr__(self, name: str) -> Any:
        """A column: a collection, a branch or what was put in."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, where: Any) -> Any:
        """A column by name; ``nMuon`` is the number of objects of a collection ``Muon``."""
        frame = self.frame
        if isinstance(where, str) and where not in frame.fields:
            collection = where.removeprefix("n")
            if collection != where and collection in frame.fields:
                return ak.num(frame[collection])
        return frame[where]

    def __setitem__(self, where: Any, column: Any) -> None:
        """Put a column in, or a field into a collection: ``events["Jet", "pt"] = ...``."""
        if isinstance(where, tuple) and len(where) == 2:
            name, field = where
            column = ak.with_field(self[name], column, field)
        elif isinstance(where, str):
            name = where
        else:
            msg = f"events[{where!r}] cannot be assigned to: name a column, or one and a field."
            raise InputTypeError(msg)
        self.__dict__["frame"] = self.frame.define(**{name: column})

    def __setattr__(self, name: str, column: Any) -> None:
        """Put a column in."""
        self[name] = column

    def replace(self, frame: Events) -> None:
        """Go on with another frame."""
        self.__dict__["frame"] = frame

    def __contains__(self, name: str) -> bool:
        """Whether there is a column of that name."""
        try:
            self[name]
        except ColumnError:
            return False
        return True

    def __len__(self) -> int:
        """Refused: how many events there are is known after running."""
        return len(self.frame)

    def __bool__(self) -> bool:
        """Events are events, whatever is in them."""
        return True

    def __iter__(self) -> Any:
        """Refused: there are no events in hand."""
        return iter(self.frame)

    def __dir__(self) -> list[str]:
        """The columns."""
        return [name for name in self.fields if name.isidentifier()]

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.frame.fields

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What is known of the datasets."""
        return self.frame.metadata

    def __repr__(self) -> str:
        """That of the frame."""
        return f"<events of {self.frame!r}>"
