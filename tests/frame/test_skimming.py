from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
import uproot

import lazyana as la
from lazyana.errors import InputError, InputTypeError, OutputExistsError
from lazyana.frame.skimming import Stored
from lazyana.sinks.hadd import merge_skims
from lazyana.sinks.skimfolder import Skim, open_skim


def selected(events: la.Events) -> la.Events:
    return events.filter(two=ak.num(events.Muon) >= 2)


def same_branch(original: Any, mask: Any, skims: list[Any], name: str) -> bool:
    before = original[name].array()[mask]
    after = ak.concatenate([tree[name].array() for tree in skims])
    if str(before.type) != str(after.type) and not name.startswith("n"):
        return False
    if before.ndim > 1 and ak.num(before).tolist() != ak.num(after).tolist():
        return False
    one, other = (np.asarray(ak.flatten(array, axis=None)) for array in (before, after))
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


@pytest.mark.parametrize("name", ["nano_dy.root", "nano_dimuon.root", "nano_tt_v12.root"])
def test_real_files_keep_every_bit(
    real_data: Path, tmp_path: Path, run: Callable[..., Any], name: str
) -> None:
    path = real_data / "nanoaod" / name
    events = la.open({"x": [path]})
    output = selected(events).skim(tmp_path / "skim")
    skim = run({"skim": output}, partition_size=80)["skim"]
    original = uproot.open(path)["Events"]
    mask = original["nMuon"].array(library="np") >= 2
    trees = [uproot.open(file)["Events"] for file in skim.files["x"]]
    assert skim.events == {"x": int(mask.sum())}
    assert skim.manifest["left_out"] == []
    counters = {one.count_branch.name for one in original.branches if one.count_branch is not None}
    kept = [one.name for one in original.branches if one.name in trees[0]]
    assert {one.name for one in original.branches} - set(kept) <= counters
    assert [one for one in kept if not same_branch(original, mask, trees, one)] == []
    assert trees[0]["Muon_pt"].title == original["Muon_pt"].title
    assert trees[0]["nMuon"].typename == original["nMuon"].typename
    assert la.open(skim.fileset).entries == mask.sum()


def normalised(fileset: Any, run: Callable[..., Any], size: int) -> Any:
    """Histogram of simulation, each dataset divided by its sum of weights."""
    catalog = la.inspect(fileset)
    sums = {
        dataset.name: sum(file.sum_weights or 0.0 for file in catalog.files[dataset.name])
        for dataset in catalog.fileset.datasets
    }
    events = la.open(fileset)
    events = selected(events).weight("gen", lambda e: e.genWeight)
    events = events.weight("norm", lambda e: e.dataset.map({k: 1 / v for k, v in sums.items()}))
    axis = hist.axis.Regular(20, 0, 200, name="pt")
    made = run({"h": events.hist(axis, pt=events.Muon.pt[:, 0])}, partition_size=size)["h"]
    return made, sums


@pytest.mark.parametrize("merged", [False, True])
def test_a_skim_gives_the_same_normalised_histograms(
    toy_files: dict[str, Any], tmp_path: Path, run: Callable[..., Any], merged: bool
) -> None:
    fileset = {name: toy_files[name] for name in ("DYJetsToLL", "TTTo2L2Nu")}
    before, sums = normalised(fileset, run, 300)
    loose = la.open(fileset).filter(one=lambda e: ak.num(e.Muon) >= 1)
    skim = run({"skim": loose.skim(tmp_path / "skim", keep="Muon")}, partition_size=130)["skim"]
    assert skim.events["DYJetsToLL"] < sum(
        uproot.open(path)["Events"].num_entries for path in fileset["DYJetsToLL"]["files"]
    )
    # and a skim of the skim, of which some partitions leave nothing
    tight = la.open(skim.fileset).filter(two=lambda e: ak.num(e.Muon) >= 2)
    again = run({"skim": tight.skim(tmp_path / "again")}, partition_size=40)["skim"]
    files = again.fileset
    if merged:
        for name in files:
            found = merge_skims(again.files[name], tmp_path / "merged", name=name, max_files=4)
            files[name]["files"] = {one.path: "Events" for one in found}
    after, new_sums = normalised(files, run, 300)
    assert again.events["TTTo2L2Nu"] > 0
    for name, value in sums.items():
        assert new_sums[name] == pytest.approx(value, rel=1e-12)
        assert again.summary(name)["sumw"] == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(after.values(), before.values(), rtol=1e-12)
    np.testing.assert_allclose(after.variances(), before.variances(), rtol=1e-12)
    assert before.sum().value != 0


