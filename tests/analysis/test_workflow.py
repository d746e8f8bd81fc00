from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import awkward as ak
import numpy as np
import pytest

import lazyana as la
from lazyana.analysis.axes import Axis
from lazyana.analysis.columns import ColOut
from lazyana.analysis.weights import WeightData, WeightDataMultiVariation
from lazyana.analysis.workflow import (
    NOT_HERE,
    BaseProcessorABC,
    Extras,
    Workflow,
    check_hooks,
)
from lazyana.errors import ColumnError, InputError, InputTypeError

JETS = Axis("nJet", bins=3, start=0, stop=3)
CFG: Any = SimpleNamespace(parameters={"default_nano_version": {"2018": 9}}, workflow_options={})


class Noting(Workflow):
    def load_metadata_extra(self) -> None:
        self.noted = (self._sample, self._year, self._isMC, self._isSkim, self._era)


def test_metadata(dy_frame: la.Events) -> None:
    workflow = Noting(CFG)
    workflow.begin(dy_frame, {"sample": "DY", "year": 2018, "isMC": True, "isSkim": True})
    assert workflow.noted == ("DY", "2018", True, True, "MC")
    assert workflow._nano_version == 9
    assert workflow._primaryDataset == ""
    metadata = {"sample": "DY", "year": "2022", "era": "C", "isMC": 0, "nano_version": 12}
    workflow.begin(dy_frame, metadata)
    assert workflow._era == "C"
    assert workflow._nano_version == 12


@pytest.mark.parametrize(
    ("name", "words"),
    [
        *((name, re.escape(instead)) for name, instead in NOT_HERE.items()),
        ("goodness", r"Workflow Noting has no 'goodness'\."),
    ],
)
def test_what_takes_the_place_of_what_others_have(name: str, words: str) -> None:
    assert not hasattr(Noting(CFG), name)
    with pytest.raises(ColumnError, match=words):
        getattr(Noting(CFG), name)


def test_hooks_do_nothing(dy_frame: la.Events) -> None:
    workflow = Workflow(CFG)
    workflow.begin(dy_frame, {"sample": "DY", "year": "2018", "isMC": True})
    for hook in (workflow.process_extra_before_skim, workflow.process_extra_after_skim):
        hook()
    for name in (
        *("process_extra_after_calibrators", "count_objects", "process_extra_before_presel"),
        *("define_common_variables_before_presel", "define_common_variables_after_presel"),
        "process_extra_after_presel",
    ):
        getattr(workflow, name)("nominal")
    assert workflow.events.frame is dy_frame
    assert not workflow.define_custom_axes_extra()
    assert not workflow.define_histograms_extra()
    assert not workflow.define_column_accumulators_extra()
    assert not workflow.compute_weights_extra("nominal")
    assert not workflow.count_events_extra("nominal")


