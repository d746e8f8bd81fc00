"""Computing: a small analysis against an independent script, and runs that fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import awkward as ak
import dask_awkward as dak
import hist
import numpy as np
import pytest

import lazyana as la
from lazyana.engine.local import Local
from lazyana.errors import (
    ExecutorError,
    InputError,
    InputTypeError,
    LazyanaError,
    OutputExistsError,
    RunError,
)
from lazyana.frame.compute import make_plan
from lazyana.options import ErrorPolicy, ReadOptions, RunOptions
from lazyana.sinks.tables import open_columns

MET = hist.axis.Regular(12, 0, 120, name="met")
PT = hist.axis.Variable([0, 15, 30, 60, 120, 500], name="pt")
NJ = hist.axis.Integer(0, 6, name="nj")
DY, TT, DATA = "DYJetsToLL", "TTTo2L2Nu", "SingleMuon"

# -- a small analysis, lazily ----------------------------------------------------------------


def lazily(events: la.Events) -> dict[str, Any]:
    """Two shape systematics, three weights, four categories."""
    if events.is_mc:
        npv = events.PV.npvs
        events = events.weight("gen", events.genWeight)
        events = events.weight("pu", npv / 20, up=npv / 18, down=npv / 22)
        muon = events.Muon
        events = events.vary(
            "jes", {"Jet.pt": {"up": events.Jet.pt * 1.07, "down": events.Jet.pt * 0.93}}
        )
        events = events.vary(
            "mes",
            {
                "Muon": {
                    "up": ak.with_field(muon, muon.pt * 1.03, "pt"),
                    "down": ak.with_field(muon, muon.pt * 0.97, "pt"),
                }
            },
        )
    events = events.define(
        good=lambda e: e.Jet[(e.Jet.pt > 20) & (abs(e.Jet.eta) < 2.4)],
        nj=lambda e: ak.num(e.good),
    )
    events = events.filter(muon=lambda e: ak.any(e.Muon.pt > 4, axis=1), jet=lambda e: e.nj > 0)
    if events.is_mc:
        lead = ak.max(events.Muon.pt, axis=1)
        events = events.weight("sf", 1 + 0.001 * lead, stat=(1.01, None), syst=(0.9, 1.1))
    events = events.categories(
        {
            "all events": events.nj > 0,
            "two": events.nj >= 2,
            "high": events.MET.pt > 25,
            "lead": ak.max(events.Muon.pt, axis=1) > 15,
        }
    )
    return {
        "met": events.hist(MET, met=events.MET.pt),
        "jets": events.hist(PT, NJ, pt=events.good.pt),
        "sum": events.sum(),
    }


# -- the same, plainly -----------------------------------------------------------------------

SHIFTS = {
    "nominal": (1.0, 1.0),
    "jesUp": (1.07, 1.0),
    "jesDown": (0.93, 1.0),
    "mesUp": (1.0, 1.03),
    "mesDown": (1.0, 0.97),
}
WEIGHTS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "puUp": (18, lambda lead: 1 + 0.001 * lead),
    "puDown": (22, lambda lead: 1 + 0.001 * lead),
    "sf_statUp": (20, lambda lead: 1.01),
    "sf_systUp": (20, lambda lead: 0.9),
    "sf_systDown": (20, lambda lead: 1.1),
}


def plainly(e: Any, label: str, *, is_mc: bool) -> dict[str, Any]:
    """Events, weights and category masks of one variation."""
    jes, mes = SHIFTS.get(label, (1.0, 1.0))
    muon_pt = e.Muon.pt * mes
    jet_pt = e.Jet.pt * jes
    good = jet_pt[(jet_pt > 20) & (abs(e.Jet.eta) < 2.4)]
    nj = ak.num(good)
    keep = ak.any(muon_pt > 4, axis=1) & (nj > 0)
    lead = ak.max(muon_pt, axis=1)[keep]
    npv, sf = WEIGHTS.get(label, (20, lambda lead: 1 + 0.001 * lead))
    weight = np.ones(int(ak.sum(keep)))
    if is_mc:
        # None where there is no muon; all of those were cut.
        factor = ak.to_numpy(ak.fill_none(sf(lead) * ak.ones_like(lead, dtype=np.float64), 0))
        gen = ak.to_numpy(e.genWeight[keep]).astype(np.float64)
        weight = gen * ak.to_numpy(e.PV.npvs[keep] / npv) * factor.astype(np.float64)
    met = e.MET.pt[keep]
    categories = {
        "all events": nj[keep] > 0,
        "two": nj[keep] >= 2,
        "high": met > 25,
        "lead": ak.fill_none(lead > 15, False),
    }
    return {"met": met, "pt": good[keep], "nj": nj[keep], "weight": weight, **categories}


def compare(result: la.Result, plain: Any, name: str, filled: Any, *, is_mc: bool) -> None:
    labels = {*SHIFTS, *WEIGHTS} if is_mc else {"nominal"}
    for label in labels:
        files = [plainly(e, label, is_mc=is_mc) for e in plain.events[name]]

        def part(key: str, files: Any = files) -> Any:
            return ak.concatenate([file[key] for file in files])

        weight, met, pt = part("weight"), part("met"), part("pt")
        nj = ak.broadcast_arrays(part("nj"), pt)[0]
        assert result["sum"][name][label] == pytest.approx(float(np.sum(weight)), rel=1e-12)
        for category in ("all events", "two", "high", "lead"):
            mask = part(category)
            where = {"dataset": name, "category": category, "variation": label}
            for found, expected in (
                (result["met"], filled(MET, values=[met[mask]], weight=weight[mask])),
                (result["jets"], filled(PT, NJ, values=[pt[mask], nj[mask]], weight=weight[mask])),
            ):
                for of in ("values", "variances"):
                    np.testing.assert_allclose(
                        getattr(found[where], of)(flow=True),
                        getattr(expected, of)(flow=True),
                        rtol=1e-12,
                        err_msg=f"{name} {label} {category} {of}",
                    )


@pytest.fixture(scope="module")
def outputs(toy_files: dict[str, Any]) -> Any:
    return la.apply(lazily, toy_files)


@pytest.fixture(scope="module")
def result(outputs: Any, run: Any) -> la.Result:
    return run(outputs)


def test_toy_analysis_is_the_plain_one(result: la.Result, plain: Any, filled: Any) -> None:
    assert set(result["met"].axes["variation"]) == {*SHIFTS, *WEIGHTS}
    for name in (DY, TT, DATA):
        compare(result, plain, name, filled, is_mc=name != DATA)


def test_real_analysis_is_the_plain_one(
    real_data: Path, read_plain: Any, run: Any, filled: Any
) -> None:
    files = {
        name: [real_data / "nanoaod" / f"nano_{name}.root"] for name in ("dy", "tt_v12", "dimuon")
    }
    result = run(la.apply(lazily, files), partition_size=17)
    plain = read_plain(files)
    for name in files:
        compare(result, plain, name, filled, is_mc=name != "dimuon")
    assert result.report.partitions == 3 + 12 + 3
    assert result.report.warnings == ()


@pytest.mark.parametrize("size", [1000, 137, 31])
def test_any_partitioning_gives_the_same(
    outputs: Any, result: la.Result, run: Any, size: int
) -> None:
    other = run(outputs, partition_size=size)
    for name in ("met", "jets"):
        for of in ("values", "variances"):
            np.testing.assert_allclose(
                getattr(other[name], of)(flow=True),
                getattr(result[name], of)(flow=True),
                rtol=1e-12,
            )
        data = {"dataset": DATA, "variation": "nominal"}
        assert other[name][data] == result[name][data]  # counts are exact
    for dataset, sums in result["sum"].items():
        assert other["sum"][dataset] == pytest.approx(sums, rel=1e-12)


def test_threads_give_the_bits_of_sync(outputs: Any, result: la.Result) -> None:
    other = la.compute(outputs, executor="threads", workers=3, partition_size=70)
    assert other["met"] == result["met"]
    assert other["jets"] == result["jets"]
    assert other["sum"] == result["sum"]


# -- nesting and several frames --------------------------------------------------------------


def test_nesting_comes_back(dy: la.Events, run: Any) -> None:
    one, two = dy.sum(), dy.filter(met=dy.MET.pt > 20).sum()
    found = run({"a": [one, {"b": (two,)}], 3: one})
    assert found.value == {
        "a": [run(one).value, {"b": (run(two).value,)}],
        3: run(one).value,
    }
    assert found["a/1/b/0"] == run(two).value
    assert run([one])[0] == run(one).value


def test_several_frames_and_openings_run_in_one_job(
    toy_files: dict[str, Any], dy: la.Events, run: Any
) -> None:
    again = la.open({DY: toy_files[DY]})
    frames = [dy, dy.filter(met=dy.MET.pt > 20), again]
    outputs = [frame.sum(frame.MET.pt) for frame in frames]
    plan = make_plan(outputs, options=RunOptions(100))
    assert len(plan.groups) == len(plan.job.works) == 2
    result = run(outputs, partition_size=100)
    assert result.value == [run(output, partition_size=100).value for output in outputs]
    # The second opening is a program of its own, and reads the events again.
    assert result.report.datasets[DY].partitions == 12
    assert result.report.events_read == 1200
    single = run(outputs[0], partition_size=100).report.datasets[DY]
    assert result.report.datasets[DY].bytes_read == 2 * single.bytes_read
    assert set(result.provenance.programs) == {DY, f"{DY} #2"}


def test_one_task_per_partition_for_any_number_of_outputs(dy: la.Events) -> None:
    frame = dy.categories({f"c{i}": dy.MET.pt > i for i in range(70)})
    for label in ("a", "b", "c"):
        frame = frame.vary(label, {"MET.pt": {"up": frame.MET.pt * 1.1}})
    few, many = (
        make_plan([frame.hist(MET, met=frame.MET.pt) for _ in range(n)], options=RunOptions(50))
        for n in (1, 9)
    )
    assert len(few.job.graph()) == len(many.job.graph())
    assert many.job.partitions == 12


def test_same_named_variations_of_two_frames_keep_apart(dy: la.Events, run: Any) -> None:
    one = dy.vary("jes", {"Jet.pt": {"up": dy.Jet.pt * 2}})
    two = dy.vary("jes", {"Jet.pt": {"up": dy.Jet.pt * 4}})
    first, second = run([one.sum(one.Jet.pt), two.sum(two.Jet.pt)])
    assert first[DY]["nominal"] == second[DY]["nominal"] > 0
    assert first[DY]["jesUp"] == 2 * first[DY]["nominal"]
    assert second[DY]["jesUp"] == 4 * first[DY]["nominal"]


# -- what cannot be computed -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "options", "error", "words"),
    ids=count(),
    argvalues=[
        (lambda e: [], {}, InputError, "nothing to compute"),
        (lambda e: {}, {}, InputError, "nothing to compute"),
        (lambda e: e, {}, InputTypeError, r"Events.*\.hist\(\)"),
        (lambda e: {"x": e.MET.pt}, {}, InputTypeError, r"Array.*at 'x'.*\.hist\(\)"),
        (lambda e: [e.sum(), None], {}, InputTypeError, "NoneType"),
        (lambda e: {1.5: e.sum()}, {}, InputTypeError, "1.5"),
        (lambda e: e.sum(), {"executor": "thread"}, ExecutorError, "'thread'.*'threads'.*sync"),
        (lambda e: e.sum(), {"executor": 3}, ExecutorError, "3"),
        (lambda e: e.sum(), {"partition_size": "5"}, InputError, "no number of bytes.*5 events"),
        (lambda e: e.sum(), {"on_error": "ignore"}, InputError, "'ignore'.*raise, skip"),
        (
            lambda e: e.sum(),
            {"on_error": "raise", "reading": ReadOptions(on_error="skip")},
            InputError,
            r"on_error='raise' contradicts reading=ReadOptions\(on_error='skip'\)",
        ),
        (lambda e: e.sum(), {"reading": {"retries": 1}}, InputTypeError, "dict.*ReadOptions"),
        (lambda e: e.sum(), {"partition_size": 0}, InputError, "partition_size.*at least 1"),
        (lambda e: e.sum(), {"partition_size": 1.5}, InputTypeError, "partition_size.*1.5"),
        (lambda e: e.sum(), {"merge_fan_in": 1}, InputError, "merge_fan_in"),
    ],
)
def test_compute_refuses(
    dy: la.Events,
    run: Any,
    outputs: Callable[[la.Events], Any],
    options: Mapping[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        run(outputs(dy), **options)


def test_two_outputs_do_not_write_to_one_place(dy: la.Events, run: Any, tmp_path: Path) -> None:
    one = dy.columns(tmp_path / "out", {"x": dy.MET.pt})
    two = dy.columns(tmp_path / "elsewhere" / ".." / "out", {"x": dy.MET.phi})
    with pytest.raises(InputError, match=r"Outputs 'a' and 'b' both write to .*out.*two places"):
        run({"a": one, "b": two})
    inner = dy.columns(tmp_path / "out" / "inner", {"x": dy.MET.phi})
    with pytest.raises(InputError, match="one inside the other"):
        run({"a": one, "b": inner})
    assert not (tmp_path / "out").exists()
    beside = dy.columns(tmp_path / "out2", {"x": dy.MET.phi})
    assert set(run({"a": one, "b": beside})) == {"a", "b"}


def test_an_existing_output_is_refused_before_anything_is_made(
    dy: la.Events, run: Any, tmp_path: Path
) -> None:
    run(dy.columns(tmp_path / "old", {"x": dy.MET.pt}))
    outputs = [
        dy.columns(tmp_path / "new", {"x": dy.MET.pt}),
        dy.columns(tmp_path / "old", {"x": dy.MET.pt}),
    ]
    with pytest.raises(OutputExistsError, match=r"old.*overwrite"):
        run(outputs)
    assert not (tmp_path / "new").exists()
    assert run(dy.columns(tmp_path / "old", {"x": dy.MET.pt}, overwrite=True)).value.rows == 600


@pytest.mark.parametrize("executor", ["sync", "threads"])
def test_a_run_that_fails_leaves_nothing_that_looks_complete(
    dy: la.Events, plain: Any, tmp_path: Path, executor: str
) -> None:
    last = int(plain.events[DY][1].event[-1])

    def sooner_or_later(pt: ak.Array, number: ak.Array) -> ak.Array:
        found = ak.any(number == last)
        if ak.backend(pt) != "typetracer" and found:
            msg = "the disk of the user's dreams is full"
            raise ValueError(msg)
        return pt

    column = dak.map_partitions(sooner_or_later, dy.MET.pt, dy.event, label="mine")
    output = dy.columns(tmp_path / "out", {"x": column})
    with pytest.raises(RunError, match=r"(?s)'mine'.*DYJetsToLL_.\.root.*ValueError.*dreams"):
        la.compute(output, executor=executor, workers=1, partition_size=50)
    assert list((tmp_path / "out").rglob("*.parquet"))
    assert not list((tmp_path / "out").rglob("*manifest*"))
    with pytest.raises(LazyanaError, match="did not finish"):
        open_columns(tmp_path / "out")
    # It is ours, so it may be written again.
    fine = dy.columns(tmp_path / "out", {"x": dy.MET.pt}, overwrite=True)
    assert la.compute(fine, executor="sync").value.rows == 600


# -- report, provenance, explain -------------------------------------------------------------


def test_report_and_provenance(mc: la.Events, run: Any) -> None:
    output = mc.sum(mc.MET.pt)
    result = run(output)
    assert {name: d.events_read for name, d in result.report.datasets.items()} == {DY: 600, TT: 120}
    sizes = [file.branch_bytes["MET_pt"] for file in mc._group.catalog.files[DY]]
    assert result.report.datasets[DY].bytes_read == sum(sizes)
    assert "sync" in result.report.text()
    again, other = run(output), run(mc.sum(mc.MET.phi))
    assert again.provenance.programs == result.provenance.programs
    assert other.provenance.programs != result.provenance.programs
    assert other.provenance.fileset == result.provenance.fileset
    assert result.provenance.options["partition_size"] == 70
    assert result.provenance.options["on_error"] == "raise"


@pytest.mark.parametrize(
    ("on_error", "reading", "expected"),
    [
        (None, None, ReadOptions()),
        ("skip", None, ReadOptions(on_error="skip")),
        (None, ReadOptions(retries=1, on_error="skip"), ReadOptions(retries=1, on_error="skip")),
        ("skip", ReadOptions(retries=1), ReadOptions(retries=1, on_error="skip")),
    ],
)
def test_how_to_read_reaches_the_tasks(
    dy: la.Events,
    monkeypatch: pytest.MonkeyPatch,
    on_error: ErrorPolicy | None,
    reading: ReadOptions | None,
    expected: ReadOptions,
) -> None:
    seen = []

    def run(self: Local, job: Any, watcher: Any) -> Any:
        seen.append(job.reading)
        return real(self, job, watcher)

    real = Local.run
    monkeypatch.setattr(Local, "run", run)
    la.compute(dy.sum(), executor="sync", on_error=on_error, reading=reading)
    assert seen == [expected]


def test_report_tells_what_is_left_out_and_what_was_read(
    toy_files: dict[str, Any], tmp_path: Path
) -> None:
    first, second = (Path(path) for path in toy_files[DY]["files"])
    gone, broken = tmp_path / "gone.root", tmp_path / "broken.root"
    shutil.copy(second, gone)
    broken.write_bytes(b"root")
    catalog = la.inspect({DY: [str(first), str(gone), str(broken)]}, on_error="skip")
    events = la.open(catalog)
    output = events.sum(events.MET.pt)
    whole = la.compute(output, executor="sync").report
    assert [problem.file for problem in whole.problems] == [str(broken)]
    assert whole.events_read == 600
    gone.unlink()
    result = la.compute(output, executor="sync", on_error="skip", partition_size=100)
    report = result.report
    assert not report.complete
    assert [(p.file, p.start, p.stop) for p in report.problems] == [
        (str(broken), 0, 0),
        *((str(gone), start, start + 100) for start in (0, 100, 200)),
    ]
    assert report.events_read == 300
    one = la.open({DY: str(first)})
    alone = la.compute(one.sum(one.MET.pt), executor="sync")
    assert report.datasets[DY].bytes_read == alone.report.datasets[DY].bytes_read
    assert result.value == alone.value


def test_partitions_by_bytes_and_by_default(dy: la.Events) -> None:
    output = dy.sum(dy.MET.pt)
    # 4 bytes an event, and the small files are read together.
    many = make_plan(output, options=RunOptions("500 B")).job
    assert {partition.entries for _, _, partition in many.tasks()} == {100}
    (only,) = make_plan(output).job.works[0].partitions
    assert (only.entries, len(only.spans)) == (600, 2)


def test_explain_tells_at_every_stage(dy: la.Events, tmp_path: Path) -> None:
    frame = dy.vary("jes", {"Jet.pt": {"up": dy.Jet.pt * 1.1, "down": dy.Jet.pt * 0.9}})
    frame = frame.filter(jet=lambda e: ak.any(e.Jet.pt > 30, axis=1))
    outputs = {"jets": frame.hist(PT, pt=frame.Jet.pt), "met": frame.hist(MET, met=frame.MET.pt)}
    text = str(la.explain(outputs, partition_size=100))
    for word in ("Jet_pt", "MET_pt", "nJet", "jesUp", "jets", "met"):
        assert word in text
    assert "600 events in 2 TTree files, 6 partitions of 100 events" in text
    listed = {
        stage: str(la.explain(outputs, stage=stage))
        for stage in ("recorded", "shared", "pruned", "varied", "released")
    }
    assert "jesUp" in listed["varied"]
    assert "@jesUp" in listed["varied"]
    assert "@jesUp" not in listed["pruned"]
    assert "frees" in listed["released"]
    la.explain(outputs).save(tmp_path / "plan.dot")
    assert "digraph" in (tmp_path / "plan.dot").read_text()
    with pytest.raises(InputError, match=r"stage 'prunned'.*'pruned'"):
        la.explain(outputs, stage="prunned")


def test_categories_of_several_masks(dy: la.Events) -> None:
    hard, central = dy.MET.pt > 15, ak.num(dy.Jet) < 3
    listed = dy.categories({"both": [hard, central], "hard": [hard], "same": (central, hard)})
    plain = dy.categories({"both": hard & central, "hard": hard, "same": central & hard})
    axis = hist.axis.Regular(8, 0, 80, name="met")
    one, two = (
        la.compute([frame.hist(axis, met=frame.MET.pt)], executor="sync", progress=False)[0]
        for frame in (listed, plain)
    )
    assert one == two
    # however many categories they are in, masks are worked out once
    assert len(listed._state.categories.masks) == 2
    with pytest.raises(InputError, match="'none' is an empty list"):
        dy.categories({"none": []})
    with pytest.raises(InputTypeError, match="Category 'wrong'"):
        dy.categories({"wrong": [hard, dy.MET.pt]})
