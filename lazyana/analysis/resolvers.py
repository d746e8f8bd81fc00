"""What ``${name:...}`` means in parameters: correction files, golden JSON files, folders, units.

Files are looked for when a parameter is read, never when parameters are loaded: an analysis that
does not use a correction needs no file for it. A file is taken from the first of these places:

1. ``correction_files`` of the same parameters, which maps ``POG/period/name`` (a golden JSON: its
   name) to a path; nothing else is tried for a file named there;
2. each folder of the environment variable ``LAZYANA_CORRECTIONS`` (separated as in ``PATH``);
3. CVMFS, and EOS for golden JSON files.

Folders are laid out as on CVMFS, ``POG/period/tag/name``; ``POG/period/name`` will do in your own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lazyana.errors import FileError, InputError, InputTypeError

CVMFS = Path("/cvmfs/cms-griddata.cern.ch/cat/metadata")
CERTIFICATION = Path("/eos/user/c/cmsdqm/www/CAF/certification")
CERTIFICATION_URL = "https://cms-service-dqmdc.web.cern.ch/CAF/certification"
PARAMETERS = Path(__file__).parent / "parameters"

FOLDERS = "LAZYANA_CORRECTIONS"
"""Environment variable that holds folders of correction files."""

OVERRIDES = "correction_files"
"""Parameter that names single correction files."""


@dataclass(frozen=True)
class CorrectionFile:
    """A correction file of a physics object group.

    Attributes
    ----------
    pog
        The group: ``"LUM"``, ``"MUO"``, ``"EGM"``, ``"JME"``, ``"BTV"``, ...
    period
        What the file is for, e.g. ``"Run2-2018-UL-NanoAODv9"``.
    name
        Name of the file.
    tag
        Version, a date; empty for the latest one.
    """

    pog: str
    period: str
    name: str
    tag: str = ""

    @property
    def key(self) -> str:
        """Its name in `OVERRIDES`."""
        return f"{self.pog}/{self.period}/{self.name}"

    def places(self) -> Iterator[Path]:
        """Where it may be, the best place first."""
        inside = Path(self.pog, self.period)
        version = self.tag or "latest"
        for folder in correction_folders():
            yield folder / inside / version / self.name
            yield folder / inside / self.name
        yield CVMFS / inside / version / self.name

    def advice(self) -> str:
        """How to get hold of it."""
        return (
            f"Mount CVMFS, put it into a folder named in ${FOLDERS} as {self.key}, "
            f"or give its path as the parameter {OVERRIDES}: {{{self.key!r}: PATH}}."
        )


@dataclass(frozen=True)
class GoldenJson:
    """A list of certified luminosity sections.

    Attributes
    ----------
    folder
        Its folder below the certification web page, e.g. ``"Collisions18/13TeV/Legacy_2018"``.
    name
        Name of the file.
    """

    folder: str
    name: str

    @property
    def key(self) -> str:
        """Its name in `OVERRIDES`."""
        return self.name

    def places(self) -> Iterator[Path]:
        """Where it may be, the best place first."""
        inside = Path("DC", self.folder.split("/")[0])
        for folder in correction_folders():
            yield folder / inside / "latest" / self.name
            yield folder / inside / self.name
            yield folder / self.name
        yield CVMFS / inside / "latest" / self.name
        yield CERTIFICATION / self.folder / self.name

    def advice(self) -> str:
        """How to get hold of it."""
        return (
            f"Download it from {CERTIFICATION_URL}/{self.folder}/{self.name} and put it into a "
            f"folder named in ${FOLDERS}, or give its path as the parameter "
            f"{OVERRIDES}: {{{self.key!r}: PATH}}."
        )


def correction_folders() -> list[Path]:
    """Folders of the environment variable ``LAZYANA_CORRECTIONS``, in order."""
    given = os.environ.get(FOLDERS, "")
    return [Path(each).expanduser() for each in given.split(os.pathsep) if each.strip()]


def find_correction(
    wanted: CorrectionFile | GoldenJson, overrides: Mapping[str, Any] | None = None
) -> Path:
    """The place of a correction file.

    Parameters
    ----------
    wanted
        What to look for.
    overrides
        Paths by key, as in the parameter ``correction_files``.

    Returns
    -------
    pathlib.Path
        An existing file.

    Raises
    ------
    FileError
        When it is in none of its places.
    """
    if overrides is not None and (given := overrides.get(wanted.key)) is not None:
        path = Path(str(given)).expanduser()
        if _is_file(path):
            return path
        msg = (
            f"No correction file {path}, which the parameter {OVERRIDES} names for "
            f"{wanted.key}: correct the path, or leave the entry out to search for the file."
        )
        raise FileError(msg)
    tried = []
    for path in wanted.places():
        if _is_file(path):
            return path
        tried.append(path)
    raise FileError(_not_found(wanted, tried))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a file system that is not mounted properly, or closed to the user
        return False


def _not_found(wanted: CorrectionFile | GoldenJson, tried: list[Path]) -> str:
    if isinstance(wanted, CorrectionFile):
        version = f" of {wanted.tag}" if wanted.tag else ""
        name = f"{wanted.key}{version}{_other_tags(wanted)}"
    else:
        name = wanted.key
    places = "".join(f"\n  {path}" for path in tried)
    return f"No correction file {name}. Tried:{places}\n{wanted.advice()}"


def _other_tags(wanted: CorrectionFile) -> str:
    """Versions of the file that do exist: never taken instead, corrections differ between them."""
    folders = [folder / wanted.pog / wanted.period for folder in [*correction_folders(), CVMFS]]
    there = {path.parent.name for folder in folders for path in folder.glob(f"*/{wanted.name}")}
    return f" (there is {', '.join(sorted(there))})" if there else ""


def register_configuration_dir(key: str, directory: str | Path) -> None:
    """Let ``${key:}`` stand for a folder in all parameters.

    Parameters
    ----------
    key
        A name, e.g. ``"config_dir"``: then ``${config_dir:}/sf.json.gz`` is a file in the folder,
        and so is ``${config_dir:sf.json.gz}``.
    directory
        The folder.

    Raises
    ------
    InputError
        When the key means something else already, or is no name.
    """
    if not key.isidentifier():
        msg = f"{key!r} cannot stand in ${{{key}:}}: take letters, digits and underscores."
        raise InputError(msg)
    if key in _RESOLVERS:
        msg = f"${{{key}:}} means something already; choose another key for {directory}."
        raise InputError(msg)
    _register(key, _in_folder(Path(directory).expanduser().absolute()))


def _in_folder(folder: Path) -> Any:
    def resolve(name: Any = "") -> str:
        return str(folder / str(name)) if name else str(folder)

    return resolve


def _overrides(root: Any) -> Mapping[str, Any] | None:
    given: Any = root.get(OVERRIDES) if isinstance(root, DictConfig) else None
    if given is not None and not isinstance(given, DictConfig):
        msg = (
            f"The parameter {OVERRIDES} must map names of correction files to paths, "
            f"not be {given!r}."
        )
        raise InputTypeError(msg)
    overrides: Mapping[str, Any] | None = given
    return overrides


def _cvmfs(period: Any, pog: Any, name: Any, tag: Any = "", *, _root_: Any) -> str:
    wanted = CorrectionFile(str(pog), str(period), str(name), str(tag or ""))
    return str(find_correction(wanted, _overrides(_root_)))


def _golden_json(folder: Any, name: Any, *, _root_: Any) -> str:
    return str(find_correction(GoldenJson(str(folder), str(name)), _overrides(_root_)))


def _pico_to_femto(value: Any) -> float:
    return float(value) / 1000


_RESOLVERS = {
    "cvmfs": _cvmfs,
    "golden_json": _golden_json,
    "default_params_dir": _in_folder(PARAMETERS),
    "pico_to_femto": _pico_to_femto,
}


def _register(name: str, resolver: Any) -> None:
    OmegaConf.register_resolver(name, resolver, replace=True)


def register_resolvers() -> None:
    """Make ``${cvmfs:}``, ``${golden_json:}`` and the other names of this module known.

    Importing `lazyana.analysis.defaults` does it.
    """
    for name, resolver in _RESOLVERS.items():
        _register(name, resolver)
