from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader.spans import Span
from lazyana.sinks.skimorigin import (
    RUNS,
    SIGNS,
    Origin,
    Source,
    _entries,
    joined_rows,
    origin_of,
    origin_of_file,
    united,
    write_rows,
)

WEIGHTS = np.array([1.5, -1.5, 2.0, 3.25, -0.5, 1.0, 4.0], np.float64)
RUN = np.array([1, 1, 2, 1, 2, 2, 1])
LUMI = np.array([5, 6, 5, 5, 7, 7, 9])


def rows(**columns: Any) -> dict[str, ak.Array]:
    return {name: ak.Array(np.asarray(values)) for name, values in columns.items()}


def stored_runs(skimmed: bool = False, suffix: str = "") -> dict[str, ak.Array]:
    sums = [[WEIGHTS[run == RUN] ** power for run in (1, 2)] for power in (1, 2)]
    extra = 10 * skimmed
    return {
        **rows(run=np.array([1, 2], np.uint32)),
        f"genEventCount{suffix}": ak.Array(np.array([4 + extra, 3], np.int64)),
        f"genEventSumw{suffix}": ak.Array(np.array([sum(one) for one in sums[0]]) * (1 + extra)),
        f"genEventSumw2{suffix}": ak.Array(np.array([sum(one) for one in sums[1]])),
        f"LHEScaleSumw{suffix}": ak.Array([[0.5, 1.5], [2.0]]),
    }


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., str]:
    def make(name: str = "file", **trees: Mapping[str, ak.Array]) -> str:
        path = tmp_path / f"{name}.root"
        with uproot.recreate(path) as file:
            write_rows(file, "Events", rows(genWeight=WEIGHTS))
            for tree, columns in trees.items():
                write_rows(file, tree, columns)
            file["tag"] = "untagged_NANOAODv9"
        return str(path)

    return make


def span(path: str, start: int = 0, stop: int = len(RUN), format: str = "TTree") -> Span:
    return Span((path,), "Events", format, "", start, stop, "")


def origin(*spans: Span, is_mc: bool = True) -> Origin:
    index = np.concatenate([np.arange(one.start, one.stop) for one in spans])
    columns = {"run": RUN[index], "luminosityBlock": LUMI[index]}
    if is_mc:
        columns["genWeight"] = WEIGHTS[index]
    return origin_of(Source(spans, ReadOptions()), columns)


def test_without_runs_the_sums_are_of_the_events(make_file: Callable[..., str]) -> None:
    found = origin(span(make_file(), 1, 5))
    assert found.runs["run"].tolist() == [1, 2]
    assert found.runs["genEventCount"].tolist() == [2, 2]
    assert found.runs["genEventSumw"].tolist() == [1.75, 1.5]
    assert found.runs["genEventSumw2"].tolist() == [1.5**2 + 3.25**2, 4.25]
    assert found.sum_signs == 0.0
    assert found.blocks["run"].tolist() == [1, 1, 2, 2]
    assert found.blocks["luminosityBlock"].tolist() == [5, 6, 5, 7]
    assert found.tag == "untagged_NANOAODv9"


def test_data_without_trees(make_file: Callable[..., str]) -> None:
    found = origin(span(make_file(), 2, 3), is_mc=False)
    assert {name: column.tolist() for name, column in found.runs.items()} == {"run": [2]}
    assert found.sumw is None
    assert found.sum_signs is None


@pytest.mark.parametrize("suffix", ["", "_"])
@pytest.mark.parametrize("skimmed", [False, True])
def test_a_whole_file_keeps_its_runs(
    make_file: Callable[..., str], suffix: str, skimmed: bool
) -> None:
    runs = stored_runs(skimmed, suffix)
    found = origin(span(make_file(Runs=runs)))
    assert {name: column.tolist() for name, column in runs.items()} == {
        name: column.tolist() for name, column in found.runs.items() if name != SIGNS
    }
    assert found.sumw == sum(runs[f"genEventSumw{suffix}"])
    expected = np.nan if skimmed else np.sign(WEIGHTS).sum()
    np.testing.assert_equal(found.sum_signs, expected)


