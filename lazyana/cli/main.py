"""The command line itself: all commands, and how mistakes are told."""

from __future__ import annotations

import sys

import click

from lazyana.cli.analysis import explain, print_parameters, run
from lazyana.cli.configs import inspect_config, make_config, validate
from lazyana.cli.demo import demo
from lazyana.cli.inspect import inspect
from lazyana.cli.outputs import merge_columns, merge_outputs, split_output
from lazyana.cli.peek import peek
from lazyana.cli.show import show
from lazyana.cli.skims import hadd_skimmed_files
from lazyana.errors import LazyanaError, place_of


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
        place = place_of(error)
        where = [f"  {place}"] if place else []
        lines = [f"Error: {error}", *where, *getattr(error, "__notes__", ())]
        click.echo("\n".join(lines), err=True)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lazyana")
def cli() -> None:
    """A lazy, dataframe-style query engine for NanoAOD."""


cli.add_command(run)
cli.add_command(make_config)
cli.add_command(validate)
cli.add_command(inspect_config)
cli.add_command(explain)
cli.add_command(print_parameters)
cli.add_command(inspect)
cli.add_command(peek)
cli.add_command(show)
cli.add_command(merge_outputs)
cli.add_command(split_output)
cli.add_command(merge_columns)
cli.add_command(hadd_skimmed_files)
cli.add_command(demo)
