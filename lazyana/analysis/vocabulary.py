"""The words of expressions in text: conditions, operators, functions and methods."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import InputError, InputTypeError, type_text
from lazyana.physics.positions import at_position

Value = Any


@dataclass(frozen=True, eq=False)
class Logic:
    """A condition that is unknown where an object is missing.

    Neither it nor its negation holds there, so that ``not (MuonGood[:, 0].pt > 25)`` is about
    events that have a muon; ``or`` holds if one side does, whatever the other is about.

    Attributes
    ----------
    holds, fails
        Give the boolean column that is true where the condition holds, or where it does not.
    """

    holds: Callable[[], Value]
    fails: Callable[[], Value]

    @classmethod
    def of(cls, column: Value) -> Logic:
        """The condition that a boolean column is, None being unknown."""
        return cls(lambda: _known(column), lambda: _known(_negated(column)))

    def negated(self) -> Logic:
        """The opposite."""
        return Logic(self.fails, self.holds)

    def both(self, other: Logic) -> Logic:
        """Both hold."""
        return Logic(
            lambda: self.holds() & other.holds(),
            lambda: self.fails() | other.fails(),
        )

    def either(self, other: Logic) -> Logic:
        """One of them holds, or both."""
        return Logic(
            lambda: self.holds() | other.holds(),
            lambda: self.fails() & other.fails(),
        )

    def differs(self, other: Logic) -> Logic:
        """One of them holds and the other does not."""
        return self.both(other.negated()).either(self.negated().both(other))


def column_like(value: Value) -> bool:
    """Whether a value is an array, lazy or in memory."""
    try:
        return value.layout is not None and value.ndim > 0
    except (AttributeError, TypeError):  # lazy scalars have these attributes, and refuse to say
        return False


def boolean(value: Value) -> bool:
    """Whether a value is a condition, or can be read as one."""
    if isinstance(value, Logic | bool | np.bool_):
        return True
    return column_like(value) and not ak.fields(value) and _dtype(value) == np.dtype(bool)


def logic_of(value: Value) -> Logic:
    """A boolean value as a condition."""
    return value if isinstance(value, Logic) else Logic.of(value)


def plain(value: Value) -> Value:
    """A value as operators take it: a condition as a boolean column, unknown being false."""
    return value.holds() if isinstance(value, Logic) else value


def number(value: Value) -> Value:
    """A value as arithmetic takes it: true counts as 1, so that conditions can be added up.

    Raises
    ------
    InputTypeError
        A record.
    """
    value = plain(value)
    refuse_record(value)
    if column_like(value) and boolean(value):
        return ak.values_astype(value, np.int64)
    return int(value) if isinstance(value, bool | np.bool_) else value


def any_records(*values: Value) -> bool:
    """Whether there are objects with fields among some values."""
    return any(column_like(value) and bool(ak.fields(value)) for value in values)


def refuse_record(value: Value) -> None:
    """Refuse objects where their numbers are needed.

    Raises
    ------
    InputTypeError
        Naming some of their fields.
    """
    if any_records(value):
        fields = ", ".join(sorted(ak.fields(value))[:6])
        msg = f"This is a record with fields {fields}, …: name one of them"
        raise InputTypeError(msg)


def kind_of(value: Value) -> str:
    """How to call what a value is in a message."""
    if column_like(value):
        return type_text(value.type).partition(" * ")[2] or type_text(value.type)
    return f"the text {value!r}" if isinstance(value, str) else f"the number {value!r}"


def need_objects(value: Value, what: str) -> None:
    """Refuse what has not several values an event.

    Raises
    ------
    InputTypeError
        Saying what there is.
    """
    if not column_like(value):
        msg = f"{what} needs a column, and this is {kind_of(value)}"
        raise InputTypeError(msg)
    if value.ndim < 2:
        msg = f"{what} needs several values an event, and this has one ({kind_of(value)})"
        raise InputTypeError(msg)


# -- operators ---------------------------------------------------------------------------------


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, int) and isinstance(exponent, int):
        small = exponent >= 0 and base.bit_length() * exponent <= 64
        return base**exponent if small else float(base) ** exponent
    return base**exponent


OPERATORS: Mapping[type[ast.AST], Callable[[Value, Value], Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
BITWISE: Mapping[type[ast.AST], Callable[[Value, Value], Value]] = {
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
LOGICAL: Mapping[type[ast.AST], Callable[[Logic, Logic], Logic]] = {
    ast.BitAnd: Logic.both,
    ast.BitOr: Logic.either,
    ast.BitXor: Logic.differs,
    ast.And: Logic.both,
    ast.Or: Logic.either,
}
COMPARISONS: Mapping[type[ast.AST], Callable[[Value, Value], Value]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


# -- functions ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Function:
    """A function that expressions may call.

    Attributes
    ----------
    call
        What it does with its values; those that work along the objects of an event also take the
        axis.
    least, most
        How many values it takes; None for any number.
    along_axis
        Whether it works along the objects of an event.
    """

    call: Callable[..., Value]
    least: int = 1
    most: int | None = 1
    along_axis: bool = False


def _elementwise(ufunc: Any) -> Function:
    def call(*values: Value) -> Value:
        return ufunc(*map(number, values))

    return Function(call, ufunc.nin, ufunc.nin)


def _extreme(name: str, reducer: Any, ufunc: Any) -> Function:
    def call(*values: Value, axis: int) -> Value:
        numbers = list(map(number, values))
        if len(numbers) > 1:
            return reduce(ufunc, numbers)
        need_objects(numbers[0], f"{name}(x)")
        return reducer(numbers[0], axis=axis)

    return Function(call, 1, None, along_axis=True)


def _summed(value: Value, axis: int) -> Value:
    value = plain(value)
    need_objects(value, "sum(x)")
    refuse_record(value)
    return ak.sum(value, axis=axis)


def _quantified(name: str, holding: Any, failing: Any) -> Function:
    """For some or for all objects: unknown where the objects that are unknown would decide."""

    def call(value: Value, axis: int) -> Logic:
        if not boolean(value):
            msg = f"{name}(x) needs a condition, and this is {kind_of(value)}: compare it"
            raise InputTypeError(msg)
        logic = logic_of(value)
        holds = logic.holds()
        need_objects(holds, f"{name}(x)")
        return Logic(
            lambda: _known(holding(holds, axis=axis)),
            lambda: _known(failing(logic.fails(), axis=axis)),
        )

    return Function(call, along_axis=True)


def _counting(name: str) -> Function:
    def call(value: Value, axis: int) -> Value:
        if boolean(value):
            msg = (
                f"{name}(x) counts objects whether or not the condition holds for them: write "
                "sum(x) for the number of those it holds for"
            )
            raise InputError(msg)
        need_objects(value, f"{name}(x)")
        if name == "num" or ak.fields(value):
            return ak.num(value, axis=axis)
        return ak.count(value, axis=axis)

    return Function(call, along_axis=True)


def _first(value: Value) -> Value:
    value = plain(value)
    need_objects(value, "first(x)")
    return at_position(value, 0)


def _where(condition: Value, one: Value, other: Value) -> Value:
    if not boolean(condition):
        msg = f"where(x, a, b) needs a condition, and this is {kind_of(condition)}: compare it"
        raise InputTypeError(msg)
    return ak.where(plain(condition), plain(one), plain(other))


FUNCTIONS: Mapping[str, Function] = {
    **{
        name: _elementwise(getattr(np, name))
        for name in (
            *("abs", "sqrt", "exp", "log", "log2", "log10", "floor", "ceil", "sign", "hypot"),
            *("sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"),
            *("arctan2", "isnan", "isfinite"),
        )
    },
    "min": _extreme("min", ak.min, np.minimum),
    "max": _extreme("max", ak.max, np.maximum),
    "sum": Function(_summed, along_axis=True),
    "any": _quantified("any", ak.any, ak.all),
    "all": _quantified("all", ak.all, ak.any),
    "num": _counting("num"),
    "count": _counting("count"),
    "first": Function(_first),
    "where": Function(_where, 3, 3),
    "is_none": Function(lambda value: ak.is_none(plain(value), axis=0)),
    "fill_none": Function(lambda value, fill: ak.fill_none(plain(value), fill, axis=-1), 2, 2),
}
# Other names of functions, as awkward and numpy call them.
SYNONYMS: Mapping[str, str] = {
    "absolute": "abs",
    "firsts": "first",
    "maximum": "max",
    "minimum": "min",
    "len": "num",
}
LIBRARIES = frozenset({"ak", "awkward", "np", "numpy", "math"})
# Methods of four-vectors and collections.
METHODS = frozenset(
    (
        *("delta_r", "delta_r2", "delta_phi", "deltaR", "deltaR2", "deltaphi", "deltaeta"),
        *("metric_table", "nearest", "dot"),
    )
)


# -- helpers -----------------------------------------------------------------------------------


def _negated(column: Value) -> Value:
    return not column if isinstance(column, bool | np.bool_) else ~column


def _known(column: Value) -> Value:
    """A boolean column in which None is false."""
    if not column_like(column):
        return bool(column)
    layout = column.layout
    while hasattr(layout, "content"):
        if layout.is_option:
            return ak.fill_none(column, False, axis=-1)
        layout = layout.content
    return column


def _dtype(column: Value) -> Any:
    layout = column.layout
    while hasattr(layout, "content"):
        layout = layout.content
    return getattr(layout, "dtype", None)
