"""The fileset of skims, and merging their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.util import save

import lazyana as la
from lazyana.analysis.skims import DEFINITION, merging, open_definition, skimmed_fileset
from lazyana.errors import FileError, InputError, InputTypeError, OutputExistsError, RunError
from lazyana.sinks import hadd
from lazyana.sinks.skimorigin import write_rows

SIZES = {"DY_2018": (3, 0, 4, 2), "Mu_2018_EraA": (5,)}


@pytest.fixture
def skims(tmp_path: Path) -> dict[str, list[str]]:
    """Files of skims by dataset, as a run writes them."""
    found: dict[str, list[str]] = {}
    for name, sizes in SIZES.items():
        folder = tmp_path / "skims" / name.partition("_")[0] / name
        folder.mkdir(parents=True)
        for number, events in enumerate(sizes):
            path = folder / f"skim-{number:06d}.root"
            columns = {"event": np.arange(events) + 100 * number}
            runs = {"run": [1], "genEventCount": [10], "genEventSumw": [number + 0.5]}
            with uproot.recreate(path) as file:
                write_rows(file, "Events", {key: ak.Array(one) for key, one in columns.items()})
                write_rows(file, "Runs", {key: ak.Array(one) for key, one in runs.items()})
            found.setdefault(name, []).append(str(path))
    return found


@pytest.fixture
def output(skims: dict[str, list[str]]) -> dict[str, Any]:
    """The output of the run that wrote them."""
    known = {
        "DY_2018": {"sample": "DY", "year": "2018", "isMC": True, "xsec": 2.5},
        "Mu_2018_EraA": {"sample": "Mu", "year": "2018", "isMC": "False", "era": "A"},
    }
    return {
        "sum_genweights": {"DY_2018": 8.0},
        "sum_signOf_genweights": {"DY_2018": float("nan")},
        "sum_genweights_skimmed": {"DY_2018": 4.0},
        "skimmed_files": skims,
        "nskimmed_events": {name: list(sizes) for name, sizes in SIZES.items()},
        "cutflow": {"initial": dict.fromkeys(SIZES, 36)},
        "datasets_metadata": {"by_dataset": known},
    }


@pytest.fixture
def definition(tmp_path: Path, output: dict[str, Any]) -> Path:
    """The fileset that it wrote."""
    path = tmp_path / "out" / "skimmed_dataset_definition.json"
    path.parent.mkdir()
    path.write_text(json.dumps(skimmed_fileset(output)))
    return path


def test_what_further_runs_have_to_know(output: dict[str, Any]) -> None:
    fileset = skimmed_fileset(output)
    assert fileset["DY_2018"] == {
        "files": output["skimmed_files"]["DY_2018"],
        "metadata": {
            **{"sample": "DY", "year": "2018", "isMC": "True", "xsec": 2.5, "isSkim": "True"},
            **{"nevents": 9, "skim_efficiency": 0.25},
            **{"sum_genweights": 8.0, "skim_rescale_genweights": 2.0},
        },
    }
    assert "sum_genweights" not in fileset["Mu_2018_EraA"]["metadata"]


def test_output_and_fileset_tell_the_same(
    tmp_path: Path, output: dict[str, Any], definition: Path
) -> None:
    save(output, str(tmp_path / "output_all.coffea"))
    fileset = open_definition(tmp_path / "output_all.coffea")
    plans = [merging(path) for path in (tmp_path / "output_all.coffea", definition)]
    assert plans[0].fileset == plans[1].fileset
    assert fileset["DY_2018"]["metadata"] == plans[0].metadata["DY_2018"]


def test_files_that_are_no_skims(tmp_path: Path, output: dict[str, Any]) -> None:
    with pytest.raises(FileError, match="There is no file"):
        open_definition(tmp_path / "none.coffea")
    (tmp_path / "text.coffea").write_text("text")
    with pytest.raises(FileError, match="neither a fileset in JSON nor an output"):
        open_definition(tmp_path / "text.coffea")
    save({**output, "skimmed_files": {}}, str(tmp_path / "other.coffea"))
    with pytest.raises(InputError, match="wrote no skims"):
        open_definition(tmp_path / "other.coffea")


@pytest.mark.parametrize("workers", [1, 2])
def test_files_become_few(tmp_path: Path, definition: Path, workers: int) -> None:
    plan = merging(definition, max_files=3)
    assert plan.table()[1:] == [("DY_2018", "4", "2", "9"), ("Mu_2018_EraA", "1", "1", "5")]
    assert not (tmp_path / "skims" / "hadd").exists()
    assert len(plan.problems()) == 3
    fileset = plan.run(workers=workers, progress=False)
    assert plan.problems() == []
    assert json.loads((definition.parent / DEFINITION).read_text()) == fileset
    first, second = fileset["DY_2018"]["files"]
    assert first == str(tmp_path / "skims" / "hadd" / "DY_2018" / "DY_2018-000.root")
    assert uproot.open(first)["Events"]["event"].array().tolist() == [0, 1, 2, *range(200, 204)]
    sums = [uproot.open(path)["Runs"]["genEventSumw"].array().tolist() for path in (first, second)]
    assert sums == [[0.5, 1.5, 2.5], [3.5]]
    assert la.open(fileset["DY_2018"]["files"]).entries == 9
    assert fileset["DY_2018"]["metadata"]["nevents"] == 9


def test_what_is_chosen(definition: Path, tmp_path: Path) -> None:
    plan = merging(definition, tmp_path / "new", samples=["D*"], max_events=5)
    assert {name: [one.entries for one in some] for name, some in plan.merges.items()} == {
        "DY_2018": [3, 4, 2]
    }
    assert plan.every[0].url == str(tmp_path / "new" / "DY_2018" / "DY_2018-000.root")
    assert list(merging(definition, datasets=["Mu_2018_EraA"]).merges) == ["Mu_2018_EraA"]
    with pytest.raises(InputError, match="Did you mean 'DY'"):
        merging(definition, samples=["DYY"])
    with pytest.raises(InputError, match="1 or more"):
        merging(definition, max_files=0)
    with pytest.raises(InputTypeError, match="whole number"):
        merging(definition, max_events=2.5)  # type: ignore[arg-type]


def test_an_interrupted_run_goes_on(
    definition: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = merging(definition, max_files=2)
    read: Callable[..., Any] = hadd._read

    def stops(pieces: Any, *others: Any) -> Any:
        if pieces[0].url.endswith("000002.root"):
            raise KeyboardInterrupt
        yield from read(pieces, *others)

    monkeypatch.setattr(hadd, "_read", stops)
    with pytest.raises(KeyboardInterrupt):
        plan.run(progress=False)
    monkeypatch.undo()
    done, cut, _ = plan.every
    assert done.problem() is None
    assert not Path(cut.url).exists()
    assert [path.name for path in Path(done.folder.url).iterdir()] == ["DY_2018-000.root"]
    assert not plan.definition.exists()
    before = Path(done.url).stat().st_mtime_ns
    plan.run(progress=False)
    assert plan.problems() == []
    assert Path(done.url).stat().st_mtime_ns == before
    plan.run(progress=False, overwrite=True)
    assert Path(done.url).stat().st_mtime_ns > before


def test_what_is_in_the_way(definition: Path) -> None:
    plan = merging(definition, samples=["DY"])
    plan.run(progress=False)
    other = merging(definition, samples=["DY"], max_files=2)
    with pytest.raises(OutputExistsError, match=r"has 9 events instead of 3.*--overwrite"):
        other.run(progress=False)
    with pytest.raises(OutputExistsError, match=r"hadd\.json is there already"):
        merging(definition, samples=["Mu"]).run(progress=False)
    other.run(progress=False, overwrite=True)
    assert other.problems() == []


def test_files_that_are_not_those_that_were_written(definition: Path) -> None:
    fileset = json.loads(definition.read_text())
    fileset["DY_2018"]["files"].pop()
    definition.write_text(json.dumps(fileset))
    with pytest.raises(InputError, match="have 7 events, and the run that wrote them counted 9"):
        merging(definition)


def test_a_file_that_was_not_written_right(
    definition: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = merging(definition, samples=["Mu"])
    monkeypatch.setattr(hadd, "_read", lambda *_: iter(()))
    with pytest.raises(RunError, match="0 of 5 events"):
        plan.run(progress=False)
    assert len(plan.problems()) == 1


def test_no_files_at_all(tmp_path: Path, output: dict[str, Any]) -> None:
    empty = {**output, "skimmed_files": {"DY_2018": []}, "nskimmed_events": {"DY_2018": []}}
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(skimmed_fileset(empty)))
    with pytest.raises((InputError, FileError)):
        merging(path)
