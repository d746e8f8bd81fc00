"""Put what the examples of the documentation print into the documentation.

A page is Markdown. Its ``python`` blocks are run one after the other, in an empty folder, in one
namespace; a ``text`` block right below a ``python`` block is what that block prints. Run this after
a change of what is printed::

    python docs/refresh.py

The tests run the same blocks and compare the words of what they print, numbers and spaces aside.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGES = (
    "README.md",
    "docs/tutorial.md",
    "docs/how-it-works.md",
    "docs/howto/weights-and-variations.md",
    "docs/howto/histograms-and-categories.md",
    "docs/howto/columns-for-ml.md",
    "docs/howto/executors.md",
    "docs/howto/own-files.md",
    "docs/howto/skims.md",
    "docs/howto/configurations.md",
    "docs/howto/coffearunner.md",
    "docs/howto/command-line.md",
    "docs/howto/reading.md",
    "docs/howto/remote-data.md",
    "docs/howto/bad-files.md",
    "docs/howto/errors.md",
)
MAKES_ITS_SAMPLE = ("README.md", "docs/tutorial.md")
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```$(?:\n\n^```text\n(?P<shown>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of Python in a page: what it prints, and what the page says that it prints."""

    start: int
    shown: str | None
    printed: str


def make_sample(folder: Path) -> Path:
    """The sample that the how-to pages work on: that of the tutorial."""
    from lazyana.toy.sample import write_sample

    write_sample(folder / "sample", events=10_000)
    return folder / "sample"


def run(page: Path, folder: Path) -> Iterator[Block]:
    """Run the blocks of a page in a folder, in order.

    Parameters
    ----------
    page
        The Markdown file.
    folder
        Where the code runs.

    Yields
    ------
    Block
        Each block, when it has run.
    """
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "page"}
    for match in BLOCK.finditer(text):
        # Empty lines in front give an error the line number that it has in the page.
        above = text.count("\n", 0, match.start("code"))
        code = compile("\n" * above + match["code"], str(page), "exec")
        printed = io.StringIO()
        with chdir(folder), redirect_stdout(printed):
            exec(code, namespace)
        here = printed.getvalue().replace(f"{folder}/", "")
        lines = [line.rstrip() for line in here.splitlines()]
        yield Block(match.start(), match["shown"], "\n".join(lines) + "\n" if lines else "")


def words(text: str) -> list[str]:
    """What must not differ: everything but numbers, sizes, rules and spaces."""
    text = re.sub(r"-?\d[\d,.]*(?:e[+-]?\d+)?(?: [kMGT]?B\b)?", "0", text)
    return re.sub(r"[-─━]{2,}", "-", text).split()


def refresh(page: Path, folder: Path) -> bool:
    """Rewrite the text blocks of a page; True if any of them changed."""
    text = page.read_text(encoding="utf-8")
    printed = {block.start: block.printed for block in run(page, folder)}

    def updated(match: re.Match[str]) -> str:
        if match["shown"] is None:
            return match[0]
        first, last = match.start("shown") - match.start(), match.end("shown") - match.start()
        return match[0][:first] + printed[match.start()] + match[0][last:]

    new = BLOCK.sub(updated, text)
    if new != text:
        page.write_text(new, encoding="utf-8")
    return new != text


def main() -> None:
    """Refresh the pages that are named, or all."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    pages = sys.argv[1:] or PAGES
    with tempfile.TemporaryDirectory() as name:
        sample = make_sample(Path(name))
        for number, page in enumerate(pages):
            folder = Path(name, f"page-{number}")
            folder.mkdir()
            if page not in MAKES_ITS_SAMPLE:
                (folder / "sample").symlink_to(sample)
            changed = refresh(DOCS.parent / page, folder)
            print(f"{page}: {'changed' if changed else 'as it was'}")


if __name__ == "__main__":
    main()
