"""Computing expressions: the tree of an expression becomes operations on columns."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import awkward as ak
import numpy as np

from lazyana.analysis.syntax import Problem
from lazyana.analysis.vocabulary import (
    BITWISE,
    COMPARISONS,
    FUNCTIONS,
    LIBRARIES,
    LOGICAL,
    METHODS,
    OPERATORS,
    SYNONYMS,
    Logic,
    any_records,
    boolean,
    column_like,
    kind_of,
    logic_of,
    need_objects,
    number,
    plain,
    refuse_record,
)
from lazyana.errors import ColumnError, InputTypeError, LazyanaError, did_you_mean
from lazyana.physics.positions import at_position

ROOT = "events"
NUMBERS: Mapping[str, Any] = {"pi": float(np.pi), "inf": float("inf")}


@dataclass
class Evaluation:
    """Computes the parts of an expression, each once."""

    events: Any
    constants: Mapping[str, Any]
    known: dict[str, Any] = field(default_factory=dict)

    def value(self, node: ast.expr) -> Any:
        """The value of a part: a column, a condition or a constant."""
        key = ast.dump(node)
        if key not in self.known:
            try:
                self.known[key] = getattr(self, f"_{type(node).__name__.lower()}")(node)
            except Problem:
                raise
            except LazyanaError as error:
                raise Problem(node, str(error).rstrip("."), type(error)) from error
            except Exception as error:
                first = str(error).strip().partition("\n")[0][:200]
                message = f"This cannot be computed ({type(error).__name__}: {first})"
                raise Problem(node, message) from error
        return self.known[key]

    def truth(self, node: ast.expr) -> Logic:
        """A part that must be a condition."""
        value = self.value(node)
        if not boolean(value):
            raise problem_of_kind(node, value)
        return logic_of(value)

    # -- names and parts -----------------------------------------------------------------

    def _name(self, node: ast.Name) -> Any:
        name = node.id
        if name in self.events.fields:
            return self.events[name]
        collection = name.removeprefix("n")
        if collection != name and collection in self.events.fields:
            objects = self.events[collection]
            need_objects(objects, name)
            return ak.num(objects, axis=1)
        if name in self.constants:
            return self.constants[name]
        found = self._flat(name)
        if found is None:
            raise Problem(node, self._no_column(name), ColumnError)
        return found

    def _flat(self, name: str) -> Any:
        """A field by the name of its branch: ``MET_pt``, ``HLT_IsoMu24``."""
        parts = name.split("_")
        for i in range(1, len(parts)):
            collection, inner = "_".join(parts[:i]), "_".join(parts[i:])
            if collection in self.events.fields and inner in ak.fields(self.events[collection]):
                return self.events[collection][inner]
        return None

    def _no_column(self, name: str) -> str:
        if name in FUNCTIONS:
            return f"{name} is a function: write {name}(...)"
        if name == ROOT:
            return "events is all of them: name a column, e.g. events.MET.pt"
        fields = list(self.events.fields)
        counts = [f"n{one}" for one in fields if one[:1].isupper() and f"n{one}" not in fields]
        hint = did_you_mean(name, [*fields, *counts, *self.constants])
        shown = ", ".join(sorted(fields)[:12]) + (", …" if len(fields) > 12 else "")
        return f"There is no column {name!r}.{hint} Columns: {shown}"

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _attribute(self, node: ast.Attribute) -> Any:
        if self._is_root(node.value):
            return self._name(ast.copy_location(ast.Name(node.attr, ast.Load()), node))
        return self._field(node, self.value(node.value), node.attr)

    def _field(self, node: ast.expr, base: Any, name: str) -> Any:
        """A field of objects, or something that follows from their fields."""
        if not column_like(base):
            raise Problem(node, f"This is {_shown(base)} and has no field {name!r}")
        fields = ak.fields(base)
        if name in fields:
            return base[name]
        apis = (ak.Array, type(base)) if hasattr(base, "dask") else (ak.Array,)
        private = name.startswith("_") or any(hasattr(api, name) for api in apis)
        found = None if private else getattr(base, name, None)
        if column_like(found):
            return found
        if name in METHODS:
            raise Problem(node, f"{name} is a method: write .{name}(...)")
        shown = ", ".join(sorted(fields)[:12]) + (", …" if len(fields) > 12 else "")
        also = f" Fields: {shown}" if fields else " It is a plain column"
        message = f"There is no field {name!r}.{did_you_mean(name, fields)}{also}"
        raise Problem(node, message, ColumnError)

    def _subscript(self, node: ast.Subscript) -> Any:
        names = _texts(node.slice)
        if names and self._is_root(node.value):
            found = self._name(ast.copy_location(ast.Name(names[0], ast.Load()), node))
            names = names[1:]
        else:
            found = self.value(node.value)
        if names is not None:
            for name in names:
                found = self._field(node, found, name)
            return found
        need_objects(found, "[…]")
        return self._picked(node, found, node.slice)

    def _picked(self, node: ast.Subscript, base: Any, where: ast.expr) -> Any:
        """Some of the objects of each event."""
        if isinstance(where, ast.Tuple) and len(where.elts) == 2 and _is_all(where.elts[0]):
            inner = where.elts[1]
            if isinstance(inner, ast.Slice):
                return base[:, slice(*(_whole(part) for part in _parts(inner)))]
            return at_position(base, _whole(inner))
        if isinstance(where, ast.Slice | ast.Tuple | ast.Constant | ast.UnaryOp) and not (
            isinstance(where, ast.UnaryOp) and isinstance(where.op, ast.Not | ast.Invert)
        ):
            message = (
                "Events cannot be picked by position: write [:, 0] for the first object of each "
                "event, [:, :2] for the first two, or [condition] for some"
            )
            raise Problem(node, message)
        condition = self.truth(where).holds()
        if not column_like(condition) or condition.ndim != base.ndim:
            message = "The condition in [ ] must be one for each object, e.g. Jet[Jet.pt > 30]"
            raise Problem(where, message)
        return base[condition]

    def _is_root(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == ROOT and ROOT not in self.events.fields

    # -- operators -----------------------------------------------------------------------

    def _boolop(self, node: ast.BoolOp) -> Any:
        return reduce(LOGICAL[type(node.op)], map(self.truth, node.values))

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            return self.truth(node.operand).negated()
        value = self.value(node.operand)
        if isinstance(node.op, ast.Invert):
            return logic_of(value).negated() if boolean(value) else ~number(value)
        return -number(value) if isinstance(node.op, ast.USub) else +number(value)

    def _binop(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        kind = type(node.op)
        if kind in OPERATORS:
            # Four-vectors are added as they are.
            vectors = kind in (ast.Add, ast.Sub, ast.Mult, ast.Div) and any_records(left, right)
            ready = plain if vectors else number
            return OPERATORS[kind](ready(left), ready(right))
        if boolean(left) and boolean(right):
            return LOGICAL[kind](logic_of(left), logic_of(right))
        if boolean(left) or boolean(right):
            part = node.right if boolean(left) else node.left
            raise problem_of_kind(part, right if boolean(left) else left)
        return BITWISE[kind](number(left), number(right))

    def _compare(self, node: ast.Compare) -> Any:
        left, found = node.left, []
        for sign, right in zip(node.ops, node.comparators, strict=True):
            found.append(self._compared(left, sign, right))
            left = right
        return reduce(Logic.both, found)

    def _compared(self, left: ast.expr, sign: ast.cmpop, right: ast.expr) -> Logic:
        if isinstance(sign, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List | ast.Set) or not right.elts:
                raise Problem(right, "'in' needs a list of values, e.g. x in (11, 13)")
            equal = [self._compared(left, ast.Eq(), one) for one in right.elts]
            found = reduce(Logic.either, equal)
            return found.negated() if isinstance(sign, ast.NotIn) else found
        values = []
        for node in (left, right):
            value = plain(self.value(node))
            try:
                refuse_record(value)
            except InputTypeError as error:
                raise Problem(node, str(error), InputTypeError) from None
            values.append(value)
        return Logic.of(COMPARISONS[type(sign)](*values))

    # -- calls ---------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Any:
        name, base = self._called(node)
        if base is not None:
            if node.keywords:
                raise Problem(node, f"{name} takes no keywords here")
            found = getattr(self.value(base), name)(*(plain(self.value(x)) for x in node.args))
            if not column_like(found):
                raise Problem(node, f"{name} does not give a column")
            return found
        function = FUNCTIONS[name]
        count, most = len(node.args), function.most
        if count < function.least or (most is not None and count > most):
            message = f"{name} takes {function.least} values, and here are {count}"
            raise Problem(node, message)
        values = [self.value(argument) for argument in node.args]
        options = {"axis": _axis(node)} if function.along_axis else {}
        if node.keywords and not options:
            raise Problem(node, f"{name} takes no keywords")
        return function.call(*values, **options)

    def _called(self, node: ast.Call) -> tuple[str, ast.expr | None]:
        """Name of the function, and what it is a method of."""
        func, base = node.func, None
        if isinstance(func, ast.Attribute):
            name, base = func.attr, func.value
            library = isinstance(base, ast.Name) and base.id in LIBRARIES
            if not library or (isinstance(base, ast.Name) and base.id in self.events.fields):
                if name not in METHODS:
                    message = f"There is no method {name!r}.{did_you_mean(name, METHODS)}"
                    raise Problem(node, f"{message} Methods: {', '.join(sorted(METHODS))}")
                return name, base
        elif isinstance(func, ast.Name):
            name = func.id
        else:
            raise Problem(func, "Only functions and methods with a name can be called")
        name = SYNONYMS.get(name, name)
        if name not in FUNCTIONS:
            message = f"There is no function {name!r}.{did_you_mean(name, FUNCTIONS)}"
            raise Problem(node, f"{message} Functions: {', '.join(sorted(FUNCTIONS))}")
        return name, None


# -- helpers -----------------------------------------------------------------------------------


def problem_of_kind(node: ast.expr, value: Any) -> Problem:
    """What to say of a part that should be a condition."""
    what = "a record" if any_records(value) else kind_of(value)
    return Problem(node, f"This is no condition but {what}: compare it", InputTypeError)


def problem_of_depth(node: ast.expr, value: Any, ndim: int) -> Problem:
    """What to say of a condition with too many or too few values an event."""
    if ndim == 1:
        message = (
            f"This is {kind_of(value)}, several values an event: write any(…), all(…) or "
            "sum(…) >= n around it"
        )
    else:
        message = f"This is {kind_of(value)}, not one truth value an object"
    return Problem(node, message, InputTypeError)


def _texts(node: ast.expr) -> tuple[str, ...] | None:
    """Names given as text in [ ]."""
    parts: Sequence[ast.expr] = node.elts if isinstance(node, ast.Tuple) else (node,)
    names = [one.value for one in parts if isinstance(one, ast.Constant)]
    if not names or len(names) != len(parts) or not all(isinstance(one, str) for one in names):
        return None
    return tuple(map(str, names))


def _is_all(node: ast.expr) -> bool:
    return isinstance(node, ast.Slice) and all(part is None for part in _parts(node))


def _parts(node: ast.Slice) -> tuple[ast.expr | None, ...]:
    return node.lower, node.upper, node.step


def _whole(node: ast.expr | None) -> Any:
    """A whole number that is written out, with its sign."""
    if node is None:
        return None
    sign, inner = 1, node
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, inner = -1, node.operand
    if not isinstance(inner, ast.Constant) or type(inner.value) is not int:
        raise Problem(node, "Places of objects are whole numbers, e.g. [:, 0]")
    return sign * inner.value


def _axis(node: ast.Call) -> int:
    for keyword in node.keywords:
        axis = _whole(keyword.value) if keyword.arg == "axis" else None
        if axis is None:
            raise Problem(keyword.value, f"There is no option {keyword.arg!r}, only axis")
        if axis == 0:
            raise Problem(keyword.value, "axis=0 would be over all events: write axis=1")
        return int(axis)
    return 1


def _shown(value: Any) -> str:
    return "a condition" if isinstance(value, Logic | bool | np.bool_) else kind_of(value)
