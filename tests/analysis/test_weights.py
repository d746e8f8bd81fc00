"""Weights: what classes and functions declare, and the common ones on the embedded sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest
from omegaconf import OmegaConf

import lazyana as la
from lazyana.analysis.defaults import get_default_parameters, merge_parameters
from lazyana.analysis.view import EventsView
from lazyana.analysis.weights import (
    WeightData,
    WeightDataMultiVariation,
    WeightLambda,
    WeightWrapper,
    apply_weight,
    apply_weights,
    common_weights,
    compute_weight,
    weights_by_name,
)
from lazyana.errors import FileError, InputError, InputTypeError
from lazyana.toy.corrections import toy_parameters, write_corrections
from lazyana.toy.leptons import muon_scale_factor, pileup_weight

METADATA = {"year": "2018", "sample": "DYJetsToLL", "isMC": True, "xsec": 6077.22}


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("corrections")
    write_corrections(directory)
    changes = OmegaConf.create(toy_parameters(directory, luminosity=50.0))
    # The isolation of the generator; the default is a looser one.
    iso = {"2018": {"iso": "NUM_TightRelIso_DEN_TightIDandIPCut"}}
    changes.lepton_scale_factors.muon_sf.sf_name = iso
    return merge_parameters(get_default_parameters(), changes, update=True)


@pytest.fixture(scope="module")
def good(dy_frame: la.Events) -> la.Events:
    muons = dy_frame.Muon
    return dy_frame.define(MuonGood=muons[(muons.pt > 20) & (abs(muons.eta) < 2.4)])


class Varied(WeightWrapper):
    name = "varied"
    has_variations = True
    variations = ("hf", "lf")

    def compute(self, events: Any, size: Any, shape_variation: str) -> Any:
        met = events.MET.pt
        return WeightDataMultiVariation(
            self.name, met * 0 + 2, ["hf", "lf"], [met * 0 + 3, met * 0 + 4], [met * 0 + 1, None]
        )


# -- classes and functions -------------------------------------------------------------------


def test_labels_are_those_of_the_variations() -> None:
    plain = WeightLambda.wrap_func("plain", lambda *_: 1.0)
    shifted = WeightLambda.wrap_func("shifted", lambda *_: 1.0, has_variations=True)
    assert plain({}, {}).labels == ()
    assert shifted({}, {}).labels == ("shiftedUp", "shiftedDown")
    assert Varied({}, {}).labels == (
        "varied_hfUp",
        "varied_hfDown",
        "varied_lfUp",
        "varied_lfDown",
    )


def test_sources_may_depend_on_the_parameters() -> None:
    class OfYear(WeightWrapper):
        name = "of_year"
        has_variations = True

        def __init__(self, params: Any, metadata: Any) -> None:
            super().__init__(params, metadata)
            self._variations = list(params.sources[metadata["year"]])

    params = OmegaConf.create({"sources": {"2018": ["a"], "2017": ["b", "c"]}})
    assert OfYear(params, {"year": "2018"}).labels == ("of_year_aUp", "of_year_aDown")
    assert len(OfYear(params, {"year": "2017"}).labels) == 4


def test_lambda_is_called_with_what_it_may_need(dy_events: ak.Array) -> None:
    seen: list[Any] = []

    def function(*given: Any) -> Any:
        seen.extend(given)
        return np.ones(given[3])

    weight = WeightLambda.wrap_func("mine", function, isMC_only=False)({"a": 1}, METADATA)
    assert not type(weight).isMC_only
    data = compute_weight(weight, dy_events, len(dy_events))
    params, metadata, events, size, variation = seen
    assert (params.a, metadata, size, variation) == (1, METADATA, len(dy_events), "nominal")
    assert events is dy_events
    assert data.nominal.tolist() == [1.0] * len(dy_events)


@pytest.mark.parametrize(
    ("value", "shifts"),
    [
        ((2.0, 3.0, 1.0), {"": (3.0, 1.0)}),
        ((2.0, 3.0, None), {"": (3.0, None)}),
        ((2.0, ["a", "b"], [3.0, 4.0], [1.0, None]), {"a": (3.0, 1.0), "b": (4.0, None)}),
        (WeightData("mine", 2.0, up=3.0), {"": (3.0, None)}),
    ],
)
def test_lambda_may_return_variations(value: Any, shifts: Any) -> None:
    weight = WeightLambda.wrap_func("mine", lambda *_: value, has_variations=True)
    data = compute_weight(weight(), None)
    assert data.nominal == 2.0
    assert data.shifts == shifts


def test_two_analyses_may_have_weights_of_one_name() -> None:
    one, two = (
        WeightLambda.wrap_func("mine", lambda *_, value=value: value) for value in (1.0, 2.0)
    )
    assert compute_weight(weights_by_name([one])["mine"](), None).nominal == 1.0
    assert compute_weight(weights_by_name([two, two])["mine"](), None).nominal == 2.0
    with pytest.raises(InputError, match=r"Two weights are called 'mine'"):
        weights_by_name([one, two])


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (Varied({}, {}), InputTypeError, "not their instances"),
        ("pileup", InputTypeError, "'pileup' is no weight"),
        (type("Nameless", (WeightWrapper,), {}), InputError, "Nameless has no name"),
    ],
)
def test_other_things_are_no_weights(given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        weights_by_name([given])


def wrapped(value: Any, **options: Any) -> WeightWrapper:
    class Mine(WeightWrapper):
        name = "mine"

        def compute(self, events: Any, size: Any, shape_variation: str) -> Any:
            return value

    for option, setting in options.items():
        setattr(Mine, option, setting)
    return Mine()


@pytest.mark.parametrize(
    ("weight", "error", "words"),
    [
        (wrapped(1.0), InputTypeError, r"returned a float: return WeightData"),
        (wrapped(WeightData("other", 1.0)), InputError, r"values of 'other'.*self\.name"),
        (wrapped(WeightData("mine", 1.0, 2.0)), InputError, r"write has_variations = True"),
        (
            wrapped(WeightData("mine", 1.0), has_variations=True),
            InputError,
            r"returned no variations",
        ),
        (
            wrapped(
                WeightDataMultiVariation("mine", 1.0, ["hff"], [1.0], [1.0]),
                has_variations=True,
                variations=("hf", "lf"),
            ),
            InputError,
            r"source 'hff'.*'hf'.*Declared are: hf, lf",
        ),
        (
            wrapped(
                WeightDataMultiVariation("mine", 1.0, ["up"], [1.0], [1.0]), has_variations=True
            ),
            InputError,
            r"cannot be called 'up'",
        ),
        (WeightLambda.wrap_func("mine", lambda *_: (1.0, 2.0))(), InputTypeError, r"2 values"),
        (type("Empty", (WeightWrapper,), {"name": "mine"})(), InputError, r"def compute\(self"),
    ],
)
def test_wrong_weights_are_refused(
    weight: WeightWrapper, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        compute_weight(weight, None)


def test_sources_have_a_value_each() -> None:
    with pytest.raises(InputError, match=r"2 sources with 1 values up and 2 down"):
        WeightDataMultiVariation("mine", 1.0, ["a", "b"], [1.0], [1.0, 2.0])


def test_function_is_asked_for() -> None:
    with pytest.raises(InputTypeError, match=r"weight 'mine' is a float: give a function"):
        WeightLambda.wrap_func("mine", 1.0)  # type: ignore[arg-type]


# -- applying --------------------------------------------------------------------------------


def totals(run: Callable[..., Any], events: la.Events) -> dict[str, float]:
    found: dict[str, float] = run(events.sum()).value["DYJetsToLL"]
    return found


def test_variations_are_labelled_by_name_and_source(
    dy_frame: la.Events, run: Callable[..., Any]
) -> None:
    events = apply_weights(
        dy_frame, ["varied"], {"varied": Varied}, {}, METADATA, varied=["varied"]
    )
    assert events.variations == ("varied_hfUp", "varied_hfDown", "varied_lfUp")
    n = events.entries
    assert totals(run, events) == {
        "nominal": 2 * n,
        "varied_hfUp": 3 * n,
        "varied_hfDown": n,
        "varied_lfUp": 4 * n,
    }


def test_variations_are_left_out_where_they_are_not_wanted(dy_frame: la.Events) -> None:
    known = {"varied": Varied}
    assert apply_weights(dy_frame, ["varied"], known, {}, METADATA).variations == ()
    data = compute_weight(Varied(), EventsView(dy_frame))
    assert apply_weight(dy_frame, data, varied=False).variations == ()
    assert len(apply_weight(dy_frame, data).variations) == 3


def test_size_makes_numbers_of_lazy_events(dy_frame: la.Events, run: Callable[..., Any]) -> None:
    function = lambda params, metadata, events, size, shape: (  # noqa: E731
        np.full(size, 2.0),
        np.ones(size) * 3,
        np.zeros(size),
    )
    known = {"flat": WeightLambda.wrap_func("flat", function, has_variations=True)}
    events = apply_weights(dy_frame, ["flat"], known, {}, METADATA, varied=["flat"])
    n = events.entries
    assert totals(run, events) == {"nominal": 2 * n, "flatUp": 3 * n, "flatDown": 0}


def test_weights_see_numbers_of_objects(dy_frame: la.Events, run: Callable[..., Any]) -> None:
    known = {"n": WeightLambda.wrap_func("n", lambda p, m, events, *_: 0.5 * events.nMuon)}
    events = apply_weights(dy_frame, ["n"], known, {}, METADATA)
    expected = run(dy_frame.sum(ak.num(dy_frame.Muon))).value["DYJetsToLL"]["nominal"]
    assert totals(run, events) == {"nominal": 0.5 * expected}


def test_data_get_no_weights_of_simulation(muon_frame: la.Events, run: Callable[..., Any]) -> None:
    both = {
        name: WeightLambda.wrap_func(
            name, lambda *_: (2.0, 3.0, 1.0), has_variations=True, isMC_only=name == "mc"
        )
        for name in ("mc", "any")
    }
    events = apply_weights(muon_frame, both, both, {}, METADATA, varied=both)
    assert events.variations == ()
    assert run(events.sum()).value["SingleMuon"] == {"nominal": 2.0 * events.entries}


def test_unknown_weight_is_named(dy_frame: la.Events) -> None:
    known = weights_by_name(common_weights)
    with pytest.raises(InputError, match=r"no weight 'pileupp'.*Did you mean 'pileup'.*sf_mu_id"):
        apply_weights(dy_frame, ["pileupp"], known, {}, METADATA)


# -- the common weights ----------------------------------------------------------------------


def test_common_weights_have_the_names_configurations_use() -> None:
    assert tuple(weights_by_name(common_weights)) == (
        *("genWeight", "signOf_genWeight", "lumi", "XS", "pileup", "sf_mu_id", "sf_mu_iso"),
    )
    assert all(weight.isMC_only for weight in common_weights)
    varied = [weight.name for weight in common_weights if weight.has_variations]
    assert varied == ["pileup", "sf_mu_id", "sf_mu_iso"]


def compute(name: str, params: Any, events: Any, metadata: Any = METADATA) -> Any:
    return compute_weight(weights_by_name(common_weights)[name](params, metadata), events)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("genWeight", lambda e: e.genWeight),
        ("signOf_genWeight", lambda e: np.sign(e.genWeight)),
        ("pileup", lambda e: pileup_weight(e.Pileup.nTrueInt)),
        ("sf_mu_id", lambda e: ak.prod(muon_scale_factor("id", e.pt, e.eta), axis=1)),
        ("sf_mu_iso", lambda e: ak.prod(muon_scale_factor("iso", e.pt, e.eta), axis=1)),
    ],
)
def test_values_are_those_of_the_generator(
    params: Any, good: la.Events, value: Callable[..., Any], name: str, expected: Any
) -> None:
    of = good.MuonGood if name.startswith("sf") else good
    found = value(good, compute(name, params, EventsView(good)).nominal)
    assert np.allclose(found, value(good, expected(of)), rtol=1e-6)


@pytest.mark.parametrize("name", ["sf_mu_id", "sf_mu_iso"])
def test_variations_are_around_nominal(
    params: Any, good: la.Events, value: Callable[..., Any], name: str
) -> None:
    data = compute(name, params, EventsView(good))
    nominal, up, down = (value(good, one) for one in (data.nominal, data.up, data.down))
    assert ak.all((down <= nominal) & (nominal <= up))
    assert ak.sum(down < up) > 50


def test_pileup_is_that_of_the_file(
    params: Any, good: la.Events, value: Callable[..., Any]
) -> None:
    data = compute("pileup", params, EventsView(good))
    given = params.pileupJSONfiles["2018"]
    reference = correctionlib.CorrectionSet.from_file(given.file)[given.name]
    number = value(good, good.Pileup.nTrueInt)
    for column, tag in ((data.nominal, "nominal"), (data.up, "up"), (data.down, "down")):
        assert ak.array_equal(value(good, column), reference.evaluate(number, tag))


def test_events_in_memory_have_the_same_weights(
    params: Any, good: la.Events, dy_events: ak.Array, value: Callable[..., Any]
) -> None:
    muons = dy_events.Muon
    events = ak.with_field(dy_events, muons[(muons.pt > 20) & (abs(muons.eta) < 2.4)], "MuonGood")
    for name in ("pileup", "sf_mu_id"):
        found = value(good, compute(name, params, EventsView(good)).up)
        assert ak.array_equal(found, compute(name, params, events).up, dtype_exact=False)


def test_luminosity_and_cross_section_are_numbers(params: Any, dy_frame: la.Events) -> None:
    assert compute("lumi", params, dy_frame).nominal == 50.0
    assert compute("XS", params, dy_frame).nominal == 6077.22
    assert compute("XS", params, dy_frame, {**METADATA, "xsec": "12.5"}).nominal == 12.5


def test_luminosity_of_other_years_is_that_of_the_defaults(params: Any) -> None:
    other = {**METADATA, "year": "2016_PostVFP"}
    assert compute("lumi", params, None, other).nominal == 16810.0
    with pytest.raises(InputError, match=r"lumi\.picobarns.*2019"):
        compute("lumi", params, None, {**METADATA, "year": "2019"})


def test_cross_sections_of_several_datasets_are_a_column(
    params: Any, toy_files: dict[str, Any], run: Callable[..., Any]
) -> None:
    frame = la.open({name: toy_files[name] for name in ("DYJetsToLL", "TTTo2L2Nu")})
    shared = {key: value for key, value in METADATA.items() if key != "xsec"}
    known = weights_by_name(common_weights)
    for metadata in (shared, frame.metadata):
        events = apply_weights(frame, ["XS"], known, params, metadata)
        for name, found in run(events.sum()).value.items():
            entries = la.open({name: toy_files[name]}).entries
            xsec = float(toy_files[name]["metadata"]["xsec"])
            assert found["nominal"] == pytest.approx(entries * xsec)


def test_all_weights_together(params: Any, good: la.Events, run: Callable[..., Any]) -> None:
    names = [weight.name for weight in common_weights if weight.name != "signOf_genWeight"]
    known = weights_by_name(common_weights)
    events = apply_weights(good, names, known, params, METADATA, varied=["pileup", "sf_mu_id"])
    assert events.variations == ("pileupUp", "pileupDown", "sf_mu_idUp", "sf_mu_idDown")
    found = totals(run, events)
    assert len(set(found.values())) == 5
    assert found["sf_mu_idDown"] < found["nominal"] < found["sf_mu_idUp"]


def test_missing_correction_file_is_named_with_its_parameter(dy_frame: la.Events) -> None:
    with pytest.raises(FileError, match=r"pileupJSONfiles\.2018\.file: .*puWeights\.json\.gz"):
        compute("pileup", get_default_parameters(), dy_frame)


def test_muons_out_of_range_can_be_allowed(
    params: Any, dy_frame: la.Events, run: Callable[..., Any], tmp_path: Path
) -> None:
    everything = dy_frame.define(MuonGood=dy_frame.Muon)
    data = compute("sf_mu_id", params, EventsView(everything))
    with pytest.raises(la.errors.RunError, match=r"NUM_TightID.*not defined.*out_of_range"):
        run(everything.sum(data.nominal))
    clamped = OmegaConf.create(OmegaConf.to_container(params, resolve=False))
    clamped.lepton_scale_factors.muon_sf.out_of_range = "clamp"
    data = compute("sf_mu_id", clamped, EventsView(everything))
    assert run(everything.sum(data.nominal)).value["DYJetsToLL"]["nominal"] > 0
