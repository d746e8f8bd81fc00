"""The grammar of expressions: what they may not consist of, and that mistakes are pointed at."""

from __future__ import annotations

import ast

import pytest

from lazyana.analysis.syntax import parsed, pointed
from lazyana.errors import InputError


@pytest.mark.parametrize(
    ("text", "marked", "message"),
    [
        ("a && b", "&&", "Write 'and'."),
        ("a || b", "||", "Write 'or'."),
        ("!a", "!", "Write 'not', or '!=' to compare."),
        ("a ? b : c", "?", "Write where(condition, a, b)."),
        ("a > 1 & b > 2", "1 & b", "bind before comparisons"),
        ("a | b == 2", "a | b", "bind before comparisons"),
        ("a > 1 and (b ^ c > 2)", "b ^ c", "bind before comparisons"),
        ("(a) & (b) > 0", "(a) & (b)", "bind before comparisons"),
        ("~a & b > 0", "~a & b", "bind before comparisons"),
        ("a if b else c", "a if b else c", "Write where(condition, a, b) instead"),
        ("a is b", "a is b", "Write '==' instead of 'is'"),
        ("a is not None", "a is not None", "is_none(x)"),
        ("a == None", "None", "write is_none(x)"),
        ("(a := 3) > 2", "a := 3", "Write '==' to compare"),
        ("any(x > 2 for x in a)", "(x > 2 for x in a)", "all objects at once"),
        ("[x for x in a]", "[x for x in a]", "all objects at once"),
        ("lambda: 3", "lambda: 3", "Lambda is not possible"),
        ("{'a': 1}", "{'a': 1}", "Dict is not possible"),
        ("f'{a}'", "f'{a}'", "JoinedStr is not possible"),
        ("a @ b", "a @ b", "MatMult is not possible"),
        ("a << 3", "a << 3", "LShift is not possible"),
        ("f(*a)", "*a", "Starred is not possible"),
        ("a > 2j", "2j", "2j is not possible"),
        ("a == b'x'", "b'x'", "b'x' is not possible"),
        ("a[..., 0]", "...", "Ellipsis is not possible"),
        ("a == 1 b", "", "Not an expression"),
        ("a = 1", "", "Not an expression"),
        ("a >", "", "Not an expression"),
        ("(a", "", "Not an expression"),
        ("import os", "", "Not an expression"),
    ],
)
def test_what_is_no_expression_is_pointed_at(text: str, marked: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parsed(text)
    said, shown, carets = str(caught.value).split("\n")
    assert message in said
    assert shown == f"    {text}"
    if marked:
        assert shown[carets.index("^") : len(carets)] == marked
    else:
        assert carets.count("^") == 1


@pytest.mark.parametrize(
    "text",
    [
        "(a & b) > 0",
        "((a & b)) > 0",
        "(a > 1) & (b > 2)",
        "f(a & b) > 0",
        "a & b",
        "1 < (a | b) < 3",
        "a != b",
        "a[:, 0] > 1",
    ],
)
def test_what_is_meant_so_is_let_through(text: str) -> None:
    assert ast.dump(parsed(text)) == ast.dump(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize("text", ["(" * 300 + "a" + ")" * 300, "-" * 5000 + "a", "a\0b", "a\ud800"])
def test_odd_text_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parsed(text)


def test_how_deep_text_is_nested() -> None:
    parsed("+".join("a" * 90))
    with pytest.raises(InputError, match="nested more than 100 deep: split it into several cuts"):
        parsed("+".join("a" * 110))


def test_empty_and_endless_text_is_refused() -> None:
    with pytest.raises(InputError, match="is empty"):
        parsed("")
    with pytest.raises(InputError, match="20003 characters"):
        parsed("a" * 20_000 + ">1 "[:3])


def test_places_are_counted_in_characters() -> None:
    text = "'äöü' == x"
    node = parsed(text)
    assert isinstance(node, ast.Compare)
    assert pointed(text, node.comparators[0], "Here").split("\n") == [
        "Here.",
        f"    {text}",
        "             ^",
    ]
