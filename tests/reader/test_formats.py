"""Formats: told by what files begin with, and the same events whatever the format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoAODSchema

import lazyana as la
from lazyana.data.nanoevents import Blueprint, Reading, blueprint_of
from lazyana.data.partitions import Partition, span_of
from lazyana.errors import FileError
from lazyana.reader.fileinfo import FileInfo, Layout
from lazyana.reader.formats import READERS, note_file
from lazyana.toy.sample import write_dataset

DY = {"TTree": "nano_dy.root", "RNTuple": "nano_dy_rntuple.root", "parquet": "nano_dy.parquet"}
OTHERS = ["RNTuple", "parquet"]

Noted = dict[str, tuple[FileInfo, Layout]]


def events_of(info: FileInfo, blueprint: Blueprint, start: int = 0, stop: int | None = None) -> Any:
    end = info.entries if stop is None else stop
    part = Partition(0, "dy", 0, (span_of(info, start, end, ()),))
    return Reading(part, blueprint.everything()).events()


def bare(form: Any) -> Any:
    """A form without descriptions and names of types."""
    if isinstance(form, dict):
        return {key: bare(value) for key, value in form.items() if key != "parameters"}
    return [bare(one) for one in form] if isinstance(form, list) else form


@pytest.fixture(scope="module")
def noted(real_data: Path) -> Noted:
    """The same events in all formats."""
    return {
        format_: note_file(str(real_data / "nanoaod" / name), "Events")
        for format_, name in DY.items()
    }


@pytest.fixture(scope="module")
def tree_blueprint(noted: Noted) -> Blueprint:
    return blueprint_of(noted["TTree"][1], NanoAODSchema)


@pytest.fixture(scope="module")
def tree_events(noted: Noted, tree_blueprint: Blueprint) -> Any:
    return ak.materialize(events_of(noted["TTree"][0], tree_blueprint, 3, 37))


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A toy file as TTree, RNTuple and parquet, with suffixes that tell nothing."""
    folder = tmp_path_factory.mktemp("formats")
    (source,) = write_dataset(folder, "DYJetsToLL", events=300)
    with uproot.open(source) as file:
        tree = file["Events"]
        columns = {name: ak.without_parameters(one.array()) for name, one in tree.items()}
    ntuple, parquet = folder / "ntuple.data", folder / "table.data"
    with uproot.recreate(ntuple) as file:
        file.mkrntuple("Events", {name: array[:170] for name, array in columns.items()})
        file["Events"].extend({name: array[170:] for name, array in columns.items()})
    ak.to_parquet(ak.Array(columns), parquet, row_group_size=130)
    return {"TTree": source, "RNTuple": ntuple, "parquet": parquet}


# ------------------------------------------------------------------------------ the same events


def test_each_is_told(noted: Noted) -> None:
    assert {format_: info.format for format_, (info, _) in noted.items()} == {
        format_: format_ for format_ in DY
    }
    assert set(READERS) == set(DY)


def test_what_is_noted_agrees(noted: Noted) -> None:
    infos = [info for info, _ in noted.values()]
    assert {info.signature for info in infos} == {infos[0].signature}
    assert {info.entries for info in infos} == {40}
    assert {info.clusters for info in infos} == {(0, 40)}
    assert len({info.uuid for info in infos}) == 3
    layouts = [layout for _, layout in noted.values()]
    assert len(layouts[0].branches) == 1499
    for layout in layouts[1:]:
        assert layout.types == layouts[0].types


@pytest.mark.parametrize("format_", OTHERS)
def test_forms_agree(format_: str, noted: Noted) -> None:
    """As the TTree's but for descriptions, in the order of names."""
    mine, theirs = (
        dict(zip(base["fields"], bare(base["contents"]), strict=True))
        for base in (json.loads(noted[key][1].base_form) for key in (format_, "TTree"))
    )
    assert mine == theirs


