"""Sums of weights, luminosity sections and versions of NanoAOD, by files that have them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from lazyana.data.inspect import inspect
from lazyana.errors import FileError
from lazyana.reader.origin import nano_version

WEIGHTS = np.array([2.5, -1.25, 0.0, 3.0], np.float32)


def write(path: Path, **trees: Mapping[str, Any]) -> Path:
    """A file of some trees."""
    with uproot.recreate(path) as file:
        for name, columns in trees.items():
            arrays = {branch: np.asarray(values) for branch, values in columns.items()}
            file.mktree(name.replace("__", "/"), {n: one.dtype for n, one in arrays.items()})
            file[name.replace("__", "/")].extend(arrays)
    return path


def info(path: Path, **options: Any) -> Any:
    ((found,),) = inspect(path, **options).files.values()
    return found


def test_weights_of_the_events_where_no_runs_tree_tells(tmp_path: Path) -> None:
    found = info(write(tmp_path / "a.root", Events={"genWeight": WEIGHTS}))
    assert (found.sum_weights, found.sum_signs) == (4.25, 1.0)


@pytest.mark.parametrize("name", ["genEventSumw", "genEventSumw_"])
def test_runs_count_what_a_skim_left_out(name: str, tmp_path: Path) -> None:
    runs = {"run": [1, 1], name: [100.5, 0.25]}
    found = info(write(tmp_path / "a.root", Events={"genWeight": WEIGHTS}, Runs=runs))
    assert (found.sum_weights, found.sum_signs) == (100.75, 1.0)


@pytest.mark.parametrize(("signs", "expected"), [([3.0, 2.0], 5.0), ([3.0, np.nan], 1.0)])
def test_our_skims_know_the_signs(signs: list[float], expected: float, tmp_path: Path) -> None:
    runs = {"run": [1, 1], "genEventSumw": [100.5, 0.25], "genEventSumSign": signs}
    found = info(write(tmp_path / "a.root", Events={"genWeight": WEIGHTS}, Runs=runs))
    assert (found.sum_weights, found.sum_signs) == (100.75, expected)
    assert found.origin == (100.75, 5.0 if expected == 5 else None)


def test_data_have_no_weights(tmp_path: Path) -> None:
    found = info(write(tmp_path / "a.root", Events={"x": [1.0]}, Runs={"run": [1]}))
    assert (found.sum_weights, found.sum_signs) == (None, None)


def test_an_empty_runs_tree_tells_nothing(tmp_path: Path) -> None:
    runs = {"genEventSumw": np.zeros(0)}
    found = info(write(tmp_path / "a.root", Events={"genWeight": WEIGHTS}, Runs=runs))
    assert found.sum_weights == 4.25


def test_a_skim_that_dropped_the_weight(tmp_path: Path) -> None:
    found = info(write(tmp_path / "a.root", Events={"x": [1.0]}, Runs={"genEventSumw": [7.5]}))
    assert (found.sum_weights, found.sum_signs) == (7.5, None)


def test_no_events_weigh_nothing(tmp_path: Path) -> None:
    found = info(write(tmp_path / "a.root", Events={"genWeight": np.zeros(0, np.float32)}))
    assert (found.sum_weights, found.sum_signs) == (0.0, 0.0)


def test_sums_are_of_double_precision(tmp_path: Path) -> None:
    weights = np.full(100_001, 16_777_217.0, np.float32)
    weights[0] = 0.125
    found = info(write(tmp_path / "a.root", Events={"genWeight": weights}))
    assert found.sum_weights == 100_000 * 16_777_216.0 + 0.125


def test_the_trees_of_the_same_folder_count(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.root",
        Runs={"genEventSumw": [1.0]},
        nano__Events={"genWeight": WEIGHTS},
        nano__Runs={"genEventSumw": [2.0]},
        nano__LuminosityBlocks={"run": [3], "luminosityBlock": [4]},
    )
    found = info(path, tree="nano/Events", lumis=True)
    assert (found.sum_weights, found.lumis) == (2.0, ((3, 4),))


@pytest.mark.parametrize(
    "name", ["nano_dy", "nano_tt_v12", "nanoAOD_2015_CMS_Open_Data_ttbar", "nano_dimuon"]
)
def test_weights_and_lumis_of_real_files(name: str, real_data: Path) -> None:
    path = real_data / "nanoaod" / f"{name}.root"
    found = info(path, lumis=True)
    with uproot.open(path) as file:
        events = file["Events"]
        pairs = zip(
            *(events[n].array(library="np") for n in ("run", "luminosityBlock")), strict=True
        )
        assert found.lumis == tuple(sorted({(int(one), int(other)) for one, other in pairs}))
        if "genWeight" not in events.keys():  # noqa: SIM118  (a tree is no mapping)
            assert (found.sum_weights, found.sum_signs) == (None, None)
            return
        weights = events["genWeight"].array(library="np").astype(np.float64)
        runs = (
            float(file["Runs/genEventSumw_"].array(library="np").sum()) if "Runs" in file else None
        )
    assert found.sum_weights == (weights.sum() if runs is None else runs)
    assert found.sum_signs == np.sign(weights).sum()


@pytest.mark.parametrize("kind", ["nano_dy.parquet", "nano_dy_rntuple.root"])
def test_other_formats_tell_the_same(kind: str, real_data: Path) -> None:
    tree = info(real_data / "nanoaod" / "nano_dy.root", lumis=True)
    found = info(real_data / "nanoaod" / kind, lumis=True)
    assert (found.sum_signs, found.lumis) == (tree.sum_signs, tree.lumis)
    with uproot.open(real_data / "nanoaod" / "nano_dy.root") as file:
        weights = file["Events/genWeight"].array(library="np").astype(np.float64)
    assert found.sum_weights == weights.sum()


def test_lumis_without_an_event_are_listed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.root",
        Events={"run": [5, 5], "luminosityBlock": [2, 2]},
        LuminosityBlocks={"run": [5, 5, 4], "luminosityBlock": [2, 1, 9]},
    )
    assert info(path, lumis=True).lumis == ((4, 9), (5, 1), (5, 2))
    assert info(path, cache=False).lumis is None


def test_lumis_of_events_that_have_none(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"a\.root has no branch 'luminosityBlock'"):
        info(write(tmp_path / "a.root", Events={"run": [1]}), lumis=True)


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        ({"fixedGridRhoFastjetAll", "nLowPtElectron", "MET_pt"}, "v9"),
        ({"fixedGridRhoFastjetAll", "MET_pt"}, None),
        ({"Rho_fixedGridRhoFastjetAll", "MET_pt", "nLowPtElectron"}, "v10-v14"),
        ({"Rho_fixedGridRhoFastjetAll", "MET_pt", "Jet_btagPNetB"}, "v12-v14"),
        ({"Rho_fixedGridRhoFastjetAll", "Jet_btagPNetB"}, None),
        ({"Rho_fixedGridRhoFastjetAll", "PFMET_pt"}, "v15"),
        ({"Jet_btagPNetB", "Jet_btagUParTAK4B"}, "v15"),
        (set(), None),
    ],
)
def test_version_by_branches(branches: set[str], expected: str | None) -> None:
    assert nano_version(branches) == expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("NanoAODv9", "v9"),
        ("/DY/Run3Summer22NanoAODv12-130X_mcRun3-v2/NANOAODSIM", "v12"),
        ("RunIISummer20UL18NanoAOD_v15", "v15"),
        ("untagged", "v10-v14"),
        (None, "v10-v14"),
    ],
)
def test_version_by_the_tag_of_the_producer(tag: str | None, expected: str) -> None:
    assert nano_version({"MET_pt", "Rho_fixedGridRhoFastjetAll"}, tag) == expected


def test_version_of_files(tmp_path: Path, real_data: Path) -> None:
    path = write(tmp_path / "a.root", Events={"PFMET_pt": [1.0]})
    assert info(path).nano_version == "v15"
    with uproot.update(path) as file:
        file["tag"] = "NanoAODv14"
    assert info(path).nano_version == "v14"
    assert info(real_data / "nanoaod" / "nano_tt_v12.root").nano_version == "v12-v14"
    assert info(real_data / "nanoaod" / "nano_dimuon.root").nano_version is None
