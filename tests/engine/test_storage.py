from __future__ import annotations

import gc
import json
import os
import re
import stat
import struct
import weakref
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
import uhi.io.zip

from lazyana.engine import storage
from lazyana.engine.nesting import split
from lazyana.errors import FileError, InputTypeError, OutputExistsError
from lazyana.sinks.cutflow import Cutflow

DOCUMENT = Path(__file__).parents[2] / "docs" / "result-format.md"


def histogram(seed: int = 0) -> hist.Hist:
    made = hist.Hist(
        hist.axis.StrCategory(["DY", "tt"], name="dataset", overflow=False),
        hist.axis.Regular(30, 60, 120, name="mll"),
        storage="weight",
    )
    view = made.view(flow=True)
    random = np.random.default_rng(seed)
    view["value"], view["variance"] = random.random(view.shape), random.random(view.shape)
    return made


def cutflow() -> Cutflow:
    counts = np.array([[[5, 3, 1]]])
    return Cutflow(("DY",), ("all", "a", "b"), ("nominal",), counts, counts * 0.5, counts * 0.25)


def write(path: Path, outputs: Any, *, overwrite: bool = False) -> Path:
    nesting, values = split(outputs)
    return storage.write(path, nesting, values, {"report": {"tasks": 3}}, overwrite=overwrite)


def damage(path: Path, member: str) -> None:
    """Flip the bytes of one member."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
    data = bytearray(path.read_bytes())
    name, extra = struct.unpack_from("<HH", data, info.header_offset + 26)
    start = info.header_offset + 30 + name + extra
    for position in range(start, start + info.compress_size):
        data[position] ^= 0xFF
    path.write_bytes(data)


def rewrite(path: Path, change: dict[str, bytes | None]) -> None:
    """Replace members, or leave them out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, **change}.items():
            if content is not None:
                archive.writestr(name, content)


def test_outputs_come_back_in_their_nesting(tmp_path: Path) -> None:
    outputs = {"mll": histogram(), "regions": {"SR": [cutflow(), 1.5]}, "jets": (ak.Array([[1]]),)}
    path = write(tmp_path / "a.lazyana", outputs)
    nesting, stored, header = storage.read(path)
    assert nesting == split(outputs)[0]
    assert stored[0] == outputs["mll"]
    assert stored[2] == 1.5
    assert [stored.kind(i) for i in range(len(stored))] == ["hist", "cutflow", "values", "awkward"]
    assert header["report"] == {"tasks": 3}
    assert stored[-1].to_list() == [[1]]
    assert stored[1:3][1] == 1.5
    with pytest.raises(IndexError):
        stored[4]


def test_an_output_is_read_once(tmp_path: Path) -> None:
    _, stored, _ = storage.read(write(tmp_path / "a.lazyana", [histogram()]))
    assert stored[0] is stored[0]


def test_outputs_are_written_one_after_the_other(tmp_path: Path) -> None:
    made_so_far: list[weakref.ref[Any]] = []

    def made() -> Iterator[Any]:
        for number in range(4):
            one = histogram(number)
            made_so_far.append(weakref.ref(one))
            assert sum(other() is not None for other in made_so_far) <= 2
            yield one
            del one

    nesting, _ = split([0, 0, 0, 0])
    path = storage.write(tmp_path / "a.lazyana", nesting, made(), {}, kinds=["hist"] * 4)
    _, stored, _ = storage.read(path)
    assert [stored[i] for i in range(4)] == [histogram(i) for i in range(4)]
    assert stored.read_anew(1) is not stored.read_anew(1)
    assert stored.kind(3) == "hist"


def test_an_output_is_read_without_the_others(tmp_path: Path) -> None:
    path = write(tmp_path / "a.lazyana", {"a": histogram(1), "b": histogram(2), "c": cutflow()})
    with zipfile.ZipFile(path) as archive:
        others = [
            name for name in archive.namelist() if name.startswith(("outputs/0000", "outputs/0002"))
        ]
    for name in others:
        damage(path, name)
    _, stored, _ = storage.read(path)
    assert stored[1] == histogram(2)
    for index in (0, 2):
        with pytest.raises(FileError, match=r"a.lazyana.*outputs/000[02].*again"):
            stored[index]


def test_any_reader_of_uhi_reads_a_histogram(tmp_path: Path) -> None:
    path = write(tmp_path / "a.lazyana", {"mll": histogram()})
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        data = uhi.io.zip.read(archive, "outputs/0000_mll")
    assert data["storage"]["type"] == "weighted"
    assert np.array_equal(data["storage"]["values"], histogram().values(flow=True))


def test_names_of_members_are_safe(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.lazyana", {"../../etc": {"mu é\\:*": 1.0}, "x" * 300: 2.0, "..": 3.0}
    )
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            assert re.fullmatch(r"result\.json|outputs/\d{4}(_[\w.-]{1,80})?\.json", name, re.ASCII)
    _, stored, _ = storage.read(path)
    assert list(stored) == [1.0, 2.0, 3.0]


def test_an_existing_file_is_kept_unless_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.lazyana", [1.0])
    with pytest.raises(OutputExistsError, match=r"a\.lazyana exists already: .*overwrite=True"):
        write(path, [2.0])
    assert storage.read(path)[1][0] == 1.0
    write(path, [2.0], overwrite=True)
    assert storage.read(path)[1][0] == 2.0


