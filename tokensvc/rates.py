"""Rate limits in memory: so many requests in a time for each key, such as a caller.

Each limit is a bucket that refills steadily (the generic cell rate algorithm): one number for each
key says when its bucket is full again. All processes of a fleet share a limit without asking each
other: each allows the part that the number of live processes leaves it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Protocol

LEAST_BURST: Final = 10
"""What one process allows at once, however many there are: a page may ask for several channels, and
its connection stays with one process."""

MAX_KEYS: Final = 50_000
"""How many keys are remembered: about 12 MB. After that, the one that was used longest ago is
forgotten, so its next request finds a full bucket."""

_ROUNDING: Final = 1e-6  # Of one request: sums of times are not exact.


class Fleet(Protocol):
    """The processes that share the limits.

    Attributes:
        count: how many there are, this one included. It may change at any time.
    """

    count: float


@dataclass(slots=True)
class OneProcess:
    """A fleet of this process alone."""

    count: float = 1.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit of the whole fleet: `quota` in `window_seconds`, and `burst` of them at once.

    Attributes:
        name: names it in header fields, such as "caller".
        quota: how many.
        window_seconds: in which time.
        burst: how many may come at once.
        least_burst: how many of these each process allows, however many processes there are.
    """

    name: str
    quota: int
    window_seconds: int
    burst: int
    least_burst: int = LEAST_BURST


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a key stands after a request.

    Attributes:
        rate: the limit.
        is_allowed: whether the request is within the limit. If not, it was not counted.
        left: how many more requests this process would allow now.
        full_seconds: until when the bucket is full again.
        retry_seconds: until when the next request is allowed; 0 if it is allowed now.
    """

    rate: Rate
    is_allowed: bool
    left: int
    full_seconds: float
    retry_seconds: float


class RateLimiter:
    """Counts requests against one limit, for all threads of a process."""

    def __init__(self, rate: Rate, fleet: Fleet, *, max_keys: int = MAX_KEYS) -> None:
        """A limiter that has seen no request.

        Args:
            rate: the limit of the whole fleet.
            fleet: the processes that share it.
            max_keys: how many keys are remembered.
        """
        self.rate = rate
        self._fleet = fleet
        self._max_keys = max_keys
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()  # The last used key is last.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Hashable, now: float) -> Standing:
        """Count a request of that key at that monotonic time, if it is within the limit."""
        each, whole = self._terms()
        with self._lock:
            full_seconds = max(0.0, self._full_at.get(key, now) - now)
            free = (whole - full_seconds) / each
            is_allowed = free >= 1.0 - _ROUNDING
            if is_allowed:
                full_seconds += each
                free -= 1.0
            self._full_at[key] = now + full_seconds
            self._full_at.move_to_end(key)
            if len(self._full_at) > self._max_keys:
                self._full_at.popitem(last=False)
        left = max(0, int(free + _ROUNDING))
        retry_seconds = 0.0 if left else (1.0 - free) * each
        return Standing(self.rate, is_allowed, left, full_seconds, retry_seconds)

    def retry_seconds(self, key: Hashable, now: float) -> float:
        """In how many seconds a request of that key is allowed; 0 for now. Counts nothing."""
        each, whole = self._terms()
        with self._lock:
            full_seconds = max(0.0, self._full_at.get(key, now) - now)
        missing = full_seconds + each - whole
        return missing if missing > _ROUNDING * each else 0.0

    def give_back(self, key: Hashable) -> None:
        """Undo the count of a request that turned out to cost nothing."""
        each, _ = self._terms()
        with self._lock:
            if key in self._full_at:
                self._full_at[key] -= each

    def _terms(self) -> tuple[float, float]:
        """In how many seconds one request is refilled in this process, and an empty bucket."""
        rate, count = self.rate, self._fleet.count
        each = rate.window_seconds * count / rate.quota
        return each, each * max(rate.burst / count, min(rate.burst, rate.least_burst))
