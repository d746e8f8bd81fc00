from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazyana.errors import FileError, InputError, InputTypeError, OutputExistsError, RunError
from lazyana.sinks import parquet
from lazyana.sinks.base import Membership, Place
from lazyana.sinks.columns import Columns
from lazyana.sinks.tables import ColumnDataset, ColumnTable, open_columns

SLOW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

EVENTS = ak.zip(
    {
        "f": np.array([1, 2, 3, 4], dtype=np.float32),
        "i": np.array([1, 2, 3, 4], dtype=np.int16),
        "u": np.array([1, 2, 3, 2**63], dtype=np.uint64),
        "b": np.array([True, False, True, True]),
        "s": ak.Array(["a", "", "ü", "d"]),
        "o": ak.Array([1, None, 3, None]),
        "j": ak.values_astype(ak.Array([[1, 2], [], [3], [4]]), np.int32),
        "jo": ak.Array([[1.0, None], [], [None], [2.0]]),
        "oj": ak.Array([[1.0], None, [], [2.0]]),
        "js": ak.Array([["x", "y"], [], ["z"], [""]]),
        "jj": ak.Array([[[1], []], [], [[2, 3]], [[]]]),
        "m": np.arange(8.0).reshape(4, 2),
    },
    depth_limit=1,
)
NAMES = tuple(EVENTS.fields)


def place(partition: int, dataset: str = "DY", variation: str = "nominal") -> Place:
    return Place(dataset, partition, variation, f"{dataset}.root", partition, partition + 1)


def run(
    sink: Columns,
    arrays: Mapping[str, Sequence[ak.Array]],
    weights: Callable[[ak.Array], Any] = lambda _: None,
    membership: Callable[[ak.Array], Membership | None] = lambda _: None,
) -> Any:
    """All partitions of all datasets, merged in two steps as a tree would."""
    sink.check()
    sink.prepare()
    states: dict[tuple[str, str], Any] = {}
    number = 0
    for dataset, partitions in arrays.items():
        filled = []
        for array in partitions:
            columns = [array[name] for name in sink.names]
            filled.append(
                sink.fill(place(number, dataset), weights(array), membership(array), *columns)
            )
            number += 1
        if filled:
            merged = sink.merge(filled[:2])
            states[dataset, "nominal"] = sink.merge([merged, *filled[2:]])
    return sink.finish(states, list(arrays))


def pieces(array: ak.Array, cuts: Sequence[int]) -> list[ak.Array]:
    edges = [0, *sorted(cuts), len(array)]
    return [array[a:b] for a, b in pairwise(edges)]


def by_f(array: ak.Array) -> Any:
    return np.asarray(array.f)[:, None]


def same(found: ak.Array, expected: ak.Array) -> bool:
    return str(found.type) == str(expected.type) and found.to_list() == expected.to_list()


def files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("saved", [True, False], ids=["parquet", "memory"])
def test_every_type_is_kept(tmp_path: Path, name: str, saved: bool) -> None:
    sink = Columns((name,), path=str(tmp_path / "out") if saved else None)
    found = run(sink, {"DY": pieces(EVENTS[[name]], [1, 1, 3])})
    assert same(found.to_awkward("DY")[name], EVENTS[name])


def test_it_reads_back_with_pyarrow_and_awkward(tmp_path: Path) -> None:
    result = run(
        Columns(NAMES, path=str(tmp_path)),
        {"DY": pieces(EVENTS, [2]), "a/b=c": [EVENTS[:1]]},
    )
    table = pads.dataset(tmp_path, partitioning="hive").to_table()
    assert sorted(set(table["dataset"].to_pylist())) == ["DY", "a/b=c"]
    assert set(table["variation"].to_pylist()) == {"nominal"}
    assert table.num_rows == 5
    whole = ak.from_parquet(str(tmp_path))
    one = ak.from_parquet(str(tmp_path / "dataset=DY" / "variation=nominal"))
    assert len(whole) == 5
    for name in NAMES:
        assert same(one[name], EVENTS[name])
        assert (
            table.filter(pads.field("dataset") == "DY")[name].to_pylist() == EVENTS[name].to_list()
        )
    assert one.weight.to_list() == [1.0] * 4
    assert result.rows == 5
    assert result.to_awkward("a/b=c").to_list() == whole[4:].to_list()


