"""The cache on disk: unchanged files are not opened again, changed ones are, damage is harmless."""

from __future__ import annotations

import json
import logging
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import uproot

from lazyana.data import cache as module
from lazyana.data.cache import Cache, default_folder, state_of
from lazyana.data.catalog import Catalog
from lazyana.data.inspect import inspect
from lazyana.errors import FileError, InputTypeError
from lazyana.reader import formats
from lazyana.reader.fileinfo import FileInfo

servers = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[1] / "reader" / "remote_servers.py"))
)


def write(path: Path, events: int = 5, value: float = 0, **branches: Any) -> Path:
    """A file with a branch `x` and those given, one value an event."""
    columns = {"x": np.full(events, value, np.float32)} | {
        name: np.zeros(events, dtype=kind) for name, kind in branches.items()
    }
    with uproot.recreate(path) as file:
        file.mktree("Events", {name: values.dtype for name, values in columns.items()})
        file["Events"].extend(columns)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache of its own for each test."""
    return tmp_path / "cache"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """URLs opened by inspection, in order."""
    urls: list[str] = []
    real = formats.open_tree

    def counting(url: str, *others: Any) -> Any:
        urls.append(url)
        return real(url, *others)

    monkeypatch.setattr(formats, "open_tree", counting)
    return urls


def only(catalog: Catalog) -> FileInfo:
    """The only file of a catalog."""
    ((info,),) = catalog.files.values()
    return info


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("inspect/*/??/*") if path.is_file())


# ---------------------------------------------------------------------------- what is kept


def test_what_is_kept_is_what_was_found(
    toy_files: dict[str, Any], folder: Path, opened: list[str]
) -> None:
    first = inspect(toy_files, cache=folder)
    count = len(opened)
    assert count == len(set(opened)) == first.fileset.number_of_files
    again = inspect(toy_files, cache=folder)
    assert len(opened) == count
    assert again == first == inspect(toy_files, cache=False)
    for infos in again.files.values():
        for info in infos:
            assert info.index is not None
            assert info.index.branches.keys() == info.branch_bytes.keys()


def test_files_of_a_layout_share_its_names(tmp_path: Path, folder: Path) -> None:
    for n in range(3):
        write(tmp_path / f"{n}.root", events=n)
    for _ in range(2):
        infos = inspect(str(tmp_path / "*.root"), cache=folder).files["events"]
        assert len({id(getattr(info.branch_bytes, "places", None)) for info in infos}) == 1
    assert len(entries(folder)) == 3
    assert len(list(folder.glob("inspect/*/layouts/*"))) == 1


def written(path: Path, columns: dict[str, Any]) -> dict[str, int]:
    """Compressed size of each branch of a file in the format that its name ends with."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        group = pyarrow.parquet.read_metadata(path).row_group(0)
        parts = [group.column(n) for n in range(group.num_columns)]
        return {part.path_in_schema: part.total_compressed_size for part in parts}
    with uproot.recreate(path) as file:
        kinds = {name: values.dtype for name, values in columns.items()}
        file.mktree("Events", kinds, title=f"events of {path.name}")
        file["Events"].extend(columns)
    with uproot.open(path)["Events"] as tree:
        return {one.name: one.compressed_bytes for one in tree.branches}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("second", ["b.root", "b.parquet"])
def test_what_was_seen_first_says_nothing_of_other_files(
    second: str, together: bool, tmp_path: Path, folder: Path
) -> None:
    """Layouts of one signature have branches in another order, and other titles."""
    columns = {"x": np.random.default_rng(1).normal(size=500), "y": np.zeros(500, np.int8)}
    files = {"a.root": "xy", second: "yx"}
    sizes = [
        written(tmp_path / name, {name: columns[name] for name in names})
        for name, names in files.items()
    ]
    assert all(one["x"] > 2 * one["y"] for one in sizes)
    paths = [str(tmp_path / name) for name in files]
    for _ in range(2):  # opened, and out of the cache
        found = []
        for some in [paths] if together else [[path] for path in paths]:
            catalog = inspect({"events": some}, cache=folder)
            found += catalog.files["events"]
            (layout,) = catalog.layouts.values()
            (alone,) = inspect(some[0], cache=False).layouts.values()
            assert layout == alone
            assert (f"events of {Path(some[0]).name}" in layout.base_form) == some[0].endswith(
                ".root"
            )
        assert [dict(info.branch_bytes) for info in found] == sizes
        assert len({info.signature for info in found}) == 1


