from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lazyana as la
from lazyana.analysis.columns import ColOut
from lazyana.analysis.config import Analysis
from lazyana.analysis.run import run
from lazyana.analysis.separate import run_separately
from lazyana.errors import InputError, OutputExistsError

Make = Callable[..., Analysis]
DY, DATA = "DYJetsToLL_M-50_2018", "DATA_SingleMuon_2018_EraA"
FAST: dict[str, Any] = {"executor": "sync", "limit_partitions": 1, "progress": False}


def separately(analysis: Analysis, folder: Path, **options: Any) -> dict[str, Any]:
    return dict(run_separately(analysis, folder, **{**FAST, **options}))


def test_files(written: Path) -> None:
    names = {path.name for path in (written / "separate").iterdir()}
    kinds = (
        *("output_{}.coffea", "output_{}.lazyana", "provenance_{}.json", "n_minus_one_{}.json"),
        "n_minus_one_{}.csv",
    )
    each = {kind.format(name) for kind in kinds for name in (DY, DATA)}
    assert names == {*each, "config.json", "parameters_dump.yaml"}
    config = json.loads((written / "separate" / "config.json").read_text())
    assert config["datasets"]["names"] == [DY, DATA]


def test_goes_on_where_it_stopped(bare: Make, tmp_path: Path) -> None:
    runs = run_separately(bare(), tmp_path, **FAST)
    name, made = next(runs)
    runs.close()
    assert (name, made is None) == (DY, False)
    assert not (tmp_path / f"output_{DATA}.coffea").exists()
    before = (tmp_path / f"output_{DY}.coffea").stat().st_mtime_ns
    # As if it was stopped between its two files.
    again = separately(bare(), tmp_path, partition_size=None)
    assert again[DY] is None
    assert again[DATA].output["cutflow"]["initial"][DATA] > 0
    assert (tmp_path / f"output_{DY}.coffea").stat().st_mtime_ns == before
    (tmp_path / f"output_{DATA}.coffea").unlink()
    third = separately(bare(), tmp_path)
    assert (third[DY], third[DATA] is None) == (None, False)


def test_outputs_of_something_else_are_not_kept(bare: Make, tmp_path: Path) -> None:
    separately(bare(), tmp_path)
    less = {"datasets": {"jsons": bare()._sections["datasets"]["jsons"]}}
    assert set(separately(bare(**less).filtered(datasets=[DY]), tmp_path).values()) == {None}
    changed = bare(preselections=["nMuon > 1"])
    for analysis, options in (
        (changed, {}),
        (bare(), {"limit_partitions": 2}),
        (bare(), {"limit_files": 1}),
        (bare(), {"n_minus_one": True}),
    ):
        with pytest.raises(OutputExistsError, match="was not made from this configuration"):
            separately(analysis, tmp_path, **options)
    made = separately(changed.filtered(datasets=[DATA]), tmp_path, overwrite=True)
    assert made[DATA] is not None
    (tmp_path / f"output_{DATA}.lazyana").unlink()
    with pytest.raises(OutputExistsError, match=f"output_{DATA}.coffea is there already"):
        separately(changed.filtered(datasets=[DATA]), tmp_path)


def test_groups_of_samples(bare: Make, tmp_path: Path) -> None:
    groups = {"both": ["DYJetsToLL", "DATA_SingleMuon"]}
    made = separately(bare(), tmp_path, groups=groups)
    assert list(made) == ["both"]
    assert set(made["both"].output["cutflow"]["initial"]) == {DY, DATA}
    assert (tmp_path / "output_both.coffea").exists()


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"x": ["DYJetsToL"]}, "Did you mean 'DYJetsToLL'"),
        ({"x": ["DYJetsToLL"], "y": "DYJetsToLL"}, "is in two groups"),
        ({"all": ["DYJetsToLL"]}, "cannot be called 'all'"),
        ({DATA: ["DYJetsToLL"]}, f"cannot be called '{DATA}'"),
    ],
)
def test_wrong_groups(bare: Make, tmp_path: Path, groups: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_separately(bare(), tmp_path / "x", groups=groups)
    assert not (tmp_path / "x").exists()


def test_skims_and_columns_in_folders_of_their_own(bare: Make, tmp_path: Path) -> None:
    made = separately(bare(save_skimmed_files=tmp_path / "skims"), tmp_path / "one")
    fileset = json.loads((tmp_path / "one" / "skimmed_dataset_definition.json").read_text())
    assert set(fileset) == {DY, DATA}
    assert all(Path(file).is_relative_to(tmp_path / "skims" / DY) for file in fileset[DY]["files"])
    assert made[DATA].files["skims"].name == f"skimmed_dataset_definition_{DATA}.json"
    assert la.open(fileset[DY]["files"]).entries == fileset[DY]["metadata"]["nevents"]
    options = {"dump_columns_as_arrays_per_chunk": str(tmp_path / "columns")}
    columns = {"common": {"inclusive": [ColOut("Jet", ["pt"])]}}
    separately(bare(columns=columns, workflow_options=options), tmp_path / "two")
    saved = la.open_columns(tmp_path / "columns" / DY / "DYJetsToLL" / "jets")
    assert saved.datasets == (DY,)


def test_folders_of_runs_that_did_not_finish_are_made_anew(bare: Make, tmp_path: Path) -> None:
    one = bare(save_skimmed_files=str(tmp_path / "skims"))
    out = tmp_path / "out"
    separately(one, out)
    skim = tmp_path / "skims" / DATA / "DATA_SingleMuon"
    whole = (skim / "_manifest.json").read_text()
    # As if it was killed while the second dataset was written.
    for name in (f"output_{DATA}.coffea", f"output_{DATA}.lazyana"):
        (out / name).unlink()
    (skim / "_unfinished.json").write_text(whole)
    (skim / "_manifest.json").unlink()
    assert separately(one, out)[DY] is None
    assert (skim / "_manifest.json").exists()
    # What is finished but of no output that is there may be of another run.
    for name in (f"output_{DATA}.coffea", f"output_{DATA}.lazyana"):
        (out / name).unlink()
    with pytest.raises(OutputExistsError, match="--overwrite") as refused:
        separately(one, out)
    assert not getattr(refused.value, "__notes__", [])
    assert None not in separately(one, out, overwrite=True).values()


def test_an_output_without_its_result(bare: Make, tmp_path: Path) -> None:
    separately(bare(), tmp_path)
    (tmp_path / f"output_{DY}.lazyana").unlink()
    with pytest.raises(OutputExistsError, match=rf"but not .*output_{DY}\.lazyana"):
        separately(bare(), tmp_path)


def test_folders_of_another_analysis_are_refused(bare: Make, tmp_path: Path) -> None:
    changed = bare(preselections=["nMuon > 1"])
    for first, second in ((separately, run), (run, separately)):
        folder = tmp_path / first.__name__
        first(bare().filtered(datasets=[DY]), folder, **FAST)
        described = (folder / "config.json").read_text()
        with pytest.raises(OutputExistsError, match=r"config\.json is of another configuration"):
            second(changed, folder, **FAST)
        assert (folder / "config.json").read_text() == described
        second(bare().filtered(datasets=[DY]), folder, **FAST)  # the same one may be added
        (folder / "config.json").write_text("{}")
        with pytest.raises(OutputExistsError, match="another configuration"):
            separately(bare(), folder)
        second(changed.filtered(datasets=[DY]), folder, overwrite=True, **FAST)
