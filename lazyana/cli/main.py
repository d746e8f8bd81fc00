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
from lazyana.errors import LazyanaError, is_of_users, place_of


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
    except Exception as error:
        known = isinstance(error, LazyanaError)
        if not (known or is_of_users(error)) or _shown[0]:
            raise
        what = f"{error}" if known else f"{type(error).__name__}: {error}"
        place = place_of(error)
        where = [f"  {place}"] if place else []
        more = [] if known else ["  lazyana --traceback … shows how it was reached."]
        click.echo("\n".join([f"Error: {what}", *where, *more, *_notes(error)]), err=True)
        sys.exit(1)


def _notes(error: Exception) -> tuple[str, ...]:
    return tuple(getattr(error, "__notes__", ()))


_shown = [False]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--traceback", is_flag=True, help="Show how errors were reached, all of it.")
@click.version_option(package_name="lazyana")
def cli(traceback: bool) -> None:
    """A lazy, dataframe-style query engine for NanoAOD."""
    _shown[0] = traceback


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
