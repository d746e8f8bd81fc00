"""What files hold."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from lazyana.cli.shared import EXECUTOR, PROGRESS, aligned
from lazyana.options import bytes_text


@click.command()
@click.argument("fileset", nargs=-1, required=True)
@click.option("--tree", default="Events", show_default=True, help="Name of the tree.")
@click.option("--executor", "-e", help=f"{EXECUTOR} (default: threads).")
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
@PROGRESS
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
    lines = aligned(rows)
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
        (name, " or ".join(one["types"]), bytes_text(one["bytes"]), f"{one['files']:,}")
        for name, one in branches.items()
    ]
    return "\n".join(aligned(rows, left=2))


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
        bytes_text(one["bytes"]),
        "" if weights is None else weights if isinstance(weights, str) else f"{weights:.6g}",
        f"{one['forms']:,}",
        f"{one['clusters_per_file']:.1f}",
        bytes_text(one["index_bytes_per_file"]),
    )
