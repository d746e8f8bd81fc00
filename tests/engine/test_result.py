from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uproot

from lazyana.engine.nesting import split
from lazyana.engine.provenance import Provenance
from lazyana.engine.result import DatasetReport, OutputError, Problem, Result, RunReport
from lazyana.errors import (
    FileError,
    InputError,
    InputTypeError,
    LazyanaError,
    OutputExistsError,
)

REPORT = RunReport(
    datasets={"DY": DatasetReport(3, 1_200_000, 12_345_678), "tt": DatasetReport(1, 10)},
    wall_time=3.25,
    executor="threads, 2 workers",
    tasks=6,
    warnings=("3 NaN weights in DY",),
)
FAILED = RunReport(problems=(Problem("DY", "root://x//a.root", 0, 10, "OSError: no route"),))


def histogram(value: float = 1.0) -> hist.Hist:
    made = hist.Hist(
        hist.axis.StrCategory(["DY"], name="dataset", overflow=False),
        hist.axis.StrCategory(["SR"], name="category", overflow=False),
        hist.axis.StrCategory(["nominal", "jesUp"], name="variation", overflow=False),
        hist.axis.Regular(3, 0, 1, name="x"),
        storage="weight",
    )
    made.view(flow=True)["value"] = value
    made.view(flow=True)["variance"] = value
    return made


def make(outputs: Any, report: RunReport = REPORT) -> Result:
    nesting, values = split(
        outputs, lambda node: not isinstance(node, dict | list | tuple) or "DY" in node
    )
    return Result(nesting, values, report, Provenance.collect(options={"executor": "sync"}))


OUTPUTS = {
    "mll": histogram(),
    "sum": {"DY": {"nominal": 1.5}},
    "regions": {"SR": [histogram(2.0), 7], "CR": (histogram(3.0),)},
}


@pytest.fixture(params=["fresh", "loaded"])
def result(request: pytest.FixtureRequest, tmp_path: Path) -> Result:
    """The same result, as computed and as loaded from a file."""
    fresh = make(OUTPUTS)
    return fresh if request.param == "fresh" else Result.load(fresh.save(tmp_path / "a.lazyana"))


def test_access_by_key_and_position(result: Result) -> None:
    assert result["mll"] == histogram()
    assert result["sum"] == {"DY": {"nominal": 1.5}}
    assert type(result["sum"]) is dict
    assert result["regions"]["SR"][0] == histogram(2.0)
    assert result["regions"]["SR"][-1] == 7
    assert result["regions/SR/0"] == histogram(2.0)
    assert result["regions"]["CR/0"] == histogram(3.0)
    assert result["regions"]["SR"][0] is result["regions/SR/0"]


def test_behaves_like_the_dict(result: Result) -> None:
    assert list(result) == ["mll", "sum", "regions"]
    assert list(result.keys()) == ["mll", "sum", "regions"]
    assert len(result) == 3
    assert "mll" in result
    assert "mlll" not in result
    assert result.get("nothing", 5) == 5
    assert result.get("mll") == histogram()
    assert dict(result)["sum"] == {"DY": {"nominal": 1.5}}
    assert [key for key, _ in result.items()] == ["mll", "sum", "regions"]
    assert next(iter(result.values())) == histogram()


def test_behaves_like_the_list(result: Result) -> None:
    inner = result["regions"]["SR"]
    assert len(inner) == 2
    assert list(inner) == [histogram(2.0), 7]
    for method in (inner.keys, inner.values, inner.items, lambda: inner.get(0)):
        with pytest.raises(InputTypeError, match="This result is a list, not a dict"):
            method()
    with pytest.raises(IndexError):
        inner[2]


def test_plain_values(result: Result) -> None:
    assert result.value == OUTPUTS
    assert type(result.value["regions"]["CR"]) is tuple
    assert list(result.flat()) == ["mll", "sum", "regions/SR/0", "regions/SR/1", "regions/CR/0"]
    assert result["regions"].flat() == {"SR/0": histogram(2.0), "SR/1": 7, "CR/0": histogram(3.0)}


def test_a_single_output(tmp_path: Path) -> None:
    for result in (make(histogram()), Result.load(make(histogram()).save(tmp_path / "a"))):
        assert result.value == histogram()
        assert result.flat() == {"": histogram()}
        assert len(result) == 1
        with pytest.raises(InputTypeError, match=r"use result\.value"):
            iter(result)
        with pytest.raises(InputTypeError, match=r"its value is result\.value"):
            result["mll"]


def test_misspelt_outputs(result: Result) -> None:
    for error in (KeyError, IndexError, LazyanaError, OutputError):
        with pytest.raises(
            error, match=r"No output 'mlll'.*Did you mean 'mll'\? There are: 'mll',"
        ):
            result["mlll"]
    with pytest.raises(OutputError, match=r"'regions/SB/0'.*Did you mean 'regions/SR/0'"):
        result["regions/SB/0"]
    with pytest.raises(OutputError, match="There are: 0, 1"):
        result["regions"]["SR"][5]
    with pytest.raises(OutputError, match="No output 'mlll'"):
        result.kind("mlll")


def test_parts_are_results_too(result: Result, tmp_path: Path) -> None:
    part = result["regions"]
    assert part.report is result.report
    assert part.provenance is result.provenance
    again = Result.load(part.save(tmp_path / "part.lazyana"))
    assert again.value == OUTPUTS["regions"]


