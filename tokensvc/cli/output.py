"""What commands print: tables for people, JSON for programs, sentences on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tokensvc.errors import TokensvcError

# Wider than any line of ours: what goes into a pipe or a file is never folded.
_WIDTH_OF_A_FILE = 10_000


class Refused(click.ClickException):
    """An error of ours on its way to the operator: what is wrong, each problem, the way out."""

    exit_code = 1

    def __init__(self, error: TokensvcError) -> None:
        super().__init__(error.detail)
        self._error = error

    def show(self, file: Any = None) -> None:
        """Print it on standard error."""
        say_error(self._error, file)


def say_error(error: TokensvcError, file: Any = None) -> None:
    """Print an error on standard error, a line for each thing that a person should know."""
    lines = [f"Error: {error.detail}"]
    lines += [f"  {problem.field}: {problem.message}" for problem in error.problems]
    # What IVS itself said, which callers of the service don't get to read.
    lines += getattr(error.__cause__, "__notes__", [])
    if error.hint:
        lines.append(error.hint)
    click.echo("\n".join(lines), file=file, err=True)


def say(sentence: str) -> None:
    """Print a sentence for the person who waits; programs read standard output."""
    click.echo(sentence, err=True)


def print_json(value: Any) -> None:
    """Print a JSON document."""
    click.echo(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that is as wide as the terminal at most, and unfolded into a pipe."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_FILE
    # Names and ARNs are printed as they are, whatever a terminal library may see in them.
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    console.print(table)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
