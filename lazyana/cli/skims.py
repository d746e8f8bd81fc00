"""Skims: merging their files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lazyana.cli.shared import PROGRESS, aligned, names


@click.command("hadd-skimmed-files")
@click.option(
    "--files-list",
    "-fl",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Output (.coffea) or fileset (.json) of the run that wrote the skims.",
)
@click.option(
    "--outputdir", "-o", help="Folder or URL to write to (default: hadd, beside the skims)."
)
@click.option("--filter-samples", "-fs", callback=names, metavar="A,B", help="Only these samples.")
@click.option("--filter-datasets", callback=names, metavar="A,B", help="Only these datasets.")
@click.option("--files", "-f", type=int, help="Most files that become one (default: 500).")
@click.option("--events", "-e", type=int, help="Most events in one file (default: no limit).")
@click.option(
    "--scaleout", "-s", type=click.IntRange(1), default=2, help="Files that are made at a time."
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--dry", is_flag=True, help="Say what would be merged, and write nothing.")
@click.option("--check", is_flag=True, help="Check the files of an earlier run, and write nothing.")
@PROGRESS
def hadd_skimmed_files(
    files_list: Path,
    outputdir: str | None,
    filter_samples: tuple[str, ...] | None,
    filter_datasets: tuple[str, ...] | None,
    files: int | None,
    events: int | None,
    scaleout: int,
    overwrite: bool,
    dry: bool,
    check: bool,
    progress: bool | None,
) -> None:
    """Merge the many small files of skims into few; one that was interrupted goes on.

    \b
    lazyana hadd-skimmed-files -fl output/output_all.coffea -e 400000 --dry
    lazyana hadd-skimmed-files -fl output/output_all.coffea -e 400000
    lazyana hadd-skimmed-files -fl output/output_all.coffea -e 400000 --check
    """  # noqa: D301  (click reads the mark)
    from lazyana.analysis.skims import merging

    plan = merging(
        files_list,
        outputdir,
        samples=filter_samples,
        datasets=filter_datasets,
        max_files=files,
        max_events=events,
    )
    click.echo("\n".join(aligned(plan.table(), 1)))
    if dry:
        for merge in plan.every:
            click.echo(f"{merge.url}: {len(merge.pieces)} files, {merge.entries:,} events")
        return
    if check:
        problems = plan.problems()
        click.echo("\n".join(problems) or "All files are there, with all their events.")
        if problems:
            sys.exit(1)
        return
    plan.run(workers=scaleout, overwrite=overwrite, progress=progress)
    click.echo(f"\nFileset: {plan.definition}")
