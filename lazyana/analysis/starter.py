"""A configuration to begin with: written to a folder, and running as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from string import Template

from lazyana.analysis.defaults import ERAS
from lazyana.data.fileset import Dataset, Fileset
from lazyana.data.grouping import simulated
from lazyana.errors import InputError, OutputExistsError, did_you_mean
from lazyana.frame.inspection import inspect
from lazyana.toy.corrections import YEAR, write_corrections
from lazyana.toy.inputs import write_fileset, write_inputs
from lazyana.toy.sample import write_sample

TEMPLATES = Path(__file__).parent / "scaffold"
_SUFFIX = ".template"
_EVENTS = 2_000

_OWN = """\
What is yours to fill in: the cross section in pb of each simulated dataset, `xsec` in `datasets/`,
which is 1 so far. For data add `goldenJson` of `lazyana.analysis.cutlibrary` to `skim`, which keeps
certified luminosity sections; corrections and golden JSON files are looked for on CVMFS and in the
folders of `$LAZYANA_CORRECTIONS`.
"""
_TOY = """\
The files are a sample that was made on the spot, in `sample/`, with corrections that fit it. To run
on your own files, write filesets as those in `datasets/`, and remove `params/sample.yaml`.
"""


def make_config(
    folder: str | Path,
    *,
    name: str | None = None,
    files: Mapping[str, Sequence[str]] | None = None,
    year: str = YEAR,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write a configuration with everything it needs: it selects pairs of muons.

    Parameters
    ----------
    folder
        Where to; made if need be.
    name
        What to call the analysis; default: the name of the folder.
    files
        Files or globs by the name of their sample. Simulation and data are told apart by what is
        in the first file. Default: a small sample is made, in ``sample``.
    year
        The era of the files, one of `lazyana.analysis.defaults.ERAS`.
    overwrite
        Whether to replace what is in the folder.

    Returns
    -------
    tuple of Path
        The files of the configuration, ``config.py`` first.

    Raises
    ------
    OutputExistsError
        There is something in the folder already.
    InputError
        No such era.
    FileError
        Files that do not exist or cannot be read.
    """
    target = Path(folder).expanduser().absolute()
    if target.exists() and not (overwrite and target.is_dir()) and not _empty(target):
        msg = (
            f"{target} exists and is not empty: choose another folder, or replace what is there "
            "with --overwrite (overwrite=True)."
        )
        raise OutputExistsError(msg)
    if year not in ERAS:
        msg = f"There is no era {year!r}.{did_you_mean(year, ERAS)} There are: {', '.join(ERAS)}."
        raise InputError(msg)
    if not files and year != YEAR:
        msg = f"The sample that is made is of {YEAR}, not of {year}: give files of your own."
        raise InputError(msg)
    known = [_dataset(sample, list(paths)) for sample, paths in (files or {}).items()]
    words = {"name": name or target.name, "year": year, "notes": _OWN if known else _TOY}
    written = [
        _write(target, template, words) for template in sorted(TEMPLATES.rglob("*.template"))
    ]
    for dataset, is_mc in known:
        metadata = {"sample": dataset.name, "year": year, "isMC": is_mc}
        metadata |= {"xsec": 1.0} if is_mc else {}
        written.append(
            write_fileset(target, dataset.name, [url for url, _ in dataset.files], metadata)
        )
    if not known:
        written += _make_sample(target, target / "sample", overwrite=overwrite)
    return tuple(sorted(written, key=lambda path: path.name != "config.py"))


def _empty(target: Path) -> bool:
    return target.is_dir() and not any(target.iterdir())


def _dataset(sample: str, paths: list[str]) -> tuple[Dataset, bool]:
    """The files of a sample, and whether they are simulation."""
    (dataset,) = Fileset.parse(paths, name=sample).datasets
    first = replace(dataset, files=dataset.files[:1], alternatives={})
    catalog = inspect(Fileset((first,)), executor="sync", progress=False)
    (layout,) = catalog.layouts.values()
    return dataset, simulated(first, layout)


def _make_sample(target: Path, folder: Path, *, overwrite: bool) -> Iterable[Path]:
    """Make a small sample and its corrections, and what the configuration reads of them."""
    fileset = write_sample(folder, events=_EVENTS, files=1, overwrite=overwrite)
    write_corrections(folder / "corrections", overwrite=overwrite)
    return write_inputs(target, fileset, folder / "corrections").values()


def _write(target: Path, template: Path, words: Mapping[str, str]) -> Path:
    """Write one file with the words put into its template."""
    path = target / template.relative_to(TEMPLATES).with_suffix("")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = Template(template.read_text(encoding="utf-8")).substitute(words)
    path.write_text(content, encoding="utf-8")
    return path