def test_save_and_load(tmp_path: Path) -> None:
    fresh = make(OUTPUTS)
    path = fresh.save(str(tmp_path / "a.lazyana"))
    assert path == tmp_path / "a.lazyana"
    loaded = Result.load(str(path))
    assert loaded.value == OUTPUTS
    assert loaded.report == fresh.report
    assert loaded.provenance == fresh.provenance
    with pytest.raises(OutputExistsError):
        fresh.save(path)
    loaded.save(path, overwrite=True)
    assert Result.load(path).value == OUTPUTS


def test_a_loaded_result_can_replace_its_own_file(tmp_path: Path) -> None:
    path = make(OUTPUTS).save(tmp_path / "a.lazyana")
    loaded = Result.load(path)
    loaded.save(path, overwrite=True)
    assert loaded.value == OUTPUTS
    assert Result.load(path).value == OUTPUTS


def test_representation_reads_nothing(tmp_path: Path) -> None:
    path = make(OUTPUTS).save(tmp_path / "a.lazyana")
    loaded = Result.load(path)
    path.unlink()
    assert repr(loaded).splitlines() == [
        "Result: 5 outputs, complete",
        "  mll: hist",
        "  sum: values",
        "  regions/SR/0: hist",
        "  regions/SR/1: values",
        "  regions/CR/0: hist",
    ]
    assert repr(loaded) == repr(make(OUTPUTS))
    assert "INCOMPLETE" in repr(make(1.0, FAILED))
    with pytest.raises(FileError):
        loaded["mll"]


def test_results_travel(result: Result) -> None:
    again = pickle.loads(pickle.dumps(result))
    assert again.value == OUTPUTS
    assert again.report == result.report


def test_too_few_values() -> None:
    with pytest.raises(InputError, match="There are 1 values for a nesting of 2 outputs"):
        Result(split([1, 2])[0], [1], REPORT, Provenance.collect())


def test_to_root(result: Result, tmp_path: Path) -> None:
    path = result.to_root(tmp_path / "a.root")
    with uproot.open(path) as file:
        assert set(file.keys(cycle=False, recursive=True, filter_classname="TH1D")) == {
            f"{output}/SR/DY/{variation}"
            for output in ("mll", "regions/SR/0", "regions/CR/0")
            for variation in ("nominal", "jesUp")
        }
        assert np.array_equal(file["regions/SR/0/SR/DY/jesUp"].values(flow=True), np.full(5, 2.0))
    with pytest.raises(OutputExistsError):
        result.to_root(path)
    key = "{output}/{category}/{dataset}_{variation}"
    result.to_root(path, overwrite=True, key=key, outputs=["mll"])
    with uproot.open(path) as file:
        assert file.keys(cycle=False, filter_classname="TH1D") == [
            "mll/SR/DY_nominal",
            "mll/SR/DY_jesUp",
        ]


def test_to_root_of_what_is_no_histogram(result: Result, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Output 'sum' is of kind 'values', not a histogram"):
        result.to_root(tmp_path / "a.root", outputs=["mll", "sum"])
    with pytest.raises(OutputError, match="Did you mean 'mll'"):
        result.to_root(tmp_path / "a.root", outputs=["mlll"])
    with pytest.raises(InputError, match="no histograms"):
        make({"a": 1.0}).to_root(tmp_path / "a.root")
    assert list(tmp_path.glob("*.root")) == []


def test_report() -> None:
    assert REPORT.complete
    assert not FAILED.complete
    assert REPORT.partitions == 4
    assert REPORT.events_read == 1_200_010
    assert REPORT.text().splitlines() == [
        "complete: 1,200,010 events in 3.2 s (4 partitions, 6 tasks, threads, 2 workers)",
        "  DY      1,200,000 events, 3 partitions, 12.3 MB read",
        "  tt             10 events, 1 partitions",
        "  warning: 3 NaN weights in DY",
    ]
    assert REPORT.events_lost == 0


def test_report_of_what_was_left_out() -> None:
    text = FAILED.text()
    assert text.startswith("INCOMPLETE, 10 events of 1 file lost: 0 events")
    assert "  left out: DY root://x//a.root [0:10], 10 events: OSError: no route" in text
    ranges = ((0, 1000), (1000, 2000), (5000, 6000))
    problems = (
        *(Problem("DY", "a.root", *entries, f"reason {entries}") for entries in ranges),
        Problem("tt", "a.root", 0, 10, "another reason"),
        Problem("tt", "b.root", 0, 0, "not inspected"),
    )
    report = RunReport(problems=problems)
    assert report.events_lost == 3010
    lines = report.text().splitlines()
    assert lines[0].startswith("INCOMPLETE, more than 3,010 events of 3 files lost: 0 events")
    unknown = RunReport(problems=problems[-1:]).text()
    assert unknown.startswith("INCOMPLETE, an unknown number of events of 1 file lost: 0 events")
    assert lines[1:] == [
        "  left out: DY a.root [0:2000][5000:6000], 3,000 events: reason (0, 1000)",
        "  left out: tt a.root [0:10], 10 events: another reason",
        "  left out: tt b.root (unknown events): not inspected",
    ]


@pytest.mark.parametrize("report", [REPORT, FAILED, RunReport()])
def test_report_survives_saving(report: RunReport, tmp_path: Path) -> None:
    assert Result.load(make(1.0, report).save(tmp_path / "a")).report == report


def test_report_of_a_later_version() -> None:
    data = REPORT.to_json()
    data["datasets"]["DY"]["colour"] = "blue"
    assert RunReport.from_json({**data, "mood": "good"}) == REPORT
