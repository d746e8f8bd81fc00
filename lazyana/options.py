"""Settings that travel with a run, with their defaults in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from lazyana.errors import InputError, InputTypeError, did_you_mean

NanPolicy = Literal["raise", "zero", "keep"]
ErrorPolicy = Literal["raise", "skip"]


@dataclass(frozen=True)
class ReadOptions:
    """How files are read.

    Attributes
    ----------
    on_error
        What a file that cannot be read does: ``"raise"`` stops the run, ``"skip"`` leaves its
        events out and tells so in the run report.
    retries
        How often reading is tried again after a connection failed, at each place of a file.
    backoff
        Seconds before the first retry; twice as long before each further one.
    timeout
        Seconds that a server may take to answer.
    max_gap
        Bytes between two wanted pieces of a file that are read along rather than left out.
    decompression_threads
        Number of threads that decompress the branches of one partition.
    open_files
        How many files a worker process keeps open between partitions, where it has to open them.
    """

    on_error: ErrorPolicy = "raise"
    retries: int = 3
    backoff: float = 0.5
    timeout: float = 60.0
    max_gap: int = 65_536
    decompression_threads: int = 1
    open_files: int = 8

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        choices = get_args(ErrorPolicy)
        if self.on_error not in choices:
            hint = did_you_mean(str(self.on_error), choices)
            msg = (
                f"There is no on_error={self.on_error!r}.{hint} Choose one of {', '.join(choices)}."
            )
            raise InputError(msg)
        _at_least("retries", self.retries, 0, "")
        _at_least("max_gap", self.max_gap, 0, "bytes")
        _at_least("decompression_threads", self.decompression_threads, 1, "thread")
        _at_least("open_files", self.open_files, 1, "file")
        _positive("backoff", self.backoff)
        _positive("timeout", self.timeout)


@dataclass(frozen=True)
class RunOptions:
    """How a job is cut into tasks.

    Attributes
    ----------
    partition_size
        Largest number of events in one partition.
    merge_fan_in
        How many partial results one merge task takes.
    """

    partition_size: int = 400_000
    merge_fan_in: int = 8

    def __post_init__(self) -> None:
        """Refuse sizes that cannot work."""
        _at_least("partition_size", self.partition_size, 1, "event")
        _at_least("merge_fan_in", self.merge_fan_in, 2, "results")


def _at_least(name: str, value: Any, least: int, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{name} must be a whole number, not {value!r} ({type(value).__name__})."
        raise InputTypeError(msg)
    if value < least:
        msg = f"{name} must be at least {f'{least} {what}'.strip()}, not {value}."
        raise InputError(msg)


def _positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{name} must be a number of seconds, not {value!r} ({type(value).__name__})."
        raise InputTypeError(msg)
    if not value > 0:
        msg = f"{name} must be more than 0 seconds, not {value}."
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
