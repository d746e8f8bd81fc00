from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lazyana
from lazyana.analysis.load import load_config
from lazyana.analysis.run import run
from lazyana.analysis.starter import TEMPLATES, make_config
from lazyana.errors import FileError, InputError, OutputExistsError

MODULES = ("config", "cuts", "workflow")


@pytest.fixture(autouse=True)
def own_modules() -> Iterator[None]:
    """Modules of other configurations that are called the same are out of the way meanwhile."""
    before = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    yield
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.modules.update(before)


def test_it_runs_on_files_of_ones_own(toy_files: dict[str, Any], tmp_path: Path) -> None:
    files = {
        "DYJets": list(toy_files["DYJetsToLL"]["files"])[:1],
        "DATA": [str(Path(next(iter(toy_files["SingleMuon"]["files"]))).parent / "SingleMuon_*")],
    }
    written = make_config(tmp_path / "mine", files=files)
    assert [str(path.relative_to(tmp_path / "mine")) for path in written] == [
        *("config.py", "README.md", "cuts.py", "params/object_preselection.yaml"),
        *("workflow.py", "datasets/DYJets.json", "datasets/DATA.json"),
    ]
    entry = json.loads(written[5].read_text())["DYJets_2018"]
    assert entry["metadata"] == {
        **{"sample": "DYJets", "year": "2018", "isMC": "True"},
        "xsec": "1.0",
    }
    data = json.loads(written[6].read_text())["DATA_2018"]
    assert len(data["files"]) == 2
    assert data["metadata"]["isMC"] == "False"
    assert written[1].read_text().startswith("# mine\n")

    made = run(load_config(written[0]), executor="sync").output
    assert set(made["variables"]) == {"mll", "muon_pt"}
    assert set(made["cutflow"]) >= {"initial", "skim", "presel", "inclusive", "jets"}
    dy = made["cutflow"]["inclusive"]["DYJets_2018"]
    assert "DYJets" in str(dy)
    assert list(made["columns"]["DYJets"]["DYJets_2018"]) == ["jets"]


def test_it_brings_its_own_sample(tmp_path: Path) -> None:
    (config, *written) = make_config(tmp_path / "zmumu", name="Z pairs")
    assert '"""Z pairs: pairs of muons."""' in config.read_text()
    assert tmp_path / "zmumu" / "params" / "sample.yaml" in written
    analysis = load_config(config)
    assert set(analysis.samples) == {"DATA_SingleMuon", "DYJetsToLL", "TTTo2L2Nu"}
    assert analysis.categories.names == ("inclusive", "jets")


def test_what_is_there_stays_unless_told_otherwise(
    toy_files: dict[str, Any], tmp_path: Path
) -> None:
    files = {"DATA": list(toy_files["SingleMuon"]["files"])}
    (tmp_path / "config.py").write_text("mine")
    with pytest.raises(OutputExistsError, match="is not empty"):
        make_config(tmp_path, files=files)
    assert [path.name for path in tmp_path.iterdir()] == ["config.py"]
    make_config(tmp_path, files=files, overwrite=True)
    assert "Configurator" in (tmp_path / "config.py").read_text()


def test_mistakes_write_nothing(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    with pytest.raises(InputError, match="Did you mean '2018'"):
        make_config(target, year="2o18")
    with pytest.raises(InputError, match="of 2018, not of 2017"):
        make_config(target, year="2017")
    with pytest.raises(FileError, match="There is no file"):
        make_config(target, files={"DY": ["nowhere.root"]})
    assert not target.exists()
    target.write_text("a file")
    with pytest.raises(OutputExistsError):
        make_config(target, overwrite=True)


def test_templates_are_in_the_package() -> None:
    assert TEMPLATES.is_relative_to(Path(lazyana.__file__).parent)
    names = {path.name for path in TEMPLATES.rglob("*.template")}
    assert names == {
        *("README.md.template", "config.py.template", "cuts.py.template"),
        *("workflow.py.template", "object_preselection.yaml.template"),
    }
