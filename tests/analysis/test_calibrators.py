"""Calibrators: order, declared columns, variations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import pytest

import lazyana as la
from lazyana.analysis.calibrators import (
    Calibrator,
    apply_calibrators,
)
from lazyana.analysis.cuts import Context
from lazyana.errors import ColumnError, InputError, InputTypeError

MC = Context({}, "2018", "DYJetsToLL", True)
DATA = Context({}, "2018", "SingleMuon", False)


class Scale(Calibrator):
    """Muon momenta times 2; 4 and 1 when varied."""

    name = "scale"
    has_variations = True
    calibrated_collections = ("Muon.pt",)
    factors: Mapping[str, float] = {"nominal": 2.0, "muon_scaleUp": 4.0, "muon_scaleDown": 1.0}

    def initialize(self, events: Any) -> None:
        self._variations = [label for label in self.factors if label != "nominal"]

    def calibrate(
        self,
        events: Any,
        orig_colls: Mapping[str, Any],
        variation: str,
        already_applied_calibrators: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        return {"Muon.pt": events.Muon.pt * self.factors[variation]}


class Sum(Calibrator):
    """MET as the sum of what the muons are now and what they were."""

    name = "sum"
    calibrated_collections = ("MET",)

    def calibrate(
        self,
        events: Any,
        orig_colls: Mapping[str, Any],
        variation: str,
        already_applied_calibrators: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        assert already_applied_calibrators == ("scale",)
        now, before = (ak.sum(muons.pt, axis=1) for muons in (events.Muon, orig_colls["Muon"]))
        met = ak.with_field(events.MET, now, "pt")
        return {"MET": ak.with_field(met, before, "sumEt")}


# -- the classes -----------------------------------------------------------------------------


def test_variations_are_there_where_they_are_wanted() -> None:
    for wanted, labels in ((True, ("muon_scaleUp", "muon_scaleDown")), (False, ())):
        calibrator = Scale(do_variations=wanted)
        calibrator.initialize(None)
        assert calibrator.variations == labels


def test_variations_may_be_written_in_the_class_or_appended(dy_frame: la.Events) -> None:
    class InClass(Scale):
        name = "in_class"
        _variations = ("muon_scaleUp", "muon_scaleDown")

        def initialize(self, events: Any) -> None:
            pass

    class Appended(Scale):
        name = "appended"

        def initialize(self, events: Any) -> None:
            self._variations.append("muon_scaleUp")  # type: ignore[attr-defined]  # a list

    for one, labels in ((InClass, InClass._variations), (Appended, ("muon_scaleUp",))):
        for _ in range(2):
            _, found = apply_calibrators(dy_frame, [one], MC)
            assert found == {one.name: labels}


def test_forgotten_variations_are_refused_where_they_are_wanted(
    dy_frame: la.Events, muon_frame: la.Events
) -> None:
    forgets = type(
        "Forgets", (Scale,), {"name": "forgets", "initialize": lambda self, events: None}
    )
    with pytest.raises(InputError, match=r"'forgets' has variations, .*'forgetsUp'.*in initialize"):
        apply_calibrators(dy_frame, [forgets], MC)
    assert apply_calibrators(dy_frame, [forgets], MC, [])[1] == {"forgets": ()}
    assert apply_calibrators(muon_frame, [forgets], DATA)[1] == {"forgets": ()}

    def says_none(self: Any, events: Any) -> None:
        self._variations = []

    none = type("None_", (Scale,), {"name": "none", "initialize": says_none})
    assert apply_calibrators(dy_frame, [none], MC)[1] == {"none": ()}


def test_calibrator_has_to_say_what_it_does(dy_frame: la.Events) -> None:
    silent = type("Silent", (Calibrator,), {"name": "silent"})
    with pytest.raises(InputError, match=r"Silent does not say.*def calibrate"):
        apply_calibrators(dy_frame, [silent], MC)


# -- applying --------------------------------------------------------------------------------


def test_columns_and_variations(
    dy_frame: la.Events, dy_events: ak.Array, value: Callable[..., Any]
) -> None:
    frame, labels = apply_calibrators(dy_frame, [Scale], MC)
    assert labels == {"scale": ("muon_scaleUp", "muon_scaleDown")}
    assert frame.variations == ("muon_scaleUp", "muon_scaleDown")
    for variation, factor in Scale.factors.items():
        found = value(frame, frame.Muon.pt, variation)
        assert ak.array_equal(found, dy_events.Muon.pt * factor, dtype_exact=False)
    assert ak.array_equal(value(frame, frame.Muon.eta), dy_events.Muon.eta)


def test_later_calibrators_see_what_earlier_ones_made(
    dy_frame: la.Events, dy_events: ak.Array, value: Callable[..., Any]
) -> None:
    frame, labels = apply_calibrators(dy_frame, [Scale, Sum], MC)
    assert labels["sum"] == ()
    total = ak.sum(dy_events.Muon.pt, axis=1)
    for variation, factor in Scale.factors.items():
        found = value(frame, frame.MET.pt, variation)
        assert np.allclose(found, factor * total, rtol=1e-5)
    assert np.allclose(value(frame, frame.MET.sumEt), total, rtol=1e-5)


@pytest.mark.parametrize(
    ("wanted", "labels"),
    [
        (None, ("muon_scaleUp", "muon_scaleDown")),
        (["scale"], ("muon_scaleUp", "muon_scaleDown")),
        (["muon_scale"], ("muon_scaleUp", "muon_scaleDown")),
        (["muon_scaleDown"], ("muon_scaleDown",)),
        (["jet_calibration"], ()),
        ([], ()),
    ],
)
def test_wanted_variations(
    dy_frame: la.Events, wanted: list[str] | None, labels: tuple[str, ...]
) -> None:
    frame, found = apply_calibrators(dy_frame, [Scale], MC, wanted)
    assert frame.variations == found["scale"] == labels


def test_data_are_calibrated_but_not_varied(
    muon_frame: la.Events, muon_events: ak.Array, value: Callable[..., Any]
) -> None:
    of_mc = type("OfMC", (Sum,), {"name": "mc", "isMC_only": True})
    frame, labels = apply_calibrators(muon_frame, [of_mc, Scale], DATA)
    assert labels == {"mc": (), "scale": ()}
    assert frame.variations == ()
    assert ak.array_equal(value(frame, frame.Muon.pt), 2 * muon_events.Muon.pt)
    assert ak.array_equal(value(frame, frame.MET.pt), muon_events.MET.pt)


def test_what_initialize_puts_into_the_events_stays(
    dy_frame: la.Events, dy_events: ak.Array, value: Callable[..., Any]
) -> None:
    class Keeping(Scale):
        def initialize(self, events: Any) -> None:
            super().initialize(events)
            events["Muon", "pt_original"] = events.Muon.pt

    frame, _ = apply_calibrators(dy_frame, [Keeping], MC)
    assert ak.array_equal(value(frame, frame.Muon.pt_original), dy_events.Muon.pt)
    assert ak.array_equal(value(frame, frame.Muon.pt), 2 * dy_events.Muon.pt)


def test_metadata_of_the_datasets_is_at_hand(dy_frame: la.Events) -> None:
    seen = {}

    class Looking(Calibrator):
        name = "looking"

        def calibrate(self, events: Any, orig_colls: Any, variation: str, *_: Any) -> Any:
            seen.update(year=self.metadata["year"], xsec=self.metadata["xsec"])
            return {}

    apply_calibrators(dy_frame, [Looking], MC)
    assert seen["year"] == "2018"
    assert seen["xsec"] == dy_frame.metadata["xsec"]


def changed(**members: Any) -> type[Calibrator]:
    return type("Changed", (Scale,), members)


@pytest.mark.parametrize(
    ("calibrator", "error", "words"),
    [
        (
            changed(calibrated_collections=("Muon.eta", "Jet")),
            InputError,
            r"'scale' \(nominal\) changes 'Muon\.pt'.*Muon\.eta, Jet",
        ),
        (
            changed(calibrate=lambda _, events, *rest: {"Muon.pt": events.Muon.ptt}),
            ColumnError,
            r"Calibrator 'scale': .*'ptt'.*'pt'",
        ),
        (
            changed(initialize=lambda _, events: events.Muons),
            ColumnError,
            r"Calibrator 'scale': .*'Muons'.*'Muon'",
        ),
        (changed(calibrate=lambda *_: None), InputTypeError, r"returned a NoneType"),
        (changed(factors={"nominal": 1.0, "shifted": 2.0}), InputError, r"'shifted'.*shiftedUp"),
        (
            changed(
                calibrated_collections=("Muon", "Jet"),
                calibrate=lambda _, events, orig, variation, applied: (
                    {("Jet.pt" if variation == "muon_scaleUp" else "Muon.pt"): events.Jet.pt}
                    if variation != "nominal"
                    else {}
                ),
            ),
            InputError,
            r"does not change Muon\.pt in shift 'up' of 'muon_scale'",
        ),
    ],
)
def test_wrong_calibrators_are_refused(
    dy_frame: la.Events, calibrator: type[Calibrator], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        apply_calibrators(dy_frame, [calibrator], MC)