def test_nothing_is_left_of_a_file_that_failed(tmp_path: Path) -> None:
    with pytest.raises(InputTypeError, match=r"Output 'bad/0': A object cannot be saved"):
        write(tmp_path / "a.lazyana", {"good": histogram(), "bad": [object()]})
    assert list(tmp_path.iterdir()) == []
    path = write(tmp_path / "a.lazyana", [1.0])
    with pytest.raises(InputTypeError, match=r"A object cannot be saved"):
        write(path, object(), overwrite=True)
    assert list(tmp_path.iterdir()) == [path]
    assert storage.read(path)[1][0] == 1.0


def test_an_interrupted_file_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def interrupted() -> None:
        with storage.written_whole(path) as temporary:
            temporary.write_text("half")
            assert not path.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def overtaken() -> None:
        with storage.written_whole(path) as temporary:
            temporary.write_text("mine")
            path.write_text("of another process")

    with pytest.raises(OutputExistsError):
        overtaken()
    assert path.read_text() == "of another process"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_directories_are_made_and_permissions_are_the_usual(tmp_path: Path) -> None:
    path = write(tmp_path / "deep" / "er" / "a.lazyana", [1.0])
    (tmp_path / "other").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"Cannot write .*Save it somewhere else"):
        write(tmp_path / "file" / "a.lazyana", [1.0])
    with pytest.raises(FileError, match=r"is a directory; give the name of a file"):
        write(tmp_path, [1.0], overwrite=True)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"There is no file .*nothing.lazyana; give the path"):
        storage.read(tmp_path / "nothing.lazyana")
    with pytest.raises(FileError, match=r"Cannot read"):
        storage.read(tmp_path)


def test_a_file_cut_short(tmp_path: Path) -> None:
    path = write(tmp_path / "a.lazyana", [histogram()])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FileError, match=r"a.lazyana is not a zip archive, or is cut short .* copy"):
        storage.read(path)


@pytest.mark.parametrize(
    "header",
    [None, b"[]", b'{"format": "other", "version": 1}', b'{"version": 1}'],
)
def test_a_zip_archive_that_is_no_result(tmp_path: Path, header: bytes | None) -> None:
    path = write(tmp_path / "a.zip", [1.0])
    rewrite(path, {"result.json": header})
    with pytest.raises(FileError, match=r"a.zip is not a lazyana result file"):
        storage.read(path)


@pytest.mark.parametrize(
    "header",
    [b"{", b'{"format": "lazyana-result"}', b'{"format": "lazyana-result", "version": 1}', b"\xff"],
)
def test_a_damaged_header(tmp_path: Path, header: bytes) -> None:
    path = write(tmp_path / "a.lazyana", [1.0])
    rewrite(path, {"result.json": header})
    with pytest.raises(FileError, match=r"cannot read member 'result.json'"):
        storage.read(path)


def test_a_newer_format_version(tmp_path: Path) -> None:
    path = write(tmp_path / "a.lazyana", [1.0])
    with zipfile.ZipFile(path) as archive:
        header = json.loads(archive.read("result.json"))
    assert header["version"] == storage.VERSION
    newer = {**header, "version": 99, "provenance": {"lazyana": "7.0"}, "outputs": "other"}
    rewrite(path, {"result.json": json.dumps(newer).encode()})
    with pytest.raises(FileError, match=r"version 99, written by lazyana 7.0.*Update lazyana"):
        storage.read(path)


def test_unknown_fields_are_ignored(tmp_path: Path) -> None:
    path = write(tmp_path / "a.lazyana", [1.0])
    with zipfile.ZipFile(path) as archive:
        header = json.loads(archive.read("result.json"))
    header["outputs"]["items"][0]["colour"] = "blue"
    rewrite(path, {"result.json": json.dumps({**header, "more": 1}).encode()})
    assert storage.read(path)[1][0] == 1.0


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("outputs/0000_mll.json", None),
        ("outputs/0000_mll_storage_values.npy", None),
        ("outputs/0000_mll_storage_values.npy", b"no array"),
        ("outputs/0000_mll.json", b"{}"),
        ("outputs/0001_sum.json", b'{"kind": "unheard of"}'),
        ("outputs/0001_sum.json", b"{"),
    ],
)
def test_a_missing_or_wrong_member(tmp_path: Path, member: str, content: bytes | None) -> None:
    path = write(tmp_path / "a.lazyana", {"mll": histogram(), "sum": 1.0})
    rewrite(path, {member: content})
    _, stored, _ = storage.read(path)
    with pytest.raises(FileError, match=rf"a.lazyana: cannot read member '{member[:15]}"):
        stored[int("sum" in member)]
    gc.collect()  # a file left open would be a warning here, which is an error


def test_another_file_in_its_place_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.lazyana", [1.0])
    _, stored, _ = storage.read(path)
    write(path, ["another"], overwrite=True)
    os.utime(path, (0, 0))
    with pytest.raises(FileError, match=r"has changed since it was loaded; load it again"):
        stored[0]
    path.unlink()
    with pytest.raises(FileError, match=r"There is no file"):
        stored[0]


def test_the_documentation_reads_a_file_without_lazyana(tmp_path: Path) -> None:
    outputs = {"mll": histogram(), "regions": {"SR": [cutflow()]}, "jets": ak.Array([[1.5], []])}
    scope: dict[str, Any] = {"path": write(tmp_path / "a.lazyana", outputs)}
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        assert "lazyana." not in block
        exec(block, scope)
    assert scope["histogram"] == histogram()
    assert scope["counts"].tolist() == [[[5, 3, 1]]]
    assert scope["jets"].to_list() == [[1.5], []]
    assert f"format version {storage.VERSION}" in DOCUMENT.read_text()
