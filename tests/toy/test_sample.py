"""The embedded sample: reproducible, laid out as NanoAOD and readable by coffea."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyana.errors import InputError, OutputExistsError
from lazyana.toy import sample as toy
from lazyana.toy.padding import names

SIMULATED = ("DYJetsToLL", "TTTo2L2Nu")


@cache
def _opened(path: str) -> ak.Array:
    factory = NanoEventsFactory.from_root(
        {path: "Events"}, schemaclass=NanoAODSchema, mode="virtual"
    )
    return factory.events()


def nano(sample: dict[str, Any], name: str) -> ak.Array:
    """The events of a one-file dataset as coffea shows them."""
    (path,) = sample[name]["files"]
    return _opened(path)


# ---------------------------------------------------------------- the same events every time


def test_same_seed_same_events_other_seed_others() -> None:
    one, two, other = (toy.events("TTTo2L2Nu", 0, 200, seed=s) for s in (3, 3, 4))
    assert ak.array_equal(one, two, equal_nan=True)
    assert one.Muon.pt.to_list() != other.Muon.pt.to_list()


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(sorted(toy.DATASETS)), st.integers(0, 6_000), st.integers(0, 1_500))
def test_any_range_is_a_slice_of_the_whole(process: str, start: int, size: int) -> None:
    stop = start + size
    whole = toy.events(process, 0, stop)
    part = toy.events(process, start, stop)
    kept = (whole["event"] > start) & (whole["event"] <= stop)
    assert ak.array_equal(part, whole[kept], equal_nan=True)


@pytest.mark.parametrize("process", ["TTTo2L2Nu", "SingleMuon"])
def test_files_and_clusters_do_not_change_events(process: str, tmp_path: Path) -> None:
    one = toy.write_dataset(tmp_path / "one", process, events=700)
    many = toy.write_dataset(tmp_path / "many", process, events=700, files=2, cluster_events=150)
    assert [path.name for path in many] == [f"{process}_{n}.root" for n in range(2)]
    branches = ["event", "Muon_pt", "Jet_btagDeepFlavB", "MET_phi", "HLT_IsoMu24", "nJet"]
    first, second = (
        uproot.concatenate(dict.fromkeys(paths, "Events"), branches) for paths in (one, many)
    )
    assert ak.array_equal(first, second)


def test_written_is_what_events_gives(sample: dict[str, Any]) -> None:
    (path,) = sample["TTTo2L2Nu"]["files"]
    direct = toy.events("TTTo2L2Nu", 0, 2_400)
    with uproot.open(path) as file:
        tree = file["Events"]
        for name in direct.fields:
            column = direct[name]
            for field in column.fields or [""]:
                read = tree[f"{name}_{field}" if field else name].array()
                assert ak.array_equal(read, column[field] if field else column), (name, field)


def test_clusters_are_baskets(sample: dict[str, Any]) -> None:
    (path,) = sample["DYJetsToLL"]["files"]
    with uproot.open(path) as file:
        for name in ("run", "nMuon", "Muon_pt", "HLT_IsoMu24", "LHEPdfWeight"):
            assert file["Events"][name].entry_offsets == [0, 4_000, 8_000, 12_000]


# ---------------------------------------------------------------- layout


def test_nanoaod_types_and_counters(sample: dict[str, Any]) -> None:
    (path,) = sample["DYJetsToLL"]["files"]
    with uproot.open(path) as file:
        assert {"Events;1", "Runs;1", "LuminosityBlocks;1"} == set(file.keys())
        types = file["Events"].typenames()
        keys = file["Events"].keys()
    assert len(keys) == len(set(keys)) > 300
    expected = {
        "run": "uint32_t", "luminosityBlock": "uint32_t", "event": "uint64_t", "nMuon": "int32_t",
        "Muon_pt": "float[]", "Muon_charge": "int32_t[]", "Muon_jetIdx": "int32_t[]",
        "Muon_tightId": "bool[]", "Muon_genPartFlav": "uint8_t[]", "Jet_genJetIdx": "int32_t[]",
        "Electron_mvaFall17V2Iso_WP80": "bool[]", "GenPart_statusFlags": "int32_t[]",
        "HLT_Mu50": "bool", "Flag_METFilters": "bool", "PV_npvsGood": "int32_t",
        "genWeight": "float", "LHEScaleWeight": "float[]", "Pileup_nTrueInt": "float",
    }  # fmt: skip
    assert {name: types[name] for name in expected} == expected
    jagged = {name.split("_")[0] for name, kind in types.items() if kind.endswith("[]")}
    assert {name[1:] for name in keys if name.startswith("n")} == jagged


def test_event_numbers_are_unique(sample: dict[str, Any]) -> None:
    for name in sample:
        events = nano(sample, name)
        assert len(np.unique(np.asarray(events.event))) == len(events) > 0


def test_data_has_several_runs_and_no_truth(sample: dict[str, Any]) -> None:
    (path,) = sample["SingleMuon"]["files"]
    with uproot.open(path) as file:
        names = file["Events"].keys()
        runs = file["Runs/run"].array()
        used = file["Events/run"].array()
        sections = file["LuminosityBlocks"].arrays()
        fired = file["Events"].arrays(["HLT_IsoMu24", "HLT_Mu50"])
    truth = ("Gen", "nGen", "gen", "LHE", "nLHE", "PSW", "Pileup", "L1Pre")
    assert not [n for n in names if n.startswith(truth)]
    assert not [n for n in names if "gen" in n.lower().split("_", 1)[-1] or "Flavour" in n]
    assert set(used) <= set(runs)
    assert len(set(used)) > 2
    assert len(sections) > len(runs)
    assert ak.all(fired.HLT_IsoMu24 | fired.HLT_Mu50)


def test_runs_tree_has_the_sums(sample: dict[str, Any]) -> None:
    for name in SIMULATED:
        (path,) = sample[name]["files"]
        weight = np.asarray(nano(sample, name).genWeight, dtype=float)
        with uproot.open(path) as file:
            (row,) = file["Runs"].arrays().to_list()
        assert row["genEventCount"] == len(weight)
        assert row["genEventSumw"] == pytest.approx(weight.sum(), rel=1e-12)
        assert row["genEventSumw2"] == pytest.approx((weight**2).sum(), rel=1e-12)
        assert row["LHEScaleSumw"][4] == pytest.approx(1.0)
        assert sample[name]["metadata"]["sumw"] == pytest.approx(weight.sum())


def test_extra_branches(tmp_path: Path) -> None:
    number = 97
    (path,) = toy.write_dataset(tmp_path, "SingleMuon", events=200, extra_branches=number)
    plain = toy.events("SingleMuon", 0, 200)
    usual = {f"{n}_{f}" if f else n for n in plain.fields for f in plain[n].fields or [""]}
    with uproot.open(path) as file:
        tree = file["Events"]
        wide = [branch.name for branch in tree.branches if branch.name[0] != "n"]
        assert set(wide) - usual == set(names(number))
        assert usual <= set(wide)
        assert ak.array_equal(tree["Muon_pt"].array(), plain.Muon.pt)
        assert ak.array_equal(tree["Jet_eta"].array(), plain.Jet.eta)
        assert ak.array_equal(ak.num(tree["Jet_userFloat000"].array()), ak.num(plain.Jet))


def test_extra_names_collide_with_nothing() -> None:
    made = names(2_700)
    events = toy.events("DYJetsToLL", 0, 1)
    usual = {f"{n}_{f}" for n in events.fields for f in events[n].fields} | set(events.fields)
    assert len(set(made)) == len(made) == 2_700
    assert not usual & set(made)
    assert made[:50] == names(50)


@pytest.mark.parametrize("compression", ["zstd", "zlib", "lzma", "lz4", None])
def test_compressions_read_back(compression: str | None, tmp_path: Path) -> None:
    (path,) = toy.write_dataset(tmp_path, "DYJetsToLL", events=200, compression=compression)
    expected = toy.events("DYJetsToLL", 0, 200)
    with uproot.open(path) as file:
        branch = file["Events/GenPart_pt"]
        place = branch.member("fBasketSeek")[0] + branch.basket(0).member("fKeylen")
        magic = path.read_bytes()[place : place + 2]
        tags = {"zstd": b"ZS", "zlib": b"ZL", "lzma": b"XZ", "lz4": b"L4"}
        assert magic == tags.get(compression or "", magic)
        assert (magic in tags.values()) == (compression is not None)
        assert ak.array_equal(file["Events/GenPart_pt"].array(), expected.GenPart.pt)


# ---------------------------------------------------------------- coffea and cross references


@pytest.mark.parametrize("name", sorted(toy.DATASETS))
def test_every_column_reads_through_coffea(sample: dict[str, Any], name: str) -> None:
    events = nano(sample, name)
    for collection in events.fields:
        column = events[collection]
        for field in column.fields:
            values = ak.flatten(column[field], axis=None)
            assert not np.issubdtype(values.to_numpy().dtype, np.floating) or np.all(
                np.isfinite(values)
            ), (collection, field)


@pytest.mark.parametrize("name", SIMULATED)
def test_indices_point_inside(sample: dict[str, Any], name: str) -> None:
    events = nano(sample, name)
    for index, target in NanoAODSchema.all_cross_references.items():
        collection, field = index.split("_", 1)
        local, size = events[collection][field], ak.num(events[target])
        assert ak.all((local >= -1) & (local < size)), index


@pytest.mark.parametrize(("collection", "pdg"), [("Muon", 13), ("Electron", 11)])
def test_leptons_match_their_generator_particles(
    sample: dict[str, Any], collection: str, pdg: int
) -> None:
    for name in SIMULATED:
        lepton = nano(sample, name)[collection]
        prompt = lepton[lepton.genPartFlav == 1]
        gen = prompt.matched_gen
        assert ak.all(abs(gen.pdgId) == pdg)
        assert ak.all(gen.status == 1)
        assert ak.all(gen.hasFlags(["isPrompt", "isLastCopy"]))
        assert ak.max(prompt.delta_r(gen)) < 0.01
        assert ak.all(lepton[lepton.genPartFlav == 0].genPartIdx == -1)
        if collection == "Muon":
            assert ak.all(prompt.charge == -np.sign(gen.pdgId))
            assert abs(ak.mean(prompt.pt / gen.pt) - 1) < 0.003


def test_leptons_in_jets_agree_both_ways(sample: dict[str, Any]) -> None:
    events = nano(sample, "TTTo2L2Nu")
    muon = events.Muon
    assert ak.mean(muon.jetIdx >= 0) > 0.8
    hosted = muon[muon.jetIdx >= 0]
    assert ak.max(hosted.delta_r(hosted.matched_jet)) < 0.4
    jet = events.Jet[events.Jet.muonIdx1 >= 0]
    back = events.Muon[jet.muonIdx1].jetIdx
    assert ak.all(events.Jet.pt[back] == jet.pt)
    number = ak.local_index(events.Jet.pt, axis=1)
    inside = ak.sum(number[:, :, None] == muon.jetIdx[:, None, :], axis=2)
    assert ak.all(events.Jet.nMuons == inside)
    assert ak.all(events.Jet[events.Jet.muonIdx2 >= 0].muonIdx1 >= 0)


def test_isolated_leptons_fake_jets(sample: dict[str, Any]) -> None:
    events = nano(sample, "DYJetsToLL")
    jet = events.Jet[(events.Jet.pt > 30) & (abs(events.Jet.eta) < 2.4)]
    near = np.False_
    for lepton in (events.Muon, events.Electron):
        prompt = lepton[(lepton.pt > 15) & (lepton.genPartFlav == 1)]
        near = near | ak.any(jet.metric_table(prompt) < 0.4, axis=2)
    assert ak.sum(near) > ak.sum(~near)


def test_jets_match_generator_jets(sample: dict[str, Any]) -> None:
    for name in SIMULATED:
        events = nano(sample, name)
        jet = events.Jet[(events.Jet.genJetIdx >= 0) & (events.Jet.pt > 40)]
        gen = jet.matched_gen
        # pairs farther apart than the cone are rare: soft jets at the edge of their resolution
        assert ak.max(jet.delta_r(gen)) < 0.4
        assert ak.mean(jet.pt / gen.pt) == pytest.approx(1.0, abs=0.06)
        assert ak.all(jet.hadronFlavour == gen.hadronFlavour)
        assert ak.all(events.Jet[events.Jet.genJetIdx < 0].pt < 400)


def test_fat_jets_have_two_subjets(sample: dict[str, Any]) -> None:
    events = nano(sample, "TTTo2L2Nu")
    fat = events.FatJet
    assert ak.sum(ak.num(fat)) > 20
    assert ak.all(ak.num(events.SubJet) == 2 * ak.num(fat))
    pair = fat.subjets
    assert ak.all(ak.num(pair, axis=2) == 2)
    total = ak.sum(pair.pt, axis=2)
    assert ak.all(abs(total / fat.pt - 1) < 0.01)


@pytest.mark.parametrize(("name", "chain"), [("DYJetsToLL", [23]), ("TTTo2L2Nu", [24, 6])])
def test_generator_history(sample: dict[str, Any], name: str, chain: list[int]) -> None:
    gen = nano(sample, name).GenPart
    assert ak.all(gen.genPartIdxMother < ak.local_index(gen, axis=1))
    hard = gen[((abs(gen.pdgId) == 11) | (abs(gen.pdgId) == 13)) & gen.hasFlags("isHardProcess")]
    ancestor = hard.distinctParent
    for pdg in chain:
        assert ak.all(abs(ancestor.pdgId) == pdg)
        ancestor = ancestor.distinctParent
    tau = gen[(abs(gen.pdgId) == 15)]
    assert ak.all(ak.num(tau.children, axis=2) >= 1)


def test_top_decays_conserve_momentum(sample: dict[str, Any]) -> None:
    gen = nano(sample, "TTTo2L2Nu").GenPart
    top = gen[(abs(gen.pdgId) == 6) & gen.hasFlags("isLastCopy")]
    assert ak.all(ak.num(top) == 2)
    products = top.children
    assert ak.all(ak.num(products, axis=2) == 2)
    both = products[:, :, 0] + products[:, :, 1]
    # GenPart keeps 16 bits of mantissa
    assert ak.max(abs(both.mass / top.mass - 1)) < 1e-3
    assert ak.max(abs(both.pt - top.pt)) < 0.1
    assert ak.mean(top.mass) == pytest.approx(172.5, abs=0.3)


# ---------------------------------------------------------------- the whole sample, and bad input


def test_fileset_is_written_and_complete(sample: dict[str, Any]) -> None:
    directory = Path(next(iter(sample["DYJetsToLL"]["files"]))).parent
    assert json.loads((directory / "fileset.json").read_text()) == sample
    for name, entry in sample.items():
        meta = entry["metadata"]
        assert meta["is_mc"] == (name in SIMULATED) == ("xsec" in meta)
        assert meta["lumi"] == pytest.approx(12_000 / 3 / 6077.22)
        assert (meta["year"], meta["nano_version"]) == ("2018", 9)
        (path,) = entry["files"]
        with uproot.open(path) as file:
            assert file["Events"].num_entries == meta["events"]
    golden = json.loads((directory / "golden.json").read_text())
    events = nano(sample, "SingleMuon")
    for run in np.unique(np.asarray(events.run)):
        ((first, last),) = golden[str(run)]
        section = events.luminosityBlock[events.run == run]
        assert first <= ak.min(section) <= ak.max(section) <= last
    assert not [path for path in directory.iterdir() if path.suffix == ".part"]


def test_luminosity_sets_the_size_of_the_data_and_progress_is_told(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        seen.append((done, total))

    small = toy.write_sample(tmp_path / "a", events=20, files=1, luminosity=0.1)
    large = toy.write_sample(
        tmp_path / "b", events=20, files=1, luminosity=0.4, cluster_events=200, progress=tell
    )
    ratio = large["SingleMuon"]["metadata"]["events"] / small["SingleMuon"]["metadata"]["events"]
    assert 2.5 < ratio < 6
    assert large["DYJetsToLL"]["metadata"]["lumi"] == 0.4
    done, totals = zip(*seen, strict=True)
    assert list(done) == sorted(done)
    assert set(totals) == {done[-1]}


def test_no_events(tmp_path: Path) -> None:
    fileset = toy.write_sample(tmp_path, events=0, files=1)
    for name in fileset:
        events = nano(fileset, name)
        assert len(events) == 0
        assert "pt" in events.Muon.fields


def test_existing_files_are_kept_unless_asked(tmp_path: Path) -> None:
    (path,) = toy.write_dataset(tmp_path, "SingleMuon", events=50)
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        toy.write_dataset(tmp_path, "SingleMuon", events=60)
    assert path.read_bytes() == before
    toy.write_dataset(tmp_path, "SingleMuon", events=60, overwrite=True)
    assert path.read_bytes() != before


def test_an_interrupted_file_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.write_sample(tmp_path, events=100, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"process": "DYJetsToLLL"}, "did you mean 'DYJetsToLL'"),
        ({"compression": "zst"}, "did you mean 'zstd'"),
        ({"events": -1}, "events must be at least 0"),
        ({"files": 0}, "files must be at least 1"),
        ({"cluster_events": 0}, "cluster_events must be at least 1"),
        ({"extra_branches": -2}, "extra_branches must be at least 0"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    arguments = {"process": "DYJetsToLL", "events": 10} | options
    with pytest.raises(InputError, match=f"(?i){message}"):
        toy.write_dataset(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_bad_range_and_luminosity(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 <= start <= stop"):
        toy.events("DYJetsToLL", 10, 5)
    with pytest.raises(InputError, match="luminosity"):
        toy.write_sample(tmp_path, events=10, luminosity=-1.0)