def test_memory_and_files_agree(tmp_path: Path) -> None:
    arrays = {"DY": pieces(EVENTS, [0, 3]), "TT": [EVENTS[:2]], "none": []}
    weights = lambda array: np.stack([array.f * 0.5, array.f * 2.0], axis=1)  # noqa: E731  (short)
    options: dict[str, Any] = {"weight_variations": ("puUp",)}
    held = run(Columns(NAMES, **options), arrays, weights)
    saved = run(Columns(NAMES, path=str(tmp_path), **options), arrays, weights)
    assert isinstance(held, ColumnTable)
    assert isinstance(saved, ColumnDataset)
    assert held.datasets == saved.datasets == ("DY", "TT", "none")
    assert held.columns == saved.columns
    assert held.rows == saved.rows == 6
    for dataset in arrays:
        assert same(saved.to_awkward(dataset), held.to_awkward(dataset))


@SLOW
@given(data=st.data(), flatten=st.booleans(), saved=st.booleans())
def test_any_partitioning_gives_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, flatten: bool, saved: bool
) -> None:
    lists = st.lists(st.lists(st.integers(-9, 9), max_size=3), max_size=8)
    jagged = ak.values_astype(ak.from_iter([[0], *data.draw(lists)])[1:], np.int32)
    array = ak.zip({"x": jagged, "y": jagged * 0.5, "n": np.arange(len(jagged))}, depth_limit=1)
    cuts = data.draw(st.lists(st.integers(0, len(array)), max_size=4))
    weights = lambda part: np.asarray(part.n, dtype=float)[:, None] + 1.0  # noqa: E731  (short)
    path = str(tmp_path_factory.mktemp("columns")) if saved else None
    sink = Columns(("x", "y", "n"), path=path, flatten=flatten)
    found = run(sink, {"DY": pieces(array, cuts)}, weights).to_awkward("DY")
    array["weight"] = array.n + 1.0
    if flatten:
        broadcast = {name: ak.broadcast_arrays(array[name], array.x)[0] for name in array.fields}
        array = ak.zip(
            {name: ak.flatten(column) for name, column in broadcast.items()}, depth_limit=1
        )
        index = found.object_index
        assert index.to_list() == ak.flatten(ak.local_index(jagged)).to_list()
        assert index.layout.dtype == np.int32
    for name in array.fields:
        assert same(found[name], array[name])


def test_a_four_vector_becomes_plain_columns(tmp_path: Path) -> None:
    jets = ak.zip({"pt": [[1.0, 2.0], []], "eta": [[0.1, 0.2], []]}, with_name="Momentum4D")
    sink = Columns(("jet",), path=str(tmp_path), units={"jet_pt": "GeV"})
    result = run(sink, {"DY": [ak.zip({"jet": jets}, depth_limit=1)]})
    assert result.columns == ("jet_pt", "jet_eta", "weight")
    assert result.to_awkward("DY").jet_eta.to_list() == [[0.1, 0.2], []]
    assert result.to_arrow("DY").schema.field("jet_pt").metadata == {b"unit": b"GeV"}


def test_a_field_that_clashes_is_refused() -> None:
    record = ak.Array([{"pt": 1.0}])
    with pytest.raises(InputError, match="'jet_pt' is there twice"):
        Columns(("jet", "jet_pt")).fill(place(0), None, None, record, np.ones(1))


