"""Catalogs: what inspection learned of a fileset."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from lazyana.data import catalogfile
from lazyana.data.fileset import Dataset, Fileset
from lazyana.errors import FileError, InputError, InputTypeError
from lazyana.reader.baskets import BasketIndex
from lazyana.reader.fileinfo import FileInfo, Layout, Places, Sizes, Unreadable, lumi_ranges, tupled
from lazyana.reader.records import Blob, RecordError, Stored, unpacked, within

__all__ = ["Catalog", "FileInfo", "Layout", "Sizes", "Unreadable"]


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
    unreadable
        For every dataset, the files left out because they could not be read.
    """

    fileset: Fileset
    files: Mapping[str, tuple[FileInfo, ...]]
    layouts: Mapping[str, Layout]
    unreadable: Mapping[str, tuple[Unreadable, ...]] = field(default_factory=dict)

    def entries(self, dataset: str) -> int:
        """Number of events in a dataset."""
        return sum(file.entries for file in self.files[dataset])

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the catalog to one file, for `Catalog.load`, `lazyana.open` and other machines.

        Parameters
        ----------
        path
            The file, ``.catalog`` by convention. It appears complete or not at all.
        overwrite
            Replace an existing file.

        Returns
        -------
        Path
            Absolute path of the file.

        Raises
        ------
        OutputExistsError
            Where the file exists and `overwrite` is not set.
        InputTypeError
            Metadata that JSON has no words for.
        FileError
            Where the file cannot be written.
        """
        numbers: dict[int, int] = {}
        unique: list[FileInfo] = []
        for info in (info for infos in self.files.values() for info in infos):
            if numbers.setdefault(id(info), len(unique)) == len(unique):
                unique.append(info)
        header = {
            "lazyana": _version(),
            "summary": self.to_json(),
            "fileset": [_dataset_json(dataset) for dataset in self.fileset.datasets],
            "files": {
                name: [numbers[id(one)] for one in some] for name, some in self.files.items()
            },
            "unreadable": {
                name: [[one.url, one.error] for one in some]
                for name, some in self.unreadable.items()
            },
        }
        return catalogfile.write(path, header, self._members(unique), overwrite=overwrite)

    def _members(self, files: Sequence[FileInfo]) -> Iterator[tuple[str, bytes]]:
        first = {info.signature: info for info in files}
        places = {
            signature: {name: place for place, name in enumerate(info.branch_bytes)}
            for signature, info in first.items()
        }
        for signature, layout in self.layouts.items():
            yield f"layouts/{signature}", layout.to_record(places.get(signature, ()))
        for number, info in enumerate(files):
            yield f"files/{number}", info.to_record(places[info.signature])

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Catalog:
        """Read a catalog that `save` wrote. The files it is about are not touched.

        The basket index of a file is read when it is needed: the catalog file must stay where it
        is for as long as the catalog is used.

        Raises
        ------
        FileError
            A file that is missing, damaged, no catalog, or of another version.
        """
        file, header, members = catalogfile.read(path)
        try:
            with file.open("rb") as raw:
                known: dict[str, tuple[Layout, Places]] = {}
                for name, (start, size) in members.items():
                    if name.startswith("layouts/"):
                        raw.seek(start)
                        layout, places = Layout.from_record(raw.read(size))
                        known[layout.signature] = (layout, places)
                count = sum(name.startswith("files/") for name in members)
                infos = [
                    _read_info(file, raw, *members[f"files/{number}"], known)
                    for number in range(count)
                ]
            return cls(
                Fileset(tuple(_dataset(content) for content in header["fileset"])),
                {
                    name: tuple(infos[number] for number in numbers)
                    for name, numbers in header["files"].items()
                },
                {signature: layout for signature, (layout, _) in known.items()},
                {
                    name: tuple(Unreadable(*one) for one in some)
                    for name, some in header["unreadable"].items()
                },
            )
        except (RecordError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise catalogfile.damaged(file, error) from error

    @classmethod
    def merge(cls, *catalogs: Catalog) -> Catalog:
        """One catalog of several, e.g. of the parts of a fileset inspected at different places.

        A dataset may be in several catalogs: its files are put together, each file once. A file
        that one catalog could not read and another one could is taken from the latter.

        Raises
        ------
        InputError
            No catalogs; datasets of one name with different metadata; a file that two catalogs
            found different.
        """
        if not catalogs:
            msg = "There is nothing to merge: give at least one catalog."
            raise InputError(msg)
        datasets: dict[str, Dataset] = {}
        found: dict[tuple[str, str], FileInfo] = {}
        layouts: dict[str, Layout] = {}
        errors: dict[str, Unreadable] = {}
        for catalog in catalogs:
            for dataset in catalog.fileset.datasets:
                datasets[dataset.name] = _joined(datasets.get(dataset.name), dataset)
            for info in (info for infos in catalog.files.values() for info in infos):
                _check_same(found.setdefault((info.url, info.tree), info), info)
            for signature, layout in catalog.layouts.items():
                if not _alike(layouts.setdefault(signature, layout), layout):
                    msg = (
                        f"The catalogs describe layout {signature} in different ways: they were "
                        "made with different versions of coffea. Inspect the files of one again."
                    )
                    raise InputError(msg)
            for one in (one for some in catalog.unreadable.values() for one in some):
                errors.setdefault(one.url, one)
        files: dict[str, tuple[FileInfo, ...]] = {}
        unreadable: dict[str, tuple[Unreadable, ...]] = {}
        by_url = {url: info for (url, _), info in found.items()}
        for name, dataset in datasets.items():
            trees = {info.url: info.tree for one in catalogs for info in one.files.get(name, ())}
            urls = [url for url, _ in dataset.files]
            files[name] = tuple(
                found.get((url, trees.get(url, "")), by_url[url]) for url in urls if url in by_url
            )
            missing = tuple(errors[url] for url in urls if url not in by_url and url in errors)
            if missing:
                unreadable[name] = missing
        return cls(Fileset(tuple(datasets.values())), files, layouts, unreadable)

    def to_json(self) -> dict[str, Any]:
        """Summary in JSON terms, by dataset.

        Returns
        -------
        dict
            For each dataset: number of files, events, bytes, ``compression`` and ``nano_versions``
            met, ``sum_weights`` and ``sum_signs`` (None unless all files have them), number of
            forms, mean number of clusters and size of the basket index per file (bytes), luminosity
            sections where they are known, and the unreadable files with the reason.
        """
        return {name: self._summary(name) for name in self.files}

    def branches(self) -> dict[str, Any]:
        """All branches in JSON terms, those that take most bytes first.

        Returns
        -------
        dict
            For each branch: its C++ ``types`` in the files, its compressed ``bytes`` in all files,
            and the number of ``files`` that have it.
        """
        infos = {info.url: info for some in self.files.values() for info in some}
        found: dict[str, dict[str, Any]] = {}
        for info in infos.values():
            for branch, size in info.branch_bytes.items():
                one = found.setdefault(branch, {"types": set(), "bytes": 0, "files": 0})
                one["types"].add(self.layouts[info.signature].types.get(branch, "?"))
                one["bytes"] += size
                one["files"] += 1
        ordered = sorted(found, key=lambda name: (-found[name]["bytes"], name))
        return {name: {**found[name], "types": sorted(found[name]["types"])} for name in ordered}

    def _summary(self, dataset: str) -> dict[str, Any]:
        files = self.files[dataset]
        count = max(len(files), 1)
        lumis: set[tuple[int, int]] = set()
        for file in files:
            lumis.update(file.lumis or ())
        known = bool(files) and all(file.lumis is not None for file in files)
        return {
            "files": len(files),
            "events": self.entries(dataset),
            "bytes": sum(file.file_bytes for file in files),
            "formats": sorted({file.format for file in files}),
            "compression": sorted({file.compression for file in files}),
            "nano_versions": sorted({file.nano_version for file in files if file.nano_version}),
            "sum_weights": _total([file.sum_weights for file in files]),
            "sum_signs": _total([file.sum_signs for file in files]),
            "forms": len({file.signature for file in files}),
            "clusters_per_file": sum(max(len(file.clusters) - 1, 0) for file in files) / count,
            "index_bytes_per_file": sum(file.index.size for file in files if file.index) / count,
            "lumis": lumi_ranges(lumis) if known else None,
            "unreadable": {one.url: one.error for one in self.unreadable.get(dataset, ())},
        }


def _version() -> str:
    try:
        return version("lazyana")
    except PackageNotFoundError:  # run from its sources
        return "unknown"


def _total(values: Sequence[float | None]) -> float | str | None:
    """The sum, if all are known; JSON has no words for infinity and NaN."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    total = math.fsum(known) if all(map(math.isfinite, known)) else sum(known)
    return total if math.isfinite(total) else str(total)