@pytest.mark.parametrize("format_", OTHERS)
def test_nanoevents_of_real_files(
    format_: str, noted: Noted, tree_blueprint: Blueprint, tree_events: Any
) -> None:
    """By the blueprint of the TTree, as in a fileset of both."""
    mine, theirs = events_of(noted[format_][0], tree_blueprint, 3, 37), tree_events
    assert set(mine.fields) == set(theirs.fields)
    for name in theirs.fields:
        assert type(mine[name]) is type(theirs[name]), name
        assert same(mine[name], theirs[name]), name


REFERENCES: dict[str, Callable[[Any], Any]] = {
    "matched": lambda e: e.Muon.matched_gen.pt,
    "jets": lambda e: e.Electron.matched_jet.eta,
    "parents": lambda e: e.GenPart.parent.pdgId,
    "children": lambda e: e.GenPart.children.pdgId,
    "ancestors": lambda e: e.Muon.matched_gen.distinctParent.pdgId,
    "lists": lambda e: e.Jet.matched_muons.pt,
    "nearest": lambda e: e.Jet.nearest(e.Muon).pt,
}


@pytest.mark.parametrize("what", REFERENCES)
@pytest.mark.parametrize("format_", OTHERS)
def test_cross_references(format_: str, what: str, noted: Noted) -> None:
    mine, theirs = (
        REFERENCES[what](events_of(info, blueprint_of(layout, NanoAODSchema)))
        for info, layout in (noted[format_], noted["TTree"])
    )
    assert same(mine, theirs)
    assert ak.count(mine, axis=None) > 0


def same(one: ak.Array, other: ak.Array) -> bool:
    return bool(ak.array_equal(one, other, equal_nan=True, check_parameters=False))


def test_toy_files_have_one_signature(converted: dict[str, Path]) -> None:
    found = [note_file(str(path), "Events")[0] for path in converted.values()]
    assert [info.format for info in found] == list(converted)
    assert {info.signature for info in found} == {found[0].signature}
    assert found[1].clusters == (0, 170, 300)
    assert found[2].clusters == (0, 130, 260, 300)


@pytest.mark.parametrize("formats", [["RNTuple"], ["parquet"], ["TTree", "RNTuple", "parquet"]])
def test_a_dataset_of_several_formats(formats: list[str], converted: dict[str, Path]) -> None:
    """The same histogram as of as many TTrees."""

    def histogram(*paths: Path) -> Any:
        events = la.open({"DY": {"files": {str(path): "Events" for path in paths}}})
        booked = events.hist(hist.axis.Regular(20, 0, 200, name="pt"), pt=events.Muon.pt)
        return la.compute(booked, executor="sync").value

    mine = histogram(*(converted[format_] for format_ in formats))
    one = histogram(converted["TTree"])
    assert np.array_equal(mine.values(flow=True), len(formats) * one.values(flow=True))
    assert one.values().sum() > 0


# ---------------------------------------------------------------------------- no such format

WRONG = {
    "empty": (b"", "ends at byte 0, before byte 4"),
    "text": (b"no ROOT file at all", "it begins with b'no R', not with b'root' or b'PAR1'."),
    "encrypted": (b"PARE....PARE", "It looks like a parquet file with an encrypted footer"),
    "hdf5": (b"\x89HDF\r\n", "It looks like an HDF5 file"),
    "page": (b"<!DOCTYPE html>", "It looks like a web page"),
    "gzip": (b"\x1f\x8b\x08\x00\x00", "It looks like compressed by gzip"),
}


@pytest.mark.parametrize("what", WRONG)
def test_another_format(what: str, tmp_path: Path) -> None:
    content, message = WRONG[what]
    path = tmp_path / "file.root"
    path.write_bytes(content)
    with pytest.raises(FileError, match=re.escape(message)) as caught:
        note_file(str(path), "Events")
    assert str(path) in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=rf"There is no file {tmp_path}/a.parquet\.$"):
        note_file(f"{tmp_path}/a.parquet", "Events")
    with pytest.raises(FileError, match=r"To name the tree write \{'.*b.root': 'Events'\}"):
        note_file(f"{tmp_path}/b.root:Events", "Events")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a folder"):
        note_file(str(tmp_path), "Events")