def test_types_are_known_before_anything_runs() -> None:
    sink = Columns(("jet", "n"), flatten=True, units={"n": "1"}, weight_variations=("puUp",))
    jet = ak.to_backend(ak.Array([[{"pt": np.float32(1)}]]), "typetracer")
    schema = sink.schema(jet, np.array([1, 2]))
    assert schema.names == ["jet_pt", "n", "object_index", "weight", "weight_puUp"]
    assert schema.field("jet_pt").type == pa.float64()
    assert schema.field("n").metadata == {b"unit": b"1"}
    with pytest.raises(InputTypeError, match="'jet' cannot be saved"):
        sink.schema(ak.Array([1, "a"]), np.array([1, 2]))
    with pytest.raises(InputError, match="nothing to flatten"):
        sink.schema(np.array([1.0]), np.array([1, 2]))


def test_weights_and_their_variations_are_columns(tmp_path: Path) -> None:
    sink = Columns(
        ("f",),
        path=str(tmp_path),
        weight_variations=("puUp", "puDown"),
        shape_variations=("jesUp",),
    )
    sink.prepare()
    weights = np.array([[1.0, 2.0, 3.0], [-0.5, 0.0, 0.25]])
    columns = np.array([1.0, 2.0], dtype=np.float32)
    states = {
        ("DY", "jesUp"): sink.fill(place(0, variation="jesUp"), weights[:1, :1], None, columns[1:]),
        ("DY", "nominal"): sink.fill(place(0), weights, None, columns),
    }
    result = sink.finish(states, ["DY"])
    nominal, shifted = result.to_awkward("DY"), result.to_awkward("DY", "jesUp")
    assert nominal.to_list() == [
        {"f": 1.0, "weight": 1.0, "weight_puUp": 2.0, "weight_puDown": 3.0},
        {"f": 2.0, "weight": -0.5, "weight_puUp": 0.0, "weight_puDown": 0.25},
    ]
    assert shifted.to_list() == [
        {"f": 2.0, "weight": 1.0, "weight_puUp": None, "weight_puDown": None}
    ]
    assert str(nominal.weight_puUp.type) == "2 * float64"
    assert result.variations("DY") == ("nominal", "jesUp")
    entry = result.summary("DY")
    assert (entry["sumw"], entry["sumw2"]) == (0.5, 1.25)
    # jesUp comes before nominal, and pyarrow takes the columns of the first file
    table = pads.dataset(tmp_path, partitioning="hive").to_table()
    assert table["weight_puUp"].to_pylist() == [None, 2.0, 0.0]
    assert table["variation"].to_pylist() == ["jesUp", "nominal", "nominal"]


def test_the_sum_of_weights_is_that_of_the_rows(tmp_path: Path) -> None:
    sink = Columns(("j",), path=str(tmp_path), flatten=True)
    entry = run(sink, {"DY": [EVENTS]}, by_f).summary("DY")
    assert (entry["events"], entry["rows"], entry["sumw"]) == (4, 4, 1.0 + 1.0 + 3.0 + 4.0)


@pytest.mark.parametrize("shape", [(4,), (4, 2), (3, 1), (4, 4)])
def test_weights_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    sink = Columns(("f",), weight_variations=("puUp", "puDown"))
    with pytest.raises(RunError, match=r"DY\.root, entries 0-1.*\(4, 3\) or \(4, 1\) is needed"):
        sink.fill(place(0), np.ones(shape), None, EVENTS.f)


def masks(array: ak.Array) -> Membership:
    i = np.asarray(array.i)
    return Membership.from_masks([i > 1, i % 2 == 0, i == 4])


def test_categories_are_columns(tmp_path: Path) -> None:
    sink = Columns(("i",), path=str(tmp_path), categories=("big", "even", "four"))
    found = run(sink, {"DY": pieces(EVENTS, [0, 3])}, membership=masks).to_awkward("DY")
    assert found.category_big.to_list() == [False, True, True, True]
    assert found.category_even.to_list() == [False, True, False, True]
    assert str(found.category_four.type) == "4 * bool"
    assert found.i.to_list() == [1, 2, 3, 4]


