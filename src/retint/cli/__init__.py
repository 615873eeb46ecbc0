"""The `retint` command: parses, calls, prints. Heavy imports stay inside the commands."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import Annotated

import typer

from retint import __version__
from retint.cli import about, data, film, photographs, serving, survey, training
from retint.cli.console import log_details
from retint.cli.group import Group
from retint.cli.options import Verbose

app = typer.Typer(cls=Group, add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def retint(
    ctx: typer.Context,
    verbose: Verbose = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Turn black-and-white photographs into colour.

    `retint photo.jpg` is short for `retint colorize photo.jpg` and writes photo-color.jpg;
    `retint film.mp4` is short for `retint video film.mp4`.
    """
    log_details(verbose)
    if version:
        typer.echo(f"retint {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


for command in (  # in the order of `retint --help`, which puts groups last
    photographs.colorize,
    film.video,
    about.models,
    about.info,
    serving.serve,
    training.train,
    training.evaluate,
    training.compare,
    training.reproduce,
    training.export,
):
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(survey.app, name="survey")


def main() -> None:
    """Run the command line."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of files that are odd, but readable
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files need not be text
            stream.reconfigure(errors="surrogateescape" if os.name == "posix" else "replace")
    app()
