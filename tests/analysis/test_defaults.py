"""Defaults of every era, and what analyses do with parameters."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, ListConfig, OmegaConf

from lazyana.analysis import defaults, resolvers
from lazyana.analysis.defaults import (
    ERAS,
    compose_parameters_from_files,
    dump_parameters,
    find_parameter,
    get_default_parameters,
    get_defaults_and_compose,
    merge_parameters,
    merge_parameters_from_files,
    merge_parameters_from_string,
    parameters_text,
)
from lazyana.errors import FileError, InputError, InputTypeError, OutputExistsError
from lazyana.toy.corrections import toy_parameters, write_corrections

PERIODS = {
    "2016_PreVFP": ("2016preVFP", "UL16APV", "Collisions16", "271036-284044"),
    "2016_PostVFP": ("2016postVFP", "UL16_", "Collisions16", "271036-284044"),
    "2017": ("Run2-2017", "UL17", "Collisions17", "294927-306462"),
    "2018": ("Run2-2018", "UL18", "Collisions18", "314472-325175"),
    "2022_preEE": ("Run3-22CDSep23-Summer22-", "Summer22_22Sep2023", "eraBCD", "355100_362760"),
    "2022_postEE": (
        "Run3-22EFGSep23-Summer22EE-", "Summer22EE_22Sep2023", "eraEFG", "355100_362760",
    ),
    "2023_preBPix": ("Run3-23CSep23-Summer23-", "Summer23Prompt23", "eraBC", "366442_370790"),
    "2023_postBPix": ("Run3-23DSep23-Summer23BPix-", "Summer23BPixPrompt23", "eraD", "366442"),
    "2024": ("Run3-24CDEReprocessingFGHIPrompt", "Summer24Prompt24", "Collisions24", "378981"),
    "2025": ("Run3-25Prompt", "Summer24Prompt25", "Collisions25", "391658_398903"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_corrections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No correction file anywhere, also where CVMFS is mounted."""
    monkeypatch.delenv(resolvers.FOLDERS, raising=False)
    monkeypatch.setattr(resolvers, "CVMFS", tmp_path / "cvmfs")
    monkeypatch.setattr(resolvers, "CERTIFICATION", tmp_path / "eos")


@pytest.fixture(scope="module")
def parameters() -> DictConfig:
    """The defaults; read them, never change them."""
    return get_default_parameters()


def raw(parameters: DictConfig) -> dict[str, Any]:
    content: Any = OmegaConf.to_container(parameters, resolve=False)
    return content


def leaves(node: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(node, (dict, list)):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, (*place, str(key)))
    else:
        yield place, node


# ------------------------------------------------------------------------- the numbers and names


def test_tables_know_eras_and_nothing_else(parameters: DictConfig) -> None:
    """A misspelt era in a table of years would never be found by anyone."""
    for place, _ in leaves(raw(parameters)):
        for key in place:
            assert not key.startswith("20") or key in ERAS, place


@pytest.mark.parametrize("era", ERAS)
def test_files_and_tags_are_of_their_era(era: str, parameters: DictConfig) -> None:
    """Above all, the two parts of 2016 are not swapped."""
    period, campaign, pileup, certified = PERIODS[era]
    files = tags = 0
    for place, value in leaves(raw(parameters)):
        if era not in place or not isinstance(value, str):
            continue
        if value.startswith("${cvmfs:"):
            files += 1
            assert period in value, place
        if any(key.startswith(("jec_", "jer")) for key in place):
            tags += 1
            assert campaign in value, place
        if value.startswith("${golden_json:"):
            assert certified in value, place
    assert files >= 5
    assert tags >= 3
    assert pileup in find_parameter(parameters, "pileupJSONfiles", era, "name")


def test_every_correction_file_of_a_period_has_one_version_per_group(
    parameters: DictConfig,
) -> None:
    versions: dict[tuple[str, str], set[str]] = {}
    for place, value in leaves(raw(parameters)):
        if isinstance(value, str) and value.startswith("${cvmfs:"):
            period, pog, name, tag = value.removeprefix("${cvmfs:").removesuffix("}").split(",")
            assert name.endswith(".json.gz"), place
            versions.setdefault((pog, period), set()).add(tag)
    assert len(versions) > 30
    assert {key: tags for key, tags in versions.items() if len(tags) != 1} == {}


