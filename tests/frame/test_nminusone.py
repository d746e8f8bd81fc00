from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest

import lazyana as la
from lazyana.errors import InputError, InputTypeError
from lazyana.frame.nminusone import LOOSE, all_but_one

DATASET = "DYJetsToLL"
CUTS: dict[str, Callable[[Any], Any]] = {
    "muons": lambda e: ak.num(e.Muon) >= 2,
    "hard": lambda e: ak.firsts(e.Muon.pt) > 42,
    "jets": lambda e: ak.num(e.Jet) < 3,
}
COLUMNS = ("Muon", "Jet", "genWeight")


def plainly(events: ak.Array) -> dict[str, Any]:
    """The mask of all cuts, and of all but each."""
    masks = {name: np.asarray(ak.fill_none(cut(events), False)) for name, cut in CUTS.items()}
    found = {"all cuts": np.logical_and.reduce(list(masks.values()))}
    for name in masks:
        others = [mask for other, mask in masks.items() if other != name]
        found[f"without {name}"] = np.logical_and.reduce([np.ones(len(events), bool), *others])
    return found


def test_agrees_with_plain_awkward(
    dy: la.Events, plain: Callable[..., ak.Array], run: Callable[..., Any]
) -> None:
    events = plain(lambda e: ak.zip({name: e[name] for name in COLUMNS}, depth_limit=1), DATASET)
    frame = dy.weight("gen", dy.genWeight, up=2 * dy.genWeight)
    frame = frame.vary("scale", {"Muon.pt": {"up": lambda e: e.Muon.pt * 1.2}})
    found = run(frame.n_minus_one(**CUTS)).value
    weights = np.asarray(events.genWeight, np.float64)
    scaled = ak.with_field(events.Muon, events.Muon.pt * 1.2, "pt")
    worlds = {"nominal": (events, 1), "genUp": (events, 2)}
    worlds["scaleUp"] = (ak.with_field(events, scaled, "Muon"), 1)
    for label, (world, factor) in worlds.items():
        expected = plainly(world)
        assert set(expected) == set(found.categories)
        for row, mask in expected.items():
            assert found.count(row, DATASET, label) == mask.sum()
            sumw = pytest.approx(factor * weights[mask].sum())
            assert found.yield_(row, DATASET, label) == sumw
    loosened = [found.count(f"without {name}", DATASET) for name in CUTS]
    assert min(loosened) >= found.count("all cuts", DATASET) > 0
    assert max(loosened) > found.count("all cuts", DATASET)
    assert found.count("all cuts", DATASET, "scaleUp") > found.count("all cuts", DATASET)


def test_one_cut_and_cuts_and_categories_before(dy: la.Events, run: Callable[..., Any]) -> None:
    frame = dy.filter(muons=CUTS["muons"])
    frame = frame.categories({"all": lambda e: ak.num(e.Muon) >= 0})
    found, plain = run([frame.n_minus_one(jets=CUTS["jets"]), frame.cutflow()])
    assert found.stages == ("all events", "muons", LOOSE, "all cuts", "without jets")
    assert found.count("without jets", DATASET) == plain.count("muons", DATASET)


def test_mistakes(dy: la.Events) -> None:
    with pytest.raises(InputError, match="no cuts to leave out"):
        dy.n_minus_one()
    with pytest.raises(InputTypeError, match="Cut 'pt'"):
        dy.n_minus_one(pt=dy.Muon.pt)
    with pytest.raises(InputTypeError, match="Cut 'pt'"):
        all_but_one(dy, {"pt": 3})
