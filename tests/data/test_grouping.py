"""Grouping: which files share a program, and what they have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from lazyana.data.catalog import Catalog, Unreadable
from lazyana.data.grouping import Members, differences, groups_of, simulated
from lazyana.data.inspect import inspect
from lazyana.errors import InputError

GEN = {"genWeight": np.float32}


def write(path: Path, events: int = 5, **branches: Any) -> str:
    """A small file; besides `x` it has the branches named."""
    types = {"x": np.float32, **branches}
    with uproot.recreate(path) as file:
        tree = file.mktree("Events", types)
        tree.extend({name: np.ones(events, kind) for name, kind in types.items()})
    return str(path)


def shown(groups: tuple[Members, ...]) -> list[dict[str, list[str]]]:
    """The files of each group by dataset, without their folders."""
    return [
        {d.name: [Path(f.url).stem for f in one.catalog.files[d.name]] for d in one.datasets}
        for one in groups
    ]


@pytest.fixture
def mixed(tmp_path: Path) -> Catalog:
    """Two datasets in files of three forms, which are compatible."""
    plain = [write(tmp_path / f"p{n}.root") for n in range(2)]
    more = [write(tmp_path / f"m{n}.root", a=np.int32) for n in range(2)]
    other = write(tmp_path / "o.root", b=bool)
    return inspect({"A": [plain[0], more[0], plain[1]], "B": [other, more[1]]})


def test_files_of_different_branches_are_of_different_groups(mixed: Catalog) -> None:
    groups = groups_of(mixed, ())
    assert shown(groups) == [{"A": ["p0", "p1"]}, {"A": ["m0"], "B": ["m1"]}, {"B": ["o"]}]
    assert [one.layout.branches for one in groups] == [("x",), ("a", "x"), ("b", "x")]
    assert [one.gaps for one in groups] == [(), (), ()]
    assert all(one.catalog.fileset is mixed.fileset for one in groups)


def test_compatible_files_are_put_together(mixed: Catalog) -> None:
    (one,) = groups_of(mixed, (), unite=True)
    assert shown((one,)) == [{"A": ["p0", "m0", "p1"], "B": ["o", "m1"]}]
    assert one.layout.branches == ("a", "b", "x")
    lacking = {Path(gap.files[0]).stem: (set(gap.branches), gap.number) for gap in one.gaps}
    assert lacking == {"p0": ({"a", "b"}, 2), "m0": ({"b"}, 2), "o": ({"a"}, 1)}


def test_alike_files_have_no_gaps(tmp_path: Path) -> None:
    files = [write(tmp_path / "1.root", a=bool, b=bool), write(tmp_path / "2.root", b=bool, a=bool)]
    catalog = inspect(files)
    (one,) = groups_of(catalog, (), unite=True)
    assert one.gaps == ()
    assert one.layout in catalog.layouts.values()


def test_branches_of_different_types_stay_apart(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "1.root", n=np.int32),
        write(tmp_path / "2.root", n=np.uint32, a=bool),
        write(tmp_path / "3.root", b=bool),
        write(tmp_path / "4.root", n=np.uint32),
    ]
    one, other = groups_of(inspect({"A": files}), (), unite=True)
    assert shown((one, other)) == [{"A": ["1", "3"]}, {"A": ["2", "4"]}]
    assert differences(one.layout, other.layout) == "n (int32_t or uint32_t)"


def test_differences_are_counted(tmp_path: Path) -> None:
    many = {f"b{n}": np.int32 for n in range(9)}
    catalog = inspect([write(tmp_path / "1.root"), write(tmp_path / "2.root", **many)])
    one, other = catalog.layouts.values()
    assert differences(one, other) == "b0, b1, b2, b3, b4 and 4 more"
    assert differences(one, one) == "branches that hold no numbers"


# -------------------------------------------------------------------------------- files of no help


def test_files_without_events_say_nothing(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "e.root", events=0, y=bool),
        write(tmp_path / "1.root", **GEN),
        write(tmp_path / "2.root", a=bool, **GEN),
    ]
    for unite, expected in (
        (False, [{"A": ["e", "1"]}, {"A": ["2"]}]),
        (True, [{"A": ["e", "1", "2"]}]),
    ):
        groups = groups_of(inspect({"A": files}), (), unite=unite)
        assert shown(groups) == expected
        assert all(one.is_mc for one in groups)
        assert "y" not in {name for one in groups for name in one.layout.branches}
    (only,) = groups_of(inspect({"A": files[:1]}), ())
    assert only.layout.branches == ("x", "y")


def test_unreadable_files_count_once(mixed: Catalog) -> None:
    bad = (Unreadable("bad.root", "is broken"),)
    catalog = Catalog(mixed.fileset, mixed.files, mixed.layouts, {"A": bad, "B": bad})
    groups = groups_of(catalog, ())
    assert [dict(one.catalog.unreadable) for one in groups] == [{"A": bad}, {"B": bad}, {}]


def test_dataset_without_a_readable_file(mixed: Catalog) -> None:
    catalog = Catalog(mixed.fileset, {**mixed.files, "B": ()}, mixed.layouts)
    assert [[d.name for d in one.datasets] for one in groups_of(catalog, ())] == [["A"], ["A"]]
    nothing = Catalog(mixed.fileset, {"A": (), "B": ()}, mixed.layouts)
    assert groups_of(nothing, ()) == ()


# ------------------------------------------------------------------------------- kinds and metadata


def test_groups_are_of_one_kind_and_of_the_same_metadata(tmp_path: Path) -> None:
    mc = [write(tmp_path / f"mc{n}.root", **GEN) for n in range(3)]
    data = write(tmp_path / "data.root")
    fileset = {
        "DY": {"files": mc[0], "metadata": {"year": 2018}},
        "data": {"files": data, "metadata": {"year": "2018"}},
        "TT": {"files": mc[1], "metadata": {"year": "2018"}},
        "DY17": {"files": mc[2], "metadata": {"year": 2017}},
        "embedded": {"files": mc[2], "metadata": {"year": 2018, "is_mc": False}},
    }
    catalog = inspect(fileset)

    def names(*keys: str, unite: bool = False) -> list[list[str]]:
        return [[d.name for d in one.datasets] for one in groups_of(catalog, keys, unite=unite)]

    assert names("year") == [["DY", "TT"], ["data"], ["DY17"], ["embedded"]]
    assert names() == [["DY", "TT", "DY17"], ["data"], ["embedded"]]
    assert names(unite=True) == [["DY", "TT", "DY17"], ["data", "embedded"]]
    assert [one.is_mc for one in groups_of(catalog, ())] == [True, False, False]


def test_data_and_simulation_in_one_dataset(tmp_path: Path) -> None:
    files = [write(tmp_path / "mc.root", **GEN), write(tmp_path / "data.root")]
    message = r"'A' is both simulation \(.*mc\.root\) and data \(.*data\.root.*set is_mc"
    with pytest.raises(InputError, match=message):
        groups_of(inspect({"A": files}), ())
    for is_mc in (True, False):
        catalog = inspect({"A": {"files": files, "metadata": {"is_mc": is_mc}}})
        (one,) = groups_of(catalog, (), unite=True)
        assert one.is_mc is is_mc


def test_simulation_without_generator(tmp_path: Path) -> None:
    file = write(tmp_path / "a.root")
    catalog = inspect({"DY": {"files": file, "metadata": {"is_mc": True}}})
    (layout,) = catalog.layouts.values()
    message = r"'DY' is called simulation.*no genWeight branch"
    with pytest.raises(InputError, match=message):
        simulated(catalog.fileset["DY"], layout)
    with pytest.raises(InputError, match=message):
        groups_of(catalog, ())
