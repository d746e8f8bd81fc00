"""Configurations: what is wrong with them, what they hold, and one to begin with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from lazyana.cli.shared import CONFIG, EXECUTOR, LIMIT_FILES, PROGRESS, filters, loaded
from lazyana.errors import FileError, InputError

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.argument("fileset", nargs=-1)
@click.option(
    "--cfg",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Python file with the configuration, cfg = Configurator(...).",
)
@filters
@LIMIT_FILES
@click.option("--no-files", is_flag=True, help="Open no files: the configuration only.")
@click.option("--executor", "-e", help=f"{EXECUTOR} (default: threads).")
@click.option("--workers", "-w", type=int, help="Threads or processes (default: one a core).")
@JSON
@PROGRESS
def validate(
    fileset: tuple[str, ...], cfg: Path | None, as_json: bool, no_files: bool, **options: Any
) -> None:
    """Say what is wrong with a configuration and its files. Nothing is run or written.

    Opens all files and records the analysis. All mistakes are listed, with their places.
    FILESET without --cfg: files alone, as for `lazyana inspect`. Exit code 1 if there is an error.

    \b
    lazyana validate --cfg config.py
    lazyana validate --cfg config.py --no-files
    lazyana validate "dy/*.root" --json > report.json
    """  # noqa: D301  (click reads the mark)
    from lazyana.analysis import validate as validating

    if bool(fileset) == (cfg is not None):
        msg = "Give either a configuration, --cfg FILE, or files."
        raise InputError(msg)
    kept = {what: options.pop(f"filter_{what}s") for what in ("year", "sample", "dataset")}
    limit = options.pop("limit_files")
    if cfg is None and (any(kept.values()) or limit is not None or no_files):
        msg = "Filters, --limit-files and --no-files are for configurations: give --cfg FILE."
        raise InputError(msg)
    try:
        if cfg is None:
            found = validating.validate_files(list(fileset), **options)
        else:
            found = validating.validate(
                cfg,
                samples=kept["sample"],
                year=kept["year"],
                datasets=kept["dataset"],
                files=not no_files,
                limit_files=limit,
                **options,
            )
    except FileError as error:
        if not as_json:
            raise
        about, name = ("files", None) if cfg is None else ("configuration", str(cfg))
        problem = validating.Problem("error", about, "", str(error))
        found = validating.Validation(name, (problem,), {})
    click.echo(json.dumps(found.to_json(), indent=1) if as_json else found.text())
    if not found.ok:
        sys.exit(1)


@click.command("inspect-config")
@CONFIG
@click.option("--section", metavar="NAME", help="One section, in full: datasets, weights, …")
@filters
@JSON
def inspect_config(cfg: Path, section: str | None, as_json: bool, **options: Any) -> None:
    """Show what a configuration comes to, section by section. No file is opened.

    Datasets, workflow, cuts, categories, weights and variations by sample and category,
    calibrators, histograms and columns.

    \b
    lazyana inspect-config --cfg config.py
    lazyana inspect-config --cfg config.py --section categories
    """  # noqa: D301  (click reads the mark)
    from lazyana.analysis.inspection import inspected, section_data

    analysis = loaded(cfg, options)
    if as_json:
        click.echo(json.dumps(section_data(analysis, section), indent=1))
    else:
        click.echo(inspected(analysis, section))


@click.command("make-config")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="Name of the analysis (default: that of the folder).")
@click.option(
    "--files", multiple=True, metavar="GLOB", help="Your own files (default: a small sample)."
)
@click.option("--sample", multiple=True, metavar="NAME", help="What --files are, one for each.")
@click.option("--year", default="2018", show_default=True, help="Era of the files.")
@click.option("--overwrite", is_flag=True, help="Replace what is in the folder.")
def make_config(
    folder: Path,
    name: str | None,
    files: tuple[str, ...],
    sample: tuple[str, ...],
    year: str,
    overwrite: bool,
) -> None:
    """Write a configuration to begin with to FOLDER. It runs as it is.

    One skim, one preselection, two categories, weights, two histograms and columns of pairs of
    muons: on your own files, or on a small sample that is made in FOLDER/sample.

    \b
    lazyana make-config zmumu
    lazyana make-config zmumu --files "dy/*.root" --sample DY --files data.root --sample DATA
    """  # noqa: D301  (click reads the mark)
    from lazyana.analysis.starter import make_config as make

    if len(files) != len(sample):
        msg = f"There are {len(files)} --files and {len(sample)} --sample: give one for each."
        raise InputError(msg)
    by_sample: dict[str, list[str]] = {}
    for path, one in zip(files, sample, strict=True):
        by_sample.setdefault(one, []).append(path)
    written = make(folder, name=name, files=by_sample, year=year, overwrite=overwrite)
    click.echo("\n".join(["Written:", *(f"  {path}" for path in written)]))
    click.echo(f"\nNext: lazyana run --cfg {folder / 'config.py'} -o {folder / 'output'}")
