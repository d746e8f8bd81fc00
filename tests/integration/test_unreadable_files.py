"""Files that cannot be read from the start, and files that this user may not read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import awkward as ak
import pytest

import lazyana as la
from lazyana.errors import FileError
from lazyana.toy.sample import write_dataset

NOBODY = 65534


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in good order."""
    return write_dataset(tmp_path_factory.mktemp("whole"), "DYJetsToLL", events=50)[0]


# -- damaged from the start -----------------------------------------------------------------------


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def write_something_else(path: Path) -> None:
    path.write_text("no ROOT file at all, but long enough to be one. " * 10_000)


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_dead_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.root")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"{path} is cut short: it has \d+ of \d+ bytes"),
        (remove, r"There is no file '{path}'"),
        (empty, r"{path} cannot be opened as a ROOT or parquet file: .*ends at byte 0"),
        (write_something_else, r"{path} is no ROOT or parquet file"),
        (make_directory, r"There is no file '{path}'.*that folder has no \*\.root"),
        (make_dead_link, r"There is no file '{path}'"),
    ],
)
def test_opening_it_is_an_error(
    damage: Callable[[Path], None], message: str, whole: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(whole, tmp_path))
    damage(path)
    with pytest.raises(FileError, match=message.format(path=re.escape(str(path)))):
        la.open({"DY": [str(whole), str(path)]})


# -- without permission ---------------------------------------------------------------------------

# As somebody else than root, whom no permission stops: open two files that can be read, lock one
# of them in some way, then compute with both policies, and open again.
SCRIPT = f"""
import os, pathlib, sys
import lazyana as la
from lazyana.errors import FileError

la.open, la.compute  # imported before the files of Python are closed to it
folder, locked = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
paths = [str(folder / "open" / "a.root"), str(folder / "closed" / "b.root")]
events = la.open({{"DY": paths}})
(folder / locked).chmod(0)
output = events.sum(events.MET.pt)
result = la.compute(output, executor="sync", on_error="skip")
print(result.report.events_read, result.report.events_lost, result.report.problems[0].error)
for attempt in (
    lambda: la.compute(output, executor="sync"),
    lambda: la.open(paths),
    lambda: la.open(str(folder / "closed")),
):
    try:
        attempt()
    except FileError as error:
        print("error:", error)
(folder / locked).chmod(0o700)
"""


@pytest.fixture
def folder(whole: Path) -> Iterator[Path]:
    """Two files in folders of their own that belong to the user who will lock one of them."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to other users
        made = Path(name)
        for inside, file in (("open", "a.root"), ("closed", "b.root")):
            (made / inside).mkdir()
            shutil.copy(whole, made / inside / file)
        if os.getuid() == 0:
            for path in (made, *made.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        yield made


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of POSIX systems")
@pytest.mark.parametrize("locked", ["closed/b.root", "closed"])
def test_no_permission(folder: Path, locked: str) -> None:
    places = (Path(module.__file__).resolve() for module in (ak, la))
    closed = [way for place in places for way in place.parents if not way.stat().st_mode & 0o001]
    if os.getuid() == 0 and closed:
        pytest.skip(f"another user than root cannot run this Python: {closed[0]} is closed to it")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), locked],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")},
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    left_out, computing, opening, opening_folder = done.stdout.splitlines()
    path = re.escape(str(folder / "closed" / "b.root"))
    assert re.fullmatch(
        rf"50 50 PermissionError: {path} cannot be read: Permission denied\.", left_out
    )
    assert re.fullmatch(
        rf"error: {path} cannot be read: Permission denied\. Needed were entries 0-50\. "
        r"To leave out what cannot be read, compute with on_error='skip'\.",
        computing,
    )
    assert re.search(rf"^error: {path}.*[Pp]ermission denied", opening)
    assert re.search(r"closed.*[Pp]ermission denied", opening_folder)
