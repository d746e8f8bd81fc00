"""Expressions in text: conditions on columns, read as a tree and never run as Python."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lazyana.analysis.evaluation import (
    NUMBERS,
    ROOT,
    Evaluation,
    problem_of_depth,
    problem_of_kind,
)
from lazyana.analysis.syntax import Problem, parsed, pointed
from lazyana.analysis.vocabulary import LIBRARIES, boolean, column_like, logic_of, plain
from lazyana.errors import InputTypeError, LazyanaError


@dataclass(frozen=True)
class Expression:
    """An expression on the columns of events.

    It may use columns (``MET.pt``, ``MuonGood.eta``, ``HLT.IsoMu24`` or ``HLT_IsoMu24``), numbers
    of objects (``nMuonGood``), objects by their place (``MuonGood[:, 0].pt``) or by a condition
    (``Jet[Jet.pt > 30]``), comparisons, also chained, and ``in``; ``and``, ``or``, ``not`` or
    ``&``, ``|``, ``~``; arithmetic; functions such as ``abs``, ``sqrt``, ``min``, ``max``,
    ``sum``, ``num``, ``any``, ``all``; distances such as ``a.delta_r(b)``; and ``year``,
    ``sample``, ``isMC``. A condition on an object that is missing does not hold, and neither does
    its negation.

    Attributes
    ----------
    text
        The expression, on one line.

    Raises
    ------
    InputError
        Text that is not an expression of that kind, with the place in it.

    Examples
    --------
    >>> import awkward as ak
    >>> events = ak.Array({"Muon": [[{"pt": 30.0}, {"pt": 20.0}], []], "MET": [40.0, 10.0]})
    >>> Expression("nMuon == 2 and Muon[:, 0].pt > 25").mask(events).tolist()
    [True, False]
    >>> Expression("20 < MET < 50 or all(Muon.pt > 30)").mask(events).tolist()
    [True, True]
    """

    text: str

    def __post_init__(self) -> None:
        text = re.sub(r"\s*\n\s*", " ", _text(self.text).strip())
        object.__setattr__(self, "text", text)
        parsed(text)

    def mask(self, events: Any, ndim: int = 1, constants: Mapping[str, Any] | None = None) -> Any:
        """The condition, for events.

        Parameters
        ----------
        events
            Lazy events, or events in memory.
        ndim
            1 for a condition on events, 2 for one on the objects of a collection.
        constants
            Values of names that are no columns, such as ``year``.

        Returns
        -------
        Array or bool
            Boolean, shape ``(events,)`` or ``(events, objects)``; what is unknown is false. A bool
            where no column is used.

        Raises
        ------
        ColumnError
            A column or field that does not exist.
        InputError, InputTypeError
            Something that cannot be computed, or is not a condition.
        """
        value = self._value(events, constants)
        if not boolean(value):
            raise self._error(problem_of_kind(parsed(self.text), value))
        found = plain(logic_of(value))
        if column_like(found) and found.ndim != ndim:
            raise self._error(problem_of_depth(parsed(self.text), found, ndim))
        return found

    def column(self, events: Any, constants: Mapping[str, Any] | None = None) -> Any:
        """The value of the expression, whatever it is.

        Raises
        ------
        ColumnError, InputError, InputTypeError
            As for `mask`.
        """
        return plain(self._value(events, constants))

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the expression that are no functions: columns and constants, sorted."""
        tree = parsed(self.text)
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        found = {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and id(node) not in called
        }
        return tuple(sorted(found - LIBRARIES - {ROOT}))

    def _value(self, events: Any, constants: Mapping[str, Any] | None) -> Any:
        try:
            return Evaluation(events, {**NUMBERS, **(constants or {})}).value(parsed(self.text))
        except Problem as problem:
            raise self._error(problem) from problem.__cause__

    def _error(self, problem: Problem) -> LazyanaError:
        return problem.kind(pointed(self.text, problem.node, problem.message))


def _text(given: Any) -> str:
    if not isinstance(given, str):
        msg = f"An expression is given as a {type(given).__name__}: give text."
        raise InputTypeError(msg)
    return given
