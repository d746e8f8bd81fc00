from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lazyana.analysis.validate import Problem, Validation, validate, validate_files
from lazyana.errors import ExecutorError, FileError, InputError

CONFIG = """
from pathlib import Path
from lazyana.analysis.config import Configurator
from lazyana.analysis.cutlibrary import goldenJson
from lazyana.analysis.histograms import Axis, HistConf
from lazyana.analysis.workflow import Workflow

class Selecting(Workflow):
    def apply_object_preselection(self, variation):
        self.events["MuonGood"] = self.events.Muon[self.events.Muon.pt > 20]

def pt(coll):
    return HistConf([Axis(coll=coll, field="pt", bins=10, start=0, stop=100)])

cfg = Configurator(
    workflow=Selecting,
    parameters={{"lumi": {{"picobarns": {{"2018": {{"tot": 1.0}}}}}}}},
    datasets={{"jsons": [str(Path(__file__).parent / "fileset.json")]}},
    skim=["{skim}"],
    weights={{"common": {{"inclusive": ["genWeight", "{weight}"]}}}},
    variables={{"pt": pt("{coll}"), "other": pt("Muon")}},
)
"""


@pytest.fixture
def write(tmp_path: Path, filesets: dict[str, Any]) -> Callable[..., Path]:
    """Writes a configuration on one file of each toy dataset, and more of the first one."""

    def written(*more: str, **words: str) -> Path:
        words = {"skim": "nMuon >= 1", "weight": "lumi", "coll": "MuonGood", **words}
        chosen = {name: {**one, "files": one["files"][:1]} for name, one in filesets.items()}
        first = next(iter(chosen.values()))
        first["files"] = [*first["files"], *more]
        (tmp_path / "fileset.json").write_text(json.dumps(chosen))
        path = tmp_path / "a_config.py"
        path.write_text(CONFIG.format(**words))
        return path

    return written


def test_nothing_is_wrong(write: Callable[..., Path]) -> None:
    found = validate(write(), executor="sync", samples=["DY*"])
    assert found.ok
    assert found.problems == ()
    (row,) = found.datasets.values()
    assert row["files"] == 1
    assert row["events"] > 100
    assert "Nothing is wrong." in found.text()


def test_data_should_be_certified(write: Callable[..., Path]) -> None:
    found = validate(write(), files=False)
    (warning,) = found.problems
    assert found.ok
    assert warning.level == "warning"
    assert "goldenJson" in warning.message
    assert found.datasets == {}


def test_all_mistakes_are_listed_together(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "bad.root").write_text("nothing")
    path = write("bad.root", "gone.root", skim="nMuonn > 1", weight="lumy", coll="MuonGod")
    found = validate(path, executor="sync")
    assert not found.ok
    errors = [(one.about, one.where) for one in found.problems if one.level == "error"]
    assert errors == [
        ("configuration", "weights"),
        ("configuration", "skim[0]"),
        ("configuration", "variables['pt']"),
        ("files", next(iter(found.datasets))),
        ("files", next(iter(found.datasets))),
    ]
    text = found.text()
    assert "5 errors:" in text
    for words in ("'lumi'", "'nMuon'", "MuonGood", "bad.root", "gone.root"):
        assert words in text
    told = found.to_json()
    assert json.loads(json.dumps(told)) == told
    assert told["ok"] is False
    assert told["problems"][3]["files"] == [str(tmp_path / "bad.root")]
    # Without the files nothing is known of columns.
    assert validate(path, files=False).problems[0].where == "weights"


def test_configurations_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a_config.py"
    path.write_text("import nowhere_to_be_found\n")
    (problem,) = validate(path).problems
    assert "ModuleNotFoundError" in problem.message
    assert f"{path}, line 1" in problem.message
    path.write_text("import sys\nsys.exit(3)\n")
    (problem,) = validate(path).problems
    assert "SystemExit: 3" in problem.message
    path.write_text("cfg = {}\n")
    assert not validate(path).ok
    with pytest.raises(FileError, match="There is no configuration"):
        validate(tmp_path / "b_config.py")


def test_filters_are_checked_too(write: Callable[..., Path]) -> None:
    found = validate(write(), files=False, samples=["DYJetsToL"])
    assert "Did you mean 'DYJetsToLL'" in found.problems[0].message


def test_wrong_executors_are_told_at_once(write: Callable[..., Path]) -> None:
    with pytest.raises(ExecutorError, match="threads"):
        validate(write(), executor="thread")


def test_files_alone(toy_files: dict[str, Any], tmp_path: Path) -> None:
    assert validate_files(toy_files, executor="sync").ok
    (tmp_path / "bad.root").write_text("nothing")
    found = validate_files([str(tmp_path / "bad.root")], executor="sync")
    assert not found.ok
    assert found.configuration is None
    assert found.datasets["bad"]["unreadable"] == 1
    with pytest.raises(InputError):
        validate_files({})


def test_text_of_warnings() -> None:
    warning = Problem("warning", "files", "DY", "first line\nsecond line")
    assert Validation(None, (warning,), {}).text() == "1 warning:\n- first line\n  second line"


COFFEARUNNER = """
from lazyana.analysis.workflow import Workflow

class Selecting(Workflow):
    def apply_object_preselection(self, variation):
        pass

cfg = {
    "dataset": {"jsons": ["fileset.json"], "campaign": "2018_UL", "year": "2018"},
    "workflow": Selecting,
    "run_options": RUN,
    "weights": {
        "common": {"inclusive": {"lumiMask": None}},
        "bysample": {"DATA_SingleMuon": {"inclusive": {"prescale": WEIGHT}}},
    },
}
"""


def test_all_mistakes_of_coffearunner_are_listed_together(
    write: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write().with_name("b_config.py")
    path.write_text(COFFEARUNNER.replace("RUN", "{'chunks': 1}").replace("WEIGHT", "'0.5'"))
    found = validate(path, files=False)
    assert [one.level for one in found.problems] == ["error", "error"]
    assert "Did you mean 'chunk'" in found.problems[0].message
    assert "without quotes" in found.problems[1].message
    path.write_text(COFFEARUNNER.replace("RUN", "{}").replace("WEIGHT", "0.5"))
    (warning,) = validate(path, files=False).problems
    assert (warning.level, warning.where) == (
        "warning",
        "weights.bysample['DATA_SingleMuon'].inclusive",
    )
    assert (
        "names weight 'prescale', but DATA_SingleMuon is data: it is not applied" in warning.message
    )
    (notice,) = (one for one in caplog.messages if "'prescale'" in one)
    assert "weight 'prescale' is NOT applied" in notice


def test_weights_by_name_of_data_are_told(write: Callable[..., Path]) -> None:
    path = write()
    by_name = '"bysample": {"DATA_SingleMuon": {"inclusive": ["pileup"]}}, "common": {'
    path.write_text(path.read_text().replace('"common": {', by_name))
    found = validate(path, files=False)
    assert found.ok
    assert [one.where for one in found.problems] == [
        "skim",
        "weights.bysample['DATA_SingleMuon'].inclusive",
    ]
