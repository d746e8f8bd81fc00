from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import lazyana as la
from lazyana.analysis.workflow import BaseProcessorABC, Workflow, check_hooks
from lazyana.errors import InputError

CFG: Any = SimpleNamespace(parameters={"default_nano_version": {"2018": 9}}, workflow_options={})


class Noting(Workflow):
    def load_metadata_extra(self) -> None:
        self.noted = (self._sample, self._year, self._isMC, self._isSkim, self._era)


def test_metadata(dy_frame: la.Events) -> None:
    workflow = Noting(CFG)
    workflow.begin(dy_frame, {"sample": "DY", "year": 2018, "isMC": True, "isSkim": True})
    assert workflow.noted == ("DY", "2018", True, True, "")
    assert workflow._nano_version == 9
    assert workflow._primaryDataset == ""
    workflow.begin(dy_frame, {"sample": "DY", "year": "2022", "isMC": 0, "nano_version": 12})
    assert workflow._nano_version == 12


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
    class Axes(Workflow):
        def define_custom_axes_extra(self) -> Any:
            self.custom_axes.append("era")

    class More(Axes):
        def define_custom_axes_extra(self) -> Any:
            super().define_custom_axes_extra()
            return ["year"]

    for kind, axes in ((Workflow, ()), (Axes, ("era",)), (More, ("era", "year"))):
        workflow = kind(CFG)
        workflow.begin(dy_frame, {"sample": "DY", "year": "2018", "isMC": True})
        # asked for each subsample
        assert [workflow.extras().axes, workflow.extras().axes] == [axes, axes]
