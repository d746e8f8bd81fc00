"""What is known of each dataset, as columns."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import awkward as ak
import numpy as np
import pytest

import lazyana as la
from lazyana.errors import ColumnError, InputError, InputTypeError
from lazyana.frame.labels import Labels, Lookup, without_label

DY, TT, DATA = "DYJetsToLL", "TTTo2L2Nu", "SingleMuon"


@pytest.fixture(scope="module")
def eras(toy_files: dict[str, Any]) -> la.Events:
    """Two datasets whose metadata differ in every way."""

    def entry(name: str, **metadata: Any) -> dict[str, Any]:
        return {"files": toy_files[name]["files"], "metadata": metadata}

    return la.open(
        {
            "a": entry(DY, era="A", xsec=3.5, veto=True, year="2018", k=1),
            "b": entry(TT, era="B", xsec=2, veto=False, year="2018"),
        }
    )


def test_lookup_picks_by_position() -> None:
    position = ak.Array(np.array([1, 0, 1], dtype=np.int32))
    assert Lookup((2.5, 7))(position).to_list() == [7, 2.5, 7]


def test_shared_metadata_is_the_value(eras: la.Events) -> None:
    assert eras.metadata["year"] == "2018"
    assert set(eras.metadata) == {"era", "xsec", "veto", "year", "k"}
    assert len(eras.metadata) == 5
    assert "year: '2018'" in repr(eras.metadata)


def test_numbers_that_differ_are_a_column(eras: la.Events, value: Any) -> None:
    numbers = value(eras, eras.metadata["xsec"])
    assert ak.run_lengths(numbers).to_list() == [600, 120]
    assert numbers[[0, -1]].to_list() == [3.5, 2.0]
    veto = value(eras, eras.metadata["veto"])
    assert veto[[0, -1]].to_list() == [True, False]


def test_names_that_differ_are_labels(eras: la.Events, value: Any) -> None:
    era = eras.metadata["era"]
    assert isinstance(era, Labels)
    assert era.names == ("A", "B")
    assert ak.sum(value(eras, era == "A")) == 600
    assert ak.sum(value(eras, era != "A")) == 120
    assert ak.sum(value(eras, era.isin(["A", "B"]))) == 720
    numbers = value(eras, era.map({"A": 0.5}, default=2.0))
    assert numbers[[0, -1]].to_list() == [0.5, 2.0]
    assert repr(eras.dataset) == "<dataset of each event: a, b>"


def test_labels_follow_the_filter(eras: la.Events, value: Any, plain: Any) -> None:
    frame = eras.filter(met=eras.MET.pt > 40)
    expected = [int(ak.sum(plain(lambda e: e.MET.pt > 40, name))) for name in (DY, TT)]
    of_b = value(frame, frame.dataset == "b")
    assert [int(ak.sum(~of_b)), int(ak.sum(of_b))] == expected


def test_names_of_other_groups_are_known_but_occur_nowhere(
    toy_files: dict[str, Any], run: Any
) -> None:
    def analysis(events: la.Events) -> Any:
        return events.filter(top=events.dataset == TT).sum(weighted=False)

    found = run(la.apply(analysis, toy_files)).value
    assert {name: found[name]["nominal"] for name in found} == {DY: 0, TT: 120, DATA: 0}
    with pytest.raises(InputError, match=r"no dataset 'TTTo2L2N'.*'TTTo2L2Nu'.*SingleMuon"):
        la.apply(lambda e: e.filter(top=e.dataset == "TTTo2L2N").sum(), toy_files)


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    ids=count(),
    argvalues=[
        (lambda e: e.dataset == "c", InputError, r"no dataset 'c'.* There are: a, b\."),
        (lambda e: e.dataset == 3, InputError, r"no dataset 3"),
        (lambda e: e.dataset.isin("a"), InputTypeError, r"isin\(\['a'\]\)"),
        (lambda e: e.dataset.map({"a": 1.0}), InputError, r"No number for dataset \['b'\]"),
        (lambda e: e.dataset.map({"z": 1.0}), InputError, r"no dataset 'z'"),
        (lambda e: e.metadata["yaer"], ColumnError, r"no metadata 'yaer'.*'year'.*'xsec'"),
        (lambda e: e.metadata["k"], ColumnError, r"'k' is not given for \['b'\].*fileset"),
    ],
)
def test_what_is_not_known(
    eras: la.Events, ask: Callable[[la.Events], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ask(eras)


def test_missing_metadata_have_a_default(eras: la.Events) -> None:
    assert eras.metadata.get("lumi", 1.0) == 1.0


def test_label_field_is_taken_off() -> None:
    events = ak.Array([{"x": 1, "lazyana_dataset": 0}])
    assert without_label(events).fields == ["x"]
    assert without_label(events[["x"]]).fields == ["x"]
