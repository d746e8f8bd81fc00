"""Options are checked where they are made."""

from __future__ import annotations

from typing import Any

import pytest

from lazyana.errors import InputError, InputTypeError
from lazyana.options import (
    PartitionSize,
    ReadOptions,
    RunOptions,
    bytes_text,
    check_nan_policy,
)


def test_defaults_are_sensible() -> None:
    options = RunOptions()
    assert options.partition_size is None
    assert options.merge_fan_in >= 2
    assert ReadOptions().on_error == "raise"


@pytest.mark.parametrize(
    ("kind", "name", "least"),
    [
        (RunOptions, "partition_size", 1),
        (RunOptions, "merge_fan_in", 2),
        (RunOptions, "limit_partitions", 1),
        (ReadOptions, "retries", 0),
        (ReadOptions, "max_gap", 0),
        (ReadOptions, "decompression_threads", 1),
        (ReadOptions, "open_files", 1),
    ],
)
def test_whole_numbers_from_a_smallest_value_on(kind: Any, name: str, least: int) -> None:
    assert getattr(kind(**{name: least}), name) == least
    with pytest.raises(InputError, match=rf"{name} must be at least {least}.*, not {least - 1}"):
        kind(**{name: least - 1})
    for value in (1e5, True, (1,)):
        with pytest.raises(
            InputTypeError, match=rf"{name} must be a whole number.*, not .*{value}"
        ):
            kind(**{name: value})


@pytest.mark.parametrize("name", ["backoff", "timeout"])
def test_seconds(name: str) -> None:
    assert getattr(ReadOptions(**{name: 0.25}), name) == 0.25
    with pytest.raises(InputError, match=f"{name} must be more than 0 seconds, not 0"):
        ReadOptions(**{name: 0})
    for value in (True, "1"):
        with pytest.raises(InputTypeError, match=f"{name} must be a number of seconds"):
            ReadOptions(**{name: value})  # type: ignore[arg-type]


def test_no_such_error_policy() -> None:
    with pytest.raises(InputError, match=r"on_error='skipp'.*Did you mean 'skip'.*raise, skip"):
        ReadOptions(on_error="skipp")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("200 MB", 200_000_000),
        ("64 MiB", 64 * 2**20),
        ("1.5 GB", 1_500_000_000),
        ("  10kb ", 10_000),
        ("2 gib", 2**31),
        ("1 B", 1),
    ],
)
def test_partition_size_in_bytes(text: str, number: int) -> None:
    assert PartitionSize.parse(text) == PartitionSize(None, number, spread=False)
    assert RunOptions(text).partition_size == text


def test_partition_size_in_events_or_by_default() -> None:
    assert PartitionSize.parse(7) == PartitionSize(7, None, spread=False)
    default = PartitionSize.parse(None)
    assert default == PartitionSize()
    assert default.events is not None
    assert default.bytes is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("100000", r"no number of bytes.*\"200 MB\".*For 100000 events.*without quotes"),
        ("many", r"'many' is no number of bytes"),
        ("-5 MB", r"'-5 MB' is no number of bytes"),
        ("5 Mb/s", "no number of bytes"),
        ("5 events", r"no unit 'events'.*Choose one of B, kB, MB"),
        ("5 MBB", r"no unit 'MBB'.*Did you mean 'MB'"),
        ("0 MB", "at least 1 B"),
    ],
)
def test_no_number_of_bytes(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        RunOptions(text)


@pytest.mark.parametrize("policy", ["raise", "zero", "keep"])
def test_policy_for_nan_weights(policy: str) -> None:
    assert check_nan_policy(policy) == policy


@pytest.mark.parametrize(("policy", "hint"), [("rais", "Did you mean 'raise'"), (None, "Choose")])
def test_no_such_policy(policy: Any, hint: str) -> None:
    with pytest.raises(InputError, match=hint) as caught:
        check_nan_policy(policy)
    assert "raise, zero, keep" in str(caught.value)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (49_300, "49.3 kB"), (999_949, "999.9 kB")),
        *((999_950, "1.0 MB"), (12_345_678, "12.3 MB"), (2.5e9, "2.5 GB"), (4e15, "4,000.0 TB")),
    ],
)
def test_bytes_for_people(number: float, text: str) -> None:
    assert bytes_text(number) == text
