"""How commands print: warnings, details, tables."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from retint.tables import Table


def warn(line: str) -> None:
    """Print a line to stderr, and who says it."""
    typer.echo(f"retint: {line}", err=True)


def log_details(wanted: bool) -> None:
    """Print what is done in detail, as of --verbose."""
    if wanted:
        logging.basicConfig(format="%(message)s")
        logging.getLogger("retint").setLevel(logging.DEBUG)


def print_table(table: Table) -> None:
    """Print a table; outside a terminal as wide as it wants to be."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 200
    # Names may look like markup: `out [v1]`.
    Console(width=width, markup=False, emoji=False).print(table.rich())