def test_good_objects_have_to_be_said() -> None:
    assert BaseProcessorABC is Workflow
    with pytest.raises(InputError, match="Noting does not say what the good objects are"):
        Noting(CFG).apply_object_preselection("nominal")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("skim_events", "has a method skim_events, which nothing calls: put the condition into"),
        ("fill_histograms_extra", "return HistConf by name in define_histograms_extra"),
        ("postprocess", "work on the output"),
        ("count_object", "Did you mean 'count_objects'"),
        ("define_common_variable_after_presel", "'define_common_variables_after_presel'"),
    ],
)
def test_methods_that_would_never_be_called(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_hooks(type("Wrong", (Noting,), {name: lambda self: None}))


def test_helpers_are_no_hooks() -> None:
    def count(self: Any, variation: str) -> None:
        del self, variation

    helpers = {"count_objects": count, "count_objects2": count, "_process": count, "good": count}
    check_hooks(type("Right", (Noting,), helpers))


def test_custom_axes_are_returned_or_put_in(dy_frame: la.Events) -> None:
    era, year = (
        Axis(name, bins=["A"], coll="metadata", type="strcat", name=name)
        for name in ("era", "year")
    )

    class Axes(Workflow):
        def define_custom_axes_extra(self) -> Any:
            self.custom_axes.append(era)

    class More(Axes):
        def define_custom_axes_extra(self) -> Any:
            super().define_custom_axes_extra()
            return (one for one in [year])

    for kind, axes in ((Workflow, ()), (Axes, (era,)), (More, (era, year))):
        workflow = kind(CFG)
        workflow.begin(dy_frame, {"sample": "DY", "year": "2018", "isMC": True})
        assert workflow.extras().axes == axes


def test_extra_weights_are_weights(dy_frame: la.Events) -> None:
    class Wrong(Noting):
        def compute_weights_extra(self, variation: str) -> Any:
            return [self.events.genWeight]

    workflow = Wrong(CFG)
    workflow.begin(dy_frame, {"sample": "DY", "year": "2018", "isMC": True})
    with pytest.raises(InputTypeError, match="compute_weights_extra of Wrong returned Array"):
        workflow.extras()


@pytest.mark.parametrize(
    ("hook", "returned", "words"),
    [
        ("define_custom_axes_extra", JETS, r"returned Axis: return a list of Axis"),
        ("define_custom_axes_extra", ["year"], r"returned str: return a list of Axis"),
        ("define_histograms_extra", [3], r"returned list: return \{'<name>': HistConf"),
        ("define_histograms_extra", {"n": JETS}, r"returned Axis: .*HistConf"),
        ("define_column_accumulators_extra", ["Jet"], "returned str: return a list of ColOut"),
        ("define_column_accumulators_extra", ColOut("Jet", ["pt"]), "returned ColOut: .* a list"),
        ("compute_weights_extra", WeightData("one", 1.0), "returned WeightData: .* a list of Wei"),
        ("compute_weights_extra", 3, "returned int: return a list of WeightData"),
        ("count_events_extra", ["jets"], r"returned list: return \{'<name>': a column"),
    ],
)
def test_hooks_return_what_is_asked_for(
    dy_frame: la.Events, hook: str, returned: Any, words: str
) -> None:
    workflow = type("Wrong", (Noting,), {hook: lambda *_: returned})(CFG)
    workflow.begin(dy_frame, {"sample": "DY", "year": "2018", "isMC": True})
    with pytest.raises(InputTypeError, match=f"{hook} of Wrong {words}"):
        workflow.extras()


def test_hooks_take_what_they_are_called_with() -> None:
    words = r"apply_object_preselection of workflow Wrong cannot .*: its arguments are \(self, var"
    with pytest.raises(InputError, match=words):
        check_hooks(type("Wrong", (Noting,), {"apply_object_preselection": lambda self: None}))
    with pytest.raises(InputError, match=r"before_skim of workflow .* arguments are \(self\)\."):
        check_hooks(type("W", (Noting,), {"process_extra_before_skim": lambda self, v: None}))
    check_hooks(type("Right", (Noting,), {"apply_object_preselection": lambda *_, **more: None}))


def test_extras_of_selected_events(dy_frame: la.Events, dy_events: ak.Array) -> None:
    jets = ak.num(dy_frame.Jet)
    given = (
        WeightData("one", 1.0 + jets, up=2.0),
        WeightDataMultiVariation("two", 2.0, ["a", "b"], [jets, None], [0.5, jets]),
    )
    extras = Extras((), {}, (), given, {"jets": jets, "yield": None}, {"half": jets / 2})
    frame, inside = extras.inside(dy_frame, "many", jets > 3)
    one, two = inside.weights
    assert isinstance(one, WeightData)
    assert isinstance(two, WeightDataMultiVariation)
    assert (one.name, one.up, one.down, two.name, two.nominal) == ("one", 2.0, None, "two", 2.0)
    assert (two.up[1], two.down[0], inside.counts["yield"]) == (None, 0.5, None)
    columns = {
        "nominal": one.nominal - 1,
        "up": two.up[0],
        "down": two.down[1],
        "counts": inside.counts["jets"],
        "fields": 2 * inside.fields["half"],
    }
    found = la.compute(frame.columns(columns), executor="sync", progress=False)
    table = found.value["DYJetsToLL"]
    number = ak.to_numpy(ak.num(dy_events.Jet))
    for name in columns:
        np.testing.assert_array_equal(ak.to_numpy(table[name]), number[number > 3])
