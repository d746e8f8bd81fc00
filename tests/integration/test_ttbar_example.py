"""The example of top quark pairs: products of categories, subsamples, own weights and columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lazyana.analysis.config import Analysis
from lazyana.analysis.run import run
from lazyana.toy.corrections import write_corrections
from lazyana.toy.inputs import write_fileset, write_inputs
from lazyana.toy.sample import write_dataset

pytestmark = pytest.mark.integration

TT, SUBSAMPLES = "TTTo2L2Nu_2018", ("TTTo2L2Nu__bb", "TTTo2L2Nu__other")
JETS, TAGGED = ("2j", "3j", "4j"), ("0b", "1b", "2b")
PRODUCTS = [f"{jets}_{tagged}" for jets in JETS for tagged in TAGGED]


@pytest.fixture(scope="module")
def output(
    example_copy: Callable[[str], Path],
    configured: Callable[[Path], Analysis],
    toy_files: dict[str, Any],
) -> Any:
    """What the example gives for ttbar."""
    folder = example_copy("ttbar")
    write_corrections(folder / "corrections")
    write_inputs(folder, toy_files, folder / "corrections")
    more = write_dataset(folder / "sample", "TTTo2L2Nu", events=2_000)
    metadata = toy_files["TTTo2L2Nu"]["metadata"]
    write_fileset(folder, "TTTo2L2Nu", [str(path) for path in more], metadata)
    cfg = configured(folder / "config.py").filtered(samples=["TTTo2L2Nu"])
    return run(cfg, executor="sync", progress=False).output


def variations(output: Any) -> list[str]:
    return list(output["sumw"]["baseline"][TT][SUBSAMPLES[0]])


def test_variations_of_weights_and_shapes(output: Any) -> None:
    labels = set(variations(output))
    assert {"top_ptUp", "btag_efficiency_lightDown", "muon_scaleUp", "pileupDown"} <= labels
    assert any(label.startswith("AK4PFchs_JES_Regrouped_") for label in labels)
    sums = output["sumw"]["baseline"][TT][SUBSAMPLES[0]]
    for label in ("top_ptUp", "btag_efficiency_heavyUp", "pileupUp"):
        assert sums[label] != sums["nominal"]


@pytest.mark.parametrize("parts", [PRODUCTS, ["emu", "mumu"]], ids=["products", "flavours"])
def test_categories_are_all_of_the_baseline(output: Any, parts: list[str]) -> None:
    for sample in SUBSAMPLES:
        for label in variations(output):
            for kind in ("cutflow", "sumw", "sumw2"):
                parted = [output[kind][name][TT][sample][label] for name in parts]
                whole = output[kind]["baseline"][TT][sample][label]
                assert sum(parted) == pytest.approx(whole, rel=1e-12)
                assert whole > 0


def test_subsamples_are_all_of_the_sample(output: Any) -> None:
    cutflow = output["cutflow"]
    for label, count in cutflow["presel"][TT].items():
        assert sum(cutflow["baseline"][TT][name][label] for name in SUBSAMPLES) == count
    assert min(cutflow["baseline"][TT][name]["nominal"] for name in SUBSAMPLES) > 5


def test_categories_are_bins_of_the_histogram(output: Any) -> None:
    for sample in SUBSAMPLES:
        filled = output["variables"]["jets"][sample][TT]
        for label in variations(output):
            values = filled[{"cat": "baseline", "variation": label}].values(flow=True)
            # Underflow, 2, 3, ... jets; underflow, 0, 1, ... tagged ones.
            rows = values[1], values[2], values[3:].sum(axis=0)
            bins = [(row[1], row[2], row[3:].sum()) for row in rows]
            sums = [output["sumw"][name][TT][sample][label] for name in PRODUCTS]
            np.testing.assert_allclose(np.ravel(bins), sums, rtol=1e-12, atol=1e-15)


def test_histograms_of_some_categories(output: Any) -> None:
    variables = output["variables"]
    sample = SUBSAMPLES[0]
    assert list(variables["ElectronGood_pt_1"][sample][TT].axes["cat"]) == ["emu"]
    assert list(variables["jets"][sample][TT].axes["cat"]) == ["baseline", "emu", "mumu"]
    assert list(variables["JetGood_btagDeepFlavB"][sample][TT].axes["variation"]) == ["nominal"]
    assert set(variables["mll"][sample][TT].axes["cat"]) == {"baseline", "emu", "mumu", *PRODUCTS}


def test_columns_of_categories(output: Any) -> None:
    sample = SUBSAMPLES[0]
    found = output["columns"][sample][TT]
    assert set(found) == {"4j_2b", "emu"}
    for category, per_label in found.items():
        for label, columns in per_label.items():
            plain = {name: getattr(one, "value", one) for name, one in columns.items()}
            assert len(plain["weight"]) == output["cutflow"][category][TT][sample][label]
            assert ("weight_variation_top_ptUp" in plain) == (label == "nominal")
    jets = {name: one.value for name, one in found["4j_2b"]["nominal"].items()}
    assert np.all(jets["JetGood_N"] >= 4)
    assert np.all(jets["events_nBJetGood"] >= 2)
    each = np.split(jets["JetGood_pt"], np.cumsum(jets["JetGood_N"])[:-1])
    np.testing.assert_allclose([one.sum() for one in each], jets["events_HT"], rtol=1e-6)
