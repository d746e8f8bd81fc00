"""Places of correction files: searched when a parameter is read, in a fixed order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError

from lazyana.analysis import resolvers
from lazyana.analysis.resolvers import (
    CorrectionFile,
    GoldenJson,
    correction_folders,
    find_correction,
    register_configuration_dir,
    register_resolvers,
)
from lazyana.errors import FileError, InputError

PILEUP = CorrectionFile("LUM", "Run2-2018-UL-NanoAODv9", "puWeights.json.gz", "2021-09-10")
GOLDEN = GoldenJson("Collisions18/13TeV/Legacy_2018", "Cert_2018.txt")


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but what a test puts there, also where CVMFS is mounted."""
    register_resolvers()
    monkeypatch.delenv(resolvers.FOLDERS, raising=False)
    monkeypatch.setattr(resolvers, "CVMFS", tmp_path / "cvmfs")
    monkeypatch.setattr(resolvers, "CERTIFICATION", tmp_path / "eos")


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def use(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    monkeypatch.setenv(resolvers.FOLDERS, os.pathsep.join(map(str, folders)))


def test_the_nearest_place_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = Path("LUM", "Run2-2018-UL-NanoAODv9")
    use(monkeypatch, tmp_path / "one", tmp_path / "two")
    places = [
        tmp_path / "cvmfs" / inside / "2021-09-10" / "puWeights.json.gz",
        tmp_path / "two" / inside / "puWeights.json.gz",
        tmp_path / "two" / inside / "2021-09-10" / "puWeights.json.gz",
        tmp_path / "one" / inside / "puWeights.json.gz",
    ]
    for place in places:
        put(place)
        assert find_correction(PILEUP) == place
    own = put(tmp_path / "mine.json")
    assert find_correction(PILEUP, {PILEUP.key: own}) == own
    assert find_correction(PILEUP, {"LUM/other/puWeights.json.gz": own}) == places[-1]


def test_folders_are_separated_as_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    assert correction_folders() == []
    monkeypatch.setenv(resolvers.FOLDERS, os.pathsep.join(["/a", "", "~/b"]))
    assert correction_folders() == [Path("/a"), Path.home() / "b"]


def test_another_version_is_never_taken_instead(tmp_path: Path) -> None:
    folder = tmp_path / "cvmfs" / "LUM" / "Run2-2018-UL-NanoAODv9"
    put(folder / "2024-01-01" / "puWeights.json.gz")
    put(folder / "latest" / "puWeights.json.gz")
    with pytest.raises(FileError, match=r"there is 2024-01-01, latest"):
        find_correction(PILEUP)
    newest = CorrectionFile(PILEUP.pog, PILEUP.period, PILEUP.name)
    assert find_correction(newest) == folder / "latest" / "puWeights.json.gz"


def test_error_lists_the_places_and_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, tmp_path / "one")
    with pytest.raises(FileError) as caught:
        find_correction(PILEUP)
    message = str(caught.value)
    assert "LUM/Run2-2018-UL-NanoAODv9/puWeights.json.gz of 2021-09-10" in message
    for place in PILEUP.places():
        assert f"\n  {place}\n" in message
    assert "CVMFS" in message
    assert "LAZYANA_CORRECTIONS" in message
    assert "correction_files" in message


def test_named_file_that_is_missing_is_not_searched_for(tmp_path: Path) -> None:
    put(next(PILEUP.places()))
    with pytest.raises(FileError, match=r"which the parameter correction_files names"):
        find_correction(PILEUP, {PILEUP.key: tmp_path / "gone.json"})


def test_folder_that_cannot_be_looked_into_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a path component that is too long is an OSError of the system, whoever runs this
    use(monkeypatch, tmp_path / ("x" * 5000), tmp_path / "two")
    place = put(tmp_path / "two" / "LUM" / PILEUP.period / PILEUP.name)
    assert find_correction(PILEUP) == place


def test_golden_json_is_found_in_its_own_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, tmp_path / "one")
    with pytest.raises(FileError, match=r"Download it from https://.*/Legacy_2018/Cert_2018.txt"):
        find_correction(GOLDEN)
    for place in (
        tmp_path / "eos" / "Collisions18/13TeV/Legacy_2018/Cert_2018.txt",
        tmp_path / "cvmfs" / "DC" / "Collisions18" / "latest" / "Cert_2018.txt",
        tmp_path / "one" / "Cert_2018.txt",
        tmp_path / "one" / "DC" / "Collisions18" / "Cert_2018.txt",
    ):
        put(place)
        assert find_correction(GOLDEN) == place


def test_parameters_are_resolved_when_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = OmegaConf.create(
        {
            "pileup": "${cvmfs:Run2-2018-UL-NanoAODv9,LUM,puWeights.json.gz,2021-09-10}",
            "newest": "${cvmfs:Run2-2018-UL-NanoAODv9,LUM,puWeights.json.gz}",
            "golden": "${golden_json:Collisions18/13TeV/Legacy_2018,Cert_2018.txt}",
        }
    )
    with pytest.raises(InterpolationResolutionError, match="No correction file"):
        parameters.pileup  # noqa: B018  (asking raises)
    use(monkeypatch, tmp_path)
    folder = tmp_path / "LUM" / "Run2-2018-UL-NanoAODv9"
    pinned = put(folder / "2021-09-10" / "puWeights.json.gz")
    newest = put(folder / "latest" / "puWeights.json.gz")
    golden = put(tmp_path / "Cert_2018.txt")
    found = OmegaConf.to_container(parameters, resolve=True)
    assert found == {"pileup": str(pinned), "newest": str(newest), "golden": str(golden)}


def test_parameters_name_single_files(tmp_path: Path) -> None:
    own, golden = put(tmp_path / "mine.json"), put(tmp_path / "mine.txt")
    files = {PILEUP.key: str(own), GOLDEN.key: str(golden)}
    parameters = OmegaConf.create(
        {
            "deep": {"pileup": "${cvmfs:Run2-2018-UL-NanoAODv9,LUM,puWeights.json.gz,2021-09-10}"},
            "golden": "${golden_json:Collisions18/13TeV/Legacy_2018,Cert_2018.txt}",
            "correction_files": files,
        }
    )
    assert parameters.deep.pileup == str(own)
    assert parameters.golden == str(golden)
    parameters.correction_files = "mine.json"
    with pytest.raises(InterpolationResolutionError, match="must map names of correction files"):
        parameters.golden  # noqa: B018  (asking raises)


def test_folders_and_units() -> None:
    parameters = OmegaConf.create(
        {
            "lumi": 59832.0,
            "fb": "${pico_to_femto:${lumi}}",
            "ours": "${default_params_dir:}/lumi.yaml",
            "same": "${default_params_dir:lumi.yaml}",
        }
    )
    assert parameters.fb == pytest.approx(59.832)
    assert parameters.ours == parameters.same
    assert Path(parameters.ours).is_file()


def test_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    register_configuration_dir("my_folder", "params")
    parameters = OmegaConf.create({"one": "${my_folder:}/a.json", "two": "${my_folder:a.json}"})
    monkeypatch.chdir("/")
    assert parameters.one == parameters.two == str(tmp_path / "params" / "a.json")
    register_configuration_dir("my_folder", tmp_path / "other")
    assert parameters.one == str(tmp_path / "other" / "a.json")


@pytest.mark.parametrize("key", ["cvmfs", "golden_json", "default_params_dir", "my folder", "a.b"])
def test_own_folder_needs_a_name_of_its_own(key: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=key):
        register_configuration_dir(key, tmp_path)
