"""Saved results, shown as users see them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def test_a_saved_result_is_shown(
    lazyana: Callable[..., subprocess.CompletedProcess[str]], first: tuple[Path, str]
) -> None:
    folder, _ = first
    done = lazyana("show", "zmumu/zmumu.lazyana", "--cutflow", "--provenance", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "histograms/mll" in done.stdout
    assert "opposite_charge" in done.stdout
    assert "python" in done.stdout.lower()
