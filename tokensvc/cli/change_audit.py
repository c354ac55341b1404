"""The audit of the key pairs: a JSON line on standard error for each change that was saved."""

from __future__ import annotations

import contextlib
import sys

import click

from tokensvc.audit import json_line
from tokensvc.keyring.changes import RingChange


def write_change(change: RingChange) -> None:
    """Write the audit line, for the program that collects the output of the command.

    A terminal gets none: a person there reads the progress, and `tokensvc keys history`.
    """
    if _is_for_a_person():
        return
    members = change.members() | {"command": click.get_current_context().command_path}
    # The change is saved already. A log that is full or closed must not stop an emergency.
    with contextlib.suppress(OSError):
        click.echo(json_line(members), err=True, nl=False)


def _is_for_a_person() -> bool:
    try:
        return sys.stderr.isatty()
    except AttributeError:  # A process that was started without standard error has None there.
        return False
