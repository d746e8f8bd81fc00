"""RNTuples: any range of any field as uproot reads it, at little cost, and damage that is seen."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyana.data.partitions import span_of
from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader import rntuple as module
from lazyana.reader.fields import schema_of
from lazyana.reader.fileinfo import FileInfo, Layout
from lazyana.reader.formats import note_file
from lazyana.reader.ranges import read_ranges
from lazyana.reader.rntuple import compact, read_ntuple
from lazyana.reader.spans import Span

NUMBERS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
NUMBERS += ["float32", "float64"]
BY_UPROOT = {"text", "record", "records"}


def cluster(generator: np.random.Generator, entries: int) -> dict[str, Any]:
    """Columns of every kind."""
    counts = generator.integers(0, 4, entries)
    total = int(counts.sum())
    columns: dict[str, Any] = {
        kind: generator.integers(0, 2, entries).astype(kind) * np.array(3).astype(kind)
        for kind in NUMBERS
    }
    columns |= {
        f"list_{kind}": ak.unflatten(generator.integers(0, 100, total).astype(kind), counts)
        for kind in ("bool", "int32", "float32", "uint8")
    }
    columns["nested"] = ak.unflatten(
        ak.unflatten(np.arange(2 * total, dtype="float32"), np.full(total, 2)), counts
    )
    columns["array"] = generator.normal(size=(entries, 3)).astype("float32")
    columns["negative"] = -generator.integers(0, 1 << 40, entries)
    columns["text"] = [f"text {i}" for i in range(entries)]
    columns["record"] = ak.zip({"a": np.arange(entries), "b": np.arange(entries) / 2})
    columns["records"] = ak.zip({"c": ak.unflatten(np.arange(total), counts)})
    return columns


def write(path: Path, sizes: Sequence[int], name: str = "Events") -> Path:
    """An RNTuple with clusters of these sizes."""
    generator = np.random.default_rng(len(sizes))
    with uproot.recreate(path) as file:
        file.mkrntuple(name, cluster(generator, sizes[0]))
        for size in sizes[1:]:
            file[name].extend(cluster(generator, size))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("rntuple") / "a.root", [7, 1, 12, 30])


@pytest.fixture(scope="module")
def noted(path: Path) -> tuple[FileInfo, Layout]:
    return note_file(str(path), "Events")


@pytest.fixture(scope="module")
def theirs(path: Path) -> Any:
    with uproot.open(path) as file:
        return file["Events"].arrays()


def read(span: Span, names: Sequence[str], **options: Any) -> tuple[dict[str, Any], set[str]]:
    told: list[str] = []
    found = read_ntuple(span.url, span, names, names, ReadOptions(**options), told.append)
    return found, set(told)


def equal(layout: Any, expected: Any) -> bool:
    return bool(ak.array_equal(layout, expected, equal_nan=True, check_parameters=False))


# ------------------------------------------------------------------------------------- reading


@settings(max_examples=30)
@given(data=st.data(), threads=st.sampled_from([1, 3]))
def test_any_range(
    data: st.DataObject, threads: int, noted: tuple[FileInfo, Layout], theirs: Any
) -> None:
    info, layout = noted
    start = data.draw(st.integers(0, 50))
    stop = data.draw(st.integers(start, 50))
    names = data.draw(st.lists(st.sampled_from(layout.branches), unique=True))
    found, told = read(span_of(info, start, stop, ()), names, decompression_threads=threads)
    assert list(found) == names or set(found) == set(names)
    for name in names:
        assert equal(found[name], theirs[name][start:stop]), name
    assert told == BY_UPROOT & set(names)


@pytest.mark.parametrize(("start", "stop"), [(0, 40), (11, 12), (40, 40)])
def test_files_of_roots_importer(start: int, stop: int, real_data: Path) -> None:
    """Their lists are projected, and their counters are made of the offsets."""
    file = real_data / "nanoaod" / "nano_dy_rntuple.root"
    info, layout = note_file(str(file), "Events")
    names = (*layout.branches[::7], "nMuon", "nJet", "nGenPart", "Muon_pt", "GenPart_pdgId")
    found, told = read(span_of(info, start, stop, ()), names)
    with uproot.open(file.with_name("nano_dy.root")) as root:
        for name in names:
            expected = root["Events"][name].array(entry_start=start, entry_stop=stop)
            assert equal(found[name], expected), name
            assert found[name].form.type == expected.layout.form.type
    assert not told


@pytest.mark.parametrize(("start", "stop"), [(0, 500), (149, 151), (200, 437)])
def test_written_by_root(start: int, stop: int, root_files: Path) -> None:
    path = root_files / "ntuple.root"
    info, layout = note_file(str(path), "Events")
    assert info.clusters == (0, 150, 300, 450, 500)
    found, by_uproot = read(span_of(info, start, stop, ()), layout.branches)
    assert set(found) == {"run", "MET_pt", "good", "Muon_pt"}
    assert by_uproot == set()
    with uproot.open(path) as file:
        for name, array in found.items():
            assert equal(array, file["Events"][name].array(entry_start=start, entry_stop=stop))


def test_lists_are_compact(noted: tuple[FileInfo, Layout]) -> None:
    found, _ = read(span_of(noted[0], 3, 17, ()), ["list_int32", "nested"])
    for layout in (found["list_int32"], found["nested"], found["nested"].content):
        assert layout.offsets.dtype == np.int64
        assert layout.offsets[0] == 0
        assert layout.offsets[-1] == len(layout.content)


def test_compact() -> None:
    inner = ak.contents.ListOffsetArray(
        ak.index.Index32(np.array([1, 2, 4, 5], np.int32)),
        ak.contents.NumpyArray(np.arange(9)),
    )
    outer = ak.contents.ListOffsetArray(ak.index.Index32(np.array([1, 1, 2], np.int32)), inner)
    found = compact(outer)
    assert ak.to_list(found) == ak.to_list(outer) == [[], [[2, 3]]]
    assert found.offsets.data.tolist() == [0, 0, 1]
    assert found.content.offsets.data.tolist() == [0, 2]
    assert found.content.content.data.tolist() == [2, 3]


def test_one_request_a_partition(
    noted: tuple[FileInfo, Layout], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[int] = []
    real = read_ranges

    def counting(url: str, ranges: Any, options: ReadOptions) -> Any:
        requests.append(len(ranges))
        return real(url, ranges, options)

    info, _ = noted
    names = ["float32", "list_float32", "nested", "array"]
    read(span_of(info, 0, 50, ()), names)
    monkeypatch.setattr(module, "read_ranges", counting)
    read(span_of(info, 0, 50, ()), names)
    assert len(requests) == 1


def test_schema_is_parsed_once_for_files_like_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[Any] = []

    def counting(model: Any) -> Any:
        parsed.append(model)
        return schema_of(model)

    monkeypatch.setattr(module, "_schemas", {})
    monkeypatch.setattr(module, "schema_of", counting)
    infos = [note_file(str(write(tmp_path / f"{i}.root", [3, i])), "Events")[0] for i in (4, 5)]
    for info in infos:
        read(span_of(info, 0, 5, ()), ["float32"])
    assert len(parsed) == 1
    assert infos[0].uuid != infos[1].uuid


# ----------------------------------------------------------------------------------- inspection


def test_what_is_noted(noted: tuple[FileInfo, Layout], path: Path) -> None:
    info, layout = noted
    assert (info.format, info.tree, info.entries) == ("RNTuple", "Events", 50)
    assert info.clusters == (0, 7, 8, 20, 50)
    assert info.file_bytes == path.stat().st_size
    assert info.index is None
    assert info.branch_memory["float32"] == 4 * 50
    assert info.branch_memory["array"] == 4 * 3 * 50
    assert set(info.branch_bytes) == {*layout.branches}
    with uproot.open(path) as file:
        ntuple = file["Events"]
        number = next(
            i
            for i, column in enumerate(ntuple.column_records)
            if ntuple.field_records[column.field_id].field_name == "float64"
        )
        pages = [page for links in ntuple.page_link_list for page in links[number].pages]
    assert info.branch_bytes["float64"] == sum(page.locator.num_bytes for page in pages) > 0
    assert layout.types["list_float32"] == "float[]"
    assert layout.types["array"] == "float[3]"
    assert layout.types["int32"] == "int32_t"


def test_no_entries(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mkrntuple("Events", {"x": "float32", "lists": "var * int32"})
    info, layout = note_file(str(tmp_path / "a.root"), "Events")
    assert (info.entries, info.clusters, layout.branches) == (0, (0,), ("lists", "x"))
    found, _ = read(span_of(info, 0, 0, ()), layout.branches)
    assert {name: str(one.form.type) for name, one in found.items()} == {
        "x": "float32",
        "lists": "var * int32",
    }


def test_name_of_the_ntuple(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", [3], name="Events")
    with pytest.raises(FileError, match="Did you mean 'Events'"):
        note_file(str(path), "Event")


# --------------------------------------------------------------------------- files that change


@pytest.fixture
def copy(path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(path, tmp_path / "copy.root"))


@pytest.fixture
def span(copy: Path) -> Span:
    return span_of(note_file(str(copy), "Events")[0], 0, 50, ())


def overwrite(file: Path, at: int, content: bytes) -> None:
    with file.open("r+b") as raw:
        raw.seek(at)
        raw.write(content)


def page_of(file: Path, name: str) -> tuple[int, int]:
    """Position and length of the last page of a field's numbers."""
    with uproot.open(file) as root:
        ntuple = root["Events"]
        number = next(
            i
            for i, column in enumerate(ntuple.column_records)
            if ntuple.field_records[column.field_id].field_name == name
        )
        locator = ntuple.page_link_list[-1][number].pages[-1].locator
    return locator.offset, locator.num_bytes