def test_luminosities(parameters: DictConfig) -> None:
    total = {era: eras["tot"] for era, eras in parameters.lumi.picobarns.items()}
    for era, eras in parameters.lumi.picobarns.items():
        parts = [value for name, value in eras.items() if name != "tot"]
        if parts:
            # the numbers of 2024 are rounded to 10 pb^-1
            assert sum(parts) == pytest.approx(total[era], abs=10 if era == "2024" else 0.01), era
    # what papers quote: 36.3, 41.5, 59.8 and 34.7 fb^-1
    assert total["2016_PreVFP"] + total["2016_PostVFP"] == pytest.approx(36_310, rel=1e-3)
    assert total["2017"] == pytest.approx(41_480, rel=1e-3)
    assert total["2018"] == pytest.approx(59_830, rel=1e-3)
    assert total["2022_preEE"] + total["2022_postEE"] == pytest.approx(34_650, rel=1e-3)


def test_every_era_has_a_luminosity(parameters: DictConfig) -> None:
    assert tuple(parameters.lumi.picobarns) == ERAS
    for era in ERAS:
        assert find_parameter(parameters, "lumi.picobarns", era, "tot") > 5_000


def test_year_without_a_luminosity_says_how_to_give_one(parameters: DictConfig) -> None:
    with pytest.raises(InputError, match=r"2026.*2025.*merge it"):
        find_parameter(parameters, "lumi.picobarns", "2026", "tot")


def test_working_points_get_tighter(parameters: DictConfig) -> None:
    for era, taggers in parameters.default_btagging.working_points.items():
        for tagger, points in taggers.items():
            assert list(points)[:3] == ["L", "M", "T"], (era, tagger)
            cuts = list(points.values())
            assert cuts == sorted(cuts), (era, tagger)
            assert 0 < cuts[0] < cuts[-1] < 1


@pytest.mark.parametrize(
    ("era", "tagger", "medium"),
    [
        ("2016_PreVFP", "btagDeepFlavB", 0.2598),
        ("2016_PostVFP", "btagDeepFlavB", 0.2489),
        ("2018", "btagDeepFlavB", 0.2783),
        ("2022_postEE", "btagPNetB", 0.2605),
        ("2024", "btagUParTAK4B", 0.1272),
    ],
)
def test_working_point_of_a_year(
    era: str, tagger: str, medium: float, parameters: DictConfig
) -> None:
    year = parameters.btagging.working_point[era]
    assert year["btagging_algorithm"] == tagger
    assert year["btagging_WP"]["M"] == medium


def test_working_points_follow_the_tagger(parameters: DictConfig) -> None:
    change = "btagging: {working_point: {2022_preEE: {btagging_algorithm: btagRobustParTAK4B}}}"
    chosen = merge_parameters_from_string(parameters, change)
    assert chosen.btagging.working_point["2022_preEE"].btagging_WP.M == 0.4319
    own = merge_parameters_from_string(
        parameters, "btagging: {working_point: {'2018': {btagging_WP: {M: 0.3}}}}"
    )
    assert own.btagging.working_point["2018"].btagging_WP == {"L": 0.049, "M": 0.3, "T": 0.71}
    assert parameters.btagging.working_point["2018"].btagging_WP.M == 0.2783


def test_data_have_filters_of_their_own(parameters: DictConfig) -> None:
    for era in ERAS:
        both, data = parameters.event_flags[era], parameters.event_flags_data[era]
        assert "goodVertices" in both
        assert not set(both) & set(data)
        assert "eeBadScFilter" in [*both, *data]


def test_jet_types_have_collections_and_variations(parameters: DictConfig) -> None:
    jets = parameters.jets_calibration
    for era in ERAS:
        for jet_type, collection in jets.collection[era].items():
            assert collection == "Jet"
            assert set(jets.jet_types[jet_type][era]) == {
                "json_path", "jec_mc", "jec_data", "jer", "level",
            }  # fmt: skip
            assert jets.variations[jet_type][era] == ["JES_Total", "JER"]
            assert jets.apply_jer_MC[era][jet_type] is True


def test_examples_of_triggers_are_not_used_until_chosen(parameters: DictConfig) -> None:
    assert "HLT_triggers" not in parameters
    chosen = merge_parameters_from_string(parameters, "HLT_triggers: ${HLT_examples.single_muon}")
    assert chosen.HLT_triggers["2018"].SingleMuon == ["IsoMu24"]
    paths = [str(value) for place, value in leaves(raw(parameters)) if "HLT_examples" in place]
    assert [path for path in paths if path.startswith("HLT_")] == []