def test_basket_indices_stay_on_disk(tmp_path: Path, folder: Path) -> None:
    path = write(tmp_path / "a.root")
    inspect(path, cache=folder)
    info = only(inspect(path, cache=folder))
    assert info.index is not None
    assert not isinstance(info.index.source, bytes)
    whole = only(inspect(path, cache=False)).index
    assert whole is not None
    assert (info.index, info.index.size) == (whole, len(whole.payload))


@pytest.mark.parametrize("what", ["removed", "damaged"])
def test_a_lost_basket_index_is_made_again(what: str, tmp_path: Path, folder: Path) -> None:
    path = write(tmp_path / "a.root")
    info = only(inspect(path, cache=folder))
    assert info.index is not None
    payload = info.index.payload
    (entry,) = entries(folder)
    if what == "removed":
        entry.unlink()
    else:
        entry.write_bytes(entry.read_bytes()[:-1])
    assert info.index.payload == payload
    write(path, events=7)
    with pytest.raises(FileError, match="was replaced since it was inspected"):
        _ = info.index.payload


def test_lumis_are_kept_where_they_were_asked_for(
    tmp_path: Path, folder: Path, opened: list[str]
) -> None:
    path = write(tmp_path / "a.root", run=np.uint32, luminosityBlock=np.uint32)
    assert only(inspect(path, cache=folder)).lumis is None
    assert only(inspect(path, cache=folder, lumis=True)).lumis == ((0, 0),)
    assert len(opened) == 2
    for lumis in (True, False):
        assert only(inspect(path, cache=folder, lumis=lumis)).lumis == ((0, 0),)
    assert len(opened) == 2


def test_trees_are_told_apart(tmp_path: Path, folder: Path) -> None:
    path = write(tmp_path / "a.root", events=5)
    with uproot.update(path) as file:
        file["Other"] = {"x": np.zeros(3)}
    for _ in range(2):
        found = [only(inspect(path, tree=tree, cache=folder)) for tree in ("Events", "Other")]
        assert [info.entries for info in found] == [5, 3]


# ----------------------------------------------------------------------- files that change


def rewrite(path: Path) -> None:
    write(path, events=9)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def exchange(path: Path) -> None:
    """Another content of the same size and time in the same place."""
    stat = path.stat()
    write(path.with_name("n.root"), value=1).replace(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size


def overwrite(path: Path) -> None:
    """The same within the same inode."""
    stat = path.stat()
    new = write(path.with_name("n.root"), value=1)
    with path.open("r+b") as file:
        file.write(new.read_bytes())
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_ino, after.st_mtime_ns) == (
        stat.st_size,
        stat.st_ino,
        stat.st_mtime_ns,
    )


@pytest.mark.parametrize("change", [rewrite, exchange, overwrite])
def test_a_changed_file_is_opened_again(
    change: Callable[[Path], None], tmp_path: Path, folder: Path
) -> None:
    path = write(tmp_path / "a.root")
    before = only(inspect(path, cache=folder))
    change(path)
    after = only(inspect(path, cache=folder))
    with uproot.open(path) as file:
        assert after.uuid == str(file.file.uuid) != before.uuid
    assert only(inspect(path, cache=folder)) == after
    assert len(entries(folder)) == 1  # the new one took the place of the old one


def test_a_truncated_file_is_noticed(tmp_path: Path, folder: Path) -> None:
    path = write(tmp_path / "a.root")
    inspect(path, cache=folder)
    truncate(path)
    with pytest.raises(FileError, match=str(path)):
        inspect(path, cache=folder)


