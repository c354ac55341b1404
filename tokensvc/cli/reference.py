"""Generate `docs/cli.md`, every command and its IVS operations, from the help of the commands."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import click

from tokensvc.cli.main import cli

_HEAD = """\
# Commands

Run `tokensvc --help`, or any command with `--help`, for details and examples. `tokensvc completion`
prints what a shell needs to complete commands and names. Every listing has `--json`. A
command that can't be undone asks for confirmation; without a terminal it requires `--yes`. Exit
status: 0 done, 1 failed, 2 wrong use. The last column lists the Amazon IVS operations that the
command calls. The AWS credentials need permission for them (`ivs:GetChannel` for GetChannel), and
`ivs:TagResource` to create a resource with tags.

| command | description | IVS operations |
| --- | --- | --- |"""
_CALLS = re.compile(r"Calls (.+?)\.(?: |$)")


def cli_page() -> str:
    """The text of `docs/cli.md`."""
    return "\n".join([_HEAD, *_rows(cli, "tokensvc")]) + "\n"


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below the group, without the groups, each with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _rows(group: click.Group, path: str) -> Iterator[str]:
    for called, command in commands(group, path):
        text = " ".join((command.help or "").split())
        description = (command.help or "").split("\n\n")[0]
        calls = _CALLS.search(text)
        arguments = " ".join(
            parameter.make_metavar(click.Context(command))
            for parameter in command.params
            if isinstance(parameter, click.Argument)
        )
        operations = calls[1] if calls else "-"
        usage = f"{called} {arguments}".rstrip()
        yield f"| `{usage}` | {' '.join(description.split())} | {operations} |"


if __name__ == "__main__":
    sys.stdout.write(cli_page())
