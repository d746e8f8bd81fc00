"""What the README and the documentation say is run, block after block, as a reader would."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

PROJECT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")

docs = SimpleNamespace(**runpy.run_path(str(PROJECT / "docs" / "refresh.py")))
PAGES = sorted(path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("docs/**/*.md"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = docs.make_sample(tmp_path_factory.mktemp("docs"))
    return folder


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # a page shows what it leads to
@pytest.mark.parametrize("page", docs.PAGES)
def test_python_blocks_run_and_print_what_is_shown(
    page: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if page not in docs.MAKES_ITS_SAMPLE:
        (tmp_path / "sample").symlink_to(request.getfixturevalue("sample"))
    blocks = list(docs.run(PROJECT / page, tmp_path))
    assert blocks, f"{page} has no python block"
    for block in blocks:
        if block.shown is not None:
            assert docs.words(block.printed) == docs.words(block.shown), (
                "the page shows something else: look at the change, then run docs/refresh.py"
            )


def test_pages_with_python_are_run() -> None:
    with_python = [
        page for page in PAGES if "```python\n" in (PROJECT / page).read_text(encoding="utf-8")
    ]
    # The blocks of this one are run, on a result made for them, by tests/engine/test_storage.py.
    assert set(with_python) - {"docs/result-format.md"} <= set(docs.PAGES)


@pytest.mark.parametrize("page", ["README.md", "AGENTS.md", *PAGES])
def test_links_lead_to_files_of_the_project(page: str) -> None:
    links = LINK.findall((PROJECT / page).read_text(encoding="utf-8"))
    folder = (PROJECT / page).parent
    assert [link for link in links if not (folder / link).exists()] == []


def test_words_leave_out_numbers_only() -> None:
    assert docs.words("reads 6 of 361 branches, 152.9 kB") == docs.words(
        "reads 7 of 36  branches,  9 B"
    )
    assert docs.words("6 branches") != docs.words("6 partitions")