@pytest.mark.parametrize("flatten", [False, True])
def test_only_events_of_the_chosen_categories_are_kept(flatten: bool) -> None:
    sink = Columns(
        ("i", "j"),
        categories=("big", "even", "four"),
        only_categories=("four", "even"),
        flatten=flatten,
    )
    found = run(sink, {"DY": pieces(EVENTS, [1])}, by_f, masks)["DY"]
    events = [4] if flatten else [2, 4]  # event 2 has no objects
    assert found.i.to_list() == found.weight.to_list() == events
    assert found.category_even.to_list() == [True] * len(events)
    assert found.category_four.to_list()[-1] is True
    assert "category_big" not in found.fields


def test_categories_must_be_known_of_all_events() -> None:
    sink = Columns(("i",), categories=("a", "b", "c"))
    with pytest.raises(RunError, match="known of none of 4 events"):
        sink.fill(place(0), None, None, EVENTS.i)
    with pytest.raises(RunError, match="known of 2 of 4 events"):
        sink.fill(place(0), None, masks(EVENTS[:2]), EVENTS.i)


@pytest.mark.parametrize("saved", [True, False], ids=["parquet", "memory"])
def test_datasets_without_events_have_the_same_columns(tmp_path: Path, saved: bool) -> None:
    sink = Columns(NAMES, path=str(tmp_path) if saved else None)
    arrays = {"absent": [], "empty": [EVENTS[:0], EVENTS[:0]], "DY": pieces(EVENTS, [0])}
    result = run(sink, arrays)
    assert result.datasets == ("absent", "empty", "DY")
    kind = str(result.to_awkward("DY").type.content)
    for dataset in ("absent", "empty"):
        found = result.to_awkward(dataset)
        assert len(found) == 0
        assert str(found.type.content) == kind
    if saved:
        assert files(tmp_path) == [
            "_manifest.json",
            "dataset=DY/variation=nominal/part-000003.parquet",
            "dataset=absent/variation=nominal/part-empty.parquet",
            "dataset=empty/variation=nominal/part-empty.parquet",
        ]
        assert [result.summary(name)["partitions"] for name in arrays] == [0, 2, 2]
        empty = ak.from_parquet(str(tmp_path / "dataset=empty" / "variation=nominal"))
        assert str(empty.type.content) == kind


@pytest.mark.parametrize("saved", [True, False], ids=["parquet", "memory"])
def test_no_partitions_at_all(tmp_path: Path, saved: bool) -> None:
    sink = Columns(("a", "b"), path=str(tmp_path) if saved else None)
    result = run(sink, {"DY": []})
    assert result.rows == 0
    assert result.columns == ("a", "b", "weight")
    assert result.to_awkward("DY").to_list() == []
    assert result.to_awkward("DY").fields == ["a", "b", "weight"]


def test_units_and_labels_are_in_files_and_manifest(tmp_path: Path) -> None:
    sink = Columns(
        ("f", "i"), path=str(tmp_path), units={"f": "GeV"}, labels={"f": "$m$", "weight": "w"}
    )
    result = run(sink, {"DY": [EVENTS]})
    schema = pq.read_schema(tmp_path / "dataset=DY/variation=nominal/part-000000.parquet")
    assert schema.field("f").metadata == {b"unit": b"GeV", b"label": b"$m$"}
    assert schema.field("i").metadata is None
    assert result.to_arrow().schema.field("weight").metadata == {b"label": b"w"}
    assert [(c["name"], c["unit"], c["label"]) for c in result.manifest["columns"]] == [
        ("f", "GeV", "$m$"),
        ("i", "", ""),
        ("weight", "", "w"),
    ]


