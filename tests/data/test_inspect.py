"""Inspection: what files hold, learned by opening each once; and files that cannot be used."""

from __future__ import annotations

import os
import pickle
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from lazyana.data.fileset import Fileset
from lazyana.data.inspect import Arrived, Noted, Noting, Place, inspect
from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader import formats as module
from lazyana.reader.trees import open_tree


def write(path: Path, tree: str = "Events", events: int = 5, **branches: Any) -> Path:
    """A file with a branch `x` and those given, one value an event."""
    columns = {"x": np.arange(events, dtype=np.float32)} | {
        name: np.zeros(events, dtype=kind) for name, kind in branches.items()
    }
    with uproot.recreate(path) as file:
        file.mktree(tree, {name: values.dtype for name, values in columns.items()})
        file[tree].extend(columns)
    return path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """URLs opened by inspection, in order."""
    urls: list[str] = []
    real = module.open_tree

    def counting(url: str, *others: Any) -> Any:
        urls.append(url)
        return real(url, *others)

    monkeypatch.setattr(module, "open_tree", counting)
    return urls


# ------------------------------------------------------------------------------ what is learned


def test_toy_sample(toy_files: dict[str, Any]) -> None:
    catalog = inspect(toy_files)
    assert list(catalog.files) == list(toy_files)
    for name, given in toy_files.items():
        for info, (path, tree) in zip(catalog.files[name], given["files"].items(), strict=True):
            with uproot.open(path) as file:
                events = file[tree]
                assert (info.url, info.tree, info.uuid) == (path, tree, str(file.file.uuid))
                assert info.entries == events.num_entries
                layout = catalog.layouts[info.signature]
                assert set(layout.branches) == set(events.keys())
                assert dict(layout.types) == {b.name: b.typename for b in events.branches}
                sizes = {branch.name: branch.compressed_bytes for branch in events.branches}
                assert dict(info.branch_bytes) == sizes
        assert catalog.entries(name) == sum(info.entries for info in catalog.files[name])


FILES = ["nano_dy", "nano_dimuon", "nano_tt_v12", "nanoAOD_2015_CMS_Open_Data_ttbar"]


@pytest.mark.parametrize("name", [*FILES, "nano_dy_empty", "missing_luminosityBlock"])
def test_real_files(name: str, real_data: Path) -> None:
    path = real_data / "nanoaod" / f"{name}.root"
    (info,) = inspect(path).files[name]
    with uproot.open(path) as file:
        assert info.entries == file["Events"].num_entries
        assert set(info.branch_bytes) == set(file["Events"].keys())


def test_tree_of_another_name(real_data: Path) -> None:
    path = str(real_data / "nanoaod" / "nano_dy_SpecialTree.root")
    (named,) = inspect({"DY": {path: "NotEvents"}}).files["DY"]
    (asked,) = inspect(path, tree="NotEvents").files["nano_dy_SpecialTree"]
    assert named == asked
    assert named.tree == "NotEvents"
    (other,) = inspect(path).files["nano_dy_SpecialTree"]
    assert other.signature != named.signature


