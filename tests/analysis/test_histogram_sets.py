from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import lazyana as la
from lazyana.analysis import histogram_sets as sets
from lazyana.errors import InputError, InputTypeError
from lazyana.report.binning import binning_of

SETS = {
    "jet_hists": "JetGood",
    "jet_taggers_hists": "JetGood",
    "fatjet_hists": "FatJetGood",
    "fatjet_taggers_hists": "FatJetGood",
    "genjet_hists": "MyGenJets",
    "ele_hists": "ElectronGood",
    "muon_hists": "MuonGood",
    "lepton_hists": "LeptonGood",
    "parton_hists": "PartonMatched",
    "met_hists": "MET",
    "sv_hists": "SV",
}


SIGNATURES = {
    **{
        name: f"(coll='{coll}', pos=None, fields=None, name=None, axis_settings=None, **options)"
        for name, coll in SETS.items()
    },
    # As many bins as numbers: the known default ends one too early for that.
    "count_hist": "(coll, bins=10, start=0, stop=None, label=None, name=None, **options)",
    "processing_metadata_hists": "(only_cats, chunk_size)",
}


@pytest.mark.parametrize(("name", "signature"), SIGNATURES.items())
def test_signatures_are_those_that_configurations_know(name: str, signature: str) -> None:
    found = inspect.signature(getattr(sets, name))
    bare = [one.replace(annotation=one.empty) for one in found.parameters.values()]
    assert str(inspect.Signature(bare)) == signature


def test_every_set_is_in_the_list() -> None:
    own = {name for name in vars(sets) if name.endswith(("_hists", "_hist"))}
    assert own == set(SIGNATURES)


def test_a_star_import_gives_what_a_section_of_variables_is_written_with() -> None:
    assert set(sets.__all__) == {*SIGNATURES, "Axis", "HistConf"}


def test_sizes_of_partitions() -> None:
    found = sets.processing_metadata_hists(["baseline"], 100_000)
    assert set(found) == {f"events_per_chunk_{stage}" for stage in ("initial", "skim", "presel")}
    conf = found["events_per_chunk_skim"]
    (axis,) = conf.axes
    assert (conf.size, axis.title, axis.bins, axis.stop) == (
        "nEvents_after_skim",
        "nevents",
        200,
        100_000,
    )


@pytest.mark.parametrize("name", SETS)
def test_names_and_columns(name: str) -> None:
    make = getattr(sets, name)
    found = make()
    assert len(found) >= 2
    for key, conf in found.items():
        (axis,) = conf.axes
        assert key == f"{SETS[name]}_{axis.field}"
        assert (axis.coll, axis.pos) == (SETS[name], None)
        assert "{}" not in axis.label
        axis.axis()
    third = make("Mine", 2, name="m")
    assert list(third) == [f"m_{conf.axes[0].field}_3" for conf in found.values()]
    assert {(conf.axes[0].coll, conf.axes[0].pos) for conf in third.values()} == {("Mine", 2)}
    assert all("third" in conf.axes[0].label for conf in third.values())


def test_expected_fields() -> None:
    assert list(sets.muon_hists()) == ["MuonGood_eta", "MuonGood_pt", "MuonGood_phi"]
    assert "ElectronGood_etaSC" in sets.ele_hists()
    assert "LeptonGood_pdgId" in sets.lepton_hists()
    assert list(sets.met_hists()) == ["MET_pt", "MET_phi"]
    assert "FatJetGood_msoftdrop" in sets.fatjet_hists()
    assert "JetGood_btagDeepFlavB" in sets.jet_taggers_hists()
    assert "JetGood_btagDeepFlavB" not in sets.jet_hists()


def test_gap_of_the_calorimeter_is_a_bin() -> None:
    edges = sets.ele_hists()["ElectronGood_etaSC"].axes[0].bins
    assert edges == tuple(-edge for edge in reversed(edges))
    for low, high in ((1.4442, 1.566), (-1.566, -1.4442)):
        assert edges.index(high) == edges.index(low) + 1


