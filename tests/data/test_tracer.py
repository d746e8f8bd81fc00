"""Tests of lazyana.data.tracer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from awkward.typetracer import touch_data, typetracer_with_report
from coffea.nanoevents import NanoAODSchema

from lazyana.data.buffers import buffer_key
from lazyana.data.inspect import inspect
from lazyana.data.nanoevents import Blueprint, blueprint_of
from lazyana.data.tracer import _Maker, tracer


def check(form: Any) -> None:
    """Both ways give the same array, of which the same is touched."""
    ours, our_report = tracer(form)
    theirs, their_report = typetracer_with_report(form, buffer_key=buffer_key)
    assert our_report.shape_touched == their_report.shape_touched == []
    assert ours.form == theirs.form
    assert ours.backend is theirs.backend
    for field in form.fields:
        touch_data(ours[field])
        touch_data(theirs[field])
        for what in ("data_touched", "shape_touched"):
            assert sorted(getattr(our_report, what)) == sorted(getattr(their_report, what))
    assert len(our_report.data_touched) >= len(form.fields)


def test_form_of_generated_events(toy_files: dict[str, Any]) -> None:
    catalog = inspect(next(iter(toy_files["TTTo2L2Nu"]["files"])))
    form = blueprint_of(next(iter(catalog.layouts.values())), NanoAODSchema).form
    assert _Maker().layout(form) is not None
    check(form)


def test_form_of_real_events(real_data: Path) -> None:
    catalog = inspect(real_data / "nanoaod" / "nano_dy.root")
    form = blueprint_of(next(iter(catalog.layouts.values())), NanoAODSchema).form
    assert _Maker().layout(form) is not None
    check(form)


@pytest.mark.parametrize(
    "column",
    [
        ak.Array([[1.0, None], []]),
        ak.Array([[(1, 2)], []]),
        ak.Array(["a", "bc"]),
        ak.from_numpy(np.zeros((2, 3))),
        ak.to_regular(ak.Array([[1], [2]])),
        ak.Array([1, "a"]),
    ],
    ids=["none", "tuple", "text", "table", "regular", "union"],
)
def test_other_forms(column: ak.Array) -> None:
    events = ak.zip({"x": [1, 2], "other": column}, depth_limit=1)
    check(events.layout.form_with_key("node{id}"))


def test_retracing_forgets_what_was_touched_before(toy_files: dict[str, Any]) -> None:
    catalog = inspect(next(iter(toy_files["TTTo2L2Nu"]["files"])))
    blueprint = Blueprint(next(iter(catalog.layouts.values())), NanoAODSchema)
    touch_data(blueprint.without_data().Jet.pt)
    for name in ("Muon", "MET"):
        plans = []
        for events, report in (blueprint.retrace(), blueprint.trace()):
            touch_data(events[name].pt)
            plans.append(blueprint.needed(report))
        assert plans[0] == plans[1]
        assert f"{name}_pt" in plans[0].branches
        assert "Jet_pt" not in plans[0].branches
