"""One time for a whole simulated world, and clocks that differ from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class VirtualTime:
    """The true time, Unix seconds; it passes when the simulation says so."""

    now: float


@dataclass(slots=True)
class SkewedClock:
    """A process's clock: `ahead_seconds` ahead of the true time, or behind it when negative.

    Its wall clock may be set; its monotonic one keeps the true pace.
    """

    time: VirtualTime
    ahead_seconds: float = 0

    def now(self) -> float:
        """Unix seconds by the wall clock."""
        return self.time.now + self.ahead_seconds

    def monotonic(self) -> float:
        """Seconds since a fixed moment."""
        return self.time.now

    def sleep(self, seconds: float) -> None:
        """Never asked for: nothing in a simulation waits by itself."""
        raise NotImplementedError
