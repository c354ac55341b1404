"""The loop that reconciles the rings of several regions, until it is done or stopped.

A command and a scheduled job run it alike. Nothing is printed here: progress is reported as values
to the function `on_event`.
"""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tokensvc.arns import Region
from tokensvc.clock import Clock
from tokensvc.errors import TokensvcError
from tokensvc.keyring.drains import drain_ends
from tokensvc.keyring.reporting.notifications import RegionEnd
from tokensvc.keyring.rotation_requests import RotationPause
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.scheduling import pause_of_due_rotation
from tokensvc.keyring.steps import Step, WaitUntil

LONGEST_PAUSE_SECONDS = 60.0
PAUSE_AFTER_ERROR_SECONDS = 10.0

Pause = Callable[[float], bool]
"""Waits for that many seconds, or until a signal arrives; returns whether a signal has arrived."""


@dataclass(frozen=True, slots=True)
class StepBegins:
    """A step of that region's ring is about to be done."""

    region: Region
    step: Step


@dataclass(frozen=True, slots=True)
class RegionWaits:
    """Every step of the region that is due was done; the next one is due later.

    Attributes:
        region: the region.
        until: when the next step is due, and why not earlier.
        left_seconds: how long that is from now.
    """

    region: Region
    until: WaitUntil
    left_seconds: float


@dataclass(frozen=True, slots=True)
class KeyDrains:
    """A retiring key pair whose drain ends at another time than the region's next step.

    Attributes:
        region: the region.
        key_id: the key pair.
        ends_at: when its drain ends, Unix seconds.
        left_seconds: how long that is from now.
    """

    region: Region
    key_id: str
    ends_at: float
    left_seconds: float


@dataclass(frozen=True, slots=True)
class RotationPaused:
    """A scheduled rotation of the region would be due, and is paused since a rollback."""

    region: Region
    pause: RotationPause


@dataclass(frozen=True, slots=True)
class RegionDone:
    """Nothing is left to do in the region."""

    region: Region


@dataclass(frozen=True, slots=True)
class RegionFailed:
    """The region's pass ended with an error. The other regions are not affected."""

    region: Region
    error: TokensvcError


ReconcileEvent = StepBegins | RegionWaits | KeyDrains | RotationPaused | RegionDone | RegionFailed
OnEvent = Callable[[ReconcileEvent], None]
Report = Callable[[Sequence[RegionEnd]], None]
"""Reports how a pass ended in each region."""


def no_report(_: Sequence[RegionEnd]) -> None:
    """Report nothing: the pass belongs to an operator's command."""


@dataclass(frozen=True, slots=True)
class PassResult:
    """The result of one pass over the regions.

    Attributes:
        failed: whether a region failed; its error was reported.
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


@dataclass(frozen=True, slots=True)
class ReconcileLoop:
    """Reconciles the rings of these regions, in passes.

    Attributes:
        regions: the regions.
        make_rotator: returns a region's rotator; a TokensvcError that it raises is reported, and
            the next pass calls it again.
        clock: the time.
        on_event: gets each event as it happens.
        rotate_after_seconds: how long a key may sign before a scheduled rotation; None disables
            scheduled rotations.
        report: reports how each pass ended. It must not raise.
    """

    regions: Sequence[Region]
    make_rotator: Callable[[Region], Rotator]
    clock: Clock
    on_event: OnEvent
    rotate_after_seconds: int | None = None
    report: Report = no_report

    def run_once(self) -> PassResult:
        """Do every step that is due, in every region. A region that fails does not stop others."""
        ends = [self._end_of(region) for region in self.regions]
        self.report(ends)
        due_times = [end.upcoming.at for end in ends if isinstance(end.upcoming, WaitUntil)]
        failed = any(end.error is not None for end in ends)
        return PassResult(failed, min(due_times, default=None))

    def run(self, pause: Pause, *, stop_when_done: bool) -> bool:
        """Run passes, with pauses. Returns True when nothing is left to do, False after a signal.

        Errors are reported and retried. Without `stop_when_done`, only a signal ends the loop.
        """
        while True:
            latest = self.run_once()
            if stop_when_done and latest.is_done:
                return True
            if pause(latest.pause_seconds(self.clock.now())):
                return False

    def _end_of(self, region: Region) -> RegionEnd:
        try:
            return self._reconcile(region, self.make_rotator(region))
        except TokensvcError as exc:
            self.on_event(RegionFailed(region, exc))
            return RegionEnd(region, error=exc)

    def _reconcile(self, region: Region, rotator: Rotator) -> RegionEnd:
        now = self.clock.now()
        if self.rotate_after_seconds is not None:
            rotator.request_scheduled_rotation(self.rotate_after_seconds)
        upcoming = rotator.reconcile(lambda step: self.on_event(StepBegins(region, step)))
        pause = self._pause_of_due_rotation(rotator)
        if pause is not None:
            self.on_event(RotationPaused(region, pause))
        if not isinstance(upcoming, WaitUntil):
            self.on_event(RegionDone(region))
            return RegionEnd(region, upcoming, pause=pause)
        self.on_event(RegionWaits(region, upcoming, max(0.0, upcoming.at - now)))
        for ends_at, pair in drain_ends(rotator.ring()):
            if ends_at != upcoming.at:
                left_seconds = max(0.0, ends_at - now)
                self.on_event(KeyDrains(region, pair.key_id, ends_at, left_seconds))
        return RegionEnd(region, upcoming, pause=pause)

    def _pause_of_due_rotation(self, rotator: Rotator) -> RotationPause | None:
        if self.rotate_after_seconds is None:
            return None
        now = self.clock.now()
        return pause_of_due_rotation(rotator.ring(), self.rotate_after_seconds, now)


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
