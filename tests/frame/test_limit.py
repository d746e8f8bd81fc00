from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

import lazyana as la
from lazyana.errors import InputError
from lazyana.frame.compute import make_plan
from lazyana.frame.limit import left_out
from lazyana.options import RunOptions

DY, TT = "DYJetsToLL", "TTTo2L2Nu"


def test_first_partitions_of_each_dataset(mc: la.Events, plain: Any, run: Any) -> None:
    result = run(mc.sum(mc.MET.pt), partition_size=70, limit_partitions=2)
    for name in (DY, TT):
        read = result.report.datasets[name]
        assert read.partitions == 2
        first = np.asarray(plain(lambda e: e.MET.pt, name)[: read.events_read], np.float64)
        assert result.value[name]["nominal"] == pytest.approx(first.sum())
        assert sum(n for _, _, n in result.provenance.files[name]) == read.events_read
    processed = result.report.events_read
    left = f"{mc.entries - processed:,} of {mc.entries:,} events are beyond the limit"
    assert left in result.report.text()
    assert result.provenance.options["limit_partitions"] == 2
    whole = run(mc.sum(mc.MET.pt), partition_size=70)
    share = result.report.datasets[DY].bytes_read / whole.report.datasets[DY].bytes_read
    assert share == pytest.approx(result.report.datasets[DY].events_read / 600, rel=0.05)
    more = run(mc.sum(mc.MET.pt), partition_size=70, limit_partitions=999)
    assert (more.value, more.report.warnings) == (whole.value, ())


def test_each_opening_has_its_own_limit(toy_files: dict[str, Any], dy: la.Events) -> None:
    again = la.open({DY: toy_files[DY]})
    outputs = [frame.sum(frame.MET.pt) for frame in (dy, again)]
    plan = make_plan(outputs, options=RunOptions(100, limit_partitions=2))
    assert [len(work.partitions) for work in plan.job.works] == [2, 2]
    numbers = [one.number for work in plan.job.works for one in work.partitions]
    assert numbers == [0, 1, 2, 3]
    assert left_out(plan.groups, plan.job.events) == (
        "800 of 1,200 events are beyond the limit of partitions"
    )


def test_groups_of_one_dataset_share_the_limit(toy_files: dict[str, Any]) -> None:
    # Data and simulation have other branches: two groups, of files of one dataset.
    files = [next(iter(toy_files[name]["files"])) for name in (DY, "SingleMuon")]
    fileset = {"mixed": {"files": files, "metadata": {"is_mc": False}}}
    outputs = la.apply(lambda e: {"n": e.sum(ak.num(e.Muon))}, fileset)
    plan = make_plan(outputs, options=RunOptions(50, limit_partitions=4))
    assert len(plan.groups) == 2
    assert [len(work.partitions) for work in plan.job.works] == [4, 0]
    plan = make_plan(outputs, options=RunOptions(50, limit_partitions=7))
    assert [len(work.partitions) for work in plan.job.works] == [6, 1]


def test_no_limit_that_leaves_nothing(dy: la.Events, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="limit_partitions must be at least 1"):
        la.compute(dy.columns(tmp_path / "x", {"n": dy.MET.pt}), limit_partitions=0)
    assert not (tmp_path / "x").exists()


def test_files_and_skims_of_a_limited_run(dy: la.Events, run: Any, tmp_path: Path) -> None:
    outputs = {
        "columns": dy.columns(tmp_path / "columns", {"met": dy.MET.pt}),
        "skim": dy.filter(met=dy.MET.pt > 0).skim(tmp_path / "skim"),
        "sum": dy.sum(dy.genWeight),
    }
    result = run(outputs, partition_size=100, limit_partitions=2)
    assert result["columns"].rows == 200
    skim = la.open(result["skim"].fileset)
    assert skim.entries == 200
    weights = la.compute(skim.sum(skim.genWeight), executor="sync").value
    assert weights[DY]["nominal"] == pytest.approx(result["sum"][DY]["nominal"])
