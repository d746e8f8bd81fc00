from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazyana as la
from lazyana.analysis.axes import SIZES, Axis
from lazyana.analysis.config import Analysis
from lazyana.analysis.histogram_sets import processing_metadata_hists
from lazyana.analysis.histograms import HistConf
from lazyana.analysis.processing import first_of_each_partition, sizes
from lazyana.analysis.run import run
from lazyana.errors import InputError

OPTIONS: dict[str, Any] = {"executor": "sync", "progress": False}


def test_first_of_each_partition(dy_frame: la.Events) -> None:
    first = first_of_each_partition(dy_frame.filter(some=dy_frame.event % 3 == 0), "size")
    table = first.columns({"size": first["size"], "event": first.event})
    result = la.compute(table, partition_size=100, **OPTIONS)
    found = result.value["DYJetsToLL"]
    partitions = result.report.partitions
    assert partitions > 1
    assert len(found) == partitions
    every = dy_frame.columns({"event": dy_frame.event})
    events = la.compute(every, **OPTIONS).value["DYJetsToLL"].event
    assert sum(found["size"]) == np.count_nonzero(np.asarray(events) % 3 == 0)
    assert set(found.event) <= set(events)


def test_partitions_in_the_output(configuration: Callable[..., dict[str, Any]]) -> None:
    variables = {
        **processing_metadata_hists(["baseline"], 100),
        "sizes_by_year": HistConf(
            [
                Axis("nEvents_initial", None, 10, 0, 1000, "metadata"),
                Axis("year", bins=["2017", "2018"], coll="metadata", type="strcat"),
            ],
            metadata_hist=True,
            no_weights=True,
            only_samples=["DYJetsToLL"],
        ),
    }
    given = configuration(variables=variables)
    given["datasets"]["subsamples"] = {"DYJetsToLL": {"many": "nJetGood > 0", "few": "True"}}
    analysis = Analysis(**given)
    done = run(analysis, partition_size=100, **OPTIONS)
    report, output = done.result.report, done.output
    assert output["variables"] == {}
    found = output["processing_metadata"]
    assert set(found) == {
        *(f"events_per_chunk_{one}" for one in ("initial", "skim", "presel")),
        "sizes_by_year",
    }
    assert set(found["sizes_by_year"]) == {"DYJetsToLL"}
    of_sample = found["events_per_chunk_initial"]["DYJetsToLL"]
    partitions = sum(report.datasets[name].partitions for name in of_sample)
    counted = sum(one.values(flow=True).sum() for one in of_sample.values())
    assert counted == partitions > 1
    (initial,) = of_sample.values()
    assert list(initial.axes["cat"]) == ["baseline"]
    assert initial.axes[-1].name == "nevents"
    by_year = found["sizes_by_year"]["DYJetsToLL"]
    assert sum(one.values(flow=True).sum() for one in by_year.values()) == partitions * len(
        analysis.categories.names
    )


def test_partitions_are_counted_not_weighed(configuration: Callable[..., dict[str, Any]]) -> None:
    axis = Axis("nEvents_initial", bins=10, start=0, stop=1000, coll="metadata")
    for storage in ("weight", "double", "int64"):
        assert HistConf([axis], metadata_hist=True, storage=storage).no_weights
    histogram = HistConf([axis], metadata_hist=True, only_samples=["DYJetsToLL"])
    analysis = Analysis(**configuration(variables={"sizes": histogram}))
    assert analysis.do_postprocessing
    done = run(analysis, partition_size=100, **OPTIONS)
    (found,) = done.output["processing_metadata"]["sizes"]["DYJetsToLL"].values()
    (partitions,) = (
        one.partitions for name, one in done.result.report.datasets.items() if "DYJets" in name
    )
    assert found["baseline", "nominal", :].sum(flow=True).value == partitions > 1
    assert done.output["unweighted"] == ["sizes"]


def test_sizes_of_partitions_are_of_histograms_of_partitions() -> None:
    axis = Axis("nEvents_after_skim", bins=10, start=0, stop=1000, coll="metadata")
    with pytest.raises(InputError, match="partitions by nEvents_after_skim: set metadata_hist"):
        HistConf([axis])


@pytest.mark.parametrize("option", ["only_samples", "exclude_samples"])
def test_partitions_are_of_whole_samples(dy_frame: la.Events, option: str) -> None:
    axis = Axis("nEvents_initial", bins=10, start=0, stop=1000, coll="metadata")
    of_part: Any = {option: ["DY__few", "other"]}
    variables = {"sizes": HistConf([axis], metadata_hist=True, **of_part)}
    words = rf"Histogram 'sizes': {option} names subsample 'DY__few', .* write 'DY'\."
    with pytest.raises(InputError, match=words):
        sizes(variables, dict.fromkeys(SIZES, dy_frame), "DY", ["baseline"])


@pytest.mark.parametrize(
    "axes",
    [
        [Axis("pt", bins=5, start=0, stop=5, coll="Jet")],
        [Axis("year", bins=["2018"], coll="metadata", type="strcat")],
        [Axis(name, bins=5, start=0, stop=5, coll="metadata") for name in SIZES],
        [
            Axis("nEvents_initial", bins=5, start=0, stop=5, coll="metadata"),
            Axis("pt", bins=5, start=0, stop=5, coll="Jet"),
        ],
    ],
)
def test_what_partitions_have(axes: list[Axis]) -> None:
    with pytest.raises(InputError, match="metadata_hist, an entry for each partition"):
        HistConf(axes, metadata_hist=True)
