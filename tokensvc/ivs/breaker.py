"""Pauses lookups in a region whose Amazon IVS fails or hangs, so that requests fail at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tokensvc.arns import Region
from tokensvc.breaker import Breaker
from tokensvc.clock import Clock
from tokensvc.errors import IvsUnavailable

T = TypeVar("T")


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
        return self._breakers.setdefault(region, Breaker(f"Amazon IVS in {region}"))
