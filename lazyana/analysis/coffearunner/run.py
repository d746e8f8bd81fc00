"""CoffeaRunner's run options as those of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lazyana.analysis.coffearunner.datasets import Say, placed
from lazyana.analysis.coffearunner.schema import RunOptions
from lazyana.analysis.runoptions import executor_of
from lazyana.engine.executors import NAMES
from lazyana.errors import FileError, InputError, did_you_mean

CASA = "tls://localhost:8786"
"""The scheduler of ``dask/casa``."""

BATCH = (
    *("dask/lpc", "dask/lxplus", "dask/condor", "dask/condor/brux", "dask/slurm"),
    *("parsl/slurm", "parsl/condor", "parsl/condor/naf_lite"),
)
"""Executors of CoffeaRunner that start jobs of a batch system."""

OF_JOBS = ("mem_per_worker", "walltime", "splitjobs", "compression", "requirements", "sample_size")
"""Run options about the jobs of a batch system, which decide nothing about the result."""


def run_options_of(given: RunOptions, say: Say) -> dict[str, Any]:
    """How to run, where the command line does not say otherwise.

    Parameters
    ----------
    given
        The section ``run_options``.
    say
        Takes the notices.

    Returns
    -------
    dict
        Options of `lazyana.analysis.run.run`; None where nothing is said.

    Raises
    ------
    FileError, InputError
        No such executor or grid proxy, or something that cannot be translated.
    """
    if given.index not in (None, "0,0"):
        msg = (
            f"run_options.index is {given.index!r}: there are no batches of files to begin at. "
            "Leave it out, and choose datasets with dataset.filter or --filter-datasets."
        )
        raise InputError(msg)
    _proxy(given.voms, say)
    executor = CASA if given.executor == "dask/casa" else given.executor
    if executor not in BATCH:
        executor = executor_of(executor)[0]
    if executor not in (*BATCH, *NAMES) and "://" not in executor:
        known = ("iterative", "futures", "dask/casa", *BATCH, *NAMES)
        msg = (
            f"run_options.executor is {executor!r}.{did_you_mean(executor, known)} There are: "
            f"{', '.join(known)}, and addresses of schedulers (tcp://host:8786)."
        )
        raise InputError(msg)
    if executor in BATCH:
        say(
            f"run_options.executor {executor!r}: start workers there and give the address of their "
            "scheduler, --executor tcp://host:8786; or choose one of "
            f"{', '.join(NAMES)}."
        )
    else:
        say(f"run_options.executor {given.executor!r}: executor {executor!r}.")
    options: dict[str, Any] = {"executor": executor}
    if executor in ("threads", "processes"):
        options["workers"] = _said(say, "workers", given.workers, "workers")
    elif executor in ("distributed", *BATCH):
        options["workers"] = _said(say, "scaleout", given.scaleout, "workers")
    options |= {
        "limit_files": _said(say, "limit", given.limit, "limit_files"),
        "limit_partitions": _said(say, "max", given.max, "limit_partitions"),
        "partition_size": _said(say, "chunk", given.chunk, "partition_size"),
        "retries": _said(say, "retries", given.retries, "retries of reading"),
    }
    if given.skipbadfiles:
        say("run_options.skipbadfiles: on_error 'skip'; the run report lists what was left out.")
        options["on_error"] = "skip"
    unused = [key for key in ("workers", "scaleout", *OF_JOBS) if _is_unused(given, key, options)]
    if unused:
        say(f"run_options {', '.join(unused)}: not used, nothing in the result depends on them.")
    return options


def _said(say: Say, key: str, value: Any, name: str) -> Any:
    if value is not None:
        say(f"run_options.{key}: {name} {value}.")
    return value


def _is_unused(given: RunOptions, key: str, options: Mapping[str, Any]) -> bool:
    """Whether a run option is given and not translated."""
    if getattr(given, key) is None:
        return False
    used = {"workers": ("threads", "processes"), "scaleout": ("distributed", *BATCH)}
    return options["executor"] not in used.get(key, ())


def _proxy(path: str | None, say: Say) -> None:
    """Let remote files be opened with a grid proxy."""
    if path is None:
        return
    found = placed(Path.cwd(), path)
    if found is None:
        msg = f"run_options.voms names the grid proxy {path}, which is not there: renew it."
        raise FileError(msg)
    os.environ["X509_USER_PROXY"] = str(found)
    say(f"run_options.voms: X509_USER_PROXY is {found}.")
