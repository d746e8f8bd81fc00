"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Before anything imports matplotlib: tests draw into files, with or without a screen.
os.environ["MPLBACKEND"] = "Agg"

# How long an example takes says more about the machine than about the code.
settings.register_profile("lazyana", settings(), deadline=None)
settings.load_profile("lazyana")

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of inspections that tests use, in other processes too: never that of the user."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAZYANA_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real sample files: NanoAOD, corrections, golden JSON, filesets."""
    given = os.environ.get("LAZYANA_TEST_DATA")
    folder = Path(given) if given else PROJECT.parent / "shared" / "data"
    if not (folder / "nanoaod").is_dir():
        pytest.skip(
            f"no sample files in {folder}: set LAZYANA_TEST_DATA to the folder that holds nanoaod/"
        )
    return folder.resolve()


@pytest.fixture(scope="session")
def toy_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small embedded sample, a fileset of two files a dataset: read it, never change it."""
    from lazyana.toy.sample import write_sample

    directory = tmp_path_factory.mktemp("toy_files")
    return write_sample(directory, events=600, files=2, luminosity=0.05, cluster_events=100)


@pytest.fixture(scope="session")
def run() -> Callable[..., Any]:
    """Compute in this thread, in several partitions a file."""

    import lazyana as la

    def compute(outputs: Any, **options: Any) -> Any:
        return la.compute(outputs, **{"executor": "sync", "partition_size": 70, **options})

    return compute


@pytest.fixture(scope="session")
def value(run: Callable[..., Any]) -> Callable[..., Any]:
    """Values of a lazy column for all events of a frame, in order, without its weights."""

    import awkward as ak

    def values(frame: Any, expression: Any, variation: str = "nominal") -> Any:
        table = run(frame.columns({"x": expression})).value
        return ak.concatenate([table.to_awkward(name, variation).x for name in frame.datasets])

    return values