def test_golden_json_names_are_those_of_the_files(
    real_data: Path, parameters: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(resolvers.FOLDERS, str(real_data / "lumi"))
    for year in ("2017", "2018", "2024"):
        path = Path(parameters.lumi.goldenJSON[year])
        assert path.parent == real_data / "lumi"
        assert json.loads(path.read_text(encoding="utf-8"))


def test_sources_of_the_energy_scale_are_those_of_the_files(
    real_data: Path, parameters: DictConfig
) -> None:
    import correctionlib

    path = real_data / "corrections" / "jet_jerc_2018UL.json.gz"
    names = set(correctionlib.CorrectionSet.from_file(str(path)))
    variations = parameters.default_jets_calibration.variations
    wanted = {*variations.full_variations.AK4PFchs["2018"], "JES_Total"} - {"JER"}
    assert len(wanted) == 12
    for name in wanted:
        source = name.removeprefix("JES_")
        assert f"Summer20UL18NanoV15_V1_MC_{source}_AK4PFPuppi" in names


# -------------------------------------------------------------------------------------- merging


def test_defaults_are_new_each_time() -> None:
    parameters = get_default_parameters()
    parameters.event_flags["2018"].append("mine")
    parameters.lumi.picobarns["2018"].tot = 1
    fresh = get_default_parameters()
    assert "mine" not in fresh.event_flags["2018"]
    assert fresh.lumi.picobarns["2018"].tot != 1


def test_merging_changes_single_values_and_leaves_the_first_alone(tmp_path: Path) -> None:
    main = OmegaConf.create({"a": {"x": 1, "y": [1, 2]}, "b": 1})
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("a: {y: [3], z: 4}\nc: ${b}\n", encoding="utf-8")
    two.write_text("a: {z: 5}\nb: 2\n", encoding="utf-8")
    merged = merge_parameters_from_files(main, one, two)
    assert merged == {"a": {"x": 1, "y": [3], "z": 5}, "b": 2, "c": 2}
    replaced = merge_parameters_from_files(main, one, str(two), update=False)
    assert replaced == {"a": {"z": 5}, "b": 2, "c": 2}
    assert main == {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    alone = compose_parameters_from_files(one, two)
    assert raw(alone) == {"a": {"y": [3], "z": 5}, "c": "${b}", "b": 2}
    both = get_defaults_and_compose(one, two)
    assert both.a.z == 5
    assert both.lumi == get_default_parameters().lumi


def test_what_an_interpolation_leads_to_can_be_changed_in_part(parameters: DictConfig) -> None:
    change = {"jets_calibration": {"jet_types": {"AK4PFchs": {"2018": {"json_path": "mine"}}}}}
    jets = merge_parameters(parameters, change).jets_calibration.jet_types.AK4PFchs
    assert jets["2018"].json_path == "mine"
    assert jets["2018"].jec_mc == "Summer19UL18_V5_MC"
    assert raw(jets)["2017"]["json_path"].startswith("${cvmfs:Run2-2017")


def test_era_without_quotes_is_the_era(parameters: DictConfig) -> None:
    text = "lumi: {picobarns: {2018: {tot: 1.5}}}"
    merged = merge_parameters_from_string(parameters, text)
    assert merged.lumi.picobarns["2018"].tot == 1.5
    assert list(merged.lumi.picobarns) == list(parameters.lumi.picobarns)
    mapping = {2018: {"tot": 2.5}}
    assert merge_parameters({"lumi": {"2018": {}}}, {"lumi": mapping}).lumi["2018"].tot == 2.5
    # numbers that are no years stay numbers
    assert merge_parameters({}, {"bins": {1: "a"}}).bins[1] == "a"
    with pytest.raises(InputError, match=r"lumi has 2018 twice"):
        merge_parameters({}, {"lumi": {2018: 1, "2018": 2}})


@pytest.mark.parametrize("era", ["2016_preVFP", "2022_PreEE", "2023_postBpix"])
def test_era_in_other_letters_is_refused(era: str, parameters: DictConfig) -> None:
    with pytest.raises(InputError, match=rf"event_flags has '20\w+', not '{era}'"):
        merge_parameters(parameters, {"event_flags": {era: ["goodVertices"]}})


def test_list_is_not_merged_into_a_mapping(parameters: DictConfig) -> None:
    change = {"event_flags": ["goodVertices"]}
    with pytest.raises(InputError, match="event_flags is a mapping, the change to it a list"):
        merge_parameters(parameters, change)
    replaced = merge_parameters(parameters, change, update=False)
    assert replaced.event_flags == ["goodVertices"]


def test_own_eras_are_welcome(parameters: DictConfig) -> None:
    merged = merge_parameters(parameters, {"event_flags": {"2018_v15": ["goodVertices"]}})
    assert merged.event_flags["2018_v15"] == ["goodVertices"]


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2\n", "a: ${b", "a: 1\na: 2\n"])
def test_what_is_no_yaml_of_parameters_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no YAML of parameters"):
        merge_parameters_from_string({}, text)
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=r"params\.yaml: no YAML of parameters"):
        compose_parameters_from_files(path)


def test_file_that_is_missing_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone\.yaml: No such file"):
        compose_parameters_from_files(tmp_path / "gone.yaml")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(FileError, match="no text file"):
        compose_parameters_from_files(path)


def test_empty_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.touch()
    assert merge_parameters_from_files({"a": 1}, path) == {"a": 1}


@pytest.mark.parametrize("wrong", [[1], "a: 1", 3, OmegaConf.create([1])])
def test_only_mappings_are_merged(wrong: Any) -> None:
    with pytest.raises(InputTypeError, match=r"mapping for change 2 of the parameters"):
        merge_parameters({}, {}, wrong)
    with pytest.raises(InputTypeError, match=r"mapping for the parameters"):
        merge_parameters(wrong)


NAMES = st.sampled_from(["a", "b", "2018", "muon"])
SCALARS = st.integers() | st.booleans() | st.sampled_from(["x", "on", "2018", "1e5", "", "a: b"])
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS | st.lists(SCALARS, max_size=3),
        lambda inner: st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


def clash(one: Any, two: Any) -> bool:
    """Whether a list and a mapping meet."""
    if isinstance(one, dict) and isinstance(two, dict):
        return any(clash(one[key], two[key]) for key in one.keys() & two.keys())
    return {type(one), type(two)} == {dict, list}


def deep_merge(one: Any, two: Any) -> Any:
    if not (isinstance(one, dict) and isinstance(two, dict)):
        return two
    both = {key: deep_merge(one[key], two[key]) for key in one.keys() & two.keys()}
    return {**one, **two, **both}


@given(TREES, TREES)
def test_merging_is_that_of_trees(one: Any, two: Any) -> None:
    if clash(one, two):
        with pytest.raises(InputError, match="pass update=False"):
            merge_parameters(one, two)
        return
    merged = merge_parameters(one, two)
    assert raw(merged) == deep_merge(one, two)
    assert raw(merge_parameters(merged, two)) == raw(merged)
    assert raw(merge_parameters(one, two, update=False)) == {**one, **two}


@given(TREES)
def test_text_says_what_the_parameters_are(tree: Any) -> None:
    parameters = merge_parameters({}, tree)
    assert raw(merge_parameters_from_string({}, parameters_text(parameters))) == tree


# ---------------------------------------------------------------------------- looking up, writing


def test_parameter_by_its_place(parameters: DictConfig) -> None:
    assert find_parameter(parameters, "lumi.picobarns.2018.D") == 31839.492009
    assert find_parameter(parameters, "lumi", "picobarns.2018", "D") == 31839.492009
    assert find_parameter(parameters, "event_flags.2018.0") == "goodVertices"
    assert find_parameter(parameters, "lumi.picobarns.2018") == parameters.lumi.picobarns["2018"]
    assert isinstance(find_parameter(parameters, "event_flags.2017"), ListConfig)
    dotted = merge_parameters({}, {"files": {"LUM/a.json": {"b.c": 1}}})
    assert find_parameter(dotted, "files", "LUM/a.json", "b.c") == 1


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("lumy.picobarns", r"No parameter lumy\.picobarns; the top level has .*mean 'lumi'\?"),
        ("lumi.picobarn.2018", r"lumi has picobarns, goldenJSON\. Did you mean 'picobarns'\?"),
        ("lumi.picobarns.2018.tot.x", r"lumi\.picobarns\.2018\.tot is 59832"),
        ("event_flags.2018.6", r"event_flags\.2018 has 0, 1, 2, 3, 4, 5\."),
        ("event_flags.2018.x", r"event_flags\.2018 has 0, 1"),
    ],
)
def test_place_that_does_not_exist(place: str, message: str, parameters: DictConfig) -> None:
    with pytest.raises(InputError, match=message):
        find_parameter(parameters, place)


