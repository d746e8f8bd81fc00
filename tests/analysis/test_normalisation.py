"""What simulation is divided by where it was skimmed before, whole and in part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from lazyana.analysis.config import Analysis
from lazyana.analysis.run import run
from lazyana.analysis.workflow import Workflow
from lazyana.errors import InputError

Make = Callable[..., Analysis]
DY = "DYJetsToLL_M-50_2018"
WEIGHTS = (np.array([1.0, -0.5, 2.0, 4.0], np.float32), np.array([3.0, 0.5], np.float32))
FACTORS = (2.5, 4.0)
STANDS_FOR = [factor * weights.sum() for factor, weights in zip(FACTORS, WEIGHTS, strict=True)]
SUM, SIGNS = "sum_genweights", "sum_signOf_genweights"


class AllObjects(Workflow):
    """Takes events as they are."""

    def apply_object_preselection(self, variation: str) -> None:
        del variation


@pytest.fixture
def make_skim(tmp_path: Path) -> Callable[..., Analysis]:
    """An analysis of a skim of other makers, in two files, its branches as asked for."""

    def make(
        weight: str = "genWeight", branch: bool = True, postprocess: bool = True, **metadata: Any
    ) -> Analysis:
        paths = []
        for number, (weights, factor) in enumerate(zip(WEIGHTS, FACTORS, strict=True)):
            paths.append(str(tmp_path / f"theirs{number}{branch}.root"))
            events = np.arange(len(weights), dtype=np.uint64)
            columns = {"genWeight": weights, "event": events, "run": events.astype(np.uint32)}
            columns["luminosityBlock"] = columns["run"]
            if branch:
                columns["skimRescaleGenWeight"] = np.full(len(weights), factor)
            with uproot.recreate(paths[-1]) as file:
                file.mktree("Events", {name: one.dtype for name, one in columns.items()})
                file["Events"].extend(columns)
        known = {"sample": "DY", "year": "2018", "isMC": "True", "xsec": "1.0", **metadata}
        return Analysis(
            workflow=AllObjects,
            parameters={},
            datasets={"jsons": [{"DY_2018": {"files": paths, "metadata": known}}]},
            weights={"common": {"inclusive": [weight]}},
            do_postprocessing=postprocess,
        )

    return make


def ran(analysis: Analysis, **options: Any) -> tuple[float, float, tuple[str, ...]]:
    """The sum of weights, the yield that was divided by it, and the warnings."""
    found = run(analysis, executor="sync", progress=False, **options)
    yields = found.output["sumw"]["baseline"]["DY_2018"]["DY"]["nominal"]
    return found.output[SUM]["DY_2018"], yields, found.result.report.warnings


def kept(files: int = 2) -> float:
    return float(sum(weights.sum() for weights in WEIGHTS[:files]))


@pytest.mark.parametrize("declared", [{"isSkim": "True"}, {}], ids=["isSkim", "not declared"])
def test_an_older_skim_of_pocketcoffea(make_skim: Make, declared: dict[str, str]) -> None:
    total, yields, (warning,) = ran(make_skim(**declared))
    assert total == pytest.approx(sum(STANDS_FOR))
    assert yields == pytest.approx(kept() / sum(STANDS_FOR))
    assert "of which no event was left" in warning
    assert ran(make_skim(**declared), limit_files=1)[0] == pytest.approx(STANDS_FOR[0])


def test_a_later_skim_of_pocketcoffea(make_skim: Make) -> None:
    skim = make_skim(isSkim="True", sum_genweights=60.0, nevents="6")
    total, yields, warnings = ran(skim)
    assert total == pytest.approx(60.0)
    assert yields == pytest.approx(kept() / 60)
    assert warnings == ()
    for some in ({"limit_files": 1}, {"limit_partitions": 1, "partition_size": 4}):
        total, yields, warnings = ran(skim, **some)
        assert total == pytest.approx(60 * 4 / 6)
        assert yields == pytest.approx(kept(1) / 40)
        assert any("not all of its 6 events were processed" in one for one in warnings)


def test_what_a_file_that_cannot_be_read_stood_for(make_skim: Make) -> None:
    skim = make_skim(isSkim="True", sum_genweights="60.0", nevents="6")
    Path(skim.fileset.datasets[0].files[1][0]).write_text("damaged")
    total, yields, warnings = ran(skim, on_error="skip")
    assert total == pytest.approx(40.0)
    assert yields == pytest.approx(kept(1) / 40)
    assert any("not all of its 6 events" in one for one in warnings)


def test_signs_are_told_by_metadata(make_skim: Make) -> None:
    metadata = {"isSkim": "True", SUM: 60.0, SIGNS: 12.0}
    found = run(make_skim("signOf_genWeight", **metadata), executor="sync", progress=False)
    assert found.output["sumw"]["baseline"]["DY_2018"]["DY"]["nominal"] == pytest.approx(4 / 12)
    with pytest.raises(InputError, match=f"weighed by signOf_genWeight, but .*no {SIGNS}"):
        ran(make_skim("signOf_genWeight", isSkim="True", sum_genweights=60.0))
    unused = run(make_skim(isSkim="True", sum_genweights=60.0), executor="sync", progress=False)
    assert np.isnan(unused.output[SIGNS]["DY_2018"])


def test_skims_of_which_too_little_is_known(make_skim: Make) -> None:
    with pytest.raises(InputError, match=rf"is a skim .* no {SUM}"):
        ran(make_skim(branch=False, isSkim="True"))
    with pytest.raises(InputError, match="no nevents"):
        ran(make_skim(branch=False, isSkim="True", sum_genweights=60.0), limit_files=1)
    as_it_is = make_skim(branch=False, isSkim="True", postprocess=False)
    assert ran(as_it_is)[1] == pytest.approx(kept())


def test_a_dataset_that_is_no_skim(make_skim: Make) -> None:
    total, yields, warnings = ran(make_skim(branch=False))
    assert (total, yields, warnings) == (pytest.approx(kept()), pytest.approx(1.0), ())


# -- skims of ours ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours(
    configuration: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Callable[..., Analysis], dict[str, Any], list[tuple[int, float]]]:
    """Makes an analysis of a skim; what it was made from; events and sum of each of its files."""
    folder = tmp_path_factory.mktemp("ours")
    changes = {
        "weights": {"common": {"inclusive": ["genWeight"]}},
        "variations": {},
        "variables": {},
        "skim": ["MET.pt > 45"],
    }
    every = configuration(**changes)["datasets"]["jsons"]
    plain = {"jsons": [one for one in every if DY in one]}
    skims = {"path": folder / "skims", "keep": ["Muon", "Electron", "Jet", "MET"]}
    one = Analysis(**configuration(**changes, datasets=plain, save_skimmed_files=skims))
    made = run(one, folder / "run", executor="sync", partition_size=25, progress=False)

    def make(**metadata: Any) -> Analysis:
        import json

        found = json.loads((folder / "run" / "skimmed_dataset_definition.json").read_text())
        found[DY]["metadata"] |= metadata
        return Analysis(
            **configuration(
                **{**changes, "skim": [], "preselections": []}, datasets={"jsons": [found]}
            )
        )

    roots = [uproot.open(path) for path in made.output["skimmed_files"][DY]]
    told = [
        (root["Events"].num_entries, float(root["Runs"]["genEventSumw"].array().to_numpy().sum()))
        for root in roots
    ]
    return make, dict(made.output), told


def test_all_files_of_ours(ours: Any) -> None:
    make, made, told = ours
    assert 0 in [events for events, _ in told]
    found = run(make(), executor="sync", progress=False)
    assert found.output[SUM][DY] == pytest.approx(made[SUM][DY], rel=1e-12)
    assert found.output[SIGNS][DY] == pytest.approx(made[SIGNS][DY], rel=1e-12)
    assert found.result.report.warnings == ()
    assert made["sum_genweights_skimmed"][DY] < made[SUM][DY]


@pytest.mark.parametrize("known", [True, False])
def test_some_files_of_ours(ours: Any, known: bool) -> None:
    make, _, told = ours
    number = next(n for n, (events, _) in enumerate(told) if n and not events) + 2
    metadata: dict[str, Any] = {} if known else {"isSkim": "False", SUM: "", "nevents": ""}
    found = run(make(**metadata), limit_files=number, executor="sync", progress=False)
    assert found.output[SUM][DY] == pytest.approx(sum(one for _, one in told[:number]), rel=1e-12)
    assert found.result.report.warnings == ()


def test_some_partitions_of_ours(ours: Any) -> None:
    make, _, told = ours
    options = {"partition_size": max(events for events, _ in told), "limit_partitions": 1}
    found = run(make(), executor="sync", progress=False, **options)
    events, sums = np.cumsum([one for one, _ in told]), np.cumsum([one for _, one in told])
    (place,) = np.flatnonzero(events == found.output["cutflow"]["initial"][DY])[:1]
    assert 0 < place < len(told) - 1
    assert found.output[SUM][DY] == pytest.approx(sums[place], rel=1e-12)


def test_metadata_that_contradict_the_files(ours: Any) -> None:
    make, _, _ = ours
    found = run(make(sum_genweights=1e6), executor="sync", progress=False)
    assert found.output[SUM][DY] == pytest.approx(1e6)
    (warning,) = found.result.report.warnings
    assert "its metadata have sum_genweights = 1000000, its files" in warning
