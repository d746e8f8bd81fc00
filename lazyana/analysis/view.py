"""The events as the functions of an analysis see them: a frame that can be assigned to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import dask_awkward as dak
import numpy as np

from lazyana.analysis.masks import one_an_event
from lazyana.data.guards import plain
from lazyana.errors import ColumnError, InputTypeError
from lazyana.frame.events import Events

_NO_NUMBER = (
    "How many events there are is known after running. A column of ones is "
    "ak.ones_like(events.event, dtype=float), or np.ones(size) in a weight; a column of False is "
    "ak.zeros_like(events.event, dtype=bool). Functions of awkward take columns, such as "
    "events.Jet, instead of the events as a whole; events['name'] = column puts one in."
)


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
        """A column by name; ``nMuon`` is the number of objects of a collection ``Muon``.

        With ``ak.mask(mask, mask)`` instead of a name: the events, of which those that fail are
        None in every column.
        """
        frame = self.frame
        if isinstance(where, dak.Array):
            return MaskedEvents(self, where)
        if isinstance(where, str) and where not in frame.fields:
            collection = where.removeprefix("n")
            if collection != where and collection in frame.fields:
                return ak.num(frame[collection])
        return frame[where]

    def __setitem__(self, where: Any, column: Any) -> None:
        """Put a column in, or a field into a collection: ``events["Jet", "pt"] = ...``.

        A number is that of every event, or of every object.
        """
        if isinstance(where, tuple) and len(where) == 2:
            name, field = where
            column = ak.with_field(self[name], column, field)
        elif isinstance(where, str):
            name = where
        else:
            msg = f"events[{where!r}] cannot be assigned to: name a column, or one and a field."
            raise InputTypeError(msg)
        column = plain(column)
        if isinstance(column, bool | int | float | np.number | np.bool_):
            kind = np.asarray(column).dtype
            events = ak.without_parameters(one_an_event(self.frame))
            column = ak.full_like(events, column, dtype=kind)
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
        raise InputTypeError(_NO_NUMBER)

    def __bool__(self) -> bool:
        """Events are events, whatever is in them."""
        return True

    def __iter__(self) -> Any:
        """Refused: there are no events in hand."""
        return iter(self.frame)

    def __awkward_function__(
        self, function: Any, arrays: Any, given: tuple[Any, ...], options: Mapping[str, Any]
    ) -> Any:
        """``ak.fields(events)``; other functions take a column, not all of them."""
        del arrays, given, options
        if function is ak.fields:
            return list(self.fields)
        # Awkward asks for the length of what it shows in an error: that would be the error then.
        raise InputTypeError(_NO_NUMBER)

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

    @property
    def behavior(self) -> Mapping[Any, Any]:
        """Methods of records by name, for ``ak.zip(..., behavior=events.behavior)``."""
        behavior: Mapping[Any, Any] = self.frame[self.fields[0]].behavior
        return behavior

    def __repr__(self) -> str:
        """That of the frame."""
        return f"<events of {self.frame!r}>"


class MaskedEvents:
    """Lazy events of which some are None: ``events[ak.mask(mask, mask)]``.

    Every column has as many entries as before, so that what is computed of them can be a cut or be
    put in: ``ak.fill_none(column, value)`` makes it whole.

    Parameters
    ----------
    view
        The events.
    mask
        Which events are kept, shape ``(events,)``: true or None.

    Raises
    ------
    InputTypeError
        When the mask would take events away, as one of plain booleans does.
    """

    def __init__(self, view: EventsView, mask: dak.Array) -> None:
        if not mask._meta.layout.is_option:
            msg = (
                "events[mask] would take events away, which only cuts do: put the mask into skim, "
                "preselections or categories. ak.mask(events.Jet, mask) keeps all events, with "
                "None for those that fail; events[ak.mask(mask, mask)] does so for every column."
            )
            raise InputTypeError(msg)
        self._view = view
        self._mask = ak.fill_none(mask, False)

    def __getattr__(self, name: str) -> Any:
        """A column, None where the mask does not hold."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, where: Any) -> Any:
        """A column by name, None where the mask does not hold."""
        return ak.mask(self._view[where], self._mask)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self._view.fields
