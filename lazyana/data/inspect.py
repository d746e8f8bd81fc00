"""Inspection: what the files hold, learned by opening each of them once."""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import uproot
from coffea.nanoevents.mapping import UprootSourceMapping

from lazyana.data.fileset import Dataset, Fileset
from lazyana.errors import FileError, InputError, did_you_mean

_THREADS = 4
_TREES = ("TTree", "TNtuple", "TNtupleD")
_SIMULATED = frozenset({"genWeight", "nGenPart", "Generator_weight"})

FileState = tuple[int, int, int]
"""(inode, bytes, time of the last change in ns) of a local file"""


@dataclass(frozen=True)
class Layout:
    """The branches of a tree: files with equal layouts are read by the same plan.

    Attributes
    ----------
    signature
        Hash of the names and types of the branches.
    base_form
        Form of the flat branches, as coffea's schemas take it (JSON).
    """

    signature: str
    base_form: str

    @cached_property
    def types(self) -> Mapping[str, str]:
        """C++ type of each branch that can be read as an array, by name, sorted."""
        form = json.loads(self.base_form)
        named = zip(form["fields"], form["contents"], strict=True)
        return {name: _typename(content) for name, content in sorted(named)}

    @property
    def branches(self) -> tuple[str, ...]:
        """Names of the branches that can be read as arrays, sorted."""
        return tuple(self.types)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is derived."""
        return {"signature": self.signature, "base_form": self.base_form}


@dataclass(frozen=True, eq=False)
class Sizes(Mapping[str, int]):
    """A number for each branch of a file, small: the names are shared by all files of a layout.

    Attributes
    ----------
    places
        Position of each branch.
    numbers
        The numbers.
    """

    places: Mapping[str, int]
    numbers: array[int]

    def __getitem__(self, branch: str) -> int:
        """The number of one branch."""
        return self.numbers[self.places[branch]]

    def __iter__(self) -> Iterator[str]:
        """The names of the branches."""
        return iter(self.places)

    def __len__(self) -> int:
        """How many branches there are."""
        return len(self.places)


@dataclass(frozen=True)
class FileInfo:
    """What is known about one file.

    Attributes
    ----------
    url, tree
        Where its events are.
    uuid
        Identity of the file's content, checked again when it is read.
    entries
        Number of events.
    signature
        Which `Layout` it has.
    branch_bytes
        Compressed size of each branch, in bytes.
    """

    url: str
    tree: str
    uuid: str
    entries: int
    signature: str
    branch_bytes: Mapping[str, int]


@dataclass(frozen=True)
class Catalog:
    """What inspection learned of a fileset.

    Attributes
    ----------
    fileset
        The fileset inspected.
    files
        For every dataset, its files in order.
    layouts
        The layouts met, by signature.
    """

    fileset: Fileset
    files: Mapping[str, tuple[FileInfo, ...]]
    layouts: Mapping[str, Layout]

    def entries(self, dataset: str) -> int:
        """Number of events in a dataset."""
        return sum(file.entries for file in self.files[dataset])


def inspect(
    source: Any,
    *,
    tree: str = "Events",
    progress: Callable[[int, int], None] | None = None,
) -> Catalog:
    """Open every file of a fileset once and note what it holds.

    A local file that did not change since this process inspected it is not opened again. To save
    opening remote files again, keep the catalog: `lazyana.open` takes it in place of a fileset.

    Parameters
    ----------
    source
        A fileset, or anything `Fileset.parse` takes.
    tree
        Name of the tree with the events, where the fileset does not name it.
    progress
        Called with (files done, files in all) after each file.

    Returns
    -------
    Catalog
        Entries, identity, branches and sizes.

    Raises
    ------
    FileError
        A file that cannot be opened, is no ROOT file, or has no such tree.
    """
    fileset = Fileset.parse(source)
    wanted = [
        (dataset.name, (url, given or tree))
        for dataset in fileset.datasets
        for url, given in dataset.files
    ]
    places = tuple(dict.fromkeys(place for _, place in wanted))
    found: dict[tuple[str, str], tuple[FileInfo, Layout]] = {}
    with ThreadPoolExecutor(max_workers=min(_THREADS, len(places))) as pool:
        results = pool.map(lambda place: _inspect_file(*place), places)
        for done, (place, result) in enumerate(zip(places, results, strict=True), start=1):
            found[place] = result
            if progress is not None:
                progress(done, len(places))
    files: dict[str, list[FileInfo]] = {dataset.name: [] for dataset in fileset.datasets}
    layouts: dict[str, Layout] = {}
    for name, place in wanted:
        info, layout = found[place]
        files[name].append(info)
        layouts.setdefault(info.signature, layout)
    return Catalog(fileset, {name: tuple(infos) for name, infos in files.items()}, layouts)


def open_tree(url: str, tree: str) -> Any:
    """The tree with the events of a file, opened by uproot.

    Raises
    ------
    FileError
        A file that cannot be opened, is no ROOT file, or has no such tree.
    """
    try:
        root = uproot.open({url: None})
    except FileNotFoundError as error:
        file, colon, inside = url.rpartition(":")
        named = colon and file.endswith(".root")
        hint = f" To name the tree write {{{file!r}: {inside!r}}}." if named else ""
        msg = f"There is no file {url}.{hint}"
        raise FileError(msg) from error
    except Exception as error:
        msg = f"{url} cannot be opened as a ROOT file: {_first_line(error)}"
        raise FileError(msg) from error
    try:
        _check_length(root, url)
        return _tree_in(root, url, tree)
    except BaseException:
        root.close()
        raise


def _check_length(root: Any, url: str) -> None:
    """Refuse a local file that ends before the end its header tells."""
    found, expected = root.file.source.num_bytes, root.file.fEND
    if "://" not in url and found < expected:
        msg = (
            f"{url} is cut short: it has {found} of {expected} bytes. It may still be being "
            "written or copied."
        )
        raise FileError(msg)


def _tree_in(root: Any, url: str, tree: str) -> Any:
    try:
        found = root[tree]
        is_folder = isinstance(found, uproot.ReadOnlyDirectory)
        kind = "TDirectory" if is_folder else str(found.classname)
    except (KeyError, uproot.exceptions.KeyInFileError) as error:
        trees = _trees(root)
        msg = (
            f"{url} has no tree {tree!r}.{did_you_mean(tree, trees)} "
            f"Trees in it: {', '.join(trees) or 'none'}. Give its name with tree=."
        )
        raise FileError(msg) from error
    except Exception as error:
        msg = f"Tree {tree!r} of {url} cannot be read: {_first_line(error)}"
        raise FileError(msg) from error
    if isinstance(found, uproot.behaviors.TBranch.HasBranches):
        return found
    if "RNTuple" in kind:
        msg = (
            f"{tree!r} in {url} is an RNTuple, and events are read from a TTree: convert the file, "
            "or take the NanoAOD file it was made from."
        )
    else:
        msg = (
            f"{tree!r} in {url} is a {kind}, not a tree (TTree) of events. "
            f"Trees in it: {', '.join(_trees(root)) or 'none'}."
        )
    raise FileError(msg)


def file_state(url: str) -> FileState | None:
    """What tells a local file from what it was before; None for a remote one.

    Raises
    ------
    FileError
        A local file that is gone.
    """
    if "://" in url:
        return None
    try:
        stat = Path(url).stat()
    except FileNotFoundError as error:
        msg = f"There is no file {url} (any more)."
        raise FileError(msg) from error
    except OSError as error:
        msg = f"{url} cannot be read: {error.strerror or error}."
        raise FileError(msg) from error
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _inspect_file(url: str, tree: str) -> tuple[FileInfo, Layout]:
    state = file_state(url)
    # Whether a remote file is what it was can only be known by opening it.
    return _open_and_note(url, tree) if state is None else _inspect_state(url, tree, state)


@lru_cache(maxsize=16384)
def _inspect_state(url: str, tree: str, state: FileState) -> tuple[FileInfo, Layout]:
    del state  # part of the cache key only
    return _open_and_note(url, tree)


def _open_and_note(url: str, tree: str) -> tuple[FileInfo, Layout]:
    opened = open_tree(url, tree)
    try:
        layout, places = _layout(opened)
        sizes = array("q", bytes(8 * len(places)))
        for branch in opened.branches:
            sizes[places[branch.name]] += int(branch.compressed_bytes)
        info = FileInfo(
            url=url,
            tree=tree,
            uuid=str(opened.file.uuid),
            entries=int(opened.num_entries),
            signature=layout.signature,
            branch_bytes=Sizes(places, sizes),
        )
    except Exception as error:
        msg = f"The branches of {tree!r} in {url} cannot be read: {_first_line(error)}"
        raise FileError(msg) from error
    finally:
        opened.file.close()
    return info, layout


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


def _trees(root: Any) -> list[str]:
    kinds = root.classnames(cycle=False)
    return sorted(name for name, kind in kinds.items() if kind in _TREES)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _typename(form: Mapping[str, Any]) -> str:
    """The type of a branch, as coffea's base form notes it on the innermost form."""
    while "content" in form:
        form = form["content"]
    return str(form.get("parameters", {}).get("typename", form.get("primitive", "?")))


