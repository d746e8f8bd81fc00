"""What runs wrote: merging and splitting it."""

from __future__ import annotations

from pathlib import Path

import click

OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace files that are there.")
FILE = click.Path(path_type=Path, dir_okay=False)
BY = ("dataset", "sample", "year", "variable", "category")


@click.command("merge-outputs")
@click.argument("outputs", nargs=-1, required=True, type=FILE)
@click.option("--output", "-o", required=True, type=FILE, help="File to write.")
@click.option(
    "--different-files",
    is_flag=True,
    help="Outputs that do not say so are of different files, and not divided by sums of weights.",
)
@OVERWRITE
def merge_outputs(
    outputs: tuple[Path, ...], output: Path, different_files: bool, overwrite: bool
) -> None:
    """Merge outputs of different datasets, or of different files of a dataset.

    OUTPUTS: .coffea files, of lazyana, PocketCoffea or CoffeaRunner, or .lazyana files. One is read
    at a time. The same events twice are an error.
    """
    from lazyana.analysis.outputs.merging import merge_outputs as merge

    made = merge(outputs, output, different_files=different_files, overwrite=overwrite)
    for notice in made.notices:
        click.echo(f"Notice: {notice}.", err=True)
    click.echo(f"{made.path}: {len(made.datasets)} datasets of {len(outputs)} outputs")


@click.command("split-output")
@click.argument("output", type=FILE)
@click.option(
    "--outputdir",
    "-o",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the files.",
)
@click.option("--by", "-b", required=True, type=click.Choice(BY), help="What each file is of.")
@OVERWRITE
def split_output(output: Path, outputdir: Path, by: str, overwrite: bool) -> None:
    """Split an output (.coffea) into smaller ones."""
    from lazyana.analysis.outputs.splitting import split_output as split

    for name, path in split(output, outputdir, by, overwrite=overwrite).items():
        click.echo(f"{name}: {path}")


@click.command("merge-columns")
@click.argument("folder")
@click.option("--output", "-o", help="Folder or URL to write to (default: FOLDER_merged).")
@click.option("--compression", default="zstd", show_default=True, help="Of the parquet files.")
@OVERWRITE
def merge_columns(folder: str, output: str | None, compression: str, overwrite: bool) -> None:
    """Merge the parquet files of columns: one file for each dataset, category and variation.

    FOLDER: columns that a run wrote, of lazyana or PocketCoffea, at any depth.
    """
    from lazyana.sinks.mergecolumns import merge_columns as merge

    made = merge(folder, output, compression=compression, overwrite=overwrite)
    for one in made:
        click.echo(f"{one.url}: {one.rows:,} rows of {one.files:,} files")
