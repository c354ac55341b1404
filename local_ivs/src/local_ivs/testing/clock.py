"""A clock that a test controls."""

from __future__ import annotations

import threading

EXAMPLE_NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z, the default time at which a test starts."""


class ManualClock:
    """A clock whose time changes only when a test changes it. Threads may share it."""

    def __init__(self, now: float = EXAMPLE_NOW) -> None:
        self._now = now
        self._lock = threading.Lock()

    def now(self) -> float:
        """The time in Unix seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Set the clock ahead, or back if `seconds` is negative."""
        with self._lock:
            self._now += seconds

    def set(self, now: float) -> None:
        """Set the clock to that time, in Unix seconds."""
        with self._lock:
            self._now = now
