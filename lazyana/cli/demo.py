"""The demonstration."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from lazyana.cli.shared import EXECUTOR, PARTITION_SIZE, PROGRESS, REPORT, refuse_existing


@click.command()
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
@click.option("--executor", "-e", default="threads", show_default=True, help=EXECUTOR)
@click.option("--workers", "-w", type=int, help="Threads or processes (default: one a core).")
@PARTITION_SIZE
@REPORT
@PROGRESS
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
    partition_size: int | str | None,
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

    refuse_existing(output, overwrite)
    # Mistakes first, the sample after them.
    find_executor(executor, workers=workers, performance_report=performance_report)
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
    from lazyana.toy.sample import write_sample

    click.echo(f"Making the sample: {events:,} Drell-Yan events, ttbar, and data made of both.")
    shown = sys.stderr.isatty() if progress is None else progress
    with click.progressbar(length=100, label="events made", hidden=not shown) as bar:

        def tick(done: int, total: int) -> None:
            bar.update(int(100 * done / total) - bar.pos)

        return write_sample(
            folder, events=events, files=files, seed=seed, overwrite=overwrite, progress=tick
        )
