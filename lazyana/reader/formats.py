"""The formats that events are stored in: which one a file has, and who reads it."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from typing import Any

import aiohttp
from coffea.nanoevents.mapping import UprootSourceMapping

from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader.fileinfo import FileInfo, Layout, Places
from lazyana.reader.forms import Form, known_layout
from lazyana.reader.parquet import MAGIC as PARQUET
from lazyana.reader.parquet import note_parquet, read_parquet
from lazyana.reader.ranges import open_anew, read_ranges
from lazyana.reader.retry import reason
from lazyana.reader.rntuple import is_ntuple, note_ntuple, read_ntuple
from lazyana.reader.spans import Reader
from lazyana.reader.trees import first_line, no_file, open_tree
from lazyana.reader.ttree import note_tree, read_tree

READERS: Mapping[str, Reader] = {
    "TTree": read_tree,
    "RNTuple": read_ntuple,
    "parquet": read_parquet,
}
"""For each format, what reads branches of a span."""

_ROOT = b"root"
_MAGIC_BYTES = 4
_DEFAULT = ReadOptions()
_OTHERS: Mapping[bytes, str] = {
    b"PARE": "a parquet file with an encrypted footer",
    b"\x89HDF": "an HDF5 file",
    b"PK\x03\x04": "a zip archive",
    b"ARRO": "an Arrow (feather) file",
    b"<!DO": "a web page: the server may ask to log in",
    b"<htm": "a web page: the server may ask to log in",
}
_OTHERS_SHORT: Mapping[bytes, str] = {b"\x1f\x8b": "compressed by gzip"}


def note_file(url: str, tree: str, options: ReadOptions = _DEFAULT) -> tuple[FileInfo, Layout]:
    """Open a file once and note what there is to know of it.

    Parameters
    ----------
    url
        Where it is.
    tree
        Name of the tree with the events, where the format has names.
    options
        How to read the parts of it that uproot does not read.

    Raises
    ------
    FileError
        A file that cannot be opened, is of no known format, or has no such tree.
    """
    if _format(url, options) == PARQUET:
        return _note_parquet(url, tree, options)
    opened = open_tree(url, tree, options)
    try:
        if is_ntuple(opened):
            return note_ntuple(url, tree, opened, options)
        layout, places = _layout(opened)
        return note_tree(url, tree, opened, layout, places), layout
    except FileError:
        raise
    except Exception as error:
        msg = f"The branches of {tree!r} in {url} cannot be read: {first_line(error)}"
        raise FileError(msg) from error
    finally:
        opened.file.close()


def _note_parquet(url: str, tree: str, options: ReadOptions) -> tuple[FileInfo, Layout]:
    try:
        return note_parquet(url, tree, options)
    except FileError:
        raise
    except Exception as error:
        msg = f"The columns of {url} cannot be read: {first_line(error)}"
        raise FileError(msg) from error


def _format(url: str, options: ReadOptions) -> bytes:
    """The bytes that a file of a known format begins with."""
    try:
        open_anew(url, options)
        (found,) = read_ranges(url, [(0, _MAGIC_BYTES)], options)
    except FileNotFoundError as error:
        raise FileError(no_file(url)) from error
    except IsADirectoryError as error:
        msg = f"{url} is a folder: give the files in it, e.g. {url.rstrip('/')}/*.root."
        raise FileError(msg) from error
    except FileError as error:
        msg = f"{url} cannot be opened as a ROOT or parquet file: {first_line(error)}"
        raise FileError(msg) from error
    except (OSError, aiohttp.ClientError) as error:
        msg = f"{url} cannot be read: {reason(error)}."
        raise FileError(msg) from error
    magic = bytes(found)
    if magic in (_ROOT, PARQUET):
        return magic
    known = _OTHERS.get(magic) or _OTHERS_SHORT.get(magic[:2])
    what = f" It looks like {known}." if known else ""
    msg = (
        f"{url} is no ROOT or parquet file: it begins with {magic!r}, not with {_ROOT!r} or "
        f"{PARQUET!r}.{what}"
    )
    raise FileError(msg)


def _layout(tree: Any) -> tuple[Layout, Places]:
    """The layout of a TTree and the position of each branch."""
    names = [(branch.name, branch.typename, branch.title) for branch in tree.branches]
    key = hashlib.sha256(json.dumps([tree.title, *names]).encode()).hexdigest()
    return known_layout("TTree", key, (name for name, *_ in names), lambda: _base_form(tree))


def _base_form(tree: Any) -> Form:
    with warnings.catch_warnings():
        # Branches that NanoEvents cannot hold are left out: naming one is our own error.
        warnings.simplefilter("ignore")
        form: Form = UprootSourceMapping._extract_base_form(tree)
    return form
