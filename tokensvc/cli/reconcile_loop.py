"""The loop that reconciles the rings of several regions, until it is done or stopped."""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click

from tokensvc.arns import Region
from tokensvc.cli.output import say, say_error
from tokensvc.clock import Clock, rfc3339
from tokensvc.errors import TokensvcError
from tokensvc.keyring.rotation import Step, WaitUntil, drain_ends, rotation_is_due
from tokensvc.keyring.rotator import Rotator

LONGEST_PAUSE_SECONDS = 60.0
PAUSE_AFTER_ERROR_SECONDS = 10.0
NOTHING_LEFT = "nothing is left to do."

Pause = Callable[[float], bool]
"""Waits for that many seconds, or until a signal arrives; returns whether a signal has arrived."""


@dataclass(frozen=True, slots=True)
class PassResult:
    """The result of one pass over the regions.

    Attributes:
        failed: whether a region failed; its error was printed.
        next_at: when the next step is due, Unix seconds; None when nothing is left to do.
    """

    failed: bool
    next_at: float | None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do in any region."""
        return not self.failed and self.next_at is None

    def pause_seconds(self, now: float) -> float:
        """How long to wait before the next pass."""
        if self.failed:
            return PAUSE_AFTER_ERROR_SECONDS
        if self.next_at is None:
            return LONGEST_PAUSE_SECONDS
        return min(max(self.next_at - now, 0.0), LONGEST_PAUSE_SECONDS)


@dataclass(slots=True)
class Regions:
    """The regions that a command reconciles.

    Attributes:
        names: the regions.
        make_rotator: returns a region's rotator; a TokensvcError that it raises is printed.
        clock: the time.
        rotate_after_seconds: how long a key may sign before a scheduled rotation; None disables
            scheduled rotations.
    """

    names: Sequence[Region]
    make_rotator: Callable[[Region], Rotator]
    clock: Clock
    rotate_after_seconds: int | None = None

    def reconcile_once(self) -> PassResult:
        """Do every step that is due, in every region. A region that fails does not stop others."""
        failed = False
        moments = []
        for region in self.names:
            try:
                upcoming = self._reconcile(region, self.make_rotator(region))
            except TokensvcError as exc:
                failed = True
                say(f"{region}:")
                say_error(exc)
            else:
                moments += [upcoming.at] if isinstance(upcoming, WaitUntil) else []
        return PassResult(failed, min(moments, default=None))

    def _reconcile(self, region: Region, rotator: Rotator) -> object:
        now = self.clock.now()
        age = self.rotate_after_seconds
        if age is not None and rotation_is_due(rotator.ring(), age, now):
            rotator.request_rotation(f"scheduled: the key has signed for {age} s or longer")

        def print_step(step: Step) -> None:
            click.echo(f"{region}: {step.sentence}")

        upcoming = rotator.reconcile(print_step)
        if not isinstance(upcoming, WaitUntil):
            click.echo(f"{region}: {NOTHING_LEFT}")
            return upcoming
        left = max(0, round(upcoming.at - now))
        click.echo(f"{region}: wait until {rfc3339(upcoming.at)} ({left} s): {upcoming.why}.")
        for ends_at, pair in drain_ends(rotator.ring()):
            if ends_at != upcoming.at:
                click.echo(
                    f"{region}: {pair.key_id} drains until {rfc3339(ends_at)} "
                    f"({max(0, round(ends_at - now))} s)."
                )
        return upcoming


def run_reconcile_loop(regions: Regions, pause: Pause, *, stop_when_done: bool) -> bool:
    """Run passes, with pauses. Returns True when nothing is left to do, False after a signal.

    Errors are printed and retried. Without `stop_when_done`, only a signal ends the loop.
    """
    while True:
        latest = regions.reconcile_once()
        if stop_when_done and latest.is_done:
            return True
        if pause(latest.pause_seconds(regions.clock.now())):
            return False


@contextmanager
def interruptible_pause() -> Iterator[Pause]:
    """A pause that SIGINT and SIGTERM end. Inside the block they interrupt nothing else.

    A pass that has begun is always finished, and a signal that arrives during it is not lost.
    """
    woken, waker = socket.socketpair()
    with woken, waker:
        waker.settimeout(0)
        earlier_waker = signal.set_wakeup_fd(waker.fileno())
        earlier = {
            number: signal.signal(number, lambda *_: None)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            # The byte of the signal stays unread, so that every later pause ends at once too.
            yield lambda seconds: bool(select.select([woken], [], [], seconds)[0])
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(earlier_waker)
