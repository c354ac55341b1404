from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.clock import SystemClock, rfc3339


@pytest.mark.parametrize(
    ("unix_seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00Z"),
        (0.999, "1970-01-01T00:00:00Z"),
        (1_800_000_000.0, "2027-01-15T08:00:00Z"),
        (951_782_400.5, "2000-02-29T00:00:00Z"),
        (2**31, "2038-01-19T03:14:08Z"),
    ],
)
def test_a_time_is_written_in_utc_to_the_second(unix_seconds: float, text: str) -> None:
    """RFC 3339 with Z; fractions are cut off, so that the written time is never later."""
    assert rfc3339(unix_seconds) == text


@given(st.integers(0, 253_402_300_799))
def test_a_written_time_is_parsed_as_the_same_second(unix_seconds: int) -> None:
    """Until the end of the year 9999."""
    assert datetime.fromisoformat(rfc3339(unix_seconds)) == datetime.fromtimestamp(
        unix_seconds, UTC
    )


def test_the_system_clock_returns_the_time_of_the_machine() -> None:
    """It is between two readings of the machine's clock."""
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_the_monotonic_clock_advances_by_at_least_the_seconds_slept() -> None:
    """Sleep returns after the given seconds, by the clock that measures ages."""
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(0.02)
    assert clock.monotonic() - before >= 0.02


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no such clock")
def test_the_monotonic_clock_continues_during_suspend() -> None:
    """It is the time since boot, including suspend, where the system has that clock."""
    boot_seconds = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert boot_seconds <= SystemClock().monotonic() <= time.clock_gettime(time.CLOCK_BOOTTIME)
