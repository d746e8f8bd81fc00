"""Catalogs: saved, shipped, merged, loaded without the files; and what they say in short."""

from __future__ import annotations

import json
import pickle
import shutil
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lazyana as la
from lazyana.data.catalog import Catalog
from lazyana.data.fileset import Dataset, Fileset
from lazyana.data.inspect import inspect
from lazyana.errors import FileError, InputError, InputTypeError
from lazyana.reader.baskets import BasketIndex
from lazyana.reader.fileinfo import FileInfo, Layout, Sizes, Unreadable

FORM = {"fields": ["x"], "contents": [{"primitive": "float32"}]}
LAYOUT = Layout("sig", json.dumps(FORM))


def info(url: str, **given: Any) -> FileInfo:
    """A file that needs not exist."""
    sizes = Sizes({"x": 0}, array("q", [40]))
    known: dict[str, Any] = {"uuid": "u", "entries": 10, "file_bytes": 100, "clusters": (0, 5, 10)}
    return FileInfo(url=url, tree="Events", signature="sig", branch_bytes=sizes, **known | given)


def catalog(*urls: str, name: str = "DY", metadata: Any = None, **given: Any) -> Catalog:
    """A catalog of one dataset."""
    files = tuple((url, None) for url in urls)
    fileset = Fileset((Dataset(name, files, metadata or {}),))
    return Catalog(fileset, {name: tuple(info(url, **given) for url in urls)}, {"sig": LAYOUT})


