"""Settings that travel with a run, with their defaults in one place."""

from __future__ import annotations

import re
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
        at_least("retries", self.retries, 0, "")
        at_least("max_gap", self.max_gap, 0, "bytes")
        at_least("decompression_threads", self.decompression_threads, 1, "thread")
        at_least("open_files", self.open_files, 1, "file")
        _positive("backoff", self.backoff)
        _positive("timeout", self.timeout)


@dataclass(frozen=True)
class PartitionSize:
    """How large partitions may become.

    Without a choice of the user a partition holds no more than 1 000 000 events and 128 MB of the
    columns that are read, uncompressed: running takes a few times as much, which must fit into
    the 2 GB that a core usually has. Of few events there are at least 16 partitions, so that
    several workers have something to do, unless these would have less than 200 000 events: about
    there the fixed cost of a step (1 ms) becomes what its events cost. Nothing depends on the
    executor or the workers, so the result does not either.

    Attributes
    ----------
    events
        Largest number of events; None for any.
    bytes
        Target for the uncompressed size of the columns that are read; None for any. It is a mean
        over the file, and a cluster that is up to half as large again is not cut.
    spread
        Whether few events are spread over several partitions.
    """

    events: int | None = 1_000_000
    bytes: int | None = 128_000_000
    spread: bool = True

    @classmethod
    def parse(cls, value: int | str | None) -> PartitionSize:
        """What is given as ``partition_size``.

        Parameters
        ----------
        value
            Largest number of events; a number of bytes as text, such as ``"200 MB"`` or
            ``"64 MiB"``; None for the default.

        Raises
        ------
        InputError, InputTypeError
            Anything else.
        """
        if value is None:
            return cls()
        if isinstance(value, str):
            return cls(None, _bytes(value), spread=False)
        at_least("partition_size", value, 1, "event", 'or text such as "200 MB"')
        return cls(value, None, spread=False)


@dataclass(frozen=True)
class RunOptions:
    """How a job is cut into tasks.

    Attributes
    ----------
    partition_size
        Largest number of events in one partition, or its bytes as text, such as ``"200 MB"``
        (see `PartitionSize`); None: chosen by the columns that are read.
    merge_fan_in
        How many partial results one merge task takes.
    limit_partitions
        How many partitions of each dataset are processed, from the first on; None for all.
    """

    partition_size: int | str | None = None
    merge_fan_in: int = 8
    limit_partitions: int | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that cannot work."""
        PartitionSize.parse(self.partition_size)
        at_least("merge_fan_in", self.merge_fan_in, 2, "results")
        if self.limit_partitions is not None:
            at_least("limit_partitions", self.limit_partitions, 1, "partition")


_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


def _bytes(text: str) -> int:
    """A number of bytes, written with its unit."""
    found = _SIZE.fullmatch(text)
    if found is None or not found[2]:
        more = f" For {text} events, give the number without quotes." if found else ""
        msg = (
            f"partition_size={text!r} is no number of bytes: write a number and a unit, such as "
            f'"200 MB" or "64 MiB".{more}'
        )
        raise InputError(msg)
    units = {unit.lower(): factor for unit, factor in _UNITS.items()}
    if found[2].lower() not in units:
        hint = did_you_mean(found[2], _UNITS)
        msg = (
            f"There is no unit {found[2]!r} in partition_size={text!r}.{hint} Choose one of "
            f"{', '.join(_UNITS)}."
        )
        raise InputError(msg)
    number = int(float(found[1]) * units[found[2].lower()])
    if number < 1:
        msg = f"partition_size={text!r} must be at least 1 B."
        raise InputError(msg)
    return number


def bytes_text(number: float) -> str:
    """A number of bytes, as people read it.

    Parameters
    ----------
    number
        The number.
    """
    if number < 1000:
        return f"{number:.0f} B"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.95:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:,.1f} TB"


def at_least(name: str, value: Any, least: int, what: str, other: str = "") -> None:
    """Refuse anything but a whole number that is large enough.

    Parameters
    ----------
    name
        Name of the option.
    value
        What is given for it.
    least
        The smallest that will do.
    what
        What it is a number of.
    other
        What may be given instead, for the message.

    Raises
    ------
    InputError, InputTypeError
        Too small a number; no whole number.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        wanted = f"a whole number {other}".strip()
        msg = f"{name} must be {wanted}, not {value!r} ({type(value).__name__})."
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
