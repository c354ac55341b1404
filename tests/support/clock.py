"""A clock that a test drives by hand."""

from __future__ import annotations

import threading

EXAMPLE_NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z: where a test's time starts unless it says otherwise."""


class ManualClock:
    """Time passes when a test says so; may be shared by threads.

    Attributes:
        sleeps: how long each `sleep` was to take, in seconds, in order.
    """

    def __init__(self, now: float = EXAMPLE_NOW, *, monotonic: float = 1_000.0) -> None:
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self.sleeps: list[float] = []

    def now(self) -> float:
        """Unix seconds by the wall clock."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since a fixed moment; a jump of the wall clock leaves them alone."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Return at once, `seconds` later by both clocks."""
        self.sleeps.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass by both clocks."""
        if seconds < 0:
            raise ValueError("Time does not pass backwards; jump_wall sets the wall clock.")
        with self._lock:
            self._now += seconds
            self._monotonic += seconds

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock forward, or back for negative `seconds`; no time passes."""
        with self._lock:
            self._now += seconds
