"""The time, as a parameter: nothing in this program reads a clock that was not handed to it.

Times are Unix seconds, UTC; a time on the wire is RFC 3339 UTC.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, Self


class Clock(Protocol):
    """What may be asked of the time."""

    def now(self) -> float:
        """Unix seconds, UTC, by the wall clock: may jump when the clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since a fixed moment, never backwards, running on while the machine sleeps."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Unix seconds by the wall clock."""
        return time.time()

    def monotonic(self) -> float:
        """Boot-time seconds where the system has them."""
        # CLOCK_MONOTONIC stands still in suspend, and the age of what was read must not.
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        time.sleep(seconds)


def rfc3339(unix_seconds: float) -> str:
    """The RFC 3339 UTC form, to the second: `1970-01-01T00:00:00Z` for 0."""
    return datetime.fromtimestamp(int(unix_seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of both clocks, so that all that is decided at a moment rests on the same time.

    Attributes:
        now: Unix seconds by the wall clock.
        monotonic: seconds by the clock that never goes backwards.
    """

    now: float
    monotonic: float

    @classmethod
    def of(cls, clock: Clock) -> Self:
        """This moment, by that clock."""
        return cls(clock.now(), clock.monotonic())

    def seconds_since(self, earlier: Moment) -> float:
        """Seconds from `earlier` to here, by whichever clock says more: one may have been set."""
        return max(self.now - earlier.now, self.monotonic - earlier.monotonic)
