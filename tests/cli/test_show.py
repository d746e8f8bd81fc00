"""Saved results, shown as users see them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def test_outputs_for_coffea_are_told_apart(
    lazyana: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "output_all.coffea").write_bytes(b"not read")
    done = lazyana("show", "output_all.coffea", folder=tmp_path)
    assert done.returncode == 1
    assert "show the .lazyana file" in done.stderr
    (tmp_path / "output_all.lazyana").touch()
    done = lazyana("show", "output_all.coffea", folder=tmp_path)
    assert "show output_all.lazyana" in done.stderr
