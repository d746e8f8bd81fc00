"""What the README and the documentation say is run, block after block, as a reader would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


@pytest.mark.parametrize("document", ["README.md", "docs/tutorial.md"])
def test_python_blocks_run_in_order(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (PROJECT / document).read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert blocks, f"{document} has no python block"
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "document"}
    for block in blocks:
        # Empty lines in front give an error the line number that it has in the document.
        above = text.count("\n", 0, block.start(1))
        code = compile("\n" * above + block.group(1), str(PROJECT / document), "exec")
        exec(code, namespace)


@pytest.mark.parametrize("document", ["README.md", "AGENTS.md"])
def test_links_lead_to_files_of_the_project(document: str) -> None:
    links = LINK.findall((PROJECT / document).read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (PROJECT / link).exists()] == []