def _read_info(
    file: Path, raw: Any, start: int, size: int, known: Mapping[str, tuple[Layout, Places]]
) -> FileInfo:
    """What is known of one file, out of a catalog file; its basket index stays there."""

    def index(blob: Blob) -> BasketIndex:
        gone = partial(_index_gone, file)
        return BasketIndex(Stored(str(file), replace(blob, start=start + blob.start), gone))

    def info(buffer: bytes) -> FileInfo:
        record = unpacked(buffer)
        places = known[record.head["plain"]["signature"]][1]
        return FileInfo.from_record(buffer, record, places, index)

    return within(raw, start, size, info)


def _index_gone(file: Path) -> NoReturn:
    msg = f"The catalog {file} was moved, changed or damaged since it was loaded: load it again."
    raise FileError(msg)


def _dataset_json(dataset: Dataset) -> dict[str, Any]:
    for key, value in dataset.metadata.items():
        try:
            json.dumps({key: value}, allow_nan=False)
        except (TypeError, ValueError) as error:
            msg = (
                f"Metadata {key!r} of dataset {dataset.name!r} cannot be saved ({error}): make it "
                "a number, text, or lists and mappings of these."
            )
            raise InputTypeError(msg) from error
    return {one.name: getattr(dataset, one.name) for one in fields(dataset)}


