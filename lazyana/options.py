"""Settings that travel with a run, with their defaults in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from lazyana.errors import InputError, InputTypeError, did_you_mean

NanPolicy = Literal["raise", "zero", "keep"]


@dataclass(frozen=True)
class RunOptions:
    """How a job is cut into tasks.

    Attributes
    ----------
    partition_size
        Largest number of events in one partition.
    merge_fan_in
        How many partial results one merge task takes.
    open_files
        How many files a worker process keeps open between partitions.
    """

    partition_size: int = 400_000
    merge_fan_in: int = 8
    open_files: int = 8

    def __post_init__(self) -> None:
        """Refuse sizes that cannot work."""
        _at_least("partition_size", self.partition_size, 1, "event")
        _at_least("merge_fan_in", self.merge_fan_in, 2, "results")
        _at_least("open_files", self.open_files, 1, "file")


def _at_least(name: str, value: Any, least: int, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{name} must be a whole number, not {value!r} ({type(value).__name__})."
        raise InputTypeError(msg)
    if value < least:
        msg = f"{name} must be at least {least} {what}, not {value}."
        raise InputError(msg)


def check_nan_policy(policy: str) -> NanPolicy:
    """The policy for NaN weights, checked.

    Raises
    ------
    InputError
        Where `policy` is none of "raise", "zero", "keep".
    """
    choices: tuple[NanPolicy, ...] = get_args(NanPolicy)
    for choice in choices:
        if policy == choice:
            return choice
    msg = (
        f"There is no policy {policy!r} for NaN weights.{did_you_mean(str(policy), choices)} "
        f"Choose one of {', '.join(choices)}."
    )
    raise InputError(msg)