def test_a_file_that_changes_while_it_is_opened_is_not_kept(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.root")
    real = formats.open_tree

    def slow(url: str, *others: Any) -> Any:
        found = real(url, *others)
        exchange(path)
        return found

    monkeypatch.setattr(formats, "open_tree", slow)
    inspect(path, cache=folder)
    assert entries(folder) == []


def test_a_file_system_that_counts_in_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.root")
    real = os.stat
    second = int(time.time()) * 10**9

    class Coarse:
        def __init__(self, name: str, age: int) -> None:
            stat = real(name)
            self.st_size, self.st_ino = stat.st_size, stat.st_ino
            self.st_mtime_ns = self.st_ctime_ns = second - age * 10**9

    monkeypatch.setattr(module.os, "stat", partial(Coarse, age=0))
    fresh = state_of([str(path)])
    monkeypatch.setattr(module.os, "stat", partial(Coarse, age=60))
    old = state_of([str(path)])
    monkeypatch.undo()
    assert fresh is None
    assert old is not None


# ------------------------------------------------------------- damaged and foreign entries


@pytest.mark.parametrize("place", range(0, 100, 3))
def test_a_damaged_entry_is_written_again(place: int, tmp_path: Path, folder: Path) -> None:
    path = write(tmp_path / "a.root")
    sound = only(inspect(path, cache=folder))
    (entry,) = entries(folder)
    good = entry.read_bytes()
    bad = bytearray(good)
    bad[len(bad) * place // 100] ^= 0x10
    entry.write_bytes(bad)
    found = only(inspect(path, cache=folder))
    assert found == sound  # also where the basket index is what is damaged
    for size in (0, len(good) * place // 100):
        entry.write_bytes(good[:size])
        assert only(inspect(path, cache=folder)) == sound


def test_an_entry_of_another_file_is_not_taken(tmp_path: Path, folder: Path) -> None:
    one, other = write(tmp_path / "a.root", events=3), write(tmp_path / "b.root", events=4)
    inspect([one, other], cache=folder)
    cache = Cache.find(folder)
    assert cache is not None
    cache.entry(str(one), "Events").write_bytes(cache.entry(str(other), "Events").read_bytes())
    assert [info.entries for info in inspect([one, other], cache=folder).files["events"]] == [3, 4]


@pytest.mark.parametrize("content", [b"", b"{}", b"lazyana1" + bytes(8), b"\x80\x04N."])
def test_foreign_files_are_written_over(content: bytes, tmp_path: Path, folder: Path) -> None:
    path = write(tmp_path / "a.root")
    sound = only(inspect(path, cache=folder))
    (entry,) = entries(folder)
    (layout,) = folder.glob("inspect/*/layouts/*")
    for kept in (entry, layout):
        good = kept.read_bytes()
        kept.write_bytes(content)
        assert only(inspect(path, cache=folder)) == sound
        assert kept.read_bytes() == good


def test_entries_of_other_versions_lie_elsewhere(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    path = write(tmp_path / "a.root")
    inspect(path, cache=folder)
    monkeypatch.setattr(module, "version", lambda name: "0.0")
    module._made_by.cache_clear()
    try:
        inspect(path, cache=folder)
        assert len(opened) == 2
        assert len(list(folder.glob("inspect/*"))) == 2
    finally:
        monkeypatch.undo()
        module._made_by.cache_clear()


# ---------------------------------------------------------------------------- where it is


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAZYANA_CACHE_DIR", str(tmp_path / "own"))
    assert default_folder() == tmp_path / "own"
    monkeypatch.delenv("LAZYANA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "xdg" / "lazyana"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    found = default_folder()
    assert found is not None
    assert found.is_relative_to(tmp_path)


@pytest.mark.parametrize("choice", [None, 3, "", b"cache"])
def test_a_cache_that_is_none(choice: Any) -> None:
    with pytest.raises(InputTypeError, match="neither True nor False nor a folder"):
        Cache.find(choice)


def test_tests_do_not_touch_the_cache_of_the_user(own_cache: Path) -> None:
    assert default_folder() == own_cache


def test_without_a_cache_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    monkeypatch.setenv("LAZYANA_CACHE_DIR", str(tmp_path / "own"))
    path = write(tmp_path / "a.root")
    for _ in range(2):
        inspect(path, cache=False)
    assert len(opened) == 2
    assert not (tmp_path / "own").exists()


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    paths = [write(tmp_path / f"{n}.root", events=n) for n in range(3)]
    with caplog.at_level(logging.WARNING, logger="lazyana"):
        for _ in range(2):
            infos = inspect(paths, cache=tmp_path / "file").files["events"]
            assert [info.entries for info in infos] == [0, 1, 2]
    (record,) = caplog.records
    assert str(tmp_path / "file") in record.getMessage()
    assert "LAZYANA_CACHE_DIR" in record.getMessage()


# ---------------------------------------------------------------------- several at a time

WORKER = """
import json, sys
from lazyana.data.inspect import inspect
files, folder, times = json.loads(sys.argv[1])
for _ in range(times):
    for path in files:
        inspect(path, cache=folder)
    infos = inspect({"all": files}, cache=folder).files["all"]
    assert [info.entries for info in infos] == list(range(len(files))), infos
    assert all("x" in info.index.branches for info in infos)
"""


@pytest.mark.integration
def test_processes_share_a_cache(tmp_path: Path, folder: Path) -> None:
    files = [str(write(tmp_path / f"{n}.root", events=n)) for n in range(6)]
    words = [sys.executable, "-W", "error", "-c", WORKER, json.dumps([files, str(folder), 4])]
    running = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    damaged = 0
    while any(process.poll() is None for process in running):
        for entry in entries(folder):
            # A third one that damages what they share.
            if damaged < 12:
                entry.write_bytes(b"damaged")
                damaged += 1
        time.sleep(0.05)
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert damaged
    assert len(inspect({"all": files}, cache=folder).files["all"]) == 6
    assert not [path for path in folder.rglob("*") if path.name.endswith(".part")]