@given(cuts=st.sets(st.integers(1, len(RUN) - 1)), skimmed=st.booleans(), doubled=st.booleans())
@settings(max_examples=25)
def test_the_shares_of_all_parts_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, cuts: set[int], skimmed: bool, doubled: bool
) -> None:
    runs = stored_runs(skimmed)
    if doubled:  # as in files merged with hadd
        runs = {
            name: ak.concatenate([column, column])
            if name in ("run", "LHEScaleSumw")
            else ak.concatenate([column - column // 2, column // 2])
            for name, column in runs.items()
        }
    path = tmp_path_factory.mktemp("share") / "file.root"
    with uproot.recreate(path) as file:
        write_rows(file, "Events", rows(genWeight=WEIGHTS))
        write_rows(file, RUNS, runs)
    edges = [0, *sorted(cuts), len(RUN)]
    parts = [origin(span(str(path), start, stop)) for start, stop in pairwise(edges)]
    whole = united(parts)
    for name in ("genEventCount", "genEventSumw", "genEventSumw2"):
        assert np.sum(whole.runs[name]) == pytest.approx(np.sum(runs[name]), rel=1e-14)
    assert np.sum(whole.runs["genEventCount"]) == np.sum(runs["genEventCount"])
    if not skimmed:
        assert whole.sum_signs == np.sign(WEIGHTS).sum()
        if not doubled:
            for (start, stop), part in zip(pairwise(edges), parts, strict=True):
                assert part.sumw == pytest.approx(WEIGHTS[start:stop].sum())
    # what is kept as a ratio, weighted with what it is a ratio of
    first = ak.firsts(runs["LHEScaleSumw"])
    scale = np.sum(ak.firsts(whole.runs["LHEScaleSumw"]) * whole.runs["genEventSumw"])
    assert scale == pytest.approx(np.sum(first * runs["genEventSumw"]))


def test_luminosity_sections_go_with_the_first_entry(make_file: Callable[..., str]) -> None:
    blocks = rows(
        run=np.array([1, 1, 2], np.uint32), luminosityBlock=np.array([5, 8, 5], np.uint32)
    )
    runs = rows(run=np.array([1, 2, 3], np.uint32))
    path = make_file(Runs=runs, LuminosityBlocks=blocks)
    first, second = origin(span(path, 0, 2), is_mc=False), origin(span(path, 2, 7), is_mc=False)
    assert first.blocks["luminosityBlock"].tolist() == [5, 8, 5]
    assert second.blocks["luminosityBlock"].tolist() == []
    assert first.runs["run"].tolist() == [1, 2, 3]
    assert second.runs["run"].tolist() == [1, 2]


def test_several_files(make_file: Callable[..., str]) -> None:
    with_runs, without = make_file("a", Runs=stored_runs()), make_file("b")
    found = origin(span(with_runs), span(without, 0, 3))
    assert found.runs["genEventCount"].tolist() == [4, 3, 2, 1]
    assert "LHEScaleSumw" not in found.runs
    assert found.sumw == pytest.approx(WEIGHTS.sum() + WEIGHTS[:3].sum())


def test_parquet_has_no_trees(tmp_path: Path) -> None:
    found = origin(span(str(tmp_path / "none.parquet"), format="parquet"))
    assert found.runs["genEventCount"].tolist() == [4, 3]
    assert found.tag is None


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="There is no file"):
        origin(span(str(tmp_path / "none.root")))


def test_written_and_read_again(tmp_path: Path, make_file: Callable[..., str]) -> None:
    found = origin(span(make_file(Runs=stored_runs())))
    path = tmp_path / "again.root"
    with uproot.recreate(path) as file:
        write_rows(file, "Events", rows(genWeight=WEIGHTS))
        found.write(file)
    again = origin_of_file((str(path),), "Events")
    assert again.tag == found.tag
    for name, column in found.runs.items():
        assert again.runs[name].tolist() == column.tolist()
        assert again.runs[name].type == column.type
    assert again.blocks.keys() == found.blocks.keys()


def test_sections_are_there_once() -> None:
    one = rows(run=[1, 1], luminosityBlock=[3, 4], extra=[0.5, 0.6])
    other = rows(run=[1, 2], luminosityBlock=[4, 4], more=[1, 2])
    found = joined_rows([{}, one, other], unique=True)
    assert {name: column.tolist() for name, column in found.items()} == {
        "run": [1, 1, 2],
        "luminosityBlock": [3, 4, 4],
    }
    assert joined_rows([]) == {}


def test_entries_without_opening_the_tree(real_data: Path) -> None:
    for path in sorted((real_data / "nanoaod").glob("*.root")):
        with uproot.open(path) as root:
            assert _entries(root, "Events") == root["Events"].num_entries
