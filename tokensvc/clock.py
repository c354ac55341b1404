"""Clocks. Code gets its clock as a parameter and never reads the system time itself.

Times are Unix seconds, UTC; a time on the wire is RFC 3339 UTC.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol, Self

_END_OF_YEAR_9999 = 253_402_300_799
"""Unix seconds."""

_RFC3339_UTC: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z", re.ASCII
)


class Clock(Protocol):
    """The wall clock, a monotonic clock, and sleep."""

    def now(self) -> float:
        """Unix seconds, UTC, by the wall clock. It may jump when the clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since a fixed time. It never goes backwards and continues during suspend."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class SystemClock:
    """The clocks of the machine."""

    def now(self) -> float:
        """Unix seconds by the wall clock."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since boot, where the system has that clock."""
        # On Linux CLOCK_MONOTONIC stops during suspend, but the age of cached data must continue to
        # grow. On macOS it continues (clock_gettime(3)), and `time.monotonic` stops.
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.clock_gettime(time.CLOCK_MONOTONIC)

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        time.sleep(seconds)


def rfc3339(unix_seconds: float) -> str:
    """The RFC 3339 UTC form, to the second.

    >>> rfc3339(1_800_000_000.9)
    '2027-01-15T08:00:00Z'

    The form has four digits for the year, so a later time is shown as the end of the year 9999.
    """
    return _rfc3339(int(min(unix_seconds, _END_OF_YEAR_9999)))


def unix_seconds(text: str) -> int:
    """The Unix seconds of a time in RFC 3339, in UTC with a Z; a part of a second is dropped.

    >>> unix_seconds("2027-01-15T08:00:00.9Z")
    1800000000

    Raises:
        ValueError: when the text is not such a time.
    """
    if _RFC3339_UTC.fullmatch(text) is None:
        raise ValueError("A time has the form 2027-01-15T08:00:00Z.")
    return int(datetime.fromisoformat(text[:19] + "+00:00").timestamp())


@lru_cache(maxsize=64)
def _rfc3339(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of both clocks, so that all parts of a decision use the same time.

    Attributes:
        now: Unix seconds by the wall clock.
        monotonic: seconds by the clock that never goes backwards.
    """

    now: float
    monotonic: float

    @classmethod
    def of(cls, clock: Clock) -> Self:
        """Read both clocks now."""
        return cls(clock.now(), clock.monotonic())

    def seconds_since(self, earlier: Moment) -> float:
        """Seconds since `earlier`, by the clock that shows more: the wall clock may be set.

        >>> earlier = Moment(now=1_800_000_000, monotonic=50)
        >>> Moment(now=1_799_999_000, monotonic=80).seconds_since(earlier)
        30
        """
        return max(self.now - earlier.now, self.monotonic - earlier.monotonic)

    def wall_step_since(self, earlier: Moment) -> float:
        """By how many seconds the wall clock was set ahead since `earlier`; negative for back."""
        return (self.now - earlier.now) - (self.monotonic - earlier.monotonic)
