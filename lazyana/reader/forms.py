"""Forms of branches: one description of what a file holds, whatever its format."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from coffea.nanoevents.mapping.uproot import CannotBeNanoEvents, _lazify_form

from lazyana.reader.fileinfo import Layout, Places

Form = dict[str, Any]

_C_NAMES = {"bool": "bool", "float16": "float16", "float32": "float", "float64": "double"}

_lock = threading.Lock()
_known: dict[tuple[str, str], tuple[Layout, Places]] = {}


def plain_form(
    name: str, primitive: str, sizes: Sequence[int | None], doc: str = ""
) -> Form | None:
    """Form of a branch of numbers, lists of them, or arrays of a fixed size.

    Parameters
    ----------
    name
        The branch.
    primitive
        Type of the numbers, e.g. ``"float32"``.
    sizes
        Size of each dimension after the first, from the outside; None for lists of any length.
    doc
        Description.

    Returns
    -------
    dict or None
        As `branch_form` gives it.
    """
    form: Form = {
        "class": "NumpyArray",
        "primitive": primitive,
        "inner_shape": [],
        "parameters": {},
        "form_key": None,
    }
    for size in reversed(sizes):
        form = {"content": form, "parameters": {}, "form_key": None}
        if size is None:
            form |= {"class": "ListOffsetArray", "offsets": "i64"}
        else:
            form |= {"class": "RegularArray", "size": size}
    # Named as uproot names the branches of a TTree, so that formats can be compared.
    typename = _C_NAMES.get(primitive, f"{primitive}_t")
    typename += "".join("[]" if size is None else f"[{size}]" for size in sizes)
    return branch_form(name, form, doc, typename)


def branch_form(name: str, form: Form, doc: str, typename: str) -> Form | None:
    """Form of a branch as coffea's schemas take it.

    Parameters
    ----------
    name
        The branch.
    form
        Its form, without keys.
    doc, typename
        Description and C++ type.

    Returns
    -------
    dict or None
        The form with keys; None for a branch that NanoEvents cannot hold.
    """
    if "," in name or "!" in name or _has_options(form):
        return None
    try:
        keyed: Form = _lazify_form(_wide(form), f"{name},!load", docstr=doc, typestr=typename)
    except CannotBeNanoEvents:
        return None
    return keyed


def base_form(branches: Mapping[str, Form | None], doc: str = "") -> Form:
    """Form of all branches of a file that can be read, as coffea's schemas take it."""
    readable = {name: form for name, form in branches.items() if form is not None}
    return {
        "class": "RecordArray",
        "contents": list(readable.values()),
        "fields": list(readable),
        "parameters": {"__doc__": doc},
        "form_key": None,
    }


def signature_of(base: Form) -> str:
    """Hash of the names and types of the branches: the same in all formats."""
    named = zip(base["fields"], base["contents"], strict=True)
    kinds = sorted((name, kind_of(form)) for name, form in named)
    return hashlib.sha256(json.dumps(kinds).encode()).hexdigest()[:16]


def kind_of(form: Mapping[str, Any]) -> str:
    """What entries of a form are, e.g. ``"[]float32"`` for lists of numbers."""
    word = str(form.get("parameters", {}).get("__array__", ""))
    match form["class"]:
        case "NumpyArray":
            shape = form.get("inner_shape", [])
            return word + (f"{shape}" if shape else "") + str(form["primitive"])
        case "ListOffsetArray":
            return f"{word}[]{kind_of(form['content'])}"
        case "RegularArray":
            return f"{word}[{form['size']}]{kind_of(form['content'])}"
        case "RecordArray":
            names = form["fields"] or range(len(form["contents"]))
            pairs = zip(names, form["contents"], strict=True)
            return word + "{" + ",".join(f"{name}:{kind_of(one)}" for name, one in pairs) + "}"
        case other:
            return f"{word}{other}"


def known_layout(
    source: str, key: str, names: Iterable[str], make: Callable[[], Form]
) -> tuple[Layout, Places]:
    """The layout of a file and the position of each of its branches, shared by all files like it.

    Parameters
    ----------
    source
        Format of the file.
    key
        Tells the file from those with other branches.
    names
        All branches.
    make
        Gives the base form; called once for all files with one key.
    """
    # One thread at a time: making forms may change what the whole process does with warnings.
    with _lock:
        if (source, key) not in _known:
            base = make()
            places = {name: place for place, name in enumerate(dict.fromkeys(names))}
            _known[source, key] = (Layout(signature_of(base), json.dumps(base)), places)
        return _known[source, key]


def _has_options(form: Mapping[str, Any]) -> bool:
    kind = str(form["class"])
    inner = form.get("contents", [form["content"]] if "content" in form else [])
    return "Option" in kind or "Masked" in kind or "Union" in kind or any(map(_has_options, inner))


def _wide(form: Form) -> Form:
    """The form with 64-bit offsets throughout, which is how lists are read."""
    wide = dict(form)
    if "offsets" in wide:
        wide["offsets"] = "i64"
    if "content" in wide:
        wide["content"] = _wide(wide["content"])
    if "contents" in wide:
        wide["contents"] = [_wide(one) for one in wide["contents"]]
    return wide
