"""Inspection: what the files hold, learned by opening each of them once."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import uproot
from coffea.nanoevents.mapping import UprootSourceMapping

from lazyana.data.fileset import Dataset, Fileset
from lazyana.errors import FileError, InputError, did_you_mean

_THREADS = 4


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

    @property
    def branches(self) -> tuple[str, ...]:
        """Names of the branches that can be read as arrays, sorted."""
        return tuple(sorted(json.loads(self.base_form)["fields"]))


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
        (dataset, url, given or tree) for dataset in fileset.datasets for url, given in dataset.files
    ]
    infos: dict[str, list[FileInfo]] = {dataset.name: [] for dataset in fileset.datasets}
    layouts: dict[str, Layout] = {}
    with ThreadPoolExecutor(max_workers=min(_THREADS, len(wanted))) as pool:
        results = pool.map(lambda item: _inspect_file(item[1], item[2]), wanted)
        for done, ((dataset, _, _), (info, layout)) in enumerate(zip(wanted, results, strict=True)):
            infos[dataset.name].append(info)
            layouts.setdefault(info.signature, layout)
            if progress is not None:
                progress(done + 1, len(wanted))
    return Catalog(fileset, {name: tuple(files) for name, files in infos.items()}, layouts)


def open_tree(url: str, tree: str) -> Any:
    """The tree with the events of a file, opened by uproot.

    Raises
    ------
    FileError
        A file that cannot be opened, is no ROOT file, or has no such tree.
    """
    try:
        root = uproot.open(url)
    except FileNotFoundError as error:
        msg = f"There is no file {url}."
        raise FileError(msg) from error
    except (ValueError, OSError, uproot.exceptions.KeyInFileError) as error:
        msg = f"{url} cannot be opened as a ROOT file: {_first_line(error)}"
        raise FileError(msg) from error
    try:
        found = root[tree]
    except (KeyError, uproot.exceptions.KeyInFileError) as error:
        trees = sorted(name for name, kind in root.classnames(cycle=False).items() if _is_tree(kind))
        msg = (
            f"{url} has no tree {tree!r}.{did_you_mean(tree, trees)} "
            f"Trees in it: {', '.join(trees) or 'none'}. Give its name with tree=."
        )
        raise FileError(msg) from error
    if not isinstance(found, uproot.behaviors.TBranch.HasBranches):
        msg = f"{tree!r} in {url} is a {type(found).__name__}, not a tree (TTree) of events."
        raise FileError(msg)
    return found


def _inspect_file(url: str, tree: str) -> tuple[FileInfo, Layout]:
    """Cached by the state of a local file: what is not touched is not opened again."""
    return _inspect_state(url, tree, _state(url))


def _state(url: str) -> tuple[int, int] | None:
    if "://" in url:
        return None
    try:
        stat = Path(url).stat()
    except OSError as error:
        msg = f"{url} cannot be read: {error.strerror or error}."
        raise FileError(msg) from error
    return (stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _inspect_state(url: str, tree: str, state: tuple[int, int] | None) -> tuple[FileInfo, Layout]:
    del state  # part of the cache key only
    opened = open_tree(url, tree)
    try:
        layout = _layout(opened)
        info = FileInfo(
            url=url,
            tree=tree,
            uuid=str(opened.file.uuid),
            entries=int(opened.num_entries),
            signature=layout.signature,
            branch_bytes={branch.name: int(branch.compressed_bytes) for branch in opened.branches},
        )
    finally:
        opened.file.close()
    return info, layout


def _layout(tree: Any) -> Layout:
    names = sorted((branch.name, branch.typename) for branch in tree.branches)
    signature = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
    known = _layouts.get(signature)
    if known is None:
        with warnings.catch_warnings():
            # Branches that NanoEvents cannot hold are left out: naming one is our own error.
            warnings.simplefilter("ignore")
            base_form = UprootSourceMapping._extract_base_form(tree)
        known = _layouts.setdefault(signature, Layout(signature, json.dumps(base_form)))
    return known


_layouts: dict[str, Layout] = {}


def _is_tree(kind: str) -> bool:
    return kind.startswith("TTree") or kind in ("TNtuple", "TNtupleD", "TChain")


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def simulated(dataset: Dataset, layout: Layout) -> bool:
    """Whether a dataset is simulation: as its metadata say, else by its branches.

    Raises
    ------
    InputError
        Metadata that call a dataset simulation whose files have no generator weight.
    """
    branches = set(layout.branches)
    looks_simulated = bool(branches & {"genWeight", "nGenPart", "Generator_weight"})
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
            first, second = (
                set(catalog.layouts[file.signature].branches) for file in (files[0], other)
            )
            differ = sorted(first ^ second) or ["types of branches"]
            msg = (
                f"The files of dataset {dataset.name!r} have different branches: "
                f"{files[0].url} and {other.url} differ in {', '.join(differ[:5])}"
                f"{' …' if len(differ) > 5 else ''}. Make them datasets of their own."
            )
            raise InputError(msg)
    return files[0].signature