def test_unit_stays_at_the_end_of_the_label() -> None:
    (conf,) = sets.muon_hists(pos=0, fields=["pt"]).values()
    assert conf.axes[0].label == "leading muon $p_{T}$ [GeV]"
    assert binning_of(conf.axes[0].axis()).unit == "GeV"
    assert next(iter(sets.jet_hists(pos=6).values())).axes[0].label.startswith("7th jet")


def test_chosen_fields_and_settings() -> None:
    found = sets.jet_hists(fields=["pt", "btagDeepFlavB"], axis_settings={"pt": {"bins": 7}})
    assert list(found) == ["JetGood_pt", "JetGood_btagDeepFlavB"]
    assert found["JetGood_pt"].axes[0].bins == 7
    longer = sets.jet_hists(axis_settings={"jet_pt": {"stop": 999, "label": "mine"}})
    assert (longer["JetGood_pt"].axes[0].stop, longer["JetGood_pt"].axes[0].label) == (999, "mine")
    assert sets.jet_hists()["JetGood_pt"].axes[0].stop != 999
    settings = {"area": {"bins": 5, "start": 0, "stop": 1}}
    own = sets.jet_hists(fields=["area"], axis_settings=settings)
    assert own["JetGood_area"].axes[0].label == "jet area"


def test_options_of_histograms() -> None:
    found = sets.met_hists(only_samples=["TT"], variations=False)
    assert all(conf.only_samples == ("TT",) and not conf.variations for conf in found.values())
    with pytest.raises(InputTypeError, match="Did you mean 'only_samples'"):
        sets.met_hists(only_sample=["TT"])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"fields": ["ptt"]}, "field 'ptt' of muon histograms of 'MuonGood'. Did you mean 'pt'"),
        ({"axis_settings": {"ptt": {"label": "x"}}}, "have 'ptt'. Did you mean 'pt'"),
        ({"fields": "pt"}, "give a list of names"),
    ],
)
def test_unknown_fields(options: dict[str, Any], match: str) -> None:
    with pytest.raises((InputError, InputTypeError), match=match):
        sets.muon_hists(**options)


def test_counts() -> None:
    found = sets.count_hist(name="nJets", coll="JetGood", bins=8, start=0, stop=8)
    (axis,) = found["nJets"].axes
    assert (axis.coll, axis.field, axis.bins, axis.stop) == ("events", "nJetGood", 8, 8)
    (conf,) = sets.count_hist("Jet", bins=5, start=1, no_weights=True).values()
    assert (conf.axes[0].stop, conf.no_weights) == (6, True)
    assert conf.axes[0].label == r"$N_{\mathrm{Jet}}$"


def test_on_events(toy_files: dict[str, Any], run: Callable[..., Any]) -> None:
    frame = la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})
    every = {
        **sets.jet_hists("Jet"),
        **sets.jet_taggers_hists("Jet", pos=0),
        **sets.fatjet_hists("FatJet"),
        **sets.fatjet_taggers_hists("FatJet"),
        **sets.ele_hists("Electron"),
        **sets.muon_hists("Muon", pos=1),
        **sets.genjet_hists("GenJet"),
        **sets.met_hists(),
        **sets.count_hist("Jet"),
    }
    booked = {name: conf.book(frame, name=name) for name, conf in every.items()}
    # Scores of other versions of NanoAOD are left out, and only these.
    left_out = {name for name, output in booked.items() if output is None}
    assert {name for name in booked if "btagUParTAK4" in name} <= left_out
    assert not left_out & {"Jet_pt", "Jet_btagDeepFlavB_1", "Electron_etaSC", "nJet"}
    assert all(every[name].if_present for name in left_out)
    result = run({name: output for name, output in booked.items() if output is not None})
    assert result["nJet"].sum(flow=True).value == frame.entries
    filled = {name for name in result if result[name].sum().value > 0}
    assert {"Jet_pt", "Jet_eta", "Electron_etaSC", "Muon_pt_2", "MET_pt"} <= filled
