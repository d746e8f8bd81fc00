"""The embedded sample, for the tests that look at what is in it."""

from __future__ import annotations

from typing import Any

import pytest

from lazyana.toy import sample as toy


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small sample in one file a dataset."""
    directory = tmp_path_factory.mktemp("toy")
    return toy.write_sample(directory, events=12_000, files=1, cluster_events=4_000)