def test_data_keep_their_luminosity_sections(
    toy_files: dict[str, Any], tmp_path: Path, run: Callable[..., Any]
) -> None:
    name = next(one for one in toy_files if one not in ("DYJetsToLL", "TTTo2L2Nu"))
    events = la.open({name: toy_files[name]})
    assert not events.is_mc
    skim = run(events.filter(none=events.event < 0).skim(tmp_path / "skim"))
    skim = skim.value
    assert skim.events == {name: 0}
    assert skim.summary(name)["sumw"] is None

    def sections(fileset: Any) -> set[tuple[int, int]]:
        files = la.inspect(fileset, lumis=True).files[name]
        return {pair for file in files for pair in file.lumis or ()}

    assert sections(skim.fileset) == sections({name: toy_files[name]}) != set()


def test_one_partition_of_several_files(
    toy_files: dict[str, Any], tmp_path: Path, run: Callable[..., Any]
) -> None:
    events = la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})
    skim = run({"skim": events.skim(tmp_path / "skim")}, partition_size=10**6)["skim"]
    (path,) = skim.files["DYJetsToLL"]
    originals = [uproot.open(file) for file in toy_files["DYJetsToLL"]["files"]]
    root = uproot.open(path)
    assert root["Events"].num_entries == sum(file["Events"].num_entries for file in originals)
    for branch in ("genEventSumw", "genEventCount"):
        expected = np.concatenate([file["Runs"][branch].array() for file in originals])
        assert root["Runs"][branch].array().tolist() == expected.tolist()


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_any_executor(dy: la.Events, tmp_path: Path, executor: str) -> None:
    output = selected(dy).skim(tmp_path / "skim", keep=["Muon", "HLT_*"])
    skim = la.compute(output, executor=executor, workers=2, partition_size=100).value
    assert open_skim(skim.path).events == skim.events


def test_keep_and_drop(dy: la.Events, tmp_path: Path, run: Callable[..., Any]) -> None:
    skim = run(dy.skim(tmp_path / "a", keep=["Muon", "MET_*", "nJet"], drop="*_phi")).value
    names = set(uproot.open(skim.files["DYJetsToLL"][0])["Events"].keys())
    assert {"run", "luminosityBlock", "event", "genWeight", "nMuon", "Muon_pt", "MET_pt"} <= names
    assert not {"Muon_phi", "Jet_pt", "nJet"} & names
    skim = run(dy.skim(tmp_path / "b", keep="MET", drop=["genWeight"])).value
    names = set(uproot.open(skim.files["DYJetsToLL"][0])["Events"].keys())
    assert names - {name for name in names if name.startswith("MET_")} == {
        "run",
        "luminosityBlock",
        "event",
    }


def test_what_is_defined_is_not_written(
    dy: la.Events, tmp_path: Path, run: Callable[..., Any]
) -> None:
    shifted = ak.with_field(dy.Jet, dy.Jet.pt * 2, "pt")
    events = dy.define(Jet=shifted, new=lambda e: ak.num(e.Jet))
    events = events.vary("jes", {"Jet": {"up": shifted}}).weight("w", 2.0, up=3.0)
    events = events.filter(hard=lambda e: ak.sum(e.Jet.pt, axis=1) > 100)
    skim = run({"skim": events.skim(tmp_path / "skim", keep="Jet")})["skim"]
    plain = dy.filter(hard=lambda e: 2 * ak.sum(e.Jet.pt, axis=1) > 100)
    want = run(plain.columns({"pt": plain.Jet.pt})).value.to_awkward("DYJetsToLL").pt
    found = ak.concatenate(
        [uproot.open(path)["Events"]["Jet_pt"].array() for path in skim.files["DYJetsToLL"]]
    )
    assert found.tolist() == want.tolist()
    assert len(found)


def test_only_what_is_kept_is_read(dy: la.Events, tmp_path: Path) -> None:
    group = la.explain(selected(dy).skim(tmp_path / "skim", keep="Muon")).groups[0]
    read = group.stages["released"].read
    assert read is not None
    names = {"run", "luminosityBlock", "event", "genWeight"}
    assert {one for one in read.branches if not one.startswith(("Muon_", "nMuon"))} == names


