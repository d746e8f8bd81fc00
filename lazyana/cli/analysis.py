"""Analyses that are written as configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lazyana.cli.shared import (
    CONFIG,
    EXECUTOR,
    LIMIT_FILES,
    PARTITION_SIZE,
    PROGRESS,
    REPORT,
    aligned,
    filters,
    loaded,
)


@click.command()
@CONFIG
@click.option(
    "--outputdir",
    "-o",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the results.",
)
@click.option("--overwrite", is_flag=True, help="Replace the results of an earlier run.")
@click.option("--executor", "-e", help=f"{EXECUTOR} (default: threads).")
@click.option("--scaleout", "-s", "workers", type=int, help="Threads or processes.")
@LIMIT_FILES
@filters
@click.option("--test", "-t", is_flag=True, help="In this thread, one file of each dataset.")
@click.option(
    "--on-error",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    show_default=True,
    help="What a file that cannot be read does.",
)
@PARTITION_SIZE
@REPORT
@PROGRESS
def run(cfg: Path, outputdir: Path, test: bool, **options: Any) -> None:
    """Run an analysis: histograms, columns and cutflows of its configuration."""
    from lazyana.analysis import run as running

    if test:
        options["executor"] = options["executor"] or "sync"
        options["limit_files"] = options["limit_files"] or 1
    analysis = loaded(cfg, options)
    made = running.run(analysis, outputdir, **options)
    click.echo(f"{made.result.report.text()}\n\nResults:")
    for what, path in made.files.items():
        click.echo(f"  {what:<12} {path}")


@click.command()
@CONFIG
@filters
@LIMIT_FILES
@click.option("--stage", help="List the steps of the program at this stage.")
def explain(cfg: Path, limit_files: int | None, stage: str | None, **options: Any) -> None:
    """What running an analysis would do: weights, branches, steps, memory. Nothing is run."""
    from lazyana.analysis.run import explained

    analysis = loaded(cfg, options)
    table = analysis.rules.table()
    click.echo("\n".join(aligned([tuple(table[0]), *(tuple(row.values()) for row in table)], 5)))
    click.echo(f"\n{explained(analysis, limit_files, stage=stage)}")


@click.command("print-parameters")
@click.argument("key", nargs=-1)
@click.option(
    "--cfg",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Those of a configuration (default: the default parameters).",
)
def print_parameters(key: tuple[str, ...], cfg: Path | None) -> None:
    """Parameters, as YAML; KEY names a part of them: lumi.picobarns 2018."""
    from lazyana.analysis import defaults
    from lazyana.analysis.load import load_config

    known = load_config(cfg).parameters if cfg else defaults.get_default_parameters()
    click.echo(defaults.parameters_text(known, *key))
