"""The audit of what commands change: JSON lines on standard error.

There is one for each change of key pairs that was saved, one when a region begins to wait or fail,
and one for each change of a ban.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import click

from tokensvc.audit import AuditEvent, json_line
from tokensvc.cli.output import is_read_by_a_person
from tokensvc.clock import rfc3339
from tokensvc.keyring.changes import RingChange
from tokensvc.keyring.reporting.record import Notification


def write_change(change: RingChange) -> None:
    """Write the audit line of a change, for the program that collects the command's output."""
    _write(change.members())


def write_notification(notification: Notification) -> None:
    """Write the audit line of a region that waits or fails, or does so no longer."""
    head: dict[str, str | None] = {"at": rfc3339(notification.at), "event": notification.type}
    _write(head | notification.data())


def write_event(event: AuditEvent) -> None:
    """Write the audit line of a change of a ban, which is that of a web worker."""
    _write(event.members())


def _write(members: Mapping[str, object]) -> None:
    """Write a line. A terminal gets none: a person there reads the progress."""
    if is_read_by_a_person():
        return
    line = json_line({**members, "command": click.get_current_context().command_path})
    # The change is saved already. A log that is full or closed must not stop an emergency.
    with contextlib.suppress(OSError):
        click.echo(line, err=True, nl=False)
