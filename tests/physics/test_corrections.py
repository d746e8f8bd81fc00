"""Corrections give what correctionlib gives, for columns of any shape."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import correctionlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazyana as la
from lazyana.errors import FileError, InputError, InputTypeError, RunError
from lazyana.physics.corrections import (
    Correction,
    CorrectionFile,
    evaluate,
    open_corrections,
    outside,
)
from lazyana.plan.fingerprint import fingerprint

PT_EDGES = [10.0, 20.0, 40.0, 100.0]
INNER, OUTER = [1.1, 1.2, 1.3], [0.9, 0.8, 0.7]


def binning(name: str, edges: list[float], content: list[Any], flow: Any = "error") -> Any:
    return {"nodetype": "binning", "input": name, "edges": edges, "content": content, "flow": flow}


def in_pt(content: list[float], shift: float, edges: list[float] = PT_EDGES) -> Any:
    return binning("pt", edges, [value + shift for value in content])


def tagged(shift: float) -> Any:
    inner, outer = in_pt(INNER, shift), in_pt(OUTER[:2], shift, [10.0, 30.0, 60.0])
    return binning("abseta", [0.0, 1.2, 2.4], [inner, outer])


def one(name: str, inputs: list[tuple[str, str]], data: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": 1,
        "inputs": [{"name": n, "type": t} for n, t in inputs],
        "output": {"name": "value", "type": "real"},
        "data": data,
    }


def content(shift: float = 0.1) -> dict[str, Any]:
    tags = [{"key": k, "value": tagged(s)} for k, s in (("nominal", 0.0), ("up", shift))]
    by_tag = {"nodetype": "category", "input": "which", "content": tags}
    step = binning("pt", PT_EDGES, [2.0, 3.0, 4.0], "clamp")
    level = binning("pt", [0.0, 50.0, 500.0], [1.5, 0.5], "clamp")
    run = {
        "nodetype": "category",
        "input": "run",
        "content": [{"key": 1, "value": 5.0}, {"key": 2, "value": 6.0}],
    }
    sentinel = binning("pt", PT_EDGES, [2.0, 3.0, 4.0], -999.0)
    pt = [("pt", "real")]
    compound = {
        "name": "both",
        "inputs": [{"name": "pt", "type": "real"}],
        "output": {"name": "value", "type": "real"},
        "inputs_update": ["pt"],
        "input_op": "*",
        "output_op": "*",
        "stack": ["step", "level"],
    }
    return {
        "schema_version": 2,
        "corrections": [
            one("factor", [("abseta", "real"), ("pt", "real"), ("which", "string")], by_tag),
            one("step", pt, step),
            one("level", pt, level),
            one("by_run", [("run", "int")], run),
            one("sentinel", pt, sentinel),
        ],
        "compound_corrections": [compound],
    }


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corrections") / "factors.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content()).encode()))
    return path


@pytest.fixture(scope="module")
def file(path: Path) -> CorrectionFile:
    return open_corrections(path)


@pytest.fixture(scope="module")
def reference(path: Path) -> correctionlib.CorrectionSet:
    return correctionlib.CorrectionSet.from_file(str(path))


# -- files -----------------------------------------------------------------------------------


def test_file_lists_its_corrections_and_their_inputs(file: CorrectionFile) -> None:
    assert list(file) == ["factor", "step", "level", "by_run", "sentinel", "both"]
    assert len(file) == 6
    assert "factor" in file
    assert "factory" not in file
    assert file.input_names("factor") == ("abseta", "pt", "which")
    assert file["factor"].input("which").choices == ("nominal", "up")
    assert file["factor"].input("pt").kind == "real"
    assert file["factor"].input("pt").choices == ()


def test_unknown_names_are_named_with_what_there_is(file: CorrectionFile) -> None:
    with pytest.raises(InputError, match=r"no correction 'facter'.*'factor'.*by_run"):
        file["facter"]
    with pytest.raises(InputError, match=r"no input 'abs_eta'.*'abseta'"):
        file["factor"].input("abs_eta")


def test_plain_and_compressed_files_hold_the_same(path: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps(content()))
    assert open_corrections(plain)["factor"] == open_corrections(path)["factor"]
    assert open_corrections(plain).sha256 != open_corrections(path).sha256


@pytest.mark.parametrize(
    "given",
    [
        b"not json",
        b"\x1f\x8bcut",
        b"[]",
        b"{}",
        b'{"schema_version": 1, "corrections": []}',
        b'{"schema_version": 2}',
    ],
)
def test_files_of_something_else_are_refused(tmp_path: Path, given: bytes) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(given)
    with pytest.raises(FileError, match=r"odd\.json"):
        open_corrections(path)


def test_missing_file_is_refused_with_a_suggestion(path: Path) -> None:
    with pytest.raises(FileError, match=r"factor\.json\.gz.*Did you mean 'factors\.json\.gz'"):
        open_corrections(path.with_name("factor.json.gz"))


def test_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "changing.json"
    path.write_text(json.dumps(content(0.1)))
    before = evaluate(open_corrections(path)["factor"], 0.5, 15.0, "up")
    assert before == pytest.approx(1.2)
    path.write_text(json.dumps(content(0.2)))
    assert evaluate(open_corrections(path)["factor"], 0.5, 15.0, "up") == pytest.approx(1.3)


def test_correction_is_identified_by_its_own_content(tmp_path: Path, file: CorrectionFile) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps(content(0.2)))
    other = open_corrections(path)
    assert other["step"] == file["step"]
    assert fingerprint(other["step"]) == fingerprint(file["step"])
    assert other["factor"] != file["factor"]
    assert fingerprint(other["factor"]) != fingerprint(file["factor"])


def test_correction_travels_without_its_file(path: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.json.gz"
    gone.write_bytes(path.read_bytes())
    sent = pickle.dumps(open_corrections(gone)["both"])
    gone.unlink()
    assert evaluate(pickle.loads(sent), 15.0) == 3.0


# -- values ----------------------------------------------------------------------------------


@given(
    st.lists(
        st.lists(st.tuples(st.floats(0, 2.3), st.floats(10, 59)) | st.none(), max_size=4),
        max_size=6,
    )
)
def test_any_shape_gives_what_each_value_gives(
    file: CorrectionFile, reference: Any, given: Any
) -> None:
    pairs = [[pair or (None, None) for pair in event] for event in given]
    eta = ak.Array([[], [1.0], [None], *([eta for eta, _ in event] for event in pairs)])
    pt = ak.Array([[], [20.0], [None], *([pt for _, pt in event] for event in pairs)])
    found = evaluate(file["factor"], eta, pt, "up")
    plain = [
        [None if pair is None else reference["factor"].evaluate(*pair, "up") for pair in event]
        for event in [[], [(1.0, 20.0)], [None], *given]
    ]
    assert found.tolist() == plain


def test_shapes_are_broadcast_and_missing_stays_missing(file: CorrectionFile) -> None:
    pt = ak.Array([[15.0, None], None, [], [25.0]])
    eta = ak.Array([0.5, 0.5, 0.5, None])
    assert evaluate(file["factor"], eta, pt, "nominal").tolist() == [[1.1, None], None, [], None]
    assert evaluate(file["factor"], 0.5, pt, "nominal").tolist() == [[1.1, None], None, [], [1.2]]


def test_masked_values_are_not_looked_at(file: CorrectionFile) -> None:
    pt = ak.Array([[5.0, 15.0], [500.0]])
    masked = ak.mask(pt, (pt > 10) & (pt < 100))
    assert evaluate(file["factor"], 0.5, masked, "nominal").tolist() == [[None, 1.1], [None]]


def test_numpy_gives_numpy_and_numbers_a_number(file: CorrectionFile) -> None:
    found = evaluate(file["step"], np.array([[15.0, 25.0], [45.0, 15.0]], np.float32))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [[2.0, 3.0], [4.0, 2.0]]
    assert evaluate(file["step"], np.float32(15)) == 2.0
    assert isinstance(evaluate(file["step"], 15), float)


def test_integers_stay_integers(file: CorrectionFile) -> None:
    run = ak.values_astype(ak.Array([[1, 2], []]), np.uint32)
    assert evaluate(file["by_run"], run).tolist() == [[5.0, 6.0], []]
    assert evaluate(file["by_run"], 2.0) == 6.0


def test_events_of_nothing_give_nothing(file: CorrectionFile) -> None:
    assert evaluate(file["step"], ak.Array([])).tolist() == []
    assert evaluate(file["step"], ak.Array([[], []])).tolist() == [[], []]


def test_nan_stays_nan(file: CorrectionFile) -> None:
    pt = np.array([15.0, np.nan, 25.0])
    assert np.array_equal(evaluate(file["step"], pt), [2.0, np.nan, 3.0], equal_nan=True)


def test_compound_correction_goes_through_its_stack(file: CorrectionFile, reference: Any) -> None:
    pt = np.array([15.0, 20.0, 45.0])
    assert file["both"].compound
    assert np.array_equal(evaluate(file["both"], pt), reference.compound["both"].evaluate(pt))


# -- out of range ----------------------------------------------------------------------------


def test_out_of_range_fails_with_the_range_of_the_inputs(file: CorrectionFile) -> None:
    with pytest.raises(
        RunError, match=r"'factor'.*abseta 0\.5 to 2, pt 15 to 70, which 'up'.*clamp"
    ):
        evaluate(file["factor"], np.array([0.5, 2.0]), np.array([15.0, 70.0]), "up")


def test_clamp_takes_the_nearest_bin_of_the_branch_that_applies(file: CorrectionFile) -> None:
    eta, pt = np.array([0.5, 0.5, 2.0, 2.0, 9.0]), np.array([5.0, 100.0, 60.0, 45.0, 9.0])
    found = evaluate(file["factor"], eta, pt, "nominal", out_of_range="clamp")
    assert found.tolist() == [1.1, 1.3, 0.8, 0.8, 0.9]


def test_one_takes_one(file: CorrectionFile) -> None:
    eta, pt = np.array([0.5, 0.5, 2.0, 9.0]), np.array([5.0, 99.0, 60.0, 45.0])
    found = evaluate(file["factor"], eta, pt, "nominal", out_of_range="one")
    assert found.tolist() == [1.0, 1.3, 1.0, 1.0]


def test_not_defined_counts_as_out_of_range(file: CorrectionFile) -> None:
    assert evaluate(file["sentinel"], 5.0) == -999.0
    assert evaluate(file["sentinel"], 5.0, out_of_range="clamp") == 2.0
    assert evaluate(file["sentinel"], 5.0, out_of_range="one") == 1.0


def test_what_the_file_clamps_is_left_alone(file: CorrectionFile) -> None:
    assert evaluate(file["step"], 5.0, out_of_range="one") == 2.0


def test_outside_says_which(file: CorrectionFile) -> None:
    eta, pt = ak.Array([[0.5, 0.5], [], [2.0, 9.0]]), ak.Array([[5.0, 99.0], [], [60.0, 45.0]])
    found = outside(file["factor"], eta, pt, "nominal")
    assert found.tolist() == [[True, False], [], [True, True]]
    assert outside(file["sentinel"], 5.0)
    assert not outside(file["step"], 5.0)


def test_policies_have_names(file: CorrectionFile) -> None:
    with pytest.raises(InputError, match=r"out_of_range='clip'.*error, clamp, one"):
        evaluate(file["step"], 5.0, out_of_range="clip")  # type: ignore[arg-type]


# -- wrong inputs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "error", "words"),
    [
        ((0.5, 15.0), InputError, r"3 inputs: abseta \(real\), pt \(real\), which \(string\)"),
        ((0.5, 15.0, "nominl"), InputError, "no which 'nominl'.*'nominal'.*nominal, up"),
        ((0.5, 15.0, 1.0), InputTypeError, "'which'.*string.*float"),
        (("up", 0.5, 15.0), InputTypeError, "'abseta'.*real.*str"),
    ],
)
def test_wrong_inputs_are_refused(
    file: CorrectionFile, inputs: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        evaluate(file["factor"], *inputs)


# -- lazy ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Correction:
    """A correction of all muons there are."""
    path = tmp_path_factory.mktemp("wide") / "wide.json"
    data = binning("pt", [0.0, 20.0, 40.0], [1.1, 1.2], "clamp")
    inputs = [("pt", "real"), ("npv", "int")]
    path.write_text(json.dumps({"schema_version": 2, "corrections": [one("wide", inputs, data)]}))
    return open_corrections(path)["wide"]


def test_lazy_columns_give_the_same(
    toy_files: dict[str, Any], wide: Correction, value: Callable[..., Any]
) -> None:
    events = la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})
    found = value(events, evaluate(wide, events.Muon.pt, events.PV.npvs))
    pt = value(events, events.Muon.pt)
    npv = value(events, events.PV.npvs)
    assert ak.array_equal(found, evaluate(wide, pt, npv), dtype_exact=True)
    assert ak.all(found == ak.where(pt < 20, 1.1, 1.2))
    assert ak.sum(ak.num(found)) > 100


def test_columns_that_are_not_read_yet_are_read(wide: Correction) -> None:
    pt = ak.Array([[10.0, 30.0], [25.0]])
    form, length, buffers = ak.to_buffers(pt)
    virtual = ak.from_buffers(form, length, {key: lambda b=b: b for key, b in buffers.items()})
    assert not ak.to_layout(virtual).is_all_materialized
    assert evaluate(wide, virtual, 20).to_list() == evaluate(wide, pt, 20).to_list()


def test_lazy_evaluation_reads_its_inputs_and_nothing_else(
    toy_files: dict[str, Any], wide: Correction
) -> None:
    events = la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})
    output = events.sum(ak.sum(evaluate(wide, events.Muon.pt, events.PV.npvs), axis=1))
    (group,) = la.explain(output).groups
    read = group.branches
    assert {"Muon_pt", "nMuon", "PV_npvs"} >= set(read) >= {"Muon_pt", "PV_npvs"}


def test_same_evaluation_is_the_same_step(toy_files: dict[str, Any], wide: Correction) -> None:
    events = la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})
    first, second, other = (
        evaluate(wide, events.Muon.pt, events.PV.npvs, out_of_range=policy)
        for policy in ("error", "error", "one")
    )
    assert first.name == second.name
    # Nothing to change where the file clamps.
    assert other.name == first.name
    pt = events.Muon.pt
    assert evaluate(wide, pt, 3).name != evaluate(wide, pt, 4).name


def test_failure_of_a_run_names_the_correction(
    toy_files: dict[str, Any], file: CorrectionFile, run: Callable[..., Any]
) -> None:
    events = la.open({"DYJetsToLL": toy_files["DYJetsToLL"]})
    muons = events.Muon
    inputs = (abs(muons.eta), muons.pt, "nominal")
    factor = evaluate(file["factor"], *inputs)
    with pytest.raises(RunError, match="Correction 'factor' is not defined"):
        run(events.sum(ak.prod(factor, axis=1)))
    one_where_not = evaluate(file["factor"], *inputs, out_of_range="one")
    ones = run(events.sum(ak.sum(one_where_not == 1, axis=1))).value["DYJetsToLL"]
    assert (
        ones
        == run(events.sum(ak.sum(outside(file["factor"], *inputs), axis=1))).value["DYJetsToLL"]
    )
    assert sum(ones.values()) > 0


def test_real_file_agrees_with_correctionlib(real_data: Path) -> None:
    path = real_data / "corrections" / "jet_jerc_2018UL.json.gz"
    file, reference = open_corrections(path), correctionlib.CorrectionSet.from_file(str(path))
    rng = np.random.default_rng(1)
    eta = rng.uniform(-5, 5, 5000).astype(np.float32)
    pt = (10 + rng.exponential(60, 5000)).astype(np.float32)
    area, rho = rng.uniform(0.3, 0.6, 5000), rng.uniform(1, 50, 5000)
    total = "Summer20UL18NanoV15_V1_MC_Total_AK4PFPuppi"
    assert np.array_equal(evaluate(file[total], eta, pt), reference[total].evaluate(eta, pt))
    levels = "Summer20UL18NanoV15_V1_MC_L1L2L3Res_AK4PFPuppi"
    assert np.array_equal(
        evaluate(file[levels], area, eta, pt, rho),
        reference.compound[levels].evaluate(area, eta, pt, rho),
    )
