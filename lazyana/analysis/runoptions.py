"""Options of a run in YAML files and as text, also by the names that PocketCoffea has for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lazyana.analysis.run import Settings, check_switch
from lazyana.errors import FileError, InputError, did_you_mean

SEPARATE = ("process_separately", "group_samples", "overwrite")
"""Options besides those of `Settings`."""

_SWITCHES = ("process_separately", "overwrite", "skip_bad_files")

_RENAMED = {
    "scaleout": "workers",
    "chunksize": "partition_size",
    "limit_chunks": "limit_partitions",
    "tree_reduction": "merge_fan_in",
    "sched_url": "executor",
}
_EXECUTORS = {"iterative": "sync", "futures": "processes", "dask": "distributed"}

_WORKERS = (
    "it is of batch workers, which lazyana does not start: start them with dask-jobqueue, "
    "dask-gateway or what the site has, and give the address of the scheduler, executor=tcp://…"
)
_PROXY = "XRootD finds the proxy by itself, where $X509_USER_PROXY or its default says"
_JOBS = (
    "no jobs are submitted: give the address of a dask scheduler, executor=tcp://…, and start a "
    "run with process_separately again to go on where it stopped"
)
_REPLACED = {
    **dict.fromkeys(
        (
            *("cores_per_worker", "mem_per_worker", "disk_per_worker", "worker_image", "queue"),
            *("death_timeout", "walltime", "adaptive", "custom_setup_commands", "conda_env"),
            *("local_virtualenv", "dask_scheduler_port", "gateway_address", "worker_debug"),
            *("gateway_proxy_address", "logs_dir", "requirements", "slurm", "nodes_per_block"),
            *("parsl_runinfo", "parsl_run_dir", "prefetch_capacity", "executor_custom_setup"),
        ),
        _WORKERS,
    ),
    **dict.fromkeys(("voms_proxy", "ignore_grid_certificate"), _PROXY),
    **dict.fromkeys(
        (
            *("max_events_per_job", "job_name", "jobs_dir", "dry_run", "recreate_jobs"),
            *("recreate_queue", "resubmit_failed", "blocklist_sites", "use_redirector"),
            *("split_by_category", "eos_prefix", "max_retries", "max_run_time", "notify_user"),
        ),
        _JOBS,
    ),
    "starting_time": "start it when it is to start, e.g. with `at`",
}


def parse_run_options(given: Iterable[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Options of a run.

    Parameters
    ----------
    given
        YAML files of options and ``name=value``, the value in YAML; later ones replace earlier
        ones. ``limit-files`` and ``limit_files`` are the same.

    Returns
    -------
    options
        By name: attributes of `Settings`, and ``process_separately``, ``group_samples`` and
        ``overwrite``.
    notices
        What PocketCoffea's options became, or what replaces them.

    Raises
    ------
    InputError
        An option that does not exist, or an executor that has to be replaced.
    FileError
        A file that is missing or no YAML.
    """
    options: dict[str, Any] = {}
    notices: list[str] = []
    for text in given:
        for name, value in _read(text).items():
            options |= _translated(str(name).replace("-", "_"), str(name), value, notices)
    return options, tuple(dict.fromkeys(notices))


def executor_of(name: str) -> tuple[str, str]:
    """An executor by the name that PocketCoffea or lazyana has for it, and what to say of it.

    Raises
    ------
    InputError
        One that starts jobs at a site.
    """
    kind, sign, site = name.partition("@")
    if not sign and "://" not in name:
        kind, _, site = name.partition("/")  # as CoffeaRunner has them
    if kind in ("parsl", "condor") or site:
        msg = f"Executor {name!r} starts workers at a site: {_WORKERS}."
        raise InputError(msg)
    if kind in _EXECUTORS:
        return _EXECUTORS[kind], f"executor {name} is {_EXECUTORS[kind]} here"
    return name, ""


def _read(text: str) -> Mapping[Any, Any]:
    """The options of a file, or the one that text says."""
    name, equals, value = text.partition("=")
    path = Path(text)
    if equals and not path.is_file():
        with_value = _yaml(f"value: {value}", f"the value of {name}")
        return {name.strip(): with_value["value"]}
    if not path.is_file():
        msg = f"There is no file {text} of run options; single ones are written name=value."
        raise FileError(msg)
    found = _yaml(path.read_text(encoding="utf-8"), str(path))
    general = found.pop("general", None) or {}
    return {**general, **found}


def _yaml(text: str, what: str) -> dict[Any, Any]:
    try:
        found = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
    except Exception as error:  # of the YAML reader too, which is not ours
        msg = f"Run options: {what} is no YAML: {type(error).__name__}: {error}"
        raise FileError(msg) from error
    if not isinstance(found, dict):
        msg = f"Run options: {what} holds no mapping of names to values."
        raise FileError(msg)
    return found


def _translated(name: str, written: str, value: Any, notices: list[str]) -> dict[str, Any]:
    """One option under its name here; nothing where it has none."""
    if name in _REPLACED:
        notices.append(f"{written} is not used: {_REPLACED[name]}")
        return {}
    if name in _SWITCHES and value is not None:
        check_switch(name, value)
    if name == "skip_bad_files":
        notices.append(f"{written} is on_error here, 'skip' or 'raise'")
        return {"on_error": "skip" if value else "raise"}
    if name == "performance_report" and isinstance(value, bool):
        notices.append(f"{written} is the path of the report: give one to have it")
        return {}
    ours = _RENAMED.get(name, name)
    known = tuple(_names())
    if ours not in known:
        every = (*known, *_RENAMED, *_REPLACED, "skip_bad_files")
        msg = (
            f"There is no run option {written!r}.{did_you_mean(name, every)} There are: "
            f"{', '.join(known)}."
        )
        raise InputError(msg)
    if ours != name:
        notices.append(f"{written} is called {ours} here")
    if ours == "executor" and isinstance(value, str):
        value, said = executor_of(value)
        notices += [said] if said else []
    return {} if value is None else {ours: value}


def _names() -> Iterator[str]:
    yield from (one.name for one in fields(Settings))
    yield from SEPARATE
