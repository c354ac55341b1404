"""The simulated time of a fleet, and clocks that differ from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class VirtualTime:
    """The true time in Unix seconds; only the simulation advances it."""

    now: float


@dataclass(slots=True)
class SkewedClock:
    """A process's clock: `ahead_seconds` ahead of the true time, or behind it when negative.

    The wall clock can be changed; the monotonic clock always follows the true time.
    """

    time: VirtualTime
    ahead_seconds: float = 0

    def now(self) -> float:
        """Unix seconds by the wall clock."""
        return self.time.now + self.ahead_seconds

    def monotonic(self) -> float:
        """Seconds since a fixed time."""
        return self.time.now

    def sleep(self, seconds: float) -> None:
        """Not supported: the simulation never sleeps."""
        raise NotImplementedError
