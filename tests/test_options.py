"""Options are checked where they are made."""

from __future__ import annotations

from typing import Any

import pytest

from lazyana.errors import InputError, InputTypeError
from lazyana.options import RunOptions, check_nan_policy

NAMES = ["partition_size", "merge_fan_in", "open_files"]


def test_defaults_are_sensible() -> None:
    options = RunOptions()
    assert options.partition_size >= 100_000
    assert options.merge_fan_in >= 2
    assert options == RunOptions(partition_size=options.partition_size)


@pytest.mark.parametrize(
    ("name", "least"), [("partition_size", 1), ("merge_fan_in", 2), ("open_files", 1)]
)
def test_smallest_value(name: str, least: int) -> None:
    assert getattr(RunOptions(**{name: least}), name) == least
    with pytest.raises(InputError, match=rf"{name} must be at least {least} .*, not {least - 1}"):
        RunOptions(**{name: least - 1})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [1e5, "100", None, True])
def test_only_whole_numbers(name: str, value: Any) -> None:
    with pytest.raises(InputTypeError, match=f"{name} must be a whole number, not {value!r}"):
        RunOptions(**{name: value})


@pytest.mark.parametrize("policy", ["raise", "zero", "keep"])
def test_policy_for_nan_weights(policy: str) -> None:
    assert check_nan_policy(policy) == policy


@pytest.mark.parametrize(("policy", "hint"), [("rais", "Did you mean 'raise'"), (None, "Choose")])
def test_no_such_policy(policy: Any, hint: str) -> None:
    with pytest.raises(InputError, match=hint) as caught:
        check_nan_policy(policy)
    assert "raise, zero, keep" in str(caught.value)
