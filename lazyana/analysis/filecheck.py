"""What is wrong with the files of datasets, all of them looked at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyana.data.catalog import Catalog
from lazyana.data.fileset import Dataset, Fileset
from lazyana.data.inspect import Noting, Place
from lazyana.data.mixed import urls_text
from lazyana.errors import FileError, InputError, LazyanaError
from lazyana.frame.inspection import inspect
from lazyana.options import ReadOptions
from lazyana.reader.fileinfo import FileInfo, Unreadable
from lazyana.reader.origin import WEIGHT

_TRIED = 20
_LIKE_OTHERS = "it cannot be read, as none of the files can."


@dataclass(frozen=True)
class FileProblem:
    """Something wrong with a file or several ones.

    Attributes
    ----------
    dataset
        The dataset.
    message
        What is wrong.
    files
        Which files.
    harmless
        Whether an analysis runs in spite of it, and gives what it should.
    """

    dataset: str
    message: str
    files: tuple[str, ...]
    harmless: bool = False


@dataclass(frozen=True)
class Files:
    """What was found out of the files of a fileset.

    Attributes
    ----------
    catalog
        What is known of those that can be read.
    problems
        What is wrong.
    """

    catalog: Catalog
    problems: tuple[FileProblem, ...]


def checked_files(fileset: Fileset, **inspecting: Any) -> Files:
    """Open all files and say what is wrong with them.

    Parameters
    ----------
    fileset
        The files.
    **inspecting
        As for `lazyana.inspect`, but for ``on_error``.
    """
    catalog = _catalog(fileset, inspecting)
    problems = [*_unreadable(catalog), *_twice(catalog), *_content(catalog)]
    return Files(catalog, tuple(problems))


def with_missing(source: Any) -> Any:
    """A fileset whose missing files are in it all the same, so that all of them can be told.

    Parameters
    ----------
    source
        What `Fileset.parse` takes.

    Returns
    -------
    Fileset or object
        The fileset; what was given where something else is wrong with it.
    """
    try:
        return Fileset.parse(source)
    except FileError:
        pass
    except (LazyanaError, TypeError):
        return source
    is_path = isinstance(source, str | Path)
    folder = Path(source).expanduser().absolute().parent if is_path else Path.cwd()
    try:
        content = json.loads(Path(source).read_text("utf-8")) if is_path else source
        return Fileset(tuple(_lenient(name, one, folder) for name, one in content.items()))
    except (OSError, LazyanaError, ValueError, TypeError, AttributeError):
        return source


def _lenient(name: str, entry: Any, folder: Path) -> Dataset:
    """A dataset with the files that there are, and those that there should be."""
    whole = entry if isinstance(entry, Mapping) and "files" in entry else {"files": entry}
    given = whole["files"]
    files = [given] if isinstance(given, str) else given
    trees = files if isinstance(files, Mapping) else {}
    parts: list[Dataset] = []
    for path in files:
        where = _located(path, folder)
        one = {**whole, "files": {where: trees[path]} if trees else [where]}
        try:
            parts += Fileset.parse({name: one}).datasets
        except FileError:
            url = where if isinstance(where, str) else where[0]
            parts.append(Dataset(name, ((url, None),), dict(whole.get("metadata") or {})))
    found = tuple(file for part in parts for file in part.files)
    others = {url: more for part in parts for url, more in part.alternatives.items()}
    if len(set(found)) < len(found):
        msg = f"Dataset {name!r} has a file twice."
        raise InputError(msg)
    return Dataset(name, found, parts[0].metadata, others)


def _located(path: Any, folder: Path) -> Any:
    """A path of a fileset in a folder, or the several places of one file."""
    if isinstance(path, list | tuple):
        return [_located(one, folder) for one in path]
    return path if "://" in path else str(folder / Path(path).expanduser())


def _catalog(fileset: Fileset, inspecting: Mapping[str, Any]) -> Catalog:
    """What is known of the files; a dataset may have none that can be read."""
    # As one dataset: inspecting fails for datasets without any file that can be read.
    places = {(url, tree): None for one in fileset.datasets for url, tree in one.files}
    others = {url: more for one in fileset.datasets for url, more in one.alternatives.items()}
    every = Fileset((Dataset("files", tuple(places), {}, others),))
    default = inspecting.get("tree", "Events")
    try:
        found = inspect(every, on_error="skip", **inspecting)
    except FileError:
        found = Catalog(every, {"files": ()}, {}, {"files": _each(fileset, default)})
    known = {(info.url, info.tree): info for info in found.files["files"]}
    bad = {one.url: one for one in found.unreadable.get("files", ())}
    files = {
        one.name: tuple(
            known[url, tree or default]
            for url, tree in one.files
            if (url, tree or default) in known
        )
        for one in fileset.datasets
    }
    unreadable = {
        one.name: tuple(bad[url] for url, _ in one.files if url in bad) for one in fileset.datasets
    }
    failed_only = {name: some for name, some in unreadable.items() if some}
    return Catalog(fileset, files, found.layouts, failed_only)


def _each(fileset: Fileset, default: str) -> tuple[Unreadable, ...]:
    """Why each of the files cannot be read, when none can; of many, why the first ones cannot."""
    noting = Noting(options=ReadOptions(on_error="skip"))
    found: list[Unreadable] = []
    for one in fileset.datasets:
        for url, tree in one.files:
            few = len(found) < _TRIED
            noted = noting(Place(one.places(url), tree or default)) if few else None
            reason = noted if isinstance(noted, Unreadable) else Unreadable(url, _LIKE_OTHERS)
            found.append(reason)
    return tuple(found)


def _unreadable(catalog: Catalog) -> Iterator[FileProblem]:
    for name, failed in catalog.unreadable.items():
        for one in failed:
            said = one.error if one.url in one.error else f"{one.url}: {one.error}"
            yield FileProblem(name, said, (one.url,))
        if not catalog.files[name]:
            urls = tuple(one.url for one in failed)
            yield FileProblem(name, f"Dataset {name!r} has no file that can be read.", urls)


def _twice(catalog: Catalog) -> Iterator[FileProblem]:
    """Files that are in several places, or in several datasets."""
    first: dict[str, tuple[str, str]] = {}
    for name, files in catalog.files.items():
        for file in files:
            dataset, url = first.setdefault(file.uuid, (name, file.url))
            if (dataset, url) == (name, file.url):
                continue
            other = url if dataset == name else f"{url} of dataset {dataset!r}"
            same = "is also in" if url == file.url else "is a copy of"
            msg = f"{file.url} {same} {other}: its events count twice. Leave one of them out."
            yield FileProblem(name, msg, (url, file.url))


def _content(catalog: Catalog) -> Iterator[FileProblem]:
    """Files without events, and those that are not what their dataset says."""
    for dataset in catalog.fileset.datasets:
        files = catalog.files[dataset.name]
        empty = [file for file in files if not file.entries]
        if empty:
            yield _problem(dataset, empty, "without events", harmless=True)
        full = [file for file in files if file.entries]
        weighted = [file for file in full if WEIGHT in catalog.layouts[file.signature].types]
        if dataset.is_mc and len(weighted) < len(full):
            bare = [file for file in full if file not in weighted]
            yield _problem(dataset, bare, f"of simulation without {WEIGHT}")
        if dataset.is_mc is False and weighted:
            yield _problem(dataset, weighted, f"with {WEIGHT} are called data", harmless=True)


def _problem(
    dataset: Dataset, files: Iterable[FileInfo], what: str, *, harmless: bool = False
) -> FileProblem:
    urls = tuple(file.url for file in files)
    number = f"{len(urls)} file{'s' * (len(urls) > 1)}"
    return FileProblem(dataset.name, f"{number} {what}: {urls_text(urls)}.", urls, harmless)
