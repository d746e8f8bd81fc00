"""The command line: a thin mirror of the functions."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
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
@click.option(
    "--partition-size",
    metavar="SIZE",
    help='Events of a partition, or bytes of what it reads, such as "200 MB" (default: by bytes).',
)
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
    partition_size: str | None,
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
    size = _partition_size(partition_size)
    options: dict[str, Any] = {
        "executor": executor,
        "workers": workers,
        "partition_size": size,
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


def _partition_size(text: str | None) -> int | str | None:
    """The size as given, a number where it is one, checked."""
    number = text is not None and text.strip().lstrip("-").isdecimal()
    size = int(text) if text is not None and number else text
    RunOptions(size)
    return size


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


def _refuse_existing(output: Path, overwrite: bool) -> None:
    from lazyana.errors import OutputExistsError

    if output.exists() and any(output.iterdir()) and not overwrite:
        msg = (
            f"{output} exists and is not empty: choose another folder with --output, or replace "
            "what is there with --overwrite."
        )
        raise OutputExistsError(msg)


@cli.command()
@click.argument("fileset", nargs=-1, required=True)
@click.option("--tree", default="Events", show_default=True, help="Name of the tree.")
@click.option("--executor", "-e", help=f"{_EXECUTOR} (default: threads).")
@click.option("--workers", "-w", type=int, help="Threads or processes (default: one a core).")
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Keep the catalog.")
@click.option("--overwrite", is_flag=True, help="Replace the file given with --save.")
@click.option("--lumis", is_flag=True, help="List the luminosity sections.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--branches", is_flag=True, help="List the branches, the largest ones first.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder of the cache.")
@click.option("--no-cache", is_flag=True, help="Open all files, and keep nothing.")
@click.option(
    "--on-error",
    type=click.Choice(["skip", "raise"]),
    default="skip",
    show_default=True,
    help="What a file that cannot be read does.",
)
@click.option(
    "--progress/--no-progress", default=None, help="Progress bar (default: on terminals)."
)
def inspect(
    fileset: tuple[str, ...],
    save: Path | None,
    overwrite: bool,
    as_json: bool,
    branches: bool,
    cache: Path | None,
    no_cache: bool,
    **options: Any,
) -> None:
    """What is in files: events, branches, sums of weights, which ones cannot be read.

    FILESET: paths, URLs, globs or folders, filesets in JSON, or saved catalogs. Exit code 1 if a
    file cannot be read.
    """
    from lazyana.errors import OutputExistsError

    if save is not None and save.exists() and not overwrite:
        msg = f"{save} exists already. Save under another name, or replace it with --overwrite."
        raise OutputExistsError(msg)
    catalog = _catalog(fileset, {**options, "cache": False if no_cache else cache or True})
    summary = catalog.to_json()
    if as_json:
        listed = {"branches": catalog.branches()} if branches else {}
        click.echo(json.dumps({"datasets": summary, **listed}, indent=1))
    else:
        click.echo(summary_text(summary))
        if branches:
            click.echo(f"\n{branches_text(catalog.branches())}")
    if save is not None:
        catalog.save(save, overwrite=overwrite)
        click.echo(f"Saved: {save}", err=as_json)
    if catalog.unreadable:
        sys.exit(1)


def _catalog(sources: tuple[str, ...], options: dict[str, Any]) -> Any:
    """One catalog of filesets, files and saved catalogs."""
    from lazyana.data.catalog import Catalog
    from lazyana.data.catalogfile import is_catalog
    from lazyana.data.fileset import Fileset
    from lazyana.frame.inspection import inspect as inspect_files

    saved = [Catalog.load(source) for source in sources if is_catalog(source)]
    rest = [source for source in sources if not is_catalog(source)]
    parsed = [Fileset.parse(source) for source in rest if source.endswith(".json")]
    files = [source for source in rest if not source.endswith(".json")]
    if files:
        parsed.append(Fileset.parse(files))
    if parsed:
        datasets = tuple(dataset for one in parsed for dataset in one.datasets)
        saved.append(inspect_files(Fileset(datasets), **options))
    return saved[0] if len(saved) == 1 else Catalog.merge(*saved)


def summary_text(summary: dict[str, Any]) -> str:
    """The table of `lazyana inspect`, one line a dataset, and the files that cannot be read."""
    rows = [_HEADS, *(_row(name, one) for name, one in summary.items())]
    lines = _aligned(rows)
    for name, one in summary.items():
        if one["lumis"] is not None:
            sections = sum(
                last - first + 1 for some in one["lumis"].values() for first, last in some
            )
            lines.append(f"{name}: {sections:,} luminosity sections of {len(one['lumis']):,} runs")
    failed = [(url, error) for one in summary.values() for url, error in one["unreadable"].items()]
    if failed:
        lines += ["", f"{len(failed)} file{'s' * (len(failed) > 1)} cannot be read:"]
        lines += [f"  {error if url in error else f'{url}: {error}'}" for url, error in failed]
    return "\n".join(lines)


def branches_text(branches: dict[str, Any]) -> str:
    """The branches with their types and sizes, the largest ones first."""
    rows = [("branch", "type", "size", "files")]
    rows += [
        (name, " or ".join(one["types"]), _size(one["bytes"]), f"{one['files']:,}")
        for name, one in branches.items()
    ]
    return "\n".join(_aligned(rows, left=2))


_HEADS = (
    *("dataset", "compression", "NanoAOD", "files", "events", "size"),
    *("sum of weights", "forms", "clusters/file", "index/file"),
)


def _row(name: str, one: dict[str, Any]) -> tuple[str, ...]:
    weights = one["sum_weights"]
    return (
        name,
        ", ".join(one["compression"]),
        ", ".join(one["nano_versions"]) or "?",
        f"{one['files']:,}",
        f"{one['events']:,}",
        _size(one["bytes"]),
        "" if weights is None else weights if isinstance(weights, str) else f"{weights:.6g}",
        f"{one['forms']:,}",
        f"{one['clusters_per_file']:.1f}",
        _size(one["index_bytes_per_file"]),
    )


def _aligned(rows: Sequence[tuple[str, ...]], left: int = 3) -> list[str]:
    """Rows as lines; the first columns are text, the others numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _size(number: float) -> str:
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while number >= 999.5 and unit != "TB":
        number, unit = number / 1000, next(units)
    return f"{number:.3g} {unit}"


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


