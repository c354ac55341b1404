"""Pauses lookups in a region whose Amazon IVS fails or hangs, so that requests fail at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from tokensvc.arns import Region
from tokensvc.clock import Clock
from tokensvc.errors import IvsUnavailable

FAILURES_TO_OPEN: Final = 3
"""After this number of failed calls in a row, the calls of the region are paused."""

OVERDUE_SECONDS: Final = 1.5
"""A call that has no answer after this time counts as failed while it continues. Shorter than a
request waits, so that calls which hang pause the region before the next request waits too."""

OPEN_SECONDS: Final = 5.0
"""How long no call is made. Then one trial call shows whether IVS answers again."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Breaker:
    """The breaker of one region. It has no lock: the caller holds one. Times are monotonic seconds.

    It opens after `FAILURES_TO_OPEN` failures in a row. While it is open, one call is made every
    `OPEN_SECONDS`. Any answer of IVS closes it.
    """

    def __init__(self, region: Region) -> None:
        self._region = region
        self._failures = 0
        self._sent_at: dict[object, float] = {}  # The calls that have no answer yet.
        self._next_trial_at: float | None = None  # None while the breaker is closed.

    def is_open(self, now: float) -> bool:
        """Whether calls are paused, except for trials."""
        overdue = sum(now - sent_at >= OVERDUE_SECONDS for sent_at in self._sent_at.values())
        if self._next_trial_at is None and self._failures + overdue >= FAILURES_TO_OPEN:
            self._next_trial_at = now + OPEN_SECONDS
            _log.warning(
                "Amazon IVS in %s fails or does not answer. Until it answers, tokensvc looks up a"
                " channel there at most every %g seconds.",
                self._region,
                OPEN_SECONDS,
            )
        return self._next_trial_at is not None

    def admits(self, now: float) -> bool:
        """Whether a call may be made now."""
        self.is_open(now)
        return self._next_trial_at is None or now >= self._next_trial_at

    def begin(self, now: float) -> object | None:
        """Return an object to pass to `end` if a call may be made now, else None."""
        if not self.admits(now):
            return None
        if self._next_trial_at is not None:
            self._next_trial_at = now + OPEN_SECONDS
        call = object()
        self._sent_at[call] = now
        return call

    def end(self, call: object, now: float, *, has_failed: bool) -> None:
        """Note that a call of `begin` has ended, with an answer of IVS or without."""
        is_outdated = self._sent_at.pop(call, None) is None
        if has_failed and is_outdated:
            return
        if has_failed:
            self._failures += 1
            if self.is_open(now):
                self._next_trial_at = now + OPEN_SECONDS
            return
        if self._next_trial_at is not None:
            _log.info("Amazon IVS in %s answers again.", self._region)
        self._failures = 0
        self._next_trial_at = None
        # The calls that were sent before say nothing about IVS now, even if they fail later.
        self._sent_at.clear()


class CallsPaused(Exception):
    """Raised instead of calling IVS while the breaker of the region is open."""


class Breakers:
    """The breakers of all regions, for all threads of a process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._breakers: dict[Region, Breaker] = {}
        self._lock = threading.Lock()

    def is_open(self, region: Region) -> bool:
        """Whether the calls of the region are paused, except for trials."""
        with self._lock:
            return self._breaker(region).is_open(self._clock.monotonic())

    def admits(self, region: Region) -> bool:
        """Whether a call may be made in the region now."""
        with self._lock:
            return self._breaker(region).admits(self._clock.monotonic())

    def call(self, region: Region, call: Callable[[], T]) -> T:
        """Call IVS in that region. Only `IvsUnavailable` is a failure of the region.

        Raises:
            CallsPaused: the breaker is open.
        """
        with self._lock:
            begun = self._breaker(region).begin(self._clock.monotonic())
        if begun is None:
            raise CallsPaused
        has_failed = False
        try:
            return call()
        except IvsUnavailable:
            has_failed = True
            raise
        finally:
            with self._lock:
                now = self._clock.monotonic()
                self._breaker(region).end(begun, now, has_failed=has_failed)

    def _breaker(self, region: Region) -> Breaker:
        return self._breakers.setdefault(region, Breaker(region))