@pytest.fixture
def copied(toy_files: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The toy sample, to be moved away."""
    made = {}
    for name, given in toy_files.items():
        files = {}
        for path, tree in given["files"].items():
            files[shutil.copy(path, tmp_path)] = tree
        made[name] = {**given, "files": files}
    return made


# ------------------------------------------------------------------------------ save and load


def test_a_catalog_is_loaded_without_the_files(copied: dict[str, Any], tmp_path: Path) -> None:
    saved = inspect(copied, lumis=True)
    path = saved.save(tmp_path / "cat" / "toy.catalog")
    assert path == tmp_path / "cat" / "toy.catalog"
    paths = [file for given in copied.values() for file in given["files"]]
    for file in paths:
        Path(file).rename(f"{file}.away")
    loaded = Catalog.load(path)
    assert loaded == saved
    indices = [one.index for infos in loaded.files.values() for one in infos]
    assert not any(isinstance(index.source, bytes) for index in indices if index)
    assert loaded.to_json() == saved.to_json()


@pytest.mark.integration
def test_a_loaded_catalog_runs(toy_files: dict[str, Any], tmp_path: Path) -> None:
    name = "DYJetsToLL"
    inspected = inspect({name: toy_files[name]})
    loaded = Catalog.load(inspected.save(tmp_path / "a.catalog"))
    sums = []
    for source in (inspected, loaded, pickle.loads(pickle.dumps(loaded))):
        events = la.open(source)
        result = la.compute(events.sum(events.MET.pt), executor="sync")
        assert result.report.warnings == ()
        sums.append(result.value)
    assert sums[0] == sums[1] == sums[2]


def test_all_of_it_is_kept(tmp_path: Path) -> None:
    fileset = Fileset(
        (
            Dataset("DY", (("a.root", None), ("b.root", "Other")), {"year": 2018, "l": [1.5, "x"]}),
            Dataset(
                "TT",
                (("root://one//a.root", None), ("b.root", None)),
                {},
                {"root://one//a.root": ("root://two//a.root",)},
            ),
        )
    )
    one = info("a.root", index=BasketIndex.build({}), sum_weights=0.1, lumis=((1, 2), (1, 3)))
    files = {
        "DY": (one,),
        "TT": (info("root://one//a.root", alternatives=("root://two//a.root",)), info("b.root")),
    }
    failed = {"DY": (Unreadable("b.root", "b.root is no ROOT file."),)}
    saved = Catalog(fileset, files, {"sig": LAYOUT}, failed)
    assert Catalog.load(saved.save(tmp_path / "a")) == saved


def test_a_file_of_two_datasets_is_kept_once(tmp_path: Path) -> None:
    one = info("a.root", index=BasketIndex(bytes(100_000)))
    names = ("A", "B", "C")
    fileset = Fileset(tuple(Dataset(name, (("a.root", None),)) for name in names))
    saved = Catalog(fileset, dict.fromkeys(names, (one,)), {"sig": LAYOUT})
    path = saved.save(tmp_path / "a.catalog")
    assert path.stat().st_size < 150_000
    loaded = Catalog.load(path)
    assert loaded == saved
    assert len({id(infos[0]) for infos in loaded.files.values()}) == 1


def test_metadata_that_cannot_be_kept(tmp_path: Path) -> None:
    for value in ({1, 2}, float("nan")):
        with pytest.raises(InputTypeError, match="Metadata 'bad' of dataset 'DY' cannot be saved"):
            catalog("a.root", metadata={"bad": value}).save(tmp_path / "a.catalog")
    assert list(tmp_path.iterdir()) == []


def test_a_catalog_that_is_gone_when_its_index_is_needed(tmp_path: Path) -> None:
    path = catalog("a.root", index=BasketIndex(b"index")).save(tmp_path / "a.catalog")
    ((loaded,),) = Catalog.load(path).files.values()
    assert loaded.index is not None
    assert (loaded.index.payload, loaded.index.size) == (b"index", 5)
    path.unlink()
    with pytest.raises(FileError, match=r"a\.catalog was moved, changed or damaged"):
        _ = loaded.index.payload


@pytest.mark.parametrize("share", [0.05, 0.2, 0.4, 0.6, 0.8])
def test_damage_is_noticed(share: float, tmp_path: Path) -> None:
    saved = catalog("a.root", "b.root", index=BasketIndex(b"index" * 99))
    path = saved.save(tmp_path / "a.catalog")
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 0x08
    path.write_bytes(content)
    try:
        loaded = Catalog.load(path)
        same = loaded == saved
    except FileError as error:
        assert str(path) in str(error)  # noqa: PT017  (both ends are right)
    else:
        assert same  # a byte that says nothing, such as the time of a member


# ------------------------------------------------------------------------------------- merge


def test_merged_datasets_stand_side_by_side() -> None:
    one, other = catalog("a.root"), catalog("b.root", name="TT")
    merged = Catalog.merge(one, other)
    assert [dataset.name for dataset in merged.fileset.datasets] == ["DY", "TT"]
    assert merged.files == {**one.files, **other.files}
    assert merged.layouts == {"sig": LAYOUT}
    assert Catalog.merge(one) == one


def test_parts_of_a_dataset_are_put_together() -> None:
    merged = Catalog.merge(catalog("a.root", "b.root"), catalog("b.root", "c.root"))
    assert merged == catalog("a.root", "b.root", "c.root")


def test_merging_is_associative() -> None:
    parts = [catalog("a.root"), catalog("b.root", "a.root"), catalog("c.root", name="TT")]
    left = Catalog.merge(Catalog.merge(*parts[:2]), parts[2])
    right = Catalog.merge(parts[0], Catalog.merge(*parts[1:]))
    assert left == right == Catalog.merge(*parts)


@pytest.mark.integration
def test_files_of_any_format_are_put_together(real_data: Path) -> None:
    names = ("nano_dy.root", "nano_dy.parquet", "nano_dy_rntuple.root")
    paths = [str(real_data / "nanoaod" / name) for name in names]
    parts = [inspect({"DY": path}, cache=False) for path in paths]
    # The same branches, each with the title that its format gave it.
    assert len({part.files["DY"][0].signature for part in parts[:2]}) == 1
    assert len({layout.base_form for part in parts[:2] for layout in part.layouts.values()}) == 2
    merged = Catalog.merge(*parts)
    assert merged.to_json()["DY"]["formats"] == ["RNTuple", "TTree", "parquet"]
    events = la.open(merged)
    assert la.compute(events.cutflow(), executor="sync").report.events_read == 120


def test_a_file_at_another_place_is_the_same_file() -> None:
    both = {"root://one//a.root": ("root://two//a.root",)}
    one = catalog("root://one//a.root", alternatives=both["root://one//a.root"])
    (dataset,) = one.fileset.datasets
    one = replace(one, fileset=Fileset((replace(dataset, alternatives=both),)))
    other = catalog("root://two//a.root", "root://two//b.root")
    for parts in ((one, other), (other, one)):
        merged = Catalog.merge(*parts)
        assert merged.entries("DY") == 20
        assert len(merged.fileset["DY"].files) == 2


def test_what_one_catalog_could_not_read_another_one_could() -> None:
    failed = (Unreadable("b.root", "no"), Unreadable("c.root", "no"))
    whole = catalog("a.root", "b.root", "c.root")
    part = replace(whole, files={"DY": (info("a.root"),)}, unreadable={"DY": failed})
    merged = Catalog.merge(part, catalog("b.root"))
    assert merged.files == catalog("a.root", "b.root").files
    assert merged.unreadable == {"DY": failed[1:]}
    assert merged.fileset == whole.fileset


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([], "nothing to merge"),
        ([catalog("a.root"), catalog("b.root", metadata={"year": 1})], "dataset 'DY': year"),
        ([catalog("a.root"), catalog("a.root", name="B", uuid="v")], "a.root: uuid u or v"),
        ([catalog("a.root"), catalog("a.root", entries=11)], "a.root: entries 10 or 11"),
        (
            [catalog("a.root"), replace(catalog("b.root"), layouts={"sig": Layout("sig", "{}")})],
            "layout sig in different ways",
        ),
    ],
)
def test_catalogs_that_contradict_each_other(others: list[Catalog], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Catalog.merge(*others)


# ----------------------------------------------------------------------------------- summary


def test_summary() -> None:
    files = (
        info("a.root", sum_weights=1.5, sum_signs=2.0, nano_version="v9", compression="ZSTD(5)"),
        info("b.root", sum_weights=2.5, clusters=(0, 10), index=BasketIndex(bytes(50))),
    )
    fileset = Fileset((Dataset("DY", (("a.root", None), ("b.root", None), ("c.root", None))),))
    failed = {"DY": (Unreadable("c.root", "no"),)}
    summary = Catalog(fileset, {"DY": files}, {"sig": LAYOUT}, failed).to_json()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["DY"] == {
        "files": 2,
        "events": 20,
        "bytes": 200,
        "formats": ["TTree"],
        "compression": ["", "ZSTD(5)"],
        "nano_versions": ["v9"],
        "sum_weights": 4.0,
        "sum_signs": None,
        "forms": 1,
        "clusters_per_file": 1.5,
        "index_bytes_per_file": 25.0,
        "lumis": None,
        "unreadable": {"c.root": "no"},
    }


def test_summary_of_lumis_and_odd_sums() -> None:
    nan = catalog("a.root", sum_weights=float("nan"), lumis=((7, 1), (7, 2), (9, 5)))
    summary = nan.to_json()["DY"]
    assert summary["lumis"] == {"7": [[1, 2]], "9": [[5, 5]]}
    assert summary["sum_weights"] == "nan"


def test_branches_the_largest_first() -> None:
    sizes = Sizes({"small": 0, "x": 1}, array("q", [1, 50]))
    one = replace(catalog("a.root"), files={"DY": (info("a.root"), info("b.root"))})
    more = replace(info("c.root"), branch_bytes=sizes)
    found = replace(one, files={**one.files, "TT": (more,)}).branches()
    assert list(found) == ["x", "small"]
    assert found["x"] == {"types": ["float32"], "bytes": 130, "files": 3}
    assert found["small"] == {"types": ["?"], "bytes": 1, "files": 1}
