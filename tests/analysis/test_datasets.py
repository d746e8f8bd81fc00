from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lazyana.analysis.datasets import Filter, limited, load_datasets, sample_of, summary
from lazyana.errors import InputError

DY = {"sample": "DY", "year": "2018", "isMC": "True", "xsec": "6077.22", "part": ""}
DATA = {"sample": "DATA", "year": "2018", "isMC": "False", "era": "A", "primaryDataset": "Mu"}


def write(folder: Path, name: str, entries: dict[str, Any]) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def root_file(tmp_path: Path) -> str:
    path = tmp_path / "a.root"
    path.touch()
    return str(path)


def entry(file: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {"files": [file], "metadata": metadata}


def test_metadata_have_their_types(tmp_path: Path, root_file: str) -> None:
    metadata = {**DY, "nano_version": "9", "isSkim": "False", "sum_genweights": "12.5"}
    path = write(tmp_path, "dy", {"DY_2018": entry(root_file, metadata)})
    (dataset,) = load_datasets([path]).datasets
    assert sample_of(dataset) == "DY"
    assert dataset.is_mc is True
    typed = {"xsec": 6077.22, "nano_version": 9, "isSkim": False, "sum_genweights": 12.5}
    assert {key: dataset.metadata[key] for key in typed} == typed
    assert dataset.metadata["year"] == "2018"


def test_filters(tmp_path: Path, root_file: str) -> None:
    everything = {
        "DY_2018": entry(root_file, DY),
        "DY_2017": entry(root_file, {**DY, "year": "2017"}),
        "DATA_2018": entry(root_file, DATA),
    }
    path = write(tmp_path, "all", everything)

    def names(**chosen: Any) -> list[str]:
        return [one.name for one in load_datasets([path], Filter(**chosen)).datasets]

    assert names() == ["DY_2018", "DY_2017", "DATA_2018"]
    assert names(samples=("DY",), year=("2018",)) == ["DY_2018"]
    assert names(samples_exclude=("DATA",)) == ["DY_2018", "DY_2017"]
    assert names(samples=("D*",), datasets=("*_2018",)) == ["DY_2018", "DATA_2018"]
    with pytest.raises(InputError, match=r"'DATT'.*Did you mean 'DATA'"):
        names(samples=("DATT",))
    with pytest.raises(InputError, match=r"No dataset has the year '2016'"):
        names(year=("2016",))
    with pytest.raises(InputError, match="leaves no dataset"):
        names(samples=("DATA",), year=("2017",))


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"year": "2018", "isMC": "True"}, "no 'sample'"),
        ({"sample": "DY", "isMC": "True"}, "no 'year'"),
        ({"sample": "DY", "year": "2018"}, "whether it is simulation"),
        ({**DY, "xsec": "many"}, "xsec = 'many'"),
        ({**DY, "isSkim": "perhaps"}, "isSkim = 'perhaps'"),
    ],
)
def test_wrong_metadata(root_file: str, metadata: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_datasets([{"DY_2018": entry(root_file, metadata)}])


def test_two_cross_sections_contradict_each_other(root_file: str) -> None:
    one = {"DY_2018": entry(root_file, DY)}
    assert len(load_datasets([one, one]).datasets) == 1
    other = {"DY_2018": entry(root_file, {**DY, "xsec": "6000"})}
    with pytest.raises(InputError, match=r"'xsec' differ: 6077.22 and 6000.0"):
        load_datasets([one, other])


def test_no_filesets() -> None:
    with pytest.raises(InputError, match="datasets\\['jsons'\\]"):
        load_datasets([])


def test_limit_of_files(tmp_path: Path) -> None:
    files = [str(tmp_path / f"{i}.root") for i in range(3)]
    for file in files:
        Path(file).touch()
    fileset = load_datasets([{"DY_2018": {"files": files, "metadata": DY}}])
    assert [one.files for one in limited(fileset, 2).datasets] == [fileset.datasets[0].files[:2]]
    assert limited(fileset, None) is fileset
    with pytest.raises(InputError, match="at least 1"):
        limited(fileset, 0)


def test_summary(root_file: str) -> None:
    (row,) = summary(load_datasets([{"DATA_2018": entry(root_file, DATA)}]))
    assert row == {
        "dataset": "DATA_2018",
        "sample": "DATA",
        "year": "2018",
        "kind": "data",
        "files": 1,
    }
