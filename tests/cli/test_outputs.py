"""Merging and splitting what runs wrote, from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import Result
from coffea.util import load, save

from lazyana.analysis.outputs.splitting import BY
from lazyana.cli import outputs

Invoke = Callable[..., Result]


def test_merging_and_splitting(invoke: Invoke, tmp_path: Path) -> None:
    for name in ("DY", "TT"):
        save({name: {"n": 1}}, str(tmp_path / f"output_{name}.coffea"))
    paths = sorted(tmp_path.glob("output_*.coffea"))
    merged = tmp_path / "all.coffea"
    done = invoke("merge-outputs", *paths, "-o", merged)
    assert done.exit_code == 0, done.output
    assert "2 datasets of 2 outputs" in done.output
    assert load(str(merged)) == {"DY": {"n": 1}, "TT": {"n": 1}}
    again = invoke("merge-outputs", *paths, "-o", merged)
    assert "exists already" in str(again.exception)
    twice = invoke("merge-outputs", *paths, paths[0], "-o", merged, "--overwrite")
    assert "--different-files" in str(twice.exception)
    trusted = invoke(
        "merge-outputs", *paths, paths[0], "-o", merged, "--overwrite", "--different-files"
    )
    assert trusted.exit_code == 0, trusted.output
    assert load(str(merged))["DY"] == {"n": 2}
    split = invoke("split-output", merged, "-o", tmp_path / "parts", "--by", "dataset")
    assert split.exit_code == 0, split.output
    assert load(str(tmp_path / "parts" / "all_TT.coffea")) == {"TT": {"n": 1}}
    assert invoke("split-output", merged, "-o", tmp_path, "--by", "era").exit_code == 2


def test_merging_columns(invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "columns" / "DY"
    folder.mkdir(parents=True)
    for number in range(3):
        pq.write_table(pa.table({"x": np.arange(4)}), folder / f"{number}.parquet")
    done = invoke("merge-columns", tmp_path / "columns")
    assert done.exit_code == 0, done.output
    assert "DY.parquet: 12 rows of 3 files" in done.output


def test_ways_to_split_are_known() -> None:
    assert outputs.BY == BY
