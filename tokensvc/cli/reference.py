"""`docs/cli.md`: every command with the operations of IVS that it calls, made from the help."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import click

from tokensvc.cli.main import cli

_HEAD = """\
# Commands

`tokensvc --help`, and `--help` after any command, say more. Every listing has `--json`. What can't
be undone asks first; without a terminal it takes `--yes`. Exit status: 0 done, 1 failed, 2 wrongly
used. The operations are those of Amazon IVS, which AWS credentials need to be allowed
(`ivs:GetChannel` for GetChannel); sending a tag along takes `ivs:TagResource` too.

| command | does | operations |
| --- | --- | --- |"""
_CALLS = re.compile(r"Calls (.+?)\.(?: |$)")


def cli_page() -> str:
    """The text of `docs/cli.md`."""
    return "\n".join([_HEAD, *_rows(cli, "tokensvc")]) + "\n"


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below the group that is no group itself, each after how it is called."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _rows(group: click.Group, path: str) -> Iterator[str]:
    for called, command in commands(group, path):
        text = " ".join((command.help or "").split())
        does = (command.help or "").split("\n\n")[0]
        calls = _CALLS.search(text)
        arguments = " ".join(
            parameter.make_metavar(click.Context(command))
            for parameter in command.params
            if isinstance(parameter, click.Argument)
        )
        operations = calls[1] if calls else "-"
        yield f"| `{f'{called} {arguments}'.rstrip()}` | {' '.join(does.split())} | {operations} |"


if __name__ == "__main__":
    sys.stdout.write(cli_page())
