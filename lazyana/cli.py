"""The command line: a thin mirror of the functions."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from lazyana.errors import LazyanaError
from lazyana.options import RunOptions

_EXECUTOR = "sync, threads, processes, distributed, or the address of a dask scheduler"


def main() -> None:
    """Run the command line; what users can mend is one message, not a traceback."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nStopped.", err=True)
        sys.exit(130)
    except LazyanaError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lazyana")
def cli() -> None:
    """A lazy, dataframe-style query engine for NanoAOD."""


@cli.command()
@click.option("--mc", multiple=True, metavar="FILE", help="Your own simulation (repeat for more).")
@click.option("--data", multiple=True, metavar="FILE", help="Your own data (repeat for more).")
@click.option("--events", default=20_000, show_default=True, help="Drell-Yan events to make.")
@click.option("--files", default=2, show_default=True, help="Files of each dataset to make.")
@click.option("--seed", default=1, show_default=True, help="Seed of the sample.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, file_okay=False),
    default="zmumu",
    show_default=True,
    help="Folder for the results.",
)
@click.option("--overwrite", is_flag=True, help="Replace the results of an earlier run.")
@click.option("--keep", is_flag=True, help="Keep the sample, in OUTPUT/sample.")
@click.option("--golden", type=click.Path(path_type=Path, exists=True), help="Golden JSON of data.")
@click.option("--tree", default="Events", show_default=True, help="Name of the tree.")
@click.option("--executor", "-e", default="threads", show_default=True, help=_EXECUTOR)
@click.option("--workers", "-w", type=int, help="Threads or processes (default: one a core).")
@click.option("--partition-size", type=int, default=400_000, show_default=True, help="Events.")
@click.option("--performance-report", type=click.Path(path_type=Path), help="dask's report (HTML).")
@click.option(
    "--progress/--no-progress", default=None, help="Progress bar (default: on terminals)."
)
def demo(
    mc: tuple[str, ...],
    data: tuple[str, ...],
    events: int,
    files: int,
    seed: int,
    output: Path,
    overwrite: bool,
    keep: bool,
    golden: Path | None,
    tree: str,
    executor: str,
    workers: int | None,
    partition_size: int,
    performance_report: Path | None,
    progress: bool | None,
) -> None:
    """Z to mu mu on the embedded sample, or on your own NanoAOD files.

    Selects objects and events, applies weights with variations, and writes histograms, a
    cutflow, columns (parquet) and data/MC plots to OUTPUT.
    """
    from lazyana import demo as zmumu
    from lazyana.data.fileset import Fileset
    from lazyana.engine.executors import find_executor

    _refuse_existing(output, overwrite)
    # Mistakes first, the sample after them.
    find_executor(executor, workers=workers, performance_report=performance_report)
    RunOptions(partition_size)
    options: dict[str, Any] = {
        "executor": executor,
        "workers": workers,
        "partition_size": partition_size,
        "performance_report": performance_report,
        "progress": progress,
    }
    own = bool(mc or data)
    folder = output / "sample" if keep else Path(tempfile.mkdtemp(prefix="lazyana-sample-"))
    try:
        if own:
            fileset = own_files(mc, data, tree)
        else:
            fileset = Fileset.parse(_make_sample(folder, events, files, seed, overwrite, progress))
            golden = golden or folder / "golden.json"
        made = zmumu.run(
            fileset,
            output,
            golden=golden,
            corrections=not own,
            overwrite=overwrite,
            tell=lambda plan: click.echo(f"\n{plan}\n"),
            **options,
        )
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(made.cutflow.text())
    click.echo(f"\n{made.result.report.text()}\n\nResults:")
    for what, path in made.files.items():
        click.echo(f"  {what:<20} {path}")


def own_files(mc: tuple[str, ...], data: tuple[str, ...], tree: str) -> Any:
    """Fileset of the user's own files: all simulation as one dataset, all data as another."""
    from lazyana.data.fileset import Dataset, Fileset

    datasets = []
    for name, paths, is_mc in (("simulation", mc, True), ("data", data, False)):
        if paths:
            files = Fileset.parse(list(paths)).datasets[0].files
            named = tuple((url, tree) for url, _ in files)
            datasets.append(Dataset(name, named, {"is_mc": is_mc}))
    return Fileset(tuple(datasets))


def _make_sample(
    folder: Path, events: int, files: int, seed: int, overwrite: bool, progress: bool | None
) -> Any:
    from lazyana.data.toy import write_sample

    click.echo(f"Making the sample: {events:,} Drell-Yan events, ttbar, and data made of both.")
    shown = sys.stderr.isatty() if progress is None else progress
    with click.progressbar(length=100, label="events made", hidden=not shown) as bar:

        def tick(done: int, total: int) -> None:
            bar.update(int(100 * done / total) - bar.pos)

        return write_sample(
            folder, events=events, files=files, seed=seed, overwrite=overwrite, progress=tick
        )


def _refuse_existing(output: Path, overwrite: bool) -> None:
    from lazyana.errors import OutputExistsError

    if output.exists() and any(output.iterdir()) and not overwrite:
        msg = (
            f"{output} exists and is not empty: choose another folder with --output, or replace "
            "what is there with --overwrite."
        )
        raise OutputExistsError(msg)


@cli.command()
@click.argument("result", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--cutflow", is_flag=True, help="Show the cutflows.")
@click.option("--provenance", is_flag=True, help="Show where the result comes from.")
def show(result: Path, cutflow: bool, provenance: bool) -> None:
    """What is in a saved result."""
    from lazyana.engine.result import Result
    from lazyana.report.tables import cutflow_table

    loaded = Result.load(result)
    click.echo(loaded.report.text())
    click.echo("\nOutputs:")
    for path in loaded.paths:
        click.echo(f"  {path or '(the only one)':<40} {loaded.kind(path)}")
    if cutflow:
        for path in loaded.paths:
            if loaded.kind(path) == "cutflow":
                value = loaded.flat()[path]
                click.echo(f"\n{path}\n{cutflow_table(value, weighted=True).text()}")
    if provenance:
        click.echo(f"\n{loaded.provenance.text()}")
