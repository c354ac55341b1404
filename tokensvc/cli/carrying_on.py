"""Rotations carried on while a command runs: region by region, pass by pass, until told to stop."""

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

Pause = Callable[[float], bool]
"""Waits so many seconds; gives whether it was told to stop, then or earlier."""


@dataclass(frozen=True, slots=True)
class Pass:
    """How one pass over the regions ended.

    Attributes:
        failed: whether a region's error was told.
        next_at: when something is due again, Unix seconds; None when nothing is left to do.
    """

    failed: bool
    next_at: float | None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do anywhere."""
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
    """The regions that a command carries on.

    Attributes:
        names: the regions.
        make_rotator: makes a region's rotator, or raises what is told.
        clock: the time.
        rotate_after_seconds: how long a key may sign before another takes over; None for ever.
    """

    names: Sequence[Region]
    make_rotator: Callable[[Region], Rotator]
    clock: Clock
    rotate_after_seconds: int | None = None

    def one_pass(self) -> Pass:
        """Do all that is due in every region; one that fails does not keep the others waiting."""
        failed = False
        moments = []
        for region in self.names:
            try:
                observation = self._reconcile(region, self.make_rotator(region))
            except TokensvcError as exc:
                failed = True
                say(f"{region}:")
                say_error(exc)
            else:
                moments += [observation.at] if isinstance(observation, WaitUntil) else []
        return Pass(failed, min(moments, default=None))

    def _reconcile(self, region: Region, rotator: Rotator) -> object:
        now = self.clock.now()
        age = self.rotate_after_seconds
        if age is not None and rotation_is_due(rotator.ring(), age, now):
            rotator.request_rotation(f"scheduled: signed for {age} s or more")

        def tell(step: Step) -> None:
            click.echo(f"{region}: {step.sentence}")

        observation = rotator.reconcile(tell)
        if not isinstance(observation, WaitUntil):
            click.echo(f"{region}: nothing is left to do.")
            return observation
        left = max(0, round(observation.at - now))
        click.echo(f"{region}: wait until {rfc3339(observation.at)} ({left} s): {observation.why}.")
        for ends_at, pair in drain_ends(rotator.ring()):
            if ends_at != observation.at:
                click.echo(
                    f"{region}: {pair.key_id} drains until {rfc3339(ends_at)} "
                    f"({max(0, round(ends_at - now))} s)."
                )
        return observation


def carry_on(regions: Regions, pause: Pause, *, until_settled: bool) -> bool:
    """Pass after pass, with pauses; True when all is settled, False when told to stop.

    Errors are told and tried again; without `until_settled` only a signal ends it.
    """
    while True:
        latest = regions.one_pass()
        if until_settled and latest.is_done:
            return True
        if pause(latest.pause_seconds(regions.clock.now())):
            return False


@contextmanager
def pause_until_signal() -> Iterator[Pause]:
    """A pause that SIGINT and SIGTERM end; inside the block they interrupt nothing else.

    So a pass that has begun is finished, and one that comes while it runs is not lost.
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
