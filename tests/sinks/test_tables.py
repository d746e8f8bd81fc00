from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pytest

from lazyana.errors import ColumnError, FileError, InputError
from lazyana.sinks.base import Place
from lazyana.sinks.columns import Columns
from lazyana.sinks.tables import ColumnDataset, ColumnTable, open_columns


def filled(path: Path | None) -> Any:
    """Three datasets of 10, 5 and 0 events in partitions of 4; the first has a shape variation."""
    sink = Columns(
        ("n", "j"), path=None if path is None else str(path), shape_variations=("jesUp",)
    )
    sink.prepare()
    states = {}
    for dataset, events, label in (
        ("DY", 10, "nominal"),
        ("DY", 8, "jesUp"),
        ("TT", 5, "nominal"),
        ("WW", 0, "nominal"),
    ):
        number = np.arange(events)
        lists = ak.unflatten(number, (number > -1).astype(int)) * 0.5
        parts = [
            sink.fill(
                Place(dataset, i, label, "f", i, i + 4),
                None,
                None,
                number[i : i + 4],
                lists[i : i + 4],
            )
            for i in range(0, events + 1, 4)
        ]
        states[dataset, label] = sink.merge(parts)
    return sink.finish(states, ["DY", "TT", "WW"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> ColumnDataset:
    return filled(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def held() -> ColumnTable:
    return filled(None)


def test_it_says_what_there_is(saved: ColumnDataset, held: ColumnTable) -> None:
    for result in (saved, held):
        assert result.datasets == ("DY", "TT", "WW")
        assert result.columns == ("n", "j", "weight")
        assert result.variations("DY") == ("nominal", "jesUp")
        assert result.variations("TT") == ("nominal",)
        assert result.rows == 15
    assert saved.summary("DY", "jesUp")["rows"] == 8
    assert "manifest" not in repr(saved)


def test_rows_come_in_order_with_their_dataset(saved: ColumnDataset) -> None:
    table = saved.to_arrow()
    assert table.column_names == ["n", "j", "weight", "dataset"]
    assert table["n"].to_pylist() == [*range(10), *range(5)]
    assert table["dataset"].to_pylist() == ["DY"] * 10 + ["TT"] * 5
    assert saved.to_arrow(["TT", "DY"])["n"].to_pylist() == [*range(5), *range(10)]
    assert saved.to_awkward(columns=["dataset", "n"]).dataset.to_list() == ["DY"] * 10 + ["TT"] * 5


def test_one_dataset_is_read_without_its_name(saved: ColumnDataset) -> None:
    assert saved.to_awkward("TT").fields == ["n", "j", "weight"]
    assert saved.to_awkward("TT", columns=["dataset"]).dataset.to_list() == ["TT"] * 5
    assert saved.to_awkward("TT", columns=[]).to_list() == [{}] * 5


def test_variations_are_chosen(saved: ColumnDataset, held: ColumnTable) -> None:
    assert len(saved.to_awkward("DY", "jesUp")) == len(held.to_awkward("DY", "jesUp")) == 8
    assert saved.to_arrow(variation="jesUp").num_rows == 8
    table = saved.to_arrow("DY", variation=None)
    assert table.column_names == ["n", "j", "weight", "variation"]
    assert table["variation"].to_pylist() == ["nominal"] * 10 + ["jesUp"] * 8


@pytest.mark.parametrize("size", [1, 3, 4, 1000])
def test_batches_are_all_the_rows(saved: ColumnDataset, size: int) -> None:
    batches = list(saved.batches(["n", "weight"], size, dataset="DY"))
    assert all(isinstance(batch, pa.RecordBatch) for batch in batches)
    assert all(0 < batch.num_rows <= size for batch in batches)
    assert batches[0].schema.names == ["n", "weight"]
    assert [n for batch in batches for n in batch["n"].to_pylist()] == list(range(10))


def test_nothing_is_read_where_there_is_nothing(saved: ColumnDataset) -> None:
    assert list(saved.batches(dataset="WW")) == []
    assert str(saved.to_awkward("WW").type) == str(saved.to_awkward("TT")[:0].type)
    assert saved.to_awkward([]).to_list() == []


def test_pyarrow_filters_before_it_reads(saved: ColumnDataset) -> None:
    lazy = saved.to_arrow_dataset()
    chosen = lazy.to_table(
        filter=(pa.dataset.field("dataset") == "TT") & (pa.dataset.field("n") > 2)
    )
    assert chosen["n"].to_pylist() == [3, 4]


@pytest.mark.parametrize("read", ["to_arrow", "to_awkward", "to_arrow_dataset"])
def test_wrong_datasets_and_variations_are_named(saved: ColumnDataset, read: str) -> None:
    with pytest.raises(
        InputError, match=r"no dataset 'Dy'.* Did you mean 'DY'\? There are: DY, TT, WW"
    ):
        getattr(saved, read)("Dy")
    with pytest.raises(InputError, match=r"no variation of DY 'jesup'.*Did you mean 'jesUp'"):
        getattr(saved, read)("DY", "jesup")


def test_wrong_names_are_found_before_reading(saved: ColumnDataset) -> None:
    with pytest.raises(ColumnError, match=r"no column 'wight'.*Did you mean 'weight'"):
        saved.batches(["wight"])
    with pytest.raises(InputError, match="batch_size is 0"):
        saved.batches(batch_size=0)
    with pytest.raises(InputError, match="no dataset 'XX'"):
        saved.variations("XX")
    with pytest.raises(InputError, match="no variation of 'DY' 'jerUp'"):
        saved.summary("DY", "jerUp")


def test_a_table_is_a_mapping_of_nominal_arrays(held: ColumnTable) -> None:
    assert list(held) == ["DY", "TT", "WW"]
    assert len(held) == 3
    assert {name: len(array) for name, array in held.items()} == {"DY": 10, "TT": 5, "WW": 0}
    assert "XX" not in held
    with pytest.raises(KeyError, match="no dataset 'D'"):
        held["D"]
    with pytest.raises(InputError, match="no variation of 'TT' 'jesUp'"):
        held.to_awkward("TT", "jesUp")
    assert held.to_awkward("TT", columns=["n"]).fields == ["n"]
    with pytest.raises(ColumnError, match="no column 'm'"):
        held.to_awkward("TT", columns=["m"])


def test_provenance_is_stamped(tmp_path: Path) -> None:
    before = filled(tmp_path / "out")
    assert before.provenance == {}
    after = before.stamp({"lazyana": "1.0", "fileset": ["a.root"]})
    assert after.provenance == {"lazyana": "1.0", "fileset": ["a.root"]}
    assert open_columns(tmp_path / "out") == after
    assert after.rows == before.rows


def test_an_output_may_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path / "out")
    (tmp_path / "variation=2" / "x").mkdir(parents=True)
    (tmp_path / "out").rename(tmp_path / "variation=2" / "x" / "new")
    monkeypatch.chdir(tmp_path / "variation=2")
    moved = open_columns("x/new")
    assert moved.to_arrow("DY", None).num_rows == 18
    assert moved.to_arrow("DY", None)["variation"][0].as_py() == "nominal"


def test_what_is_no_output_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="not a directory of columns"):
        open_columns(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="not a directory of columns"):
        open_columns(tmp_path / "file")
