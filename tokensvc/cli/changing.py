"""Helpers for commands that change something: confirmation, and one result line for each item."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import click

from tokensvc.cli.output import say, say_error
from tokensvc.errors import TokensvcError

_Item = TypeVar("_Item")

yes_option = click.option(
    "--yes", is_flag=True, help="Do not ask for confirmation. Required without a terminal."
)


def confirm(question: str, *, yes: bool) -> None:
    """Return when the operator agrees, at the prompt or with `--yes`.

    Raises:
        click.UsageError: when there is no terminal to ask on.
        click.Abort: when the operator does not agree.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        say(question)
        raise click.UsageError("There is no terminal to ask on. Add --yes to confirm.")
    click.confirm(question, abort=True, err=True)


def confirm_list(question: str, lines: Iterable[object], *, yes: bool, note: str = "") -> None:
    """Show the items that a command changes, each on a line, and `confirm`."""
    listed = "\n".join(f"  {line}" for line in lines)
    confirm(f"{question}\n{listed}\n{note}Continue?", yes=yes)


def for_each(items: Sequence[_Item], act: Callable[[_Item], str | None], *, done: str = "") -> None:
    """Act on each item and print its result, as `[2/5] ITEM was deleted.` for several.

    The result is what `act` returns, or `done`. An item that fails does not stop the others; its
    error is printed.

    Raises:
        click.exceptions.Exit: with status 1 at the end, when any item failed.
    """
    failed = 0
    for number, item in enumerate(items, start=1):
        place = f"[{number}/{len(items)}] " if len(items) > 1 else ""
        try:
            click.echo(f"{place}{item} {act(item) or done}")
        except TokensvcError as exc:
            failed += 1
            say(f"{place}{item}:")
            say_error(exc)
    if failed:
        if len(items) > 1:
            say(f"{failed} of {len(items)} failed. The others are done.")
        raise click.exceptions.Exit(1)
