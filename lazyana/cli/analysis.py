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
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the results (default: that of the configuration, if it names one).",
)
@click.option("--overwrite", is_flag=True, help="Replace the results of an earlier run.")
@click.option(
    "--run-options",
    "--custom-run-options",
    "-ro",
    multiple=True,
    metavar="FILE|NAME=VALUE",
    help="YAML file of options of the run, or one of them; the other options go before.",
)
@click.option("--executor", "-e", help=f"{EXECUTOR} (default: threads).")
@click.option("--scaleout", "-s", "workers", type=int, help="Threads or processes.")
@LIMIT_FILES
@click.option(
    "--limit-partitions",
    "--limit-chunks",
    "-lc",
    "limit_partitions",
    type=int,
    help="Partitions of each dataset.",
)
@filters
@click.option("--test", "-t", is_flag=True, help="In this thread, one file of each dataset.")
@click.option(
    "--process-separately",
    "-ps",
    is_flag=True,
    help="One output for each dataset; those that are there already stay.",
)
@click.option("--n-minus-one", is_flag=True, help="Make tables of what each cut removes alone.")
@click.option(
    "--on-error",
    type=click.Choice(["raise", "skip"]),
    help="What a file that cannot be read does (default: raise).",
)
@click.option("--retries", type=int, help="How often to try again after a lost connection.")
@PARTITION_SIZE
@REPORT
@PROGRESS
def run(cfg: Path, outputdir: Path | None, run_options: tuple[str, ...], **options: Any) -> None:
    """Run an analysis: histograms, columns and cutflows of its configuration.

    \b
    lazyana run --cfg config.py -o output --test
    lazyana run --cfg config.py -o output --limit-files 2 --filter-samples "DY*"
    lazyana run --cfg config.py -o output -ro options.yaml -ro retries=5
    lazyana run --cfg config.py -o output --process-separately
    lazyana merge-outputs output/output_*.coffea -o output/output_all.coffea
    """  # noqa: D301  (click reads the mark)
    from lazyana.analysis.run import run as run_analysis
    from lazyana.analysis.separate import run_separately

    analysis = loaded(cfg, options)
    chosen = _settled(run_options, options)
    folder = outputdir or analysis.output
    if folder is None:
        msg = "Missing option '--outputdir' / '-o': the folder to write the results to."
        raise click.UsageError(msg)
    separately, groups = chosen.pop("process_separately", False), chosen.pop("group_samples", None)
    if groups and not separately:
        msg = "group_samples says which samples have one output with --process-separately: add it."
        raise click.UsageError(msg)
    if not separately:
        _tell(run_analysis(analysis, folder, source=cfg, **chosen))
        return
    for name, made in run_separately(analysis, folder, groups=groups, source=cfg, **chosen):
        click.echo(f"\n{name}{': there already' if made is None else ''}")
        if made is not None:
            _tell(made)


def _settled(run_options: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, options of the command line before those of --run-options."""
    from lazyana.analysis.runoptions import executor_of, parse_run_options

    chosen, notices = parse_run_options(run_options)
    if "executor" in chosen and options["executor"]:
        chosen.pop("workers", None)  # of another executor
    if options["executor"]:
        options["executor"], said = executor_of(options["executor"])
        notices += (said,) if said else ()
    test = options.pop("test")
    chosen |= {
        name: value for name, value in options.items() if value is not None and value is not False
    }
    if options["progress"] is False:
        chosen["progress"] = False
    if test:
        chosen = {"executor": "sync", "limit_files": 1, **chosen}
    for notice in notices:
        click.echo(f"Notice: {notice}.", err=True)
    return chosen


def _tell(made: Any) -> None:
    """What a run gave."""
    from lazyana.analysis.nminusone import table

    click.echo(f"{made.result.report.text()}")
    if made.output.get("n_minus_one"):
        click.echo(f"\n{table(made.output['n_minus_one']).text()}")
    click.echo("\nResults:")
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
    table = analysis.rules.table(analysis.samples)
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
    click.echo(defaults.parameters_text(known, *key).rstrip())
