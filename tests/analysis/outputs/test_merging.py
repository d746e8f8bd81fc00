from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import boost_histogram as bh
import hist
import numpy as np
import pytest
from coffea.processor import column_accumulator
from coffea.util import load, save

from lazyana.analysis.outputs.merging import datasets_of, load_accumulators, merge_outputs
from lazyana.errors import FileError, InputError, OutputExistsError

DY, DATA = "DYJetsToLL_M-50_2018", "DATA_SingleMuon_2018_EraA"
OUTPUT = "output_all.coffea"


def same(one: Any, other: Any, rtol: float = 0.0, place: str = "") -> None:
    """Everything in two outputs is the same, up to rounding."""
    if isinstance(one, Mapping):
        assert set(one) == set(other), place
        for key in one:
            same(one[key], other[key], rtol, f"{place}/{key}")
    elif isinstance(one, bh.Histogram):
        assert one.axes == other.axes, place
        assert one.storage_type is other.storage_type
        assert one.name == other.name
        views: Any = (one.view(flow=True), other.view(flow=True))
        for field in views[0].dtype.names or (...,):
            np.testing.assert_allclose(views[0][field], views[1][field], rtol, err_msg=place)
    elif isinstance(one, column_accumulator):
        assert ak.to_list(one.value) == ak.to_list(other.value), place
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=rtol, abs=0), place
    elif isinstance(one, list):
        assert sorted(map(str, one)) == sorted(map(str, other)), place
    else:
        assert one == other, place


def without_record(path: Path) -> dict[str, Any]:
    output: dict[str, Any] = load(str(path))
    record = output.pop("provenance")
    assert record["complete"]
    return {**output, "files": record["files"], "analysis": record["analysis"]}


def test_outputs_of_datasets(written: Path, tmp_path: Path) -> None:
    names = (f"output_{name}.coffea" for name in (DATA, DY))
    made = merge_outputs([written / "separate" / name for name in names], tmp_path / "all.coffea")
    assert made.datasets == (DATA, DY)
    assert made.notices == ()
    same(without_record(tmp_path / "all.coffea"), without_record(written / "whole" / OUTPUT))


def test_files_of_a_dataset(written: Path, tmp_path: Path) -> None:
    paths = [written / half / OUTPUT for half in ("first", "second")]
    merge_outputs([*paths, written / "separate" / f"output_{DATA}.coffea"], tmp_path / "o.coffea")
    found, whole = (without_record(path) for path in (tmp_path / "o.coffea", paths[0]))
    whole = without_record(written / "whole" / OUTPUT)
    same(found, whole, rtol=1e-12)
    first = load(str(paths[0]))
    assert first["sumw"]["baseline"][DY]["DYJetsToLL"]["nominal"] != pytest.approx(
        found["sumw"]["baseline"][DY]["DYJetsToLL"]["nominal"], rel=1e-3
    )


def test_the_same_events_twice(written: Path, tmp_path: Path) -> None:
    for paths in (
        [written / "whole" / OUTPUT, written / "first" / OUTPUT],
        [written / "first" / OUTPUT] * 2,
    ):
        with pytest.raises(InputError, match=f"dataset '{DY}' are twice in these outputs"):
            merge_outputs(paths, tmp_path / "x.coffea")
    assert list(tmp_path.iterdir()) == []


def test_normalised_and_not(written: Path, tmp_path: Path) -> None:
    paths = [written / "first" / OUTPUT, tmp_path / "raw.coffea"]
    save({**load(str(written / "second" / OUTPUT)), "normalised": False}, str(paths[1]))
    with pytest.raises(InputError, match="divided by sums of generator weights in one of"):
        merge_outputs(paths, tmp_path / "x.coffea")


def test_other_sections(written: Path, tmp_path: Path) -> None:
    path = written / "separate" / f"output_{DATA}.coffea"
    output = load(str(path))
    del output["n_minus_one"]
    paths = [written / "first" / OUTPUT, tmp_path / "other.coffea"]
    save(output, str(paths[1]))
    with pytest.raises(InputError, match="only one of them has 'n_minus_one'"):
        merge_outputs(paths, tmp_path / "x.coffea")


def test_axes_that_differ(written: Path, tmp_path: Path) -> None:
    output = load(str(written / "second" / OUTPUT))
    one = output["variables"]["met"]["DYJetsToLL"][DY]
    variations = list(one.axes["variation"])[1:]
    axes = [*one.axes]
    axes[1] = hist.axis.StrCategory(variations, name="variation", label="variation", overflow=False)
    output["variables"]["met"]["DYJetsToLL"][DY] = hist.Hist(*axes, storage=hist.storage.Weight())
    paths = [written / "first" / OUTPUT, tmp_path / "other.coffea"]
    save(output, str(paths[1]))
    with pytest.raises(InputError, match=rf"variables/met/DYJetsToLL/{DY}.* in one output only"):
        merge_outputs(paths, tmp_path / "x.coffea")


