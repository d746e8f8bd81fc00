"""Inspection: what files hold, learned by opening each once; and files that cannot be used."""

from __future__ import annotations

import json
import os
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from lazyana.data import formats as module
from lazyana.data.catalog import Layout
from lazyana.data.fileset import Dataset, Fileset
from lazyana.data.grouping import groups_of, simulated
from lazyana.data.inspect import inspect
from lazyana.data.trees import open_tree
from lazyana.errors import FileError, InputError


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

    def counting(url: str, tree: str) -> Any:
        urls.append(url)
        return real(url, tree)

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


def test_progress(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.root") for n in range(5)]
    seen: list[tuple[int, int]] = []
    inspect(paths, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(n, 5) for n in range(1, 6)]


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
    monkeypatch.setattr(uproot, "open", lambda path: roots.append(real(path)) or roots[-1])
    inspect(write(tmp_path / "good.root"))
    with pytest.raises(FileError):
        inspect(tmp_path / "good.root", tree="Evnts")
    assert len(roots) == 2
    assert all(root.file.source.closed for root in roots)


# ------------------------------------------------------------------------- files that do not work


def test_not_a_root_file(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    path.write_text("no ROOT file at all" * 100)
    with pytest.raises(FileError, match=rf"{path} cannot be opened as a ROOT file"):
        inspect(path)
    path.write_bytes(b"")
    with pytest.raises(FileError, match=rf"{path} cannot be opened as a ROOT file"):
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


def test_rntuple(real_data: Path) -> None:
    with pytest.raises(FileError, match="is an RNTuple, and events are read from a TTree"):
        inspect(real_data / "nanoaod" / "nano_dy_rntuple.root")


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_file_cut_short(kept: float, toy_files: dict[str, Any], tmp_path: Path) -> None:
    whole = Path(next(iter(toy_files["TTTo2L2Nu"]["files"]))).read_bytes()
    path = tmp_path / "cut.root"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(FileError, match=re.escape(str(path))):
        inspect(path)


def test_damaged_header(toy_files: dict[str, Any], tmp_path: Path) -> None:
    content = bytearray(Path(next(iter(toy_files["TTTo2L2Nu"]["files"]))).read_bytes())
    path = tmp_path / "damaged.root"
    begin = content.index(b"Events")
    content[begin + 60 : begin + 4000] = bytes(3940)
    path.write_bytes(content)
    with pytest.raises(FileError, match=re.escape(str(path))):
        inspect(path)


# ---------------------------------------------------------------------- datasets, kinds and groups


def test_files_of_different_branches(tmp_path: Path) -> None:
    files = [write(tmp_path / "1.root", a=np.int32, c=np.int32), write(tmp_path / "2.root", b=bool)]
    catalog = inspect({"DY": files})
    with pytest.raises(InputError) as caught:
        groups_of(catalog, ())
    assert f"{files[0]} and {files[1]} differ in a (" not in str(caught.value)
    assert f"{files[0]} and {files[1]} differ in a, b, c. " in str(caught.value)
    assert "dataset 'DY'" in str(caught.value)


def test_branches_of_different_types(tmp_path: Path) -> None:
    files = [write(tmp_path / "1.root", n=np.int32), write(tmp_path / "2.root", n=np.uint32)]
    with pytest.raises(InputError, match=r"differ in n \(int32_t or uint32_t\)"):
        groups_of(inspect(files), ())


def test_order_of_branches_does_not_matter(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "1.root", a=np.int32, b=np.int32),
        write(tmp_path / "2.root", b=np.int32, a=np.int32),
    ]
    assert len(inspect(files).layouts) == 1


def test_many_differences_are_counted(tmp_path: Path) -> None:
    many = {f"b{n}": np.int32 for n in range(9)}
    files = [write(tmp_path / "1.root"), write(tmp_path / "2.root", **many)]
    with pytest.raises(InputError, match="differ in b0, b1, b2, b3, b4 and 4 more"):
        groups_of(inspect(files), ())


@pytest.mark.parametrize(
    ("branches", "metadata", "expected"),
    [
        (["x"], {}, False),
        (["x", "genWeight"], {}, True),
        (["nGenPart"], {}, True),
        (["Generator_weight"], {"is_mc": "True"}, True),
        (["genWeight"], {"is_mc": False}, False),
        (["x"], {"isMC": "False"}, False),
    ],
)
def test_simulation_or_data(branches: list[str], metadata: dict[str, Any], expected: bool) -> None:
    form = {
        "fields": branches,
        "contents": [{"class": "NumpyArray", "primitive": "float32"}] * len(branches),
    }
    dataset = Dataset("DY", (("a.root", None),), metadata)
    assert simulated(dataset, Layout("s", json.dumps(form))) is expected


def test_simulation_without_generator(tmp_path: Path) -> None:
    file = write(tmp_path / "a.root")
    catalog = inspect({"DY": {"files": file, "metadata": {"is_mc": True}}})
    with pytest.raises(InputError, match=r"'DY' is called simulation.*no genWeight branch"):
        groups_of(catalog, ())


def test_groups(tmp_path: Path) -> None:
    mc = [write(tmp_path / f"mc{n}.root", genWeight=np.float32) for n in range(3)]
    data = write(tmp_path / "data.root")
    catalog = inspect(
        {
            "DY": {"files": mc[0], "metadata": {"year": 2018}},
            "data": {"files": data, "metadata": {"year": "2018"}},
            "TT": {"files": mc[1], "metadata": {"year": "2018"}},
            "DY17": {"files": mc[2], "metadata": {"year": 2017}},
            "embedded": {"files": mc[2], "metadata": {"year": 2018, "is_mc": False}},
        }
    )
    by_year = [[d.name for d in group] for group in groups_of(catalog, ["year"]).values()]
    assert by_year == [["DY", "TT"], ["data"], ["DY17"], ["embedded"]]
    by_form = [[d.name for d in group] for group in groups_of(catalog, ()).values()]
    assert by_form == [["DY", "TT", "DY17"], ["data"], ["embedded"]]


def test_base_form_is_what_uproot_reads(toy_files: dict[str, Any]) -> None:
    path = next(iter(toy_files["DYJetsToLL"]["files"]))
    catalog = inspect(path)
    (layout,) = catalog.layouts.values()
    with uproot.open(path) as file:
        arrays = file["Events"].arrays(["Muon_pt", "run", "HLT_IsoMu24"])
    types = {"Muon_pt": "float[]", "run": "uint32_t", "HLT_IsoMu24": "bool"}
    assert {name: layout.types[name] for name in types} == types
    assert ak.fields(arrays) == list(types)
