from __future__ import annotations

import sys
from pathlib import Path

import cloudpickle
import pytest

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
