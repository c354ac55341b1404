"""The output of commands: tables for people, JSON for programs, messages on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from tokensvc.errors import TokensvcError

_Item = TypeVar("_Item")
_Item_co = TypeVar("_Item_co", covariant=True)

# Wider than any line, so that output into a pipe or a file is never folded.
_WIDTH_OF_A_FILE = 10_000
_GAP = 2  # Between two columns.


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


class Bar(Protocol[_Item_co]):
    """A progress bar. It counts each item that it yields, or as many as `update` says."""

    def __iter__(self) -> Iterator[_Item_co]:
        """Yield the items."""

    def update(self, n_steps: int) -> None:
        """So many more are done."""


@contextmanager
def progress(
    items: Iterable[_Item], label: str, *, length: int | None = None
) -> Iterator[Bar[_Item]]:
    """A progress bar on a terminal; a program or a log gets none.

    Args:
        items: what is acted on, one after another.
        label: what has happened to those that the bar counts, such as `Stored`.
        length: how many there are, if `items` does not say.
    """
    with click.progressbar(
        items,
        length,
        label,
        hidden=not is_read_by_a_person(),
        show_percent=True,
        show_pos=True,
        file=sys.stderr,
    ) as bar:
        yield bar


def erase_line() -> None:
    """Erase a bar or a countdown on a terminal, so that a message can take its place."""
    if is_read_by_a_person():
        click.echo("\r\x1b[K", nl=False, err=True)


def is_read_by_a_person() -> bool:
    """Whether standard error is a terminal. A process that was started without one has None."""
    return sys.stderr is not None and sys.stderr.isatty()


def print_json(value: Any) -> None:
    """Print a JSON document."""
    click.echo(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table. If it is wider than the terminal, each row becomes a block of lines.

    No value is folded: an ARN in two parts can't be copied.
    """
    # Names and ARNs are printed as they are: rich must not interpret them as markup.
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_FILE
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    widths = (max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True))
    if sum(widths) + _GAP * (len(columns) - 1) > console.width:
        print_blocks(columns, rows)
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_blocks(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print each row as a block: a line for each column, with its name."""
    longest = max(map(len, columns))
    blocks = (
        "\n".join(
            f"{column:<{longest}}  {value}" for column, value in zip(columns, row, strict=True)
        )
        for row in rows
    )
    click.echo("\n\n".join(blocks))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