def test_file_that_is_missing_is_our_error_with_the_place(parameters: DictConfig) -> None:
    with pytest.raises(FileError, match=r"^pileupJSONfiles\.2018\.file: No correction file LUM/"):
        find_parameter(parameters, "pileupJSONfiles", "2018", "file")
    through = merge_parameters(parameters, {"mine": "${pileupJSONfiles.2018.file}"})
    with pytest.raises(FileError, match=r"^mine: No correction file LUM/"):
        find_parameter(through, "mine")


def test_value_that_cannot_be_worked_out() -> None:
    broken = merge_parameters({}, {"a": "${nowhere}", "b": "???"})
    with pytest.raises(InputError, match=r"parameter a cannot be worked out: .*nowhere"):
        find_parameter(broken, "a")
    with pytest.raises(InputError, match=r"parameter b has no value yet"):
        find_parameter(broken, "b")


def test_text_works_out_what_it_can(parameters: DictConfig) -> None:
    text = parameters_text(parameters, "pileupJSONfiles.2018")
    assert text.splitlines() == [
        "file: ${cvmfs:Run2-2018-UL-NanoAODv9,LUM,puWeights.json.gz,2021-09-10}",
        "name: Collisions18_UltraLegacy_goldenJSON",
    ]
    assert "M: 0.2783" in parameters_text(parameters, "btagging.working_point.2018")
    assert parameters_text(parameters, "lumi.picobarns.2018.D") == "31839.492009\n"
    assert parameters_text(merge_parameters({}, {"b": "???"})) == "b: ???\n"


