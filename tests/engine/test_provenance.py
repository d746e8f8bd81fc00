from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from lazyana.engine.provenance import Provenance, content_hash
from lazyana.errors import InputTypeError
from lazyana.options import RunOptions


def test_collect_says_what_is_installed() -> None:
    found = Provenance.collect()
    assert found.packages["awkward"] == version("awkward")
    assert found.packages["boost-histogram"] == version("boost-histogram")
    assert found.python == sys.version.split()[0]
    assert found.platform
    when = datetime.fromisoformat(found.time)
    assert when.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - when) < timedelta(minutes=5)


def test_command_line_of_the_process() -> None:
    program = (
        "from lazyana.engine.provenance import Provenance; print(Provenance.collect().command)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, "two words"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout.strip().endswith("'two words'")
    assert Provenance.collect(command="lazyana demo").command == "lazyana demo"


def test_json_round_trip() -> None:
    made = Provenance.collect(
        options={
            "executor": "threads",
            "path": Path("a/b"),
            "limits": (1, np.float64(2.5), np.int64(3)),
            "scale": math.nan,
            "run": RunOptions(partition_size=10),
            "function": math.sqrt,
            "names": {"b", "a"},
            "deep": {"none": None, "yes": True, 3: 1.5},
        },
        programs={"mc": "ab12"},
        fileset="cd34",
    )
    assert made.options["path"] == "a/b"
    assert made.options["limits"] == [1, 2.5, 3]
    assert made.options["scale"] == "nan"
    assert made.options["run"]["partition_size"] == 10
    assert made.options["function"] == "math.sqrt"
    assert made.options["names"] == ["a", "b"]
    assert made.options["deep"] == {"none": None, "yes": True, "3": 1.5}
    text = json.dumps(made.to_json(), allow_nan=False)
    assert Provenance.from_json(json.loads(text)) == made


def test_from_json_ignores_fields_of_later_versions() -> None:
    made = Provenance.collect(command="x")
    assert Provenance.from_json({**made.to_json(), "mood": "good"}) == made


def test_text_names_everything() -> None:
    text = Provenance.collect(
        options={"executor": "sync"}, programs={"mc": "ab12"}, fileset="cd34", command="do it"
    ).text()
    for word in ("awkward", "do it", "cd34", "mc: ab12", "executor = 'sync'"):
        assert word in text


def test_content_hash_does_not_depend_on_the_order_of_keys() -> None:
    first = content_hash({"a": [1, 2.5], "b": {"c": None}})
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert content_hash({"b": {"c": None}, "a": [1, 2.5]}) == first
    assert content_hash({"b": {"c": None}, "a": [2.5, 1]}) != first


def test_content_hash_refuses_what_has_no_fixed_text() -> None:
    with pytest.raises(InputTypeError, match="type object is not JSON"):
        content_hash({"a": object()})
