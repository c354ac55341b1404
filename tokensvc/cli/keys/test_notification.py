"""`tokensvc keys test-notification`."""

from __future__ import annotations

import click

from tokensvc.cli.context import Invocation, operator, pass_invocation
from tokensvc.keyring.reporting.notifications import for_testing
from tokensvc.keyring.reporting.reporter import content_of
from tokensvc.notifying import build_receiver


@click.command(name="test-notification")
@pass_invocation
def command(invocation: Invocation) -> None:
    """Send a notification of the type `test` to the webhook in the settings.

    The exit status is 1 if the receiver does not accept it. Nothing is changed.

    Calls no operation of IVS.
    """
    receiver = build_receiver(invocation.settings, invocation.clock)
    notification = for_testing(invocation.clock.now(), operator())
    receiver.send(notification.message_id, content_of(notification))
    click.echo(f"{receiver.host} accepted the notification {notification.message_id}.")
