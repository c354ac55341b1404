"""Print the progress of `keys rotate`, `keys reconcile` and `keys revoke`."""

from __future__ import annotations

import click

from tokensvc.cli.output import say, say_error
from tokensvc.clock import rfc3339
from tokensvc.keyring.reconcile_loop import (
    KeyDrains,
    ReconcileEvent,
    ReconcileLoop,
    RegionDone,
    RegionFailed,
    RegionWaits,
    RotationPaused,
    StepBegins,
)

NOTHING_LEFT = "nothing is left to do."


def print_event(event: ReconcileEvent) -> None:
    """Print one event: an error on standard error, anything else on standard output."""
    region = event.region
    match event:
        case StepBegins():
            click.echo(f"{region}: {event.step.sentence}")
        case RegionDone():
            click.echo(f"{region}: {NOTHING_LEFT}")
        case RegionWaits():
            at, left = rfc3339(event.until.at), round(event.left_seconds)
            click.echo(f"{region}: wait until {at} ({left} s): {event.until.why}.")
        case KeyDrains():
            at, left = rfc3339(event.ends_at), round(event.left_seconds)
            click.echo(f"{region}: {event.key_id} drains until {at} ({left} s).")
        case RotationPaused():
            since = rfc3339(event.pause.since)
            click.echo(
                f"{region}: scheduled rotation is paused since {since}, because {event.pause.by}"
                " rolled back. `tokensvc keys rotate` rotates and ends the pause."
            )
        case RegionFailed():
            say(f"{region}:")
            say_error(event.error)


def run_one_pass(loop: ReconcileLoop) -> bool:
    """Do one pass. Returns whether every region did every step that is due."""
    result = loop.run_once()
    if not result.failed and result.next_at is not None:
        say("Run `tokensvc keys reconcile` again after that time.")
    return not result.failed