def test_files_that_differ(
    tmp_path: Path, toy_files: dict[str, Any], run: Callable[..., Any]
) -> None:
    first, second = (Path(path) for path in toy_files["DYJetsToLL"]["files"])
    whole = la.open({"DY": [first]})
    skim = run(whole.skim(tmp_path / "few", drop="HLT_IsoMu24")).value
    files = {"DY": [*skim.files["DY"], str(second)]}
    mixed = la.open(files, missing="none")
    found = run({"skim": mixed.skim(tmp_path / "mixed")}, partition_size=10**6)
    trees = [uproot.open(path)["Events"] for path in found["skim"].files["DY"]]
    total = sum(uproot.open(path)["Events"].num_entries for path in files["DY"])
    assert sum(tree.num_entries for tree in trees) == total
    apart = mixed.skim(tmp_path / "apart", keep=["Muon", "HLT_*"])
    apart = run({"skim": apart}, partition_size=50)["skim"]
    there = ["HLT_IsoMu24" in uproot.open(path)["Events"] for path in apart.files["DY"]]
    assert any(there)
    assert not all(there)


def test_mistakes(dy: la.Events, tmp_path: Path, run: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"keep='Moun' .*Did you mean 'Muon'"):
        dy.skim(tmp_path / "skim", keep="Moun")
    with pytest.raises(InputError, match="fits no branch"):
        dy.skim(tmp_path / "skim", drop=["Mu0n_*"])
    with pytest.raises(InputError, match="No branch is left"):
        dy.skim(tmp_path / "skim", drop="*")
    with pytest.raises(InputTypeError, match="patterns"):
        dy.skim(tmp_path / "skim", keep=3)  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match="Did you mean 'overwrite'"):
        dy.skim(tmp_path / "skim", overwite=True)
    with pytest.raises(InputTypeError, match="path of the skim"):
        dy.skim(["Muon"])
    output = dy.skim(tmp_path / "skim", keep="MET")
    run(output)
    with pytest.raises(OutputExistsError, match="holds skims"):
        run(output)
    run(dy.skim(tmp_path / "skim", keep="MET", overwrite=True))
    with pytest.raises(InputError, match="both write to"):
        run([output, dy.skim(tmp_path / "skim")])


def test_saved_with_a_result(dy: la.Events, tmp_path: Path, run: Callable[..., Any]) -> None:
    result = run({"skim": dy.skim(tmp_path / "skim", keep="MET"), "n": dy.sum()})
    result.save(tmp_path / "result.zip")
    again = la.load(tmp_path / "result.zip")["skim"]
    assert isinstance(again, Skim)
    assert again == result["skim"]
    assert again.provenance["lazyana"]


def test_stored_branches(dy: la.Events) -> None:
    stored = Stored.of(dy._group.blueprint)
    names = [branch.name for branch, _ in stored.branches]
    assert names == sorted(names)
    assert "nMuon" in stored.counters
    assert "nMuon" not in names
    assert set(names) | stored.counters == set(dy._group.blueprint.layout.branches)


def test_several_groups_make_one_skim(
    toy_files: dict[str, Any], tmp_path: Path, run: Callable[..., Any]
) -> None:
    made = la.apply(lambda e: {"skim": selected(e).skim(tmp_path / "skim")}, toy_files)
    skim = run(made, partition_size=300)["skim"]
    assert set(skim.datasets) == set(toy_files)
    for name, files in skim.files.items():
        mask = [uproot.open(p)["Events"]["nMuon"].array() >= 2 for p in toy_files[name]["files"]]
        assert skim.events[name] == ak.sum(ak.concatenate(mask))
        simulated = "genWeight" in uproot.open(files[0])["Events"]
        assert (skim.summary(name)["sumw"] is not None) == simulated
        assert skim.fileset[name]["metadata"] == toy_files[name]["metadata"]


def hard(events: la.Events, scale: float) -> la.Events:
    """Events of hard jets, whose energy varies by a factor."""
    shifted = {"up": events.Jet.pt * scale, "down": events.Jet.pt / scale}
    events = events.vary("jes", {"Jet.pt": shifted})
    events = events.filter(some=ak.num(events.Jet) >= 1)
    return events.filter(hard=lambda e: ak.sum(e.Jet.pt, axis=1) > 100)


