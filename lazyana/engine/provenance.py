"""Where a result comes from: versions, options, fingerprints, platform, time, command."""

from __future__ import annotations

import hashlib
import json
import math
import platform as _platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from lazyana.errors import InputTypeError

#: Packages whose version can change a number or the meaning of a file.
PACKAGES = (
    "awkward",
    "boost-histogram",
    "coffea",
    "correctionlib",
    "dask",
    "dask-awkward",
    "distributed",
    "hist",
    "numba",
    "numpy",
    "pyarrow",
    "uproot",
    "vector",
)


@dataclass(frozen=True)
class Provenance:
    """What is needed to find out, later, how a result was made.

    Attributes
    ----------
    lazyana
        Version of lazyana, ``"unknown"`` when it runs from a source tree that is not installed.
    python
        Version of Python.
    packages
        Installed versions of the packages that matter; those not installed are left out.
    platform
        Operating system and machine.
    time
        When the result was made, ISO 8601, UTC.
    options
        The options of the run, in JSON terms.
    programs
        Fingerprint (hexadecimal) of the Program of each group.
    fileset
        Hash (hexadecimal) of the fileset, empty when there was none.
    command
        Command line of the process.
    files
        What was read: of each dataset URL, uuid and number of events of each file.
    configuration
        Hash (hexadecimal) of the analysis, of the datasets and of the limits that were asked for;
        empty where there is no configuration.
    analysis
        Hash of the analysis alone, whatever datasets it was run over.
    git
        State of the git repository that the configuration is in, see `git_state`.
    """

    lazyana: str
    python: str
    packages: Mapping[str, str]
    platform: str
    time: str
    options: Mapping[str, Any] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    fileset: str = ""
    command: str = ""
    files: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)
    configuration: str = ""
    analysis: str = ""
    git: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def collect(
        cls,
        *,
        options: Mapping[str, Any] | None = None,
        programs: Mapping[str, str] | None = None,
        fileset: str = "",
        files: Mapping[str, Sequence[Sequence[Any]]] | None = None,
        command: str | None = None,
    ) -> Provenance:
        """Provenance of a result made here and now.

        Parameters
        ----------
        options
            Options of the run; values that JSON does not know are kept as text.
        programs
            Fingerprint of the Program of each group.
        fileset
            Hash of the fileset, e.g. from `content_hash`.
        files
            URL, uuid and number of events of the files that were read, by dataset.
        command
            Command line; that of this process by default.
        """
        return cls(
            lazyana=_version("lazyana") or "unknown",
            python=_platform.python_version(),
            packages={name: found for name in PACKAGES if (found := _version(name))},
            platform=_platform.platform(),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            options={str(key): _plain(value) for key, value in (options or {}).items()},
            programs=dict(programs or {}),
            fileset=fileset,
            files=dict(files or {}),
            command=shlex.join(sys.orig_argv) if command is None else command,
        )

    def to_json(self) -> dict[str, Any]:
        """All fields in JSON terms."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Provenance:
        """The inverse of `to_json`; fields that this version does not know are ignored."""
        return cls(**{key: data[key] for key in cls.__dataclass_fields__ if key in data})

    def text(self) -> str:
        """Readable lines, for a terminal or a log."""
        packages = ", ".join(f"{name} {found}" for name, found in self.packages.items())
        lines = [
            f"lazyana {self.lazyana}, Python {self.python}, {self.platform}",
            f"packages  {packages}",
            f"time      {self.time}",
            f"command   {self.command}",
        ]
        if self.fileset:
            lines.append(f"fileset   {self.fileset}")
        for dataset, files in self.files.items():
            events = sum(entries for _, _, entries in files)
            lines.append(f"read      {dataset}: {len(files):,} files, {events:,} events")
        if self.configuration:
            lines.append(f"analysis  {self.analysis}, as configured {self.configuration}")
        if self.git:
            changed = ", changed: " + ", ".join(self.git["changed"]) if self.git["changed"] else ""
            lines.append(f"git       {self.git['commit']} ({self.git['branch']}){changed}")
        lines += [f"program   {group}: {print_}" for group, print_ in self.programs.items()]
        lines += [f"option    {name} = {value!r}" for name, value in self.options.items()]
        return "\n".join(lines)


def content_hash(data: Any) -> str:
    """SHA-256 (hexadecimal) of data in JSON terms; the order of dict keys does not matter.

    Parameters
    ----------
    data
        Nested dicts, lists and scalars.

    Raises
    ------
    InputTypeError
        For anything JSON does not know: its text could differ from process to process.
    """
    try:
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    except TypeError as error:
        msg = f"Only dicts, lists, numbers and text have a content hash: {error}."
        raise InputTypeError(msg) from error
    return hashlib.sha256(text.encode()).hexdigest()


def git_state(folder: Path) -> dict[str, Any]:
    """State of the git repository that a folder is in.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    dict
        ``commit`` (hexadecimal), ``branch``, and ``changed``: the files of the folder that differ
        from the commit or are not in it, as ``git status`` has them. Empty where there is no
        repository with a commit, or no git.
    """
    try:
        commit, branch, status = (
            subprocess.run(
                ["git", "-C", str(folder), *words],
                capture_output=True,
                text=True,
                timeout=20,
                check=True,
            ).stdout
            for words in (
                ("rev-parse", "HEAD"),
                ("rev-parse", "--abbrev-ref", "HEAD"),
                ("status", "--porcelain", "--", "."),
            )
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit.strip(), "branch": branch.strip(), "changed": status.splitlines()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _plain(value: Any) -> Any:  # noqa: PLR0911  (one line a kind)
    """Value in strict JSON terms: what JSON has no word for (NaN too) becomes text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return float(value) if math.isfinite(value) else repr(float(value))
        case np.generic():
            return _plain(value.item())
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case set() | frozenset():
            return sorted((_plain(item) for item in value), key=repr)
        case Path():
            return str(value)
        case _ if hasattr(value, "__qualname__"):
            return f"{value.__module__}.{value.__qualname__}"
        case _:
            return repr(value)
