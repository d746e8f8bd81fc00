"""Filesets: which files make up which datasets, and what is known about them."""

from __future__ import annotations

import glob
import itertools
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from lazyana.errors import FileError, InputError, InputTypeError, did_you_mean

PathLike: TypeAlias = str | os.PathLike[str]
Places: TypeAlias = PathLike | Sequence[PathLike]
FilesetLike: TypeAlias = "Fileset | PathLike | Iterable[Places] | Mapping[str, Any]"

_IS_MC = ("is_mc", "isMC", "mc")
_DATASET_KEYS = ("files", "metadata")
# What coffea's preprocessing adds; lazyana finds all of it out by itself.
_COFFEA_KEYS = ("form", "format", "compressed_form", "did")
_SUFFIXES = (".root", ".parquet")
_TREE_KEYS = (
    *("object_path", "alternatives", "steps", "num_entries", "num_selected_entries"),
    *("uuid", "format", "lfn", "pfn"),
)
_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True)
class Dataset:
    """Files that belong together.

    Attributes
    ----------
    name
        Name of the dataset; results are kept apart by it.
    files
        URL of each file and the name of its tree (``None``: the tree given to `lazyana.open`).
    metadata
        What is known about it: ``is_mc``, ``year``, ``xsec`` (pb), ``era``, anything.
    alternatives
        For files that are in several places, by URL: the other URLs, in the order to try them.
    """

    name: str
    files: tuple[tuple[str, str | None], ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    alternatives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def places(self, url: str) -> tuple[str, ...]:
        """All places of a file, in the order to try them; the first one is its name."""
        return (url, *self.alternatives.get(url, ()))

    @property
    def is_mc(self) -> bool | None:
        """Whether this is simulation, or None where the metadata do not say.

        Raises
        ------
        InputError, InputTypeError
            Keys that contradict each other, or a value that is neither true nor false.
        """
        given = {key: self.metadata[key] for key in _IS_MC if key in self.metadata}
        values = {key: _as_bool(self.name, key, value) for key, value in given.items()}
        if len(set(values.values())) > 1:
            said = ", ".join(f"{key}={value}" for key, value in values.items())
            msg = f"The metadata of dataset {self.name!r} contradict each other: {said}. Keep one."
            raise InputError(msg)
        return next(iter(values.values()), None)


@dataclass(frozen=True)
class Fileset:
    """Datasets, by name.

    Parameters
    ----------
    datasets
        The datasets, each with at least one file; names are unique.

    Raises
    ------
    InputError
        No datasets, one without files, two of one name, or alternatives of an unknown file.
    """

    datasets: tuple[Dataset, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot be worked on."""
        if not self.datasets:
            msg = "The fileset is empty: give at least one dataset with one file."
            raise InputError(msg)
        seen: set[str] = set()
        for dataset in self.datasets:
            if not dataset.name:
                msg = "A dataset has an empty name: results are kept apart by it, so give one."
                raise InputError(msg)
            if not dataset.files:
                msg = f"There are no files in dataset {dataset.name!r}: give at least one."
                raise InputError(msg)
            files = [url for url, _ in dataset.files]
            strays = sorted(set(dataset.alternatives).difference(files))
            if strays:
                hint = did_you_mean(strays[0], files)
                msg = (
                    f"Dataset {dataset.name!r} has alternatives of {strays[0]}, which is none of "
                    f"its files.{hint}"
                )
                raise InputError(msg)
            if dataset.name in seen:
                msg = f"Dataset {dataset.name!r} is there twice: give each a name of its own."
                raise InputError(msg)
            seen.add(dataset.name)

    @classmethod
    def parse(cls, source: FilesetLike, *, name: str | None = None) -> Fileset:
        """A fileset out of whatever users have.

        Local paths become absolute, so that tasks find them wherever they run; URLs stay as they
        are. Relative paths in a JSON file are relative to the folder of that file.

        Parameters
        ----------
        source
            A path, URL, glob or folder; several of them; the path of a fileset in JSON; a mapping
            ``{dataset: files}`` or ``{dataset: {"files": files, "metadata": {...}}}`` where
            `files` are paths, globs or ``{path: tree}``; ``{path: tree}``; or a Fileset. Files are
            ``*.root`` or ``*.parquet``. In a list of files, a list or tuple is one file that is in
            several places, as is ``{path: {"object_path": tree, "alternatives": [paths]}}``: they
            are tried in that order.
        name
            Name of the dataset where `source` has none (default: the name of the only file,
            or ``"events"``).

        Raises
        ------
        FileError
            A local file or glob that matches nothing.
        InputError, InputTypeError
            An empty fileset, or something that is none of the above.
        """
        if isinstance(source, Fileset):
            return source
        folder = None
        if isinstance(source, str | os.PathLike) and os.fspath(source).endswith(".json"):
            path = _json_path(source)
            source, folder = _read_json(path), path.parent
        if isinstance(source, Mapping) and not (source and all(map(_is_file, source))):
            return cls(_datasets(source, folder))
        files = _files(source, "the fileset", folder)
        only = Path(files[0].url).stem if len(files) == 1 else "events"
        return cls((_of_files(name or only, files),))

    def to_dict(self) -> dict[str, Any]:
        """The fileset in plain dicts and lists, which `parse` takes, from JSON too.

        The metadata are in it as they are.
        """
        return {
            dataset.name: {
                "files": {url: _plain(tree, dataset.places(url)) for url, tree in dataset.files},
                "metadata": dict(dataset.metadata),
            }
            for dataset in self.datasets
        }

    def __getitem__(self, name: str) -> Dataset:
        """The dataset called `name`."""
        for dataset in self.datasets:
            if dataset.name == name:
                return dataset
        names = [dataset.name for dataset in self.datasets]
        hint = did_you_mean(str(name), names)
        msg = f"There is no dataset {name!r}.{hint} There are: {', '.join(names)}."
        raise InputError(msg)

    @property
    def number_of_files(self) -> int:
        """How many files there are in all datasets together."""
        return sum(len(dataset.files) for dataset in self.datasets)


def _json_path(source: PathLike) -> Path:
    text = os.fspath(source)
    if "://" in text:
        msg = f"The fileset {text} is not a local file: download it first."
        raise FileError(msg)
    return Path(text).expanduser().absolute()


def _read_json(path: Path) -> Mapping[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            msg = f"The fileset {path} has the key {twice!r} twice in one place: keep one."
            raise InputError(msg)
        return found

    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
    except FileNotFoundError as error:
        msg = f"There is no fileset {path}{_neighbours(path)}"
        raise FileError(msg) from error
    except OSError as error:
        msg = f"The fileset {path} cannot be read: {error.strerror or error}."
        raise FileError(msg) from error
    except InputError:
        raise
    except ValueError as error:
        msg = f"The fileset {path} is not JSON: {error}."
        raise FileError(msg) from error
    if not isinstance(content, Mapping):
        msg = f"The fileset {path} holds a {type(content).__name__}, not {{dataset: files}}."
        raise InputTypeError(msg)
    return content


def _datasets(source: Mapping[Any, Any], folder: Path | None) -> tuple[Dataset, ...]:
    for name in source:
        if not isinstance(name, str):
            msg = f"The name of a dataset is {name!r}: give text."
            raise InputTypeError(msg)
    return tuple(_dataset(name, value, folder) for name, value in source.items())


def _dataset(name: str, value: Any, folder: Path | None) -> Dataset:
    what = f"dataset {name!r}"
    if not isinstance(value, Mapping):
        return _of_files(name, _files(value, what, folder))
    if "files" not in value:
        _check_paths(what, value)
        return _of_files(name, _files(value, what, folder))
    known = (*_DATASET_KEYS, *_COFFEA_KEYS)
    unknown = [key for key in value if key not in known]
    if unknown:
        hint = did_you_mean(str(unknown[0]), _DATASET_KEYS)
        msg = (
            f"Dataset {name!r} has an unknown key {unknown[0]!r}.{hint} Known: files and metadata; "
            "what else is known of the dataset goes into metadata."
        )
        raise InputError(msg)
    metadata = value.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        msg = f"The metadata of {what} are a {type(metadata).__name__}, not a mapping."
        raise InputTypeError(msg)
    dataset = _of_files(name, _files(value["files"], what, folder), dict(metadata))
    _ = dataset.is_mc  # says what is wrong with it, if anything is
    return dataset


def _check_paths(what: str, value: Mapping[Any, Any]) -> None:
    """Refuse a mapping without files whose keys are not paths but misspelt or misplaced words."""
    for key in value:
        if not isinstance(key, str) or re.search(r"[./*?[\\]", key) or Path(key).exists():
            continue
        hint = did_you_mean(key, ["files"])
        msg = (
            f"The key {key!r} of {what} is neither 'files' nor a path.{hint} Write "
            "{'files': [...], 'metadata': {...}}, or {path: tree}."
        )
        raise InputError(msg)


def _is_file(key: Any) -> bool:
    """Whether a key of a mapping is the path of a file rather than the name of a dataset."""
    return isinstance(key, os.PathLike) or (isinstance(key, str) and key.endswith(_SUFFIXES))


class _File(NamedTuple):
    """A file: its name, its tree, and the other places where it is."""

    url: str
    tree: str | None
    others: tuple[str, ...] = ()


def _of_files(
    name: str, files: Iterable[_File], metadata: Mapping[str, Any] | None = None
) -> Dataset:
    others = {file.url: file.others for file in files if file.others}
    return Dataset(name, tuple((file.url, file.tree) for file in files), metadata or {}, others)


def _plain(tree: str | None, places: tuple[str, ...]) -> Any:
    others = list(places[1:])
    return {"object_path": tree, "alternatives": others} if others else tree


def _files(value: Any, what: str, folder: Path | None) -> tuple[_File, ...]:
    if isinstance(value, str | os.PathLike):
        pairs: list[tuple[Any, Any]] = [(value, None)]
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        paths = list(value)
        # The order of a set differs from process to process, that of results must not.
        paths = sorted(paths, key=str) if isinstance(value, set | frozenset) else paths
        pairs = [(path, None) for path in paths]
    else:
        msg = f"The files of {what} are a {type(value).__name__}: give paths, globs or a mapping."
        raise InputTypeError(msg)
    files = [file for path, tree in pairs for file in _files_of(path, tree, what, folder)]
    if not files:
        msg = f"There are no files in {what}: give at least one."
        raise InputError(msg)
    seen: set[str] = set()
    for file in files:
        for url in (file.url, *file.others):
            same = url if "://" in url else os.path.realpath(url)
            if same in seen:
                msg = f"The file {url} is twice in {what}: its events would count double."
                raise InputError(msg)
            seen.add(same)
    return tuple(files)


def _files_of(path: Any, tree: Any, what: str, folder: Path | None) -> list[_File]:
    """The files that a path, URL, glob or folder stands for, or one that is in several places."""
    if isinstance(path, list | tuple):
        first, *others = _at_places(path, what, folder)
        return [_File(first, None, tuple(others))]
    given = tree.get("alternatives") if isinstance(tree, Mapping) else None
    if given is not None:
        if not isinstance(given, str | os.PathLike | list | tuple):
            msg = f"The alternatives of {path} are a {type(given).__name__}: give a list of URLs."
            raise InputTypeError(msg)
        given = [given] if isinstance(given, str | os.PathLike) else given
        first, *others = _at_places((path, *given), what, folder)
        return [_File(first, _tree_name(tree, first), tuple(others))]
    return [_File(url, _tree_name(tree, url)) for url in _expand(path, what, folder)]


def _at_places(places: Sequence[Any], what: str, folder: Path | None) -> list[str]:
    """The URLs of one file; some local ones may be missing here, as that is what others are for."""
    if not places:
        msg = f"A file of {what} is given as an empty list: give its URL, or several of them."
        raise InputError(msg)
    urls = [_located(path, what, folder) for path in places]
    for url in urls:
        if "://" not in url and (_MAGIC.search(url) or Path(url).is_dir()) and not _is_there(url):
            msg = f"A file of {what} is given as {url!r} and others: each must be one file."
            raise InputError(msg)
    if not any(map(_is_there, urls)):
        msg = f"There is no file {urls[0]!r} (in {what}){_neighbours(Path(urls[0]))}"
        raise FileError(msg)
    return urls


def _is_there(url: str) -> bool:
    try:
        return "://" in url or Path(url).is_file()
    except PermissionError:
        return True  # whoever reads it says so, and goes on to its next place


def _tree_name(tree: Any, url: str) -> str | None:
    if isinstance(tree, Mapping):
        unknown = [key for key in tree if key not in _TREE_KEYS]
        if unknown:
            hint = did_you_mean(str(unknown[0]), _TREE_KEYS)
            msg = f"{url} has an unknown key {unknown[0]!r}.{hint} Name its tree by 'object_path'."
            raise InputError(msg)
        _check_steps(tree.get("steps"), tree.get("num_entries"), url)
        tree = tree.get("object_path")
    if tree is None or (isinstance(tree, str) and tree):
        return tree
    msg = f"The tree of {url} is given as {tree!r}: give its name."
    raise InputTypeError(msg)


def _check_steps(steps: Any, entries: Any, url: str) -> None:
    """Refuse coffea's steps where they leave out events: a file is always read as a whole."""
    if not steps:
        return
    edges = sorted((int(start), int(stop)) for start, stop in steps)
    gaps = any(left[1] != right[0] for left, right in itertools.pairwise(edges))
    if edges[0][0] != 0 or gaps or (entries is not None and edges[-1][1] < int(entries)):
        msg = (
            f"The steps of {url} leave out some of its events, but files are read as a whole: "
            "remove 'steps', and limit the number of files instead."
        )
        raise InputError(msg)


def _expand(path: Any, what: str, folder: Path | None) -> list[str]:
    """The files that a path, URL, glob or folder stands for."""
    url = _located(path, what, folder)
    if _is_there(url):
        return [url]
    local = Path(url)
    if local.is_dir():
        each = (file for file in _inside(local) if file.suffix in _SUFFIXES)
        found = sorted(str(file) for file in each if file.is_file())
        hint = ": that folder has no *.root or *.parquet files."
    else:
        names = glob.glob(url, recursive=True)  # noqa: PTH207  Path.glob takes no absolute
        found = sorted(name for name in names if Path(name).is_file())
        hint = _neighbours(local)
    if not found:
        msg = f"There is no file {url!r} (in {what}){hint}"
        raise FileError(msg)
    return found


def _inside(folder: Path) -> list[Path]:
    """What is in a folder."""
    try:
        return list(folder.iterdir())
    except OSError as error:
        msg = f"Folder {folder} cannot be read: {error.strerror}."
        raise FileError(msg) from error


def _located(path: Any, what: str, folder: Path | None) -> str:
    """A URL as it is, a path made absolute."""
    url = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(url, str) or not url:
        msg = f"A file of {what} is given as {path!r}: give a path or URL."
        raise InputTypeError(msg)
    if "://" in url:
        return url
    if re.match(r"\w{2,}:/", url):
        msg = f"A file of {what} is given as {url!r}: give URLs as text, Path() takes out slashes."
        raise InputError(msg)
    return str((folder or Path.cwd()) / Path(url).expanduser())


def _neighbours(path: Path) -> str:
    """Why a path leads to no file, as the end of a message."""
    if _MAGIC.search(str(path)):
        return ": the pattern matches nothing."
    file, colon, tree = str(path).rpartition(":")
    if colon and Path(file).is_file():
        return f": name the tree by {{{file!r}: {tree!r}}}."
    if not path.parent.is_dir():
        return f": there is no folder {path.parent}."
    names = [file.name for file in _inside(path.parent)]
    return "." + did_you_mean(path.name, [name for name in names if name != path.name])


def _as_bool(dataset: str, key: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    msg = f"Metadata {key!r} of dataset {dataset!r} is {value!r}: write True or False."
    raise InputTypeError(msg)
