"""Outputs as things: what they say of themselves, and that dask computes them as one job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import awkward as ak
import dask
import dask_awkward as dak
import hist
import numpy as np
import pytest
from dask.callbacks import Callback

import lazyana as la
from lazyana.errors import InputError, RunError
from lazyana.frame.booking import Output, SameLength, membership_at, weights_at

MET = hist.axis.Regular(10, 0, 100, name="x")
DY = "DYJetsToLL"


@contextmanager
def counted() -> Iterator[list[Any]]:
    """Keys of the tasks that dask runs."""
    keys: list[Any] = []
    with Callback(posttask=lambda key, *_: keys.append(key)):
        yield keys


def partitions(keys: list[Any]) -> list[Any]:
    return [key for key in keys if isinstance(key, tuple) and "/partition" in key[0]]


@pytest.fixture(scope="module")
def frame(dy: la.Events) -> la.Events:
    return dy.weight("gen", dy.genWeight).filter(met=dy.MET.pt > 20)


def test_repr_tells_kind_and_datasets(mc: la.Events) -> None:
    assert repr(mc.cutflow()) == "<lazyana.Output cutflow of DYJetsToLL, TTTo2L2Nu>"
    assert repr(mc.sum()).startswith("<lazyana.Output sum")


def test_no_two_outputs_have_one_key(dy: la.Events) -> None:
    # Also where one is gone: a scheduler may hold its value under the key still.
    assert len({dy.sum().key for _ in range(100)}) == 100


def test_output_is_a_dask_collection(frame: la.Events, run: Any) -> None:
    output = frame.hist(MET, x=frame.MET.pt)
    assert dask.is_dask_collection(output)
    expected = run(output).value
    assert output.__dask_tokenize__() == output.key
    for options in ({}, {"scheduler": "sync"}, {"scheduler": "threads"}):
        assert dask.compute(output, **options)[0] == expected


def test_dask_computes_outputs_together_in_one_job(frame: la.Events, run: Any) -> None:
    outputs = {"h": frame.hist(MET, x=frame.MET.pt), "more": [frame.cutflow(), frame.sum()]}
    with counted() as keys:
        (found,) = dask.compute(outputs, scheduler="sync")
    expected = run(outputs)
    assert found["h"] == expected["h"]
    assert found["more"][0].counts.tolist() == expected["more/0"].counts.tolist()
    assert found["more"][1][DY] == pytest.approx(expected["more/1"][DY])
    assert len(partitions(keys)) == 1  # small files are read together


def test_dask_computes_other_collections_beside(frame: la.Events, run: Any) -> None:
    total = frame.sum()
    events = frame.to_dask_awkward()
    delayed = dask.delayed(np.sqrt)(4.0)
    with counted() as keys:
        found = dask.compute(total, ak.sum(events.MET.pt), delayed, 7, scheduler="sync")
    assert found[0] == run(total, partition_size=400_000).value
    assert found[1] == pytest.approx(float(ak.sum(events.MET.pt.compute(scheduler="sync"))))
    assert found[2:] == (2.0, 7)
    assert len(partitions(keys)) == 1


def test_two_jobs_of_dask_share_no_key(frame: la.Events) -> None:
    graphs = [
        Output.__dask_optimize__(output.__dask_graph__(), output.__dask_keys__())
        for output in (frame.sum(), frame.sum())
    ]
    assert not set(graphs[0]) & set(graphs[1])


def test_output_that_was_not_planned_says_so(frame: la.Events) -> None:
    with pytest.raises(InputError, match="optimize_graph"):
        dask.compute(frame.sum(), optimize_graph=False, scheduler="sync")


def test_merged_outputs_are_computed_by_lazyana(toy_files: dict[str, Any]) -> None:
    merged = la.apply(lambda e: e.sum(), toy_files)
    assert dask.compute(*merged.outputs, scheduler="sync") == (
        {DY: {"nominal": 600.0}, "TTTo2L2Nu": {"nominal": 120.0}},
        {"SingleMuon": {"nominal": la.open({"d": toy_files["SingleMuon"]}).entries}},
    )


def test_frame_without_weights_and_categories_has_none(dy: la.Events) -> None:
    assert weights_at(dy) is None
    assert membership_at(dy) is None


def test_mask_must_be_as_long_as_the_events() -> None:
    check = SameLength("met")
    mask, events = ak.Array([True, False]), ak.Array([0, 0])
    assert check(mask, events) is mask
    with pytest.raises(RunError, match="filter 'met' has 2 entries for 1 events"):
        check(mask, events[:1])


def test_reading_is_limited_to_what_an_output_uses(frame: la.Events) -> None:
    for output, branches in (
        (frame.hist(MET, x=frame.MET.pt), {"MET_pt", "genWeight"}),
        (frame.hist(MET, x=frame.MET.pt, weighted=False), {"MET_pt"}),
        (frame.cutflow(), {"MET_pt", "genWeight"}),
        (frame.sum(ak.num(frame.Jet)), {"MET_pt", "nJet"}),
    ):
        text = str(la.explain(output))
        assert f"reads {len(branches)} of" in text
        assert all(branch in text for branch in branches)
    assert isinstance(frame.MET.pt, dak.Array)