def test_events_of_any_variation(dy: la.Events, tmp_path: Path, run: Callable[..., Any]) -> None:
    axis = hist.axis.Regular(20, 100, 400, name="ht")

    def booked(events: la.Events) -> Any:
        return hard(events, 1.3).hist(axis, ht=lambda e: ak.sum(e.Jet.pt, axis=1))

    outputs = {
        "skim": hard(dy, 1.3).skim(tmp_path / "skim", keep="Jet", any_variation=True),
        "nominal": hard(dy, 1.3).skim(tmp_path / "nominal", keep="Jet"),
        "h": booked(dy),
    }
    made = run(outputs, partition_size=100)
    name = "DYJetsToLL"
    trees = [uproot.open(path)["Events"] for path in made["skim"].files[name]]
    originals = [uproot.open(path)["Events"] for path in dict(dy._group.datasets[0].files)]
    jets = ak.concatenate([tree["Jet_pt"].array() for tree in originals])
    numbers = np.concatenate([tree["event"].array(library="np") for tree in originals])
    in_any = sum((ak.sum(jets * f, axis=1) > 100 for f in (1.0, 1.3, 1 / 1.3)), np.zeros(1)) > 0
    found = np.concatenate([tree["event"].array(library="np") for tree in trees])
    assert found.tolist() == numbers[np.asarray(in_any)].tolist()
    assert 0 < made["nominal"].events[name] < len(found) < len(numbers)
    after = run({"h": booked(la.open(made["skim"].fileset))})["h"]
    assert set(after.axes["variation"]) == {"nominal", "jesUp", "jesDown"}
    np.testing.assert_array_equal(after.values(flow=True), made["h"].values(flow=True))
    assert len({float(after[{"variation": n}].sum().value) for n in after.axes["variation"]}) == 3


def test_any_variation_where_nothing_varies(
    dy: la.Events, tmp_path: Path, run: Callable[..., Any]
) -> None:
    output = selected(dy).skim(tmp_path / "skim", keep="MET", any_variation=True)
    same = selected(dy).skim(tmp_path / "same", keep="MET")
    made = run({"one": output, "other": same})
    assert made["one"].events == made["other"].events


def test_each_file_tells_what_it_stands_for(
    dy: la.Events, tmp_path: Path, run: Callable[..., Any]
) -> None:
    skim = run({"skim": selected(dy).skim(tmp_path / "a", keep="Muon")}, partition_size=150)["skim"]
    events = la.open(skim.fileset)
    again = events.filter(mine=ak.any(events.Muon.pt > 40, axis=1))
    outputs = {"skim": again.skim(tmp_path / "b", keep="Muon"), "none": again.sum(again.genWeight)}
    again = run(outputs, partition_size=40)["skim"]
    for one in (skim, again):
        for path, file in zip(
            one.files["DYJetsToLL"], one.summary("DYJetsToLL")["files"], strict=True
        ):
            tree = uproot.open(path)["Events"]
            weights = tree["genWeight"].array(library="np").astype(float)
            stands_for = (tree["skimRescaleGenWeight"].array(library="np") * weights).sum()
            assert file["sumw_kept"] == pytest.approx(weights.sum(), rel=1e-12)
            if file["events"]:
                assert stands_for == pytest.approx(file["sumw"], rel=1e-12)
    no_weight = run(dy.skim(tmp_path / "c", keep="MET", drop="genWeight")).value
    assert "skimRescaleGenWeight" not in uproot.open(no_weight.files["DYJetsToLL"][0])["Events"]


def test_skims_of_pocketcoffea_keep_what_they_stand_for(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    weights = np.array([1.0, -0.5, 2.0, 4.0], np.float32)
    with uproot.recreate(tmp_path / "theirs.root") as file:
        columns = {
            "genWeight": weights,
            "skimRescaleGenWeight": np.full(4, 2.5),
            "event": np.arange(4, dtype=np.uint64),
        }
        file.mktree("Events", {name: one.dtype for name, one in columns.items()})
        file["Events"].extend(columns)
    events = la.open({"DY": [tmp_path / "theirs.root"]})
    made = run({"skim": events.filter(two=events.event > 1).skim(tmp_path / "skim")})["skim"]
    assert made.summary("DY")["sumw"] == 2.5 * weights.sum()
    assert made.summary("DY")["sum_signs"] is None
    (path,) = made.files["DY"]
    assert (
        uproot.open(path)["Events"]["skimRescaleGenWeight"].array().tolist() == [6.5 * 2.5 / 6] * 2
    )