def test_the_manifest_counts(tmp_path: Path) -> None:
    result = run(Columns(("f",), path=str(tmp_path)), {"DY": pieces(EVENTS, [1, 1])})
    on_disk = json.loads((tmp_path / "_manifest.json").read_text())
    assert on_disk == result.manifest
    entry = on_disk["datasets"]["DY"]["nominal"]
    assert (entry["partitions"], entry["events"], entry["rows"], entry["sumw"]) == (3, 4, 4, 4.0)
    assert [file["rows"] for file in entry["files"]] == [1, 3]
    for file in entry["files"]:
        assert (tmp_path / file["path"]).stat().st_size == file["bytes"]


def test_a_repeated_task_leaves_the_same_file(tmp_path: Path) -> None:
    sink = Columns(("f", "j"), path=str(tmp_path))
    sink.prepare()
    first = sink.fill(place(0), None, None, EVENTS.f, EVENTS.j)
    before = (tmp_path / first.parts[0].path).read_bytes()
    assert sink.fill(place(0), None, None, EVENTS.f, EVENTS.j) == first
    assert (tmp_path / first.parts[0].path).read_bytes() == before
    assert len(files(tmp_path)) == 2


def test_states_are_small_and_travel(tmp_path: Path) -> None:
    sink = Columns(("f",), path=str(tmp_path))
    sink = pickle.loads(pickle.dumps(sink))
    sink.prepare()
    column = np.ones(100_000)
    filled = [sink.fill(place(i), None, None, column) for i in range(2)]
    assert len(pickle.dumps(filled[0])) < 2000
    states = [pickle.loads(pickle.dumps(state)) for state in filled]
    assert sink.merge([sink.merge(states[:1]), states[1]]) == sink.merge(states)
    assert sink.finish({("DY", "nominal"): sink.merge(states)}, ["DY"]).rows == 200_000


def test_a_part_cut_short_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(table: pa.Table, file: Any, **options: Any) -> None:
        file.write(b"PAR1 and so on")
        msg = "disk full"
        raise OSError(msg)

    sink = Columns(("f",), path=str(tmp_path))
    sink.prepare()
    monkeypatch.setattr(parquet.pq, "write_table", breaks)
    with pytest.raises(OSError, match="disk full"):
        sink.fill(place(0), None, None, EVENTS.f)
    assert files(tmp_path) == ["_unfinished.json"]


def test_an_interrupted_run_does_not_look_complete(tmp_path: Path) -> None:
    sink = Columns(("f",), path=str(tmp_path))
    sink.prepare()
    sink.fill(place(0), None, None, EVENTS.f)
    with pytest.raises(FileError, match="did not finish"):
        open_columns(tmp_path)
    with pytest.raises(OutputExistsError, match="did not finish"):
        sink.check()


def test_an_earlier_partitioning_is_not_mixed_in(tmp_path: Path) -> None:
    first = Columns(("f",), path=str(tmp_path))
    run(first, {"DY": pieces(EVENTS, [1, 2, 3]), "TT": [EVENTS]})
    with pytest.raises(OutputExistsError, match="holds columns already"):
        first.check()
    again = Columns(("i",), path=str(tmp_path), overwrite=True)
    run(again, {"DY": pieces(EVENTS, [2])})
    assert open_columns(tmp_path).to_awkward("DY", columns=["i"]).i.to_list() == [1, 2, 3, 4]
    assert files(tmp_path) == [
        "_manifest.json",
        "dataset=DY/variation=nominal/part-000000.parquet",
        "dataset=DY/variation=nominal/part-000001.parquet",
    ]


def test_a_late_task_of_an_older_run_is_not_mixed_in(tmp_path: Path) -> None:
    sink = Columns(("i",), path=str(tmp_path))
    sink.prepare()
    state = sink.fill(place(0), None, None, EVENTS.i)
    sink.fill(place(5), None, None, EVENTS.i)
    result = sink.finish({("DY", "nominal"): state}, ["DY"])
    assert result.rows == len(ak.from_parquet(str(tmp_path))) == 4


