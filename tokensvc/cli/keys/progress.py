"""Print the progress of `keys rotate`, `keys reconcile` and `keys revoke`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import click

from tokensvc.cli.output import erase_line, is_read_by_a_person, say, say_error
from tokensvc.clock import rfc3339
from tokensvc.keyring.reconcile_loop import (
    KeyDrains,
    Pause,
    ReconcileEvent,
    ReconcileLoop,
    RegionDone,
    RegionFailed,
    RegionWaits,
    RotationPaused,
    StepBegins,
    interruptible_pause,
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


@contextmanager
def pause_with_countdown() -> Iterator[Pause]:
    """`interruptible_pause`; a person at a terminal sees how long it is until the next step."""
    with interruptible_pause() as pause:
        yield partial(_count_down, pause) if is_read_by_a_person() else pause


def _count_down(pause: Pause, seconds: float) -> bool:
    left = seconds
    while True:
        erase_line()
        click.echo(f"Waiting for {math.ceil(left)} s. Ctrl-C is safe.", nl=False, err=True)
        is_ended = pause(min(left, 1.0))
        left -= 1.0
        if is_ended or left <= 0:
            erase_line()
            return is_ended