def test_no_overwriting(written: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.coffea"
    merge_outputs([written / "first" / OUTPUT], target)
    before = target.read_bytes()
    with pytest.raises(OutputExistsError):
        merge_outputs([written / "second" / OUTPUT], target)
    assert target.read_bytes() == before
    merge_outputs([written / "second" / OUTPUT], target, overwrite=True)
    assert target.read_bytes() != before


def test_what_is_no_output(written: Path, tmp_path: Path) -> None:
    good = written / "first" / OUTPUT
    with pytest.raises(FileError, match="There is no output"):
        merge_outputs([good, tmp_path / "no.coffea"], tmp_path / "x.coffea")
    (tmp_path / "bad.coffea").write_bytes(b"nothing")
    with pytest.raises(FileError, match="cannot be read as an output"):
        merge_outputs([good, tmp_path / "bad.coffea"], tmp_path / "x.coffea")
    save([1], str(tmp_path / "list.coffea"))
    with pytest.raises(FileError, match="holds a list"):
        load_accumulators(tmp_path / "list.coffea")
    for paths, target in (
        ([good], "x.lazyana"),
        ([good, good.with_suffix(".lazyana")], "x.coffea"),
        ([tmp_path / "x.root"], "x.root"),
        ([], "x.coffea"),
    ):
        with pytest.raises(InputError, match="all of one kind"):
            merge_outputs(paths, tmp_path / target)


def foreign(initial: int, files: int = 1) -> dict[str, Any]:
    """An output as PocketCoffea writes it: nothing is said of files, sums are float32."""
    one: hist.Hist[Any] = hist.Hist(
        hist.axis.StrCategory(["SR"], name="cat", growth=True),
        hist.axis.Regular(2, 0, 2, name="x"),
        storage=hist.storage.Weight(),
    )
    one.fill("SR", [0.5] * initial)
    return {
        "sum_genweights": {"TT": np.float32(initial)},
        "cutflow": {"initial": {"TT": initial}, "SR": {"TT": {"TTbar": {"nominal": initial}}}},
        "variables": {"x": {"TTbar": {"TT": one}}},
        "columns": {},
        "datasets_metadata": {
            "by_datataking_period": {"2018": {"TTbar": {"TT"}}},
            "by_dataset": {"TT": {"sample": "TTbar", "year": "2018", "nevents": "10"}},
        },
    }


def test_outputs_that_say_nothing_of_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"output_job_{number}.coffea" for number in range(3)]
    for path in paths:
        save(foreign(4), str(path))
    with pytest.raises(InputError, match="--different-files"):
        merge_outputs(paths[:2], tmp_path / "x.coffea")
    made = merge_outputs(paths[:2], tmp_path / "x.coffea", different_files=True)
    assert made.datasets == ("TT",)
    found = load(str(made.path))
    assert found["sum_genweights"]["TT"] == 8
    assert found["cutflow"]["SR"]["TT"]["TTbar"]["nominal"] == 8
    assert found["variables"]["x"]["TTbar"]["TT"][{"cat": "SR"}].values().tolist() == [8, 0]
    assert found["datasets_metadata"] == foreign(4)["datasets_metadata"]
    with pytest.raises(InputError, match="12 events of dataset 'TT', which has 10"):
        merge_outputs(paths, tmp_path / "y.coffea", different_files=True)


def test_real_outputs_of_coffearunner(real_data: Path, tmp_path: Path) -> None:
    paths = sorted((real_data / "plots").glob("*.coffea"))
    made = merge_outputs(paths, tmp_path / "all.coffea")
    found, parts = load(str(made.path)), [load(str(path)) for path in paths]
    assert set(made.datasets) == set(found) == {name for part in parts for name in part}
    for part in parts:
        for name in part:
            assert set(found[name]) == set(part[name])
            same(found[name]["z_mass"], part[name]["z_mass"])
    with pytest.raises(InputError, match="--different-files"):
        merge_outputs([paths[0]] * 2, tmp_path / "x.coffea")
    merge_outputs([paths[0]] * 2, tmp_path / "x.coffea", different_files=True)
    twice, once = load(str(tmp_path / "x.coffea")), load(str(paths[0]))
    for name in once:
        assert twice[name]["sumw"] == 2 * once[name]["sumw"]
        np.testing.assert_array_equal(
            twice[name]["z_mass"].values(flow=True), 2 * once[name]["z_mass"].values(flow=True)
        )


def test_datasets_of_a_run_that_wrote_skims() -> None:
    skims = {"datasets_metadata": {}, "cutflow": {"initial": {}}, "skimmed_files": {"DY": ["a"]}}
    assert datasets_of(skims) == ["DY"]
