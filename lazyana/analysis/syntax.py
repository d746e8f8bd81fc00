"""The grammar of expressions in text: what they may consist of, and where a mistake is."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache

from lazyana.analysis.vocabulary import BITWISE, COMPARISONS, LOGICAL, OPERATORS
from lazyana.errors import InputError, LazyanaError

_LONGEST = 10_000
_DEEPEST = 100
_OPERATORS_OF_OTHERS = (
    ("&&", "Write 'and'"),
    ("||", "Write 'or'"),
    ("!", "Write 'not', or '!=' to compare"),
    ("?", "Write where(condition, a, b)"),
)
_POSSIBLE = (
    *(ast.Expression, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Call, ast.keyword),
    *(ast.Attribute, ast.Subscript, ast.Slice, ast.Name, ast.Constant, ast.Load),
    *(ast.Tuple, ast.List, ast.Set, ast.Not, ast.Invert, ast.USub, ast.UAdd, ast.In, ast.NotIn),
    *(*OPERATORS, *BITWISE, *LOGICAL, *COMPARISONS),
)
_INSTEAD: Mapping[type[ast.AST], str] = {
    ast.IfExp: "Write where(condition, a, b) instead of 'if … else …'",
    ast.Is: "Write '==' instead of 'is', is_none(x) for what is missing",
    ast.IsNot: "Write '!=' instead of 'is not', not is_none(x) for what is missing",
    ast.ListComp: "Write the condition for all objects at once instead of a loop",
    ast.GeneratorExp: "Write the condition for all objects at once instead of a loop",
    ast.NamedExpr: "Write '==' to compare",
}


class Problem(Exception):  # noqa: N818  (not an error until it is placed in the text)
    """What is wrong with a part of an expression."""

    def __init__(self, node: ast.AST, message: str, kind: type[LazyanaError] = InputError) -> None:
        super().__init__(message)
        self.node, self.message, self.kind = node, message, kind


@cache
def parsed(text: str) -> ast.expr:
    """The tree of an expression, checked."""
    if not text:
        msg = "An expression is empty: write a condition, e.g. 'nMuonGood == 2'."
        raise InputError(msg)
    if len(text) > _LONGEST:
        msg = f"An expression has {len(text)} characters: split it into several cuts."
        raise InputError(msg)
    try:
        tree = ast.parse(text, mode="eval").body
        _check(tree, text)
    except Problem as problem:
        raise InputError(pointed(text, problem.node, problem.message)) from None
    except SyntaxError as error:
        raise InputError(_misspelt(text, error)) from None
    except (RecursionError, MemoryError, ValueError) as error:
        msg = f"This is no expression ({type(error).__name__}): {text[:60]!r}."
        raise InputError(msg) from None
    return tree


def _check(tree: ast.expr, text: str) -> None:
    """Refuse what expressions cannot do."""
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise Problem(tree, f"It is nested more than {_DEEPEST} deep: split it into several cuts")
    _check_node(tree, tree)
    for parent in ast.walk(tree):
        for node in ast.iter_child_nodes(parent):
            _check_node(node, parent)
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            _check_precedence(node, text)


def _check_node(node: ast.AST, parent: ast.AST) -> None:
    place = node if hasattr(node, "col_offset") else parent
    if not isinstance(node, _POSSIBLE):
        instead = _INSTEAD.get(type(node))
        problem = instead or f"{type(node).__name__} is not possible in an expression"
        raise Problem(place, problem)
    if isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float | str):
        hint = ": write is_none(x) for what is missing" if node.value is None else ""
        raise Problem(place, f"{node.value!r} is not possible in an expression{hint}")


def _check_precedence(node: ast.Compare, text: str) -> None:
    """Refuse ``a > 1 & b > 2``, which Python reads as ``a > (1 & b) > 2``."""
    for part in (node.left, *node.comparators):
        if isinstance(part, ast.BinOp) and isinstance(part.op, tuple(BITWISE)):
            start, end = span_of(text, part)
            before, after = text[:start].rstrip(), text[end:].lstrip()
            if not (before.endswith("(") and after.startswith(")")):
                message = "'&', '|' and '^' bind before comparisons: write and, or, or parentheses"
                raise Problem(part, message)


def _misspelt(text: str, error: SyntaxError) -> str:
    position = max((error.offset or 1) - 1, 0)
    for sign, instead in _OPERATORS_OF_OTHERS:
        found = re.search(re.escape(sign) + r"(?!=)", text)
        if found:
            return marked(text, found.start(), found.end(), instead)
    what = (error.msg or "invalid syntax").rstrip(".?").replace("Perhaps you forgot", "forgot")
    return marked(text, position, position + 1, f"Not an expression ({what})")


def span_of(text: str, node: ast.AST) -> tuple[int, int]:
    """Where a part begins and ends, in characters."""
    raw = text.encode()
    start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", len(raw))
    return len(raw[:start].decode()), len(raw[:end].decode())


def pointed(text: str, node: ast.AST, message: str) -> str:
    """A message with the text below it and a part of it marked."""
    return marked(text, *span_of(text, node), message)


def marked(text: str, start: int, end: int, message: str) -> str:
    """A message with the text below it and the place marked."""
    return f"{message}.\n    {text}\n    {' ' * start}{'^' * max(end - start, 1)}"
