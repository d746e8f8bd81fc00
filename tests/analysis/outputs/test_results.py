from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import boost_histogram as bh
import numpy as np
import pytest

import lazyana as la
from lazyana.analysis.outputs.merging import merge_outputs
from lazyana.engine.nesting import split
from lazyana.engine.provenance import Provenance
from lazyana.engine.result import DatasetReport, Result, RunReport
from lazyana.errors import InputError
from lazyana.sinks.cutflow import Cutflow
from lazyana.sinks.tables import ColumnTable

DY, DATA = "DYJetsToLL_M-50_2018", "DATA_SingleMuon_2018_EraA"
RESULT = "output_all.lazyana"


def same(one: Any, other: Any, path: str) -> None:
    if isinstance(one, bh.Histogram):
        assert one.axes == other.axes, path
        views: Any = (one.view(flow=True), other.view(flow=True))
        for field in ("value", "variance"):
            np.testing.assert_allclose(views[0][field], views[1][field], 1e-12, err_msg=path)
    elif isinstance(one, Cutflow):
        labels = ("datasets", "stages", "variations", "categories")
        assert all(getattr(one, name) == getattr(other, name) for name in labels), path
        for name in ("counts", "sumw", "sumw2"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), 1e-12)
    elif isinstance(one, ColumnTable):
        assert set(one.arrays) == set(other.arrays), path
        for key, array in one.arrays.items():
            assert ak.array_equal(array, other.arrays[key]), path
    else:
        assert one == pytest.approx(other) if isinstance(one, float) else one == other, path


def test_merged_is_the_whole(written: Path, tmp_path: Path) -> None:
    paths = [
        written / "first" / RESULT,
        written / "separate" / f"output_{DATA}.lazyana",
        written / "second" / RESULT,
    ]
    made = merge_outputs(paths, tmp_path / "merged.lazyana")
    assert made.notices == ()
    merged, whole = la.load(made.path), la.load(written / "whole" / RESULT)
    assert set(merged.paths) == set(whole.paths)
    for path in whole.paths:
        assert merged.kind(path) == whole.kind(path)
        if "sum_" not in path:
            same(merged[path], whole[path], path)
    for name in ("sum_genweights", "sum_signOf_genweights"):
        assert merged[name][DY]["nominal"] == pytest.approx(whole[name][DY]["nominal"])
    assert merged.report.events_read == whole.report.events_read
    assert merged.provenance.analysis == whole.provenance.analysis != ""
    assert {name: sorted(some) for name, some in merged.provenance.files.items()} == {
        name: sorted(map(list, some)) for name, some in whole.provenance.files.items()
    }
    with pytest.raises(InputError, match="twice in these outputs"):
        merge_outputs([made.path, written / "first" / RESULT], tmp_path / "x.lazyana")


def stored(path: Path, outputs: Any, dataset: str = "DY", **files: Any) -> Path:
    nesting, values = split(outputs, lambda node: not isinstance(node, dict | list))
    provenance = Provenance.collect(files=files)
    report = RunReport({dataset: DatasetReport(1, 5, None)}, 1.0, "sync", 3)
    return Result(nesting, values, report, provenance).save(path)


def test_kinds_and_nestings(tmp_path: Path) -> None:
    one = stored(tmp_path / "1.lazyana", {"n": [1.5, {"a": 1}]}, DY=[["1", "", 5]])
    two = stored(tmp_path / "2.lazyana", {"n": [2.5, {"b": 2}], "m": 3}, DY=[["2", "", 5]])
    found = la.load(merge_outputs([one, two], tmp_path / "x.lazyana").path)
    assert found.value == {"n": [4.0, {"a": 1, "b": 2}], "m": 3}
    assert found.report.datasets["DY"] == DatasetReport(2, 10, None)
    for number, other in enumerate(({"n": [1.5]}, {"n": ak.Array([1])}, {"n": [1.5, np.ones(3)]})):
        three = stored(tmp_path / f"other{number}.lazyana", other, DY=[["3", "", 5]])
        with pytest.raises(InputError, match="in one result and a"):
            merge_outputs([one, three], tmp_path / "y.lazyana")
    assert not (tmp_path / "y.lazyana").exists()


def test_mistakes_name_the_output(tmp_path: Path) -> None:
    flows = []
    for stages in (("all events", "a", "b"), ("all events", "b", "a")):
        zeros = np.zeros((1, 1, 3))
        flows.append(Cutflow(("DY",), stages, ("nominal",), zeros.astype(int), zeros, zeros))
    paths = [
        stored(tmp_path / f"{number}.lazyana", {"cut": {"flow": flow}}, DY=[[f"{number}", "", 5]])
        for number, flow in enumerate(flows)
    ]
    with pytest.raises(InputError, match="Output 'cut/flow': Cuts come in different orders"):
        merge_outputs(paths, tmp_path / "x.lazyana")


def test_columns_in_files_are_left_out(toy_files: dict[str, Any], tmp_path: Path) -> None:
    paths = []
    for number, file in enumerate(toy_files["DYJetsToLL"]["files"]):
        frame = la.open({"DY": {**toy_files["DYJetsToLL"], "files": [file]}})
        booked = frame.columns(tmp_path / f"columns{number}", {"n": ak.num(frame.Muon)})
        made = la.compute({"c": booked, "n": frame.sum()}, executor="sync", progress=False)
        paths.append(made.save(tmp_path / f"{number}.lazyana"))
    merged = merge_outputs(paths, tmp_path / "x.lazyana")
    assert merged.notices == ("left out, whose files stay where they are: c (columns)",)
    assert la.load(merged.path).paths == ("n",)
    alone = merge_outputs(paths[:1], tmp_path / "y.lazyana")
    assert la.load(alone.path)["c"].rows > 0
