"""Trees kept open, and branches read whole or not at all."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uproot

from lazyana.data.inspect import inspect
from lazyana.data.partitions import partitions_of
from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader.spans import Span
from lazyana.reader.trees import keep, open_kept, open_tree, read_branch
from lazyana.toy.sample import write_dataset


@pytest.fixture
def span(tmp_path: Path) -> Span:
    """The second half of a small file."""
    (path,) = write_dataset(tmp_path, "DYJetsToLL", events=30)
    catalog = inspect({"DY": str(path)})
    return partitions_of(catalog, ["DY"], 15)[1].spans[0]


def in_a_new_thread(function: Any) -> Any:
    """What a function returns in a thread that has nothing open yet."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_opens_a_file_once(span: Span) -> None:
    def twice() -> bool:
        first = open_kept(span.url, span, ReadOptions())
        other = open_kept(span.url, replace(span, start=0, stop=15), ReadOptions())
        same = first is other
        first.file.close()
        return same

    assert in_a_new_thread(twice)


def test_only_so_many_stay_open(span: Span, tmp_path: Path) -> None:
    (path,) = write_dataset(tmp_path / "other", "SingleMuon", events=20)
    (other,) = partitions_of(inspect({"data": str(path)}), ["data"], 100)

    def both() -> tuple[bool, bool]:
        first = open_kept(span.url, span, ReadOptions(open_files=1))
        second = open_kept(other.spans[0].url, other.spans[0], ReadOptions(open_files=1))
        closed = (first.file.source.closed, second.file.source.closed)
        second.file.close()
        return closed

    assert in_a_new_thread(both) == (True, False)


def test_a_replaced_file_is_noticed(span: Span) -> None:
    with pytest.raises(FileError, match="was replaced since it was inspected"):
        open_kept(span.url, replace(span, uuid="another"), ReadOptions())


def test_a_branch_is_what_uproot_reads(span: Span) -> None:
    tree = open_kept(span.url, span, ReadOptions())
    with uproot.open(span.url) as file:
        expected = file["Events"]["Muon_pt"].array(entry_start=15, entry_stop=30)
    assert read_branch(tree, "Muon_pt", span).to_list() == expected.to_list()


def test_a_branch_that_ends_too_early_is_refused(span: Span) -> None:
    tree = open_kept(span.url, span, ReadOptions())
    beyond = replace(span, stop=40)
    with pytest.raises(FileError, match=r"'Muon_pt'.*15 entries instead of 25"):
        read_branch(tree, "Muon_pt", beyond)


def test_a_branch_that_is_not_there_is_named(span: Span) -> None:
    with pytest.raises(FileError, match="Branch 'Muon_ptt'"):
        read_branch(open_kept(span.url, span, ReadOptions()), "Muon_ptt", span)


# ------------------------------------------------------------------------ other kinds of files


class Fake:
    """A file that notes that it was closed."""

    def __init__(self, uuid: str) -> None:
        self.uuid = uuid
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_file_is_kept_by_format(span: Span) -> None:
    def both() -> tuple[list[str], list[Fake]]:
        opened: list[str] = []
        fakes: list[Fake] = []

        def opener(url: str, tree: str) -> Fake:
            opened.append(f"{url} {tree}")
            fakes.append(Fake(span.uuid))
            return fakes[-1]

        for format_ in ("RNTuple", "parquet", "RNTuple", "parquet"):
            keep(span.url, replace(span, format=format_), ReadOptions(open_files=2), opener)
        keep(span.url, replace(span, format="other"), ReadOptions(open_files=2), opener)
        return opened, fakes

    opened, fakes = in_a_new_thread(both)
    assert opened == [f"{span.url} Events"] * 3
    assert [fake.closed for fake in fakes] == [1, 0, 0]


def test_a_file_of_another_identity_is_closed(span: Span) -> None:
    fake = Fake("another")
    with pytest.raises(FileError, match="was replaced since it was inspected"):
        keep(span.url, span, ReadOptions(), lambda url, tree: fake)
    assert fake.closed == 1


def test_an_open_file_of_another_identity_is_opened_again(span: Span) -> None:
    """At a server a file may be replaced, and inspected again, while this process has it open."""

    def both() -> list[Fake]:
        old, new = Fake("old"), Fake("new")
        waiting = iter((old, new))
        remote = replace(span, urls=("http://host/a.root",), format="fake")
        for fake in (old, new):
            one = replace(remote, uuid=fake.uuid)
            assert keep(one.url, one, ReadOptions(), lambda url, tree: next(waiting)) is fake
        return [old, new]

    assert [fake.closed for fake in in_a_new_thread(both)] == [1, 0]


def test_what_libraries_stumble_over_is_an_error_of_the_file(span: Span) -> None:
    def opener(url: str, tree: str) -> Fake:
        raise AssertionError

    with pytest.raises(FileError, match=r"cannot be opened \(AssertionError: .* damaged"):
        keep(span.url, replace(span, format="fake"), ReadOptions(), opener)


def test_no_arrays_are_kept_with_a_file(span: Span) -> None:
    tree = open_kept(span.url, span, ReadOptions())
    read_branch(tree, "Muon_pt", span)
    assert not tree.file.array_cache


def test_a_file_written_over_is_opened_again(span: Span) -> None:
    fakes = [Fake(span.uuid), Fake(span.uuid)]
    waiting = iter(fakes)
    other = replace(span, format="fake")
    first = keep(span.url, other, ReadOptions(), lambda url, tree: next(waiting))
    os.utime(span.url, ns=(1, 1))
    second = keep(span.url, other, ReadOptions(), lambda url, tree: next(waiting))
    assert [first, second] == fakes
    assert [fake.closed for fake in fakes] == [1, 0]


def test_an_rntuple_is_opened_as_a_tree_is(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        file.mkrntuple("Events", {"x": [1, 2]})
        file.mktree("other", {"x": "f4"})
    opened = open_tree(str(path), "Events")
    assert opened["x"].array().to_list() == [1, 2]
    opened.file.close()
    with pytest.raises(FileError, match="Trees in it: Events, other"):
        open_tree(str(path), "Evts")
