"""What saved results hold."""

from __future__ import annotations

from pathlib import Path

import click

from lazyana.errors import InputError


@click.command()
@click.argument("result", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--cutflow", is_flag=True, help="Show the cutflows.")
@click.option("--provenance", is_flag=True, help="Show where the result comes from.")
def show(result: Path, cutflow: bool, provenance: bool) -> None:
    """What is in a saved result.

    \b
    lazyana show output/output_all.lazyana
    lazyana show output/output_all.lazyana --cutflow
    """  # noqa: D301  (click reads the mark)
    from lazyana.engine.result import Result
    from lazyana.report.tables import cutflow_table

    if result.suffix == ".coffea":
        beside = result.with_suffix(".lazyana")
        there = f"show {beside}" if beside.exists() else "show the .lazyana file of the run"
        msg = f"{result} is for coffea.util.load: {there}."
        raise InputError(msg)
    loaded = Result.load(result)
    click.echo(loaded.report.text())
    click.echo("\nOutputs:")
    for path in loaded.paths:
        click.echo(f"  {path or '(the only one)':<40} {loaded.kind(path)}")
    if cutflow:
        for path in loaded.paths:
            if loaded.kind(path) == "cutflow":
                value = loaded.flat()[path]
                click.echo(f"\n{path}\n{cutflow_table(value).text()}")
    if provenance:
        click.echo(f"\n{loaded.provenance.text()}")
