"""Files that tests of several formats read."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def root_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of files written by ROOT."""
    if importlib.util.find_spec("ROOT") is None:
        pytest.skip("ROOT is not installed (pip install --pre root)")
    folder: Path = tmp_path_factory.mktemp("root_files")
    script = Path(__file__).with_name("write_with_root.py")
    subprocess.run([sys.executable, "-W", "ignore", script, folder], check=True, timeout=300)
    return folder