def test_order_is_that_of_the_fileset(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.root", events=n) for n in (9, 2, 7, 1, 5, 3)]
    catalog = inspect({"B": paths[:4], "A": paths[4:]})
    assert list(catalog.files) == ["B", "A"]
    assert [file.entries for file in catalog.files["B"]] == [9, 2, 7, 1]
    assert [file.entries for file in catalog.files["A"]] == [5, 3]


def test_the_runner_is_given_what_is_not_known(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.root", events=n) for n in range(5)]
    inspect(paths[3])
    asked: list[Place] = []

    def backwards(noting: Noting, places: Sequence[Place], arrived: Arrived) -> None:
        asked.extend(places)
        for position in reversed(range(len(places))):
            noted = pickle.loads(pickle.dumps(noting(places[position])))
            arrived(position, noted)

    catalog = inspect(paths, run=backwards)
    assert [place.urls for place in asked] == [(str(paths[n]),) for n in (0, 1, 2, 4)]
    assert [info.entries for info in catalog.files["events"]] == [0, 1, 2, 3, 4]
    inspect(paths, run=lambda *given: pytest.fail("all of them are known"))


def test_what_travels_back_is_small(toy_files: dict[str, Any]) -> None:
    path = next(iter(toy_files["TTTo2L2Nu"]["files"]))
    noted = Noting()(Place((path,), "Events"))
    assert isinstance(noted, Noted)
    (layout,) = inspect(path).layouts.values()
    assert len(pickle.dumps(noted)) < len(layout.base_form) / 4


def test_catalog_is_small_and_travels(tmp_path: Path) -> None:
    branches = {f"branch_with_a_long_name_{n}": np.float32 for n in range(100)}
    catalog = inspect([write(tmp_path / f"{n}.root", **branches) for n in range(9)])
    (layout,) = catalog.layouts.values()
    assert layout.types  # derived, and not shipped
    again = pickle.loads(pickle.dumps(catalog))
    assert again == catalog
    one = inspect(tmp_path / "0.root")
    each = (len(pickle.dumps(catalog)) - len(pickle.dumps(one))) / 8
    assert each < 4000


def test_warnings_filters_are_left_alone(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.root", **{f"b{n}": np.int32}) for n in range(12)]
    before = list(warnings.filters)
    inspect({path.stem: path for path in paths})
    assert warnings.filters == before


# ----------------------------------------------------------------------------- opening only once


def test_each_file_is_opened_once(tmp_path: Path, opened: list[str]) -> None:
    paths = [write(tmp_path / f"{n}.root") for n in range(3)]
    first = inspect({"A": paths, "B": paths[:2]})
    assert sorted(opened) == sorted(map(str, paths))
    assert first.files["B"] == first.files["A"][:2]
    assert inspect(paths[::-1]).files["events"] == first.files["A"][::-1]
    assert len(opened) == 3


@pytest.mark.parametrize("same_time", [False, True])
def test_changed_file_is_opened_again(tmp_path: Path, opened: list[str], same_time: bool) -> None:
    path = write(tmp_path / "a.root", events=4)
    before = path.stat()
    (old,) = inspect(path).files["a"]
    write(tmp_path / "new.root", events=6).replace(path)
    if same_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (new,) = inspect(path).files["a"]
    assert (old.entries, new.entries) == (4, 6)
    assert old.uuid != new.uuid
    assert len(opened) == 2


def test_files_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots: list[Any] = []
    real = uproot.open
    monkeypatch.setattr(
        uproot, "open", lambda *given, **more: roots.append(real(*given, **more)) or roots[-1]
    )
    inspect(write(tmp_path / "good.root", run=np.uint32, luminosityBlock=np.uint32))
    with pytest.raises(FileError):
        inspect(tmp_path / "good.root", tree="Evnts")
    assert len(roots) == 2
    inspect(tmp_path / "good.root", lumis=True, cache=False)
    assert len(roots) == 4
    assert all(root.file.source.closed for root in roots)


# ------------------------------------------------------------------------------- other places


def test_a_file_is_read_at_the_first_place_that_works(tmp_path: Path, opened: list[str]) -> None:
    there, other = write(tmp_path / "there.root", events=3), write(tmp_path / "other.root")
    gone = str(tmp_path / "gone.root")
    catalog = inspect([[gone, str(there), str(other)]])
    (info,) = catalog.files["gone"]
    assert info.urls == (gone, str(there), str(other))
    assert info.entries == 3
    assert opened == [str(there)]
    assert inspect([[gone, str(there)]]).files["gone"][0].urls == (gone, str(there))
    assert opened == [str(there)]
    write(there, events=4)
    assert inspect([[gone, str(there)]]).files["gone"][0].entries == 4


def test_no_place_works(tmp_path: Path) -> None:
    paths = [tmp_path / "a.root", tmp_path / "b.root"]
    for path in paths:
        path.write_text("no ROOT file at all" * 100)
    with pytest.raises(FileError) as caught:
        inspect([[str(path) for path in paths]])
    assert all(f"{path}" in str(caught.value) for path in paths)
    assert "at any of its 2 places" in str(caught.value)


# ------------------------------------------------------------------------------- skipping files


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, list[str]]:
    """Two datasets with a file that is none, one that is cut short, one without the tree."""
    good = [str(write(tmp_path / f"good{n}.root", events=n)) for n in range(3)]
    text, cut = tmp_path / "text.root", tmp_path / "cut.root"
    text.write_text("no ROOT file at all" * 100)
    cut.write_bytes(Path(good[0]).read_bytes()[:-500])
    other = str(write(tmp_path / "tree.root", tree="Evnts"))
    return {"DY": [good[0], str(text), good[1], str(cut)], "TT": [other, good[2]]}


def test_unreadable_files_are_left_out_and_listed(
    broken: dict[str, list[str]], opened: list[str]
) -> None:
    options = ReadOptions(on_error="skip", retries=0)
    catalog = inspect(broken, options=options)
    assert [info.url for info in catalog.files["DY"]] == [broken["DY"][0], broken["DY"][2]]
    assert [info.url for info in catalog.files["TT"]] == [broken["TT"][1]]
    assert {name: [one.url for one in some] for name, some in catalog.unreadable.items()} == {
        "DY": [broken["DY"][1], broken["DY"][3]],
        "TT": [broken["TT"][0]],
    }
    for some in catalog.unreadable.values():
        assert all(one.url in one.error for one in some)
    assert "no tree 'Events'" in catalog.unreadable["TT"][0].error
    assert catalog.fileset == Fileset.parse(broken)
    before = len(opened)
    assert inspect(broken, options=options) == catalog
    # What could be read is known now; what could not is tried again.
    assert set(opened[before:]) <= {one.url for some in catalog.unreadable.values() for one in some}


def test_the_first_unreadable_file_is_raised(broken: dict[str, list[str]]) -> None:
    with pytest.raises(FileError) as caught:
        inspect(broken)
    names = (broken["DY"][1], broken["DY"][3], broken["TT"][0])
    assert any(name in str(caught.value) for name in names)


def test_a_dataset_of_unreadable_files_only(broken: dict[str, list[str]]) -> None:
    fileset = {"DY": broken["DY"], "TT": broken["TT"][:1]}
    with pytest.raises(FileError) as caught:
        inspect(fileset, options=ReadOptions(on_error="skip"))
    assert "None of the 1 files of dataset 'TT' can be read" in str(caught.value)
    assert broken["TT"][0] in str(caught.value)


# ------------------------------------------------------------------------- files that do not work


def test_not_a_root_file(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    path.write_text("no ROOT file at all" * 100)
    with pytest.raises(FileError, match=rf"{path} is no ROOT or parquet file"):
        inspect(path)
    path.write_bytes(b"")
    with pytest.raises(FileError, match=rf"{path} cannot be opened as a ROOT or parquet file"):
        inspect(path)


def test_gone_since_the_fileset_was_made(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root")
    fileset = Fileset.parse(path)
    path.unlink()
    with pytest.raises(FileError, match=rf"no file {path}"):
        inspect(fileset)
    with pytest.raises(FileError, match=rf"no file {path}"):
        open_tree(str(path), "Events")


def test_tree_name_behind_a_colon(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root")
    with pytest.raises(FileError, match=re.escape(f"write {{'{path}': 'Events'}}")):
        open_tree(f"{path}:Events", "Events")


def test_no_such_tree(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", tree="Events")
    with pytest.raises(FileError) as caught:
        inspect(path, tree="Event")
    for part in (str(path), "no tree 'Event'", "Did you mean 'Events'?", "tree="):
        assert part in str(caught.value)


def test_file_without_trees(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file["h"] = np.histogram([1.0])
    with pytest.raises(FileError, match="Trees in it: none"):
        inspect(tmp_path / "a.root")


@pytest.mark.parametrize(("name", "kind"), [("Events", "TDirectory"), ("h", "TH1D")])
def test_something_else_of_that_name(name: str, kind: str, tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file["h"] = np.histogram([1.0])
        file.mktree("Events/inner", {"x": np.float32})
    with pytest.raises(FileError, match=rf"'{name}' in .* is a {kind}.*Trees in it: Events/inner"):
        inspect(tmp_path / "a.root", tree=name)


def test_tree_in_a_folder(tmp_path: Path) -> None:
    (info,) = inspect(write(tmp_path / "a.root", tree="folder/Events"), tree="folder/Events").files[
        "a"
    ]
    assert info.entries == 5


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_file_cut_short(kept: float, toy_files: dict[str, Any], tmp_path: Path) -> None:
    whole = Path(next(iter(toy_files["TTTo2L2Nu"]["files"]))).read_bytes()
    path = tmp_path / "cut.root"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(FileError, match=f"{re.escape(str(path))} is cut short"):
        inspect(path)


def test_damaged_header(toy_files: dict[str, Any], tmp_path: Path) -> None:
    content = bytearray(Path(next(iter(toy_files["TTTo2L2Nu"]["files"]))).read_bytes())
    path = tmp_path / "damaged.root"
    begin = content.index(b"Events")
    content[begin + 60 : begin + 4000] = bytes(3940)
    path.write_bytes(content)
    with pytest.raises(FileError, match=re.escape(str(path))):
        inspect(path)


def test_base_form_is_what_uproot_reads(toy_files: dict[str, Any]) -> None:
    path = next(iter(toy_files["DYJetsToLL"]["files"]))
    catalog = inspect(path)
    (layout,) = catalog.layouts.values()
    with uproot.open(path) as file:
        arrays = file["Events"].arrays(["Muon_pt", "run", "HLT_IsoMu24"])
    types = {"Muon_pt": "float[]", "run": "uint32_t", "HLT_IsoMu24": "bool"}
    assert {name: layout.types[name] for name in types} == types
    assert ak.fields(arrays) == list(types)