def test_dump_is_the_parameters_again(tmp_path: Path, parameters: DictConfig) -> None:
    path = dump_parameters(parameters, tmp_path / "run" / "parameters_dump.yaml")
    dumped = compose_parameters_from_files(path)
    assert dumped.btagging == parameters.btagging
    assert dumped.jets_calibration.variations == parameters.jets_calibration.variations
    assert parameters_text(dumped) == parameters_text(parameters)
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        dump_parameters(parameters, path)
    dump_parameters(OmegaConf.create({"a": 1}), path, overwrite=True)
    assert path.read_text(encoding="utf-8") == "a: 1\n"
    assert [each.name for each in path.parent.iterdir()] == ["parameters_dump.yaml"]


# -------------------------------------------------------------------------- the embedded sample


def test_embedded_sample_through_changes(tmp_path: Path, parameters: DictConfig) -> None:
    files = write_corrections(tmp_path)
    changed = merge_parameters(parameters, toy_parameters(tmp_path, luminosity=1.25))
    assert changed.pileupJSONfiles["2018"].file == str(files["pileup"])
    muons = changed.lepton_scale_factors.muon_sf
    assert muons.JSONfiles["2018"].file == str(files["muon"])
    assert muons.sf_name["2018"].iso == "NUM_LooseRelIso_DEN_TightIDandIPCut"
    assert changed.jets_calibration.jet_types.AK4PFchs["2018"].json_path == str(files["jerc"])
    assert changed.lumi.goldenJSON["2018"] == str(files["golden"])
    eras = changed.lumi.picobarns["2018"]
    assert eras.tot == 1.25
    assert math.fsum(value for era, value in eras.items() if era != "tot") == eras.tot


def test_embedded_sample_through_the_environment(
    tmp_path: Path, parameters: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_corrections(tmp_path)
    monkeypatch.setenv(resolvers.FOLDERS, str(tmp_path))
    assert find_parameter(parameters, "pileupJSONfiles.2018.file") == str(files["pileup"])
    assert find_parameter(parameters, "lumi.goldenJSON.2018") == str(files["golden"])
    jets = find_parameter(parameters, "jets_calibration.jet_types.AK4PFchs.2018")
    assert jets.json_path == str(files["jerc"])


def test_public_names_exist() -> None:
    assert [name for name in defaults.__all__ if not hasattr(defaults, name)] == []


def test_missing_file_of_parameters_is_told_with_those_beside(tmp_path: Path) -> None:
    (tmp_path / "triggers.yaml").write_text("a: 1\n")
    with pytest.raises(FileError, match=r"sample\.yaml.*In that folder are: triggers\.yaml\."):
        merge_parameters_from_files({}, tmp_path / "sample.yaml")
