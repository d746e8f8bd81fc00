"""Settings that travel with a run, with their defaults in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lazyana.errors import InputError, did_you_mean

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
        if self.partition_size < 1:
            msg = f"partition_size must be at least 1 event, not {self.partition_size!r}."
            raise InputError(msg)
        if self.merge_fan_in < 2:
            msg = f"merge_fan_in must be at least 2, not {self.merge_fan_in!r}."
            raise InputError(msg)


def check_nan_policy(policy: str) -> NanPolicy:
    """The policy for NaN weights, checked.

    Raises
    ------
    InputError
        Where `policy` is none of "raise", "zero", "keep".
    """
    choices = get_args(NanPolicy)
    for choice in choices:
        if policy == choice:
            return choice  # type: ignore[no-any-return]
    msg = (
        f"There is no policy {policy!r} for NaN weights.{did_you_mean(policy, choices)} "
        f"Choose one of {', '.join(choices)}."
    )
    raise InputError(msg)
