"""The text of correction files: taken apart and changed, with every number as it is written.

correctionlib reads some numbers one unit in the last place off from what Python reads. A correction
therefore stays the text it was: written anew from numbers it could have slightly different values.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
# Quotes inside of a text are escaped, so that this is found between texts only.
_FLOW = re.compile(r'("flow"\s*:\s*)(?:"error"|-999(?:\.0*)?)(?=\s*[,}])')
_SECTIONS = ("corrections", "compound_corrections")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Part:
    """A correction, or a compound one, of a file.

    Attributes
    ----------
    text
        Its JSON.
    inputs
        Name and type of its inputs.
    stack
        The corrections that a compound one applies; None for one that stands for itself.
    """

    text: str
    inputs: tuple[tuple[str, str], ...]
    stack: tuple[str, ...] | None = None


def split(data: bytes) -> dict[str, Part]:
    """The corrections of a file by name, compound ones last.

    Parameters
    ----------
    data
        Content of the file, compressed with gzip or not.

    Raises
    ------
    ValueError, KeyError, TypeError, OSError, EOFError, zlib.error
        Content that is not a correction set of schema version 2.
    """
    text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    found: dict[str, list[tuple[dict[str, Any], str]]] = {section: [] for section in _SECTIONS}
    version = None
    at = _skip(text, 0, "{")
    while not text.startswith("}", at):
        key, end = _DECODER.raw_decode(text, at)
        start = _skip(text, end, ":")
        if key in _SECTIONS and text.startswith("[", start):
            found[key], end = _elements(text, start)
        else:
            value, end = _DECODER.raw_decode(text, start)
            version = value if key == "schema_version" else version
        at = _next(text, end)
    if version != 2:
        msg = f"schema version {version}, not 2"
        raise ValueError(msg)
    if not any(found.values()):
        msg = "no corrections"
        raise ValueError(msg)
    return {
        one["name"]: Part(
            written,
            tuple((item["name"], item["type"]) for item in one["inputs"]),
            tuple(one["stack"]) if section == _SECTIONS[1] else None,
        )
        for section in _SECTIONS
        for one, written in found[section]
    }


def correction_set(parts: Mapping[str, Part], name: str) -> str:
    """The text of a correction set of one correction and of what it needs."""
    part = parts[name]
    needed = [name] if part.stack is None else list(dict.fromkeys(part.stack))
    inner = ",".join(parts[one].text for one in needed)
    compound = "" if part.stack is None else f',"compound_corrections":[{part.text}]'
    return f'{{"schema_version":2,"corrections":[{inner}]{compound}}}'


def choices(text: str) -> dict[str, tuple[str, ...]]:
    """For the inputs of a correction set that have to be one of some texts, these texts, sorted."""
    known: dict[str, set[str] | None] = {}
    for correction in json.loads(text)["corrections"]:
        for node in _nodes(correction["data"]):
            if node["nodetype"] != "category":
                continue
            name, keys = node["input"], {one["key"] for one in node["content"]}
            if node.get("default") is not None or known.get(name, keys) is None:
                known[name] = None
            else:
                known[name] = keys | (known.get(name) or set())
    return {
        name: tuple(sorted(keys))
        for name, keys in known.items()
        if keys and all(isinstance(key, str) for key in keys)
    }


def with_flow(text: str, flow: str | float) -> str:
    """The text with something else where inputs outside of the bins fail or give -999.

    Parameters
    ----------
    text
        JSON of corrections.
    flow
        ``"clamp"``, or the value to give there.
    """
    return _FLOW.sub(lambda found: found[1] + json.dumps(flow), text)


def _elements(text: str, start: int) -> tuple[list[tuple[Any, str]], int]:
    """Each element of an array with its text, and where the array ends."""
    found = []
    at = _skip(text, start, "[")
    while not text.startswith("]", at):
        value, end = _DECODER.raw_decode(text, at)
        found.append((value, text[at:end]))
        at = _next(text, end)
    return found, at + 1


def _skip(text: str, at: int, sign: str) -> int:
    """Where the next thing begins, past a sign that has to be there."""
    at = _blank(text, at)
    if not text.startswith(sign, at):
        msg = f"no {sign!r} at character {at}"
        raise ValueError(msg)
    return _blank(text, at + 1)


def _next(text: str, at: int) -> int:
    """Where the next member or element begins, past the comma if there is one."""
    at = _blank(text, at)
    return _blank(text, at + 1) if text.startswith(",", at) else at


def _blank(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """The nodes of a correction, all the way down."""
    stack = [node]
    while stack:
        top = stack.pop()
        if not isinstance(top, dict):
            continue
        yield top
        below = top.get("content")
        if isinstance(below, list):
            # What a category holds is the value of a key.
            stack += (one.get("value", one) for one in below if isinstance(one, dict))
        else:
            stack.append(below)
        stack += (top.get("flow"), top.get("default"), top.get("rule"))
