"""The formats that events are stored in: which one a file has, and who reads it."""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from collections.abc import Mapping
from typing import Any

from coffea.nanoevents.mapping import UprootSourceMapping

from lazyana.data.catalog import FileInfo, Layout
from lazyana.data.trees import first_line, open_tree
from lazyana.data.ttree import note_tree, read_tree
from lazyana.errors import FileError

READERS = {"TTree": read_tree}
"""For each format, what reads branches of a span (see `read_tree`)."""


def note_file(url: str, tree: str) -> tuple[FileInfo, Layout]:
    """Open a file once and note what there is to know of it.

    Parameters
    ----------
    url
        Where it is.
    tree
        Name of the tree with the events, where the format has names.

    Raises
    ------
    FileError
        A file that cannot be opened, or has no such tree.
    """
    opened = open_tree(url, tree)
    try:
        info, layout = _note(url, tree, opened)
    except Exception as error:
        msg = f"The branches of {tree!r} in {url} cannot be read: {first_line(error)}"
        raise FileError(msg) from error
    finally:
        opened.file.close()
    return info, layout


def _note(url: str, tree: str, opened: Any) -> tuple[FileInfo, Layout]:
    layout, places = _layout(opened)
    return note_tree(url, tree, opened, layout, places), layout


def _layout(tree: Any) -> tuple[Layout, Mapping[str, int]]:
    """The layout of a tree and the position of each branch, shared by all trees like it."""
    names = sorted((branch.name, branch.typename) for branch in tree.branches)
    signature = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
    # One thread at a time: catching warnings changes what the whole process does with them.
    with _lock:
        if signature not in _layouts:
            with warnings.catch_warnings():
                # Branches that NanoEvents cannot hold are left out: naming one is our own error.
                warnings.simplefilter("ignore")
                base_form = UprootSourceMapping._extract_base_form(tree)
            places = {name: i for i, name in enumerate(dict.fromkeys(name for name, _ in names))}
            _layouts[signature] = (Layout(signature, json.dumps(base_form)), places)
        return _layouts[signature]


_lock = threading.Lock()
_layouts: dict[str, tuple[Layout, Mapping[str, int]]] = {}
