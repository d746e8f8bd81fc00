"""Looking at the first events of files."""

from __future__ import annotations

from pathlib import Path

import click

from lazyana.errors import InputError


@click.command()
@click.argument("words", nargs=-1, metavar="[FILE_OR_FILESET] EXPRESSION...", required=True)
@click.option("-n", "number", default=10, show_default=True, help="How many events.")
@click.option("--dataset", help="Dataset to look at (default: the first one).")
@click.option("--where", metavar="CUT", help='Only events that pass: "nMuon == 2".')
@click.option(
    "--cfg",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration whose datasets, objects and variables to look at, instead of files.",
)
@click.option(
    "--all-events", is_flag=True, help="With --cfg: also what skim and preselections reject."
)
def peek(
    words: tuple[str, ...],
    number: int,
    dataset: str | None,
    where: str | None,
    cfg: Path | None,
    all_events: bool,
) -> None:
    """Show the values of expressions for the first events.

    Expressions are those of cuts written as text. One file is opened; the branches that are needed
    are read, of a few events. With --cfg the workflow has selected its objects, and skim and
    preselections have selected events.

    \b
    lazyana peek nano.root nMuon Muon.pt "MET.pt > 30"
    lazyana peek fileset.json Jet.pt --dataset TTTo2L2Nu --where "nJet >= 4" -n 5
    lazyana peek --cfg config.py MuonGood.pt ll.mass
    """  # noqa: D301  (click reads the mark)
    from lazyana.analysis.load import load_config
    from lazyana.analysis.peek import peek as peek_at

    if cfg is None:
        source, *expressions = words
        if all_events:
            msg = "--all-events is for configurations: give --cfg FILE."
            raise InputError(msg)
        found = peek_at(source, expressions, number, dataset=dataset, where=where)
    else:
        for word in words:
            if Path(word).is_file():
                msg = (
                    f"{word} is a file: with --cfg there are expressions only, of the datasets of "
                    "the configuration (--dataset chooses). Leave --cfg out to look at a file."
                )
                raise InputError(msg)
        found = peek_at(
            load_config(cfg), words, number, dataset=dataset, where=where, all_events=all_events
        )
    click.echo(found.text())