_CONFIG = click.option(
    "--cfg",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Python file with the configuration, cfg = Configurator(...).",
)
_LIMIT_FILES = click.option("--limit-files", "-lf", type=int, help="Files of each dataset.")


def _names(context: Any, parameter: Any, text: str | None) -> tuple[str, ...] | None:
    """Names separated by commas."""
    del context, parameter
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


@cli.command()
@_CONFIG
@click.option(
    "--outputdir",
    "-o",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the results.",
)
@click.option("--overwrite", is_flag=True, help="Replace the results of an earlier run.")
@click.option("--executor", "-e", help=f"{_EXECUTOR} (default: threads).")
@click.option("--scaleout", "-s", "workers", type=int, help="Threads or processes.")
@_LIMIT_FILES
@click.option("--filter-years", callback=_names, metavar="A,B", help="Only these years.")
@click.option("--filter-samples", callback=_names, metavar="A,B", help="Only these samples.")
@click.option("--filter-datasets", callback=_names, metavar="A,B", help="Only these datasets.")
@click.option("--test", "-t", is_flag=True, help="In this thread, one file of each dataset.")
@click.option(
    "--on-error",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    show_default=True,
    help="What a file that cannot be read does.",
)
@click.option("--partition-size", metavar="SIZE", help="Events of a partition, or bytes it reads.")
@click.option("--performance-report", type=click.Path(path_type=Path), help="dask's report (HTML).")
@click.option(
    "--progress/--no-progress", default=None, help="Progress bar (default: on terminals)."
)
def run(
    cfg: Path,
    outputdir: Path,
    filter_years: tuple[str, ...] | None,
    filter_samples: tuple[str, ...] | None,
    filter_datasets: tuple[str, ...] | None,
    test: bool,
    **options: Any,
) -> None:
    """Run an analysis: histograms, columns and cutflows of its configuration."""
    from lazyana.analysis import run as running
    from lazyana.analysis.load import load_config

    options["partition_size"] = _partition_size(options["partition_size"])
    if test:
        options["executor"] = options["executor"] or "sync"
        options["limit_files"] = options["limit_files"] or 1
    analysis = load_config(cfg)
    if any((filter_years, filter_samples, filter_datasets)):
        analysis = analysis.filtered(
            samples=filter_samples, year=filter_years, datasets=filter_datasets
        )
    made = running.run(analysis, outputdir, **options)
    click.echo(f"{made.result.report.text()}\n\nResults:")
    for what, path in made.files.items():
        click.echo(f"  {what:<12} {path}")


@cli.command()
@_CONFIG
@_LIMIT_FILES
@click.option("--stage", help="List the steps of the program at this stage.")
def explain(cfg: Path, limit_files: int | None, stage: str | None) -> None:
    """What running an analysis would do: weights, branches, steps, memory. Nothing is run."""
    from lazyana.analysis.load import load_config
    from lazyana.analysis.run import explained

    analysis = load_config(cfg)
    table = analysis.rules.table()
    click.echo("\n".join(_aligned([tuple(table[0]), *(tuple(row.values()) for row in table)], 5)))
    click.echo(f"\n{explained(analysis, limit_files, stage=stage)}")


@cli.command("print-parameters")
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