def _dataset(content: Mapping[str, Any]) -> Dataset:
    given: dict[str, Any] = {
        key: value
        if key == "metadata"
        else {name: tupled(one) for name, one in value.items()}
        if isinstance(value, dict)
        else tupled(value)
        for key, value in content.items()
    }
    return Dataset(**given)


def _joined(one: Dataset | None, other: Dataset) -> Dataset:
    """A dataset of the files of both."""
    if one is None:
        return other
    if one.metadata != other.metadata:
        keys = {*one.metadata, *other.metadata}
        differ = sorted(
            str(key) for key in keys if one.metadata.get(key) != other.metadata.get(key)
        )
        msg = (
            f"The catalogs have different metadata for dataset {one.name!r}: {', '.join(differ)}. "
            "Inspect it again with the right ones, or give one of them another name."
        )
        raise InputError(msg)
    known = {place for url, _ in one.files for place in one.places(url)}
    more = [file for file in other.files if known.isdisjoint(other.places(file[0]))]
    others = {**other.alternatives, **one.alternatives}
    files = (*one.files, *more)
    return replace(
        one, files=files, alternatives={url: others[url] for url, _ in files if url in others}
    )


def _alike(one: Layout, other: Layout) -> bool:
    """Whether two layouts are read the same way, even if titles of branches differ."""
    return one == other or _bare_forms(one) == _bare_forms(other)


def _bare_forms(layout: Layout) -> dict[str, Any]:
    """The form of each branch without titles and C++ types."""

    def bare(form: Any) -> Any:
        if not isinstance(form, dict):
            return form
        return {key: bare(value) for key, value in form.items() if key != "parameters"}

    base = json.loads(layout.base_form)
    return dict(zip(base.get("fields", ()), map(bare, base.get("contents", ())), strict=True))


def _check_same(one: FileInfo, other: FileInfo) -> None:
    known = ("uuid", "entries", "signature", "file_bytes")
    differ = [name for name in known if getattr(one, name) != getattr(other, name)]
    if differ:
        what = ", ".join(
            f"{name} {getattr(one, name)} or {getattr(other, name)}" for name in differ
        )
        msg = (
            f"The catalogs disagree on {one.url}: {what}. The file was replaced between the two "
            "inspections: inspect it again."
        )
        raise InputError(msg)
