"""Filesets: which files make up which datasets, and what is known about them."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from lazyana.errors import FileError, InputError, InputTypeError, did_you_mean

PathLike: TypeAlias = str | Path
FilesetLike: TypeAlias = "Fileset | PathLike | Iterable[PathLike] | Mapping[str, Any]"

_IS_MC = ("is_mc", "isMC", "mc")
_DATASET_KEYS = ("files", "metadata", "form", "format")


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
    """

    name: str
    files: tuple[tuple[str, str | None], ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_mc(self) -> bool | None:
        """Whether this is simulation, or None where the metadata do not say."""
        given = {key: self.metadata[key] for key in _IS_MC if key in self.metadata}
        values = {key: _as_bool(self.name, key, value) for key, value in given.items()}
        if len(set(values.values())) > 1:
            msg = f"Dataset {self.name!r} says {values}: keep one of these keys."
            raise InputError(msg)
        return next(iter(values.values()), None)


@dataclass(frozen=True)
class Fileset:
    """Datasets, by name.

    Parameters
    ----------
    datasets
        The datasets; names are unique.
    """

    datasets: tuple[Dataset, ...]

    @classmethod
    def parse(cls, source: FilesetLike, *, name: str | None = None) -> Fileset:
        """A fileset out of whatever users have.

        Parameters
        ----------
        source
            A path, URL or glob; several of them; the path of a fileset in JSON; a mapping
            ``{dataset: files}`` or ``{dataset: {"files": files, "metadata": {...}}}`` where
            `files` are paths, globs or ``{path: tree}``; or a Fileset.
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
        if isinstance(source, str | Path) and str(source).endswith(".json"):
            return cls.parse(_read_json(Path(source)))
        if isinstance(source, Mapping):
            datasets = tuple(_dataset(str(key), value) for key, value in source.items())
        else:
            files = _files(source, "the fileset")
            only = Path(files[0][0]).stem if len(files) == 1 else "events"
            datasets = (Dataset(name or only, files),)
        if not datasets:
            msg = "The fileset is empty: give at least one dataset with one file."
            raise InputError(msg)
        return cls(datasets)

    def __getitem__(self, name: str) -> Dataset:
        """The dataset called `name`."""
        for dataset in self.datasets:
            if dataset.name == name:
                return dataset
        names = [dataset.name for dataset in self.datasets]
        msg = f"There is no dataset {name!r}.{did_you_mean(name, names)} There are: {names}."
        raise InputError(msg)

    @property
    def number_of_files(self) -> int:
        """How many files there are in all datasets together."""
        return sum(len(dataset.files) for dataset in self.datasets)


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        msg = f"The fileset {path} cannot be read: {error.strerror or error}."
        raise FileError(msg) from error
    except ValueError as error:
        msg = f"The fileset {path} is not JSON: {error}."
        raise FileError(msg) from error
    if not isinstance(content, Mapping):
        msg = f"The fileset {path} holds a {type(content).__name__}, not {{dataset: files}}."
        raise InputTypeError(msg)
    return {
        name: _relative_to(path.parent, value) for name, value in content.items()
    }


def _relative_to(folder: Path, value: Any) -> Any:
    """Relative paths in a JSON fileset are relative to that file, not to where Python runs."""

    def resolve(url: str) -> str:
        return url if "://" in url or Path(url).is_absolute() else str(folder / url)

    if isinstance(value, str):
        return resolve(value)
    if isinstance(value, list):
        return [resolve(url) for url in value]
    if isinstance(value, dict) and "files" in value:
        return {**value, "files": _relative_to(folder, value["files"])}
    if isinstance(value, dict):
        return {resolve(url): tree for url, tree in value.items()}
    return value


def _dataset(name: str, value: Any) -> Dataset:
    if not isinstance(value, Mapping):
        return Dataset(name, _files(value, f"dataset {name!r}"))
    if "files" not in value:
        wrong = [key for key in value if did_you_mean(str(key), ["files"])]
        if wrong:
            msg = f"Dataset {name!r} has a key {wrong[0]!r}. Did you mean 'files'?"
            raise InputError(msg)
        return Dataset(name, _files(value, f"dataset {name!r}"))
    unknown = [key for key in value if key not in _DATASET_KEYS]
    if unknown:
        hint = did_you_mean(str(unknown[0]), _DATASET_KEYS)
        msg = f"Dataset {name!r} has an unknown key {unknown[0]!r}.{hint} Known: files, metadata."
        raise InputError(msg)
    metadata = value.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        msg = f"The metadata of dataset {name!r} are a {type(metadata).__name__}, not a mapping."
        raise InputTypeError(msg)
    return Dataset(name, _files(value["files"], f"dataset {name!r}"), dict(metadata))


def _files(value: Any, what: str) -> tuple[tuple[str, str | None], ...]:
    if isinstance(value, str | Path):
        pairs: list[tuple[Any, Any]] = [(value, None)]
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, Iterable):
        pairs = [(url, None) for url in value]
    else:
        msg = f"The files of {what} are a {type(value).__name__}: give paths, globs or a mapping."
        raise InputTypeError(msg)
    files = [
        (url, _tree_name(tree, url)) for path, tree in pairs for url in _expand(path, what)
    ]
    if not files:
        msg = f"There are no files in {what}: give at least one."
        raise InputError(msg)
    seen: set[str] = set()
    for url, _ in files:
        if url in seen:
            msg = f"The file {url} is twice in {what}: its events would count double."
            raise InputError(msg)
        seen.add(url)
    return tuple(files)


def _tree_name(tree: Any, url: str) -> str | None:
    if isinstance(tree, Mapping):
        tree = tree.get("object_path")
    if tree is None or isinstance(tree, str):
        return tree
    msg = f"The tree of {url} is given as {tree!r}: give its name."
    raise InputTypeError(msg)


def _expand(path: Any, what: str) -> list[str]:
    if not isinstance(path, str | Path):
        msg = f"A file of {what} is given as {path!r}: give a path or URL."
        raise InputTypeError(msg)
    url = str(path)
    if "://" in url:
        return [url]
    local = Path(url).expanduser()
    if local.is_file():
        return [str(local)]
    if local.is_dir():
        found = sorted(str(file) for file in local.glob("*.root"))
        hint = "that folder has no *.root files"
    else:
        found = sorted(glob.glob(str(local)))  # noqa: PTH207  Path.glob refuses absolute patterns
        hint = _neighbours(local)
    if not found:
        msg = f"There is no file {url!r} (in {what}): {hint}."
        raise FileError(msg)
    return found


def _neighbours(path: Path) -> str:
    if any(mark in str(path) for mark in "*?["):
        return "the pattern matches nothing"
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = [file.name for file in path.parent.iterdir()]
    return (did_you_mean(path.name, names).strip() or "check the path").rstrip("?.")


def _as_bool(dataset: str, key: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    msg = f"Metadata {key!r} of dataset {dataset!r} is {value!r}: write True or False."
    raise InputTypeError(msg)