def test_several_sinks_may_share_a_directory(tmp_path: Path) -> None:
    data = Columns(("f",), path=str(tmp_path))
    simulation = Columns(("f",), path=str(tmp_path), weight_variations=("puUp",))
    data.prepare()
    states = {
        ("data", "nominal"): data.fill(place(0, "data"), None, None, EVENTS.f),
        ("DY", "nominal"): simulation.fill(place(1), np.ones((4, 2)), None, EVENTS.f),
    }
    result = data.finish(states, ["data", "DY"])
    assert result.to_awkward().weight_puUp.to_list() == [None] * 4 + [1.0] * 4
    assert result.to_awkward("data").fields == ["f", "weight"]


@pytest.mark.parametrize("protocol", ["file://{}", "memory://{}"])
def test_any_file_system_will_do(tmp_path: Path, protocol: str) -> None:
    path = protocol.format(tmp_path / "out")
    run(Columns(NAMES, path=path), {"DY": pieces(EVENTS, [2])})
    result = open_columns(path)
    for name in NAMES:
        assert same(result.to_awkward("DY")[name], EVENTS[name])
    again = Columns(("i",), path=path, overwrite=True)
    run(again, {"DY": [EVENTS]})
    assert open_columns(path).rows == 4
    assert open_columns(path).columns == ("i", "weight")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ()}, "no columns to save"),
        ({"names": ("a", "a")}, "'a' is there twice"),
        ({"names": ("a.b",)}, "'a.b' cannot name a column"),
        ({"names": ("",)}, "'' cannot name a column"),
        ({"names": ("dataset",)}, "'dataset' is written by lazyana itself"),
        ({"names": ("weight",)}, "'weight' is written by lazyana itself"),
        (
            {"names": ("weight_puUp",), "weight_variations": ("puUp",)},
            "'weight_puUp' is written by lazyana itself",
        ),
        (
            {"names": ("category_SR",), "categories": ("SR",)},
            "'category_SR' is written by lazyana itself",
        ),
        (
            {"names": ("object_index",), "flatten": True},
            "'object_index' is written by lazyana itself",
        ),
        (
            {"names": ("a",), "categories": ("signal",), "only_categories": ("signl",)},
            "no category 'signl'. Did you mean 'signal'",
        ),
        ({"names": ("a",), "only_categories": ("SR",)}, "no category 'SR'. There are none"),
        ({"names": ("mll",), "units": {"ml": "GeV"}}, "'ml'. Did you mean 'mll'"),
        ({"names": ("mll",), "labels": {"pt": "x"}}, "unit or label 'pt'. There are: mll"),
        ({"names": ("a",), "compression": "zst"}, "no compression 'zst'. Did you mean 'zstd'"),
    ],
)
def test_wrong_input_is_refused_where_it_is_written(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Columns(**options)
    assert message in str(caught.value)


def test_columns_must_fit_together() -> None:
    sink = Columns(("a", "b"))
    with pytest.raises(RunError, match="1 columns for 2 names"):
        sink.fill(place(0), None, None, EVENTS.f)
    with pytest.raises(RunError, match="different numbers of events: a: 4, b: 2"):
        sink.fill(place(0), None, None, EVENTS.f, EVENTS.f[:2])


def test_partitions_of_different_types_are_refused(tmp_path: Path) -> None:
    sink = Columns(("a",), path=str(tmp_path))
    sink.prepare()
    states = [sink.fill(place(i), None, None, EVENTS[name]) for i, name in enumerate(("f", "j"))]
    with pytest.raises(RunError, match="do not have one type everywhere"):
        sink.merge(states)


def test_a_sink_can_be_told_apart() -> None:
    assert Columns(("a",)).kind == "columns"
    assert hash(Columns(("a",))) == hash(Columns(("a",)))
