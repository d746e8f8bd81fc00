"""Reading partitions from where their files are: equal anywhere, few requests, and no end of it."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import awkward as ak
import dask_awkward as dak
import fsspec
import hist
import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st

import lazyana as la
from lazyana.data.partitions import Partition, span_of
from lazyana.data.reading import joined, read_branches
from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader import ttree
from lazyana.reader.fileinfo import FileInfo
from lazyana.reader.formats import note_file
from lazyana.toy import sample as toy

servers = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[1] / "reader" / "remote_servers.py"))
)

EVENTS = 3_000
NAMES = ("Muon_charge", "Muon_pt", "event", "genWeight", "nMuon")
QUICK = ReadOptions(retries=2, backoff=0.01, timeout=20)
# Each partition reads one piece of its file, so that the requests of a run can be told apart.
WHOLE = replace(QUICK, max_gap=100_000_000)


@dataclass
class Noted:
    """What a reading was told."""

    branches: list[str] = field(default_factory=list)
    recoveries: list[str] = field(default_factory=list)

    def fell_back(self, branch: str) -> None:
        self.branches.append(branch)

    def recovered(self, what: str) -> None:
        self.recoveries.append(what)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reading")
    (one,) = toy.write_dataset(folder, "DYJetsToLL", events=EVENTS, cluster_events=1_000)
    return one


@pytest.fixture(scope="module")
def info(path: Path) -> FileInfo:
    return note_file(str(path), "Events")[0]


@pytest.fixture
def web(path: Path) -> Iterator[Any]:
    with servers.web_server(path.parent) as server:
        yield server


@pytest.fixture
def second(path: Path) -> Iterator[Any]:
    """Another web server for the same files."""
    with servers.web_server(path.parent) as server:
        yield server


@contextmanager
def xrootd_with(path: Path) -> Iterator[Any]:
    missing = servers.why_no_xrootd()
    if missing:
        pytest.skip(missing)
    with servers.xrootd_server() as server:
        server.add(path)
        yield server


@pytest.fixture
def xrootd(path: Path) -> Iterator[Any]:
    with xrootd_with(path) as server:
        yield server


def partition(info: FileInfo, *urls: str, start: int = 0, stop: int = EVENTS) -> Partition:
    at = replace(info, url=urls[0], alternatives=urls[1:]) if urls else info
    return Partition(0, "DY", 0, (span_of(at, start, stop, NAMES),))


def read(part: Partition, options: ReadOptions, notes: Noted | None = None) -> Mapping[str, Any]:
    return read_branches(part, NAMES, NAMES, options, notes or Noted())


def same(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    assert sorted(found) == sorted(expected) == sorted(NAMES)
    return all(found[name].is_equal_to(expected[name]) for name in NAMES)


def count_calls(monkeypatch: pytest.MonkeyPatch, scheme: str) -> list[int]:
    """Number of ranges of each call of `cat_ranges`, of file systems made from now on."""
    calls: list[int] = []
    kind: Any = fsspec.get_filesystem_class(scheme)
    original = kind._cat_ranges

    async def counted(self: Any, paths: list[str], *args: Any, **kwargs: Any) -> Any:
        calls.append(len(paths))
        return await original(self, paths, *args, **kwargs)

    monkeypatch.setattr(kind, "_cat_ranges", counted)
    kind.clear_instance_cache()
    return calls


# ------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(("start", "stop"), [(0, EVENTS), (0, 1), (700, 2_100), (2_999, EVENTS)])
def test_equal_to_uproot(start: int, stop: int, info: FileInfo, path: Path) -> None:
    notes = Noted()
    found = read(partition(info, start=start, stop=stop), QUICK, notes)
    with uproot.open({path: "Events"}) as tree:
        for name in NAMES:
            expected = tree[name].array(entry_start=start, entry_stop=stop)
            assert ak.array_equal(found[name], expected, dtype_exact=True)
    assert notes == Noted()


def test_spans_one_after_the_other(info: FileInfo) -> None:
    spans = tuple(span_of(info, *edges, NAMES) for edges in ((5, 900), (900, 1_500), (0, 5)))
    found = read(Partition(0, "DY", 0, spans), QUICK)
    whole = read(partition(info), QUICK)
    for name in NAMES:
        expected = ak.concatenate([whole[name][5:1_500], whole[name][:5]])
        assert ak.array_equal(found[name], expected)


def test_equal_by_http(info: FileInfo, web: Any) -> None:
    for start, stop in ((0, EVENTS), (700, 2_100)):
        remote = partition(info, web.url("DYJetsToLL_0.root"), start=start, stop=stop)
        assert same(read(remote, QUICK), read(partition(info, start=start, stop=stop), QUICK))


@pytest.mark.integration
def test_equal_by_xrootd(info: FileInfo, xrootd: Any) -> None:
    for start, stop in ((0, EVENTS), (700, 2_100)):
        remote = partition(info, xrootd.url("DYJetsToLL_0.root"), start=start, stop=stop)
        assert same(read(remote, QUICK), read(partition(info, start=start, stop=stop), QUICK))


# -------------------------------------------------------------------------- how it is asked for


@pytest.mark.parametrize("max_gap", [0, 2_000, 100_000_000])
def test_one_request_for_a_partition_by_http(
    max_gap: int, info: FileInfo, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_calls(monkeypatch, "http")
    asked: list[Any] = []

    def noted(url: str, ranges: list[Any], options: ReadOptions) -> Any:
        asked.append(ranges)
        return read_ranges(url, ranges, options)

    read_ranges = ttree.read_ranges
    monkeypatch.setattr(ttree, "read_ranges", noted)
    for number, edges in enumerate(((0, 1_000), (1_000, 2_500)), start=1):
        web.requests.clear()
        part = partition(info, web.url("DYJetsToLL_0.root"), start=edges[0], stop=edges[1])
        read(part, replace(QUICK, max_gap=max_gap))
        pieces = ttree_pieces(asked[-1], max_gap)
        assert (len(calls), len(asked)) == (number, number)
        assert sorted((first, last) for _, first, last in web.requests) == pieces
        assert calls[-1] == len(pieces)
    assert (len(pieces) == 1) is (max_gap > 100_000)


def ttree_pieces(ranges: list[Any], max_gap: int) -> list[Any]:
    """What is left to ask for: an independent count, from the bytes that are wanted."""
    wanted = np.zeros(max(last for _, last in ranges) + 1, dtype=bool)
    for first, last in ranges:
        wanted[first:last] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], wanted.astype(int), [0]])))
    pieces: list[list[int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if pieces and first - pieces[-1][1] <= max_gap:
            pieces[-1][1] = last
        else:
            pieces.append([first, last])
    return [tuple(piece) for piece in pieces]


@pytest.mark.integration
def test_one_request_for_a_partition_by_xrootd(
    info: FileInfo, xrootd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_calls(monkeypatch, "root")
    for number, edges in enumerate(((0, 1_000), (1_000, 2_500)), start=1):
        part = partition(info, xrootd.url("DYJetsToLL_0.root"), start=edges[0], stop=edges[1])
        read(part, replace(QUICK, max_gap=0))
        assert len(calls) == xrootd.requests("readv") == number
    assert min(calls) > 1
    assert (xrootd.requests("open"), xrootd.requests("read")) == (1, 0)


def test_partitions_in_threads(info: FileInfo, web: Any) -> None:
    edges = [(start, start + 250) for start in range(0, EVENTS, 250)]
    expected = [read(partition(info, start=a, stop=b), QUICK) for a, b in edges]
    url = web.url("DYJetsToLL_0.root")
    with ThreadPoolExecutor(6) as pool:
        parts = [partition(info, url, start=a, stop=b) for a, b in edges]
        found = list(pool.map(lambda part: read(part, QUICK), parts))
    assert all(map(same, found, expected))


# -------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("fault", ["reset", "cut", "short", 503])
def test_next_try_is_told(fault: Any, info: FileInfo, web: Any) -> None:
    url, notes = web.url("DYJetsToLL_0.root"), Noted()
    web.faults += [fault, fault]
    assert same(read(partition(info, url), WHOLE, notes), read(partition(info), QUICK))
    (told,) = notes.recoveries
    assert told.startswith(url)
    assert told.endswith("; read after 2 retries")
    assert notes.branches == []


def test_server_that_goes_away_is_left_for_the_next_place(
    info: FileInfo, web: Any, second: Any
) -> None:
    name, notes = "DYJetsToLL_0.root", Noted()
    part = partition(info, web.url(name), second.url(name))
    read(part, WHOLE, notes)
    assert (notes.recoveries, second.requests) == ([], [])
    web.faults.append("die")
    assert same(read(part, WHOLE, notes), read(partition(info), QUICK))
    (told,) = notes.recoveries
    assert told.startswith(f"{web.url(name)}: Cannot connect")
    assert told.endswith(f" (3 tries); read from {second.url(name)} instead")


def test_no_place_works(info: FileInfo, web: Any, second: Any) -> None:
    name, notes = "DYJetsToLL_0.root", Noted()
    part = partition(info, web.url(name), second.url("gone.root"))
    web.stop()
    with pytest.raises(FileError) as caught:
        read(part, QUICK, notes)
    first, one, two = str(caught.value).splitlines()
    assert first == f"{web.url(name)} cannot be read at any of its 2 places:"
    assert one.startswith(f"  {web.url(name)}: Cannot connect")
    assert one.endswith("(3 tries)")
    assert two == f"  {second.url('gone.root')}: no such file"
    assert notes.recoveries == []


def test_other_file_under_that_name_is_left_for_the_next_place(
    info: FileInfo, web: Any, path: Path, tmp_path: Path
) -> None:
    (other,) = toy.write_dataset(tmp_path, "DYJetsToLL", events=EVENTS + 500)
    notes = Noted()
    found = read(partition(info, str(other), web.url(path.name)), QUICK, notes)
    assert same(found, read(partition(info), QUICK))
    assert "replaced since it was inspected" in notes.recoveries[0]


def test_slow_server_is_left_for_the_next_place(info: FileInfo, web: Any, path: Path) -> None:
    options, notes = replace(WHOLE, timeout=0.2, retries=1), Noted()
    web.faults += ["slow", "slow"]
    found = read(partition(info, web.url(path.name), str(path)), options, notes)
    assert same(found, read(partition(info), QUICK))
    assert notes.recoveries[0].endswith(f" (2 tries); read from {path} instead")
    assert len(web.requests) == 2


@pytest.mark.integration
def test_file_that_was_replaced_while_it_was_open(
    info: FileInfo, xrootd: Any, tmp_path: Path
) -> None:
    """Workers keep files open from one run to the next; an open one stays what it was."""
    url = xrootd.url("DYJetsToLL_0.root")
    old = partition(info, url)
    read(old, QUICK)
    (made,) = toy.write_dataset(tmp_path, "DYJetsToLL", events=4_000, seed=7)
    other = note_file(str(made), "Events")[0]
    made.chmod(0o644)
    target = Path(shutil.move(made, xrootd.folder / "new.root"))
    target = target.rename(xrootd.folder / "DYJetsToLL_0.root")
    new = partition(other, url, stop=4_000)
    whole = partition(other, str(target), stop=4_000)
    assert same(read(new, QUICK), read(whole, QUICK))
    with pytest.raises(FileError, match="was replaced since it was inspected"):
        read(old, QUICK)


@pytest.mark.integration
def test_xrootd_server_that_is_killed(info: FileInfo, xrootd: Any, web: Any) -> None:
    name, notes = "DYJetsToLL_0.root", Noted()
    part = partition(info, xrootd.url(name), web.url(name))
    read(part, QUICK, notes)
    xrootd.stop()
    assert same(read(part, QUICK, notes), read(partition(info), QUICK))
    assert notes.recoveries == [
        f"{xrootd.url(name)}: Connection error (3 tries); read from {web.url(name)} instead"
    ]
    with pytest.raises(FileError, match=r"cannot be read: Connection error \(tried 3 times\)\.$"):
        read(partition(info, xrootd.url(name)), QUICK, notes)
    xrootd.start()
    patient = replace(QUICK, retries=5, backoff=0.5)
    assert same(read(part, patient, notes), read(partition(info), QUICK))


@pytest.mark.parametrize("fault", ["reset", 503])
def test_branch_that_uproot_reads_is_tried_again_too(fault: Any, info: FileInfo, web: Any) -> None:
    """No basket index, so that all goes through uproot."""
    bare, notes = replace(info, index=None, url=web.url("DYJetsToLL_0.root")), Noted()
    for start, stop in ((0, 900), (1_500, 2_500)):  # different ones: uproot remembers
        part = Partition(0, "DY", 0, (span_of(bare, start, stop, NAMES),))
        expected = read(partition(info, start=start, stop=stop), QUICK)
        assert same(read(part, QUICK, notes), expected)
        assert sorted(set(notes.branches)) == sorted(NAMES)
        assert len(notes.recoveries) == (start > 0)
        web.faults.append(fault)
    assert notes.recoveries[0].endswith("; read after 1 retry")


# --------------------------------------------------------------------------------- whole runs


def kill(values: Any, process: int, port: int) -> Any:
    """Pass values on, and end a server while they are at it."""
    if ak.backend(values) == "cpu":
        os.kill(process, signal.SIGKILL)
        while True:
            with socket.socket() as probe:
                if probe.connect_ex((servers.HOST, port)):
                    break
    return values


def run(fileset: Any, options: ReadOptions, victim: Any = None) -> la.Result:
    """A run in three partitions; the victim ends within the first of them, after it was read."""
    events = la.open(fileset)
    pt = events.Muon.pt
    if victim is not None:
        pt = dak.map_partitions(kill, pt, victim.process, victim.port, meta=pt._meta)
    output = events.hist(hist.axis.Regular(20, 0, 100, name="pt"), pt=pt)
    return la.compute(output, executor="sync", partition_size=1_000, reading=options)


@pytest.fixture(scope="module")
def undisturbed(path: Path) -> Any:
    return run({"DY": str(path)}, QUICK).value.view(flow=True)


@pytest.mark.integration
def test_run_goes_on_at_the_next_place(xrootd: Any, web: Any, path: Path, undisturbed: Any) -> None:
    places = [xrootd.url(path.name), web.url(path.name)]
    result = run({"DY": [places]}, QUICK, xrootd)
    assert np.array_equal(result.value.view(flow=True), undisturbed)
    assert result.report.partitions == 3
    assert result.report.complete
    (told,) = result.report.warnings
    assert f"Connection error (3 tries); read from {web.url(path.name)} instead" in told
    assert told in str(result.report)


@pytest.mark.integration
def test_run_goes_on_when_the_server_is_back(web: Any, path: Path, undisturbed: Any) -> None:
    catalog = la.inspect({"DY": web.url(path.name)})
    web.faults += [None, "reset"]
    result = run(catalog, WHOLE)
    assert web.faults == []
    assert np.array_equal(result.value.view(flow=True), undisturbed)
    (told,) = result.report.warnings
    assert "read after 1 retry" in told


@pytest.mark.integration
def test_run_ends_where_there_is_no_other_place(xrootd: Any, path: Path) -> None:
    with pytest.raises(FileError) as caught:
        run({"DY": xrootd.url(path.name)}, QUICK, xrootd)
    assert f"{xrootd.url(path.name)} cannot be read: Connection error (tried 3" in str(caught.value)


@pytest.mark.integration
def test_run_leaves_out_what_is_at_no_other_place(xrootd: Any, path: Path) -> None:
    options = replace(QUICK, retries=0, on_error="skip")
    result = run({"DY": xrootd.url(path.name)}, options, xrootd)
    assert not result.report.complete
    assert {one.file for one in result.report.problems} == {xrootd.url(path.name)}
    assert (result.report.events_lost, result.report.events_read) == (2_000, 1_000)
    assert all("Connection error" in one.error for one in result.report.problems)


@pytest.mark.integration
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_workers_read_remotely(
    executor: str, xrootd: Any, web: Any, path: Path, undisturbed: Any
) -> None:
    events = la.open({"DY": xrootd.url(path.name), "TT": web.url(path.name)})
    pt = hist.axis.Regular(20, 0, 100, name="pt")
    output = events.hist(pt, pt=events.Muon.pt)
    result = la.compute(output, executor=executor, workers=2, partition_size=1_000, reading=QUICK)
    for name in ("DY", "TT"):
        assert np.array_equal(result.value[name, ...].view(flow=True), undisturbed[0])
    assert result.report.warnings == ()


# ------------------------------------------------------------------------ several files as one


@pytest.mark.parametrize("nested", [0, 1, 2])
@given(data=st.data())
def test_joined_is_what_awkward_makes(nested: int, data: st.DataObject) -> None:
    element: Any = st.integers(0, 99)
    first: Any = 5
    for _ in range(nested):
        element, first = st.lists(element, max_size=3), [first]
    parts = data.draw(st.lists(st.lists(element, max_size=4), min_size=1, max_size=4))
    # Not from their first number on, as a cut through a basket leaves them.
    arrays = [ak.values_astype(ak.Array([first, *part]), "int32")[1:] for part in parts]
    found = ak.Array(joined([ak.to_layout(array) for array in arrays]))
    assert found.to_list() == [item for part in parts for item in part]
    assert found.type == ak.concatenate(arrays).type
