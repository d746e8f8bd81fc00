"""Options and texts that several commands have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lazyana.errors import OutputExistsError
from lazyana.options import RunOptions

EXECUTOR = "sync, threads, processes, distributed, or the address of a dask scheduler"

PROGRESS = click.option(
    "--progress/--no-progress", default=None, help="Progress bar (default: on terminals)."
)
REPORT = click.option(
    "--performance-report", type=click.Path(path_type=Path), help="dask's report (HTML)."
)


def names(context: Any, parameter: Any, text: str | None) -> tuple[str, ...] | None:
    """Names separated by commas, as a callback of an option."""
    del context, parameter
    if text is None:
        return None
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        msg = f"{text!r} names nothing: give names separated by commas, or leave the option out."
        raise click.BadParameter(msg)
    return found


def _size(context: Any, parameter: Any, text: str | None) -> int | str | None:
    """A size as given, a number where it is one, checked."""
    del context, parameter
    number = text is not None and text.strip().lstrip("-").isdecimal()
    size = int(text) if text is not None and number else text
    RunOptions(size)
    return size


PARTITION_SIZE = click.option(
    "--partition-size",
    metavar="SIZE",
    callback=_size,
    help='Events of a partition, or bytes of what it reads, such as "200 MB" (default: by bytes).',
)
CONFIG = click.option(
    "--cfg",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Python file with the configuration, cfg = Configurator(...).",
)
LIMIT_FILES = click.option("--limit-files", "-lf", type=int, help="Files of each dataset.")


def filters(command: Any) -> Any:
    """Options that keep some datasets of a configuration."""
    for what in ("datasets", "samples", "years"):
        option = click.option(
            f"--filter-{what}", callback=names, metavar="A,B", help=f"Only these {what}."
        )
        command = option(command)
    return command


def loaded(cfg: Path, options: dict[str, Any]) -> Any:
    """The analysis of a configuration file, with the datasets that `filters` names.

    Parameters
    ----------
    cfg
        The Python file.
    options
        The options of the command; those of `filters` are taken out of it.
    """
    from lazyana.analysis.load import load_config

    analysis = load_config(cfg)
    kept = {what: options.pop(f"filter_{what}s") for what in ("year", "sample", "dataset")}
    if not any(kept.values()):
        return analysis
    return analysis.filtered(samples=kept["sample"], year=kept["year"], datasets=kept["dataset"])


def refuse_existing(output: Path, overwrite: bool) -> None:
    """Leave a folder with something in it alone, unless told otherwise."""
    if output.exists() and any(output.iterdir()) and not overwrite:
        msg = (
            f"{output} exists and is not empty: choose another folder with --output, or replace "
            "what is there with --overwrite."
        )
        raise OutputExistsError(msg)


def aligned(rows: Sequence[tuple[str, ...]], left: int = 3) -> list[str]:
    """Rows as lines; the first columns are text, the others numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
