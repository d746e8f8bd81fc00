from __future__ import annotations

import sys
from pathlib import Path

import cloudpickle
import pytest

from lazyana.analysis import load as load_module
from lazyana.analysis.load import load_config
from lazyana.errors import FileError, InputError, InputTypeError

CONFIG = """
from beside_{name} import Good
from lazyana.analysis.config import Configurator
cfg = Configurator(
    workflow=Good,
    parameters={{}},
    datasets={{"jsons": [{{"DY": {{"files": [__file__], "metadata": {{"sample": "DY",
        "year": "2018", "isMC": True}}}}}}]}},
)
"""
WORKFLOW = """
from lazyana.analysis.workflow import Workflow
class Good(Workflow):
    pass
def double(x):
    return 2 * x
"""


def test_modules_beside_are_found_and_travel_by_value(tmp_path: Path) -> None:
    name = tmp_path.name.replace("-", "_")
    (tmp_path / f"beside_{name}.py").write_text(WORKFLOW)
    config = tmp_path / "config.py"
    config.write_text(CONFIG.format(name=name))
    one = load_config(config)
    assert one.samples == ("DY",)
    assert str(tmp_path) not in sys.path
    function = sys.modules[f"beside_{name}"].double
    pickled = cloudpickle.dumps(function)
    del sys.modules[f"beside_{name}"]
    assert cloudpickle.loads(pickled)(4) == 8


def test_what_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="There is no configuration"):
        load_config(tmp_path / "config.py")
    (tmp_path / "config.yaml").touch()
    with pytest.raises(FileError, match="no Python file"):
        load_config(tmp_path / "config.yaml")
    (tmp_path / "empty.py").touch()
    with pytest.raises(InputTypeError, match="no cfg"):
        load_config(tmp_path / "empty.py")
    (tmp_path / "other.py").write_text("cfg = {}")
    with pytest.raises(InputTypeError, match="its cfg is of type dict"):
        load_config(tmp_path / "other.py")
    (tmp_path / "unclosed.py").write_text("cfg = (1\n")
    with pytest.raises(InputError, match=r"unclosed\.py cannot be executed: SyntaxError"):
        load_config(tmp_path / "unclosed.py")
    with pytest.raises(FileError, match=r"Did you mean 'other\.py'"):
        load_config(tmp_path / "othr.py")


def test_modules_of_the_current_folder_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tmp_path.name.replace("-", "_")
    (tmp_path / f"beside_{name}.py").write_text(WORKFLOW)
    (tmp_path / "configs").mkdir()
    config = tmp_path / "configs" / "config.py"
    config.write_text(CONFIG.format(name=name))
    with pytest.raises(InputError, match=f"No module named 'beside_{name}'"):
        load_config(config)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert load_config(config).samples == ("DY",)
    assert sys.path == before
    pickled = cloudpickle.dumps(sys.modules[f"beside_{name}"].double)
    del sys.modules[f"beside_{name}"]
    assert cloudpickle.loads(pickled)(4) == 8


def test_packages_do_not_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(load_module.__file__).parents[2])  # the folder that the package is in
    monkeypatch.delitem(sys.modules, "lazyana.toy.inputs", raising=False)
    config = tmp_path / "config.py"
    config.write_text("import lazyana.toy.inputs\n")
    with pytest.raises(InputTypeError, match="no cfg"):
        load_config(config)
    assert load_module._beside == {"config"}
    assert "lazyana.toy.inputs" in sys.modules


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("from pocket_coffea.lib.cut_definition import Cut", "other imports, of lazyana"),
        (
            "from lazyana.analysis.jets_calibration import JetsCalibratr",
            "Did you mean 'JetsCalibrator'",
        ),
        (
            "from lazyana.physics.objects import jet_correction",
            "corrected by calibrators of the configuration",
        ),
        ("import nothing_of_that_name", "line 1$"),
    ],
)
def test_imports_that_fail(tmp_path: Path, line: str, words: str) -> None:
    config = tmp_path / "config.py"
    config.write_text(f"{line}\n")
    with pytest.raises(InputError, match=words):
        load_config(config)
