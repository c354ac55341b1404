"""How commands change what may be many: asked first, told one by one, none waiting for another."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from tokensvc.cli.output import say, say_error
from tokensvc.errors import TokensvcError

_Thing = TypeVar("_Thing")

yes_option = click.option(
    "--yes", is_flag=True, help="Do it without asking; needed where there is no terminal to ask on."
)


def confirm(question: str, *, yes: bool) -> None:
    """Return when the person agrees, or has agreed with `--yes`.

    Raises:
        click.UsageError: when there is no terminal to ask on.
        click.Abort: when the person does not agree.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question}\nThere is no terminal to ask on: agree with --yes.")
    click.confirm(question, abort=True, err=True)


def for_each(things: Sequence[_Thing], act: Callable[[_Thing], str]) -> None:
    """Act on each thing and print the sentence that comes of it, with the place in the row.

    Raises:
        click.exceptions.Exit: with status 1 at the end, when any failed; each failure is told.
    """
    failed = 0
    for number, thing in enumerate(things, start=1):
        place = f"[{number}/{len(things)}] " if len(things) > 1 else ""
        try:
            click.echo(f"{place}{act(thing)}")
        except TokensvcError as exc:
            failed += 1
            say(f"{place}{thing}:")
            say_error(exc)
    if failed:
        if len(things) > 1:
            say(f"{failed} of {len(things)} failed; the others are done.")
        raise click.exceptions.Exit(1)
