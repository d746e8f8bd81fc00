from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from lazyana.analysis.config import Analysis
from lazyana.analysis.describe import described

Make = Callable[..., Analysis]


def test_is_plain_data(zmumu: Make) -> None:
    told = described(zmumu(workflow_options={"model": object, "sizes": (1, 2)}))
    assert json.loads(json.dumps(told)) == told
    assert told["datasets"]["filter"]["samples"] == ["DATA_SingleMuon", "DYJetsToLL"]
    assert told["weights"]["common"]["inclusive"][:2] == ["genWeight", "lumi"]
    assert told["workflow"]["name"].endswith("Zmumu")
    assert told["workflow_options"]["sizes"] == [1, 2]
    assert list(told["variables"]) == ["mll", "jet_pt"]
    assert set(told["categories"]["categories"]) == {"baseline", "jets", "none"}


def test_tells_changes(zmumu: Make) -> None:
    one, same, other = described(zmumu()), described(zmumu()), described(zmumu(skim=[]))
    assert one == same
    assert one["skim"] != other["skim"] == []


def test_is_the_same_in_every_process() -> None:
    program = (
        "import json; from lazyana.analysis.cutlibrary import eventFlags, get_nObj_min;"
        "print(json.dumps([eventFlags.serialize(), get_nObj_min(1, 18.0, 'Muon').serialize()]))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        for _ in range(2)
    ]
    first, second = (run.stdout for run in runs)
    assert first == second
    assert json.loads(first)[0]["name"] == "event_flags"


def test_classes_of_the_analysis(zmumu: Make) -> None:
    told: Any = described(zmumu())
    assert set(told["weights_classes"]) >= {"genWeight", "pileup"}
    assert all(len(one["hash"]) >= 16 for one in told["weights_classes"].values())
