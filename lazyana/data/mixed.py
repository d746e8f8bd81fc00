"""Mixed forms: files that share a frame although some of them lack branches that others have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from coffea.nanoevents.util import quote, unquote

from lazyana.data.catalog import Layout
from lazyana.reader.forms import kind_of

ALLOWED = "!loadallowmissing"
"""In a form key, after the name of a branch that is read as None where a file lacks it."""

_COUNTED = ["!load", "!counts2offsets", "!skip"]
_SHOWN = 3


@dataclass(frozen=True)
class Gap:
    """Branches of a united layout that the files of one layout lack.

    Attributes
    ----------
    signature
        The layout of those files.
    branches
        What they lack, sorted.
    files
        The first few of them.
    number
        How many they are.
    """

    signature: str
    branches: frozenset[str]
    files: tuple[str, ...]
    number: int

    @classmethod
    def of(cls, layout: Layout, united: Layout, urls: Sequence[str]) -> Gap:
        """What the files of a layout lack of a united one."""
        lacking = frozenset(united.types).difference(layout.types)
        return cls(layout.signature, lacking, tuple(urls[:_SHOWN]), len(urls))


def files_text(gaps: Iterable[Gap]) -> str:
    """The files of some gaps, as a message names them: the first few, and how many they are."""
    gaps = list(gaps)
    return urls_text([url for gap in gaps for url in gap.files], sum(gap.number for gap in gaps))


def urls_text(urls: Sequence[str], number: int | None = None) -> str:
    """Some files as a message names them.

    Parameters
    ----------
    urls
        The files, or the first few of them.
    number
        How many they are; default: as many as are given.
    """
    more = (len(urls) if number is None else number) - len(urls[:_SHOWN])
    return ", ".join(urls[:_SHOWN]) + (f" and {more} more" if more else "")


def conflicts(one: Layout, other: Layout) -> tuple[str, ...]:
    """Branches that two layouts both have, but of different types; sorted."""
    mine, theirs = _kinds(one), _kinds(other)
    return tuple(sorted(name for name in mine.keys() & theirs if mine[name] != theirs[name]))


def kind_in(layout: Layout, branch: str) -> str:
    """The type of a branch, as a message shows it."""
    return layout.types[branch] or _kinds(layout)[branch]


def united_layout(layouts: Sequence[Layout]) -> Layout:
    """The layout of all branches of some layouts without conflicts.

    Its branches are in the order of the first layout, then those that the second one adds, and so
    on. A single layout stays what it is.
    """
    return layouts[0] if len(layouts) == 1 else _united(tuple(layouts))


@lru_cache(maxsize=64)
def _united(layouts: tuple[Layout, ...]) -> Layout:
    contents: dict[str, Any] = {}
    bases = [json.loads(layout.base_form) for layout in layouts]
    for base in bases:
        for name, form in zip(base["fields"], base["contents"], strict=True):
            contents.setdefault(name, form)
    united = {**bases[0], "fields": list(contents), "contents": list(contents.values())}
    signatures = " ".join(layout.signature for layout in layouts)
    signature = hashlib.sha256(f"united {signatures}".encode()).hexdigest()[:16]
    return Layout(signature, json.dumps(united))


@lru_cache(maxsize=256)
def _kinds(layout: Layout) -> Mapping[str, str]:
    base = json.loads(layout.base_form)
    named = zip(base["fields"], base["contents"], strict=True)
    return {name: kind_of(form) for name, form in named}


def with_options(form: dict[str, Any], lacking: Iterable[str]) -> dict[str, Any]:
    """A form of events in which branches that may be missing are numbers or None.

    What a schema derives from such a branch, cross references for instance, stays as it is: the
    form keys tell that it needs the branch itself. So does a collection whose counter may be
    missing.

    Parameters
    ----------
    form
        Form that a schema made of all branches.
    lacking
        Branches that some files lack.

    Returns
    -------
    dict
        The form, with an option node around the numbers of

        - branches with one number an event, as coffea has them in its union forms, with the keys
          ``"<branch>,!loadallowmissing,!index"`` and ``",!content"``;
        - branches with one number an object, in collections with a counter, with the keys
          ``"<branch>,!loadallowmissing,<counter>,!load,!index"`` and ``",!content"``.
    """
    return _with_options(form, frozenset(lacking), "")


def _with_options(form: dict[str, Any], lacking: frozenset[str], counter: str) -> dict[str, Any]:
    if form["class"] == "RecordArray":
        contents = [_with_options(content, lacking, counter) for content in form["contents"]]
        return {**form, "contents": contents}
    nodes = _nodes(form)
    if form["class"].startswith("ListOffset"):
        name = nodes[0] if nodes[1:] == _COUNTED else ""
        return {**form, "content": _with_options(form["content"], lacking, name)}
    flat, listed = nodes[1:] == ["!load"], nodes[1:] == ["!load", "!content"]
    one_each = form["class"] == "NumpyArray" and not form.get("inner_shape")
    if not one_each or nodes[0] not in lacking:
        return form
    if flat and not counter:
        return _option(form, f"{nodes[0]},{ALLOWED}")
    if listed and counter:
        return _option(form, f"{nodes[0]},{ALLOWED},{counter},!load")
    return form


def _option(form: dict[str, Any], key: str) -> dict[str, Any]:
    return {
        "class": "IndexedOptionArray",
        "index": "i64",
        "content": {**form, "form_key": quote(f"{key},!content")},
        "parameters": dict(form.get("parameters") or {}),
        "form_key": quote(f"{key},!index"),
    }


def _nodes(form: Mapping[str, Any]) -> list[str]:
    nodes: list[str] = unquote(form.get("form_key") or "").split(",")
    return nodes
