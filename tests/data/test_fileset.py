"""Filesets out of everything users have, and what is wrong with the others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lazyana.data.fileset import Dataset, Fileset
from lazyana.errors import FileError, InputError, InputTypeError

URL = "root://xrootd-cms.infn.it///store/mc/a b/*/x.root"
OTHER = "root://cms-xrd-global.cern.ch///store/mc/a b/*/x.root"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Empty files: names are all that matters here."""
    for name in ("b.root", "a.root", "sub/c.root", "sub/deep/d.root", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(fileset: Fileset, folder: Path) -> dict[str, list[str]]:
    return {
        dataset.name: [Path(url).relative_to(folder).as_posix() for url, _ in dataset.files]
        for dataset in fileset.datasets
    }


WAYS: dict[str, tuple[Callable[[Path], Any], dict[str, list[str]]]] = {
    "text": (lambda d: str(d / "a.root"), {"a": ["a.root"]}),
    "path": (lambda d: d / "a.root", {"a": ["a.root"]}),
    "glob, sorted": (lambda d: f"{d}/*.root", {"events": ["a.root", "b.root"]}),
    "glob of files only": (lambda d: f"{d}/[as]*", {"a": ["a.root"]}),
    "deep glob": (
        lambda d: f"{d}/**/*.root",
        {"events": ["a.root", "b.root", "sub/c.root", "sub/deep/d.root"]},
    ),
    "folder": (lambda d: d, {"events": ["a.root", "b.root"]}),
    "list, in its order": (
        lambda d: [d / "b.root", str(d / "a.root")],
        {"events": ["b.root", "a.root"]},
    ),
    "generator": (lambda d: (d / f"{x}.root" for x in "ba"), {"events": ["b.root", "a.root"]}),
    "set, sorted": (lambda d: {d / "b.root", d / "a.root"}, {"events": ["a.root", "b.root"]}),
    "path: tree": (lambda d: {d / "b.root": "Events"}, {"b": ["b.root"]}),
    "dataset: file": (lambda d: {"DY": d / "a.root"}, {"DY": ["a.root"]}),
    "datasets in order": (
        lambda d: {"DY": [d / "b.root"], "A": d / "sub"},
        {"DY": ["b.root"], "A": ["sub/c.root"]},
    ),
    "dataset: path: tree": (lambda d: {"DY": {str(d / "a.root"): "T"}}, {"DY": ["a.root"]}),
    "files and metadata": (
        lambda d: {"DY": {"files": f"{d}/*.root", "metadata": {"year": 2018}}},
        {"DY": ["a.root", "b.root"]},
    ),
    "files: path: tree": (
        lambda d: {"DY": {"files": {d / "b.root": "T", d / "a.root": "T"}}},
        {"DY": ["b.root", "a.root"]},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_give_files(way: str, folder: Path) -> None:
    source, expected = WAYS[way]
    fileset = Fileset.parse(source(folder))
    assert names(fileset, folder) == expected
    assert fileset.number_of_files == sum(map(len, expected.values()))
    assert Fileset.parse(fileset) is fileset


@pytest.mark.parametrize("given", [URL, [URL], {"x": URL}, {"x": {"files": {URL: None}}}])
def test_urls_are_not_touched(given: Any) -> None:
    assert Fileset.parse(given).datasets == (Dataset("x", ((URL, None),)),)


def test_name_for_what_has_none(folder: Path) -> None:
    assert names(Fileset.parse(folder, name="DY"), folder) == {"DY": ["a.root", "b.root"]}


def test_relative_paths_become_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (url, _), *_ = Fileset.parse("sub/../a.root").datasets[0].files
    assert Path(url).is_absolute()
    monkeypatch.chdir("/")
    assert Path(url).samefile(folder / "a.root")


def test_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    (folder / "f.json").write_text('{"DY": ["~/a.root"]}')
    assert names(Fileset.parse("~/*.root"), folder) == {"events": ["a.root", "b.root"]}
    assert names(Fileset.parse("~/f.json"), folder) == {"DY": ["a.root"]}


PLACES: dict[str, Callable[[], Any]] = {
    "list": lambda: {"x": [[URL, OTHER]]},
    "tuple": lambda: {"x": [(URL, OTHER)]},
    "without dataset": lambda: [[URL, OTHER]],
    "set": lambda: {(URL, OTHER)},
    "files": lambda: {"x": {"files": [[URL, OTHER]]}},
    "mapping": lambda: {"x": {URL: {"alternatives": [OTHER]}}},
    "mapping, without dataset": lambda: {URL: {"alternatives": [OTHER]}},
    "text": lambda: {"x": {"files": {URL: {"object_path": None, "alternatives": OTHER}}}},
}


@pytest.mark.parametrize("way", PLACES)
def test_one_file_in_several_places(way: str) -> None:
    (dataset,) = Fileset.parse(PLACES[way]()).datasets
    assert dataset == Dataset("x", ((URL, None),), {}, {URL: (OTHER,)})
    assert dataset.places(URL) == (URL, OTHER)


def test_files_in_one_place_beside_files_in_several(folder: Path) -> None:
    third = "https://host/x.root"
    given = [folder / "a.root", [URL, third, OTHER], folder / "b.root"]
    dataset = Fileset.parse({"DY": given})["DY"]
    assert [url for url, _ in dataset.files] == [f"{folder}/a.root", URL, f"{folder}/b.root"]
    assert dataset.alternatives == {URL: (third, OTHER)}
    assert dataset.places(f"{folder}/a.root") == (f"{folder}/a.root",)


def test_tree_of_a_file_in_several_places() -> None:
    given = {"DY": {URL: {"object_path": "T", "alternatives": [OTHER]}}}
    assert Fileset.parse(given)["DY"].files == ((URL, "T"),)


def test_local_places_become_absolute_and_may_be_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    dataset = Fileset.parse({"DY": [["missing.root", "a.root"], ["gone/x.root", URL]]})["DY"]
    assert dataset.alternatives == {
        f"{folder}/missing.root": (f"{folder}/a.root",),
        f"{folder}/gone/x.root": (URL,),
    }
    path = write(folder / "sub" / "f.json", {"DY": [["c.root", URL]]})
    monkeypatch.chdir("/")
    assert Fileset.parse(path)["DY"].alternatives == {f"{folder}/sub/c.root": (URL,)}


def test_alternatives_of_a_file_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"alternatives of root:.*infn\.it.*Did you mean"):
        Fileset((Dataset("DY", ((OTHER, None),), {}, {URL: ()}),))


@pytest.mark.parametrize("way", WAYS)
def test_there_and_back_through_json(way: str, folder: Path) -> None:
    fileset = Fileset.parse(WAYS[way][0](folder))
    assert Fileset.parse(json.loads(json.dumps(fileset.to_dict()))) == fileset


@pytest.mark.parametrize("way", PLACES)
def test_places_there_and_back_through_json(way: str, tmp_path: Path) -> None:
    fileset = Fileset.parse(PLACES[way]())
    assert Fileset.parse(write(tmp_path / "f.json", fileset.to_dict())) == fileset


def test_parquet_files(folder: Path) -> None:
    for name in ("a.parquet", "sub/z.parquet"):
        (folder / name).touch()
    assert names(Fileset.parse(folder), folder) == {"events": ["a.parquet", "a.root", "b.root"]}
    assert names(Fileset.parse({"DY": f"{folder}/*.parquet"}), folder) == {"DY": ["a.parquet"]}
    one = {folder / "sub" / "z.parquet": None}
    assert names(Fileset.parse(one), folder) == {"z": ["sub/z.parquet"]}
    assert names(Fileset.parse({str(path): "T" for path in one}), folder) == {
        "z": ["sub/z.parquet"]
    }


@pytest.mark.parametrize("tree", ["NotEvents", {"object_path": "NotEvents"}])
def test_tree_of_a_file(tree: Any, folder: Path) -> None:
    fileset = Fileset.parse({"DY": {"files": {str(folder / "a.root"): tree}}})
    assert fileset["DY"].files == ((str(folder / "a.root"), "NotEvents"),)


def test_fileset_as_coffea_prepares_it(folder: Path) -> None:
    file = {
        "object_path": "Events",
        "steps": [[0, 10], [10, 15]],
        "num_entries": 15,
        "uuid": "x",
        "format": "root",
    }
    given = {"DY": {"files": {str(folder / "a.root"): file}, "form": None, "metadata": None}}
    assert Fileset.parse(given)["DY"] == Dataset("DY", ((str(folder / "a.root"), "Events"),))


@pytest.mark.parametrize("steps", [[[5, 10]], [[0, 5], [7, 15]], [[0, 10]]])
def test_steps_that_leave_out_events_are_not_read_over(steps: Any, folder: Path) -> None:
    tree = {"object_path": "Events", "steps": steps, "num_entries": 15}
    with pytest.raises(InputError, match="leave out some of its events"):
        Fileset.parse({"DY": {"files": {folder / "a.root": tree}}})


# ---------------------------------------------------------------------------------------- JSON


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    "content",
    [
        {"DY": ["a.root", URL]},
        {"DY": {"files": ["a.root", URL], "metadata": {}}},
        {"DY": {"files": {"a.root": "Events", URL: "Events"}}},
    ],
)
def test_paths_in_json_are_relative_to_it(content: Any, folder: Path) -> None:
    fileset = Fileset.parse(write(folder / "f.json", content))
    assert [url for url, _ in fileset["DY"].files] == [str(folder / "a.root"), URL]


def test_pocketcoffea_style(folder: Path) -> None:
    metadata = {"sample": "DY", "year": "2018", "isMC": "True", "xsec": "6077.22"}
    path = write(folder / "f.json", {"DY_2018": {"metadata": metadata, "files": [URL]}})
    dataset = Fileset.parse(str(path))["DY_2018"]
    assert dataset.is_mc is True
    assert dataset.metadata == metadata
    assert dataset.files == ((URL, None),)


@pytest.mark.parametrize("name", ["MC_Summer23", "data_Summer23_mu"])
def test_coffearunner_style(name: str, real_data: Path) -> None:
    path = real_data / "filesets" / f"coffearunner_{name}.json"
    given = json.loads(path.read_text())
    fileset = Fileset.parse(path)
    assert {d.name: [url for url, _ in d.files] for d in fileset.datasets} == given
    assert fileset.number_of_files > 2000
    assert all(dataset.is_mc is None for dataset in fileset.datasets)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ("{", FileError, "is not JSON"),
        ("[1]", InputTypeError, r"holds a list, not \{dataset: files\}"),
        ("{}", InputError, "fileset is empty"),
        ('{"DY": ["a.root"], "DY": ["b.root"]}', InputError, "key 'DY' twice"),
        ('{"DY": {"fils": ["a.root"]}}', InputError, "'fils'.*Did you mean 'files'"),
        ('{"DY": [5]}', InputTypeError, "given as 5"),
    ],
)
def test_json_that_is_no_fileset(
    content: str, kind: type[Exception], message: str, folder: Path
) -> None:
    with pytest.raises(kind, match=message):
        Fileset.parse(write(folder / "f.json", content))


