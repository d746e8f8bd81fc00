"""Opening files, and running one function over groups of datasets."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
from coffea.nanoevents import BaseSchema

import lazyana as la
from lazyana.errors import FileError, InputError, InputTypeError, LazyanaError
from lazyana.frame import open as module
from lazyana.frame.booking import Merged

DY, TT, DATA = "DYJetsToLL", "TTTo2L2Nu", "SingleMuon"
MET = hist.axis.Regular(10, 0, 100, name="x")


def paths(toy_files: dict[str, Any], name: str) -> list[str]:
    return list(toy_files[name]["files"])


# -- open ------------------------------------------------------------------------------------


def test_open_takes_paths_globs_mappings_files_and_catalogs(
    toy_files: dict[str, Any], tmp_path: Path
) -> None:
    first, second = paths(toy_files, DY)
    (tmp_path / "files.json").write_text(json.dumps({DY: [first, second]}))
    pattern = first.replace("_0.root", "_*.root")
    sources = (
        [first, second],
        pattern,
        {DY: pattern},
        {DY: {"files": {first: "Events", second: "Events"}, "metadata": {"xsec": 1.0}}},
        tmp_path / "files.json",
        la.inspect([first, second]),
    )
    for source in sources:
        assert la.open(source).entries == 600
    assert la.open(first).datasets == ("DYJetsToLL_0",)
    assert la.open(Path(first)).entries == 300


def test_open_with_another_schema_and_tree(toy_files: dict[str, Any], run: Any) -> None:
    frame = la.open(paths(toy_files, DY)[0], schema=BaseSchema)
    assert "Muon_pt" in frame.fields
    assert run(frame.sum(ak.num(frame.Muon_pt))).value["DYJetsToLL_0"]["nominal"] > 0
    runs = la.open({"runs": paths(toy_files, DY)[0]}, schema=BaseSchema, tree="Runs")
    assert runs.entries == 1


def test_name_of_the_group_names_its_tasks(toy_files: dict[str, Any]) -> None:
    frame = la.open({DY: toy_files[DY]}, name="zmumu")
    assert frame._group.name == "zmumu"
    assert la.open({DY: toy_files[DY]})._group.name == DY


@pytest.mark.parametrize(
    ("source", "error", "words"),
    ids=count(),
    argvalues=[
        ({}, InputError, "empty"),
        ([], InputError, "no files"),
        ({"a": []}, InputError, "'a'"),
        ("none.root", FileError, r"none\.root"),
        ({"a": "*.none"}, FileError, "matches nothing"),
        (3, InputTypeError, "int"),
    ],
)
def test_open_refuses_what_is_no_fileset(source: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        la.open(source)


def test_open_refuses_what_is_no_file_of_events(toy_files: dict[str, Any], tmp_path: Path) -> None:
    text = tmp_path / "text.root"
    text.write_text("no ROOT file")
    with pytest.raises(FileError, match=r"text\.root is no ROOT or parquet file"):
        la.open(text)
    with pytest.raises(FileError, match=r"no tree 'Evnts'.*'Events'.*LuminosityBlocks.*tree="):
        la.open(paths(toy_files, DY)[0], tree="Evnts")
    with pytest.raises(InputTypeError, match=r"schema='NanoAOD'.*class"):
        la.open(paths(toy_files, DY), schema="NanoAOD")


def test_datasets_of_two_forms_need_apply(toy_files: dict[str, Any], real_data: Path) -> None:
    with pytest.raises(InputError, match=r"'DYJetsToLL' and 'SingleMuon'.*simulation and data.*la"):
        la.open(toy_files)
    other = {DY: toy_files[DY], "v12": str(real_data / "nanoaod" / "nano_tt_v12.root")}
    message = r"_0\.root of dataset 'DYJetsToLL' and .*v12\.root of 'v12' cannot share a frame: "
    message += r"branches are of different types: .* \(.* or .*\).* and \d+ more.*la\.apply"
    with pytest.raises(InputError, match=message):
        la.open(other)
    groups = la.apply(lambda events: events.sum(), other)
    assert isinstance(groups, Merged)
    assert [output.group.names for output in groups.outputs] == [(DY,), ("v12",)]


# -- apply -----------------------------------------------------------------------------------


def test_progress_of_recording_is_shown_where_it_takes_long(
    toy_files: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for patience in (60.0, 0.0):
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(module, "PATIENCE", patience)
        la.apply(lambda events: events.sum(), toy_files, progress=True)
    shown = capsys.readouterr().err
    assert "record" in shown
    assert "2/2" in shown


def analysis(events: la.Events) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    if events.is_mc:
        outputs["sumw"] = events.sum(events.genWeight)
        events = events.weight("gen", events.genWeight)
        events = events.weight("pu", events.PV.npvs / 30, up=events.PV.npvs / 25)
        events = events.vary("met", {"MET.pt": {"up": events.MET.pt * 1.2}})
    events = events.filter(met=lambda e: e.MET.pt > 20)
    outputs["nested"] = [
        events.hist(MET, x=events.MET.pt),
        (events.columns({"met": events.MET.pt}), events.sum()),
    ]
    outputs["cutflow"] = events.cutflow()
    return outputs


@pytest.fixture(scope="module")
def applied(toy_files: dict[str, Any], run: Any) -> la.Result:
    return run(la.apply(analysis, toy_files))


def test_outputs_of_groups_are_merged(applied: la.Result, plain: Any, filled: Any) -> None:
    found = applied["nested/0"]
    assert list(found.axes["dataset"]) == sorted([DATA, DY, TT])
    assert list(found.axes["variation"]) == ["nominal", "metUp", "puUp"]
    for name, factor, pu, label in (
        (DATA, 1.0, None, "nominal"),
        (DY, 1.0, 30, "nominal"),
        (DY, 1.2, 30, "metUp"),
        (TT, 1.0, 25, "puUp"),
    ):

        def weight(e: Any, pu: Any = pu) -> Any:
            if pu is None:
                return ak.ones_like(e.MET.pt, dtype=np.float64)
            return ak.values_astype(e.genWeight, np.float64) * e.PV.npvs / pu

        met = plain(lambda e, f=factor: e.MET.pt * f, name)
        expected = filled(MET, values=[met[met > 20]], weight=plain(weight, name)[met > 20])
        mine = found[{"dataset": name, "category": "all", "variation": label}]
        np.testing.assert_allclose(mine.values(flow=True), expected.values(flow=True), rtol=1e-12)
        np.testing.assert_allclose(mine.variances(flow=True), expected.variances(flow=True))
        if label == "nominal":
            table = applied["nested/1/0"].to_awkward(name)
            assert ak.array_equal(table.met, met[met > 20], check_parameters=False)
            assert applied["cutflow"].count("met", name) == np.sum(met > 20)
            assert applied["cutflow"].count("all events", name) == len(met)


def test_keys_that_a_group_lacks_are_those_of_the_others(applied: la.Result, plain: Any) -> None:
    assert set(applied["sumw"]) == {DY, TT}
    for name in (DY, TT):
        expected = np.sum(ak.to_numpy(plain(lambda e: e.genWeight, name)).astype(np.float64))
        assert applied["sumw"][name]["nominal"] == pytest.approx(expected, rel=1e-12)
    assert set(applied["nested/1/1"]) == {DY, TT, DATA}


def test_groups_are_by_kind_form_and_year(toy_files: dict[str, Any]) -> None:
    def dated(name: str, year: str) -> dict[str, Any]:
        return {"files": toy_files[name]["files"], "metadata": {"year": year, "k": name}}

    seen: list[tuple[str, ...]] = []

    def function(events: la.Events) -> Any:
        seen.append(events.datasets)
        return events.sum()

    fileset = {"a": dated(DY, "2017"), "b": dated(TT, "2018"), "c": dated(DY, "2018")}
    merged = la.apply(function, fileset)
    assert isinstance(merged, Merged)
    assert seen == [("a",), ("b", "c")]
    seen.clear()
    la.apply(function, fileset, group_by=[])
    assert seen == [("a", "b", "c")]
    seen.clear()
    la.apply(function, fileset, group_by=["k"])
    assert seen == [("a", "c"), ("b",)]
    with pytest.raises(InputTypeError, match=r"\['year'\]"):
        la.apply(function, fileset, group_by="year")
    with pytest.raises(InputError, match=r"metadata 'yaer'.*'year'.*year, k"):
        la.apply(function, fileset, group_by=["yaer"])


def test_four_years_in_one_go(toy_files: dict[str, Any], run: Any) -> None:
    fileset = {
        f"dy{year}": {"files": toy_files[DY]["files"], "metadata": {"year": year}}
        for year in range(2015, 2019)
    }
    result = run(la.apply(lambda e: e.hist(MET, x=e.MET.pt), fileset))
    found = result.value.project("dataset").values()
    assert len(found) == 4
    assert set(found) == {found[0]}
    assert result.report.events_read == 2400


@pytest.mark.parametrize(
    ("function", "words"),
    ids=count(),
    argvalues=[
        (lambda e: None, r"must return outputs.*DYJetsToLL: NoneType, SingleMuon: NoneType"),
        (lambda e: {"x": {"y": e.MET.pt}}, r"at x/y.*DYJetsToLL: Array"),
        (lambda e: e.sum() if e.is_mc else [e.sum()], r"output.*SingleMuon: sequence"),
        (lambda e: [e.sum()] * (1 + e.is_mc), "different lengths"),
        (lambda e: {"x": e.sum() if e.is_mc else e.cutflow()}, "sum.*cutflow"),
        (
            lambda e: {"x": e.hist(hist.axis.Regular(2 + e.is_mc, 0, 1, name="x"), x=e.MET.pt)},
            r"hist at x has axes=.*'DYJetsToLL'.*'SingleMuon'",
        ),
        (lambda e: e.columns({f"x{e.is_mc}": e.MET.pt}), "Columns.*xFalse, xTrue"),
        (lambda e: e.columns(f"/tmp/{e.is_mc}", {"x": e.MET.pt}), "path='/tmp/True'"),
        (
            lambda e: (
                e.filter(a=e.MET.pt > 1, b=e.MET.pt > 2)
                if e.is_mc
                else e.filter(b=e.MET.pt > 2, a=e.MET.pt > 1)
            ).cutflow(),
            "different orders.*'[ab]'",
        ),
    ],
)
def test_outputs_that_cannot_be_merged(
    toy_files: dict[str, Any], function: Callable[[la.Events], Any], words: str
) -> None:
    with pytest.raises(LazyanaError, match=words):
        la.apply(function, {name: toy_files[name] for name in (DY, DATA)})


def test_one_group_is_not_merged(toy_files: dict[str, Any], run: Any) -> None:
    outputs = la.apply(lambda e: {"n": e.sum()}, {DY: toy_files[DY]})
    assert run(outputs)["n"] == {DY: {"nominal": 600.0}}
