"""The output of commands: tables for people, JSON for programs, messages on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tokensvc.errors import TokensvcError

# Wider than any line, so that output into a pipe or a file is never folded.
_WIDTH_OF_A_FILE = 10_000


class CommandFailed(click.ClickException):
    """A TokensvcError as click shows it: the detail, each problem, the hint; exit status 1."""

    exit_code = 1

    def __init__(self, error: TokensvcError) -> None:
        super().__init__(error.detail)
        self._error = error

    def show(self, file: Any = None) -> None:
        """Print the error on standard error."""
        say_error(self._error, file)


def say_error(error: TokensvcError, file: Any = None) -> None:
    """Print an error on standard error: the detail, each problem, IVS's own text, the hint."""
    lines = [f"Error: {error.detail}"]
    lines += [
        f"  {problem.field}: {problem.message}"
        for problem in error.problems
        if problem.message not in error.detail
    ]
    # The text of IVS's error. Operators see it; clients of the service must not.
    lines += getattr(error.__cause__, "__notes__", [])
    if error.hint:
        lines.append(error.hint)
    click.echo("\n".join(lines), file=file, err=True)


def say(message: str) -> None:
    """Print a message for the operator on standard error; programs read standard output."""
    click.echo(message, err=True)


def print_json(value: Any) -> None:
    """Print a JSON document."""
    click.echo(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, folded to the width of a terminal, not folded in a pipe or a file."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_FILE
    # Names and ARNs are printed as they are: rich must not interpret them as markup.
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    console.print(table)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