def test_json_that_is_not_there(folder: Path) -> None:
    write(folder / "fileset.json", {})
    with pytest.raises(FileError, match=r"no fileset .*filset\.json\. Did you mean 'fileset.json'"):
        Fileset.parse(folder / "filset.json")
    with pytest.raises(FileError, match="download it first"):
        Fileset.parse("https://host/fileset.json")


# -------------------------------------------------------------------------------- bad filesets


BAD: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "nothing": (lambda d: {}, InputError, "fileset is empty"),
    "no files": (lambda d: [], InputError, "no files in the fileset"),
    "dataset without files": (lambda d: {"DY": []}, InputError, "no files in dataset 'DY'"),
    "files empty": (lambda d: {"DY": {"files": {}}}, InputError, "no files in dataset 'DY'"),
    "dataset empty": (lambda d: {"DY": {}}, InputError, "no files in dataset 'DY'"),
    "missing file": (lambda d: d / "aa.root", FileError, r"aa\.root.*Did you mean 'a.root'"),
    "missing, in which dataset": (lambda d: {"DY": d / "z"}, FileError, r"\(in dataset 'DY'\)"),
    "missing folder": (lambda d: d / "no/a.root", FileError, "there is no folder .*no"),
    "glob of nothing": (lambda d: f"{d}/*.rot", FileError, "pattern matches nothing"),
    "tree behind a colon": (lambda d: f"{d}/a.root:Events", FileError, "name the tree by .*Events"),
    "URL as Path": (lambda d: Path("root://host//a.root"), InputError, "give URLs as text"),
    "empty path": (lambda d: "", InputTypeError, "give a path or URL"),
    "no places": (lambda d: [[]], InputError, "given as an empty list"),
    "number among places": (lambda d: [[URL, 5]], InputTypeError, "given as 5"),
    "places within places": (lambda d: [[URL, [OTHER]]], InputTypeError, "given as .*cern.ch"),
    "no local place, and no other": (
        lambda d: [[d / "aa.root", d / "z.root"]],
        FileError,
        r"no file .*aa\.root.*Did you mean 'a.root'",
    ),
    "glob among places": (lambda d: [[URL, d / "*.root"]], InputError, "each must be one file"),
    "folder among places": (lambda d: [[d, URL]], InputError, "each must be one file"),
    "same place twice": (lambda d: [[URL, URL]], InputError, "twice in the fileset"),
    "place of two files": (lambda d: {"DY": [[URL, OTHER], OTHER]}, InputError, "twice in dataset"),
    "local place twice": (
        lambda d: [[d / "a.root", URL], [OTHER, f"{d}/sub/../a.root"]],
        InputError,
        "is twice in the fileset",
    ),
    "alternatives no list": (
        lambda d: {"DY": {URL: {"alternatives": 5}}},
        InputTypeError,
        "alternatives of .* are a int: give a list",
    ),
    "alternatives of a glob": (
        lambda d: {"DY": {f"{d}/*.root": {"alternatives": [URL]}}},
        InputError,
        "each must be one file",
    ),
    "number": (lambda d: 5, InputTypeError, "are a int: give paths"),
    "bytes": (lambda d: b"a.root", InputTypeError, "are a bytes"),
    "None": (lambda d: {"DY": None}, InputTypeError, "dataset 'DY' are a NoneType"),
    "number among files": (lambda d: [d / "a.root", 5], InputTypeError, "given as 5"),
    "same file twice": (
        lambda d: [d / "a.root", f"{d}/sub/../a.root"],
        InputError,
        "is twice in the fileset: its events would count double",
    ),
    "same URL twice": (lambda d: {"DY": [URL, URL]}, InputError, "twice in dataset 'DY'"),
    "misspelt files": (lambda d: {"DY": {"file": []}}, InputError, "Did you mean 'files'"),
    "metadata only": (lambda d: {"DY": {"metadata": {}}}, InputError, "neither 'files' nor a path"),
    "misspelt metadata": (
        lambda d: {"DY": {"files": URL, "metdata": {}}},
        InputError,
        "unknown key 'metdata'. Did you mean 'metadata'",
    ),
    "metadata beside files": (
        lambda d: {"DY": {"files": URL, "xsec": 1}},
        InputError,
        "unknown key 'xsec'.*goes into metadata",
    ),
    "metadata no mapping": (
        lambda d: {"DY": {"files": URL, "metadata": "2018"}},
        InputTypeError,
        "are a str, not a mapping",
    ),
    "misspelt tree": (
        lambda d: {"DY": {"files": {URL: {"object_pth": "Events"}}}},
        InputError,
        "Did you mean 'object_path'",
    ),
    "tree no text": (lambda d: {"DY": {"files": {URL: 5}}}, InputTypeError, "given as 5"),
    "name no text": (lambda d: {5: URL}, InputTypeError, "name of a dataset is 5"),
    "empty name": (lambda d: {"": URL}, InputError, "empty name"),
    "is_mc no truth value": (
        lambda d: {"DY": {"files": URL, "metadata": {"is_mc": "yes"}}},
        InputTypeError,
        "'is_mc' of dataset 'DY' is 'yes': write True or False",
    ),
    "is_mc against isMC": (
        lambda d: {"DY": {"files": URL, "metadata": {"is_mc": True, "isMC": "False"}}},
        InputError,
        "contradict each other: is_mc=True, isMC=False",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_filesets(case: str, folder: Path) -> None:
    source, kind, message = BAD[case]
    with pytest.raises(kind, match=message):
        Fileset.parse(source(folder))


def test_folder_without_files_of_events(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileError, match=r"no \*\.root or \*\.parquet files"):
        Fileset.parse(tmp_path)


def test_link_to_the_same_file_is_the_same_file(folder: Path) -> None:
    (folder / "link.root").symlink_to(folder / "a.root")
    with pytest.raises(InputError, match="twice"):
        Fileset.parse(folder)


def test_same_file_in_two_datasets_is_allowed(folder: Path) -> None:
    file = folder / "a.root"
    assert Fileset.parse({"A": file, "B": file}).number_of_files == 2


def test_fileset_made_by_hand_is_checked_too() -> None:
    one = Dataset("DY", ((URL, None),))
    for datasets, message in (((one, one), "twice"), ((), "empty"), ((Dataset("x", ()),), "no fi")):
        with pytest.raises(InputError, match=message):
            Fileset(datasets)


def test_dataset_by_name() -> None:
    fileset = Fileset.parse({"DYJets": URL, "TT": URL})
    assert fileset["TT"].name == "TT"
    message = re.escape("no dataset 'DYjets'. Did you mean 'DYJets'? There are: DYJets, TT.")
    with pytest.raises(InputError, match=message):
        fileset["DYjets"]


@pytest.mark.parametrize(
    ("metadata", "is_mc"),
    [
        ({}, None),
        ({"is_mc": True}, True),
        ({"isMC": "false"}, False),
        ({"mc": "True", "is_mc": True}, True),
    ],
)
def test_is_mc_as_metadata_say(metadata: dict[str, Any], is_mc: bool | None) -> None:
    assert Dataset("x", ((URL, None),), metadata).is_mc is is_mc
