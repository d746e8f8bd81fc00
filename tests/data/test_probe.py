from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest
from awkward.typetracer import typetracer_with_report

from lazyana.data.probe import Probe, touch_buffers

JETS = ak.Array(
    [
        [{"pt": 1.0, "tags": [1, 2], "p": {"x": 1.0}}, {"pt": 2.0, "tags": [], "p": {"x": 2.0}}],
        [],
        [{"pt": 3.0, "tags": [3], "p": {"x": 3.0}}],
    ]
)
OPTIONS = ak.Array([{"pt": 1.0}, None, {"pt": 2.0}])

USES: dict[str, tuple[ak.Array, Any]] = {
    "field": (JETS, lambda jets: jets.pt + 1),
    "field of a field": (JETS, lambda jets: jets.p.x * 2),
    "lists in lists": (JETS, lambda jets: ak.sum(jets.tags, axis=-1)),
    "number of lists": (JETS, lambda jets: ak.num(jets.tags, axis=-1)),
    "number": (JETS, lambda jets: ak.num(jets)),
    "mask": (JETS, lambda jets: jets[jets.pt > 1].p.x + 0),
    "one of them": (JETS, lambda jets: ak.firsts(jets).pt + 0),
    "nothing": (JETS, lambda jets: jets.pt),
    "missing": (OPTIONS, lambda records: ak.fill_none(records.pt, 0) + 0),
    "whether missing": (OPTIONS, ak.is_none),
}


def reported(value: ak.Array) -> tuple[ak.Array, Any]:
    form = value.layout.form_with_key("{id}")
    array, report = typetracer_with_report(form, highlevel=True)
    return array, report


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize("kind", ["like", "of_type"])
def test_touched_in_a_probe_is_touched_in_the_array(name: str, kind: str) -> None:
    value, use = USES[name]
    expected, its_report = reported(value)
    use(expected)
    array, report = reported(value)
    probe = getattr(Probe, kind)(array)
    use(probe.array)
    touch_buffers(array, probe.touched)
    assert set(report.data_touched) == set(its_report.data_touched)


def test_a_probe_is_of_the_type_of_the_array() -> None:
    picked = JETS[np.array([2, 0])]
    array = ak.Array(
        picked.layout.to_typetracer(forget_length=True), behavior={"a": 1}, attrs={"b": 2}
    )
    for probe in (Probe.like(array), Probe.of_type(array)):
        assert probe.touched == frozenset()
        assert probe.array.type.content == array.type.content
        assert probe.array.behavior == {"a": 1}
        assert dict(probe.array.attrs) == {"b": 2}


def test_an_array_of_another_structure_is_touched_whole() -> None:
    probe = Probe.like(reported(JETS)[0])
    _ = probe.array.pt + 1
    array, report = reported(OPTIONS)
    touch_buffers(array, probe.touched)
    assert set(report.data_touched) == set(report.shape_touched)
    assert report.data_touched