def simulated(dataset: Dataset, layout: Layout) -> bool:
    """Whether a dataset is simulation: as its metadata say, else by its branches.

    Raises
    ------
    InputError
        Metadata that call a dataset simulation whose files have no generator weight.
    """
    looks_simulated = not _SIMULATED.isdisjoint(layout.types)
    said = dataset.is_mc
    if said is None:
        return looks_simulated
    if said and not looks_simulated:
        msg = (
            f"Dataset {dataset.name!r} is called simulation (is_mc=True) but its files have no "
            "genWeight branch. Set is_mc=False for data."
        )
        raise InputError(msg)
    return said


def groups_of(catalog: Catalog, keys: Iterable[str]) -> dict[tuple[Any, ...], list[Dataset]]:
    """Datasets that share layout, kind and the given metadata, in order of appearance.

    Raises
    ------
    InputError
        A dataset whose files have different branches.
    """
    keys = tuple(keys)
    groups: dict[tuple[Any, ...], list[Dataset]] = {}
    for dataset in catalog.fileset.datasets:
        layout = catalog.layouts[one_signature(catalog, dataset)]
        key = (
            layout.signature,
            simulated(dataset, layout),
            *(str(dataset.metadata.get(name)) for name in keys),
        )
        groups.setdefault(key, []).append(dataset)
    return groups


def one_signature(catalog: Catalog, dataset: Dataset) -> str:
    """The layout all files of a dataset have in common.

    Raises
    ------
    InputError
        Files of one dataset with different branches, naming the first difference.
    """
    files = catalog.files[dataset.name]
    for other in files[1:]:
        if other.signature != files[0].signature:
            layouts = (catalog.layouts[file.signature] for file in (files[0], other))
            msg = (
                f"The files of dataset {dataset.name!r} have different branches: "
                f"{files[0].url} and {other.url} differ in {_differences(*layouts)}. "
                "Make them datasets of their own."
            )
            raise InputError(msg)
    return files[0].signature


def _differences(one: Layout, other: Layout) -> str:
    """The branches that only one of two layouts has, or that are of another type."""
    differ = [
        name if name not in one.types or name not in other.types else f"{name} ({a} or {b})"
        for name in sorted({*one.types, *other.types})
        if (a := one.types.get(name)) != (b := other.types.get(name))
    ]
    shown = ", ".join(differ[:5]) or "branches that hold no numbers"
    return f"{shown} and {len(differ) - 5} more" if len(differ) > 5 else shown