@pytest.mark.parametrize("opened", [True, False])
def test_replaced(opened: bool, span: Span, copy: Path, tmp_path: Path) -> None:
    if opened:
        read(span, ["float32"])
    shutil.copy(write(tmp_path / "other.root", [50]), copy)
    with pytest.raises(FileError, match=rf"{copy} was replaced since it was inspected"):
        read(span, ["float32"])


def test_replaced_behind_an_open_file(
    span: Span, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a server, where nothing but the content tells."""
    monkeypatch.setattr("lazyana.reader.trees.file_state", lambda url: None)
    read(span, ["float32"])
    shutil.copy(write(tmp_path / "other.root", [7, 1, 12, 30]), copy)
    with pytest.raises(FileError, match="was replaced since it was inspected"):
        read(span, ["float32"])


def test_replaced_by_a_ttree(span: Span, copy: Path) -> None:
    with uproot.recreate(copy) as file:
        file.mktree("Events", {"float32": np.float32})
    with pytest.raises(FileError, match="was replaced since it was inspected"):
        read(span, ["float32"])


def test_deleted(span: Span, copy: Path) -> None:
    copy.unlink()
    with pytest.raises(FileError, match=rf"no file {copy}"):
        read(span, ["float32"])


def test_cut_short(span: Span, copy: Path) -> None:
    copy.write_bytes(copy.read_bytes()[:-50])
    with pytest.raises(FileError, match=f"{copy} is cut short"):
        read(span, ["float32"])


@pytest.mark.parametrize("field", ["float64", "list_int32"])
def test_damaged_page(field: str, span: Span, copy: Path) -> None:
    at, size = page_of(copy, field)
    overwrite(copy, at + size // 2, b"\xa5\x5a\xa5")
    message = (
        rf"Branch '{field}', entries 0-50 of {re.escape(str(copy))}, cannot be read: .*damaged"
    )
    with pytest.raises(FileError, match=message):
        read(span, ["float32", field])
    assert len(read(span, ["float32"])[0]["float32"]) == 50


def test_checksum_of_a_page(real_data: Path, tmp_path: Path) -> None:
    """ROOT writes them, also where nothing is compressed."""
    copy = tmp_path / "copy.root"
    copy.write_bytes((real_data / "nanoaod" / "nano_dy_rntuple.root").read_bytes())
    info, _ = note_file(str(copy), "Events")
    at, size = page_of(copy, "event")
    overwrite(copy, at + size // 2, b"\xa5\x5a")
    with pytest.raises(FileError, match=r"Branch 'event'.*the checksum of a page is wrong"):
        read(span_of(info, 0, 40, ()), ["run", "event"])


def test_damaged_page_list(span: Span, copy: Path) -> None:
    with uproot.open(copy) as file:
        place = file["Events"].footer.cluster_group_records[-1].page_list_link.locator
    overwrite(copy, place.offset + 30, b"\xa5\x5a\xa5")
    with pytest.raises(FileError, match=rf"entries 0-50 of {copy}.*checksum"):
        read(span, ["float32"])
    with pytest.raises(FileError, match=rf"'Events' in {copy} cannot be read: .*checksum"):
        note_file(str(copy), "Events")


def test_damaged_footer(span: Span, copy: Path) -> None:
    with uproot.open(copy) as file:
        at = file["Events"].member("fSeekFooter")
    overwrite(copy, at + 40, b"\xa5\x5a\xa5")
    with pytest.raises(FileError, match=rf"'Events' of {copy} cannot be read: "):
        read(span, ["float32"])


def test_damaged_header(span: Span, copy: Path) -> None:
    with uproot.open(copy) as file:
        at = file["Events"].member("fSeekHeader")
    overwrite(copy, at + 40, b"\xa5\x5a\xa5")
    with pytest.raises(FileError, match=rf"'Events' of {copy} cannot be read: .*its header"):
        read(span, ["float32"])


def test_never_a_short_read(span: Span) -> None:
    with pytest.raises(FileError, match="it has 50 entries from 0 on"):
        read(replace(span, stop=60), ["float32"])


def test_field_that_is_not_there(span: Span) -> None:
    with pytest.raises(FileError, match=rf"Branch 'float31', entries 0-50 of {span.url}"):
        read(span, ["float31"])
