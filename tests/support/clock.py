"""A clock that a test controls."""

from __future__ import annotations

import threading

EXAMPLE_NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z, the default time at which a test starts."""


class ManualClock:
    """A clock that only advances when a test advances it. Threads may share it.

    Attributes:
        sleeps: the arguments of all calls of `sleep`, in seconds.
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
        """Seconds since a fixed time; not changed by a jump of the wall clock."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Advance both clocks by `seconds` and return immediately."""
        self.sleeps.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Advance both clocks by `seconds`."""
        if seconds < 0:
            raise ValueError("Time can't go backwards. Use jump_wall to set the wall clock back.")
        with self._lock:
            self._now += seconds
            self._monotonic += seconds

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock forward, or back for negative `seconds`. No time passes."""
        with self._lock:
            self._now += seconds
